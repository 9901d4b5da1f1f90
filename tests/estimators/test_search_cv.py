"""KNNSearchCV: GridSearchCV's interface and scores from one search per fold."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, LeaveOneOut, cross_val_score, cross_validate
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from energyknn import KNNRegressor, KNNSearchCV

GRID = {"n_neighbors": range(1, 21), "weights": ["uniform", "distance"]}


@pytest.fixture(scope="module")
def data():
    random = np.random.default_rng(0)
    X = random.normal(size=(240, 3))
    return X, X.sum(axis=1) + random.normal(size=240)


@parametrize_with_checks([KNNSearchCV({"n_neighbors": [1, 2, 3]}, cv=2)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.medium
def test_results_have_grid_search_cvs_keys_and_scores(data):
    options = {"cv": 4, "return_train_score": True}
    expected = GridSearchCV(KNeighborsRegressor(algorithm="kd_tree"), GRID, **options).fit(*data)
    search = KNNSearchCV(GRID, **options).fit(*data)
    assert list(search.cv_results_) == list(expected.cv_results_)
    for name, values in expected.cv_results_.items():
        assert getattr(search.cv_results_[name], "dtype", None) == getattr(values, "dtype", None), name
        if name.endswith(("_score",)):
            np.testing.assert_allclose(search.cv_results_[name], values, rtol=0, atol=1e-12, err_msg=name)
        elif not name.endswith("_time"):
            assert list(search.cv_results_[name]) == list(values), name
    assert search.best_params_ == expected.best_params_
    assert search.best_index_ == expected.best_index_
    assert search.best_score_ == pytest.approx(expected.best_score_, abs=1e-12)
    assert search.n_splits_ == 4
    np.testing.assert_allclose(search.predict(data[0]), expected.predict(data[0]), rtol=1e-12)
    assert search.score(*data) == pytest.approx(expected.score(*data), abs=1e-12)
    assert isinstance(search.best_estimator_, KNNRegressor)
    pd.DataFrame(search.cv_results_)


@pytest.mark.medium
@pytest.mark.parametrize("refit", ["mae", "r2", False, lambda _results: 3])
def test_several_metrics_and_refit_by_name_or_callable(data, refit):
    options = {"cv": 3, "scoring": {"r2": "r2", "mae": "neg_mean_absolute_error"}, "refit": refit}
    grid = GRID | {"n_neighbors": range(1, 21, 4)}
    expected = GridSearchCV(KNeighborsRegressor(), grid, **options).fit(*data)
    search = KNNSearchCV(grid, **options).fit(*data)
    assert set(search.cv_results_) == set(expected.cv_results_)
    assert search.multimetric_ is True
    if refit:
        assert search.best_index_ == expected.best_index_
        assert search.best_params_ == expected.best_params_
        np.testing.assert_allclose(search.predict(data[0][:5]), expected.predict(data[0][:5]), rtol=1e-12)
    else:
        assert not hasattr(search, "best_estimator_")
    if isinstance(refit, str):
        assert search.best_score_ == pytest.approx(expected.best_score_, abs=1e-12)
        assert search.score(*data) == pytest.approx(expected.score(*data), abs=1e-12)


def test_several_metrics_need_a_refit_that_names_one(data):
    with pytest.raises(ValueError, match="refit must be set to a scorer key"):
        KNNSearchCV(GRID, scoring=["r2", "neg_max_error"]).fit(*data)


def test_a_list_of_grids_masks_what_a_candidate_does_not_have(data):
    grids = [{"n_neighbors": [1, 2]}, {"n_neighbors": [3], "p": [1, 2]}]
    expected = GridSearchCV(KNeighborsRegressor(), grids, cv=3).fit(*data)
    search = KNNSearchCV(grids, cv=3).fit(*data)
    assert search.cv_results_["params"] == expected.cv_results_["params"]
    np.testing.assert_array_equal(
        np.ma.getmaskarray(search.cv_results_["param_p"]), np.ma.getmaskarray(expected.cv_results_["param_p"])
    )
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=0, atol=1e-12
    )


def test_groups_and_splitters(data):
    groups = np.arange(240) // 6
    expected = GridSearchCV(KNeighborsRegressor(), GRID, cv=GroupKFold(4)).fit(*data, groups=groups)
    search = KNNSearchCV(GRID, cv=GroupKFold(4)).fit(*data, groups=groups)
    assert search.best_params_ == expected.best_params_
    shuffled = KNNSearchCV(GRID, cv=KFold(3, shuffle=True, random_state=1)).fit(*data)
    assert shuffled.n_splits_ == 3


def test_inside_of_pipelines_and_cross_validation(data):
    pipeline = make_pipeline(StandardScaler(), KNNSearchCV({"n_neighbors": [3, 9]}, cv=3))
    nested = make_pipeline(StandardScaler(), GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [3, 9]}, cv=3))
    np.testing.assert_allclose(cross_val_score(pipeline, *data, cv=3), cross_val_score(nested, *data, cv=3), rtol=1e-10)


def test_clone_and_pickle(data):
    search = KNNSearchCV(GRID, cv=3)
    assert clone(search).get_params() == search.get_params()
    fitted = search.fit(*data)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(data[0]), fitted.predict(data[0]))  # noqa: S301


def test_repeated_candidates_are_reported_as_often_as_they_are_given(data):
    search = KNNSearchCV({"n_neighbors": [1, 2, 2, 3, 1]}, cv=3).fit(*data)
    assert [params["n_neighbors"] for params in search.cv_results_["params"]] == [1, 2, 2, 3, 1]
    assert search.cv_results_["mean_test_score"][1] == search.cv_results_["mean_test_score"][2]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({"n_neighbors": []}, "empty|non-empty"),
        ({"sharpness": [30]}, "'sharpness' cannot be searched over. Known are 'transformer', "),
        ({"n_neighbors": [0]}, "All the 3 fits failed"),
    ],
)
def test_an_impossible_grid_is_refused(data, grid, message):
    with pytest.raises(ValueError, match=message):
        KNNSearchCV(grid, cv=3).fit(*data)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "grid", [{"n_neighbors": [0, 3]}, {"n_neighbors": [500, 3]}, {"weights": ["unifrom"], "n_neighbors": [3]}]
)
def test_a_candidate_that_cannot_be_scored_has_the_error_score(data, grid):
    if "weights" in grid:
        grid = [grid, {"n_neighbors": [3]}]
    search = KNNSearchCV(grid, cv=3).fit(*data)
    assert np.isnan(search.cv_results_["mean_test_score"][0])
    assert search.best_index_ == 1


def test_a_score_that_is_no_number_ranks_last_with_a_warning(data):
    def scorer(estimator, X, _y):
        return np.nan if np.ptp(estimator.predict(X)) > 3 else 1.0

    with pytest.warns(UserWarning, match="non-finite"):
        search = KNNSearchCV({"n_neighbors": [1, 150]}, cv=3, scoring=scorer).fit(*data)
    assert search.best_params_ == {"n_neighbors": 150}
    assert list(search.cv_results_["rank_test_score"]) == [2, 1]


def test_transformers_get_data_frames_with_any_columns(data):
    table = pd.DataFrame(data[0], columns=list("abc")).assign(text="x")
    chosen = ColumnTransformer([("numbers", StandardScaler(), ["a", "c"])])
    search = KNNSearchCV({"n_neighbors": [3, 9], "transformer": [chosen]}, cv=3).fit(table, data[1])
    assert list(search.feature_names_in_) == ["a", "b", "c", "text"]
    assert search.predict(table[:4]).shape == (4,)


def test_leave_one_out_of_many_rows_is_refused_before_its_row_numbers_fill_the_memory():
    rows = np.zeros((50_000, 1))
    with pytest.raises(
        ValueError, match=r"50000 folds of 50000 rows: their row numbers take 19 GiB.*score_leave_one_out"
    ):
        KNNSearchCV({"n_neighbors": [1]}, cv=LeaveOneOut()).fit(rows, rows[:, 0])


def test_verbose_shows_the_work_that_is_left(data, capsys):
    KNNSearchCV({"n_neighbors": [1]}, cv=3, verbose=1).fit(*data)
    shown = capsys.readouterr()
    assert shown.err == "Search each fold once: 3 steps\n"
    assert shown.out == "Fitting 3 folds for each of 1 candidates, totalling 3 fits\n"


def test_an_interrupted_fit_shows_the_folds_that_were_finished(data, monkeypatch):
    def interrupt_last(steps, _description):
        *most, _ = steps
        yield from most
        raise KeyboardInterrupt

    monkeypatch.setattr("energyknn.estimators.one_search.track_silently", interrupt_last)
    search = KNNSearchCV({"n_neighbors": [1, 4]}, cv=3)
    with pytest.raises(KeyboardInterrupt):
        search.fit(*data)
    monkeypatch.undo()
    whole = KNNSearchCV({"n_neighbors": [1, 4]}, cv=3).fit(*data)
    np.testing.assert_array_equal(search.cv_results_["split1_test_score"], whole.cv_results_["split1_test_score"])
    assert np.isnan(search.cv_results_["split2_test_score"]).all()
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert not hasattr(search, "best_estimator_")


def test_error_score_is_grid_search_cvs(data):
    def weigh(distances):
        if distances.shape[1] == 5:
            message = "five"
            raise RuntimeError(message)
        return np.ones_like(distances)

    grid = {"n_neighbors": [4, 5], "weights": [weigh]}
    with pytest.warns(UserWarning, match="RuntimeError: five"), pytest.warns(UserWarning, match="non-finite"):
        search = KNNSearchCV(grid, cv=3).fit(*data)
    assert np.isnan(search.cv_results_["mean_test_score"][1])
    with pytest.raises(RuntimeError, match="five"):
        KNNSearchCV(grid, cv=3, error_score="raise").fit(*data)


def test_groups_reach_the_folds_through_cross_validate(data):
    groups = np.arange(240) % 9
    search = KNNSearchCV({"n_neighbors": [3, 9]}, cv=GroupKFold(3))
    grid = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [3, 9]}, cv=GroupKFold(3))
    with config_context(enable_metadata_routing=True):
        found, expected = (
            cross_validate(model, *data, cv=GroupKFold(4), params={"groups": groups}) for model in (search, grid)
        )
    np.testing.assert_allclose(found["test_score"], expected["test_score"], rtol=1e-10)


def test_rows_without_a_transformer_may_be_nullable(data):
    table = pd.DataFrame(data[0], columns=list("abc")).convert_dtypes()
    search = KNNSearchCV({"n_neighbors": [3], "transformer": [StandardScaler(), None]}, cv=3).fit(table, data[1])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
