"""One search per fold scores every k as one search for each k does."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neighbors import KNeighborsRegressor

from energyknn.splitting import Split, fold_rows
from energyknn.tuning import scores_from_cv_results
from energyknn.tuning.one_search import search_once


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 3))
    return X, X.sum(axis=1) + random.normal(size=400)


@pytest.mark.parametrize("engine", ["auto", "brute", "sklearn"])
def test_scores_are_grid_search_cvs_on_data_without_ties(data, engine):
    X, y = data
    candidates = [1, 2, 5, 30, 51, 300]
    grid = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": candidates}, cv=4).fit(X, y)
    expected = scores_from_cv_results(grid.cv_results_)
    scores = search_once(X, y, n_neighbors=candidates, folds=fold_rows(400), engine=engine)
    assert scores.n_neighbors == expected.n_neighbors
    np.testing.assert_allclose(scores.fold_scores, expected.fold_scores, rtol=0, atol=1e-12)
    assert scores.best == expected.best


def test_folds_may_be_any_splitters(data):
    X, y = data
    folds = list(GroupKFold(5).split(X, groups=np.arange(400) // 7))
    grid = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [3, 7]}, cv=folds).fit(X, y)
    scores = search_once(X, y, n_neighbors=[3, 7], folds=[Split(*fold) for fold in folds])
    np.testing.assert_allclose(scores.fold_scores, scores_from_cv_results(grid.cv_results_).fold_scores, atol=1e-12)


def test_a_score_does_not_change_when_candidates_are_added_or_moved(data):
    X, y = data
    few = search_once(X, y, n_neighbors=[9, 2], folds=fold_rows(400))
    many = search_once(X, y, n_neighbors=range(1, 101), folds=fold_rows(400))
    np.testing.assert_array_equal(few.fold_scores, many.fold_scores[[8, 1]])


def test_the_block_of_queries_moves_no_bit(data, monkeypatch):
    X, y = data
    whole = search_once(X, y, n_neighbors=[1, 7], folds=fold_rows(400))
    monkeypatch.setattr("energyknn.tuning.one_search._ROWS_AT_ONCE", 13)
    np.testing.assert_allclose(
        search_once(X, y, n_neighbors=[1, 7], folds=fold_rows(400)).fold_scores, whole.fold_scores, rtol=1e-14
    )


def test_there_is_one_search_for_each_fold(data):
    X, y = data
    asked = []

    def track(steps, description):
        asked.append(description)
        return steps

    search_once(X, y, n_neighbors=range(1, 52), folds=fold_rows(400), track=track)
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "0 candidates and 4 folds"),
        ([0, 3], r"n_neighbors holds 0 \(1 in all\)"),
        ([3, 301], r"holds 301 \(1 in all\).* at most 300, the training rows of fold 0"),
    ],
)
def test_impossible_candidates_are_refused(data, candidates, message):
    X, y = data
    with pytest.raises(ValueError, match=message):
        search_once(X, y, n_neighbors=candidates, folds=fold_rows(400))
