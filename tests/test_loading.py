"""Loading: every format, other people's columns, and every rule with its message."""

from __future__ import annotations

import gzip
import hashlib

import numpy as np
import pandas as pd
import pytest

from energyknn.errors import DataFileError
from energyknn.loading import check_table, count_nulls, hash_file, load_table, sample_path
from energyknn.schema import SPOTIFY, make_schema


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".csv.zip", ".csv.zst", ".parquet"])
def test_every_format_gives_the_same_table(tracks, tmp_path, suffix):
    path = tmp_path / f"tracks{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        tracks.to_parquet(path)
    else:
        if suffix == ".csv.zst":
            pytest.importorskip("zstandard")
        tracks.to_csv(path, index=False)
    loaded = load_table(path)
    pd.testing.assert_frame_equal(loaded, tracks, check_dtype=False)
    assert count_nulls(loaded).sum() == 0


def test_titles_that_look_like_missing_values_stay_text(tracks, tmp_path):
    tracks.loc[:3, "name"] = ["None", "NA", "nan", ""]
    tracks.to_csv(tmp_path / "t.csv", index=False)
    assert load_table(tmp_path / "t.csv")["name"].iloc[:4].tolist() == ["None", "NA", "nan", ""]


def test_further_columns_and_another_order_do_no_harm(tracks, tmp_path):
    tracks[[*reversed(tracks.columns)]].assign(extra="x").to_csv(tmp_path / "t.csv", index=False)
    assert tuple(load_table(tmp_path / "t.csv").columns) == SPOTIFY.names


def test_a_byte_order_mark_is_no_part_of_the_first_name(tracks, tmp_path):
    (tmp_path / "t.csv").write_text(tracks.to_csv(index=False), encoding="utf-8-sig")
    assert len(load_table(tmp_path / "t.csv")) == len(tracks)


def test_numbers_are_read_to_the_last_digit(tracks, tmp_path):
    tracks["tempo"] = np.random.default_rng(1).random(len(tracks)) * 100
    tracks.to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_array_equal(load_table(tmp_path / "t.csv")["tempo"], tracks["tempo"])


def test_the_target_may_be_absent_where_it_is_to_be_predicted(tracks, tmp_path):
    tracks.drop(columns="energy").to_csv(tmp_path / "t.csv", index=False)
    assert "energy" not in load_table(tmp_path / "t.csv", with_target=False)
    with pytest.raises(DataFileError, match="missing column 'energy'"):
        load_table(tmp_path / "t.csv")


def test_id_and_release_date_may_be_absent(tracks, tmp_path):
    tracks.drop(columns=["id", "release_date"]).to_csv(tmp_path / "t.csv", index=False)
    assert load_table(tmp_path / "t.csv").shape == (150, 17)


def test_other_peoples_columns(tmp_path):
    table = pd.DataFrame({"price": [1.5, 2.5], "area": [10, 20], "town": ["a", "b"], "new": [True, False], "junk": 0})
    table.to_csv(tmp_path / "h.csv", index=False)
    schema = make_schema(target="price", numbers=["area"], categories=["town", "new"])
    loaded = load_table(tmp_path / "h.csv", schema=schema)
    assert loaded.columns.tolist() == ["area", "town", "new", "price"]
    assert loaded["town"].tolist() == ["a", "b"]


def test_truth_values_are_levels_0_and_1(tracks, tmp_path):
    tracks.assign(explicit=tracks["explicit"] == 1).to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_array_equal(load_table(tmp_path / "t.csv")["explicit"], tracks["explicit"])


def test_a_key_of_minus_one_is_let_in(tracks):
    assert check_table(tracks.assign(key=-1))["key"].eq(-1).all()


def set_cell(column, value):
    return lambda table: table.astype({column: object}).pipe(lambda t: t.assign(**{column: [value, *t[column][1:]]}))


BAD_TABLES = {
    "missing column": (
        lambda t: t.drop(columns="tempo"),
        "missing column 'tempo'. The file needs acousticness",
    ),
    "missing columns": (lambda t: t.drop(columns=["tempo", "name"]), "missing columns 'name', 'tempo'"),
    "no rows": (lambda t: t.iloc[:0], "no rows below the header"),
    "text": (set_cell("tempo", "fast"), "'tempo' is text where a number belongs in 1 row (row 0: 'fast')"),
    "NaN": (set_cell("tempo", np.nan), "'tempo' is missing (NaN) in 1 row (row 0: nan)"),
    "infinity": (set_cell("tempo", np.inf), "'tempo' is infinite in 1 row (row 0: inf)"),
    "energy": (lambda t: t.assign(energy=1.5), "'energy' is outside 0 to 1 in 150 rows (row 0: 1.5, "),
    "many rows": (lambda t: t.assign(energy=1.5), "row 4: 1.5 and 145 more)"),
    "mode": (lambda t: t.assign(mode=3), "'mode' is outside its levels 0, 1 in 150 rows"),
    "key": (lambda t: t.assign(key=12), "'key' is outside its levels -1 to 11 in 150 rows"),
    "half a key": (set_cell("key", 0.5), "'key' is outside its levels -1 to 11 in 1 row"),
    "future year": (set_cell("year", 2031), "'year' is outside 1860 to 2026 in 1 row (row 0: 2031)"),
    "year 0": (set_cell("year", 0), "'year' is outside 1860 to 2026 in 1 row (row 0: 0)"),
    "half a year": (set_cell("year", 1999.5), "or no whole year in 1 row"),
    "two columns": (lambda t: t.assign(mode=3, energy=-1), "'energy' is outside 0 to 1 in 150 rows"),
    "long text": (set_cell("tempo", "x" * 99), "xxx...'"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_broken_rule_is_named_with_its_column_rows_and_count(tracks, case):
    spoil, message = BAD_TABLES[case]
    with pytest.raises(DataFileError) as caught:
        check_table(spoil(tracks), latest_year=2026, source="t.csv")
    assert message in str(caught.value)
    assert "'t.csv'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_offending_columns_are_named_at_once(tracks):
    with pytest.raises(DataFileError, match=r"'energy'.*; column 'mode'"):
        check_table(tracks.assign(mode=3, energy=-1))


def test_checking_changes_no_argument(tracks):
    before = tracks.copy()
    check_table(tracks)
    pd.testing.assert_frame_equal(tracks, before)


def test_the_parquet_file_of_another_kind_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(DataFileError, match="not a whole Parquet file"):
        load_table(tmp_path / "t.parquet")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv.gz", gzip.compress(b"a,b\n" * 5000)[:40], "damaged or cut short"),
        ("t.csv.gz", b"a,b\n", "damaged or cut short"),
        ("t.csv.zip", b"a,b\n", "damaged or cut short"),
        ("t.csv", "näme\n".encode("latin-1"), "is not UTF-8"),
        ("t.csv", b"tempo,tempo\n1,2\n", "column named twice: 'tempo'"),
        ("t.csv", b"tempo,energy\n1,2\n1,2,3,4\n", "not a table of comma-separated values"),
        ("t.csv", b"tempo,energy\n1,2,3\n1,2,3\n", "more cells than the header's 2"),
        ("t.xls", b"", "has no known ending"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        load_table(tmp_path / name)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(DataFileError, match="is a folder"):
        load_table(tmp_path)
    with pytest.raises(DataFileError, match="No file at"):
        load_table(tmp_path / "none.csv")


def test_hash_file_is_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"energy")
    assert hash_file(tmp_path / "f") == hashlib.sha256(b"energy").hexdigest()


def test_the_sample_is_found():
    assert sample_path().name == "tracks.csv"
