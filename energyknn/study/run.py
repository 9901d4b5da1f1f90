"""The notebook's study of a table: a base model, two searches over k, a tuned model, and the figures of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn._shared.showing import in_one_line
from energyknn.fitting import Scores, evaluate, fit_knn, predict, predict_without_self
from energyknn.neighbors import Neighbors, build_index
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study.notebook import BASE_N_NEIGHBORS, COARSE_N_NEIGHBORS, LARGEST_N_NEIGHBORS, N_MICRO, SPOTIFY
from energyknn.study.overfitting import Gap, Verdict, judge_overfitting, measure_gap, r2_standard_error
from energyknn.study.protocol import Clock, Prepared, Protocol, prepare
from energyknn.study.tools import Tool
from energyknn.tuning import Candidate, ScoreTable
from energyknn.tuning.fold_neighbors import insert_own


@in_one_line
@dataclass(frozen=True, eq=False)
class ModelFigures:
    """A model's scores, and its predictions of the test rows, shape (n_test,), in the target's unit."""

    n_neighbors: int
    train: Scores
    train_without_self: Scores
    test: Scores
    gap: Gap
    predicted_test: NDArray[np.float64]


@in_one_line
@dataclass(frozen=True, eq=False)
class Study:
    """Every figure of one study, its rows, the seconds of its stages, and scikit-learn's fitted searches by stage."""

    protocol: Protocol
    data: Prepared
    base: ModelFigures
    coarse: ScoreTable
    micro: ScoreTable
    tuned: ModelFigures
    verdict: Verdict
    seconds: dict[str, float]
    curve: ScoreTable | None
    searches: dict[str, Any]


def best_k(scores: ScoreTable) -> int:
    """Return the number of neighbours with the largest mean score."""
    return scores.n_neighbors[scores.best]


def list_candidates(first: int, limit: int, *, n: int = N_MICRO) -> tuple[int, ...]:
    """Return the `n` numbers of neighbours from `first` on, without those above `limit`.

    The second search tries the best of the first and the five above it.

    Examples
    --------
    >>> list_candidates(11, 100)
    (11, 12, 13, 14, 15, 16)
    """
    return tuple(range(first, min(first + n, limit + 1)))


def evaluate_models(
    data: Prepared,
    n_neighbors: Sequence[int],
    *,
    track: Track[Any] = track_silently,
    clock: Clock | None = None,
) -> tuple[ModelFigures, ...]:
    """Score models of several numbers of neighbours, with one exact search for each side of the split.

    The k nearest neighbours are the first k of the K nearest, so the search for the largest K serves all models.

    Parameters
    ----------
    data : Prepared
        Training and test rows, as `prepare` returns them.
    n_neighbors : sequence of int
        The number of neighbours that each model averages.
    track : Track, default=track_silently
        Shows progress.
    clock : Clock or None, default=None
        Measures the stages "fit" and "predict".

    Returns
    -------
    tuple of ModelFigures
        One for each number of neighbours, in the order given.

    See Also
    --------
    evaluate_scikit_learn : The same for one model, with scikit-learn's regressor.

    Examples
    --------
    >>> from energyknn.study.synthesis import synthesise_tracks
    >>> data = prepare(synthesise_tracks(100), Protocol())
    >>> [model.train.r2 for model in evaluate_models(data, [1])]
    [1.0]
    """
    found = search_sides(data, max(n_neighbors), track=track, clock=clock or Clock())
    return tuple(_measure(data, k, *(_average(data.y_train, side, k) for side in found)) for k in n_neighbors)


def search_sides(
    data: Prepared, n_neighbors: int, *, track: Track[Any], clock: Clock
) -> tuple[Neighbors, Neighbors, Neighbors]:
    """Find the neighbours of the training rows, of the same without each row itself, and of the test rows."""
    with clock.stage("fit"):
        index = build_index(data.X_train)
    with clock.stage("predict"):
        sides = track([None, data.X_test], "Search the neighbours of training and test rows")
        others, of_test = (index.search(rows, n_neighbors) for rows in sides)
        return insert_own(others, np.arange(len(data.y_train)), n_neighbors), others, of_test


def _average(y_train: NDArray[np.float64], found: Neighbors, n_neighbors: int) -> NDArray[np.float64]:
    """Predict the mean target of the first neighbours, with the bits of a search for so many alone."""
    return np.asarray(y_train[found.indices[:, :n_neighbors].copy()].mean(axis=1), dtype=np.float64)


def evaluate_scikit_learn(
    data: Prepared,
    n_neighbors: int,
    *,
    track: Track[Any] = track_silently,
    what: str = "model",
    clock: Clock | None = None,
) -> ModelFigures:
    """Score scikit-learn's `KNeighborsRegressor`, as the notebook did.

    Parameters
    ----------
    data : Prepared
        Training and test rows, as `prepare` returns them.
    n_neighbors : int
        The number of neighbours that the model averages.
    track : Track, default=track_silently
        Shows progress.
    what : str, default="model"
        What the progress calls the model.
    clock : Clock or None, default=None
        Measures the stages "fit", "predict" and "without_self".

    Returns
    -------
    ModelFigures
        Its scores on both sides, the gap between them, and its predictions of the test rows.
    """
    clock = clock or Clock()
    with clock.stage("fit"):
        model = fit_knn(data.X_train, data.y_train, n_neighbors=n_neighbors)
    with clock.stage("predict"):
        on_train = predict(model, data.X_train, track=track, what=f"training rows, {what}")
        on_test = predict(model, data.X_test, track=track, what=f"test rows, {what}")
    with clock.stage("without_self"):
        (without_self,) = (predict_without_self(model) for _ in track([None], f"Predict rows without self, {what}"))
    return _measure(data, n_neighbors, on_train, without_self, on_test)


def _measure(
    data: Prepared,
    n_neighbors: int,
    on_train: NDArray[np.float64],
    without_self: NDArray[np.float64],
    on_test: NDArray[np.float64],
) -> ModelFigures:
    """Score predictions of the training rows, of the same without self, and of the test rows."""
    train, rest = evaluate(data.y_train, on_train), evaluate(data.y_train, without_self)
    test = evaluate(data.y_test, on_test)
    errors = (r2_standard_error(data.y_train, without_self), r2_standard_error(data.y_test, on_test))
    return ModelFigures(n_neighbors, train, rest, test, measure_gap(train.r2, rest.r2, test.r2, errors=errors), on_test)


def run_study(
    table: pd.DataFrame,
    protocol: Protocol,
    tool: Tool,
    *,
    schema: Schema = SPOTIFY,
    track: Track[Any] = track_silently,
) -> Study:
    """Run the notebook's study on a table.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A table that `load_table` has checked.
    protocol : Protocol
        Which rows are held out, and which rows the scale is learned from.
    tool : Tool
        What scores the candidates, as `choose_tool` returns it.
    schema : Schema, default=SPOTIFY
        The role of each column.
    track : Track, default=track_silently
        Shows progress.

    Returns
    -------
    Study
        Every figure. Where one more candidate costs nothing, `curve` holds the scores of every k, both searches are
        read from that table, and one search for each side serves both models.

    Raises
    ------
    DataFileError
        If there are too few rows for the folds and the candidates.
    """
    clock, steps = Clock(), Clock()
    data = prepare(table, protocol, schema=schema, clock=clock)
    limit = min(len(fold.train) for fold in data.folds)
    curve, searches = None, {}
    if tool.every_k:
        with clock.stage("coarse"):
            curve = tool.coarse(data, list_candidates(1, limit, n=LARGEST_N_NEIGHBORS)).scores
            coarse = curve.select([Candidate(k) for k in COARSE_N_NEIGHBORS])
        with clock.stage("micro"):
            micro = curve.select([Candidate(k) for k in list_candidates(best_k(coarse), limit)])
        base, tuned = evaluate_models(data, (BASE_N_NEIGHBORS, best_k(micro)), track=track, clock=steps)
    else:
        base = evaluate_scikit_learn(data, BASE_N_NEIGHBORS, track=track, what="base model", clock=steps)
        with clock.stage("coarse"):
            coarse, searches["coarse"] = tool.coarse(data, COARSE_N_NEIGHBORS)
        with clock.stage("micro"):
            micro, searches["micro"] = tool.micro(data, list_candidates(best_k(coarse), limit))
        with clock.stage("tuned"):
            tuned = evaluate_scikit_learn(data, best_k(micro), track=track, what="tuned model")
    return Study(
        protocol=protocol,
        data=data,
        base=base,
        coarse=coarse,
        micro=micro,
        tuned=tuned,
        verdict=judge_overfitting(base.gap, tuned.gap),
        seconds=clock.seconds | {f"base_{name}": value for name, value in steps.seconds.items()},
        curve=curve,
        searches={stage: search for stage, search in searches.items() if search is not None},
    )
