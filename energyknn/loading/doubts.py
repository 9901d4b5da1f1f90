"""What a reader doubts and leaves as it is: numbers that may mean missing, and a last row that may be a sum."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from energyknn.loading.names import list_some, shorten

_FEWEST = 3  # rows that hold a code
_FEWEST_OTHERS = 3  # other values
_CODE = re.compile(r"99+")  # digits of what often means missing
_SUM = re.compile(
    r"(?:grand )?totals?|sub-?total|sum|average|mean|(?:gesamt)?summe|gesamt|insgesamt|mittelwert|totale|somme|suma",
    re.IGNORECASE,
)


def list_doubts(table: pd.DataFrame) -> list[str]:
    """Name what may be no value and no row, with what to do about it. Nothing is changed.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        What was read.

    Returns
    -------
    list of str
        A sentence or two for each doubt.

    Examples
    --------
    >>> list_doubts(pd.DataFrame({"rain": [1.5, 2, -999, -999, 0, -999, 4, 3], "town": [*"abcdefg", "Total"]}))
    ["-999 stands far from all else in 'rain' (3 rows, else 0 to 4). If it means missing, empty these cells.", \
"The last row is 'Total' in 'town'. If it sums the others up, leave it out of the file."]
    """
    return [*_list_codes(table), *_describe_sum(table)]


def _list_codes(table: pd.DataFrame) -> list[str]:
    """Name numbers that stand far from all else in several rows, each with its columns."""
    places: dict[str, list[str]] = {}
    for name, values in table.items():
        if not pd.api.types.is_numeric_dtype(values.dtype) or pd.api.types.is_bool_dtype(values.dtype):
            continue
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        numbers = numbers[np.isfinite(numbers)]
        for code in (np.min, np.max):
            while found := _find_code(numbers, float(code(numbers)) if len(numbers) else np.nan):
                value, n_rows, numbers = found
                ends = f"{numbers.min():.6g} to {numbers.max():.6g}"
                places.setdefault(f"{value:.12g}", []).append(f"{name!r} ({n_rows:,} rows, else {ends})")
    return [
        f"{value} stands far from all else in {list_some(named)}. If it means missing, empty these cells."
        for value, named in places.items()
    ]


def _find_code(numbers: np.ndarray, value: float) -> tuple[float, int, np.ndarray] | None:
    """Return an end of the numbers, in how many rows it stands, and the others, if it is far from all of them.

    Far is farther than the others are from one another. Of nines, such as -999, a quarter of that is far, and so is
    the only number below 0.
    """
    others = numbers[numbers != value]
    n_rows = len(numbers) - len(others)
    if n_rows < _FEWEST or n_rows > len(others) or len(np.unique(others[:1000])) < _FEWEST_OTHERS:
        return None
    low, high = others.min(), others.max()
    gap, spread = max(low - value, value - high), high - low
    is_nines = _CODE.fullmatch(f"{abs(value):.12g}") is not None
    is_far = gap > spread or (is_nines and (value < 0 <= low or gap > spread / 4))
    return (value, n_rows, others) if is_far else None


def _describe_sum(table: pd.DataFrame) -> list[str]:
    """Name the last row if it says that it sums the others up."""
    for name in table.columns:
        values = table[name]
        word = values.iloc[-1] if len(values) > 1 else None
        if isinstance(word, str) and _SUM.fullmatch(word.strip().rstrip(":")) and not (values.iloc[:-1] == word).any():
            return [f"The last row is {shorten(word)} in {name!r}. If it sums the others up, leave it out of the file."]
    return []
