"""Every constant of the notebook and every figure that it printed.

Christopher Kramer, "Spotify energy score via KNN", 2021.
"""

from __future__ import annotations

from energyknn.fitting import Scores
from energyknn.schema import Column, Schema
from energyknn.tuning import Candidate, ScoreTable

SPOTIFY = Schema(
    (
        Column("acousticness", "number", "0 to 1", 0, 1),
        Column("artists", "text"),
        Column("danceability", "number", "0 to 1", 0, 1),
        Column("duration_ms", "number", "ms", 0),
        Column("energy", "target", "0 to 1", 0, 1),
        Column("explicit", "category", levels=(0, 1)),
        Column("id", "text", required=False),
        Column("instrumentalness", "number", "0 to 1", 0, 1),
        Column("key", "category", "pitch class", levels=tuple(range(12)), unknown=(-1,)),
        Column("liveness", "number", "0 to 1", 0, 1),
        Column("loudness", "number", "dBFS"),
        Column("mode", "category", levels=(0, 1)),
        Column("name", "text"),
        Column("popularity", "number", "0 to 100", 0, 100),
        Column("release_date", "text", required=False),
        Column("speechiness", "number", "0 to 1", 0, 1),
        Column("tempo", "number", "beats per minute", 0),
        Column("valence", "number", "0 to 1", 0, 1),
        Column("year", "year", "calendar year", 1860),
    )
)
"""The 19 columns of the notebook's file, in its order. `key` is a pitch class (0 is C); the Web API writes -1
where it found none. The oldest known recording of a voice was made in 1860."""


def holds_tracks(schema: Schema) -> bool:
    """Tell whether every column is one of the notebook's, so that a row is a track."""
    known = {(column.name, column.role, column.unit) for column in SPOTIFY.columns}
    return all((column.name, column.role, column.unit) in known for column in schema.columns)


REFERENCE_YEAR = 2021
"""The year in which a track's age is 0."""
TEST_SIZE = 0.2
RANDOM_STATE = 42
N_FOLDS = 4
BASE_N_NEIGHBORS = 5
COARSE_N_NEIGHBORS = (1, 11, 21, 31, 41, 51)
N_MICRO = 6
"""Candidates of the second search: the best of the first and the five above it."""
LARGEST_N_NEIGHBORS = max(COARSE_N_NEIGHBORS) + N_MICRO - 1

ROWS = 174_389
BASE = {
    "train": Scores(0.8692657365579515, 0.09855464044834011),
    "test": Scores(0.8029904002733431, 0.12123105702934114),
}
COARSE = ScoreTable(
    [Candidate(k) for k in (11, 41, 21, 41, 31)],
    [  # type: ignore[arg-type]  # a list becomes the table's own read-only array
        [0.8070193020045853, 0.8047274625036641, 0.8035835462868018, 0.8030203857801017],
        [0.798619731128189, 0.7962843298862314, 0.7959358894703314, 0.7953211430923094],
        [0.8047373708677723, 0.8022934609645567, 0.8026419798556756, 0.8011765557721433],
        [0.798619731128189, 0.7962843298862314, 0.7959358894703314, 0.7953211430923094],
        [0.8015592205895563, 0.7995203593510085, 0.7990281333235592, 0.7981037617861465],
    ],
)
"""TuneSearchCV's five trials in the order of their start: 41 was drawn twice, 1 and 51 never."""
MICRO_N_NEIGHBORS = (11, 12, 13, 14, 15, 16)
MICRO_BEST = 13
MICRO_MINUTES = 8.8
"""GridSearchCV's wall time for 24 fits on 16 workers."""
TUNED = {
    "train": Scores(0.8380230790180042, 0.10970058290931115),
    "test": Scores(0.8112129507922109, 0.11867419561831806),
}
