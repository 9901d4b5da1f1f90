"""A data file to a validated table: CSV or Parquet, every rule of the schema checked, every offence named."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
import zlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn.errors import DataFileError, import_extra
from energyknn.schema import SPOTIFY, Column, Schema

__all__ = ["check_table", "count_nulls", "hash_file", "load_table", "sample_path"]

_CSV_SUFFIXES = (".csv", ".csv.gz", ".csv.zip", ".csv.zst")
_PARQUET_SUFFIXES = (".parquet", ".pq")
_MISSING = ["", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "<NA>"]
_SHOWN = 5


def sample_path() -> Path:
    """Return the path of the committed sample: 2,000 synthetic tracks, also inside an installed wheel.

    Returns
    -------
    Path
        An existing CSV file.

    Raises
    ------
    FileNotFoundError
        If the installation lacks it.
    """
    package = Path(str(files("energyknn")))
    for folder in (package / "data_sample", package.parent / "data_sample"):
        if (folder / "tracks.csv").is_file():
            return folder / "tracks.csv"
    message = f"No sample beside {package}: the installation is incomplete. Reinstall energyknn or name a data file."
    raise FileNotFoundError(message)


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits.

    Parameters
    ----------
    path : str or Path
        An existing file, read in constant memory.

    Returns
    -------
    str
        The digest.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def count_nulls(table: pd.DataFrame) -> pd.Series:
    """Count the missing values of each column.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Any table.

    Returns
    -------
    Series of shape (n_columns,), int64
        Number of missing values by column name.
    """
    return table.isna().sum()


def load_table(
    path: str | Path, *, schema: Schema = SPOTIFY, latest_year: int | None = None, with_target: bool = True
) -> pd.DataFrame:
    """Read a data file and check it against the schema.

    Parameters
    ----------
    path : str or Path
        A `.csv` file, also compressed as `.gz`, `.zip` or `.zst`, or a `.parquet` file.
    schema : Schema, default=SPOTIFY
        The columns; any further column of the file is left out.
    latest_year : int or None, default=None
        The last calendar year that a year column may hold; None for no limit.
    with_target : bool, default=True
        Whether the target must be there; False for rows that are to be predicted.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The schema's columns in the schema's order: numbers and the target as int64 or float64, categories as in
        the file, text as str; rows as in the file, numbered from 0.

    Raises
    ------
    DataFileError
        If the file cannot be read or any value breaks a rule; all offending columns are named at once.
    ImportError
        If the file's format needs the extra `formats`.

    Examples
    --------
    >>> load_table(sample_path()).shape
    (2000, 19)
    """
    path = Path(path)
    table = _read_file(path, schema)
    return check_table(table, schema, latest_year=latest_year, with_target=with_target, source=path.name)


def _read_file(path: Path, schema: Schema) -> pd.DataFrame:
    """Read the schema's columns, with every way in which reading fails told in the user's terms."""
    if path.is_dir():
        message = f"{str(path)!r} is a folder. Name a file: {', '.join((*_CSV_SUFFIXES, *_PARQUET_SUFFIXES))}."
        raise DataFileError(message)
    if not path.exists():
        message = f"No file at {str(path)!r}. Check the path."
        raise DataFileError(message)
    name = path.name.lower()
    if not name.endswith((*_CSV_SUFFIXES, *_PARQUET_SUFFIXES)):
        message = f"{path.name!r} has no known ending. Known are {', '.join((*_CSV_SUFFIXES, *_PARQUET_SUFFIXES))}."
        raise DataFileError(message)
    try:
        return _read_parquet(path, schema) if name.endswith(_PARQUET_SUFFIXES) else _read_csv(path, schema)
    except UnicodeDecodeError as error:
        message = f"{path.name!r} is not UTF-8 (byte {error.start}: {error.reason}). Save it as UTF-8."
        raise DataFileError(message) from error
    except pd.errors.EmptyDataError as error:
        message = f"{path.name!r} is empty. It needs a header line and rows."
        raise DataFileError(message) from error
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error) as error:
        message = f"{path.name!r} is damaged or cut short ({_one_line(error)}). Fetch or compress it again."
        raise DataFileError(message) from error
    except pd.errors.ParserError as error:
        message = f"{path.name!r} is not a table of comma-separated values ({_one_line(error)}). Mend that line."
        raise DataFileError(message) from error
    except OSError as error:
        message = (
            f"{path.name!r} cannot be read ({error.strerror or _one_line(error)}). Check its permissions and format."
        )
        raise DataFileError(message) from error


def _read_csv(path: Path, schema: Schema) -> pd.DataFrame:
    if path.suffix.lower() == ".zst":
        import_extra("zstandard", extra="formats")
    header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    names = header.iloc[0].tolist()
    _check_names(names, path.name)
    wanted = [name for name in names if name in schema.names]
    numeric = {name for name in wanted if schema[name].role != "text"}
    table = pd.read_csv(
        path,
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


def _read_parquet(path: Path, schema: Schema) -> pd.DataFrame:
    parquet = import_extra("pyarrow.parquet", extra="formats")
    arrow = import_extra("pyarrow", extra="formats")
    try:
        names = parquet.read_schema(path).names
        _check_names(names, path.name)
        table: pd.DataFrame = parquet.read_table(
            path, columns=[name for name in names if name in schema.names]
        ).to_pandas(ignore_metadata=True)
    except arrow.ArrowInvalid as error:
        message = f"{path.name!r} is not a whole Parquet file ({_one_line(error)}). Fetch or write it again."
        raise DataFileError(message) from error
    return table


def _check_names(names: list[str], source: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"{source!r}: column named twice: {', '.join(map(repr, twice))}. Rename or drop one of each."
        raise DataFileError(message)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def check_table(
    table: pd.DataFrame,
    schema: Schema = SPOTIFY,
    *,
    latest_year: int | None = None,
    with_target: bool = True,
    source: str = "table",
) -> pd.DataFrame:
    """Check a table against the schema and return its columns in the schema's order.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A table as it came from a file or a script; it is not changed.
    schema : Schema, default=SPOTIFY
        The columns.
    latest_year, with_target
        As in `load_table`.
    source : str, default="table"
        What messages call it.

    Returns
    -------
    DataFrame
        As in `load_table`.

    Raises
    ------
    DataFileError
        If a column is missing, there is no row, or any value breaks a rule.
    """
    wanted = [column for column in schema.columns if with_target or column.role != "target"]
    missing = [column.name for column in wanted if column.required and column.name not in table]
    if missing:
        message = (
            f"{source!r}: missing {'column' if len(missing) == 1 else 'columns'} {', '.join(map(repr, missing))}. "
            f"The file needs {', '.join(column.name for column in wanted if column.required)}."
        )
        raise DataFileError(message)
    if len(table) == 0:
        message = f"{source!r}: no rows below the header. It needs at least one row."
        raise DataFileError(message)
    present = [column for column in wanted if column.name in table]
    checked = {column.name: _as_role(table[column.name], column) for column in present}
    problems = [
        problem for column in present for problem in _find_problems(table, checked[column.name], column, latest_year)
    ]
    if problems:
        message = f"{source!r}: {'; '.join(problems)}. Rows count from 0 below the header. Mend or drop them."
        raise DataFileError(message)
    return pd.DataFrame({name: values.reset_index(drop=True) for name, values in checked.items()})


def _as_role(values: pd.Series, column: Column) -> pd.Series:
    """Bring a column to the type of its role; what is no number becomes missing."""
    if column.role == "text":
        return values.fillna("").astype(str)
    if column.role == "category" and not _is_coded(column):
        return values
    if values.dtype == bool:
        return values.astype(np.int64)
    return pd.to_numeric(values, errors="coerce")


def _is_coded(column: Column) -> bool:
    return bool(column.levels) and all(isinstance(level, int) for level in column.levels)


def _find_problems(table: pd.DataFrame, values: pd.Series, column: Column, latest_year: int | None) -> Iterator[str]:
    """Yield one clause for each rule that a column's values break."""
    if column.role == "text":
        return
    raw = table[column.name].reset_index(drop=True)
    values = values.reset_index(drop=True)
    absent = raw.isna().to_numpy()
    unreadable = values.isna().to_numpy() & ~absent
    if column.role == "category":
        outside = np.zeros(len(values), dtype=bool)
        if column.levels:
            outside = ~values.isin([*column.levels, *column.unknown]).to_numpy() & ~absent & ~unreadable
        rule = f"outside its levels {_list_levels(column)}"
        infinite = np.zeros(len(values), dtype=bool)
    else:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        infinite = np.isinf(numbers)
        outside, rule = _outside_range(numbers, column, latest_year)
    for broken, what in (
        (absent, "missing (NaN)"),
        (unreadable, "text where a number belongs"),
        (infinite, "infinite"),
        (outside & ~infinite, rule),
    ):
        if broken.any():
            yield f"column {column.name!r} is {what} in {_name_rows(raw, broken)}"


def _outside_range(
    numbers: NDArray[np.float64], column: Column, latest_year: int | None
) -> tuple[NDArray[np.bool_], str]:
    low = -np.inf if column.minimum is None else column.minimum
    high = np.inf if column.maximum is None else column.maximum
    if column.role == "year" and latest_year is not None:
        high = min(high, latest_year)
    fractional = (numbers != np.floor(numbers)) if column.role == "year" else np.zeros(len(numbers), dtype=bool)
    with np.errstate(invalid="ignore"):
        broken = (numbers < low) | (numbers > high) | (fractional & np.isfinite(numbers))
    return broken, f"outside {low:g} to {high:g}" + (" or no whole year" if fractional.any() else "")


def _list_levels(column: Column) -> str:
    levels = [*column.unknown, *column.levels]
    return ", ".join(map(str, levels)) if len(levels) <= 4 else f"{levels[0]} to {levels[-1]}"


def _name_rows(raw: pd.Series, broken: NDArray[np.bool_]) -> str:
    rows = np.flatnonzero(broken)
    shown = ", ".join(f"row {row}: {_short(raw.iloc[row])}" for row in rows[:_SHOWN])
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return f"{len(rows)} {'row' if len(rows) == 1 else 'rows'} ({shown}{more})"


def _short(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "...")
    return str(value)
