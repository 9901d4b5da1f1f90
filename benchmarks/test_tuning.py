"""How fast is tuning? One search per fold against scikit-learn's grid search, and against what people use instead.

A grid of 102 candidates is timed on a part of them and multiplied: its candidates are fitted and scored one by one,
so each costs the same.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from harness.peers import N_THREADS
from harness.rivals import GRID, RIVALS, score_ours, score_two_stages, search_grid, search_two_grids
from harness.timing import time_call
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsRegressor

from energyknn.neighbors.weighting import KERNELS
from energyknn.tuning import Candidate, score_candidates, score_leave_one_out

QUESTION = "tuning"
WEIGHTS = ("uniform", "distance", *KERNELS)


@pytest.fixture(scope="module")
def grid_run(data):
    """Run the notebook's two searches by scikit-learn, once for the cases that compare with them."""
    seconds, means = time_call(search_two_grids, data)
    return SimpleNamespace(seconds=seconds, means=means)


@pytest.mark.parametrize(("engine", "target"), [("auto", 150), ("sklearn", 8)])
def test_the_notebooks_two_searches(record, benchmark, data, grid_run, engine, target):
    times = []

    def run():
        seconds, means = time_call(score_two_stages, data, engine=engine)
        times.append(seconds)
        return means

    means = run()
    np.testing.assert_allclose(means, grid_run.means, rtol=0, atol=1e-5)  # rows that tie may have other neighbours
    assert np.argmax(means[:6]) == np.argmax(grid_run.means[:6])
    assert np.argmax(means[6:]) == np.argmax(grid_run.means[6:])
    benchmark.pedantic(run, rounds=3 if engine == "auto" else 2)
    record.keep_ratio(
        f"12 candidates, 4 folds, engine {engine}", GRID,
        {"ours": times[1:], "theirs": [grid_run.seconds]}, target=target,
    )  # fmt: skip


def test_every_k_to_51_uniform_and_distance(record, data):
    every = [Candidate(k, weights) for weights in ("uniform", "distance") for k in range(1, 52)]
    timed = {"n_neighbors": [1, 51], "weights": ["uniform", "distance"]}

    def check(ours, theirs):
        by_candidate = dict(zip(every, ours.mean(axis=1), strict=True))
        for params, mean in zip(theirs["params"], theirs["mean_test_score"], strict=True):
            # scikit-learn's brute force can put rows that coincide 1e-8 apart, which "distance" weights show
            assert by_candidate[Candidate(params["n_neighbors"], params["weights"])] == pytest.approx(mean, abs=1e-3)

    record.compare(
        "102 candidates, 4 folds (4 timed, multiplied)", GRID,
        ours=lambda: score_ours(data, every), theirs=lambda: search_grid(data, timed), check=check,
        pairs=1, n_ours=3, factor=len(every) / 4, check_first=False, target=1000,
    )  # fmt: skip


def test_every_k_to_200_with_every_weighting(record, benchmark, data):
    every = [Candidate(k, weights) for weights in WEIGHTS for k in range(1, 201)]
    some = [Candidate(k, weights) for weights in WEIGHTS for k in (1, 20, 200)]
    found, expected = score_ours(data, every), score_ours(data, some)  # the few are weighed one by one
    places = [every.index(candidate) for candidate in some]
    np.testing.assert_allclose(found[places], expected, rtol=0, atol=1e-9)
    times = {"one": [], "every": []}

    def run():
        for name, candidates in (("one", [Candidate(200)]), ("every", every)):
            times[name].append(time_call(score_ours, data, candidates)[0])

    benchmark.pedantic(run, rounds=5, iterations=1)
    record.keep_value(
        f"200 k x {len(WEIGHTS)} weightings, {np.median(times['every']):.2f} s",
        np.array(times["every"]) / np.array(times["one"]), unit="times k = 200 alone", at_most=2.0,
    )  # fmt: skip


def test_leave_one_out(record, benchmark, data):
    candidates = [Candidate(k) for k in range(1, 52)]
    times, found = {"folds": [], "out": []}, {}

    def run():
        times["folds"].append(time_call(score_ours, data, candidates)[0])
        seconds, found["out"] = time_call(score_leave_one_out, data.X, data.y, candidates=candidates, n_jobs=N_THREADS)
        times["out"].append(seconds)

    score_ours(data, candidates)
    benchmark.pedantic(run, rounds=5, iterations=1)
    model = KNeighborsRegressor(14, algorithm="brute", n_jobs=N_THREADS).fit(data.X, data.y)
    expected = r2_score(data.y, model.predict(None))
    assert found["out"]["score"][13] == pytest.approx(expected, abs=1e-4)
    record.keep_value(
        f"leave-one-out of {len(data.y):,} rows, 51 k, {np.median(times['out']):.2f} s",
        np.array(times["out"]) / np.array(times["folds"]), unit="times a 4-fold search", at_most=3.0,
    )  # fmt: skip


def test_training_scores_from_one_search_over_all_rows(record, data):
    candidates = [Candidate(k) for k in range(1, 52)]

    def score(*, shared):
        return score_candidates(
            data.X, data.y, candidates=candidates, folds=data.folds, with_train=True, shared=shared
        )  # fmt: skip

    def check(ours, theirs):
        for side in ("test", "train", "train_without_self"):
            np.testing.assert_array_equal(getattr(ours, side)["score"], getattr(theirs, side)["score"])

    record.compare(
        "training scores too, one search over all rows", "energyknn, one search for each fold",
        ours=lambda: score(shared=True), theirs=lambda: score(shared=False), check=check,
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.ray] if "ray" in RIVALS[name].modules else []) for name in RIVALS]
)
def test_beside_it(record, benchmark, require, few, tmp_path, name):
    rival = RIVALS[name]
    require(name, *rival.modules)

    def check(ours, theirs):
        if rival.scores_all:
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4)
        elif name.startswith("Optuna"):
            assert theirs <= ours.max() + 1e-2
        else:  # it scores on rows that it draws
            assert theirs == pytest.approx(ours.max(), abs=0.1)

    record.compare(
        f"12 candidates, {len(few.y):,} rows", name,
        ours=lambda: score_two_stages(few), theirs=lambda: rival.search(few, tmp_path), check=check,
        pairs=1, n_ours=3, check_first=False,
    )  # fmt: skip
    if (tmp_path / "log").is_file():
        searches = len((tmp_path / "log").read_text(encoding="ascii"))
        benchmark.extra_info.update(searches=searches)
        record.lines.append(f"{name}: {searches} searches, as a fit is cached and a prediction is not")
