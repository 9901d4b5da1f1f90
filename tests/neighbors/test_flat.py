"""The flat engine: its screen is within its bound, and what the bound leaves has the oracle's bits."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from children import run_python
from hypothesis import given, settings
from hypothesis import strategies as st

from energyknn.cluster.search import _make_plan
from energyknn.neighbors import build_index, search_neighbors
from energyknn.neighbors.auto import find_server
from energyknn.neighbors.engines import flat
from energyknn.neighbors.search import plan_search

KINDS = {
    "without ties": lambda random, shape: random.normal(size=shape),
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
}


def assert_exact(X, queries, n_neighbors, **options):
    found = search_neighbors(X, queries, n_neighbors, engine="flat", **options)
    expected = search_neighbors(X, queries, n_neighbors, engine="brute")
    assert found.indices.tobytes() == expected.indices.tobytes()
    assert found.distances.tobytes() == expected.distances.tobytes()


@settings(max_examples=150)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(sorted(KINDS)),
    scale=st.sampled_from([1.0, 1e-310, 1e-170, 1e-60, 1e-5, 1e6, 1e60, 1e120]),
    n_train=st.integers(2, 400),
    n_features=st.sampled_from([1, 2, 5, 27, 130]),
    share=st.floats(0, 0.2),
    self_search=st.booleans(),
)
def test_the_bits_are_the_oracles(seed, kind, scale, n_train, n_features, share, self_search):
    random = np.random.default_rng(seed)
    X = KINDS[kind](random, (n_train, n_features)) * scale
    queries = None if self_search else np.vstack([KINDS[kind](random, (20, n_features)) * scale, X[:5]])
    assert_exact(X, queries, 1 + int(share * (n_train - 2)))


@pytest.mark.parametrize("n_train", [15, 16, 17, 319, 320, 321, 1100])
@pytest.mark.parametrize("n_neighbors", [1, 5, 14])
def test_rows_that_fill_no_group_are_found(n_train, n_neighbors):
    X = np.random.default_rng(0).normal(size=(n_train, 3))
    assert_exact(X, None, n_neighbors)
    assert_exact(X, X, n_neighbors)


def test_every_row_may_be_a_neighbour_of_many_queries_in_small_slices(monkeypatch):
    monkeypatch.setattr(flat, "_SLICE_VALUES", 1)
    X = np.random.default_rng(0).integers(0, 3, size=(90, 4)).astype(float)
    assert_exact(X, None, 89)
    assert_exact(np.tile(X, (40, 1)), X, 7, n_jobs=2)


def test_rows_that_are_all_as_near_take_little_memory():
    X = np.ones((4000, 100))
    search_neighbors(X, X[:9], 1, engine="flat", n_jobs=1)
    tracemalloc.start()
    found = search_neighbors(X, X[:250], 3, engine="flat", n_jobs=1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.indices.tolist() == [[0, 1, 2]] * 250
    assert most < 100 << 20  # the differences of all pairs would be 800 MB


def test_wide_rows_for_which_norms_are_not_bounded(monkeypatch):
    monkeypatch.setattr(flat, "_MOST_ERROR", 0.0)
    random = np.random.default_rng(0)
    for make in KINDS.values():
        assert_exact(make(random, (200, 5)), None, 3)


@pytest.mark.parametrize("kind", ["without ties", "far clusters", "outliers", "offset"])
def test_values_are_within_their_bound(kind):
    """A value w is a lower bound of D - |q|², and w + e (2 |x|² + |q|²) is an upper one; in exact arithmetic."""
    X = KINDS[kind](np.random.default_rng(3), (48, 6))
    search = plan_search(X, X[:16] + 0.25, 1, p=2, n_jobs=1)
    screen = flat._make_screen(search)
    values = screen.query @ screen.train.T
    rows = [[Fraction(float(value)) for value in row] for row in X]
    scale = Fraction(float(2.0 ** -np.frexp(search.reach)[1]))
    error, tiny = Fraction(screen.error), Fraction(screen.tiny)
    for query, given_query in enumerate(search.X_query):
        exact_query = [Fraction(float(value)) for value in given_query]
        size = Fraction(float(screen.sizes[query]))
        for row, exact_row in enumerate(rows):
            distance = sum((a - b) ** 2 for a, b in zip(exact_row, exact_query, strict=True)) * scale**2
            of_row = Fraction(float(screen.train[row, -1]))
            value = Fraction(float(values[query, row]))
            assert value - error * size - tiny <= distance - size
            assert distance - size <= value + error * (2 * of_row * Fraction(101, 100) + size) + tiny


def test_a_small_search_loads_neither_scikit_learn_nor_a_compiler():
    script = """
import sys
import numpy as np
from energyknn.neighbors import search_neighbors
search_neighbors(np.random.default_rng(0).normal(size=(500, 5)), None, 5)
print(sorted({"joblib", "numba", "scipy", "sklearn"} & set(sys.modules)))
"""
    assert run_python(script, check=True).stdout == "[]\n"


def test_an_index_searches_as_the_function_does():
    X = np.random.default_rng(4).normal(size=(400, 5))
    found = build_index(X, engine="flat").search(X[:30], 5)
    expected = search_neighbors(X, X[:30], 5, engine="brute")
    assert found.indices.tobytes() == expected.indices.tobytes()


@pytest.mark.parametrize(("p", "engine"), [(1, "sklearn"), (2, "flat")])
def test_auto_takes_an_engine_that_searches_by_the_metric(p, engine):
    X = np.random.default_rng(5).normal(size=(90, 3))
    assert find_server("flat", p) == engine
    assert _make_plan(plan_search(X, None, 2, p=p, n_jobs=1), "auto", 1, None).engine == engine
