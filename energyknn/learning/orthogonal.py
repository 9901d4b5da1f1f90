"""The directions of a matrix without their sizes, found by products alone, so bits are the same on every machine."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.compiling import IS_COMPILED, compile_kernel, load_or_compile
from energyknn.learning import products_llvm, products_numpy
from energyknn.learning.products_numpy import TILE_COLUMNS

_PRODUCTS: Any = products_llvm if IS_COMPILED else products_numpy

add_products = _PRODUCTS.add_products

_N_STEPS = 5
_FIRST, _THIRD, _FIFTH = 3.4445, -4.7750, 2.0315  # of Jordan's polynomial: singular values come near 1 within 5 steps


def orthogonalise(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bring every singular value of a matrix near 1: below 1.3, and above 0.6 but for those that are almost 0.

    Examples
    --------
    >>> turned = orthogonalise(np.diag([3.0, -1.0]))
    >>> [0.6 < value < 1.3 for value in np.linalg.svd(turned).S]
    [True, True]
    """
    n_rows, n_columns = matrix.shape
    if n_columns > n_rows:
        return orthogonalise(matrix.T).T
    found = np.pad(np.ascontiguousarray(matrix, dtype=np.float64), [(0, 0), (0, -n_columns % TILE_COLUMNS)])
    _load_kernel()(found)
    return found[:, :n_columns]


@compile_kernel
def level_singular_values(matrix):  # pragma: no cover
    """Replace a matrix X, n times, by X (a + b X'X + c (X'X)²), the first X divided by its size.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_columns), float64
        The matrix, with a multiple of `TILE_COLUMNS` columns; written.
    """
    n_rows, n_columns = matrix.shape
    total = 0.0
    for row in range(n_rows):
        for column in range(n_columns):
            total += matrix[row, column] * matrix[row, column]
    if total == 0.0:
        return
    matrix /= np.sqrt(total)
    for _ in range(_N_STEPS):
        square, shares = np.zeros((n_columns, n_columns)), np.zeros((n_columns, n_columns))
        add_products(matrix, True, matrix, square)
        add_products(square, False, square, shares)
        for row in range(n_columns):
            for column in range(n_columns):
                shares[row, column] = _THIRD * square[row, column] + _FIFTH * shares[row, column]
            shares[row, row] += _FIRST
        found = np.zeros((n_rows, n_columns))
        add_products(matrix, False, shares, found)
        matrix[:] = found


@cache
def _load_kernel() -> Any:
    """Load the compiled loop from disk, or compile it."""
    load_or_compile(
        level_singular_values,
        lambda: level_singular_values(np.eye(TILE_COLUMNS)),
        what="the steps of learning: some seconds",
    )
    return level_singular_values
