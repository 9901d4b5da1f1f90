"""The commonest scores of a neighbour model, without scikit-learn's checks for each candidate.

Each function repeats the sums of scikit-learn's metric in its order, so that candidates rank alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier

_Array = NDArray[Any]


def _score_r2(actual: _Array, predicted: _Array) -> Any:
    missed = ((actual - predicted) ** 2).sum(axis=0)
    spread = ((actual - np.average(actual, axis=0)) ** 2).sum(axis=0)
    scores = np.ones_like(missed)
    varies = spread != 0
    scores[varies] = 1 - missed[varies] / spread[varies]
    scores[~varies & (missed != 0)] = 0.0
    return np.average(scores)


def _average_squares(actual: _Array, predicted: _Array) -> Any:
    return np.average((actual - predicted) ** 2, axis=0)


_OF_NUMBERS: Mapping[str, Callable[[_Array, _Array], Any]] = {
    "r2": _score_r2,
    "neg_mean_squared_error": lambda actual, predicted: -np.average(_average_squares(actual, predicted)),
    "neg_root_mean_squared_error": lambda actual, predicted: -np.average(np.sqrt(_average_squares(actual, predicted))),
    "neg_mean_absolute_error": lambda actual, predicted: -np.average(np.average(abs(predicted - actual), axis=0)),
}


def _score_balanced_accuracy(codes: _Array, elected: _Array) -> Any:
    n_rows = np.bincount(codes)
    n_right = np.bincount(codes[elected == codes], minlength=len(n_rows))
    return np.mean(n_right[n_rows > 0] / n_rows[n_rows > 0])


_OF_CLASSES: Mapping[str, Callable[[_Array, _Array], Any]] = {
    "accuracy": lambda codes, elected: np.average(elected == codes),
    "balanced_accuracy": _score_balanced_accuracy,
}


def _score_log_loss(codes: _Array, votes: _Array) -> Any:
    right = votes[np.arange(len(codes)), codes] / votes.sum(axis=1)
    tiny = np.finfo(np.float64).eps
    return np.average(np.log(np.clip(right, tiny, 1 - tiny)))


_OF_VOTES: Mapping[str, Callable[[_Array, _Array], Any]] = {"neg_log_loss": _score_log_loss}


def make_quick_scorer(model: Any, y: Any, names: Mapping[str, str]) -> Callable[[Any], dict[str, float]] | None:
    """Return a function that scores a fitted neighbour model on rows with the targets `y`, or None.

    Parameters
    ----------
    model : KNNRegressor or KNNClassifier
        Fitted. Its parameters may change between calls of the function.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Targets of the rows.
    names : mapping of str to str
        Names of scikit-learn's scorers, by the names that the scores get.

    Returns
    -------
    callable or None
        Takes rows as the model does, and returns scores by name. None where a score is not among those here, or
        scikit-learn has a special case for the targets.
    """
    if is_classifier(model):
        return _make_for_classes(model, np.asarray(y), names)
    if not all(name in _OF_NUMBERS for name in names.values()):
        return None
    try:
        actual = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    is_short = np.asarray(y).dtype in (
        np.float16,
        np.float32,
    )  # scikit-learn adds up such targets in their own precision
    if is_short or len(actual) < 2 or not np.isfinite(actual).all() or actual.ndim != model.y_.ndim:
        return None
    actual = actual.reshape(len(actual), -1)

    def score(X: Any) -> dict[str, float]:
        predicted = model.predict(X).reshape(actual.shape)
        if not np.isfinite(predicted).all():
            message = "Predictions hold NaN or infinity: the weights of some row have no finite sum other than 0."
            raise ValueError(message)
        return {name: float(_OF_NUMBERS[scorer](actual, predicted)) for name, scorer in names.items()}

    return score


def _make_for_classes(model: Any, y: _Array, names: Mapping[str, str]) -> Callable[[Any], dict[str, float]] | None:
    """Return a function that scores votes."""
    counts = any(name in _OF_VOTES for name in names.values())
    is_known = all(name in _OF_CLASSES or name in _OF_VOTES for name in names.values())
    if not is_known or model.outputs_2d_ or y.ndim != 1 or len(y) == 0:
        return None
    codes = np.searchsorted(model.classes_, y).clip(max=len(model.classes_) - 1)
    is_known = bool((model.classes_[codes] == y).all())
    if not is_known or (counts and len(np.unique(codes)) < max(2, len(model.classes_))):
        return None

    def score(X: Any) -> dict[str, float]:
        votes: Any = model._count_votes(X)[0] if counts else None
        elected = model._elect(X)[0] if votes is None else votes.argmax(axis=1)
        return {
            name: float(
                _OF_CLASSES[scorer](codes, elected) if scorer in _OF_CLASSES else _OF_VOTES[scorer](codes, votes)
            )
            for name, scorer in names.items()
        }

    return score
