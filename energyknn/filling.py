"""Fill missing cells: a number or a year takes the median of the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn._shared.showing import in_one_line
from energyknn.errors import DataFileError
from energyknn.schema import Schema

__all__ = ["Fills", "apply_fills", "fit_fills"]


@in_one_line
@dataclass(frozen=True)
class Fills:
    """What missing cells of each column are filled with.

    Parameters
    ----------
    medians : mapping of str to float
        The median of each number and year, in the column's unit.

    See Also
    --------
    fit_fills : Makes it.
    """

    medians: Mapping[str, float]


def fit_fills(table: pd.DataFrame, schema: Schema, *, rows: NDArray[np.int64] | None = None) -> Fills:
    """Learn what to fill missing cells with.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A table that `energyknn.loading.check_table` checked, with missing cells kept.
    schema : Schema
        The columns.
    rows : ndarray of shape (n_fit,), int, or None, default=None
        Numbers of the rows to learn from. Give the training rows. None learns from all.

    Returns
    -------
    Fills
        The median of each number and year. That of a year is a whole one.

    Raises
    ------
    DataFileError
        If a column has no value in these rows.

    See Also
    --------
    apply_fills : Fills the cells.

    Notes
    -----
    A category needs no fill: `energyknn.encoding.encode_features` takes a missing level for none of the levels.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> fit_fills(pd.DataFrame({"area": [50, None, 90]}), make_schema(target="price", numbers=["area"]))
    Fills(medians=mappingproxy({'area': 70.0}))
    """
    known = table if rows is None else table.iloc[rows]
    medians = {
        name: float(np.nanmedian(_as_floats(known[name]))) for name in schema.numbers if known[name].notna().any()
    }
    empty = [name for name in schema.numbers if name not in medians]
    if empty:
        message = f"Column {empty[0]!r} is empty in the training rows, so it has no median. Leave it out."
        raise DataFileError(message)
    whole = {name: float(np.floor(medians[name])) for name in schema.years}
    return Fills(MappingProxyType(medians | whole))


def apply_fills(table: pd.DataFrame, fills: Fills) -> pd.DataFrame:
    """Fill the missing cells of the numbers and years.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A checked table. It is not changed.
    fills : Fills
        What to fill with; `fit_fills` finds it.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The same columns. Those that had a missing cell are float64.

    Raises
    ------
    KeyError
        If the table lacks a column of the fills.

    See Also
    --------
    fit_fills : Learns the fills.

    Examples
    --------
    >>> apply_fills(pd.DataFrame({"area": [50, None]}), Fills({"area": 70.0}))["area"].tolist()
    [50.0, 70.0]
    """
    lacking = [name for name in fills.medians if table[name].isna().any()]
    filled = {name: np.nan_to_num(_as_floats(table[name]), nan=fills.medians[name]) for name in lacking}
    return table.assign(**filled)


def _as_floats(values: pd.Series) -> NDArray[np.float64]:
    """Return numbers as float64, NaN where they are missing."""
    return values.to_numpy(dtype=np.float64, na_value=np.nan)
