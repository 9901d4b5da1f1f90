"""What does checked loading cost? A table that is read and checked against reading it and checking nothing."""

from __future__ import annotations

import pandas as pd
import pytest
from harness.data import find_file

from energyknn.loading import load_table
from energyknn.study.notebook import SPOTIFY

QUESTION = "loading"
FORMATS = {".csv": ("CSV", pd.read_csv), ".parquet": ("Parquet", pd.read_parquet)}


@pytest.fixture(scope="module")
def files(table, tmp_path_factory):
    """Write the tracks in each format."""
    folder = tmp_path_factory.mktemp("tracks")
    table.to_csv(folder / "tracks.csv", index=False)
    table.to_parquet(folder / "tracks.parquet")
    return folder


def check(ours, theirs):
    for name in ours.select_dtypes("number"):
        pd.testing.assert_series_equal(ours[name], theirs[name], check_dtype=False)


@pytest.mark.parametrize("suffix", FORMATS)
def test_loading(record, table, files, suffix):
    name, read = FORMATS[suffix]
    path = files / f"tracks{suffix}"
    record.compare(
        f"{name}, {len(table):,} rows", f"pandas.read_{name.lower()}, which checks nothing",
        ours=lambda: load_table(path, SPOTIFY), theirs=lambda: read(path), check=check, pairs=5,
    )  # fmt: skip


def test_loading_the_file_itself(record, size, table):
    path = find_file(size)
    if path is None or path.suffix == ".parquet":
        pytest.skip("this run has no CSV file of its own")
    record.compare(
        f"{''.join(path.suffixes)[1:]} as it came, {len(table):,} rows", "pandas.read_csv, which checks nothing",
        ours=lambda: load_table(path, SPOTIFY), theirs=lambda: pd.read_csv(path), check=check, pairs=3,
    )  # fmt: skip
