"""The files that are compared on: real tracks, synthetic tracks, and diamonds, which have nothing to do with music."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from harness.data import read_diamonds

from energyknn.loading import load_table
from energyknn.schema import Schema, make_schema
from energyknn.study.notebook import SPOTIFY
from energyknn.study.synthesis import synthesise_tracks

N_SYNTHETIC = 172_491
GRADES = {
    "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
    "color": ("J", "I", "H", "G", "F", "E", "D"),
    "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
}
"""Grades of diamonds, the worst first."""


@dataclass(frozen=True)
class Problem:
    """A file and what is predicted."""

    what: str
    target: str
    schema: Schema
    read: Callable[[Path | None], pd.DataFrame]


def read_tracks(path: Path | None) -> pd.DataFrame:
    """Read the real tracks."""
    if path is None:
        message = "The problem 'tracks' needs a file: give --data FILE or set ENERGYKNN_DATA."
        raise ValueError(message)
    return load_table(path, SPOTIFY)


def read_synthetic(_: Path | None) -> pd.DataFrame:
    """Make as many synthetic tracks as the real file has."""
    return synthesise_tracks(N_SYNTHETIC, random_state=0)


def read_gems(_: Path | None) -> pd.DataFrame:
    """Read plotnine's diamonds, grades as numbers and prices as natural logarithms.

    Processors differ in the last bit of a logarithm; rounding makes it the same table everywhere.
    """
    table = read_diamonds()
    for name, grades in GRADES.items():
        table[name] = table[name].map({grade: place for place, grade in enumerate(grades)}).astype(np.float64)
    return table.assign(log_price=np.log(table["price"]).round(12)).drop(columns="price")


PROBLEMS = {
    "tracks": Problem("real tracks", "energy (score, 0 to 1)", SPOTIFY, read_tracks),
    "synthetic": Problem("synthetic tracks", "energy (score, 0 to 1)", SPOTIFY, read_synthetic),
    "diamonds": Problem(
        "prices of diamonds",
        "natural logarithm of the price in dollars",
        make_schema(target="log_price", numbers=["carat", "depth", "table", "x", "y", "z", *GRADES]),
        read_gems,
    ),
}


def fingerprint(table: pd.DataFrame) -> str:
    """Return a digest of a table's values, to tell whether results are of the same file."""
    hashes = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashlib.sha256(hashes.tobytes()).hexdigest()[:16]
