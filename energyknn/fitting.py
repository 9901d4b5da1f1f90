"""Fit, predict and evaluate a k-nearest-neighbour regression."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.metadata_routing import get_routing_for_object

from energyknn.errors import ParameterError
from energyknn.progress import Track, track_silently

__all__ = ["Scores", "evaluate", "fit_in_groups", "fit_knn", "predict", "predict_without_self"]

_ROWS_AT_ONCE = 8192


class Scores(NamedTuple):
    """R² (no unit, better when larger) and RMSE (in the target's unit, better when smaller)."""

    r2: float
    rmse: float


def fit_in_groups(model: Any, X: Any, y: ArrayLike, groups: ArrayLike | None) -> Any:
    """Fit a model, and pass it the groups of rows if it, or one of its steps, asks for them.

    Parameters
    ----------
    model : estimator
        A scikit-learn estimator. `MetricMap` asks for groups, and so do pipelines that hold one, such as those of
        `make_learned_regressor`. Most others do not, and are fitted without.
    X : array-like or DataFrame of shape (n_train, n_features)
        Training rows.
    y : array-like of shape (n_train,)
        Their targets.
    groups : array-like of shape (n_train,) or None
        Equal for rows that belong together; None for no groups.

    Returns
    -------
    estimator
        The model itself.

    Examples
    --------
    >>> fit_in_groups(KNeighborsRegressor(1), [[0.0], [1.0]], [2.0, 3.0], groups=[0, 0]).predict([[0.9]])
    array([3.])
    """
    if groups is None or not get_routing_for_object(model).consumes("fit", {"groups"}):
        return model.fit(X, y)
    with config_context(enable_metadata_routing=True):
        return model.fit(X, y, groups=groups)


def fit_knn(
    X_train: ArrayLike, y_train: ArrayLike, *, n_neighbors: int = 5, weights: str = "uniform", n_jobs: int | None = -1
) -> KNeighborsRegressor:
    """Fit scikit-learn's k-nearest-neighbour regression with Euclidean distances.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Scaled training rows.
    y_train : array-like of shape (n_train,)
        Their targets.
    n_neighbors : int, default=5
        Neighbours to average, at least 1 and at most n_train.
    weights : {"uniform", "distance"}, default="uniform"
        Weight of each neighbour.
    n_jobs : int or None, default=-1
        Threads; -1 for one on each core.

    Returns
    -------
    KNeighborsRegressor
        The fitted model.

    Raises
    ------
    ValueError
        If `n_neighbors` is below 1 or above n_train.

    See Also
    --------
    predict : Predictions of such a model.
    energyknn.KNNRegressor : The same regression on the package's own search.

    Examples
    --------
    >>> fit_knn([[0.0], [1.0], [5.0]], [1.0, 2.0, 9.0], n_neighbors=2).predict([[0.2]])
    array([1.5])
    """
    n_train = len(np.asarray(y_train))
    if not 1 <= n_neighbors <= n_train:
        message = f"n_neighbors is {n_neighbors} for {n_train} training rows. It must be 1 to {n_train}."
        raise ParameterError(message)
    model = KNeighborsRegressor(n_neighbors=n_neighbors, weights=weights, n_jobs=n_jobs)
    return model.fit(np.asarray(X_train), np.asarray(y_train))


def predict(
    model: KNeighborsRegressor, X_query: ArrayLike, *, track: Track[slice] = track_silently, what: str = "rows"
) -> NDArray[np.float64]:
    """Predict the target of each row, a few thousand rows at a time.

    Parameters
    ----------
    model : KNeighborsRegressor
        A fitted model.
    X_query : array-like of shape (n_query, n_features)
        Rows on the same scale. A training row finds itself among its neighbours.
    track : Track, default=track_silently
        Shows progress.
    what : str, default="rows"
        What the progress bar calls the rows.

    Returns
    -------
    ndarray of shape (n_query,), float64
        Predictions in the target's unit.

    See Also
    --------
    predict_without_self : Predictions of training rows that leave each row out.

    Examples
    --------
    >>> predict(fit_knn([[0.0], [1.0], [5.0]], [1.0, 2.0, 9.0], n_neighbors=1), [[0.9], [4.0]])
    array([2., 9.])
    """
    queries = np.asarray(X_query)
    blocks = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(queries), _ROWS_AT_ONCE)]
    parts = [model.predict(queries[block]) for block in track(blocks, f"Predict {what}")]
    return np.concatenate(parts)


def predict_without_self(model: KNeighborsRegressor) -> NDArray[np.float64]:
    """Predict each training row from its neighbours other than itself: leave-one-out predictions.

    Parameters
    ----------
    model : KNeighborsRegressor
        A fitted model with fewer neighbours than training rows.

    Returns
    -------
    ndarray of shape (n_train,), float64
        Predictions in the target's unit, in training order.

    Notes
    -----
    Only the row itself is left out. Another row with the same values counts as a neighbour.

    Examples
    --------
    >>> predict_without_self(fit_knn([[0.0], [1.0], [5.0]], [1.0, 2.0, 9.0], n_neighbors=1))
    array([2., 1., 2.])
    """
    return np.asarray(model.predict(None))


def evaluate(y_true: ArrayLike, y_pred: ArrayLike) -> Scores:
    """Score predictions.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        Actual and predicted targets.

    Returns
    -------
    Scores
        R² and root mean squared error, as scikit-learn computes them.

    Examples
    --------
    >>> evaluate([0.0, 1.0], [0.0, 0.5])
    Scores(r2=0.5, rmse=0.3535533905932738)
    """
    return Scores(float(r2_score(y_true, y_pred)), float(root_mean_squared_error(y_true, y_pred)))
