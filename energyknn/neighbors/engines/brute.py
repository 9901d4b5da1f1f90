"""The oracle: every distance, in plain NumPy, in the order that the contract asks for.

It is short enough to check by reading. Tests compare every other engine with it, bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.threads import run_slices
from energyknn.neighbors.contract import Candidates, Search
from energyknn.neighbors.metrics import METRICS

_SLICE_VALUES = 1 << 17  # distances held at once by a thread


def find_candidates(search: Search) -> Candidates:
    """Find the k nearest rows by measuring all of them.

    Parameters
    ----------
    search : Search
        What to search for.

    Returns
    -------
    Candidates
        The k neighbours of each query, in order.

    Notes
    -----
    Time grows with n_query * n_train * n_features; memory is one slice of queries by n_train for each thread.
    """
    n_query, n_train = len(search.X_query), len(search.X_train)
    indices = np.empty((n_query, search.n_neighbors), dtype=np.int64)
    columns = np.ascontiguousarray(search.X_train.T)

    def find(queries: range) -> None:
        for query, totals in zip(queries, _measure_all(search, columns, queries), strict=True):
            if search.own is not None:
                totals[search.own[query]] = np.inf
            indices[query] = _select_nearest(totals, search.n_neighbors)

    step = max(1, _SLICE_VALUES // n_train)
    slices = (range(start, min(start + step, n_query)) for start in range(0, n_query, step))
    run_slices(find, slices, n_threads=search.n_threads)
    return Candidates(indices, np.full(n_query, np.inf))


def _measure_all(search: Search, columns: NDArray[np.float64], queries: range) -> NDArray[np.float64]:
    """Sum the squared or absolute differences of some queries to all rows, column after column."""
    totals = np.zeros((len(queries), columns.shape[1]))
    for column, values in zip(columns, search.X_query[queries.start : queries.stop].T, strict=True):
        totals += METRICS[search.p].take_terms(column - values[:, np.newaxis])
    return totals


def _select_nearest(totals: NDArray[np.float64], n_neighbors: int) -> NDArray[np.int64]:
    """Give the rows of the k smallest totals, ordered by (total, row)."""
    largest = np.partition(totals, n_neighbors - 1)[n_neighbors - 1]
    rows = np.flatnonzero(totals <= largest)
    return rows[np.argsort(totals[rows], kind="stable")[:n_neighbors]]
