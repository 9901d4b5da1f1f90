"""Standardise the numeric columns: learn mean and standard deviation on some rows, and apply them to any rows."""

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
        The columns to standardise. All others stay as they are.
    mean, sd : tuple of float
        One value for each column. The standard deviation of a constant column is set to 1.

    See Also
    --------
    fit_scale : Makes it.
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
        Numbers of the rows to learn from. Give the training rows, so that the scale knows nothing of the test rows.
        None learns from all rows, as the notebook does.

    Returns
    -------
    Scale
        Mean and standard deviation of each column, as scikit-learn's StandardScaler computes them.

    Warns
    -----
    UserWarning
        If a column is constant. It is standardised to 0 and takes no part in any distance.

    See Also
    --------
    apply_scale : Applies the scale.

    Examples
    --------
    >>> fit_scale(pd.DataFrame({"a": [1.0, 3.0]}), ["a"])
    Scale(columns=('a',), mean=(2.0,), sd=(1.0,))
    """
    numbers = X[list(columns)] if rows is None else X[list(columns)].iloc[rows]
    if numbers.shape[1] == 0:
        return Scale((), (), ())
    scaler = StandardScaler().fit(numbers.to_numpy(dtype=np.float64))
    constant = [name for name, values in numbers.items() if (values == values.iloc[0]).all()]
    if constant:
        message = (
            f"Constant {'column' if len(constant) == 1 else 'columns'} {', '.join(map(repr, constant))}: "
            "standardised to 0, so no distance depends on it."
        )
        warnings.warn(message, stacklevel=2)
    return Scale(tuple(columns), tuple(scaler.mean_.tolist()), tuple(scaler.scale_.tolist()))


def apply_scale(X: pd.DataFrame, scale: Scale) -> pd.DataFrame:
    """Standardise the columns of a scale, and leave the others as they are.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_features)
        Encoded features. They are not changed.
    scale : Scale
        Mean and standard deviation of the columns; `fit_scale` finds them.

    Returns
    -------
    DataFrame of shape (n_rows, n_features), float64
        The same columns in the same order. The unit of standardised columns is one standard deviation.

    Raises
    ------
    KeyError
        If X lacks a column of the scale.

    See Also
    --------
    fit_scale : Learns the scale.

    Examples
    --------
    >>> apply_scale(pd.DataFrame({"a": [1.0, 5.0]}), Scale(("a",), (3.0,), (2.0,)))["a"].tolist()
    [-1.0, 1.0]
    """
    standardised = X.copy()
    names = list(scale.columns)
    standardised[names] = (X[names].to_numpy(dtype=np.float64) - np.array(scale.mean)) / np.array(scale.sd)
    return standardised
