"""Distances to weights: uniform, inverse distance, a callable, and the kernels of R's package kknn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn.errors import ParameterError

Weights = str | Callable[[NDArray[np.float64]], ArrayLike]
"""``"uniform"``, ``"distance"``, a kernel's name, or a function of the distances."""

_EDGE = 1e-6  # relative distances are kept this far from 0 and 1, as kknn does, so that every weight is positive

_SCALED_KERNELS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "triangular": lambda u: 1 - u,
    "epanechnikov": lambda u: 0.75 * (1 - u**2),
    "biweight": lambda u: 15 / 16 * (1 - u**2) ** 2,
    "triweight": lambda u: 35 / 32 * (1 - u**2) ** 3,
    "cosine": lambda u: np.pi / 4 * np.cos(np.pi / 2 * u),
    "inverse": lambda u: 1 / u,
    "gaussian": lambda u: np.exp(-0.5 * (u * _take_quantile(1 - 1 / (2 * (u.shape[1] + 1)))) ** 2) / np.sqrt(2 * np.pi),
}
KERNELS: tuple[str, ...] = (*_SCALED_KERNELS, "rank", "optimal")
"""The kernels' names."""


def needs_bandwidth(weights: Weights) -> bool:
    """Tell whether weights are scaled by the distance of the (k + 1)-th neighbour.

    Parameters
    ----------
    weights : str or callable
        "uniform", "distance", a kernel's name, or a function of the distances.

    Returns
    -------
    bool
        True for the kernels that take a distance divided by the bandwidth.

    Examples
    --------
    >>> needs_bandwidth("triangular"), needs_bandwidth("rank")
    (True, False)
    """
    return isinstance(weights, str) and weights in _SCALED_KERNELS


def _take_quantile(share: float) -> float:
    """Return the quantile of the normal distribution."""
    from scipy.special import ndtri  # no search needs it

    return float(ndtri(share))


def weigh_neighbors(
    distances: ArrayLike,
    weights: Weights = "uniform",
    *,
    bandwidth: ArrayLike | None = None,
    n_features: int | None = None,
) -> NDArray[np.float64]:
    r"""Give each neighbour its weight.

    Parameters
    ----------
    distances : array-like of shape (n_query, n_neighbors)
        Distances, finite and not negative, nearest first.
    weights : str or callable, default="uniform"
        A name from the table below, or a function that takes the distances and returns an array of their shape.
    bandwidth : array-like of shape (n_query,) or None, default=None
        Distance of each query's (k + 1)-th neighbour. Kernels that need a bandwidth divide by it. None takes the
        distance of the k-th neighbour, for when there is no further one. The k-th neighbour then has almost no
        weight if the kernel falls to zero at 1.
    n_features : int or None, default=None
        Number of columns that the distances were computed from. Only "optimal" needs it.

    Returns
    -------
    ndarray of shape (n_query, n_neighbors), float64
        Weights, not normalised. Those of the kernels are positive.

    Raises
    ------
    ValueError
        If the name is unknown, the distances are not a matrix or are negative or not finite, the bandwidth has
        another length or is less than the largest distance, a callable returns another shape, or `n_features` is
        missing.

    Notes
    -----
    With :math:`d_i` the i-th of k distances, :math:`h` the bandwidth, and :math:`u_i = d_i / h`, kept between 1e-6 and
    1 - 1e-6 (and 1e-6 where :math:`h = 0`):

    ============== ========================================================================= =========
    weights        weight of neighbour i                                                     source
    ============== ========================================================================= =========
    "uniform"      :math:`1`                                                                 [2]_
    "distance"     :math:`1 / d_i`; where some :math:`d_i = 0`, 1 for those and 0 for others [2]_
    "triangular"   :math:`1 - u_i`                                                           [1]_
    "epanechnikov" :math:`\frac{3}{4} (1 - u_i^2)`                                           [1]_
    "biweight"     :math:`\frac{15}{16} (1 - u_i^2)^2`                                       [1]_
    "triweight"    :math:`\frac{35}{32} (1 - u_i^2)^3`                                       [1]_
    "cosine"       :math:`\frac{\pi}{4} \cos(\frac{\pi}{2} u_i)`                             [1]_
    "inverse"      :math:`1 / u_i`                                                           [1]_
    "gaussian"     :math:`\phi(u_i z)`, z the :math:`1 - 1 / (2 (k + 1))` quantile of        [1]_
                   the normal distribution, :math:`\phi` its density
    "rank"         :math:`k + 1 - r_i`, r the rank of the distance, averaged where equal     [1]_
    "optimal"      :math:`\frac{1}{k} \left(1 + \frac{m}{2} - \frac{m}{2 k^{2/m}}            [3]_
                   (i^{1+2/m} - (i-1)^{1+2/m})\right)` with m columns
    ============== ========================================================================= =========

    R's kknn replaces every bandwidth below 1e-6 by 1e-6, so its weights depend on the unit. Here only a bandwidth of
    0 is special. Constant factors differ from kknn's and cancel in an average. The "optimal" weights depend on the
    position alone, so two neighbours at the same distance can have different weights.

    References
    ----------
    .. [1] K. Hechenbichler, K. Schliep (2004), Weighted k-nearest-neighbor techniques and ordinal classification,
       SFB 386 discussion paper 399, LMU Munich; and the R package kknn.
    .. [2] scikit-learn's `KNeighborsRegressor`.
    .. [3] R. J. Samworth (2012), Optimal weighted nearest neighbour classifiers, Annals of Statistics 40(5), 2733-2763.

    Examples
    --------
    >>> weigh_neighbors([[0.0, 1.0], [1.0, 2.0]], "distance")
    array([[1. , 0. ],
           [1. , 0.5]])
    >>> weigh_neighbors([[1.0, 2.0]], "triangular", bandwidth=[4.0])
    array([[0.75, 0.5 ]])
    """
    matrix = _check_distances(distances)
    if callable(weights):
        return _call_weights(weights, matrix)
    if weights == "uniform":
        return np.ones_like(matrix)
    if weights == "distance":
        return _invert_distances(matrix)
    if weights == "rank":
        from scipy.stats import rankdata  # takes longer to import than all else here

        return np.asarray(matrix.shape[1] + 1 - rankdata(matrix, axis=1))
    if weights == "optimal":
        return np.tile(_weigh_optimally(matrix.shape[1], n_features), (len(matrix), 1))
    if weights not in _SCALED_KERNELS:
        message = (
            f"weights is {weights!r}. It must be 'uniform', 'distance', one of {', '.join(map(repr, KERNELS))}, "
            "or a function of the distances."
        )
        raise ParameterError(message)
    return _SCALED_KERNELS[weights](_scale_distances(matrix, bandwidth))


def average_targets(targets: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average the targets of the neighbours.

    Parameters
    ----------
    targets : ndarray of shape (n_query, n_neighbors) or (n_query, n_neighbors, n_outputs), float64
        Targets of the neighbours.
    weights : ndarray of shape (n_query, n_neighbors), float64
        Their weights.

    Returns
    -------
    ndarray of shape (n_query,) or (n_query, n_outputs), float64
        Weighted means.

    Raises
    ------
    ValueError
        If the weights of a query have a sum of zero or one that is not finite.

    Examples
    --------
    >>> average_targets(np.array([[1.0, 4.0]]), np.array([[2.0, 1.0]]))
    array([2.])
    """
    totals = weights.sum(axis=1)
    bad = np.flatnonzero(~np.isfinite(totals) | (totals == 0))
    if len(bad):
        message = (
            f"The weights of {len(bad)} queries have a sum that is zero or not finite, the first of them "
            f"{bad[:5].tolist()}. Each query needs a finite sum other than zero: correct the function of the distances."
        )
        raise ParameterError(message)
    sums = np.einsum("qk...,qk->q...", targets, weights)
    return np.asarray(sums / totals.reshape(-1, *[1] * (targets.ndim - 2)))


def _check_distances(distances: ArrayLike) -> NDArray[np.float64]:
    """Require a matrix of finite distances."""
    matrix = np.asarray(distances, dtype=np.float64)
    if matrix.ndim != 2 or 0 in matrix.shape:
        message = f"distances has shape {matrix.shape}. It needs a row for each query and a column for each neighbour."
        raise ParameterError(message)
    if not (np.isfinite(matrix).all() and matrix.min() >= 0):
        message = "distances contains NaN, infinity or negative numbers. It must hold finite distances from 0 on."
        raise ParameterError(message)
    return matrix


def _call_weights(
    weights: Callable[[NDArray[np.float64]], ArrayLike], matrix: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Let a function of the user weigh a copy of the distances."""
    found = np.asarray(weights(matrix.copy()), dtype=np.float64)
    if found.shape != matrix.shape:
        message = (
            f"The weights function returned shape {found.shape} for distances of shape {matrix.shape}. "
            "It must return one weight for each distance."
        )
        raise ParameterError(message)
    return found


def _invert_distances(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take 1 / d, and in rows where that is infinite 1 for those and 0 for the rest."""
    with np.errstate(divide="ignore", over="ignore"):
        inverse = 1 / matrix
    coincides = np.isinf(inverse)
    return np.where(coincides.any(axis=1, keepdims=True), coincides, inverse)


def _weigh_optimally(n_neighbors: int, n_features: int | None) -> NDArray[np.float64]:
    """Compute Samworth's weights of the neighbours by position."""
    if n_features is None or n_features < 1:
        message = f"n_features is {n_features!r}. The weights 'optimal' need the number of columns, at least 1."
        raise ParameterError(message)
    powers = np.arange(n_neighbors + 1.0) ** (1 + 2 / n_features)
    spread = n_features / (2 * n_neighbors ** (2 / n_features))
    return np.asarray((1 + n_features / 2 - spread * np.diff(powers)) / n_neighbors)


def _scale_distances(matrix: NDArray[np.float64], bandwidth: ArrayLike | None) -> NDArray[np.float64]:
    """Divide distances by the bandwidth and keep the quotients inside of 0 and 1."""
    widths = matrix.max(axis=1) if bandwidth is None else np.asarray(bandwidth, dtype=np.float64)
    if widths.shape != matrix.shape[:1] or not (widths >= matrix.max(axis=1)).all():
        message = (
            f"bandwidth has shape {widths.shape} for {len(matrix)} queries, or is less than a distance. "
            "Give the distance of each query's (k + 1)-th neighbour."
        )
        raise ParameterError(message)
    relative = np.divide(matrix, widths[:, np.newaxis], out=np.zeros_like(matrix), where=widths[:, np.newaxis] > 0)
    return np.asarray(np.clip(relative, _EDGE, 1 - _EDGE))
