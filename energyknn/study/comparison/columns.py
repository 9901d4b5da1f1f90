"""How much each column of the file counts in a model."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd

from energyknn._shared.showing import in_one_line
from energyknn.inspection import explain_columns, group_columns
from energyknn.schema import Schema
from energyknn.splitting import Split
from energyknn.study.comparison.bootstrap import Estimate
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Prepared

MOST_SHUFFLED = 5000
"""Validation rows of a fold whose columns are shuffled, at most."""


@in_one_line
class ColumnReport(NamedTuple):
    """How much each column of the file counts in a model: means over the folds, less and plus a standard deviation.

    Attributes
    ----------
    weights : dict of str to Estimate
        Share of the column in the squared distance of two rows.
    importance : dict of str to Estimate
        How much the RMSE of validation rows rises when the column is shuffled, in the target's unit.
    """

    weights: dict[str, Estimate]
    importance: dict[str, Estimate]


def measure_columns(
    data: Prepared,
    model: Any,
    *,
    schema: Schema = SPOTIFY,
    n_repeats: int = 3,
    n_folds: int | None = None,
    most_shuffled: int = MOST_SHUFFLED,
) -> ColumnReport:
    """Fit a model to the training rows of each fold, and measure how much each column counts.

    Parameters
    ----------
    data : Prepared
        Training rows and their folds. Test rows are not used.
    model : estimator
        An unfitted model that predicts from neighbours.
    schema : Schema, default=SPOTIFY
        The role of each column of the file. The indicators of a category count together.
    n_repeats : int, default=3
        How often each column is shuffled.
    n_folds : int or None, default=None
        Folds to measure on, from the first on; at least 2. None takes all.
    most_shuffled : int, default=5000
        Validation rows of a fold that are shuffled, at most.

    Returns
    -------
    ColumnReport
        By column of the file.
    """
    folds = [Split(fold.train, fold.test[:most_shuffled]) for fold in data.folds[:n_folds]]
    columns = group_columns(list(data.X_train.columns), schema)
    found = explain_columns(model, data.X_train, data.y_train, folds=folds, columns=columns, n_repeats=n_repeats)
    return ColumnReport(_spread(found, "share"), _spread(found, "importance"))


def _spread(found: pd.DataFrame, name: str) -> dict[str, Estimate]:
    """Return the mean of each column, less and plus a standard deviation."""
    mean, sd = found[name], found[f"{name}_std"]
    rows = zip(found.index, mean, mean - sd, mean + sd, strict=True)
    return {str(column): Estimate(*ends) for column, *ends in rows}
