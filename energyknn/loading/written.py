"""Numbers that are written for people: with grouped digits, a unit, or a mark where a cell is empty."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn.loading.names import MISSING

CURRENCY = r"(?:[$€£¥₹]|(?:US|CA|AU|HK)\$|EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CAD|AUD)"
_SIGNS = rf"%|‰|{CURRENCY}"
_UNITS = rf"{_SIGNS}|°[CF]?|[^\W\d_]{{1,3}}[²³]?"
_NUMBER = re.compile(r"[+-]?\d[\d.,' \u00a0\u202f]*(?:[eE][+-]?\d+)?|[+-]?[.,]\d+(?:[eE][+-]?\d+)?")
_GRAMMARS = {
    point: re.compile(
        rf"[+-]?(?:\d+|[1-9]\d{{0,2}}(?:[{group}' \u00a0\u202f]\d{{3}})+)?(?:\{point}\d*)?(?:[eE][+-]?\d+)?"
    )
    for point, group in ((".", ","), (",", "."))
}
"""Numbers by their decimal sign. Digits are grouped by the other sign, by an apostrophe or by a blank."""
_GROUPS = {".": "[,' \u00a0\u202f]", ",": "[.' \u00a0\u202f]"}
_OTHER = {".": ",", ",": "."}
_UNKNOWN = re.compile(r"\?+|#?n/a|n\.\s?a\.|[-\u2013\u2014]{1,3}", re.IGNORECASE)
"""An empty cell in any column. A "-" beside a "+" is a level."""
_MARK = re.compile(r"[^\w\s]{1,3}|#[A-Z0-9/]+[!?]?|(?i:n\.?/?a\.?|n/d|nil|none|null|nan|missing|unknown|k\.\s?a\.)")
"""An empty cell among numbers: signs such as "-" and "..", an error of Excel, or a word."""
_SAMPLE = 50  # cells that tell whether to look at all


class Written(NamedTuple):
    """Numbers that were written as text, and the marks of empty cells among them by how often they come."""

    numbers: pd.Series
    marks: dict[str, int]


def is_number(cell: str) -> bool:
    """Tell whether text is a number, with any decimal sign and grouping.

    Examples
    --------
    >>> is_number("1.234,5"), is_number("5 kg")
    (True, False)
    """
    return _NUMBER.fullmatch(cell) is not None


def find_decimal(columns: Collection[Collection[str]]) -> str:
    """Find whether columns of numbers have decimal points or commas; nothing where no number tells.

    Examples
    --------
    >>> find_decimal([["1,5 €", "2,25 €"], ["Ulm", "Bonn"]])
    ','
    """
    counts = dict.fromkeys(_GRAMMARS, 0)
    for cells in columns:
        numbers = [cell for cell in map(_strip_unit, cells) if cell not in MISSING and not _MARK.fullmatch(cell)]
        if not numbers or not all(map(is_number, numbers)):
            continue
        for decimal, grammar in _GRAMMARS.items():
            other = _GRAMMARS[_OTHER[decimal]]
            fits = all(map(grammar.fullmatch, numbers))
            counts[decimal] += fits and not all(map(other.fullmatch, numbers))
    return "" if not any(counts.values()) else max(counts, key=lambda decimal: counts[decimal])


def _strip_unit(cell: str) -> str:
    """Return a cell without a sign of a unit."""
    return re.sub(rf"\s?(?:{_SIGNS})$", "", re.sub(rf"^([+-]?)\s?{CURRENCY}\s?", r"\1", cell.strip()))


def read_written(
    table: pd.DataFrame, kept: Collection[str], *, decimal: str | None = None, likely: str = ""
) -> list[str]:
    """Turn columns of written numbers into numbers, and marks such as "?" into missing cells. It changes the table.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        What was read.
    kept : collection of str
        Columns that stay text.
    decimal : {".", ","} or None
        The decimal sign that the user names.
    likely : {".", ",", ""}
        The decimal sign where a column itself does not tell.

    Returns
    -------
    list of str
        What was changed, a sentence each.
    """
    notes = []
    for name in table.columns:
        values = table[name]
        if name in kept or not _may_be_written(values):
            continue
        found = read_numbers(values, decimal=decimal, likely=likely) or _drop_unknown(values)
        if found is None:
            continue
        table[name] = found.numbers
        notes += [*_describe_numbers(name, values, found), *_describe_marks(name, found.marks)]
    return notes


def _may_be_written(values: pd.Series) -> bool:
    """Tell whether a column holds text, alone or among numbers."""
    if isinstance(values.dtype, pd.StringDtype):
        return True
    kinds = set(map(type, values.dropna())) if values.dtype == object else set()
    return str in kinds and kinds <= {str, int, float}


def _describe_numbers(name: str, values: pd.Series, found: Written) -> list[str]:
    """Say what one of the numbers is, one whose writing tells."""
    texts = values[found.numbers.notna() & values.map(lambda value: isinstance(value, str))]
    if not len(texts) or not pd.api.types.is_numeric_dtype(found.numbers.dtype):
        return []
    telling = texts[~texts.str.strip().str.fullmatch(r"-?\d+(?:\.\d+)?")]
    if not len(telling):
        return []
    row = telling.index[0]
    return [f"{name!r} holds numbers such as {values[row]!r}, which is {found.numbers[row]:.12g}."]


def _describe_marks(name: str, marks: dict[str, int]) -> list[str]:
    """Say which cells are taken for empty ones."""
    if not marks:
        return []
    n_cells = sum(marks.values())
    return [
        f"{name!r}: {', '.join(map(repr, marks))} is taken for an empty cell, in {n_cells:,} "
        f"{'row' if n_cells == 1 else 'rows'}."
    ]


def _drop_unknown(values: pd.Series) -> Written | None:
    """Take marks such as "?" and "-" for missing cells in a column of text."""
    texts = values.str.strip()
    counts = texts[texts.str.fullmatch(_UNKNOWN.pattern, flags=re.IGNORECASE) == True].value_counts()  # noqa: E712 - NaN
    marks = {str(mark): int(n) for mark, n in counts.items() if mark != "-" or not (texts == "+").any()}
    return Written(values.where(~texts.isin(list(marks))), marks) if marks else None


def read_numbers(
    values: pd.Series, *, decimal: str | None = None, likely: str = "", any_unit: bool = False
) -> Written | None:
    """Read text as numbers, if all cells are numbers with one unit, or marks of empty cells.

    Parameters
    ----------
    values : Series of shape (n_rows,)
        Text, alone or among numbers.
    decimal, likely : str
        As for `read_written`.
    any_unit : bool, default=False
        Whether any short word may be a unit, as in "60 kg", and not only a percent sign or a currency.

    Returns
    -------
    Written or None
        None where a cell is no number, units differ, text has leading zeros as codes do, or the decimal sign is not
        certain.

    Examples
    --------
    >>> read_numbers(pd.Series(["$1,200.50", "-$3", "?"])).numbers.tolist()
    [1200.5, -3.0, nan]
    >>> read_numbers(pd.Series(["60 kg", "72 kg"])), read_numbers(pd.Series(["02139", "10001"]))
    (None, None)
    """
    unit = _UNITS if any_unit else _SIGNS
    cell = rf"\(?[+-]?\s?(?:{CURRENCY})?\s?(?:{_NUMBER.pattern})\s?(?:{unit})?\)?|{_MARK.pattern}"
    if not _find_texts(values.dropna().head(_SAMPLE))[1].str.fullmatch(cell).all():
        return None
    is_text, texts = _find_texts(values)
    if not len(texts) or not texts.str.fullmatch(cell).all():
        return None
    is_mark = texts.str.fullmatch(_MARK.pattern)
    marks, texts = {str(mark): int(n) for mark, n in texts[is_mark].value_counts().items()}, texts[~is_mark]
    texts = texts.str.replace(r"^\((.+)\)$", r"-\1", regex=True)  # as accountants write what is below 0
    before = texts.str.extract(rf"^[+-]?\s?({CURRENCY})", expand=False).fillna("")
    after = texts.str.extract(rf"\d[.,]?\s?({unit})$", expand=False).fillna("")
    if len(before.unique()) > 1 or len(after.unique()) > 1:
        return None
    texts = texts.str.replace(rf"^([+-]?)\s?{CURRENCY}\s?", r"\1", regex=True)
    texts = texts.str.replace(rf"(\d[.,]?)\s?(?:{unit})$", r"\1", regex=True)
    point = _choose_decimal(texts, [decimal] if decimal else [*_GRAMMARS], likely)
    if not point or texts.str.fullmatch(r"[+-]?0\d+").any():
        return None
    plain = texts.str.replace(_GROUPS[point], "", regex=True).str.replace(",", ".")
    read = pd.to_numeric(plain, errors="coerce").reindex(values.index)
    numbers = read.where(is_text, pd.to_numeric(values.where(~is_text), errors="coerce"))
    if not numbers.notna().any():
        return None
    whole = numbers.notna().all() and bool((numbers % 1 == 0).all()) and bool(numbers.abs().max() < 2**53)
    return Written(numbers.astype(np.int64) if whole else numbers, marks)


def _find_texts(values: pd.Series) -> tuple[NDArray[np.bool_], pd.Series]:
    """Return which values are text, and those of them that are not empty, without blanks around."""
    is_text = values.map(lambda value: isinstance(value, str)).to_numpy(dtype=bool)
    texts = values[is_text].astype("str").str.strip().str.replace("\N{MINUS SIGN}", "-")
    return is_text, texts[~texts.isin(MISSING)]


def _choose_decimal(texts: pd.Series, known: Collection[str], likely: str) -> str:
    """Return the decimal sign by which all texts are numbers; nothing where it is not certain."""
    fits = [decimal for decimal in known if texts.str.fullmatch(_GRAMMARS[decimal].pattern).all()]
    if len(fits) > 1 and not texts.str.contains("[.,]").any():
        return fits[0]
    return fits[0] if len(fits) == 1 else likely if likely in fits else ""
