"""Weights against their formulas, worked out by hand or by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from energyknn.neighbors.weighting import KERNELS, average_targets, needs_bandwidth, weigh_neighbors

DISTANCES = np.array([[0.0, 1.0, 2.0], [0.5, 0.5, 3.0]])


def test_uniform():
    np.testing.assert_array_equal(weigh_neighbors(DISTANCES), np.ones((2, 3)))


def test_distance_gives_coinciding_rows_all_the_weight():
    expected = [[1, 0, 0], [2, 2, 1 / 3]]
    np.testing.assert_array_equal(weigh_neighbors(DISTANCES, "distance"), expected)
    np.testing.assert_array_equal(weigh_neighbors([[5e-324, 0.0, 1.0]], "distance"), [[1, 1, 0]])


def test_callable_gets_a_copy_and_must_keep_the_shape():
    distances = DISTANCES.copy()
    distances.flags.writeable = False
    np.testing.assert_array_equal(weigh_neighbors(distances, lambda d: np.exp(-d)), np.exp(-DISTANCES))
    with pytest.raises(ValueError, match=r"returned shape \(2,\) for distances of shape \(2, 3\)"):
        weigh_neighbors(distances, lambda d: d[:, 0])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("triangular", [0.75, 0.5]),
        ("epanechnikov", [0.75 * 15 / 16, 0.75 * 3 / 4]),
        ("biweight", [15 / 16 * (15 / 16) ** 2, 15 / 16 * (3 / 4) ** 2]),
        ("triweight", [35 / 32 * (15 / 16) ** 3, 35 / 32 * (3 / 4) ** 3]),
        ("cosine", [np.pi / 4 * np.cos(np.pi / 8), np.pi / 4 * np.cos(np.pi / 4)]),
        ("inverse", [4.0, 2.0]),
        ("rank", [2.0, 1.0]),
        # k = 2: the 5/6 quantile of the normal distribution is 0.967421566
        ("gaussian", 0.3989422804014327 * np.exp(-0.5 * (np.array([0.25, 0.5]) * 0.9674215661017010) ** 2)),
        # k = 2, two columns: (1 + 1 - (i² - (i - 1)²) / 2) / 2
        ("optimal", [0.75, 0.25]),
    ],
)
def test_kernels_by_their_formulas(name, expected):
    found = weigh_neighbors([[1.0, 2.0]], name, bandwidth=[4.0], n_features=2)
    np.testing.assert_allclose(found, [expected], rtol=1e-12)


@pytest.mark.parametrize("name", ["triangular", "epanechnikov", "biweight", "triweight", "cosine"])
def test_compact_kernels_are_densities_on_minus_one_to_one(name):
    half, _ = quad(lambda u: weigh_neighbors([[u]], name, bandwidth=[1.0])[0, 0], 0, 1)
    assert half == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_are_positive_and_do_not_grow_with_distance(name):
    distances = np.sort(np.random.default_rng(0).random((50, 9)), axis=1)
    weights = weigh_neighbors(distances, name, n_features=7)
    assert (weights > 0).all()
    assert (np.diff(weights, axis=1) <= 0).all()


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_do_not_depend_on_the_unit(name):
    distances = np.sort(np.random.default_rng(1).random((5, 4)), axis=1)
    expected = weigh_neighbors(distances, name, bandwidth=np.full(5, 2.0), n_features=3)
    found = weigh_neighbors(distances * 2.0**-60, name, bandwidth=np.full(5, 2.0**-59), n_features=3)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("bandwidth", [None, [0.0]])
def test_kernels_of_coinciding_rows_weigh_them_alike(name, bandwidth):
    weights = weigh_neighbors([[0.0]], name, bandwidth=bandwidth, n_features=2)
    assert np.isfinite(weights).all()
    assert (weights > 0).all()


def test_rank_averages_ties():
    np.testing.assert_array_equal(weigh_neighbors(DISTANCES, "rank"), [[3, 2, 1], [2.5, 2.5, 1]])


@pytest.mark.parametrize(("k", "m"), [(1, 1), (10, 3), (200, 27)])
def test_optimal_weights_sum_to_one(k, m):
    assert weigh_neighbors(np.ones((1, k)), "optimal", n_features=m).sum() == pytest.approx(1.0, rel=1e-12)


def test_which_weights_need_a_bandwidth():
    found = [name for name in ("uniform", "distance", *KERNELS) if needs_bandwidth(name)]
    assert found == ["triangular", "epanechnikov", "biweight", "triweight", "cosine", "inverse", "gaussian"]
    assert not needs_bandwidth(np.exp)


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((DISTANCES, "quadratic"), {}, "weights is 'quadratic'. It must be 'uniform', 'distance', one of 'triangular'"),
        ((DISTANCES[0],), {}, r"distances has shape \(3,\)"),
        ((np.empty((0, 3)),), {}, r"distances has shape \(0, 3\)"),
        ((-DISTANCES,), {}, "distances contains NaN, infinity or negative"),
        (([[np.nan]],), {}, "distances contains NaN"),
        ((DISTANCES, "optimal"), {}, "n_features is None"),
        ((DISTANCES, "triangular"), {"bandwidth": [3.0]}, r"bandwidth has shape \(1,\) for 2 queries"),
        ((DISTANCES, "triangular"), {"bandwidth": [2.0, 1.0]}, "or is less than a distance"),
    ],
)
def test_bad_input(arguments, options, words):
    with pytest.raises(ValueError, match=words):
        weigh_neighbors(*arguments, **options)


def test_average_of_several_outputs():
    targets = np.array([[[1.0, 10.0], [4.0, 40.0]]])
    np.testing.assert_array_equal(average_targets(targets, np.array([[2.0, 1.0]])), [[2.0, 20.0]])


def test_average_refuses_weights_without_a_sum():
    with pytest.raises(ValueError, match=r"The weights of 1 queries have a sum that is zero .* \[1\]"):
        average_targets(np.ones((2, 2)), np.array([[1.0, 1.0], [1.0, -1.0]]))
