"""One search per fold on a Ray cluster: workers find neighbours and sum errors, and only the sums come back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, count
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import check_integer
from energyknn._shared.showing import in_one_line
from energyknn.cluster.journal import describe_value, open_journal
from energyknn.cluster.pool import Outcome, PoolJob, RunReport, Task, Unit, WorkerPool, use_pool
from energyknn.cluster.session import ClusterOptions, check_object_store
from energyknn.neighbors.engines import Engine
from energyknn.progress import Track, track_silently
from energyknn.splitting import Split
from energyknn.tuning.candidates import Candidate, Job, run_job
from energyknn.tuning.fold_neighbors import PreparedFold, Side, Step
from energyknn.tuning.scores import CandidateScores
from energyknn.tuning.tallies import BlockSums, Part

_N_STEPS = 16  # of a side of a fold
_FEWEST_ROWS = 1 << 15  # row numbers of a step, where none are asked for: a search of few rows is slower for each


@in_one_line
class ClusterScores(NamedTuple):
    """Scores, and a report of the run that computed them.

    Attributes
    ----------
    scores : CandidateScores
        The scores of every candidate on every fold.
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
    """Score every candidate on every fold on a Ray cluster; the scores are bit-identical to `score_candidates`'.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows; a data frame for transformers that choose columns by name.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Their targets.
    candidates : sequence of Candidate
        What to score. Functions and transformers are sent to the workers.
    folds : sequence of Split
        Row numbers of training and validation rows.
    scoring : None, str, callable, sequence or mapping, default=None
        What GridSearchCV accepts; None for R². One scorer gets the name "score".
    with_train : bool, default=False
        Whether to score the training rows too, with and without each row as its own neighbour.
    error_score : float or "raise", default=nan
        The score where a candidate's weights or the scorer fail, with a warning; "raise" for the error itself.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        How workers search. Scores do not depend on it.
    block_rows : int or None, default=None
        Row numbers of a unit, rounded up to whole slices of the sums. None makes 16 units for each side of a fold, of
        at least 32,768 row numbers.
    address : str or None, default=None
        The cluster; None for the Ray that is running, the one that RAY_ADDRESS names, or one on this machine.
    num_cpus : int or None, default=None
        CPUs of a Ray that is started here; None for all.
    cpus_per_worker : int, default=1
        CPUs, and threads, of a worker.
    gpus_per_worker : float, default=0
        GPUs of a worker.
    max_retries : int, default=2
        How often a unit that fails is tried again.
    pool : WorkerPool or None, default=None
        Workers from `open_pool`, to use instead of new ones.
    journal : str or None, default=None
        A folder where finished units are kept, so that a later call goes on from there.
    track : Track, default=track_silently
        Shows progress, in pairs of a query and a training row.

    Returns
    -------
    ClusterScores
        The scores, and a report.

    Raises
    ------
    ValueError, SearchInterrupted
        For the reasons of `score_candidates`.
    ImportError
        If the extra "ray" is not installed.
    ClusterError, DeviceError
        If the cluster or its GPUs cannot do the work.
    JournalError
        If the journal is of another study, or cannot be read or written.

    See Also
    --------
    energyknn.tuning.score_candidates : The same on one machine.

    Notes
    -----
    The rows are put into the object store once, and folds are sent as row numbers. A unit is a part of one side of one
    fold. A worker builds the fold's index once, finds the neighbours of the unit's rows, and sends back sums of errors;
    predictions too where a scorer needs them. A unit in which a user's function failed is not kept in a journal.

    Scores are bit-identical on the same kind of machine. A transformer that multiplies matrices may differ with the
    BLAS.
    """
    options = ClusterOptions(address, num_cpus, cpus_per_worker, gpus_per_worker, max_retries)
    if block_rows is not None:
        check_integer(block_rows, name="block_rows", rule="an integer of at least 1, or None", least=1)
    job = Job(X, y, candidates, folds, scoring, with_train, error_score, shared=False, engine=engine, n_jobs=1)
    needs_frame = any(candidate.transformer is not None for candidate in job.candidates)
    rows = job.X if needs_frame else job.rows
    study = _describe(rows, job) | {"scoring": scoring, "block_rows": block_rows}
    kept = None if journal is None else open_journal(journal, study)
    task = Task(_prepare, _work, uses_gpu=engine == "torch")
    with use_pool(pool, options) as used, used.open_job(task, kept) as pool_job:
        n_bytes = _count_bytes(rows, job)
        check_object_store(pool_job.facts, n_shared=1, shared=n_bytes, unit=0)
        execute = partial(_run_on_ray, pool_job, pool_job.put(rows), n_bytes, block_rows, track, count())
        return ClusterScores(run_job(job, execute), pool_job.report)


def _describe(rows: Any, job: Job) -> dict[str, Any]:
    """Describe what the records of a journal depend on."""
    transformers = [id(candidate.transformer) for candidate in job.candidates]
    described = [
        (k, describe_value(weights), p, transformers.index(id(transformer)), describe_value(transformer))
        for k, weights, p, transformer, _ in job.candidates
    ]
    if hasattr(rows, "iloc"):
        from pandas.util import hash_pandas_object

        rows = f"{list(rows.columns)} {describe_value(hash_pandas_object(rows, index=False).to_numpy())}"
    return {
        "kind": "scores",
        "X": rows,
        "y": job.y,
        "candidates": described,
        "folds": np.concatenate([np.array([len(side), *side]) for fold in job.folds for side in fold]),
        "with_train": job.with_train,
        "error_score": job.error_score,
    }


def _prepare(X: Any, part: Part, fold: int, *, n_jobs: int) -> tuple[Part, PreparedFold]:
    """Give a part its rows back, and build a fold's index."""
    part = replace(part, plan=replace(part.plan, X=X, n_jobs=n_jobs))
    return part, part.plan.prepare(fold)


def _work(held: tuple[Part, PreparedFold], step: Step, *, n_jobs: int) -> Outcome:  # noqa: ARG001 - the part has it
    """Run a step, and name its arrays by side and kind."""
    part, prepared = held
    arrays: dict[str, NDArray[Any]] = {}
    failures: dict[tuple[Side, int], Exception] = {}
    for block in part.run(prepared, step):
        arrays |= {f"{block.side}.{kind}": sums for kind, sums in block.sums.items()}
        if block.predictions is not None:
            arrays[f"{block.side}.predictions"] = block.predictions
        failures |= {(block.side, place): error for place, error in block.failed.items()}
    return Outcome(arrays, failures)


def _read_outcome(part: Part, step: Step, outcome: Outcome) -> Iterator[BlockSums]:
    """Turn what `_work` returned into blocks again."""
    sides: tuple[Side, ...] = ("train_without_self", "train") if step.trains else ("test",)
    for side in sides:
        named = (name.partition(".") for name in outcome.arrays)
        sums = {kind: outcome.arrays[f"{side}.{kind}"] for found, _, kind in named if found == side}
        predictions = sums.pop("predictions", None)
        failed = {place: error for (where, place), error in outcome.failures.items() if where == side}
        yield BlockSums(step.fold, side, part.plan.rows_of(step), sums, predictions, failed)


def _run_on_ray(
    job: PoolJob, X: Any, n_bytes: int, block_rows: int | None, track: Track[Any], numbers: Iterator[int], part: Part
) -> Iterator[BlockSums]:
    """Send a part without its rows, which are there already, and its steps; yield the blocks of each when done."""
    plan, number = part.plan, next(numbers)
    wanted = block_rows or max(_FEWEST_ROWS, -(-len(plan.y) // _N_STEPS))  # the same on any cluster
    steps = plan.list_steps(span=-(-wanted // plan.slice_rows) * plan.slice_rows)
    if part.keeps_predictions:
        n_held = 8 * part.n_candidates * max(1, plan.y[:1].size) * max(step.stop - step.start for step in steps)
        check_object_store(job.facts, n_shared=1, shared=n_bytes, unit=n_held)
    bare = job.put(replace(part, plan=replace(plan, X=None)))
    sides = ("test", "train")
    units = [
        Unit(
            f"part-{number}-fold-{step.fold}-{sides[step.trains]}-rows-{step.start}",
            *((number, step.fold), (X, bare, step.fold), partial(tuple, (step,)), step.work),
        )
        for step in steps
    ]
    for _, (unit, outcome) in zip(track(units, "Search folds on Ray"), job.run(units), strict=True):
        (step,) = unit.arguments()
        yield from _read_outcome(part, step, outcome)


def _count_bytes(X: Any, job: Job) -> int:
    """Count the bytes of the rows, the targets and the folds."""
    rows = X.memory_usage(deep=True).sum() if hasattr(X, "iloc") else X.nbytes
    return int(rows) + sum(int(array.nbytes) for array in (job.y, *chain.from_iterable(job.folds)))
