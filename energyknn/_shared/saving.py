"""Files that are whole or not there: everything is written aside first, then put in place."""

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
    """Give an empty folder to write in, and put its files into `out_dir` when all of them are written.

    Parameters
    ----------
    out_dir : str or Path
        The folder for the results. It is made if it is not there; files in it that are not written anew stay.

    Yields
    ------
    Path
        An empty folder on the same disk.

    Raises
    ------
    OSError
        If a file cannot be written. Then `out_dir` is as it was before.

    Notes
    -----
    Each file is replaced in one step, so a reader sees the old file or the new one.
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
    """Give a path to write to, and put the file at `path` when it is written.

    Parameters
    ----------
    path : str or Path
        Where the file goes. Its folder is made if it is not there.

    Yields
    ------
    Path
        A path with the same name in a folder of its own beside it.

    Raises
    ------
    OSError
        If the file cannot be written, or `path` is a folder. Then what stood at `path` is as it was.
    """
    path = Path(path)
    if path.is_dir():
        message = "is a folder"
        raise IsADirectoryError(21, message, str(path))
    with staged_folder(path.parent) as folder:
        yield folder / path.name


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def save_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table as the file's ending says: Parquet, or CSV, compressed where it ends in .gz, .zip or .zst.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        What to write, without its index.
    path : str or Path
        The file, replaced in one step.

    Raises
    ------
    OSError
        If the file cannot be written; then what stood there is as it was.
    ImportError
        If the ending needs the extra `formats`.
    """
    with staged_file(path) as staged:
        if staged.suffix in {".parquet", ".pq"}:
            import_extra("pyarrow", extra="formats")
            table.to_parquet(staged, index=False)
        else:
            if staged.suffix == ".zst":
                import_extra("zstandard", extra="formats")
            table.to_csv(staged, index=False)
