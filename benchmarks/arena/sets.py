"""The sets of the arena: which there are, the rows of one, and its folds."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import sklearn.datasets
from comparison.problems import fingerprint
from harness.data import find_packaged
from harness.memory import run_python
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from energyknn.splitting import Split

LIST = Path(__file__).with_name("sets.toml")
CACHE = Path(__file__).with_name("cache")
N_FOLDS = 3
REGRESSION, CLASSIFICATION = "regression", "classification"


@dataclass(frozen=True)
class Set:
    """A table inside a package, and what is predicted; `sets.toml` says what each field means."""

    name: str
    task: str
    package: str
    file: str
    target: str
    what: str
    sha256: str = ""
    log: bool = False
    above: float | None = None
    groups: Sequence[str] = ()
    kept: Sequence[str] = ()
    dates: Sequence[str] = ()
    labels: Sequence[str] = ()
    unused: Sequence[str] = ()
    most: int | None = None
    sealed: bool = False


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of a set: numbers with gaps and categories, what is to be predicted, and which rows belong together."""

    X: pd.DataFrame
    y: np.ndarray  # float64, or the numbers of classes
    groups: np.ndarray | None
    classes: tuple[str, ...] = ()  # of the whole set; () where a number is predicted

    def take(self, rows: np.ndarray) -> Rows:
        """Return some of the rows."""
        groups = None if self.groups is None else self.groups[rows]
        return Rows(self.X.iloc[rows].reset_index(drop=True), self.y[rows], groups, self.classes)

    @property
    def numbers(self) -> list[str]:
        """Names of the columns of numbers."""
        return [name for name in self.X if name not in self.categories]

    @property
    def categories(self) -> list[str]:
        """Names of the columns of categories."""
        return [name for name in self.X if isinstance(self.X[name].dtype, pd.CategoricalDtype)]


def read_list(path: Path = LIST) -> dict[str, Set]:
    """Read which sets there are."""
    named = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: Set(name, **fields) for name, fields in named.items()}


SETS = read_list()


def choose_sets(names: Sequence[str], *, sealed: bool) -> list[Set]:
    """Return the named sets; those that are sealed only where that is asked for."""
    unknown = [name for name in names if name not in SETS]
    if unknown:
        message = f"There is no set {', '.join(unknown)}. Known are {', '.join(SETS)}."
        raise ValueError(message)
    closed = [name for name in names if SETS[name].sealed]
    if closed and not sealed:
        message = f"{', '.join(closed)}: sealed until everything is chosen. With --sealed they are scored, at the end."
        raise ValueError(message)
    return [SETS[name] for name in names]


def read_table(chosen: Set) -> pd.DataFrame:
    """Read the file of a set; a pickle becomes Parquet once, in a process of its own, as reading it runs code."""
    if chosen.package == "scikit-learn":
        return getattr(sklearn.datasets, chosen.file)(as_frame=True).frame
    path = find_packaged(chosen.file)
    if not chosen.sha256:
        return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    cached = CACHE / f"{chosen.name}-{chosen.sha256[:12]}.parquet"
    if not cached.is_file():
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != chosen.sha256:
            message = f"{chosen.file} has the SHA-256 {found}, and {LIST.name} has another. Install the locked version."
            raise ValueError(message)
        run_python("-m", "arena.unpickling", str(path), str(cached))
    return pd.read_parquet(cached)


def read_rows(chosen: Set, *, most: int | None = None) -> Rows:
    """Read the rows of a set, or `most` of them: without those that lack the target, columns as `sets.toml` says."""
    table = read_table(chosen).dropna(subset=[chosen.target])
    if chosen.above is not None:
        table = table[table[chosen.target] > chosen.above]
    limit = min(most or len(table), chosen.most or len(table))
    if limit < len(table):
        table = table.iloc[np.sort(np.random.default_rng(0).permutation(len(table))[:limit])]
    table = table.reset_index(drop=True)
    groups = table.groupby(list(chosen.groups), sort=True).ngroup().to_numpy() if chosen.groups else None
    target = table[chosen.target]
    dropped = {"rownames", chosen.target, *chosen.unused, *chosen.dates, *chosen.groups} - set(chosen.kept)
    columns: dict[str, Any] = {name: table[name] for name in table if name not in dropped - set(chosen.dates)}
    for name in chosen.dates:
        day = pd.to_datetime(columns.pop(name))
        columns |= {f"{name}_year": day.dt.year, f"{name}_day": day.dt.day_of_year}
    X = pd.DataFrame({name: _give_type(values, name in chosen.labels) for name, values in columns.items()})
    X.columns = [f"c{number}_{''.join(filter(str.isalnum, str(name)))}" for number, name in enumerate(X)]
    if chosen.task == REGRESSION:
        y = target.to_numpy(dtype=np.float64)
        return Rows(X, np.log(y).round(12) if chosen.log else y, groups)  # processors differ in a logarithm's last bit
    classes, y = np.unique(target.astype(str), return_inverse=True)
    return Rows(X, y, groups, tuple(classes.tolist()))


def _give_type(values: pd.Series, is_label: bool) -> pd.Series:
    """Return numbers as float64 and all else as categories; a missing cell stays missing."""
    if is_label or not pd.api.types.is_numeric_dtype(values.dtype):
        texts = values.astype(object).map(str, na_action="ignore")
        return texts.astype(pd.CategoricalDtype(sorted(set(texts.dropna()))))
    return values.astype(np.float64)


def split(rows: Rows, n_folds: int = N_FOLDS) -> list[Split]:
    """Return folds: groups on one side, and classes in the same shares."""
    options: dict[str, Any] = {"n_splits": n_folds, "shuffle": True, "random_state": 0}
    plain, grouped = (StratifiedKFold, StratifiedGroupKFold) if rows.classes else (KFold, GroupKFold)
    folds = (plain if rows.groups is None else grouped)(**options)
    return [Split(train, test) for train, test in folds.split(rows.X, rows.y, rows.groups)]


def mark(rows: Rows) -> str:
    """Return a digest of rows, to tell whether results are of the same ones."""
    return fingerprint(rows.X.astype(object).assign(y=rows.y))
