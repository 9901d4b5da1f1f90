"""Intervals: the quantile against its definition, coverage as promised, widths that follow the errors."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, binom
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from energyknn.estimators import KNNClassifier, KNNRegressor, LocalLinearRegressor, MetricMap, make_learned_regressor
from energyknn.estimators.intervals import (
    IntervalRegressor,
    Intervals,
    conformal_quantile,
    label_repeats,
    measure_coverage,
    measure_spread,
)
from energyknn.learning.learn import MapOptions, learn_map


def make_rows(n_rows, seed=0):
    """Noise grows along the first column; the second says nothing."""
    random = np.random.default_rng(seed)
    X = random.random((n_rows, 2))
    return X, np.sin(X[:, 0]) + (0.05 + X[:, 0]) * random.normal(size=n_rows)


@pytest.mark.parametrize("coverage", ["0.5", "0.55", "0.7", "0.9", "0.95", "0.99"])
@pytest.mark.parametrize("n", [1, 2, 9, 10, 19, 99, 100, 101])
def test_the_quantile_is_the_score_of_its_rank(n, coverage):
    rank = math.ceil((n + 1) * Fraction(coverage))
    expected = rank if rank <= n else math.inf
    assert conformal_quantile(np.random.default_rng(0).permutation(n) + 1, float(coverage)) == expected


def test_the_quantile_covers_a_new_score_as_often_as_it_says():
    """Exactly: among 10 exchangeable scores each is as likely to be the new one."""
    scores = np.arange(10.0)
    covered = [new <= conformal_quantile(np.delete(scores, row), 0.7) for row, new in enumerate(scores)]
    assert sum(covered) == 7


@pytest.mark.parametrize("coverage", [0, 1, -0.1, 90, float("nan")])
def test_a_coverage_that_cannot_be_is_refused(coverage):
    with pytest.raises(ValueError, match=r"It must be between 0 and 1, such as 0\.9"):
        conformal_quantile([1.0], coverage)


@pytest.mark.parametrize(
    ("estimator", "method"),
    [
        (KNNRegressor(20), "leave-one-out"),
        (LocalLinearRegressor(60), "leave-one-out"),
        (KNNRegressor(20), "split"),
        (LinearRegression(), "split"),
        (LinearRegression(), "cv"),
    ],
)
def test_intervals_cover(estimator, method):
    """Beyond chance: of 4,000 new rows, and of the calibrating rows themselves; a right method fails once in 10,000."""
    X, y = make_rows(2000)
    new, target = make_rows(4000, seed=1)
    model = IntervalRegressor(estimator, method=method, n_neighbors=40).fit(X, y)
    for coverage in (0.5, 0.9):
        lower, upper = model.predict_interval(new, coverage=coverage)
        n_covered = ((lower <= target) & (target <= upper)).sum()
        n = len(model.scores_)
        probabilities = beta(round(coverage * (n + 1)), n + 1 - round(coverage * (n + 1))).ppf([5e-5, 1 - 5e-5])
        assert binom(4000, probabilities[0]).ppf(1e-4) <= n_covered <= binom(4000, probabilities[1]).ppf(1 - 1e-4)


def test_widths_follow_the_noise_and_pay():
    X, y = make_rows(2000)
    new, target = make_rows(4000, seed=1)
    groups = np.where(new[:, 0] < 0.2, "quiet", np.where(new[:, 0] > 0.8, "loud", "between"))
    local = IntervalRegressor(KNNRegressor(20), n_neighbors=40, shrinkage=0.05).fit(X, y)
    constant = IntervalRegressor(KNNRegressor(20), shrinkage=1).fit(X, y)
    found, flat = (measure_coverage(target, model.predict_interval(new), groups=groups) for model in (local, constant))
    assert found.loc["all", "mean_width"] < flat.loc["all", "mean_width"]
    assert found.loc["loud", "mean_width"] > 3 * found.loc["quiet", "mean_width"]
    assert found["coverage"].between(0.86, 0.97).all()
    assert flat.loc["quiet", "coverage"] > 0.98
    assert flat.loc["loud", "coverage"] < 0.8


def test_leave_one_out_is_a_fit_without_each_row():
    X, y = make_rows(40)
    model = IntervalRegressor(KNNRegressor(5), n_neighbors=7, shrinkage=0.2).fit(X, y)
    rows = np.arange(40)
    errors = np.array(
        [y[row] - KNNRegressor(5).fit(X[rows != row], y[rows != row]).predict(X[[row]])[0] for row in rows]
    )
    nearest = [KNNRegressor(7).fit(X[rows != row], y[rows != row]) for row in rows]
    spread = np.array([model.y_[model.kneighbors(X[[row]])[1][0]].std() for row, model in enumerate(nearest)])
    difficulty = 0.8 * spread + 0.2 * y.std()
    np.testing.assert_allclose(model.scores_, errors / difficulty, rtol=1e-12)
    new = make_rows(5, seed=1)[0]
    hard = 0.8 * y[KNNRegressor(7).fit(X, y).kneighbors(new)[1]].std(axis=1) + 0.2 * y.std()
    reach = np.sort(np.abs(errors / difficulty))[math.ceil(41 * 0.9) - 1] * hard
    lower, upper = model.predict_interval(new)
    np.testing.assert_allclose(upper - model.predict(new), reach, rtol=1e-12)
    np.testing.assert_allclose(model.predict(new) - lower, reach, rtol=1e-12)


def test_full_shrinkage_is_a_constant_width():
    X, y = make_rows(300)
    new = make_rows(50, seed=1)[0]
    model = IntervalRegressor(KNNRegressor(5), shrinkage=1).fit(X, y)
    lower, upper = model.predict_interval(new)
    expected = 2 * conformal_quantile(np.abs(y - KNNRegressor(5).fit(X, y).predict(None)), 0.9)
    np.testing.assert_allclose(upper - lower, expected, rtol=1e-12)


def test_cross_validated_errors_are_scikit_learns():
    X, y = make_rows(120)
    model = IntervalRegressor(LinearRegression(), method="cv", cv=4, shrinkage=1).fit(X, y)
    errors = y - cross_val_predict(LinearRegression(), X, y, cv=KFold(4))
    np.testing.assert_allclose(model.scores_ * y.std(), errors, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X), LinearRegression().fit(X, y).predict(X), rtol=1e-12)
    songs = np.arange(120) // 3
    grouped = clone(model).fit(X, y, groups=songs)
    errors = y - cross_val_predict(LinearRegression(), X, y, cv=GroupKFold(4), groups=songs)
    np.testing.assert_allclose(grouped.scores_ * y.std(), errors, rtol=1e-9)


def test_the_held_out_rows_move_only_the_scores():
    X, y = make_rows(200)
    first = IntervalRegressor(KNNRegressor(5), method="split", random_state=3).fit(X, y)
    assert len(first.scores_) == 40
    kept = np.isin(y, first.estimator_.y_)
    assert kept.sum() == 160
    moved = IntervalRegressor(KNNRegressor(5), method="split", random_state=3).fit(X, np.where(kept, y, y + 1))
    np.testing.assert_array_equal(moved.estimator_.y_, first.estimator_.y_)
    assert moved.scale_ == first.scale_
    assert not np.array_equal(moved.scores_, first.scores_)


def test_groups_are_held_out_whole():
    X, y = make_rows(200)
    songs = np.arange(200) // 4
    model = IntervalRegressor(KNNRegressor(5), method="split").fit(X, y, groups=songs)
    kept = np.isin(y, model.estimator_.y_).reshape(-1, 4)
    assert set(kept.sum(axis=1)) == {0, 4}


def test_learned_maps_get_the_groups_of_the_rows_they_learn_from():
    X, y = make_rows(200)
    songs = np.arange(200) // 4
    model = IntervalRegressor(make_pipeline(MetricMap(2, n_rounds=2, n_neighbors=5), KNNRegressor(5)), method="split")
    fitted = model.fit(X, y, groups=songs)
    order = np.array([np.flatnonzero(y == target)[0] for target in fitted.estimator_[-1].y_])
    expected = learn_map(X[order], y[order], MapOptions(2, n_rounds=2, n_neighbors=5), groups=songs[order])
    np.testing.assert_array_equal(fitted.estimator_[0].components_, expected.components)


def test_each_range_of_a_column_is_calibrated_apart():
    random = np.random.default_rng(0)
    X = pd.DataFrame({"x": random.random(900), "year": np.repeat([1950, 1980, 2010], 300)})
    y = random.normal(size=900) * np.repeat([1.0, 3.0, 9.0], 300)
    model = IntervalRegressor(LinearRegression(), method="cv", shrinkage=1, by="year", n_groups=3)
    model.fit(X, y)
    assert model.edges_.tolist() == [1980, 2010]
    widths = np.diff(model.predict_interval(pd.DataFrame({"x": 0.5, "year": [1950, 1980, 2010]})), axis=0)[0]
    assert 2.3 < widths[1] / widths[0] < 3.9
    assert 2.3 < widths[2] / widths[1] < 3.9
    by_position = clone(model).set_params(by=1).fit(X.to_numpy(), y)
    np.testing.assert_array_equal(by_position.groups_, model.groups_)
    for size, group in zip((1.0, 3.0, 9.0), range(3), strict=True):
        scores = np.abs(model.scores_[model.groups_ == group])
        assert len(scores) == 300
        assert conformal_quantile(scores, 0.9) * y.std() == pytest.approx(1.645 * size, rel=0.25)


def test_bounds_cut_a_plane_off_with_its_interval():
    X = np.linspace(0, 1, 200).reshape(-1, 1)
    model = IntervalRegressor(LocalLinearRegressor(20, sharpness=0.0, ridge=1e-9), bounds=(0, 1)).fit(X, X[:, 0])
    far = [[-3.0], [0.5], [3.0]]
    assert (model.estimator_.predict(far) != model.predict(far)).tolist() == [True, False, True]
    lower, upper = model.predict_interval(far)
    assert (lower <= model.predict(far)).all()
    assert (model.predict(far) <= upper).all()


def test_bounds_cut_intervals_off():
    X, y = make_rows(200)
    model = IntervalRegressor(KNNRegressor(5), bounds=(-0.2, 0.3)).fit(X, y)
    lower, upper = model.predict_interval(X)
    assert lower.min() == -0.2
    assert upper.max() == 0.3
    lower, upper = model.predict_interval(X, coverage=0.999)
    assert set(lower) == {-0.2}
    assert set(upper) == {0.3}


def test_neighbours_of_another_model_can_tell_the_difficulty():
    X, y = make_rows(400)
    X = X * [1, 100]
    scaled = make_pipeline(StandardScaler(), KNNRegressor(3))
    new = X[:20] + 0.01
    plain = IntervalRegressor(LinearRegression(), method="cv", n_neighbors=30).fit(X, y)
    other = IntervalRegressor(LinearRegression(), method="cv", n_neighbors=30, neighbors=scaled).fit(X, y)
    np.testing.assert_array_equal(plain.predict(new), other.predict(new))
    scaler = StandardScaler().fit(X)
    nearest = KNNRegressor(30).fit(scaler.transform(X), y).kneighbors(scaler.transform(new))[1]
    np.testing.assert_allclose(
        measure_spread(other.neighbors_, new, n_neighbors=30), y[nearest].std(axis=1), rtol=1e-12
    )
    assert not np.array_equal(plain.predict_interval(new).lower, other.predict_interval(new).lower)
    frozen = FrozenEstimator(clone(scaled).fit(X, y))
    held = IntervalRegressor(LinearRegression(), method="cv", n_neighbors=30, neighbors=frozen).fit(X, y)
    np.testing.assert_array_equal(held.scores_, other.scores_)
    with pytest.raises(ValueError, match="neighbors holds 400 rows, but is to hold the 320 of this fit"):
        IntervalRegressor(LinearRegression(), method="split", neighbors=frozen).fit(X, y)


def test_a_mean_of_learned_maps_has_intervals():
    X, y = make_rows(300)
    options = {"n_maps": 1, "n_rounds": 2, "n_components": 2, "n_neighbors": 20}
    learned = VotingRegressor(
        [(f"map{seed}", make_learned_regressor([0, 1], random_state=seed, **options)) for seed in (0, 1)]
    )
    model = IntervalRegressor(learned, n_neighbors=30).fit(X, y)
    assert model.neighbors_ is None
    lower, upper = model.predict_interval(X)
    assert ((lower < model.predict(X)) & (model.predict(X) < upper)).all()
    parts = [measure_spread(part, X, n_neighbors=30) for part in model.estimator_.estimators_]
    np.testing.assert_allclose(measure_spread(model.estimator_, X, n_neighbors=30), np.mean(parts, axis=0), rtol=1e-12)


def test_a_perfect_model_has_intervals_of_no_width():
    X = np.arange(60.0).reshape(-1, 1)
    lower, upper = IntervalRegressor(KNNRegressor(3)).fit(X, np.ones(60)).predict_interval(X[:4])
    assert lower.tolist() == upper.tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coverage": 90}, "coverage is 90"),
        ({"method": "jackknife"}, "method is 'jackknife'. It must be one of 'auto', 'leave-one-out', 'cv', 'split'"),
        ({"shrinkage": 0}, "shrinkage is 0"),
        ({"n_neighbors": 0}, "n_neighbors is 0"),
        ({"n_groups": 0}, "n_groups 0"),
        ({"bounds": (1, 0)}, r"bounds is \(1, 0\)"),
        ({"by": 2}, "by is 2. It must be one column of X, by its name or position, and X has 2 columns"),
        ({"by": "year"}, "by is 'year'. It must be one column"),
        ({"by": ["a"]}, "by is .'a'.. It must be one column"),
        ({"coverage": 0.99}, "Found n_samples=60 to calibrate by. A coverage of 0.99 needs at least 99"),
        ({"by": 0, "n_groups": 10}, "n_samples=6 to calibrate by in a group. A coverage of 0.9 needs at least 9"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        IntervalRegressor(KNNRegressor(5), **options).fit(*make_rows(60))


def test_models_and_groups_that_cannot_be_left_out_are_refused():
    X, y = make_rows(60)
    with pytest.raises(TypeError, match="LinearRegression has no neighbours"):
        IntervalRegressor(LinearRegression(), method="leave-one-out").fit(X, y)
    with pytest.raises(TypeError, match="KNNClassifier predicts classes, and intervals are for numbers"):
        IntervalRegressor(KNNClassifier()).fit(X, y > 0)
    with pytest.raises(ValueError, match='Use "cv" or "split" with groups'):
        IntervalRegressor(KNNRegressor(), method="leave-one-out").fit(X, y, groups=np.zeros(60))
    with pytest.raises(NotFittedError):
        IntervalRegressor(KNNRegressor()).predict_interval(X)
    with pytest.raises(ValueError, match="coverage is 1"):
        IntervalRegressor(KNNRegressor()).fit(X, y).predict_interval(X, coverage=1)


@pytest.mark.medium
@parametrize_with_checks(
    [
        IntervalRegressor(KNNRegressor(3)),
        IntervalRegressor(LinearRegression(), method="cv", cv=2, coverage=0.8),
        IntervalRegressor(LinearRegression(), method="split", coverage=0.5, cv=2),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_several_coverages_take_one_prediction(monkeypatch):
    random = np.random.default_rng(4)
    X, new = random.normal(size=(300, 2)), random.normal(size=(20, 2))
    model = IntervalRegressor(KNNRegressor(9), by=0, n_groups=3).fit(X, random.normal(size=300))
    expected = [model.predict_interval(new, coverage=coverage) for coverage in (0.5, 0.9, 0.8)]
    calls = []
    predict = KNNRegressor.predict
    monkeypatch.setattr(KNNRegressor, "predict", lambda *given: calls.append(1) or predict(*given))
    found = model.predict_intervals(new, [0.5, 0.9, 0.8])
    assert len(calls) == 1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_coverage_is_counted_in_all_and_by_group():
    intervals = Intervals(np.array([0.0, 0.0, 0.0, 0.0]), np.array([1.0, 2.0, 1.0, 4.0]))
    found = measure_coverage([1.0, 2.5, 0.0, -0.1], intervals, groups=[1960, 1950, 1960, 1950])
    assert found.index.tolist() == ["all", 1950, 1960]
    assert found["n_rows"].tolist() == [4, 2, 2]
    assert found["coverage"].tolist() == [0.5, 0.0, 1.0]
    assert found["mean_width"].tolist() == [2.0, 3.0, 1.0]


def test_the_interval_of_a_share_is_wilsons():
    intervals = Intervals(np.zeros(100), np.ones(100))
    found = measure_coverage(np.repeat([0.5, 2.0], [90, 10]), intervals).loc["all"]
    z = 1.959963984540054
    centre, half = (0.9 + z**2 / 200) / (1 + z**2 / 100), z / (1 + z**2 / 100) * math.sqrt(0.0009 + z**2 / 40000)
    assert found["coverage_low"] == pytest.approx(centre - half, rel=1e-12)
    assert found["coverage_high"] == pytest.approx(centre + half, rel=1e-12)


def test_a_frozen_model_is_calibrated_without_a_fit():
    X, y = make_rows(200)
    fitted = KNNRegressor(5).fit(X, y)
    frozen = IntervalRegressor(FrozenEstimator(fitted)).fit(X, y)
    assert frozen.estimator_.estimator is fitted
    np.testing.assert_array_equal(frozen.scores_, IntervalRegressor(KNNRegressor(5)).fit(X, y).scores_)
    with pytest.raises(ValueError, match="estimator holds 200 rows, but is to hold the 100 of this fit"):
        frozen.fit(X[:100], y[:100])


def test_a_value_that_most_rows_share_leaves_no_range_empty():
    X, y = make_rows(100)
    X[:60, 1] = 0
    model = IntervalRegressor(KNNRegressor(5), by=1, n_groups=4).fit(X, y)
    assert np.bincount(model.groups_).tolist() == [75, 25]
    outside = model.predict_interval(np.array([[0.5, -9.0], [0.5, 9.0]]))
    assert np.isfinite(outside).all()


def test_refilled_neighbours_are_all_rows_and_the_map_has_seen_no_held_out_one():
    X, y = make_rows(200)
    model = make_pipeline(StandardScaler(), KNNRegressor(5))
    found = IntervalRegressor(model, method="split", refill=True, n_neighbors=9, shrinkage=0.3).fit(X, y)
    plain = IntervalRegressor(model, method="split", n_neighbors=9).fit(X, y)
    kept = np.isin(y, plain.estimator_[-1].y_)
    learn, held = np.flatnonzero(kept), np.flatnonzero(~kept)
    scaler = StandardScaler().fit(X[learn])
    np.testing.assert_allclose(found.estimator_[0].mean_, scaler.mean_, rtol=1e-12)
    rows = scaler.transform(X)
    expected = []
    for row in held:
        rest = np.arange(200) != row
        left = KNNRegressor(9).fit(rows[rest], y[rest])
        spread = y[rest][left.kneighbors(rows[[row]])[1][0]].std()
        prediction = KNNRegressor(5).fit(rows[rest], y[rest]).predict(rows[[row]])[0]
        expected.append((y[row] - prediction) / (0.7 * spread + 0.3 * y[learn].std()))
    np.testing.assert_allclose(sorted(found.scores_), sorted(expected), rtol=1e-9)
    np.testing.assert_allclose(found.predict(X[:9]), KNNRegressor(5).fit(rows, y).predict(rows[:9]), rtol=1e-12)


def test_only_models_of_neighbours_are_refilled():
    with pytest.raises(TypeError, match="LinearRegression has no neighbours"):
        IntervalRegressor(LinearRegression(), method="split", refill=True).fit(*make_rows(60))


def test_ranges_of_held_out_rows_are_theirs():
    X, y = make_rows(200)
    X[:, 1] = np.arange(200)
    for refill in (False, True):
        model = IntervalRegressor(KNNRegressor(5), method="split", refill=refill, by=1, n_groups=2).fit(X, y)
        assert model.edges_[0] in X[:, 1]
        assert 90 < model.edges_[0] < 110
        assert len(model.groups_) == 40
        assert 10 < model.groups_.sum() < 30


# ---------------------------------------------------------------------------------------------- repeated rows

REPEATS = (0.0, 0.25, 0.5, 1.0)


def repeat_rows(share, *, n=600, seed=0, near=0.0):
    """Make rows of which a share stands there twice, and a label for each that it shares with its copy."""
    X, y = make_rows(round(n / (1 + share)), seed=seed)
    n_twice = round(share * len(X))
    labels = np.concatenate([np.arange(len(X)), np.arange(n_twice)])
    order = np.random.default_rng(seed).permutation(len(labels))
    noise = near * np.random.default_rng(seed + 1).normal(size=(len(labels), X.shape[1]))
    return (X[labels] + noise)[order], y[labels][order], labels[order]


def measure_repeated(estimator, share, *, seeds=12, with_groups=False, near=0.0, **options):
    """Return the mean coverage of new rows that repeat none, and its standard error, over seeds."""
    found = []
    for seed in range(seeds):
        X, y, labels = repeat_rows(share, seed=seed, near=near)
        new, target = make_rows(1000, seed=1000 + seed)
        model = IntervalRegressor(estimator, n_neighbors=30, **options)
        model.fit(X, y, groups=labels if with_groups else None)
        lower, upper = model.predict_interval(new)
        found.append(((lower <= target) & (target <= upper)).mean())
    return np.mean(found), np.std(found, ddof=1) / np.sqrt(seeds)


@pytest.mark.medium
@pytest.mark.parametrize("share", REPEATS)
@pytest.mark.parametrize(
    "estimator",
    [KNNRegressor(20), KNNRegressor(1), KNNRegressor(20, weights="distance"), LocalLinearRegressor(40)],
    ids=["uniform", "one neighbour", "distance", "planes"],
)
def test_intervals_cover_new_rows_however_many_rows_are_repeated(estimator, share):
    coverage, error = measure_repeated(estimator, share)
    assert coverage >= 0.9 - 3 * error - 0.005


@pytest.mark.medium
@pytest.mark.parametrize("method", ["cv", "split"])
def test_groups_of_near_duplicates_keep_the_coverage(method):
    estimator = KNNRegressor(20, weights="distance")
    coverage, error = measure_repeated(estimator, 1.0, with_groups=True, near=1e-6, method=method)
    assert coverage >= 0.9 - 3 * error - 0.005


@pytest.mark.parametrize("share", REPEATS)
def test_the_method_is_chosen_by_what_repeats(share):
    X, y, _ = repeat_rows(share, n=200)
    model = IntervalRegressor(KNNRegressor(5, weights="distance")).fit(X, y)
    assert model.method_ == ("cv" if share else "leave-one-out")
    assert IntervalRegressor(LinearRegression()).fit(X, y).method_ == "cv"


def test_equal_rows_are_left_out_together():
    X, y, labels = repeat_rows(0.5, n=200)
    model = IntervalRegressor(KNNRegressor(3), shrinkage=1).fit(X, y)
    _, first = np.unique(X, axis=0, return_index=True)
    places = pd.DataFrame(X).groupby([0, 1], sort=False).ngroup()
    errors = y - cross_val_predict(KNNRegressor(3), X, y, cv=GroupKFold(5), groups=places)
    np.testing.assert_allclose(model.scores_ * y.std(), errors, rtol=1e-9)
    assert len(first) == len(np.unique(labels))


def test_columns_that_the_model_does_not_see_hide_no_repeats():
    X, y, _ = repeat_rows(1.0, n=200)
    numbered = np.column_stack([X, np.arange(len(X))])
    seen = make_pipeline(ColumnTransformer([("seen", "passthrough", [0, 1])]), KNNRegressor(3))
    assert IntervalRegressor(seen).fit(numbered, y).method_ == "cv"
    assert IntervalRegressor(KNNRegressor(3)).fit(numbered, y).method_ == "leave-one-out"


@pytest.mark.parametrize("method", ["leave-one-out", "cv", "split"])
def test_a_method_that_leaves_copies_in_warns_in_one_line(method):
    X, y, labels = repeat_rows(0.25, n=200)
    with pytest.warns(UserWarning, match=r"80 of 200 rows equal others, .*method=\"auto\"") as caught:
        IntervalRegressor(KNNRegressor(5), method=method).fit(X, y)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    if method != "leave-one-out":
        IntervalRegressor(KNNRegressor(5), method=method).fit(X, y, groups=labels)


def test_a_frozen_model_that_has_seen_copies_warns():
    X, y, _ = repeat_rows(0.25, n=200)
    with pytest.warns(UserWarning, match="80 of 200 rows equal others"):
        model = IntervalRegressor(FrozenEstimator(KNNRegressor(5).fit(X, y))).fit(X, y)
    assert model.method_ == "leave-one-out"


def test_few_values_are_no_repeats_unless_the_targets_repeat_too():
    random = np.random.default_rng(0)
    X = random.integers(0, 4, size=(300, 2)).astype(float)
    assert label_repeats(X, random.normal(size=300)) is None
    assert label_repeats(X, X[:, 0]) is not None
    copies = np.tile(random.normal(size=(60, 2)), (5, 1))
    assert label_repeats(copies, np.tile(random.normal(size=60), 5)) is not None


def test_a_learned_map_is_calibrated_on_rows_that_it_has_not_seen():
    X, y = make_rows(150)
    learned = make_learned_regressor([0, 1], n_maps=1, n_rounds=1, n_components=2, n_neighbors=9)
    model = IntervalRegressor(learned).fit(X, y)
    assert model.method_ == "split"
    assert len(model.scores_) == 30
    assert len(model.estimator_[-1].y_) == 150


@pytest.mark.medium
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_refilled_neighbours_cover_new_rows_however_many_rows_are_repeated(share):
    """A copy of a held-out row is held out too, and joins the neighbours only after both have calibrated."""
    mapped = make_pipeline(MetricMap(n_rounds=1, n_components=2, n_neighbors=9), KNNRegressor(20, weights="distance"))
    coverage, error = measure_repeated(mapped, share, seeds=6)
    assert coverage >= 0.9 - 3 * error - 0.005


def test_with_groups_refilled_neighbours_calibrate_nothing():
    X, y, labels = repeat_rows(1.0, n=200)
    options = {"method": "split", "shrinkage": 1}
    refilled, plain = (
        IntervalRegressor(KNNRegressor(3, weights="distance"), refill=refill, **options).fit(X, y, groups=labels)
        for refill in (True, False)
    )
    np.testing.assert_array_equal(refilled.scores_, plain.scores_)
    assert (len(refilled.estimator_.y_), len(plain.estimator_.y_)) == (200, 160)
