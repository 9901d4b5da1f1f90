"""Cosine distance through unit rows: scikit-learn's neighbours, and ties in the order of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_distances
from sklearn.neighbors import NearestNeighbors

from energyknn.estimators import KNNClassifier
from energyknn.neighbors.cosine import CosineIndex, can_scale

random = np.random.default_rng(5)
TRAIN, QUERY = random.normal(size=(120, 6)) * 100, random.normal(size=(40, 6))


@pytest.mark.parametrize("engine", ["brute", "sklearn", "blocked"])
def test_neighbours_are_scikit_learns(engine):
    distances, indices = NearestNeighbors(metric="cosine").fit(TRAIN).kneighbors(QUERY, 9)
    found = CosineIndex(TRAIN, engine=engine).search(QUERY, 9)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=0, atol=1e-14)


@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(1, 4), st.data())
def test_each_neighbour_is_as_near_as_the_oracles_and_ties_are_in_order(seed, n_train, n_features, data):
    drawn = np.random.default_rng(seed)
    train = drawn.integers(1, 3, size=(n_train, n_features)) * 2.0 ** drawn.integers(-3, 4, size=(n_train, 1))
    query = drawn.integers(1, 3, size=(7, n_features)) * 1.0
    k = data.draw(st.integers(1, n_train))
    found = CosineIndex(train).search(query, k)
    expected = np.sort(cosine_distances(query, train), axis=1)[:, :k]
    np.testing.assert_allclose(found.distances, expected, rtol=0, atol=1e-14)
    steps = np.diff(found.distances, axis=1)
    assert (steps >= 0).all()
    assert (np.diff(found.indices, axis=1)[steps == 0] > 0).all()
    if k < n_train:
        others = CosineIndex(train).search(None, k)
        assert (others.indices != np.arange(n_train)[:, np.newaxis]).all()


def test_rows_of_zeros_are_left_to_scikit_learn():
    assert not can_scale(np.zeros((2, 3)))
    rows = np.vstack([np.zeros(6), TRAIN])
    labels = np.arange(121) % 3
    distances, _ = KNNClassifier(metric="cosine").fit(rows, labels).kneighbors(np.zeros((1, 6)), 2)
    np.testing.assert_array_equal(distances, [[1.0, 1.0]])
    distances, _ = KNNClassifier(metric="cosine").fit(TRAIN, labels[1:]).kneighbors(np.zeros((1, 6)), 2)
    np.testing.assert_array_equal(distances, [[1.0, 1.0]])


def test_rows_that_nearly_tie_are_decided_by_their_own_distances():
    drawn = np.random.default_rng(9)
    train = drawn.integers(1, 3, size=(4, 5))[drawn.integers(4, size=300)] * drawn.uniform(1, 9, size=(300, 1))
    units = train / np.linalg.norm(train, axis=1, keepdims=True)
    distances = np.clip(1 - np.einsum("qd,qkd->qk", units[:20], np.broadcast_to(units, (20, 300, 5))), 0, 2)
    found = CosineIndex(train).search(train[:20], 7)
    np.testing.assert_array_equal(found.indices, np.argsort(distances, axis=1, kind="stable")[:, :7])


@pytest.mark.parametrize("k", [0, 121, 2.5])
def test_a_number_of_neighbours_that_there_is_not_is_refused(k):
    with pytest.raises((ValueError, TypeError), match="n_neighbors"):
        CosineIndex(TRAIN).search(QUERY, k)
    with pytest.raises(ValueError, match="It must be from 1 to 119"):
        CosineIndex(TRAIN).search(None, 120)
