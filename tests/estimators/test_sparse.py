"""Sparse rows: searched as arrays where they fit in memory, and otherwise as they are, with the same neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.metrics import pairwise_distances

from energyknn.estimators import KNNClassifier, KNNRegressor
from energyknn.neighbors import search_neighbors
from energyknn.neighbors.cosine import CosineIndex
from energyknn.neighbors.foreign import ForeignIndex
from energyknn.neighbors.search import NeighborIndex

random = np.random.default_rng(0)
ROWS = np.where(random.random((300, 12)) < 0.3, random.integers(0, 4, (300, 12)), 0).astype(float)
TRAIN, QUERY = ROWS[:250], ROWS[250:]
y = ROWS @ random.normal(size=12)


@pytest.mark.parametrize("make", [sparse.csr_array, sparse.csc_array, sparse.coo_array, sparse.csr_matrix])
@pytest.mark.parametrize("p", [1, 2])
def test_sparse_rows_have_the_neighbours_of_the_same_rows_in_an_array(make, p):
    expected = search_neighbors(TRAIN, QUERY, 7, p=p, engine="brute")
    for fitted, asked in ((make(TRAIN), make(QUERY)), (make(TRAIN), QUERY), (TRAIN, make(QUERY))):
        model = KNNRegressor(7, p=p).fit(fitted, y[:250])
        assert isinstance(model.index_, NeighborIndex)
        distances, indices = model.kneighbors(asked)
        np.testing.assert_array_equal(indices, expected.indices)
        np.testing.assert_array_equal(distances, expected.distances)


@pytest.mark.parametrize(("metric", "own"), [("euclidean", NeighborIndex), ("cosine", CosineIndex)])
def test_rows_that_do_not_fit_in_memory_are_searched_as_they_are(metric, own, monkeypatch):
    rows, asked = TRAIN[TRAIN.any(axis=1)], sparse.csr_array(QUERY[QUERY.any(axis=1)])
    labels = y[:250][TRAIN.any(axis=1)] > 0
    roomy = KNNClassifier(5, metric=metric).fit(sparse.csr_array(rows), labels)
    assert isinstance(roomy.index_, own)
    monkeypatch.setattr("energyknn.estimators.exact.measure_available_memory", lambda: 0)
    tight = KNNClassifier(5, metric=metric).fit(sparse.csr_array(rows), labels)
    assert isinstance(tight.index_, ForeignIndex)
    for model in (roomy, tight):  # the first has its rows in an array, and no room for the query's
        found = model.kneighbors(asked)[0]
        farthest = np.sort(pairwise_distances(asked.toarray(), rows, metric=metric), axis=1)[:, :5]
        np.testing.assert_allclose(found, farthest, atol=1e-7)


def test_rows_that_hold_little_stay_sparse():
    wide = sparse.random_array((60, 5000), density=0.01, format="csr", rng=random)
    assert isinstance(KNNRegressor().fit(wide, y[:60]).index_, ForeignIndex)
    one_hot = sparse.csr_array(np.eye(26)[np.arange(60) % 26])
    assert isinstance(KNNRegressor().fit(one_hot, y[:60]).index_, NeighborIndex)
