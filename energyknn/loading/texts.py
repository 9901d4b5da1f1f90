"""Read a table that is text: its encoding, its separators and its decimal signs are found out.

Only the first part of a file is looked at. The encoding must hold for the whole file, or the file is refused.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from energyknn.errors import DataFileError
from energyknn.loading.content import FileContent
from energyknn.loading.encodings import Encoding, list_encodings
from energyknn.loading.names import MISSING, check_names, fill_names, find_alike
from energyknn.loading.sources import Source

_SURPLUS = "\0surplus"  # a column for what ends with a separator; a value in it is one too many
_LONGEST_HEADER = 1 << 20  # bytes
_SAMPLE = 1 << 16  # characters
_SAMPLE_ROWS = 500
_SEPARATORS = ",;\t|"
_SHOWN = {",": "commas", "\t": "tabs", " ": "blanks"}
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
_HINT = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a table is written as text.

    `decimal` is empty where no number tells. `n_skipped` counts the lines above the header, and `n_first` the cells of
    the row below it.
    """

    names: list[str]
    sep: str
    decimal: str
    n_skipped: int
    n_first: int

    @property
    def note(self) -> str:
        """What to say of it; nothing where cells are separated by commas and numbers have decimal points."""
        said = []
        if self.sep != ",":
            said.append(f"cells are separated by {_SHOWN.get(self.sep, repr(self.sep))}")
        if self.decimal == ",":
            said.append("numbers have decimal commas")
        text = " and ".join(said)
        return f"{text[0].upper()}{text[1:]}." if said else ""


def read_text(
    source: Source, texts: Collection[str], *, sep: str | None, decimal: str | None, encoding: str | None
) -> FileContent:
    """Read every column of a table that is text, and say what was found out."""
    with source.open() as stream:
        start = stream.read(_LONGEST_HEADER)
    failure: UnicodeDecodeError | None = None
    for found in list_encodings(source, start, encoding):
        try:
            dialect = find_dialect(
                _decode_start(start, found),
                source.name,
                is_whole=len(start) < _LONGEST_HEADER,
                sep=sep,
                decimal=decimal,
            )
            kept = find_alike(dialect.names, texts)
            table = _read(source, found, dialect, kept)
        except UnicodeDecodeError as error:
            failure = error
        else:
            notes = (found.note, dialect.note, *read_grouped(table, kept, dialect, decimal))
            return FileContent(table, tuple(note for note in notes if note))
    message = f"{source.name!r} is not {found.label} ({failure}). Name its encoding."
    raise DataFileError(message) from failure


def _decode_start(start: bytes, encoding: Encoding) -> str:
    """Return the start of a file as text, without a character that is cut off at its end."""
    decoder = codecs.getincrementaldecoder(encoding.codec)(encoding.errors)
    return decoder.decode(start, final=len(start) < _LONGEST_HEADER)


def _read(source: Source, encoding: Encoding, dialect: Dialect, kept: Collection[str]) -> pd.DataFrame:
    """Read every column.

    Where rows are longer than the header, pandas takes their first cells for names of rows. So where the first row is
    one cell longer, that cell gets a column, which must stay empty: the rows end with a separator.
    """
    n_names = len(dialect.names)
    names = [*dialect.names, *[_SURPLUS] * (dialect.n_first == n_names + 1)]
    if dialect.n_first > n_names + 1:
        raise _make_width_error(source.name, n_names)
    with source.open() as file:
        table: pd.DataFrame = pd.read_csv(
            file,
            sep=dialect.sep,
            names=names,
            header=0,
            skiprows=dialect.n_skipped,
            keep_default_na=False,
            na_values=dict.fromkeys(set(names).difference(kept), MISSING),
            dtype=dict.fromkeys(kept, str),
            decimal=dialect.decimal or ".",
            low_memory=False,
            encoding=encoding.codec,
            encoding_errors=encoding.errors,
        )
    if not isinstance(table.index, pd.RangeIndex) or (_SURPLUS in table and table.pop(_SURPLUS).notna().any()):
        raise _make_width_error(source.name, n_names)
    return table


def _make_width_error(source: str, n_names: int) -> DataFileError:
    """Return the error for rows that are longer than the header."""
    message = f"{source!r} has rows with more cells than the header's {n_names}. Quote cells that hold separators."
    return DataFileError(message)


def find_dialect(
    text: str, source: str, *, is_whole: bool = True, sep: str | None = None, decimal: str | None = None
) -> Dialect:
    r"""Find out how a table is written, from the start of its text.

    Examples
    --------
    >>> find_dialect("area;price\n70;1,5\n", "homes.csv").note
    "Cells are separated by ';' and numbers have decimal commas."
    """
    if not is_whole:
        text = _cut_last_line(text)
        if not text:
            message = f"{source!r} has no end of a line in its first {_LONGEST_HEADER:,} bytes. It needs a header line."
            raise DataFileError(message)
    hint = _HINT.match(text)
    text = text[hint.end() :] if hint else text
    sample = text if len(text) <= _SAMPLE else _cut_last_line(text[:_SAMPLE])
    sep = _check_sep(sep) or (hint[1] if hint else _find_separator(sample))
    names = next(_read_rows(text, sep), None)
    if names is None:
        message = f"{source!r} is empty. It needs a header line and rows."
        raise DataFileError(message)
    rows = list(islice(_read_rows(sample, sep), 1, _SAMPLE_ROWS))
    n_first = len(next(islice(_read_rows(text, sep), 1, 2), []))
    names = fill_names(names)
    check_names(names, source)
    decimal = _check_decimal(decimal) or _find_decimal(rows, len(names))
    return Dialect(names, sep, decimal, int(hint is not None), n_first)


def _check_sep(sep: str | None) -> str | None:
    """Require one character between cells. A tab may be written as a word, as in a shell."""
    sep = {"\\t": "\t", "tab": "\t"}.get(sep, sep) if sep else None
    if sep and (len(sep) > 1 or sep in '"\n\r\0'):
        message = f"The separator is {sep!r}. It must be one character, such as ';'."
        raise DataFileError(message)
    return sep


def _check_decimal(decimal: str | None) -> str | None:
    """Require a decimal point or comma."""
    if decimal not in (None, ".", ","):
        message = f"The decimal sign is {decimal!r}. It must be '.' or ','."
        raise DataFileError(message)
    return decimal


def _cut_last_line(text: str) -> str:
    """Leave out the last line, which may be cut off."""
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1]


def _read_rows(text: str, sep: str) -> Iterator[list[str]]:
    """Read the rows that are not empty."""
    return (cells for cells in csv.reader(io.StringIO(text, newline=""), delimiter=sep) if cells)


def _find_separator(sample: str) -> str:
    """Find what separates cells: it is in each row as often as in the header, and the others are not in the cells."""
    best, found = (0.0, 0.0, 0), ","
    for sep in _SEPARATORS:
        header, *rows = [*islice(_read_rows(sample, sep), _SAMPLE_ROWS)] or [[""]]
        if len(header) > 1:
            even = [row for row in rows if len(row) == len(header)]
            share = len(even) / len(rows) if rows else 1.0
            cells = [cell for row in even for cell in row] or header
            score = (share, sum(map(_is_clean, cells)) / len(cells), len(header))
            best, found = max((best, found), (score, sep), key=lambda pair: pair[0])
    return found


def _is_clean(cell: str) -> bool:
    """Tell whether a cell holds no separator but that of decimals."""
    return not any(sep in cell for sep in _SEPARATORS) or _NUMBER.fullmatch(cell) is not None


def _find_decimal(rows: list[list[str]], n_columns: int) -> str:
    """Find whether columns of numbers have decimal points or commas; nothing where no number tells."""
    counts = dict.fromkeys(_GRAMMARS, 0)
    for cells in zip(*(row for row in rows if len(row) == n_columns), strict=True):
        numbers = [cell.strip() for cell in cells if cell.strip() not in MISSING]
        if not numbers or not all(map(_NUMBER.fullmatch, numbers)):
            continue
        for decimal, grammar in _GRAMMARS.items():
            other = _GRAMMARS[_OTHER[decimal]]
            fits = all(map(grammar.fullmatch, numbers))
            counts[decimal] += fits and not all(map(other.fullmatch, numbers))
    return "" if not any(counts.values()) else max(counts, key=lambda decimal: counts[decimal])


def read_grouped(table: pd.DataFrame, kept: Collection[str], dialect: Dialect, given: str | None) -> list[str]:
    """Turn columns of numbers with grouped digits, as in 1,234.5, into numbers, and say so. It changes the table."""
    grammars = {given: _GRAMMARS[given]} if given else _GRAMMARS
    notes = []
    for name in table.columns:
        values = table[name]
        if name in kept or not isinstance(values.dtype, pd.StringDtype):
            continue
        present = values.dropna()
        if not len(present) or not present.head(50).str.strip().str.fullmatch(_NUMBER.pattern).all():
            continue
        present = present.str.strip()
        fits = [decimal for decimal, grammar in grammars.items() if present.str.fullmatch(grammar.pattern).all()]
        likely = dialect.decimal or ("." if dialect.sep == "," else "")
        decimal = fits[0] if len(fits) == 1 else likely if likely in fits else ""
        if decimal:
            plain = values.str.replace(_GROUPS[decimal], "", regex=True).str.replace(",", ".")
            table[name] = pd.to_numeric(plain)
            telling = present[~present.str.isdigit()]
            row = (telling if len(telling) else present).index[0]
            notes.append(f"{name!r} holds numbers such as {values[row]!r}, which is {table[name][row]:.12g}.")
    return notes
