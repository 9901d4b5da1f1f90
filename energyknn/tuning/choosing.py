"""Which candidate to take: the best, the smoothest that is as good, and whether two differ at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

__all__ = ["Comparison", "compare_candidates", "find_best", "find_smoothest"]


class Comparison(NamedTuple):
    """Mean difference of two candidates' scores, its standard error, and the p-value of no difference."""

    difference: float
    standard_error: float
    p_value: float


def find_best(fold_scores: ArrayLike) -> int:
    """Find the candidate with the largest mean score.

    Parameters
    ----------
    fold_scores : array-like of shape (n_candidates, n_folds)
        Scores, better when larger.

    Returns
    -------
    int
        Its row; the first of those that are equal. Means that are no number never win.

    Examples
    --------
    >>> find_best([[0.5, 0.5], [0.6, 0.8]])
    1
    """
    means = np.asarray(fold_scores, dtype=np.float64).mean(axis=1)
    return int(np.argmax(np.where(np.isnan(means), -np.inf, means)))


def find_smoothest(fold_scores: ArrayLike, n_neighbors: Sequence[int]) -> int:
    """Find the largest k whose mean is within one standard error of the best.

    Parameters
    ----------
    fold_scores : array-like of shape (n_candidates, n_folds)
        Scores, better when larger.
    n_neighbors : sequence of int
        k of each candidate. More neighbours make a smoother model.

    Returns
    -------
    int
        Its row; the best itself where no larger k is as good.

    Notes
    -----
    The standard error is that of the best candidate: population sd over the folds, divided by the root of their
    number. The rule is Breiman, Friedman, Olshen and Stone's (Classification and Regression Trees, 1984, 3.4.3).

    Examples
    --------
    >>> find_smoothest([[0.50, 0.70], [0.49, 0.70], [0.1, 0.2]], [5, 10, 15])
    1
    """
    scores = np.asarray(fold_scores, dtype=np.float64)
    best = find_best(scores)
    limit = scores[best].mean() - scores[best].std() / np.sqrt(scores.shape[1])
    means = scores.mean(axis=1)
    near = [row for row, mean in enumerate(means) if mean >= limit]
    return max(near, key=lambda row: (n_neighbors[row], means[row]))


def compare_candidates(first: ArrayLike, second: ArrayLike, *, test_share: float) -> Comparison:
    """Compare two candidates on the same folds.

    Parameters
    ----------
    first, second : array-like of shape (n_folds,)
        Their scores.
    test_share : float
        Validation rows of a fold divided by its training rows: 1/3 for four folds.

    Returns
    -------
    Comparison
        Of `first` less `second`.

    Raises
    ------
    ValueError
        If there are fewer than two folds.

    Notes
    -----
    A paired t-test whose variance is widened by (1/n + test_share) / (1/n), since folds share training rows (Nadeau and
    Bengio, Inference for the generalization error, Machine Learning 52, 2003). Folds are few: a large p-value says that
    the difference cannot be told, not that there is none.

    Examples
    --------
    >>> compare_candidates([0.9, 0.8, 0.9], [0.5, 0.5, 0.4], test_share=0.5).p_value < 0.05
    True
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    n_folds = len(differences)
    if n_folds < 2:
        message = f"{n_folds} fold. A comparison needs at least two, to tell a difference from chance."
        raise ValueError(message)
    mean = float(differences.mean())
    error = float(np.sqrt((1 / n_folds + test_share) * differences.var(ddof=1)))
    if error == 0:
        return Comparison(mean, 0.0, 1.0 if mean == 0 else 0.0)
    return Comparison(mean, error, float(2 * t.sf(abs(mean) / error, n_folds - 1)))
