"""Exact nearest neighbours on a Ray cluster: blocks of queries times shards of the training rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import check_choice, check_integer, check_rows
from energyknn.cluster.journal import open_journal
from energyknn.cluster.merging import (
    Nearest,
    finish_nearest,
    merge_nearest,
    no_nearest,
    search_shard,
)
from energyknn.cluster.pool import Outcome, PoolJob, RunReport, Task, Unit, WorkerPool, use_pool
from energyknn.cluster.session import ClusterOptions, StoreNeed, check_object_store
from energyknn.cluster.sharing import count_bytes, open_array, open_index, share_index
from energyknn.neighbors import NeighborIndex, Neighbors, build_index
from energyknn.neighbors.contract import Search, empty_neighbors
from energyknn.neighbors.search import ENGINES, Engine, choose_engine, plan_search
from energyknn.progress import Track, track_silently

__all__ = ["ClusterNeighbors", "search_neighbors_on_ray"]

_FEWEST_ROWS, _MOST_ROWS, _N_BLOCKS = 3072, 16384, 32


class ClusterNeighbors(NamedTuple):
    """Neighbours, and how they were found.

    Attributes
    ----------
    distances : ndarray of shape (n_query, n_neighbors), float64
        Nearest first.
    indices : ndarray of shape (n_query, n_neighbors), int64
        Training rows.
    report : RunReport
        Units done, done again and read from the journal; devices and nodes.
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
    """Find the nearest training rows of each query on a Ray cluster, with the bits of `search_neighbors`.

    Parameters
    ----------
    X_train, X_query, n_neighbors, p, engine
        As in `energyknn.neighbors.search_neighbors`. "auto" is chosen for the size of a shard.
    n_shards : int, default=1
        Parts of the training rows, from 1 to n_train. A worker holds one at a time: more shards need less memory and
        more time, since the nearest rows of each are found before they are merged.
    block_rows : int or None, default=None
        Queries of a unit; None for 32 units a shard, of 3,072 to 16,384 queries.
    address : str or None, default=None
        ``host:port`` of a cluster. None stands for the Ray that this process is connected to, else what RAY_ADDRESS
        names, else a quiet local one that is shut down afterwards.
    num_cpus : int or None, default=None
        Cores of a local Ray; None for all.
    cpus_per_worker, gpus_per_worker : int, float; default=1, 0
        What each worker gets; there are as many workers as find room. With GPUs, choose the engine "torch".
    max_retries : int, default=2
        How often a unit is tried again that fails by its own fault.
    pool : WorkerPool or None, default=None
        Workers that are there already, see `energyknn.cluster.pool.open_pool`; then none of the five before.
    journal : str or None, default=None
        A folder for finished units, see `energyknn.cluster.journal.open_journal`: a run that was ended goes on
        from there.
    track : Track, default=track_silently
        Shows progress, by pairs of a query and a training row.

    Returns
    -------
    ClusterNeighbors
        `distances` and `indices` of `search_neighbors`, to the last bit, and a report.

    Raises
    ------
    TypeError, ValueError
        As in `search_neighbors`; if a number is out of its range.
    ImportError
        If Ray is not installed.
    ClusterError
        If the cluster cannot be used, an object store is too small, or no worker is left.
    DeviceError
        If workers are to have GPUs and no node has them.
    JournalError
        If the folder cannot be written, or belongs to another study.

    Notes
    -----
    Training rows go into the object store once, a shard each; blocks of queries follow when a worker is free. Each
    unit's result is merged and dropped, so this process holds the rows and one result. A lost node's units are done
    again elsewhere. Over the network go, for each node, the shards that its workers hold, and for each unit its
    queries and 16 bytes a neighbour.

    The index of a single shard is built here, on all cores, and all workers of a node map it without a copy. Of
    several shards, each worker builds the index of the one that it holds. A unit's queries are near one another, as
    the blocked engine likes them.

    The journal knows a study by its rows, `n_neighbors`, `p`, `n_shards` and `block_rows`; the cluster and the
    engine may change, since the result does not.
    """
    check_choice(engine, ENGINES, name="engine")
    options = ClusterOptions(address, num_cpus, cpus_per_worker, gpus_per_worker, max_retries)
    search = plan_search(check_rows(X_train, name="X_train"), X_query, n_neighbors, p=p, n_jobs=None)
    plan = _make_plan(search, engine, n_shards, block_rows)
    kept = None if journal is None else open_journal(journal, _describe(plan))
    task = Task(
        partial(_prepare, p=p, engine=plan.engine),
        partial(_search, n_neighbors=search.n_neighbors, is_merged=plan.n_shards > 1),
        uses_gpu=engine == "torch",
    )
    with use_pool(pool, options) as used, used.open_job(task, kept) as job:
        found = _collect(plan, job, track)
        return ClusterNeighbors(*found, job.report)


_Shard = tuple[NeighborIndex, int]
"""What a worker holds: a shard's index, and the number of its first row."""


class _Plan(NamedTuple):
    """A search in pieces; `order` lists the queries so that near ones share a block, None for as they are."""

    search: Search
    engine: Engine
    n_shards: int
    shards: list[slice]
    block_rows: int
    blocks: list[slice]
    order: NDArray[np.int64] | None

    def rows_of(self, block: slice) -> NDArray[np.int64] | slice:
        """Say which queries a block has."""
        return block if self.order is None else self.order[block]


def _make_plan(search: Search, engine: Engine, n_shards: int, block_rows: int | None) -> _Plan:
    """Cut the training rows into shards of equal sizes, and the queries into blocks of near ones."""
    n_train, n_query = len(search.X_train), len(search.X_query)
    n_shards = check_integer(n_shards, name="n_shards", rule="an integer of at least 1")
    if not 1 <= n_shards <= n_train:
        message = f"n_shards is {n_shards}. It must be from 1 to {n_train}, the number of training rows."
        raise ValueError(message)
    if block_rows is None:
        block_rows = int(np.clip(-(-n_query // _N_BLOCKS), _FEWEST_ROWS, _MOST_ROWS))
    block_rows = check_integer(block_rows, name="block_rows", rule="an integer of at least 1, or None")
    if block_rows < 1:
        message = f"block_rows is {block_rows}. It must be at least 1, or None."
        raise ValueError(message)
    edges = [n_train * number // n_shards for number in range(n_shards + 1)]
    blocks = [slice(start, min(start + block_rows, n_query)) for start in range(0, n_query, block_rows)]
    suited = choose_engine(-(-n_train // n_shards), search.X_train.shape[1], n_query=n_query, is_loaded=False)
    order = None
    if suited == "blocked" and len(blocks) > 1:  # whatever the engine: units are the same for all
        from energyknn.neighbors.engines.blocked.engine import order_queries  # loads Numba

        order = order_queries(search.X_query, group_rows=block_rows, n_threads=search.n_threads)
    shards = [slice(*pair) for pair in pairwise(edges)]
    return _Plan(search, suited if engine == "auto" else engine, n_shards, shards, block_rows, blocks, order)


def _describe(plan: _Plan) -> dict[str, Any]:
    """Say what the records of a journal depend on."""
    search = plan.search
    return {
        "kind": "search",
        "n_neighbors": search.n_neighbors,
        "p": search.p,
        "n_shards": plan.n_shards,
        "block_rows": plan.block_rows,
        "without_self": search.own is not None,
        "X_train": search.X_train,
        "X_query": "X_train" if search.X_query is search.X_train else search.X_query,
    }


def _count_bytes(plan: _Plan, index: NeighborIndex | None = None) -> StoreNeed:
    """Count what goes through object stores: shards of the rows, or a shared index."""
    row = 8 * plan.search.X_train.shape[1]
    largest = row * max(shard.stop - shard.start for shard in plan.shards)
    unit = plan.block_rows * (row + 8 + 16 * plan.search.n_neighbors)
    return StoreNeed(plan.n_shards, largest if index is None else count_bytes(index), unit)


def _prepare(
    shard: NDArray[np.float64] | NeighborIndex, first_row: int, *, p: int, engine: Engine, n_jobs: int
) -> _Shard:
    """Build a shard's index, or open the one that is shared."""
    if isinstance(shard, NeighborIndex):
        return open_index(shard), first_row
    return build_index(open_array(shard), p=p, engine=engine, n_jobs=n_jobs), first_row


def _search(
    shard: _Shard,
    X_query: NDArray[np.float64],
    own: NDArray[np.int64] | None,
    *,
    n_neighbors: int,
    is_merged: bool,
    n_jobs: int,
) -> Outcome:
    """Do a unit: distances are enough where there is nothing to merge."""
    index, first_row = shard
    X_query = open_array(X_query)
    if not is_merged:
        found = index.search(X_query, n_neighbors, own=own, n_jobs=n_jobs)
        return Outcome(found._asdict())
    nearest = search_shard(index, X_query, n_neighbors, first_row=first_row, own=own, n_jobs=n_jobs)
    return Outcome(nearest._asdict())


def _put_shards(plan: _Plan, job: PoolJob) -> list[tuple[Any, int]]:
    """Put the shards, or the index of a single one, into the object store; return what units prepare from."""
    check_object_store(job.facts, _count_bytes(plan))
    if plan.n_shards == 1 and plan.engine == "blocked":
        index = share_index(plan.search)
        check_object_store(job.facts, _count_bytes(plan, index))
        return [(job.put(index), 0)]
    return [(job.put(plan.search.X_train[shard]), shard.start) for shard in plan.shards]


def _make_units(plan: _Plan, shards: Sequence[tuple[Any, int]]) -> list[Unit]:
    """List the units, a shard after another."""
    search, units = plan.search, []

    def cut(block: slice) -> tuple[Any, ...]:
        rows = plan.rows_of(block)
        return search.X_query[rows], None if search.own is None else search.own[rows]

    for number, (shard, data) in enumerate(zip(plan.shards, shards, strict=True)):
        for block in plan.blocks:
            key = f"shard-{number}-rows-{block.start}"
            work = float((shard.stop - shard.start) * (block.stop - block.start))
            units.append(Unit(key, number, data, partial(cut, block), work))
    return units


def _collect(plan: _Plan, job: PoolJob, track: Track[Any]) -> Neighbors:
    """Merge the results of units as they come."""
    units = _make_units(plan, _put_shards(plan, job))
    places = {unit.key: block for unit, block in zip(units, plan.blocks * plan.n_shards, strict=True)}
    steps = zip(track(units, "Search on Ray"), job.run(units), strict=True)
    if plan.n_shards == 1:
        found = empty_neighbors(plan.search)
        for _, (unit, outcome) in steps:
            rows = plan.rows_of(places[unit.key])
            found.distances[rows], found.indices[rows] = outcome.arrays["distances"], outcome.arrays["indices"]
        return found
    nearest = no_nearest(len(plan.search.X_query), plan.search.n_neighbors)
    for _, (unit, outcome) in steps:
        rows = plan.rows_of(places[unit.key])
        known = Nearest(nearest.measures[rows], nearest.indices[rows])
        merged = merge_nearest(known, Nearest(outcome.arrays["measures"], outcome.arrays["indices"]))
        nearest.measures[rows], nearest.indices[rows] = merged
    return finish_nearest(nearest, p=plan.search.p)
