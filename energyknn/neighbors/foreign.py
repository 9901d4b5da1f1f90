"""Training rows for the metrics that only scikit-learn measures, under the interface of `NeighborIndex`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.neighbors import NearestNeighbors

from energyknn._shared.checks import check_n_neighbors
from energyknn.neighbors.contract import Neighbors


class ForeignIndex:
    """Training rows that scikit-learn searches, with ties ordered by row number.

    Parameters
    ----------
    X_train : ndarray or sparse matrix of shape (n_train, n_features), KDTree or BallTree
        Training rows, or a tree of them; their distances from each other where the metric is "precomputed".
    options : mapping
        Parameters of `sklearn.neighbors.NearestNeighbors`: the metric, its parameters and the algorithm.
    """

    def __init__(self, X_train: Any, options: Mapping[str, Any]) -> None:
        self._finder = NearestNeighbors(**options).fit(_narrow(X_train))
        rows: Any = self._finder._fit_X
        self.X_train: Any = rows if issparse(rows) else np.asarray(rows)

    def search(
        self,
        X_query: Any = None,
        n_neighbors: int = 5,
        *,
        own: NDArray[np.int64] | None = None,
        n_jobs: int | None = None,
    ) -> Neighbors:
        """Find the nearest training rows of each query, ordered by (distance, training row).

        The parameters are those of `NeighborIndex.search`. Where rows tie at the last distance, more rows are fetched
        until all that tie are known.
        """
        if X_query is None:
            X_query, own = self.X_train, np.arange(self.X_train.shape[0]) if own is None else own
        self._finder.n_jobs, X_query = n_jobs, _narrow(X_query)
        is_graph: bool = issparse(X_query) and self._finder.metric == "precomputed"
        if is_graph:  # it may hold no more than k distances a row
            return Neighbors(*self._finder.kneighbors(X_query, n_neighbors))
        n_queries, n_train = X_query.shape[0], self.X_train.shape[0]
        n_neighbors = check_n_neighbors(n_neighbors, n_train=n_train, excludes_self=own is not None)
        found = Neighbors(np.empty((n_queries, n_neighbors)), np.empty((n_queries, n_neighbors), dtype=np.int64))
        open_queries, width = np.arange(n_queries), min(n_train, n_neighbors + 1 + (own is not None))
        while len(open_queries):
            distances, indices = self._finder.kneighbors(X_query[open_queries], width)
            if own is not None:
                distances = np.where(indices == own[open_queries, np.newaxis], np.inf, distances)
            order = np.lexsort((indices, distances))
            distances, indices = np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)
            last = -1 if own is None else -2  # the last place is the row itself, or a row that it would have pushed out
            settled = (distances[:, n_neighbors - 1] < distances[:, last]) | (width == n_train)
            found.distances[open_queries[settled]] = distances[settled, :n_neighbors]
            found.indices[open_queries[settled]] = indices[settled, :n_neighbors]
            open_queries, width = open_queries[~settled], min(n_train, 2 * width)
        return found


def _narrow(rows: Any) -> Any:
    """Give a sparse matrix the 32-bit places that some of scikit-learn's metrics need, where they are enough."""
    is_sparse: bool = issparse(rows)
    if not is_sparse or max(rows.nnz, *rows.shape) > np.iinfo(np.int32).max:
        return rows
    return type(rows)((rows.data, rows.indices.astype(np.int32), rows.indptr.astype(np.int32)), shape=rows.shape)
