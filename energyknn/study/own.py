"""A study of anybody's columns: every k from one search per fold, and the best of them beside k = 5 and no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn.errors import DataFileError
from energyknn.estimators.classifier import add_votes
from energyknn.fitting import Scores, evaluate
from energyknn.neighbors import Neighbors, build_index
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study.classes import ClassScores, evaluate_classes, rank_classes, score_votes
from energyknn.study.notebook import BASE_N_NEIGHBORS
from energyknn.study.overfitting import Gap, Verdict, accuracy_standard_error, judge_overfitting, measure_gap
from energyknn.study.protocol import Clock, Prepared, Protocol, label_groups, prepare
from energyknn.study.run import ModelFigures, best_k, evaluate_models, search_sides
from energyknn.study.tools import Scorer
from energyknn.tuning import Candidate, ScoreTable
from energyknn.tuning.candidates import check_sizes

LARGEST_N_NEIGHBORS = 300
"""The largest k that is tried where the user names none and the folds allow it."""
_FEWEST_SCORED = 2  # rows whose R² is defined
_FEWEST_REPEATS, _MOST_REPEATS = 0.01, 0.5  # of the rows


class MeanFigures(NamedTuple):
    """The mean of the training rows as the prediction of every row: the value, and its scores."""

    predicted: float
    train: Scores
    test: Scores


class MajorityFigures(NamedTuple):
    """The most frequent class of the training rows as the prediction of every row: the class, and its scores."""

    predicted: Any
    train: ClassScores
    test: ClassScores


@dataclass(frozen=True, eq=False)
class ClassFigures:
    """A model's scores, and the share of votes for each class of the test rows, shape (n_test, n_classes)."""

    n_neighbors: int
    train: ClassScores
    train_without_self: ClassScores
    test: ClassScores
    gap: Gap
    shares_test: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NumberStudy:
    """Every figure of a study whose target is a number, its rows, and the seconds of its stages."""

    protocol: Protocol
    data: Prepared
    baseline: MeanFigures
    base: ModelFigures
    tuned: ModelFigures
    curve: ScoreTable
    remark: str
    verdict: Verdict
    seconds: dict[str, float]


@dataclass(frozen=True, eq=False)
class ClassStudy:
    """Every figure of a study whose target is a class, its rows and classes, and the seconds of its stages.

    `curve` holds the accuracy of each candidate; `others` holds the means of its balanced accuracy and log loss.
    """

    protocol: Protocol
    data: Prepared
    classes: NDArray[Any]
    baseline: MajorityFigures
    base: ClassFigures
    tuned: ClassFigures
    curve: ScoreTable
    others: dict[str, NDArray[np.float64]]
    remark: str
    verdict: Verdict
    seconds: dict[str, float]


def study_numbers(
    table: pd.DataFrame,
    protocol: Protocol,
    score: Scorer,
    *,
    schema: Schema,
    n_neighbors: Sequence[int] | None = None,
    track: Track[Any] = track_silently,
) -> NumberStudy:
    """Study a table whose target is a number.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A table that `load_table` has checked.
    protocol : Protocol
        Which rows are held out, and which rows the scale is learned from.
    score : Scorer
        Scores the candidates, such as a stage of `choose_tool`.
    schema : Schema
        The role of each column.
    n_neighbors : sequence of int or None, default=None
        The candidates. None tries every k from 1 to 300, or to the rows of the smallest fold.
    track : Track, default=track_silently
        Shows progress.

    Returns
    -------
    NumberStudy
        The mean as a baseline, k = 5, the best k of all candidates, and the scores of each.

    Raises
    ------
    DataFileError
        If there are too few rows for the folds and the candidates, or the target is constant among them.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> from energyknn.study.tools import choose_tool
    >>> homes = pd.DataFrame({"area": range(100), "price": range(100)})
    >>> schema = make_schema(target="price", numbers=["area"])
    >>> study_numbers(homes, Protocol(), choose_tool("one-search").micro, schema=schema).tuned.n_neighbors
    1
    """
    data, candidates, clock = _prepare(table, protocol, schema, n_neighbors)
    for rows, values in (("training", data.y_train), ("test", data.y_test)):
        if np.ptp(values) == 0:
            message = (
                f"Column {schema.target!r} is {values[0]:g} in all {len(values)} {rows} rows. R² compares errors with "
                "the spread of the target, so there must be some. Give more rows, or another --target."
            )
            raise DataFileError(message)
    smallest = min(len(fold.test) for fold in data.folds)
    if smallest < _FEWEST_SCORED:
        needed = int(np.ceil(protocol.n_splits * _FEWEST_SCORED / (1 - protocol.test_size)))
        message = (
            f"{len(table)} rows leave {smallest} to score in a fold, and R² needs at least {_FEWEST_SCORED}. Give "
            f"at least {needed} rows."
        )
        raise DataFileError(message)
    with clock.stage("search"):
        curve = score(data, candidates).scores
    base, tuned = evaluate_models(data, (BASE_N_NEIGHBORS, best_k(curve)), track=track, clock=clock)
    mean = float(data.y_train.mean())
    means = [evaluate(values, np.full(len(values), mean)) for values in (data.y_train, data.y_test)]
    return NumberStudy(
        protocol=protocol,
        data=data,
        baseline=MeanFigures(mean, *means),
        base=base,
        tuned=tuned,
        curve=curve,
        remark=remark_on_edge(curve, _find_limit(data)),
        verdict=judge_overfitting(base.gap, tuned.gap),
        seconds=clock.seconds,
    )


def study_classes(
    table: pd.DataFrame,
    protocol: Protocol,
    *,
    schema: Schema,
    n_neighbors: Sequence[int] | None = None,
    track: Track[Any] = track_silently,
) -> ClassStudy:
    """Study a table whose target is a class.

    Parameters
    ----------
    table, protocol, schema, n_neighbors, track
        As in `study_numbers`. The hold-out and the folds hold each class in the same share.

    Returns
    -------
    ClassStudy
        The most frequent class as a baseline, k = 5, the k with the best accuracy, and the scores of each.

    Raises
    ------
    DataFileError
        If there are too few rows for the folds and the candidates, or all training rows have one class.
    """
    data, candidates, clock = _prepare(table, protocol, schema, n_neighbors)
    classes, codes = np.unique(data.y_train, return_inverse=True)
    if len(classes) < 2:
        message = (
            f"Column {schema.target!r} is {classes[0]!s} in all {len(codes)} training rows. A prediction needs at "
            "least two classes. Give more rows, or another --target."
        )
        raise DataFileError(message)
    with clock.stage("search"):
        curve, others = _score_classes(data, candidates, len(classes), track)
    found = search_sides(data, max(BASE_N_NEIGHBORS, best_k(curve)), track=track, clock=clock)
    base, tuned = (_measure_votes(data, k, classes, codes, found) for k in (BASE_N_NEIGHBORS, best_k(curve)))
    most = rank_classes(data.y_train)[0]
    certain = [np.tile(np.asarray(classes == most, dtype=np.float64), (len(rows), 1)) for rows in (codes, data.y_test)]
    return ClassStudy(
        protocol=protocol,
        data=data,
        classes=classes,
        baseline=MajorityFigures(
            most,
            *(
                evaluate_classes(y, shares, classes)._replace(log_loss=None, roc_auc=None)
                for y, shares in zip((data.y_train, data.y_test), certain, strict=True)
            ),
        ),
        base=base,
        tuned=tuned,
        curve=curve,
        others=others,
        remark=remark_on_edge(curve, _find_limit(data)),
        verdict=judge_overfitting(base.gap, tuned.gap, score="accuracy"),
        seconds=clock.seconds,
    )


def find_repeats(table: pd.DataFrame, schema: Schema, groups: Literal["songs", "repeats"]) -> bool:
    """Tell whether a study that keeps repeated rows on one side is worth its time.

    Rows that stand on both sides of a split flatter a model of neighbours. Below 1 % of the rows they cannot move a
    score past its error. Where more than half of the rows repeat others, the columns hold few values, and equal rows
    are different things.
    """
    labels = label_groups(table, schema, groups)
    repeated = 0.0 if labels is None else 1 - (labels.max() + 1) / len(labels)
    return bool(schema.numbers and _FEWEST_REPEATS <= repeated <= _MOST_REPEATS)


def remark_on_edge(scores: ScoreTable, limit: int) -> str:
    """Say so where the best k is the largest or the smallest that was tried; an empty text where it is neither.

    Parameters
    ----------
    scores : ScoreTable
        The scores of the candidates.
    limit : int
        The largest k that the folds allow.

    Returns
    -------
    str
        A sentence, or two.

    Examples
    --------
    >>> remark_on_edge(ScoreTable([Candidate(1), Candidate(51)], [[0.1], [0.2]]), limit=90)
    'The best k is the largest that was tried (51): try more with --n-neighbors 1:90.'
    """
    best, tried = best_k(scores), scores.n_neighbors
    if best == max(tried):
        if best < limit:
            more = min(4 * best, limit)
            return f"The best k is the largest that was tried ({best}): try more with --n-neighbors 1:{more}."
        return f"The best k is the largest that was tried ({best}), and the folds hold no more rows to try."
    if best == min(tried):
        if best > 1:
            return f"The best k is the smallest that was tried ({best}): try fewer with --n-neighbors 1:{max(tried)}."
        return "The best k is the smallest that was tried (1), and there is none below it."
    return ""


def _prepare(
    table: pd.DataFrame, protocol: Protocol, schema: Schema, n_neighbors: Sequence[int] | None
) -> tuple[Prepared, Sequence[int], Clock]:
    """Prepare the rows, choose the candidates, and start the clock."""
    clock, largest = Clock(), max(BASE_N_NEIGHBORS, *(n_neighbors or [1]))
    data = prepare(table, protocol, schema=schema, n_neighbors=largest, clock=clock)
    candidates = n_neighbors or range(1, min(_find_limit(data), LARGEST_N_NEIGHBORS) + 1)
    check_sizes(candidates, data.folds)
    return data, sorted(set(candidates)), clock


def _find_limit(data: Prepared) -> int:
    """Return the largest k that every fold allows."""
    return min(len(fold.train) for fold in data.folds)


def _score_classes(
    data: Prepared, candidates: Sequence[int], n_classes: int, track: Track[Any]
) -> tuple[ScoreTable, dict[str, NDArray[np.float64]]]:
    """Score numbers of neighbours as votes, from one search per fold: the accuracy, and means of other scores."""
    codes = np.unique(data.y_train, return_inverse=True)[1]
    X = data.X_train.to_numpy()
    scores = []
    for fold in track(data.folds, "Search each fold once"):
        found = build_index(X[fold.train]).search(X[fold.test], max(candidates))
        votes = codes[fold.train][found.indices]
        scores.append(score_votes(codes[fold.test], votes, candidates, n_classes=n_classes))
    accuracy, balanced, loss = np.array(scores).transpose(1, 2, 0)  # each of shape (n_candidates, n_folds)
    others = {"balanced_accuracy": balanced.mean(axis=1), "log_loss": loss.mean(axis=1)}
    return ScoreTable([Candidate(k) for k in candidates], accuracy), others


def _measure_votes(
    data: Prepared,
    n_neighbors: int,
    classes: NDArray[Any],
    codes: NDArray[np.int64],
    found: tuple[Neighbors, Neighbors, Neighbors],
) -> ClassFigures:
    """Score the votes of the first neighbours of the training rows, of the same without self, and of the test rows."""
    votes = [codes[side.indices[:, :n_neighbors]] for side in found]
    shares = [add_votes(cast, np.ones(cast.shape), len(classes)) / n_neighbors for cast in votes]
    actual = (data.y_train, data.y_train, data.y_test)
    train, rest, test = (evaluate_classes(*pair, classes) for pair in zip(actual, shares, strict=True))
    errors = (
        accuracy_standard_error(rest.accuracy, len(data.y_train)),
        accuracy_standard_error(test.accuracy, len(data.y_test)),
    )
    gap = measure_gap(train.accuracy, rest.accuracy, test.accuracy, errors=errors)
    return ClassFigures(n_neighbors, train, rest, test, gap, shares[2])
