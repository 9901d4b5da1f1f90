"""Every k, weighting and metric from one neighbour search per fold: the k nearest are the first k of the K nearest.

The idea is old: Hamerly and Speegle, "Efficient Model Selection for Large-Scale Nearest-Neighbor Data Mining" (2010);
Weka's IBk and R's kknn have it for leave-one-out.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import FitFailedWarning

from energyknn._shared.checks import check_integer, check_rows
from energyknn._shared.threads import count_threads
from energyknn.neighbors.search import Engine
from energyknn.neighbors.weighting import KERNELS, needs_bandwidth
from energyknn.progress import Track, track_silently
from energyknn.splitting import Split
from energyknn.tuning.fold_neighbors import FoldSearch, Side, plan_searches
from energyknn.tuning.scores import check_candidates
from energyknn.tuning.scoring import needs_predictions, resolve_scoring, suggest_name
from energyknn.tuning.tallies import Candidate, Job, Tally, Wanted, sum_block

__all__ = [
    "Candidate",
    "CandidateScores",
    "SearchInterrupted",
    "TallyPart",
    "find_repeats",
    "score_candidates",
    "score_leave_one_out",
    "score_with",
]

Table = Mapping[str, NDArray[np.float64]]
"""By metric: scores of shape (n_candidates, n_folds)."""

TallyPart = Callable[[Job, FoldSearch, Wanted], Iterable[tuple[int, Side, Tally]]]
"""Searches as planned and yields, for each fold and side, the tally of the wanted candidates when it is complete."""

_VALUES_AT_ONCE = 1 << 25  # predictions that are held at once: 256 MiB


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
    return score_with(
        *(X, y),
        candidates=candidates,
        folds=folds,
        scoring=scoring,
        with_train=with_train,
        error_score=error_score,
        shared=shared,
        engine=engine,
        n_jobs=n_jobs,
        tally_part=partial(_tally_here, track=track),
    )


def score_with(
    X: ArrayLike,
    y: ArrayLike,
    *,
    candidates: Sequence[Candidate],
    folds: Sequence[Split],
    scoring: Any,
    with_train: bool,
    error_score: float | Literal["raise"],
    shared: bool | None,
    engine: Engine,
    n_jobs: int | None,
    tally_part: TallyPart,
) -> CandidateScores:
    """Score every candidate on every fold, with neighbours that are searched and weighed wherever the caller says.

    Parameters
    ----------
    X, y, candidates, folds, scoring, with_train, error_score, shared, engine, n_jobs
        As in `score_candidates`.
    tally_part : callable
        See `TallyPart`. It is called for each group of candidates that share a search, and as often as memory needs.

    Returns
    -------
    CandidateScores
        As of `score_candidates`.

    Raises
    ------
    ValueError, SearchInterrupted
        As in `score_candidates`.
    """
    target, scorers = np.asarray(y, dtype=np.float64), resolve_scoring(scoring)
    folds = [Split(np.asarray(train), np.asarray(test)) for train, test in folds]
    _check(candidates, folds, len(target))
    repeats = find_repeats(candidates, stacklevel=4)
    candidates = tuple(
        candidate._replace(n_neighbors=int(candidate.n_neighbors))
        for number, candidate in enumerate(candidates)
        if number not in repeats
    )
    job = Job(X, target, tuple(folds), scorers, with_train, error_score, count_threads(n_jobs))
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
            _score_group(job, plan, numbers, tables, tally_part)
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


def find_repeats(candidates: Sequence[Candidate], *, stacklevel: int = 3) -> set[int]:
    """Return the places of candidates that repeat an earlier one, and warn of them.

    Parameters
    ----------
    candidates : sequence of Candidate
        What to score.
    stacklevel : int, default=3
        Whom the warning names, as in `warnings.warn`.

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
        warnings.warn(message, stacklevel=stacklevel)
    return repeats


def _check(candidates: Sequence[Any], folds: Sequence[Split], n_rows: int) -> None:
    """Check candidates and folds before any search."""
    _check_folds(folds, n_rows)
    strange = [candidate for candidate in candidates if not isinstance(candidate, Candidate)]
    if strange:
        message = f"{strange[0]!r} is no candidate. Each must be a Candidate, such as Candidate(n_neighbors=5)."
        raise TypeError(message)
    for candidate in candidates:
        check_integer(candidate.n_neighbors, name="n_neighbors", rule="an integer of at least 1")
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


class _Tables:
    """Tables that are filled fold by fold; NaN until then."""

    def __init__(self, candidates: tuple[Candidate, ...], job: Job) -> None:
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
            warnings.warn(message, FitFailedWarning, stacklevel=4)


def _group(candidates: Sequence[Candidate]) -> list[list[int]]:
    """List the candidates that share a search."""
    groups: dict[tuple[int, int], list[int]] = {}
    for number, candidate in enumerate(candidates):
        groups.setdefault((id(candidate.transformer), candidate.p), []).append(number)
    return list(groups.values())


def _score_group(job: Job, plan: FoldSearch, numbers: Sequence[int], tables: _Tables, tally_part: TallyPart) -> None:
    """Score candidates that share a search, as many at a time as memory allows."""
    held = [len(rows) for fold in plan.folds for rows in (fold.test, *((fold.train,) * 2 if job.with_train else ()))]
    values = (sum(held) if plan.shared else max(held)) * max(1, job.y[:1].size)
    at_once = len(numbers)
    if any(needs_predictions(scorer) for scorer in job.scorers.values()):
        at_once = max(1, _VALUES_AT_ONCE // values)
    for start in range(0, len(numbers), at_once):
        part = list(numbers[start : start + at_once])
        wanted = Wanted([tables.candidates[number] for number in part], n_query=sum(held))
        for fold, side, tally in tally_part(job, plan, wanted):
            scores, failures = tally.score()
            tables.failures += failures
            for name, values_ in scores.items():
                tables.by_side[side][name][part, fold] = values_


def _tally_here(job: Job, plan: FoldSearch, wanted: Wanted, *, track: Track[Any]) -> Iterator[tuple[int, Side, Tally]]:
    """Search and weigh in this process, a block after another."""
    tallies: dict[tuple[int, Side], Tally] = {}
    for block in plan.find(track):
        key = block.fold, block.side
        if key not in tallies:
            fold = plan.folds[block.fold]
            tallies[key] = Tally(job, wanted, fold.test if block.side == "test" else fold.train)
        tally = tallies[key]
        tally.add(
            len(block.rows),
            sum_block(
                *(job, wanted, block),
                slice_rows=plan.slice_rows,
                predictions=tally.view_predictions(tally.n_done, len(block.rows)),
                skip=tally.failed,
            ),
        )
        if tally.is_complete:
            yield *key, tallies.pop(key)
