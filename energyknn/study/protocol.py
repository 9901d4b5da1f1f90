"""The notebook's study from a table to its figures: encode, split, scale, fit, search twice, refit, score."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn.encoding import encode_features, fit_levels, target_values
from energyknn.errors import DataFileError
from energyknn.fitting import (
    Scores,
    evaluate,
    fit_knn,
    predict,
    predict_without_self,
)
from energyknn.neighbors import build_index
from energyknn.progress import Track, track_silently
from energyknn.scaling import apply_scale, fit_scale
from energyknn.schema import Schema
from energyknn.splitting import Split, fold_groups, fold_rows, split_groups, split_rows
from energyknn.study.notebook import SPOTIFY
from energyknn.study.overfitting import Gap, Verdict, judge_overfitting, measure_gap, r2_standard_error
from energyknn.study.songs import label_songs
from energyknn.tuning import Candidate, ScoreTable

__all__ = [
    "BASE_N_NEIGHBORS",
    "COARSE_N_NEIGHBORS",
    "ModelFigures",
    "Prepared",
    "Protocol",
    "Search",
    "Study",
    "check_size",
    "evaluate_model",
    "micro_candidates",
    "prepare",
    "run_study",
]

BASE_N_NEIGHBORS = 5
COARSE_N_NEIGHBORS = (1, 11, 21, 31, 41, 51)
N_FOLDS = 4

Stage = Literal["coarse", "micro", "curve"]


@dataclass(frozen=True)
class Search:
    """What scores candidates.

    Parameters
    ----------
    score : callable
        ``score(stage, prepared, n_neighbors) -> ScoreTable``, on the training rows of prepared data.
    every_k : bool, default=False
        Whether one more candidate costs nothing. Then every k up to the largest is scored first, as the stage
        "curve", both stages of the notebook are read off that table, and predictions come from our own search.
    """

    score: Callable[[Stage, Prepared, Sequence[int]], ScoreTable]
    every_k: bool = False


@dataclass(frozen=True)
class Protocol:
    """The choices that decide which rows and which scale a study uses.

    Parameters
    ----------
    scaling : {"all_rows", "train_only"}, default="all_rows"
        Rows from which the scale is learned: all, as in the notebook, or the training rows, so that nothing leaks.
    reference_year : int, default=2021
        The year in which a track's age is 0.
    test_size : float, default=0.2
        Share of the rows, or of the songs, held out.
    random_state : int, default=42
        Seed of the hold-out.
    groups : {"none", "songs"}, default="none"
        Whether every song is kept on one side of the hold-out and of each fold.
    n_splits : int, default=4
        Folds of the training side, at least 2.
    """

    scaling: Literal["all_rows", "train_only"] = "all_rows"
    reference_year: int = 2021
    test_size: float = 0.2
    random_state: int = 42
    groups: Literal["none", "songs"] = "none"
    n_splits: int = N_FOLDS


@dataclass(frozen=True, eq=False)
class Prepared:
    """Scaled rows on both sides and the folds of the training side.

    Parameters
    ----------
    X_train, X_test : DataFrame of shape (n_train or n_test, n_features)
        Scaled features.
    y_train, y_test : ndarray of shape (n_train or n_test,)
        Targets.
    folds : tuple of Split
        Row numbers within the training side.
    groups : ndarray of shape (n_train,), int64, or None
        Song of each training row, where songs are kept on one side.
    """

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: NDArray[np.float64]
    y_test: NDArray[np.float64]
    folds: tuple[Split, ...]
    groups: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class ModelFigures:
    """A model's scores, and its predictions of the test rows, shape (n_test,), in the target's unit."""

    n_neighbors: int
    train: Scores
    train_without_self: Scores
    test: Scores
    gap: Gap
    predicted_test: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Study:
    """Every figure of one study and the seconds that its stages took."""

    protocol: Protocol
    n_train: int
    n_test: int
    y_train: NDArray[np.float64]
    y_test: NDArray[np.float64]
    base: ModelFigures
    coarse: ScoreTable
    micro: ScoreTable
    tuned: ModelFigures
    verdict: Verdict
    seconds: dict[str, float]
    curve: ScoreTable | None = None


@dataclass
class _Clock:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def micro_candidates(best: int, limit: int, *, n: int = 6) -> tuple[int, ...]:
    """Return the candidates of the second search: the best of the first and the five above it.

    Parameters
    ----------
    best : int
        The first search's best.
    limit : int
        The largest candidate that every fold can serve.
    n : int, default=6
        How many, if the limit allows.

    Returns
    -------
    tuple of int
        For 11 the notebook's 11 to 16.

    Examples
    --------
    >>> micro_candidates(11, 100)
    (11, 12, 13, 14, 15, 16)
    """
    return tuple(k for k in range(best, best + n) if k <= limit)


def check_size(
    n_rows: int, *, test_size: float = 0.2, n_neighbors: int = max(COARSE_N_NEIGHBORS), n_splits: int = N_FOLDS
) -> None:
    """Check that every fold has enough rows for the largest candidate.

    Parameters
    ----------
    n_rows : int
        Rows of the file.
    test_size : float, default=0.2
        Share held out.
    n_neighbors : int, default=51
        The largest candidate.
    n_splits : int, default=4
        Number of folds.

    Raises
    ------
    DataFileError
        If the smallest training fold has fewer rows than neighbours are asked for.
    """
    in_fold = _rows_in_fold(n_rows, test_size, n_splits)
    if in_fold < n_neighbors:
        needed = next(n for n in range(n_rows, 10**9) if _rows_in_fold(n, test_size, n_splits) >= n_neighbors)
        message = (
            f"{n_rows} rows leave {max(in_fold, 0)} to search in each of {n_splits} folds, but {n_neighbors} "
            f"neighbours are asked for. That needs at least {needed} rows."
        )
        raise DataFileError(message)


def _rows_in_fold(n_rows: int, test_size: float, n_splits: int) -> int:
    """Count the training rows of the smallest fold, or none where there are fewer rows than folds."""
    n_train = n_rows - int(np.ceil(n_rows * test_size))
    return 0 if n_train < n_splits else n_train - -(-n_train // n_splits)


def prepare(
    table: pd.DataFrame,
    protocol: Protocol,
    *,
    schema: Schema = SPOTIFY,
    n_neighbors: int = max(COARSE_N_NEIGHBORS),
    clock: Any = None,
) -> Prepared:
    """Encode, split and scale a table.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A checked table.
    protocol : Protocol
        Which rows and which scale.
    schema : Schema, default=SPOTIFY
        What the columns are.
    n_neighbors : int, default=51
        The largest candidate that every fold must serve.

    Returns
    -------
    Prepared
        With `scaling="all_rows"` and `groups="none"`, the notebook's own rows and values.

    Raises
    ------
    DataFileError
        If there are too few rows for the folds and the candidates.
    """
    clock = clock or _Clock()
    check_size(len(table), test_size=protocol.test_size, n_neighbors=n_neighbors, n_splits=protocol.n_splits)
    with clock.stage("split"):
        songs = None if protocol.groups == "none" else label_songs(table, schema)
        split, folds = _split(len(table), protocol, songs)
    with clock.stage("encode"):
        levels = fit_levels(table if protocol.scaling == "all_rows" else table.iloc[split.train], schema)
        X = encode_features(table, levels, schema, reference_year=protocol.reference_year)
        y = target_values(table, schema)
    with clock.stage("scale"):
        scale = fit_scale(X, schema.numbers, rows=None if protocol.scaling == "all_rows" else split.train)
        X = apply_scale(X, scale)
    groups = None if songs is None else songs[split.train]
    return Prepared(X.iloc[split.train], X.iloc[split.test], y[split.train], y[split.test], folds, groups)


def _split(n_rows: int, protocol: Protocol, songs: NDArray[np.int64] | None) -> tuple[Split, tuple[Split, ...]]:
    test_size, random_state = protocol.test_size, protocol.random_state
    if songs is None:
        split = split_rows(n_rows, test_size=test_size, random_state=random_state)
        return split, fold_rows(len(split.train), n_splits=protocol.n_splits)
    split = split_groups(songs, test_size=test_size, random_state=random_state)
    return split, fold_groups(songs[split.train], n_splits=protocol.n_splits)


def evaluate_model(
    data: Prepared,
    n_neighbors: int,
    *,
    own_search: bool = False,
    track: Track[Any] = track_silently,
    what: str = "",
    clock: Any = None,
) -> ModelFigures:
    """Fit a model on the training rows and score it on both sides.

    Parameters
    ----------
    data : Prepared
        As `prepare` returns it.
    n_neighbors : int
        Neighbours to average.
    own_search : bool, default=False
        Whether our own search finds the neighbours, instead of scikit-learn's regressor.
    track : Track, default=track_silently
        Shows progress.
    what : str
        What the progress calls the model.

    Returns
    -------
    ModelFigures
        Scores, the gap between them, and the predictions of the test rows.
    """
    predict_with = _predict_with_our_search if own_search else _predict_with_scikit_learn
    on_train, without_self, on_test = predict_with(data, n_neighbors, track=track, what=what, clock=clock or _Clock())
    train, rest, test = (
        evaluate(data.y_train, on_train),
        evaluate(data.y_train, without_self),
        evaluate(data.y_test, on_test),
    )
    errors = (r2_standard_error(data.y_train, without_self), r2_standard_error(data.y_test, on_test))
    return ModelFigures(n_neighbors, train, rest, test, measure_gap(train, rest, test, errors=errors), on_test)


Predictions = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _predict_with_scikit_learn(
    data: Prepared, n_neighbors: int, *, track: Track[Any], what: str, clock: _Clock
) -> Predictions:
    """Predict training rows, training rows without self, and test rows."""
    with clock.stage("fit"):
        model = fit_knn(data.X_train, data.y_train, n_neighbors=n_neighbors)
    with clock.stage("predict"):
        on_train = predict(model, data.X_train, track=track, what=f"training rows, {what}")
        on_test = predict(model, data.X_test, track=track, what=f"test rows, {what}")
    with clock.stage("without_self"):
        (without_self,) = (predict_without_self(model) for _ in track([None], f"Predict rows without self, {what}"))
    return on_train, without_self, on_test


def _predict_with_our_search(
    data: Prepared, n_neighbors: int, *, track: Track[Any], what: str, clock: _Clock
) -> Predictions:
    """Predict training rows, training rows without self, and test rows."""
    with clock.stage("fit"):
        index = build_index(data.X_train)
    sides = {"predict": data.X_train, "without_self": None, "predict_test": data.X_test}
    predictions = []
    for name in track(list(sides), f"Predict training and test rows, {what}"):
        with clock.stage(name.removesuffix("_test")):
            found = index.search(sides[name], n_neighbors)
            predictions.append(data.y_train[found.indices].mean(axis=1))
    return predictions[0], predictions[1], predictions[2]


def run_study(
    table: pd.DataFrame,
    protocol: Protocol,
    search: Search,
    *,
    schema: Schema = SPOTIFY,
    track: Track[Any] = track_silently,
) -> Study:
    """Run the whole study on a table.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A checked table.
    protocol : Protocol
        Which rows and which scale.
    search : Search
        Scores the candidates.
    schema : Schema, default=SPOTIFY
        What the columns are.
    track : Track, default=track_silently
        Shows progress.

    Returns
    -------
    Study
        Every figure.

    Raises
    ------
    DataFileError
        If there are too few rows for the folds and the candidates.
    """
    clock, steps = _Clock(), _Clock()
    data = prepare(table, protocol, schema=schema, clock=clock)
    own_search, score, curve = search.every_k, search.score, None
    base = evaluate_model(data, BASE_N_NEIGHBORS, own_search=own_search, track=track, what="base model", clock=steps)
    smallest = min(len(fold.train) for fold in data.folds)
    with clock.stage("coarse"):
        if search.every_k:
            curve = score("curve", data, micro_candidates(1, smallest, n=max(COARSE_N_NEIGHBORS) + 5))
        tried = COARSE_N_NEIGHBORS
        coarse = curve.select([Candidate(k) for k in tried]) if curve else score("coarse", data, tried)
    with clock.stage("micro"):
        around = micro_candidates(coarse.n_neighbors[coarse.best], smallest)
        micro = curve.select([Candidate(k) for k in around]) if curve else score("micro", data, around)
    with clock.stage("tuned"):
        tuned = evaluate_model(
            data, micro.n_neighbors[micro.best], own_search=own_search, track=track, what="tuned model"
        )
    base_seconds = {f"base_{name}": value for name, value in steps.seconds.items()}
    return Study(
        protocol=protocol,
        n_train=len(data.y_train),
        n_test=len(data.y_test),
        y_train=data.y_train,
        y_test=data.y_test,
        base=base,
        coarse=coarse,
        micro=micro,
        tuned=tuned,
        verdict=judge_overfitting(base.gap, tuned.gap),
        seconds={**clock.seconds, **base_seconds},
        curve=curve,
    )
