"""Recognise Spotify files by their columns, and give them the notebook's names and units.

Spotify's audio features are published in many files, whose columns differ in names, units and codes: a track is called
`track_name` or `song`, energy is 0.8 or 80 %, a key is 1 or "C#". The rules here go by columns and values, and not by
the file's name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from pandas.api import types

from energyknn._shared.dates import read_years
from energyknn._shared.showing import in_one_line
from energyknn.schema import Schema
from energyknn.study.notebook import SPOTIFY

_SCORES = ("acousticness", "danceability", "energy", "instrumentalness", "liveness", "speechiness", "valence")
_AUDIO = tuple(name for name in (*_SCORES, "loudness", "tempo") if name != SPOTIFY.target)
_FEWEST_AUDIO = 5
_PERCENT_TELLING = ("energy", "danceability", "valence")
"""Scores of which half are far from 0: above 1 they are percentages, and so are the others of their file."""
_ALIASES: dict[str, tuple[str, ...]] = {
    **{name: (name, f"{name}_%", f"{name}_percent") for name in _SCORES},
    "artists": ("artists", "artist", "artist_name", "artist_names", "artist_s_name", "track_artist", "artists_name"),
    "duration_ms": (
        *("duration_ms", "track_duration_ms", "duration", "duration_s", "duration_sec", "duration_seconds"),
        *("duration_min", "duration_mins", "duration_minutes", "length_duration", "length", "dur"),
    ),
    "explicit": ("explicit", "is_explicit", "track_explicit"),
    "id": ("id", "track_id", "spotify_id", "song_id"),
    "key": ("key",),
    "loudness": ("loudness", "loudness_db", "db"),
    "mode": ("mode",),
    "name": ("name", "track_name", "song", "song_name", "track", "title", "track_title", "song_title"),
    "popularity": ("popularity", "track_popularity", "song_popularity", "pop"),
    "release_date": ("release_date", "track_album_release_date", "album_release_date", "track_release_date"),
    "tempo": ("tempo", "bpm", "beats_per_minute_bpm", "beats_per_minute"),
    "year": ("year", "released_year", "release_year", "year_released", "album_release_year"),
}
"""What files call the notebook's columns, in lower case with `_` for other signs. The first that a file has counts."""
_SHORT = {"acous": "acousticness", "dnce": "danceability", "nrgy": "energy", "live": "liveness", "val": "valence"}
_SHORT["spch"] = "speechiness"

TEXT_COLUMNS = (
    "artist(s)_name",
    *(alias.replace("_", sign) for name in SPOTIFY.texts for alias in _ALIASES[name] for sign in "_ ."),
)
"""Names of columns that hold text, for `energyknn.loading.read_file`, so that a song called "None" keeps its name."""

_NOTES = ("c", "c#", "d", "d#", "e", "f", "f#", "g", "g#", "a", "a#", "b")
_PITCHES = {
    **{note: pitch for pitch, note in enumerate(_NOTES)},
    **{f"{note}b": (_NOTES.index(note) - 1) % 12 for note in "cdefgab"},
    "e#": 5,
    "b#": 0,
}
_NO_KEY = -1
_NO_NAMES = ("", "-", "none", "nan", "n/a", "unknown")
_TRUTHS = {"true": 1, "false": 0, "yes": 1, "no": 0, "1": 1, "0": 0, "t": 1, "f": 0}
_MODES = {"major": 1, "minor": 0, "maj": 1, "min": 0}
_LEAST_SECONDS, _LEAST_MS = 20, 10_000  # typical durations of tracks: below, they are in minutes or in seconds
_CLOCK = r"\s*(?:(\d+):)?(\d{1,3}):(\d{2})(?:\.\d+)?\s*"


@in_one_line
@dataclass(frozen=True, eq=False)
class Recognised:
    """A Spotify file with the notebook's names and units.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        Those of the notebook's columns that the file has. Values are not checked.
    schema : Schema
        The notebook's schema without the columns that the file lacks.
    notes : tuple of str
        What was renamed and converted, and which columns are lacking, a sentence each.
    """

    table: pd.DataFrame = field(repr=False)
    schema: Schema
    notes: tuple[str, ...] = ()


def recognise_tracks(table: pd.DataFrame, *, with_target: bool = True) -> Recognised | None:
    """Recognise the columns of a Spotify file, and give them the notebook's names and units.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A file as `energyknn.loading.read_file` reads it, with `TEXT_COLUMNS` as its texts.
    with_target : bool, default=True
        Whether the energy is required. Use False for tracks to predict.

    Returns
    -------
    Recognised or None
        The table with the notebook's columns. None where the energy or most audio features are missing, so that the
        file is of something else.

    See Also
    --------
    energyknn.loading.check_table : Checks the values.

    Examples
    --------
    >>> names = ["song", "bpm", "energy", "danceability", "valence", "liveness", "speechiness"]
    >>> found = recognise_tracks(pd.DataFrame([["Lost", 120, 0.8, 0.5, 0.5, 0.1, 0.1]], columns=names))
    >>> found.notes[:2]
    ("'song' is read as 'name'.", "'bpm' is read as 'tempo'.")
    >>> recognise_tracks(pd.DataFrame({"energy": [900], "rooms": [3]}))
    """
    called = _find_columns(table)
    if with_target and SPOTIFY.target not in called:
        return None
    if sum(name in called for name in _AUDIO) < _FEWEST_AUDIO:
        return None
    in_percent = any(_median(table[called[name]]) > 1 for name in _PERCENT_TELLING if name in called)
    columns: dict[str, pd.Series] = {}
    notes: list[str] = []
    for name, header in called.items():
        columns[name], clause = _convert(name, table[header], header, in_percent=in_percent)
        clauses = [f"is read as {name!r}"] * (header != name) + [clause] * bool(clause)
        notes += [f"{header!r} {' and '.join(clauses)}."] if clauses else []
    if "year" not in columns and "release_date" in columns:
        columns["year"] = _shrink(read_years(columns["release_date"]))
        notes.append(f"{called['release_date']!r} gives the year.")
    kept = {*columns, SPOTIFY.target}
    schema = Schema(tuple(column for column in SPOTIFY.columns if column.name in kept or not column.required))
    lacking = [name for name in SPOTIFY.names if name not in schema.names]
    if lacking:
        notes.append(f"The file lacks {', '.join(map(repr, lacking))} of the notebook's columns.")
    ordered = {name: columns[name] for name in SPOTIFY.names if name in columns}
    return Recognised(pd.DataFrame(ordered), schema, tuple(notes))


def _find_columns(table: pd.DataFrame) -> dict[str, str]:
    """Return what the notebook's columns are called in a table that has them."""
    folded: dict[str, str] = {}
    for header in table.columns:
        name = re.sub(r"[^a-z0-9%]+", "_", str(header).lower()).strip("_")
        folded.setdefault(_SHORT.get(name, name), header)
    found = {name: [folded[alias] for alias in _ALIASES[name] if alias in folded] for name in SPOTIFY.names}
    return {name: headers[0] for name, headers in found.items() if headers}


def _convert(name: str, values: pd.Series, header: str, *, in_percent: bool) -> tuple[pd.Series, str]:
    """Return a column in the notebook's unit and code, and say what was converted. Other values stay as they are."""
    if name in _SCORES:
        return _convert_score(values, is_percent=in_percent)
    if name == "duration_ms":
        return _convert_duration(values, header)
    convert = {"explicit": _convert_explicit, "key": _convert_key, "mode": _convert_mode}.get(name)
    return convert(values) if convert else (values, "")


def _convert_score(values: pd.Series, *, is_percent: bool) -> tuple[pd.Series, str]:
    """Turn percentages into shares of 1."""
    if not is_percent or not types.is_numeric_dtype(values.dtype):
        return values, ""
    return values / 100, "holds percentages: 100 is 1"


def _convert_duration(values: pd.Series, header: str) -> tuple[pd.Series, str]:
    """Turn minutes, seconds and times such as 3:45 into milliseconds."""
    if not types.is_numeric_dtype(values.dtype):
        parts = values.astype("str").str.extract(f"^{_CLOCK}$").astype(np.float64)
        seconds = parts[0].fillna(0) * 3600 + parts[1] * 60 + parts[2]
        if not seconds.notna().any():
            return values, ""
        return _replace(values, seconds * 1000), "holds minutes and seconds, which become milliseconds"
    if re.search(r"ms\b|_ms", header.lower()):
        return values, ""
    typical = _median(values)
    if "min" in header.lower() or typical < _LEAST_SECONDS:
        return values * 60_000, "holds minutes, which become milliseconds"
    if typical < _LEAST_MS:
        return values * 1000, "holds seconds, which become milliseconds"
    return values, ""


def _convert_explicit(values: pd.Series) -> tuple[pd.Series, str]:
    """Turn truth values into 1 and 0."""
    if types.is_numeric_dtype(values.dtype) and not types.is_bool_dtype(values.dtype):
        return values, ""
    return _replace(values, _fold(values).map(_TRUTHS)), "holds truth values: true is 1, false is 0"


def _convert_key(values: pd.Series) -> tuple[pd.Series, str]:
    """Turn the names of notes into pitch classes, and a missing one into the code for none."""
    if types.is_numeric_dtype(values.dtype):
        absent = values.isna()
        if not absent.any():
            return values, ""
        return _shrink(values.fillna(_NO_KEY)), f"is missing in {_count(absent)} and becomes {_NO_KEY} there"
    folded = _fold(values).str.replace("♯", "#").str.replace("♭", "b").str.split("/").str[0].str.strip()
    absent = folded.isin(_NO_NAMES) | values.isna()
    pitches = folded.map(_PITCHES).where(~absent, _NO_KEY)
    clause = "holds names of notes: C is 0, B is 11"
    return _replace(values, pitches), f"{clause}, none is {_NO_KEY}" if absent.any() else clause


def _convert_mode(values: pd.Series) -> tuple[pd.Series, str]:
    """Turn the names of modes into 1 and 0."""
    if types.is_numeric_dtype(values.dtype):
        return values, ""
    return _replace(values, _fold(values).map(_MODES)), "holds names: major is 1, minor is 0"


def _median(values: pd.Series) -> float:
    """Return the median of the values that are numbers."""
    return float(pd.to_numeric(values, errors="coerce").median())


def _fold(values: pd.Series) -> pd.Series:
    """Return values as text in lower case, without blanks around."""
    return values.astype("str").str.strip().str.lower()


def _replace(values: pd.Series, converted: pd.Series) -> pd.Series:
    """Return the converted values, and the old ones where there is none."""
    if converted.notna().all():
        return _shrink(converted)
    return values.astype(object).where(converted.isna(), converted)


def _shrink(numbers: pd.Series) -> pd.Series:
    """Return whole numbers as int64, and others as they are."""
    numbers = numbers.astype(np.float64)
    return numbers.astype(np.int64) if (numbers == np.floor(numbers)).all() else numbers


def _count(rows: pd.Series) -> str:
    """Count rows in words."""
    return f"{rows.sum()} {'row' if rows.sum() == 1 else 'rows'}"
