"""Loading: every format, other people's columns, and every rule with its message."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zipfile

import numpy as np
import pandas as pd
import pytest

from energyknn.errors import DataFileError
from energyknn.loading import check_table, hash_file, load_table, read_table, sample_path, sources
from energyknn.schema import make_schema
from energyknn.study.notebook import SPOTIFY


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
    loaded = load_table(path, SPOTIFY)
    pd.testing.assert_frame_equal(loaded, tracks, check_dtype=False)
    assert not loaded.isna().any(axis=None)


def test_titles_that_look_like_missing_values_stay_text(tracks, tmp_path):
    tracks.loc[:3, "name"] = ["None", "NA", "nan", ""]
    tracks.to_csv(tmp_path / "t.csv", index=False)
    assert load_table(tmp_path / "t.csv", SPOTIFY)["name"].iloc[:4].tolist() == ["None", "NA", "nan", ""]


def test_further_columns_and_another_order_do_no_harm(tracks, tmp_path):
    tracks[[*reversed(tracks.columns)]].assign(extra="x").to_csv(tmp_path / "t.csv", index=False)
    assert tuple(load_table(tmp_path / "t.csv", SPOTIFY).columns) == SPOTIFY.names


def test_a_byte_order_mark_is_no_part_of_the_first_name(tracks, tmp_path):
    (tmp_path / "t.csv").write_text(tracks.to_csv(index=False), encoding="utf-8-sig")
    assert len(load_table(tmp_path / "t.csv", SPOTIFY)) == len(tracks)


def test_numbers_are_read_to_the_last_digit(tracks, tmp_path):
    tracks["tempo"] = np.random.default_rng(1).random(len(tracks)) * 100
    tracks.to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_array_equal(load_table(tmp_path / "t.csv", SPOTIFY)["tempo"], tracks["tempo"])


def test_the_target_may_be_absent_where_it_is_to_be_predicted(tracks, tmp_path):
    tracks.drop(columns="energy").to_csv(tmp_path / "t.csv", index=False)
    assert "energy" not in load_table(tmp_path / "t.csv", SPOTIFY, with_target=False)
    with pytest.raises(DataFileError, match="missing column 'energy'"):
        load_table(tmp_path / "t.csv", SPOTIFY)


def test_id_and_release_date_may_be_absent(tracks, tmp_path):
    tracks.drop(columns=["id", "release_date"]).to_csv(tmp_path / "t.csv", index=False)
    assert load_table(tmp_path / "t.csv", SPOTIFY).shape == (150, 17)


def test_other_peoples_columns(tmp_path):
    table = pd.DataFrame({"price": [1.5, 2.5], "area": [10, 20], "town": ["a", "b"], "new": [True, False], "junk": 0})
    table.to_csv(tmp_path / "h.csv", index=False)
    schema = make_schema(target="price", numbers=["area"], categories=["town", "new"])
    loaded = load_table(tmp_path / "h.csv", schema)
    assert loaded.columns.tolist() == ["area", "town", "new", "price"]
    assert loaded["town"].tolist() == ["a", "b"]


def test_truth_values_are_levels_0_and_1(tracks, tmp_path):
    tracks.assign(explicit=tracks["explicit"] == 1).to_csv(tmp_path / "t.csv", index=False)
    np.testing.assert_array_equal(load_table(tmp_path / "t.csv", SPOTIFY)["explicit"], tracks["explicit"])


def test_a_key_of_minus_one_is_let_in(tracks):
    assert check_table(tracks.assign(key=-1), SPOTIFY)["key"].eq(-1).all()


def set_cell(column, value):
    return lambda table: table.astype({column: object}).pipe(lambda t: t.assign(**{column: [value, *t[column][1:]]}))


BAD_TABLES = {
    "missing column": (
        lambda t: t.drop(columns="tempo"),
        "missing column 'tempo'. It has 'acousticness'",
    ),
    "missing columns": (lambda t: t.drop(columns=["tempo", "name"]), "missing columns 'name', 'tempo'"),
    "no rows": (lambda t: t.iloc[:0], "no rows below the header"),
    "text": (set_cell("tempo", "fast"), "'tempo' is text where a number belongs in 1 row (row 0: 'fast')"),
    "NaN": (set_cell("tempo", np.nan), "'tempo' is missing (NaN) in 1 row (row 0: nan)"),
    "infinity": (set_cell("tempo", np.inf), "'tempo' is infinite in 1 row (row 0: inf)"),
    "beyond float64": (set_cell("tempo", 10**400), "'tempo' is infinite in 1 row (row 0: 1000"),
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
        check_table(spoil(tracks), SPOTIFY, latest_year=2026, source="t.csv")
    assert message in str(caught.value)
    assert "'t.csv'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_offending_columns_are_named_at_once(tracks):
    with pytest.raises(DataFileError, match=r"'energy'.*; column 'mode'"):
        check_table(tracks.assign(mode=3, energy=-1), SPOTIFY)


def test_checking_changes_no_argument(tracks):
    before = tracks.copy()
    check_table(tracks, SPOTIFY)
    pd.testing.assert_frame_equal(tracks, before)


def test_the_parquet_file_of_another_kind_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "t.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(DataFileError, match="not a whole Parquet file"):
        load_table(tmp_path / "t.parquet", SPOTIFY)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"", "is empty"),
        ("t.csv.gz", gzip.compress(b"a,b\n" * 5000, mtime=0)[:40], "damaged or cut short"),
        ("t.csv.zip", b"PK\x03\x04" + b"a" * 40, "damaged or cut short"),
        ("t.csv", b"tempo,tempo\n1,2\n", "column named twice: 'tempo'"),
        ("t.csv", b"tempo,energy\n1,2\n1,2,3,4\n", "not a table of separated values"),
        ("t.csv", b"tempo,energy\n1,2,3\n1,2,3\n", "more cells than the header's 2"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFileError, match=message):
        load_table(tmp_path / name, SPOTIFY)


def zip_of(*members, password=False):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in members:
            archive.writestr(name, "tempo,energy\n1,2\n")
    content = file.getvalue()
    if password:  # the flag alone, in both of the member's headers
        for start, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            place = content.index(start) + offset
            content = content[:place] + b"\x01" + content[place + 1 :]
    return content


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv.zip", zip_of(), "holds 0 files. It must hold one table"),
        ("t.csv.zip", zip_of("a.csv", "b.csv"), "holds 2 files: 'a.csv', 'b.csv'. Name one, as in 't.csv.zip/a.csv'"),
        ("t.csv.zip", zip_of("a.csv", password=True), "cannot be read .*password required"),
        ("t.csv.zst", b"\x28\xb5\x2f\xfda,b\n", "cannot be read"),
        ("t.csv", b"a," * 10_001 + b"\n", "has 10,002 columns. At most 10,000 are read"),
        ("t.csv", b"a" * (1 << 20) + b"b\n", "has no end of a line in its first 1,048,576 bytes"),
        ("t.csv", b'"' + b"a" * 200_000 + b'"\n1\n', "field larger than field limit"),
        ("t.csv", b"\n\n", "is empty"),
        ("t.csv", b"tempo,energy,a,a,b,b,b\n1,2,3,4,5,6,7\n", "column named twice: 'a', 'b'"),
    ],
)
def test_what_is_made_to_trip_a_reader_is_refused(tmp_path, name, content, message):
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataFileError, match=message) as caught:
        load_table(tmp_path / name, SPOTIFY)
    assert "\n" not in str(caught.value)


def test_a_zst_file_that_is_cut_short_is_refused_and_one_of_several_frames_is_read_whole(tracks, tmp_path):
    pytest.importorskip("pyarrow")
    compressor = pytest.importorskip("zstandard").ZstdCompressor()
    content = tracks.to_csv(index=False).encode()
    whole = compressor.compress(content)
    (tmp_path / "t.csv.zst").write_bytes(whole[:-20])
    with pytest.raises(DataFileError, match="cannot be read"):
        load_table(tmp_path / "t.csv.zst", SPOTIFY)
    half = content.index(b"\n", len(content) // 2) + 1
    (tmp_path / "t.csv.zst").write_bytes(compressor.compress(content[:half]) + compressor.compress(content[half:]))
    assert len(load_table(tmp_path / "t.csv.zst", SPOTIFY)) == len(tracks)


def test_a_file_that_grows_beyond_its_bound_is_refused_until_the_bound_is_raised(tracks, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ALWAYS_ALLOWED", 100_000)
    line = tracks.head(1).to_csv(index=False, header=False).encode()
    content = gzip.compress(tracks.to_csv(index=False).encode()) + gzip.compress(line * 20_000)
    (tmp_path / "t.csv.gz").write_bytes(content)
    with pytest.raises(DataFileError, match=r"holds more than 1[\d,]* bytes once it is decompressed.*max_expansion"):
        read_table(tmp_path / "t.csv.gz", SPOTIFY, max_expansion=10)
    assert len(read_table(tmp_path / "t.csv.gz", SPOTIFY, max_expansion=1_000)) == len(tracks) + 20_000


def test_text_that_a_parquet_file_repeats_counts_as_often_as_it_stands_there(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    names = arrow.DictionaryArray.from_arrays(np.zeros(2_000, dtype=np.int32), ["x" * 50_000])
    parquet.write_table(arrow.table({"tempo": np.zeros(2_000), "name": names}), tmp_path / "t.parquet")
    assert (tmp_path / "t.parquet").stat().st_size < 100_000
    with pytest.raises(DataFileError, match="once it is decompressed"):
        read_table(tmp_path / "t.parquet", SPOTIFY)
    assert read_table(tmp_path / "t.parquet", SPOTIFY, max_expansion=1e6)["name"].str.len().sum() == 100_000_000


@pytest.mark.parametrize("value", [[1.0], {"a": 1}, b"1"], ids=repr)
def test_parquet_columns_that_are_no_numbers_are_refused(tracks, tmp_path, value):
    pytest.importorskip("pyarrow")
    tracks.assign(tempo=[value] * len(tracks)).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataFileError, match=r"column 'tempo' has the type .* It must hold numbers or text"):
        load_table(tmp_path / "t.parquet", SPOTIFY)


def test_parquet_categories_of_text_and_dates_as_text_are_read(tracks, tmp_path):
    pytest.importorskip("pyarrow")
    changed = tracks.assign(name=tracks["name"].astype("category"), release_date=pd.Timestamp("2000-01-01"))
    changed.to_parquet(tmp_path / "t.parquet")
    loaded = load_table(tmp_path / "t.parquet", SPOTIFY)
    assert loaded["name"].tolist() == tracks["name"].tolist()
    assert loaded["release_date"].str.startswith("2000-01-01").all()


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(DataFileError, match="No file at"):
        load_table(tmp_path / "t.csv", SPOTIFY)


def test_a_table_with_a_column_twice_is_refused(tracks):
    twice = pd.concat([tracks, tracks[["tempo"]]], axis=1)
    with pytest.raises(DataFileError, match="column named twice: 'tempo'"):
        check_table(twice, SPOTIFY)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(DataFileError, match="is a folder"):
        load_table(tmp_path, SPOTIFY)
    with pytest.raises(DataFileError, match="No file at"):
        load_table(tmp_path / "none.csv", SPOTIFY)


def test_hash_file_is_sha256(tmp_path):
    (tmp_path / "f").write_bytes(b"energy")
    assert hash_file(tmp_path / "f") == hashlib.sha256(b"energy").hexdigest()


def test_the_sample_is_found():
    assert sample_path().name == "tracks.csv"


def test_missing_cells_can_be_kept_but_for_the_target():
    schema = make_schema(target="y", numbers=["a"], categories=["c"], years=["built"])
    rows = {"a": [1, None], "c": [None, "x"], "built": [None, "1999-05-01"], "y": [1.0, 2.0]}
    kept = check_table(pd.DataFrame(rows), schema, missing="keep")
    assert kept["a"].isna().tolist() == [False, True]
    assert kept["built"].tolist()[1] == 1999
    with pytest.raises(DataFileError, match="'a' is missing"):
        check_table(pd.DataFrame(rows), schema)
    with pytest.raises(DataFileError, match="'y' is missing"):
        check_table(pd.DataFrame({**rows, "y": [1.0, None]}), schema, missing="keep")
    with pytest.raises(DataFileError, match="'a' is text"):
        check_table(pd.DataFrame({**rows, "a": ["?", None]}), schema, missing="keep")


def test_a_year_is_read_from_a_date():
    schema = make_schema(target="y", years=["built"])
    dates = pd.DataFrame({"built": ["1999-05-01", "2001"], "y": [1.0, 2.0]})
    assert check_table(dates, schema)["built"].tolist() == [1999, 2001]
    mixed = pd.Series([1999, "2001.0"], dtype=object)
    assert check_table(dates.assign(built=mixed), schema)["built"].tolist() == [1999, 2001]
    assert check_table(dates.assign(built=pd.to_datetime(["1999-05-01", "2001-01-01"])), schema)["built"].sum() == 4000
    with pytest.raises(DataFileError, match="'built' is text where a number belongs in 1 row"):
        check_table(dates.assign(built=["1999-05-01", "long ago"]), schema)
