"""Models beside one another: the same rows, the same folds, no look at a test row, and how sure each figure is."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from check_results import check_results
from made_tracks import make_tracks
from scipy.stats import norm, t
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, cross_val_score, learning_curve
from threadpoolctl import threadpool_limits

from energyknn import KNNRegressor
from energyknn.fitting import fit_in_groups
from energyknn.learning.planes import weigh_softly
from energyknn.study.cli import main
from energyknn.study.comparison.bootstrap import (
    estimate_mean,
    estimate_over_splits,
    estimate_rmse,
    estimate_rmse_difference,
)
from energyknn.study.comparison.columns import measure_columns
from energyknn.study.comparison.coverage import measure_intervals
from energyknn.study.comparison.diagnostics import (
    estimate_nested,
    label_bins,
    label_decades,
    measure_effects,
    measure_learning_curve,
    tabulate_errors,
)
from energyknn.study.comparison.models import LEARNED, NOTEBOOK, ONE_MAP, TUNED_TREES, compare_models, list_models
from energyknn.study.comparison.trees import LIBRARIES, TunedTreesRegressor, find_missing_libraries, tune_trees
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, prepare
from energyknn.study.songs import label_songs

QUICK = {"n_maps": 2, "n_rounds": 2, "n_queries": 200, "n_components": 3, "n_neighbors": 20}
FEW_TREES = {"n_trials": 1, "max_trees": 4}
LEARN_DISTANCES = ("neighbours, one weight per column", ONE_MAP, LEARNED)
INSTALLED = [name for name in LIBRARIES if name not in find_missing_libraries()]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Fit on one thread: threads that wait for each other take most of the CPU time of so few rows."""
    with threadpool_limits(1):
        yield


def shrink(models):
    """Leave few trees, which take most of the time."""
    models["random forest"].set_params(n_estimators=3, n_jobs=1)
    models["boosted trees"].set_params(max_iter=3)
    return models


@pytest.fixture(scope="module")
def table():
    return make_tracks(400)


@pytest.fixture(scope="module")
def data(table):
    return prepare(table, Protocol(), n_neighbors=51)


@pytest.fixture(scope="module")
def models(data):
    return shrink(list_models(list(data.X_train), n_neighbors=11, learning=QUICK, tuning=FEW_TREES))


@pytest.fixture(scope="module")
def scores(data, models):
    """Score the models that learn no distance."""
    return compare_models(data, {name: model for name, model in models.items() if name not in LEARN_DISTANCES})


@pytest.fixture(scope="module")
def learned_scores(data, models):
    return compare_models(data, {name: models[name] for name in LEARN_DISTANCES})


# ------------------------------------------------------------------------------------------------- models


def test_every_model_is_listed_and_scored(scores, models):
    assert [name for name in models if name not in LEARN_DISTANCES] == list(scores)
    assert len(models) == 9 + len(INSTALLED)
    check_scores(scores)


@pytest.mark.slow
def test_models_that_learn_a_distance_are_scored(learned_scores):
    check_scores(learned_scores)


def check_scores(scores):
    for score in scores.values():
        assert np.isfinite([score.cv_rmse, *score.test, score.seconds]).all()
        assert score.test_rmse.value == pytest.approx(score.test.rmse, rel=1e-12)
        assert score.test_rmse.low < score.test.rmse < score.test_rmse.high


def test_the_mean_explains_nothing(scores):
    assert scores["mean"].test.r2 == pytest.approx(0, abs=0.05)


def test_the_scores_are_scikit_learns(data, scores):
    folds = [tuple(fold) for fold in data.folds]
    expected = -cross_val_score(
        LinearRegression(), data.X_train, data.y_train, cv=folds, scoring="neg_root_mean_squared_error"
    ).mean()
    assert scores["ordinary least squares"].cv_rmse == pytest.approx(expected, rel=1e-12)
    model = LinearRegression().fit(data.X_train, data.y_train)
    assert scores["ordinary least squares"].test.r2 == pytest.approx(model.score(data.X_test, data.y_test), rel=1e-12)
    np.testing.assert_allclose(scores["ordinary least squares"].predicted_test, model.predict(data.X_test))


def shift(data):
    """Change every test row and its target."""
    return replace(data, X_test=data.X_test * -1 + 3, y_test=data.y_test[::-1] + 1)


@pytest.mark.medium
def test_test_rows_move_nothing_but_test_scores(data, scores, models):
    check_that_test_rows_move_nothing(data, scores, {name: models[name] for name in ("boosted trees", TUNED_TREES)})


@pytest.mark.slow
def test_test_rows_move_nothing_of_a_learned_distance(data, learned_scores, models):
    check_that_test_rows_move_nothing(data, learned_scores, {LEARNED: models[LEARNED]})


def check_that_test_rows_move_nothing(data, scores, models):
    for name, score in compare_models(shift(data), models).items():
        assert score.cv_rmse == scores[name].cv_rmse
        assert score.test != scores[name].test
    moved = replace(data, y_test=data.y_test[::-1] + 1)
    for name, score in compare_models(moved, models).items():
        np.testing.assert_array_equal(score.predicted_test, scores[name].predicted_test)


def test_test_rows_move_no_nested_estimate_and_no_learning_curve(data):
    assert estimate_nested(shift(data), range(1, 20)) == estimate_nested(data, range(1, 20))
    line = LinearRegression()
    assert measure_learning_curve(shift(data), line) == measure_learning_curve(data, line)


@pytest.mark.slow
def test_songs_are_no_neighbours_of_themselves_while_learning(table, models):
    """A copy of each row is no help where songs are kept on one side: learning is told which rows are one song."""
    twice = pd.concat([table] * 2, ignore_index=True)
    grouped = prepare(twice, Protocol(groups="songs"), n_neighbors=51)
    told = compare_models(grouped, {LEARNED: models[LEARNED]})[LEARNED]
    untold = compare_models(replace(grouped, groups=None), {LEARNED: models[LEARNED]})[LEARNED]
    expected = fit_in_groups(clone(models[LEARNED]), grouped.X_train, grouped.y_train, grouped.groups)
    np.testing.assert_array_equal(told.predicted_test, expected.predict(grouped.X_test))
    assert told.cv_rmse != untold.cv_rmse
    assert not np.array_equal(told.predicted_test, untold.predicted_test)


def test_seeded_trees_repeat_every_bit(data, scores, models):
    again = compare_models(data, {TUNED_TREES: models[TUNED_TREES]})[TUNED_TREES]
    np.testing.assert_array_equal(again.predicted_test, scores[TUNED_TREES].predicted_test)
    assert again[:3] == scores[TUNED_TREES][:3]


@pytest.mark.slow
def test_a_seeded_learned_distance_repeats_every_bit(data, learned_scores, models):
    again = compare_models(data, {LEARNED: models[LEARNED]})[LEARNED]
    np.testing.assert_array_equal(again.predicted_test, learned_scores[LEARNED].predicted_test)
    assert again[:3] == learned_scores[LEARNED][:3]


# -------------------------------------------------------------------------------------------------- trees


@pytest.fixture(scope="module")
def waves():
    random = np.random.default_rng(0)
    X = random.normal(size=(600, 4))
    return X, np.sin(2 * X[:, 0]) + 0.1 * random.normal(size=600)


@pytest.mark.medium
@pytest.mark.parametrize("library", LIBRARIES)
def test_trees_of_every_library_are_tuned_by_rows_that_are_kept_out(waves, library):
    if library not in INSTALLED:
        pytest.skip(f"{library} is not installed")
    tuned = tune_trees(*waves, library, n_trials=3, max_trees=60, learning_rate=0.1)
    assert len(tuned.trials) == 4
    *fast, slow = tuned.trials
    assert {trial.setting["learning_rate"] for trial in fast} == {0.15}
    best = min(fast, key=lambda trial: trial.rmse)
    assert tuned.setting == {**best.setting, "learning_rate": 0.1} == slow.setting
    assert tuned.n_trees == slow.n_trees <= 60
    assert fast[0].setting.items() >= dict(LIBRARIES[library].first).items()
    assert json.loads(json.dumps(tuned.setting)) == tuned.setting
    assert 0.05 < slow.rmse < 0.3
    again = tune_trees(*waves, library, n_trials=3, max_trees=60, learning_rate=0.1)
    assert [trial[:3] for trial in again.trials] == [trial[:3] for trial in tuned.trials]


@pytest.mark.parametrize("library", INSTALLED)
def test_the_error_of_a_trial_is_that_of_its_trees(waves, library):
    """Grown again with the number of trees that was best, without rows kept out, they err as the trial says."""
    X, y = waves
    rows, kept_out = (X[:500], y[:500]), (X[500:], y[500:])
    grow, setting = LIBRARIES[library].grow, {**LIBRARIES[library].first, "learning_rate": 0.3}
    options = {"patience": 5, "random_state": 0}
    found = grow(setting, rows, kept_out, n_trees=200, **options)
    assert 1 <= found.n_trees < 200
    again = grow(setting, rows, None, n_trees=found.n_trees, **options)
    assert root_mean_squared_error(kept_out[1], again.predict(kept_out[0])) == pytest.approx(found.rmse, rel=1e-5)


def test_an_earlier_choice_is_used_as_it_is(waves):
    X, y = waves
    tuned = TunedTreesRegressor(n_trials=1, max_trees=10).fit(X[:500], y[:500])
    assert len(tuned.trials_) == 2
    reused = TunedTreesRegressor(chosen=tuned.chosen_).fit(X[:500], y[:500])
    assert reused.trials_ == ()
    np.testing.assert_array_equal(reused.predict(X[500:]), tuned.predict(X[500:]))
    assert clone(reused).get_params() == reused.get_params()


def test_a_budget_ends_tuning(waves):
    assert len(tune_trees(*waves, "scikit-learn", n_trials=None, time_budget=1e-9, max_trees=5).trials) == 2


def test_libraries_that_cannot_be_used_are_refused(waves, monkeypatch):
    with pytest.raises(ValueError, match="Known are scikit-learn, LightGBM, CatBoost"):
        tune_trees(*waves, "XGBoost")
    with pytest.raises(ValueError, match="both None"):
        tune_trees(*waves, "scikit-learn", n_trials=None)
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ImportError, match=r"energyknn\[trees\]"):
        tune_trees(*waves, "LightGBM", n_trials=1)


def test_a_library_that_is_missing_is_named_and_left_out(data, monkeypatch):
    found = {"sklearn": object(), "lightgbm": None, "catboost": object()}
    monkeypatch.setattr("importlib.util.find_spec", lambda name: found[name])
    assert find_missing_libraries() == {"LightGBM": "pip install 'energyknn[trees]'"}
    listed = list_models(list(data.X_train), n_neighbors=11)
    assert "LightGBM, tuned" not in listed
    assert "CatBoost, tuned" in listed


# -------------------------------------------------------------------------------------------- uncertainty


def test_intervals_of_a_mean_are_those_of_the_normal_approximation():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=4000)
    found = estimate_mean(values, n_resamples=4000)
    half = norm.ppf(0.975) * values.std() / np.sqrt(4000)
    assert found.value == pytest.approx(values.mean(), rel=1e-12)
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.1 * half)


def test_intervals_of_an_rmse_hold_the_true_one_as_often_as_they_say():
    random, held = np.random.default_rng(1), 0
    for _ in range(200):
        found = estimate_rmse(np.zeros(150), random.normal(size=150), n_resamples=199)
        held += found.low <= 1.0 <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_what_is_hard_for_both_cancels_out_of_a_difference():
    random = np.random.default_rng(2)
    y = random.normal(size=2000)
    first = y + random.normal(size=2000)
    second = first + 0.01 * random.normal(size=2000)
    found = estimate_rmse_difference(y, first, second)
    single = estimate_rmse(y, first)
    assert found.low <= found.value <= found.high
    assert found.high - found.low < 0.1 * (single.high - single.low)
    assert estimate_rmse_difference(y, first, first) == (0.0, 0.0, 0.0)
    assert estimate_rmse_difference(y, second, first).value == pytest.approx(-found.value)


def test_groups_are_drawn_whole():
    """Rows that repeat another say nothing new: the interval is that of the rows without repeats."""
    errors = np.random.default_rng(3).normal(size=200)
    alone = estimate_rmse(np.zeros(200), errors)
    repeated = np.tile(errors, 5)
    groups = np.tile(np.arange(200), 5)
    assert estimate_rmse(np.zeros(1000), repeated, groups=groups) == pytest.approx(alone)
    by_rows = estimate_rmse(np.zeros(1000), repeated)
    assert by_rows.high - by_rows.low < 0.6 * (alone.high - alone.low)


def test_one_row_has_no_interval():
    with pytest.raises(ValueError, match="at least two"):
        estimate_rmse([1.0], [2.0])


def test_differences_over_splits_are_a_paired_t_test_that_is_widened():
    first, second = np.array([1.0, 2.0, 4.0]), np.array([0.5, 1.9, 3.0])
    differences = first - second
    plain = estimate_over_splits(first, second, test_share=0.0)
    half = t.ppf(0.975, 2) * differences.std(ddof=1) / np.sqrt(3)
    assert plain == pytest.approx((differences.mean(), differences.mean() - half, differences.mean() + half))
    wide = estimate_over_splits(first, second, test_share=0.25)
    assert wide.high - wide.value == pytest.approx(half * np.sqrt(3 * (1 / 3 + 0.25)))


# ------------------------------------------------------------------------------------------------ honesty


def test_effects_are_measured_on_the_same_test_rows(table, data):
    found = {effect.name: effect for effect in measure_effects(table, Protocol(), KNNRegressor(11))}
    assert list(found) == ["scale learned from all rows", "reference year", "songs on both sides"]
    usual = KNNRegressor(11).fit(data.X_train, data.y_train).predict(data.X_test)
    other = prepare(table, Protocol(scaling="train_only"))
    changed = KNNRegressor(11).fit(other.X_train, other.y_train).predict(other.X_test)
    scaling = found["scale learned from all rows"]
    assert scaling.usual == pytest.approx(root_mean_squared_error(data.y_test, usual))
    assert scaling.other == pytest.approx(root_mean_squared_error(data.y_test, changed))
    for effect in found.values():
        assert effect.difference.value == pytest.approx(effect.other - effect.usual, abs=1e-12)
        assert effect.difference.low <= effect.difference.value <= effect.difference.high
    assert found["reference year"].difference.value == pytest.approx(0, abs=1e-12)


def test_songs_on_both_sides_flatter_a_model_that_remembers():
    """Every second row repeats another with its energy: a nearest neighbour then knows the answer."""
    half = make_tracks(300, seed=4)
    table = pd.concat([half, half.assign(loudness=half["loudness"] + 1e-3)], ignore_index=True)
    protocol = Protocol(random_state=0, test_size=0.3)
    effect = measure_effects(table, protocol, KNNRegressor(1))[-1]
    assert effect.name == "songs on both sides"
    assert effect.difference.low > 0
    songs = label_songs(table, SPOTIFY)
    data = prepare(table, protocol)
    alone = ~np.isin(songs[data.X_train.index], songs[data.X_test.index])
    assert effect.n_train == alone.sum()
    fair = KNNRegressor(1).fit(data.X_train[alone], data.y_train[alone])
    assert effect.other == pytest.approx(root_mean_squared_error(data.y_test, fair.predict(data.X_test)))


def test_the_effect_of_songs_is_left_out_where_hardly_a_row_is_alone(table):
    small = table.iloc[:120].reset_index(drop=True).assign(name="one", artists="song")
    names = [effect.name for effect in measure_effects(small, Protocol(), KNNRegressor(5))]
    assert names == ["scale learned from all rows", "reference year"]


def test_the_learning_curve_is_scikit_learns(data):
    found = measure_learning_curve(data, LinearRegression(), shares=(0.5, 1))
    fold = tuple(data.folds[0])
    sizes, _, expected = learning_curve(
        LinearRegression(), data.X_train, data.y_train, train_sizes=[0.5, 1.0], cv=[fold],
        scoring="neg_root_mean_squared_error",
    )  # fmt: skip
    assert [point.n_train for point in found] == sizes.tolist()
    assert [point.rmse.value for point in found] == pytest.approx(-expected[:, 0])


def test_errors_by_group_are_those_of_their_rows():
    y = np.array([0.0, 1.0, 0.5, 0.5, 0.2])
    predicted = np.array([0.5, 0.5, 0.5, 0.4, 0.9])
    first, second = tabulate_errors(y, predicted, ["b", "b", "a", "a", "c"], fewest=2)
    assert (first.group, first.n_rows, second.group) == ("a", 2, "b")
    assert second.rmse.value == pytest.approx(0.5)
    assert second.residual.value == pytest.approx(0.0)
    assert first.residual.value == pytest.approx(0.05)


def test_labels_keep_the_order_of_what_they_label():
    assert list(label_decades([1921, 2019, 1930]).categories) == ["1920s", "1930s", "2010s"]
    bins = label_bins([-5.0, 95.0, 7.0], n_bins=10)
    assert list(bins) == ["-5 to 5", "85 to 95", "5 to 15"]
    rows = tabulate_errors(np.arange(30.0), np.zeros(30), label_bins(np.arange(30.0), n_bins=3), fewest=2)
    assert [row.group for row in rows] == ["0 to 9.66667", "9.66667 to 19.3333", "19.3333 to 29"]
    assert label_bins([0.1, 0.95]).categories[9] == "0.9 to 1"


@pytest.mark.medium
def test_a_nested_estimate_is_a_grid_search_inside_each_fold(data):
    grid = {"n_neighbors": list(range(3, 16, 2))}
    found = estimate_nested(data, grid["n_neighbors"])
    for fold, k, rmse in zip(data.folds, found.n_neighbors, found.nested_rmse, strict=True):
        X, y = data.X_train.iloc[fold.train], data.y_train[fold.train]
        search = GridSearchCV(KNNRegressor(), grid, cv=KFold(4)).fit(X, y)
        assert k == search.best_params_["n_neighbors"]
        predicted = search.predict(data.X_train.iloc[fold.test])
        assert rmse == pytest.approx(root_mean_squared_error(data.y_train[fold.test], predicted))
    assert found.optimism.value == pytest.approx(np.mean(found.nested_rmse) - np.mean(found.plain_rmse))
    whole = GridSearchCV(KNNRegressor(), grid, cv=[tuple(fold) for fold in data.folds]).fit(data.X_train, data.y_train)
    assert found.best == whole.best_params_["n_neighbors"]


def test_a_nested_estimate_can_keep_songs_on_one_side(data):
    songs = np.arange(len(data.y_train)) // 2
    grouped = replace(data, groups=songs)
    found = estimate_nested(grouped, range(1, 10))
    for fold, k in zip(data.folds, found.n_neighbors, strict=True):
        inner = GroupKFold(4).split(fold.train, groups=songs[fold.train])
        search = GridSearchCV(KNNRegressor(), {"n_neighbors": list(range(1, 10))}, cv=list(inner))
        assert k == search.fit(data.X_train.iloc[fold.train], data.y_train[fold.train]).best_params_["n_neighbors"]
    assert found.plain_rmse == estimate_nested(data, range(1, 10)).plain_rmse


# ------------------------------------------------------------------------------------------- command line


def test_intervals_cover_rows_that_calibrated_nothing(data):
    report = measure_intervals(data, KNNRegressor(7), groups=np.arange(len(data.y_test)) % 2, bounds=(0, 1))
    assert report.coverage.index.tolist() == ["all", 0, 1]
    assert report.coverage["n_rows"].tolist() == [80, 40, 40]
    assert (np.diff(report.calibration["mean_width"]) > 0).all()
    at_90 = report.calibration.set_index("nominal").loc[0.9]
    assert at_90["coverage"] == report.coverage["coverage"]["all"]
    moved = measure_intervals(replace(data, y_test=1 - data.y_test), KNNRegressor(7), bounds=(0, 1))
    pd.testing.assert_series_equal(moved.calibration["mean_width"], report.calibration["mean_width"])
    assert moved.constant_width == report.constant_width


def test_one_width_for_all_is_the_quantile_of_left_out_errors(data):
    report = measure_intervals(data, KNNRegressor(7), coverage=0.8)
    whole = KNNRegressor(7).fit(data.X_train, data.y_train)
    errors = np.abs(data.y_train - whole.predict(None))
    _, held = next(ShuffleSplit(1, test_size=0.2, random_state=0).split(data.y_train))
    expected = 2 * np.sort(errors[held])[int(np.ceil(0.8 * (len(held) + 1))) - 1]
    assert report.constant_width == pytest.approx(expected, rel=1e-12)


def test_one_weight_per_column_is_learned_for_the_mean_that_it_predicts_by(data):
    model = list_models(list(data.X_train), n_neighbors=5, learning={"n_maps": 3})["neighbours, one weight per column"]
    assert model[0].ridge == np.inf
    assert model[0].n_maps == 1
    assert model[1].weights is weigh_softly


@pytest.mark.medium
def test_a_column_that_is_all_that_matters_is_found(data):
    only = replace(data, y_train=data.X_train["tempo"].to_numpy())
    report = measure_columns(only, KNNRegressor(5))
    assert max(report.importance, key=lambda name: report.importance[name].value) == "tempo"
    assert sum(weight.value for weight in report.weights.values()) == pytest.approx(1)


@pytest.mark.slow
def test_the_command_line_shows_and_writes_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "energyknn.study.comparison.models.list_models",
        lambda columns, **options: shrink(
            list_models(columns, learning={**QUICK, "n_maps": 1}, tuning=FEW_TREES, **options)
        ),
    )
    missing = {"LightGBM": "install it", "CatBoost": "too"}
    for room in ("jobs.beyond", "comparison.models"):
        monkeypatch.setattr(f"energyknn.study.{room}.find_missing_libraries", lambda: missing)
    arguments = [
        "reproduce",
        "--no-honest",
        "--no-report",
        "--beyond",
        "--budget",
        "none",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    check_results(results)
    written, analyses = results["beyond"], results["beyond_analyses"]
    assert set(written["boosted trees"]) == {"cv_rmse", "test", "test_rmse", "seconds"}
    assert set(written["boosted trees"]["test"]) == {"r2", "rmse"}
    assert set(analyses) == {
        *("missing", "reduced", "left_out", "interrupted", "errors", "learning_curve", "effects", "nested", "seconds"),
        *("coverage", "calibration", "constant_width", "weights", "importance"),
    }
    assert [row["nominal"] for row in analyses["calibration"]] == [0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
    assert analyses["coverage"][0]["group"] == "all"
    assert sum(row["n_rows"] for row in analyses["coverage"][1:]) == analyses["coverage"][0]["n_rows"] == 400
    assert set(analyses["weights"]) == set(analyses["importance"]) == {*SPOTIFY.numbers, *SPOTIFY.categories}
    assert set(analyses["errors"]) == {"decade", "target"}
    for tables in analyses["errors"].values():
        assert list(tables) == [NOTEBOOK, TUNED_TREES, LEARNED]
        assert all(row["rmse"]["low"] <= row["rmse"]["value"] for rows in tables.values() for row in rows)
    assert len(analyses["effects"]["effects"]) == 3
    shown = capsys.readouterr().out
    assert "not compared: LightGBM (install it)" in shown
    for name, row in written.items():
        assert name in shown
        assert f"{row['test']['r2']:.5f}" in shown
