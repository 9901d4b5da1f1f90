"""How fast is a grid search that somebody has? `from_grid_search` against the search itself, with answers checked."""

from __future__ import annotations

import numpy as np
import pytest
from harness.rivals import GRID
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, make_classification, make_regression
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from energyknn import from_grid_search

QUESTION = "tuning"
BOTH = ["uniform", "distance"]


SCALED = Pipeline([("scaler", StandardScaler()), ("knn", KNeighborsClassifier())])
NOTEBOOKS = {
    "breast cancer: scaler, 30 k, 2 weights, 2 metrics, 10 folds": (
        load_breast_cancer,
        GridSearchCV(
            SCALED,
            {"knn__n_neighbors": range(1, 31), "knn__weights": BOTH, "knn__metric": ["euclidean", "manhattan"]},
            cv=10,
        ),
    ),
    "digits: 10 k, 2 weights, p 1 and 2, 5 folds": (
        load_digits,
        GridSearchCV(KNeighborsClassifier(), {"n_neighbors": range(1, 11), "weights": BOTH, "p": [1, 2]}, cv=5),
    ),
    "diabetes: 25 k, 2 weights, 4 algorithms, 3 leaf sizes, 5 folds": (
        load_diabetes,
        GridSearchCV(
            KNeighborsRegressor(),
            {
                "n_neighbors": range(1, 50, 2),
                "weights": BOTH,
                "algorithm": ["auto", "ball_tree", "kd_tree", "brute"],
                "leaf_size": [10, 30, 50],
            },
            cv=5,
        ),
    ),
}
"""Grids as people write them in notebooks, on data that ship with scikit-learn."""


def compare(record, name, search, X, y, *, target, timed=None, pairs=1, atol=1e-9):
    """Time both searches. Where the given one would take long, `timed` has a part of its candidates."""
    fast = from_grid_search(search)
    slow, factor = clone(search), 1.0
    if timed is not None:
        slow, factor = timed, len(ParameterGrid(search.param_grid)) / len(ParameterGrid(timed.param_grid))

    def fit(estimator):
        results = estimator.fit(X, y).cv_results_
        names = [name for name in results if name.startswith("mean_test")]
        return {str(params): [results[name][at] for name in names] for at, params in enumerate(results["params"])}

    def check(ours, theirs):
        for params, scores in theirs.items():
            np.testing.assert_allclose(ours[params], scores, rtol=0, atol=atol)

    record.compare(
        name, GRID, ours=lambda: fit(fast), theirs=lambda: fit(slow), check=check, pairs=pairs, n_ours=3,
        factor=factor, check_first=False, target=target,
    )  # fmt: skip


def grid(estimator, params, **options):
    """Return a grid search that uses every core, and does not refit."""
    return GridSearchCV(estimator, params, n_jobs=-1, refit=False, **options)


@pytest.mark.parametrize(
    ("candidates", "timed", "target"),
    [
        ({"n_neighbors": [*range(1, 52, 10), *range(11, 17)]}, {"n_neighbors": [1, 51]}, 150),
        ({"n_neighbors": range(1, 52), "weights": BOTH}, {"n_neighbors": [1, 51], "weights": BOTH}, 1000),
    ],
)
def test_tracks(record, data, candidates, timed, target):
    search, part = (grid(KNeighborsRegressor(), params, cv=list(data.folds)) for params in (candidates, timed))
    name = (
        f"tracks: {len(ParameterGrid(candidates))} candidates, 4 folds ({len(ParameterGrid(timed))} timed, multiplied)"
    )
    # rows of tracks tie, and scikit-learn's brute force can put rows that coincide 1e-8 apart, which weights show
    compare(record, name, search, data.X, data.y, target=target, timed=part, atol=1e-3)


def test_classes(record, size):
    X, y = make_classification(size.classes_rows, 20, n_informative=10, n_classes=5, random_state=0)
    options = {"cv": 5, "scoring": ["accuracy", "neg_log_loss"]}
    search = grid(KNeighborsClassifier(), {"n_neighbors": range(1, 60, 2), "weights": BOTH}, **options)
    part = grid(KNeighborsClassifier(), {"n_neighbors": [1, 59], "weights": BOTH}, **options)
    name = f"classes: 60 candidates, 5 folds, {len(y):,} x 20, 5 classes (4 timed, multiplied)"
    compare(record, name, search, X, y, target=100, timed=part)


def test_steps(record, size):
    X, y = make_regression(size.classes_rows // 2, 20, noise=10, random_state=0)
    pipeline = Pipeline([("pca", PCA()), ("knn", KNeighborsRegressor())])
    search = grid(pipeline, {"pca__n_components": [4, 8, 12], "knn__n_neighbors": range(1, 31)}, cv=5)
    part = grid(pipeline, {"pca__n_components": [4, 8, 12], "knn__n_neighbors": [1, 30]}, cv=5)
    name = f"a pipeline: 3 settings of PCA x 30 k, 5 folds, {len(y):,} x 20 (6 timed, multiplied)"
    compare(record, name, search, X, y, target=15, timed=part)


@pytest.mark.parametrize(
    ("n_rows", "n_features", "candidates", "target"),
    [(1000, 10, {"n_neighbors": range(1, 31), "weights": BOTH}, 10), (200, 5, {"n_neighbors": range(1, 6)}, 1)],
)
def test_few_rows(record, n_rows, n_features, candidates, target):
    X, y = make_regression(n_rows, n_features, noise=10, random_state=0)
    search = GridSearchCV(KNeighborsRegressor(), candidates, refit=False)
    n_candidates = int(np.prod([len(values) for values in candidates.values()]))
    name = f"few rows: {n_candidates} candidates, 5 folds, {n_rows:,} x {n_features}"
    compare(record, name, search, X, y, target=target, pairs=5)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebooks(record, name):
    load, search = NOTEBOOKS[name]
    X, y = load(return_X_y=True)
    X = X + np.random.default_rng(0).normal(scale=1e-6, size=X.shape)  # so that no rows tie
    compare(record, name, search.set_params(refit=False, n_jobs=-1), X, y, target=None, pairs=3)
