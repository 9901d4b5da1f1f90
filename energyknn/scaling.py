"""Scale the numeric columns: learn a centre and a spread of each on some rows, and apply them to any rows."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from energyknn._shared.showing import in_one_line
from energyknn.errors import ParameterError

__all__ = ["Scale", "apply_scale", "fit_scale"]


@in_one_line
@dataclass(frozen=True)
class Scale:
    """What is subtracted from some columns, and what they are divided by, in the units of those columns.

    Parameters
    ----------
    columns : tuple of str
        The columns to scale. All others stay as they are.
    mean, sd : tuple of float
        Centre and spread of each column: by default its mean and population standard deviation. The spread of a
        constant column is 1.

    See Also
    --------
    fit_scale : Makes it.
    """

    columns: tuple[str, ...]
    mean: tuple[float, ...]
    sd: tuple[float, ...]


ScalerName = Literal["standard", "robust", "minmax"]


def fit_scale(
    X: pd.DataFrame,
    columns: Sequence[str],
    *,
    rows: NDArray[np.int64] | None = None,
    scaler: ScalerName = "standard",
) -> Scale:
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
    scaler : {"standard", "robust", "minmax"}, default="standard"
        Centre and spread of a column: its mean and standard deviation; its median and interquartile range; or its
        least value and its range. They are those of scikit-learn's StandardScaler, RobustScaler and MinMaxScaler.

    Returns
    -------
    Scale
        Centre and spread of each column.

    Raises
    ------
    ValueError
        If the scaler is unknown.

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
    mean, sd = _measure(numbers.to_numpy(dtype=np.float64), scaler)
    constant = [name for name, values in numbers.items() if (values == values.iloc[0]).all()]
    if constant:
        message = (
            f"Constant {'column' if len(constant) == 1 else 'columns'} {', '.join(map(repr, constant))}: "
            "standardised to 0, so no distance depends on it."
        )
        warnings.warn(message, stacklevel=2)
    return Scale(tuple(columns), tuple(mean.tolist()), tuple(sd.tolist()))


def _measure(numbers: NDArray[np.float64], scaler: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return centre and spread of each column."""
    if scaler == "standard":
        fitted = StandardScaler().fit(numbers)
        return fitted.mean_, fitted.scale_
    if scaler == "robust":
        fitted = RobustScaler().fit(numbers)
        return fitted.center_, fitted.scale_
    if scaler == "minmax":
        fitted = MinMaxScaler().fit(numbers)
        return fitted.data_min_, 1 / fitted.scale_
    message = f"Scaler {scaler!r} is unknown. Known are {', '.join(get_args(ScalerName))}."
    raise ParameterError(message)


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
