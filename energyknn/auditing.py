"""Audit a raw table: the rows whose targets do not fit come first, and a test of how well that finds wrong ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from energyknn._shared.showing import in_one_line
from energyknn.errors import ParameterError
from energyknn.estimators import IntervalRegressor
from energyknn.inspection import audit_rows
from energyknn.neighbors_model import NeighborsModel, as_table, drop_gaps

__all__ = ["Audit", "audit_table"]


@in_one_line
class Audit(NamedTuple):
    """The rows of a table, the worst first, and how many rows that were spoilt on purpose are found so.

    Attributes
    ----------
    rows : DataFrame of shape (n_rows, n_texts + 5)
        `row` is the number of a row in the table, from 0 (`row_number`, if a text column is called row). The text
        columns and the target follow. Then come `neighbors_`, `misfit_` and `value_` with the target's name: what the
        neighbours say, how little the target fits, and what the row is worth, see
        `energyknn.inspection.audit_rows`.
    spoilt_ranks : ndarray of shape (n_spoilt,)
        At which places, from 0, the rows that got another target on purpose stood when the table was audited with them.
        Ascending; empty without a test.
    model : NeighborsModel
        The model of the table as it is.
    """

    rows: pd.DataFrame
    spoilt_ranks: NDArray[np.int64]
    model: NeighborsModel

    @property
    def n_spoilt(self) -> int:
        """Number of rows that got another target on purpose."""
        return len(self.spoilt_ranks)

    @property
    def n_found(self) -> int:
        """How many of these were among the first `n_spoilt` rows."""
        return int((self.spoilt_ranks < self.n_spoilt).sum())

    @property
    def chance(self) -> float:
        """Share of them that a list in random order would find."""
        return self.n_spoilt / len(self.rows)


def audit_table(X: Any, model: NeighborsModel, *, spoil: float = 0.05, random_state: int = 0) -> Audit:
    """Find the rows of a raw table whose targets do not fit, and measure how well that finds wrong targets.

    Parameters
    ----------
    X : DataFrame of shape (n_rows, n_columns) or path
        A raw table with its target, or the file that holds it.
    model : NeighborsModel
        An unfitted model, such as ``NeighborsModel("price", effort="quick")``. It is cloned.
    spoil : float, default=0.05
        Share of the rows that swap targets for the test. With 0 there is no test. The test takes one more fit.
    random_state : int, default=0
        Seed that chooses these rows.

    Returns
    -------
    Audit
        `rows`, `spoilt_ranks` and `model`, with `n_spoilt`, `n_found` and `chance`.

    Raises
    ------
    DataFileError
        If the table cannot be used, as `NeighborsModel.fit` says.
    ValueError
        If `spoil` is not from 0 to 0.5.
    TypeError
        If the model's estimator has no neighbours.

    See Also
    --------
    energyknn.inspection.audit_rows : The same for a fitted model, without the test.

    Notes
    -----
    A swapped target may be near the right one, or of the same class. Rows whose class stays the same are not counted.
    Numbers are, so even a perfect audit does not find them all. Targets that were wrong before are in the list as
    well, and lower the share that is found.

    Examples
    --------
    >>> homes = pd.DataFrame({"area": np.arange(200.0), "price": 3 * np.arange(200.0)})
    >>> homes.loc[120, "price"] = 9.0
    >>> found = audit_table(homes, NeighborsModel("price", effort="quick"))
    >>> int(found.rows["row"].iloc[0])
    120
    """
    if not 0 <= spoil <= 0.5:
        message = f"spoil is {spoil!r}. It must be from 0 to 0.5, such as 0.05."
        raise ParameterError(message)
    table = as_table(X).reset_index(drop=True)
    fitted, rows = _audit(table, model)
    schema = fitted.model_.schema
    kept = drop_gaps(table, schema) if model.missing == "drop" else table
    places = rows.index.to_numpy()
    named = fitted.model_.name_rows(places)
    numbers = pd.DataFrame({"row_number" if "row" in named else "row": kept.index.to_numpy()[places]})
    rows.columns = [schema.target, *(f"{word}_{schema.target}" for word in ("neighbors", "misfit", "value"))]
    listed = pd.concat([part.reset_index(drop=True) for part in (numbers, named, rows) if part.shape[1]], axis=1)
    spoilt, swapped = _swap_targets(kept, schema.target, spoil, random_state)
    order = _audit(swapped, model)[1].index if len(spoilt) else np.empty(0, dtype=np.int64)
    return Audit(listed, np.flatnonzero(np.isin(order, spoilt)), fitted)


def _audit(table: pd.DataFrame, model: NeighborsModel) -> tuple[NeighborsModel, pd.DataFrame]:
    """Fit a model to a table, and audit its training rows."""
    fitted = clone(model).set_params(intervals=False).fit(table)
    estimator = fitted.model_.estimator
    return fitted, audit_rows(estimator.estimator_ if isinstance(estimator, IntervalRegressor) else estimator)


def _swap_targets(
    table: pd.DataFrame, target: str, share: float, random_state: int
) -> tuple[NDArray[np.int64], pd.DataFrame]:
    """Let some rows swap their targets; return the places of those that got another one, and the table."""
    n_swapped = round(share * len(table))
    rows = np.random.default_rng(random_state).choice(len(table), n_swapped, replace=False)
    targets = table[target].copy()
    targets.iloc[rows] = table[target].iloc[np.roll(rows, 1)].array
    is_other = np.asarray(targets.iloc[rows].array != table[target].iloc[rows].array, dtype=bool)
    return rows[is_other], table.assign(**{target: targets})
