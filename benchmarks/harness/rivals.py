"""What people tune neighbours with: one function for each, from data to the mean score of every candidate."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Memory
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor, KNeighborsTransformer
from sklearn.pipeline import make_pipeline

from energyknn.tuning import Candidate, score_candidates
from harness.peers import N_THREADS

COARSE, MICRO = range(1, 52, 10), range(11, 17)
BOTH = (*COARSE, *MICRO)
GRID = "scikit-learn GridSearchCV"


@dataclass(frozen=True)
class Rival:
    """A way to tune; `search(data, folder)` returns scores to hold against ours."""

    name: str
    search: Callable[[Any, Path], Any]
    modules: tuple[str, ...] = ("sklearn",)
    scores_all: bool = True  # every candidate of BOTH, in that order; else the best score alone


def score_ours(data, candidates, **options):
    """Score candidates fold by fold as users do."""
    scores = score_candidates(data.X, data.y, candidates=candidates, folds=data.folds, n_jobs=N_THREADS, **options)
    return scores.test["score"].values


def score_two_stages(data, **options):
    """Score what the notebook's two searches score, from one search per fold."""
    candidates = [Candidate(k) for k in dict.fromkeys(BOTH)]
    means = dict(zip(candidates, score_ours(data, candidates, **options).mean(axis=1), strict=True))
    return np.array([means[Candidate(k)] for k in BOTH])


def search_grid(data, grid):
    """Search with scikit-learn's grid, the cores shared by its candidates."""
    model = KNeighborsRegressor(algorithm="brute")
    folds = [tuple(fold) for fold in data.folds]
    return GridSearchCV(model, grid, cv=folds, n_jobs=-1, refit=False).fit(data.X, data.y).cv_results_


def search_two_grids(data, folder=None):  # noqa: ARG001 - rivals are called alike
    """Run the notebook's two searches; return the mean scores of their candidates."""
    found = [search_grid(data, {"n_neighbors": list(sizes)})["mean_test_score"] for sizes in (COARSE, MICRO)]
    return np.concatenate(found)


def search_by_hand(data, folder=None):  # noqa: ARG001 - rivals are called alike
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
        with Path(self.log).open("a", encoding="ascii") as log:
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


def search_by_halving(data, folder=None):  # noqa: ARG001 - rivals are called alike
    """Halve the candidates while the rows are doubled; what it keeps depends on what it draws."""
    importlib.import_module("sklearn.experimental.enable_halving_search_cv")
    search_cv = importlib.import_module("sklearn.model_selection").HalvingGridSearchCV
    sizes = {"n_neighbors": sorted(set(BOTH))}
    search = search_cv(
        KNeighborsRegressor(algorithm="brute"), sizes, cv=len(data.folds), n_jobs=-1, refit=False, factor=2,
        min_resources=len(data.y) // 4, random_state=0,
    ).fit(data.X, data.y)  # fmt: skip
    return search.best_score_


def search_tune_sklearn(data, folder=None, stages=(COARSE, MICRO)):  # noqa: ARG001 - rivals are called alike
    """Search with the notebook's own tool, through the adapter to today's Ray."""
    module = importlib.import_module("energyknn.tuning.tune_sklearn")
    folds = [tuple(fold) for fold in data.folds]
    found = []
    for sizes in stages:
        grid = {"n_neighbors": list(sizes)}
        search = module.TuneGridSearchCV(KNeighborsRegressor(algorithm="brute"), grid, cv=folds, n_jobs=-1, refit=False)
        results = search.fit(data.X, data.y).cv_results_
        means = dict(zip(results["param_n_neighbors"], results["mean_test_score"], strict=True))
        found += [means[k] for k in sizes]
    return np.array(found)


def search_optuna(data, folder=None):  # noqa: ARG001 - rivals are called alike
    """Search with Optuna's sampler, as many trials as the notebook had candidates."""
    optuna = importlib.import_module("optuna")
    search_cv = importlib.import_module("optuna_integration").OptunaSearchCV
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = {"n_neighbors": optuna.distributions.IntDistribution(1, 51)}
    folds = [tuple(fold) for fold in data.folds]
    search = search_cv(
        KNeighborsRegressor(algorithm="brute", n_jobs=-1), space, cv=folds, n_trials=12, refit=False, random_state=0
    ).fit(data.X, data.y)
    return search.best_score_


RIVALS = {
    rival.name: rival
    for rival in (
        Rival(GRID, search_two_grids),
        Rival("kneighbors(51) by hand", search_by_hand),
        Rival("pipeline with a cache", search_with_cache),
        Rival("HalvingGridSearchCV", search_by_halving, scores_all=False),
        Rival("TuneGridSearchCV", search_tune_sklearn, modules=("ray", "tune_sklearn")),
        Rival(
            "OptunaSearchCV, 12 trials", search_optuna, modules=("optuna", "optuna_integration"), scores_all=False
        ),
    )
}  # fmt: skip
