"""Every k, weighting, metric and fold from one search: the scores of GridSearchCV, and what they do not depend on."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import FitFailedWarning
from sklearn.metrics import get_scorer, make_scorer, mean_pinball_loss, r2_score
from sklearn.model_selection import GridSearchCV, LeaveOneOut, RepeatedKFold, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler

from energyknn.estimators import KNNRegressor
from energyknn.estimators.transformers import ColumnWeights
from energyknn.neighbors import NeighborIndex
from energyknn.neighbors.weighting import KERNELS
from energyknn.splitting import Split, fold_rows
from energyknn.tuning import Candidate, SearchInterrupted, fold_neighbors, score_candidates, score_leave_one_out
from energyknn.tuning import candidates as candidates_module
from energyknn.tuning.scoring import resolve_scoring

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


@pytest.fixture(scope="module")
def expected(data):
    """Search the grid by scikit-learn: its brute force can put a row 1e-8 from itself, its tree measures as we do."""
    grid = {"weights": ["uniform", "distance", give_half_weight], "p": [1, 2], "n_neighbors": [1, 4, 30]}
    return GridSearchCV(
        KNeighborsRegressor(algorithm="kd_tree"), grid, cv=4, scoring=SCORING, refit=False, return_train_score=True
    ).fit(*data)


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["auto", "brute"])
def test_every_score_is_grid_search_cvs_on_data_without_ties(data, expected, engine):
    X, y = data
    order = [
        next(
            i
            for i, found in enumerate(expected.cv_results_["params"])
            if found == dict(zip(Candidate._fields[:3], candidate[:3], strict=True))
        )
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


@pytest.mark.medium
@pytest.mark.parametrize("weights", [*KERNELS, "uniform", "distance"])
def test_every_weighting_is_our_regressors(data, weights):
    X, y = data
    candidates = [Candidate(k, weights, 2) for k in (1, 3, 225)]
    scores = score_candidates(X, y, candidates=candidates, folds=fold_rows(300)).test["score"]
    for candidate, row in zip(candidates, scores.values, strict=True):
        for fold, score in zip(fold_rows(300), row, strict=True):
            model = KNNRegressor(candidate.n_neighbors, weights=weights).fit(X[fold.train], y[fold.train])
            assert score == pytest.approx(model.score(X[fold.test], y[fold.test]), rel=0, abs=1e-12)


def test_a_score_does_not_depend_on_the_others(data, monkeypatch):
    X, y = data
    whole = score_candidates(X, y, candidates=CANDIDATES, folds=fold_rows(300)).test["score"]
    backwards = score_candidates(X, y, candidates=CANDIDATES[::-1], folds=fold_rows(300)).test["score"]
    np.testing.assert_array_equal(backwards[::-1], whole)
    monkeypatch.setattr(fold_neighbors, "_VALUES_AT_ONCE", 1)
    monkeypatch.setattr(candidates_module, "_VALUES_AT_ONCE", 75 * 4)
    for n_jobs in (1, 3):
        found = score_candidates(X, y, candidates=CANDIDATES, folds=fold_rows(300), n_jobs=n_jobs).test["score"]
        np.testing.assert_array_equal(found, whole)


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
    asked.clear()
    score_candidates(X, y, candidates=many, folds=fold_rows(300), with_train=True, shared=False)
    assert asked == [52] * 8  # training rows are searched for once, with and without themselves
    asked.clear()
    score_candidates(X, y, candidates=many, folds=fold_rows(300), with_train=True, shared=True)
    assert len(asked) < 4


def test_any_splitter_serves(data):
    X, y = data
    splitter = RepeatedKFold(n_splits=3, n_repeats=2, random_state=1)
    folds = [Split(*pair) for pair in splitter.split(X)]
    expected = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [2, 6]}, cv=folds).fit(X, y).cv_results_
    scores = score_candidates(X, y, candidates=[Candidate(2), Candidate(6)], folds=folds).test["score"]
    np.testing.assert_allclose(scores.mean, expected["mean_test_score"], rtol=0, atol=1e-12)


def test_several_targets_are_scored_together(data):
    X, y = data
    both = np.column_stack([y, X[:, 0]])
    expected = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [2, 6]}, cv=4).fit(X, both).cv_results_
    scores = score_candidates(X, both, candidates=[Candidate(2), Candidate(6)], folds=fold_rows(300)).test["score"]
    np.testing.assert_allclose(scores.mean, expected["mean_test_score"], rtol=0, atol=1e-12)


def test_the_table_cannot_be_changed(data):
    X, y = data
    scores = score_candidates(X, y, candidates=[Candidate(2)], folds=fold_rows(300))
    with pytest.raises(TypeError):
        scores.test["score"][0, 0] = 1
    with pytest.raises(TypeError):
        scores.test["other"] = 1
    assert scores.train is None


def repeat_folds(n_rows, n_repeats=3):
    splitter = RepeatedKFold(n_splits=3, n_repeats=n_repeats, random_state=1)
    return [Split(*pair) for pair in splitter.split(np.empty(n_rows))]


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["plain", "ties", "repeats", "groups"])
@pytest.mark.parametrize("folds", ["four", "repeated", "shuffled"])
def test_one_search_over_all_rows_gives_the_bits_of_one_for_each_fold(folds, kind):
    random = np.random.default_rng(3)
    X = random.normal(size=(230, 3))
    if kind == "ties":
        X = random.integers(0, 3, size=X.shape).astype(float)
    if kind == "repeats":
        X = np.repeat(X[:46], 5, axis=0)[random.permutation(230)]
    if kind == "groups":  # all near rows lie in one fold, so that few neighbours are of the training side
        X = np.repeat(X[:4] * 50, [58, 58, 57, 57], axis=0) + X * 0.01
    y = random.normal(size=230)
    splits = {"four": fold_rows(230), "repeated": repeat_folds(230, 2)}.get(folds)
    if splits is None:
        splits = [Split(random.permutation(train), random.permutation(test)) for train, test in fold_rows(230)]
    candidates = [Candidate(k, name) for k in (1, 40, 150) for name in ("uniform", "distance", "gaussian", "rank")]
    scoring = {name: SCORING[name] for name in ("r2", "mae", "own")}
    options = {"candidates": candidates, "folds": splits, "scoring": scoring}
    for with_train in (False, True):
        each, together = (
            score_candidates(X, y, shared=shared, with_train=with_train, **options) for shared in (False, True)
        )
        for side in ("test", "train", "train_without_self") if with_train else ("test",):
            for name in scoring:
                np.testing.assert_array_equal(getattr(together, side)[name], getattr(each, side)[name])


def test_all_rows_are_searched_once_only_where_that_is_less_work():
    X = np.random.default_rng(0).normal(size=(4000, 3))
    four = fold_rows(4000)

    def plan(X, *arguments, **options):
        return fold_neighbors.FoldSearch(X, X[:, 0], *arguments, **options)

    assert not plan(X, four, 51).shared
    assert plan(X, four, 51, with_train=True).shared
    assert plan(X, repeat_folds(4000), 51).shared
    assert not plan(X, four[:1], 51, with_train=True).shared  # each row is asked about once
    assert not plan(X, [Split(test, train) for train, test in four], 400).shared  # a fourth of the rows has too few
    assert not plan(X, four, 51, with_train=True, transformer=StandardScaler()).shared
    drawn = [
        Split(np.array([0, 0, 1, 2]), np.array([3]))
    ] * 9  # a bootstrap's rows repeat: they are no part of all rows
    assert not plan(X, drawn, 2, with_train=True, shared=True).shared


def test_folds_that_draw_rows_repeatedly_are_scored_as_grid_search_does(data):
    X, y = data
    random = np.random.default_rng(2)
    folds = [Split(random.integers(0, 200, 200), np.arange(200, 300)) for _ in range(3)]
    grid = {"n_neighbors": [1, 7], "weights": ["distance"]}
    expected = GridSearchCV(KNeighborsRegressor(algorithm="brute"), grid, cv=folds).fit(X, y).cv_results_
    scores = score_candidates(X, y, candidates=[Candidate(1, "distance"), Candidate(7, "distance")], folds=folds)
    np.testing.assert_allclose(scores.test["score"].mean, expected["mean_test_score"], rtol=0, atol=1e-9)


@pytest.mark.slow
def test_many_kernels_are_scored_in_one_compiled_pass(data, monkeypatch):
    X, y = data
    candidates = [Candidate(k, name) for name in KERNELS for k in range(1, 60, 7)]
    options = {"candidates": candidates, "folds": fold_rows(300), "scoring": SCORING}
    expected = score_candidates(X, y, **options)
    monkeypatch.setattr("energyknn.tuning.prefixes._WORTH_COMPILING", 0)
    found = score_candidates(X, y, **options)
    for name in SCORING:
        np.testing.assert_allclose(found.test[name], expected.test[name], rtol=0, atol=1e-10)


@pytest.mark.parametrize("targets", [1, 2])
def test_sums_of_errors_give_the_scores_of_predictions(data, targets):
    X, y = data
    y = y if targets == 1 else np.column_stack([y, np.full(300, 2.0)])
    named = ["r2", "neg_mean_squared_error", "neg_root_mean_squared_error", "neg_mean_absolute_error"]
    held = {f"{name} held": get_scorer(name) for name in named}
    candidates = [Candidate(k) for k in (1, 5, 30)]
    scores = score_candidates(
        X, y, candidates=candidates, folds=fold_rows(300), scoring={name: name for name in named} | held
    ).test
    for name in named:
        np.testing.assert_allclose(scores[name], scores[f"{name} held"], rtol=1e-13)


@pytest.mark.medium
def test_leave_one_out_is_scikit_learns(data):
    X, y = data[0][:100], data[1][:100]
    predicted = cross_val_predict(KNeighborsRegressor(4, weights="distance"), X, y, cv=LeaveOneOut())
    scores = score_leave_one_out(X, y, candidates=[Candidate(4, "distance")], scoring=["r2", "neg_mean_absolute_error"])
    assert scores["r2"][0] == pytest.approx(r2_score(y, predicted), abs=1e-12)
    assert scores["neg_mean_absolute_error"][0] == pytest.approx(-np.abs(y - predicted).mean(), abs=1e-12)
    with pytest.raises(ValueError, match=r"n_neighbors is 100 for 100 rows\. It is at most one less"):
        score_leave_one_out(X, y, candidates=[Candidate(100)])


@pytest.mark.parametrize("transformer", [StandardScaler(), RobustScaler(), ColumnWeights({0: 0.0, 1: 3.0})])
def test_a_transformer_is_fitted_on_each_folds_training_rows(data, transformer):
    X, y = data
    expected = cross_val_score(make_pipeline(transformer, KNeighborsRegressor(6)), X * [1, 10, 100, 1], y, cv=4)
    candidates = [Candidate(6), Candidate(6, transformer=transformer)]
    scores = score_candidates(X * [1, 10, 100, 1], y, candidates=candidates, folds=fold_rows(300), with_train=True)
    np.testing.assert_allclose(scores.test["score"][1], expected, rtol=0, atol=1e-12)
    assert not np.allclose(scores.test["score"][0], scores.test["score"][1])


def test_a_transformer_may_choose_columns_by_name(data):
    X, y = data
    table = pd.DataFrame(X, columns=list("abcd")).assign(text="x")
    chosen = ColumnTransformer([("numbers", StandardScaler(), ["a", "b"])])
    scores = score_candidates(table, y, candidates=[Candidate(3, transformer=chosen)], folds=fold_rows(300))
    expected = cross_val_score(make_pipeline(chosen, KNeighborsRegressor(3)), table, y, cv=4)
    np.testing.assert_allclose(scores.test["score"][0], expected, rtol=0, atol=1e-12)


def test_repeated_candidates_are_scored_and_reported_once(data):
    X, y = data
    with pytest.warns(UserWarning, match="1 of 3 candidates repeat another"):
        scores = score_candidates(X, y, candidates=[Candidate(2), Candidate(3), Candidate(2)], folds=fold_rows(300))
    assert scores.candidates == (Candidate(2), Candidate(3))
    assert scores.test["score"].shape == (2, 4)


def test_a_label_stays_with_its_candidate_and_does_not_tell_repeats_apart(data):
    X, y = data
    candidates = [Candidate(2, label={"scaler": "none"}), Candidate(3, label="three"), Candidate(2, label="again")]
    with pytest.warns(UserWarning, match="1 of 3 candidates repeat another"):
        scores = score_candidates(X, y, candidates=candidates, folds=fold_rows(300))
    assert [candidate.label for candidate in scores.test["score"].candidates] == [{"scaler": "none"}, "three"]


def fail_on_far_rows(distances):
    if distances.max() > 1.5:
        message = "too far"
        raise RuntimeError(message)
    return np.ones_like(distances)


def test_weights_that_fail_cost_their_candidate_alone(data):
    X, y = data
    candidates = [Candidate(2), Candidate(2, fail_on_far_rows)]
    options = {"candidates": candidates, "folds": fold_rows(300)}
    with pytest.warns(FitFailedWarning, match="scores could not be computed and are -7. .* RuntimeError: too far"):
        scores = score_candidates(X, y, error_score=-7, **options).test["score"]
    assert -7 in scores[1]
    np.testing.assert_array_equal(
        scores[0], score_candidates(X, y, **options | {"candidates": candidates[:1]}).test["score"][0]
    )
    with pytest.raises(RuntimeError, match="too far"):
        score_candidates(X, y, error_score="raise", **options)


def test_a_scorer_that_fails_costs_its_scores_alone(data):
    X, y = data

    def scorer(model, X, _y):
        if model.predict(X).max() > 3:
            message = "too high"
            raise ArithmeticError(message)
        return 1.0

    options = {
        "candidates": [Candidate(1), Candidate(150)],
        "folds": fold_rows(300),
        "scoring": {"r2": "r2", "own": scorer},
    }
    with pytest.warns(FitFailedWarning, match="ArithmeticError: too high"):
        scores = score_candidates(X, y, **options).test
    assert np.isnan(scores["own"][0]).any()
    assert (scores["own"][1] == 1).all()
    assert np.isfinite(scores["r2"]).all()
    with pytest.raises(ArithmeticError):
        score_candidates(X, y, error_score="raise", **options)


def test_an_interrupt_keeps_the_folds_that_were_finished(data):
    X, y = data

    def interrupt_third(steps, _description):
        for number, step in enumerate(steps):
            if number == 2:
                raise KeyboardInterrupt
            yield step

    options = {"candidates": [Candidate(3), Candidate(9)], "folds": fold_rows(300)}
    with pytest.raises(SearchInterrupted) as caught:
        score_candidates(X, y, track=interrupt_third, **options)
    found = caught.value.scores.test["score"]
    np.testing.assert_array_equal(found[:, :2], score_candidates(X, y, **options).test["score"][:, :2])
    assert np.isnan(found[:, 2:]).all()


def test_steps_say_how_much_work_they_are(data):
    X, y = data
    seen = []

    def note(steps, description):
        seen.append((description, sum(step.work for step in steps)))
        return steps

    score_candidates(X, y, candidates=[Candidate(3)], folds=fold_rows(300), track=note)
    score_candidates(X, y, candidates=[Candidate(3)], folds=fold_rows(300), with_train=True, shared=True, track=note)
    assert seen == [
        ("Search each fold once", 4 * 75 * 225),
        ("Search all rows once for all folds", 300 * 300),
    ]


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
        ([Candidate(226)], "holds 226.* from 1 to 225, the training rows of the smallest fold"),
        ([Candidate(3, "distnace")], "weights 'distnace' is unknown. Did you mean 'distance'"),
        ([Candidate(3, "uniform", 3)], "p is 3"),
        ([Candidate(3, transformer="standard")], "transformer is 'standard'. It must have fit and transform"),
    ],
)
def test_an_impossible_candidate_is_refused_before_any_search(data, candidates, message):
    X, y = data
    with pytest.raises(ValueError, match=message):
        score_candidates(X, y, candidates=candidates, folds=fold_rows(300))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (range(9), [8, 9], "Fold 1 has 1 rows on both sides, row 8 first"),
        ([], [8, 9], "Fold 1 has no training rows"),
        (range(9), [], "Fold 1 has no validation rows"),
        (range(9), [300], "Fold 1 names row 300 of 300 rows"),
    ],
)
def test_folds_that_cannot_be_are_refused(data, train, test, message):
    X, y = data
    wrong = Split(np.array(train, dtype=int), np.array(test, dtype=int))
    with pytest.raises(ValueError, match=message):
        score_candidates(X, y, candidates=[Candidate(1)], folds=[fold_rows(300)[0], wrong])


def test_a_training_row_stands_among_its_repeats_by_its_number():
    random = np.random.default_rng(4)
    X, y = np.repeat(random.normal(size=(30, 2)), 4, axis=0)[random.permutation(120)], random.normal(size=120)
    scores = score_candidates(X, y, candidates=[Candidate(1), Candidate(3)], folds=fold_rows(120), with_train=True)
    for row, k in enumerate((1, 3)):
        for number, fold in enumerate(fold_rows(120)):
            model = KNNRegressor(k).fit(X[fold.train], y[fold.train])
            expected = model.score(X[fold.train], y[fold.train])  # a search that knows nothing of own rows
            assert scores.train["score"][row, number] == pytest.approx(expected, rel=0, abs=1e-12)


@pytest.mark.parametrize(
    "weights", ["uniform", "distance", "triangular", "rank", lambda distances: 1 / (1 + distances)]
)
@pytest.mark.parametrize("shared", [False, True])
def test_with_k_of_all_training_rows_a_row_without_itself_has_all_the_others(weights, shared):
    X = np.random.default_rng(0).normal(size=(12, 2))
    y, folds = X[:, 0], [Split(np.arange(6), np.arange(6, 12)), Split(np.arange(6, 12), np.arange(6))]
    candidates = [Candidate(k, weights) for k in (5, 6)]
    scored = score_candidates(X, y, candidates=candidates, folds=folds, with_train=True, shared=shared)
    fewer = score_candidates(X, y, candidates=candidates[:1], folds=folds, with_train=True, shared=shared)
    without_self = scored.train_without_self["score"]
    np.testing.assert_array_equal(without_self[0], fewer.train_without_self["score"][0])
    if weights == "uniform":  # the mean of the others
        others = [(y[fold.train].sum() - y[fold.train]) / 5 for fold in folds]
        expected = [r2_score(y[fold.train], mean) for fold, mean in zip(folds, others, strict=True)]
        np.testing.assert_allclose(without_self[1], expected, rtol=1e-9)
    assert np.isfinite(without_self).all()


@pytest.mark.parametrize("n_neighbors", [1.0, 2.5, True, "3", None])
def test_a_number_of_neighbors_that_is_no_integer_is_refused(n_neighbors):
    folds = fold_rows(12, n_splits=2)
    with pytest.raises(TypeError, match="n_neighbors is"):
        score_candidates(np.zeros((12, 1)), np.zeros(12), candidates=[Candidate(n_neighbors)], folds=folds)


def test_what_is_no_candidate_is_refused_and_a_small_integer_is_let_in():
    X, folds = np.arange(12.0).reshape(-1, 1), fold_rows(12, n_splits=2)
    with pytest.raises(TypeError, match="3 is not a candidate"):
        score_candidates(X, X[:, 0], candidates=[3], folds=folds)
    assert score_candidates(X, X[:, 0], candidates=[Candidate(np.int8(2))], folds=folds).candidates == (Candidate(2),)
