"""Write files aside first, and then put them in place, so that a file is whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from energyknn.errors import import_extra


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
    with path.open("rb") as file:
        os.fsync(file.fileno())


CSV_ENDINGS = (".csv", ".csv.gz", ".csv.zip", ".csv.zst")
PARQUET_ENDINGS = (".parquet", ".pq")
TABLE_ENDINGS = (*CSV_ENDINGS, *PARQUET_ENDINGS)
"""How the names of tables end, which say what is in them."""


def save_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table without its index as its name's ending says: one of `TABLE_ENDINGS`."""
    with staged_file(path) as staged:
        if staged.suffix in PARQUET_ENDINGS:
            import_extra("pyarrow", extra="formats")
            table.to_parquet(staged, index=False)
        else:
            if staged.suffix == ".zst":
                import_extra("zstandard", extra="formats")
            table.to_csv(staged, index=False)
