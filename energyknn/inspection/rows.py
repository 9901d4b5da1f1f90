"""Which training rows a prediction is made of, what each counts, and which columns make them near."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import _safe_indexing

from energyknn.errors import ParameterError
from energyknn.estimators.neighborhoods import Neighborhood, WeightedRows, list_neighborhoods, weigh_training_rows
from energyknn.inspection.shares import ROUNDING, TOLERANCE, Columns, change_by_orders, resolve_columns, split_rows
from energyknn.neighbors.metrics import METRICS

_SHOWN_QUERIES = 3  # in a notebook
_SHOWN = 5


class Explanation(NamedTuple):
    """The training rows that count most in each prediction, and the columns that make them near.

    Attributes
    ----------
    predictions : ndarray of shape (n_query,), float64
        Predictions, in the target's unit.
    indices : ndarray of shape (n_query, n_neighbors), int64
        Numbers of the training rows, those of largest weight first. Of equal weights, the nearest comes first.
    weights : ndarray of shape (n_query, n_neighbors), float64
        How much each target counts. Together with the rows that are not shown, the weights sum to 1.
    distances : ndarray of shape (n_query, n_neighbors), float64
        Distances as the model measures them. For a mean of models, the root of the mean squared distance.
    shares : ndarray of shape (n_query, n_neighbors, n_columns), float64
        Share of each column in the squared distance (with p = 1, in the distance), from 0 to 1. Shares sum to 1, or are
        all 0 if the distance is 0.
    columns : tuple of str
        Names of the columns.
    extrapolated : ndarray of shape (n_query,), bool
        Whether a prediction lies outside of all targets that it is made of, as that of a local plane may.
    """

    predictions: NDArray[np.float64]
    indices: NDArray[np.int64]
    weights: NDArray[np.float64]
    distances: NDArray[np.float64]
    shares: NDArray[np.float64]
    columns: tuple[str, ...]
    extrapolated: NDArray[np.bool_]

    def __repr__(self) -> str:
        n_query, n_neighbors, n_columns = self.shares.shape
        return f"Explanation(n_query={n_query}, n_neighbors={n_neighbors}, n_columns={n_columns})"

    def _repr_html_(self) -> str:
        """Show the training rows behind the first predictions as tables in a notebook."""
        parts = [
            f"<p>Prediction {query}: {escape(_show_prediction(self.predictions[query]))}</p>"
            + tabulate_neighbors(self, query).to_html(float_format="{:.3g}".format)
            for query in range(min(_SHOWN_QUERIES, len(self.indices)))
        ]
        n_more = len(self.indices) - len(parts)
        return "".join(parts) + (f"<p>and {n_more} more: tabulate_neighbors lays out each</p>" if n_more else "")


def _show_prediction(value: Any) -> str:
    """Return a number to four digits, and a label as it is."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def explain_predictions(
    model: Any, X: Any, X_train: Any, *, n_neighbors: int | None = None, columns: Columns | None = None
) -> Explanation:
    """Find the training rows that count most in each prediction, and the columns that make them near.

    Parameters
    ----------
    model : estimator
        A fitted model of one target that has neighbours: KNNRegressor, KNNClassifier or LocalLinearRegressor, alone, at
        the end of a pipeline, in a VotingRegressor, or the best of a search.
    X : array-like or DataFrame of shape (n_query, n_features)
        A few rows to predict.
    X_train : array-like or DataFrame of shape (n_train, n_features)
        The rows that the model was fitted on, in the same order.
    n_neighbors : int or None, default=None
        Number of training rows to show, at most as many as the model predicts from. None shows up to 5.
    columns : mapping of str to sequence of str or int, or None, default=None
        Names or positions of columns that count as one, such as the indicators of a category; `group_columns` makes
        it. None counts each column by itself.

    Returns
    -------
    Explanation
        `predictions`, `indices`, `weights`, `distances`, `shares` and `columns`.

    Raises
    ------
    ValueError
        If `X_train` is not what the model was fitted on, `n_neighbors` is out of its range, or `columns` does not hold
        each column once.
    TypeError
        If the model has no neighbours.

    See Also
    --------
    tabulate_neighbors : Turn one prediction's explanation into a table.
    weigh_columns : Measure how much each column counts over many rows.

    Notes
    -----
    A column's share is its Shapley value: what the column adds to the squared distance when the training row's columns
    become the query's one by one, averaged over their orders. With a linear map that treats columns separately before,
    it has a closed form. Otherwise it is averaged over all orders of up to 4 columns, and over 16 fixed orders of more.
    A column that brings the two rows nearer, because its effect cancels that of others, has a negative value: its share
    is 0, and the others share the rest. For a mean of models, squared distances are averaged.

    Examples
    --------
    >>> from energyknn import KNNRegressor
    >>> X = np.array([[0.0, 0.0], [1.0, 2.0], [9.0, 9.0]])
    >>> found = explain_predictions(KNNRegressor(1).fit(X, [1.0, 2.0, 3.0]), [[1.0, 3.0]], X, n_neighbors=1)
    >>> found.indices.tolist(), found.shares.tolist()
    ([[1]], [[[0.0, 1.0]]])
    """
    neighborhoods = list_neighborhoods(model)
    n_neighbors = _check_neighborhoods(neighborhoods, X_train, n_neighbors)
    groups = resolve_columns(X_train, columns)
    weighted = weigh_training_rows(model, X)
    indices, weights = _take_heaviest(neighborhoods, X, weighted, n_neighbors)
    parts = np.sum([_split_distances(found, X, X_train, groups, indices) for found in neighborhoods], axis=0)
    distances = METRICS[neighborhoods[0].model.index_.p].take_distances(parts.sum(axis=2))
    apart = np.where(distances[:, :, np.newaxis] > 0, parts.clip(min=0), 0.0)
    sums = apart.sum(axis=2, keepdims=True)
    shares = np.divide(apart, sums, out=np.zeros_like(parts), where=sums > 0)
    predictions = np.asarray(model.predict(X))
    extrapolated = _find_extrapolated(neighborhoods[0].model, predictions, weighted)
    return Explanation(predictions, indices, weights, distances, shares, tuple(groups), extrapolated)


def _find_extrapolated(model: Any, predictions: NDArray[Any], weighted: WeightedRows) -> NDArray[np.bool_]:
    """Tell which predictions lie outside of the targets of the rows that count. A class never does."""
    if is_classifier(model):
        return np.zeros(len(predictions), dtype=bool)
    targets = np.where(weighted.weights == 0, np.nan, model.y_[weighted.indices])
    low, high = np.nanmin(targets, axis=1), np.nanmax(targets, axis=1)
    rounding = TOLERANCE * np.maximum(np.abs(low), np.abs(high))
    return np.asarray((predictions < low - rounding) | (predictions > high + rounding))


def _check_neighborhoods(neighborhoods: list[Neighborhood], X_train: Any, n_neighbors: int | None) -> int:
    """Require one kind of distance and the rows that the model was fitted on; return the number of rows to show."""
    for found in neighborhoods:
        if not hasattr(found.model.index_, "p"):
            message = (
                f"The model measures distance by {getattr(found.model, 'metric', None)!r}. Columns share in Manhattan "
                "and Euclidean distances only: fit the model with p = 1 or p = 2."
            )
            raise ParameterError(message)
    if len({found.model.index_.p for found in neighborhoods}) > 1:
        message = "The models of the mean measure distance with different p. Explain them one by one."
        raise ParameterError(message)
    n_train = len(neighborhoods[0].model.y_)
    if len(X_train) != n_train:
        message = f"X_train has {len(X_train)} rows, but the model was fitted on {n_train}."
        raise ParameterError(message)
    most = max(min(found.model.n_neighbors, n_train) for found in neighborhoods)
    if n_neighbors is None:
        return min(most, _SHOWN)
    if not 1 <= n_neighbors <= most:
        message = f"n_neighbors is {n_neighbors!r}. The model predicts from {most} rows: show 1 to {most} of them."
        raise ParameterError(message)
    return n_neighbors


def _take_heaviest(
    neighborhoods: list[Neighborhood], X: Any, weighted: WeightedRows, n_rows: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose the training rows of largest weight, and of equal weights the nearest."""
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
    stored, p = neighborhood.model.index_.X_train[used], neighborhood.model.index_.p
    if not np.allclose(neighborhood.map_rows(rows), stored, rtol=0, atol=TOLERANCE * np.abs(stored).max()):
        message = "X_train is not what the model was fitted on: its mapped rows differ from those that the model holds."
        raise ParameterError(message)
    pairs = inverse.reshape(indices.shape)
    of_training, of_queries = (split_rows(neighborhood, part, X_train, groups) for part in (rows, X))
    if of_training is None or of_queries is None:
        values, queries = np.asarray(rows, dtype=np.float64), np.asarray(X, dtype=np.float64)
        starts, ends = values[pairs.reshape(-1)], np.repeat(queries, indices.shape[1], axis=0)
        added = change_by_orders(neighborhood, starts, ends, X_train, groups, p=p)
        return neighborhood.share * added.reshape(*indices.shape, len(groups))
    steps = of_queries[:, np.newaxis] - of_training[pairs]
    steps[np.abs(steps) <= ROUNDING * np.abs(stored).max()] = 0.0
    whole = steps.sum(axis=2)
    directions = np.sign(whole) if p == 1 else whole
    return np.asarray(neighborhood.share * np.einsum("qnjc,qnc->qnj", steps, directions))


def tabulate_neighbors(explanation: Explanation, query: int = 0, *, labels: pd.DataFrame | None = None) -> pd.DataFrame:
    """Lay out the training rows behind one prediction as a table.

    Parameters
    ----------
    explanation : Explanation
        The result of `explain_predictions`.
    query : int, default=0
        Number of the prediction.
    labels : DataFrame of shape (n_train, n_labels) or None, default=None
        Columns that name the training rows.

    Returns
    -------
    DataFrame of shape (n_neighbors, n_labels + 2 + n_columns)
        The labels, `weight`, `distance`, and each column's share. The index holds the numbers of the training rows.

    See Also
    --------
    explain_predictions : Explains the predictions.

    Examples
    --------
    >>> one = Explanation(*map(np.array, ([2.0], [[7]], [[1.0]], [[0.5]], [[[1.0]]])), ("area",), np.array([False]))
    >>> tabulate_neighbors(one)
       weight  distance  area
    7     1.0       0.5   1.0
    """
    rows = explanation.indices[query]
    shares = pd.DataFrame(explanation.shares[query], columns=list(explanation.columns), index=rows)
    shares.insert(0, "weight", explanation.weights[query])
    shares.insert(1, "distance", explanation.distances[query])
    return shares if labels is None else pd.concat([labels.iloc[rows].set_index(rows), shares], axis=1)
