"""Measure the first, the second and the tenth search of a process, beside scikit-learn's brute force and its choice.

    python benchmarks/measure_cold.py                                   # about ten minutes, on two cores
    python benchmarks/measure_cold.py --shapes 500x5x0,8000x27x2000 --runs 7

Each run is a fresh process, ours and scikit-learn's in turns. A shape is training rows x columns x queries, and 0
queries search the training rows. Prints a table: how many times faster energyknn is than the faster of scikit-learn's
algorithms, and the milliseconds of both; of elapsed and of processor time, which other work on the machine disturbs
less. Neighbours are compared before anything is printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SHAPES = (
    "500x5x0,500x5x2000,2000x11x2000,8000x11x2000,8000x27x2000,8000x64x2000,8000x128x2000,8000x512x2000,"
    "20000x27x2000,20000x27x0,20000x512x2000"
)
RIVALS = ("brute", "auto")
CALLS = {"first": 0, "second": 1, "tenth": 9}


def run_child(side: str, n_train: int, n_features: int, n_query: int, n_neighbors: int) -> None:
    """Import one side, search ten times, and print the seconds of each, and a check of what was found."""
    random = np.random.default_rng(0)
    X = random.normal(size=(n_train, n_features))
    queries = random.normal(size=(n_query, n_features)) if n_query else None
    imported, search = time_call(make_search, side, n_neighbors)
    calls = []
    for _ in range(1 + max(CALLS.values())):
        seconds, indices = time_call(search, X, queries)
        calls.append(seconds)
    json.dump(
        {"import": imported, "calls": calls, "check": int((indices * np.arange(1, 1 + n_neighbors)).sum())}, sys.stdout
    )


def make_search(side: str, n_neighbors: int) -> Callable[[Any, Any], Any]:
    """Import one side; return its search."""
    if side == "ours":
        from energyknn.neighbors import search_neighbors

        return lambda X, queries: search_neighbors(X, queries, n_neighbors).indices

    from sklearn.neighbors import NearestNeighbors

    finder = NearestNeighbors(n_neighbors=n_neighbors, algorithm=side, n_jobs=-1)
    return lambda X, queries: finder.fit(X).kneighbors(queries, return_distance=True)[1]


def time_call(function: Callable[..., Any], *arguments: Any) -> tuple[tuple[float, float], Any]:
    """Return the elapsed and the processor's seconds of a call, and its result."""
    start, used = time.perf_counter(), time.process_time()
    result = function(*arguments)
    return (time.perf_counter() - start, time.process_time() - used), result


def measure(shape: str, n_neighbors: int, n_runs: int) -> dict[str, list[Any]]:
    """Run the sides in turns, each time in fresh processes."""
    sides = ("ours", *RIVALS)
    found: dict[str, list[Any]] = {side: [] for side in sides}
    for run in range(n_runs):
        for side in sides[:: 1 if run % 2 else -1]:
            command = [sys.executable, __file__, "--child", side, "--shapes", shape, "--neighbors", str(n_neighbors)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - this script
            found[side].append(json.loads(done.stdout))
    checks = {run["check"] for runs in found.values() for run in runs}
    if len(checks) != 1:
        message = f"{shape}: the neighbours differ."
        raise AssertionError(message)
    return found


def compare(found: dict[str, list[Any]], take: Callable[[Any], Sequence[float]]) -> str:
    """Compare one figure: of elapsed and of processor time, median of the ratios, and the least milliseconds."""
    cells = []
    for kind in (0, 1):
        ours, *theirs = (np.array([take(run)[kind] for run in found[side]]) for side in ("ours", *RIVALS))
        best = min(theirs, key=np.median)
        cells.append(f"{np.median(best / ours):.2f} ({1e3 * ours.min():.1f} to {1e3 * best.min():.1f})")
    return " | ".join(cells)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure and print, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default=SHAPES)
    parser.add_argument("--neighbors", type=int, default=5)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(options.child, *map(int, options.shapes.split("x")), options.neighbors)
        return
    say("| rows x columns x queries | call | times faster, elapsed (ms) | times faster, processor (ms) |")
    say("| --- | --- | ---: | ---: |")
    for shape in options.shapes.split(","):
        found = measure(shape, options.neighbors, options.runs)
        for name, call in CALLS.items():
            say(f"| {shape} | {name} | {compare(found, lambda run, call=call: run['calls'][call])} |")
        with_import = compare(found, lambda run: np.add(run["import"], run["calls"][0]))
        say(f"| {shape} | import and first | {with_import} |")


if __name__ == "__main__":
    main()
