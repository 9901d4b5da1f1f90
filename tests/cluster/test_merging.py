"""Shards of the training rows, merged: the bits of one search over all of them."""

from __future__ import annotations

from functools import reduce
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from energyknn.cluster.merging import NO_ROW, Nearest, finish_nearest, merge_nearest, no_nearest, search_shard
from energyknn.neighbors import build_index, search_neighbors

# Few values, so that rows repeat and distances tie; 0.1 makes sums that differ in their last bit alone.
VALUES = st.sampled_from([0.0, 0.1, 0.2, 0.30000000000000004, 1.0, -1.0, 3.0])


def search_in_shards(X, X_query, n_neighbors, *, edges, p, order):
    own = np.arange(len(X)) if X_query is None else None
    queries = X if X_query is None else X_query
    parts = [
        search_shard(
            build_index(X[start:stop], p=p, engine="brute"), queries, n_neighbors, first_row=start, own=own, n_jobs=1
        )
        for start, stop in pairwise(edges)
    ]
    shuffled = [parts[number] for number in order]
    return finish_nearest(reduce(merge_nearest, shuffled, no_nearest(len(queries), n_neighbors)), p=p)


@pytest.mark.medium
@settings(max_examples=25)
@given(data=st.data(), p=st.sampled_from([1, 2]), is_self_search=st.booleans())
def test_shards_in_any_order_have_the_bits_of_one_search(data, p, is_self_search):
    X = data.draw(hnp.arrays(float, st.tuples(st.integers(2, 12), st.integers(1, 3)), elements=VALUES))
    queries = None if is_self_search else X[data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=4))]
    k = data.draw(st.integers(1, len(X) - is_self_search))
    inner = data.draw(st.sets(st.integers(1, len(X) - 1), max_size=4))
    edges = [0, *sorted(inner), len(X)]
    order = data.draw(st.permutations(range(len(edges) - 1)))
    found = search_in_shards(X, queries, k, edges=edges, p=p, order=order)
    expected = search_neighbors(X, queries, k, p=p, engine="brute")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)


def test_sums_that_share_a_root_are_told_apart():
    larger = 2.0
    while np.sqrt(np.nextafter(larger, 3)) != np.sqrt(larger):
        larger = np.nextafter(larger, 3)
    smaller, larger = larger, float(np.nextafter(larger, 3))
    one, other = Nearest(np.array([[larger]]), np.array([[0]])), Nearest(np.array([[smaller]]), np.array([[9]]))
    assert np.sqrt(smaller) == np.sqrt(larger)
    for pair in ((one, other), (other, one)):
        assert merge_nearest(*pair).indices.tolist() == [[9]]


def test_a_shard_with_too_few_rows_leaves_places_open():
    found = search_shard(build_index([[0.0], [1.0]]), np.array([[0.9]]), 3, first_row=5)
    assert found.indices.tolist() == [[6, 5, NO_ROW]]
    assert found.measures[0, 2] == np.inf


def test_a_row_alone_in_its_shard_has_no_neighbour_there():
    found = search_shard(build_index([[0.0]]), np.array([[0.0], [2.0]]), 1, first_row=4, own=np.array([4, 5]))
    assert found.indices.tolist() == [[NO_ROW], [4]]


@pytest.mark.parametrize("p", [1, 2])
def test_merging_changes_neither_list(p):
    X = np.random.default_rng(p).normal(size=(40, 2))
    parts = [search_shard(build_index(X[:20], p=p), X, 3), search_shard(build_index(X[20:], p=p), X, 3, first_row=20)]
    for part in parts:
        part.measures.flags.writeable = part.indices.flags.writeable = False
    merge_nearest(*parts)
