"""Write files aside first, and then put them in place, so that a file is whole or not there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pandas as pd

from energyknn.errors import DataFileError, import_extra


@contextmanager
def staged_folder(out_dir: str | Path) -> Iterator[Path]:
    """Yield an empty folder, and move its files into `out_dir` when all of them are written.

    `out_dir` is made if it does not exist. Files in it that are not written anew stay. Each file is replaced in one
    step, so a reader sees the old file or the new one. After an error, `out_dir` is as it was.
    """
    out_dir = Path(out_dir)
    made = [folder for folder in (out_dir, *out_dir.parents) if not folder.exists()]
    out_dir.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix=".partial-", dir=out_dir) as name:
            staged = Path(name)
            yield staged
            written = sorted(path for path in staged.rglob("*") if path.is_file())
            for path in written:
                _flush(path)
            for path in written:
                target = out_dir / path.relative_to(staged)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except BaseException:
        for folder in made:
            if folder.exists() and not any(folder.iterdir()):
                folder.rmdir()
        raise


@contextmanager
def staged_file(path: str | Path) -> Iterator[Path]:
    """Yield a path to write to, and move the file to `path` when it is written.

    The folder is made if it does not exist. After an error, and if `path` is a folder, everything stays as it was.
    """
    path = Path(path)
    if path.is_dir():
        message = "is a folder"
        raise IsADirectoryError(21, message, str(path))
    with staged_folder(path.parent) as folder:
        yield folder / path.name


def _flush(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("r+b") as file:  # Windows flushes only what can be written
        os.fsync(file.fileno())


_PACKED = {".gz": "gzip", ".zip": "zip", ".zst": "zstd"}
_TEXTS = {".csv": ",", ".tsv": "\t"}
TABLE_ENDINGS = (
    *(ending + packed for ending in _TEXTS for packed in ("", *_PACKED)),
    *(".parquet", ".pq", ".feather", ".json", ".jsonl", ".xlsx"),
)
"""How the names of tables that are written end, which says what is in them."""
_MOST_ROWS_OF_A_SHEET = (1 << 20) - 1


def find_ending(path: str | Path) -> str:
    """Return the ending of a table's name, which says how it is written. Case does not count.

    Raises
    ------
    DataFileError
        If it is none of `TABLE_ENDINGS`.

    Examples
    --------
    >>> find_ending("results/homes.CSV.gz")
    '.csv.gz'
    """
    name = Path(path).name
    for ending in TABLE_ENDINGS:
        if name.lower().endswith(ending):
            return ending
    message = f"{name!r} has no ending of a table that is written. Give it {', '.join(TABLE_ENDINGS)}."
    raise DataFileError(message)


def check_writer(path: str | Path) -> None:
    """Require what writes a table with this ending, before there is a table to write.

    Raises
    ------
    ImportError
        If the format needs the extra `formats`.
    """
    module = _MODULES.get(find_ending(path).rpartition(".")[2])
    if module is not None:
        import_extra(module, extra="formats")


def save_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table without its index as its name's ending says: one of `TABLE_ENDINGS`.

    JSON holds one object a row, in a list or, as `.jsonl`, one a line. Missing cells are null there.

    Raises
    ------
    DataFileError
        If the ending is another, or the format cannot hold the table. Nothing is written then.
    ImportError
        If the format needs the extra `formats`.
    """
    check_writer(path)
    ending = find_ending(path)
    write = _WRITERS.get(ending, _write_text)
    with staged_file(path) as staged:
        write(table.reset_index(drop=True), staged, ending)


def _write_text(table: pd.DataFrame, path: Path, ending: str) -> None:
    """Write cells with separators."""
    kind, packed = f".{ending.split('.')[1]}", _PACKED.get(Path(ending).suffix)
    table.to_csv(path, index=False, sep=_TEXTS[kind], compression=cast("Any", packed))


def _write_columns(table: pd.DataFrame, path: Path, ending: str) -> None:
    """Write Parquet or Feather."""
    if ending == ".feather":
        table.to_feather(path)
    else:
        table.to_parquet(path, index=False)


def _write_records(table: pd.DataFrame, path: Path, ending: str) -> None:
    """Write JSON with every digit of the numbers."""
    records = table.astype(object).where(table.notna(), None).to_dict(orient="records")
    start, between, end = ("", "\n", "\n") if ending == ".jsonl" else ("[\n", ",\n", "\n]\n")
    text = between.join(json.dumps(record, ensure_ascii=False, default=str) for record in records)
    path.write_text(f"{start}{text}{end}", encoding="utf-8")


def _write_sheet(table: pd.DataFrame, path: Path, _: str) -> None:
    """Write an Excel sheet. Text that begins like a formula stays text."""
    errors = import_extra("openpyxl.utils.exceptions", extra="formats")
    if len(table) > _MOST_ROWS_OF_A_SHEET:
        message = f"An Excel sheet holds {_MOST_ROWS_OF_A_SHEET:,} rows, and the table has {len(table):,}. Write .csv."
        raise DataFileError(message)
    try:
        with pd.ExcelWriter(path, engine="openpyxl") as writer:
            table.to_excel(writer, index=False)
            for row in next(iter(writer.sheets.values())).iter_rows():
                for cell in row:
                    cell.data_type = "s" if cell.data_type == "f" else cell.data_type
    except (ValueError, errors.IllegalCharacterError) as error:
        message = f"An Excel sheet cannot hold the table ({' '.join(str(error).split())}). Write .csv."
        raise DataFileError(message) from error


_MODULES = {
    **dict.fromkeys(("parquet", "pq", "feather"), "pyarrow"),
    "xlsx": "openpyxl",
    "zst": "zstandard",
}
"""What writes tables whose names end so, beside pandas."""

_WRITERS: dict[str, Callable[[pd.DataFrame, Path, str], None]] = {
    **dict.fromkeys((".parquet", ".pq", ".feather"), _write_columns),
    **dict.fromkeys((".json", ".jsonl"), _write_records),
    ".xlsx": _write_sheet,
}
