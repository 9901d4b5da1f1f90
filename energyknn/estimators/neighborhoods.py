"""The neighbours inside a fitted model, whether it stands alone, ends a pipeline or is a mean of several."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn.estimators.learned import LocalLinearRegressor
from energyknn.estimators.regressor import KNNRegressor
from energyknn.neighbors.weighting import average_targets

__all__ = [
    "Neighborhood",
    "WeightedRows",
    "has_neighborhoods",
    "list_neighborhoods",
    "predict_left_out",
    "refill_neighbors",
    "weigh_training_rows",
]

_ROWS_AT_ONCE = 8192  # whose neighbours are held


class WeightedRows(NamedTuple):
    """Training rows (n_query, n_rows), int64, and what each target counts for (n_query, n_rows), float64."""

    indices: NDArray[np.int64]
    weights: NDArray[np.float64]


class Neighborhood(NamedTuple):
    """A neighbour model, what maps rows before it, and its share in the mean.

    Attributes
    ----------
    steps : tuple of transformer
        Fitted; they map rows one after another.
    model : KNNRegressor or LocalLinearRegressor
        Fitted on mapped rows.
    share : float
        Its weight in the mean of the models; 1 where there is one.
    """

    steps: tuple[Any, ...]
    model: KNNRegressor | LocalLinearRegressor
    share: float

    def map_rows(self, X: Any) -> NDArray[np.float64]:
        """Map rows to where neighbours are found.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows as the whole model takes them.

        Returns
        -------
        ndarray of shape (n_rows, n_components), float64
            Mapped rows, C-ordered.
        """
        rows = self._run_steps(X)
        mapped: NDArray[np.float64] = validate_data(self.model, rows, dtype=np.float64, order="C", reset=False)
        return mapped

    def weigh_rows(self, X: Any) -> WeightedRows:
        """Find the training rows that the model takes for rows, and their weights.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows as the whole model takes them.

        Returns
        -------
        WeightedRows
            Weights with a sum of 1 for each row.
        """
        found, weights = self.model.weigh(self._run_steps(X))
        return WeightedRows(found.indices, weights / weights.sum(axis=1, keepdims=True))

    def _run_steps(self, X: Any) -> Any:
        """Take rows through the steps before the model."""
        for step in self.steps:
            X = step.transform(X)
        return X


def list_neighborhoods(model: Any) -> list[Neighborhood]:
    """List the neighbour models of which a fitted model is the mean.

    Parameters
    ----------
    model : estimator
        Fitted: KNNRegressor or LocalLinearRegressor, a pipeline that ends in a model of this list, a VotingRegressor of
        such models, or a FrozenEstimator around one.

    Returns
    -------
    list of Neighborhood
        Shares have a sum of 1.

    Raises
    ------
    TypeError
        If the model has no neighbours.
    NotFittedError
        If it has not been fitted.

    Examples
    --------
    >>> list_neighborhoods(KNNRegressor(1).fit([[0.0], [1.0]], [0.0, 1.0]))[0].share
    1.0
    """
    if isinstance(model, FrozenEstimator):
        return list_neighborhoods(model.estimator)
    if isinstance(model, VotingRegressor):
        parts = [(share, list_neighborhoods(part)) for part, share in _share_out(model)]
        return [found._replace(share=found.share * share) for share, listed in parts for found in listed]
    if isinstance(model, Pipeline):
        steps = tuple(step for _, step in model.steps[:-1] if step is not None and step != "passthrough")
        return [found._replace(steps=(*steps, *found.steps)) for found in list_neighborhoods(model[-1])]
    if isinstance(model, KNNRegressor | LocalLinearRegressor):
        check_is_fitted(model)
        return [Neighborhood((), model, 1.0)]
    message = (
        f"{type(model).__name__} has no neighbours. KNNRegressor and LocalLinearRegressor have them, alone, at the end "
        "of a pipeline, or in a VotingRegressor."
    )
    raise TypeError(message)


def _share_out(model: VotingRegressor) -> list[tuple[Any, float]]:
    """Pair each fitted model of a mean with its share; what was dropped has none."""
    check_is_fitted(model)
    given = [1.0] * len(model.estimators) if model.weights is None else model.weights
    kept = [float(weight) for (_, part), weight in zip(model.estimators, given, strict=True) if part != "drop"]
    return [(part, weight / sum(kept)) for part, weight in zip(model.estimators_, kept, strict=True)]


def has_neighborhoods(model: Any) -> bool:
    """Tell whether a fitted model is made of neighbours.

    Parameters
    ----------
    model : estimator
        Fitted.

    Returns
    -------
    bool
        Whether `list_neighborhoods` takes it.
    """
    try:
        list_neighborhoods(model)
    except TypeError:
        return False
    return True


def predict_left_out(model: Any, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Predict training rows, each from its neighbours other than itself.

    Parameters
    ----------
    model : estimator
        Fitted, as `list_neighborhoods` takes it.
    rows : ndarray of int of shape (n_rows,) or None, default=None
        Which training rows; None for all in their order.

    Returns
    -------
    ndarray of shape (n_rows,) or (n_rows, n_outputs), float64
        Predictions, in the target's unit.

    Raises
    ------
    TypeError, NotFittedError
        As `list_neighborhoods`.

    Notes
    -----
    These are the predictions of n_train models, each fitted without one row, where nothing before the neighbours was
    learned. A map that was learned keeps what it learned from the row.

    Examples
    --------
    >>> predict_left_out(KNNRegressor(1).fit([[0.0], [1.0], [3.0]], [0.0, 1.0, 3.0]))
    array([1., 0., 1.])
    """
    parts = []
    for found in list_neighborhoods(model):
        numbers = np.arange(len(found.model.y_)) if rows is None else rows
        blocks = [numbers[start : start + _ROWS_AT_ONCE] for start in range(0, len(numbers), _ROWS_AT_ONCE)]
        weighed = [found.model.weigh(None, rows=block) for block in blocks]
        means = [average_targets(found.model.y_[near.indices], weights) for near, weights in weighed]
        parts.append(found.share * np.concatenate(means))
    predictions: NDArray[np.float64] = np.sum(parts, axis=0)
    return predictions


def refill_neighbors(model: Any, X: Any, y: NDArray[np.float64]) -> Any:
    """Give a fitted model other training rows to find neighbours among; what is before the neighbours stays as it is.

    Parameters
    ----------
    model : estimator
        Fitted, as `list_neighborhoods` takes it. It is not changed.
    X : array-like of shape (n_rows, n_features)
        Rows as the model takes them.
    y : ndarray of shape (n_rows,), float64
        Their targets.

    Returns
    -------
    estimator
        Of the same kind.

    Raises
    ------
    TypeError, NotFittedError
        As `list_neighborhoods`.

    Examples
    --------
    >>> refill_neighbors(KNNRegressor(1).fit([[0.0], [1.0]], [0.0, 1.0]), [[5.0]], np.array([7.0])).predict([[0.0]])
    array([7.])
    """
    list_neighborhoods(model)
    if isinstance(model, FrozenEstimator):
        return FrozenEstimator(refill_neighbors(model.estimator, X, y))
    if isinstance(model, VotingRegressor):
        refilled = copy(model)
        refilled.estimators_ = [refill_neighbors(part, X, y) for part in model.estimators_]
        kept = [name for name, part in model.estimators if part != "drop"]
        refilled.named_estimators_ = Bunch(**dict(zip(kept, refilled.estimators_, strict=True)))
        return refilled
    if isinstance(model, Pipeline):
        rows = model[:-1].transform(X) if len(model) > 1 else X
        return Pipeline([*model.steps[:-1], (model.steps[-1][0], refill_neighbors(model[-1], rows, y))])
    return clone(model).fit(X, y)


def weigh_training_rows(model: Any, X: Any) -> WeightedRows:
    """Find the training rows that predictions are made of, and what each counts for.

    Parameters
    ----------
    model : estimator
        Fitted, as `list_neighborhoods` takes it.
    X : array-like of shape (n_query, n_features)
        Rows as the model takes them.

    Returns
    -------
    WeightedRows
        A row that several models of a mean take stands once for each. A query's weights have a sum of 1, and its
        prediction is the sum of the targets with these weights.

    Raises
    ------
    TypeError, NotFittedError
        As `list_neighborhoods`.

    Examples
    --------
    >>> weigh_training_rows(KNNRegressor(2).fit([[0.0], [1.0], [3.0]], [0.0, 1.0, 3.0]), [[2.5]])
    WeightedRows(indices=array([[2, 1]]), weights=array([[0.5, 0.5]]))
    """
    neighborhoods = list_neighborhoods(model)
    parts = [found.weigh_rows(X) for found in neighborhoods]
    weights = [found.share * part.weights for found, part in zip(neighborhoods, parts, strict=True)]
    return WeightedRows(np.hstack([part.indices for part in parts]), np.hstack(weights))
