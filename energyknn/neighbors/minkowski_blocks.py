"""Blocks of near rows, and their search by any power of Minkowski's distance. Importing this loads Numba.

A query visits blocks by the least distance of their boxes, and stops at the first that is farther than its k-th row. A
row is left as soon as the terms of its first columns sum to more. Sums of terms that are not negative never fall, so
nothing that may be among the k nearest is left.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.compiling import compile_kernel, compile_step
from energyknn._shared.kernel_loading import load_or_compile
from energyknn.neighbors.engines.blocked.engine import order_queries
from energyknn.neighbors.engines.blocked.selection import comes_first


class Blocks(NamedTuple):
    """Training rows in blocks of near rows.

    Attributes
    ----------
    rows : ndarray of shape (n_train, n_features), float64
        The rows, block after block.
    numbers : ndarray of shape (n_train,), int64
        Their training row numbers.
    starts : ndarray of shape (n_blocks + 1,), int64
        The first row of each block, and n_train.
    low, high : ndarray of shape (n_features, n_blocks), float64
        The box of each block.
    """

    rows: NDArray[np.float64]
    numbers: NDArray[np.int64]
    starts: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def make_blocks(X_train: NDArray[np.float64], *, block_rows: int, n_threads: int) -> Blocks:
    """Put near rows together, `block_rows` to a block."""
    _warm_up()
    return _cut_blocks(X_train, order_queries(X_train, group_rows=block_rows, n_threads=n_threads), block_rows)


def _cut_blocks(X_train: NDArray[np.float64], order: NDArray[np.int64], block_rows: int) -> Blocks:
    """Cut rows in their order into blocks."""
    rows, starts = X_train[order], np.arange(0, len(order), block_rows)
    low, high = (bound.reduceat(rows, starts, axis=0).T.copy() for bound in (np.minimum, np.maximum))
    return Blocks(rows, order, np.append(starts, len(order)), low, high)


@cache
def _warm_up() -> None:
    """Load the kernel from disk, or compile it."""
    what = "the search by other powers of Minkowski's distance: some seconds"
    load_or_compile(search_blocks, _search_two_rows, what=what)


def _search_two_rows() -> None:
    """Call the kernel."""
    rows = np.array([[0.0], [1.0]])
    blocks = _cut_blocks(rows, np.arange(2), 1)
    search_blocks(blocks, rows, np.arange(2), 3.0, 0, 2, np.empty((2, 1)), np.empty((2, 1), dtype=np.int64))


@compile_step
def _add_term(total, gap, power):
    """Add what one column adds to the sum: a gap of at least 0 to the power; the largest gap if that is infinite."""
    if power == np.inf:
        return max(total, gap)
    if power == 3.0:
        return total + gap * gap * gap
    if power == 4.0:
        return total + (gap * gap) * (gap * gap)
    return total + gap**power


@compile_step
def _bound(blocks, query, power, bounds):
    """Write the least sum in the box of each block, rounded down."""
    n_features = len(query)
    shrink = 1.0 if power == np.inf else 1.0 - (n_features + 8.0) * 2.0**-50
    bounds[:] = 0.0
    for column in range(n_features):
        for block in range(len(bounds)):
            gap = max(blocks.low[column, block] - query[column], query[column] - blocks.high[column, block])
            bounds[block] = _add_term(bounds[block], max(gap, 0.0), power)
    for block in range(len(bounds)):
        bounds[block] *= shrink


@compile_step
def _measure(row, query, power, limit):
    """Return the sum of a row's terms, or the first part of it that is above the limit."""
    total = 0.0
    for column in range(len(query)):
        total = _add_term(total, abs(row[column] - query[column]), power)
        if total > limit:
            break
    return total


@compile_kernel
def search_blocks(blocks, queries, own, power, first, last, measures, indices):
    """Find the neighbours of queries first to last - 1.

    Parameters
    ----------
    blocks : Blocks
        Training rows.
    queries : ndarray of shape (n_query, n_features), float64
        Queries.
    own : ndarray of shape (n_query,) or (0,), int64
        The training row that each query leaves out; empty if none does.
    power : float
        p, at least 1, or infinity.
    first, last : int
        Which queries.
    measures : ndarray of shape (n_query, k), float64
        Written: sums of terms, ascending; rows that tie are in the order of their numbers.
    indices : ndarray of shape (n_query, k), int64
        Written: their training row numbers.
    """
    k = measures.shape[1]
    bounds = np.empty(len(blocks.starts) - 1)
    for query in range(first, last):
        values, found, nearest = queries[query], indices[query], measures[query]
        left_out = own[query] if len(own) else -1
        _bound(blocks, values, power, bounds)
        count = 0
        for block in np.argsort(bounds):
            if count == k and bounds[block] > nearest[k - 1]:
                break
            for place in range(blocks.starts[block], blocks.starts[block + 1]):
                number = blocks.numbers[place]
                if number == left_out:
                    continue
                measure = _measure(blocks.rows[place], values, power, nearest[k - 1] if count == k else np.inf)
                if count == k and not comes_first(measure, number, nearest[k - 1], found[k - 1]):
                    continue
                count = min(count + 1, k)
                at = count - 1
                while at > 0 and comes_first(measure, number, nearest[at - 1], found[at - 1]):
                    nearest[at], found[at] = nearest[at - 1], found[at - 1]
                    at -= 1
                nearest[at], found[at] = measure, number
