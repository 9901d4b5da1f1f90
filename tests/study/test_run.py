"""The study: the notebook's own cells beside our composition, and one search for each side of the split."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks
from sklearn.compose import make_column_transformer
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from energyknn.neighbors import NeighborIndex, search_neighbors
from energyknn.schema import make_schema
from energyknn.study.notebook import BASE_N_NEIGHBORS
from energyknn.study.protocol import Protocol, check_size, prepare
from energyknn.study.run import best_k, evaluate_models, list_candidates, run_study
from energyknn.study.tools import choose_tool


@pytest.fixture(scope="module")
def many_tracks():
    return make_tracks(600)


def run_the_notebook(table):
    """Run the notebook's cells in its own order, on a table that has every level."""
    spotify = table.select_dtypes(["float64", "int64"]).copy()
    spotify["year"] = 2021 - spotify["year"]
    spotify = pd.get_dummies(spotify, columns=["explicit", "key", "mode"], dtype="uint8")
    indicators = spotify.select_dtypes("uint8").columns
    spotify[indicators] = spotify[indicators].astype("int64").replace({0: -1})
    X, y = spotify.drop(columns="energy"), spotify["energy"]
    scale = make_column_transformer((StandardScaler(), list(X.columns[:11])), remainder="passthrough")
    X = pd.DataFrame(scale.fit_transform(X), columns=X.columns)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
    figures = {}
    base = KNeighborsRegressor().fit(X_train, y_train)
    coarse = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": list(range(1, 52, 10))}, cv=4).fit(X_train, y_train)
    best = coarse.best_params_["n_neighbors"]
    micro = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": list(range(best, best + 6))}, cv=4).fit(
        X_train, y_train
    )
    for name, model in (("base", base), ("tuned", micro.best_estimator_)):
        for side, rows, actual in (("train", X_train, y_train), ("test", X_test, y_test)):
            predicted = model.predict(rows)
            figures[name, side] = (r2_score(actual, predicted), mean_squared_error(actual, predicted) ** 0.5)
    figures["coarse"] = coarse.cv_results_["mean_test_score"]
    figures["micro"] = micro.cv_results_["mean_test_score"]
    figures["best"] = (best, micro.best_params_["n_neighbors"])
    return figures


@pytest.fixture(scope="module")
def grid_study(many_tracks):
    return run_study(many_tracks, Protocol(), choose_tool("grid"))


@pytest.mark.medium
def test_every_figure_is_the_notebooks_own(many_tracks, grid_study):
    expected, study = run_the_notebook(many_tracks), grid_study
    for name, model in (("base", study.base), ("tuned", study.tuned)):
        np.testing.assert_allclose(model.train, expected[name, "train"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(model.test, expected[name, "test"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(study.coarse.mean, expected["coarse"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(study.micro.mean, expected["micro"], rtol=0, atol=1e-12)
    assert (best_k(study.coarse), best_k(study.micro)) == expected["best"]
    assert study.tuned.n_neighbors == best_k(study.micro)


def test_the_reference_year_moves_no_score(many_tracks):
    tool = choose_tool("one-search")
    early, late = (run_study(many_tracks, Protocol(reference_year=year), tool) for year in (1990, 2026))
    np.testing.assert_allclose(early.coarse.values, late.coarse.values, atol=1e-9)


@pytest.mark.medium
def test_other_peoples_columns_make_a_study():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"area": random.random(200), "town": random.choice(["a", "b"], 200)})
    table["price"] = table["area"] * 3 + (table["town"] == "a")
    schema = make_schema(target="price", numbers=["area"], categories=["town"])
    study = run_study(table, Protocol(), choose_tool("grid"), schema=schema)
    assert study.tuned.test.r2 > 0.99


@pytest.mark.parametrize(
    ("best", "limit", "candidates"),
    [(11, 99, (11, 12, 13, 14, 15, 16)), (1, 99, (1, 2, 3, 4, 5, 6)), (51, 53, (51, 52, 53))],
)
def test_the_second_search_starts_at_the_best_of_the_first(best, limit, candidates):
    assert list_candidates(best, limit) == candidates


def test_85_rows_are_enough():
    check_size(85)
    run_study(make_tracks(85), Protocol(), choose_tool("one-search"))


@pytest.fixture
def tied_tracks():
    """Make tracks of which every third repeats another, so that rows tie with themselves and with others."""
    table = make_tracks(150)
    return pd.concat([table, table.iloc[::2]], ignore_index=True)


def test_predictions_have_the_bits_of_a_search_for_each_k_and_side(tied_tracks):
    data = prepare(tied_tracks, Protocol())
    X, y = data.X_train, data.y_train
    for model in evaluate_models(data, [5, 1, 40]):
        k = model.n_neighbors
        searches = search_neighbors(X, X, k), search_neighbors(X, None, k), search_neighbors(X, data.X_test, k)
        on_train, without_self, on_test = (y[found.indices].mean(axis=1) for found in searches)
        np.testing.assert_array_equal(model.predicted_test, on_test)
        assert model.test.r2 == r2_score(data.y_test, on_test)
        assert model.train.r2 == r2_score(y, on_train)
        assert model.train_without_self.r2 == r2_score(y, without_self)


def test_one_search_for_each_side_serves_both_models(many_tracks, monkeypatch):
    asked, search = [], NeighborIndex.search

    def count(index, rows=None, n_neighbors=5, **options):
        asked.append((None if rows is None else len(rows), n_neighbors))
        return search(index, rows, n_neighbors, **options)

    study = run_study(many_tracks, Protocol(), choose_tool("one-search"))
    assert study.searches == {}
    monkeypatch.setattr(NeighborIndex, "search", count)
    models = evaluate_models(study.data, (BASE_N_NEIGHBORS, best_k(study.micro)))
    assert asked == [(None, best_k(study.micro)), (120, best_k(study.micro))]
    for found, expected in zip(models, (study.base, study.tuned), strict=True):
        assert (found.train, found.train_without_self, found.test) == (
            *(expected.train, expected.train_without_self, expected.test),
        )


def test_the_fitted_searches_of_scikit_learn_are_kept(grid_study):
    assert {stage: type(search) for stage, search in grid_study.searches.items()} == {
        "coarse": GridSearchCV,
        "micro": GridSearchCV,
    }
