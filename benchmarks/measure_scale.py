"""Measure what `docs/scale.md` predicts from and the runs that it is compared with, and write that page.

    python benchmarks/measure_scale.py                 # about a quarter of an hour, on two cores
    python benchmarks/measure_scale.py --only-page     # from what is saved
    python benchmarks/measure_scale.py --rows 20000,60000 --saved trial.json --page trial.md

Costs are those of one core. Every run has a process and a local Ray of its own. Run it on a machine that does nothing
else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from operator import setitem
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread
from typing import Any

import numpy as np
from harness.data import encode_tracks
from harness.machine import describe_machine
from harness.memory import read_status
from harness.scale import BLOCK_ROWS, N_SHARDS, render_page
from harness.timing import time_call

from energyknn.cluster.merging import merge_nearest, search_shard
from energyknn.cluster.pool import Outcome, Task, Unit, open_pool
from energyknn.cluster.search import search_neighbors_on_ray
from energyknn.cluster.sharing import count_bytes, share_index
from energyknn.cluster.tuning import score_candidates_on_ray
from energyknn.encoding import target_values
from energyknn.neighbors import build_index
from energyknn.neighbors.engines.blocked.engine import order_queries
from energyknn.neighbors.search import plan_search
from energyknn.splitting import Split, fold_rows
from energyknn.study.notebook import SPOTIFY
from energyknn.study.synthesis import synthesise_tracks
from energyknn.tuning import Candidate, score_candidates

ROOT = Path(__file__).parents[1]
N_NEIGHBORS, N_WORKERS = 51, 2
CANDIDATES = [Candidate(k) for k in range(1, N_NEIGHBORS + 1)]


def time_best(function: Callable[..., Any], *arguments: Any, **options: Any) -> float:
    """Return the fewest seconds of three calls."""
    return min(time_call(function, *arguments, **options)[0] for _ in range(3))


def measure_costs(X: np.ndarray, y: np.ndarray, sizes: Sequence[int]) -> dict[str, Any]:
    """Measure what single pieces cost."""
    found = [measure_size(X[:n_rows], y[:n_rows]) for n_rows in sizes]
    queries, half = X[:BLOCK_ROWS], sizes[0] // 2
    parts = [
        search_shard(build_index(X[start : start + half], engine="blocked"), queries, N_NEIGHBORS, first_row=start)
        for start in (0, half)
    ]
    into = np.repeat(parts[0].indices, 8, axis=0)
    places = np.random.default_rng(0).permutation(len(into))[: len(queries)]
    once = {
        "order": (len(X), time_best(order_queries, X, group_rows=BLOCK_ROWS, n_threads=1)),
        "place": (len(queries), 2 * time_best(setitem, into, places, parts[0].indices)),  # distances and indices
        "merge": (len(queries), time_best(merge_nearest, *parts)),
    }
    return (
        {kind: [case[kind] for case in found] for kind in found[0]}
        | {kind: {"queries": n_queries, "seconds": seconds} for kind, (n_queries, seconds) in once.items()}
        | measure_ray()
    )


def measure_size(X: np.ndarray, y: np.ndarray) -> dict[str, dict[str, Any]]:
    """Measure what depends on the number of rows, with queries from the first block, the last, and two between.

    All rows are asked about in the jobs that are predicted, so a block is as dense as among all of them.
    """
    n_rows, fold = len(X), fold_rows(len(X))[0]
    order = order_queries(X, group_rows=BLOCK_ROWS, n_threads=N_WORKERS)
    starts = np.linspace(0, max(0, n_rows - BLOCK_ROWS), 4).astype(np.int64)
    blocks = [order[start : start + BLOCK_ROWS] for start in starts]
    index, shard = (build_index(rows, engine="blocked") for rows in (X, X[: n_rows // N_SHARDS]))
    searched = [time_best(index.search, X[block], N_NEIGHBORS, own=block, n_jobs=1) for block in blocks]
    merged = [time_best(search_shard, shard, X[block], N_NEIGHBORS, n_jobs=1) for block in blocks]
    unit = fold.test[: max(1 << 15, -(-n_rows // 16))]  # as `score_candidates_on_ray` cuts it
    score = partial(score_candidates, X, y, candidates=CANDIDATES, engine="blocked", n_jobs=1)
    prepared, scored = (time_best(score, folds=[Split(fold.train, asked)]) for asked in (unit[:1], unit))
    n_train, n_query = len(fold.train), sum(map(len, blocks))
    return {
        "build": {"rows": n_rows, "seconds": time_best(build_index, X, engine="blocked", n_jobs=1)},
        "index": {"rows": n_rows, "bytes": count_bytes(share_index(plan_search(X, X, 1, p=2, n_jobs=None)))},
        "search": {"rows": n_rows, "queries": n_query, "seconds": sum(searched)},
        "search_shard": {"rows": n_rows // N_SHARDS, "queries": n_query, "seconds": sum(merged)},
        "fold": {"rows": n_train, "seconds": prepared},
        "score": {"rows": n_train, "queries": len(unit) - 1, "seconds": max(scored - prepared, 1e-9)},
    }


def measure_ray() -> dict[str, dict[str, float]]:
    """Measure how fast data go into the object store, and what a unit costs that has nothing to do."""

    def prepare(*, n_jobs: int) -> None:
        del n_jobs

    def work(held: None, number: int, *, n_jobs: int) -> Outcome:
        del held, n_jobs
        return Outcome({"found": np.array([number])})

    block = np.ones(1 << 24)
    units = [Unit(str(number), 0, (), partial(tuple, (number,))) for number in range(200)]
    with open_pool(num_cpus=N_WORKERS) as pool, pool.open_job(Task(prepare, work)) as job:
        put = time_best(job.put, block)
        handled = time_best(lambda: list(job.run(units)))  # all workers are there when it is best
    return {"put": {"bytes": block.nbytes, "seconds": put}, "unit": {"units": len(units), "seconds": handled}}


def watch_memory(peaks: dict[str, int], done: Event) -> None:
    """Note the most memory of the object store, and of a worker beside it, until it is done."""
    import ray

    name = "object_store_memory"
    while not done.wait(0.05):
        used = ray.cluster_resources().get(name, 0) - ray.available_resources().get(name, 0)
        peaks["store_peak"] = max(peaks["store_peak"], int(used))
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if b"ray::Worker" in (process / "cmdline").read_bytes():
                    peaks["worker_peak"] = max(peaks["worker_peak"], read_status("RssAnon", process))
            except OSError:  # it has ended
                continue


def run_on_ray(folder: str, n_rows: int, n_shards: int) -> dict[str, Any]:
    """Run a search, or with 0 shards a tuning, in this process on a Ray of its own."""
    X, y = (np.array(np.load(f"{folder}/{name}.npy", mmap_mode="r")[:n_rows]) for name in "Xy")
    peaks, done = {"store_peak": 0, "worker_peak": 0}, Event()
    with open_pool(num_cpus=N_WORKERS) as pool:
        search = partial(search_neighbors_on_ray, pool=pool)
        score = partial(score_candidates_on_ray, candidates=CANDIDATES, pool=pool)
        search(X[:5000], None, 5, engine="blocked", block_rows=500)  # until all workers are there and warm
        score(X[:5000], y[:5000], folds=fold_rows(5000), engine="blocked")
        watcher = Thread(target=watch_memory, args=(peaks, done), daemon=True)
        watcher.start()
        if n_shards:
            seconds, found = time_call(search, X, None, N_NEIGHBORS, n_shards=n_shards, block_rows=BLOCK_ROWS)
        else:
            seconds, found = time_call(score, X, y, folds=fold_rows(n_rows))
        done.set()
        watcher.join()
    return {
        "kind": "search" if n_shards else "tuning", "rows": n_rows, "shards": n_shards,
        "units": found.report.n_units, "workers": N_WORKERS, "seconds": seconds, **peaks,
        "driver_peak": read_status("VmHWM"),
    }  # fmt: skip


def measure(sizes: Sequence[int]) -> dict[str, Any]:
    """Measure costs here, and each run in a process of its own."""
    from pytest_benchmark.plugin import pytest_benchmark_generate_machine_info

    with TemporaryDirectory() as folder, ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as apart:
        tracks = synthesise_tracks(sizes[-1], random_state=0)
        (X, _), y = encode_tracks(tracks), target_values(tracks, SPOTIFY)
        np.save(f"{folder}/X.npy", X)
        np.save(f"{folder}/y.npy", y)
        costs, n_features = measure_costs(X, y, [sizes[0] // 4, *sizes]), X.shape[1]
        del tracks, X, y
        runs = [
            apart.submit(run_on_ray, folder, n_rows, n_shards).result()
            for n_rows in sizes
            for n_shards in (1, N_SHARDS, 0)
        ]
    machine = describe_machine(pytest_benchmark_generate_machine_info())
    return {"machine": machine, "n_features": n_features, "n_neighbors": N_NEIGHBORS, "costs": costs, "runs": runs}


def main() -> None:
    """Measure, and write what was found and the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000,4000000", help="tracks of the runs, with commas")
    parser.add_argument("--saved", type=Path, default=ROOT / "benchmarks" / "results" / "scale.json")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "scale.md")
    parser.add_argument("--only-page", action="store_true", help="write the page from the saved file")
    options = parser.parse_args()
    if not options.only_page:
        measured = measure(sorted(map(int, options.rows.split(","))))
        options.saved.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    options.page.write_text(render_page(json.loads(options.saved.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
