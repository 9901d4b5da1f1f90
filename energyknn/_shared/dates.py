"""Years of dates, however they are written."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from pandas.api import types

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DAY, _MONTH_NUMBER = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])"
_DATE = re.compile(
    r"(?P<a>\d{4})(?:[-/.]\d{1,2}){0,2}(?:[T ]\d{1,2}:.*)?"
    r"|(?:\d{1,2}[-/.]){1,2}(?P<b>\d{4})(?: \d{1,2}:.*)?"
    rf"|(?:\d{{1,2}}(?:\.? |-))?{_MONTH}[ -](?:\d{{1,2}},? )?(?P<c>\d{{4}})",
    re.IGNORECASE,
)
_SHORT = re.compile(
    r"['\u2019](?P<a>\d{2})"
    rf"|{_DAY}(?P<s>[-/.]){_MONTH_NUMBER}(?P=s)(?P<b>\d{{2}})(?: \d{{1,2}}:.*)?"
    rf"|{_MONTH_NUMBER}(?P<t>[-/.]){_DAY}(?P=t)(?P<c>\d{{2}})(?: \d{{1,2}}:.*)?"
    rf"|{_DAY}(?:\.? |-){_MONTH}[ -]['\u2019]?(?P<d>\d{{2}})|{_MONTH}(?:-| ?['\u2019])(?P<e>\d{{2}})",
    re.IGNORECASE,
)
_FIRST_SHORT = 69  # as for %y of strptime: 69 is 1969, and 68 is 2068


def read_years(values: pd.Series) -> pd.Series:
    """Return the years of dates as float64: numbers as they are, and NaN where a value is neither.

    Two digits after an apostrophe, or at the end of a date, are a year from 1969 to 2068.

    Examples
    --------
    >>> read_years(pd.Series(["1999-03-01", "3.4.2001", "1987", "long ago", "'68", "12/31/69"])).tolist()
    [1999.0, 2001.0, 1987.0, nan, 2068.0, 1969.0]
    """
    if types.is_datetime64_any_dtype(values.dtype) or isinstance(values.dtype, pd.PeriodDtype):
        return pd.Series(values.dt.year, dtype=np.float64)
    if not (types.is_object_dtype(values.dtype) or types.is_string_dtype(values.dtype)):
        return pd.Series(np.nan, index=values.index)
    texts = values.astype("str")
    written = _extract(texts, _DATE).fillna(_lengthen(_extract(texts, _SHORT)))
    dated = pd.Series([getattr(value, "year", np.nan) for value in values], index=values.index, dtype=np.float64)
    return dated.fillna(written).fillna(pd.to_numeric(texts, errors="coerce"))


def has_short_years(values: pd.Series) -> bool:
    """Tell whether some of the dates have years of two digits.

    Examples
    --------
    >>> has_short_years(pd.Series(["12/31/1999"])), has_short_years(pd.Series(["12/31/99"]))
    (False, True)
    """
    if not (types.is_object_dtype(values.dtype) or types.is_string_dtype(values.dtype)):
        return False
    return bool(_extract(values.astype("str"), _SHORT).notna().any())


def _extract(texts: pd.Series, pattern: re.Pattern[str]) -> pd.Series:
    """Return the number that whole texts hold as their year, by a pattern with a group for each place."""
    parts = texts.str.strip().str.extract(f"^(?:{pattern.pattern})$", flags=re.IGNORECASE)
    found = parts["a"]
    for name in parts.columns.intersection([*"bcde"]):
        found = found.fillna(parts[name])
    return found.astype(np.float64)


def _lengthen(years: pd.Series) -> pd.Series:
    """Return years of two digits in full."""
    return years + np.where(years < _FIRST_SHORT, 2000, 1900)
