"""Read a data file, CSV or Parquet, into a table that is checked against a schema.

A file may come from anybody. Its size in memory is bounded before it is read, an archive is never unpacked to disk, and
every failure is a `DataFileError` that names all offending columns.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn._shared.dates import read_years
from energyknn._shared.saving import PARQUET_ENDINGS, TABLE_ENDINGS
from energyknn.errors import DataFileError, import_extra
from energyknn.schema import TARGETS, Column, Schema

__all__ = ["check_table", "load_table", "sample_path"]

Missing = Literal["refuse", "keep"]

MAX_EXPANSION = 100.0
"""Largest ratio of decompressed to compressed size. For tables it is usually 3 to 20."""

_MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>"]
_ABSENT = "missing (NaN)"
_SHOWN = 5
_ALWAYS_ALLOWED = 1 << 26  # bytes that any compressed file may expand to
_LONGEST_HEADER = 1 << 20  # bytes
_MOST_COLUMNS = 10_000


def sample_path() -> Path:
    """Return the path of the sample: a CSV file of 2,000 synthetic tracks that is installed with the package.

    Returns
    -------
    Path
        An existing CSV file.

    Raises
    ------
    FileNotFoundError
        If the installation lacks the file.

    See Also
    --------
    load_table : Read it.

    Examples
    --------
    >>> sample_path().name
    'tracks.csv'
    """
    package = Path(str(files("energyknn")))
    for folder in (package / "data_sample", package.parent / "data_sample"):
        if (folder / "tracks.csv").is_file():
            return folder / "tracks.csv"
    message = f"No sample beside {package}: the installation is incomplete. Reinstall energyknn or name a data file."
    raise FileNotFoundError(message)


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits, in constant memory."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_table(
    path: str | Path,
    schema: Schema,
    *,
    latest_year: int | None = None,
    with_target: bool = True,
    max_expansion: float = MAX_EXPANSION,
) -> pd.DataFrame:
    """Read a data file and check it against the schema.

    Parameters
    ----------
    path : str or Path
        A `.csv` file, also compressed as `.gz`, `.zip` or `.zst`, or a `.parquet` file.
    schema : Schema
        The columns to read. Other columns of the file are ignored.
    latest_year : int or None, default=None
        Last calendar year that a year column may hold. None sets no limit.
    with_target : bool, default=True
        Whether the target is required. Use False for rows to predict.
    max_expansion : float, default=100
        Largest ratio of decompressed to compressed size. 64 MiB are always allowed. Raise it for a file that you trust.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The schema's columns in the schema's order. Numbers and the target are int64 or float64, text is str, and
        categories and labels are as in the file. Rows are as in the file, numbered from 0.

    Raises
    ------
    DataFileError
        If the file cannot be read, or any value breaks a rule. The message names all offending columns.
    ImportError
        If the file's format needs the extra `formats`.

    See Also
    --------
    check_table : Check a table that is in memory.
    energyknn.schema.make_schema : Describe the columns.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "homes.csv"
    >>> pd.DataFrame({"town": ["Bonn"], "area": [70], "price": [2.5]}).to_csv(path)
    >>> load_table(path, make_schema(target="price", numbers=["area"])).to_dict("list")
    {'area': [70], 'price': [2.5]}
    """
    table = read_table(path, schema, max_expansion=max_expansion)
    return check_table(table, schema, latest_year=latest_year, with_target=with_target, source=Path(path).name)


def read_table(path: str | Path, schema: Schema, *, max_expansion: float = MAX_EXPANSION) -> pd.DataFrame:
    """Read the schema's columns that a data file has, in the file's order, without checking their values."""
    path = Path(path)
    if path.is_dir():
        message = f"{str(path)!r} is a folder. Name a file: {', '.join(TABLE_ENDINGS)}."
        raise DataFileError(message)
    if not path.is_file():
        message = f"No file at {str(path)!r}. Check the path."
        raise DataFileError(message)
    name = path.name.lower()
    if not name.endswith(TABLE_ENDINGS):
        message = f"{path.name!r} has no known ending. Known are {', '.join(TABLE_ENDINGS)}."
        raise DataFileError(message)
    read = _read_parquet if name.endswith(PARQUET_ENDINGS) else _read_csv
    try:
        return read(path, schema, max_expansion)
    except DataFileError:
        raise
    except UnicodeDecodeError as error:
        message = f"{path.name!r} is not UTF-8 (byte {error.start}: {error.reason}). Save it as UTF-8."
        raise DataFileError(message) from error
    except (pd.errors.ParserError, csv.Error) as error:
        message = f"{path.name!r} is not a table of comma-separated values ({_one_line(error)}). Mend that line."
        raise DataFileError(message) from error
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        message = f"{path.name!r} is damaged or cut short ({_one_line(error)}). Fetch or compress it again."
        raise DataFileError(message) from error
    except MemoryError as error:
        message = f"{path.name!r} holds more than fits into memory. Leave out rows or columns."
        raise DataFileError(message) from error
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: an archive with a password
        reason = (error.strerror if isinstance(error, OSError) else None) or _one_line(error)
        message = f"{path.name!r} cannot be read ({reason}). Check its permissions and format."
        raise DataFileError(message) from error


def _read_csv(path: Path, schema: Schema, max_expansion: float) -> pd.DataFrame:
    """Read the schema's columns of a CSV file."""
    with _open_csv(path, max_expansion) as file:
        names = _read_names(file.read(_LONGEST_HEADER), path.name)
    _check_names(names, path.name)
    wanted = [name for name in names if name in schema.names]
    numeric = {name for name in wanted if schema[name].role != "text"}
    with _open_csv(path, max_expansion) as file:
        table = pd.read_csv(
            file,
            names=names,
            header=0,
            keep_default_na=False,
            na_values=dict.fromkeys(numeric, _MISSING),
            dtype=dict.fromkeys(set(wanted) - numeric, str),
            low_memory=False,
            encoding="utf-8-sig",
        )
    if not isinstance(table.index, pd.RangeIndex):
        message = f"{path.name!r} has rows with more cells than the header's {len(names)}. Quote cells with commas."
        raise DataFileError(message)
    return table[wanted]


def _read_names(start: bytes, source: str) -> list[str]:
    """Read the header from the start of a file."""
    if len(start) == _LONGEST_HEADER:
        start = start[: max(start.rfind(b"\n"), start.rfind(b"\r")) + 1]
        if not start:
            message = f"{source!r} has no end of a line in its first {_LONGEST_HEADER:,} bytes. It needs a header line."
            raise DataFileError(message)
    lines = csv.reader(io.StringIO(start.decode("utf-8-sig"), newline=""))
    names = next((cells for cells in lines if cells), None)
    if names is None:
        message = f"{source!r} is empty. It needs a header line and rows."
        raise DataFileError(message)
    return names


@contextmanager
def _open_csv(path: Path, max_expansion: float) -> Iterator[BinaryIO]:
    """Open a file, decompressed as its ending says, for one reading within the size limit."""
    ending = path.suffix.lower()
    with ExitStack() as opened:
        if ending == ".csv":
            yield opened.enter_context(path.open("rb"))
            return
        stream: Any
        if ending == ".gz":
            stream = gzip.open(path, "rb")  # noqa: SIM115 - the stack closes it
        elif ending == ".zip":
            archive = opened.enter_context(zipfile.ZipFile(path))
            stream = archive.open(_find_member(archive, path.name))
        else:
            stream = import_extra("pyarrow", extra="formats").input_stream(str(path), compression="zstd")
        limit = _limit_bytes(path, max_expansion)
        yield io.BufferedReader(_Bounded(opened.enter_context(stream), limit, path.name), 1 << 18)


def _find_member(archive: zipfile.ZipFile, source: str) -> zipfile.ZipInfo:
    """Find the one file of an archive. Its name does not matter, because it is read and not unpacked."""
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        message = f"{source!r} holds {len(members)} files. It must hold one table: unpack it and name that."
        raise DataFileError(message)
    return members[0]


class _Bounded(io.RawIOBase):
    """A decompressed stream that ends with an error beyond a size limit."""

    def __init__(self, stream: Any, limit: int, source: str) -> None:
        self._stream, self._limit, self._source, self._n_given = stream, limit, source, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        self._n_given += len(content)
        _check_limit(self._n_given, self._limit, self._source)
        buffer[: len(content)] = content
        return len(content)


def _limit_bytes(path: Path, max_expansion: float) -> int:
    """Return how many bytes a compressed file may expand to."""
    return max(_ALWAYS_ALLOWED, int(max_expansion * path.stat().st_size))


def _check_limit(n_bytes: int, limit: int, source: str) -> None:
    """Require a decompressed size within the limit."""
    if n_bytes > limit:
        message = (
            f"{source!r} holds more than {limit:,} bytes once it is decompressed, like a file made to fill the memory. "
            "If you trust it, write it as plain CSV first, or raise max_expansion of load_table."
        )
        raise DataFileError(message)


def _read_parquet(path: Path, schema: Schema, max_expansion: float) -> pd.DataFrame:
    """Read the schema's columns of a Parquet file."""
    parquet = import_extra("pyarrow.parquet", extra="formats")
    arrow = import_extra("pyarrow", extra="formats")
    limit = _limit_bytes(path, max_expansion)
    try:
        fields = list(parquet.read_schema(path))
        _check_names([field.name for field in fields], path.name)
        wanted = [field for field in fields if field.name in schema.names]
        texts = _list_texts(wanted, schema, arrow.types, path.name)
        names = [field.name for field in wanted]
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            _check_limit(_count_bytes(file.metadata, len(names)), limit, path.name)
            table = file.read(columns=names)
        table.validate(full=True)
        _check_limit(sum(_count_text(table[name]) for name in texts), limit, path.name)
        plain = [field.with_type(arrow.string()) if field.name in texts else field for field in table.schema]
        frame: pd.DataFrame = table.cast(arrow.schema(plain)).to_pandas(ignore_metadata=True)
    except arrow.ArrowException as error:
        message = f"{path.name!r} is not a whole Parquet file ({_one_line(error)}). Fetch or write it again."
        raise DataFileError(message) from error
    return frame


def _list_texts(fields: list[Any], schema: Schema, types: Any, source: str) -> list[str]:
    """Require columns of numbers, booleans or text, and list those of text. A text column may also hold dates."""
    texts = []
    for field in fields:
        kind = field.type.value_type if types.is_dictionary(field.type) else field.type
        plain = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
        dated = types.is_temporal(kind) and schema[field.name].role == "text"
        if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
            texts.append(field.name)
        elif not (plain or dated or types.is_null(kind)):
            message = f"{source!r}: column {field.name!r} has the type {kind}. It must hold numbers or text."
            raise DataFileError(message)
    return texts


def _count_bytes(metadata: Any, n_wanted: int) -> int:
    """Count the bytes of the decompressed file, at least 8 for each value.

    It reads the metadata of row groups and not of columns, because pyarrow ends the process if those are damaged.
    """
    encoded = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return int(max(encoded, metadata.num_rows * n_wanted * 8))


def _count_text(column: Any) -> int:
    """Count the bytes of text in a column that is read as dictionaries, repeated values included."""
    compute = import_extra("pyarrow.compute", extra="formats")
    lengths = (compute.take(compute.binary_length(chunk.dictionary), chunk.indices) for chunk in column.chunks)
    return sum(compute.sum(of_chunk).as_py() or 0 for of_chunk in lengths)


def _check_names(names: list[str], source: str) -> None:
    """Require few enough columns, each with its own name."""
    if len(names) > _MOST_COLUMNS:
        message = f"{source!r} has {len(names):,} columns. At most {_MOST_COLUMNS:,} are read: leave out the others."
        raise DataFileError(message)
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        shown = ", ".join(map(_short, twice[:_SHOWN])) + (f" and {len(twice) - _SHOWN} more" if twice[_SHOWN:] else "")
        message = f"{source!r}: column named twice: {shown}. Rename or drop one of each."
        raise DataFileError(message)


def _one_line(error: BaseException) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())


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
    wanted = [column for column in schema.columns if with_target or column.role not in TARGETS]
    lacking = [column.name for column in wanted if column.required and column.name not in table]
    if lacking:
        message = (
            f"{source!r}: missing {'column' if len(lacking) == 1 else 'columns'} {', '.join(map(repr, lacking))}. "
            f"The file needs {', '.join(column.name for column in wanted if column.required)}."
        )
        raise DataFileError(message)
    _check_names([name for name in table.columns if name in schema.names], source)
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
    return pd.DataFrame(checked)


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
    try:
        return pd.to_numeric(values, errors="coerce")
    except OverflowError:  # whole numbers beyond float64, which as text become infinite
        return pd.to_numeric(values.astype(str), errors="coerce")


def _is_coded(column: Column) -> bool:
    """Return whether the levels of a category are whole numbers."""
    return bool(column.levels) and all(isinstance(level, int) for level in column.levels)


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
    for broken, what in (
        (absent, _ABSENT),
        (unreadable, "text where a number belongs"),
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
    return broken, f"outside {low:g} to {high:g}" + (" or no whole year" if fractional.any() else "")


def _list_levels(column: Column) -> str:
    """Name the levels of a category, or the first and the last of many."""
    levels = [*column.unknown, *column.levels]
    return ", ".join(map(str, levels)) if len(levels) <= 4 else f"{levels[0]} to {levels[-1]}"


def _name_rows(raw: pd.Series, broken: NDArray[np.bool_]) -> str:
    """Count the rows that break a rule, and show the first of them."""
    rows = np.flatnonzero(broken)
    shown = ", ".join(f"row {row}: {_short(raw.iloc[row])}" for row in rows[:_SHOWN])
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return f"{len(rows)} {'row' if len(rows) == 1 else 'rows'} ({shown}{more})"


def _short(value: object) -> str:
    """Return a value as text, cut off if it is long."""
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    return str(value)
