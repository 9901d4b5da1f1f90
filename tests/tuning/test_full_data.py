"""Tuning on the whole real file: scikit-learn's scores but for rows that tie, each of them accounted for."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsRegressor

from energyknn.loading import load_table
from energyknn.neighbors import search_neighbors
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, prepare
from energyknn.tuning import Candidate, score_candidates

pytestmark = pytest.mark.full_data

SIZES = range(1, 52)


@pytest.fixture(scope="module")
def data(full_data):
    prepared = prepare(load_table(full_data, SPOTIFY), Protocol())
    return prepared.X_train.to_numpy(), prepared.y_train, prepared.folds


@pytest.fixture(scope="module")
def folds(data):
    """Predictions of every k on each fold, by scikit-learn and by ours, and which rows tie at k."""
    X, y, splits = data
    found = []
    for train, test in splits:
        model = KNeighborsRegressor(max(SIZES), algorithm="brute", n_jobs=-1).fit(X[train], y[train])
        theirs = np.cumsum(y[train][model.kneighbors(X[test], return_distance=False)], axis=1) / SIZES
        neighbors = search_neighbors(X[train], X[test], max(SIZES) + 1)
        ours = np.cumsum(y[train][neighbors.indices[:, :-1]], axis=1) / SIZES
        squares = neighbors.distances**2
        # the k-th and the next are no farther apart than scikit-learn's rounding, whose unit is the norms of the rows
        tied = squares[:, 1:] - squares[:, :-1] <= 1e-7 * np.maximum(squares[:, 1:], 1e-6)
        found.append((test, ours, theirs, tied))
    return found


def test_predictions_differ_only_where_the_last_neighbour_ties(folds):
    n_tied = n_differing = 0
    for _, ours, theirs, tied in folds:
        differs = np.abs(ours - theirs) > 1e-12
        assert not (differs & ~tied).any()
        n_tied, n_differing = n_tied + int(tied.sum()), n_differing + int(differs.sum())
    n_predictions = sum(ours.size for _, ours, _, _ in folds)
    print(f"{n_tied} of {n_predictions} predictions tie at k, {n_differing} of them differ from scikit-learn's")  # noqa: T201
    assert n_differing <= n_tied < n_predictions / 100


def test_scores_are_scikit_learns_but_for_those_rows_and_the_choice_is_the_same(data, folds):
    X, y, splits = data
    scores = score_candidates(X, y, candidates=[Candidate(k) for k in SIZES], folds=splits).test["score"]
    expected = np.empty(scores.shape)
    for number, (test, ours, theirs, tied) in enumerate(folds):
        for row in range(len(SIZES)):
            settled = np.where(tied[:, row], ours[:, row], theirs[:, row])
            assert scores[row, number] == pytest.approx(r2_score(y[test], settled), rel=0, abs=1e-12)
            expected[row, number] = r2_score(y[test], theirs[:, row])
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-6)
    assert scores.best == np.argmax(expected.mean(axis=1))


@pytest.mark.parametrize("options", [{"n_jobs": 1}, {"shared": True}, {"engine": "sklearn"}])
def test_the_table_does_not_depend_on_how_it_is_found(data, options):
    X, y, splits = data
    candidates = [Candidate(k, weights) for weights in ("uniform", "distance") for k in (1, 11, 14, 51)]
    expected = score_candidates(X, y, candidates=candidates, folds=splits).test["score"]
    found = score_candidates(X, y, candidates=candidates[::-1], folds=splits, **options).test["score"]
    np.testing.assert_array_equal(found[::-1], expected)
