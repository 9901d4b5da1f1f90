"""KNNRegressor: scikit-learn's own checks, and predictions held against scikit-learn's."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from energyknn.estimators import KNNRegressor
from energyknn.neighbors.weighting import KERNELS, weigh_neighbors


@parametrize_with_checks([KNNRegressor(), KNNRegressor(engine="blocked", weights="triangular", p=1)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def make_data(n_outputs=None):
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 4))
    y = random.normal(size=400 if n_outputs is None else (400, n_outputs))
    return X[:300], y[:300], X[300:]


@pytest.mark.parametrize("engine", ["auto", "blocked", "brute", "sklearn"])
@pytest.mark.parametrize("weights", ["uniform", "distance", lambda distances: np.exp(-distances)])
@pytest.mark.parametrize("n_outputs", [None, 1, 3])
def test_predicts_as_scikit_learn_does(engine, weights, n_outputs):
    X, y, query = make_data(n_outputs)
    expected = KNeighborsRegressor(7, weights=weights).fit(X, y).predict(query)
    found = KNNRegressor(7, weights=weights, engine=engine).fit(X, y).predict(query)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("p", [1, 2])
def test_neighbors_are_scikit_learns(p):
    X, y, query = make_data()
    expected = KNeighborsRegressor(3, p=p).fit(X, y)
    found = KNNRegressor(3, p=p).fit(X, y)
    for rows, k in ((query, None), (None, 5)):
        distances, indices = found.kneighbors(rows, k)
        np.testing.assert_array_equal(indices, expected.kneighbors(rows, k)[1])
        np.testing.assert_allclose(distances, expected.kneighbors(rows, k)[0], rtol=1e-12)
        np.testing.assert_array_equal(found.kneighbors(rows, k, return_distance=False), indices)


def test_predicting_none_leaves_each_row_out():
    X, y, _ = make_data()
    expected = KNeighborsRegressor(4).fit(X, y).predict(None)
    np.testing.assert_allclose(KNNRegressor(4).fit(X, y).predict(None), expected, rtol=1e-12, atol=1e-12)


def test_a_query_that_coincides_takes_its_value_from_those_rows_alone():
    model = KNNRegressor(3, weights="distance").fit([[0.1], [0.1], [0.2]], [1.0, 2.0, 100.0])
    assert model.predict([[0.1]]).tolist() == [1.5]


@pytest.mark.parametrize("weights", KERNELS)
def test_kernels_take_the_next_neighbour_for_bandwidth(weights):
    X, y, query = make_data()
    model = KNNRegressor(6, weights=weights).fit(X, y)
    distances, indices = model.kneighbors(query, 7)
    expected = weigh_neighbors(distances[:, :6], weights, bandwidth=distances[:, 6], n_features=4)
    expected = (y[indices[:, :6]] * expected).sum(axis=1) / expected.sum(axis=1)
    np.testing.assert_allclose(model.predict(query), expected, rtol=1e-12)


@pytest.mark.parametrize("weights", KERNELS)
def test_kernels_with_all_rows_as_neighbours(weights):
    X, y, query = make_data()
    assert np.isfinite(KNNRegressor(300, weights=weights).fit(X, y).predict(query)).all()


def test_data_frames_give_names_that_later_frames_must_have():
    X, y, query = make_data()
    names = list("abcd")
    model = KNNRegressor().fit(pd.DataFrame(X, columns=names), y)
    assert model.feature_names_in_.tolist() == names
    np.testing.assert_array_equal(
        model.predict(pd.DataFrame(query, columns=names)), KNNRegressor().fit(X, y).predict(query)
    )
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(pd.DataFrame(query, columns=list("abdc")))


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_other_dtypes(dtype):
    X, y, query = make_data()
    X, query = (X * 100).astype(dtype), (query * 100).astype(dtype)
    expected = KNNRegressor().fit(X.astype(float), y).predict(query.astype(float))
    np.testing.assert_array_equal(KNNRegressor().fit(X, y).predict(query), expected)


def test_read_only_arrays():
    arrays = make_data()
    for array in arrays:
        array.flags.writeable = False
    X, y, query = arrays
    assert KNNRegressor(engine="blocked").fit(X, y).predict(query).shape == (100,)


@pytest.mark.parametrize("engine", ["auto", "blocked"])
def test_pickle_and_clone(engine):
    X, y, query = make_data()
    model = KNNRegressor(3, weights="distance", p=1, engine=engine).fit(X, y)
    copied = pickle.loads(pickle.dumps(model))  # noqa: S301
    np.testing.assert_array_equal(copied.predict(query), model.predict(query))
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        clone(model).predict(query)


@pytest.mark.medium
def test_pipeline_and_grid_search():
    X, y, query = make_data()
    pipeline = make_pipeline(StandardScaler(), KNNRegressor()).set_output(transform="pandas")
    search = GridSearchCV(pipeline, {"knnregressor__n_neighbors": [1, 9]}, cv=3, n_jobs=2).fit(X, y)
    reference = make_pipeline(StandardScaler(), KNeighborsRegressor())
    expected = GridSearchCV(reference, {"kneighborsregressor__n_neighbors": [1, 9]}, cv=3).fit(X, y)
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-12
    )
    assert search.predict(query).shape == (100,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_neighbors": 301}, "n_neighbors is 301. It must be from 1 to 300"),
        ({"n_neighbors": 0}, "'n_neighbors' parameter of KNNRegressor must be an int in the range .* Got 0"),
        ({"n_neighbors": 301, "weights": "rank"}, "n_neighbors is 301"),
        ({"n_neighbors": 2.5}, "'n_neighbors' parameter"),
        ({"weights": "square"}, "'weights' parameter of KNNRegressor must be .* Got 'square'"),
        ({"p": -1}, "'p' parameter"),
        ({"metric": "kosine"}, "'metric' parameter"),
        ({"engine": "quick"}, "'engine' parameter"),
    ],
)
def test_bad_parameters(options, words):
    X, y, query = make_data()
    with pytest.raises(ValueError, match=words):
        KNNRegressor(**options).fit(X, y).predict(query)
