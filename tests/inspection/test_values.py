"""Values of rows: against all subsets of the training rows, where neighbours tie, and by their properties."""

from __future__ import annotations

from itertools import combinations
from math import factorial

import numpy as np
import pytest
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from energyknn import KNNClassifier, KNNRegressor
from energyknn.inspection import value_rows


def value_by_subsets(order, predicted, worth, k):
    """Value rows by the definition: what each adds to every subset of the others. `order` lists the nearest first."""
    values, n_rows = dict.fromkeys(order, 0.0), len(order)

    def predict(rows):
        return sum(predicted[row] for row in [row for row in order if row in rows][:k]) / k

    for row in order:
        others = [other for other in order if other != row]
        for size in range(n_rows):
            share = factorial(size) * factorial(n_rows - 1 - size) / factorial(n_rows)
            for rows in combinations(others, size):
                values[row] += share * (worth(predict((*rows, row))) - worth(predict(rows)))
    return values


def value_slowly(model, X_train, queries, goals, k, groups=None):
    """Value rows query by query. Neighbours are in the order of (distance, row); groups name the queries' own rows."""
    n_train, classifies = len(X_train), isinstance(model, KNNClassifier)
    values = np.zeros(n_train)
    for number, (query, goal) in enumerate(zip(queries, goals, strict=True)):
        distances = ((X_train - query) ** 2).sum(axis=1)
        order = [
            row
            for row in np.lexsort((np.arange(n_train), distances))
            if groups is None or groups[row] != groups[number]
        ]
        centre = 0.0 if classifies else model.y_.mean()
        predicted = (model.classes_[model.y_] == goal).astype(float) if classifies else model.y_ - centre

        def worth(prediction, aim=goal - centre if not classifies else None):
            return prediction if classifies else -((prediction - aim) ** 2)

        for row, value in value_by_subsets(order, predicted, worth, k).items():
            values[row] += value / len(queries)
    return values


def draw(seed, n_train, *, classifies):
    """Draw rows on a small grid, where many distances tie."""
    random = np.random.default_rng(seed)
    X = random.integers(0, 3, size=(n_train, 2)).astype(float)
    y = random.choice(["a", "b", "c"], n_train) if classifies else random.normal(size=n_train).round(1)
    return X, y


@pytest.mark.parametrize("classifies", [False, True])
@pytest.mark.parametrize(("n_train", "k"), [(1, 1), (2, 3), (3, 1), (5, 2), (6, 5), (8, 1), (8, 3), (7, 9)])
def test_values_are_those_of_all_subsets(n_train, k, classifies):
    X, y = draw(n_train + k, n_train, classifies=classifies)
    queries, goals = draw(99, 3, classifies=classifies)
    model = (KNNClassifier if classifies else KNNRegressor)(1).fit(X, y)
    values = value_rows(model, queries, goals, n_neighbors=k)
    assert values == pytest.approx(value_slowly(model, X, queries, goals, k), abs=1e-12)


@pytest.mark.parametrize("classifies", [False, True])
@pytest.mark.parametrize("k", [1, 2, 4, 9])
def test_training_rows_value_the_others_and_none_of_their_group(k, classifies):
    X, y = draw(k, 7, classifies=classifies)
    groups = np.array([0, 1, 2, 0, 3, 2, 2])
    model = (KNNClassifier if classifies else KNNRegressor)(k).fit(X, y)
    expected = value_slowly(model, X, X, y, k, groups)
    assert value_rows(model, groups=groups, n_neighbors=k) == pytest.approx(expected, abs=1e-12)


def test_rows_that_are_equal_do_not_value_each_other():
    X = np.append(np.random.default_rng(0).random((6, 2)), [[0.5, 0.5]] * 2, axis=0)
    y = np.arange(8.0)
    model = KNNRegressor(2).fit(X, y)
    assert np.array_equal(value_rows(model), value_rows(model, groups=[0, 1, 2, 3, 4, 5, 6, 6]))


@pytest.mark.parametrize("depth", [None, 5, 20])
@pytest.mark.parametrize("groups", [None, np.arange(120) // 8])
def test_values_sum_to_what_the_neighbours_add(depth, groups):
    random = np.random.default_rng(1)
    X, y = random.normal(size=(120, 3)), random.normal(size=120) + 5
    labels = np.arange(120) if groups is None else groups
    model = KNNRegressor(5).fit(X, y)
    left_out = [
        KNNRegressor(5).fit(X[labels != label], y[labels != label]).predict(X[[row]])[0]
        for row, label in enumerate(labels)
    ]
    gain = np.mean((y - y.mean()) ** 2) - np.mean((y - left_out) ** 2)
    assert value_rows(model, depth=depth, groups=groups).sum() == pytest.approx(gain, rel=1e-10)
    classes = np.where(y > 5, "high", "low")
    model, votes = KNNClassifier(5).fit(X, classes), 0.0
    for row, label in enumerate(labels):
        fitted = KNNClassifier(5).fit(X[labels != label], classes[labels != label])
        votes += (
            classes[labels != label][fitted.kneighbors(X[[row]], return_distance=False)[0]] == classes[row]
        ).mean()
    assert value_rows(model, depth=depth, groups=groups).sum() == pytest.approx(votes / 120, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_values_of_some_depth_are_within_their_bound(seed):
    random = np.random.default_rng(seed)
    n_train, k, depth = random.integers(30, 200), random.integers(1, 9), random.integers(9, 25)
    X, y = random.normal(size=(n_train, 2)), random.choice([0.0, 1.0, 7.0], n_train)
    queries, goals = random.normal(size=(1, 2)), [random.choice([0.0, 1.0, 7.0])]
    for model, bound in ((KNNRegressor(k), 5 * 7**2 / (depth - 1)), (KNNClassifier(k), 1 / depth)):
        model.fit(X, y)
        error = np.abs(value_rows(model, queries, goals, depth=depth) - value_rows(model, queries, goals)).max()
        assert 0 < error <= bound


def test_wrong_rows_are_worth_least():
    random = np.random.default_rng(0)
    X = random.random((400, 2))
    y = X.sum(axis=1) + 0.05 * random.normal(size=400)
    wrong = random.choice(400, 10, replace=False)
    y[wrong] += 5
    assert set(np.argsort(value_rows(KNNRegressor(5).fit(X, y)))[:10]) == set(wrong)
    classes = np.where(X[:, 0] > 0.5, "right", "left")
    wrong = np.flatnonzero(np.abs(X[:, 0] - 0.5) > 0.2)[::50]
    classes[wrong] = np.where(classes[wrong] == "left", "right", "left")
    assert set(np.argsort(value_rows(KNNClassifier(5).fit(X, classes)))[: len(wrong)]) == set(wrong)


def test_threads_blocks_and_steps_change_no_bit(monkeypatch):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(300, 3)), random.normal(size=300)
    expected = value_rows(KNNRegressor(4, n_jobs=1).fit(X, y), depth=40)
    assert np.array_equal(value_rows(KNNRegressor(4, n_jobs=3).fit(X, y), depth=40), expected)
    piped = make_pipeline(StandardScaler(), KNNRegressor(4)).fit(X, y)
    alone = KNNRegressor(4).fit(StandardScaler().fit_transform(X), y)
    assert np.array_equal(value_rows(piped), value_rows(alone))
    monkeypatch.setattr("energyknn.inspection.values._VALUES_AT_ONCE", 1000)
    assert value_rows(KNNRegressor(4).fit(X, y), depth=40) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_values_of_a_mean_of_models_are_averaged():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(60, 3)), random.normal(size=60)
    parts = [("a", KNNRegressor(2)), ("b", KNNRegressor(7))]
    both = VotingRegressor(parts, weights=[1, 3]).fit(X, y)
    expected = 0.25 * value_rows(KNNRegressor(2).fit(X, y)) + 0.75 * value_rows(KNNRegressor(7).fit(X, y))
    assert value_rows(both) == pytest.approx(expected, rel=1e-12)


def test_a_label_that_no_row_has_is_never_right():
    X = np.arange(4.0)[:, np.newaxis]
    assert value_rows(KNNClassifier(1).fit(X, list("aabb")), [[0.0]], ["z"]).tolist() == [0.0] * 4


def test_what_cannot_be_valued_is_said():
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20.0)
    model = KNNRegressor(5).fit(X, y)
    for options, said in (
        ({"X": X}, "Give X and y"),
        ({"X": X, "y": y, "groups": y}, "Groups are for neither"),
        ({"n_neighbors": 0}, "n_neighbors is 0"),
        ({"depth": 4}, "depth is 4. It must be an integer of at least n_neighbors = 5"),
        ({"X": X, "y": y[1:]}, "inconsistent"),
        ({"groups": y[1:]}, "inconsistent"),
    ):
        with pytest.raises(ValueError, match=said):
            value_rows(model, **options)
    with pytest.raises(ValueError, match="2 targets"):
        value_rows(KNNRegressor(5).fit(X, np.stack([y, y], axis=1)))
    with pytest.raises(TypeError, match="no neighbours"):
        value_rows(LinearRegression().fit(X, y))
