"""The blocked engine against the oracle, bit for bit, on data made to break it."""

from __future__ import annotations

import pickle
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyknn.neighbors import build_index, search_neighbors
from energyknn.neighbors.engines.blocked import engine as blocked
from energyknn.neighbors.engines.blocked.engine import build_tree, search_tree
from energyknn.neighbors.search import plan_search

SETTINGS = settings(max_examples=60)


def assert_same_bits(found, expected):
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances.view(np.int64), expected.distances.view(np.int64))


def draw_rows(random, kind, n_rows, n_features):
    """Make rows of a kind that has broken a neighbour search somewhere."""
    normal = random.normal(size=(n_rows, n_features))
    if kind == "ties":
        return random.integers(-2, 3, size=(n_rows, n_features)).astype(float)
    if kind == "repeats":
        return normal[random.integers(0, max(1, n_rows // 4), n_rows)]
    if kind == "one point":
        return np.repeat(normal[:1], n_rows, axis=0)
    if kind == "constant columns":
        normal[:, random.random(n_features) < 0.7] = 0.1
        return normal
    if kind == "indicators":
        normal[:, n_features // 2 :] = np.where(normal[:, n_features // 2 :] > 0.5, 1.0, -1.0)
        return normal
    if kind == "clusters":
        return random.integers(-3, 4, size=(n_rows, 1)) * 1e3 + normal * 1e-6
    if kind == "uneven columns":
        return normal * 10.0 ** random.integers(-30, 30, n_features)
    if kind == "huge offset":
        return normal + 1e8
    if kind == "subnormal":
        return normal * 1e-310
    if kind == "signed zeros":
        return np.where(normal > 0, 0.0, -0.0)
    return normal


KINDS = [
    "normal", "ties", "repeats", "one point", "constant columns", "indicators", "clusters", "uneven columns",
    "huge offset", "subnormal", "signed zeros",
]  # fmt: skip


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    n_train=st.integers(2, 700),
    n_query=st.integers(1, 150),
    n_features=st.integers(1, 40),
    share=st.floats(0, 1),
    p=st.sampled_from([1, 2]),
    n_threads=st.sampled_from([1, 2, 3]),
    block_rows=st.sampled_from([64, 256, 512]),
)
def test_equals_the_oracle(seed, kind, n_train, n_query, n_features, share, p, n_threads, block_rows):
    random = np.random.default_rng(seed)
    rows = draw_rows(random, kind, n_train + n_query, n_features)
    random.shuffle(rows)
    train, query = rows[:n_train], rows[n_train:]
    if seed % 3 == 0:
        query = np.concatenate([query, train[: n_query // 2]])
    n_neighbors = max(1, round(share**2 * n_train))
    expected = search_neighbors(train, query, n_neighbors, p=p, engine="brute")
    search = replace(plan_search(train, query, n_neighbors, p=p, n_jobs=1), n_threads=n_threads)
    with mock.patch.object(blocked, "_FEWEST_SORTED", 1 if seed % 2 else 4096):
        assert_same_bits(search_tree(build_tree(search, block_rows=block_rows), search), expected)


@pytest.mark.medium
@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    n_train=st.integers(2, 700),
    n_features=st.integers(1, 12),
    share=st.floats(0, 1),
    p=st.sampled_from([1, 2]),
)
def test_self_search_equals_the_oracle(seed, kind, n_train, n_features, share, p):
    train = draw_rows(np.random.default_rng(seed), kind, n_train, n_features)
    n_neighbors = max(1, round(share**2 * (n_train - 1)))
    expected = search_neighbors(train, None, n_neighbors, p=p, engine="brute")
    assert_same_bits(search_neighbors(train, None, n_neighbors, p=p, engine="blocked"), expected)


@pytest.mark.medium
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("n_train", "n_features", "n_neighbors"),
    [(1, 3, 1), (5000, 1, 51), (900, 300, 200), (4000, 27, 5), (1500, 3, 1400)],
)
def test_corner_shapes(kind, n_train, n_features, n_neighbors):
    random = np.random.default_rng(7)
    rows = draw_rows(random, kind, n_train + 70, n_features)
    expected = search_neighbors(rows[:n_train], rows[n_train:], n_neighbors, engine="brute")
    assert_same_bits(search_neighbors(rows[:n_train], rows[n_train:], n_neighbors, engine="blocked"), expected)


@pytest.mark.parametrize("p", [1, 2])
def test_does_not_depend_on_the_order_of_the_queries(p):
    random = np.random.default_rng(3)
    train, query = draw_rows(random, "repeats", 3000, 6), draw_rows(random, "ties", 500, 6)
    order = random.permutation(len(query))
    found = search_neighbors(train, query, 9, p=p, engine="blocked")
    shuffled = search_neighbors(train, query[order], 9, p=p, engine="blocked")
    np.testing.assert_array_equal(shuffled.indices, found.indices[order])
    np.testing.assert_array_equal(shuffled.distances, found.distances[order])


def test_k_nearest_are_the_first_of_the_k_plus_one_nearest():
    rows = draw_rows(np.random.default_rng(4), "ties", 2000, 4)
    more = search_neighbors(rows, None, 31, engine="blocked")
    fewer = search_neighbors(rows, None, 30, engine="blocked")
    np.testing.assert_array_equal(fewer.indices, more.indices[:, :30])


def test_ten_thousand_coinciding_rows():
    found = search_neighbors(np.full((10_000, 3), 0.1), None, 2, engine="blocked")
    np.testing.assert_array_equal(found.indices[2:], np.tile([0, 1], (9998, 1)))
    np.testing.assert_array_equal(found.indices[:2], [[1, 2], [0, 2]])
    assert not found.distances.any()


def test_queries_far_outside_of_an_index():
    """float32 would overflow at the scale that the training rows ask for."""
    random = np.random.default_rng(5)
    train, query = random.normal(size=(500, 4)), random.normal(size=(40, 4)) * 1e30
    index = build_index(train, engine="blocked")
    assert_same_bits(index.search(query, 5), search_neighbors(train, query, 5, engine="brute"))


def test_an_index_answers_as_a_search_does_and_survives_pickling():
    random = np.random.default_rng(6)
    train, query = random.normal(size=(2000, 5)), random.normal(size=(100, 5))
    index = pickle.loads(pickle.dumps(build_index(train, engine="blocked")))  # noqa: S301
    for n_neighbors in (1, 30):
        assert_same_bits(index.search(query, n_neighbors), search_neighbors(train, query, n_neighbors, engine="brute"))
        assert_same_bits(index.search(None, n_neighbors), search_neighbors(train, None, n_neighbors, engine="brute"))


def test_read_only_rows_are_searched_without_another_compilation():
    rows = np.random.default_rng(8).normal(size=(300, 3))
    rows.flags.writeable = False
    before = len(blocked._search_batches._entries)
    assert_same_bits(search_neighbors(rows, None, 3, engine="blocked"), search_neighbors(rows, None, 3, engine="brute"))
    assert len(blocked._search_batches._entries) == before


def test_groups_are_found_from_the_data_whatever_their_values():
    random = np.random.default_rng(9)
    rows = np.column_stack([random.normal(size=(4000, 2)), random.choice([0.3, 17.0, -2.5], size=(4000, 2))])
    index = build_index(rows, engine="blocked")
    np.testing.assert_array_equal(index.tree.n_varying, 2)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("block_rows", range(64, 1025, 64))
def test_every_block_size_gives_the_oracles_bits(block_rows, p):
    rows = draw_rows(np.random.default_rng(10), "ties", 2100, 3)
    search = plan_search(rows[:2050], rows[2050:], 12, p=p, n_jobs=1)
    tree = build_tree(search, block_rows=block_rows)
    assert tree.starts.shape[1] == block_rows
    assert_same_bits(search_tree(tree, search), search_neighbors(rows[:2050], rows[2050:], 12, p=p, engine="brute"))


@pytest.mark.parametrize("block_rows", [0, -64, 1, 100, 1088, 2048])
def test_a_block_size_that_parts_cannot_hold_is_refused(block_rows):
    search = plan_search(np.zeros((300, 2)), None, 1, p=2, n_jobs=1)
    with pytest.raises(ValueError, match=rf"block_rows is {block_rows}\..*a multiple of 64 from 64 to 1024"):
        build_tree(search, block_rows=block_rows)


def test_a_power_that_the_kernels_do_not_know_is_refused():
    search = replace(plan_search(np.zeros((300, 2)), None, 1, p=2, n_jobs=1), p=3)
    with pytest.raises(ValueError, match=r"p is 3\. The blocked engine measures p = 1 and p = 2"):
        build_tree(search)


def test_a_tree_for_another_search_is_refused():
    rows = np.random.default_rng(11).normal(size=(300, 2))
    tree = build_tree(plan_search(rows, None, 1, p=2, n_jobs=1))
    with pytest.raises(ValueError, match=r"for p = 2, and the search is among rows of shape \(300, 2\) with p = 1"):
        search_tree(tree, plan_search(rows, None, 1, p=1, n_jobs=1))
    with pytest.raises(ValueError, match=r"holds rows of shape \(300, 2\).*shape \(300, 1\)"):
        search_tree(tree, plan_search(rows[:, :1].copy(), None, 1, p=2, n_jobs=1))


def test_far_queries_find_the_row_numbers_of_a_tree_whose_rows_were_moved():
    """An index that is shared keeps its rows in the order of the blocks; a new scale must not lose their numbers."""
    random = np.random.default_rng(12)
    train, query = random.integers(0, 4, size=(900, 3)).astype(float), random.normal(size=(40, 3)) * 1e30
    tree = build_tree(plan_search(train, None, 1, p=2, n_jobs=1))
    found = search_tree(tree, plan_search(tree.rows, query, 9, p=2, n_jobs=1))
    assert_same_bits(found, search_neighbors(train, query, 9, engine="brute"))
