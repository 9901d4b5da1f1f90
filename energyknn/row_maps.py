"""Maps of rows: a matrix, and a hidden layer beside it that bends what the matrix maps straight."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["HiddenLayer", "map_rows", "pull_back", "trace_rows"]


class HiddenLayer(NamedTuple):
    """Units whose outputs are added to rows that a matrix maps.

    Attributes
    ----------
    weights : ndarray of shape (n_features, n_units), float
        Of each unit, by feature.
    offsets : ndarray of shape (n_units,), float
        A unit's output is the hyperbolic tangent of a row times its weights plus its offset.
    components : ndarray of shape (n_units, n_components), float
        What each unit's output adds to a mapped row.
    """

    weights: NDArray[Any]
    offsets: NDArray[Any]
    components: NDArray[Any]


def map_rows(X: NDArray[Any], components: NDArray[Any], hidden: HiddenLayer | None = None) -> NDArray[Any]:
    """Map rows.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float
        Rows.
    components : ndarray of shape (n_features, n_components), float
        Rows times this are mapped rows.
    hidden : HiddenLayer or None, default=None
        What is added to them; None for a linear map.

    Returns
    -------
    ndarray of shape (n_rows, n_components), float
        Mapped rows.

    Examples
    --------
    >>> units = HiddenLayer(np.array([[1.0]]), np.array([0.0]), np.array([[2.0]]))
    >>> map_rows(np.array([[0.0], [1.0]]), np.array([[0.5]]), units).round(3).tolist()
    [[0.0], [2.023]]
    """
    return trace_rows(X, components, hidden)[0]


def trace_rows(
    X: NDArray[Any], components: NDArray[Any], hidden: HiddenLayer | None = None
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Map rows, and keep what `pull_back` needs.

    Parameters
    ----------
    X, components, hidden
        As in `map_rows`.

    Returns
    -------
    mapped : ndarray of shape (n_rows, n_components), float
        Mapped rows.
    outputs : ndarray of shape (n_rows, n_units), float, or None
        Of the hidden layer.
    """
    mapped: NDArray[Any] = X @ components
    if hidden is None:
        return mapped, None
    outputs: NDArray[Any] = np.tanh(X @ hidden.weights + hidden.offsets)
    mapped += outputs @ hidden.components
    return mapped, outputs


def pull_back(
    X: NDArray[Any], gradient: NDArray[Any], hidden: HiddenLayer | None = None, outputs: NDArray[Any] | None = None
) -> tuple[NDArray[Any], HiddenLayer | None]:
    """Turn the gradient by mapped rows into one by the map.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float
        Rows.
    gradient : ndarray of shape (n_rows, n_components), float
        By every mapped row.
    hidden, outputs
        The hidden layer and its outputs as `trace_rows` returns them; None for a linear map.

    Returns
    -------
    components : ndarray of shape (n_features, n_components), float
        Gradient by the matrix.
    hidden : HiddenLayer or None
        Gradient by the hidden layer.
    """
    by_components = X.T @ gradient
    if hidden is None or outputs is None:
        return by_components, None
    by_inputs = (gradient @ hidden.components.T) * (1 - outputs * outputs)
    return by_components, HiddenLayer(X.T @ by_inputs, by_inputs.sum(axis=0), outputs.T @ gradient)
