"""A search of `from_grid_search` on a Ray cluster: each worker scores the candidates of one setting on one fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from energyknn.cluster.pool import Outcome, PoolJob, Task, Unit, WorkerPool, use_pool
from energyknn.cluster.session import ClusterOptions
from energyknn.estimators.search_units import SearchTask, SearchUnit
from energyknn.progress import Track, track_silently


def fit_search_on_ray(
    search: Any,
    X: Any,
    y: Any = None,
    *,
    address: str | None = None,
    num_cpus: int | None = None,
    cpus_per_worker: int = 1,
    max_retries: int = 2,
    pool: WorkerPool | None = None,
    track: Track[Any] = track_silently,
    **params: Any,
) -> Any:
    """Fit a search of `from_grid_search` with its folds and settings spread over a Ray cluster.

    Parameters
    ----------
    search : KNNGridSearchCV or KNNRandomizedSearchCV
        What `from_grid_search` returned. Functions and transformers are sent to the workers.
    X : array-like of shape (n_rows, n_features)
        What the estimator takes.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Targets or labels.
    address : str or None, default=None
        The cluster; None for the Ray that is running, the one that RAY_ADDRESS names, or one on this machine.
    num_cpus : int or None, default=None
        CPUs of a Ray that is started here; None for all.
    cpus_per_worker : int, default=1
        CPUs, and threads, of a worker.
    max_retries : int, default=2
        How often a unit that fails is tried again.
    pool : WorkerPool or None, default=None
        Workers from `open_pool`, to use instead of new ones.
    track : Track, default=track_silently
        Shows progress.
    **params : dict
        What `fit` of the search takes, such as `groups`.

    Returns
    -------
    KNNGridSearchCV or KNNRandomizedSearchCV
        The search itself, fitted. Its scores are those of `search.fit(X, y)`. The best candidate is fitted here.

    Raises
    ------
    TypeError
        If the search was not made by `from_grid_search`.
    ImportError
        If the extra "ray" is not installed.
    ClusterError
        If the cluster cannot do the work.

    See Also
    --------
    energyknn.from_grid_search : Makes the search.
    score_candidates_on_ray : The same for candidates without an estimator.
    """
    if not hasattr(search, "run_units_with"):
        message = f"The search is a {type(search).__name__}. It must be one that from_grid_search returned."
        raise TypeError(message)
    options = ClusterOptions(address, num_cpus, cpus_per_worker, max_retries=max_retries)
    with (
        use_pool(pool, options) as used,
        used.open_job(Task(_prepare, _work)) as job,
        search.run_units_with(partial(_run_on_ray, job, track)),
    ):
        return search.fit(X, y, **params)


def _prepare(task: SearchTask, *, n_jobs: int) -> SearchTask:
    """Give a search the threads of a worker."""
    return task._replace(options=task.options._replace(n_jobs=n_jobs))


def _work(task: SearchTask, unit: SearchUnit, *, n_jobs: int) -> Outcome:  # noqa: ARG001 - the task has it
    """Score a unit; return the records in an array."""
    found = task.score(unit)
    records = np.empty(len(found), dtype=object)
    records[:] = found
    return Outcome({"records": records})


def _run_on_ray(
    job: PoolJob, track: Track[Any], task: SearchTask, units: Sequence[SearchUnit]
) -> Iterator[tuple[SearchUnit, Any]]:
    """Send the rows once, and the units; yield the records of each when it is done."""
    shared = job.put(task)
    sent = [
        Unit(f"unit-{number}", "search", (shared,), partial(tuple, (unit,)), len(unit.candidates))
        for number, unit in enumerate(units)
    ]
    places = {unit.key: number for number, unit in enumerate(sent)}
    for _, (unit, outcome) in zip(track(sent, "Search folds on Ray"), job.run(sent), strict=True):
        yield units[places[unit.key]], outcome.arrays["records"].tolist()
