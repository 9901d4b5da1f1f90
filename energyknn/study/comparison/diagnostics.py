"""How sure the figures are: effects of the protocol, errors by group, the learning curve, a nested estimate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from energyknn._shared.showing import in_one_line
from energyknn.fitting import evaluate
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.splitting import Split, fold_groups, fold_rows
from energyknn.study.comparison import bootstrap
from energyknn.study.notebook import SPOTIFY, holds_tracks
from energyknn.study.protocol import Prepared, Protocol, prepare
from energyknn.study.songs import label_songs
from energyknn.tuning import Candidate, score_candidates

OTHER_REFERENCE_YEAR = 1900
"""A reference year far from the usual one."""

_FEWEST_ROWS = 20  # of a group whose errors are worth a line
_FEWEST_TO_LEARN = 64  # rows that serve every k of the study


class Effect(NamedTuple):
    """What a choice of the protocol does to the error on the same test rows.

    Attributes
    ----------
    name : str
        The choice.
    usual, other : float
        RMSE with the notebook's choice and with the other one, in the target's unit.
    difference : Estimate
        `other` less `usual`. Above 0, the notebook's choice flatters.
    n_train : int
        Training rows of both.
    """

    name: str
    usual: float
    other: float
    difference: bootstrap.Estimate
    n_train: int


class GroupErrors(NamedTuple):
    """The errors of a group of rows.

    Attributes
    ----------
    group : str
        What the rows have in common.
    n_rows : int
        How many they are.
    rmse : Estimate
        In the target's unit.
    residual : Estimate
        Mean of actual less predicted, in the target's unit.
    """

    group: str
    n_rows: int
    rmse: bootstrap.Estimate
    residual: bootstrap.Estimate


class CurvePoint(NamedTuple):
    """The error of a model that learned from a number of rows.

    Attributes
    ----------
    n_train : int
        Rows that it learned from.
    rmse : Estimate
        Of validation rows, in the target's unit.
    """

    n_train: int
    rmse: bootstrap.Estimate


@in_one_line
class NestedEstimate(NamedTuple):
    """How much choosing k on the validation rows flatters their error.

    Attributes
    ----------
    n_neighbors : tuple of int
        The k that the training rows of each fold choose.
    best : int
        The k that all folds together choose.
    nested_rmse, plain_rmse : tuple of float
        RMSE of the validation rows of each fold, with the k of its training rows, and with the common k. The validation
        rows took part in choosing the common k.
    optimism : Estimate
        Mean of nested less plain. Above 0, the plain figure flatters.
    """

    n_neighbors: tuple[int, ...]
    best: int
    nested_rmse: tuple[float, ...]
    plain_rmse: tuple[float, ...]
    optimism: bootstrap.Estimate


def measure_effects(
    table: pd.DataFrame,
    protocol: Protocol,
    model: Any,
    *,
    data: Prepared | None = None,
    schema: Schema = SPOTIFY,
    track: Track[Any] = track_silently,
) -> tuple[Effect, ...]:
    """Measure what three choices of the protocol do to a model's error.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A table that `load_table` has checked.
    protocol : Protocol
        The usual choices.
    model : estimator
        The model that is fitted; it is cloned.
    data : Prepared or None, default=None
        What `prepare` returned for the table and the protocol. None prepares it.
    schema : Schema, default=SPOTIFY
        The role of each column.
    track : Track, default=track_silently
        Shows progress by choices.

    Returns
    -------
    tuple of Effect
        The scale learned from all rows, or from training rows; the reference year, or another one, where there are
        years; songs, or other equal rows, on both sides of the split, or on one. The last is left out where too few
        training rows, or less than half, have no song in common with a test row.

    Notes
    -----
    Both models of a pair predict the same test rows, so the intervals are those of paired differences. Another
    reference year adds a constant to a column. Standardising takes it out again, so only rounding is left.

    For the songs, one model learns without the training rows whose song is among the test rows. The other learns
    without as many of the remaining rows, so both learn from equally many. The bootstrap draws whole songs.
    """
    usual = prepare(table, protocol, schema=schema, n_neighbors=1) if data is None else data
    others = {"scale learned from all rows": replace(protocol, scaling="train_only")}
    if protocol.scaling == "train_only":
        others = {"scale learned from training rows": replace(protocol, scaling="all_rows")}
    if schema.years:
        others["reference year"] = replace(protocol, reference_year=OTHER_REFERENCE_YEAR)
    predicted, effects = _predict(model, usual), []
    for name in track(list(others), "Measure the protocol"):
        changed = _predict(model, prepare(table, others[name], schema=schema, n_neighbors=1))
        effects.append(_compare(name, usual, (predicted, changed), len(usual.y_train)))
    songs = label_songs(table, schema)
    rest, control = _part_songs(songs, usual, protocol.random_state)
    if rest is not None:
        pair = _predict(model, usual, control), _predict(model, usual, rest)
        groups = songs[usual.X_test.index]
        what = "songs" if holds_tracks(schema) else "equal rows"
        effects.append(_compare(f"{what} on both sides", usual, pair, len(control), groups=groups))
    return tuple(effects)


def _part_songs(songs: NDArray[np.int64], data: Prepared, random_state: int) -> tuple[Any, Any]:
    """Return the training rows without songs of test rows, and as many with them; None where there are too few."""
    shared = np.isin(songs[data.X_train.index], songs[data.X_test.index])
    alone = np.flatnonzero(~shared)
    if len(alone) < max(len(shared) / 2, _FEWEST_TO_LEARN):
        return None, None
    left_out = np.random.default_rng(random_state).choice(alone, size=int(shared.sum()), replace=False)
    return alone, np.setdiff1d(np.arange(len(shared)), left_out)


def _predict(model: Any, data: Prepared, rows: Any = slice(None)) -> NDArray[np.float64]:
    """Fit some of the training rows and predict the test rows."""
    fitted = clone(model).fit(data.X_train.iloc[rows], data.y_train[rows])
    return np.asarray(fitted.predict(data.X_test), dtype=np.float64)


def _compare(
    name: str, data: Prepared, pair: tuple[NDArray[np.float64], NDArray[np.float64]], n_train: int, **options: Any
) -> Effect:
    usual, other = pair
    difference = bootstrap.estimate_rmse_difference(data.y_test, other, usual, **options)
    return Effect(name, evaluate(data.y_test, usual).rmse, evaluate(data.y_test, other).rmse, difference, n_train)


def measure_learning_curve(
    data: Prepared,
    model: Any,
    *,
    shares: Sequence[float] = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1),
    track: Track[Any] = track_silently,
) -> tuple[CurvePoint, ...]:
    """Measure the error of a model that learns from more and more rows.

    Parameters
    ----------
    data : Prepared
        Its first fold is used, and no test row.
    model : estimator
        What is fitted; it is cloned.
    shares : sequence of float
        Shares of the training rows of the fold, taken from its beginning. The rows are in random order. A share of
        fewer than 64 rows is left out, unless it is the largest.
    track : Track, default=track_silently
        Shows progress by fits.

    Returns
    -------
    tuple of CurvePoint
        One for each share, all scored on the same validation rows.
    """
    fold = data.folds[0]
    X, y = data.X_train.iloc[fold.test], data.y_train[fold.test]
    points = []
    sizes = [round(share * len(fold.train)) for share in sorted(shares)]
    enough = [size for size in sizes[:-1] if size >= _FEWEST_TO_LEARN]
    for size in track([*enough, sizes[-1]], "Measure the learning curve"):
        rows = fold.train[:size]
        fitted = clone(model).fit(data.X_train.iloc[rows], data.y_train[rows])
        points.append(CurvePoint(len(rows), bootstrap.estimate_rmse(y, fitted.predict(X))))
    return tuple(points)


def tabulate_errors(
    y_true: ArrayLike, y_pred: ArrayLike, groups: ArrayLike, *, fewest: int = _FEWEST_ROWS
) -> tuple[GroupErrors, ...]:
    """Tabulate errors by group of rows.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_rows,)
        Actual and predicted targets.
    groups : array-like or Categorical of shape (n_rows,)
        Label of each row, as of `label_decades` or `label_bins`.
    fewest : int, default=20
        Groups of fewer rows are left out.

    Returns
    -------
    tuple of GroupErrors
        In the order of the labels, or of the categories.

    Notes
    -----
    Predictions lie nearer the mean than targets do. So, grouped by the actual target, the mean residual of any model is
    below 0 at the low end and above 0 at the high end.
    """
    actual, predicted = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    labels = pd.Categorical(cast("Any", groups))
    tabulated = []
    for code, label in enumerate(labels.categories):
        rows = np.flatnonzero(labels.codes == code)
        if len(rows) >= max(fewest, 2):
            rmse = bootstrap.estimate_rmse(actual[rows], predicted[rows])
            residual = bootstrap.estimate_mean(actual[rows] - predicted[rows])
            tabulated.append(GroupErrors(str(label), len(rows), rmse, residual))
    return tuple(tabulated)


def label_decades(years: ArrayLike) -> pd.Categorical[str]:
    """Label years by their decade.

    Parameters
    ----------
    years : array-like of shape (n_rows,), int
        Calendar years.

    Returns
    -------
    Categorical of shape (n_rows,)
        Labels such as "1990s", in the order of time.

    Examples
    --------
    >>> list(label_decades([2020, 1999]))
    ['2020s', '1990s']
    """
    decades, places = np.unique(np.asarray(years).astype(np.int64) // 10 * 10, return_inverse=True)
    return _label(places, [f"{decade}s" for decade in decades.tolist()])


def label_bins(values: ArrayLike, *, n_bins: int = 10) -> pd.Categorical[str]:
    """Label values by equally wide bins from 0 to 1, or from the least to the largest where some lie outside.

    Parameters
    ----------
    values : array-like of shape (n_rows,)
        Such as targets.
    n_bins : int, default=10
        How many bins.

    Returns
    -------
    Categorical of shape (n_rows,)
        Labels such as "0.3 to 0.4", in the order of the values. A value on an edge belongs to the bin above.

    Examples
    --------
    >>> list(label_bins([0.0, 0.25, 1.0], n_bins=2))
    ['0 to 0.5', '0 to 0.5', '0.5 to 1']
    """
    numbers = np.asarray(values, dtype=np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    edges = np.linspace(0, 1, n_bins + 1) if low >= 0 and high <= 1 else np.linspace(low, high, n_bins + 1)
    places = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, n_bins - 1)
    return _label(places, [f"{start:.6g} to {end:.6g}" for start, end in pairwise(edges)])


def _label(places: NDArray[np.intp], names: Sequence[str]) -> pd.Categorical[str]:
    """Return the ordered name of each place."""
    return pd.Categorical.from_codes(places, categories=pd.Index(names), ordered=True)


def estimate_nested(
    data: Prepared, n_neighbors: Sequence[int], *, track: Track[Any] = track_silently
) -> NestedEstimate:
    """Estimate the error of neighbours whose k is chosen anew inside each fold.

    Parameters
    ----------
    data : Prepared
        Training rows and their folds; no test row is used. Where they have groups, these stay on one side of the inner
        folds too. There are as many inner folds as outer ones.
    n_neighbors : sequence of int
        Candidates. Those above the training rows of an inner fold are left out.
    track : Track, default=track_silently
        Shows progress by folds.

    Returns
    -------
    NestedEstimate
        k is chosen by R², as the notebook does.

    Notes
    -----
    One search for each fold, inner or outer, scores every k. The choice has to be made inside each fold, because rows
    that take part in it score too well: Varma and Simon, Bias in error estimation when using cross-validation for model
    selection, 2006.
    """
    scoring = {"r2": "r2", "rmse": "neg_root_mean_squared_error"}
    inner = [_fold_inside(data, fold.train) for fold in data.folds]
    limit = min(len(fold.train) for folds in inner for fold in folds)
    candidates = [Candidate(k) for k in n_neighbors if k <= limit]
    outer = score_candidates(data.X_train, data.y_train, candidates=candidates, folds=data.folds, scoring=scoring)
    chosen = []
    for fold, folds in track(list(zip(data.folds, inner, strict=True)), "Choose inside each fold"):
        X, y = data.X_train.iloc[fold.train], data.y_train[fold.train]
        scores = score_candidates(X, y, candidates=candidates, folds=folds, scoring=scoring)
        chosen.append(scores.test["r2"].best)
    errors = -np.asarray(outer.test["rmse"], dtype=np.float64)
    best = outer.test["r2"].best
    nested, plain = errors[chosen, np.arange(len(chosen))], errors[best]
    return NestedEstimate(
        tuple(candidates[place].n_neighbors for place in chosen),
        candidates[best].n_neighbors,
        tuple(nested.tolist()),
        tuple(plain.tolist()),
        bootstrap.estimate_over_splits(nested, plain, test_share=1 / (len(chosen) - 1)),
    )


def _fold_inside(data: Prepared, rows: NDArray[np.int64]) -> tuple[Split, ...]:
    """Cut training rows of a fold into folds, which keep groups together where there are two or more."""
    groups = None if data.groups is None else data.groups[rows]
    n_groups = 0 if groups is None else len(np.unique(groups))
    if groups is None or n_groups < 2:
        return fold_rows(len(rows), n_splits=len(data.folds))
    return fold_groups(groups, n_splits=min(len(data.folds), n_groups))
