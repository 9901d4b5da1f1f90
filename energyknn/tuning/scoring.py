"""Scores of many candidates: scikit-learn's scorers by name, and those that sums of errors give without predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import get_scorer, get_scorer_names

__all__ = [
    "NamedScorer",
    "Scorer",
    "needs_predictions",
    "resolve_scoring",
    "score_predictions",
    "score_sums",
    "suggest_name",
    "sum_errors",
]

Scorer = Callable[[Any, Any, Any], float]
"""A scikit-learn scorer: ``scorer(estimator, X, y)``, better when larger."""


@dataclass(frozen=True)
class NamedScorer:
    """One of scikit-learn's scorers, which knows its name.

    Parameters
    ----------
    name : str
        As `sklearn.metrics.get_scorer` takes it.
    """

    name: str

    def __call__(self, estimator: Any, X: Any, y: Any) -> float:
        """Score predictions, better when larger."""
        return float(get_scorer(self.name)(estimator, X, y))


def resolve_scoring(scoring: Any = None) -> dict[str, Scorer]:
    """Turn what GridSearchCV takes as scoring into scorers by name.

    Parameters
    ----------
    scoring : None, str, callable, sequence of str, or mapping of str to str or callable
        None for R². One scorer is named "score", several by their own names.

    Returns
    -------
    dict of str to callable
        Scorers by name.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If a name is unknown (the nearest known one is given), or there is none.

    Examples
    --------
    >>> list(resolve_scoring(["r2", "neg_mean_absolute_error"]))
    ['r2', 'neg_mean_absolute_error']
    """
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        return {"score": _resolve_scorer("r2" if scoring is None else scoring)}
    if isinstance(scoring, Mapping):
        named = {str(name): _resolve_scorer(scorer) for name, scorer in scoring.items()}
    elif isinstance(scoring, Sequence | set | frozenset):
        named = {str(name): _resolve_scorer(name) for name in scoring}
    else:
        message = f"scoring is {scoring!r}. It must be a scorer's name, a callable, or several of them."
        raise TypeError(message)
    if not named:
        message = "No scoring: the collection is empty. Name at least one scorer, or give None for R²."
        raise ValueError(message)
    return named


def _resolve_scorer(scorer: Any) -> Scorer:
    if callable(scorer):
        found: Scorer = scorer
        return found
    known = get_scorer_names()
    if scorer not in known:
        message = f"scoring {scorer!r} is unknown.{suggest_name(scorer, known)} See sklearn.metrics.get_scorer_names()."
        raise ValueError(message)
    return NamedScorer(scorer)


def suggest_name(name: Any, known: Sequence[str]) -> str:
    """Return a sentence that names the nearest known name, or nothing where none is near."""
    near = get_close_matches(str(name), known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


_Sums = Mapping[str, NDArray[np.float64]]
"""By kind of error, "squared" or "absolute": sums of shape (n_candidates, n_outputs)."""


def _score_r2(squared: NDArray[np.float64], actual: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = np.square(actual - actual.mean(axis=0)).sum(axis=0)
    if len(actual) < 2:
        return np.full(len(squared), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = 1 - squared / spread
    scores = np.where(spread == 0, np.where(squared == 0, 1.0, 0.0), scores)  # as scikit-learn has it
    means: NDArray[np.float64] = scores.mean(axis=1)
    return means


def _score_mean(errors: NDArray[np.float64], actual: NDArray[np.float64]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = -(errors / len(actual)).mean(axis=1)
    return means


def _score_root(squared: NDArray[np.float64], actual: NDArray[np.float64]) -> NDArray[np.float64]:
    means: NDArray[np.float64] = -np.sqrt(squared / len(actual)).mean(axis=1)
    return means


_FROM_SUMS: Mapping[str, tuple[str, Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]]] = {
    "r2": ("squared", _score_r2),
    "neg_mean_squared_error": ("squared", _score_mean),
    "neg_root_mean_squared_error": ("squared", _score_root),
    "neg_mean_absolute_error": ("absolute", _score_mean),
}


def needs_predictions(scorer: Scorer) -> bool:
    """Tell whether a scorer needs all predictions at once; others make do with sums of errors."""
    return not (isinstance(scorer, NamedScorer) and scorer.name in _FROM_SUMS)


def sum_errors(
    predictions: NDArray[np.float64], actual: NDArray[np.float64], scorers: Mapping[str, Scorer]
) -> dict[str, NDArray[np.float64]]:
    """Sum the errors of some rows, as far as scorers make do with sums.

    Parameters
    ----------
    predictions : ndarray of shape (n_candidates, n_rows, n_outputs), float64
        Of each candidate.
    actual : ndarray of shape (n_rows, n_outputs), float64
        Targets.
    scorers : mapping of str to callable
        As `resolve_scoring` returns them.

    Returns
    -------
    dict of str to ndarray of shape (n_candidates, n_outputs), float64
        Sums of "squared" and of "absolute" errors.
    """
    kinds = {
        _FROM_SUMS[scorer.name][0]
        for scorer in scorers.values()
        if isinstance(scorer, NamedScorer) and scorer.name in _FROM_SUMS
    }
    if not kinds:
        return {}
    errors = predictions - actual
    measure = {"squared": np.square, "absolute": np.abs}
    return {kind: measure[kind](errors).sum(axis=1) for kind in sorted(kinds)}


def score_sums(scorer: Scorer, sums: _Sums, actual: NDArray[np.float64]) -> NDArray[np.float64]:
    """Score candidates from their sums of errors.

    Parameters
    ----------
    scorer : callable
        One that makes do with sums.
    sums : mapping of str to ndarray of shape (n_candidates, n_outputs)
        Over all rows, as `sum_errors` returns them for some.
    actual : ndarray of shape (n_rows, n_outputs), float64
        All targets.

    Returns
    -------
    ndarray of shape (n_candidates,), float64
        What the scorer itself returns for each candidate's predictions, but for the last digits.
    """
    kind, score = _FROM_SUMS[scorer.name]  # type: ignore[attr-defined]
    return score(sums[kind], actual)


class _Predicted(RegressorMixin, BaseEstimator):
    """What a scorer asks for predictions: it has them already."""

    def __init__(self, predictions: NDArray[np.float64]) -> None:
        self.predictions = predictions

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: ARG002 - the rows are known
        """Return the predictions."""
        return self.predictions


def score_predictions(scorer: Scorer, predictions: NDArray[np.float64], X: Any, actual: NDArray[np.float64]) -> float:
    """Score one candidate's predictions.

    Parameters
    ----------
    scorer : callable
        Any scorer.
    predictions : ndarray of shape (n_rows,) or (n_rows, n_outputs), float64
        Of all rows.
    X : ndarray of shape (n_rows, n_features)
        The rows, for scorers that look at them.
    actual : ndarray of the predictions' shape, float64
        Targets.

    Returns
    -------
    float
        The score.
    """
    return float(scorer(_Predicted(predictions), X, actual))
