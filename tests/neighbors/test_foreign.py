"""Metrics that scikit-learn measures: its neighbours, with ties in the order of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.spatial.distance import cdist
from sklearn.neighbors import NearestNeighbors

from energyknn.neighbors.foreign import ForeignIndex

random = np.random.default_rng(3)
TRAIN, QUERY = random.normal(size=(80, 4)), random.normal(size=(30, 4))
METRICS = [
    {"metric": "chebyshev"},
    {"metric": "cosine"},
    {"metric": "minkowski", "p": 3},
    {"metric": "minkowski", "p": 1.5, "algorithm": "kd_tree"},
    {"metric": "braycurtis", "algorithm": "brute"},
    {"metric": "minkowski", "metric_params": {"w": np.array([1.0, 2.0, 0.0, 1.0])}},
    {"metric": lambda one, other: np.abs(one - other).max()},
]


@pytest.mark.parametrize("options", METRICS, ids=lambda options: str(options["metric"])[:9])
def test_neighbours_are_scikit_learns(options):
    distances, indices = NearestNeighbors(**options).fit(TRAIN).kneighbors(QUERY, 6)
    found = ForeignIndex(TRAIN, options).search(QUERY, 6)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_array_equal(found.distances, distances)


def order(distances, k):
    """Return the k first rows by (distance, row)."""
    return np.argsort(distances, axis=1, kind="stable")[:, :k]


@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.data())
def test_rows_that_tie_are_in_order(seed, n_train, data):
    drawn = np.random.default_rng(seed)
    train, query = drawn.integers(0, 3, size=(n_train, 2)) * 1.0, drawn.integers(0, 3, size=(7, 2)) * 1.0
    k = data.draw(st.integers(1, n_train))
    index = ForeignIndex(train, {"metric": "chebyshev", "algorithm": data.draw(st.sampled_from(["brute", "kd_tree"]))})
    found = index.search(query, k)
    distances = cdist(query, train, "chebyshev")
    np.testing.assert_array_equal(found.indices, order(distances, k))
    np.testing.assert_array_equal(found.distances, np.sort(distances, axis=1)[:, :k])
    if k < n_train:
        others = cdist(train, train, "chebyshev")
        np.fill_diagonal(others, np.inf)
        found = index.search(None, k)
        np.testing.assert_array_equal(found.indices, order(others, k))


def test_distances_and_sparse_rows():
    distances = cdist(TRAIN, TRAIN)
    found = ForeignIndex(distances, {"metric": "precomputed"}).search(distances[:5], 3)
    np.testing.assert_array_equal(found.indices, order(distances[:5], 3))
    rows = np.where(TRAIN > 0.5, TRAIN, 0)
    found = ForeignIndex(sparse.csr_array(rows), {"metric": "manhattan"}).search(sparse.csr_array(rows[:9]), 4)
    np.testing.assert_allclose(found.distances, np.sort(cdist(rows[:9], rows, "cityblock"), axis=1)[:, :4], atol=1e-12)


@pytest.mark.parametrize("k", [0, 81, 2.5, "3"])
def test_another_number_of_neighbours_is_refused(k):
    with pytest.raises((ValueError, TypeError), match="n_neighbors"):
        ForeignIndex(TRAIN, {"metric": "chebyshev"}).search(QUERY, k)
