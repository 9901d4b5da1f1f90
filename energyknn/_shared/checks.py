"""What a search accepts: one place for every check, run once in front of all engines."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn.errors import ParameterError

_N_NAMED = 5


def check_rows(values: Any, *, name: str) -> NDArray[np.float64]:
    """Turn rows into a finite, C-ordered float64 matrix.

    Parameters
    ----------
    values : array-like of shape (n_rows, n_features)
        Real numbers: float, integer or boolean, in an array, a data frame or nested lists.
    name : str
        What the caller calls the argument; it starts the messages.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float64
        The values themselves where they already are such a matrix, else a copy.

    Raises
    ------
    TypeError
        If the values are sparse, complex, text or objects.
    ValueError
        If they are not a matrix, have no rows or no columns, or hold NaN or infinity.
    """
    return check_rows_and_range(values, name=name)[0]


def check_rows_and_range(values: Any, *, name: str) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """Do what `check_rows` does; return the smallest and the largest value too."""
    if hasattr(values, "toarray"):  # what SciPy's sparse kinds share, without loading SciPy
        message = f"{name} is a sparse matrix. A search needs dense rows; call .toarray() on it first."
        raise TypeError(message)
    array = np.asarray(values)
    _check_dtype(array, values, name=name)
    _check_shape(array, name=name)
    matrix = np.ascontiguousarray(array, dtype=np.float64)
    smallest, largest = float(matrix.min()), float(matrix.max())
    if not (np.isfinite(smallest) and np.isfinite(largest)):
        raise ValueError(_describe_not_finite(matrix, name=name))
    return matrix, (smallest, largest)


def check_width(X_query: NDArray[np.float64], n_features: int) -> None:
    """Require as many query columns as training columns.

    Raises
    ------
    ValueError
        If the numbers differ.
    """
    if X_query.shape[1] != n_features:
        message = (
            f"X_query has {X_query.shape[1]} columns and X_train has {n_features}. "
            "Both need the same columns in the same order."
        )
        raise ParameterError(message)


def check_n_neighbors(n_neighbors: Any, *, n_train: int, excludes_self: bool) -> int:
    """Require 1 to `n_train` neighbours, or one less where a row is not its own neighbour.

    Raises
    ------
    TypeError
        If `n_neighbors` is not an integer.
    ValueError
        If it is outside of the range.
    """
    number = check_integer(n_neighbors, name="n_neighbors", rule="an integer of at least 1")
    n_available = n_train - excludes_self
    if not 1 <= number <= n_available:
        why = "the training rows less the row itself" if excludes_self else "the number of training rows"
        message = (
            f"n_neighbors is {number}. It must be from 1 to {n_available}, {why}: "
            "lower n_neighbors or give more training rows."
        )
        raise ParameterError(message)
    return number


def check_own(own: ArrayLike, *, n_query: int, n_train: int) -> NDArray[np.int64]:
    """Require a training row for each query.

    Raises
    ------
    ValueError
        If there are more or fewer, or one is no row number.
    """
    numbers = np.asarray(own)
    if numbers.shape != (n_query,) or numbers.dtype.kind not in "iu":
        message = (
            f"own has shape {numbers.shape} and dtype {numbers.dtype} for {n_query} queries. "
            "It must hold one row number, an integer, for each."
        )
        raise ParameterError(message)
    if not (numbers.min() >= 0 and numbers.max() < n_train):
        message = (
            f"own holds row numbers from {numbers.min()} to {numbers.max()}. "
            f"They must be from 0 to {n_train - 1}, the training rows."
        )
        raise ParameterError(message)
    return np.ascontiguousarray(numbers, dtype=np.int64)


def check_integer(value: Any, *, name: str, rule: str, least: int | None = None) -> int:
    """Require an integer, of Python's or of NumPy's kind, that is not a truth value, and is `least` or more.

    Raises
    ------
    TypeError
        If it is no such integer.
    ValueError
        If it is less than `least`.
    """
    message = f"{name} is {value!r}. It must be {rule}."
    if isinstance(value, bool | np.bool_):
        raise TypeError(message)
    try:
        number = index(value)
    except TypeError:
        raise TypeError(message) from None
    if least is not None and number < least:
        raise ParameterError(message)
    return number


def check_reach(
    X_train: NDArray[np.float64],
    X_query: NDArray[np.float64],
    *,
    p: int,
    train_range: tuple[float, float] | None = None,
    query_range: tuple[float, float] | None = None,
) -> float:
    """Require that no distance can overflow.

    The widths of the box around all rows, raised to the power p, must have a finite sum. Then every sum of a search
    is finite, whatever pair it is of. `train_range` is the smallest and the largest value of `X_train`, and
    `query_range` of `X_query`, where they are known: to find them takes longer than to search for a few queries.

    Returns
    -------
    float
        The largest difference that can occur in any column, or somewhat more.

    Raises
    ------
    ValueError
        If it has not.
    """
    with np.errstate(over="ignore"):
        smallest, largest = train_range or (X_train.min(), X_train.max())
        query_smallest, query_largest = query_range or (X_query.min(), X_query.max())
        reach = float(max(largest, query_largest) - min(smallest, query_smallest))
        if np.isfinite(np.float64(reach) ** p * (2 * X_train.shape[1])):
            return reach
        low = np.minimum(X_train.min(axis=0), X_query.min(axis=0))
        widths = np.maximum(X_train.max(axis=0), X_query.max(axis=0)) - low
        total = np.sum(widths**p) * (1 + 1e-9)
    if not np.isfinite(total):
        worst = np.argsort(-widths, kind="stable")[:_N_NAMED].tolist()
        message = (
            f"The differences between X_query and X_train overflow float64 when raised to the power p = {p} and "
            f"summed; the widest columns are {worst}, the widest difference is {widths.max():g}. "
            "Divide the columns by a scale first."
        )
        raise ParameterError(message)
    return float(widths.max())


def check_choice(value: Any, choices: tuple[Any, ...], *, name: str) -> None:
    """Require one of the choices.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if isinstance(value, bool) or value not in choices:
        message = f"{name} is {value!r}. It must be one of {', '.join(map(repr, choices))}."
        raise ParameterError(message)


def _check_dtype(array: NDArray[Any], values: ArrayLike, *, name: str) -> None:
    """Require real numbers."""
    if array.dtype.kind in "fiub":
        return
    kinds = {"c": "complex", "O": "object"}
    kind = kinds.get(array.dtype.kind, str(array.dtype))
    dtypes = getattr(values, "dtypes", None)
    where = ""
    if dtypes is not None and hasattr(dtypes, "items"):
        columns = [str(column) for column, dtype in dtypes.items() if getattr(dtype, "kind", "O") not in "fiub"]
        where = f", from the columns {columns[:_N_NAMED]} ({len(columns)} in all)"
    message = f"{name} has dtype {kind}{where}. It must hold real numbers: encode or convert it first."
    raise TypeError(message)


def _check_shape(array: NDArray[Any], *, name: str) -> None:
    """Require a matrix with at least one row and one column."""
    if array.ndim != 2:
        message = (
            f"{name} has shape {array.shape}. It must have two dimensions, rows and columns: "
            "reshape one row with .reshape(1, -1), one column with .reshape(-1, 1)."
        )
        raise ParameterError(message)
    if 0 in array.shape:
        message = (
            f"{name} has {array.shape[0]} rows and {array.shape[1]} columns. It needs at least one row and "
            "one column: check how it was selected."
        )
        raise ParameterError(message)


def _describe_not_finite(matrix: NDArray[np.float64], *, name: str) -> str:
    """Name the rows and columns that hold NaN or infinity."""
    rows, columns = np.nonzero(~np.isfinite(matrix))
    kind = "NaN" if np.isnan(matrix[rows, columns]).any() else "infinity"
    named_rows, named_columns = np.unique(rows), np.unique(columns)
    return (
        f"{name} contains {kind}: {len(rows)} values, in rows {named_rows[:_N_NAMED].tolist()} "
        f"({len(named_rows)} in all) and columns {named_columns[:_N_NAMED].tolist()} ({len(named_columns)} in all). "
        "A search needs finite float64 numbers: fill or drop them first."
    )
