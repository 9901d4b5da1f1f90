"""Intervals of figures: over test rows by bootstrap, and over splits that share rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import bootstrap, t

from energyknn.tuning import compare_candidates

CONFIDENCE = 0.95
"""The share of intervals that contain the true value."""

_N_RESAMPLES = 999
_SEED = 0
_NUMBERS_AT_ONCE = 1 << 21  # of resampled rows: 16 MiB


class Estimate(NamedTuple):
    """A figure and its 95 % interval.

    Attributes
    ----------
    value : float
        The figure.
    low, high : float
        The ends of the interval, in the same unit.
    """

    value: float
    low: float
    high: float


def estimate_mean(values: ArrayLike, *, n_resamples: int = _N_RESAMPLES) -> Estimate:
    """Estimate a mean and its 95 % interval by bootstrap over the rows.

    Parameters
    ----------
    values : array-like of shape (n_rows,)
        At least two numbers.
    n_resamples : int, default=999
        Samples of the bootstrap.

    Returns
    -------
    Estimate
        In the values' unit.

    Raises
    ------
    ValueError
        If there are fewer than two values.
    """
    return _resample(np.mean, (np.asarray(values, dtype=np.float64),), n_resamples)


def estimate_rmse(
    y_true: ArrayLike, y_pred: ArrayLike, *, groups: ArrayLike | None = None, n_resamples: int = _N_RESAMPLES
) -> Estimate:
    """Estimate an RMSE and its 95 % interval by bootstrap over rows or groups.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        Actual and predicted targets.
    groups : array-like of shape (n_rows,) or None, default=None
        Label of each row. The bootstrap draws whole groups, because the errors in a group are alike. None draws rows.
    n_resamples : int, default=999
        Samples of the bootstrap.

    Returns
    -------
    Estimate
        In the target's unit.

    Raises
    ------
    ValueError
        If there are fewer than two rows or groups.

    Notes
    -----
    Percentiles of the bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).

    Examples
    --------
    >>> found = estimate_rmse([0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0])
    >>> found.value, found.low, found.high
    (1.0, 1.0, 1.0)
    """
    squares = _square_errors(y_true, y_pred)
    columns = _sum_by_group(groups, squares, np.ones_like(squares))
    return _resample(_root_of_share, columns, n_resamples)


def estimate_rmse_difference(
    y_true: ArrayLike, first: ArrayLike, second: ArrayLike, *, groups: ArrayLike | None = None
) -> Estimate:
    """Estimate the RMSE of the first predictions less the RMSE of the second, on the same rows.

    Parameters
    ----------
    y_true, first, second : array-like of shape (n_rows,)
        Actual targets and the two predictions.
    groups : array-like of shape (n_rows,) or None, default=None
        Label of each row. The bootstrap draws whole groups. None draws rows.

    Returns
    -------
    Estimate
        Below 0 where the first predictions are better. Both are scored on the same samples, so errors that both share
        cancel out.

    Raises
    ------
    ValueError
        If there are fewer than two rows or groups.
    """
    squares = _square_errors(y_true, first), _square_errors(y_true, second)
    columns = _sum_by_group(groups, *squares, np.ones_like(squares[0]))
    return _resample(_difference_of_roots, columns)


def estimate_over_splits(first: ArrayLike, second: ArrayLike, *, test_share: float) -> Estimate:
    """Estimate the mean difference of two models over the same splits.

    Parameters
    ----------
    first, second : array-like of shape (n_splits,)
        Their scores on each split.
    test_share : float
        Test rows of a split divided by its training rows: 1/4 where a fifth is held out. 0 gives the interval for
        splits that share no rows.

    Returns
    -------
    Estimate
        Of `first` less `second`.

    Raises
    ------
    ValueError
        If there are fewer than two splits.

    Notes
    -----
    A t-interval. Splits of one file share rows, so their differences vary less than the differences of independent
    files. `energyknn.tuning.compare_candidates` widens the variance for that.

    Examples
    --------
    >>> estimate_over_splits([1.0, 2.0], [1.0, 2.0], test_share=0.25)
    Estimate(value=0.0, low=0.0, high=0.0)
    """
    compared = compare_candidates(first, second, test_share=test_share)
    n_splits = len(np.asarray(first))
    half = float(t.ppf((1 + CONFIDENCE) / 2, n_splits - 1)) * compared.standard_error
    return Estimate(compared.difference, compared.difference - half, compared.difference + half)


def _square_errors(y_true: ArrayLike, y_pred: ArrayLike) -> NDArray[np.float64]:
    squares: NDArray[np.float64] = (np.asarray(y_true, dtype=np.float64) - np.asarray(y_pred, dtype=np.float64)) ** 2
    return squares


def _sum_by_group(groups: ArrayLike | None, *columns: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Sum each column over the rows of a group."""
    if groups is None:
        return columns
    _, codes = np.unique(np.asarray(groups), return_inverse=True)
    return tuple(np.bincount(codes, weights=column).astype(np.float64, copy=False) for column in columns)


def _root_of_share(squares: Any, counts: Any, axis: int) -> Any:
    return np.sqrt(squares.sum(axis=axis) / counts.sum(axis=axis))


def _difference_of_roots(first: Any, second: Any, counts: Any, axis: int) -> Any:
    return _root_of_share(first, counts, axis) - _root_of_share(second, counts, axis)


def _resample(
    statistic: Callable[..., Any], columns: tuple[NDArray[np.float64], ...], n_resamples: int = _N_RESAMPLES
) -> Estimate:
    """Compute a statistic of columns and its percentile interval over samples of their rows."""
    n_rows = len(columns[0])
    if n_rows < 2:
        message = f"{n_rows} row or group. An interval needs at least two."
        raise ValueError(message)
    options: dict[str, Any] = {"vectorized": True, "paired": True, "axis": -1, "method": "percentile"}
    options |= {"n_resamples": n_resamples, "batch": max(1, _NUMBERS_AT_ONCE // n_rows), "confidence_level": CONFIDENCE}
    found = bootstrap(columns, statistic, rng=np.random.default_rng(_SEED), **options).confidence_interval
    return Estimate(float(statistic(*columns, axis=-1)), float(found.low), float(found.high))
