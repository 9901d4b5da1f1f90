"""One search per fold on a Ray cluster: neighbours are found and weighed on the workers, sums of errors come back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import check_integer, check_rows
from energyknn.cluster.journal import describe_value, open_journal
from energyknn.cluster.pool import Outcome, PoolJob, RunReport, Task, Unit, WorkerPool, use_pool
from energyknn.cluster.session import ClusterOptions, StoreNeed, check_object_store
from energyknn.neighbors.search import Engine
from energyknn.progress import Track, track_silently
from energyknn.splitting import Split
from energyknn.tuning.candidates import Candidate, CandidateScores, score_with
from energyknn.tuning.fold_neighbors import FoldSearch, PreparedFold, Side, Step
from energyknn.tuning.scoring import needs_predictions
from energyknn.tuning.tallies import BlockSums, Job, Tally, Wanted, sum_block

__all__ = ["ClusterScores", "score_candidates_on_ray"]

_N_STEPS = 16  # of a side of a fold
_FEWEST_ROWS = 1 << 15  # row numbers of a step, where none are asked for: a search of few rows is slower for each


class ClusterScores(NamedTuple):
    """Scores, and how they were had.

    Attributes
    ----------
    scores : CandidateScores
        Of every candidate on every fold.
    report : RunReport
        Units done, done again and read from the journal; devices and nodes.
    """

    scores: CandidateScores
    report: RunReport


def score_candidates_on_ray(
    X: ArrayLike,
    y: ArrayLike,
    *,
    candidates: Sequence[Candidate],
    folds: Sequence[Split],
    scoring: Any = None,
    with_train: bool = False,
    error_score: float | Literal["raise"] = np.nan,
    engine: Engine = "auto",
    block_rows: int | None = None,
    address: str | None = None,
    num_cpus: int | None = None,
    cpus_per_worker: int = 1,
    gpus_per_worker: float = 0,
    max_retries: int = 2,
    pool: WorkerPool | None = None,
    journal: str | None = None,
    track: Track[Any] = track_silently,
) -> ClusterScores:
    """Score every candidate on every fold on a Ray cluster, with the bits of `score_candidates`.

    Parameters
    ----------
    X, y, candidates, folds, scoring, with_train, error_score, engine
        As in `energyknn.tuning.candidates.score_candidates`. Functions and transformers are sent to the workers.
    block_rows : int or None, default=None
        Row numbers that a unit spans, rounded up to whole slices of the sums; None for 16 units a side of a fold, of
        32,768 row numbers or more.
    address, num_cpus, cpus_per_worker, gpus_per_worker, max_retries, pool, journal
        As in `energyknn.cluster.search.search_neighbors_on_ray`.
    track : Track, default=track_silently
        Shows progress, by pairs of a query and a training row.

    Returns
    -------
    ClusterScores
        The scores of `score_candidates`, to the last bit, and a report.

    Raises
    ------
    ValueError, SearchInterrupted
        As in `score_candidates`.
    ImportError, ClusterError, DeviceError, JournalError
        As in `search_neighbors_on_ray`.

    Notes
    -----
    The rows go into the object store once, folds as row numbers. A unit is a part of one side of one fold: its
    neighbours are found and weighed on a worker, which has built the fold's index once, and only sums of errors come
    back; predictions too where a scorer needs them. A unit in which a user's function failed is not kept in a journal.

    The bits are those of `score_candidates` on the same kind of machine: a transformer that multiplies matrices may
    differ with the BLAS.
    """
    options = ClusterOptions(address, num_cpus, cpus_per_worker, gpus_per_worker, max_retries)
    if block_rows is not None and check_integer(block_rows, name="block_rows", rule="an integer or None") < 1:
        message = f"block_rows is {block_rows}. It must be at least 1, or None."
        raise ValueError(message)
    rows = X if any(candidate.transformer is not None for candidate in candidates) else check_rows(X, name="X")
    study = _describe(rows, y, candidates, folds)
    study |= {"scoring": scoring, "with_train": with_train, "error_score": error_score, "block_rows": block_rows}
    score = partial(
        score_with,
        *(rows, y),
        candidates=candidates,
        folds=folds,
        scoring=scoring,
        with_train=with_train,
        error_score=error_score,
        shared=None,
        engine=engine,
        n_jobs=1,
    )
    kept = None if journal is None else open_journal(journal, study)
    task = Task(_prepare, _work, uses_gpu=engine == "torch")
    with use_pool(pool, options) as used, used.open_job(task, kept) as job:
        return ClusterScores(score(tally_part=_Parts(job, rows, block_rows, track)), job.report)


def _describe(X: Any, y: ArrayLike, candidates: Sequence[Candidate], folds: Sequence[Split]) -> dict[str, Any]:
    """Say what the records of a journal depend on."""
    transformers = [id(candidate.transformer) for candidate in candidates]
    described = [
        (k, describe_value(weights), p, transformers.index(id(transformer)), describe_value(transformer))
        for k, weights, p, transformer in candidates
    ]
    return {
        "kind": "scores",
        "X": _describe_rows(X),
        "y": np.asarray(y, dtype=np.float64),
        "candidates": described,
        "folds": np.concatenate([np.array([len(rows), *rows]) for fold in folds for rows in fold]) if folds else None,
    }


def _describe_rows(X: Any) -> Any:
    if not hasattr(X, "iloc"):
        return np.asarray(X)
    from pandas.util import hash_pandas_object

    return f"{list(X.columns)} {describe_value(hash_pandas_object(X, index=False).to_numpy())}"


class _Part(NamedTuple):
    """What workers need to know of candidates that share a search; the rows come by themselves."""

    job: Job
    plan: FoldSearch
    wanted: Wanted
    transformer: Any


@dataclass(frozen=True, eq=False)
class _Fold:
    """What a worker holds."""

    part: _Part
    prepared: PreparedFold


def _prepare(X: Any, part: _Part, fold: int, *, n_jobs: int) -> _Fold:
    """Build a fold's index."""
    job, plan = replace(part.job, X=X), replace(part.plan, n_jobs=n_jobs)
    if part.transformer is None:
        plan = replace(plan, X=X if isinstance(X, np.ndarray) else check_rows(X, name="X"))
    else:
        plan = replace(plan, transform=partial(job.transform, part.transformer))
    return _Fold(part._replace(job=job, plan=plan), plan.prepare_fold(fold))


def _work(fold: _Fold, step: Step, *, n_jobs: int) -> Outcome:
    """Find and weigh the neighbours of some rows of a side."""
    job, plan, wanted, _ = fold.part
    plan, job = replace(plan, n_jobs=n_jobs), replace(job, n_threads=n_jobs)
    arrays: dict[str, NDArray[Any]] = {}
    failures: dict[tuple[Side, int], Exception] = {}
    for block in plan.find_step(fold.prepared, step):
        predictions = None
        if any(needs_predictions(scorer) for scorer in job.scorers.values()):
            shape = (wanted.n_candidates, len(block.rows), max(1, job.y[:1].size))
            predictions = arrays[f"{block.side}.predictions"] = np.zeros(shape)
        found = sum_block(job, wanted, block, slice_rows=plan.slice_rows, predictions=predictions)
        arrays |= {f"{block.side}.{kind}": sums for kind, sums in found.sums.items()}
        failures |= {(block.side, place): error for place, error in found.failed.items()}
    return Outcome(arrays, failures)


class _Parts:
    """A `TallyPart` whose work is done by a pool."""

    def __init__(self, pool_job: PoolJob, X: Any, block_rows: int | None, track: Track[Any]) -> None:
        self._pool_job, self._X, self._block_rows, self._track = pool_job, X, block_rows, track
        self._n_parts = 0
        self._shared: Any = None

    def __call__(self, job: Job, plan: FoldSearch, wanted: Wanted) -> Iterator[tuple[int, Side, Tally]]:
        """Have the steps of all folds done, and yield each side's tally when its last step is in."""
        steps = plan.plan_steps(span=self._choose_span(plan, len(job.y)))
        missing = Counter((step.fold, step.trains) for step in steps)
        units = self._make_units(job, plan, wanted, steps)
        by_key = {unit.key: step for unit, step in zip(units, steps, strict=True)}
        sides: dict[tuple[int, bool], _Sides] = {}
        for _, (unit, outcome) in zip(
            self._track(units, "Search folds on Ray"), self._pool_job.run(units), strict=True
        ):
            step = by_key[unit.key]
            key = step.fold, step.trains
            if key not in sides:
                sides[key] = _Sides(job, plan, wanted, step)
            sides[key].take(plan.rows_of(step), outcome)
            missing[key] -= 1
            if not missing[key]:
                yield from sides.pop(key).finish()

    def _choose_span(self, plan: FoldSearch, n_rows: int) -> int:
        """Choose how many row numbers a unit spans, the same on any cluster."""
        wanted = max(_FEWEST_ROWS, -(-n_rows // _N_STEPS)) if self._block_rows is None else self._block_rows
        return plan.slice_rows * max(1, -(-wanted // plan.slice_rows))

    def _make_units(self, job: Job, plan: FoldSearch, wanted: Wanted, steps: Sequence[Step]) -> list[Unit]:
        """Put what is shared into the object store, the rows once for all parts, and list the units."""
        if self._shared is None:
            check_object_store(self._pool_job.facts, _count_bytes(self._X, job, wanted, steps))
            self._shared = self._pool_job.put(self._X)
        transformer = None if plan.transform is None else plan.transform.args[0]  # type: ignore[attr-defined]
        bare = replace(plan, X=np.empty((0, 0)), transform=None)
        part = self._pool_job.put(_Part(replace(job, X=None), bare, wanted, transformer))
        number, self._n_parts = self._n_parts, self._n_parts + 1
        return [
            Unit(
                f"part-{number}-fold-{step.fold}-{'train' if step.trains else 'test'}-rows-{step.start}",
                (number, step.fold),
                (self._shared, part, step.fold),
                partial(tuple, (step,)),
                step.work,
            )
            for step in steps
        ]


def _count_bytes(X: Any, job: Job, wanted: Wanted, steps: Sequence[Step]) -> StoreNeed:
    """Count what goes through object stores."""
    rows = X.memory_usage(deep=True).sum() if hasattr(X, "iloc") else np.asarray(X).nbytes
    folds = sum(side.nbytes for fold in job.folds for side in fold)
    unit = 0
    if any(needs_predictions(scorer) for scorer in job.scorers.values()):
        unit = 8 * wanted.n_candidates * max(1, job.y[:1].size) * max(step.stop - step.start for step in steps)
    return StoreNeed(1, int(rows) + job.y.nbytes + folds, unit)


class _Sides:
    """The test side, or both training sides, of a fold whose steps come in any order."""

    def __init__(self, job: Job, plan: FoldSearch, wanted: Wanted, step: Step) -> None:
        fold = plan.folds[step.fold]
        self._fold, self._rows = step.fold, fold.train if step.trains else fold.test
        names: tuple[Side, ...] = ("train_without_self", "train") if step.trains else ("test",)
        self._tallies = {side: Tally(job, wanted, self._rows) for side in names}
        self._found: dict[int, tuple[int, dict[Side, BlockSums]]] = {}

    def take(self, rows: NDArray[np.int64], outcome: Outcome) -> None:
        """Keep a step's sums, and put its predictions where they belong."""
        first = int(np.searchsorted(self._rows, rows[0]))
        found: dict[Side, BlockSums] = {}
        for side, tally in self._tallies.items():
            arrays = {
                name.removeprefix(f"{side}."): array
                for name, array in outcome.arrays.items()
                if name.startswith(f"{side}.")
            }
            predictions, view = arrays.pop("predictions", None), tally.view_predictions(first, len(rows))
            if predictions is not None and view is not None:
                view[:] = predictions
            failed = {place: error for (where, place), error in outcome.failures.items() if where == side}
            found[side] = BlockSums(arrays, failed)
        self._found[first] = len(rows), found

    def finish(self) -> Iterator[tuple[int, Side, Tally]]:
        """Add up the sums in ascending order of rows."""
        for first in sorted(self._found):
            n_rows, found = self._found[first]
            for side, tally in self._tallies.items():
                tally.add(n_rows, found[side])
        for side, tally in self._tallies.items():
            yield self._fold, side, tally
