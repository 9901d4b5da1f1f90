"""Scorers: scikit-learn's by name, and R², MSE, RMSE and MAE of many candidates from sums of errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import get_scorer, get_scorer_names

from energyknn.errors import ParameterError, suggest_name

Scorer = str | Callable[[Any, Any, Any], float]
"""A name that `sklearn.metrics.get_scorer` knows, or a scorer: ``scorer(estimator, X, y)``, better when larger."""


def resolve_scoring(scoring: Any = None) -> dict[str, Scorer]:
    """Turn GridSearchCV's `scoring` into scorers by name.

    Parameters
    ----------
    scoring : None, str, callable, sequence of str, or mapping of str to str or callable
        None for R². One scorer gets the name "score"; several keep their own names.

    Returns
    -------
    dict of str to str or callable
        Scorers, by the names that results have.

    Raises
    ------
    TypeError
        If `scoring` is of another type.
    ValueError
        If a name is unknown (the message suggests the nearest known one), or the collection is empty.

    Examples
    --------
    >>> list(resolve_scoring(["r2", "neg_mean_absolute_error"]))
    ['r2', 'neg_mean_absolute_error']
    """
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        scoring = {"score": "r2" if scoring is None else scoring}
    elif isinstance(scoring, Sequence | set | frozenset):
        scoring = {name: name for name in scoring}
    elif not isinstance(scoring, Mapping):
        message = f"scoring is {scoring!r}. It must be a scorer's name, a callable, or several of them."
        raise TypeError(message)
    if not scoring:
        message = "No scoring: the collection is empty. Name at least one scorer, or give None for R²."
        raise ParameterError(message)
    known = get_scorer_names()
    for scorer in scoring.values():
        if not callable(scorer) and scorer not in known:
            message = (
                f"scoring {scorer!r} is unknown.{suggest_name(scorer, known)} See sklearn.metrics.get_scorer_names()."
            )
            raise ParameterError(message)
    return {str(name): scorer for name, scorer in scoring.items()}


def _score_r2(squared: NDArray[np.float64], actual: NDArray[np.float64]) -> Any:
    spread = np.square(actual - actual.mean(axis=0)).sum(axis=0)
    if len(actual) < 2:
        return np.full(len(squared), np.nan)
    if_constant = (squared != 0).astype(np.float64)  # scikit-learn's rule
    return (1 - np.divide(squared, spread, out=if_constant, where=spread != 0)).mean(axis=1)


def _score_mean(errors: NDArray[np.float64], actual: NDArray[np.float64]) -> Any:
    return -(errors / len(actual)).mean(axis=1)


_FROM_SUMS: Mapping[str, tuple[str, Callable[[NDArray[np.float64], NDArray[np.float64]], Any]]] = {
    "r2": ("squared", _score_r2),
    "neg_mean_squared_error": ("squared", _score_mean),
    "neg_root_mean_squared_error": ("squared", lambda squared, actual: -np.sqrt(squared / len(actual)).mean(axis=1)),
    "neg_mean_absolute_error": ("absolute", _score_mean),
}


def needs_predictions(scorer: Scorer) -> bool:
    """Tell whether a scorer needs all predictions at once. Others need sums of errors only."""
    return not (isinstance(scorer, str) and scorer in _FROM_SUMS)


def sum_errors(
    predictions: NDArray[np.float64], actual: NDArray[np.float64], scorers: Mapping[str, Scorer]
) -> dict[str, NDArray[np.float64]]:
    """Sum the errors of some rows, of the kinds that the scorers need.

    Takes predictions of shape (n_candidates, n_rows, n_outputs) and targets of shape (n_rows, n_outputs). Returns sums
    of shape (n_candidates, n_outputs) under "squared" and "absolute".
    """
    kinds = {_FROM_SUMS[str(scorer)][0] for scorer in scorers.values() if not needs_predictions(scorer)}
    if not kinds:
        return {}
    errors = predictions - actual
    measure = {"squared": np.square, "absolute": np.abs}
    return {kind: measure[kind](errors).sum(axis=1) for kind in sorted(kinds)}


def score_sums(
    scorer: str, sums: Mapping[str, NDArray[np.float64]], actual: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Score candidates from their sums of errors over all rows.

    Takes what `sum_errors` returns and all targets, of shape (n_rows, n_outputs). Returns scores of shape
    (n_candidates,), equal to the scorer's own up to rounding.
    """
    kind, score = _FROM_SUMS[scorer]
    return np.asarray(score(sums[kind], actual))


class _Predicted(RegressorMixin, BaseEstimator):
    """A model whose predictions are known, for scorers that call `predict`."""

    def __init__(self, predictions: NDArray[np.float64]) -> None:
        self.predictions = predictions

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: ARG002 - the rows are known
        """Return the predictions."""
        return self.predictions


def score_predictions(scorer: Scorer, predictions: NDArray[np.float64], X: Any, actual: NDArray[np.float64]) -> float:
    """Score one candidate's predictions of rows `X` against the targets `actual`, which have the same shape."""
    return float(get_scorer(scorer)(_Predicted(predictions), X, actual))
