"""Read a data file into a table. Its bytes tell the format, and every failure is a `DataFileError` of one line."""

from __future__ import annotations

import csv
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from energyknn.errors import DataFileError
from energyknn.loading.checking import check_content
from energyknn.loading.columnar import read_feather, read_parquet
from energyknn.loading.content import FileContent
from energyknn.loading.doubts import list_doubts
from energyknn.loading.names import describe_matches, match_names
from energyknn.loading.records import holds_records, read_records
from energyknn.loading.sheets import read_sheet
from energyknn.loading.sources import Source, find_source
from energyknn.loading.texts import read_text
from energyknn.schema import Schema

MAX_EXPANSION = 100.0
"""Largest ratio of decompressed to compressed size. For tables it is usually 3 to 20."""


def read_file(
    path: str | Path,
    *,
    names: Sequence[str] | None = None,
    texts: Collection[str] = (),
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    max_expansion: float = MAX_EXPANSION,
) -> FileContent:
    r"""Read a data file, and say what was found out about it.

    Parameters
    ----------
    path : str or Path
        A table as text (`.csv`, `.tsv`, `.txt`), as JSON records (`.json`, `.jsonl`), a Parquet, Feather or Excel file,
        alone or compressed by gzip, zip, Zstandard, bzip2 or xz. The bytes tell the format, and not the ending. A path
        may go on inside an archive or a workbook: ``archive.zip/tracks.csv``, ``book.xlsx/Sheet2``.
    names : sequence of str or None, default=None
        The columns to read, those of them that the file has. A name may differ in case and in blanks around it. None
        reads every column.
    texts : collection of str, default=()
        Columns that are kept as text. An empty cell is an empty text there.
    sep : str or None, default=None
        The character between cells. None finds it out among commas, semicolons, tabs and bars.
    decimal : {".", ","} or None, default=None
        The decimal sign. None finds it out.
    encoding : str or None, default=None
        The encoding of text. None finds it out.
    max_expansion : float, default=100
        Largest ratio of decompressed to compressed size. 64 MiB are always allowed. Raise it for a file that you trust.

    Returns
    -------
    FileContent
        The table, with missing cells as NaN, notes on what was found out, and the names of all columns.

    Raises
    ------
    DataFileError
        If the file cannot be read, or is no table.
    ImportError
        If the file's format needs the extra `formats`.

    See Also
    --------
    load_table : Reads a file and checks it against a schema.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "homes.csv"
    >>> _ = path.write_text("area;price\n70;2,5\n")
    >>> content = read_file(path)
    >>> content.table.to_dict("list")
    {'area': [70], 'price': [2.5]}
    >>> content.notes
    ("Cells are separated by ';' and numbers have decimal commas.",)
    """
    with _one_line_errors(Path(path).name):
        source = find_source(path, max_expansion)
        found = _read_source(source, names, texts, sep=sep, decimal=decimal, encoding=encoding)
    return FileContent(found.table, (*source.notes, *found.notes, *list_doubts(found.table)), found.columns)


def _read_source(
    source: Source,
    names: Sequence[str] | None,
    texts: Collection[str],
    *,
    sep: str | None,
    decimal: str | None,
    encoding: str | None,
) -> FileContent:
    """Read the columns of a source that are asked for, by what it is."""
    if source.kind == "parquet":
        content = read_parquet(source, names, texts)
    elif source.kind == "feather":
        content = read_feather(source, names, texts)
    elif source.kind == "excel":
        content = read_sheet(source, texts, decimal)
    elif sep is None and _holds_json(source):
        content = read_records(source, texts, encoding)
    else:
        content = read_text(source, texts, sep=sep, decimal=decimal, encoding=encoding)
    return content if names is None else _choose(content, names, source.name)


def _holds_json(source: Source) -> bool:
    with source.open() as stream:
        return holds_records(stream.read(1000))


def _choose(content: FileContent, names: Sequence[str], source: str) -> FileContent:
    """Choose the columns that are asked for, and call them so."""
    matches = match_names(list(content.table.columns), names, source)
    table = content.table[list(matches.values())].set_axis(list(matches), axis=1)
    return FileContent(table, (*content.notes, *describe_matches(matches)), content.columns)


def read_table(
    path: str | Path,
    schema: Schema,
    *,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    max_expansion: float = MAX_EXPANSION,
) -> pd.DataFrame:
    r"""Read the schema's columns that a data file has, without checking their values.

    Parameters
    ----------
    path : str or Path
        A file in any format of `read_file`, alone or in an archive.
    schema : Schema
        The columns to read.
    sep, decimal, encoding, max_expansion
        As in `read_file`.

    Returns
    -------
    DataFrame of shape (n_rows, n_columns)
        The columns in the file's order, called as in the schema.

    Raises
    ------
    DataFileError
        If the file cannot be read, or is no table.
    ImportError
        If the file's format needs the extra `formats`.

    See Also
    --------
    read_file : With the schema's `names` and `texts`, reads the same columns and gives the notes too.
    load_table : Checks the values.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "homes.csv"
    >>> _ = path.write_text("town,Price,area\nBonn,2.5,70\n")
    >>> read_table(path, make_schema(target="price", numbers=["area"])).to_dict("list")
    {'price': [2.5], 'area': [70]}
    """
    return _read_columns(path, schema, sep, decimal, encoding, max_expansion).table


def _read_columns(
    path: str | Path, schema: Schema, sep: str | None, decimal: str | None, encoding: str | None, max_expansion: float
) -> FileContent:
    """Read the schema's columns of a file."""
    return read_file(
        path,
        names=schema.names,
        texts=schema.texts,
        sep=sep,
        decimal=decimal,
        encoding=encoding,
        max_expansion=max_expansion,
    )


def load_table(
    path: str | Path,
    schema: Schema,
    *,
    latest_year: int | None = None,
    with_target: bool = True,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    max_expansion: float = MAX_EXPANSION,
) -> pd.DataFrame:
    """Read a data file and check it against the schema.

    Parameters
    ----------
    path : str or Path
        A file in any format of `read_file`, alone or in an archive.
    schema : Schema
        The columns to read. Other columns of the file are ignored.
    latest_year : int or None, default=None
        Last calendar year that a year column may hold. None sets no limit.
    with_target : bool, default=True
        Whether the target is required. Use False for rows to predict.
    sep, decimal, encoding : str or None, default=None
        How text is written, as in `read_file`. None finds it out.
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
    read_file : Reads every column, and says what was found out.
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
    content = _read_columns(path, schema, sep, decimal, encoding, max_expansion)
    source = Path(path).name
    return check_content(content, schema, latest_year=latest_year, with_target=with_target, source=source).table


@contextmanager
def _one_line_errors(name: str) -> Iterator[None]:
    """Turn every failure of a reader into a `DataFileError` of one line."""
    try:
        yield
    except DataFileError:
        raise
    except (pd.errors.ParserError, csv.Error) as error:
        message = f"{name!r} is not a table of separated values ({_one_line(error)}). Mend that line."
        raise DataFileError(message) from error
    except UnicodeDecodeError as error:
        message = f"{name!r} is not {error.encoding} (byte {error.start}: {error.reason}). Save it as UTF-8."
        raise DataFileError(message) from error
    except (EOFError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
        message = f"{name!r} is damaged or cut short ({_one_line(error)}). Fetch or compress it again."
        raise DataFileError(message) from error
    except MemoryError as error:
        message = f"{name!r} holds more than fits into memory. Leave out rows or columns."
        raise DataFileError(message) from error
    except ImportError:
        raise
    except Exception as error:  # archives and workbooks of others fail in many ways
        reason = (error.strerror if isinstance(error, OSError) else None) or _one_line(error)
        message = f"{name!r} cannot be read ({reason}). Check its permissions and format."
        raise DataFileError(message) from error


def _one_line(error: BaseException) -> str:
    """Return an error's message on one line."""
    return " ".join(str(error).split())
