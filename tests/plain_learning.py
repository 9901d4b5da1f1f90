"""The oracle of learning, in plain NumPy: planes, the gradient of their error, and its way back through a map."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from energyknn.learning.maps import HiddenLayer, Parameters, compose_map


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
        How much each target counts in the prediction: the result of `weigh_plainly`.
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


def weigh_plainly(
    queries: NDArray[Any], neighbors: NDArray[Any], weights: NDArray[Any], *, ridge: float
) -> NDArray[Any]:
    """Find how much each neighbour counts in a plane, given its weight in the fit."""
    centre, centred = _centre(neighbors - queries[:, np.newaxis], weights)
    products = np.matmul((centred * weights[:, :, np.newaxis]).transpose(0, 2, 1), centred)
    products += ridge * np.eye(queries.shape[1])
    tilts = np.linalg.solve(products, centre[:, :, np.newaxis])
    return weights * (1 - np.matmul(centred, tilts)[:, :, 0])


def _centre(offsets: NDArray[Any], weights: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the weighted mean of the neighbours' offsets, and the offsets from that mean."""
    centre = np.matmul(weights[:, np.newaxis], offsets)[:, 0]
    return centre, offsets - centre[:, np.newaxis]


def differentiate_by_rows(
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
    mapped : ndarray of shape (n_rows, n_components)
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
    offsets = mapped[neighbors] - mapped[queries, np.newaxis]
    squares = np.einsum("qkc,qkc->qk", offsets, offsets)
    weights = np.exp(squares.min(axis=1, keepdims=True) - squares)
    weights /= weights.sum(axis=1, keepdims=True)
    planes = fit_planes(offsets, weights, y[neighbors], ridge=ridge)
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


def trace_rows(
    X: NDArray[Any], components: NDArray[Any], hidden: HiddenLayer | None = None
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Map rows, and return the outputs of the hidden layer (n_rows, n_units) too: `pull_back` needs them."""
    mapped: NDArray[Any] = X @ components
    if hidden is None:
        return mapped, None
    outputs: NDArray[Any] = np.tanh(X @ hidden.weights + hidden.offsets)
    mapped += outputs @ hidden.components
    return mapped, outputs


def pull_back(
    X: NDArray[Any], gradient: NDArray[Any], hidden: HiddenLayer | None = None, outputs: NDArray[Any] | None = None
) -> tuple[NDArray[Any], HiddenLayer | None]:
    """Turn the gradient by the mapped rows into the gradients by the matrix and by the hidden layer."""
    by_components = X.T @ gradient
    if hidden is None or outputs is None:
        return by_components, None
    by_inputs = (gradient @ hidden.components.T) * (1 - outputs * outputs)
    return by_components, HiddenLayer(X.T @ by_inputs, by_inputs.sum(axis=0), outputs.T @ gradient)


def differentiate_plainly(
    X: NDArray[Any],
    y: NDArray[np.float64],
    queries: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    parameters: Parameters,
    *,
    ridge: float,
) -> tuple[NDArray[np.float64], Parameters]:
    """Predict rows after a map, and differentiate the mean squared error by the parameters of the map."""
    components, hidden = compose_map(parameters)
    mapped, outputs = trace_rows(X, components, hidden)
    errors, gradient = differentiate_by_rows(mapped, y, queries, neighbors, ridge=ridge)
    by_components, by_hidden = pull_back(X, gradient, hidden, outputs)
    if parameters[0].ndim == 1:
        return errors, (2 * parameters[0] * np.diag(by_components),)
    return errors, (by_components, *(by_hidden or ()))
