"""What an estimator says about itself: that it has neighbours, and which of its parts a model file keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn.neighbors import NeighborIndex, Neighbors


class Saved(NamedTuple):
    """The parts of an estimator that a model file keeps: the class attribute `_saved` of every estimator here.

    Attributes
    ----------
    parameters : tuple of str
        Parameters that predictions depend on. The others have their defaults after reading.
    fitted : tuple of str
        Attributes that fitting sets. The number and the names of the columns are kept for every estimator.
    is_sound : callable
        Returns whether the parts of an estimator that was read belong together. It checks what a prediction of a few
        rows does not show.
    """

    parameters: tuple[str, ...]
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


def has_target_for_each_row(model: NeighborsMixin) -> bool:
    """Return whether a model that was read has as many targets as training rows."""
    return not hasattr(model, "index_") or len(model.y_) == len(model.index_.X_train)
