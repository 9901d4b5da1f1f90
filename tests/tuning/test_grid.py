"""scikit-learn's grid search over k, and its scores as a table."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor

from energyknn.splitting import fold_rows
from energyknn.study.tools import choose_tool
from energyknn.tuning.grid import scores_from_cv_results, search_grid


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    return X, X.sum(axis=1) + random.normal(size=200)


def test_the_grid_is_scikit_learns(data):
    X, y = data
    search = search_grid(X, y, n_neighbors=(1, 5, 9), folds=fold_rows(200))
    expected = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [1, 5, 9]}, cv=4).fit(X, y)
    scores = scores_from_cv_results(search.cv_results_)
    np.testing.assert_array_equal(scores.mean, expected.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(scores.std, expected.cv_results_["std_test_score"])
    assert scores.n_neighbors[scores.best] == expected.best_params_["n_neighbors"]


def test_progress_is_shown_and_not_kept(data, tmp_path):
    X, y = data
    search = search_grid(
        X, y, n_neighbors=(1, 5), folds=fold_rows(200), callbacks=(ProgressBar(max_propagation_depth=0),)
    )
    joblib.dump(search, tmp_path / "search.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "search.joblib").predict(X[:9]), search.predict(X[:9]))


def test_an_unknown_tool_and_a_gpu_for_the_grid_are_refused():
    with pytest.raises(ValueError, match=r"'skopt' is unknown\. Known are one-search, grid"):
        choose_tool("skopt")
    with pytest.raises(ValueError, match="use_gpu is for"):
        choose_tool("grid", use_gpu=True)
