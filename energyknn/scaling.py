"""Standardise the numeric columns: learn mean and standard deviation on some rows, apply them to any."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

__all__ = ["Scale", "apply_scale", "fit_scale"]


@dataclass(frozen=True)
class Scale:
    """Mean and population standard deviation of some columns, in the units of those columns.

    Parameters
    ----------
    columns : tuple of str
        The columns to standardise; all others pass through.
    mean, sd : tuple of float
        One for each column; the sd of a constant column is 1.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]


def fit_scale(X: pd.DataFrame, columns: Sequence[str], *, rows: NDArray[np.int64] | None = None) -> Scale:
    """Learn the scale of the numeric columns.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Encoded features.
    columns : sequence of str
        The columns to standardise: numbers, not indicators.
    rows : ndarray of shape (n_fit,), int, or None, default=None
        The rows to learn from: the training rows, so that nothing of the test rows enters the scale. None learns
        from all rows, as the notebook does.

    Returns
    -------
    Scale
        As scikit-learn's `StandardScaler` computes it.

    Warns
    -----
    UserWarning
        If a column is constant: it standardises to 0 and takes no part in any distance.

    Examples
    --------
    >>> fit_scale(pd.DataFrame({"a": [1.0, 3.0]}), ["a"])
    Scale(columns=('a',), mean=(2.0,), sd=(1.0,))
    """
    numbers = X[list(columns)] if rows is None else X[list(columns)].iloc[rows]
    scaler = StandardScaler().fit(numbers.to_numpy(dtype=np.float64))
    constant = [name for name, values in numbers.items() if (values == values.iloc[0]).all()]
    if constant:
        message = (
            f"Constant {'column' if len(constant) == 1 else 'columns'} {', '.join(map(repr, constant))}: "
            "standardised to 0, so without part in any distance."
        )
        warnings.warn(message, stacklevel=2)
    return Scale(tuple(columns), tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist()))


def apply_scale(X: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Standardise the scale's columns and pass the others through.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Encoded features; not changed.
    scale : Scale
        As `fit_scale` returns it.

    Returns
    -------
    DataFrame of shape (n_rows, n_features), float64
        The same columns in the same order; standardised ones in standard deviations.

    Raises
    ------
    KeyError
        If X lacks a column of the scale.
    """
    standardised = X.copy()
    names = list(scale.columns)
    standardised[names] = (X[names].to_numpy(dtype=np.float64) - np.array(scale.mean)) / np.array(scale.sd)
    return standardised
