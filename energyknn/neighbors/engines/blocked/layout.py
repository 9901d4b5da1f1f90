"""The arrays of a tree and of a search. DESIGN.md draws the layout. Importing this loads no compiler."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn.neighbors.engines.blocked.tile_shape import LANES, TILE_QUERIES, TILE_ROWS

SUPER = 32  # blocks in a superblock
PARTS = LANES  # parts of a block at most; a part is one tile's rows, and `find_near_parts` tests all parts at once
UNIT = 16 * TILE_QUERIES  # queries that share a box
N_UNITS = 2
BATCH = N_UNITS * UNIT  # queries that visit blocks together
MEASURED = 8  # wide rows that are measured at once: one chain of additions would wait for each sum


class Tree(NamedTuple):
    """Training rows in blocks.

    A scaled number is in the data's unit times `scale`. A measure is a squared distance (p = 2) or a distance (p = 1).
    n_tiled is the sum of `n_varying`: the columns that tiles hold, over all blocks.

    Attributes
    ----------
    rows : ndarray of shape (n_train, n_features), float64
        The rows as given, one block after the other.
    numbers : ndarray of shape (n_train,), int64
        The training row number of each of them.
    edges : ndarray of shape (n_blocks + 1,), int64
        The first row of each block, and n_train.
    low, high : ndarray of shape (n_supers, n_features, SUPER), float64
        The box of each block, in the data's unit; block b is at [b // SUPER, :, b % SUPER]. Boxes behind the last
        block are empty: infinity and minus infinity.
    super_low, super_high : ndarray of shape (1, n_features, n_supers), float64
        The box of each superblock, in the data's unit.
    centres : ndarray of shape (n_blocks, n_features), float64
        The centre of each box, in the data's unit.
    halves : ndarray of shape (n_blocks, n_features), float32
        Half the width of each box, scaled and rounded up; 0 where a column does not vary in the block.
    n_varying : ndarray of shape (n_blocks,), int64
        How many columns vary in the block.
    tile_edges : ndarray of shape (n_blocks + 1,), int64
        Where the tiles of each block start in `tiles`.
    tiles : ndarray of shape (n_tiled * block_rows,), float32
        The columns that vary, scaled and relative to the centre: part after part, in it column after column, in it
        the 64 rows. Zeros stand behind a block's last row.
    part_low, part_high : ndarray of shape (n_tiled * PARTS,), float32
        The box of each part, scaled, relative to the centre and rounded outwards: block after block, in it column
        after column, in it PARTS numbers. Parts that have no rows are empty: infinity and minus infinity.
    starts : ndarray of shape (n_blocks, block_rows), float32
        Where a tile's sum starts: the squared norm of the row in its tile (p = 2) or 0 (p = 1), and infinity behind
        the last row.
    radii : ndarray of shape (n_blocks,), float32
        The largest measure of a row from its block's centre, scaled and rounded up.
    scale : float
        A power of 2.
    p : int
        1 or 2, which `starts` and `radii` are for.
    """

    rows: NDArray[np.float64]
    numbers: NDArray[np.int64]
    edges: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    super_low: NDArray[np.float64]
    super_high: NDArray[np.float64]
    centres: NDArray[np.float64]
    halves: NDArray[np.float32]
    n_varying: NDArray[np.int64]
    tile_edges: NDArray[np.int64]
    tiles: NDArray[np.float32]
    part_low: NDArray[np.float32]
    part_high: NDArray[np.float32]
    starts: NDArray[np.float32]
    radii: NDArray[np.float32]
    scale: float
    p: int


def check_block_rows(block_rows: int) -> None:
    """Require a number of rows that a block's parts can hold.

    Raises
    ------
    ValueError
        If it is not 64, 128, ... or 1024.
    """
    if block_rows % TILE_ROWS or not 1 <= block_rows // TILE_ROWS <= PARTS:
        message = (
            f"block_rows is {block_rows}. A block has 1 to {PARTS} parts of {TILE_ROWS} rows: "
            f"give a multiple of {TILE_ROWS} from {TILE_ROWS} to {PARTS * TILE_ROWS}."
        )
        raise ValueError(message)


class Batches(NamedTuple):
    """Queries in batches.

    Attributes
    ----------
    rows : ndarray of shape (n_query, n_features), float64
        The queries as given.
    numbers : ndarray of shape (n_query,), int64
        Their numbers in the order of the batches.
    edges : ndarray of shape (n_batches + 1,), int64
        The first place of each batch in that order; a batch has at most BATCH queries.
    own : ndarray of shape (n_query,) or (0,), int64
        The training row that each query, in that order, leaves out; empty if none does.
    """

    rows: NDArray[np.float64]
    numbers: NDArray[np.int64]
    edges: NDArray[np.int64]
    own: NDArray[np.int64]


class Rules(NamedTuple):
    """What holds for a whole search; DESIGN.md derives the margins."""

    n_neighbors: int
    p: int
    unit_error: float  # the margin is this times the norms,
    tiny: float  # plus this
    shrink: float  # turns a measure of boxes, in the data's unit, into a scaled one that rounding cannot make too large


class Queries(NamedTuple):
    """The queries of a batch in units, and how near a row must be to matter to each."""

    values: NDArray[np.float64]  # (N_UNITS, n_features, UNIT), in the data's unit
    low: NDArray[np.float64]  # (N_UNITS, n_features): the box of each unit
    high: NDArray[np.float64]
    limits: NDArray[np.float64]  # (BATCH,): a scaled bound of the k-th measure; -inf where there is no query
    margins: NDArray[np.float64]  # (BATCH,): the largest margin of a value that was kept
    reaches: NDArray[np.float64]  # (N_UNITS,): the largest limit of each unit


class Found(NamedTuple):
    """The candidates of each query, and room to sort those of one query."""

    values: NDArray[np.float32]  # (BATCH, room): the screened measure, scaled
    places: NDArray[np.int64]  # (BATCH, room): the place among the tree's rows
    counts: NDArray[np.int64]  # (BATCH,)
    kth_measures: NDArray[np.float64]  # (BATCH,): where the k first are known for certain, the measure of the last,
    kth_rows: NDArray[np.int64]  # (BATCH,): and its row number; -1 elsewhere
    measures: NDArray[np.float64]  # (3, room): of one query: as found, sorted, and room for sorting
    rows: NDArray[np.int64]  # (3, room): the row numbers that belong to them
    work: NDArray[np.int64]  # (4,): the numbers of `SearchReport`: blocks, rows, products, survivors


class Frontier(NamedTuple):
    """The heap of blocks and superblocks that wait to be visited."""

    keys: NDArray[np.float64]  # (n_supers + n_blocks,): the least scaled measure from the batch
    items: NDArray[np.int64]  # (n_supers + n_blocks,): the block, or -1 - superblock
    bounds: NDArray[np.float64]  # (max(n_supers, SUPER),): of one unit
    nearest: NDArray[np.float64]  # (max(n_supers, SUPER),): the smallest over the units
    unit_bounds: NDArray[np.float64]  # (N_UNITS, n_blocks): of each unit, once a block's superblock is expanded


class Local(NamedTuple):
    """A unit of queries as seen from a block's centre: scaled, float32."""

    shares: NDArray[np.float32]  # (n_features + 1, UNIT): -2q (p = 2) or q (p = 1), a row for each column that varies
    sizes: NDArray[np.float32]  # (UNIT,): the measure of the query from the centre
    bounds: NDArray[np.float32]  # (UNIT,): the least measure in the block's box
    outsides: NDArray[np.float32]  # (UNIT,): the measure in the columns that do not vary
    bases: NDArray[np.float32]  # (UNIT,): what all rows of the block add to a tile's sum
    slacks: NDArray[np.float64]  # (UNIT,): margin less base; a limit plus this is a threshold
    thresholds: NDArray[np.float32]  # (UNIT,): a tile's sums below this may matter
    allowed: NDArray[np.float32]  # (UNIT,): a part's box up to this far may matter, in the columns that vary
    sums: NDArray[np.float32]  # (TILE_QUERIES * TILE_ROWS,)
    masks: NDArray[np.uint64]  # (TILE_QUERIES,)


class Pace(NamedTuple):
    """Counts that say whether it pays to bound the parts of a block; each is an array of one number."""

    visits: NDArray[np.int64]
    bounded: NDArray[np.int64]
    ruled_out: NDArray[np.int64]


def set_rules(tree: Tree, n_neighbors: int) -> Rules:
    """Derive the margins from the number of columns and the scale."""
    n_features, p = tree.rows.shape[1], tree.p
    unit_error = (5.0 * n_features + 32.0) * 2.0**-24
    tiny = (n_features + 8.0) * 2.0**-120
    shrink = (1.0 - (n_features + 8.0) * 2.0**-50) * tree.scale
    if p == 2:
        tiny += (n_features + 8.0) * (2.0**-1072 * tree.scale) * tree.scale
        shrink *= tree.scale
    return Rules(n_neighbors, p, unit_error, tiny, shrink)


def reserve_queries(tree: Tree) -> Queries:
    """Reserve the arrays of a batch of queries."""
    n_features = tree.rows.shape[1]
    return Queries(
        np.empty((N_UNITS, n_features, UNIT)),
        np.empty((N_UNITS, n_features)),
        np.empty((N_UNITS, n_features)),
        np.empty(BATCH),
        np.empty(BATCH),
        np.empty(N_UNITS),
    )


def reserve_found(tree: Tree, n_neighbors: int) -> Found:
    """Reserve room for candidates: k and more, and a tile's rows on top; a multiple of LANES."""
    room = min(n_neighbors + n_neighbors // 2, len(tree.rows)) + 2 * TILE_ROWS
    room = room // LANES * LANES
    return Found(
        np.empty((BATCH, room), dtype=np.float32),
        np.empty((BATCH, room), dtype=np.int64),
        np.empty(BATCH, dtype=np.int64),
        np.empty(BATCH),
        np.empty(BATCH, dtype=np.int64),
        np.empty((3, room)),
        np.empty((3, room), dtype=np.int64),
        np.zeros(4, dtype=np.int64),
    )


def reserve_frontier(tree: Tree) -> Frontier:
    """Reserve the heap and the bounds of a group of boxes."""
    n_blocks, n_supers = len(tree.edges) - 1, tree.super_low.shape[2]
    return Frontier(
        np.empty(n_supers + n_blocks),
        np.empty(n_supers + n_blocks, dtype=np.int64),
        np.empty(max(n_supers, SUPER)),
        np.empty(max(n_supers, SUPER)),
        np.empty((N_UNITS, n_blocks)),
    )


def reserve_local(tree: Tree) -> Local:
    """Reserve the arrays of a unit at a block."""
    return Local(
        np.empty((tree.rows.shape[1] + 1, UNIT), dtype=np.float32),
        np.empty(UNIT, dtype=np.float32),
        np.empty(UNIT, dtype=np.float32),
        np.empty(UNIT, dtype=np.float32),
        np.empty(UNIT, dtype=np.float32),
        np.empty(UNIT),
        np.empty(UNIT, dtype=np.float32),
        np.empty(UNIT, dtype=np.float32),
        np.empty(TILE_QUERIES * TILE_ROWS, dtype=np.float32),
        np.empty(TILE_QUERIES, dtype=np.uint64),
    )


def reserve_pace() -> Pace:
    """Begin to count."""
    return Pace(*(np.zeros(1, dtype=np.int64) for _ in Pace._fields))


def choose_scale(reach: float) -> float:
    """Choose the power of 2 that brings differences to about 1; its square stays finite."""
    return float(2.0 ** -np.clip(np.frexp(reach)[1], -500, 1000)) if reach > 0 else 1.0


def require_plain(value: Any) -> Any:
    """Copy an array that is not aligned, as joblib's memory maps are."""
    return np.require(value, requirements=["C", "A"]) if isinstance(value, np.ndarray) else value
