"""How the k nearest candidates of a query are chosen: a heap, a screen by float32 values, and an exact sort."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import numpy as np

from energyknn._shared.compiling import compile_step
from energyknn.neighbors.engines.blocked.tile_shape import LANES
from energyknn.neighbors.engines.blocked.tiles import count_at_most

_COUNTED = 256  # up to so many candidates, ranking each by counting the smaller ones is the fastest sort
_N_PIVOTS = 24  # tries to come close to the k-th smallest value


@compile_step
def comes_first(measure, row, other_measure, other_row):
    """Tell whether one candidate precedes another in the contract's order: by measure, then by row number."""
    return measure < other_measure or (measure == other_measure and row < other_row)


@compile_step
def sift_down(keys, items, size):
    """Replace the top of a heap by its last item, at `size`, and let that sink; the order is (key, item)."""
    key, item = keys[size], items[size]
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and comes_first(keys[child + 1], items[child + 1], keys[child], items[child]):
            child += 1
        if not comes_first(keys[child], items[child], key, item):
            break
        keys[at], items[at] = keys[child], items[child]
        at = child
    keys[at], items[at] = key, item


@compile_step
def push(keys, items, size, key, item):
    """Add an item to a heap of `size` items."""
    at = size
    while at > 0 and comes_first(key, item, keys[(at - 1) // 2], items[(at - 1) // 2]):
        keys[at], items[at] = keys[(at - 1) // 2], items[(at - 1) // 2]
        at = (at - 1) // 2
    keys[at], items[at] = key, item


@compile_step
def keep_nearest(values, places, query, n_found, n_neighbors, margin):
    """Keep the candidates that may be among the k nearest; return how many, and a bound of the k-th measure.

    There are at least k candidates, and each value is within `margin` of its measure. If k values are at most the
    pivot, the k-th smallest measure is at most pivot + margin. A value above pivot + 2 margin has a larger measure.
    So the pivot need not be the k-th smallest value: a few steps of interpolation and halving bring it close enough.
    """
    n_padded = (n_found + LANES - 1) // LANES * LANES
    low = values[query, 0]
    high = low
    for at in range(n_found):
        low = min(low, values[query, at])
        high = max(high, values[query, at])
    for at in range(n_found, n_padded):
        values[query, at] = np.float32(np.inf)
    start = query * values.shape[1]
    n_low, n_high = 0, n_found
    if n_neighbors == 1:
        high, n_high = low, 1
    for step in range(_N_PIVOTS):
        if n_high <= n_neighbors + n_neighbors // 16:
            break
        share = 0.5
        if step < 4:
            share = (n_neighbors + n_neighbors // 32 - n_low + 0.5) / (n_high - n_low)
        pivot = np.float32(low + share * (high - low))
        if pivot <= low or pivot >= high:
            pivot = np.float32(low + 0.5 * (high - low))
            if pivot <= low or pivot >= high:
                break
        n_pivot = count_at_most(values, start, n_padded, pivot)
        if n_pivot >= n_neighbors:
            high, n_high = pivot, n_pivot
        else:
            low, n_low = pivot, n_pivot
    limit = np.float64(high) + 2.0 * margin
    kept = 0
    for at in range(n_found):
        value = values[query, at]
        values[query, kept] = value
        places[query, kept] = places[query, at]
        kept += np.float64(value) <= limit
    return kept, np.float64(high) + margin


@compile_step
def sort_found(measures, rows, n_found):
    """Sort what stands in [0] by (measure, row number) into [1]: short runs, then merges of two runs, through [2]."""
    run = n_found
    while run > _COUNTED:
        run = (run + 1) // 2
    for start in range(0, n_found, run):
        piece = slice(start, min(start + run, n_found))
        _sort_by_counting(measures[0][piece], rows[0][piece], measures[1][piece], rows[1][piece])
    while run < n_found:
        for at in range(n_found):
            measures[2, at], rows[2, at] = measures[1, at], rows[1, at]
        for start in range(0, n_found, 2 * run):
            middle, stop = min(start + run, n_found), min(start + 2 * run, n_found)
            _merge_runs(measures[2], rows[2], start, middle, stop, measures[1], rows[1])
        run *= 2


@compile_step
def _sort_by_counting(measures, rows, sorted_measures, sorted_rows):
    """Sort few candidates: the number of those that come before one is its place."""
    size = len(measures)  # loops from 0 to this vectorise; Numba would check others for negative indices
    for at in range(size):
        measure, row = measures[at], rows[at]
        rank = 0
        for other in range(size):
            rank += (measures[other] < measure) | ((measures[other] == measure) & (rows[other] < row))
        sorted_measures[rank], sorted_rows[rank] = measure, row


@compile_step
def _merge_runs(measures, rows, start, middle, stop, merged_measures, merged_rows):
    """Merge the sorted runs from `start` and from `middle`, which ends at `stop`."""
    left, right = start, middle
    for at in range(start, stop):
        takes_left = right == stop
        if left < middle and right < stop:
            takes_left = comes_first(measures[left], rows[left], measures[right], rows[right])
        taken = left if takes_left else right
        merged_measures[at], merged_rows[at] = measures[taken], rows[taken]
        if takes_left:
            left += 1
        else:
            right += 1
