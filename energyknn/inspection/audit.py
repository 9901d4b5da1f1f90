"""Which training rows do not fit those around them: wrong targets first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import trim_mean
from sklearn.base import is_classifier

from energyknn._shared.checks import check_integer
from energyknn.estimators.classifier import add_votes
from energyknn.estimators.neighborhoods import Neighborhood, list_neighborhoods
from energyknn.inspection.values import label_rows, search_players, take_queries, value_rows

N_NEIGHBORS = 20
_N_AROUND = 100  # rows that show how far targets scatter there
_SHARE_AROUND = 0.2  # of these in a share of votes, and of all rows in a spread
_TRIMMED = 0.1  # of the neighbours, at each end
DEPTH = 300


def audit_rows(
    model: Any,
    *,
    n_neighbors: int = N_NEIGHBORS,
    groups: ArrayLike | None = None,
    depth: int | None = DEPTH,
) -> pd.DataFrame:
    """Find the training rows whose targets do not fit those of their neighbours, the worst first.

    Parameters
    ----------
    model : estimator
        A fitted model of one target that has neighbours: KNNRegressor, KNNClassifier or LocalLinearRegressor, alone, at
        the end of a pipeline, in a VotingRegressor, or the best of a search.
    n_neighbors : int, default=20
        Number of neighbours that a target is compared with.
    groups : array-like of shape (n_train,) or None, default=None
        Group of each training row, see `value_rows`. No row is compared with a row of its own group.
    depth : int or None, default=300
        How many neighbours `value_rows` tells apart. None tells all rows apart.

    Returns
    -------
    DataFrame of shape (n_train, 4)
        `target`, and what `neighbors_say`: their mean without extremes, or the class with the most
        votes. `misfit` tells how little the
        target fits, and `value` what the row is worth to its neighbours, see `value_rows`. Rows are in descending order
        of `misfit`, and the index holds their numbers.

    Raises
    ------
    ValueError
        If a parameter is out of its range, a group holds all rows, or the model has several targets.
    TypeError
        If the model has no neighbours.

    See Also
    --------
    energyknn.auditing.audit_table : Audit a raw table, and measure how well that finds wrong rows.
    value_rows : What each row is worth.

    Notes
    -----
    For numbers the misfit is the distance of the target from what its neighbours say, over the spread there. They say
    the mean of their targets without the lowest and the highest tenth. The spread is 0.8 times the mean distance of the
    100 nearest targets from their median, plus 0.2 times what that is in the middle of all rows. A few wrong neighbours
    change neither much. For classes the misfit is the share of other classes: 0.8 times that among the neighbours, plus
    0.2 times that among the 100 nearest rows. For a mean of several models, misfits are averaged.

    On real data the misfit found more wrong rows than the value did. The value also depends on how many rows a row is a
    neighbour of.

    Examples
    --------
    >>> from energyknn import KNNRegressor
    >>> X = np.arange(50.0)[:, np.newaxis]
    >>> y = X[:, 0].copy()
    >>> y[20] = 42
    >>> audit_rows(KNNRegressor().fit(X, y), n_neighbors=4).head(1)[["target", "neighbors_say"]]
        target  neighbors_say
    20    42.0           20.0
    """
    check_integer(n_neighbors, name="n_neighbors", rule="an integer of at least 1", least=1)
    values = value_rows(model, n_neighbors=n_neighbors, groups=groups, depth=depth)
    found = list_neighborhoods(model)
    compared = [_compare(part, n_neighbors, groups) for part in found]
    first: Any = found[0].model
    shares = [part.share for part in found]
    said = np.average([said for said, _ in compared], axis=0, weights=shares)
    named = first.classes_[said.argmax(axis=1)] if is_classifier(first) else said
    table = pd.DataFrame(
        {
            "target": first.classes_[first.y_] if is_classifier(first) else first.y_,
            "neighbors_say": named,
            "misfit": np.average([misfit for _, misfit in compared], axis=0, weights=shares),
            "value": values,
        }
    )
    return table.sort_values(["misfit", "value"], ascending=[False, True], kind="stable")


def _compare(found: Neighborhood, n_neighbors: int, groups: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the neighbours of each row say, as a number or as shares of votes, and how little its target fits."""
    model: Any = found.model
    labels, targets = label_rows(found, groups), model.y_
    most = len(labels) - int(np.bincount(labels).max())
    if most == 0:
        message = f"All {len(labels)} rows are equal, or of one group. To be compared, rows need others."
        raise ValueError(message)
    n_near, n_around = min(n_neighbors, most), min(max(n_neighbors, _N_AROUND), most)
    queries = take_queries(found, None, None, targets, labels)
    said = np.empty((len(targets), len(model.classes_)) if is_classifier(model) else len(targets))
    gaps, spreads = np.empty(len(targets)), np.ones(len(targets))
    for asked, indices, plays in search_players(model, queries, labels, depth=n_around):
        places = np.argsort(~plays, axis=1, kind="stable")[:, :n_around]
        around = targets[np.take_along_axis(indices, places, axis=1)]
        if is_classifier(model):
            said[asked], gaps[asked] = _count_votes(targets[asked], around, n_near, len(model.classes_))
        else:
            said[asked] = trim_mean(around[:, :n_near], _TRIMMED, axis=1)
            gaps[asked] = np.abs(targets[asked] - said[asked])
            spreads[asked] = np.abs(around - np.median(around, axis=1, keepdims=True)).mean(axis=1)
    level = float(np.median(spreads)) or float(spreads.mean()) or 1.0
    return said, gaps / ((1 - _SHARE_AROUND) * spreads + _SHARE_AROUND * level)


def _count_votes(
    codes: NDArray[np.int64], around: NDArray[np.int64], n_near: int, n_classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares of votes of each class among the nearest, and those of other classes than the row's own."""
    near, wide = (
        add_votes(part, np.full(part.shape, 1 / part.shape[1]), n_classes) for part in (around[:, :n_near], around)
    )
    own = ((1 - _SHARE_AROUND) * near + _SHARE_AROUND * wide)[np.arange(len(codes)), codes]
    return near, np.asarray(1 - own)
