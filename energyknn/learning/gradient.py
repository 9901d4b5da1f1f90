"""The squared error of predictions from neighbours, differentiated by the map of rows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.threads import run_slices
from energyknn.learning.maps import HiddenLayer, RowMap
from energyknn.learning.products_numpy import TILE_COLUMNS

_QUERIES_AT_ONCE = 64
_ROWS_AT_ONCE = 2048
"""Gradients by the parameters are summed over slices of so many rows, and then over the slices, in order."""


class _Packed(NamedTuple):
    """A map as the kernels take it: float32, with columns of 0 up to a multiple of `TILE_COLUMNS`."""

    first: NDArray[np.float32]
    offsets: NDArray[np.float32]
    second: NDArray[np.float32]


def differentiate_errors(
    X: NDArray[np.float32],
    y: NDArray[np.float64],
    queries: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    row_map: RowMap,
    *,
    ridge: float = np.inf,
    n_threads: int = 1,
) -> tuple[NDArray[np.float64], RowMap]:
    """Predict rows from their neighbours, and differentiate the mean squared error by the map.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float32
        Rows before the map.
    y : ndarray of shape (n_rows,), float64
        Their targets.
    queries : ndarray of shape (n_query,), int64
        Numbers of the rows to predict, each once.
    neighbors : ndarray of shape (n_query, n_neighbors), int64
        Numbers of the rows that predict them, with the weights exp(-d²), normalised, where d is measured after the map.
    row_map : RowMap
        The map.
    ridge : float, default=inf
        Penalty of a squared slope of the planes that predict, above 0. Infinity predicts weighted means.
    n_threads : int, default=1
        Number of threads. The result has the same bits for any number.

    Returns
    -------
    errors : ndarray of shape (n_query,), float64
        Prediction - target.
    gradient : RowMap
        Gradient of the mean of the squared errors by each array of the map, float32.

    Notes
    -----
    A prediction depends on the squared distances of its neighbours, whose derivative is twice the difference of the
    mapped rows. If the plane has a slope, it also depends on the rows themselves. One compiled pass over the queries
    keeps a few numbers for each pair; a second, over the rows that are queries or neighbours, gathers them. Memory is
    proportional to n_query * n_neighbors and to the size of the mapped rows.
    """
    kernels = _load_kernels()
    packed = _pack(row_map)
    n_components, n_near = packed.second.shape[1], neighbors.shape[1]
    starts, pairs = kernels.group_pairs(neighbors, len(X))
    asked = np.full(len(X), -1)
    asked[queries] = np.arange(len(queries))
    rows = np.flatnonzero((np.diff(starts) > 0) | (asked >= 0))
    mapped, outputs = _map_some(X, rows, packed, n_threads)

    errors = np.empty(len(queries))
    shares, counts, residuals = (np.empty((len(queries), n_near), dtype=np.float32) for _ in range(3))
    slopes, tilts, own = (np.empty((len(queries), n_components), dtype=np.float32) for _ in range(3))
    of_pairs = shares, counts, residuals, slopes, tilts, own

    def predict(part: slice) -> None:
        kernels.differentiate_slice(
            mapped, y, queries, neighbors, float(ridge), part.start, part.stop, errors, *of_pairs
        )

    run_slices(predict, _cut(len(queries), _QUERIES_AT_ONCE), n_threads=n_threads)
    gradient = np.empty((len(rows), n_components), dtype=np.float32)
    turned = np.ascontiguousarray(packed.second.T)
    slices = list(_cut(len(rows), _ROWS_AT_ONCE))
    sums = _Packed(*(np.zeros((len(slices), *part.shape), dtype=np.float32) for part in packed))

    def pull_back(number: int) -> None:
        part = slices[number].start, slices[number].stop
        kernels.gather_slice(rows, *part, mapped, queries, asked, starts, pairs, *of_pairs, gradient)
        kernels.pull_back_slice(X, rows, *part, gradient, outputs, turned, *(of[number] for of in sums))

    run_slices(pull_back, range(len(slices)), n_threads=n_threads)
    return errors, _unpack(_Packed(*(of.sum(axis=0) for of in sums)), row_map)


def map_compactly(X: NDArray[np.float32], row_map: RowMap, *, n_threads: int = 1) -> NDArray[np.float32]:
    """Map rows (n_rows, n_features) to (n_rows, n_components) as learning does, with the same bits everywhere."""
    mapped = _map_some(X, np.arange(len(X)), _pack(row_map), n_threads)[0]
    return mapped[:, : row_map.components.shape[1]]


def _map_some(
    X: NDArray[np.float32], rows: NDArray[np.int64], packed: _Packed, n_threads: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Map some rows; return the mapped rows, in their places, and the outputs of the units, row after row."""
    kernel = _load_kernels().map_slice
    mapped = np.empty((len(X), packed.second.shape[1]), dtype=np.float32)
    outputs = np.empty((len(rows), len(packed.offsets)), dtype=np.float32)
    run_slices(
        lambda part: kernel(X, rows, part.start, part.stop, *packed, mapped, outputs),
        _cut(len(rows), _ROWS_AT_ONCE),
        n_threads=n_threads,
    )
    return mapped, outputs


def _cut(n: int, size: int) -> Iterator[slice]:
    """Cut numbers from 0 to n into slices."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def _pad(array: NDArray[Any], *axes: int) -> NDArray[np.float32]:
    """Add zeros along some axes, up to a multiple of `TILE_COLUMNS`."""
    widths = [(0, -size % TILE_COLUMNS if axis in axes else 0) for axis, size in enumerate(array.shape)]
    return np.pad(array.astype(np.float32, copy=False), widths)


def _pack(row_map: RowMap) -> _Packed:
    """Bring a map into the form that the kernels take."""
    matrix, hidden = _pad(row_map.components, 1), row_map.hidden
    if hidden is None:
        return _Packed(matrix, np.empty(0, np.float32), np.empty((0, matrix.shape[1]), np.float32))
    return _Packed(np.hstack([matrix, _pad(hidden.weights, 1)]), _pad(hidden.offsets, 0), _pad(hidden.components, 0, 1))


def _unpack(packed: _Packed, like: RowMap) -> RowMap:
    """Bring gradients into the form of a map."""
    n_components = like.components.shape[1]
    matrix = packed.first[:, :n_components]
    if like.hidden is None:
        return RowMap(matrix)
    n_units = len(like.hidden.offsets)
    weights = packed.first[:, packed.second.shape[1] :][:, :n_units]
    return RowMap(matrix, HiddenLayer(weights, packed.offsets[:n_units], packed.second[:n_units, :n_components]))


@cache
def _load_kernels() -> Any:
    """Load the compiled loops of a step from disk, or compile them."""
    from energyknn._shared.kernel_loading import load_or_compile
    from energyknn.learning import kernels

    load_or_compile(
        kernels.differentiate_slice, lambda: _call_kernels(kernels), what="the learned distance: ten seconds or more"
    )
    return kernels


def _call_kernels(kernels: Any) -> None:
    """Call every kernel, so that each is loaded or compiled."""
    single, rows, near = np.zeros((2, TILE_COLUMNS), np.float32), np.arange(2), np.array([[1], [0]])
    square, offsets = np.zeros((TILE_COLUMNS, TILE_COLUMNS), np.float32), np.zeros(TILE_COLUMNS, np.float32)
    first = np.zeros((TILE_COLUMNS, 2 * TILE_COLUMNS), np.float32)
    kernels.map_slice(single, rows, 0, 2, first, offsets, square, single.copy(), single.copy())
    starts, pairs = kernels.group_pairs(near, 2)
    of_pairs = *(np.zeros((2, 1), np.float32) for _ in range(3)), *(single.copy() for _ in range(3))
    kernels.differentiate_slice(single, np.zeros(2), rows, near, 1.0, 0, 2, np.zeros(2), *of_pairs)
    kernels.gather_slice(rows, 0, 2, single, rows, rows, starts, pairs, *of_pairs, single.copy())
    kernels.pull_back_slice(single, rows, 0, 2, single, single.copy(), square, first, offsets, square.copy())
