"""The study: the notebook's own cells beside our composition, no leak, and every size that is too small."""

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

from energyknn.errors import DataFileError
from energyknn.schema import make_schema
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, check_size, micro_candidates, prepare, run_study
from energyknn.study.songs import label_songs
from energyknn.study.tools import choose_search


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


def test_every_figure_is_the_notebooks_own(many_tracks):
    expected = run_the_notebook(many_tracks)
    study = run_study(many_tracks, Protocol(), choose_search("grid"))
    for name, model in (("base", study.base), ("tuned", study.tuned)):
        np.testing.assert_allclose(model.train, expected[name, "train"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(model.test, expected[name, "test"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(study.coarse.mean, expected["coarse"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(study.micro.mean, expected["micro"], rtol=0, atol=1e-12)
    best = [scores.n_neighbors[scores.best] for scores in (study.coarse, study.micro)]
    assert tuple(best) == expected["best"]
    assert study.tuned.n_neighbors == best[1]


def test_the_reference_year_moves_no_score(many_tracks):
    early, late = (
        run_study(many_tracks, Protocol(reference_year=year), choose_search("grid")) for year in (1990, 2026)
    )
    np.testing.assert_allclose(early.coarse, late.coarse, atol=1e-9)


def test_without_leak_no_test_row_moves_a_training_value(many_tracks):
    protocol = Protocol(scaling="train_only", groups="songs")
    data = prepare(many_tracks, protocol)
    test_names = set(many_tracks.index) - set(many_tracks.index[data.X_train.index])
    changed = many_tracks.copy()
    changed.loc[sorted(test_names), "tempo"] += 1000.0
    np.testing.assert_array_equal(prepare(changed, protocol).X_train, data.X_train)
    leaky = Protocol(groups="songs")
    assert not np.array_equal(prepare(changed, leaky).X_train, prepare(many_tracks, leaky).X_train)


def test_songs_stay_on_one_side():
    table = pd.concat([make_tracks(200)] * 2, ignore_index=True)
    data = prepare(table, Protocol(groups="songs"))
    assert not set(data.X_train.index % 200) & set(data.X_test.index % 200)
    np.testing.assert_array_equal(data.groups, label_songs(table, SPOTIFY)[data.X_train.index])
    assert prepare(table, Protocol()).groups is None
    songs = data.X_train.index.to_numpy() % 200
    for fold in data.folds:
        assert not set(songs[fold.train]) & set(songs[fold.test])


def test_other_peoples_columns_make_a_study():
    random = np.random.default_rng(0)
    table = pd.DataFrame({"area": random.random(200), "town": random.choice(["a", "b"], 200)})
    table["price"] = table["area"] * 3 + (table["town"] == "a")
    schema = make_schema(target="price", numbers=["area"], categories=["town"])
    study = run_study(table, Protocol(), choose_search("grid"), schema=schema)
    assert study.tuned.test.r2 > 0.99


@pytest.mark.parametrize(
    ("best", "limit", "candidates"),
    [(11, 99, (11, 12, 13, 14, 15, 16)), (1, 99, (1, 2, 3, 4, 5, 6)), (51, 53, (51, 52, 53))],
)
def test_the_second_search_starts_at_the_best_of_the_first(best, limit, candidates):
    assert micro_candidates(best, limit) == candidates


@pytest.mark.parametrize("n_rows", [1, 3, 4, 60, 84])
def test_too_few_rows_are_refused_with_the_number_that_is_needed(n_rows):
    with pytest.raises(DataFileError, match=f"{n_rows} rows leave .* at least 85 rows"):
        check_size(n_rows)
    with pytest.raises(DataFileError):
        prepare(make_tracks(n_rows), Protocol())


def test_85_rows_are_enough():
    check_size(85)
    run_study(make_tracks(85), Protocol(), choose_search("grid"))
