"""The contract of all engines: how distances are computed, how neighbours are ordered, and how a search ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.showing import in_one_line
from energyknn._shared.threads import run_slices
from energyknn.neighbors.metrics import METRICS

_SLICE_VALUES = 1 << 15  # float64 values of a temporary: 256 KiB, which stay in the second cache


class SearchReport(NamedTuple):
    """How much a search did. The numbers depend on the rows, not on time, threads or the machine.

    Attributes
    ----------
    engine : str
        The engine.
    blocks : int
        How often 64 queries opened a block of training rows; 0 where the engine has no blocks.
    rows : int
        Pairs of a query and a training row that were screened in float32.
    products : int
        Products of two float32 numbers that this took (p = 2), or differences (p = 1).
    survivors : int
        Pairs that were measured in float64, each as often as it was.
    """

    engine: str
    blocks: int
    rows: int
    products: int
    survivors: int


class _Neighbors(NamedTuple):
    distances: NDArray[np.float64]
    indices: NDArray[np.int64]


@in_one_line
class Neighbors(_Neighbors):
    """Distances (n_query, k), float64, and training rows (n_query, k), int64, nearest first.

    Attributes
    ----------
    report : SearchReport or None
        How much the search did, where one engine that counts did all of it: "flat", or "blocked" with boxes.
    """

    report: SearchReport | None = None


@dataclass(frozen=True, eq=False)
class Search:
    """A checked search, as engines get it.

    Parameters
    ----------
    X_train : ndarray of shape (n_train, n_features), float64
        Finite, C-ordered.
    X_query : ndarray of shape (n_query, n_features), float64
        Finite, C-ordered.
    n_neighbors : int
        From 1 to the number of rows that a query may have as neighbours.
    p : {1, 2}
        Sum of absolute (1) or squared (2) differences.
    own : ndarray of shape (n_query,), int64, or None
        The training row that each query is: never its own neighbour.
    reach : float
        About the largest difference, in any column, between any two rows.
    n_threads : int
        At least 1.
    """

    X_train: NDArray[np.float64]
    X_query: NDArray[np.float64]
    n_neighbors: int
    p: int
    own: NDArray[np.int64] | None
    reach: float
    n_threads: int


class Candidates(NamedTuple):
    """Rows that an engine found.

    Attributes
    ----------
    indices : ndarray of shape (n_query, n_candidates), int64
        At least k distinct training rows for each query, its own row not among them if it is excluded.
    outside : ndarray of shape (n_query,), float64
        No row that is left out has a distance (squared if p = 2) below this. It is infinity if the candidates are
        certain to hold the k nearest.
    """

    indices: NDArray[np.int64]
    outside: NDArray[np.float64]


def measure_candidates(search: Search, queries: slice, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the numbers that decide the order: sums, in column order, of squared or absolute differences.

    Parameters
    ----------
    search : Search
        The rows.
    queries : slice
        Which queries the candidates belong to.
    candidates : ndarray of shape (n_selected, n_candidates), int64
        Training rows.

    Returns
    -------
    ndarray of shape (n_selected, n_candidates), float64
        Distances (p = 1) or squared distances (p = 2).
    """
    totals = np.zeros(candidates.shape)
    for train_column, query_column in zip(search.X_train.T, search.X_query[queries].T, strict=True):
        differences = train_column[candidates]
        differences -= query_column[:, np.newaxis]
        totals += METRICS[search.p].take_terms(differences)
    return totals


def finish_search(search: Search, candidates: Candidates) -> tuple[Neighbors, NDArray[np.int64]]:
    """Turn an engine's candidates into neighbours, and say which queries they do not settle.

    Parameters
    ----------
    search : Search
        What was searched for.
    candidates : Candidates
        What an engine found.

    Returns
    -------
    neighbors : Neighbors
        Exact where settled.
    unsettled : ndarray of shape (n_unsettled,), int64
        Numbers of the queries for which a row that was left out could be as near as the k-th neighbour.
    """
    n_query = len(search.X_query)
    neighbors = empty_neighbors(search)
    settled = np.zeros(n_query, dtype=bool)

    def finish(queries: slice) -> None:
        rows = np.sort(candidates.indices[queries], axis=1)  # so that equal measures stay in the order of the rows
        measures = measure_candidates(search, queries, rows)
        order = np.argsort(measures, axis=1, kind="stable")[:, : search.n_neighbors]
        nearest = np.take_along_axis(measures, order, axis=1)
        settled[queries] = nearest[:, -1] < candidates.outside[queries]
        neighbors.indices[queries] = np.take_along_axis(rows, order, axis=1)
        neighbors.distances[queries] = METRICS[search.p].take_distances(nearest)

    step = max(1, _SLICE_VALUES // candidates.indices.shape[1])
    slices = (slice(start, start + step) for start in range(0, n_query, step))
    run_slices(finish, slices, n_threads=search.n_threads)
    return neighbors, np.flatnonzero(~settled)


def finish_pairs(
    search: Search, queries: slice, query: NDArray[np.int64], rows: NDArray[np.int64], found: Neighbors
) -> None:
    """Write the neighbours of some queries, from candidates that are certain to hold them.

    Parameters
    ----------
    search : Search
        What was searched for.
    queries : slice
        Which queries.
    query, rows : ndarray of shape (n_pairs,), int64
        Distinct pairs of a query, counted from the first of the slice and in ascending order, and a training row. Each
        query has its k nearest rows among them.
    found : Neighbors
        Written at the queries.
    """
    totals, queried = np.zeros(len(rows)), search.X_query[queries]
    step = max(1, _SLICE_VALUES // search.X_train.shape[1])
    for start in range(0, len(rows), step):
        pairs = slice(start, start + step)
        for column in METRICS[search.p].take_terms(search.X_train[rows[pairs]] - queried[query[pairs]]).T:
            totals[pairs] += column
    order = np.lexsort((rows, totals, query))
    starts = np.searchsorted(query, np.arange(queries.stop - queries.start))
    nearest = order[starts[:, np.newaxis] + np.arange(search.n_neighbors)]
    found.indices[queries] = rows[nearest]
    found.distances[queries] = METRICS[search.p].take_distances(totals[nearest])


def empty_neighbors(search: Search) -> Neighbors:
    """Reserve the arrays of a result."""
    shape = (len(search.X_query), search.n_neighbors)
    return Neighbors(np.empty(shape, dtype=np.float64), np.empty(shape, dtype=np.int64))
