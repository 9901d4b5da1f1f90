"""The squared error of predictions from neighbours, differentiated by the mapped rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import gen_batches

from energyknn.learning.planes import Planes, fit_planes

_CACHED_NUMBERS = 1 << 18  # 1 MiB of float32


def differentiate_errors(
    mapped: NDArray[Any],
    y: NDArray[np.float64],
    queries: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    *,
    ridge: float = np.inf,
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Predict rows from their neighbours, and differentiate the mean squared error by every mapped row.

    Parameters
    ----------
    mapped : ndarray of shape (n_rows, n_components), float32 or float64
        Rows after the map.
    y : ndarray of shape (n_rows,), float64
        Their targets.
    queries : ndarray of shape (n_query,), int64
        Numbers of the rows to predict.
    neighbors : ndarray of shape (n_query, n_neighbors), int64
        Numbers of the rows that predict them, with the weights exp(-d²), normalised.
    ridge : float, default=inf
        Penalty of a squared slope of the planes that predict, above 0. Infinity predicts weighted means.

    Returns
    -------
    errors : ndarray of shape (n_query,), float64
        Prediction - target.
    gradient : ndarray of shape (n_rows, n_components), in the dtype of `mapped`
        Gradient of the mean of the squared errors.

    Notes
    -----
    A prediction depends on the squared distances of its neighbours, whose derivative is twice the difference of the
    mapped rows. If the plane has a slope, it also depends on the rows themselves. Sums over pairs are products with
    sparse matrices. Memory is a few times 8 * n_query * n_neighbors bytes.
    """
    planes = _fit_planes(mapped.astype(np.float32, copy=False), y, queries, neighbors, ridge)
    errors = planes.predictions - y[queries]
    factors = (2 / len(queries) * errors)[:, np.newaxis]
    edges = np.arange(0, neighbors.size + 1, neighbors.shape[1])

    def pair(values: NDArray[Any]) -> sparse.csr_array:
        entries = (values.reshape(-1).astype(mapped.dtype), neighbors.reshape(-1), edges)
        return sparse.csr_array(entries, shape=(len(queries), len(mapped)))

    shares = 2 * factors * planes.by_squares
    pairs = pair(shares)
    gradient = pairs.sum(axis=0)[:, np.newaxis] * mapped
    gradient -= pairs.T @ mapped[queries]
    at_queries = shares.sum(axis=1)[:, np.newaxis].astype(mapped.dtype) * mapped[queries] - pairs @ mapped
    if np.isfinite(ridge):
        tilts, slopes = ((factors * part).astype(mapped.dtype) for part in (planes.tilts, planes.slopes))
        gradient += pair(planes.residuals).T @ tilts
        gradient -= pair(planes.counts).T @ slopes
        at_queries += slopes
    np.add.at(gradient, queries, at_queries)
    return errors, gradient


def _fit_planes(
    mapped: NDArray[np.float32],
    y: NDArray[np.float64],
    queries: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    ridge: float,
) -> Planes:
    """Fit planes to the neighbours of rows, for as many rows at once as the cache holds."""
    at_once = max(1, _CACHED_NUMBERS // (neighbors.shape[1] * mapped.shape[1]))
    parts = []
    for block in gen_batches(len(queries), at_once):
        rows, near = queries[block], neighbors[block]
        offsets = mapped[near]
        offsets -= mapped[rows, np.newaxis]
        squares = np.einsum("qkc,qkc->qk", offsets, offsets)
        weights = np.exp(squares.min(axis=1, keepdims=True) - squares)
        weights /= weights.sum(axis=1, keepdims=True)
        parts.append(fit_planes(offsets, weights, y[near].astype(np.float32), ridge=ridge))
    return Planes(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
