"""The data that benchmarks run on: the committed sample, a file, synthetic tracks, and sets without music."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes

from energyknn.encoding import encode_features, fit_levels, target_values
from energyknn.loading import load_table, sample_path
from energyknn.scaling import apply_scale, fit_scale
from energyknn.splitting import split_rows
from energyknn.study.notebook import SPOTIFY
from energyknn.study.synthesis import synthesise_tracks

COSTS = {"mismatch cost 1": 1.0, "mismatch cost 0.5": 0.5}
PUBLIC = {"diabetes": "scikit-learn", "diamonds": "plotnine"}
"""Sets that ship inside a package, by the package: 442 patients, 10 columns; 53,940 gems, 26 columns encoded."""


@dataclass(frozen=True)
class Size:
    """How much a run computes."""

    name: str
    n_rows: int | None = None  # synthetic tracks; None for the committed sample
    n_neighbors: int = 51
    pairs: int = 3
    rows_beside: int = 20_000  # for what takes minutes on all
    classes_rows: int = 40_000
    slow_queries: int = 2000  # for peers that would need minutes for all
    n_public: int = 53_940
    growth_rows: tuple[int, ...] = (2000, 8000, 32_000, 128_000)
    growth_columns: tuple[int, ...] = (2, 4, 8, 16, 32, 64, 128)
    growth_neighbors: tuple[int, ...] = (1, 5, 25, 125)
    far_rows: tuple[int, int] = (250_000, 2_000_000)
    memory_rows: int = 400_000
    processes: int = 5  # for what is timed in a process of its own
    product_side: int = 4096
    kinds: tuple[str, ...] = ("normal", "clustered", "indicators", "repeated")
    shapes: tuple[tuple[int, ...], ...] = ((1, 5, 51, 200), (1000, 10_000, 100_000), (2, 5, 11, 27, 64, 128))

    @property
    def cells(self) -> list[tuple[str, int, int, int]]:
        """Every combination of kind, columns, training rows and neighbours."""
        neighbors, rows, columns = self.shapes
        return [(kind, d, n, k) for k in neighbors for n in rows for d in columns for kind in self.kinds]


FULL = Size("full", n_rows=172_491)
SMOKE = Size(
    "smoke", pairs=9, rows_beside=600, classes_rows=2000, slow_queries=100, n_public=1500,
    growth_rows=(500, 1000, 2000), growth_columns=(2, 8, 32), growth_neighbors=(1, 5, 25), far_rows=(2000, 8000),
    memory_rows=20_000, processes=2, product_side=1024, shapes=((5,), (1000,), (5, 27)),
)  # fmt: skip


def read_size(text: str) -> Size:
    """Return the size that a word or a number of synthetic tracks names."""
    named = {size.name: size for size in (FULL, SMOKE)}
    if text in named:
        return named[text]
    if not text.isdecimal() or int(text) < 2000:
        message = f"The size is {text!r}. It must be full, smoke, or a number of synthetic tracks from 2000 on."
        raise ValueError(message)
    n_rows = int(text)
    return replace(
        FULL, name=f"synthetic-{n_rows}", n_rows=n_rows, rows_beside=min(20_000, n_rows // 2),
        growth_rows=tuple(n for n in FULL.growth_rows if n <= n_rows), far_rows=(n_rows, 8 * n_rows),
    )  # fmt: skip


def find_file(size: Size) -> Path | None:
    """Return the file of a run, None where tracks are made."""
    if size.name == "smoke":
        return sample_path()
    path = os.environ.get("ENERGYKNN_DATA") if size.name == "full" else None
    return Path(path) if path else None


def describe_data(size: Size) -> str:
    """Say what the tracks of a run are, without where they lie."""
    path = find_file(size)
    if size.name == "smoke":
        return "the committed sample of synthetic tracks"
    return f"the file {path.name}" if path else f"{size.n_rows:,} synthetic tracks"


def read_tracks(size: Size) -> pd.DataFrame:
    """Return the tracks of a run."""
    path = find_file(size)
    return load_table(path, SPOTIFY) if path else synthesise_tracks(size.n_rows, random_state=0)


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows to search in, rows to search for, and their targets."""

    name: str
    train: np.ndarray
    query: np.ndarray
    y_train: np.ndarray
    y_query: np.ndarray


def encode_tracks(table: pd.DataFrame, **options) -> tuple[np.ndarray, int]:
    """Return the scaled design matrix and the number of its numeric columns, which come first."""
    encoded = encode_features(table, fit_levels(table, SPOTIFY), SPOTIFY, **options)
    numbers = [name for name in encoded if name in (*SPOTIFY.numbers, "age")]
    return apply_scale(encoded, fit_scale(encoded, numbers)).to_numpy(dtype=np.float64), len(numbers)


def split_problem(name: str, X: np.ndarray, y: np.ndarray) -> Problem:
    """Hold a fifth of the rows out as queries."""
    split = split_rows(len(X))
    return Problem(name, X[split.train], X[split.test], y[split.train], y[split.test])


def make_track_problem(name: str, table: pd.DataFrame) -> Problem:
    """Make the problem of the notebook, or one with fewer columns or nearer categories."""
    matrix, n_numbers = encode_tracks(table, mismatch_cost=COSTS.get(name, 8.0))
    if name == "11 numeric columns":
        matrix = np.ascontiguousarray(matrix[:, :n_numbers])
    return split_problem(name, matrix, target_values(table, SPOTIFY))


def make_public_problem(name: str, n_rows: int) -> Problem:
    """Make the problem of a set without music, of `n_rows` of its rows at most."""
    X, y = _encode_diamonds() if name == "diamonds" else load_diabetes(return_X_y=True)
    chosen = np.random.default_rng(0).permutation(len(X))[:n_rows]
    X = X[chosen]
    return split_problem(name, (X - X.mean(axis=0)) / X.std(axis=0), y[chosen])


def find_packaged(file: str) -> Path:
    """Return the path of a file inside a package, without importing it."""
    package, _, inside = file.partition("/")
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(name=package)
    return Path(found.submodule_search_locations[0]) / inside


def read_diamonds() -> pd.DataFrame:
    """Read plotnine's diamonds."""
    return pd.read_csv(find_packaged("plotnine/data/diamonds.csv"))


def _encode_diamonds() -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and indicators, and the price in dollars."""
    table = read_diamonds()
    price = table.pop("price").to_numpy(dtype=np.float64)
    return pd.get_dummies(table).to_numpy(dtype=np.float64), price


def make_rows(kind: str, n_rows: int, n_features: int, *, random_state: int = 0) -> np.ndarray:
    """Draw rows of a kind that a search may like or not."""
    random = np.random.default_rng(random_state)
    rows = random.normal(size=(n_rows, n_features))
    if kind == "clustered":
        centres = random.normal(size=(20, n_features)) * 5
        rows = centres[random.integers(0, 20, n_rows)] + rows * 0.3
    if kind == "indicators":
        rows[:, n_features // 2 :] = np.where(rows[:, n_features // 2 :] > 0, 1.0, -1.0)
    if kind == "repeated":
        rows[n_rows // 2 :] = rows[random.integers(0, n_rows // 2, n_rows - n_rows // 2)]
    return rows
