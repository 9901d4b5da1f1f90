"""Spotify files: each published shape gives the notebook's columns, names and units."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks
from spotify_shapes import LACKING, SHAPES, write_shape

from energyknn.loading import check_table, read_file
from energyknn.study.notebook import SPOTIFY
from energyknn.study.spotify_files import TEXT_COLUMNS, recognise_tracks

ROUNDED = {"spotify-2023.csv", "top10s.csv"}
"""Files that hold whole percentages."""


def recognise(path):
    found = recognise_tracks(read_file(path, texts=TEXT_COLUMNS).table)
    assert found is not None
    return found


@pytest.mark.parametrize("name", SHAPES)
def test_each_published_file_gives_the_notebooks_columns(tmp_path, name):
    found = recognise(write_shape(name, tmp_path))
    assert [column for column in SPOTIFY.names if column not in found.schema.names] == list(LACKING[name])
    assert (found.schema == SPOTIFY) == (not LACKING[name])
    table, tracks = check_table(found.table, found.schema), make_tracks(150)
    for column in table.columns:
        if SPOTIFY[column].role == "text":
            continue
        expected = tracks[column]
        if name == "spotify-2023.csv" and column == "key":
            expected = expected.where(expected > 0, -1)
        half = {"tempo": 0.5, "duration_ms": 500, "loudness": 0.5}.get(column, 0.005)
        np.testing.assert_allclose(table[column], expected, rtol=0, atol=1e-9 + (half if name in ROUNDED else 0))
    assert table["name"].tolist() == tracks["name"].tolist()


def test_the_notebooks_own_file_needs_no_word(tmp_path):
    assert recognise(write_shape("data.csv", tmp_path)).notes == ()


NOTES = {
    "tracks.csv": ("'release_date' gives the year.",),
    "SpotifyFeatures.csv": (
        "'artist_name' is read as 'artists'.",
        "'track_id' is read as 'id'.",
        "'key' holds names of notes: C is 0, B is 11.",
        "'mode' holds names: major is 1, minor is 0.",
        "'track_name' is read as 'name'.",
        "The file lacks 'explicit', 'year' of the notebook's columns.",
    ),
    "dataset.csv": (
        "'explicit' holds truth values: true is 1, false is 0.",
        "'track_id' is read as 'id'.",
        "'track_name' is read as 'name'.",
        "The file lacks 'year' of the notebook's columns.",
    ),
}


@pytest.mark.parametrize("name", NOTES)
def test_every_mapping_is_said(tmp_path, name):
    assert recognise(write_shape(name, tmp_path)).notes == NOTES[name]


def test_percentages_and_missing_keys_are_said(tmp_path):
    notes = recognise(write_shape("spotify-2023.csv", tmp_path)).notes
    assert "'energy_%' is read as 'energy' and holds percentages: 100 is 1." in notes
    assert "'key' holds names of notes: C is 0, B is 11, none is -1." in notes
    assert "'bpm' is read as 'tempo'." in notes


def test_one_impossible_value_makes_no_percentages(tracks):
    tracks.loc[0, "energy"] = 80.0
    found = recognise_tracks(tracks)
    assert found.table["energy"].tolist() == tracks["energy"].tolist()
    with pytest.raises(ValueError, match="'energy' is outside 0 to 1 in 1 row"):
        check_table(found.table, found.schema)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("key", ["Db", "E♭", "F♯/G♭", "b", " ", None], [1, 3, 6, 11, -1, -1]),
        ("key", [1.0, np.nan, 3, 4, 5, 6], [1, -1, 3, 4, 5, 6]),
        ("key", ["H", "C", "C", "C", "C", "C"], ["H", 0, 0, 0, 0, 0]),
        ("mode", ["MAJOR", "minor", "Maj", "min", "Major", "Minor"], [1, 0, 1, 0, 1, 0]),
        ("explicit", ["True", "FALSE", "yes", "no", "1", "0"], [1, 0, 1, 0, 1, 0]),
        ("duration", ["3:45", "1:00:00", "0:30", "12:01", "3:00", "3:01"], [225e3, 36e5, 3e4, 721e3, 18e4, 181e3]),
        ("duration", [3.5, 3, 4, 5, 2, 2.5], [210e3, 18e4, 24e4, 3e5, 12e4, 15e4]),
        ("duration_min", [30, 30, 40, 50, 20, 25], [18e5, 18e5, 24e5, 3e6, 12e5, 15e5]),
        ("duration", [210, 180, 240, 300, 120, 150], [210e3, 18e4, 24e4, 3e5, 12e4, 15e4]),
        ("duration", [210_000, 180_000, 240_000, 300_000, 120_000, 150_000], [210e3, 18e4, 24e4, 3e5, 12e4, 15e4]),
        ("Key ", ["A", "A#", "B", "C", "C#", "D"], [9, 10, 11, 0, 1, 2]),
    ],
)
def test_codes_and_units_of_all_kinds(column, values, expected):
    name = {"duration": "duration_ms", "duration_min": "duration_ms", "Key ": "key"}.get(column, column)
    table = make_tracks(6).drop(columns=name).assign(**{column: values})
    assert recognise_tracks(table).table[name].tolist() == expected


@pytest.mark.parametrize(
    "headers",
    [
        {
            "tempo": "Beats Per Minute (BPM)",
            "loudness": "Loudness (dB)",
            "duration_ms": "Duration (ms)",
            "name": "Title",
        },
        {"tempo": "Beats.Per.Minute", "loudness": "Loudness..dB..", "name": "Track.Name", "artists": "Artist.Name"},
        {"name": "Track", "artists": "Artist", "duration_ms": "Duration_ms", "tempo": "Tempo", "energy": "Energy "},
    ],
)
def test_signs_and_case_in_names_do_not_count(tmp_path, headers):
    tracks = make_tracks(20)
    tracks.loc[3, "name"] = "None"
    tracks.rename(columns=headers).to_csv(tmp_path / "t.csv", index=False)
    found = recognise(tmp_path / "t.csv")
    pd.testing.assert_frame_equal(found.table, tracks, check_dtype=False)
    assert {f"{header!r} is read as {name!r}." for name, header in headers.items()} == set(found.notes)


def test_other_files_are_not_recognised(tracks):
    assert recognise_tracks(tracks.drop(columns="energy")) is None
    assert recognise_tracks(tracks.drop(columns="energy"), with_target=False) is not None
    few = ["energy", "name", "danceability", "valence", "tempo", "loudness", "year"]
    assert recognise_tracks(tracks[few]) is None
    assert recognise_tracks(pd.DataFrame({"energy": [1.5], "mode": ["car"], "price": [3]})) is None


def test_recognising_changes_no_argument(tracks):
    before = tracks.copy()
    recognise_tracks(tracks.rename(columns={"name": "song"}))
    pd.testing.assert_frame_equal(tracks, before)
