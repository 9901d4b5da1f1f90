"""Which rows and which scale a study uses: encode a table, split it, scale it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn._shared.showing import in_one_line
from energyknn.encoding import encode_features, fit_levels, target_values
from energyknn.errors import DataFileError
from energyknn.filling import apply_fills, fit_fills
from energyknn.scaling import apply_scale, fit_scale
from energyknn.schema import Schema
from energyknn.splitting import Split, fold_classes, fold_groups, fold_rows, split_classes, split_groups, split_rows
from energyknn.study.notebook import COARSE_N_NEIGHBORS, N_FOLDS, RANDOM_STATE, REFERENCE_YEAR, SPOTIFY, TEST_SIZE
from energyknn.study.songs import label_songs

Scaling = Literal["all_rows", "train_only"]
"""Rows that the scale is learned from."""


@dataclass(frozen=True)
class Protocol:
    """The choices that decide which rows and which scale a study uses.

    Parameters
    ----------
    scaling : {"all_rows", "train_only"}, default="all_rows"
        Rows that the scale is learned from. The notebook used all of them. With the training rows, nothing leaks.
    reference_year : int, default=2021
        The year in which a track's age is 0.
    test_size : float, default=0.2
        Share of the rows, or of the groups, that is held out.
    random_state : int, default=42
        Seed of the hold-out.
    groups : {"none", "songs", "repeats"}, default="none"
        "songs" keeps all rows of a song on one side of the hold-out, and of each fold. "repeats" does so with rows that
        are equal in every feature.
    n_splits : int, default=4
        Number of folds of the training rows, at least 2.
    """

    scaling: Scaling = "all_rows"
    reference_year: int = REFERENCE_YEAR
    test_size: float = TEST_SIZE
    random_state: int = RANDOM_STATE
    groups: Literal["none", "songs", "repeats"] = "none"
    n_splits: int = N_FOLDS


@in_one_line
@dataclass(frozen=True, eq=False)
class Prepared:
    """Scaled training and test rows, and the folds of the training rows.

    Parameters
    ----------
    X_train, X_test : DataFrame of shape (n_train or n_test, n_features)
        Scaled features.
    y_train, y_test : ndarray of shape (n_train or n_test,)
        Targets.
    folds : tuple of Split
        Row numbers that count the training rows.
    groups : ndarray of shape (n_train,), int64, or None
        Group of each training row; None where the protocol does not group.
    """

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: NDArray[Any]
    y_test: NDArray[Any]
    folds: tuple[Split, ...]
    groups: NDArray[np.int64] | None = None


def take_rows(data: Prepared, n_train: int | None = None, n_tested: int | None = None) -> Prepared:
    """Take fewer rows, in their order, with what is left of the folds.

    The training rows lie evenly apart, so each fold keeps its share of them. Both sides are in random order.

    Parameters
    ----------
    data : Prepared
        Rows and folds.
    n_train : int or None, default=None
        Training rows. None takes all.
    n_tested : int or None, default=None
        Test rows, and validation rows of each fold. None takes all.

    Returns
    -------
    Prepared
        Row numbers of the folds count the rows that were taken.
    """
    n_all = len(data.y_train)
    n = n_all if n_train is None else n_train
    rows = np.arange(n) * n_all // n
    places = np.full(n_all, -1)
    places[rows] = np.arange(n)
    folds = [[places[side][places[side] >= 0] for side in fold] for fold in data.folds]
    return Prepared(
        data.X_train.iloc[rows],
        data.X_test.iloc[:n_tested],
        data.y_train[rows],
        data.y_test[:n_tested],
        tuple(Split(train, test[:n_tested]) for train, test in folds),
        None if data.groups is None else data.groups[rows],
    )


@in_one_line
@dataclass
class Clock:
    """Adds up the seconds of named stages."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds that the block takes to the stage."""
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start


def check_size(
    n_rows: int, *, test_size: float = TEST_SIZE, n_neighbors: int = max(COARSE_N_NEIGHBORS), n_splits: int = N_FOLDS
) -> None:
    """Check that every fold has enough training rows for the largest candidate.

    Parameters
    ----------
    n_rows : int
        Number of rows in the file.
    test_size : float, default=0.2
        Share of the rows that is held out.
    n_neighbors : int, default=51
        The largest number of neighbours that will be tried.
    n_splits : int, default=4
        Number of folds.

    Raises
    ------
    DataFileError
        If the smallest fold has fewer training rows than `n_neighbors`.
    """
    in_fold = _rows_in_fold(n_rows, test_size, n_splits)
    if in_fold < n_neighbors:
        n_train = n_rows - int(np.ceil(n_rows * test_size))
        if 2 <= n_train < n_splits and _rows_in_fold(n_rows, test_size, 2) >= n_neighbors:
            message = f"--cv {n_splits} is more than the {n_train} training rows. Give from 2 to {n_train}."
            raise DataFileError(message)
        needed = next(n for n in range(n_rows, 10**9) if _rows_in_fold(n, test_size, n_splits) >= n_neighbors)
        fewer = f"Try at most {in_fold}: more need" if in_fold > 1 else "That needs"
        message = (
            f"{n_rows} rows leave {max(in_fold, 0)} to search in each of {n_splits} folds, but {n_neighbors} "
            f"neighbours are asked for. {fewer} at least {needed} rows."
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
    clock: Clock | None = None,
) -> Prepared:
    """Encode, split and scale a table.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A table that `load_table` has checked. Missing numbers take the median of the training rows.
    protocol : Protocol
        Which rows are held out, and which rows the scale is learned from.
    schema : Schema, default=SPOTIFY
        The role of each column.
    n_neighbors : int, default=51
        The largest number of neighbours that will be tried in a fold.
    clock : Clock or None, default=None
        Measures the stages "split", "encode" and "scale".

    Returns
    -------
    Prepared
        Training and test rows. With `scaling="all_rows"` and `groups="none"` they are those of the notebook.

    Raises
    ------
    DataFileError
        If there are too few rows for the folds and the neighbours.

    Examples
    --------
    >>> from energyknn.study.synthesis import synthesise_tracks
    >>> data = prepare(synthesise_tracks(100), Protocol())
    >>> len(data.y_train), len(data.y_test), len(data.folds)
    (80, 20, 4)
    """
    clock = clock or Clock()
    check_size(len(table), test_size=protocol.test_size, n_neighbors=n_neighbors, n_splits=protocol.n_splits)
    with clock.stage("split"):
        groups = label_groups(table, schema, protocol.groups)
        labels = target_values(table, schema) if schema.classifies else None
        split, folds = _split(len(table), protocol, groups, labels)
    with clock.stage("encode"):
        if table[list(schema.numbers)].isna().any(axis=None):
            table = apply_fills(table, fit_fills(table, schema, rows=split.train))
        levels = fit_levels(table if protocol.scaling == "all_rows" else table.iloc[split.train], schema)
        X = encode_features(table, levels, schema, reference_year=protocol.reference_year)
        y = target_values(table, schema)
    with clock.stage("scale"):
        scale = fit_scale(X, schema.numbers, rows=None if protocol.scaling == "all_rows" else split.train)
        X = apply_scale(X, scale)
    of_train = None if groups is None else groups[split.train]
    return Prepared(X.iloc[split.train], X.iloc[split.test], y[split.train], y[split.test], folds, of_train)


def label_groups(
    table: pd.DataFrame, schema: Schema, groups: Literal["none", "songs", "repeats"]
) -> NDArray[np.int64] | None:
    """Label the rows that a protocol keeps together, from 0 on; None where it keeps none together."""
    if groups == "none":
        return None
    if groups == "songs":
        return label_songs(table, schema)
    features = table[[*schema.numbers, *schema.categories]]
    labels = features.groupby(list(features), sort=False, dropna=False).ngroup()
    return np.asarray(labels, dtype=np.int64)


def _split(
    n_rows: int, protocol: Protocol, groups: NDArray[np.int64] | None, labels: NDArray[Any] | None
) -> tuple[Split, tuple[Split, ...]]:
    """Hold rows out and cut folds: by group where there are groups, and with classes spread evenly where there are."""
    options: dict[str, Any] = {"test_size": protocol.test_size, "random_state": protocol.random_state}
    if groups is not None:
        split = split_groups(groups, **options)
        return split, fold_groups(groups[split.train], n_splits=protocol.n_splits)
    if labels is not None:
        split = split_classes(labels, **options)
        return split, fold_classes(labels[split.train], n_splits=protocol.n_splits)
    split = split_rows(n_rows, **options)
    return split, fold_rows(len(split.train), n_splits=protocol.n_splits)
