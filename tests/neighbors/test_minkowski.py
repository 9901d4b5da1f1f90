"""Other powers of Minkowski's distance: the neighbours of all distances, in the order of (distance, row)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors

from energyknn.estimators import KNNRegressor
from energyknn.neighbors.foreign import ForeignIndex
from energyknn.neighbors.minkowski import MinkowskiIndex

random = np.random.default_rng(5)
TRAIN, QUERY = random.normal(size=(900, 5)), random.normal(size=(150, 5))
POWERS = [1.5, 3, 4, 7.25, np.inf]


@pytest.fixture(params=[False, True], ids=["scikit-learn", "blocks"])
def work(request, monkeypatch):
    """Let scikit-learn or blocks search."""
    monkeypatch.setattr("energyknn.neighbors.minkowski._WORTH_LOADING", 0 if request.param else np.inf)


def measure(query, train, power):
    """Measure all distances; gaps that are small whole numbers give exact sums."""
    gaps = np.abs(query[:, np.newaxis] - train)
    return gaps.max(axis=2) if np.isinf(power) else (gaps**power).sum(axis=2)


@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("k", [1, 9, 900])
def test_neighbours_are_scikit_learns(power, k):
    distances, indices = NearestNeighbors(p=power, algorithm="brute").fit(TRAIN).kneighbors(QUERY, k)
    found = MinkowskiIndex(TRAIN, power).search(QUERY, k)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-14)


@pytest.mark.medium
@pytest.mark.usefixtures("work")
@pytest.mark.parametrize("power", [3, 4, np.inf])
def test_rows_that_tie_are_in_order(power):
    @settings(max_examples=25)
    @given(st.integers(0, 2**32 - 1), st.integers(2, 200), st.data())
    def check(seed, n_train, data):
        drawn = np.random.default_rng(seed)
        train, query = drawn.integers(0, 3, size=(n_train, 2)) * 1.0, drawn.integers(0, 3, size=(7, 2)) * 1.0
        k = data.draw(st.integers(1, n_train - 1))
        found = MinkowskiIndex(train, power).search(query, k)
        np.testing.assert_array_equal(found.indices, measure(query, train, power).argsort(axis=1, kind="stable")[:, :k])
        among = measure(train, train, power)
        np.fill_diagonal(among, np.inf)
        found = MinkowskiIndex(train, power).search(None, k)
        np.testing.assert_array_equal(found.indices, among.argsort(axis=1, kind="stable")[:, :k])

    check()


def test_threads_and_blocks_change_no_bit(monkeypatch):
    monkeypatch.setattr("energyknn.neighbors.minkowski._WORTH_LOADING", 0)
    for power in POWERS:
        expected = MinkowskiIndex(TRAIN, power).search(QUERY, 8, n_jobs=1)
        for block_rows in (1, 7, 900):
            monkeypatch.setattr("energyknn.neighbors.minkowski._BLOCK_ROWS", block_rows)
            found = MinkowskiIndex(TRAIN, power).search(QUERY, 8, n_jobs=2)
            np.testing.assert_array_equal(found.indices, expected.indices)
            np.testing.assert_array_equal(found.distances, expected.distances)


def test_distances_that_no_float64_holds_still_order_rows(monkeypatch):
    monkeypatch.setattr("energyknn.neighbors.minkowski._WORTH_LOADING", 0)
    found = MinkowskiIndex(np.array([[0.0], [1e200], [1.0], [-1e200]]), 3).search(np.array([[0.5]]), 4)
    assert found.indices.tolist() == [[0, 2, 1, 3]]
    assert np.isinf(found.distances[0, 2:]).all()


@pytest.mark.filterwarnings("ignore:Parameter p is found in metric_params")
@pytest.mark.parametrize(
    ("params", "power"),
    [
        ({"p": 3}, 3),
        ({"metric": "chebyshev"}, np.inf),
        ({"metric": "infinity"}, np.inf),
        ({"metric": "minkowski", "p": np.inf}, np.inf),
        ({"metric": "minkowski", "metric_params": {"p": 1.5}}, 1.5),
    ],
)
def test_models_search_by_them(params, power):
    y = TRAIN.sum(axis=1)
    model = KNNRegressor(4, **params).fit(TRAIN, y)
    assert isinstance(model.index_, MinkowskiIndex)
    assert model.index_.power == power
    expected = KNeighborsRegressor(4, **params).fit(TRAIN, y)
    np.testing.assert_allclose(model.predict(QUERY), expected.predict(QUERY), rtol=1e-12)


@pytest.mark.filterwarnings("ignore:Mind that for 0 < p < 1")
@pytest.mark.parametrize("params", [{"p": 0.5, "algorithm": "brute"}, {"p": 3, "metric_params": {"w": np.ones(5)}}])
def test_what_is_no_plain_distance_is_left_to_scikit_learn(params):
    assert isinstance(KNNRegressor(4, **params).fit(TRAIN, TRAIN[:, 0]).index_, ForeignIndex)


def test_all_distances_of_another_library():
    for power in (1.5, 3):
        found = MinkowskiIndex(TRAIN, power).search(QUERY, 3)
        np.testing.assert_allclose(found.distances, np.sort(cdist(QUERY, TRAIN, "minkowski", p=power))[:, :3])
