"""The blocked engine: rows in small boxes, boxes visited from near to far, screened in float32, decided in float64.

Building. Columns with few distinct values group the rows, wherever their joint patterns are few. Rows of two groups
differ in those columns by one constant, and rows of one group do not differ in them. Each group is split at medians,
of the column that varies most, into blocks of 256 rows. A block keeps its bounding box and, in float32 relative to its
centre, the columns that vary in it. So indicator columns cost no arithmetic inside a block and still keep blocks apart.

Searching. Queries are ordered in the same way and searched in batches of 128. A batch visits blocks by the distance of
their boxes, and stops at the first block that is farther than its worst k-th neighbour so far. Tiles of 4 queries by 64
rows are screened in float32, and rows that may be among the k nearest, whatever the rounding, are kept. The contract's
distance decides among those.

Wide rows. From 64 columns on, where a sample says that boxes would rule out too little, `wide` bounds all rows instead.

DESIGN.md, beside this file, draws the arrays and proves the margins. Numba is loaded when a kernel must be compiled.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.aside import Compilation
from energyknn._shared.kernel_loading import compile_aside, load_or_compile, try_loading
from energyknn._shared.machine_code import Kernel, Packed
from energyknn._shared.threads import run_slices
from energyknn.neighbors.contract import Neighbors, Search, SearchReport, empty_neighbors
from energyknn.neighbors.engines.blocked.layout import (
    BATCH,
    PARTS,
    SUPER,
    Batches,
    Tree,
    check_block_rows,
    choose_scale,
    require_plain,
    reserve_found,
    reserve_frontier,
    reserve_local,
    reserve_pace,
    reserve_queries,
    set_rules,
)
from energyknn.neighbors.engines.blocked.tile_shape import TILE_QUERIES, TILE_ROWS
from energyknn.neighbors.engines.blocked.wide import WideRows, find_wide, search_two_rows, search_wide

_ROOM = __name__.rpartition(".")[0]
_code_column = Kernel(f"{_ROOM}.ordering", "code_column")
_join_patterns = Kernel(f"{_ROOM}.ordering", "join_patterns")
_split_pieces = Kernel(f"{_ROOM}.ordering", "split_pieces")
_copy_rows = Kernel(f"{_ROOM}.tree", "copy_rows")
_bound_blocks = Kernel(f"{_ROOM}.tree", "bound_blocks")
_fill_blocks = Kernel(f"{_ROOM}.tree", "fill_blocks")
_search_batches = Kernel(f"{_ROOM}.search", "search_batches")

_FEW = 32  # a column with more distinct values does not group rows; codes are uint8, so at most 255
_DEEPEST = 128  # more splits than rows can be halved
_BLOCK_ROWS = 4 * TILE_ROWS
_MANY_ROWS = 1 << 19  # training rows; from here on blocks are twice as large
_FEWEST_GROUPED = 1024  # rows; fewer are not grouped, as there is little to rule out
_SMALLEST_GROUP = 32  # rows; smaller groups share their blocks
_FEWEST_SORTED = 4096  # training rows; with fewer, putting near rows and queries into one tile rules out nothing
_LARGEST_REACH = 2.0**40  # of queries, scaled: squares of this still are float32 numbers
_WORTH_THREADS = 1 << 18  # values; fewer are prepared before a thread is started
_SLICE_VALUES = 1 << 17  # values of a slice of preparation
_MOST_BATCHES = 16  # of a slice
_SLICE_PRODUCTS = 1 << 34  # of a slice of searching: less than 0.3 s where no block can be passed over


class _Order(NamedTuple):
    """Row numbers in tree order, and the edges of blocks."""

    numbers: NDArray[np.int64]
    edges: NDArray[np.int64]


def build_tree(search: Search, *, block_rows: int | None = None) -> Tree | WideRows:
    """Arrange training rows in blocks, or bound them as wide rows where boxes rule out too little.

    Parameters
    ----------
    search : Search
        The first search, whose `reach` sets the scale; the tree serves others of the same p as well.
    block_rows : int or None, default=None
        Rows of a block, a multiple of 64 from 64 to 1024. None chooses 256, or 512 from 524,288 training rows on, or
        the wide path. No result depends on it.

    Returns
    -------
    Tree or WideRows
        For any number of searches.

    Raises
    ------
    ValueError
        If p is not 1 or 2, or `block_rows` is not such a multiple.

    Notes
    -----
    Time n_features * n_train * log(n_train / 256), on all threads but for the first splits. Memory one copy of the
    rows in float64 and one in float32, less the columns that do not vary within blocks.
    """
    if search.p not in (1, 2):
        message = f"p is {search.p}. The blocked engine measures p = 1 and p = 2: take another engine."
        raise ValueError(message)
    if block_rows is None:
        wide = find_wide(search)
        if wide is not None:
            return wide
        block_rows = _choose_block_rows(len(search.X_train))
    check_block_rows(block_rows)
    _warm_up()
    return _arrange(search, block_rows)


def search_tree(tree: Tree | WideRows, search: Search) -> Neighbors:
    """Find the neighbours of queries among the rows of a tree.

    Parameters
    ----------
    tree : Tree or WideRows
        Built from the search's training rows, for the search's p.
    search : Search
        What to search for.

    Returns
    -------
    Neighbors
        Exact, in the contract's order.

    Raises
    ------
    ValueError
        If the tree was built for another p, or from rows of another shape.

    Notes
    -----
    Memory beyond the tree: for each thread 128 * 1.5 k candidates.
    """
    if (tree.p, tree.rows.shape) != (search.p, search.X_train.shape):
        message = (
            f"The tree holds rows of shape {tree.rows.shape} for p = {tree.p}, and the search is among rows of shape "
            f"{search.X_train.shape} with p = {search.p}. Build a tree from the search's rows for its p."
        )
        raise ValueError(message)
    if isinstance(tree, WideRows):
        return search_wide(tree, search)
    _warm_up()
    return _search(Tree(*map(require_plain, tree)), search)


def order_queries(X_query: NDArray[np.float64], *, group_rows: int, n_threads: int) -> NDArray[np.int64]:
    """Order queries so that near ones stand together, which makes a search of each part as fast as one of all.

    Parameters
    ----------
    X_query : ndarray of shape (n_query, n_features), float64
        Finite.
    group_rows : int
        How many follow one another in a part.
    n_threads : int
        At least 1. The order does not depend on it.

    Returns
    -------
    ndarray of shape (n_query,), int64
        Their numbers.
    """
    _warm_up_ordering()
    return _order_rows(require_plain(X_query), leaf=group_rows, n_threads=n_threads).numbers


_WHAT = "the blocked engine: some 20 seconds"


@cache
def _warm_up() -> None:
    """Load the kernels from disk, or compile them."""
    load_or_compile(_search_batches, search_three_rows, what=_WHAT)


@cache
def _warm_up_ordering() -> None:
    """Load the kernels that put rows in order from disk, or compile them."""
    load_or_compile(_split_pieces, _order_three_rows, what="the order of rows: some seconds")


def try_loading_kernels() -> bool:
    """Load the kernels from disk; return whether they were there."""
    return try_loading(search_few_rows)


def compile_kernels_aside() -> Compilation | None:
    """Let another process compile the kernels; return None if it cannot."""
    return compile_aside(_search_batches, __name__, search_few_rows.__name__, what=_WHAT)


def search_few_rows() -> None:
    """Call every kernel, those of wide rows too."""
    search_three_rows()
    search_two_rows()


def search_three_rows() -> None:
    """Call every kernel that searches blocks."""
    rows = _order_three_rows()
    search = Search(rows, rows, n_neighbors=1, p=2, own=np.arange(3), reach=3.0, n_threads=1)
    _search(_arrange(search, TILE_ROWS), search)


def _order_three_rows() -> NDArray[np.float64]:
    """Call every kernel that puts rows in order; return the rows."""
    rows, codes = np.array([[0.0], [1.0], [3.0]]), np.empty(3, dtype=np.uint8)
    _join(np.zeros(3, dtype=np.int64), 1, codes, _code_column(rows, 0, codes, np.empty(_FEW)), 3)
    _order_rows(rows, leaf=1, n_threads=1)
    return rows


def _arrange(search: Search, block_rows: int) -> Tree:
    """Build a tree."""
    n_threads = search.n_threads if search.X_train.size >= _WORTH_THREADS else 1
    given = require_plain(search.X_train)
    inner_leaf = TILE_ROWS if len(given) >= _FEWEST_SORTED else None
    order = _order_rows(given, leaf=block_rows, n_threads=n_threads, inner_leaf=inner_leaf)
    rows = np.empty_like(given)
    pieces = _cut(len(rows), _SLICE_VALUES // rows.shape[1])
    run_slices(lambda part: _copy_rows(given, order.numbers, *part, rows), pieces, n_threads=n_threads)
    tree = _allocate_tree(rows, order, search, block_rows)
    slices = _cut_blocks(tree)
    boxes = (rows.shape[1],)
    packed = Packed(tree)
    run_slices(lambda part: _bound_blocks(packed, *part, np.empty(boxes), np.empty(boxes)), slices, n_threads=n_threads)
    for block in np.flatnonzero(tree.n_varying == 0):  # all rows are equal, so the first must have the smallest number
        tree.numbers[slice(*tree.edges[block : block + 2])].sort()
    tree.super_low[0], tree.super_high[0] = tree.low.min(axis=2).T, tree.high.max(axis=2).T
    np.cumsum(tree.n_varying * block_rows, out=tree.tile_edges[1:])
    return _fill_tiles(tree, n_threads=n_threads)


def _fill_tiles(tree: Tree, *, n_threads: int) -> Tree:
    """Write all that depends on the scale and on p, into new arrays."""
    n_tiled = int(tree.n_varying.sum())
    filled = tree._replace(
        halves=np.empty_like(tree.halves),
        tiles=np.empty(n_tiled * tree.starts.shape[1], dtype=np.float32),
        part_low=np.empty(n_tiled * PARTS, dtype=np.float32),
        part_high=np.empty(n_tiled * PARTS, dtype=np.float32),
        starts=np.empty_like(tree.starts),
        radii=np.empty_like(tree.radii),
    )
    run_slices(
        lambda part: _fill_blocks(filled, *part, np.empty(tree.starts.shape[1])), _cut_blocks(tree), n_threads=n_threads
    )
    return filled


def _search(tree: Tree, search: Search) -> Neighbors:
    """Search a tree."""
    if search.reach * tree.scale > _LARGEST_REACH:
        tree = _fill_tiles(tree._replace(scale=choose_scale(search.reach)), n_threads=search.n_threads)
    batches, rules = _make_batches(search), set_rules(tree, search.n_neighbors)
    neighbors = empty_neighbors(search)
    n_batches = len(batches.edges) - 1
    packed = Packed(tree)
    work = []

    def find(part: tuple[int, int]) -> None:
        room = reserve_found(tree, search.n_neighbors), reserve_frontier(tree), reserve_local(tree), reserve_pace()
        _search_batches(packed, batches, *part, rules, reserve_queries(tree), *room, *neighbors)
        work.append(room[0].work)

    run_slices(find, _cut(n_batches, _choose_step(search, n_batches)), n_threads=search.n_threads)
    neighbors.report = SearchReport("blocked", *np.sum(work, axis=0).tolist())
    return neighbors


def _cut(n_items: int, step: int) -> list[tuple[int, int]]:
    """Cut items into slices of `step`, at least one."""
    step = max(1, step)
    return [(first, min(first + step, n_items)) for first in range(0, n_items, step)]


def _cut_blocks(tree: Tree) -> list[tuple[int, int]]:
    """Cut the blocks into slices of preparation."""
    return _cut(len(tree.edges) - 1, _SLICE_VALUES // (tree.starts.shape[1] * tree.rows.shape[1]))


def _choose_block_rows(n_train: int) -> int:
    """Choose how many rows a block has.

    Measured from 10,000 to 2,000,000 rows: 128 rows are 20 to 40 % slower, as each visit of a block has its own cost,
    and 1024 rule out too little.
    """
    return _BLOCK_ROWS if n_train < _MANY_ROWS else 2 * _BLOCK_ROWS


def _choose_step(search: Search, n_batches: int) -> int:
    """Choose how many batches a slice has: short enough to be interrupted, several for each thread."""
    interruptible = _SLICE_PRODUCTS // (search.X_train.size * BATCH)
    shared = n_batches // (8 * search.n_threads) if search.n_threads > 1 else n_batches
    return int(max(1, min(interruptible, shared, _MOST_BATCHES)))


def _make_batches(search: Search) -> Batches:
    """Put queries that are near one another into a batch, and the nearest of them into a tile."""
    inner_leaf = TILE_QUERIES if len(search.X_train) >= _FEWEST_SORTED else None
    rows = require_plain(search.X_query)
    order = _order_rows(rows, leaf=BATCH, n_threads=search.n_threads, inner_leaf=inner_leaf)
    own = np.empty(0, dtype=np.int64) if search.own is None else search.own[order.numbers]
    return Batches(rows, order.numbers, order.edges, own)


def _order_rows(rows: NDArray[np.float64], *, leaf: int, n_threads: int, inner_leaf: int | None = None) -> _Order:
    """Order rows by group and, within groups, by median splits down to `leaf` rows."""
    n_threads = n_threads if rows.size >= _WORTH_THREADS else 1
    numbers, edges = _group_rows(rows, n_threads=n_threads)
    keys = np.empty(len(rows))
    piece = max(leaf, len(rows) // (8 * n_threads))

    def split_all(edges: NDArray[np.int64], leaf: int) -> NDArray[np.int64]:
        """Split the pieces between the edges down to `leaf` rows. Pieces share nothing, so threads take turns."""
        inner_edges = {}

        def split(part: tuple[int, int]) -> None:
            first, stop = part
            inner_edges[first] = _split(rows, numbers, keys, edges[first : stop + 1], leaf, leaf)[1:]

        n_pieces = len(edges) - 1
        run_slices(split, _cut(n_pieces, n_pieces // (8 * n_threads)), n_threads=n_threads)
        return np.concatenate([edges[:1], *(inner_edges[first] for first in sorted(inner_edges))])

    edges = split_all(_split(rows, numbers, keys, edges, piece, leaf), leaf)
    if inner_leaf is not None:
        split_all(edges, inner_leaf)
    return _Order(numbers, edges)


def _group_rows(rows: NDArray[np.float64], *, n_threads: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order rows by their joint pattern in columns of few values; return the order and the groups' edges.

    Columns join one after another, each if the patterns remain few enough for groups of _SMALLEST_GROUP rows.
    """
    n_rows, n_features = rows.shape
    most = n_rows // (2 * _SMALLEST_GROUP) if n_rows >= _FEWEST_GROUPED else 1
    labels = np.zeros(n_rows, dtype=np.int64)
    n_labels = 1
    codes: dict[int, tuple[int, NDArray[np.uint8]]] = {}

    def code(column: int) -> None:
        found = np.empty(n_rows, dtype=np.uint8)
        n_codes = _code_column(rows, column, found, np.empty(_FEW))
        if n_codes > 1:
            codes[column] = n_codes, found

    if most > 1:
        run_slices(code, range(n_features), n_threads=n_threads)
    for column in sorted(codes):
        n_codes, found = codes[column]
        n_labels = _join(labels, n_labels, found, n_codes, most) or n_labels
    return _sort_segments(labels, n_labels)


def _join(labels: NDArray[np.int64], n_labels: int, codes: NDArray[np.uint8], n_codes: int, most: int) -> int:
    """Relabel rows by the pairs of label and code that occur; return how many, or 0 if more than `most`."""
    return _join_patterns(labels, codes, n_codes, np.full(n_labels * n_codes, -1, dtype=np.int64), most)


def _sort_segments(labels: NDArray[np.int64], n_labels: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order rows by label, those of rare labels together at the end; return the order and the segments' edges."""
    counts = np.bincount(labels, minlength=n_labels)
    is_large = counts >= _SMALLEST_GROUP
    n_large = np.count_nonzero(is_large)
    places = np.where(is_large, np.cumsum(is_large) - 1, n_large)
    kind = np.uint16 if n_large < 1 << 16 else np.int64  # NumPy sorts short integers without comparing them
    order = np.argsort(places.astype(kind)[labels], kind="stable") if n_labels > 1 else np.arange(len(labels))
    sizes = [*counts[is_large], counts[~is_large].sum()]
    return order, np.append(0, np.cumsum([size for size in sizes if size])).astype(np.int64)


def _split(
    rows: NDArray[np.float64],
    order: NDArray[np.int64],
    keys: NDArray[np.float64],
    edges: NDArray[np.int64],
    largest: int,
    leaf: int,
) -> NDArray[np.int64]:
    """Split pieces of an order, in place; return the new edges."""
    new_edges = np.empty((edges[-1] - edges[0]) // leaf + len(edges) + 1, dtype=np.int64)
    pending, sums = np.empty((_DEEPEST, 2), dtype=np.int64), np.empty((2, rows.shape[1]))
    n_edges = _split_pieces(rows, order, keys, edges, largest, leaf, pending, *sums, new_edges)
    return new_edges[:n_edges]


def _allocate_tree(rows: NDArray[np.float64], order: _Order, search: Search, block_rows: int) -> Tree:
    """Reserve the arrays of a tree; boxes behind the last block are empty."""
    n_blocks, n_features = len(order.edges) - 1, rows.shape[1]
    n_supers = -(-n_blocks // SUPER)
    boxes = (n_supers, n_features, SUPER)
    return Tree(
        rows=rows,
        numbers=order.numbers,
        edges=order.edges,
        low=np.full(boxes, np.inf),
        high=np.full(boxes, -np.inf),
        super_low=np.empty((1, n_features, n_supers)),
        super_high=np.empty((1, n_features, n_supers)),
        centres=np.empty((n_blocks, n_features)),
        halves=np.empty((n_blocks, n_features), dtype=np.float32),
        n_varying=np.empty(n_blocks, dtype=np.int64),
        tile_edges=np.zeros(n_blocks + 1, dtype=np.int64),
        tiles=np.empty(0, dtype=np.float32),
        part_low=np.empty(0, dtype=np.float32),
        part_high=np.empty(0, dtype=np.float32),
        starts=np.empty((n_blocks, block_rows), dtype=np.float32),
        radii=np.empty(n_blocks, dtype=np.float32),
        scale=choose_scale(search.reach),
        p=search.p,
    )
