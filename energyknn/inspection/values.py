"""What each training row is worth to the predictions of its neighbours: its Shapley value, in closed form."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier
from sklearn.utils import check_consistent_length, gen_batches

from energyknn._shared.checks import check_integer
from energyknn._shared.threads import count_threads, run_slices
from energyknn.estimators.intervals import label_repeats
from energyknn.estimators.neighborhoods import Neighborhood, list_neighborhoods

_VALUES_AT_ONCE = 1 << 20  # of the neighbours of a block of queries
_SLICE_ROWS = 64


def value_rows(
    model: Any,
    X: Any = None,
    y: ArrayLike | None = None,
    *,
    n_neighbors: int | None = None,
    groups: ArrayLike | None = None,
    depth: int | None = None,
) -> NDArray[np.float64]:
    """Value each training row by what it adds to the predictions from neighbours: its Shapley value.

    Parameters
    ----------
    model : estimator
        A fitted model of one target that has neighbours: KNNRegressor, KNNClassifier or LocalLinearRegressor, alone, at
        the end of a pipeline, in a VotingRegressor, or the best of a search.
    X : array-like or DataFrame of shape (n_query, n_features) or None, default=None
        Rows to predict. None predicts each training row from those of other groups.
    y : array-like of shape (n_query,) or None, default=None
        Their targets, or labels.
    n_neighbors : int or None, default=None
        Number of neighbours that a prediction is made of. None takes the model's own.
    groups : array-like of shape (n_train,) or None, default=None
        Group of each training row, if `X` is None. No row values a row of its own group. None puts equal rows into one
        group, and any other row into one of its own. Where a table has few different rows, with different targets,
        equal rows are not one group.
    depth : int or None, default=None
        How many neighbours of a query to tell apart, at least `n_neighbors`. All rows that are farther away count as if
        each had their mean target. None tells all rows apart.

    Returns
    -------
    ndarray of shape (n_train,), float64
        Values. Below 0, predictions are better without the row. For numbers the unit is that of the squared target, and
        the values sum to what the neighbours lower the mean squared error by, from that of the mean target. For classes
        they sum to the mean share of neighbours with the right class.

    Raises
    ------
    ValueError
        If one of `X` and `y` is missing, both are given with `groups`, lengths differ, `n_neighbors` or `depth` is out
        of its range, or the model has several targets.
    TypeError
        If the model has no neighbours.

    See Also
    --------
    explain_predictions : The training rows behind single predictions.

    Notes
    -----
    The Shapley value of a row is what it adds to the predictions when it joins some of the other rows, averaged over
    all sets of others, where each size of a set counts the same. A set predicts the mean of its `n_neighbors` nearest
    rows, or their votes, whatever the model's own weights are. If it has fewer rows, the mean target stands in for each
    missing one, and for classes a wrong vote. What a prediction is worth is minus its squared error, or the share of
    right votes. Rows at equal distance are in the order of their numbers. For a mean of several models, values are
    averaged.

    Both cases have a closed form that takes one pass over the rows in the order of their distance (Jia and others,
    Efficient task-specific data valuation for nearest neighbor algorithms, 2019). All n rows are then put in order for
    each of q queries: q · n · log(n) steps, in blocks that take about 130 MiB. `depth` makes the search and the pass
    shorter. The sum of the values stays the same. A value changes by at most 1 / depth for classes, and by
    5 · R² / (depth - 1) for numbers, where R is the range of all targets.

    Examples
    --------
    >>> from energyknn import KNNRegressor
    >>> model = KNNRegressor(2).fit([[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 9.0, 3.0])  # 9 should be 2
    >>> int(value_rows(model).argmin())
    2
    """
    if (X is None) != (y is None) or (X is not None and groups is not None):
        message = "Give X and y to value the training rows by other rows, or neither. Groups are for neither."
        raise ValueError(message)
    parts = [
        found.share * _value_in(found, X, y, n_neighbors=n_neighbors, groups=groups, depth=depth)
        for found in list_neighborhoods(model)
    ]
    return np.asarray(np.sum(parts, axis=0))


class Queries(NamedTuple):
    """The games of some queries: in each, training rows share out what they add to one prediction.

    Attributes
    ----------
    rows : ndarray of shape (n_query, n_components), float64
        Where neighbours are found.
    own, groups : ndarray of shape (n_query,), int64
        The training row that a query is, and the group that does not play; -1 where there is none.
    goals : ndarray of shape (n_query,)
        Targets less the mean of the training rows, or places of classes.
    n_players, totals, slopes : ndarray of shape (n_query,)
        Number of rows that play, the sum of what they predict, and how much the first power of a prediction counts.
    """

    rows: NDArray[np.float64]
    own: NDArray[np.int64] | None
    groups: NDArray[np.int64]
    goals: NDArray[Any]
    n_players: NDArray[np.int64]
    totals: NDArray[np.float64]
    slopes: NDArray[np.float64]


def _value_in(
    found: Neighborhood, X: Any, y: Any, *, n_neighbors: int | None, groups: Any, depth: int | None
) -> NDArray[np.float64]:
    """Value the rows of one neighbour model."""
    model, n_train = found.model, len(found.model.y_)
    if model.y_.ndim > 1:
        message = f"The model has {model.y_.shape[1]} targets. Fit one model for each, and value the rows of each."
        raise ValueError(message)
    k = check_integer(
        model.n_neighbors if n_neighbors is None else n_neighbors,
        name="n_neighbors",
        rule="an integer of at least 1",
        least=1,
    )
    deep = (
        max(n_train, k)
        if depth is None
        else check_integer(depth, name="depth", rule=f"an integer of at least n_neighbors = {k}", least=k)
    )
    classifies = is_classifier(model)
    targets = model.y_ if classifies else model.y_ - model.y_.mean()
    labels = label_rows(found, groups) if X is None else np.arange(n_train)
    queries = take_queries(found, X, y, targets, labels)
    values, left_out = np.zeros(n_train), np.zeros(labels.max() + 2)  # the last is of the group -1
    for asked, indices, plays in search_players(model, queries, labels, depth=deep):
        near = targets[indices]
        predicted = (near == queries.goals[asked, np.newaxis]).astype(np.float64) if classifies else near
        worth, others = _value_block(queries, asked, predicted, plays, (not classifies, k, deep), n_jobs=model.n_jobs)
        worth -= others[:, np.newaxis]
        values += others.sum() + np.bincount(indices[plays], weights=worth[plays], minlength=n_train)
        left_out += np.bincount(queries.groups[asked] + 1, weights=others, minlength=len(left_out))
    return np.asarray((values - left_out[labels + 1]) / len(queries.rows))


def label_rows(found: Neighborhood, groups: Any) -> NDArray[np.int64]:
    """Give each training row the number of its group."""
    rows, targets = found.model.index_.X_train, found.model.y_
    if groups is None:
        equal = label_repeats(rows, targets, few=0)
        return np.arange(len(targets)) if equal is None else equal
    check_consistent_length(targets, groups)
    return np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)


def take_queries(found: Neighborhood, X: Any, y: Any, targets: NDArray[Any], labels: NDArray[np.int64]) -> Queries:
    """Describe the games of some rows, or of the training rows."""
    model = found.model
    if X is None:
        rows, own, groups, goals = model.index_.X_train, np.arange(len(targets)), labels, targets
    else:
        rows, own = found.map_rows(X), None
        check_consistent_length(rows, y)
        groups, goals = np.full(len(rows), -1), _read_goals(model, y)
    sizes = np.append(np.bincount(labels), 0)
    if is_classifier(model):
        pairs, held = np.stack([labels, targets]), np.append(np.bincount(targets), 0)
        _, places, counts = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
        own_votes = counts[places.reshape(-1)] if X is None else 0
        totals, slopes = (held[goals] - own_votes).astype(np.float64), np.ones(len(goals))
    else:
        totals = targets.sum() - np.append(np.bincount(labels, weights=targets), 0.0)[groups]
        slopes = 2 * goals
    return Queries(rows, own, groups, goals, len(targets) - sizes[groups], totals, slopes)


def _read_goals(model: Any, y: Any) -> NDArray[Any]:
    """Return targets less the mean of the training rows; of labels the places, and -1 where no row has the label."""
    if not is_classifier(model):
        return np.asarray(np.asarray(y, dtype=np.float64) - model.y_.mean())
    return np.asarray(pd.Index(model.classes_).get_indexer(pd.Index(np.asarray(y))))


def search_players(
    model: Any, queries: Queries, labels: NDArray[np.int64], *, depth: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]]:
    """Yield numbers of queries, their nearest rows, and which of these play: `depth` of them, or all there are."""
    most = len(labels) - (queries.own is not None)
    asked, width = np.arange(len(queries.rows)), depth
    while len(asked) and most:
        lacking, width = [], min(width, most)
        for block in gen_batches(len(asked), max(1, _VALUES_AT_ONCE // width)):
            numbers = asked[block]
            own = None if queries.own is None else queries.own[numbers]
            indices = model.index_.search(queries.rows[numbers], width, own=own, n_jobs=model.n_jobs).indices
            plays = labels[indices] != queries.groups[numbers, np.newaxis]
            enough = plays.sum(axis=1) >= np.minimum(depth, queries.n_players[numbers])
            lacking.append(numbers[~enough])
            yield numbers[enough], indices[enough], plays[enough]
        asked, width = np.concatenate(lacking), 2 * width


def _value_block(
    queries: Queries,
    asked: NDArray[np.int64],
    predicted: NDArray[np.float64],
    plays: NDArray[np.bool_],
    options: tuple[bool, int, int],
    *,
    n_jobs: int | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each listed row is worth to each query, and what each row that is not listed is worth."""
    worth, others = np.empty(predicted.shape), np.empty(len(asked))
    arrays = predicted, plays, queries.n_players[asked], queries.totals[asked], queries.slopes[asked]
    kernel = _load_kernel()

    def fill(part: slice) -> None:
        kernel(*(array[part] for array in arrays), *options, worth[part], others[part])

    run_slices(fill, gen_batches(len(asked), _SLICE_ROWS), n_threads=count_threads(n_jobs))
    return worth, others


@cache
def _load_kernel() -> Any:
    """Load the compiled loop from disk, or compile it."""
    from energyknn._shared.kernel_loading import load_or_compile
    from energyknn.inspection._values_kernel import value_ranks as kernel

    def warm_up() -> None:
        one, table = np.ones(1), np.ones((1, 1))
        kernel(table, table > 0, np.ones(1, dtype=np.int64), one, one, False, 1, 1, table.copy(), one.copy())

    load_or_compile(kernel, warm_up, what="row values: a second or two")
    return kernel
