"""The blocked engine: rows in small boxes, boxes visited from near to far, screened in float32, decided in float64.

Building. Columns with few distinct values group the rows, wherever their joint patterns are few: between rows of two
groups those columns add one constant, and within a group nothing. Each group is split at medians, of the column that
varies most, into blocks of 256 rows. A block keeps its bounding box and, relative to its centre and in float32, the
columns that vary in it. So indicator columns cost no arithmetic inside a block and still keep blocks apart.

Searching. Queries are ordered in the same way and taken in batches of 128. A batch visits blocks by the distance of
their boxes, and stops at the first that is farther than its worst k-th neighbour so far. Tiles of 4 queries by 64
rows are screened in float32; what may be among the k nearest, given the rounding that is possible, is kept. At the end,
and when too many rows are too close to tell apart, the contract's distance decides.

`_kernels` proves the margins. Numba is loaded by this module and by nothing in front of it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.compiling import announcing_compilation
from energyknn._shared.threads import run_slices
from energyknn.neighbors.contract import Neighbors, Search, empty_neighbors
from energyknn.neighbors.engines.blocked import kernels

__all__ = ["build_tree", "order_queries", "search_tree"]

_SMALL_BLOCK = 256  # rows
_MANY_ROWS = 1 << 19  # from here on blocks are twice as large
_FEWEST_GROUPED = 1024  # rows; among fewer there is little to rule out
_SMALLEST_GROUP = 32  # rows; smaller groups share their blocks
_NEAREST_ROWS = 4  # queries that are kept together within a batch: one tile
_FEWEST_SORTED = 4096  # training rows; among fewer, tiles of near queries rule out nothing
_LARGEST_REACH = 2.0**40  # of queries, in units of the tree's scale: squares stay inside of float32
_WORTH_THREADS = 1 << 18  # values; fewer are prepared before a thread is started
_SLICE_VALUES = 1 << 16  # values of a slice of preparation
_MOST_BATCHES = 16  # of a slice
_SLICE_PRODUCTS = 1 << 34  # of a slice of searching: less than 0.3 s where no block can be passed over


class _Order(NamedTuple):
    """Row numbers in tree order, and the edges of blocks."""

    numbers: NDArray[np.int64]
    edges: NDArray[np.int64]


def build_tree(search: Search) -> kernels.Tree:
    """Arrange training rows in blocks.

    Parameters
    ----------
    search : Search
        The first search, which says how far apart rows can be; the tree serves others of the same p as well.

    Returns
    -------
    Tree
        Blocks, for any number of searches.

    Notes
    -----
    Time n_features * n_train * log(n_train / 256), on all threads but for the first splits. Memory one copy of the
    rows in float64 and one in float32, less the columns that do not vary within blocks.
    """
    _warm_up()
    return _arrange(search)


def search_tree(tree: kernels.Tree, search: Search) -> Neighbors:
    """Find the neighbours of queries among the rows of a tree.

    Parameters
    ----------
    tree : Tree
        Built from the search's training rows.
    search : Search
        What to search for.

    Returns
    -------
    Neighbors
        Exact, in the contract's order.

    Notes
    -----
    Memory beyond the tree: for each thread 128 * 1.5 k candidates.
    """
    _warm_up()
    return _search(kernels.Tree(*map(_require_plain, tree)), search)


def order_queries(X_query: NDArray[np.float64], *, group_rows: int, n_threads: int) -> NDArray[np.int64]:
    """Order queries so that near ones stand together: a search of a part of them is as fast as in a search of all.

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
    _warm_up()
    return _order_rows(_require_plain(X_query), leaf=group_rows, n_threads=n_threads).numbers


@cache
def _warm_up() -> None:
    """Compile the kernels, or load them from Numba's cache on disk, by a search of three rows."""
    with announcing_compilation("the blocked engine: about half a minute"):
        rows = np.array([[0.0], [1.0], [3.0]])
        search = Search(rows, rows, n_neighbors=1, p=2, own=np.arange(3), reach=3.0, n_threads=1)
        _search(_arrange(search), search)


def _arrange(search: Search) -> kernels.Tree:
    """Build a tree."""
    n_threads = search.n_threads if search.X_train.size >= _WORTH_THREADS else 1
    block_size = _choose_block_size(len(search.X_train))
    given = _require_plain(search.X_train)
    inner_leaf = kernels.TILE_ROWS if len(given) >= _FEWEST_SORTED else None
    order = _order_rows(given, leaf=block_size, n_threads=n_threads, inner_leaf=inner_leaf)
    rows = np.empty_like(given)
    step = max(1, _SLICE_VALUES // rows.shape[1])
    pieces = ((start, min(start + step, len(rows))) for start in range(0, len(rows), step))
    run_slices(lambda part: kernels.copy_rows(given, order.numbers, *part, rows), pieces, n_threads=n_threads)
    tree = _allocate_tree(rows, order, block_size=block_size, scale=_choose_scale(search.reach))
    n_blocks = len(order.edges) - 1
    step = max(1, _SLICE_VALUES // (block_size * rows.shape[1]))
    slices = [(first, min(first + step, n_blocks)) for first in range(0, n_blocks, step)]
    run_slices(lambda part: kernels.bound_blocks(tree, *part), slices, n_threads=n_threads)
    tree.super_low[0], tree.super_high[0] = tree.low.min(axis=2).T, tree.high.max(axis=2).T
    np.cumsum(tree.n_varying * block_size, out=tree.tile_edges[1:])
    n_tiles, n_bounds = tree.tile_edges[-1], tree.tile_edges[-1] // block_size * kernels.PARTS
    tree = tree._replace(
        tiles=np.empty(n_tiles, dtype=np.float32),
        part_low=np.empty(n_bounds, dtype=np.float32),
        part_high=np.empty(n_bounds, dtype=np.float32),
    )
    run_slices(lambda part: kernels.fill_blocks(tree, *part, search.p), slices, n_threads=n_threads)
    return tree


def _search(tree: kernels.Tree, search: Search) -> Neighbors:
    """Search a tree."""
    if search.reach * tree.scale > _LARGEST_REACH:
        tree = _arrange(search)
    batches = _make_batches(search)
    neighbors = empty_neighbors(search)
    n_batches = len(batches.edges) - 1
    step = _choose_step(search, n_batches)
    slices = ((first, min(first + step, n_batches)) for first in range(0, n_batches, step))

    def find(part: tuple[int, int]) -> None:
        kernels.search_batches(tree, batches, *part, search.n_neighbors, search.p, *neighbors)

    run_slices(find, slices, n_threads=search.n_threads)
    return neighbors


def _choose_block_size(n_train: int) -> int:
    """Choose how many rows a block has, a multiple of a tile's.

    Measured from 10,000 to 2,000,000 rows: 128 rows are 20 to 40 % slower, as each visit of a block has its own cost,
    and 1024 rule out too little.
    """
    return _SMALL_BLOCK if n_train < _MANY_ROWS else 2 * _SMALL_BLOCK


def _choose_scale(reach: float) -> float:
    """Choose the power of 2 that brings differences to about 1; its square stays finite."""
    return float(2.0 ** -np.clip(np.frexp(reach)[1], -500, 1000)) if reach > 0 else 1.0


def _choose_step(search: Search, n_batches: int) -> int:
    """Choose how many batches a slice has: short enough to be interrupted, several for each thread."""
    interruptible = _SLICE_PRODUCTS // (search.X_train.size * kernels.BATCH)
    shared = n_batches // (8 * search.n_threads) if search.n_threads > 1 else n_batches
    return int(max(1, min(interruptible, shared, _MOST_BATCHES)))


def _make_batches(search: Search) -> kernels.Batches:
    """Arrange queries in batches of near ones, and within a batch in tiles of nearer ones."""
    inner_leaf = _NEAREST_ROWS if len(search.X_train) >= _FEWEST_SORTED else None
    rows = _require_plain(search.X_query)
    order = _order_rows(rows, leaf=kernels.BATCH, n_threads=search.n_threads, inner_leaf=inner_leaf)
    own = np.empty(0, dtype=np.int64) if search.own is None else search.own[order.numbers]
    return kernels.Batches(rows, order.numbers, order.edges, own)


def _order_rows(rows: NDArray[np.float64], *, leaf: int, n_threads: int, inner_leaf: int | None = None) -> _Order:
    """Order rows by group and, within groups, by median splits down to `leaf` rows."""
    n_threads = n_threads if rows.size >= _WORTH_THREADS else 1
    numbers, edges = _group_rows(rows, n_threads=n_threads)
    keys = np.empty(len(rows))
    piece = max(leaf, len(rows) // (8 * n_threads))
    edges = kernels.split_pieces(rows, numbers, keys, edges, piece, leaf)
    edges = _split_all(rows, numbers, keys, edges, leaf, n_threads=n_threads)
    if inner_leaf is not None:
        _split_all(rows, numbers, keys, edges, inner_leaf, n_threads=n_threads)
    return _Order(numbers, edges)


def _split_all(
    rows: NDArray[np.float64],
    numbers: NDArray[np.int64],
    keys: NDArray[np.float64],
    edges: NDArray[np.int64],
    leaf: int,
    *,
    n_threads: int,
) -> NDArray[np.int64]:
    """Split the pieces between the edges down to `leaf` rows; pieces share nothing, so threads take them in turn."""
    n_pieces = len(edges) - 1
    found: list[NDArray[np.int64]] = [edges[:1]] * (n_pieces + 1)
    step = max(1, n_pieces // (8 * n_threads))

    def split(first: int) -> None:
        part = edges[first : first + step + 1]
        found[first + 1] = kernels.split_pieces(rows, numbers, keys, part, leaf, leaf)[1:]

    run_slices(split, range(0, n_pieces, step), n_threads=n_threads)
    return np.concatenate([found[0], *(found[first + 1] for first in range(0, n_pieces, step))])


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
        n_codes = kernels.code_column(rows, column, found)
        if n_codes > 1:
            codes[column] = n_codes, found

    if most > 1:
        run_slices(code, range(n_features), n_threads=n_threads)
    for column in sorted(codes):
        n_codes, found = codes[column]
        n_labels = kernels.join_patterns(labels, n_labels, found, n_codes, most) or n_labels
    order, edges = kernels.sort_segments(labels, n_labels, _SMALLEST_GROUP)
    return order, edges


def _allocate_tree(rows: NDArray[np.float64], order: _Order, *, block_size: int, scale: float) -> kernels.Tree:
    """Reserve the arrays of a tree; boxes behind the last block are empty."""
    n_blocks, n_features = len(order.edges) - 1, rows.shape[1]
    n_supers = -(-n_blocks // kernels.SUPER)
    boxes = (n_supers, n_features, kernels.SUPER)
    return kernels.Tree(
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
        starts=np.empty((n_blocks, block_size), dtype=np.float32),
        radii=np.empty(n_blocks, dtype=np.float32),
        scale=scale,
    )


def _require_plain(value: Any) -> Any:
    """Copy an array that is read-only or not aligned, as joblib's memory maps are: others are compiled for already."""
    return np.require(value, requirements=["C", "A", "W"]) if isinstance(value, np.ndarray) else value
