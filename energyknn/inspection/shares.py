"""How a distance is shared out among columns.

A column's share is its Shapley value (Shapley, A value for n-person games, 1953) in the game whose players are the
columns and whose payoff is the squared distance: what the column adds when one row becomes the other column by column,
averaged over the orders of the columns. If the steps before the neighbours treat columns separately and the map is
linear, the difference of two mapped rows is a sum z of one part z_j for each column, and the value is z_j'z: the
column's own square, and half of each cross term with another column. Otherwise it is averaged over all orders of up to
4 columns. For more columns it is averaged over 8 random orders and their reverses, always the same ones, which keeps
the sum (Castro, Gómez and Tejada, Polynomial calculation of the Shapley value based on sampling, 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from energyknn.estimators.neighborhoods import Neighborhood

Columns = Mapping[str, Sequence[str | int]]
"""Names or positions of columns of the design matrix, by the column of the file that they were made from."""

TOLERANCE = 1e-8  # of mapped rows, relative to the largest value
ROUNDING = 1e-13  # differences below it, relative to the largest value, come from rounding
_MOST_IN_ALL_ORDERS = 4  # columns
_N_ORDERS = 8  # of more columns, and as many reversed


def list_names(X: Any) -> list[Any]:
    """List the names of the columns of a frame; none for an array. Arrow keeps the columns themselves in `columns`."""
    return list(getattr(X, "column_names", getattr(X, "columns", [])))


def resolve_columns(X: Any, columns: Columns | None) -> dict[str, list[int]]:
    """Turn names of columns into positions, and require each column once. None makes each column its own group."""
    names: list[Any] = list_names(X) or list(range(np.shape(X)[1]))
    given: Columns = {str(name): [name] for name in names} if columns is None else columns
    listed = [name for group in given.values() for name in group]
    if sorted(map(str, listed)) != sorted(map(str, names)):
        message = (
            f"columns holds {', '.join(map(str, listed))}. It must hold each column once: {', '.join(map(str, names))}."
        )
        raise ValueError(message)
    return {group: [names.index(name) for name in members] for group, members in given.items()}


def split_rows(
    neighborhood: Neighborhood, X: Any, X_train: Any, groups: Mapping[str, list[int]]
) -> NDArray[np.float64] | None:
    """Split mapped rows, minus the first training row, into parts (n_rows, n_columns, n_components); None if mixed."""
    origin = neighborhood.map_rows(_safe_indexing(X_train, [0]))
    parts = [neighborhood.map_rows(vary(X, X_train, columns)) - origin for columns in groups.values()]
    whole = neighborhood.map_rows(X) - origin
    is_sum = np.allclose(np.sum(parts, axis=0), whole, rtol=0, atol=TOLERANCE * max(1.0, np.abs(whole).max()))
    return np.stack(parts, axis=1) if is_sum else None


def change_by_orders(
    neighborhood: Neighborhood,
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    X_train: Any,
    groups: Mapping[str, list[int]],
    *,
    p: int,
) -> NDArray[np.float64]:
    """Turn rows into others column by column, and average what each column adds to the distance: (n_rows, n_columns).

    A column that is equal in both rows adds nothing.
    """
    members, orders = list(groups.values()), _list_orders(len(groups))
    origin = neighborhood.map_rows(shape_like(X_train, starts))

    @cache  # orders share many of the sets of columns that have been changed
    def measure(changed: frozenset[int]) -> NDArray[np.float64]:
        columns = [column for number in changed for column in members[number]]
        steps = np.abs(neighborhood.map_rows(change_columns(X_train, starts, ends, columns)) - origin)
        return np.asarray((steps**p).sum(axis=1))

    added = np.zeros((len(starts), len(members)))
    for order in orders:
        for place, number in enumerate(order):
            added[:, number] += measure(frozenset(order[: place + 1])) - measure(frozenset(order[:place]))
    return added / len(orders)


def _list_orders(n_columns: int) -> list[Sequence[int]]:
    """List all orders of a few columns, or some orders of more."""
    if n_columns <= _MOST_IN_ALL_ORDERS:
        return list(permutations(range(n_columns)))
    random = np.random.default_rng(0)
    drawn = [random.permutation(n_columns).tolist() for _ in range(_N_ORDERS)]
    return [*drawn, *(order[::-1] for order in drawn)]


def vary(X: Any, X_train: Any, columns: list[int]) -> Any:
    """Repeat the first training row, and take some columns from the rows."""
    values, first = np.asarray(X, dtype=np.float64), np.asarray(_safe_indexing(X_train, [0]), dtype=np.float64)
    return change_columns(X_train, np.tile(first, (len(values), 1)), values, columns)


def change_columns(X: Any, starts: NDArray[np.float64], ends: NDArray[np.float64], columns: list[int]) -> Any:
    """Take some columns from other rows, and name all as those of the training rows."""
    changed = starts.copy()
    changed[:, columns] = ends[:, columns]
    return shape_like(X, changed)


def shape_like(X: Any, values: NDArray[np.float64]) -> Any:
    """Name the columns of values if those of the rows have names."""
    return pd.DataFrame(values, columns=list_names(X)) if hasattr(X, "columns") else values
