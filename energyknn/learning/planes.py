"""Weighted ridge regressions on the neighbours of each query."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


def weigh_softly(distances: NDArray[np.float64], sharpness: float | NDArray[np.float64] = 1.0) -> NDArray[np.float64]:
    """Weigh neighbours, nearest first, by exp(-sharpness * distance²), so that the weights of a query sum to 1.

    Examples
    --------
    >>> weigh_softly(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    squares = distances * distances
    weights = np.exp(-sharpness * (squares - squares[:, :1]))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


class Planes(NamedTuple):
    """Planes fitted to the neighbours of queries, and how their predictions change.

    Attributes
    ----------
    predictions : ndarray of shape (n_query,), float
        The value of each plane at its query.
    by_squares : ndarray of shape (n_query, n_neighbors), float
        Derivatives of the predictions by the neighbours' squared distances, if the weights are exp(-d²) with sum 1.
    slopes : ndarray of shape (n_query, n_features), float
        Slope b of each plane.
    tilts : ndarray of shape (n_query, n_features), float
        a = -(C + ridge I)⁻¹ c, with the neighbours' mean offset c and covariance C.
    counts : ndarray of shape (n_query, n_neighbors), float
        How much each target counts in the prediction: the result of `weigh_locally`.
    residuals : ndarray of shape (n_query, n_neighbors), float
        Weight times (target - plane). With fixed weights, ∂prediction/∂x_j = residual_j · a - count_j · b for
        neighbour j, and ∂prediction/∂query = b.
    """

    predictions: NDArray[Any]
    by_squares: NDArray[Any]
    slopes: NDArray[Any]
    tilts: NDArray[Any]
    counts: NDArray[Any]
    residuals: NDArray[Any]


@np.errstate(invalid="ignore")  # a BLAS kernel may raise the flag although all values are finite
def fit_planes(offsets: NDArray[Any], weights: NDArray[Any], targets: NDArray[Any], *, ridge: float) -> Planes:
    """Fit a plane to the neighbours of each query, and differentiate its prediction.

    Parameters
    ----------
    offsets : ndarray of shape (n_query, n_neighbors, n_features), float
        Neighbours minus query.
    weights, targets : ndarray of shape (n_query, n_neighbors), float
        Weight of each neighbour in the fit, with sum 1 for each query, and its target.
    ridge : float
        Penalty of a squared slope, above 0. Infinity gives weighted means, which are planes without slope.

    Returns
    -------
    Planes
        In the dtype of the offsets.

    Notes
    -----
    With the weights w, offsets o, their mean c and covariance C, targets y, their mean m, residuals r and
    a = -(C + ridge I)⁻¹ c, the prediction is m - c'b with the slope b. Its derivative by the weight of neighbour j is
    (1 + a'(o_j - c)) r_j plus a term that all neighbours share. The effect of neighbours on mean and covariance
    cancels, because weighted residuals and weighted offsets from the mean sum to 0.

    Examples
    --------
    >>> planes = fit_planes(np.array([[[1.0], [2.0]]]), np.array([[0.5, 0.5]]), np.array([[1.0, 3.0]]), ridge=1e-12)
    >>> planes.predictions.round(6), planes.slopes.round(6)
    (array([-1.]), array([[2.]]))
    """
    means = (weights * targets).sum(axis=1)
    deviations = targets - means[:, np.newaxis]
    centre, centred = _centre(offsets, weights)
    slopes, tilts = np.zeros_like(centre), np.zeros_like(centre)
    if np.isfinite(ridge):
        weighted = (centred * weights[:, :, np.newaxis]).transpose(0, 2, 1)
        sides = np.stack([np.matmul(weighted, deviations[:, :, np.newaxis])[:, :, 0], -centre], axis=2)
        products = np.matmul(weighted, centred).astype(np.float64)
        products += ridge * np.eye(offsets.shape[2])
        slopes, tilts = np.moveaxis(np.linalg.solve(products, sides), 2, 0).astype(offsets.dtype)
    residuals = deviations - np.matmul(centred, slopes[:, :, np.newaxis])[:, :, 0]
    leverages = 1 + np.matmul(centred, tilts[:, :, np.newaxis])[:, :, 0]
    by_weights = residuals * leverages
    by_squares = weights * ((weights * by_weights).sum(axis=1, keepdims=True) - by_weights)
    predictions = means - (centre * slopes).sum(axis=1)
    return Planes(predictions, by_squares, slopes, tilts, weights * leverages, weights * residuals)


def weigh_locally(
    queries: NDArray[np.float64], neighbors: NDArray[np.float64], weights: NDArray[np.float64], *, ridge: float
) -> NDArray[np.float64]:
    """Find how much each neighbour's target counts in the value of a fitted plane at the query.

    Parameters
    ----------
    queries : ndarray of shape (n_query, n_features), float64
        Rows to predict.
    neighbors : ndarray of shape (n_query, n_neighbors, n_features), float64
        Their neighbours.
    weights : ndarray of shape (n_query, n_neighbors), float64
        Weight of each neighbour in the fit, with sum 1 for each query.
    ridge : float
        Penalty of a squared slope, above 0, in the unit of a squared distance.

    Returns
    -------
    ndarray of shape (n_query, n_neighbors), float64
        Weights that sum to 1, some of them negative. Whatever the targets are, the plane at the query is their sum
        with these weights. With a large penalty they equal `weights`.

    Notes
    -----
    With the weights w, the neighbours' offsets o from the query, their weighted mean c and weighted covariance C, the
    weight of neighbour j is w_j (1 - c' (C + ridge I)⁻¹ (o_j - c)).
    Memory is proportional to n_query * n_neighbors * n_features.

    Examples
    --------
    >>> weigh_locally(np.zeros((1, 1)), np.array([[[1.0], [2.0]]]), np.array([[0.5, 0.5]]), ridge=1e-12).round(9)
    array([[ 2., -1.]])
    """
    centre, centred = _centre(neighbors - queries[:, np.newaxis], weights)
    products = np.matmul((centred * weights[:, :, np.newaxis]).transpose(0, 2, 1), centred)
    products += ridge * np.eye(queries.shape[1])
    tilts = np.linalg.solve(products, centre[:, :, np.newaxis])
    tilted: NDArray[np.float64] = weights * (1 - np.matmul(centred, tilts)[:, :, 0])
    return tilted


def _centre(offsets: NDArray[Any], weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the weighted mean of the neighbours' offsets, and the offsets from that mean."""
    centre = np.matmul(weights[:, np.newaxis], offsets)[:, 0]
    return centre, offsets - centre[:, np.newaxis]
