"""The neighbours inside a model: in every composition, with weights that make the prediction, left out exactly."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import VotingRegressor
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from energyknn.estimators import KNNRegressor, LocalLinearRegressor, make_learned_regressor
from energyknn.estimators.neighborhoods import (
    has_neighborhoods,
    list_neighborhoods,
    predict_left_out,
    refill_neighbors,
    weigh_training_rows,
)

RANDOM = np.random.default_rng(0)
X = pd.DataFrame(RANDOM.normal(size=(90, 3)), columns=["a", "b", "c"])
y = X["a"].to_numpy() ** 2 + 0.1 * RANDOM.normal(size=90)
NEW = pd.DataFrame(RANDOM.normal(size=(7, 3)), columns=["a", "b", "c"])
MEAN = VotingRegressor(
    [
        ("plain", KNNRegressor(5)),
        ("dropped", "drop"),
        ("scaled", make_pipeline(StandardScaler(), "passthrough", LocalLinearRegressor(20))),
    ],
    weights=[1, 7, 3],
)
MODELS = {
    "plain": KNNRegressor(4),
    "distance": KNNRegressor(4, weights="distance", p=1),
    "kernel": KNNRegressor(4, weights="triangular"),
    "planes": LocalLinearRegressor(12),
    "pipeline": make_pipeline(StandardScaler(), KNNRegressor(4)),
    "mean": MEAN,
    "learned": make_learned_regressor(
        ["a", "b"], ["c"], n_maps=2, n_rounds=2, n_components=2, n_neighbors=9, n_units=4
    ),
}


@pytest.fixture(params=MODELS)
def model(request):
    return clone(MODELS[request.param]).fit(X, y)


def test_weights_make_the_prediction(model):
    found = weigh_training_rows(model, NEW)
    np.testing.assert_allclose((found.weights * y[found.indices]).sum(axis=1), model.predict(NEW), rtol=1e-12)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1, rtol=1e-12)


def test_shares_sum_to_one(model):
    assert sum(found.share for found in list_neighborhoods(model)) == pytest.approx(1)


def test_mapped_rows_are_those_that_the_model_holds(model):
    for found in list_neighborhoods(model):
        np.testing.assert_allclose(found.map_rows(X), found.model.index_.X_train, rtol=1e-12, atol=1e-12)


def test_a_frozen_model_has_the_same_neighbours(model):
    for frozen, plain in zip(list_neighborhoods(FrozenEstimator(model)), list_neighborhoods(model), strict=True):
        assert frozen.model is plain.model


def test_shares_follow_the_weights_of_the_mean():
    listed = list_neighborhoods(clone(MEAN).fit(X, y))
    assert [found.share for found in listed] == [0.25, 0.75]
    assert [len(found.steps) for found in listed] == [0, 1]


@pytest.mark.parametrize("name", ["plain", "distance", "kernel", "planes"])
def test_leaving_out_is_fitting_without_the_row(name):
    found = predict_left_out(clone(MODELS[name]).fit(X, y))
    for row in (0, 13, 89):
        rest = np.arange(len(X)) != row
        refitted = clone(MODELS[name]).fit(X[rest], y[rest])
        assert found[row] == pytest.approx(refitted.predict(X.iloc[[row]])[0], rel=1e-12)


def test_leaving_out_of_a_mean_is_the_mean_of_leaving_out():
    fitted = clone(MEAN).fit(X, y)
    plain, planes = fitted.estimators_[0].predict(None), fitted.estimators_[1][-1].predict(None)
    np.testing.assert_allclose(predict_left_out(fitted), 0.25 * plain + 0.75 * planes, rtol=1e-12)


def test_other_models_are_refused():
    line = LinearRegression().fit(X, y)
    assert not has_neighborhoods(line)
    assert has_neighborhoods(KNNRegressor().fit(X, y))
    with pytest.raises(TypeError, match="LinearRegression has no neighbours"):
        list_neighborhoods(make_pipeline(StandardScaler(), line))
    for unfitted in (KNNRegressor(), clone(MEAN)):
        with pytest.raises(NotFittedError):
            list_neighborhoods(unfitted)


def test_columns_are_checked():
    (found,) = list_neighborhoods(KNNRegressor().fit(X, y))
    with pytest.raises(ValueError, match="feature names should match"):
        found.map_rows(NEW[["b", "a", "c"]])


def test_some_rows_are_left_out_as_among_all(model):
    rows = np.array([88, 3, 4])
    np.testing.assert_allclose(predict_left_out(model, rows), predict_left_out(model)[rows], rtol=1e-12)


def test_refilling_keeps_the_map_and_takes_other_rows(model):
    before = model.predict(NEW)
    other, target = X.iloc[:40] * 0.9, y[:40]
    refilled = refill_neighbors(model, other, target)
    found = weigh_training_rows(refilled, NEW)
    np.testing.assert_allclose((found.weights * target[found.indices]).sum(axis=1), refilled.predict(NEW), rtol=1e-12)
    for new, old in zip(list_neighborhoods(refilled), list_neighborhoods(model), strict=True):
        assert (len(new.model.y_), len(old.model.y_)) == (40, 90)
        np.testing.assert_array_equal(new.map_rows(NEW), old.map_rows(NEW))
    np.testing.assert_array_equal(model.predict(NEW), before)
    again = refill_neighbors(FrozenEstimator(refilled), X, y)
    np.testing.assert_allclose(again.predict(NEW), before, rtol=1e-12)
