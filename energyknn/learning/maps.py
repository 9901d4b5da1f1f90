"""Maps of rows: a matrix, and a hidden layer beside it that bends what the matrix maps straight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

__all__ = ["HiddenLayer", "RowMap", "join_maps", "map_rows", "pull_back", "trace_rows", "turn_map"]

_ENOUGH_ROWS = 10_000  # to tell how columns vary together


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


class RowMap(NamedTuple):
    """What `map_rows` maps by.

    Attributes
    ----------
    components : ndarray of shape (n_features, n_components), float
        The matrix.
    hidden : HiddenLayer or None
        What is added; None for a linear map.
    """

    components: NDArray[Any]
    hidden: HiddenLayer | None = None


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


def turn_map(X: NDArray[Any], components: NDArray[Any], hidden: HiddenLayer | None = None) -> RowMap:
    """Turn a map so that the columns of mapped rows do not correlate, those of most variance first.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float
        Rows; at most 10,000 of them, evenly spread, tell how columns vary.
    components, hidden
        As in `map_rows`.

    Returns
    -------
    RowMap
        After which rows are as far apart as before.

    Notes
    -----
    No distance changes by that, but boxes around near rows become small, and searches fast.

    Examples
    --------
    >>> turn_map(np.array([[0.0, 1.0], [1.0, 9.0]]), np.diag([1.0, 0.0]))[0].round(3).tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    mapped = map_rows(X[:: -(-len(X) // _ENOUGH_ROWS)], components, hidden)
    axes = np.linalg.eigh(np.atleast_2d(np.cov(mapped, rowvar=False, bias=True))).eigenvectors[:, ::-1]
    turned = None if hidden is None else hidden._replace(components=hidden.components @ axes)
    return RowMap(np.ascontiguousarray(components @ axes), turned)


def join_maps(X: NDArray[Any], maps: Sequence[RowMap], n_components: int) -> RowMap:
    """Join maps to one, after which squared distances are the mean of those after each.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float
        Rows, as in `turn_map`.
    maps : sequence of RowMap
        All with a hidden layer, or none.
    n_components : int
        Columns to keep, those of most variance. Squared distances lose what lies along others.

    Returns
    -------
    RowMap
        Turned as by `turn_map`; the units of its hidden layer are those of all maps.

    Examples
    --------
    >>> joined, _ = join_maps(np.array([[0.0], [1.0]]), [RowMap(np.array([[3.0]])), RowMap(np.array([[1.0]]))], 1)
    >>> float(abs(joined[0, 0]).round(3))  # the root of (9 + 1) / 2
    2.236
    """
    share = 1 / np.sqrt(len(maps))
    layers = [hidden for _, hidden in maps if hidden is not None]
    hidden = None
    if layers:
        weights, offsets, added = zip(*layers, strict=True)
        hidden = HiddenLayer(np.hstack(weights), np.hstack(offsets), share * block_diag(*added))
    components, hidden = turn_map(X, share * np.hstack([matrix for matrix, _ in maps]), hidden)
    kept = None if hidden is None else hidden._replace(components=hidden.components[:, :n_components])
    return RowMap(components[:, :n_components], kept)
