"""The search of wide rows: the rows with the lowest bounds are measured, then those that a limit leaves.

The loops release the interpreter's lock. None is compiled with `fastmath`, so a measure has NumPy's bits.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import numpy as np

from energyknn._shared.compiling import compile_step
from energyknn.neighbors.engines.blocked.layout import MEASURED
from energyknn.neighbors.engines.blocked.selection import comes_first, push, sift_down
from energyknn.neighbors.engines.blocked.tile_shape import TILE_ROWS
from energyknn.neighbors.engines.blocked.tiles import count_trailing_zeros, find_at_most


@compile_step
def search_bounds(values, begin, first, rows, queries, own, sizes, rules, keys, items, pending, measures):
    """Let some queries meet some rows: keep the k nearest rows so far.

    Parameters
    ----------
    values : ndarray of shape (n_selected * n_met,), float32
        A lower bound of the distance less |q|², as `wide` says, query by query; n_met is a multiple of TILE_ROWS.
        They are overwritten.
    begin, first : int
        The first of these rows and of these queries.
    rows, queries : ndarray of shape (n, n_features), float64
        Training and query rows, as given.
    own : ndarray of shape (n_query,) or (0,), int64
        The training row that each query leaves out.
    sizes : ndarray of shape (n_query,), float64
        |q|², scaled.
    rules : ndarray of shape (3,), float64
        The scale, the error and `tiny`.
    keys, items : ndarray of shape (n_selected, k + 1), float64 and int64
        A heap for each query, once the first rows are met: negative measures and row numbers, the last of the k
        nearest on top.
    pending, measures : ndarray of shape (MEASURED,), int64 and float64
        Room for rows that are measured at once.
    """
    n_selected, n_neighbors = len(keys), keys.shape[1] - 1
    n_met = len(values) // n_selected
    for number in range(n_selected):
        query, start = first + number, number * n_met
        if len(own) and begin <= own[query] < begin + n_met:
            values[start + own[query] - begin] = np.inf
        if begin == 0:
            _measure_lowest(values, start, n_met, rows, queries, query, pending, measures, keys[number], items[number])
        slack = rules[2] - (1.0 - rules[1]) * sizes[query]
        limit = np.float32(-keys[number, 0] * rules[0] * rules[0] + slack)
        n_pending = 0
        for part in range(0, n_met, TILE_ROWS):
            mask = find_at_most(values, start + part, limit)
            while mask:
                pending[n_pending] = begin + part + count_trailing_zeros(mask)
                mask &= mask - np.uint64(1)
                n_pending += 1
                if n_pending == MEASURED:
                    _measure_rows(rows, queries, query, pending, measures)
                    _keep_nearest_rows(pending, measures, n_pending, n_neighbors, keys[number], items[number])
                    limit = np.float32(-keys[number, 0] * rules[0] * rules[0] + slack)
                    n_pending = 0
        if n_pending:
            for at in range(n_pending, MEASURED):
                pending[at] = pending[0]
            _measure_rows(rows, queries, query, pending, measures)
            _keep_nearest_rows(pending, measures, n_pending, n_neighbors, keys[number], items[number])


@compile_step
def write_nearest(keys, items, first, distances, indices):
    """Write the k nearest rows of some queries in the contract's order; this empties their heaps."""
    n_neighbors = keys.shape[1] - 1
    for number in range(len(keys)):
        for at in range(n_neighbors - 1, -1, -1):
            distances[first + number, at] = np.sqrt(-keys[number, 0])
            indices[first + number, at] = -items[number, 0]
            sift_down(keys[number], items[number], at)


@compile_step
def _measure_lowest(values, start, n_met, rows, queries, query, pending, measures, keys, items):
    """Measure the k rows of the lowest bounds, and raise their bounds so that they are not met again."""
    n_neighbors = len(keys) - 1
    for row in range(n_neighbors):
        push(keys, items, row, -np.float64(values[start + row]), -row)
    for part in range(n_neighbors // TILE_ROWS * TILE_ROWS, n_met, TILE_ROWS):
        mask = find_at_most(values, start + part, np.float32(-keys[0]))
        while mask:
            row = part + count_trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            if row >= n_neighbors and values[start + row] < -keys[0]:
                keys[n_neighbors], items[n_neighbors] = -np.float64(values[start + row]), -row
                sift_down(keys, items, n_neighbors)
    for at in range(n_neighbors):
        values[start - items[at]] = np.inf
    for at in range(0, n_neighbors, MEASURED):
        n_pending = min(MEASURED, n_neighbors - at)
        for inner in range(MEASURED):
            pending[inner] = -items[at + min(inner, n_pending - 1)]
        _measure_rows(rows, queries, query, pending, measures)
        for inner in range(n_pending):
            keys[at + inner] = -measures[inner]
    for at in range(1, n_neighbors):
        push(keys, items, at, keys[at], items[at])


@compile_step
def _measure_rows(rows, queries, query, pending, measures):
    """Measure eight rows as `measure_candidates` does: each sum in column order, nothing fused."""
    first, second, third, fourth, fifth, sixth, seventh, eighth = (
        pending[0],
        pending[1],
        pending[2],
        pending[3],
        pending[4],
        pending[5],
        pending[6],
        pending[7],
    )
    a = b = c = d = e = f = g = h = 0.0
    for column in range(queries.shape[1]):
        value = queries[query, column]
        a += (rows[first, column] - value) * (rows[first, column] - value)
        b += (rows[second, column] - value) * (rows[second, column] - value)
        c += (rows[third, column] - value) * (rows[third, column] - value)
        d += (rows[fourth, column] - value) * (rows[fourth, column] - value)
        e += (rows[fifth, column] - value) * (rows[fifth, column] - value)
        f += (rows[sixth, column] - value) * (rows[sixth, column] - value)
        g += (rows[seventh, column] - value) * (rows[seventh, column] - value)
        h += (rows[eighth, column] - value) * (rows[eighth, column] - value)
    measures[0], measures[1], measures[2], measures[3] = a, b, c, d
    measures[4], measures[5], measures[6], measures[7] = e, f, g, h


@compile_step
def _keep_nearest_rows(pending, measures, n_pending, n_neighbors, keys, items):
    """Put measured rows onto a heap of the k nearest."""
    for at in range(n_pending):
        if comes_first(measures[at], pending[at], -keys[0], -items[0]):
            keys[n_neighbors], items[n_neighbors] = -measures[at], -pending[at]
            sift_down(keys, items, n_neighbors)
