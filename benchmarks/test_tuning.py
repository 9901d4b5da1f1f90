"""How fast is tuning? One search per fold against scikit-learn's grid search, and against what people use instead.

Every case checks its scores. Each round of a peer is preceded by a round of ours. A grid of 102 candidates is
timed on a part of them and multiplied: its candidates are fitted and scored one by one, so each costs the same.

ENERGYKNN_DATA names the file to tune on. Without it, synthetic tracks of the same size stand in.
"""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from joblib import Memory, cpu_count
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor, KNeighborsTransformer
from sklearn.pipeline import make_pipeline

from energyknn.loading import load_table
from energyknn.splitting import fold_rows
from energyknn.study import Protocol, prepare
from energyknn.synthesis import synthesise_tracks
from energyknn.tuning.candidates import Candidate, score_candidates, score_leave_one_out
from energyknn.weighting import KERNELS

COARSE, MICRO = range(1, 52, 10), range(11, 17)
BOTH = (*COARSE, *MICRO)
N_ROWS = 172_491
N_THREADS = cpu_count()
N_BESIDE = 20_000  # rows for what takes minutes on all
WEIGHTS = ("uniform", "distance", *KERNELS)


@pytest.fixture(scope="module")
def report(request):
    """Collect lines, and print them when all is done."""
    lines = [f"{N_THREADS} threads"]
    yield lines
    terminal = request.config.pluginmanager.getplugin("terminalreporter")
    with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        terminal.ensure_newline()
        terminal.section("tuning: how many times faster")
        for line in lines:
            terminal.write_line(line)


@pytest.fixture(scope="module")
def data(report):
    """Training rows as the notebook has them."""
    path = os.environ.get("ENERGYKNN_DATA")
    report.append(
        f"data: {Path(path).name}" if path else f"data: {N_ROWS} synthetic tracks, as ENERGYKNN_DATA names no file"
    )
    table = load_table(path) if path else synthesise_tracks(N_ROWS, random_state=0)
    prepared = prepare(table, Protocol())
    return SimpleNamespace(X=prepared.X_train.to_numpy(), y=prepared.y_train, folds=prepared.folds)


@pytest.fixture(scope="module")
def few(data):
    """Choose a part of them, for peers that would need minutes for all."""
    chosen = np.random.default_rng(0).permutation(len(data.y))[:N_BESIDE]
    return SimpleNamespace(X=data.X[chosen], y=data.y[chosen], folds=fold_rows(len(chosen)))


def score_ours(data, candidates, **options):
    return score_candidates(data.X, data.y, candidates=candidates, folds=data.folds, n_jobs=N_THREADS, **options).test[
        "score"
    ]


def search_grid(data, grid):
    model = KNeighborsRegressor(algorithm="brute")
    folds = [tuple(fold) for fold in data.folds]
    return GridSearchCV(model, grid, cv=folds, n_jobs=-1, refit=False).fit(data.X, data.y).cv_results_


def search_two_grids(data):
    """Run the notebook's two searches; return the mean scores of their candidates."""
    found = [search_grid(data, {"n_neighbors": list(sizes)})["mean_test_score"] for sizes in (COARSE, MICRO)]
    return np.concatenate(found)


def score_two_stages(data, **options):
    """Score what the notebook's two searches score, from one search per fold."""
    candidates = [Candidate(k) for k in dict.fromkeys(BOTH)]
    means = dict(zip(candidates, score_ours(data, candidates, **options).mean(axis=1), strict=True))
    return np.array([means[Candidate(k)] for k in BOTH])


def time_call(function, *arguments, **options):
    start = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - start, result


def compare(benchmark, peer, ours, *, rounds=1, n_ours=3, factor=1.0):
    """Time a peer, ours before each of its rounds; return the ratios and both results."""
    times, results = {"ours": [], "peer": []}, {}

    def run_ours():
        for _ in range(n_ours):
            seconds, results["ours"] = time_call(ours)
            times["ours"].append(seconds)

    def run_peer():
        seconds, results["peer"] = time_call(peer)
        times["peer"].append(seconds * factor)

    ours()
    benchmark.pedantic(run_peer, setup=run_ours, rounds=rounds, iterations=1)
    ratios = np.median(times["peer"]) / np.array(times["ours"])
    benchmark.extra_info.update(
        ours_seconds=min(times["ours"]), peer_seconds=min(times["peer"]), times_faster=float(np.median(ratios)),
        times_faster_range=[float(ratios.min()), float(ratios.max())], threads=N_THREADS,
    )  # fmt: skip
    return ratios, times, results


def describe(ratios, times):
    spread = f"{np.median(ratios):7.1f} times ({ratios.min():.1f} to {ratios.max():.1f})"
    return f"{spread}, ours {np.median(times['ours']):.3f} s, peer {np.median(times['peer']):.1f} s"


@pytest.fixture(scope="module")
def grid_run(data):
    """Run the notebook's two searches by scikit-learn, once for the cases that compare with them."""
    seconds, means = time_call(search_two_grids, data)
    return SimpleNamespace(seconds=seconds, means=means)


@pytest.mark.parametrize(("engine", "target"), [("auto", 150), ("sklearn", 8)])
def test_the_notebooks_two_searches(benchmark, report, data, grid_run, engine, target):
    benchmark.group = "tuning: the notebook's two searches"
    score_ours(data, [Candidate(1)])
    seconds, means = time_call(score_two_stages, data, engine=engine)
    rounds = 3 if engine == "auto" else 1
    times = [seconds]
    benchmark.pedantic(lambda: times.append(time_call(score_two_stages, data, engine=engine)[0]), rounds=rounds)
    np.testing.assert_allclose(means, grid_run.means, rtol=0, atol=1e-5)  # rows that tie may have other neighbours
    assert np.argmax(means[:6]) == np.argmax(grid_run.means[:6])
    assert np.argmax(means[6:]) == np.argmax(grid_run.means[6:])
    ratios = grid_run.seconds / np.array(times)
    benchmark.extra_info.update(
        target=target, times_faster=float(np.median(ratios)), peer_seconds=grid_run.seconds, ours_seconds=min(times)
    )
    report.append(
        f"12 candidates, 4 folds, engine {engine:<8}| at least {target:>4} | "
        f"{describe(ratios, {'ours': times, 'peer': [grid_run.seconds]})} (GridSearchCV)"
    )


def test_every_k_to_51_uniform_and_distance(benchmark, report, data):
    benchmark.group = "tuning: 102 candidates"
    every = [Candidate(k, weights) for weights in ("uniform", "distance") for k in range(1, 52)]
    timed = {"n_neighbors": [1, 51], "weights": ["uniform", "distance"]}
    ratios, times, results = compare(
        benchmark, lambda: search_grid(data, timed), lambda: score_ours(data, every), factor=len(every) / 4
    )
    by_candidate = dict(zip(every, results["ours"].mean(axis=1), strict=True))
    for params, mean in zip(results["peer"]["params"], results["peer"]["mean_test_score"], strict=True):
        # scikit-learn's brute force can put rows that coincide 1e-8 apart, which "distance" weights show
        assert by_candidate[Candidate(params["n_neighbors"], params["weights"])] == pytest.approx(mean, abs=1e-3)
    benchmark.extra_info.update(target=1000)
    report.append(
        f"102 candidates, 4 folds                | at least 1000 | {describe(ratios, times)} "
        "(GridSearchCV, 4 candidates timed and multiplied)"
    )


def test_every_k_to_200_with_every_weighting(benchmark, report, data):
    benchmark.group = "tuning: 200 k and every weighting"
    every = [Candidate(k, weights) for weights in WEIGHTS for k in range(1, 201)]
    one = [Candidate(200)]
    score_ours(data, every)
    times = {"one": [], "every": []}

    def run():
        for name, candidates in (("one", one), ("every", every)):
            times[name].append(time_call(score_ours, data, candidates)[0])

    benchmark.pedantic(run, rounds=5, iterations=1)
    some = [Candidate(k, weights) for weights in WEIGHTS for k in (1, 20, 200)]
    found, expected = score_ours(data, every), score_ours(data, some)  # the few are weighed one by one
    places = [every.index(candidate) for candidate in some]
    np.testing.assert_allclose(found[places], expected, rtol=0, atol=1e-9)
    ratios = np.array(times["every"]) / np.array(times["one"])
    benchmark.extra_info.update(target=2.0, times=float(np.median(ratios)))
    report.append(
        f"200 k x {len(WEIGHTS)} weightings take {np.median(ratios):.2f} times k = 200 alone "
        f"({ratios.min():.2f} to {ratios.max():.2f}; at most 2): {np.median(times['every']):.2f} s and "
        f"{np.median(times['one']):.2f} s"
    )


def test_leave_one_out(benchmark, report, data):
    benchmark.group = "tuning: leave-one-out"
    candidates = [Candidate(k) for k in range(1, 52)]
    times = {"folds": [], "out": []}
    found = {}

    def run():
        times["folds"].append(time_call(score_ours, data, candidates)[0])
        seconds, found["out"] = time_call(score_leave_one_out, data.X, data.y, candidates=candidates, n_jobs=N_THREADS)
        times["out"].append(seconds)

    score_ours(data, candidates)
    benchmark.pedantic(run, rounds=5, iterations=1)
    model = KNeighborsRegressor(14, algorithm="brute", n_jobs=N_THREADS).fit(data.X, data.y)
    expected = r2_score(data.y, model.predict(None))
    assert found["out"]["score"][13] == pytest.approx(expected, abs=1e-4)
    ratios = np.array(times["out"]) / np.array(times["folds"])
    benchmark.extra_info.update(target=3.0, times=float(np.median(ratios)))
    report.append(
        f"leave-one-out of {len(data.y)} rows, 51 k, takes {np.median(ratios):.2f} times a 4-fold search "
        f"({ratios.min():.2f} to {ratios.max():.2f}; less than 3): {np.median(times['out']):.2f} s"
    )


def test_training_scores_from_one_search_over_all_rows(benchmark, report, data):
    benchmark.group = "tuning: shared search"
    candidates = [Candidate(k) for k in range(1, 52)]
    times, found = {True: [], False: []}, {}

    def run():
        for shared in times:
            seconds, found[shared] = time_call(
                score_candidates,
                data.X,
                data.y,
                candidates=candidates,
                folds=data.folds,
                with_train=True,
                shared=shared,
            )
            times[shared].append(seconds)

    benchmark.pedantic(run, rounds=3, iterations=1)
    for side in ("test", "train", "train_without_self"):
        np.testing.assert_array_equal(getattr(found[True], side)["score"], getattr(found[False], side)["score"])
    ratios = np.array(times[False]) / np.array(times[True])
    benchmark.extra_info.update(times_faster=float(np.median(ratios)))
    report.append(
        f"training scores too: one search over all rows takes {np.median(times[True]):.2f} s, one for each fold "
        f"{np.median(ratios):.2f} times that ({ratios.min():.2f} to {ratios.max():.2f})"
    )


def search_by_hand(data):
    """Do what people write by hand: one kneighbors(51) for each fold, and a mean for each k."""
    scores = np.empty((len(BOTH), len(data.folds)))
    for number, (train, test) in enumerate(data.folds):
        model = KNeighborsRegressor(51, algorithm="brute", n_jobs=-1).fit(data.X[train], data.y[train])
        neighbors = data.y[train][model.kneighbors(data.X[test], return_distance=False)]
        for row, k in enumerate(BOTH):
            scores[row, number] = r2_score(data.y[test], neighbors[:, :k].mean(axis=1))
    return scores.mean(axis=1)


class CountingTransformer(KNeighborsTransformer):
    """Writes a letter for each search into a file: the searches run in other processes."""

    def __init__(self, *, log=None, n_neighbors=51, mode="distance", algorithm="brute"):
        super().__init__(n_neighbors=n_neighbors, mode=mode, algorithm=algorithm)
        self.log = log

    def transform(self, X):
        """Search, and note it."""
        with Path(self.log).open("a") as log:
            log.write("s")
        return super().transform(X)


def search_with_cache(data, folder):
    """Search with the pipeline of scikit-learn's user guide, which caches the graph of neighbours."""
    pipeline = make_pipeline(
        CountingTransformer(log=str(folder / "log")),
        KNeighborsRegressor(metric="precomputed"),
        memory=Memory(folder, verbose=0),
    )
    folds = [tuple(fold) for fold in data.folds]
    sizes = {"kneighborsregressor__n_neighbors": sorted(set(BOTH))}
    found = GridSearchCV(pipeline, sizes, cv=folds, n_jobs=-1, refit=False).fit(data.X, data.y).cv_results_
    means = dict(zip(sizes["kneighborsregressor__n_neighbors"], found["mean_test_score"], strict=True))
    return np.array([means[k] for k in BOTH])


def search_tune_sklearn(data):
    module = importlib.import_module("energyknn.tuning.tune_sklearn")
    folds = [tuple(fold) for fold in data.folds]
    found = []
    for sizes in (COARSE, MICRO):
        grid = {"n_neighbors": list(sizes)}
        search = module.TuneGridSearchCV(KNeighborsRegressor(algorithm="brute"), grid, cv=folds, n_jobs=-1, refit=False)
        results = search.fit(data.X, data.y).cv_results_
        means = dict(zip(results["param_n_neighbors"], results["mean_test_score"], strict=True))
        found += [means[k] for k in sizes]
    return np.array(found)


def search_optuna(data):
    optuna = importlib.import_module("optuna")
    search_cv = importlib.import_module("optuna_integration").OptunaSearchCV
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {"n_neighbors": optuna.distributions.IntDistribution(1, 51)}
    folds = [tuple(fold) for fold in data.folds]
    search = search_cv(
        KNeighborsRegressor(algorithm="brute", n_jobs=-1), space, cv=folds, n_trials=12, refit=False, random_state=0
    ).fit(data.X, data.y)
    return search.best_score_


BESIDE = {
    "scikit-learn's GridSearchCV": (search_two_grids, None),
    "kneighbors(51) by hand": (search_by_hand, None),
    "pipeline with a cache": (search_with_cache, None),
    "TuneGridSearchCV": (search_tune_sklearn, "energyknn.tuning.tune_sklearn"),
    "OptunaSearchCV, 12 trials": (search_optuna, "optuna_integration"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("peer", BESIDE)
def test_beside_it(benchmark, report, few, tmp_path, peer):
    benchmark.group = f"tuning: {N_BESIDE} rows"
    search, module = BESIDE[peer]
    if module is not None:
        try:
            importlib.import_module(module)
        except ImportError:
            report.append(f"{N_BESIDE} rows | {peer:<28} | missing: {module} is not installed")
            pytest.skip(f"{module} is not installed")
    arguments = (few, tmp_path) if search is search_with_cache else (few,)
    ratios, times, results = compare(benchmark, lambda: search(*arguments), lambda: score_two_stages(few))
    if search is search_optuna:
        assert results["peer"] <= results["ours"].max() + 1e-2
    else:
        np.testing.assert_allclose(results["peer"], results["ours"], rtol=0, atol=1e-4)
    note = ""
    if search is search_with_cache:
        n_searches = len((tmp_path / "log").read_text())
        benchmark.extra_info.update(searches=n_searches)
        note = f", {n_searches} searches: a fit is cached, a prediction is not"
    report.append(f"{N_BESIDE} rows | {peer:<28} | {describe(ratios, times)}{note}")
