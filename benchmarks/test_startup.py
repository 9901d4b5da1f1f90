"""How long until the first result? Importing, the first search of a process, and compiling once per machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from harness.memory import run_python

import energyknn

QUESTION = "start-up"

pytestmark = pytest.mark.neighbors

IMPORT = """
import sys, time
start = time.perf_counter()
import {module}
print(time.perf_counter() - start)
assert "{module}" != "energyknn" or not {{"numba", "ray", "torch"}} & set(sys.modules)
"""

FIRST = """
import time, numpy as np
start = time.perf_counter()
from energyknn.neighbors import search_neighbors
rows = np.random.default_rng(0).normal(size=(5000, 27))
search_neighbors(rows, None, 5, engine="blocked")
middle = time.perf_counter()
search_neighbors(rows, None, 5, engine="blocked")
print(2 * middle - start - time.perf_counter())
"""

FIRST_OF_SCIKIT_LEARN = """
import time, numpy as np
start = time.perf_counter()
from sklearn.neighbors import NearestNeighbors
rows = np.random.default_rng(0).normal(size=(5000, 27))
NearestNeighbors(n_neighbors=5, algorithm="brute").fit(rows).kneighbors()
middle = time.perf_counter()
NearestNeighbors(n_neighbors=5, algorithm="brute").fit(rows).kneighbors()
print(2 * middle - start - time.perf_counter())
"""


def run_script(script, **environment):
    """Return the seconds that a script prints."""
    return float(run_python("-c", script, **environment).stdout)


@pytest.fixture
def compare_scripts(record, benchmark, size):
    """Time scripts by their own clocks, in turns."""

    def compare(case, rival, ours, theirs, **facts):
        run_script(ours), run_script(theirs)
        times = {"ours": [], "theirs": []}

        def run():
            times["ours"].append(run_script(ours))
            times["theirs"].append(run_script(theirs))

        benchmark.pedantic(run, rounds=size.processes)
        record.keep_ratio(case, rival, times, **facts)

    return compare


def test_import(compare_scripts):
    ours, theirs = (IMPORT.format(module=module) for module in ("energyknn", "sklearn.neighbors"))
    compare_scripts("import (ours: less than 0.3 s)", "import sklearn.neighbors", ours, theirs, seconds_at_most=0.3)


def test_first_search_with_a_warm_cache(compare_scripts):
    compare_scripts(
        "first search of a process, beyond the search (ours: at most 0.7 s)", "scikit-learn brute",
        FIRST, FIRST_OF_SCIKIT_LEARN, seconds_at_most=0.7,
    )  # fmt: skip


def test_cold_compilation_is_reported_once(record, benchmark, tmp_path):
    package = Path(energyknn.__file__).parent
    shutil.copytree(package, tmp_path / "energyknn", ignore=shutil.ignore_patterns("__pycache__"))  # so without kernels
    script = f"import sys; sys.path.insert(0, {str(tmp_path)!r})" + FIRST
    folder = {"NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    done = benchmark.pedantic(run_python, args=("-c", script), kwargs=folder, rounds=1)
    told = [line for line in done.stderr.splitlines() if "ompil" in line]
    assert told
    assert len(told) == len(set(told))
    record.keep_value("compiling all kernels, once", float(done.stdout), unit="s", is_compared=False)
