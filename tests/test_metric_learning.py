"""The learned distance: its gradient against differences, its aim on made data, and what it never looks at."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from energyknn.metric_learning import differentiate_errors, learn_map, weigh_softly


@pytest.fixture(scope="module")
def data():
    """Two columns tell the target, six are noise of more weight."""
    random = np.random.default_rng(0)
    X = random.normal(size=(3000, 8))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * random.normal(size=3000)


QUICK = {"n_components": 4, "n_neighbors": 30, "n_rounds": 25, "n_queries": 1000, "learning_rate": 0.1}


def test_the_gradient_is_that_of_the_mean_squared_error():
    random = np.random.default_rng(1)
    mapped, y = random.normal(size=(40, 3)), random.normal(size=40)
    queries = np.array([3, 17, 5, 30])
    neighbors = np.array([[number for number in range(40) if number != query][:20] for query in queries])

    def error(mapped):
        squares = ((mapped[neighbors] - mapped[queries][:, np.newaxis]) ** 2).sum(axis=2)
        weights = np.exp(-squares)
        predictions = (weights * y[neighbors]).sum(axis=1) / weights.sum(axis=1)
        return np.mean((predictions - y[queries]) ** 2)

    errors, gradient = differentiate_errors(mapped, y, queries, neighbors)
    assert np.mean(errors**2) == pytest.approx(error(mapped), rel=1e-5)
    for row in (3, 0, 17, 12, 39):
        for column in range(3):
            step = np.zeros_like(mapped)
            step[row, column] = 1e-5
            expected = (error(mapped + step) - error(mapped - step)) / 2e-5
            assert gradient[row, column] == pytest.approx(expected, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("form", ["full", "diagonal"])
def test_columns_of_noise_lose_their_weight(data, form):
    X, y = data
    learned = learn_map(X[:2000], y[:2000], form=form, **QUICK)
    sizes = np.linalg.norm(learned.components, axis=1)
    assert sizes[:2].min() > 2 * sizes[2:].max()
    train, test = X[:2000] @ learned.components, X[2000:] @ learned.components
    plain = KNeighborsRegressor(10).fit(X[:2000], y[:2000]).predict(X[2000:])
    better = KNeighborsRegressor(10).fit(train, y[:2000]).predict(test)
    assert np.mean((better - y[2000:]) ** 2) < 0.25 * np.mean((plain - y[2000:]) ** 2)


def test_the_trace_says_which_round_was_kept(data):
    learned = learn_map(*data, **QUICK)
    assert len(learned.trace) == 25
    assert learned.trace[learned.best].validation_rmse == min(entry.validation_rmse for entry in learned.trace)
    assert learned.trace[-1].leave_one_out_rmse < learned.trace[0].leave_one_out_rmse
    seconds = [entry.seconds for entry in learned.trace]
    assert seconds == sorted(seconds)


def test_seeds_repeat_to_the_bit_and_differ(data):
    first, second = learn_map(*data, random_state=3, **QUICK), learn_map(*data, random_state=3, **QUICK)
    np.testing.assert_array_equal(first.components, second.components)
    assert not np.array_equal(first.components, learn_map(*data, random_state=4, **QUICK).components)


def test_learning_stops_early(data):
    assert len(learn_map(*data, time_budget=1e-9, **QUICK).trace) == 1
    random = np.random.default_rng(0)
    noise = random.normal(size=3000)
    assert len(learn_map(data[0], noise, patience=2, **QUICK | {"n_rounds": 60}).trace) < 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_rounds": 0}, "n_rounds = 0"),
        ({"learning_rate": -1.0, "n_queries": 0}, "n_queries = 0, learning_rate = -1.0"),
        ({"validation_fraction": 1.0}, "validation_fraction = 1.0"),
        ({"form": "round"}, "form is 'round'"),
    ],
)
def test_options_that_cannot_be_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        learn_map(*data, **options)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="at least 20 rows"):
        learn_map(np.zeros((19, 2)), np.zeros(19))


def test_soft_weights_sum_to_one_and_fall_with_distance():
    weights = weigh_softly(np.array([[0.5, 1.0, 40.0]]))
    assert weights.sum() == pytest.approx(1)
    assert weights[0, 0] / weights[0, 1] == pytest.approx(np.exp(0.75))
    assert weights[0, 2] == 0
