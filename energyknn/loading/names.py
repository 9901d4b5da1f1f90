"""The names of columns: few enough, each once, and matched to those that are asked for; and missing cells."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

import pandas as pd

from energyknn.errors import DataFileError

SHOWN = 5
MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>"]
"""How missing cells of columns that are no text are written."""
_MOST_COLUMNS = 10_000
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200c\u200d\u2060"))
_LISTED = 12


def check_names(names: Sequence[str], source: str) -> None:
    """Require few enough columns, each with its own name."""
    if len(names) > _MOST_COLUMNS:
        message = f"{source!r} has {len(names):,} columns. At most {_MOST_COLUMNS:,} are read: leave out the others."
        raise DataFileError(message)
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        shown = ", ".join(map(shorten, twice[:SHOWN])) + (f" and {len(twice) - SHOWN} more" if twice[SHOWN:] else "")
        message = f"{source!r}: column named twice: {shown}. Rename or drop one of each."
        raise DataFileError(message)


def fill_names(names: Sequence[str]) -> list[str]:
    """Call columns without a name "Unnamed: 0" and so on, as pandas does."""
    return [name if name.strip() else f"Unnamed: {place}" for place, name in enumerate(names)]


def match_names(names: Sequence[str], wanted: Sequence[str], source: str) -> dict[str, str]:
    """Return what each column that is asked for is called in the file, in the file's order.

    A name counts as the same if it differs only in case, in blanks and ends of lines, or in invisible characters.
    """
    found = {name: name for name in wanted if name in set(names)}
    alike: dict[str, list[str]] = {}
    for name in names:
        if name not in found:
            alike.setdefault(_fold(name), []).append(name)
    for name in dict.fromkeys(wanted):
        candidates = alike.get(_fold(name), [])
        if name in found or not candidates:
            continue
        if len(candidates) > 1:
            message = f"{source!r}: column {name!r} may be {' or '.join(map(repr, candidates))}. Rename the right one."
            raise DataFileError(message)
        found[name] = candidates[0]
    called = {file_name: name for name, file_name in found.items()}
    return {called[name]: name for name in names if name in called}


def find_alike(names: Sequence[str], wanted: Collection[str]) -> set[str]:
    """Find the names that are the same as those that are asked for, but for case, blanks around and the invisible."""
    folded = {_fold(name) for name in wanted}
    return {name for name in names if _fold(name) in folded}


def keep_texts(table: pd.DataFrame, texts: Collection[str]) -> pd.DataFrame:
    """Turn columns into text, with an empty text for a missing cell. It changes the table."""
    for name in find_alike(list(table.columns), texts):
        table[name] = table[name].astype(object).where(table[name].notna(), "").astype(str)
    return table


def describe_matches(matches: dict[str, str]) -> list[str]:
    """Say which names were matched to others."""
    return [f"{name!r} is read as {wanted!r}." for wanted, name in matches.items() if wanted != name]


def describe_missing(missing: Sequence[str], columns: Sequence[str]) -> str:
    """Say which columns are missing, what the file has, and which name may be meant."""
    text = f"missing {'column' if len(missing) == 1 else 'columns'} {', '.join(map(repr, missing))}. "
    text += f"It has {list_some(map(shorten, columns))}." if columns else "It has no columns."
    meant = {name: close[0] for name in missing if (close := _find_close(name, columns))}
    if meant:
        text += f" Did you mean {', '.join(f'{name!r} for {wanted!r}' for wanted, name in meant.items())}?"
    return text


def list_some(parts: Iterable[str]) -> str:
    """Return the first parts with commas between them, and how many more there are.

    Examples
    --------
    >>> list_some(map(str, range(300)))
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 288 more'
    """
    listed = list(parts)
    more = f" and {len(listed) - _LISTED:,} more" if len(listed) > _LISTED else ""
    return ", ".join(listed[:_LISTED]) + more


def shorten(value: object) -> str:
    """Return a value as text, cut off if it is long."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    return str(value)


def _fold(name: str) -> str:
    return " ".join(name.translate(_INVISIBLE).split()).casefold()


def _find_close(name: str, columns: Sequence[str]) -> list[str]:
    """Find the column whose name is the most like another."""
    folded = {_fold(column): column for column in columns}
    return [folded[close] for close in difflib.get_close_matches(_fold(name), list(folded), n=1, cutoff=0.75)]
