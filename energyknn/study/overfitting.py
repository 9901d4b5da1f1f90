"""A verdict on overfitting, computed from the figures. The notebook closes with a paragraph on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from energyknn._shared.showing import in_one_line


def r2_standard_error(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Estimate the standard error of R² over samples of rows.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        Actual and predicted targets; the actual ones not all equal.

    Returns
    -------
    float
        Standard error of R², without unit.

    Notes
    -----
    The delta method. Let e² be the squared error of a row and v its squared deviation from the mean. Then R² is
    ``1 - mean(e²) / mean(v)``, and the influence of a row is ``(e² - (1 - R²) v) / mean(v)``. The standard error is the
    standard deviation of the influence, divided by the square root of n.
    """
    actual, predicted = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    squared_errors = (actual - predicted) ** 2
    deviations = (actual - actual.mean()) ** 2
    unexplained = squared_errors.mean() / deviations.mean()
    influence = (squared_errors - unexplained * deviations) / deviations.mean()
    return float(influence.std() / np.sqrt(len(actual)))


def accuracy_standard_error(accuracy: float, n_rows: int) -> float:
    """Return the standard error of a share of rows, such as those whose class is predicted.

    Examples
    --------
    >>> accuracy_standard_error(0.9, 100)
    0.03
    """
    return float(np.sqrt(accuracy * (1 - accuracy) / n_rows))


@dataclass(frozen=True)
class Gap:
    """The score on the training rows less that on the test rows, for one model: R², or accuracy for classes.

    Parameters
    ----------
    with_self : float
        Each training row counts among its own neighbours, as in the notebook.
    without_self : float
        Each training row is left out of its own neighbours.
    standard_error : float
        Standard error of `without_self`.
    """

    with_self: float
    without_self: float
    standard_error: float


@in_one_line
@dataclass(frozen=True)
class Verdict:
    """A verdict of a few words and the paragraph that gives its figures."""

    verdict: Literal["not overfit", "overfit"]
    explanation: str


def measure_gap(train: float, without_self: float, test: float, *, errors: tuple[float, float]) -> Gap:
    """Measure how far the training score lies above the test score.

    Parameters
    ----------
    train, without_self, test : float
        Scores on the training rows, on the training rows without self, and on the test rows; better when larger.
    errors : tuple of two floats
        Standard errors of the last two.

    Returns
    -------
    Gap
        Differences of the score.

    Examples
    --------
    >>> measure_gap(0.75, 0.5, 0.5, errors=(0.0, 0.1))
    Gap(with_self=0.25, without_self=0.0, standard_error=0.1)
    """
    return Gap(train - test, without_self - test, float(np.hypot(*errors)))


def judge_overfitting(base: Gap, tuned: Gap, *, score: str = "R²") -> Verdict:
    """Judge the tuned model.

    A training row is its own nearest neighbour, so a neighbour model scores better on training rows. That part of the
    gap says nothing about new rows. The gap without self does. The model is called overfit when that gap is above zero
    by more than two standard errors.

    Parameters
    ----------
    base, tuned : Gap
        The gaps before and after tuning.
    score : str, default="R²"
        What the score is called.

    Returns
    -------
    Verdict
        For the tuned model.
    """
    limit = 2 * tuned.standard_error
    overfit = tuned.without_self > limit
    name: Literal["not overfit", "overfit"] = "overfit" if overfit else "not overfit"
    if abs(tuned.without_self) <= limit:
        found = f"within two standard errors ({limit:.4f}) of zero"
    else:
        found = f"{'above' if overfit else 'below'} zero by more than two standard errors ({limit:.4f})"
    explanation = (
        f"Training {score} less test {score} is {base.with_self:+.4f} before tuning and {tuned.with_self:+.4f} after "
        "it. But each training row is its own nearest neighbour there. With each row's own self left out, the "
        f"difference is {base.without_self:+.4f} before tuning and {tuned.without_self:+.4f} after it, {found}: the "
        f"tuned model is {name}."
    )
    return Verdict(name, explanation)
