"""Fits around each query: a weighted ridge regression on its neighbours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["weigh_locally"]


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
    offsets = neighbors - queries[:, np.newaxis]
    centre = np.einsum("qk,qkc->qc", weights, offsets)
    offsets -= centre[:, np.newaxis]
    products = np.matmul((offsets * weights[:, :, np.newaxis]).transpose(0, 2, 1), offsets)
    products += ridge * np.eye(queries.shape[1])
    tilts = np.linalg.solve(products, centre[:, :, np.newaxis])
    tilted: NDArray[np.float64] = weights * (1 - np.matmul(offsets, tilts)[:, :, 0])
    return tilted
