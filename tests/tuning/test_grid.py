"""Tuning: the immutable table of scores, and scikit-learn's grid behind it."""

from __future__ import annotations

import joblib
import numpy as np
import pytest
from sklearn.callback import ProgressBar
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor

from energyknn.splitting import fold_rows
from energyknn.study.tools import choose_search
from energyknn.tuning import SearchScores, scores_from_cv_results
from energyknn.tuning.grid import search_grid


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 3))
    return X, X.sum(axis=1) + random.normal(size=200)


def test_scores_are_summed_up_as_in_cv_results():
    scores = SearchScores((3, 1, 2), np.array([[0.1, 0.2], [0.5, 0.3], [0.4, 0.4]]))
    np.testing.assert_allclose(scores.mean_test_score, [0.15, 0.4, 0.4])
    np.testing.assert_allclose(scores.std_test_score, [0.05, 0.1, 0.0], atol=1e-15)
    assert scores.best == 1


def test_scores_cannot_be_changed():
    given = np.array([[0.1, 0.2]])
    scores = SearchScores((3,), given)
    given[0, 0] = 9
    assert scores.fold_scores[0, 0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        scores.fold_scores[0, 0] = 1


@pytest.mark.parametrize("scores", [np.zeros((1, 2)), np.zeros(2), np.zeros((2, 0)), np.zeros((3, 2))])
def test_scores_of_another_shape_are_refused(scores):
    with pytest.raises(ValueError, match="for 2 candidates"):
        SearchScores((1, 2), scores)


def test_the_grid_is_scikit_learns(data):
    X, y = data
    search = search_grid(X, y, n_neighbors=(1, 5, 9), folds=fold_rows(200))
    expected = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [1, 5, 9]}, cv=4).fit(X, y)
    scores = scores_from_cv_results(search.cv_results_)
    np.testing.assert_array_equal(scores.mean_test_score, expected.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(scores.std_test_score, expected.cv_results_["std_test_score"])
    assert scores.best == expected.best_params_["n_neighbors"]


def test_progress_is_shown_and_not_kept(data, tmp_path):
    X, y = data
    search = search_grid(
        X, y, n_neighbors=(1, 5), folds=fold_rows(200), callbacks=(ProgressBar(max_propagation_depth=0),)
    )
    joblib.dump(search, tmp_path / "search.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "search.joblib").predict(X[:9]), search.predict(X[:9]))


def test_an_unknown_tool_and_a_gpu_for_the_grid_are_refused():
    with pytest.raises(ValueError, match=r"'skopt' is unknown\. Known are one-search, grid"):
        choose_search("skopt")
    with pytest.raises(ValueError, match="use_gpu is for"):
        choose_search("grid", use_gpu=True)
