"""The wide path: its bounds are bounds, its bits are the oracle's, and it is taken where boxes rule out too little."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyknn._shared.compiling import IS_COMPILED
from energyknn.neighbors import build_index, search_neighbors
from energyknn.neighbors.contract import measure_candidates
from energyknn.neighbors.engines.blocked import tiles, tiles_numpy, wide
from energyknn.neighbors.engines.blocked.engine import search_tree
from energyknn.neighbors.engines.blocked.layout import Tree
from energyknn.neighbors.engines.blocked.wide import WideRows, build_wide, find_wide, search_wide
from energyknn.neighbors.search import plan_search

KINDS = {
    "without ties": lambda random, shape: random.normal(size=shape),
    "few directions": lambda random, shape: (
        random.normal(size=(shape[0], 3)) @ random.normal(size=(3, shape[1])) + 0.05 * random.normal(size=shape)
    ),
    "exactly few directions": lambda random, shape: (
        random.integers(-3, 4, (shape[0], 2)) @ random.integers(-3, 4, (2, shape[1])).astype(float)
    ),
    "whole numbers": lambda random, shape: random.integers(0, 4, size=shape).astype(float),
    "repeated": lambda random, shape: random.normal(size=(3, shape[1]))[random.integers(0, 3, shape[0])],
    "all equal": lambda random, shape: np.full(shape, random.normal()),
    "far clusters": lambda random, shape: random.integers(0, 3, size=(shape[0], 1)) * 1e3 + random.normal(size=shape),
    "offset": lambda random, shape: random.normal(size=shape) + 1e8,
    "outliers": lambda random, shape: random.standard_cauchy(size=shape) ** 3,
    "columns of every size": lambda random, shape: (
        random.normal(size=shape) * 10.0 ** random.integers(-30, 30, shape[1])
    ),
    "last digits": lambda random, shape: 1 + random.integers(0, 5, size=shape) * 2.0**-52,
    "signed zeros": lambda random, shape: np.where(random.normal(size=shape) > 0, 0.0, -0.0),
}
SCALES = [1.0, 1e-310, 1e-170, 1e-60, 1e-5, 1e6, 1e60, 1e120]


def draw_directions(random, rows, n_leading, kind):
    """Draw directions that are as good as can be, as bad as can be, or not even at right angles."""
    n_features = rows.shape[1]
    if n_leading >= n_features:
        return None
    if kind == "best":
        values = rows - rows.mean(axis=0)
        return np.linalg.svd(values / (np.abs(values).max() or 1.0))[2][:n_leading].T.copy()
    directions = np.linalg.qr(random.normal(size=(n_features, n_leading)))[0]
    return directions * (1 + 1e-5) if kind == "skew" else directions


def assert_same_bits(found, expected):
    assert found.indices.tobytes() == expected.indices.tobytes()
    assert found.distances.tobytes() == expected.distances.tobytes()


@pytest.mark.medium
@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(sorted(KINDS)),
    scale=st.sampled_from(SCALES),
    n_train=st.integers(2, 400),
    n_features=st.sampled_from([1, 2, 5, 27, 130]),
    n_leading=st.integers(1, 30),
    directed=st.sampled_from(["best", "random", "skew"]),
    share=st.floats(0, 1),
    self_search=st.booleans(),
    n_met=st.sampled_from([64, 192, 1 << 16]),
    n_threads=st.sampled_from([1, 2]),
)
def test_the_bits_are_the_oracles(
    seed, kind, scale, n_train, n_features, n_leading, directed, share, self_search, n_met, n_threads
):
    random = np.random.default_rng(seed)
    X = KINDS[kind](random, (n_train, n_features)) * scale
    queries = None if self_search else np.vstack([KINDS[kind](random, (20, n_features)) * scale, X[:5]])
    search = plan_search(X, queries, 1 + int(share * (n_train - 2)), p=2, n_jobs=n_threads)
    rows = build_wide(search, draw_directions(random, X, n_leading, directed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wide, "_MOST_MET", n_met)
        found = search_wide(rows, search)
    assert_same_bits(found, search_neighbors(X, queries, search.n_neighbors, engine="brute"))


@pytest.mark.medium
@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(sorted(KINDS)),
    scale=st.sampled_from(SCALES),
    n_features=st.sampled_from([1, 5, 27, 130, 600]),
    n_leading=st.integers(1, 30),
    directed=st.sampled_from(["best", "random", "skew"]),
)
def test_no_bound_exceeds_what_it_bounds(seed, kind, scale, n_features, n_leading, directed):
    """A value less its margin is at most the contract's distance, with half of the margin to spare."""
    random = np.random.default_rng(seed)
    X = KINDS[kind](random, (80, n_features)) * scale
    search = plan_search(X[:60], X[60:], 1, p=2, n_jobs=1)
    rows = build_wide(search, draw_directions(random, X, n_leading, directed))
    shares, sizes = wide._narrow_queries(rows, search)
    values = (shares @ rows.columns)[:, :60].astype(float)
    measures = measure_candidates(search, slice(0, 20), np.tile(np.arange(60), (20, 1))) * rows.scale * rows.scale
    norms = np.sum(((X[:60] - rows.centre) * rows.scale) ** 2, axis=1)
    bounds = values + sizes[:, np.newaxis] + rows.error * norms  # of the squared distance, before the margin
    margin = rows.error / 2 * (norms + sizes[:, np.newaxis]) + rows.tiny
    assert (bounds - measures <= margin).all()


def test_all_directions_bound_closely():
    random = np.random.default_rng(0)
    X = random.normal(size=(200, 30))
    search = plan_search(X[:150], X[150:], 1, p=2, n_jobs=1)
    rows = build_wide(search, np.linalg.qr(random.normal(size=(30, 29)))[0])
    shares, sizes = wide._narrow_queries(rows, search)
    values = (shares @ rows.columns)[:, :150].astype(float) + sizes[:, np.newaxis]
    measures = measure_candidates(search, slice(0, 50), np.tile(np.arange(150), (50, 1))) * rows.scale**2
    assert np.median(measures - values) < 0.05 * np.median(measures)


def draw_images(n_rows, n_features):
    """Draw rows that differ mostly in few directions, as images do."""
    random = np.random.default_rng(1)
    shapes = random.normal(size=(24, n_features))
    return random.normal(size=(n_rows, 24)) @ shapes + 0.3 * random.normal(size=(n_rows, n_features))


def test_few_directions_are_kept_where_they_say_enough():
    index = build_index(draw_images(3000, 160), engine="blocked")
    assert isinstance(index.tree, WideRows)
    assert index.tree.directions.shape[1] <= 48


def test_all_coordinates_are_kept_where_rows_differ_in_every_direction():
    index = build_index(np.random.default_rng(2).normal(size=(3000, 96)), engine="blocked")
    assert isinstance(index.tree, WideRows)
    assert index.tree.directions is None


@pytest.mark.medium
def test_boxes_are_taken_where_they_rule_out_more():
    random = np.random.default_rng(3)
    clusters = 30 * random.normal(size=(40, 96))[random.integers(0, 40, 3000)] + random.normal(size=(3000, 96))
    for X in (clusters, random.normal(size=(3000, 8)), random.normal(size=(300, 96))):
        assert isinstance(build_index(X, engine="blocked").tree, Tree)
    assert find_wide(plan_search(random.normal(size=(3000, 96)), None, 1, p=1, n_jobs=1)) is None


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("scale", [1.0, 1e-310, 1e120])
def test_whatever_is_chosen_gives_the_oracles_bits(kind, scale):
    X = KINDS[kind](np.random.default_rng(5), (1100, 66)) * scale
    expected = search_neighbors(X, X[:20], 5, engine="brute")
    assert_same_bits(search_neighbors(X, X[:20], 5, engine="blocked"), expected)


@pytest.mark.medium
def test_a_margin_that_would_leave_many_rows_is_seen_before():
    """Few rows that lie far away pull the centre, and float32 keeps too little of the others."""
    X = np.random.default_rng(6).normal(size=(3000, 70))
    X[::100] *= 1e5
    assert isinstance(build_index(X, engine="blocked").tree, Tree)


@pytest.mark.parametrize("far", [1.0, 1e30, 1e120])
def test_an_index_of_wide_rows_serves_other_searches(far):
    rows = draw_images(2100, 70)
    index = pickle.loads(pickle.dumps(build_index(rows[:2000], engine="blocked")))  # noqa: S301 - our own
    assert isinstance(index.tree, WideRows)
    for queries, own in ((rows[2000:] * far, None), (rows[50:150], np.arange(50, 150))):
        expected = build_index(rows[:2000], engine="brute").search(queries, 7, own=own)
        assert_same_bits(index.search(queries, 7, own=own), expected)
    search = plan_search(rows[:1500], None, 1, p=2, n_jobs=1)
    with pytest.raises(ValueError, match=r"holds rows of shape \(2000, 70\)"):
        search_tree(index.tree, search)


def test_rows_are_read_where_they_are():
    rows = draw_images(2000, 70)
    assert build_index(rows, engine="blocked").tree.rows is rows


@pytest.mark.parametrize("limit", [-1.0, 3.0, np.inf])
def test_masks_are_what_numpy_finds(limit):
    values = np.random.default_rng(4).integers(0, 9, 200).astype(np.float32)
    values[70] = np.inf
    assert _find_compiled(values, 64, np.float32(limit)) == tiles_numpy.find_at_most(values, 64, limit)


def _find(values, start, limit):
    return tiles.find_at_most(values, start, limit)


if IS_COMPILED:
    from numba import njit

    _find_compiled = njit(_find)
else:
    _find_compiled = _find
