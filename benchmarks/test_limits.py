"""Where does it not pay? One k only, few rows, few or many columns, a process that has just started."""

from __future__ import annotations

import numpy as np
import pytest
from harness.data import make_rows
from harness.memory import run_python
from harness.peers import BRUTE, KD_TREE, N_THREADS, PEERS, check_distances, search_ours
from harness.rivals import GRID, score_ours
from harness.timing import time_call
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors

from energyknn import KNNSearchCV
from energyknn.tuning import Candidate

QUESTION = "where it does not pay"

COLD = """
import numpy as np
{found}
rows = np.random.default_rng(0).normal(size=(2000, 11))
{search}
"""
OURS = COLD.format(
    found="from energyknn.neighbors import search_neighbors", search="search_neighbors(rows, None, 5, engine='blocked')"
)
THEIRS = COLD.format(
    found="from sklearn.neighbors import NearestNeighbors",
    search="NearestNeighbors(n_neighbors=5, algorithm='brute').fit(rows).kneighbors()",
)


def test_tuning_one_k(record, few):
    folds = [tuple(fold) for fold in few.folds]
    model = KNeighborsRegressor(algorithm="brute", n_jobs=N_THREADS)
    grid = GridSearchCV(model, {"n_neighbors": [11]}, cv=folds, refit=False)
    record.compare(
        f"one k only: 1 candidate, {len(few.y):,} rows", GRID,
        ours=lambda: score_ours(few, [Candidate(11)]).mean(),
        theirs=lambda: grid.fit(few.X, few.y).best_score_,
        check=lambda ours, theirs: np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4), pairs=5,
    )  # fmt: skip


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree"])
@pytest.mark.parametrize("n_train", [50, 500])
def test_few_rows(record, n_train, algorithm):
    rows = make_rows("normal", 2 * n_train, 11)
    train, query = rows[:n_train], rows[n_train:]
    finder = NearestNeighbors(n_neighbors=5, algorithm=algorithm)  # one thread, its default: threads cost it more here
    record.compare(
        f"few rows: {n_train} x 11, k = 5", f"scikit-learn {algorithm}",
        ours=lambda: search_ours(train, query, 5), theirs=lambda: finder.fit(train).kneighbors(query),
        check=check_distances, pairs=25,
    )  # fmt: skip


def test_tuning_few_rows(record, problems):
    made = problems("diabetes")
    grid, cv = {"n_neighbors": [1, 5, 9]}, KFold(4)
    search = GridSearchCV(KNeighborsRegressor(), grid, cv=cv, refit=False)
    ours = KNNSearchCV(grid, cv=cv, refit=False)
    record.compare(
        f"few rows: 3 candidates, diabetes, {len(made.train)} rows", GRID,
        ours=lambda: ours.fit(made.train, made.y_train).cv_results_["mean_test_score"],
        theirs=lambda: search.fit(made.train, made.y_train).cv_results_["mean_test_score"],
        check=lambda found, expected: np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12), pairs=25,
    )  # fmt: skip


@pytest.mark.parametrize("n_features", [128, 512])
def test_many_columns(record, size, n_features):
    n_train = size.growth_rows[1]
    rows = make_rows("normal", n_train + 500, n_features)
    arguments = rows[:n_train], rows[n_train:], 5
    record.compare(
        f"many columns: {n_train:,} x {n_features}, k = 5", BRUTE,
        ours=lambda: search_ours(*arguments), theirs=lambda: PEERS[BRUTE].search(*arguments), check=check_distances,
        pairs=9,
    )  # fmt: skip


@pytest.mark.parametrize("peer", [KD_TREE, "pykdtree", "scipy"])
def test_few_columns(record, size, find_peer, peer):
    found, n_train = find_peer(peer), size.growth_rows[-1]
    rows = make_rows("normal", n_train + size.slow_queries, 2)
    arguments = rows[:n_train], rows[n_train:], 1
    record.compare(
        f"few columns: {n_train:,} x 2, k = 1", peer,
        ours=lambda: search_ours(*arguments), theirs=lambda: found.search(*arguments), check=check_distances, pairs=9,
    )  # fmt: skip


def test_cold_start(record, benchmark, size):
    times = {"ours": [], "theirs": []}

    def run():
        for side, script in (("ours", OURS), ("theirs", THEIRS)):
            times[side].append(time_call(run_python, "-c", script)[0])

    benchmark.pedantic(run, rounds=size.processes)
    record.keep_ratio("cold start: a process, 2,000 x 11, k = 5", BRUTE, times)
