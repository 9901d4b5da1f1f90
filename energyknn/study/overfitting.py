"""A verdict on overfitting, computed from the figures. The notebook closes with a paragraph on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from energyknn.fitting import Scores


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


@dataclass(frozen=True)
class Gap:
    """R² on the training rows less R² on the test rows, for one model.

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


@dataclass(frozen=True)
class Verdict:
    """A verdict of a few words and the paragraph that gives its figures."""

    verdict: Literal["not overfit", "overfit"]
    explanation: str


def measure_gap(train: Scores, without_self: Scores, test: Scores, *, errors: tuple[float, float]) -> Gap:
    """Measure how far the training score lies above the test score.

    Parameters
    ----------
    train, without_self, test : Scores
        Scores on the training rows, on the training rows without self, and on the test rows.
    errors : tuple of two floats
        Standard errors of the last two.

    Returns
    -------
    Gap
        Differences of R².
    """
    return Gap(train.r2 - test.r2, without_self.r2 - test.r2, float(np.hypot(*errors)))


def judge_overfitting(base: Gap, tuned: Gap) -> Verdict:
    """Judge the tuned model.

    A training row is its own nearest neighbour, so a neighbour model scores better on training rows. That part of the
    gap says nothing about new rows. The gap without self does. The model is called overfit when that gap is above zero
    by more than two standard errors.

    Parameters
    ----------
    base, tuned : Gap
        The gaps before and after tuning.

    Returns
    -------
    Verdict
        For the tuned model.
    """
    overfit = tuned.without_self > 2 * tuned.standard_error
    name: Literal["not overfit", "overfit"] = "overfit" if overfit else "not overfit"
    rest = "more than" if overfit else "within"
    explanation = (
        f"Training R² is {base.with_self:.4f} above test R² before tuning and {tuned.with_self:.4f} after it. "
        "But each training row is its own nearest neighbour there. With each row's own self left out, the difference "
        f"is {base.without_self:+.4f} before tuning and {tuned.without_self:+.4f} after it, {rest} two standard errors "
        f"({2 * tuned.standard_error:.4f}) of zero: the tuned model is {name}."
    )
    return Verdict(name, explanation)
