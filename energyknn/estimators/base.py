"""What an estimator says about itself: that it has neighbours, and which of its parts a model file keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import gen_batches
from sklearn.utils.validation import validate_data

from energyknn.neighbors import NeighborIndex, Neighbors

ROWS_AT_ONCE = 8192
"""Rows whose neighbours are in memory together."""


class Saved(NamedTuple):
    """What fitting makes of an estimator, for model files: the class attribute `_saved` of every estimator here.

    Attributes
    ----------
    fitted : tuple of str
        Attributes that fitting sets. The number and the names of the columns are kept for every estimator.
    is_sound : callable
        Returns whether the parts of an estimator that was read belong together. It checks what a prediction of a few
        rows does not show.
    """

    fitted: tuple[str, ...]
    is_sound: Callable[[Any], bool] = bool


class NeighborsMixin:
    """A model that predicts from its nearest training rows.

    A subclass has the parameters `n_neighbors` and `n_jobs`, sets `index_` and `y_` when it is fitted, and defines
    `weigh`. Intervals, explanations and leave-one-out predictions then work with it.
    """

    index_: NeighborIndex
    y_: NDArray[np.float64]
    n_neighbors: int
    n_jobs: int | None

    def weigh(
        self, X: ArrayLike | None, *, rows: NDArray[np.int64] | None = None
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """Find the training rows that each prediction is made of, and the weight of each."""
        raise NotImplementedError

    def find_queries(
        self, X: ArrayLike | None, rows: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
        """Return rows whose columns are checked; if X is None, training rows (all by default) and their numbers."""
        if X is not None:
            return np.asarray(validate_data(self, X, dtype=np.float64, order="C", reset=False)), None
        if rows is None:
            return self.index_.X_train, np.arange(len(self.y_))
        return self.index_.X_train[rows], rows

    def search_blocks(
        self, X: ArrayLike | None, n_neighbors: int, *, rows: NDArray[np.int64] | None, block_rows: int
    ) -> Iterator[tuple[NDArray[np.float64], Neighbors]]:
        """Yield a block of rows at a time, and their neighbours: `n_neighbors` of each, or all if there are fewer."""
        queries, own = self.find_queries(X, rows)
        k = min(n_neighbors, len(self.y_) - (X is None))
        for block in gen_batches(len(queries), block_rows):
            left_out = None if own is None else own[block]
            yield queries[block], self.index_.search(queries[block], k, own=left_out, n_jobs=self.n_jobs)


def join_blocks(
    blocks: Iterable[tuple[Neighbors, NDArray[np.float64]]],
) -> tuple[Neighbors, NDArray[np.float64]]:
    """Join the neighbours of blocks of rows, and their weights."""
    found, weights = zip(*blocks, strict=True)
    distances, indices = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Neighbors(distances, indices), np.concatenate(weights)


def has_target_for_each_row(model: NeighborsMixin) -> bool:
    """Return whether a model that was read has as many targets as training rows."""
    return not hasattr(model, "index_") or len(model.y_) == len(model.index_.X_train)
