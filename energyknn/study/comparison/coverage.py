"""How often prediction intervals cover the targets of test rows, and how wide they are."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.model_selection import ShuffleSplit

from energyknn._shared.showing import in_one_line
from energyknn.estimators.intervals import IntervalRegressor, conformal_quantile, measure_coverage
from energyknn.estimators.neighborhoods import predict_left_out
from energyknn.schema import Schema
from energyknn.study.comparison.diagnostics import label_decades
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Prepared

NOMINAL = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@in_one_line
class IntervalReport(NamedTuple):
    """Coverage and width of prediction intervals on test rows.

    Attributes
    ----------
    coverage : DataFrame
        What `measure_coverage` returns at the asked coverage: a line for all rows, and one for each group.
    calibration : DataFrame
        A line for all rows at each of several nominal coverages, which stand in the column `nominal`.
    constant_width : float
        Mean width, in the target's unit, of intervals that are equally wide for all rows. The same rows calibrate them.
    """

    coverage: pd.DataFrame
    calibration: pd.DataFrame
    constant_width: float


def measure_intervals(
    data: Prepared,
    model: Any,
    *,
    groups: ArrayLike | None = None,
    coverage: float = 0.9,
    bounds: tuple[float, float] | None = None,
) -> IntervalReport:
    """Calibrate the intervals of a model on training rows, and measure how many targets of test rows they cover.

    Parameters
    ----------
    data : Prepared
        Training and test rows.
    model : estimator
        An unfitted model that predicts from neighbours. It is fitted to four fifths of the training rows and calibrated
        on the other fifth. Then all of them serve as neighbours.
    groups : array-like of shape (n_test,) or None, default=None
        A label for each test row, such as its decade.
    coverage : float, default=0.9
        Share of the targets that the intervals should cover.
    bounds : tuple of float or None, default=None
        Range of the target, which the intervals are clipped to.

    Returns
    -------
    IntervalReport
        Coverage and widths.

    Raises
    ------
    ValueError
        If there are too few rows to calibrate the intervals.
    """
    split: dict[str, Any] = {"method": "split", "refill": True, "random_state": 0}
    with warnings.catch_warnings():  # test rows repeat training rows as often as these repeat one another
        warnings.filterwarnings("ignore", message=".* rows equal others", category=UserWarning)
        fitted = IntervalRegressor(model, coverage=coverage, bounds=bounds, **split).fit(data.X_train, data.y_train)
    own, *several = fitted.predict_interval(data.X_test, coverage=(coverage, *NOMINAL))
    counted = measure_coverage(data.y_test, own, groups=groups)
    points = [
        measure_coverage(data.y_test, intervals).assign(nominal=share)
        for share, intervals in zip(NOMINAL, several, strict=True)
    ]
    return IntervalReport(counted, pd.concat(points, ignore_index=True), _measure_constant_width(fitted, data))


def measure_intervals_by_decade(
    table: pd.DataFrame, data: Prepared, model: Any, *, schema: Schema = SPOTIFY, coverage: float = 0.9
) -> IntervalReport:
    """Measure coverage by decade where the table has years, with intervals inside the target's range where it has one.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        The table that `data` was prepared from.
    data : Prepared
        Training and test rows.
    model : estimator
        An unfitted model that predicts from neighbours.
    schema : Schema, default=SPOTIFY
        The role of each column.
    coverage : float, default=0.9
        Share of the targets that the intervals should cover.

    Returns
    -------
    IntervalReport
        Coverage and widths.

    See Also
    --------
    measure_intervals : The same for any groups of rows.

    Raises
    ------
    ValueError
        If there are too few rows to calibrate the intervals.
    """
    target, decades = schema[schema.target], None
    bounds = None if target.minimum is None or target.maximum is None else (target.minimum, target.maximum)
    if schema.years:
        decades = np.asarray(label_decades(table[schema.years[0]].to_numpy()[data.X_test.index]), dtype=str)
    return measure_intervals(data, model, groups=decades, coverage=coverage, bounds=bounds)


def _measure_constant_width(fitted: IntervalRegressor, data: Prepared) -> float:
    """Return the mean width of equally wide intervals, calibrated on the same rows and clipped to the same bounds."""
    splitter = ShuffleSplit(n_splits=1, test_size=fitted.calibration_size, random_state=fitted.random_state)
    _, held = next(splitter.split(data.y_train))
    errors = np.abs(data.y_train[held] - predict_left_out(fitted.estimator_, held))
    reach, predicted = conformal_quantile(errors, fitted.coverage), fitted.predict(data.X_test)
    low, high = (-np.inf, np.inf) if fitted.bounds is None else fitted.bounds
    return float((np.clip(predicted + reach, low, high) - np.clip(predicted - reach, low, high)).mean())
