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
from energyknn.loading.headers import count_rows_above, describe_rows_above
from energyknn.loading.names import MISSING, check_names, fill_names, find_alike
from energyknn.loading.sources import Source
from energyknn.loading.written import find_decimal, is_number, read_written

_SURPLUS = "\0surplus"  # a column for what ends with a separator; a value in it is one too many
_LONGEST_HEADER = 1 << 20  # bytes
_SAMPLE = 1 << 16  # characters
_SAMPLE_ROWS = 500
_SEPARATORS = ",;\t|"
_SHOWN = {",": "commas", "\t": "tabs", " ": "blanks"}
_CODE = re.compile(r"0\d+")  # such as a postcode, whose first digit counts
_HEADER_NUMBER = re.compile(r"[+-]?\d*[.,]\d+")
_HINT = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """How a table is written as text.

    `decimal` is empty where no number tells. `n_skipped` counts the lines above the header, `title` is what is to be
    said of them, `n_first` counts the cells of the row below it, and `codes` are columns of digits with leading zeros.
    """

    names: list[str]
    sep: str
    decimal: str
    n_skipped: int
    n_first: int
    title: str = ""
    codes: tuple[str, ...] = ()

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

    @property
    def doubt(self) -> str:
        """What to say of a header that may be none."""
        number = next((name for name in self.names if _HEADER_NUMBER.fullmatch(name.strip())), None)
        if number is None:
            return ""
        return f"The header holds {number!r}, which is a number. If it is a row, write a line of names above it."


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
            likely = dialect.decimal or ("." if dialect.sep == "," else "")
            written = read_written(table, {*kept, *dialect.codes}, decimal=decimal, likely=likely)
            notes = (found.note, dialect.note, dialect.title, dialect.doubt, *written)
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
            sep=r"\s+" if dialect.sep == " " else dialect.sep,
            names=names,
            header=0,
            skiprows=dialect.n_skipped,
            keep_default_na=False,
            na_values=dict.fromkeys(set(names).difference(kept), MISSING),
            dtype=dict.fromkeys([*kept, *dialect.codes], str),
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
    rows = list(islice(_read_rows(text, sep), _SAMPLE_ROWS))
    n_above = count_rows_above(rows)
    title = describe_rows_above(rows[:n_above])
    header, *rows = [*filter(None, rows[n_above:])] or [[]]
    if not header:
        message = f"{source!r} is empty. It needs a header line and rows."
        raise DataFileError(message)
    n_first = len(rows[0]) if rows else 0
    if sep == " " and n_first == len(header) + 1:
        header = ["", *header]  # R writes names of rows so
    names = fill_names(header)
    check_names(names, source)
    columns = list(zip(*(row for row in rows if len(row) == len(names)), strict=True))
    return Dialect(
        names,
        sep,
        decimal=_check_decimal(decimal) or find_decimal(columns),
        n_skipped=n_above + int(hint is not None),
        n_first=n_first,
        title=title,
        codes=tuple(name for name, cells in zip(names, columns, strict=False) if _are_codes(cells)),
    )


def _are_codes(cells: Collection[str]) -> bool:
    """Tell whether cells are digits, and some begin with a zero, as numbers do not."""
    digits = [cell for cell in cells if cell not in MISSING]
    return any(map(_CODE.fullmatch, digits)) and all(cell.isdecimal() for cell in digits)


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
    """Read the rows. One of a blank line has no cells. Several blanks and tabs separate as one."""
    if sep == " ":
        text = re.sub(r"[ \t]+", " ", re.sub(r"^[ \t]+|[ \t]+$", "", text, flags=re.MULTILINE))
    return csv.reader(io.StringIO(text, newline=""), delimiter=sep)


def _find_separator(sample: str) -> str:
    """Find what separates cells: it is in each row as often as in the header, and the others are not in the cells.

    Blanks separate where nothing else does, the rows are as long as the header, and most of the cells are numbers.
    """
    best, found = (0.0, 0.0, 0), ","
    for sep in _SEPARATORS:
        header, rows = _take_sample(sample, sep)
        if len(header) > 1:
            even = [row for row in rows if len(row) == len(header)]
            share = len(even) / len(rows) if rows else 1.0
            cells = [cell for row in even for cell in row] or header
            score = (share, sum(map(_is_clean, cells)) / len(cells), len(header))
            best, found = max((best, found), (score, sep), key=lambda pair: pair[0])
    if best == (0.0, 0.0, 0):
        header, rows = _take_sample(sample, " ")
        cells = [cell for row in rows for cell in row]
        are_even = {len(row) for row in rows} in ({len(header)}, {len(header) + 1})
        if len(header) > 1 and are_even and 2 * sum(map(is_number, cells)) >= len(cells):
            return " "
    return found


def _take_sample(sample: str, sep: str) -> tuple[list[str], list[list[str]]]:
    """Return the header and the first rows that are not blank."""
    rows = list(islice(_read_rows(sample, sep), _SAMPLE_ROWS))
    header, *rows = [*filter(None, rows[count_rows_above(rows) :])] or [[""]]
    return header, rows


def _is_clean(cell: str) -> bool:
    """Tell whether a cell holds no separator but that of decimals."""
    return not any(sep in cell for sep in _SEPARATORS) or is_number(cell)
