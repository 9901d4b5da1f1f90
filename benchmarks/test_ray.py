"""What does Ray cost? Searches on a Ray that is up beside the same here, and beside what tunes on Ray with trials."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from harness.peers import N_THREADS, search_ours
from harness.rivals import COARSE, GRID, score_ours, search_grid, search_tune_sklearn
from harness.timing import time_call

from energyknn._shared.ray_session import quiet_ray, start_ray
from energyknn.cluster.pool import open_pool
from energyknn.cluster.search import search_neighbors_on_ray
from energyknn.cluster.tuning import score_candidates_on_ray
from energyknn.tuning import Candidate

QUESTION = "Ray overhead"
HERE = f"energyknn here, {N_THREADS} threads"
CANDIDATES = [Candidate(k) for k in COARSE]


@pytest.mark.parametrize("rival", [GRID, pytest.param("Ray Tune, started for it", marks=pytest.mark.ray)])
def test_ray_overhead(record, require, few, rival):
    if rival != GRID:
        require("Ray Tune", "ray")

    def ask_ray():
        module = importlib.import_module("energyknn.tuning.ray_tune")
        return module.search_ray_tune(few.X, few.y, n_neighbors=COARSE, folds=few.folds).mean_test_score

    def ask_grid():
        return search_grid(few, {"n_neighbors": list(COARSE)})["mean_test_score"]

    record.compare(
        f"{len(COARSE)} candidates, {len(few.y):,} rows", rival,
        ours=lambda: score_ours(few, CANDIDATES).mean(axis=1),
        theirs=ask_grid if rival == GRID else ask_ray,
        check=lambda ours, theirs: np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4),
        pairs=1, n_ours=3, check_first=False,
    )  # fmt: skip


@pytest.fixture
def running_ray(require):
    """Start Ray as a user would, with as many CPUs as others have threads."""
    require("Ray", "ray")
    ray = importlib.import_module("ray")
    with quiet_ray():
        start_ray(ray, address=None, num_cpus=N_THREADS)
        yield ray
        ray.shutdown()


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
@pytest.mark.parametrize("kind", ["held-out rows", "every row"])
def test_a_search_on_ray_beside_the_same_here(record, size, problems, kind):
    made = problems("27 columns")
    train = made.train if kind == "held-out rows" else np.concatenate([made.train, made.query])
    query = made.query if kind == "held-out rows" else train
    with open_pool() as pool:

        def ask_ray():
            found = search_neighbors_on_ray(train, query, size.n_neighbors, pool=pool)
            return found.distances, found.indices

        record.compare(
            f"neighbours of {kind}, {N_THREADS} workers of one core", HERE,
            ours=ask_ray, theirs=lambda: search_ours(train, query, size.n_neighbors), check=assert_equal_bits,
            pairs=3 * size.pairs, target=1 / 1.5, n_query=len(query),
        )  # fmt: skip


def assert_equal_bits(ours, theirs):
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
def test_tuning_on_ray_beside_the_same_here(record, data, size):
    candidates = [Candidate(k) for k in range(1, 52)]
    with open_pool() as pool:

        def ask_ray():
            return score_candidates_on_ray(data.X, data.y, candidates=candidates, folds=data.folds, pool=pool)

        record.compare(
            f"51 candidates, 4 folds, {N_THREADS} workers of one core", HERE,
            ours=lambda: ask_ray().scores.test["score"], theirs=lambda: score_ours(data, candidates),
            check=np.testing.assert_array_equal, pairs=3 * size.pairs, target=1 / 1.5,
        )  # fmt: skip


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
def test_tuning_beside_tune_sklearn_on_the_same_ray(record, benchmark, require, data):
    """Ours first and then the rival, since the pool's workers hold the CPUs that the rival's trials need."""
    require("TuneGridSearchCV", "tune_sklearn")
    times, found = {"ours": []}, {}
    with open_pool() as pool:

        def ask_ray():
            options = {"candidates": CANDIDATES, "folds": data.folds, "pool": pool}
            return score_candidates_on_ray(data.X, data.y, **options).scores.test["score"].mean

        ask_ray()
        for _ in range(5):
            seconds, found["ours"] = time_call(ask_ray)
            times["ours"].append(seconds)
    seconds, theirs = benchmark.pedantic(
        time_call, args=(search_tune_sklearn, data), kwargs={"stages": (COARSE,)}, rounds=1
    )  # fmt: skip
    np.testing.assert_allclose(theirs, found["ours"], rtol=0, atol=1e-4)
    record.keep_ratio(
        f"{len(COARSE)} candidates, {len(data.y):,} rows, on the same Ray", "TuneGridSearchCV",
        times | {"theirs": [seconds]}, target=50,
    )  # fmt: skip
