"""The neighbour models inside a fitted model, which may be a pipeline or a mean of several."""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, gen_batches
from sklearn.utils.validation import check_is_fitted

from energyknn._shared.showing import in_one_line
from energyknn.errors import UnsupportedError
from energyknn.estimators.base import ROWS_AT_ONCE, NeighborsMixin
from energyknn.neighbors.weighting import average_targets


@in_one_line
class WeightedRows(NamedTuple):
    """Training rows (n_query, n_rows), int64, and how much each target counts (n_query, n_rows), float64."""

    indices: NDArray[np.int64]
    weights: NDArray[np.float64]


class Neighborhood(NamedTuple):
    """A neighbour model, the fitted transformers before it, and its share in the mean (1 if there is one model)."""

    steps: tuple[Any, ...]
    model: NeighborsMixin
    share: float

    def map_rows(self, X: Any) -> NDArray[np.float64]:
        """Map rows to where neighbours are found: (n_rows, n_components), float64, C-ordered."""
        return self.model.find_queries(self.run_steps(X))[0]

    def run_steps(self, X: Any) -> Any:
        """Run the transformers before the model."""
        for step in self.steps:
            X = step.transform(X)
        return X


def list_neighborhoods(model: Any) -> list[Neighborhood]:
    """List the neighbour models whose weighted mean a fitted model predicts. Their shares sum to 1.

    A model has neighbours if it is a `NeighborsMixin`, a pipeline that ends in such a model, a VotingRegressor of such
    models, a FrozenEstimator around one, or a search whose best is one. Any other raises a TypeError.

    Examples
    --------
    >>> from energyknn import KNNRegressor
    >>> list_neighborhoods(KNNRegressor(1).fit([[0.0], [1.0]], [0.0, 1.0]))[0].share
    1.0
    """
    if isinstance(model, FrozenEstimator):
        return list_neighborhoods(model.estimator)
    if hasattr(model, "best_estimator_"):
        return list_neighborhoods(model.best_estimator_)
    if isinstance(model, VotingRegressor):
        parts = [(share, list_neighborhoods(part)) for part, share in _share_out(model)]
        return [found._replace(share=found.share * share) for share, listed in parts for found in listed]
    if isinstance(model, Pipeline):
        steps = tuple(step for _, step in model.steps[:-1] if step is not None and step != "passthrough")
        return [found._replace(steps=(*steps, *found.steps)) for found in list_neighborhoods(model[-1])]
    if isinstance(model, NeighborsMixin):
        check_is_fitted(model)
        return [Neighborhood((), model, 1.0)]
    message = (
        f"{type(model).__name__} has no neighbours. Give a KNNRegressor, a LocalLinearRegressor or another model of "
        "neighbours: alone, at the end of a pipeline, or in a VotingRegressor."
    )
    raise UnsupportedError(message)


def _share_out(model: VotingRegressor) -> list[tuple[Any, float]]:
    """Pair each fitted model of a mean with its share. A dropped model has none."""
    check_is_fitted(model)
    given = [1.0] * len(model.estimators) if model.weights is None else model.weights
    kept = [float(weight) for (_, part), weight in zip(model.estimators, given, strict=True) if part != "drop"]
    return [(part, weight / sum(kept)) for part, weight in zip(model.estimators_, kept, strict=True)]


def has_neighborhoods(model: Any) -> bool:
    """Return whether `list_neighborhoods` accepts a fitted model."""
    try:
        return bool(list_neighborhoods(model))
    except TypeError:
        return False


def predict_left_out(model: Any, rows: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Predict training rows (all by default), each from its neighbours other than itself.

    These are the predictions of n_train models, each fitted without one row, unless a step before the neighbours was
    learned: a learned map has seen the row.

    Examples
    --------
    >>> from energyknn import KNNRegressor
    >>> predict_left_out(KNNRegressor(1).fit([[0.0], [1.0], [3.0]], [0.0, 1.0, 3.0]))
    array([1., 0., 1.])
    """
    parts = []
    for found in list_neighborhoods(model):
        numbers = np.arange(len(found.model.y_)) if rows is None else rows
        blocks = gen_batches(len(numbers), ROWS_AT_ONCE)
        weighed = [found.model.weigh(None, rows=numbers[block]) for block in blocks]
        means = [average_targets(found.model.y_[near.indices], weights) for near, weights in weighed]
        parts.append(found.share * np.concatenate(means))
    return np.asarray(np.sum(parts, axis=0))


def refill_neighbors(model: Any, X: Any, y: NDArray[np.float64]) -> Any:
    """Return a copy of a fitted model that finds its neighbours among other rows. The steps before stay fitted.

    Examples
    --------
    >>> from energyknn import KNNRegressor
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
    """Find the training rows that predictions are made of, and how much each counts.

    The weights of a query sum to 1, and its prediction is the weighted sum of the targets. A row that several models of
    a mean use appears once for each of them.

    Examples
    --------
    >>> from energyknn import KNNRegressor
    >>> found = weigh_training_rows(KNNRegressor(2).fit([[0.0], [1.0], [3.0]], [0.0, 1.0, 3.0]), [[2.5]])
    >>> found.indices.tolist(), found.weights.tolist()
    ([[2, 1]], [[0.5, 0.5]])
    """
    indices, weights = [], []
    for found in list_neighborhoods(model):
        near, given = found.model.weigh(found.run_steps(X))
        indices.append(near.indices)
        weights.append(found.share * (given / given.sum(axis=1, keepdims=True)))
    return WeightedRows(np.hstack(indices), np.hstack(weights))
