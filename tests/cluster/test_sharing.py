"""An index that workers map: the same bits, no copy, nothing written to it, and queries in an order that repeats."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from energyknn.cluster.sharing import count_bytes, open_array, open_index, share_index
from energyknn.neighbors import search_neighbors
from energyknn.neighbors.engines.blocked.engine import order_queries
from energyknn.neighbors.search import plan_search

RANDOM = np.random.default_rng(0)
TRAIN = np.hstack([RANDOM.normal(size=(5_000, 4)).round(1), RANDOM.integers(0, 2, size=(5_000, 3))])
QUERY = TRAIN[::9] + 0.05


def send(value):
    """Pickle as Ray does: arrays beside the pickle, and read-only where they arrive."""
    buffers = []
    data = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    held = [memoryview(bytes(buffer.raw())) for buffer in buffers]
    return pickle.loads(data, buffers=held), held  # noqa: S301 - our own


@pytest.mark.medium
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("is_self_search", [True, False])
def test_a_shared_index_finds_the_same_bits_in_place(p, is_self_search):
    query = None if is_self_search else QUERY
    index, held = send(share_index(plan_search(TRAIN, query, 7, p=p, n_jobs=1)))
    before = [bytes(buffer) for buffer in held]
    opened = open_index(index)
    for name in ("rows", "tiles", "starts", "low"):
        assert np.shares_memory(getattr(opened.tree, name), getattr(index.tree, name))
        assert getattr(opened.tree, name).flags.writeable
    own = np.arange(len(TRAIN)) if is_self_search else None
    found = opened.search(TRAIN if is_self_search else QUERY, 7, own=own, n_jobs=1)
    expected = search_neighbors(TRAIN, query, 7, p=p, engine="brute")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)
    assert [bytes(buffer) for buffer in held] == before


def test_the_rows_are_sent_once():
    index, held = send(share_index(plan_search(TRAIN, QUERY, 7, p=2, n_jobs=1)))
    assert sum(len(buffer) for buffer in held) == count_bytes(index)
    assert count_bytes(index) < 2 * TRAIN.nbytes


def test_queries_far_from_all_rows_do_not_need_the_index_built_anew():
    far = np.full((1, TRAIN.shape[1]), 1e15)
    opened = open_index(send(share_index(plan_search(TRAIN, far, 3, p=2, n_jobs=1)))[0])
    expected = search_neighbors(TRAIN, far, 3, engine="brute")
    np.testing.assert_array_equal(opened.search(far, 3).indices, expected.indices)


def test_an_array_that_may_be_written_to_is_left_as_it_is():
    assert open_array(TRAIN) is TRAIN


@pytest.mark.parametrize("group_rows", [128, 1000, 4096])
def test_the_order_of_queries_does_not_depend_on_threads(group_rows):
    orders = [order_queries(TRAIN, group_rows=group_rows, n_threads=n_threads) for n_threads in (1, 2, 3)]
    np.testing.assert_array_equal(np.sort(orders[0]), np.arange(len(TRAIN)))
    for order in orders[1:]:
        np.testing.assert_array_equal(order, orders[0])


def test_a_block_of_near_queries_is_narrow():
    rows = np.random.default_rng(1).normal(size=(8_000, 2))
    order = order_queries(rows, group_rows=500, n_threads=1)
    spreads = [rows[order[start : start + 500]].std(axis=0).prod() for start in range(0, len(rows), 500)]
    assert np.mean(spreads) < 0.3 * rows.std(axis=0).prod()
