"""Weighted ridge regressions on the neighbours of each query."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.threads import run_slices
from energyknn.neighbors import Neighbors

_QUERIES_AT_ONCE = 64


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


def weigh_locally(
    queries: NDArray[np.float64],
    rows: NDArray[np.float64],
    found: Neighbors,
    sharpness: float | NDArray[np.float64] = 1.0,
    *,
    ridge: float,
    n_threads: int = 1,
) -> NDArray[np.float64]:
    """Find how much each neighbour's target counts in the value of a fitted plane at the query.

    Parameters
    ----------
    queries : ndarray of shape (n_query, n_features), float64
        Rows to predict.
    rows : ndarray of shape (n_rows, n_features), float64
        Rows that predict them.
    found : Neighbors
        Which of these rows are each query's neighbours, nearest first.
    sharpness : float or ndarray of shape (n_query,), default=1.0
        A neighbour weighs exp(-sharpness * distance²) in the fit, and a query's weights are scaled to the sum 1.
    ridge : float
        Penalty of a squared slope, above 0, in the unit of a squared distance. Infinity gives the weights of the fit.
    n_threads : int, default=1
        Number of threads. The result has the same bits for any number.

    Returns
    -------
    ndarray of shape (n_query, n_neighbors), float64
        Weights that sum to 1, some of them negative. Whatever the targets are, the plane at the query is their sum
        with these weights.

    Notes
    -----
    With the weights w, the neighbours' offsets o from the query, their weighted mean c and weighted covariance C, the
    weight of neighbour j is w_j (1 - c' (C + ridge I)⁻¹ (o_j - c)). One compiled pass fits all planes.

    Examples
    --------
    >>> near = Neighbors(np.array([[1.0, 2.0]]), np.array([[0, 1]]))
    >>> weigh_locally(np.zeros((1, 1)), np.array([[1.0], [2.0]]), near, 0.0, ridge=1e-12).round(9)
    array([[ 2., -1.]])
    """
    kernel = _load_kernel()
    sharp = np.broadcast_to(np.asarray(sharpness, dtype=np.float64), len(queries)).copy()
    counts = np.empty(found.indices.shape)
    arrays = np.ascontiguousarray(queries), rows, found.distances, found.indices, sharp, float(ridge)
    slices = [
        slice(start, min(start + _QUERIES_AT_ONCE, len(queries))) for start in range(0, len(queries), _QUERIES_AT_ONCE)
    ]
    run_slices(lambda part: kernel(*arrays, part.start, part.stop, counts), slices, n_threads=n_threads)
    return counts


@cache
def _load_kernel() -> Any:
    """Load the compiled loop from disk, or compile it."""
    from energyknn._shared.kernel_loading import load_or_compile
    from energyknn.learning.kernels import weigh_slice

    rows, near = np.zeros((2, 1)), np.array([[1], [0]])

    def warm_up() -> None:
        weigh_slice(rows, rows, rows, near, np.ones(2), 1.0, 0, 2, rows.copy())

    load_or_compile(weigh_slice, warm_up, what="local fits: some seconds")
    return weigh_slice
