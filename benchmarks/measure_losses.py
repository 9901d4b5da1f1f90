"""Lose a node in the middle of a search, and kill the driver at half: again and again, and nothing may be lost.

    python benchmarks/measure_losses.py                       # ten runs of each, 200,000 rows, three nodes of one core
    python benchmarks/measure_losses.py --runs 2 --rows 20000

Every result is held to the bits of the same search without Ray. Prints a line for each run, and one for all.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from energyknn._shared.ray_session import quiet_ray
from energyknn.cluster.search import ClusterNeighbors, search_neighbors_on_ray
from energyknn.neighbors import Neighbors, search_neighbors

N_NEIGHBORS = 51
N_UNITS = 40
STORE = 1 << 30  # bytes of a node's object store


def make_rows(n_rows: int) -> np.ndarray:
    """Draw rows of which some repeat and many tie."""
    X = np.random.default_rng(0).normal(size=(n_rows, 12)).round(1)
    X[::50] = X[0]
    return X


@contextmanager
def start_cluster() -> Iterator[Any]:
    """Start three nodes of one core each on this machine."""
    from ray.cluster_utils import Cluster

    with quiet_ray():
        head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": STORE}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            cluster.add_node(num_cpus=1, object_store_memory=STORE)
            yield cluster
        finally:
            cluster.shutdown()


def search(X: np.ndarray, address: str, **options: Any) -> ClusterNeighbors:
    """Search on the cluster, in as many units as are to be counted."""
    block_rows = -(-len(X) // N_UNITS)
    return search_neighbors_on_ray(X, None, N_NEIGHBORS, block_rows=block_rows, address=address, **options)


def is_equal(found: ClusterNeighbors, expected: Neighbors) -> bool:
    """Say whether two results have the same bits."""
    return all(
        np.array_equal(getattr(found, name).view(np.int64), getattr(expected, name).view(np.int64))
        for name in ("distances", "indices")
    )


def lose_a_node(cluster: Any, X: np.ndarray) -> ClusterNeighbors:
    """Remove the third node when half of the units are in."""
    node = cluster.add_node(num_cpus=1, object_store_memory=STORE)

    def remove_halfway(steps: Any, _: str) -> Iterator[Any]:
        for number, step in enumerate(steps):
            if number == len(steps) // 2:
                cluster.remove_node(node, allow_graceful=False)
            yield step

    return search(X, cluster.address, track=remove_halfway)


def kill_the_driver(cluster: Any, X: np.ndarray) -> ClusterNeighbors:
    """Kill a driver when half of its units are in the journal, and go on from it."""
    node = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        driver = subprocess.Popen(  # noqa: S603 - our own arguments
            [sys.executable, __file__, "--drive", cluster.address, str(journal), "--rows", str(len(X))]
        )
        try:
            while len(list(journal.glob("*.unit"))) < N_UNITS // 2:
                if driver.poll() is not None:
                    message = "The driver ended before it could be killed. Take more rows."
                    raise RuntimeError(message)
                time.sleep(0.005)
        finally:
            driver.send_signal(signal.SIGKILL)
            driver.wait()
        found = search(X, cluster.address, journal=str(journal))
    cluster.remove_node(node)
    return found


KINDS = {"node lost": lose_a_node, "driver killed": kill_the_driver}


def main() -> int:
    """Run both as often as asked; 1 where a result differs, or too much was done again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--only", choices=KINDS, help="one of both")
    parser.add_argument("--drive", nargs=2, metavar=("ADDRESS", "JOURNAL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    X = make_rows(options.rows)
    if options.drive:
        search(X, options.drive[0], journal=options.drive[1])
        return 0
    expected = search_neighbors(X, None, N_NEIGHBORS)
    kinds = KINDS if options.only is None else {options.only: KINDS[options.only]}
    good = dict.fromkeys(kinds, 0)
    with start_cluster() as cluster:
        for kind, run in kinds.items():
            for number in range(options.runs):
                seconds = -time.perf_counter()
                found = run(cluster, X)
                seconds += time.perf_counter()
                report = found.report
                share = report.n_done / report.n_units if kind == "driver killed" else report.n_again / report.n_units
                same = is_equal(found, expected)
                good[kind] += same and share < (0.6 if kind == "driver killed" else 0.1)
                sys.stdout.write(
                    f"{kind} {number + 1}: {'equal bits' if same else 'DIFFERS'}, {report.n_units} units, "
                    f"{report.n_restored} restored, {report.n_done} done, {report.n_again} again, "
                    f"{report.n_lost} workers lost, {seconds:.1f} s\n"
                )
                sys.stdout.flush()
    for kind, number in good.items():
        sys.stdout.write(f"{kind}: {number} of {options.runs} good, {options.rows:,} rows, {os.cpu_count()} cores\n")
    return 0 if set(good.values()) == {options.runs} else 1


if __name__ == "__main__":
    raise SystemExit(main())
