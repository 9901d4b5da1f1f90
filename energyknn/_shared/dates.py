"""Years of dates, however they are written."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from pandas.api import types

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    r"(?P<a>\d{4})(?:[-/.]\d{1,2}){0,2}(?:[T ]\d{1,2}:.*)?"
    r"|(?:\d{1,2}[-/.]){1,2}(?P<b>\d{4})(?: \d{1,2}:.*)?"
    rf"|(?:\d{{1,2}}\.? )?{_MONTH} (?:\d{{1,2}},? )?(?P<c>\d{{4}})",
    re.IGNORECASE,
)


def read_years(values: pd.Series) -> pd.Series:
    """Return the years of dates as float64: numbers as they are, and NaN where a value is neither.

    Examples
    --------
    >>> read_years(pd.Series(["1999-03-01", "3.4.2001", "1987", "long ago"])).tolist()
    [1999.0, 2001.0, 1987.0, nan]
    """
    if types.is_datetime64_any_dtype(values.dtype) or isinstance(values.dtype, pd.PeriodDtype):
        return pd.Series(values.dt.year, dtype=np.float64)
    if not (types.is_object_dtype(values.dtype) or types.is_string_dtype(values.dtype)):
        return pd.Series(np.nan, index=values.index)
    texts = values.astype("str")
    parts = texts.str.strip().str.extract(f"^(?:{_DATE.pattern})$", flags=re.IGNORECASE)
    written = parts["a"].fillna(parts["b"]).fillna(parts["c"]).astype(np.float64)
    dated = pd.Series([getattr(value, "year", np.nan) for value in values], index=values.index, dtype=np.float64)
    return dated.fillna(written).fillna(pd.to_numeric(texts, errors="coerce"))
