"""Check a table against a schema: every rule that is broken is named with its column and rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn._shared.dates import has_short_years, read_years
from energyknn.errors import DataFileError
from energyknn.loading.content import FileContent
from energyknn.loading.names import SHOWN, check_names, describe_missing, shorten
from energyknn.loading.written import read_numbers
from energyknn.schema import TARGETS, Column, Schema

Missing = Literal["refuse", "keep"]
_ABSENT = "missing (NaN)"


def check_table(
    table: pd.DataFrame,
    schema: Schema,
    *,
    latest_year: int | None = None,
    with_target: bool = True,
    missing: Missing = "refuse",
    source: str = "table",
) -> pd.DataFrame:
    """Check a table against the schema.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A table from a file or a script. It is not changed.
    schema : Schema
        The columns to check. Other columns of the table are ignored.
    latest_year : int or None, default=None
        Last calendar year that a year column may hold. None sets no limit.
    with_target : bool, default=True
        Whether the target is required. Use False for rows to predict.
    missing : {"refuse", "keep"}, default="refuse"
        Whether a missing number, year or category breaks a rule. A missing target always does. A table with kept ones
        can be filled by `energyknn.filling.apply_fills`.
    source : str, default="table"
        What messages call the table.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The schema's columns in the schema's order. Numbers and the target are int64 or float64, text is str, and
        categories and labels are as in the table. Rows are numbered from 0.

    Raises
    ------
    DataFileError
        If a column is missing, there is no row, or any value breaks a rule.

    See Also
    --------
    load_table : Read and check a file.

    Examples
    --------
    >>> from energyknn.schema import Column, Schema
    >>> schema = Schema((Column("area", "number", minimum=0), Column("price", "target")))
    >>> check_table(pd.DataFrame({"area": ["70"], "price": [2.5], "town": ["Bonn"]}), schema).to_dict("list")
    {'area': [70], 'price': [2.5]}
    """
    return check_content(
        FileContent(table), schema, latest_year=latest_year, with_target=with_target, missing=missing, source=source
    ).table


def check_content(
    content: FileContent,
    schema: Schema,
    *,
    latest_year: int | None = None,
    with_target: bool = True,
    missing: Missing = "refuse",
    source: str = "table",
) -> FileContent:
    """Check what was read from a file against the schema, as `check_table` does, and note what was converted.

    Returns
    -------
    FileContent
        The checked table, and the notes of the content with those of the conversions.

    See Also
    --------
    read_file : Reads the content.
    check_table : Checks a table, and states the parameters.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> table = pd.DataFrame({"built": ["1999-05-01", "2004"], "price": [2, 3]})
    >>> checked = check_content(FileContent(table), make_schema(target="price", years=["built"]))
    >>> checked.table["built"].tolist(), checked.notes
    ([1999, 2004], ("Of the dates in 'built' the year is used.",))
    """
    table = content.table
    wanted = [column for column in schema.columns if with_target or column.role not in TARGETS]
    lacking = [column.name for column in wanted if column.required and column.name not in table]
    if lacking:
        message = f"{source!r}: {describe_missing(lacking, content.columns)} Name its columns by make_schema."
        raise DataFileError(message)
    check_names([name for name in table.columns if name in schema.names], source)
    if len(table) == 0:
        message = f"{source!r}: no rows below the header. It needs at least one row."
        raise DataFileError(message)
    table = table.reset_index(drop=True)
    present = [column for column in wanted if column.name in table]
    checked = {column.name: _as_role(table[column.name], column) for column in present}
    problems: list[str] = []
    for column in present:
        found = _find_problems(table[column.name], checked[column.name], column, latest_year)
        problems += [
            problem for what, problem in found if what != _ABSENT or missing == "refuse" or column.role in TARGETS
        ]
    if problems:
        message = f"{source!r}: {'; '.join(problems)}. Rows count from 0 below the header. Mend or drop them."
        raise DataFileError(message)
    notes = [
        f"Of the dates in {column.name!r} the year is used."
        + " Of two digits it lies between 1969 and 2068." * has_short_years(table[column.name])
        for column in present
        if column.role == "year" and _holds_dates(table[column.name])
    ]
    return FileContent(pd.DataFrame(checked), (*content.notes, *notes), content.columns)


def _as_role(values: pd.Series, column: Column) -> pd.Series:
    """Convert a column to the type of its role. Values that are not numbers become missing."""
    if column.role == "text":
        return values.fillna("").astype(str)
    if column.role == "label" or (column.role == "category" and not _is_coded(column)):
        return values
    if values.dtype == bool:
        return values.astype(np.int64)
    if column.role == "year" and not pd.api.types.is_numeric_dtype(values.dtype):
        years = read_years(values)
        return years if years.isna().any() else years.astype(np.int64)
    if _holds_times(values) or pd.api.types.is_complex_dtype(values):
        return pd.Series(np.nan, index=values.index)  # a date would become nanoseconds
    try:
        numbers = pd.to_numeric(values, errors="coerce")
    except OverflowError:  # whole numbers beyond float64, which as text become infinite
        return pd.to_numeric(values.astype(str), errors="coerce")
    is_written = column.role in ("number", "target") and (numbers.isna() & values.notna()).any()
    written = read_numbers(values, any_unit=True) if is_written else None
    return numbers if written is None or written.marks else written.numbers


def _holds_times(values: pd.Series) -> bool:
    """Tell whether values are points in time, periods or durations."""
    kinds = (pd.api.types.is_datetime64_any_dtype, pd.api.types.is_timedelta64_dtype)
    return isinstance(values.dtype, pd.PeriodDtype) or any(tells(values) for tells in kinds)


def _holds_dates(years: pd.Series) -> bool:
    """Tell whether values in a checked column of years were dates, and not numbers."""
    if pd.api.types.is_numeric_dtype(years.dtype):
        return False
    return bool((pd.to_numeric(years.astype(str), errors="coerce").isna() & years.notna()).any())


def _is_coded(column: Column) -> bool:
    """Return whether the levels of a category are whole numbers."""
    return bool(column.levels) and all(isinstance(level, int) for level in column.levels)


_NAME_CATEGORY = " (name a category by --categories)"
"""What to do where most values are text."""


def _find_problems(
    raw: pd.Series, values: pd.Series, column: Column, latest_year: int | None
) -> Iterator[tuple[str, str]]:
    """Yield each rule that a column's values break, and a clause about it."""
    if column.role == "text":
        return
    absent = raw.isna().to_numpy()
    unreadable = values.isna().to_numpy() & ~absent
    infinite = outside = np.zeros(len(values), dtype=bool)
    rule = f"outside its levels {_list_levels(column)}"
    if column.role not in ("category", "label"):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        infinite = np.isinf(numbers)
        outside, rule = _outside_range(numbers, column, latest_year)
    elif column.levels:
        outside = ~values.isin([*column.levels, *column.unknown]).to_numpy() & ~absent & ~unreadable
    kind = "a date" if _holds_times(raw) else "text"
    advice = _NAME_CATEGORY if kind == "text" and 2 * unreadable.sum() > len(values) else ""
    for broken, what in (
        (absent, _ABSENT),
        (unreadable, f"{kind} where a number belongs{advice}"),
        (infinite, "infinite"),
        (outside & ~infinite, rule),
    ):
        if broken.any():
            yield what, f"column {column.name!r} is {what} in {_name_rows(raw, broken)}"


def _outside_range(
    numbers: NDArray[np.float64], column: Column, latest_year: int | None
) -> tuple[NDArray[np.bool_], str]:
    """Find the values outside of a column's range, and name the range."""
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    if column.role == "year" and latest_year is not None:
        high = min(high, latest_year)
    fractional = (numbers != np.floor(numbers)) if column.role == "year" else np.zeros(len(numbers), dtype=bool)
    with np.errstate(invalid="ignore"):
        broken = (numbers < low) | (numbers > high) | (fractional & np.isfinite(numbers))
    ends = (
        f"below {low:g}" if np.isinf(high) else f"above {high:g}" if np.isinf(low) else f"outside {low:g} to {high:g}"
    )
    return broken, ends + (" or no whole year" if fractional.any() else "")


def _list_levels(column: Column) -> str:
    """Name the levels of a category, or the first and the last of many."""
    levels = [*column.unknown, *column.levels]
    return ", ".join(map(str, levels)) if len(levels) <= 4 else f"{levels[0]} to {levels[-1]}"


def _name_rows(raw: pd.Series, broken: NDArray[np.bool_]) -> str:
    """Count the rows that break a rule, and show the first of them."""
    rows = np.flatnonzero(broken)
    shown = ", ".join(f"row {row}: {shorten(raw.iloc[row])}" for row in rows[:SHOWN])
    more = f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else ""
    return f"{len(rows)} {'row' if len(rows) == 1 else 'rows'} ({shown}{more})"
