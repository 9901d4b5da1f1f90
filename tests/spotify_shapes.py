"""Small seeded files with the columns of well-known Spotify files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from made_tracks import make_tracks

KEYS = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
AUDIO = ("danceability", "energy", "key", "loudness", "mode", "speechiness", "acousticness", "instrumentalness")
AUDIO = (*AUDIO, "liveness", "valence", "tempo")


def date_tracks(tracks: pd.DataFrame) -> pd.DataFrame:
    """Give each track a date of its year, every third one without month and day."""
    full = tracks["year"].astype(str) + "-02-22"
    return tracks.assign(release_date=full.where(np.arange(len(tracks)) % 3 > 0, tracks["year"].astype(str)))


def name_keys(keys: pd.Series) -> pd.Series:
    """Return the note of each pitch class."""
    return keys.map(dict(enumerate(KEYS)))


def write_notebook(tracks: pd.DataFrame, folder: Path) -> Path:
    """Write data.csv, the notebook's file."""
    path = folder / "data.csv"
    tracks.to_csv(path, index=False)
    return path


def write_tracks(tracks: pd.DataFrame, folder: Path) -> Path:
    """Write tracks.csv, the 600,000 tracks of the same author: a date and no year."""
    path = folder / "tracks.csv"
    columns = ["id", "name", "popularity", "duration_ms", "explicit", "artists", "id_artists", "release_date"]
    date_tracks(tracks).assign(id_artists="['1']", time_signature=4)[[*columns, *AUDIO, "time_signature"]].to_csv(
        path, index=False
    )
    return path


def write_features(tracks: pd.DataFrame, folder: Path) -> Path:
    """Write SpotifyFeatures.csv: keys and modes by name, neither year nor explicit."""
    path = folder / "SpotifyFeatures.csv"
    names = {"artists": "artist_name", "name": "track_name", "id": "track_id"}
    columns = "genre artist_name track_name track_id popularity acousticness danceability duration_ms energy "
    columns += "instrumentalness key liveness loudness mode speechiness tempo time_signature valence"
    table = tracks.rename(columns=names).assign(
        genre="Movie",
        key=name_keys(tracks["key"]),
        mode=tracks["mode"].map({1: "Major", 0: "Minor"}),
        time_signature="4/4",
    )
    table[columns.split()].to_csv(path, index=False, encoding="utf-8-sig")
    return path


def write_dataset(tracks: pd.DataFrame, folder: Path) -> Path:
    """Write dataset.csv, the "Spotify Tracks Dataset": a numbered first column, truth values, no year."""
    path = folder / "dataset.csv"
    table = tracks.rename(columns={"name": "track_name", "id": "track_id"}).assign(
        explicit=tracks["explicit"] == 1, album_name="Album", time_signature=4, track_genre="acoustic"
    )
    columns = ["track_id", "artists", "album_name", "track_name", "popularity", "duration_ms", "explicit"]
    table[[*columns, *AUDIO, "time_signature", "track_genre"]].to_csv(path)
    return path


def write_streamed(tracks: pd.DataFrame, folder: Path) -> Path:
    """Write spotify-2023.csv: percentages, bpm, notes with blanks, grouped digits, and names in Latin-1."""
    path = folder / "spotify-2023.csv"
    n_rows = len(tracks)
    counts = {f"in_{app}_{kind}": 7 for app in ("spotify", "apple", "deezer") for kind in ("playlists", "charts")}
    shares = ("danceability", "valence", "energy", "acousticness", "instrumentalness", "liveness", "speechiness")
    table = pd.DataFrame(
        {
            "track_name": tracks["name"],
            "artist(s)_name": "Beyoncé",
            "artist_count": 1,
            "released_year": tracks["year"],
            "released_month": 2,
            "released_day": 22,
            **counts,
            "streams": 141_381_703,
            "in_shazam_charts": ["1,021" if row % 2 else "84" for row in range(n_rows)],
            "bpm": tracks["tempo"].round().astype(int),
            "key": name_keys(tracks["key"]).where(tracks["key"] > 0, ""),
            "mode": tracks["mode"].map({1: "Major", 0: "Minor"}),
            **{f"{name}_%": (tracks[name] * 100).round().astype(int) for name in shares},
        }
    )
    table.to_csv(path, index=False, encoding="latin-1")
    return path


def write_songs(tracks: pd.DataFrame, folder: Path) -> Path:
    """Write spotify_songs.csv of TidyTuesday: albums and playlists, no explicit."""
    path = folder / "spotify_songs.csv"
    table = date_tracks(tracks).rename(
        columns={
            "id": "track_id",
            "name": "track_name",
            "artists": "track_artist",
            "popularity": "track_popularity",
            "release_date": "track_album_release_date",
        }
    )
    table = table.assign(
        track_album_id="1", track_album_name="Album", playlist_name="Pop", playlist_id="2", playlist_genre="pop",
        playlist_subgenre="dance pop",
    )  # fmt: skip
    columns = "track_id track_name track_artist track_popularity track_album_id track_album_name "
    columns += "track_album_release_date playlist_name playlist_id playlist_genre playlist_subgenre"
    table[[*columns.split(), *AUDIO, "duration_ms"]].to_csv(path, index=False)
    return path


def write_hits(tracks: pd.DataFrame, folder: Path) -> Path:
    """Write songs.csv, the "Top Hits" of 2000 to 2019: artist, song and year."""
    path = folder / "songs.csv"
    table = tracks.rename(columns={"artists": "artist", "name": "song"}).assign(explicit=tracks["explicit"] == 1)
    columns = ["artist", "song", "duration_ms", "explicit", "year", "popularity"]
    table.assign(genre="pop")[[*columns, *AUDIO, "genre"]].to_csv(path, index=False)
    return path


def write_top_tens(tracks: pd.DataFrame, folder: Path) -> Path:
    """Write top10s.csv, the top songs of 2010 to 2019: short names, percentages, seconds, neither key nor mode."""
    path = folder / "top10s.csv"
    shares = {"nrgy": "energy", "dnce": "danceability", "live": "liveness", "val": "valence", "acous": "acousticness"}
    shares["spch"] = "speechiness"
    table = pd.DataFrame(
        {
            "title": tracks["name"],
            "artist": tracks["artists"],
            "top genre": "pop",
            "year": tracks["year"],
            "bpm": tracks["tempo"].round().astype(int),
            **{short: (tracks[name] * 100).round().astype(int) for short, name in shares.items()},
            "dB": tracks["loudness"].round().astype(int),
            "dur": (tracks["duration_ms"] / 1000).round().astype(int),
            "pop": tracks["popularity"],
        }
    )
    table.to_csv(path, encoding="latin-1")
    return path


SHAPES: dict[str, Callable[[pd.DataFrame, Path], Path]] = {
    "data.csv": write_notebook,
    "tracks.csv": write_tracks,
    "SpotifyFeatures.csv": write_features,
    "dataset.csv": write_dataset,
    "spotify-2023.csv": write_streamed,
    "spotify_songs.csv": write_songs,
    "songs.csv": write_hits,
    "top10s.csv": write_top_tens,
}
"""How to write each file, by its name."""

LACKING: dict[str, tuple[str, ...]] = {
    "data.csv": (),
    "tracks.csv": (),
    "SpotifyFeatures.csv": ("explicit", "year"),
    "dataset.csv": ("year",),
    "spotify-2023.csv": ("duration_ms", "explicit", "loudness", "popularity"),
    "spotify_songs.csv": ("explicit",),
    "songs.csv": (),
    "top10s.csv": ("explicit", "instrumentalness", "key", "mode"),
}
"""The notebook's columns that each file lacks."""


def write_shape(name: str, folder: Path, *, n_rows: int = 150, seed: int = 0) -> Path:
    """Write a small file of one shape."""
    return SHAPES[name](make_tracks(n_rows, seed), folder)
