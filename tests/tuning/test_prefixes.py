"""The one compiled pass over the neighbours against each weighting taken for itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energyknn.neighbors.weighting import KERNELS, average_targets, needs_bandwidth, weigh_neighbors
from energyknn.tuning.prefixes import average_prefixes, is_worth_compiling

WEIGHTS = ("uniform", "distance", *KERNELS)


def draw_distances(random, kind, n_query, width):
    """Make sorted distances of a kind that a sum of powers could lose digits on."""
    distances = random.gamma(3.0, size=(n_query, width))
    if kind == "far":
        distances = 100 + distances
    if kind == "ties":
        distances = random.integers(0, 4, size=(n_query, width)).astype(float)
    if kind == "zeros":
        distances[random.random(distances.shape) < 0.3] = 0.0
    if kind == "all zero":
        distances[:] = 0.0
    if kind == "equal":
        distances[:] = 0.1
    if kind == "uneven":
        distances = 10.0 ** random.uniform(-12, 12, size=distances.shape)
    if kind == "subnormal":
        distances = distances * 1e-310
    if kind == "huge":
        distances = distances * 1e150
    if kind == "near ties":
        distances = 1 + random.integers(0, 3, size=distances.shape) * 4e-7
    return np.sort(distances, axis=1)


KINDS = ["plain", "far", "ties", "zeros", "all zero", "equal", "uneven", "subnormal", "huge", "near ties"]


@settings(max_examples=80)
@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from(KINDS),
    n_query=st.integers(1, 70),
    width=st.integers(1, 60),
    n_features=st.integers(1, 40),
    n_outputs=st.integers(0, 2),
)
def test_one_pass_gives_the_means_of_each_weighting(seed, kind, n_query, width, n_features, n_outputs):
    random = np.random.default_rng(seed)
    distances = draw_distances(random, kind, n_query, width)
    targets = random.normal(size=(n_query, width, n_outputs) if n_outputs else (n_query, width))
    sizes = sorted({1, width, *random.integers(1, width + 1, size=5).tolist()})
    options = {"n_features": n_features}
    found = average_prefixes(distances, targets, WEIGHTS, sizes, compiled=True, **options)
    expected = average_prefixes(distances, targets, WEIGHTS, sizes, **options)
    assert list(found) == [*KERNELS, "uniform", "distance"]
    for name in WEIGHTS:
        assert found[name].shape == (len(sizes), n_query, *([n_outputs] if n_outputs else []))
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("compiled", [False, True])
def test_the_means_are_those_of_the_formulas(name, compiled):
    random = np.random.default_rng(1)
    distances, targets = np.sort(random.random((50, 31)), axis=1), random.random((50, 31))
    found = average_prefixes(distances, targets, [name], [1, 7, 30], n_features=5, compiled=compiled)[name]
    for k, means in zip((1, 7, 30), found, strict=True):
        bandwidth = distances[:, k] if needs_bandwidth(name) else None
        weights = weigh_neighbors(distances[:, :k], name, bandwidth=bandwidth, n_features=5)
        np.testing.assert_allclose(means, average_targets(targets[:, :k], weights), rtol=1e-12)


def test_many_neighbours_keep_their_digits():
    random = np.random.default_rng(2)
    distances, targets = np.sort(random.normal(size=(9, 20_001)) ** 2, axis=1), random.random((9, 20_001))
    sizes = [1, 10, 500, 5000, 20_000]
    found = average_prefixes(distances, targets, KERNELS, sizes, n_features=3, compiled=True)
    expected = average_prefixes(distances, targets, KERNELS, sizes, n_features=3)
    for name in KERNELS:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-9, err_msg=name)


def test_a_mean_does_not_depend_on_the_other_queries():
    random = np.random.default_rng(3)
    distances, targets = np.sort(random.random((77, 12)), axis=1), random.random((77, 12))
    whole = average_prefixes(distances, targets, KERNELS, [3, 11], n_features=5, compiled=True)
    part = average_prefixes(distances[40:], targets[40:], KERNELS, [3, 11], n_features=5, compiled=True)
    for name in KERNELS:
        np.testing.assert_array_equal(part[name], whole[name][:, 40:])


def test_a_function_weighs_what_it_is_given():
    distances, targets = np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 2.0, 6.0]])
    found = average_prefixes(distances, targets, [np.ones_like], [2, 3], n_features=1, compiled=True)
    np.testing.assert_allclose(found[np.ones_like], [[1.5], [3.0]])


def test_only_many_weights_of_kernels_are_worth_compiling():
    assert not is_worth_compiling(10**6, ["uniform", "distance", np.ones_like], range(1, 52))
    assert not is_worth_compiling(1000, ["triangular"], range(1, 52))
    assert is_worth_compiling(100_000, ["triangular"], range(1, 52))
