"""Every k, weighting, metric and fold from one search: the scores of GridSearchCV, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import make_scorer, mean_pinball_loss
from sklearn.model_selection import GridSearchCV, RepeatedKFold
from sklearn.neighbors import KNeighborsRegressor

from energyknn.estimators import KNNRegressor
from energyknn.neighbors import NeighborIndex
from energyknn.splitting import Split, fold_rows
from energyknn.tuning.candidates import Candidate, resolve_scoring, score_candidates
from energyknn.weighting import KERNELS

SCORING = {
    "r2": "r2",
    "rmse": "neg_root_mean_squared_error",
    "mae": "neg_mean_absolute_error",
    "median": "neg_median_absolute_error",
    "own": make_scorer(mean_pinball_loss, alpha=0.3, greater_is_better=False),
}


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 4))
    y = X.sum(axis=1) + random.normal(size=300)
    X.flags.writeable = y.flags.writeable = False
    return X, y


def give_half_weight(distances):
    return np.where(distances > np.median(distances, axis=1, keepdims=True), 0.5, 1.0)


CANDIDATES = [
    Candidate(k, weights, p)
    for weights in ("uniform", "distance", give_half_weight)
    for p in (1, 2)
    for k in (1, 4, 30)
]


@pytest.mark.parametrize("engine", ["auto", "brute"])
def test_every_score_is_grid_search_cvs_on_data_without_ties(data, engine):
    X, y = data
    grid = {"weights": ["uniform", "distance", give_half_weight], "p": [1, 2], "n_neighbors": [1, 4, 30]}
    # scikit-learn's brute force can put a row 1e-8 from itself; its tree measures distances as we do
    expected = GridSearchCV(
        KNeighborsRegressor(algorithm="kd_tree"), grid, cv=4, scoring=SCORING, refit=False, return_train_score=True
    ).fit(X, y)
    order = [
        next(i for i, found in enumerate(expected.cv_results_["params"]) if found == candidate._asdict())
        for candidate in CANDIDATES
    ]
    scores = score_candidates(
        *(X, y), candidates=CANDIDATES, folds=fold_rows(300), scoring=SCORING, with_train=True, engine=engine
    )
    for name in SCORING:
        for fold in range(4):
            for side, table in (("test", scores.test), ("train", scores.train)):
                found = table[name][:, fold]
                np.testing.assert_allclose(
                    found, expected.cv_results_[f"split{fold}_{side}_{name}"][order], rtol=0, atol=1e-12
                )


@pytest.mark.parametrize("weights", [*KERNELS, "uniform", "distance"])
def test_every_weighting_is_our_regressors(data, weights):
    X, y = data
    candidates = [Candidate(k, weights, 2) for k in (1, 3, 225)]
    scores = score_candidates(X, y, candidates=candidates, folds=fold_rows(300)).test["score"]
    for candidate, row in zip(candidates, scores, strict=True):
        for fold, score in zip(fold_rows(300), row, strict=True):
            model = KNNRegressor(candidate.n_neighbors, weights=weights).fit(X[fold.train], y[fold.train])
            assert score == pytest.approx(model.score(X[fold.test], y[fold.test]), rel=0, abs=1e-12)


def test_a_score_does_not_depend_on_the_others(data, monkeypatch):
    X, y = data
    whole = score_candidates(X, y, candidates=CANDIDATES, folds=fold_rows(300)).test["score"]
    backwards = score_candidates(X, y, candidates=CANDIDATES[::-1], folds=fold_rows(300)).test["score"]
    np.testing.assert_array_equal(backwards[::-1], whole)
    monkeypatch.setattr("energyknn.tuning.candidates._ROWS_AT_ONCE", 17)
    monkeypatch.setattr("energyknn.tuning.candidates._VALUES_AT_ONCE", 75 * 4)
    np.testing.assert_array_equal(
        score_candidates(X, y, candidates=CANDIDATES, folds=fold_rows(300), n_jobs=1).test["score"], whole
    )


def test_training_scores_without_self_are_leave_one_out(data):
    X, y = data
    everything = [Split(np.arange(300), np.arange(300))]
    scores = score_candidates(X, y, candidates=[Candidate(5)], folds=everything, with_train=True)
    model = KNNRegressor(5).fit(X, y)
    assert scores.train["score"][0, 0] == pytest.approx(model.score(X, y), abs=1e-12)
    residual = y - model.predict(None)
    expected = 1 - (residual**2).sum() / ((y - y.mean()) ** 2).sum()
    assert scores.train_without_self["score"][0, 0] == pytest.approx(expected, abs=1e-12)


def test_kanagawas_identity_holds_without_ties_and_not_with_them(data):
    """Leave-one-out MSE of k neighbours = ((k + 1) / k)² times the training MSE of k + 1 (arXiv 2405.04919)."""
    X, y = data
    candidates = [Candidate(k) for k in range(1, 12)]

    def mse(X, y):
        everything = [Split(np.arange(len(X)), np.arange(len(X)))]
        return score_candidates(
            X, y, candidates=candidates, folds=everything, scoring="neg_mean_squared_error", with_train=True
        )

    def sides(scores):
        left_out, train = -scores.train_without_self["score"][:-1, 0], -scores.train["score"][1:, 0]
        k = np.arange(1, 11)
        return left_out, ((k + 1) / k) ** 2 * train

    np.testing.assert_allclose(*sides(mse(X, y)), rtol=1e-10)
    left_out, expected = sides(mse(np.repeat(X[:60], 5, axis=0), y))
    assert np.abs(left_out / expected - 1).max() > 0.01


def test_there_is_one_search_for_each_fold_and_distance(data, monkeypatch):
    X, y = data
    asked = []
    search = NeighborIndex.search

    def count(index, X_query=None, n_neighbors=5, **options):
        asked.append(n_neighbors)
        return search(index, X_query, n_neighbors, **options)

    monkeypatch.setattr(NeighborIndex, "search", count)
    many = [Candidate(k, weights) for k in range(1, 52) for weights in ("uniform", "distance", "triangular")]
    score_candidates(X, y, candidates=many, folds=fold_rows(300))
    assert asked == [52] * 4  # the bandwidth of "triangular" is the distance of one neighbour more


def test_any_splitter_serves(data):
    X, y = data
    splitter = RepeatedKFold(n_splits=3, n_repeats=2, random_state=1)
    folds = [Split(*pair) for pair in splitter.split(X)]
    expected = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [2, 6]}, cv=folds).fit(X, y).cv_results_
    scores = score_candidates(X, y, candidates=[Candidate(2), Candidate(6)], folds=folds).test["score"]
    np.testing.assert_allclose(scores.mean(axis=1), expected["mean_test_score"], rtol=0, atol=1e-12)


def test_several_targets_are_scored_together(data):
    X, y = data
    both = np.column_stack([y, X[:, 0]])
    expected = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [2, 6]}, cv=4).fit(X, both).cv_results_
    scores = score_candidates(X, both, candidates=[Candidate(2), Candidate(6)], folds=fold_rows(300)).test["score"]
    np.testing.assert_allclose(scores.mean(axis=1), expected["mean_test_score"], rtol=0, atol=1e-12)


def test_the_table_cannot_be_changed(data):
    X, y = data
    scores = score_candidates(X, y, candidates=[Candidate(2)], folds=fold_rows(300))
    with pytest.raises(ValueError, match="read-only"):
        scores.test["score"][0, 0] = 1
    with pytest.raises(TypeError):
        scores.test["other"] = 1
    assert scores.train is None


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        ("neg_mean_squared_eror", "Did you mean 'neg_mean_squared_error'"),
        ({"a": "r3"}, "scoring 'r3' is unknown"),
        ([], "No scoring"),
    ],
)
def test_an_unknown_scoring_is_refused_with_the_nearest_name(scoring, message):
    with pytest.raises(ValueError, match=message):
        resolve_scoring(scoring)


def test_a_scoring_of_another_kind_is_refused():
    with pytest.raises(TypeError, match="scoring is 3"):
        resolve_scoring(3)


@pytest.mark.parametrize(
    ("candidates", "message"),
    [
        ([], "0 candidates"),
        ([Candidate(0)], "n_neighbors holds 0"),
        ([Candidate(226)], "holds 226 .* at most 225, the training rows of fold 0"),
        ([Candidate(3, "distnace")], "weights 'distnace' is unknown. Did you mean 'distance'"),
        ([Candidate(3, "uniform", 3)], "p is 3"),
    ],
)
def test_an_impossible_candidate_is_refused_before_any_search(data, candidates, message):
    X, y = data
    with pytest.raises(ValueError, match=message):
        score_candidates(X, y, candidates=candidates, folds=fold_rows(300))


def test_folds_that_overlap_are_refused(data):
    X, y = data
    with pytest.raises(ValueError, match="Fold 0 has 1 rows on both sides"):
        score_candidates(X, y, candidates=[Candidate(1)], folds=[Split(np.arange(9), np.array([8, 9]))])
