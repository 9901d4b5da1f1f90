"""Cosine distance through unit rows, under the interface of `NeighborIndex`.

For rows of length 1, the squared Euclidean distance is twice the cosine distance. So the exact search finds candidates,
and the cosine distance decides among them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.checks import check_n_neighbors
from energyknn.neighbors.contract import Neighbors
from energyknn.neighbors.engines import Engine
from energyknn.neighbors.search import build_index

_EXTRA = 8  # candidates beyond k: the last bounds the rows that are left out, and the others make room for ties


class CosineIndex:
    """Training rows that are searched by cosine distance.

    Parameters
    ----------
    X_train : ndarray of shape (n_train, n_features)
        Finite rows, none of them all zeros.
    engine, n_jobs
        See `build_index`.
    """

    def __init__(self, X_train: NDArray[Any], *, engine: Engine = "auto", n_jobs: int | None = None) -> None:
        self.X_train = X_train
        self._index = build_index(_scale_to_unit(X_train), engine=engine, n_jobs=n_jobs)

    def search(
        self,
        X_query: Any = None,
        n_neighbors: int = 5,
        *,
        own: NDArray[np.int64] | None = None,
        n_jobs: int | None = None,
    ) -> Neighbors:
        """Find the nearest training rows of each query, ordered by (distance, training row).

        The parameters are those of `NeighborIndex.search`. No query may be all zeros.

        Notes
        -----
        The distance is 1 less the inner product of the unit rows, at least 0. With d columns and u = 2⁻⁵³, it differs
        from half the squared Euclidean distance of the unit rows by at most (4d + 8)u: du for the inner product,
        (d + 4)u for the lengths of the rows, and 2(d + 2)u for the sum of squares, which is at most 4. The margin is
        twice that. Where it does not settle a query, twice as many candidates are found.
        """
        if X_query is None and own is None:
            own = np.arange(len(self.X_train))
        query = self._index.X_train if X_query is None else _scale_to_unit(X_query)
        n_neighbors = check_n_neighbors(n_neighbors, n_train=len(self.X_train), excludes_self=own is not None)
        n_query, n_available = len(query), len(self.X_train) - (own is not None)
        found = Neighbors(np.empty((n_query, n_neighbors)), np.empty((n_query, n_neighbors), dtype=np.int64))
        margin = 8 * (query.shape[1] + 2) * np.finfo(np.float64).eps / 2
        unsettled, width = np.arange(n_query), min(n_available, n_neighbors + _EXTRA)
        while len(unsettled):
            left_out = None if own is None else own[unsettled]
            euclidean, rows = self._index.search(query[unsettled], width, own=left_out, n_jobs=n_jobs)
            products = np.einsum("qd,qkd->qk", query[unsettled], self._index.X_train[rows])
            distances = np.clip(1 - products, 0, 2)
            order = np.lexsort((rows, distances))[:, :n_neighbors]
            nearest, indices = np.take_along_axis(distances, order, 1), np.take_along_axis(rows, order, 1)
            settled = (nearest[:, -1] < euclidean[:, -1] ** 2 / 2 - margin) | (width == n_available)
            found.distances[unsettled[settled]] = nearest[settled]
            found.indices[unsettled[settled]] = indices[settled]
            unsettled, width = unsettled[~settled], min(n_available, 2 * width)
        return found


def _scale_to_unit(rows: NDArray[Any]) -> NDArray[np.float64]:
    """Divide rows by their lengths."""
    values = np.asarray(rows, dtype=np.float64)
    lengths: NDArray[np.float64] = np.linalg.norm(values, axis=1, keepdims=True)
    return values / lengths


def can_scale(rows: NDArray[Any]) -> bool:
    """Tell whether every row has a length, finite and above 0, that it can be divided by."""
    lengths = np.linalg.norm(np.asarray(rows, dtype=np.float64), axis=1)
    return bool(np.isfinite(lengths).all() and (lengths > np.sqrt(np.finfo(np.float64).tiny)).all())
