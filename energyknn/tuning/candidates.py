"""Every k, weighting and metric from one neighbour search per fold: the k nearest are the first k of the K nearest.

The idea is old: Hamerly and Speegle, "Efficient Model Selection for Large-Scale Nearest-Neighbor Data Mining" (2010);
Weka's IBk and R's kknn have it for leave-one-out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning

from energyknn.neighbors._checks import check_rows
from energyknn.neighbors._threads import count_threads, run_slices
from energyknn.neighbors.search import Engine
from energyknn.progress import Track, track_silently
from energyknn.splitting import Split
from energyknn.tuning.fold_neighbors import FoldBlock, FoldSearch, Side, plan_searches
from energyknn.tuning.prefixes import average_prefixes, is_worth_compiling
from energyknn.tuning.scores import check_candidates
from energyknn.tuning.scoring import (
    Scorer,
    needs_predictions,
    resolve_scoring,
    score_predictions,
    score_sums,
    suggest_name,
    sum_errors,
)
from energyknn.weighting import KERNELS, Weights, needs_bandwidth

__all__ = [
    "Candidate",
    "CandidateScores",
    "SearchInterrupted",
    "find_repeats",
    "score_candidates",
    "score_leave_one_out",
]

Table = Mapping[str, NDArray[np.float64]]
"""By metric: scores of shape (n_candidates, n_folds)."""

_VALUES_AT_ONCE = 1 << 25  # predictions that are held at once: 256 MiB
_WORTH_THREADS = 1 << 18  # neighbours; fewer are scored before a thread is started


class Candidate(NamedTuple):
    """What is scored.

    Attributes
    ----------
    n_neighbors : int
        k.
    weights : str or callable
        As in `energyknn.weighting.weigh_neighbors`.
    p : {1, 2}
        Manhattan or Euclidean distance.
    transformer : scikit-learn transformer or None
        Fitted on the training rows of each fold and applied to both sides: a scaler, a selection of columns, their
        weights. Each needs a search of its own.
    """

    n_neighbors: int
    weights: Weights = "uniform"
    p: int = 2
    transformer: Any = None


@dataclass(frozen=True, eq=False)
class CandidateScores:
    """Scores of every candidate on every fold, in a table that cannot change.

    Parameters
    ----------
    candidates : tuple of Candidate
        In the order in which they were given, each once.
    test : mapping of str to ndarray of shape (n_candidates, n_folds)
        By metric, on the validation rows.
    train, train_without_self : mapping or None
        The same on the training rows, each its own nearest neighbour or with its own self left out.
    """

    candidates: tuple[Candidate, ...]
    test: Table
    train: Table | None = None
    train_without_self: Table | None = None


class SearchInterrupted(KeyboardInterrupt):
    """An interrupt that keeps what was finished.

    Parameters
    ----------
    scores : CandidateScores
        NaN where a fold was not finished.
    """

    def __init__(self, scores: CandidateScores) -> None:
        super().__init__("Interrupted; the scores of the folds that were finished are kept.")
        self.scores = scores


def score_candidates(
    X: ArrayLike,
    y: ArrayLike,
    *,
    candidates: Sequence[Candidate],
    folds: Sequence[Split],
    scoring: Any = None,
    with_train: bool = False,
    error_score: float | Literal["raise"] = np.nan,
    shared: bool | None = None,
    engine: Engine = "auto",
    n_jobs: int | None = None,
    track: Track[Any] = track_silently,
) -> CandidateScores:
    """Score every candidate on every fold, with one neighbour search for each fold and distance.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows; a data frame for transformers that choose columns by name.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Their targets.
    candidates : sequence of Candidate
        What to score. One that repeats another is scored and reported once, with a warning.
    folds : sequence of Split
        Row numbers of training and validation rows; any splitter's.
    scoring : None, str, callable, sequence or mapping, default=None
        As in `resolve_scoring`.
    with_train : bool, default=False
        Whether to score the training rows too, with and without each row's own self: one more search a fold.
    error_score : float or "raise", default=nan
        What a candidate gets where its weights or the scorer fail; they warn, or raise.
    shared : bool or None, default=None
        Whether one search over all rows serves all folds, see `energyknn.tuning.fold_neighbors`; None takes what is
        less work. No score depends on it.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`. No score depends on them.
    track : Track, default=track_silently
        Shows progress, by pairs of a query and a training row.

    Returns
    -------
    CandidateScores
        In the order given.

    Raises
    ------
    ValueError
        If there is no candidate or fold, a candidate does not fit the folds, weights or scoring are unknown, or a
        fold has a row on both sides.
    SearchInterrupted
        On Ctrl-C, with the folds that were finished.

    Notes
    -----
    A search takes as long as for the largest candidate alone. Memory is bounded whatever the number of candidates:
    neighbours are held for a block of queries, and R², MSE, RMSE and MAE need no more than sums of errors. Other
    scorers need all predictions, which are held for as many candidates as fit 256 MiB; more candidates repeat the
    search.

    Where rows tie, the neighbours are those of the tie rule of `search_neighbors`, not of scikit-learn's heap.
    """
    target, scorers = np.asarray(y, dtype=np.float64), resolve_scoring(scoring)
    folds = [Split(np.asarray(train), np.asarray(test)) for train, test in folds]
    _check(candidates, folds, len(target))
    repeats = find_repeats(candidates)
    candidates = tuple(candidate for number, candidate in enumerate(candidates) if number not in repeats)
    job = _Job(X, target, tuple(folds), scorers, with_train, error_score, count_threads(n_jobs))
    tables = _Tables(candidates, job)
    try:
        for numbers in _group(candidates):
            group = [candidates[number] for number in numbers]
            transformer = group[0].transformer
            plan = plan_searches(
                check_rows(X, name="X") if transformer is None else np.empty((len(target), 0)),
                job.folds,
                max(candidate.n_neighbors + needs_bandwidth(candidate.weights) for candidate in group),
                p=group[0].p,
                with_train=with_train,
                shared=shared,
                transform=None if transformer is None else partial(job.transform, transformer),
                engine=engine,
                n_jobs=n_jobs,
            )
            _score_group(job, plan, numbers, tables, track)
    except KeyboardInterrupt as interrupt:
        raise SearchInterrupted(tables.freeze()) from interrupt
    tables.warn_of_failures(error_score)
    return tables.freeze()


def score_leave_one_out(
    X: ArrayLike,
    y: ArrayLike,
    *,
    candidates: Sequence[Candidate],
    scoring: Any = None,
    engine: Engine = "auto",
    n_jobs: int | None = None,
    track: Track[Any] = track_silently,
) -> Mapping[str, NDArray[np.float64]]:
    """Score every candidate by leave-one-out: each row is predicted from all others, and all predictions are scored.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Their targets.
    candidates : sequence of Candidate
        What to score. A transformer is fitted on all rows.
    scoring, engine, n_jobs, track
        As in `score_candidates`.

    Returns
    -------
    mapping of str to ndarray of shape (n_candidates,)
        Scores by metric.

    Raises
    ------
    ValueError
        As in `score_candidates`; k is at most one less than the number of rows.

    Examples
    --------
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> score_leave_one_out(X, X[:, 0], candidates=[Candidate(2)], scoring="neg_max_error")["score"]
    array([-1.5])
    """
    everything = np.arange(len(np.asarray(y)))
    largest = max((candidate.n_neighbors for candidate in candidates), default=1)
    if largest >= len(everything):
        message = f"n_neighbors is {largest} for {len(everything)} rows. It is at most one less: a row is left out."
        raise ValueError(message)
    scores = score_candidates(
        *(X, y),
        candidates=candidates,
        folds=[Split(everything, everything)],
        scoring=scoring,
        with_train=True,
        engine=engine,
        n_jobs=n_jobs,
        track=track,
    ).train_without_self
    return MappingProxyType({name: table[:, 0] for name, table in (scores or {}).items()})


def find_repeats(candidates: Sequence[Candidate]) -> set[int]:
    """Return the places of candidates that repeat an earlier one, and warn of them.

    Parameters
    ----------
    candidates : sequence of Candidate
        What to score.

    Returns
    -------
    set of int
        Their places.
    """
    known: set[tuple[Any, ...]] = set()
    repeats = set()
    for number, (n_neighbors, weights, p, transformer) in enumerate(candidates):
        key = (n_neighbors, weights, p, id(transformer))
        if key in known:
            repeats.add(number)
        known.add(key)
    if repeats:
        message = f"{len(repeats)} of {len(candidates)} candidates repeat another: each is scored once."
        warnings.warn(message, stacklevel=3)
    return repeats


def _check(candidates: Sequence[Candidate], folds: Sequence[Split], n_rows: int) -> None:
    """Check candidates and folds before any search."""
    _check_folds(folds, n_rows)
    check_candidates([candidate.n_neighbors for candidate in candidates], folds)
    known = ("uniform", "distance", *KERNELS)
    for _, weights, p, transformer in candidates:
        if not callable(weights) and weights not in known:
            message = (
                f"weights {weights!r} is unknown.{suggest_name(weights, known)} Known are {', '.join(known)}, "
                "and functions of the distances."
            )
            raise ValueError(message)
        if p not in (1, 2):
            message = f"p is {p!r}. It must be 1 (Manhattan) or 2 (Euclidean)."
            raise ValueError(message)
        if transformer is not None and not (hasattr(transformer, "fit") and hasattr(transformer, "transform")):
            message = f"transformer is {transformer!r}. It must have fit and transform, as scikit-learn's have."
            raise ValueError(message)


def _check_folds(folds: Sequence[Split], n_rows: int) -> None:
    """Require folds of known rows, with two sides that share none."""
    for number, fold in enumerate(folds):
        for side, rows in zip(("training", "validation"), fold, strict=True):
            if len(rows) == 0:
                message = f"Fold {number} has no {side} rows. Each fold needs both; use other folds."
                raise ValueError(message)
            if not (rows.min() >= 0 and rows.max() < n_rows):
                message = f"Fold {number} names row {rows.max()} of {n_rows} rows. Make the folds from these rows."
                raise ValueError(message)
        both = np.intersect1d(fold.train, fold.test)
        if 0 < len(both) < len(fold.train):  # all rows on both sides is a resubstitution, asked for on purpose
            message = f"Fold {number} has {len(both)} rows on both sides, row {both[0]} first. Take them from one side."
            raise ValueError(message)


@dataclass(frozen=True, eq=False)
class _Job:
    """What is scored, and how."""

    X: Any
    y: NDArray[np.float64]
    folds: tuple[Split, ...]
    scorers: Mapping[str, Scorer]
    with_train: bool
    error_score: float | Literal["raise"]
    n_threads: int

    def transform(self, transformer: Any, fold: Split) -> NDArray[np.float64]:
        """Return all rows as a transformer sees them that knows the fold's training rows."""
        fitted = clone(transformer).fit(_take_rows(self.X, fold.train), self.y[fold.train])
        return check_rows(fitted.transform(self.X), name="What the transformer returned")


def _take_rows(X: Any, rows: NDArray[np.int64]) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else np.asarray(X)[rows]


class _Tables:
    """Tables that are filled fold by fold; NaN until then."""

    def __init__(self, candidates: tuple[Candidate, ...], job: _Job) -> None:
        self.candidates = candidates
        shape = (len(candidates), len(job.folds))
        sides: tuple[Side, ...] = ("test", "train", "train_without_self") if job.with_train else ("test",)
        self.by_side = {side: {name: np.full(shape, np.nan) for name in job.scorers} for side in sides}
        self.failures: list[Exception] = []

    def freeze(self) -> CandidateScores:
        """Return the tables as they are, read-only."""
        frozen: dict[str, Table] = {}
        for side, tables in self.by_side.items():
            for scores in tables.values():
                scores.flags.writeable = False
            frozen[side] = MappingProxyType(tables)
        return CandidateScores(self.candidates, **frozen)

    def warn_of_failures(self, error_score: object) -> None:
        """Say how many scores could not be had, and why the first of them."""
        if self.failures:
            first = self.failures[0]
            message = (
                f"{len(self.failures)} scores could not be computed and are {error_score}. The first failed with "
                f"{type(first).__name__}: {first}"
            )
            warnings.warn(message, FitFailedWarning, stacklevel=3)


def _group(candidates: Sequence[Candidate]) -> list[list[int]]:
    """List the candidates that share a search."""
    groups: dict[tuple[int, int], list[int]] = {}
    for number, candidate in enumerate(candidates):
        groups.setdefault((id(candidate.transformer), candidate.p), []).append(number)
    return list(groups.values())


def _score_group(job: _Job, plan: FoldSearch, numbers: Sequence[int], tables: _Tables, track: Track[Any]) -> None:
    """Score candidates that share a search, as many at a time as memory allows."""
    held = [len(rows) for fold in plan.folds for rows in (fold.test, *((fold.train,) * 2 if job.with_train else ()))]
    values = (sum(held) if plan.shared else max(held)) * max(1, job.y[:1].size)
    at_once = len(numbers)
    if any(needs_predictions(scorer) for scorer in job.scorers.values()):
        at_once = max(1, _VALUES_AT_ONCE // values)
    for start in range(0, len(numbers), at_once):
        part = list(numbers[start : start + at_once])
        wanted = _Wanted([tables.candidates[number] for number in part], n_query=sum(held))
        tallies: dict[tuple[int, Side], _Tally] = {}
        for block in plan.find(track):
            key = block.fold, block.side
            if key not in tallies:
                fold = plan.folds[block.fold]
                tallies[key] = _Tally(job, wanted, fold.test if block.side == "test" else fold.train, plan.slice_rows)
            if tallies[key].add(block):
                scores, failures = tallies.pop(key).score()
                tables.failures += failures
                for name, values_ in scores.items():
                    tables.by_side[block.side][name][part, block.fold] = values_


class _Wanted:
    """The candidates of a search by weighting: where they stand, and which of the sizes each wants."""

    def __init__(self, candidates: Sequence[Candidate], *, n_query: int) -> None:
        self.n_candidates = len(candidates)
        self.sizes = sorted({candidate.n_neighbors for candidate in candidates})
        self.places: dict[Weights, NDArray[np.int64]] = {}
        self.columns: dict[Weights, NDArray[np.int64]] = {}
        for weights in dict.fromkeys(candidate.weights for candidate in candidates):
            places = [place for place, candidate in enumerate(candidates) if candidate.weights == weights]
            self.places[weights] = np.array(places)
            sizes = [candidates[place].n_neighbors for place in places]
            self.columns[weights] = np.searchsorted(self.sizes, sizes)
        self.compiled = is_worth_compiling(n_query, list(self.places), self.sizes)
        self.has_functions = any(callable(weights) for weights in self.places)


class _Tally:
    """What is known of one side of one fold so far."""

    def __init__(self, job: _Job, wanted: _Wanted, rows: NDArray[np.int64], slice_rows: int) -> None:
        self.job, self.wanted, self.rows, self.slice_rows = job, wanted, rows, slice_rows
        self.actual = job.y[rows].reshape(len(rows), -1)
        self.n_done = 0
        self.sums: dict[str, NDArray[np.float64]] = {}
        self.failed: dict[int, Exception] = {}
        self.predictions = None
        if any(needs_predictions(scorer) for scorer in job.scorers.values()):
            self.predictions = np.empty((wanted.n_candidates, *self.actual.shape))

    def add(self, block: FoldBlock) -> bool:
        """Score a block and forget its neighbours; return whether it was the last."""
        edges = np.flatnonzero(np.diff(block.rows // self.slice_rows)) + 1
        slices = [slice(*pair) for pair in zip([0, *edges], [*edges, len(block.rows)], strict=True)]
        parts: list[dict[str, NDArray[np.float64]]] = [{}] * len(slices)

        def score(number: int) -> None:
            parts[number] = self._sum_slice(block, slices[number])

        is_small = block.neighbors.indices.size < _WORTH_THREADS
        n_threads = 1 if self.wanted.has_functions or is_small else self.job.n_threads
        run_slices(score, range(len(slices)), n_threads=n_threads)
        for part in parts:  # in order, so that no sum depends on the threads
            for kind, sums in part.items():
                self.sums[kind] = self.sums[kind] + sums if kind in self.sums else sums
        self.n_done += len(block.rows)
        return self.n_done == len(self.rows)

    def _sum_slice(self, block: FoldBlock, queries: slice) -> dict[str, NDArray[np.float64]]:
        """Predict some rows with every candidate, and sum the errors."""
        at = slice(self.n_done + queries.start, self.n_done + queries.stop)
        neighbors = self.job.y[block.neighbors.indices[queries]].reshape(*block.neighbors.indices[queries].shape, -1)
        sums: dict[str, NDArray[np.float64]] = {}
        for weights, means in self._average(block, queries, neighbors).items():
            places, columns = self.wanted.places[weights], self.wanted.columns[weights]
            for kind, found in sum_errors(means, self.actual[at], self.job.scorers).items():
                if kind not in sums:
                    sums[kind] = np.zeros((self.wanted.n_candidates, self.actual.shape[1]))
                sums[kind][places] = found[columns]
            if self.predictions is not None:
                self.predictions[places, at] = means[columns]
        return sums

    def _average(
        self, block: FoldBlock, queries: slice, neighbors: NDArray[np.float64]
    ) -> dict[Weights, NDArray[np.float64]]:
        """Average the targets of the first k neighbours, for each weighting that does not fail."""
        distances = block.neighbors.distances[queries]
        named = [weights for weights in self.wanted.places if not callable(weights)]
        means = average_prefixes(
            *(distances, neighbors, named, self.wanted.sizes),
            n_features=block.n_features,
            compiled=self.wanted.compiled,
        )
        for weights in self.wanted.places:
            if callable(weights):
                means[weights] = self._average_with_function(weights, distances, neighbors, block.n_features)
        return means

    def _average_with_function(
        self,
        weights: Weights,
        distances: NDArray[np.float64],
        neighbors: NDArray[np.float64],
        n_features: int,
    ) -> NDArray[np.float64]:
        """Average with a user's function, which may fail for some of its candidates."""
        means = np.zeros((len(self.wanted.sizes), len(distances), neighbors.shape[2]))
        for place, column in zip(self.wanted.places[weights], self.wanted.columns[weights], strict=True):
            if place in self.failed:
                continue
            try:
                sizes = [self.wanted.sizes[column]]
                found = average_prefixes(distances, neighbors, [weights], sizes, n_features=n_features)
            except Exception as error:  # whatever a user's function raises
                if self.job.error_score == "raise":
                    raise
                self.failed[int(place)] = error
            else:
                means[column] = found[weights][0]
        return means

    def score(self) -> tuple[dict[str, NDArray[np.float64]], list[Exception]]:
        """Score every candidate by every metric; return the failures too."""
        failures: list[Exception] = []
        scores: dict[str, NDArray[np.float64]] = {}
        shape = self.job.y[self.rows].shape
        X = _take_rows(self.job.X, self.rows) if self.predictions is not None else None
        for name, scorer in self.job.scorers.items():
            if not needs_predictions(scorer):
                scores[name] = score_sums(scorer, self.sums, self.actual)
                continue
            scores[name] = np.empty(self.wanted.n_candidates)
            for place, predicted in enumerate(self.predictions if self.predictions is not None else ()):
                try:
                    scores[name][place] = score_predictions(scorer, predicted.reshape(shape), X, self.job.y[self.rows])
                except Exception as error:  # whatever a user's scorer raises
                    if self.job.error_score == "raise":
                        raise
                    scores[name][place] = self.job.error_score
                    failures.append(error)
        for place, failure in self.failed.items():
            for table in scores.values():
                table[place] = self.job.error_score
                failures.append(failure)
        return scores, failures
