"""What the vector instructions of `tiles_llvm` compute, in NumPy: their specification, and their stand-in."""
# mypy: disable-error-code="no-untyped-call,no-untyped-def"

from __future__ import annotations

import numpy as np

from energyknn.neighbors.engines.blocked.tile_shape import LANES, TILE_QUERIES, TILE_ROWS


def fill_tile(p, rows, at_row, starts, at_start, queries, at_query, stride, n_columns, limits, sums, masks):
    """Screen four queries against 64 rows; return the four masks joined by "or".

    Parameters
    ----------
    p : {1, 2}
        1 adds |x - q| for each column, 2 adds x * q.
    rows : ndarray, float32, flat
        From `at_row` on, the 64 values of one column after those of the other.
    starts : ndarray, float32, as if flat
        From `at_start` on, where the sum of each row begins: |x|² (p = 2) or 0, and infinity behind the last row.
    queries : ndarray, float32, as if flat
        The four values of column c stand at `at_query` + c * `stride`; where p = 2 they are -2q.
    n_columns : int
        Columns that vary in the block.
    limits : ndarray, float32, flat
        From `at_query` on, the limit of each query.
    sums : ndarray of shape (4 * 64,), float32
        Written: the sums of the first query, then those of the second, and so on.
    masks : ndarray of shape (4,), uint64
        Written: bit r of a query's mask is set if its sum for row r is below its limit.
    """
    tile = rows[at_row : at_row + n_columns * TILE_ROWS].reshape(n_columns, TILE_ROWS)
    totals = np.tile(starts.ravel()[at_start : at_start + TILE_ROWS], (TILE_QUERIES, 1))
    for column in range(n_columns):
        place = at_query + column * stride
        shares = queries.ravel()[place : place + TILE_QUERIES, np.newaxis]
        totals += tile[column] * shares if p == 2 else np.abs(tile[column] - shares)
    sums[:] = totals.reshape(-1)
    below = totals < limits[at_query : at_query + TILE_QUERIES, np.newaxis]
    masks[:] = [_join_bits(bits) for bits in below]
    return _join_bits(np.any(below, axis=0))


def find_near_parts(p, low, high, at_box, queries, at_query, stride, n_columns, limits):
    """Find which of 16 boxes any of four queries may reach: a bit for each box.

    Parameters
    ----------
    p : {1, 2}
        1 adds gaps, 2 adds squared gaps. Where p = 2, queries come in times -2.
    low, high : ndarray, float32, flat
        From `at_box` on, the edges of the 16 boxes in one column after those in the other.
    queries, at_query, stride, n_columns
        The four queries, as `fill_tile` takes them.
    limits : ndarray, float32, flat
        From `at_query` on, the sum that each query may reach at most.
    """
    boxes = slice(at_box, at_box + n_columns * LANES)
    lows, highs = low[boxes].reshape(n_columns, LANES), high[boxes].reshape(n_columns, LANES)
    totals = np.zeros((TILE_QUERIES, LANES), dtype=np.float32)
    for column in range(n_columns):
        place = at_query + column * stride
        values = queries.ravel()[place : place + TILE_QUERIES, np.newaxis] * np.float32(-0.5 if p == 2 else 1.0)
        gaps = np.maximum(np.maximum(lows[column] - values, values - highs[column]), np.float32(0.0))
        totals += gaps * gaps if p == 2 else gaps
    near = totals <= limits[at_query : at_query + TILE_QUERIES, np.newaxis]
    return _join_bits(np.any(near, axis=0))


def count_at_most(values, start, n_values, limit):
    """Count how many of the `n_values` values from `start` on, a multiple of 16, do not exceed a limit."""
    return int(np.count_nonzero(values.ravel()[start : start + n_values] <= limit))


def find_at_most(values, start, limit):
    """Find which of the 64 values from `start` on do not exceed a limit: a bit for each."""
    return _join_bits(values[start : start + TILE_ROWS] <= limit)


def count_trailing_zeros(mask):
    """Return the position of the lowest bit that is set; the mask is not zero."""
    bits = int(mask)
    return (bits & -bits).bit_length() - 1


def _join_bits(bits):
    """Write truth values into a number, the first as its lowest bit."""
    return np.uint64(sum(1 << int(position) for position in np.flatnonzero(bits)))
