"""What a learned model can be relied on for: intervals that cover what they say, and columns that keep their weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import ShuffleSplit

from energyknn.estimators.intervals import IntervalRegressor, conformal_quantile, measure_coverage
from energyknn.estimators.neighborhoods import predict_left_out
from energyknn.inspection import explain_columns, group_columns
from energyknn.schema import Schema
from energyknn.splitting import Split
from energyknn.study.comparison.bootstrap import Estimate
from energyknn.study.comparison.diagnostics import label_decades
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Prepared

__all__ = ["ColumnReport", "IntervalReport", "measure_columns", "measure_intervals", "measure_intervals_by_decade"]

NOMINAL = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
_MOST_SHUFFLED = 5000  # rows of a fold


class IntervalReport(NamedTuple):
    """How prediction intervals do on test rows.

    Attributes
    ----------
    coverage : DataFrame
        As `measure_coverage` returns it, in all and by group, of the intervals' own coverage.
    calibration : DataFrame
        The same in all, for several coverages, with the column `nominal`.
    constant_width : float
        Mean width of intervals of one width for all rows, calibrated by the same rows, in the target's unit.
    """

    coverage: pd.DataFrame
    calibration: pd.DataFrame
    constant_width: float


class ColumnReport(NamedTuple):
    """What each column of the file counts for in a model.

    Attributes
    ----------
    weights : dict of str to Estimate
        Share in the squared distance of two rows; the mean over folds, less and plus a standard deviation.
    importance : dict of str to Estimate
        What the RMSE of a fold's validation rows rises by where the column is shuffled, the same way.
    """

    weights: dict[str, Estimate]
    importance: dict[str, Estimate]


def measure_intervals(
    data: Prepared,
    model: Any,
    *,
    groups: ArrayLike | None = None,
    coverage: float = 0.9,
    bounds: tuple[float, float] | None = None,
    random_state: int = 0,
) -> IntervalReport:
    """Calibrate a model's intervals on training rows, and count what they cover of the test rows.

    Parameters
    ----------
    data : Prepared
        Rows, targets and folds.
    model : estimator
        Unfitted, with neighbours. A fifth of the training rows calibrates what the others
        learned; then all are neighbours.
    groups : array-like of shape (n_test,) or None, default=None
        A label for each test row, such as its decade.
    coverage : float, default=0.9
        Share of targets to cover.
    bounds : tuple of float or None, default=None
        Range of the target.
    random_state : int, default=0
        Chooses the rows that calibrate.

    Returns
    -------
    IntervalReport
        Of the test rows, which calibrated nothing.

    Raises
    ------
    ValueError
        If there are too few rows to calibrate by.
    """
    fitted = IntervalRegressor(
        model, method="split", coverage=coverage, refill=True, bounds=bounds, random_state=random_state
    ).fit(data.X_train, data.y_train)
    own, *several = fitted.predict_intervals(data.X_test, (coverage, *NOMINAL))
    counted = measure_coverage(data.y_test, own, groups=groups)
    points = [
        measure_coverage(data.y_test, intervals).assign(nominal=share)
        for share, intervals in zip(NOMINAL, several, strict=True)
    ]
    return IntervalReport(counted, pd.concat(points, ignore_index=True), _measure_constant_width(fitted, data))


def measure_intervals_by_decade(
    table: pd.DataFrame, data: Prepared, model: Any, *, schema: Schema = SPOTIFY, coverage: float = 0.9
) -> IntervalReport:
    """Count what intervals cover by decade, where there are years, within the target's range, where it has one.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        The raw rows that `data` was made of.
    data, model, coverage
        As in `measure_intervals`.
    schema : Schema, default=SPOTIFY
        What the columns are.

    Returns
    -------
    IntervalReport
        As `measure_intervals` returns it.

    Raises
    ------
    ValueError
        If there are too few rows to calibrate by.
    """
    target, decades = schema[schema.target], None
    bounds = None if target.minimum is None or target.maximum is None else (target.minimum, target.maximum)
    if schema.years:
        decades = np.asarray(label_decades(table[schema.years[0]].to_numpy()[data.X_test.index]), dtype=str)
    return measure_intervals(data, model, groups=decades, coverage=coverage, bounds=bounds)


def _measure_constant_width(fitted: IntervalRegressor, data: Prepared) -> float:
    """Calibrate one width for all rows, by the rows that calibrated the intervals, and clip it to the same bounds."""
    splitter = ShuffleSplit(n_splits=1, test_size=fitted.calibration_size, random_state=fitted.random_state)
    _, held = next(splitter.split(data.y_train))
    errors = np.abs(data.y_train[held] - predict_left_out(fitted.estimator_, held))
    reach, predicted = conformal_quantile(errors, fitted.coverage), fitted.predict(data.X_test)
    low, high = (-np.inf, np.inf) if fitted.bounds is None else fitted.bounds
    return float((np.clip(predicted + reach, low, high) - np.clip(predicted - reach, low, high)).mean())


def measure_columns(
    data: Prepared, model: Any, *, schema: Schema = SPOTIFY, n_repeats: int = 3, random_state: int = 0
) -> ColumnReport:
    """Fit a model to each fold's training rows, and say what each column counts for.

    Parameters
    ----------
    data : Prepared
        Rows, targets and folds; test rows are not used.
    model : estimator
        Unfitted, with neighbours.
    schema : Schema, default=SPOTIFY
        Tells which columns of the matrix are one column of the file.
    n_repeats : int, default=3
        How often each column is shuffled.
    random_state : int, default=0
        Seed of the shuffling.

    Returns
    -------
    ColumnReport
        By column of the file. At most 5,000 rows of a fold are shuffled.
    """
    folds = [Split(fold.train, fold.test[:_MOST_SHUFFLED]) for fold in data.folds]
    columns = group_columns(list(data.X_train.columns), schema)
    found = explain_columns(
        model,
        data.X_train,
        data.y_train,
        folds=folds,
        columns=columns,
        n_repeats=n_repeats,
        random_state=random_state,
    )
    return ColumnReport(_spread(found, "share"), _spread(found, "importance"))


def _spread(found: pd.DataFrame, name: str) -> dict[str, Estimate]:
    rows: Sequence[Any] = list(zip(found.index, found[name], found[f"{name}_std"], strict=True))
    return {column: Estimate(float(mean), float(mean - sd), float(mean + sd)) for column, mean, sd in rows}
