"""Exact nearest neighbours on a Ray cluster: blocks of queries times shards of the training rows."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import check_choice, check_integer, check_rows
from energyknn._shared.showing import in_one_line
from energyknn.cluster.journal import open_journal
from energyknn.cluster.merging import Nearest, finish_nearest, merge_nearest, no_nearest, search_shard
from energyknn.cluster.pool import Outcome, PoolJob, RunReport, Task, Unit, WorkerPool, use_pool
from energyknn.cluster.session import ClusterOptions, check_object_store
from energyknn.cluster.sharing import count_bytes, open_array, open_index, share_index
from energyknn.neighbors import NeighborIndex, Neighbors, build_index
from energyknn.neighbors.auto import choose_engine, count_gain, find_server
from energyknn.neighbors.contract import Search, empty_neighbors
from energyknn.neighbors.engines import ENGINES, Engine
from energyknn.neighbors.search import plan_search
from energyknn.progress import Track, track_silently

_FEWEST_ROWS, _MOST_ROWS, _N_BLOCKS = 3072, 16384, 32  # of a unit, and units of a shard


@in_one_line
class ClusterNeighbors(NamedTuple):
    """Neighbours, and a report of the search.

    Attributes
    ----------
    distances : ndarray of shape (n_query, n_neighbors), float64
        Nearest first.
    indices : ndarray of shape (n_query, n_neighbors), int64
        Training rows.
    report : RunReport
        How many units were done, done again and read from the journal, and on which devices and nodes.
    """

    distances: NDArray[np.float64]
    indices: NDArray[np.int64]
    report: RunReport


def search_neighbors_on_ray(
    X_train: ArrayLike,
    X_query: ArrayLike | None = None,
    n_neighbors: int = 5,
    *,
    p: int = 2,
    engine: Engine = "auto",
    n_shards: int = 1,
    block_rows: int | None = None,
    address: str | None = None,
    num_cpus: int | None = None,
    cpus_per_worker: int = 1,
    gpus_per_worker: float = 0,
    max_retries: int = 2,
    pool: WorkerPool | None = None,
    journal: str | None = None,
    track: Track[Any] = track_silently,
) -> ClusterNeighbors:
    """Find the nearest training rows of each query on a Ray cluster, with the same bits as `search_neighbors`.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Rows to search in.
    X_query : array-like of shape (n_query, n_features) or None, default=None
        Rows to find neighbours of; None for each training row's neighbours except itself.
    n_neighbors : int, default=5
        Number of neighbours of each query.
    p : {1, 2}, default=2
        Manhattan or Euclidean distance.
    engine : str, default="auto"
        "auto", "blocked", "brute", "flat", "sklearn" or "torch". "auto" is chosen for the size of a shard.
    n_shards : int, default=1
        Parts of the training rows, from 1 to n_train. A worker holds one at a time. More shards need less memory, and
        more time, since the neighbours in each shard are found before they are merged.
    block_rows : int or None, default=None
        Queries of a unit of work; None for 32 units a shard, of 3,072 to 16,384 queries.
    address : str or None, default=None
        ``host:port`` of a cluster. None stands for the Ray that this process is connected to, else the cluster that
        RAY_ADDRESS names, else a quiet local Ray that is shut down afterwards.
    num_cpus : int or None, default=None
        Cores of a local Ray; None for all.
    cpus_per_worker, gpus_per_worker : int, float; default=1, 0
        What each worker gets. As many workers start as find room. With GPUs, choose the engine "torch".
    max_retries : int, default=2
        How often a unit that raises an error is tried again.
    pool : WorkerPool or None, default=None
        Workers from `open_pool`, in place of the five options before.
    journal : str or None, default=None
        A folder for finished units: a path, or an address of fsspec such as ``s3://bucket/folder``. A run that was
        ended goes on from there.
    track : Track, default=track_silently
        Shows progress, by finished units.

    Returns
    -------
    ClusterNeighbors
        `distances` and `indices` with the same bits as those of `search_neighbors`, and a report.

    Raises
    ------
    TypeError, ValueError
        If rows are not finite numbers, or a number is out of its range.
    ImportError
        If Ray is not installed.
    ClusterError
        If the cluster cannot be used, an object store is too small, or no worker is left.
    DeviceError
        If workers are to have GPUs and no node has them.
    JournalError
        If the folder cannot be written, or belongs to another study.

    See Also
    --------
    score_candidates_on_ray : Tune on a cluster.
    open_pool : Workers that stay for several calls.

    Notes
    -----
    Each shard of the training rows goes into the object store once. A block of queries follows when a worker is free.
    Each result is merged and dropped, so this process holds the rows and one result. The units of a lost node are done
    again elsewhere. The network carries, to each node, the shards that its workers hold, and for each unit its queries
    and 16 bytes a neighbour.

    The index of a single shard is built here, on all cores, and all workers of a node map it without a copy. Of
    several shards, each worker builds the index of the shard that it holds. The queries of a unit lie near one another,
    which the blocked engine needs to be fast.

    The journal identifies a study by its rows, `n_neighbors`, `p`, `n_shards` and `block_rows`. The cluster and the
    engine may change, since the result does not.
    """
    check_choice(engine, ENGINES, name="engine")
    options = ClusterOptions(address, num_cpus, cpus_per_worker, gpus_per_worker, max_retries)
    search = plan_search(check_rows(X_train, name="X_train"), X_query, n_neighbors, p=p, n_jobs=None)
    plan = _make_plan(search, engine, n_shards, block_rows)
    kept = None if journal is None else open_journal(journal, _describe(plan))
    prepare = partial(_prepare, p=p, engine=plan.engine)
    work = partial(_search, n_neighbors=search.n_neighbors, is_merged=n_shards > 1)
    task = Task(prepare, work, uses_gpu=engine == "torch")
    with use_pool(pool, options) as used, used.open_job(task, kept) as job:
        return ClusterNeighbors(*_collect(plan, job, track), job.report)


class _Plan(NamedTuple):
    """A search in pieces: shards of the training rows, and blocks of the queries, near ones together."""

    search: Search
    engine: Engine
    shards: list[slice]
    block_rows: int
    blocks: list[slice | NDArray[np.int64]]


def _make_plan(search: Search, engine: Engine, n_shards: int, block_rows: int | None) -> _Plan:
    """Cut the training rows into shards of equal sizes, and the queries into blocks of near ones."""
    n_train, n_query = len(search.X_train), len(search.X_query)
    n_shards = check_integer(n_shards, name="n_shards", rule="an integer of at least 1")
    if not 1 <= n_shards <= n_train:
        message = f"n_shards is {n_shards}. It must be from 1 to {n_train}, the number of training rows."
        raise ValueError(message)
    if block_rows is None:
        block_rows = int(np.clip(-(-n_query // _N_BLOCKS), _FEWEST_ROWS, _MOST_ROWS))
    block_rows = check_integer(block_rows, name="block_rows", rule="an integer of at least 1, or None", least=1)
    blocks: list[Any] = [slice(start, start + block_rows) for start in range(0, n_query, block_rows)]
    suited = choose_engine(count_gain(-(-n_train // n_shards), n_query, search.X_train.shape[1]), 0, is_ready=False)
    if suited == "blocked" and len(blocks) > 1:  # whatever the engine: the units of a journal are the same for all
        from energyknn.neighbors.engines.blocked.engine import order_queries

        order = order_queries(search.X_query, group_rows=block_rows, n_threads=search.n_threads)
        blocks = [order[block] for block in blocks]
    shards = [slice(n_train * at // n_shards, n_train * (at + 1) // n_shards) for at in range(n_shards)]
    return _Plan(search, find_server(suited, search.p) if engine == "auto" else engine, shards, block_rows, blocks)


def _describe(plan: _Plan) -> dict[str, Any]:
    """Return what the records of a journal depend on."""
    search = plan.search
    return {
        "kind": "search",
        "n_neighbors": search.n_neighbors,
        "p": search.p,
        "n_shards": len(plan.shards),
        "block_rows": plan.block_rows,
        "without_self": search.own is not None,
        "X_train": search.X_train,
        "X_query": "X_train" if search.X_query is search.X_train else search.X_query,
    }


def _prepare(shard: Any, first_row: int, *, p: int, engine: Engine, n_jobs: int) -> tuple[NeighborIndex, int]:
    """Build the index of a shard's rows, or open the index that is shared."""
    if isinstance(shard, NeighborIndex):
        return open_index(shard), first_row
    return build_index(open_array(shard), p=p, engine=engine, n_jobs=n_jobs), first_row


def _search(
    shard: tuple[NeighborIndex, int],
    X_query: NDArray[np.float64],
    own: NDArray[np.int64] | None,
    *,
    n_neighbors: int,
    is_merged: bool,
    n_jobs: int,
) -> Outcome:
    """Search a shard for a block of queries. Where shards are merged, return sums in place of distances."""
    index, first_row = shard
    X_query = open_array(X_query)
    if is_merged:
        nearest = search_shard(index, X_query, n_neighbors, first_row=first_row, own=own, n_jobs=n_jobs)
        return Outcome(nearest._asdict())
    return Outcome(index.search(X_query, n_neighbors, own=own, n_jobs=n_jobs)._asdict())


def _put_shards(plan: _Plan, job: PoolJob) -> list[tuple[Any, int]]:
    """Put the shards, or the index of a single one, into the object store; return the data of units by shard."""
    row = 8 * plan.search.X_train.shape[1]
    largest = row * max(shard.stop - shard.start for shard in plan.shards)
    unit = plan.block_rows * (row + 8 + 16 * plan.search.n_neighbors)
    check_object_store(job.facts, n_shared=len(plan.shards), shared=largest, unit=unit)
    if len(plan.shards) == 1 and plan.engine == "blocked":
        index = share_index(plan.search)
        check_object_store(job.facts, n_shared=1, shared=count_bytes(index), unit=unit)
        return [(job.put(index), 0)]
    return [(job.put(plan.search.X_train[shard]), shard.start) for shard in plan.shards]


def _collect(plan: _Plan, job: PoolJob, track: Track[Any]) -> Neighbors:
    """Do the units, a shard after another, and place or merge their results as they come."""
    search, data = plan.search, _put_shards(plan, job)

    def cut(rows: Any) -> tuple[Any, ...]:
        return search.X_query[rows], None if search.own is None else search.own[rows]

    units = [
        Unit(f"shard-{number}-rows-{at * plan.block_rows}", number, data[number], partial(cut, rows))
        for number in range(len(data))
        for at, rows in enumerate(plan.blocks)
    ]
    rows_of = dict(zip((unit.key for unit in units), plan.blocks * len(data), strict=True))
    is_merged = len(data) > 1
    found: Any = no_nearest(len(search.X_query), search.n_neighbors) if is_merged else empty_neighbors(search)
    for _, (unit, outcome) in zip(track(units, "Search on Ray"), job.run(units), strict=True):
        rows = rows_of[unit.key]
        result: Any = [outcome.arrays[name] for name in found._fields]
        if is_merged:
            result = merge_nearest(Nearest(*(known[rows] for known in found)), Nearest(*result))
        for known, new in zip(found, result, strict=True):
            known[rows] = new
    return finish_nearest(found, p=search.p) if is_merged else found
