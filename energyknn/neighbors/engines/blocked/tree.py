"""Training rows in blocks: the layout of their arrays, and the loops that fill them. DESIGN.md draws the layout."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.compiling import compile_kernel, compile_step
from energyknn.neighbors.engines.blocked.tile_shape import LANES, TILE_ROWS

SUPER = 32  # blocks in a superblock
PARTS = LANES  # parts of a block at most; a part is one tile's rows, and `find_near_parts` tests all parts at once
_ROUND_UP = 1.000001  # more than the rounding of a float64 to float32 takes away
_TINY = 1e-40  # the same for numbers that float32 rounds to zero


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


@compile_step
def take_power(difference, p):
    """Return what one column adds to a measure: the squared (p = 2) or absolute (p = 1) difference."""
    return difference * difference if p == 2 else abs(difference)


@compile_kernel
def copy_rows(source, order, start, stop, target):
    """Copy rows into their places."""
    for place in range(start, stop):
        for column in range(source.shape[1]):
            target[place, column] = source[order[place], column]


@compile_kernel
def bound_blocks(tree, first, last):
    """Write the box and the centre of blocks first to last - 1, and the number of columns in which they vary."""
    rows = tree.rows
    n_features = rows.shape[1]
    low = np.empty(n_features)
    high = np.empty(n_features)
    for block in range(first, last):
        low[:] = np.inf
        high[:] = -np.inf
        for place in range(tree.edges[block], tree.edges[block + 1]):
            for column in range(n_features):
                low[column] = min(low[column], rows[place, column])
                high[column] = max(high[column], rows[place, column])
        n_varying = 0
        for column in range(n_features):
            tree.low[block // SUPER, column, block % SUPER] = low[column]
            tree.high[block // SUPER, column, block % SUPER] = high[column]
            tree.centres[block, column] = low[column] + 0.5 * (high[column] - low[column])
            n_varying += high[column] > low[column]
        tree.n_varying[block] = n_varying
        if n_varying == 0:  # all rows are equal, so the first must have the smallest number
            tree.numbers[tree.edges[block] : tree.edges[block + 1]].sort()


@compile_kernel
def _fill_column(tree, block, column, at, norms):
    """Write the tiles and the parts' boxes of one column, the `at`-th that varies; add it to the rows' norms."""
    block_rows = tree.starts.shape[1]
    start, n_rows = tree.edges[block], tree.edges[block + 1] - tree.edges[block]
    at_tiles, n_varying = tree.tile_edges[block], tree.n_varying[block]
    at_parts = (at_tiles // block_rows + at) * PARTS
    centre = tree.centres[block, column]
    for part in range(PARTS):
        part_low, part_high = np.inf, -np.inf
        at_part = at_tiles + (part * n_varying + at) * TILE_ROWS
        for slot in range(min(TILE_ROWS, block_rows - part * TILE_ROWS)):
            place = part * TILE_ROWS + slot
            value = np.float32(0.0)
            if place < n_rows:
                exact = (tree.rows[start + place, column] - centre) * tree.scale
                part_low, part_high = min(part_low, exact), max(part_high, exact)
                value = np.float32(exact)
            tree.tiles[at_part + slot] = value
            norms[place] += take_power(np.float64(value), tree.p)
        if part_low <= part_high:
            part_low -= abs(part_low) * (_ROUND_UP - 1.0) + _TINY
            part_high += abs(part_high) * (_ROUND_UP - 1.0) + _TINY
        tree.part_low[at_parts + part] = np.float32(part_low)
        tree.part_high[at_parts + part] = np.float32(part_high)


@compile_kernel
def fill_blocks(tree, first, last):
    """Write the float32 arrays of blocks first to last - 1."""
    norms = np.empty(tree.starts.shape[1])
    for block in range(first, last):
        n_rows = tree.edges[block + 1] - tree.edges[block]
        norms[:] = 0.0
        at = 0
        for column in range(tree.rows.shape[1]):
            low = tree.low[block // SUPER, column, block % SUPER]
            high = tree.high[block // SUPER, column, block % SUPER]
            tree.halves[block, column] = np.float32(0.0)
            if high > low:
                centre = tree.centres[block, column]
                half = max(high - centre, centre - low) * tree.scale
                tree.halves[block, column] = np.float32(half * _ROUND_UP + _TINY)
                _fill_column(tree, block, column, at, norms)
                at += 1
        tree.radii[block] = np.float32(norms[:n_rows].max() * _ROUND_UP)
        for place in range(len(norms)):
            start = np.float32(norms[place]) if tree.p == 2 else np.float32(0.0)
            tree.starts[block, place] = start if place < n_rows else np.float32(np.inf)
