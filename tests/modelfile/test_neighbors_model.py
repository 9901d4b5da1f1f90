"""The front door: a model of a raw table from one call, as scikit-learn's estimators are used."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split

from energyknn import (
    IntervalRegressor,
    KNNRegressor,
    KNNSearchCV,
    NeighborsModel,
    fit_model,
    load_model,
    make_learned_classifier,
)
from energyknn.errors import DataFileError, ModelFileError
from energyknn.fitting import evaluate
from energyknn.modelfile import states
from energyknn.schema import Column, Schema, make_schema

TOWNS = np.array(["Bonn", "Ulm", "Kiel"])


def make_homes(n_rows=160, seed=0):
    random = np.random.default_rng(seed)
    area, town = random.uniform(30, 150, n_rows), random.integers(0, 3, n_rows)
    return pd.DataFrame(
        {
            "id": [f"home {row}" for row in range(n_rows)],
            "area": area,
            "built": random.integers(1950, 2020, n_rows),
            "town": TOWNS[town],
            "price": 1000 * area + 20_000 * town + random.normal(0, 3000, n_rows),
        }
    )


@pytest.fixture(scope="module")
def homes():
    return make_homes()


@pytest.fixture(scope="module")
def fitted(homes):
    return NeighborsModel("price", effort="quick").fit(homes)


def test_a_raw_table_is_enough(fitted):
    new = make_homes(seed=1)
    assert fitted.score(new) > 0.9
    assert fitted.score(new.drop(columns="price"), new["price"]) == fitted.score(new)
    lower, upper = fitted.predict_interval(new)
    assert 0.8 < ((lower <= new["price"]) & (new["price"] <= upper)).mean() < 1
    assert fitted.roles_["role"].to_dict() == {
        "id": "text",
        "area": "number",
        "built": "year",
        "town": "category",
        "price": "target",
    }
    assert fitted.feature_names_in_.tolist() == ["area", "built", "town"]


def test_quick_chooses_among_numbers_of_neighbours_weightings_and_distances(fitted):
    model = fitted.model_.estimator.estimator_
    assert isinstance(model, KNNRegressor)
    assert (1 <= model.n_neighbors <= 100, model.weights in ("uniform", "distance"), model.p in (1, 2)) == (True,) * 3
    assert fitted.method_.startswith(f"the mean of {model.n_neighbors} neighbours")


@pytest.mark.medium
def test_quality_is_measured_on_rows_without_themselves(homes, fitted):
    """By the definition: each row predicted by a model of all the others."""
    model, encoded = fitted.model_.estimator.estimator_, fitted.model_.rows
    predictions = [
        clone(model).fit(np.delete(encoded, row, 0), np.delete(fitted.model_.targets, row)).predict(encoded[[row]])[0]
        for row in range(len(encoded))
    ]
    quality = fitted.quality_
    assert (quality.r2, quality.rmse) == pytest.approx(tuple(evaluate(homes["price"], predictions)), rel=1e-9)
    assert quality.n_rows == len(homes)
    assert 0.8 < quality.coverage < 1
    assert quality.mean_width > 0
    assert quality.accuracy is None
    assert "\n" not in repr(quality)


def test_the_quality_that_is_printed_is_that_of_new_rows(fitted):
    new = make_homes(2000, seed=2)
    lower, upper = fitted.predict_interval(new)
    assert fitted.quality_.rmse == pytest.approx(evaluate(new["price"], fitted.predict(new)).rmse, rel=0.25)
    assert fitted.quality_.mean_width == pytest.approx((upper - lower).mean(), rel=0.1)


def test_a_saved_model_is_read_as_a_model(homes, fitted, tmp_path):
    fitted.save(tmp_path / "m")
    read = NeighborsModel.load(tmp_path / "m")
    np.testing.assert_array_equal(read.predict(homes), fitted.predict(homes))
    np.testing.assert_array_equal(read.predict_interval(homes).lower, fitted.predict_interval(homes).lower)
    assert read.roles_["role"].to_dict() == fitted.roles_["role"].to_dict()
    assert read.method_ == fitted.method_
    assert load_model(tmp_path / "m").training.n_rows == len(homes)


def test_a_file_is_as_good_as_its_table(homes, fitted, tmp_path):
    homes.to_csv(tmp_path / "homes.csv", index=False)
    model = NeighborsModel("price", effort="quick").fit(tmp_path / "homes.csv")
    assert model.model_.training.source == "homes.csv"
    assert len(model.model_.training.source_sha256) == 64
    np.testing.assert_allclose(model.predict(str(tmp_path / "homes.csv")), fitted.predict(homes), rtol=1e-9)
    with pytest.raises(DataFileError, match="No file"):
        model.predict("nowhere.csv")
    with pytest.raises(DataFileError, match="No file"):
        NeighborsModel("price").fit("nowhere.csv")


def test_predictions_are_tabulated_and_explained(homes, fitted):
    table = fitted.tabulate(homes.head(3))
    assert table.columns.tolist() == ["id", "predicted_price", "lower_price", "upper_price"]
    found = fitted.explain(homes.head(2), n_neighbors=2)
    assert set(found.columns) == {"area", "built", "town"}
    assert found.indices.shape == (2, 2)


def test_neighbours_are_laid_out_with_what_they_hold(homes, fitted):
    found = fitted.tabulate_neighbors(homes.head(2), n_neighbors=3)
    assert found.columns.tolist() == ["id", "price", "weight", "distance", "area", "built", "town"]
    rows = found.index.get_level_values("training_row")
    for name in ("id", "price", "built", "town"):
        assert found[name].tolist() == homes.loc[rows, name].tolist()
    np.testing.assert_allclose(found["area"], homes.loc[rows, "area"], rtol=1e-9)
    assert found.index.get_level_values("prediction").tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.medium
def test_copies_of_rows_do_not_choose_the_model():
    """Where every row is there twice, its copy would make one neighbour look perfect."""
    homes = make_homes(120)
    twice = pd.concat([homes, homes.assign(id=homes["id"] + " again")], ignore_index=True)
    twice["price"] += np.random.default_rng(1).normal(0, 30_000, 120).tolist() * 2
    model = NeighborsModel("price", effort="quick").fit(twice)
    assert model.model_.estimator.estimator_.n_neighbors > 2
    assert 15_000 < model.quality_.rmse < 60_000
    random = np.random.default_rng(2)
    noise = pd.DataFrame({"x": random.normal(size=200), "label": random.choice(["a", "b"], 200)})
    found = NeighborsModel("label").fit(pd.concat([noise, noise], ignore_index=True))
    assert found.quality_.accuracy < 0.7


@pytest.mark.medium
def test_it_is_used_as_an_estimator_of_scikit_learn(homes):
    model = NeighborsModel(effort="quick", ignore=["id"])
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(missing="median").missing == "median"
    X, y = homes.drop(columns="price"), homes["price"]
    scores = cross_val_score(model, X, y, cv=3)
    assert scores.min() > 0.8
    train, test, y_train, y_test = train_test_split(X, y, random_state=0)
    search = GridSearchCV(model, {"mismatch_cost": [0.0, 8.0]}, cv=2).fit(train, y_train)
    assert search.score(test, y_test) > 0.8


def test_arrays_have_columns_by_number():
    X = np.random.default_rng(0).normal(size=(80, 2))
    model = NeighborsModel(effort="quick").fit(X, X[:, 0] + X[:, 1] ** 2)
    assert model.feature_names_in_.tolist() == ["x0", "x1"]
    assert model.predict(X[:3]).shape == (3,)
    assert model.model_.schema.target == "target"


def test_frames_of_polars_are_taken(homes, fitted):
    polars = pytest.importorskip("polars")
    np.testing.assert_array_equal(fitted.predict(polars.from_pandas(homes)), fitted.predict(homes))


@pytest.mark.medium
def test_classes_have_probabilities():
    frame = load_iris(as_frame=True).frame
    frame["species"] = frame.pop("target").map({0: "setosa", 1: "versicolor", 2: "virginica"})
    model = NeighborsModel("species").fit(frame)
    assert is_classifier(model)
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert model.quality_.accuracy > 0.9
    assert model.quality_.rmse is None
    np.testing.assert_allclose(model.predict_proba(frame.head(4)).sum(axis=1), 1)
    assert model.predict(frame.head(1)).tolist() == ["setosa"]
    assert model.score(frame) > 0.9
    with pytest.raises(TypeError, match="'species' is a class"):
        model.predict_interval(frame)
    assert set(model.tabulate_neighbors(frame.head(2))["species"]) == {"setosa"}
    assert model.quality_.describe().endswith("of the classes are right on 150 rows left out")


@pytest.mark.medium
def test_numbers_become_classes_where_asked():
    frame = load_iris(as_frame=True).frame
    assert is_regressor(NeighborsModel("target", classifies=False))
    assert NeighborsModel("target", classifies=True).fit(frame).classes_.tolist() == [0, 1, 2]
    model = NeighborsModel("target", effort="quick").fit(frame)
    assert model.quality_.rmse is not None
    with pytest.raises(TypeError, match="has no classes"):
        model.predict_proba(frame)


@pytest.fixture
def gaps(homes):
    return homes.assign(area=homes["area"].where(homes.index % 9 > 0))


def test_missing_cells_are_refused_filled_or_dropped(homes, gaps):
    with pytest.raises(DataFileError, match="'area' is missing"):
        NeighborsModel("price", effort="quick").fit(gaps)
    filled = NeighborsModel("price", effort="quick", missing="median").fit(gaps)
    with pytest.warns(UserWarning, match="Missing cells: 'area' in 18 rows"):
        assert len(filled.predict(gaps)) == len(gaps)
    dropped = NeighborsModel("price", effort="quick", missing="drop").fit(gaps)
    assert (dropped.n_dropped_, dropped.quality_.n_rows) == (18, len(gaps) - 18)
    with pytest.raises(DataFileError, match="'area' is missing"):
        dropped.predict(gaps)
    with pytest.raises(DataFileError, match="Every row misses a cell, most of them 'area'"):
        NeighborsModel(missing="drop", schema=make_schema(target="price", numbers=["area"])).fit(
            homes.assign(area=np.nan)
        )


def test_a_schema_and_an_estimator_can_be_given(homes):
    schema = Schema((Column("area", "number"), Column("price", "target", "EUR", 0, 400_000)))
    model = NeighborsModel(schema=schema, estimator=KNNRegressor(7)).fit(homes)
    assert model.model_.schema == schema
    assert model.roles_["why"].tolist() == ["as given"] * 2
    assert model.model_.estimator.estimator_.n_neighbors == 7
    assert model.model_.estimator.bounds == (0, 400_000)
    expected = fit_model(homes, schema, KNNRegressor(7)).predict(homes)
    np.testing.assert_allclose(model.predict(homes), expected, rtol=1e-12)


def test_other_estimators_get_intervals_too_and_the_best_of_a_search_is_kept(homes, tmp_path):
    line = NeighborsModel("price", estimator=LinearRegression()).fit(homes)
    assert line.method_ == "LinearRegression"
    assert line.quality_.n_rows == 160
    assert line.predict_interval(homes).lower.shape == (160,)
    search = NeighborsModel("price", estimator=KNNSearchCV({"n_neighbors": [3, 4]}, cv=3)).fit(homes)
    search.save(tmp_path / "m")
    own = NeighborsModel("price", estimator=IntervalRegressor(KNNRegressor(3), coverage=0.5)).fit(homes)
    assert own.model_.estimator.coverage == 0.5


def test_raw_rows_have_quantiles_and_probabilities():
    homes = make_homes(400)
    model = NeighborsModel("price", effort="quick").fit(homes)
    new = homes.head(5)
    low, high = model.predict_quantiles(new, [0.05, 0.95]).T
    below = model.predict_cdf(new, np.array([[low[0], high[0]]]))
    assert below[0] == pytest.approx([0.05, 0.95], abs=0.01)
    table = model.tabulate(new, quantiles=[0.05], at_most=[300_000])
    np.testing.assert_array_equal(table["quantile_0.05_price"], low)
    np.testing.assert_array_equal(table["at_most_300000_price"], model.predict_cdf(new, 300_000))


def test_a_table_with_few_rows_has_no_intervals():
    model = NeighborsModel("price").fit(make_homes(8))
    assert model.quality_.coverage is None
    assert model.quality_.rmse > 0
    with pytest.raises(TypeError, match="without intervals"):
        model.predict_interval(make_homes(8))


@pytest.mark.medium
def test_a_distance_is_learned_from_more_rows(tmp_path):
    homes = make_homes(240)
    model = NeighborsModel("price", effort="normal").fit(homes)
    assert model.method_ == "local planes after a learned distance"
    assert model.quality_.n_rows == 48
    assert model.quality_.r2 > 0.9
    model.save(tmp_path / "m")
    np.testing.assert_array_equal(NeighborsModel.load(tmp_path / "m").predict(homes), model.predict(homes))


@pytest.mark.medium
def test_a_distance_is_learned_for_classes(tmp_path):
    """The price is above its median or not: a learned distance is kept in the file, explained and measured."""
    homes = make_homes(260)
    homes["price"] = np.where(homes["price"] > homes["price"].median(), "dear", "cheap")
    model = NeighborsModel("price").fit(homes)
    assert model.method_ == "votes of neighbours after a learned distance"
    assert model.quality_.n_rows == 52
    assert model.quality_.accuracy > 0.8
    model.save(tmp_path / "m")
    read = NeighborsModel.load(tmp_path / "m")
    np.testing.assert_array_equal(read.predict_proba(homes), model.predict_proba(homes))
    assert read.classes_.tolist() == ["cheap", "dear"]
    assert read.method_ == model.method_
    assert set(read.tabulate_neighbors(homes.head(1))["price"]) <= {"cheap", "dear"}
    few = NeighborsModel("price").fit(homes.head(150))
    assert few.method_.startswith("the vote of")


@pytest.mark.medium
def test_a_release_without_soft_votes_names_them(monkeypatch, tmp_path):
    homes = make_homes(60)
    learned = make_learned_classifier(["area", "built"], n_maps=1, n_rounds=1, n_components=2)
    model = NeighborsModel("town", numbers=["built"], estimator=learned).fit(homes)
    model.save(tmp_path / "m")
    older = {name: kind for name, kind in states.KINDS.items() if name != "SoftVoteClassifier"}
    monkeypatch.setattr(states, "KINDS", older)
    with pytest.raises(ModelFileError, match=r"'SoftVoteClassifier' is not among .*Fit it again") as caught:
        NeighborsModel.load(tmp_path / "m")
    assert "\n" not in str(caught.value)


def test_what_cannot_be_used_is_refused_in_a_line(homes, fitted):
    with pytest.raises(ValueError, match="There is no target"):
        NeighborsModel().fit(homes)
    with pytest.raises(ValueError, match="holds the target 'price', and y is given"):
        NeighborsModel("price").fit(homes, homes["price"])
    with pytest.raises(ValueError, match="160 rows and y has 3"):
        NeighborsModel("price").fit(homes.drop(columns="price"), [1, 2, 3])
    for several in (homes[["area", "price"]], homes[["area", "price"]].to_numpy()):
        with pytest.raises(ValueError, match=r"y has shape \(160, 2\)\. A model predicts one target"):
            NeighborsModel().fit(homes, several)
    with pytest.raises(ValueError, match="effort is 'hard'"):
        NeighborsModel("price", effort="hard").fit(homes)
    with pytest.raises(ValueError, match="missing is 'keep'"):
        NeighborsModel("price", missing="keep").fit(homes)
    for coverage in (0, 1, 2):
        with pytest.raises(ValueError, match="It must be between 0 and 1"):
            NeighborsModel("price", coverage=coverage).fit(homes)
    with pytest.raises(DataFileError, match="no column 'cost'"):
        NeighborsModel("cost").fit(homes)
    with pytest.raises(DataFileError, match="no column 'price' to compare with"):
        fitted.score(homes.drop(columns="price"))
    with pytest.raises(NotFittedError):
        NeighborsModel("price").predict(homes)
    with pytest.raises(ValueError, match="at least 2"), pytest.warns(UserWarning, match="Constant"):
        NeighborsModel(schema=make_schema(target="price", numbers=["area"])).fit(homes.head(1))


def test_nothing_is_changed_and_a_fit_repeats(homes):
    before = homes.copy()
    one, other = (NeighborsModel("price", effort="quick").fit(homes) for _ in range(2))
    pd.testing.assert_frame_equal(homes, before)
    np.testing.assert_array_equal(one.predict(homes), other.predict(homes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one.predict(homes)


def test_the_unit_stands_in_what_is_said_and_in_the_file(tmp_path):
    homes = make_homes(120)
    model = NeighborsModel("price", effort="quick", unit="EUR").fit(homes)
    assert model.model_.schema["price"].unit == model.quality_.unit == "EUR"
    said = model.quality_.describe()
    assert re.search(r"RMSE [\d,.]+ EUR on 120 rows left out; .* [\d,.]+ EUR wide$", said)
    assert model.quality_.describe("kEUR").count("kEUR") == 2
    assert repr(model.quality_).endswith("unit='EUR')")
    model.save(tmp_path)
    assert NeighborsModel.load(tmp_path).unit == "EUR"
    schema = make_schema(target="price", numbers=["area"], unit="USD")
    for unit, expected in (("", "USD"), ("EUR", "EUR")):
        fitted = NeighborsModel(schema=schema, effort="quick", unit=unit).fit(homes)
        assert fitted.quality_.unit == fitted.model_.schema["price"].unit == expected


def make_patients(n_patients=40, n_visits=6, seed=0):
    """Make visits: what is measured tells the patient, and the target is the patient's own but for a quarter."""
    random = np.random.default_rng(seed)
    patients = np.repeat(np.arange(n_patients), n_visits)
    own = random.normal(size=(n_patients, 3))
    measured = (own - own.mean(axis=0))[patients] + 0.01 * random.normal(size=(len(patients), 3))
    target = random.normal(size=n_patients)[patients] + 0.25 * random.normal(size=len(patients))
    table = pd.DataFrame(measured, columns=["a", "b", "c"]).assign(patient=patients, y=target)
    return table.sample(frac=1, random_state=seed).reset_index(drop=True)


@pytest.mark.parametrize("options", [{}, {"intervals": False}, {"estimator": KNNRegressor(2)}], ids=repr)
def test_groups_stay_on_one_side(options):
    """Nothing tells a new patient's target. With groups the model says so, and its intervals cover new patients."""
    visits, new = make_patients(120), make_patients(120, seed=1)
    alone = NeighborsModel("y", effort="quick", ignore=["patient"], **options).fit(visits)
    model = NeighborsModel("y", effort="quick", **options).fit(visits, groups="patient")
    assert alone.quality_.r2 > 0.8
    assert model.quality_.r2 < 0.2
    assert "patient" not in model.feature_names_in_
    assert model.roles_.loc["patient", "why"] == "left out, as asked"
    actual = np.sqrt(np.mean((model.predict(new) - new["y"]) ** 2))
    assert model.quality_.rmse == pytest.approx(actual, rel=0.3)
    if not options.get("intervals", True):
        return
    covered = [((lower <= new["y"]) & (new["y"] <= upper)).mean() for lower, upper in
               (fitted.predict_interval(new) for fitted in (alone, model))]  # fmt: skip
    assert covered[0] < 0.6
    assert covered[1] > 0.8
    again = NeighborsModel("y", effort="quick", ignore=["patient"], **options).fit(visits, groups=visits["patient"])
    np.testing.assert_array_equal(again.predict(new), model.predict(new))


def test_groups_of_classes_and_of_rows_that_are_kept():
    visits = make_patients().assign(y=lambda table: np.where(table["patient"] % 2, "odd", "even"))
    alone = NeighborsModel("y", effort="quick", ignore=["patient"]).fit(visits)
    model = NeighborsModel("y", effort="quick").fit(visits, groups="patient")
    assert alone.quality_.accuracy > 0.95
    assert model.quality_.accuracy < 0.75
    gaps = make_patients().assign(a=lambda table: table["a"].where(table.index % 5 > 0)).set_index(pd.Index([0] * 240))
    model = NeighborsModel("y", effort="quick", missing="drop").fit(gaps, groups="patient")
    whole = gaps[gaps["a"].notna()]
    expected = NeighborsModel("y", effort="quick").fit(whole, groups="patient")
    assert model.n_dropped_ == 48
    assert (model.quality_.n_rows, model.quality_.r2) == (192, expected.quality_.r2)


@pytest.mark.slow
def test_groups_are_held_out_of_a_learned_distance():
    visits, new = make_patients(120), make_patients(120, seed=1)
    model = NeighborsModel("y").fit(visits, groups="patient")
    lower, upper = model.predict_interval(new)
    assert model.quality_.r2 < 0.2
    assert ((lower <= new["y"]) & (new["y"] <= upper)).mean() > 0.8


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("patients", "There is no column 'patients'. Did you mean 'patient'?"),
        ([1, 2], "X has 240 rows and groups has 2"),
        ([1] * 240, "groups holds one group"),
        ([None, *[1] * 120, *[2] * 119], "groups holds a missing value"),
    ],
)
def test_groups_that_cannot_be_are_refused_in_a_line(groups, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        NeighborsModel("y", effort="quick").fit(make_patients(), groups=groups)
