"""How much each column counts: in a model's distance, and for its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.inspection import permutation_importance
from sklearn.utils import _safe_indexing

from energyknn.estimators.neighborhoods import Neighborhood, has_neighborhoods, list_neighborhoods
from energyknn.inspection import shares
from energyknn.schema import Schema
from energyknn.splitting import Split

_MOST_PAIRS = 2000  # of rows, if a map mixes columns


def group_columns(names: Sequence[str], schema: Schema) -> dict[str, list[str | int]]:
    """Group the columns of a design matrix by the column of the file that they were made from.

    Parameters
    ----------
    names : sequence of str
        Names of the columns, as `energyknn.encoding.encode_features` gives them.
    schema : Schema
        The columns of the file.

    Returns
    -------
    dict of str to list of str
        Names by column of the file, in the order of the design matrix.

    Raises
    ------
    ValueError
        If a name was not made from any column.

    See Also
    --------
    explain_predictions, explain_columns, weigh_columns : Accept the result as `columns`.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> schema = make_schema(target="price", numbers=["area"], categories=["town"])
    >>> group_columns(["area", "town_0", "town_1"], schema)
    {'area': ['area'], 'town': ['town_0', 'town_1']}
    """
    grouped: dict[str, list[str | int]] = {}
    for name in names:
        categories = [category for category in schema.categories if name.startswith(f"{category}_")]
        if name not in schema.numbers and not categories:
            known = ", ".join((*schema.numbers, *schema.categories))
            message = f"{name!r} was not made from a column of the schema: {known}. Give names of encoded columns."
            raise ValueError(message)
        grouped.setdefault(name if name in schema.numbers else max(categories, key=len), []).append(name)
    return grouped


def weigh_columns(model: Any, X: Any, *, columns: shares.Columns | None = None) -> pd.DataFrame:
    """Measure how much each column counts in a model's distance.

    Parameters
    ----------
    model : estimator
        A fitted model that has neighbours: KNNRegressor or LocalLinearRegressor, alone, at the end of a pipeline, or in
        a VotingRegressor.
    X : array-like or DataFrame of shape (n_rows, n_features)
        Rows to average over. At least two must differ.
    columns : mapping of str to sequence of str or int, or None, default=None
        Names or positions of columns that count as one, such as the indicators of a category; `group_columns` makes
        it. None counts each column by itself.

    Returns
    -------
    DataFrame of shape (n_columns, 2)
        `weight` is the standard deviation of the column's part of the mapped rows, over all components. For a column of
        unit variance that is multiplied by a weight, it is that weight. `share` is the column's share in the squared
        Euclidean distance of two random rows. Shares sum to 1.

    Raises
    ------
    ValueError
        If all rows are equal after the map.
    TypeError
        If the model has no neighbours.

    See Also
    --------
    explain_columns : Measure what the columns do for the error, over folds.
    explain_predictions : Explain single predictions.

    Notes
    -----
    If a map mixes columns, the weight is the root of half the mean squared distance that a row moves when the column
    alone takes another row's value. Without mixing, both definitions agree. Shares are Shapley values, as
    `explain_predictions` describes them. More than 44 rows are then represented by 2,000 fixed pairs.

    Examples
    --------
    >>> from energyknn import KNNRegressor
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0]])
    >>> weigh_columns(KNNRegressor(1).fit(X, [0.0, 1.0]), X)
       weight  share
    0     1.0    0.2
    1     2.0    0.8
    """
    groups = shares.resolve_columns(X, columns)
    squares, products = np.zeros(len(groups)), np.zeros(len(groups))
    for found in list_neighborhoods(model):
        in_squares, in_products = _weigh_map(found, X, groups)
        squares += found.share * in_squares
        products += found.share * in_products
    total = products.sum()
    if total == 0:
        message = f"The {len(X)} rows are equal after the map. At least two must differ."
        raise ValueError(message)
    return pd.DataFrame({"weight": np.sqrt(squares), "share": products / total}, index=list(groups))


def _weigh_map(
    neighborhood: Neighborhood, X: Any, groups: Mapping[str, list[int]]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the columns' squared weights, and their parts of half the mean squared distance of two rows."""
    if shares.split_rows(neighborhood, _safe_indexing(X, slice(_MOST_PAIRS)), X, groups) is not None:
        whole = _centre(neighborhood.map_rows(X))
        parts = (_centre(neighborhood.map_rows(shares.vary(X, X, members))) for members in groups.values())
        both = [((part * part).sum(axis=1).mean(), (part * whole).sum(axis=1).mean()) for part in parts]
        squares, products = np.array(both).T
        return squares, products
    values = np.asarray(X, dtype=np.float64)
    starts, ends = (values[rows] for rows in _pair_rows(len(values)))
    origin = neighborhood.map_rows(shares.shape_like(X, starts))
    squares = np.zeros(len(groups))
    for number, members in enumerate(groups.values()):
        steps = neighborhood.map_rows(shares.change_columns(X, starts, ends, members)) - origin
        squares[number] = (steps * steps).sum(axis=1).mean() / 2
    return squares, shares.change_by_orders(neighborhood, starts, ends, X, groups, p=2).mean(axis=0) / 2


def _pair_rows(n_rows: int) -> NDArray[np.int64]:
    """Pair each row with each, or some of many rows with others."""
    if n_rows**2 <= _MOST_PAIRS:
        return np.indices((n_rows, n_rows)).reshape(2, -1)
    return np.random.default_rng(0).integers(n_rows, size=(2, _MOST_PAIRS))


def _centre(mapped: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the mean row, and set what rounding leaves to 0."""
    centred: NDArray[np.float64] = mapped - mapped.mean(axis=0)
    centred[np.abs(centred) <= shares.ROUNDING * np.abs(mapped).max()] = 0.0
    return centred


def explain_columns(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    folds: Sequence[Split],
    columns: shares.Columns | None = None,
    n_repeats: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """Measure how much each column counts for a model, with the spread over folds.

    Parameters
    ----------
    model : estimator
        An unfitted model. It is cloned and fitted once for each fold.
    X : DataFrame or ndarray of shape (n_rows, n_features)
        Training rows.
    y : array-like of shape (n_rows,)
        Their targets.
    folds : sequence of Split
        Row numbers of the two sides of each fold, such as `energyknn.splitting.fold_rows` returns them.
    columns : mapping of str to sequence of str or int, or None, default=None
        Names or positions of columns that count as one and are shuffled together; `group_columns` makes it. None
        counts each column by itself.
    n_repeats : int, default=5
        Number of times that each column is shuffled in each fold.
    random_state : int, default=0
        Seed of the shuffles.

    Returns
    -------
    DataFrame of shape (n_columns, 6)
        `importance` is how much the RMSE of a fold's held-out rows rises when the column is shuffled among them, in the
        target's unit. For models of neighbours, `weight` and `share` follow, over the training rows of the fold: see
        `weigh_columns`. Each is the mean over folds, and its standard deviation ``..._std`` stands after it.

    See Also
    --------
    weigh_columns : Measure weights and shares of one fitted model.

    Notes
    -----
    The importance is that of `sklearn.inspection.permutation_importance` (Breiman, Random forests, 2001). Columns that
    carry the same information take importance from each other.

    Examples
    --------
    >>> from energyknn import KNNRegressor
    >>> from energyknn.splitting import fold_rows
    >>> X = np.random.default_rng(0).normal(size=(80, 2))
    >>> found = explain_columns(KNNRegressor(3), X, X[:, 1], folds=fold_rows(80))
    >>> found["importance"].idxmax()  # the column that the target is
    '1'
    """
    target, groups = np.asarray(y, dtype=np.float64), shares.resolve_columns(X, columns)
    tables = []
    for fold in folds:
        rows, held = _safe_indexing(X, fold.train), _safe_indexing(X, fold.test)
        fitted = clone(model).fit(rows, target[fold.train])
        by_number = _ByRowNumbers(fitted, held, list(groups.values()))
        numbers = np.tile(np.arange(len(held))[:, np.newaxis], (1, len(groups)))
        shuffled = permutation_importance(
            *(by_number, numbers, target[fold.test]),
            scoring="neg_root_mean_squared_error",
            n_repeats=n_repeats,
            random_state=random_state,
        )
        table = pd.DataFrame({"importance": shuffled.importances_mean}, index=list(groups))
        tables.append(table.join(weigh_columns(fitted, rows, columns=columns)) if has_neighborhoods(fitted) else table)
    values = np.array([table.to_numpy() for table in tables])
    mean_and_spread = np.stack([values.mean(axis=0), values.std(axis=0, ddof=1)], axis=2)
    names = [f"{name}{ending}" for name in tables[0] for ending in ("", "_std")]
    return pd.DataFrame(mean_and_spread.reshape(len(groups), -1), index=list(groups), columns=names)


@dataclass(eq=False, repr=False)
class _ByRowNumbers(RegressorMixin, BaseEstimator):
    """A fitted model whose rows are given as one row number for each group of columns, so that groups move whole."""

    model: Any
    X: Any
    groups: list[list[int]]

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: ARG002 - scikit-learn asks for a fit
        """Do nothing: the model is fitted."""
        return self

    def predict(self, X: NDArray[np.int64]) -> NDArray[np.float64]:
        """Put rows together and predict them."""
        values = np.asarray(self.X, dtype=np.float64)
        rows = np.empty_like(values)
        for number, columns in enumerate(self.groups):
            rows[:, columns] = values[X[:, number]][:, columns]
        return np.asarray(self.model.predict(shares.shape_like(self.X, rows)))
