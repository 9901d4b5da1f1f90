"""scikit-learn's GridSearchCV over the number of neighbours: one neighbour search for each candidate and fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor

from energyknn.splitting import Split

__all__ = ["search_grid"]


def search_grid(
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_neighbors: Sequence[int],
    folds: Sequence[Split],
    callbacks: Sequence[Any] = (),
) -> GridSearchCV:
    """Score every candidate by cross-validation and refit the best on all rows.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows.
    y : array-like of shape (n_rows,)
        Their targets.
    n_neighbors : sequence of int
        The candidates, each at least 1 and at most the rows of the smallest training side.
    folds : sequence of Split
        Row numbers of training and validation rows.
    callbacks : sequence of scikit-learn callbacks
        Such as `sklearn.callback.ProgressBar()`; they are not kept in what is returned.

    Returns
    -------
    GridSearchCV
        Fitted; scored by R²; each fit runs on all cores.
    """
    search = GridSearchCV(
        KNeighborsRegressor(n_jobs=-1), {"n_neighbors": list(n_neighbors)}, cv=[tuple(fold) for fold in folds]
    )
    if callbacks:
        search.set_callbacks(*callbacks)
    search.fit(np.asarray(X), np.asarray(y))
    if callbacks:
        search.set_callbacks()
    return search
