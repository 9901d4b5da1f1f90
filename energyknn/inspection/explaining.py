"""Why a model of neighbours predicts what it does: the rows it takes, what each counts for, the columns behind both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import permutations
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.inspection import permutation_importance
from sklearn.utils import _safe_indexing

from energyknn.estimators.neighborhoods import (
    Neighborhood,
    WeightedRows,
    has_neighborhoods,
    list_neighborhoods,
    weigh_training_rows,
)
from energyknn.schema import Schema
from energyknn.splitting import Split

__all__ = [
    "Explanation",
    "explain_columns",
    "explain_predictions",
    "group_columns",
    "tabulate_neighbors",
    "weigh_columns",
]

Columns = Mapping[str, Sequence[str | int]]
"""Columns of the design matrix, by name or position, under the column of the file that they are made of."""

_TOLERANCE = 1e-8  # of mapped rows, by the largest value
_MOST_IN_ALL_ORDERS = 4  # columns
_N_ORDERS = 8  # of more columns, and as many reversed
_MOST_PAIRS = 2000  # of rows, where each has to be taken apart by orders
_ROUNDING = 1e-13  # below it, by the largest value, a difference is of rounding


class Explanation(NamedTuple):
    """The training rows that count most in each prediction, and the columns that make them near.

    Attributes
    ----------
    predictions : ndarray of shape (n_query,), float64
        In the target's unit.
    indices : ndarray of shape (n_query, n_neighbors), int64
        Training rows, those of the largest weight first; where weights are equal, the nearest first.
    weights : ndarray of shape (n_query, n_neighbors), float64
        What each target counts for. With those of the rows that are not shown, their sum is 1.
    distances : ndarray of shape (n_query, n_neighbors), float64
        In the model's distance; where it is a mean of several, the root of the mean squared distance.
    shares : ndarray of shape (n_query, n_neighbors, n_columns), float64
        Each column's share in the squared distance (in the distance, where that is Manhattan's), to a sum of 1; 0 for
        all where the distance is 0. Some may be negative.
    columns : tuple of str
        Names of the columns.
    """

    predictions: NDArray[np.float64]
    indices: NDArray[np.int64]
    weights: NDArray[np.float64]
    distances: NDArray[np.float64]
    shares: NDArray[np.float64]
    columns: tuple[str, ...]


def group_columns(names: Sequence[str], schema: Schema) -> dict[str, list[str | int]]:
    """Group the columns of a design matrix by the column of the file that they are made of.

    Parameters
    ----------
    names : sequence of str
        Columns as `energyknn.encoding.encode_features` names them.
    schema : Schema
        What the file's columns are.

    Returns
    -------
    dict of str to list of str
        Names by column of the file, in the order of the design matrix.

    Raises
    ------
    ValueError
        If a name belongs to no column.

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
            message = (
                f"{name!r} is made of no column of the schema: {', '.join((*schema.numbers, *schema.categories))}."
            )
            raise ValueError(message)
        grouped.setdefault(name if name in schema.numbers else max(categories, key=len), []).append(name)
    return grouped


def explain_predictions(
    model: Any, X: Any, X_train: Any, *, n_neighbors: int = 10, columns: Columns | None = None
) -> Explanation:
    """Say which training rows count most in each prediction, and which columns make them near.

    Parameters
    ----------
    model : estimator
        Fitted, as `energyknn.estimators.neighborhoods.list_neighborhoods` takes it, of one target.
    X : array-like or DataFrame of shape (n_query, n_features)
        Rows to predict, a few.
    X_train : array-like or DataFrame of shape (n_train, n_features)
        The rows that the model was fitted on, in their order.
    n_neighbors : int, default=10
        Rows to show, at most as many as the model takes.
    columns : mapping or None, default=None
        Columns that are one, such as a category's indicators; as `group_columns` returns it. None for each its own.

    Returns
    -------
    Explanation
        Rows, weights, distances and shares.

    Raises
    ------
    ValueError
        If `X_train` is not what the model was fitted on, `n_neighbors` is out of its range, or `columns` does not hold
        each column once.
    TypeError
        If the model has no neighbours.

    Notes
    -----
    A column's share is its Shapley value in the game in which the columns that differ are the players and the squared
    distance is the payoff (Shapley, A value for n-person games, 1953): what it adds when the training row's columns
    become the query's one by one, in the mean over their orders. Where the steps before the neighbours treat columns
    apart and the map is linear, the difference of two mapped rows is a sum z of one part z_j for each column, and the
    value is z_j'z, that is the column's own square and half of each cross term with another. Where a hidden layer or
    another step mixes columns, it is the mean over all orders of up to 4 columns; of more, over 8 random orders and
    their reverses, always the same ones, which leaves the sum what it is (Castro, Gómez and Tejada, Polynomial
    calculation of the Shapley value based on sampling, 2009). Columns of opposite effect make shares negative. Of a
    mean of maps, squared distances and parts are averaged.

    Examples
    --------
    >>> from energyknn.estimators import KNNRegressor
    >>> X = np.array([[0.0, 0.0], [1.0, 2.0], [9.0, 9.0]])
    >>> found = explain_predictions(KNNRegressor(1).fit(X, [1.0, 2.0, 3.0]), [[1.0, 3.0]], X, n_neighbors=1)
    >>> found.indices.tolist(), found.shares.tolist()
    ([[1]], [[[0.0, 1.0]]])
    """
    neighborhoods = list_neighborhoods(model)
    _check_neighborhoods(neighborhoods, X_train, n_neighbors)
    groups = _resolve_columns(X_train, columns)
    indices, weights = _take_heaviest(neighborhoods, X, weigh_training_rows(model, X), n_neighbors)
    parts = np.sum([_split_distances(found, X, X_train, groups, indices) for found in neighborhoods], axis=0)
    sums = parts.sum(axis=2, keepdims=True)
    shares = np.divide(parts, sums, out=np.zeros_like(parts), where=sums > 0)
    distances = sums[:, :, 0] if neighborhoods[0].model.index_.p == 1 else np.sqrt(sums[:, :, 0])
    return Explanation(np.asarray(model.predict(X)), indices, weights, distances, shares, tuple(groups))


def _check_neighborhoods(neighborhoods: list[Neighborhood], X_train: Any, n_neighbors: int) -> None:
    """Require one kind of distance, the rows that the model was fitted on, and a number of neighbours that it has."""
    if len({found.model.index_.p for found in neighborhoods}) > 1:
        message = "The models of the mean measure distance with different p. Explain them one by one."
        raise ValueError(message)
    n_train = len(neighborhoods[0].model.y_)
    if len(X_train) != n_train:
        message = f"X_train has {len(X_train)} rows, but the model was fitted on {n_train}."
        raise ValueError(message)
    most = max(min(found.model.n_neighbors, n_train) for found in neighborhoods)
    if not 1 <= n_neighbors <= most:
        message = f"n_neighbors is {n_neighbors!r}. The model predicts from {most} rows: show 1 to {most} of them."
        raise ValueError(message)


def _resolve_columns(X: Any, columns: Columns | None) -> dict[str, list[int]]:
    """Turn names of columns into positions, and require each column once."""
    names: list[Any] = list(X.columns) if hasattr(X, "columns") else list(range(np.shape(X)[1]))
    given: Mapping[str, Sequence[str | int]] = {str(name): [name] for name in names} if columns is None else columns
    listed = [name for group in given.values() for name in group]
    if sorted(map(str, listed)) != sorted(map(str, names)):
        message = (
            f"columns holds {', '.join(map(str, listed))}. It must hold each column once: {', '.join(map(str, names))}."
        )
        raise ValueError(message)
    return {group: [names.index(name) for name in members] for group, members in given.items()}


def _take_heaviest(
    neighborhoods: list[Neighborhood], X: Any, weighted: WeightedRows, n_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose the training rows of the largest weight; of equal weights the nearest."""
    mapped = [found.map_rows(X) for found in neighborhoods]
    indices, weights = [], []
    for query, (listed, given) in enumerate(zip(*weighted, strict=True)):
        rows, inverse = np.unique(listed, return_inverse=True)
        totals = np.bincount(inverse, weights=given)
        lengths = np.zeros(len(rows))
        for found, queries in zip(neighborhoods, mapped, strict=True):
            steps = np.abs(found.model.index_.X_train[rows] - queries[query])
            lengths += found.share * (steps**found.model.index_.p).sum(axis=1)
        order = np.lexsort((rows, lengths, -totals))[:n_rows]
        indices.append(rows[order])
        weights.append(totals[order])
    return np.array(indices), np.array(weights)


def _split_distances(
    neighborhood: Neighborhood, X: Any, X_train: Any, groups: Mapping[str, list[int]], indices: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Split the distances between queries and training rows into the columns' parts, times the model's share."""
    used, inverse = np.unique(indices, return_inverse=True)
    rows = _safe_indexing(X_train, used)
    stored = neighborhood.model.index_.X_train[used]
    if not np.allclose(neighborhood.map_rows(rows), stored, rtol=0, atol=_TOLERANCE * np.abs(stored).max()):
        message = (
            "X_train is not what the model was fitted on: mapped, its rows differ from those that the model holds."
        )
        raise ValueError(message)
    pairs = inverse.reshape(indices.shape)
    of_training, of_queries = (_split_rows(neighborhood, part, X_train, groups) for part in (rows, X))
    if of_training is None or of_queries is None:
        values, queries = np.asarray(rows, dtype=np.float64), np.asarray(X, dtype=np.float64)
        starts, ends = values[pairs.reshape(-1)], np.repeat(queries, indices.shape[1], axis=0)
        added = _change_by_orders(neighborhood, starts, ends, X_train, groups, p=neighborhood.model.index_.p)
        return neighborhood.share * added.reshape(*indices.shape, len(groups))
    steps = of_queries[:, np.newaxis] - of_training[pairs]
    steps[np.abs(steps) <= _ROUNDING * np.abs(stored).max()] = 0.0
    whole = steps.sum(axis=2)
    directions = np.sign(whole) if neighborhood.model.index_.p == 1 else whole
    parts: NDArray[np.float64] = neighborhood.share * np.einsum("qnjc,qnc->qnj", steps, directions)
    return parts


def _split_rows(
    neighborhood: Neighborhood, X: Any, X_train: Any, groups: Mapping[str, list[int]]
) -> NDArray[np.float64] | None:
    """Split mapped rows, less the first training row, into (n_rows, n_columns, n_components) parts; None if mixed."""
    origin = neighborhood.map_rows(_safe_indexing(X_train, [0]))
    parts = [neighborhood.map_rows(_vary(X, X_train, columns)) - origin for columns in groups.values()]
    whole = neighborhood.map_rows(X) - origin
    is_sum = np.allclose(np.sum(parts, axis=0), whole, rtol=0, atol=_TOLERANCE * max(1.0, np.abs(whole).max()))
    return np.stack(parts, axis=1) if is_sum else None


def _change_by_orders(
    neighborhood: Neighborhood,
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    X_train: Any,
    groups: Mapping[str, list[int]],
    *,
    p: int,
) -> NDArray[np.float64]:
    """Turn rows into others column by column; return what each adds to the distance, (n_rows, n_columns), in the mean.

    A column that is alike in both rows adds nothing.
    """
    members, orders = list(groups.values()), _list_orders(len(groups))
    origin = neighborhood.map_rows(_shape_like(X_train, starts))

    @cache  # orders share many of the sets of columns that have been changed
    def measure(changed: frozenset[int]) -> NDArray[np.float64]:
        rows = starts.copy()
        for number in changed:
            rows[:, members[number]] = ends[:, members[number]]
        steps = np.abs(neighborhood.map_rows(_shape_like(X_train, rows)) - origin)
        distances: NDArray[np.float64] = (steps**p).sum(axis=1)
        return distances

    added = np.zeros((len(starts), len(members)))
    for order in orders:
        for place, number in enumerate(order):
            added[:, number] += measure(frozenset(order[: place + 1])) - measure(frozenset(order[:place]))
    return added / len(orders)


def _list_orders(n_columns: int) -> list[Sequence[int]]:
    """List all orders of a few columns, or some of more."""
    if n_columns <= _MOST_IN_ALL_ORDERS:
        return list(permutations(range(n_columns)))
    random = np.random.default_rng(0)
    drawn = [random.permutation(n_columns).tolist() for _ in range(_N_ORDERS)]
    return [*drawn, *(order[::-1] for order in drawn)]


def _vary(X: Any, X_train: Any, columns: list[int]) -> Any:
    """Repeat the first training row, but for some columns, which are those of the rows."""
    values, first = np.asarray(X, dtype=np.float64), np.asarray(_safe_indexing(X_train, [0]), dtype=np.float64)
    varied = np.tile(first, (len(values), 1))
    varied[:, columns] = values[:, columns]
    return _shape_like(X_train, varied)


def _shape_like(X: Any, values: NDArray[np.float64]) -> Any:
    """Name the columns of values where those of the rows have names."""
    return pd.DataFrame(values, columns=X.columns) if hasattr(X, "columns") else values


def tabulate_neighbors(explanation: Explanation, query: int = 0, *, labels: pd.DataFrame | None = None) -> pd.DataFrame:
    """Lay one prediction's rows out as a table.

    Parameters
    ----------
    explanation : Explanation
        As `explain_predictions` returns it.
    query : int, default=0
        Which prediction.
    labels : DataFrame of shape (n_train, n_labels) or None, default=None
        What to call the training rows, such as their names.

    Returns
    -------
    DataFrame of shape (n_neighbors, n_labels + 2 + n_columns)
        The labels, `weight`, `distance`, and each column's share. The index holds numbers of training rows.

    Examples
    --------
    >>> one = Explanation(*map(np.array, ([2.0], [[7]], [[1.0]], [[0.5]], [[[1.0]]])), ("area",))
    >>> tabulate_neighbors(one)
       weight  distance  area
    7     1.0       0.5   1.0
    """
    rows = explanation.indices[query]
    shares = pd.DataFrame(explanation.shares[query], columns=list(explanation.columns), index=rows)
    shares.insert(0, "weight", explanation.weights[query])
    shares.insert(1, "distance", explanation.distances[query])
    return shares if labels is None else pd.concat([labels.iloc[rows].set_index(rows), shares], axis=1)


def weigh_columns(model: Any, X: Any, *, columns: Columns | None = None) -> pd.DataFrame:
    """Say how much each column counts in a model's distance.

    Parameters
    ----------
    model : estimator
        Fitted, as `energyknn.estimators.neighborhoods.list_neighborhoods` takes it.
    X : array-like or DataFrame of shape (n_rows, n_features)
        Rows over which to average, at least two that differ.
    columns : mapping or None, default=None
        As in `explain_predictions`.

    Returns
    -------
    DataFrame of shape (n_columns, 2)
        `weight`: the standard deviation of the column's part of the mapped rows, over all components; for a column of
        unit variance and a weight of its own, that weight. Where columns are mixed, the root of half the mean squared
        distance that a row moves where the column alone takes another row's value, which is the same where they are
        not. `share`: its share in the squared Euclidean distance of two rows drawn at random, to a sum of 1, as in
        `explain_predictions`. Where columns are mixed, 2,000 pairs are drawn of more than 44 rows, always the same
        ones.

    Raises
    ------
    ValueError
        If all rows are equal after the map.
    TypeError
        If the model has no neighbours.

    Examples
    --------
    >>> from energyknn.estimators import KNNRegressor
    >>> X = np.array([[0.0, 0.0], [2.0, 4.0]])
    >>> weigh_columns(KNNRegressor(1).fit(X, [0.0, 1.0]), X)
       weight  share
    0     1.0    0.2
    1     2.0    0.8
    """
    groups = _resolve_columns(X, columns)
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
    """Return the squared weights of columns, and their parts of half the mean squared distance of two rows."""
    if _split_rows(neighborhood, _safe_indexing(X, slice(_MOST_PAIRS)), X, groups) is not None:
        whole = _centre(neighborhood.map_rows(X))
        parts = (_centre(neighborhood.map_rows(_vary(X, X, members))) for members in groups.values())
        both = [((part * part).sum(axis=1).mean(), (part * whole).sum(axis=1).mean()) for part in parts]
        squares, products = np.array(both).T
        return squares, products
    values = np.asarray(X, dtype=np.float64)
    starts, ends = (values[rows] for rows in _pair_rows(len(values)))
    origin = neighborhood.map_rows(_shape_like(X, starts))
    squares = np.zeros(len(groups))
    for number, members in enumerate(groups.values()):
        moved = starts.copy()
        moved[:, members] = ends[:, members]
        steps = neighborhood.map_rows(_shape_like(X, moved)) - origin
        squares[number] = (steps * steps).sum(axis=1).mean() / 2
    return squares, _change_by_orders(neighborhood, starts, ends, X, groups, p=2).mean(axis=0) / 2


def _pair_rows(n_rows: int) -> NDArray[np.int64]:
    """Pair each row with each, itself too, or some of many rows with others."""
    if n_rows**2 <= _MOST_PAIRS:
        return np.indices((n_rows, n_rows)).reshape(2, -1)
    return np.random.default_rng(0).integers(n_rows, size=(2, _MOST_PAIRS))


def _centre(mapped: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract the mean row; what is left of rounding is 0."""
    centred: NDArray[np.float64] = mapped - mapped.mean(axis=0)
    centred[np.abs(centred) <= _ROUNDING * np.abs(mapped).max()] = 0.0
    return centred


def explain_columns(
    model: Any,
    X: Any,
    y: ArrayLike,
    *,
    folds: Sequence[Split],
    columns: Columns | None = None,
    n_repeats: int = 5,
    random_state: int = 0,
) -> pd.DataFrame:
    """Say how much each column counts for a model, with the spread over folds.

    Parameters
    ----------
    model : estimator
        Unfitted; it is cloned and fitted once for each fold.
    X : DataFrame or ndarray of shape (n_rows, n_features)
        Training rows.
    y : array-like of shape (n_rows,)
        Their targets.
    folds : sequence of Split
        As `energyknn.splitting.fold_rows` cuts them.
    columns : mapping or None, default=None
        As in `explain_predictions`: columns that are one are shuffled together.
    n_repeats : int, default=5
        Shuffles of each column in each fold.
    random_state : int, default=0
        Seed of the shuffles.

    Returns
    -------
    DataFrame of shape (n_columns, 6)
        `importance`: by how much the RMSE of a fold's held-out rows rises where the column is shuffled among them, in
        the target's unit; and for models of neighbours `weight` and `share` as in `weigh_columns`, over the rows of the
        fit. Each is the mean over folds and stands before its standard deviation over them, `..._std`.

    Notes
    -----
    The importance is that of `sklearn.inspection.permutation_importance` (Breiman, Random forests, 2001). Columns that
    tell the same take importance from one another.
    """
    target, groups = np.asarray(y, dtype=np.float64), _resolve_columns(X, columns)
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
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1)
    found: dict[Any, NDArray[np.float64]] = {}
    for number, name in enumerate(tables[0]):
        found |= {name: mean[:, number], f"{name}_std": spread[:, number]}
    return pd.DataFrame(found, index=list(groups))


class _ByRowNumbers(RegressorMixin, BaseEstimator):
    """A fitted model whose rows are given by numbers, one for each group of columns: so groups are shuffled whole."""

    def __init__(self, model: Any, X: Any, groups: list[list[int]]) -> None:
        self.model = model
        self.X = X
        self.groups = groups

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:  # noqa: ARG002 - scikit-learn asks for a fit
        """Do nothing: the model is fitted."""
        return self

    def predict(self, X: NDArray[np.int64]) -> NDArray[np.float64]:
        """Put rows together and predict them."""
        values = np.asarray(self.X, dtype=np.float64)
        rows = np.empty_like(values)
        for number, columns in enumerate(self.groups):
            rows[:, columns] = values[X[:, number]][:, columns]
        predictions: NDArray[np.float64] = self.model.predict(_shape_like(self.X, rows))
        return predictions
