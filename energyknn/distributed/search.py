"""Exact nearest neighbours on a Ray cluster: blocks of queries times shards of the training rows."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn.distributed.cluster import ClusterOptions, StoreNeed, check_object_store, open_cluster
from energyknn.distributed.journal import open_journal
from energyknn.distributed.merging import (
    Nearest,
    finish_nearest,
    merge_nearest,
    no_nearest,
    search_shard,
)
from energyknn.distributed.pool import Outcome, RunReport, Task, Unit, WorkerPool
from energyknn.neighbors import NeighborIndex, Neighbors, build_index
from energyknn.neighbors._checks import check_choice, check_integer, check_rows
from energyknn.neighbors._exact import Search
from energyknn.neighbors.search import ENGINES, Engine, plan_search
from energyknn.progress import Track, track_silently

__all__ = ["ClusterNeighbors", "search_neighbors_on_ray"]

_FEWEST_ROWS, _MOST_ROWS, _N_BLOCKS = 1024, 16384, 32


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
    journal: str | None = None,
    track: Track[Any] = track_silently,
) -> ClusterNeighbors:
    """Find the nearest training rows of each query on a Ray cluster, with the bits of `search_neighbors`.

    Parameters
    ----------
    X_train, X_query, n_neighbors, p, engine
        As in `energyknn.neighbors.search_neighbors`. "auto" is chosen by each worker for its shard.
    n_shards : int, default=1
        Parts of the training rows, from 1 to n_train. A worker holds one at a time: more shards need less memory and
        more time, since the nearest rows of each are found before they are merged.
    block_rows : int or None, default=None
        Queries of a unit; None for 32 units a shard, of 1,024 to 16,384 queries.
    address : str or None, default=None
        ``host:port`` of a cluster. None stands for the Ray that this process is connected to, else what RAY_ADDRESS
        names, else a quiet local one that is shut down afterwards.
    num_cpus : int or None, default=None
        Cores of a local Ray; None for all.
    cpus_per_worker, gpus_per_worker : int, float; default=1, 0
        What each worker gets; there are as many workers as find room. With GPUs, choose the engine "torch".
    max_retries : int, default=2
        How often a unit is tried again that fails by its own fault.
    journal : str or None, default=None
        A folder for finished units, see `energyknn.distributed.journal.open_journal`: a run that was ended goes on
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

    The journal knows a study by its rows, `n_neighbors`, `p`, `n_shards` and `block_rows`; the cluster and the
    engine may change, since the result does not.
    """
    check_choice(engine, ENGINES, name="engine")
    options = ClusterOptions(address, num_cpus, cpus_per_worker, gpus_per_worker, max_retries)
    search = plan_search(check_rows(X_train, name="X_train"), X_query, n_neighbors, p=p, n_jobs=1)
    plan = _make_plan(search, n_shards, block_rows)
    kept = None if journal is None else open_journal(journal, _describe(plan))
    task = Task(
        partial(_prepare, p=p, engine=engine, n_jobs=cpus_per_worker),
        partial(_search, n_neighbors=search.n_neighbors, is_merged=plan.n_shards > 1),
        uses_gpu=engine == "torch",
    )
    with open_cluster(options) as facts:
        check_object_store(facts, _count_bytes(plan))
        with WorkerPool(facts, options, task, kept) as pool:
            found = _collect(plan, pool, track)
            return ClusterNeighbors(*found, pool.report)


_Shard = tuple[NeighborIndex, int]
"""What a worker holds: a shard's index, and the number of its first row."""


class _Plan(NamedTuple):
    """A search in pieces."""

    search: Search
    n_shards: int
    shards: list[slice]
    block_rows: int
    blocks: list[slice]


def _make_plan(search: Search, n_shards: int, block_rows: int | None) -> _Plan:
    """Cut the training rows into shards of equal sizes, and the queries into blocks."""
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
    return _Plan(search, n_shards, [slice(*pair) for pair in pairwise(edges)], block_rows, blocks)


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


def _count_bytes(plan: _Plan) -> StoreNeed:
    """Count what goes through object stores."""
    row = 8 * plan.search.X_train.shape[1]
    largest = max(shard.stop - shard.start for shard in plan.shards)
    return StoreNeed(plan.n_shards, row * largest, plan.block_rows * (row + 8 + 16 * plan.search.n_neighbors))


def _prepare(X_shard: NDArray[np.float64], first_row: int, *, p: int, engine: Engine, n_jobs: int) -> _Shard:
    """Build a shard's index."""
    return build_index(X_shard, p=p, engine=engine, n_jobs=n_jobs), first_row


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
    if not is_merged:
        found = index.search(X_query, n_neighbors, own=own, n_jobs=n_jobs)
        return Outcome(found._asdict())
    nearest = search_shard(index, X_query, n_neighbors, first_row=first_row, own=own, n_jobs=n_jobs)
    return Outcome(nearest._asdict())


def _make_units(plan: _Plan, pool: WorkerPool) -> list[Unit]:
    """List the units, a shard after another, and put the shards into the object store."""
    search, units = plan.search, []

    def cut(block: slice) -> tuple[Any, ...]:
        return search.X_query[block], None if search.own is None else search.own[block]

    for number, shard in enumerate(plan.shards):
        data = (pool.put(search.X_train[shard]), shard.start)
        for block in plan.blocks:
            key = f"shard-{number}-rows-{block.start}"
            work = float((shard.stop - shard.start) * (block.stop - block.start))
            units.append(Unit(key, number, data, partial(cut, block), work))
    return units


def _collect(plan: _Plan, pool: WorkerPool, track: Track[Any]) -> Neighbors:
    """Merge the results of units as they come."""
    units = _make_units(plan, pool)
    nearest = no_nearest(len(plan.search.X_query), plan.search.n_neighbors)
    places = {unit.key: block for unit, block in zip(units, plan.blocks * plan.n_shards, strict=True)}
    steps = track(units, "Search on Ray")
    for _, (unit, outcome) in zip(steps, pool.run(units), strict=True):
        block = places[unit.key]
        if plan.n_shards == 1:
            nearest.measures[block], nearest.indices[block] = outcome.arrays["distances"], outcome.arrays["indices"]
        else:
            known = Nearest(nearest.measures[block], nearest.indices[block])
            merged = merge_nearest(known, Nearest(outcome.arrays["measures"], outcome.arrays["indices"]))
            nearest.measures[block], nearest.indices[block] = merged
    return Neighbors(*nearest) if plan.n_shards == 1 else finish_nearest(nearest, p=plan.search.p)
