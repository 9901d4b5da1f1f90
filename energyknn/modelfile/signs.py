"""Signs that rows to predict are unlike the training rows: another unit, values far outside, means that drifted."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn.scaling import Scale

_DRIFT = 0.5  # standard deviations that a mean may differ from that of the training rows
_DRIFT_ERRORS = 4.0  # standard errors that it must differ by, so that a few rows do not drift by chance


def list_signs(
    rows: pd.DataFrame, trained: NDArray[np.float64], scale: Scale, *, years: Collection[str], reference_year: int
) -> Iterator[str]:
    """Yield a sentence for each sign, which names all columns that show it.

    A column is in another unit if half of its values or more lie outside of the training rows. A row lies far outside
    if it has a value that lies outside by more than the whole range. A column has drifted if its mean lies more than
    half a standard deviation, and more than four standard errors, away from that of the training rows. A column in
    another unit shows that sign alone, and values far outside do not count towards a mean.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_numbers)
        Numbers of the rows to predict, scaled.
    trained : ndarray of shape (n_train, n_numbers)
        Those of the training rows.
    scale : Scale
        Mean and standard deviation of each.
    years : collection of str
        Columns that hold ages, and years in the file.
    reference_year : int
        The year in which an age is 0.
    """
    if not len(scale.columns):
        return
    values, low, high = rows.to_numpy(), trained.min(axis=0), trained.max(axis=0)
    spread, slack = high - low, 1e-9 * np.maximum(np.abs(low), np.abs(high))  # rounding
    outside = ((values < low - slack) | (values > high + slack)).sum(axis=0)
    elsewhere = 2 * outside >= len(values)
    far = ((values < low - spread - slack) | (values > high + spread + slack)) & ~elsewhere
    shifts = np.nanmean(np.where(far, np.nan, values), axis=0)
    drifted = (np.abs(shifts) > max(_DRIFT, _DRIFT_ERRORS / np.sqrt(len(values)))) & (spread > 0) & ~elsewhere
    names = [repr(name) for name in scale.columns]
    ages = np.isin(scale.columns, list(years))
    ends = np.array([low, high]) * scale.sd + scale.mean
    first, last = np.where(ages, reference_year - ends[::-1], ends)
    ranges = [f"trained on {bottom:.8g} to {top:.8g}" for bottom, top in zip(first, last, strict=True)]
    if elsewhere.any():
        named = (
            f"{names[at]} in {outside[at]} of {len(values)} rows ({ranges[at]})" for at in np.flatnonzero(elsewhere)
        )
        yield (
            f"Most values lie outside of the training rows: {', '.join(named)}. Give them in the unit that the model "
            "was fitted on."
        )
    if far.any():
        named = (f"{names[at]} in {far[:, at].sum()} ({ranges[at]})" for at in np.flatnonzero(far.any(axis=0)))
        n_far = int(far.any(axis=1).sum())
        yield (
            f"{n_far} of {len(values)} rows {'lies' if n_far == 1 else 'lie'} outside of the training rows by more "
            f"than their whole range: {', '.join(named)}. No training row is like them: check these values."
        )
    if drifted.any():
        named = (f"{names[at]} by {-shifts[at] if ages[at] else shifts[at]:+.2g}" for at in np.flatnonzero(drifted))
        yield (
            f"Means differ from those of the training rows, in standard deviations: {', '.join(named)}. Unless the "
            "rows were chosen so, fit the model on rows like them."
        )
