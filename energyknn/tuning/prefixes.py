"""Weighted means of the first k targets of each query, for many k at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import factorial, ndtri

from energyknn.neighbors.weighting import KERNELS, Weights, average_targets, needs_bandwidth, weigh_neighbors

_WORTH_COMPILING = 1 << 25  # weights to compute; fewer take less time than loading the kernels
_POLYNOMIALS = {"epanechnikov": [1.0, -1.0], "biweight": [1.0, -2.0, 1.0], "triweight": [1.0, -3.0, 3.0, -1.0]}
_MOST_TERMS = 40
_SAFE_SHARE = 1e-4  # of the largest term: sums of weights below it have lost too many digits


def is_worth_compiling(n_query: int, weights: Sequence[Weights], sizes: Sequence[int]) -> bool:
    """Tell whether to load the compiled loop. Loading takes half a second, and half a minute the first time.

    Parameters
    ----------
    n_query : int
        Number of queries in all.
    weights : sequence of str or callable
        The weightings.
    sizes : sequence of int
        The numbers of neighbours.

    Returns
    -------
    bool
        True if kernels other than "uniform" and "distance" need more than 2²⁵ weights.
    """
    n_kernels = sum(name in KERNELS for name in set(weights))
    return n_kernels * n_query * sum(set(sizes)) >= _WORTH_COMPILING


def average_prefixes(
    distances: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: Sequence[Weights],
    sizes: Sequence[int],
    *,
    n_features: int,
    compiled: bool = False,
) -> dict[Weights, NDArray[np.float64]]:
    """Average the targets of the first k neighbours of each query.

    Parameters
    ----------
    distances : ndarray of shape (n_query, n_neighbors), float64
        Nearest first. The bandwidth of a kernel is the distance of neighbour k + 1, where there is one; see
        `weigh_neighbors`.
    targets : ndarray of shape (n_query, n_neighbors) or (n_query, n_neighbors, n_outputs), float64
        Targets of the neighbours.
    weights : sequence of str or callable
        "uniform", "distance", kernels by name, or functions of the distances.
    sizes : sequence of int
        Every k, ascending, at least 1.
    n_features : int
        Number of columns that the distances were computed from.
    compiled : bool, default=False
        Whether one compiled pass computes all kernels and sizes; otherwise NumPy computes one after another. Both
        ways agree to a relative 1e-9, and mostly to 1e-14.

    Returns
    -------
    dict of str or callable to ndarray of shape (n_sizes, n_query) or (n_sizes, n_query, n_outputs)
        Weighted means by weighting.

    Notes
    -----
    For "uniform" and "distance", the sums over the first k are cumulative sums, so no k costs more than the largest. A
    row with fewer than k neighbours is averaged over all it has. That happens where k is the number of training rows
    and a training row is left out of its own neighbours. A row without neighbours has the mean NaN.
    """
    n_held = distances.shape[1]
    if n_held == 0:
        return dict.fromkeys(weights, np.full((len(sizes), len(targets), *targets.shape[2:]), np.nan))
    if n_held < sizes[-1]:
        held, places = np.unique(np.minimum(sizes, n_held), return_inverse=True)
        fewer = average_prefixes(distances, targets, weights, held.tolist(), n_features=n_features, compiled=compiled)
        return {name: means[places] for name, means in fewer.items()}
    outputs, shape = targets.reshape(*targets.shape[:2], -1), (len(sizes), len(targets), *targets.shape[2:])
    together = [name for name in dict.fromkeys(weights) if compiled and name in KERNELS]
    means: dict[Weights, NDArray[np.float64]] = {}
    if together:
        means = dict(zip(together, _average_together(distances, outputs, together, sizes, n_features), strict=True))
    alone = [name for name in dict.fromkeys(weights) if name not in means]
    means |= {name: _average_each(distances, outputs, name, sizes, n_features) for name in alone}
    return {name: mean.reshape(shape) for name, mean in means.items()}


def count_prefixes(
    labels: NDArray[np.int64], weights: NDArray[np.float64], sizes: Sequence[int], *, n_classes: int
) -> NDArray[np.float64]:
    """Add up the weights of the first k neighbours of each query by class.

    Parameters
    ----------
    labels : ndarray of shape (n_query, n_neighbors), int64
        Classes of the neighbours, from 0, nearest first.
    weights : ndarray of shape (n_query, n_neighbors), float64
        Their weights.
    sizes : sequence of int
        Every k, ascending, from 1 to n_neighbors.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of shape (n_sizes, n_query, n_classes), float64
        Votes by k, added in the order of the neighbours.
    """
    votes = np.empty((len(sizes), len(labels), n_classes))
    total = np.zeros((len(labels), n_classes))
    queries, start = np.arange(len(labels)), 0
    for place, k in enumerate(sizes):
        for at in range(start, k):
            total[queries, labels[:, at]] += weights[:, at]
        votes[place], start = total, k
    return votes


def _average_each(
    distances: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: Weights,
    sizes: Sequence[int],
    n_features: int,
) -> NDArray[np.float64]:
    """Average targets of shape (n_query, n_neighbors, n_outputs) with one weighting."""
    if weights in ("uniform", "distance"):
        places = np.asarray(sizes) - 1
        if weights == "uniform":
            sums, totals = np.cumsum(targets, axis=1), np.arange(1.0, targets.shape[1] + 1)[np.newaxis, :, np.newaxis]
        else:
            given = weigh_neighbors(distances, weights)[..., np.newaxis]
            sums, totals = np.cumsum(targets * given, axis=1), np.cumsum(given, axis=1)
        return np.moveaxis(np.asarray(sums[:, places] / totals[:, places]), 1, 0)
    means = np.empty((len(sizes), len(targets), targets.shape[2]))
    for number, k in enumerate(sizes):
        bandwidth = distances[:, k] if needs_bandwidth(weights) and k < distances.shape[1] else None
        given = weigh_neighbors(distances[:, :k], weights, bandwidth=bandwidth, n_features=n_features)
        means[number] = average_targets(targets[:, :k], given)
    return means


def _average_together(
    distances: NDArray[np.float64],
    targets: NDArray[np.float64],
    names: Sequence[str],
    sizes: Sequence[int],
    n_features: int,
) -> NDArray[np.float64]:
    """Average with several kernels in one compiled pass."""
    kernel = _load_kernels()
    options = _describe_kernels(tuple(names), tuple(sizes), distances.shape[1], n_features)
    means = np.empty((targets.shape[2], len(names), len(sizes), len(targets)))
    for output, out in enumerate(means):
        kernel(distances, np.ascontiguousarray(targets[:, :, output]), *options, out)
    return np.ascontiguousarray(np.moveaxis(means, 0, -1))


@cache
def _load_kernels():  # type: ignore[no-untyped-def]
    """Load the compiled loop from disk, or compile it."""
    from energyknn._shared.kernel_loading import load_or_compile
    from energyknn.tuning._prefix_kernels import average_prefixes as kernel

    def warm_up() -> None:
        options = _describe_kernels(KERNELS, (1, 2), 3, 1)
        kernel(np.array([[1.0, 2.0, 3.0]]), np.zeros((1, 3)), *options, np.empty((len(KERNELS), 2, 1)))

    load_or_compile(kernel, warm_up, what="the weightings: some seconds")
    return kernel


@cache
def _describe_kernels(names: tuple[str, ...], sizes: tuple[int, ...], width: int, n_features: int):  # type: ignore[no-untyped-def]
    """Describe each kernel as a polynomial in the squared relative distance, for each size."""
    quantiles = ndtri(1 - 1 / (2 * (np.array(sizes) + 1)))
    series = [[_expand(name, quantile) for quantile in quantiles] for name in names]
    n_even = np.array([[len(terms) for terms in row] for row in series], dtype=np.int64)
    even = np.zeros((*n_even.shape, max(1, n_even.max())))
    for place in np.ndindex(n_even.shape):
        even[(*place, slice(n_even[place]))] = series[place[0]][place[1]]
    guards = _SAFE_SHARE * np.array(sizes) * np.abs(even).max(axis=2, initial=1.0)
    guards[np.array(names) == "inverse"] = 0.0
    order = 1 + 2 / n_features
    steps = np.diff(np.arange(width + 1.0) ** order)
    spreads = n_features / (2 * np.array(sizes) ** (2 / n_features))
    kinds = np.array([KERNELS.index(name) for name in names], dtype=np.int64)
    level = 1 + n_features / 2
    return np.array(sizes, dtype=np.int64), kinds, even, n_even, guards, quantiles, spreads, level, steps


def _expand(name: str, quantile: float) -> NDArray[np.float64]:
    """Expand a kernel in powers of the squared relative distance; return no terms if it needs too many."""
    if name in _POLYNOMIALS:
        return np.array(_POLYNOMIALS[name])
    powers = np.arange(_MOST_TERMS)
    if name == "cosine":
        terms = (-1.0) ** powers * (np.pi / 2) ** (2 * powers) / factorial(2 * powers)
        return terms[:13]  # the next is 1e-21
    if name == "gaussian":
        half = quantile**2 / 2
        terms = (-half) ** powers / factorial(powers)
        small = np.flatnonzero(np.abs(terms) < 1e-18 * np.exp(-half))
        small = small[small > half]
        return terms[: small[0]] if len(small) else terms[:0]
    return np.array([1.0])
