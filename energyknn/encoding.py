"""Encode a table as a design matrix: a year becomes an age, a category becomes indicators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn.errors import ParameterError
from energyknn.schema import Schema

__all__ = ["encode_features", "fit_levels", "name_features", "target_values"]

Levels = Mapping[str, tuple[int | str, ...]]

MISMATCH_COST = 8.0
"""What two different levels of a category add to a squared distance where indicators are -1 and 1."""


def age_in_years(years: pd.Series, reference_year: int) -> pd.Series:
    """Turn calendar years into ages. Standardising removes the effect of the reference year.

    Examples
    --------
    >>> age_in_years(pd.Series([1921, 2021]), 2021).tolist()
    [100, 0]
    """
    return reference_year - years


def fit_levels(table: pd.DataFrame, schema: Schema) -> Levels:
    """Take the levels of each category from the schema, or from the table if the schema names none.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        The rows to learn levels from. Use training rows.
    schema : Schema
        The columns.

    Returns
    -------
    mapping of str to tuple
        Levels of each category, in the order of its indicator columns. Read-only.

    See Also
    --------
    encode_features : Uses the levels.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> schema = make_schema(target="y", categories=["town"])
    >>> dict(fit_levels(pd.DataFrame({"town": ["Ulm", "Bonn", "Ulm"]}), schema))
    {'town': ('Bonn', 'Ulm')}
    """
    return MappingProxyType({name: schema[name].levels or _list_levels(table[name]) for name in schema.categories})


def _list_levels(values: pd.Series) -> tuple[Any, ...]:
    """List the values that occur, numbers before text. A missing value is none."""
    levels: list[Any] = pd.unique(values.dropna()).tolist()
    return tuple(sorted(levels, key=lambda level: (isinstance(level, str), level)))


def match_levels(values: pd.Series, levels: Sequence[Any]) -> pd.Series:
    """Return a category's values as the levels that they are by another type: 1, 1.0 and "1" are one level.

    A file gives its columns the types of the values that happen to be in it. So levels "1", "2" and "A" are text in a
    file with all of them, and numbers in one without "A".

    Examples
    --------
    >>> match_levels(pd.Series([1, 2, 7]), ("1", "2", "A")).tolist()
    ['1', '2', 7]
    """
    known = {_write_level(level): level for level in levels}
    others = [value for value in pd.unique(values.dropna()) if value not in levels]
    meant = {value: known[_write_level(value)] for value in others if _write_level(value) in known}
    return values.astype(object).map(lambda value: meant.get(value, value)) if meant else values


def _write_level(level: Any) -> str:
    """Return a level as text: without a point where it is whole, and truth values in lower case."""
    if isinstance(level, float | np.floating) and float(level).is_integer():
        return str(int(level))
    text = str(level).strip()
    return text.casefold() if text.casefold() in ("true", "false") else text


def name_features(levels: Levels, schema: Schema) -> tuple[str, ...]:
    """Name the columns of the design matrix: the numbers, then each category's indicators.

    Parameters
    ----------
    levels : mapping of str to tuple
        Levels of each category; `fit_levels` finds them.
    schema : Schema
        The columns.

    Returns
    -------
    tuple of str
        Numbers in the schema's order, then ``name_level`` for each level of each category.

    See Also
    --------
    encode_features : Makes these columns.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> name_features({"c": (0, 1)}, make_schema(target="y", numbers=["a"], categories=["c"]))
    ('a', 'c_0', 'c_1')
    """
    indicators = (f"{name}_{level}" for name in schema.categories for level in levels[name])
    return (*schema.numbers, *indicators)


def encode_features(
    table: pd.DataFrame,
    levels: Levels,
    schema: Schema,
    *,
    reference_year: int = 2021,
    mismatch_cost: float = MISMATCH_COST,
) -> pd.DataFrame:
    """Encode a table: ages for years, indicators of -1 and 1 for categories.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A checked table. It is not changed, and its target is ignored.
    levels : mapping of str to tuple
        Levels of each category; `fit_levels` finds them. The same levels give the same columns for every table.
    schema : Schema
        The columns.
    reference_year : int, default=2021
        The year in which an age is 0.
    mismatch_cost : float, default=8
        What two different levels of a category add to a squared Euclidean distance, at least 0. Indicators are
        plus and minus ``sqrt(mismatch_cost / 8)``, so 8 gives -1 and 1.

    Returns
    -------
    DataFrame of shape (n_rows, n_features), float64
        The numbers, then each category's indicators, named ``name_level``.

    Raises
    ------
    ValueError
        If `mismatch_cost` is negative or not finite.

    See Also
    --------
    energyknn.scaling.fit_scale : The next step.
    target_values : The column to predict.

    Notes
    -----
    For a missing value, or one that is none of the levels, all indicators of the category have the low value. It
    differs from a level in one indicator, whereas two levels differ in two. So it adds half of `mismatch_cost` to the
    squared distance from a level, and nothing to that from another such value.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> schema = make_schema(target="y", numbers=["a"], categories=["c"])
    >>> encode_features(pd.DataFrame({"a": [2], "c": [1]}), {"c": (0, 1)}, schema).to_numpy().tolist()
    [[2.0, -1.0, 1.0]]
    """
    if not (np.isfinite(mismatch_cost) and mismatch_cost >= 0):
        message = f"mismatch_cost is {mismatch_cost!r}. It must be a finite number of at least 0, such as 8."
        raise ParameterError(message)
    high = float(np.sqrt(mismatch_cost / MISMATCH_COST))
    encoded: dict[str, NDArray[np.float64]] = {}
    for name in schema.numbers:
        values = age_in_years(table[name], reference_year) if name in schema.years else table[name]
        encoded[name] = values.to_numpy(dtype=np.float64)
    for name in schema.categories:
        given = table[name]
        codes = (given.astype(object).where(given.notna(), None) if given.isna().any() else given).to_numpy()
        for level in levels[name]:
            encoded[f"{name}_{level}"] = np.where(codes == level, high, -high)
    return pd.DataFrame(encoded)


def target_values(table: pd.DataFrame, schema: Schema) -> NDArray[Any]:
    """Return the column to predict.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A checked table.
    schema : Schema
        The columns.

    Returns
    -------
    ndarray of shape (n_rows,)
        The target as float64, in its own unit; labels as they are.

    See Also
    --------
    encode_features : The columns to predict from.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> target_values(pd.DataFrame({"a": [1], "y": [2]}), make_schema(target="y", numbers=["a"]))
    array([2.])
    """
    return table[schema.target].to_numpy(dtype=None if schema.classifies else np.float64)
