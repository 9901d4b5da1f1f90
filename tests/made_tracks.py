"""Small tables with the notebook's columns, made by seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd


def make_tracks(n_rows: int, seed: int = 0) -> pd.DataFrame:
    """Make a table that the Spotify schema accepts, with energy that depends on loudness and acousticness."""
    random = np.random.default_rng(seed)
    shares = {
        name: random.random(n_rows).round(3)
        for name in ("danceability", "instrumentalness", "liveness", "speechiness", "valence")
    }
    acousticness = random.random(n_rows).round(3)
    loudness = random.normal(-11, 5, n_rows).round(3)
    energy = 1 / (1 + np.exp(-(loudness + 11) / 4 + 2 * (acousticness - 0.5) + random.normal(0, 0.3, n_rows)))
    table = pd.DataFrame(
        {
            **shares,
            "acousticness": acousticness,
            "loudness": loudness,
            "energy": energy.round(3),
            "artists": [f"['Artist {row % 7}']" for row in range(n_rows)],
            "name": [f"Song {row}" for row in range(n_rows)],
            "id": [f"{row:022d}" for row in range(n_rows)],
            "release_date": "2000-01-01",
            "duration_ms": random.integers(30_000, 600_000, n_rows),
            "explicit": random.integers(0, 2, n_rows),
            "key": random.integers(0, 12, n_rows),
            "mode": random.integers(0, 2, n_rows),
            "popularity": random.integers(0, 101, n_rows),
            "tempo": random.normal(120, 30, n_rows).clip(30).round(3),
            "year": random.integers(1921, 2021, n_rows),
        }
    )
    return table[sorted(table.columns)]
