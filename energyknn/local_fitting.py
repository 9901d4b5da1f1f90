"""Fits around each query: a weighted ridge regression on its neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["fit_locally"]


def fit_locally(
    queries: NDArray[np.float64],
    neighbors: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
    *,
    ridge: float,
) -> NDArray[np.float64]:
    """Fit a plane to the neighbours of each query, and read it at the query.

    Parameters
    ----------
    queries : ndarray of shape (n_query, n_features), float64
        Rows to predict.
    neighbors : ndarray of shape (n_query, n_neighbors, n_features), float64
        Their neighbours.
    targets : ndarray of shape (n_query, n_neighbors), float64
        The neighbours' targets.
    weights : ndarray of shape (n_query, n_neighbors), float64
        The neighbours' weights, with a sum of 1.
    ridge : float
        Penalty of a squared slope, above 0, in the unit of a squared distance.

    Returns
    -------
    ndarray of shape (n_query,), float64
        Predictions. With a large penalty the weighted means of the targets.

    Notes
    -----
    A mean leans towards where the neighbours lie; a plane does not (Fan and Gijbels, Local Polynomial Modelling and Its
    Applications, 1996). Memory n_query * n_neighbors * n_features.

    Examples
    --------
    >>> neighbors = np.array([[[1.0], [2.0]]])
    >>> fit_locally(np.zeros((1, 1)), neighbors, np.array([[1.0, 2.0]]), np.array([[0.5, 0.5]]), ridge=1e-12).round(9)
    array([0.])
    """
    offsets = neighbors - queries[:, np.newaxis]
    centre = np.einsum("qk,qkc->qc", weights, offsets)
    mean = (weights * targets).sum(axis=1)
    offsets -= centre[:, np.newaxis]
    weighted = offsets * weights[:, :, np.newaxis]
    products = np.matmul(weighted.transpose(0, 2, 1), offsets)
    products += ridge * np.eye(queries.shape[1])
    sides = np.matmul(weighted.transpose(0, 2, 1), (targets - mean[:, np.newaxis])[:, :, np.newaxis])
    slopes = np.linalg.solve(products, sides)[:, :, 0]
    fitted: NDArray[np.float64] = mean - (centre * slopes).sum(axis=1)
    return fitted
