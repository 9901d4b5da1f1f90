"""Fits around each query: a weighted ridge regression on its neighbours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Planes", "fit_planes", "weigh_locally"]


class Planes(NamedTuple):
    """Planes that are fitted to the neighbours of queries, and what predictions change by.

    Attributes
    ----------
    predictions : ndarray of shape (n_query,), float
        The plane at the query.
    by_squares : ndarray of shape (n_query, n_neighbors), float
        Their derivatives by neighbours' squared distances, where weights are exp(-d²), to a sum of 1.
    slopes : ndarray of shape (n_query, n_features), float
        Of the planes.
    tilts : ndarray of shape (n_query, n_features), float
        What residuals count for beside the plane, by offset from the neighbours' mean.
    counts : ndarray of shape (n_query, n_neighbors), float
        What each target counts for, as `weigh_locally` returns it.
    residuals : ndarray of shape (n_query, n_neighbors), float
        Targets less plane, times weight. Where weights stay as they are, a neighbour's row changes the prediction by
        its residual times the tilts less its count times the slopes, the query's row by the slopes.
    """

    predictions: NDArray[Any]
    by_squares: NDArray[Any]
    slopes: NDArray[Any]
    tilts: NDArray[Any]
    counts: NDArray[Any]
    residuals: NDArray[Any]


def fit_planes(offsets: NDArray[Any], weights: NDArray[Any], targets: NDArray[Any], *, ridge: float) -> Planes:
    """Fit a plane to the neighbours of each query, and differentiate what it predicts at the query.

    Parameters
    ----------
    offsets : ndarray of shape (n_query, n_neighbors, n_features), float
        Neighbours less query.
    weights : ndarray of shape (n_query, n_neighbors), float
        The neighbours' weights in the fit, with a sum of 1.
    targets : ndarray of shape (n_query, n_neighbors), float
        Their targets.
    ridge : float
        As in `weigh_locally`; infinite for weighted means, which are planes without slope.

    Returns
    -------
    Planes
        Of the type of the offsets.

    Notes
    -----
    With the weights w, offsets o, their mean c and covariance C, targets y, their mean m, residuals r and
    a = -(C + ridge I)⁻¹ c, the prediction is m - c'b with the slope b, and its derivative by the weight of neighbour j,
    up to what all have in common, is (1 + a'(o_j - c)) r_j. What neighbours add to mean and covariance cancels there,
    as weighted residuals and weighted offsets from the mean have a sum of 0.

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
    """Fit a plane to the neighbours of each query, and find what each target counts for where it is read at the query.

    Parameters
    ----------
    queries : ndarray of shape (n_query, n_features), float64
        Rows to predict.
    neighbors : ndarray of shape (n_query, n_neighbors, n_features), float64
        Their neighbours.
    weights : ndarray of shape (n_query, n_neighbors), float64
        The neighbours' weights in the fit, with a sum of 1.
    ridge : float
        Penalty of a squared slope, above 0, in the unit of a squared distance.

    Returns
    -------
    ndarray of shape (n_query, n_neighbors), float64
        Weights with a sum of 1, some of them negative. The plane at the query is the sum of the targets with these
        weights, whatever the targets. With a large penalty they are `weights`.

    Notes
    -----
    A mean leans towards where the neighbours lie; a plane does not (Fan and Gijbels, Local Polynomial Modelling and Its
    Applications, 1996). With the weights w, the neighbours' offsets o from the query, their weighted mean c and
    weighted covariance C, the weight of neighbour j is w_j (1 - c' (C + ridge I)⁻¹ (o_j - c)). Memory
    n_query * n_neighbors * n_features.

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
    """Return the weighted mean of the neighbours' offsets, and the offsets from it."""
    centre = np.matmul(weights[:, np.newaxis], offsets)[:, 0]
    return centre, offsets - centre[:, np.newaxis]
