"""The loops that fill the arrays of a tree."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import numpy as np

from energyknn._shared.compiling import compile_step
from energyknn.neighbors.engines.blocked.layout import PARTS, SUPER
from energyknn.neighbors.engines.blocked.tile_shape import TILE_ROWS

_ROUND_UP = 1.000001  # more than the rounding of a float64 to float32 takes away
_TINY = 1e-40  # the same for numbers that float32 rounds to zero


@compile_step
def take_power(difference, p):
    """Return what one column adds to a measure: the squared (p = 2) or absolute (p = 1) difference."""
    return difference * difference if p == 2 else abs(difference)


@compile_step
def copy_rows(source, order, start, stop, target):
    """Copy rows into their places."""
    for place in range(start, stop):
        for column in range(source.shape[1]):
            target[place, column] = source[order[place], column]


@compile_step
def bound_blocks(tree, first, last, low, high):
    """Write the box and the centre of blocks first to last - 1, and the number of columns in which they vary."""
    rows = tree.rows
    n_features = rows.shape[1]
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


@compile_step
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


@compile_step
def fill_blocks(tree, first, last, norms):
    """Write the float32 arrays of blocks first to last - 1."""
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
        largest = 0.0
        for place in range(n_rows):
            largest = max(largest, norms[place])
        tree.radii[block] = np.float32(largest * _ROUND_UP)
        for place in range(len(norms)):
            start = np.float32(norms[place]) if tree.p == 2 else np.float32(0.0)
            tree.starts[block, place] = start if place < n_rows else np.float32(np.inf)
