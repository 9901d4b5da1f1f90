"""Merge each shard's neighbours into global neighbours, ordered by (squared distance, row number)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.threads import run_slices
from energyknn.cluster.sharing import open_array
from energyknn.neighbors import NeighborIndex, Neighbors
from energyknn.neighbors.contract import measure_candidates
from energyknn.neighbors.metrics import METRICS
from energyknn.neighbors.search import plan_search

NO_ROW = np.iinfo(np.int64).max
"""Stands in place of a row number where a shard has too few rows. Its measure is infinite."""

_SLICE_VALUES = 1 << 15


class Nearest(NamedTuple):
    """Neighbours with the sums that they are ordered by.

    Attributes
    ----------
    measures : ndarray of shape (n_query, n_neighbors), float64
        Sums of squared (p = 2) or absolute (p = 1) differences, ascending. Roots would not do, since different
        sums may have the same root.
    indices : ndarray of shape (n_query, n_neighbors), int64
        Training rows, ascending where measures are equal.
    """

    measures: NDArray[np.float64]
    indices: NDArray[np.int64]


def no_nearest(n_query: int, n_neighbors: int) -> Nearest:
    """Return `n_neighbors` places without a row for each query."""
    return Nearest(np.full((n_query, n_neighbors), np.inf), np.full((n_query, n_neighbors), NO_ROW))


def search_shard(
    index: NeighborIndex,
    X_query: NDArray[np.float64],
    n_neighbors: int,
    *,
    first_row: int = 0,
    own: NDArray[np.int64] | None = None,
    n_jobs: int | None = None,
) -> Nearest:
    """Find the nearest rows of one shard.

    Parameters
    ----------
    index : NeighborIndex
        Made from the shard's rows.
    X_query : ndarray of shape (n_query, n_features), float64
        Queries.
    n_neighbors : int
        k; the shard may have fewer rows.
    first_row : int, default=0
        Number of the shard's first row among all training rows.
    own : ndarray of shape (n_query,), int64, or None, default=None
        Number of each query among all training rows, in this shard or another. A query is not its own neighbour.
    n_jobs : int or None, default=None
        Threads; None for all cores.

    Returns
    -------
    Nearest
        `indices` are numbers among all training rows, and `NO_ROW` in the places that are left where the shard has
        fewer than k rows.

    Notes
    -----
    The n_query * k distances are measured again to get their sums.
    """
    n_shard = len(index.X_train)
    found = no_nearest(len(X_query), n_neighbors)
    inside = np.zeros(len(X_query), bool) if own is None else (own >= first_row) & (own < first_row + n_shard)
    for excluded, queries in ((False, np.flatnonzero(~inside)), (True, np.flatnonzero(inside))):
        k = min(n_neighbors, n_shard - excluded)
        if k == 0 or len(queries) == 0:
            continue
        rows = X_query if len(queries) == len(X_query) else X_query[queries]
        places = own[queries] - first_row if own is not None and excluded else None
        neighbors = index.search(rows, k, own=places, n_jobs=n_jobs)
        found.measures[queries, :k] = _measure(index, rows, neighbors, n_jobs=n_jobs)
        found.indices[queries, :k] = neighbors.indices + first_row
    return found


def _measure(
    index: NeighborIndex, X_query: NDArray[np.float64], neighbors: Neighbors, *, n_jobs: int | None
) -> NDArray[np.float64]:
    """Return the sums that the neighbours were ordered by."""
    k = neighbors.indices.shape[1]
    search = plan_search(index.X_train, X_query, k, p=index.p, n_jobs=n_jobs)
    measures = np.empty(neighbors.indices.shape)

    def measure(queries: slice) -> None:
        measures[queries] = measure_candidates(search, queries, neighbors.indices[queries])

    step = max(1, _SLICE_VALUES // k)
    slices = [slice(start, start + step) for start in range(0, len(X_query), step)]
    run_slices(measure, slices, n_threads=search.n_threads)
    return measures


def merge_nearest(first: Nearest, second: Nearest) -> Nearest:
    """Merge the nearest rows of two disjoint sets of training rows.

    Parameters
    ----------
    first, second : Nearest
        Of the same queries and the same number of neighbours.

    Returns
    -------
    Nearest
        Ordered by (measure, row), so the result does not depend on the order of the two sets.

    Examples
    --------
    >>> left = Nearest(np.array([[1.0, 4.0]]), np.array([[7, 2]]))
    >>> right = Nearest(np.array([[1.0, 9.0]]), np.array([[3, 4]]))
    >>> merge_nearest(left, right).indices
    array([[3, 7]])
    """
    from energyknn.cluster._merging_kernel import merge_rows  # loads Numba

    merged = Nearest(first.measures.copy(), first.indices.copy())
    merge_rows(*merged, open_array(second.measures), open_array(second.indices))
    return merged


def finish_nearest(nearest: Nearest, *, p: int) -> Neighbors:
    """Turn the merged sums into distances, with the same bits as those of `search_neighbors`."""
    return Neighbors(METRICS[p].take_distances(nearest.measures), nearest.indices)
