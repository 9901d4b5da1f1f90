"""Every k, weighting and metric from one neighbour search per fold: the k nearest are the first k of the K nearest.

The idea is old: Hamerly and Speegle, "Efficient Model Selection for Large-Scale Nearest-Neighbor Data Mining" (2010);
Weka's IBk and R's kknn have it for leave-one-out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import FitFailedWarning

from energyknn._shared.checks import check_choice, check_integer, check_rows
from energyknn._shared.showing import in_one_line
from energyknn.errors import ParameterError, suggest_name
from energyknn.neighbors.engines import Engine
from energyknn.neighbors.metrics import METRICS
from energyknn.neighbors.weighting import KERNELS, Weights, needs_bandwidth
from energyknn.progress import Track, track_silently
from energyknn.splitting import Split
from energyknn.tuning.fold_neighbors import FoldSearch, Side
from energyknn.tuning.scores import CandidateScores, ScoreTable, SearchInterrupted
from energyknn.tuning.scoring import needs_predictions, resolve_scoring
from energyknn.tuning.tallies import BlockSums, Part, Tally, make_part

_VALUES_AT_ONCE = 1 << 25  # predictions that are held at once: 256 MiB


@in_one_line
class Candidate(NamedTuple):
    """A setting of the regression that can be scored.

    Parameters
    ----------
    n_neighbors : int
        k.
    weights : str or callable, default="uniform"
        "uniform", "distance", a kernel's name, or a function that turns distances of shape (n_query, k) into weights.
    p : {1, 2}, default=2
        Manhattan or Euclidean distance.
    transformer : transformer or None, default=None
        A scaler, a choice of columns, their weights: fitted on the training rows of each fold and applied to both
        sides. Candidates with the same transformer object share a search.
    label : object, default=None
        Anything that tells the caller which candidate this is. It is kept with the scores and has no effect on them.

    See Also
    --------
    score_candidates : Scores many of them at once.

    Examples
    --------
    >>> Candidate(5, "distance", label="as in the paper").label
    'as in the paper'
    """

    n_neighbors: int
    weights: Weights = "uniform"
    p: int = 2
    transformer: Any = None
    label: Any = None

    @property
    def key(self) -> tuple[Any, ...]:
        """What scores depend on. Candidates with equal keys repeat each other."""
        return self.n_neighbors, self.weights, self.p, id(self.transformer)


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
        What to score. A candidate that repeats another is scored and reported once, with a warning.
    folds : sequence of Split
        Row numbers of training and validation rows, from any splitter.
    scoring : None, str, callable, sequence or mapping, default=None
        What GridSearchCV accepts; None for R². One scorer gets the name "score".
    with_train : bool, default=False
        Whether to score the training rows too, with and without each row as its own neighbour.
    error_score : float or "raise", default=nan
        The score where a candidate's weights or the scorer fail, with a warning; "raise" for the error itself.
    shared : bool or None, default=None
        Whether one search over all rows serves all folds; None for whichever is less work. Scores do not depend on it.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        How to search. Scores do not depend on it.
    n_jobs : int or None, default=None
        Threads; None for every core, and 1 inside a joblib worker. Scores do not depend on it.
    track : Track, default=track_silently
        Shows progress, in pairs of a query and a training row.

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
        On Ctrl-C, with the scores of the folds that were finished.

    See Also
    --------
    score_leave_one_out : One fold for each row.
    energyknn.cluster.score_candidates_on_ray : The same on a Ray cluster.
    energyknn.KNNSearchCV : The same as a scikit-learn search.

    Notes
    -----
    A search takes as long as for the largest candidate alone. Memory is bounded whatever the number of candidates:
    neighbours are held for a block of queries, and R², MSE, RMSE and MAE need no more than sums of errors. Other
    scorers need all predictions, which are held for as many candidates as fit into 256 MiB; for more candidates the
    search is repeated.

    Where rows tie, neighbours are chosen by the tie rule of `search_neighbors`, not as in scikit-learn's heap.

    Examples
    --------
    >>> from energyknn.splitting import fold_rows
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> candidates = [Candidate(k) for k in range(1, 10)]
    >>> scores = score_candidates(X, np.sin(X[:, 0] / 6), candidates=candidates, folds=fold_rows(40))
    >>> candidates[scores.test["score"].best]
    Candidate(n_neighbors=1, weights='uniform', p=2, transformer=None, label=None)
    """
    job = Job(X, y, candidates, folds, scoring, with_train, error_score, shared, engine, n_jobs)
    return run_job(job, partial(run_here, track=track))


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
    """Score every candidate by leave-one-out: predict each row from all others, and score all predictions at once.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Their targets.
    candidates : sequence of Candidate
        What to score, each with k below n_rows. A transformer is fitted on all rows.
    scoring : None, str, callable, sequence or mapping, default=None
        What GridSearchCV accepts; None for R². One scorer gets the name "score".
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        How to search. Scores do not depend on it.
    n_jobs : int or None, default=None
        Threads; None for every core, and 1 inside a joblib worker.
    track : Track, default=track_silently
        Shows progress, in pairs of a query and a training row.

    Returns
    -------
    mapping of str to ndarray of shape (n_candidates,)
        Scores by metric.

    Raises
    ------
    ValueError
        If k is not below n_rows, or for the reasons of `score_candidates`.

    See Also
    --------
    score_candidates : Scores on any folds.

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
        raise ParameterError(message)
    folds = [Split(everything, everything)]
    job = Job(X, y, candidates, folds, scoring, with_train=True, engine=engine, n_jobs=n_jobs)
    scores = run_job(job, partial(run_here, track=track)).train_without_self or {}
    return MappingProxyType({name: table.values[:, 0] for name, table in scores.items()})


@in_one_line
@dataclass(eq=False)
class Job:
    """The arguments of `score_candidates`, checked and converted.

    Candidates that repeat others are dropped with a warning. `X` stays as given, for transformers and scorers.

    Attributes
    ----------
    rows : ndarray of shape (n_rows, n_features), float64, or None
        `X` as finite numbers, if any candidate has no transformer.
    scorers : dict of str to str or callable
        By metric, as `resolve_scoring` returns them.
    """

    X: Any
    y: Any
    candidates: Sequence[Candidate]
    folds: Sequence[Split]
    scoring: Any = None
    with_train: bool = False
    error_score: float | Literal["raise"] = np.nan
    shared: bool | None = None
    engine: Engine = "auto"
    n_jobs: int | None = None

    def __post_init__(self) -> None:
        self.y = np.asarray(self.y, dtype=np.float64)
        self.scorers = resolve_scoring(self.scoring)
        self.folds = [Split(np.asarray(train), np.asarray(test)) for train, test in self.folds]
        _check_folds(self.folds, len(self.y))
        unique: dict[tuple[Any, ...], Candidate] = {}
        for candidate in self.candidates:
            _check_candidate(candidate)
            unique.setdefault(candidate.key, candidate._replace(n_neighbors=int(candidate.n_neighbors)))
        check_sizes([candidate.n_neighbors for candidate in self.candidates], self.folds)
        n_given, self.candidates = len(self.candidates), tuple(unique.values())
        if len(unique) < n_given:
            message = f"{n_given - len(unique)} of {n_given} candidates repeat another: each is scored once."
            warnings.warn(message, stacklevel=4)
        needs_rows = any(candidate.transformer is None for candidate in self.candidates)
        self.rows = check_rows(self.X, name="X") if needs_rows else None
        self.X = self.X if hasattr(self.X, "columns") else np.asarray(self.X)


Executor = Callable[[Part], Iterable[BlockSums]]
"""Runs all steps of a part, and yields the errors of each block of rows. Blocks can come in any order."""


def run_here(part: Part, *, track: Track[Any] = track_silently) -> Iterator[BlockSums]:
    """Run the steps of a part in this process, one after another: the `Executor` of one machine."""
    what = "Search all rows once for all folds" if part.plan.shared else "Search each fold once"
    for fold, steps in groupby(track(part.plan.list_steps(), what), key=attrgetter("fold")):
        prepared = part.plan.prepare(fold)
        for step in steps:
            yield from part.run(prepared, step)
        del prepared  # never two indexes at a time


def run_job(job: Job, execute: Executor) -> CandidateScores:
    """Score a job's candidates, with an executor that does the work here or elsewhere.

    Parameters
    ----------
    job : Job
        What to score.
    execute : callable
        Called once for each part.

    Returns
    -------
    CandidateScores
        The same bits from every executor.

    Raises
    ------
    SearchInterrupted
        On Ctrl-C, with the scores of the folds that were finished.
    """
    sides: tuple[Side, ...] = ("test", "train", "train_without_self") if job.with_train else ("test",)
    shape = (len(job.candidates), len(job.folds))
    tables = {side: {name: np.full(shape, np.nan) for name in job.scorers} for side in sides}
    failures: list[Exception] = []
    try:
        for places, part in _list_parts(job):
            tallies: dict[tuple[int, Side], Tally] = {}
            for block in execute(part):
                key = block.fold, block.side
                tallies.setdefault(key, Tally(part, *key)).add(block)
                if tallies[key].is_complete:
                    scores, failed = tallies.pop(key).score(job.X)
                    failures += failed
                    for name, values in scores.items():
                        tables[block.side][name][places, block.fold] = values
    except KeyboardInterrupt as interrupt:
        raise SearchInterrupted(_freeze(job, tables)) from interrupt
    if failures:
        message = (
            f"{len(failures)} scores could not be computed and are {job.error_score}. The first failed with "
            f"{type(failures[0]).__name__}: {failures[0]}"
        )
        warnings.warn(message, FitFailedWarning, stacklevel=3)
    return _freeze(job, tables)


def _freeze(job: Job, tables: Mapping[Side, Mapping[str, NDArray[np.float64]]]) -> CandidateScores:
    """Make the result of arrays by side and metric."""
    frozen = {
        side: MappingProxyType({name: ScoreTable(job.candidates, values) for name, values in by_name.items()})
        for side, by_name in tables.items()
    }
    return CandidateScores(tuple(job.candidates), **frozen)


def _list_parts(job: Job) -> Iterator[tuple[list[int], Part]]:
    """List candidates that share a search, as many at a time as memory allows: their places, and the part."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, candidate in enumerate(job.candidates):
        groups.setdefault((id(candidate.transformer), candidate.p), []).append(place)
    for places in groups.values():
        group = [job.candidates[place] for place in places]
        largest = max(candidate.n_neighbors + needs_bandwidth(candidate.weights) for candidate in group)
        _, _, p, transformer, _ = group[0]
        X = job.rows if transformer is None else job.X
        plan = FoldSearch(
            *(X, job.y, job.folds, largest, p, transformer, job.with_train, job.shared, job.engine, job.n_jobs)
        )
        held = [len(rows) for fold in plan.folds for rows in (fold.test, *[fold.train] * (2 * job.with_train))]
        at_once = len(group)
        if any(map(needs_predictions, job.scorers.values())):
            n_values = (sum(held) if plan.shared else max(held)) * max(1, job.y[:1].size)
            at_once = max(1, _VALUES_AT_ONCE // n_values)
        for start in range(0, len(group), at_once):
            taken = slice(start, start + at_once)
            yield places[taken], make_part(plan, group[taken], job.scorers, job.error_score, n_query=sum(held))


def _check_candidate(candidate: Any) -> None:
    """Require a candidate whose fields can be used."""
    if not isinstance(candidate, Candidate):
        message = f"{candidate!r} is not a candidate. Each must be a Candidate, such as Candidate(n_neighbors=5)."
        raise TypeError(message)
    check_integer(candidate.n_neighbors, name="n_neighbors", rule="an integer of at least 1")
    weights, transformer, known = candidate.weights, candidate.transformer, ("uniform", "distance", *KERNELS)
    if not callable(weights) and weights not in known:
        message = (
            f"weights {weights!r} is unknown.{suggest_name(weights, known)} Known are {', '.join(known)}, "
            "and functions of the distances."
        )
        raise ParameterError(message)
    check_choice(candidate.p, tuple(METRICS), name="p")
    if transformer is not None and not (hasattr(transformer, "fit") and hasattr(transformer, "transform")):
        message = f"transformer is {transformer!r}. It must have fit and transform, as scikit-learn's have."
        raise ParameterError(message)


def check_sizes(n_neighbors: Sequence[int], folds: Sequence[Split]) -> None:
    """Require candidates and folds, and a training side in every fold that is large enough for each candidate's k.

    Raises
    ------
    ValueError
        If there is no candidate or no fold, or a k is below 1 or above the number of rows of a training side.
    """
    if len(n_neighbors) == 0 or len(folds) == 0:
        message = f"{len(n_neighbors)} candidates and {len(folds)} folds. A search needs at least one of each."
        raise ParameterError(message)
    sizes = [len(fold.train) for fold in folds]
    limit = min(sizes)
    wrong = [int(k) for k in n_neighbors if not 1 <= k <= limit]
    if wrong:
        named = ", ".join(map(str, wrong[:5])) + ", and others" * (len(wrong) > 5)
        message = f"n_neighbors holds {named}. Each must be from 1 to {limit}, the training rows of the smallest fold."
        raise ParameterError(message)


def _check_folds(folds: Sequence[Split], n_rows: int) -> None:
    """Require folds with rows on both sides, all of them known, and none on both."""
    for number, fold in enumerate(folds):
        for side, rows in zip(("training", "validation"), fold, strict=True):
            if len(rows) == 0:
                message = f"Fold {number} has no {side} rows. Each fold needs both; use other folds."
                raise ParameterError(message)
            if not (rows.min() >= 0 and rows.max() < n_rows):
                message = f"Fold {number} names row {rows.max()} of {n_rows} rows. Make the folds from these rows."
                raise ParameterError(message)
        both = np.intersect1d(fold.train, fold.test)
        if 0 < len(both) < len(fold.train):  # all rows on both sides is a resubstitution, asked for on purpose
            message = f"Fold {number} has {len(both)} rows on both sides, row {both[0]} first. Take them from one side."
            raise ParameterError(message)
