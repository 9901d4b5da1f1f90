"""Maps of rows: a matrix, and a hidden layer that adds what the matrix cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from energyknn._shared.showing import in_one_line

_ENOUGH_ROWS = 10_000  # to estimate a covariance
_BLOCK = 16  # rows that are multiplied at once

Parameters = tuple[NDArray[Any], ...]
"""What learning changes: square roots of weights; or a matrix; or a matrix and the three parts of a hidden layer."""


@in_one_line
class HiddenLayer(NamedTuple):
    """Units whose outputs are added to the rows that a matrix maps.

    Attributes
    ----------
    weights : ndarray of shape (n_features, n_units), float
        Weights of each unit.
    offsets : ndarray of shape (n_units,), float
        Offset of each unit. Its output for a row x is tanh(x @ weights + offset).
    components : ndarray of shape (n_units, n_components), float
        What each unit's output adds to a mapped row.
    """

    weights: NDArray[Any]
    offsets: NDArray[Any]
    components: NDArray[Any]


@in_one_line
class RowMap(NamedTuple):
    """A matrix (n_features, n_components) and a hidden layer, or None for a linear map."""

    components: NDArray[Any]
    hidden: HiddenLayer | None = None


def map_rows(X: NDArray[Any], components: NDArray[Any], hidden: HiddenLayer | None = None) -> NDArray[Any]:
    """Map rows (n_rows, n_features) to (n_rows, n_components).

    BLAS adds in an order that depends on the number of rows and of threads. So blocks of one size are multiplied: a row
    gets the same bits whatever rows stand beside it.

    Examples
    --------
    >>> units = HiddenLayer(np.array([[1.0]]), np.array([0.0]), np.array([[2.0]]))
    >>> map_rows(np.array([[0.0], [1.0]]), np.array([[0.5]]), units).round(3).tolist()
    [[0.0], [2.023]]
    """
    blocks = np.pad(X, ((0, -len(X) % _BLOCK), (0, 0))).reshape(-1, _BLOCK, X.shape[1])
    mapped: NDArray[Any] = blocks @ components
    if hidden is not None:
        mapped += np.tanh(blocks @ hidden.weights + hidden.offsets) @ hidden.components
    return mapped.reshape(-1, components.shape[1])[: len(X)]


def turn_map(X: NDArray[Any], components: NDArray[Any], hidden: HiddenLayer | None = None) -> RowMap:
    """Rotate a map so that the columns of mapped rows are uncorrelated, those of largest variance first.

    Distances stay the same, but boxes around near rows become small, so searches become fast.

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
    """Join maps to one whose squared distances are the mean of theirs, and keep the columns of largest variance.

    Either all maps have a hidden layer, or none. The joined map is rotated as `turn_map` does, and has all their units.

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


def start_parameters(
    n_features: int, n_components: int, n_units: int, form: str, scale: float, random: np.random.Generator
) -> Parameters:
    """Draw the parameters of a random map, or return equal weights for the diagonal form."""
    if form == "diagonal":
        return (np.full(n_features, float(np.sqrt(2 * scale / np.sqrt(n_features)))),)
    spread = float(1 / np.sqrt(n_features))
    components = random.normal(0.0, float(scale / np.sqrt(n_features)), size=(n_features, n_components))
    if not n_units:
        return (components,)
    weights = random.normal(0.0, spread, size=(n_features, n_units))
    offsets = random.uniform(-1.0, 1.0, size=n_units)
    return components, weights, offsets, random.normal(0.0, float(1 / np.sqrt(n_units)), size=(n_units, n_components))


def compose_map(parameters: Parameters) -> RowMap:
    """Make the map of its parameters."""
    matrix, *hidden = parameters
    return RowMap(np.diag(matrix**2) if matrix.ndim == 1 else matrix, HiddenLayer(*hidden) if hidden else None)


def differentiate_parameters(gradient: RowMap, parameters: Parameters) -> Parameters:
    """Turn the gradient by the arrays of a map into the gradient by its parameters."""
    matrix = parameters[0]
    if matrix.ndim == 1:
        return (2 * matrix * np.diag(gradient.components),)
    return (gradient.components, *(gradient.hidden or ()))
