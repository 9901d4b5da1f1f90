"""Fitting: scikit-learn's own model, its scores, and predictions without self."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor

from energyknn.fitting import evaluate, fit_knn, predict, predict_without_self


@pytest.fixture
def data():
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 4))
    return X, X[:, 0] + random.normal(size=300) * 0.1


def test_predictions_are_scikit_learns(data, monkeypatch):
    X, y = data
    monkeypatch.setattr("energyknn.fitting._ROWS_AT_ONCE", 64)
    for weights in ("uniform", "distance"):
        model = fit_knn(X[:200], y[:200], n_neighbors=3, weights=weights)
        expected = KNeighborsRegressor(3, weights=weights).fit(X[:200], y[:200]).predict(X[200:])
        np.testing.assert_array_equal(predict(model, X[200:]), expected)


def test_progress_sees_every_block(data, monkeypatch):
    X, y = data
    monkeypatch.setattr("energyknn.fitting._ROWS_AT_ONCE", 64)
    seen = []

    def track(steps, description):
        seen.append((len(steps), description))
        return steps

    predict(fit_knn(X, y), X, track=track, what="all rows")
    assert seen == [(5, "Predict all rows")]


@pytest.mark.medium
def test_predictions_without_self_are_leave_one_out(data):
    X, y = data[0][:100], data[1][:100]
    expected = cross_val_predict(KNeighborsRegressor(4), X, y, cv=LeaveOneOut())
    np.testing.assert_allclose(predict_without_self(fit_knn(X, y, n_neighbors=4)), expected, rtol=1e-12)


def test_a_repeated_row_counts_as_a_neighbour_of_its_twin():
    X, y = np.array([[0.0], [0.0], [9.0]]), np.array([1.0, 2.0, 3.0])
    assert predict_without_self(fit_knn(X, y, n_neighbors=1))[:2].tolist() == [2.0, 1.0]


@pytest.mark.parametrize("n_neighbors", [0, -1, 301])
def test_an_impossible_number_of_neighbours_is_refused(data, n_neighbors):
    with pytest.raises(ValueError, match=f"n_neighbors is {n_neighbors} for 300 training rows"):
        fit_knn(*data, n_neighbors=n_neighbors)


def test_scores_are_scikit_learns():
    y_true, y_pred = np.random.default_rng(1).random((2, 50))
    scores = evaluate(y_true, y_pred)
    assert scores.r2 == r2_score(y_true, y_pred)
    assert scores.rmse == mean_squared_error(y_true, y_pred) ** 0.5
