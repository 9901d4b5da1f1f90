"""Every k from one neighbour search per fold: the k nearest are the first k of the K nearest.

The idea is old: Hamerly and Speegle, "Efficient Model Selection for Large-Scale Nearest-Neighbor Data Mining" (2010);
Weka's IBk and R's kknn have it for leave-one-out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn.fitting import Track, track_silently
from energyknn.neighbors import build_index
from energyknn.neighbors.search import Engine, choose_engine
from energyknn.splitting import Split
from energyknn.tuning.scores import SearchScores, check_candidates

__all__ = ["search_once"]

_ROWS_AT_ONCE = 8192


def search_once(
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_neighbors: Sequence[int],
    folds: Sequence[Split],
    engine: Engine = "auto",
    n_jobs: int | None = None,
    track: Track[Any] = track_silently,
) -> SearchScores:
    """Score every candidate by cross-validation, with one neighbour search for each fold.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows.
    y : array-like of shape (n_rows,)
        Their targets.
    n_neighbors : sequence of int
        The candidates, each at least 1 and at most the rows of the smallest training side.
    folds : sequence of Split
        Row numbers of training and validation rows.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`. No score depends on them.
    track : Track, default=track_silently
        Shows progress, a step for each fold.

    Returns
    -------
    SearchScores
        R² of each candidate, in the order given, on each fold.

    Raises
    ------
    ValueError
        If there is no candidate, or one is below 1 or above the rows of a training side.

    Notes
    -----
    Time is that of one search at the largest candidate for each fold, whatever the number of candidates. Memory is
    that of one block of queries: its neighbours are scored and dropped. Where rows tie, the neighbours are those of
    the tie rule of `search_neighbors`, not of scikit-learn's heap.
    """
    rows, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    check_candidates(n_neighbors, folds)
    candidates = np.asarray(n_neighbors, dtype=np.int64)
    scores = [
        _score_fold(rows, target, fold, candidates=candidates, engine=engine, n_jobs=n_jobs)
        for fold in track(folds, "Search each fold once")
    ]
    return SearchScores(tuple(candidates.tolist()), np.column_stack(scores))


def _score_fold(
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    fold: Split,
    *,
    candidates: NDArray[np.int64],
    engine: Engine,
    n_jobs: int | None,
) -> NDArray[np.float64]:
    """Score every candidate on one fold's validation rows, a block of queries at a time: shape (n_candidates,)."""
    train, actual = y[fold.train], y[fold.test]
    if engine == "auto":
        engine = choose_engine(len(train), X.shape[1], n_query=len(actual))
    index = build_index(X[fold.train], engine=engine, n_jobs=n_jobs)
    errors = np.zeros(len(candidates))
    for start in range(0, len(actual), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        found = index.search(X[fold.test[block]], int(candidates.max()), n_jobs=n_jobs)
        errors += ((_predict_each_k(train[found.indices], candidates) - actual[block, None]) ** 2).sum(axis=0)
    scores: NDArray[np.float64] = 1.0 - errors / ((actual - actual.mean()) ** 2).sum()
    return scores


def _predict_each_k(targets: NDArray[np.float64], candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """Average the first k of each row's neighbours, for each candidate k: shape (n_query, n_candidates)."""
    sums = np.cumsum(targets, axis=1)
    predicted: NDArray[np.float64] = sums[:, candidates - 1] / candidates
    return predicted
