"""Every k, weighting and metric from one neighbour search per fold: the k nearest are the first k of the K nearest.

The idea is old: Hamerly and Speegle, "Efficient Model Selection for Large-Scale Nearest-Neighbor Data Mining" (2010);
Weka's IBk and R's kknn have it for leave-one-out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.metrics import get_scorer, get_scorer_names

from energyknn.fitting import Track, track_silently
from energyknn.neighbors import NeighborIndex, Neighbors, build_index
from energyknn.neighbors.search import Engine
from energyknn.splitting import Split
from energyknn.tuning.scores import check_candidates
from energyknn.weighting import KERNELS, Weights, average_targets, needs_bandwidth, weigh_neighbors

__all__ = ["Candidate", "CandidateScores", "Scorer", "resolve_scoring", "score_candidates"]

Scorer = Callable[[Any, Any, Any], float]
"""A scikit-learn scorer: ``scorer(estimator, X, y)``, better when larger."""

Table = Mapping[str, NDArray[np.float64]]
"""By metric: scores of shape (n_candidates, n_folds)."""

_ROWS_AT_ONCE = 8192
_VALUES_AT_ONCE = 1 << 25  # predictions that are held at once: 256 MiB


class Candidate(NamedTuple):
    """A number of neighbours, their weights, and the exponent of the distance (1 Manhattan, 2 Euclidean)."""

    n_neighbors: int
    weights: Weights = "uniform"
    p: int = 2


@dataclass(frozen=True, eq=False)
class CandidateScores:
    """Scores of every candidate on every fold, in a table that cannot change.

    Parameters
    ----------
    candidates : tuple of Candidate
        In the order in which they were given.
    test : mapping of str to ndarray of shape (n_candidates, n_folds)
        By metric, on the validation rows.
    train, train_without_self : mapping or None
        The same on the training rows, each its own nearest neighbour or with its own self left out.
    """

    candidates: tuple[Candidate, ...]
    test: Table
    train: Table | None = None
    train_without_self: Table | None = None


def resolve_scoring(scoring: Any = None) -> dict[str, Scorer]:
    """Turn what GridSearchCV takes as scoring into scorers by name.

    Parameters
    ----------
    scoring : None, str, callable, sequence of str, or mapping of str to str or callable
        None for R². One scorer is named "score", several by their own names.

    Returns
    -------
    dict of str to callable
        Scorers by name.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If a name is unknown (the nearest known one is given), or there is none.

    Examples
    --------
    >>> list(resolve_scoring(["r2", "neg_mean_absolute_error"]))
    ['r2', 'neg_mean_absolute_error']
    """
    if scoring is None or isinstance(scoring, str) or callable(scoring):
        return {"score": _resolve_scorer("r2" if scoring is None else scoring)}
    if isinstance(scoring, Mapping):
        named = {str(name): _resolve_scorer(scorer) for name, scorer in scoring.items()}
    elif isinstance(scoring, Sequence | set | frozenset):
        named = {str(name): _resolve_scorer(name) for name in scoring}
    else:
        message = f"scoring is {scoring!r}. It must be a scorer's name, a callable, or several of them."
        raise TypeError(message)
    if not named:
        message = "No scoring: the collection is empty. Name at least one scorer, or give None for R²."
        raise ValueError(message)
    return named


def _resolve_scorer(scorer: Any) -> Scorer:
    if callable(scorer):
        found: Scorer = scorer
        return found
    known = get_scorer_names()
    if scorer not in known:
        message = f"scoring {scorer!r} is unknown.{_suggest(scorer, known)} See sklearn.metrics.get_scorer_names()."
        raise ValueError(message)
    scorer_: Scorer = get_scorer(scorer)
    return scorer_


def _suggest(name: Any, known: Sequence[str]) -> str:
    near = get_close_matches(str(name), known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def score_candidates(
    X: ArrayLike,
    y: ArrayLike,
    *,
    candidates: Sequence[Candidate],
    folds: Sequence[Split],
    scoring: Any = None,
    with_train: bool = False,
    engine: Engine = "auto",
    n_jobs: int | None = None,
    track: Track[Any] = track_silently,
) -> CandidateScores:
    """Score every candidate on every fold, with one neighbour search for each fold and distance.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Their targets.
    candidates : sequence of Candidate
        What to score.
    folds : sequence of Split
        Row numbers of training and validation rows; any splitter's.
    scoring : None, str, callable, sequence or mapping, default=None
        As in `resolve_scoring`.
    with_train : bool, default=False
        Whether to score the training rows too, with and without each row's own self: two more searches a fold.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`. No score depends on them.
    track : Track, default=track_silently
        Shows progress, a step for each fold.

    Returns
    -------
    CandidateScores
        In the order given.

    Raises
    ------
    ValueError
        If there is no candidate or fold, a candidate does not fit the folds, weights or scoring are unknown, or a
        fold has a row on both sides.

    Notes
    -----
    A search takes as long as for the largest candidate alone. Scores of "uniform" and "distance" weights then come
    from cumulative sums; other weights depend on k and are weighed for each. Memory is bounded: neighbours are held
    for a block of 8,192 queries, predictions for as many candidates as fit 256 MiB; more candidates repeat the search.

    Where rows tie, the neighbours are those of the tie rule of `search_neighbors`, not of scikit-learn's heap.
    """
    candidates, scorers = tuple(candidates), resolve_scoring(scoring)
    _check(candidates, folds)
    rows, target = np.ascontiguousarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    sides = ("test", "train", "train_without_self") if with_train else ("test",)
    shape = (len(candidates), len(folds))
    tables = {side: {name: np.empty(shape) for name in scorers} for side in sides}
    for number, fold in enumerate(track(folds, "Search each fold once")):
        for side in sides:
            columns = {name: table[:, number] for name, table in tables[side].items()}
            job = _Job(rows, target, fold, side, engine=engine, n_jobs=n_jobs)
            _score_side(job, candidates, scorers, out=columns)
    return CandidateScores(candidates, **{side: _freeze(table) for side, table in tables.items()})


def _check(candidates: Sequence[Candidate], folds: Sequence[Split]) -> None:
    """Check candidates and folds before any search."""
    check_candidates([candidate.n_neighbors for candidate in candidates], folds)
    known = ("uniform", "distance", *KERNELS)
    for _, weights, p in candidates:
        if not callable(weights) and weights not in known:
            message = (
                f"weights {weights!r} is unknown.{_suggest(weights, known)} Known are {', '.join(known)}, "
                "and functions of the distances."
            )
            raise ValueError(message)
        if p not in (1, 2):
            message = f"p is {p!r}. It must be 1 (Manhattan) or 2 (Euclidean)."
            raise ValueError(message)
    for number, fold in enumerate(folds):
        both = np.intersect1d(fold.train, fold.test)
        if 0 < len(both) < len(fold.train):  # all rows on both sides is a resubstitution, asked for on purpose
            message = f"Fold {number} has {len(both)} rows on both sides, row {both[0]} first. Take them from one side."
            raise ValueError(message)


def _freeze(table: dict[str, NDArray[np.float64]]) -> Table:
    for scores in table.values():
        scores.flags.writeable = False
    return MappingProxyType(table)


@dataclass(frozen=True, eq=False)
class _Job:
    """One side of one fold, and how to search it."""

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    fold: Split
    side: str
    engine: Engine
    n_jobs: int | None

    @property
    def queries(self) -> NDArray[np.int64]:
        """Row numbers of what is predicted."""
        return self.fold.test if self.side == "test" else self.fold.train

    def prepare(self, p: int) -> NeighborIndex:
        """Prepare the training rows."""
        return build_index(self.X[self.fold.train], p=p, engine=self.engine, n_jobs=self.n_jobs)

    def search(self, index: NeighborIndex, n_neighbors: int) -> Iterator[tuple[slice, Neighbors]]:
        """Yield the neighbours of one block of queries after another."""
        if self.side == "train_without_self":
            yield slice(None), index.search(None, n_neighbors, n_jobs=self.n_jobs)
            return
        for start in range(0, len(self.queries), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            yield block, index.search(self.X[self.queries[block]], n_neighbors, n_jobs=self.n_jobs)


def _score_side(
    job: _Job, candidates: Sequence[Candidate], scorers: Mapping[str, Scorer], *, out: Mapping[str, NDArray[np.float64]]
) -> None:
    """Write every candidate's scores, as many candidates at a time as memory allows."""
    X, actual = job.X[job.queries], job.y[job.queries]
    at_once = max(1, _VALUES_AT_ONCE // max(1, actual.size))
    by_distance = sorted(range(len(candidates)), key=lambda number: candidates[number].p)
    for p in sorted({candidate.p for candidate in candidates}):
        chosen = [number for number in by_distance if candidates[number].p == p]
        index = job.prepare(p)
        for start in range(0, len(chosen), at_once):
            numbers = chosen[start : start + at_once]
            predictions = _predict(job, index, [candidates[number] for number in numbers])
            for number, predicted in zip(numbers, predictions, strict=True):
                for name, scorer in scorers.items():
                    out[name][number] = scorer(_Predicted(predicted), X, actual)


class _Predicted(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """What a scorer asks for predictions: it has them already."""

    def __init__(self, predictions: NDArray[np.float64]) -> None:
        self.predictions = predictions

    def predict(self, X: Any) -> NDArray[np.float64]:  # noqa: ARG002 - the rows are known
        """Return the predictions."""
        return self.predictions


def _predict(job: _Job, index: NeighborIndex, candidates: Sequence[Candidate]) -> NDArray[np.float64]:
    """Predict with candidates of one distance: shape (n_candidates, n_query) or (n_candidates, n_query, n_outputs)."""
    targets = job.y[job.fold.train]
    predictions = np.empty((len(candidates), len(job.queries), *targets.shape[1:]))
    n_available = len(targets) - (job.side == "train_without_self")
    reach = max(k + needs_bandwidth(weights) for k, weights, _ in candidates)
    for block, found in job.search(index, min(reach, n_available)):
        neighbors = targets[found.indices]
        for weights in dict.fromkeys(candidate.weights for candidate in candidates):
            rows = [row for row, candidate in enumerate(candidates) if candidate.weights == weights]
            sizes = [candidates[row].n_neighbors for row in rows]
            for row, predicted in zip(
                rows, _average_prefixes(found.distances, neighbors, weights, sizes, index), strict=True
            ):
                predictions[row, block] = predicted
    return predictions


def _average_prefixes(
    distances: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: Weights,
    sizes: Sequence[int],
    index: NeighborIndex,
) -> Iterator[NDArray[np.float64]]:
    """Yield, for each size k, the weighted mean target of the first k neighbours."""
    if weights in ("uniform", "distance"):
        given = weigh_neighbors(distances, weights)
        totals = np.cumsum(given, axis=1)
        sums = np.cumsum(targets * given.reshape(*given.shape, *[1] * (targets.ndim - 2)), axis=1)
        for k in sizes:
            yield sums[:, k - 1] / totals[:, k - 1].reshape(-1, *[1] * (targets.ndim - 2))
        return
    for k in sizes:
        bandwidth = distances[:, k] if needs_bandwidth(weights) and k < distances.shape[1] else None
        given = weigh_neighbors(distances[:, :k], weights, bandwidth=bandwidth, n_features=index.X_train.shape[1])
        yield average_targets(targets[:, :k], given)
