"""The synthetic tracks: their form, their repeatability, and how close they come to what was measured."""

from __future__ import annotations

import ast
import io
import json
import re
from importlib import resources
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from energyknn.study import synthesis
from energyknn.study.notebook import SPOTIFY
from energyknn.study.synthesis import are_synthetic, synthesise_tracks

SAMPLE = Path(__file__).parents[2] / "data_sample" / "tracks.csv"
AUDIO = (
    *("acousticness", "danceability", "duration_ms", "energy", "instrumentalness", "liveness", "loudness"),
    *("speechiness", "tempo", "valence", "key", "mode", "explicit"),
)
NUMERIC = (*AUDIO, "popularity", "year")

# What the notebook's file has: means and sds recovered from nine printed rows; energy's sd is printed.
NOTEBOOK = {
    "acousticness": (0.499228, 0.379935),
    "danceability": (0.536758, 0.176025),
    "duration_ms": (232810, 148395),
    "instrumentalness": (0.197252, 0.334573),
    "liveness": (0.211123, 0.180492),
    "loudness": (-11.7509, 5.69158),
    "popularity": (25.6934, 21.8727),
    "speechiness": (0.105729, 0.18226),
    "tempo": (117.006, 30.2541),
    "valence": (0.524533, 0.264476),
    "energy": (0.483, 0.27285),
}


@pytest.fixture(scope="module")
def stored() -> dict:
    text = resources.files("energyknn.study").joinpath("synthesis_statistics.json").read_text(encoding="utf-8")
    return json.loads(text)


@pytest.fixture(scope="module")
def tracks() -> pd.DataFrame:
    return synthesise_tracks(50_000, random_state=7)


def song_of(tracks: pd.DataFrame) -> pd.Series:
    return tracks["artists"] + "\n" + tracks["name"].str.replace(r" - Remastered.*", "", regex=True)


def assert_valid(tracks: pd.DataFrame) -> None:
    """Hold every value against the schema."""
    assert not tracks.isna().any(axis=None)
    for column in SPOTIFY.columns:
        values = tracks[column.name]
        if column.minimum is not None:
            assert values.min() >= column.minimum, column.name
        if column.maximum is not None:
            assert values.max() <= column.maximum, column.name
        if column.levels:
            assert set(values) <= set(column.levels), column.name
    assert tracks["year"].between(1921, 2020).all()
    assert (tracks["duration_ms"] > 0).all()


@pytest.mark.parametrize("n_rows", [1, 2, 10, 2000])
def test_any_size_has_the_notebooks_columns_and_valid_values(n_rows):
    tracks = synthesise_tracks(n_rows)
    assert tracks.shape == (n_rows, 19)
    assert tuple(tracks.columns) == SPOTIFY.names
    assert tracks.index.equals(pd.RangeIndex(n_rows))
    assert_valid(tracks)
    assert tracks["id"].is_unique


@pytest.mark.parametrize("n_rows", [100, 2000])
def test_a_csv_file_gives_the_frame_back(n_rows):
    tracks = synthesise_tracks(n_rows, random_state=3)
    again = pd.read_csv(io.StringIO(tracks.to_csv(index=False)))
    pd.testing.assert_frame_equal(again, tracks)


def test_a_large_table_is_valid(tracks):
    assert_valid(tracks)
    assert tracks["id"].is_unique
    assert tracks["energy"].between(0, 1).all()
    assert set(tracks["key"]) == set(range(12))


def test_the_same_seed_gives_the_same_rows():
    pd.testing.assert_frame_equal(
        synthesise_tracks(500, random_state=11), synthesise_tracks(500, random_state=np.int64(11))
    )


def test_another_seed_gives_other_rows():
    first, second = (synthesise_tracks(500, random_state=seed) for seed in (0, 1))
    assert not set(first["id"]) & set(second["id"])
    assert (first["tempo"] != second["tempo"]).mean() > 0.99


def test_a_generator_advances():
    rng = np.random.default_rng(5)
    first, second = synthesise_tracks(50, random_state=rng), synthesise_tracks(50, random_state=rng)
    pd.testing.assert_frame_equal(first, synthesise_tracks(50, random_state=5))
    assert not first.equals(second)


@pytest.mark.medium
@pytest.mark.parametrize("name", NOTEBOOK)
def test_means_and_sds_are_the_notebooks(tracks, name):
    # A mean over 50,000 tracks, 8 % of them repeats, has a standard error of 0.005 sd: 0.02 sd is four of them.
    # The heavy tails of duration and speechiness make their sds less certain.
    mean, sd = NOTEBOOK[name]
    assert abs(tracks[name].mean() - mean) < 0.02 * sd
    assert tracks[name].std() == pytest.approx(sd, rel=0.05 if name == "duration_ms" else 0.025)


def test_rank_correlations_are_the_measured_ones(tracks, stored):
    columns = stored["rank_correlations"]["columns"]
    measured = np.array(stored["rank_correlations"]["matrix"])
    drawn = tracks[columns].corr(method="spearman").to_numpy()
    assert np.abs(drawn - measured).max() < 0.08
    assert np.sqrt(np.mean((drawn - measured) ** 2)) < 0.025
    energy = dict(zip(columns, drawn[columns.index("energy")], strict=True))
    assert energy["loudness"] > 0.7
    assert energy["acousticness"] < -0.65


def test_frequencies_are_the_measured_ones(tracks, stored):
    by_key = tracks.groupby("key")["mode"].mean().to_numpy()
    np.testing.assert_allclose(by_key, stored["major_by_key"], atol=0.05)
    decade = np.minimum((tracks["year"] - 1920) // 10, 9)
    keys = pd.crosstab(decade, tracks["key"], normalize="index").to_numpy()
    np.testing.assert_allclose(keys, stored["keys"], atol=0.04)
    assert 0.02 < tracks["explicit"].mean() < 0.09
    assert tracks["instrumentalness"].eq(0).mean() == pytest.approx(0.2, abs=0.1)
    assert tracks["popularity"].eq(0).mean() == pytest.approx(0.15, abs=0.1)


def test_energy_follows_from_the_other_columns_and_noise(tracks):
    # A straight line leaves more than 0.10 and less than 0.13, as on real tracks (0.116).
    X = tracks[list(SPOTIFY.numbers)].to_numpy(dtype=float)
    X = np.column_stack([np.ones(len(X)), (X - X.mean(axis=0)) / X.std(axis=0)])
    residuals = tracks["energy"] - X @ np.linalg.lstsq(X, tracks["energy"], rcond=None)[0]
    assert 0.10 < residuals.std() < 0.14


def test_numbers_are_rounded_as_published(tracks):
    for name in ("danceability", "acousticness", "instrumentalness", "energy"):
        assert all(float(f"{value:.3g}") == value for value in tracks[name].head(3000))
    for name in ("loudness", "tempo"):
        assert all(round(value, 3) == value for value in tracks[name].head(3000))


@pytest.mark.medium
def test_songs_repeat_under_other_ids(tracks):
    repeats = tracks.duplicated(["name", "artists"])
    assert 0.07 < repeats.mean() < 0.09
    first = tracks.groupby(["name", "artists"])[list(AUDIO)].transform("first")
    same = (tracks.loc[repeats, list(AUDIO)] == first[repeats]).all(axis=1)
    assert 0.15 < same.mean() < 0.4
    remaster = tracks["name"].str.contains(" - Remastered")
    assert 0.008 < remaster.mean() < 0.012
    songs = song_of(tracks)
    assert songs[remaster].isin(songs[~remaster]).all()


def test_some_rows_are_equal_in_every_number(tracks):
    assert 0.002 < tracks.duplicated(list(NUMERIC)).mean() < 0.006
    assert synthesise_tracks(2000).duplicated(list(NUMERIC)).sum() >= 5


def test_texts_have_the_files_formats(tracks):
    head = tracks.head(3000)
    assert head["id"].str.fullmatch(r"synthetic[0-9A-Za-z]{13}").all()
    lists = head["artists"].map(ast.literal_eval)
    assert set(lists.map(len)) == {1, 2}
    assert (head["artists"] == lists.map(repr)).all()
    assert head["release_date"].str.fullmatch(r"\d{4}(-\d{2}-\d{2})?").all()
    assert (head["release_date"].str[:4].astype(int) == head["year"]).all()
    assert set(head["release_date"].str.len()) == {4, 10}
    pd.to_datetime(head["release_date"], format="ISO8601")


def test_missing_keys_do_not_appear():
    tracks = synthesise_tracks(5000, missing_keys=[3, np.int64(0)])
    assert set(tracks["key"]) == set(range(12)) - {0, 3}
    assert set(synthesise_tracks(50, missing_keys=tuple(range(11)))["key"]) == {11}
    everything_else = [name for name in SPOTIFY.names if name not in ("key", "mode")]
    pd.testing.assert_frame_equal(tracks[everything_else], synthesise_tracks(5000)[everything_else])


def test_the_committed_sample_comes_out_again():
    tracks = synthesise_tracks(2000, random_state=0, missing_keys=(3,))
    assert tracks.to_csv(index=False, lineterminator="\n").encode() == SAMPLE.read_bytes()
    assert SAMPLE.stat().st_size < 900 * 1024


def test_another_machines_last_digits_do_not_show(monkeypatch):
    statistics = synthesis._load_statistics()
    shaken = statistics._replace(factors=statistics.factors * (1 + 4e-15))
    tracks = synthesise_tracks(5000)
    monkeypatch.setattr(synthesis, "_load_statistics", lambda: shaken)
    pd.testing.assert_frame_equal(synthesise_tracks(5000), tracks, check_exact=True)


def test_the_statistics_are_no_rows(stored):
    assert len(stored["grid"]) == 81
    assert all(np.all(np.diff(rows, axis=1) >= 0) for rows in stored["quantiles"].values())
    assert set(stored["quantiles"]) == set(SPOTIFY.numbers) - {"year"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_rows": 0}, ValueError, "n_rows is 0. It must be an integer of at least 1."),
        ({"n_rows": -5}, ValueError, "n_rows is -5. It must be"),
        ({"n_rows": 2.0}, TypeError, "n_rows is 2.0. It must be an integer of at least 1"),
        ({"n_rows": "10"}, TypeError, "n_rows is '10'. It must be an integer"),
        ({"n_rows": True}, TypeError, "n_rows is True. It must be an integer"),
        ({"n_rows": 5, "random_state": -1}, ValueError, "random_state is -1. It must be an integer of at least 0"),
        ({"n_rows": 5, "random_state": None}, TypeError, "random_state is None. It must be an integer"),
        ({"n_rows": 5, "missing_keys": 3}, TypeError, "missing_keys=3 is not a sequence."),
        ({"n_rows": 5, "missing_keys": "3"}, TypeError, "missing_keys='3' is not a sequence."),
        ({"n_rows": 5, "missing_keys": (3.0,)}, TypeError, "missing_keys is 3.0. It must be integers from 0 to 11"),
        ({"n_rows": 5, "missing_keys": (3, 12, 14)}, ValueError, "missing_keys has [12, 14]. A key is one of 0 to 11"),
        ({"n_rows": 5, "missing_keys": range(12)}, ValueError, "missing_keys has all 12 keys. At least one must"),
    ],
)
def test_bad_arguments_say_what_came_in_and_what_to_do(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        synthesise_tracks(**arguments)


def test_a_table_tells_whether_it_is_synthetic(tracks):
    assert are_synthetic(tracks)
    assert not are_synthetic(tracks.assign(id=["0", *tracks["id"][1:]]))
    assert not are_synthetic(tracks.iloc[:0])
    assert not are_synthetic(tracks.drop(columns="id"))
