"""Measure what `docs/scale.md` predicts from, and the runs that it is held against.

    python benchmarks/measure_scale.py                                    # about a quarter of an hour, on two cores
    python benchmarks/measure_scale.py --rows 20000,60000 --out trial.json    # to try it

Costs are those of one core. Every run has a process and a local Ray of its own. Run it on a machine that does nothing
else, then `python benchmarks/draw_scale.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
from harness.machine import describe_machine
from harness.scale import N_SHARDS
from harness.timing import time_call

from energyknn.cluster.merging import Nearest, merge_nearest, search_shard
from energyknn.cluster.pool import Outcome, Task, Unit, open_pool
from energyknn.cluster.search import search_neighbors_on_ray
from energyknn.cluster.sharing import count_bytes, share_index
from energyknn.cluster.tuning import _FEWEST_ROWS, _N_STEPS, score_candidates_on_ray
from energyknn.encoding import encode_features, fit_levels, target_values
from energyknn.neighbors import build_index, search_neighbors
from energyknn.neighbors.engines.blocked.engine import order_queries
from energyknn.neighbors.search import plan_search
from energyknn.scaling import apply_scale, fit_scale
from energyknn.splitting import Split, fold_rows
from energyknn.study.notebook import SPOTIFY
from energyknn.study.synthesis import synthesise_tracks
from energyknn.tuning import Candidate, score_candidates

FOLDER = Path(__file__).parent
N_NEIGHBORS = 51
N_WORKERS = 2
BLOCK_ROWS = 16_384
CHUNK = 250_000  # tracks that are made at once
EVERY = 0.05  # seconds between two looks at memory
CANDIDATES = [Candidate(k) for k in range(1, N_NEIGHBORS + 1)]
NUMBERS = (*SPOTIFY.numbers, "age")


def make_rows(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Make synthetic tracks as the study encodes and scales them, a chunk at a time; return rows and targets."""
    levels = scale = None
    parts, targets = [], []
    for number, start in enumerate(range(0, n_rows, CHUNK)):
        tracks = synthesise_tracks(min(CHUNK, n_rows - start), random_state=number)
        levels = levels or fit_levels(tracks, SPOTIFY)
        encoded = encode_features(tracks, levels, SPOTIFY)
        scale = scale or fit_scale(encoded, [name for name in encoded if name in NUMBERS])
        parts.append(apply_scale(encoded, scale).to_numpy(dtype=np.float64))
        targets.append(target_values(tracks, SPOTIFY))
    return np.concatenate(parts), np.concatenate(targets)


# Costs of one core


def time_best(function: Callable[..., Any], *arguments: Any, repeats: int = 3, **options: Any) -> float:
    """Return the fewest seconds of some calls."""
    return min(time_call(function, *arguments, **options)[0] for _ in range(repeats))


def measure_costs(X: np.ndarray, y: np.ndarray, sizes: list[int]) -> dict[str, Any]:
    """Measure what single pieces cost."""
    order = order_queries(X, group_rows=BLOCK_ROWS, n_threads=N_WORKERS)
    costs: dict[str, Any] = {name: [] for name in ("build", "index", "search", "search_shard", "fold", "score")}
    for n_rows in sizes:
        tell(f"costs with {n_rows:,} rows")
        for kind, case in measure_size(X, y, n_rows).items():
            costs[kind].append({"rows": n_rows} | case)
    queries = X[order[:BLOCK_ROWS]]
    costs["order"] = {"queries": len(X), "seconds": time_best(order_queries, X, group_rows=BLOCK_ROWS, n_threads=1)}
    costs["place"] = measure_placing(len(queries))
    costs["merge"] = measure_merging(X[: sizes[0]], queries)
    with open_pool(num_cpus=N_WORKERS) as pool:
        costs["put"] = measure_putting(pool)
        costs["unit"] = measure_units(pool)
    return costs


def measure_size(X: np.ndarray, y: np.ndarray, n_rows: int) -> dict[str, dict[str, float]]:
    """Measure what depends on the number of rows: of queries, the blocks that stand first, last and between.

    All rows are asked about in the jobs that are predicted, so a block is as dense as among all of them.
    """
    rows = X[:n_rows]
    order = order_queries(rows, group_rows=BLOCK_ROWS, n_threads=N_WORKERS)
    threaded, seconds = (time_best(build_index, rows, engine="blocked", n_jobs=n_jobs) for n_jobs in (N_WORKERS, 1))
    index = build_index(rows, engine="blocked")
    starts = np.linspace(0, max(0, n_rows - BLOCK_ROWS), 4).astype(np.int64)
    blocks = [order[start : start + BLOCK_ROWS] for start in starts]
    n_query = sum(map(len, blocks))
    shard = build_index(rows[: n_rows // N_SHARDS], engine="blocked")
    searched = [time_best(index.search, rows[block], N_NEIGHBORS, own=block, n_jobs=1) for block in blocks]
    merged = [time_best(search_shard, shard, rows[block], N_NEIGHBORS, n_jobs=1) for block in blocks]
    fold = fold_rows(n_rows)[0]
    unit = fold.test[: max(_FEWEST_ROWS, -(-n_rows // _N_STEPS))]
    prepared, scored = (
        time_best(
            score_candidates,
            *(rows, y[:n_rows]),
            candidates=CANDIDATES,
            folds=[Split(fold.train, asked)],
            engine="blocked",
            n_jobs=1,
        )
        for asked in (unit[:1], unit)
    )
    return {
        "build": {"seconds": seconds, "threaded": {"threads": N_WORKERS, "seconds": threaded}},
        "index": {"bytes": count_bytes(share_index(plan_search(rows, rows, 1, p=2, n_jobs=None)))},
        "search": {"queries": n_query, "seconds": sum(searched)},
        "search_shard": {"rows": n_rows // N_SHARDS, "queries": n_query, "seconds": sum(merged)},
        "fold": {"rows": len(fold.train), "seconds": prepared},
        "score": {"rows": len(fold.train), "queries": len(unit) - 1, "seconds": max(scored - prepared, 1e-9)},
    }


def measure_placing(n_query: int) -> dict[str, float]:
    """Measure what it takes to put a unit's result where it belongs."""
    total = 8 * n_query
    distances, indices = np.zeros((total, N_NEIGHBORS)), np.zeros((total, N_NEIGHBORS), dtype=np.int64)
    rows = np.random.default_rng(0).permutation(total)[:n_query]
    found = distances[:n_query].copy(), indices[:n_query].copy()

    def place() -> None:
        distances[rows], indices[rows] = found

    return {"queries": n_query, "seconds": time_best(place)}


def measure_merging(X: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    """Measure what it takes to merge the results of two halves of the rows."""
    half = len(X) // 2
    parts = [
        search_shard(build_index(rows, engine="blocked"), queries, N_NEIGHBORS, first_row=start)
        for rows, start in ((X[:half], 0), (X[half:], half))
    ]
    return {"queries": len(queries), "seconds": time_best(merge_nearest, Nearest(*parts[0]), Nearest(*parts[1]))}


def make_empty_task() -> Task:
    """Make a task that does nothing, of functions that are sent by value."""

    def prepare(*, n_jobs: int) -> None:
        del n_jobs

    def work(held: None, number: int, *, n_jobs: int) -> Outcome:
        del held, n_jobs
        return Outcome({"found": np.array([number])})

    return Task(prepare, work)


def measure_putting(pool: Any) -> dict[str, float]:
    """Measure how fast data go into the object store."""
    block = np.ones(1 << 24)
    with pool.open_job(make_empty_task()) as job:
        return {"bytes": block.nbytes, "seconds": time_best(job.put, block)}


def measure_units(pool: Any) -> dict[str, float]:
    """Measure what a unit costs that has nothing to do."""
    units = [Unit(str(number), 0, (), partial(tuple, (number,))) for number in range(200)]
    with pool.open_job(make_empty_task()) as job:
        list(job.run(units))
    with pool.open_job(make_empty_task()) as job:
        seconds, _ = time_call(lambda: list(job.run(units)))
    return {"units": len(units), "seconds": seconds}


# Runs on Ray


class Peaks:
    """The most memory that was seen: of the object store, of a worker beside it, and of this process."""

    def __init__(self) -> None:
        self.store = self.worker = 0

    def look(self, ray: Any) -> None:
        """Look once."""
        name = "object_store_memory"
        used = ray.cluster_resources().get(name, 0) - ray.available_resources().get(name, 0)
        self.store = max(self.store, int(used))
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                if b"ray::Worker" in (status.parent / "cmdline").read_bytes():
                    self.worker = max(self.worker, read_status(status, "RssAnon"))
            except OSError:  # it has ended
                continue


def read_status(status: Path, name: str) -> int:
    """Return bytes that the kernel counts for a process."""
    found = re.search(name + r":\s+(\d+)", status.read_text(encoding="ascii", errors="replace"))
    return int(found[1]) * 1024 if found else 0


@contextmanager
def watch_memory() -> Iterator[Peaks]:
    """Watch the memory of a Ray that runs on this machine alone."""
    import ray

    peaks, done = Peaks(), Event()

    def watch() -> None:
        while not done.wait(EVERY):
            peaks.look(ray)

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peaks
    finally:
        done.set()
        watcher.join()


def run_on_ray(kind: str, folder: str, n_rows: int, n_shards: int) -> dict[str, Any]:
    """Run a search or a tuning in this process, on a Ray of its own."""
    X, y = np.load(f"{folder}/X.npy", mmap_mode="r")[:n_rows], np.load(f"{folder}/y.npy")[:n_rows]
    X = np.array(X)
    options = {} if kind == "search" else {"candidates": CANDIDATES, "folds": fold_rows(n_rows)}
    with open_pool(num_cpus=N_WORKERS) as pool:
        search_neighbors_on_ray(X[:5000], None, 5, engine="blocked", block_rows=500, pool=pool)
        score_candidates_on_ray(
            X[:5000], y[:5000], candidates=CANDIDATES, folds=fold_rows(5000), engine="blocked", pool=pool
        )
        with watch_memory() as peaks:
            if kind == "search":
                seconds, found = time_call(
                    search_neighbors_on_ray, X, None, N_NEIGHBORS, n_shards=n_shards, block_rows=BLOCK_ROWS, pool=pool
                )
            else:
                seconds, found = time_call(score_candidates_on_ray, X, y, **options, pool=pool)
    return {
        "kind": kind, "rows": n_rows, "shards": n_shards, "units": found.report.n_units, "workers": N_WORKERS,
        "seconds": seconds, "store_peak": peaks.store, "worker_peak": peaks.worker,
        "driver_peak": read_status(Path("/proc/self/status"), "VmHWM"),
    }  # fmt: skip


def run_apart(*arguments: Any) -> dict[str, Any]:
    """Run in a process of its own."""
    tell(f"run {' '.join(map(str, (arguments[0], *arguments[2:])))}")
    command = [sys.executable, __file__, "--run", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 - our own arguments
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def describe_here() -> dict[str, Any]:
    """Describe the machine as saved runs of the benchmarks do."""
    try:
        import cpuinfo

        cpu = cpuinfo.get_cpu_info()
    except ImportError:
        cpu = {}
    return describe_machine(
        {"machine": platform.machine(), "system": platform.system(), "cpu": cpu,
         "python_implementation": platform.python_implementation(), "python_version": platform.python_version()}
    )  # fmt: skip


def tell(line: str) -> None:
    """Say on stderr what is done now."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")


def main() -> int:
    """Measure, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default="1000000,4000000", help="tracks of the runs, with commas")
    parser.add_argument("--out", type=Path, default=FOLDER / "results" / "scale.json")
    parser.add_argument("--run", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        kind, folder, *numbers = options.run
        sys.stdout.write(json.dumps(run_on_ray(kind, folder, *map(int, numbers))) + "\n")
        return 0
    sizes = sorted(map(int, options.rows.split(",")))
    search_neighbors([[0.0], [1.0]], None, 1, engine="blocked")
    with tempfile.TemporaryDirectory() as folder:
        tell(f"make {sizes[-1]:,} rows")
        X, y = make_rows(sizes[-1])
        np.save(f"{folder}/X.npy", X)
        np.save(f"{folder}/y.npy", y)
        costs = measure_costs(X, y, [sizes[0] // 4, *sizes])
        n_features = X.shape[1]
        del X, y
        runs = [
            run_apart(kind, folder, n_rows, n_shards)
            for n_rows in sizes
            for kind, n_shards in (("search", 1), ("search", N_SHARDS), ("tuning", 0))
        ]
    measured = {
        "machine": describe_here(), "n_features": n_features, "n_neighbors": N_NEIGHBORS, "costs": costs, "runs": runs,
    }  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(measured, indent=1) + os.linesep, encoding="utf-8")
    tell(f"written to {options.out}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
