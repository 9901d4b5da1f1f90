"""Minkowski's distance of any power p ≥ 1, and Chebyshev's, under the interface of `NeighborIndex`.

The engines measure p = 1 and p = 2. For the others scikit-learn searches where there is little work, and else blocks of
rows are searched.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import gen_batches

from energyknn._shared.checks import check_n_neighbors
from energyknn._shared.threads import count_threads, run_slices
from energyknn.neighbors.auto import count_work
from energyknn.neighbors.contract import Neighbors
from energyknn.neighbors.foreign import ForeignIndex

_BLOCK_ROWS = 64
_SLICE_QUERIES = 64
_WORTH_LOADING = 1 << 29  # work as `count_work` counts it: scikit-learn takes a second or two


class MinkowskiIndex:
    """Training rows that are searched by Σ|x - q|ᵖ, or by the largest |x - q|.

    Parameters
    ----------
    X_train : ndarray of shape (n_train, n_features), float64
        Finite rows.
    power : float
        p, at least 1; infinity for Chebyshev's distance.
    algorithm, leaf_size
        How scikit-learn searches where there is little work.
    """

    def __init__(self, X_train: NDArray[Any], power: float, *, algorithm: str = "auto", leaf_size: int = 30) -> None:
        self.X_train = np.ascontiguousarray(X_train, dtype=np.float64)
        self.power = power
        self._options = {"metric": "minkowski", "p": power, "algorithm": algorithm, "leaf_size": leaf_size}
        self._foreign: ForeignIndex | None = None
        self._blocks: Any = None

    def search(
        self,
        X_query: Any = None,
        n_neighbors: int = 5,
        *,
        own: NDArray[np.int64] | None = None,
        n_jobs: int | None = None,
    ) -> Neighbors:
        """Find the nearest training rows of each query, ordered by (distance, training row).

        The parameters are those of `NeighborIndex.search`.

        Notes
        -----
        The terms are added in the order of the columns, in float64. Powers 3 and 4 are products. scikit-learn takes a
        general power instead, so distances of a large and of a small search may differ in the last digit.
        """
        n_train, n_features = self.X_train.shape
        if X_query is None and own is None:
            own = np.arange(n_train)
        query = self.X_train if X_query is None else np.ascontiguousarray(X_query, dtype=np.float64)
        if self._blocks is None and count_work(n_train, len(query), n_features) < _WORTH_LOADING:
            self._foreign = self._foreign or ForeignIndex(self.X_train, self._options)
            return self._foreign.search(query, n_neighbors, own=own, n_jobs=n_jobs)
        n_neighbors = check_n_neighbors(n_neighbors, n_train=n_train, excludes_self=own is not None)
        return self._search_blocks(query, n_neighbors, own, n_threads=count_threads(n_jobs))

    def _search_blocks(
        self, query: NDArray[np.float64], n_neighbors: int, own: NDArray[np.int64] | None, *, n_threads: int
    ) -> Neighbors:
        """Search blocks of rows, on threads that share the queries."""
        from energyknn.neighbors import minkowski_blocks as kernels

        if self._blocks is None:
            self._blocks = kernels.make_blocks(self.X_train, block_rows=_BLOCK_ROWS, n_threads=n_threads)
        shape = (len(query), n_neighbors)
        found = Neighbors(np.empty(shape), np.empty(shape, dtype=np.int64))
        left_out = np.empty(0, dtype=np.int64) if own is None else np.asarray(own, dtype=np.int64)

        def find(part: slice) -> None:
            kernels.search_blocks(self._blocks, query, left_out, self.power, part.start, part.stop, *found)

        run_slices(find, gen_batches(len(query), _SLICE_QUERIES), n_threads=n_threads)
        distances = found.distances if np.isinf(self.power) else found.distances ** (1 / self.power)
        return Neighbors(distances, found.indices)
