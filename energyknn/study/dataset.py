"""A data file as a study uses it: its checked rows, what each column is, and how it was read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from energyknn.loading import hash_file, load_table, sample_path
from energyknn.schema import Schema
from energyknn.study.notebook import SPOTIFY


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data file as a study uses it.

    Parameters
    ----------
    path : str
        The file as the user named it; the name alone for the sample.
    sha256 : str
        Its checksum.
    schema : Schema
        What each column is.
    table : DataFrame of shape (n_rows, n_columns)
        The checked rows.
    arguments : tuple of str
        The words on the command line that read the same rows again, without the command.
    notes : tuple of str
        What was found out about the file or changed in it, a sentence each.
    """

    path: str
    sha256: str
    schema: Schema
    table: pd.DataFrame
    arguments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_notebooks(self) -> bool:
        """Whether the columns are the notebook's, so that its printed figures stand beside this file's."""
        return self.schema == SPOTIFY


def read_dataset(data: str | Path | None, schema: Schema = SPOTIFY, *, latest_year: int | None = None) -> Dataset:
    """Read a data file whose columns are known. None reads the sample."""
    path = sample_path() if data is None else Path(data)
    table = load_table(path, schema, latest_year=latest_year)
    named = path.name if data is None else str(data)
    arguments = () if data is None else ("--data", str(data))
    return Dataset(named, hash_file(path), schema, table, arguments)
