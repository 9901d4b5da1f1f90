"""A model of a raw table, from one call: roles guessed, cells filled, the distance tuned or learned, intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, StratifiedKFold, cross_val_predict
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from energyknn._shared.checks import check_choice
from energyknn.encoding import MISMATCH_COST, name_features
from energyknn.errors import DataFileError, ParameterError, suggest_name
from energyknn.estimators import (
    IntervalRegressor,
    KNNClassifier,
    KNNRegressor,
    MetricMap,
    SoftVoteClassifier,
    from_grid_search,
    make_learned_classifier,
    make_learned_regressor,
)
from energyknn.estimators.intervals import Intervals, conformal_quantile, label_repeats
from energyknn.estimators.neighborhoods import predict_left_out
from energyknn.fitting import fit_in_groups
from energyknn.inspection.rows import Explanation
from energyknn.loading import hash_file, read_file
from energyknn.modelfile.model import Model, fit_model, load_model, save_model, tabulate_predictions
from energyknn.neighbors.weighting import Weights
from energyknn.roles import guess_schema
from energyknn.scaling import ScalerName
from energyknn.schema import TARGETS, Schema
from energyknn.splitting import Split
from energyknn.tuning import Candidate, score_candidates

__all__ = ["NeighborsModel", "Quality"]

Effort = Literal["quick", "normal", "best"]
EFFORTS: tuple[Effort, ...] = get_args(Effort)
Gaps = Literal["refuse", "median", "drop"]
GAPS: tuple[Gaps, ...] = get_args(Gaps)

_LEARNING: Mapping[str, dict[str, int]] = {
    "normal": {"n_maps": 1, "n_rounds": 15},
    "best": {"n_maps": 4, "n_rounds": 60},
}
FEWEST_TO_LEARN = 200
"""Rows. A map that is learned from fewer is no better than tuned neighbours."""

_FEW_ROWS = 5000  # of which several maps take seconds
_N_FOLDS = 5
_MOST_NEIGHBORS = 100
_VOTERS = (*range(1, 11), 12, 15, 18, 22, 27, 33, 40, 50, 60, 75, 100)  # each setting of a vote is scored by itself
_ROLES = ("numbers", "categories", "years", "texts", "ignore")
_WEIGHTS: tuple[Weights, ...] = ("uniform", "distance")
_POWERS = (1, 2)


class Quality(NamedTuple):
    """How well a model predicts rows that it was not shown.

    Attributes
    ----------
    n_rows : int
        Number of these rows. A learned distance is measured on the rows that it was not learned from; for classes, one
        more is learned from four fifths of the rows, and measured on the rest. Other models are measured on all rows,
        each predicted without itself, or without its fold where rows repeat others.
    r2, rmse : float or None
        R², and root mean squared error in the target's unit. None where the target is a class.
    coverage : float or None
        Share of their targets that lie in their intervals, where each half of the rows calibrates the other. None where
        there are no intervals, or too few rows.
    mean_width : float or None
        Mean width of their intervals, in the target's unit.
    accuracy : float or None
        Share of classes that are right. None where the target is a number.
    seconds : float
        How long the fit took.
    unit : str
        Unit of the target, where it is known.
    """

    n_rows: int
    r2: float | None = None
    rmse: float | None = None
    coverage: float | None = None
    mean_width: float | None = None
    accuracy: float | None = None
    seconds: float = math.nan
    unit: str = ""

    def describe(self, unit: str | None = None) -> str:
        """Say it in a sentence for people.

        Parameters
        ----------
        unit : str or None, default=None
            Unit of the target. None takes the one that is known.

        Returns
        -------
        str
            One line.

        Examples
        --------
        >>> Quality(400, r2=0.83, rmse=52016.2, coverage=0.904, mean_width=171000.0, seconds=5.6).describe("EUR")
        'R² 0.830 and RMSE 52,016 EUR on 400 rows left out; intervals cover 90.4 % of them and are 171,000 EUR wide'
        >>> Quality(150, accuracy=0.9667).describe()
        '96.7 % of the classes are right on 150 rows left out'
        """
        unit = self.unit if unit is None else unit
        after = f" {unit}" if unit else ""
        if self.accuracy is not None:
            return (
                f"{self.accuracy:.1%} of the classes are right".replace("%", " %")
                + f" on {self.n_rows:,} rows left out"
            )
        if self.r2 is None or self.rmse is None:
            return "not measured"
        text = f"R² {self.r2:.3f} and RMSE {_show_amount(self.rmse)}{after} on {self.n_rows:,} rows left out"
        if self.coverage is None or self.mean_width is None:
            return text
        width = f"{_show_amount(self.mean_width)}{after}"
        return f"{text}; intervals cover {100 * self.coverage:.1f} % of them and are {width} wide"

    def __repr__(self) -> str:
        held = {name: value for name, value in self._asdict().items() if value is not None and name != "unit"}
        figures = [f"{name}={value:.4g}" for name, value in held.items()]
        return f"Quality({', '.join(figures + [f'unit={self.unit!r}'] * bool(self.unit))})"


def _show_amount(amount: float) -> str:
    """Return an amount to five digits, with commas between thousands."""
    return f"{amount:,.0f}" if amount >= 10_000 else f"{amount:.5g}"


@dataclass(eq=False, repr=False)
class NeighborsModel(BaseEstimator):
    """Predict a column of a raw table from its other columns, by the rows that are most alike.

    Parameters
    ----------
    target : str or None, default=None
        The column to predict. None takes the name of the `y` that `fit` gets.
    effort : {"quick", "normal", "best"}, default="normal"
        How much to try. "quick" tunes plain neighbours in seconds: every number of neighbours up to 100 (for classes,
        21 of them), two weightings and two distances are cross-validated. "normal" learns a distance by one map, and
        "best" by four, with more rounds, in minutes. Classes of fewer than 5,000 rows get four maps by "normal" too.
        Tables of fewer than 200 rows always get tuned neighbours.
    missing : {"refuse", "median", "drop"}, default="refuse"
        What to do about missing cells. "median" fills numbers and years with the median of the training rows, and takes
        a missing level of a category for none of the levels; rows to predict are filled alike. "drop" leaves out
        training rows with a missing cell. "refuse" says where they are.
    numbers, categories, years, texts : sequence of str or str, default=()
        Columns whose role is known. The roles of all others are guessed.
    ignore : sequence of str or str, default=()
        Columns to leave out.
    classifies : bool or None, default=None
        Whether the target is a class. None guesses it.
    unit : str, default=""
        Unit of the target, such as "EUR". `quality_` says its errors and widths in it, and a model file keeps it.
    schema : Schema or None, default=None
        All roles, with units, ranges and levels. Nothing is guessed then.
    estimator : estimator or None, default=None
        An unfitted model to use instead of what `effort` says. It gets encoded rows of about unit variance.
    coverage : float, default=0.9
        Share of new targets that intervals should cover.
    intervals : bool, default=True
        Whether to calibrate intervals, if the target is a number and there are enough rows.
    bounds : tuple of float or None, default=None
        Smallest and largest possible target. Predictions and intervals are cut off there. None takes those of `schema`.
    mismatch_cost : float, default=8
        What two different levels of a category add to a squared distance, where 2 is the mean of a number.
    scaler : {"standard", "robust", "minmax"}, default="standard"
        What scales the numbers, see `energyknn.scaling.fit_scale`.
    latest_year : int or None, default=None
        Last calendar year that a year column may hold. None sets no limit.
    random_state : int, default=0
        Seed of the folds, of the learned distance, and of the rows that calibrate intervals.
    verbose : int, default=0
        1 shows a progress bar with the remaining time on stderr.

    Attributes
    ----------
    model_ : Model
        The fitted model of the raw rows.
    roles_ : DataFrame
        The columns of the table: `role`, and `why` it was guessed.
    quality_ : Quality
        How well the model predicts rows that it was not shown. Absent in a model that was read from a file.
    method_ : str
        What was fitted, such as "the mean of 7 neighbours".
    n_dropped_ : int
        Number of rows that were left out for missing cells.
    classes_ : ndarray of shape (n_classes,)
        The classes. Only there if the target is one.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns that predict.

    See Also
    --------
    energyknn.roles.guess_schema : How roles are guessed.
    fit_model : The same with a schema and an estimator of one's own.
    KNNRegressor : Neighbours of rows that are numbers.

    Examples
    --------
    >>> from energyknn import NeighborsModel
    >>> homes = pd.DataFrame({"area": [50.0, 70.0, 90.0, 65.0] * 25, "town": ["Ulm", "Bonn"] * 50})
    >>> homes["price"] = 3 * homes["area"] + 40 * (homes["town"] == "Bonn") + np.arange(100) % 7
    >>> model = NeighborsModel("price", effort="quick").fit(homes)
    >>> model.roles_["role"].to_dict()
    {'area': 'number', 'town': 'category', 'price': 'target'}
    >>> lower, upper = model.predict_interval(homes.head(1))
    >>> bool(lower[0] < model.predict(homes.head(1))[0] < upper[0])
    True
    """

    target: str | None = None
    _: KW_ONLY
    effort: Effort = "normal"
    missing: Gaps = "refuse"
    numbers: Sequence[str] = ()
    categories: Sequence[str] = ()
    years: Sequence[str] = ()
    texts: Sequence[str] = ()
    ignore: Sequence[str] = ()
    classifies: bool | None = None
    unit: str = ""
    schema: Schema | None = None
    estimator: Any = None
    coverage: float = 0.9
    intervals: bool = True
    bounds: tuple[float, float] | None = None
    mismatch_cost: float = MISMATCH_COST
    scaler: ScalerName = "standard"
    latest_year: int | None = None
    random_state: int = 0
    verbose: int = 0

    def fit(
        self,
        X: Any,
        y: ArrayLike | None = None,
        *,
        groups: ArrayLike | str | None = None,
        source: str | None = None,
        source_sha256: str | None = None,
    ) -> Self:
        """Guess the roles of the columns, fit the model, and measure it.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            A raw table, or the file that holds it, with the target inside or beside it.
        y : array-like of shape (n_rows,) or None, default=None
            The targets. None takes the column `target` of `X`.
        groups : array-like of shape (n_rows,), str or None, default=None
            Group of each row, such as the patient that it was measured on, or the column of `X` that holds it, which
            then predicts nothing. Rows of one group stay on one side wherever the model is tuned, learned, calibrated
            or measured. So its quality is that for new groups.
        source, source_sha256 : str or None, default=None
            Name and checksum of the file that the rows came from, which a saved model keeps. Of a path they are known.

        Returns
        -------
        NeighborsModel
            The model itself.

        Raises
        ------
        DataFileError
            If a column is not there, the target cannot be predicted, a cell is missing or breaks a rule.
        ValueError
            If a parameter is out of its range, or there are too few rows or groups.

        Warns
        -----
        UserWarning
            If a column tells the target.
        """
        check_choice(self.effort, EFFORTS, name="effort")
        check_choice(self.missing, GAPS, name="missing")
        if not 0 < self.coverage < 1:
            message = f"coverage is {self.coverage!r}. It must be between 0 and 1, such as 0.9."
            raise ParameterError(message)
        start = time.perf_counter()
        table, target = self._join(X, y)
        if isinstance(X, str | Path):
            source, source_sha256 = Path(X).name, hash_file(X)
        schema, roles = self._find_roles(table, target, groups)
        is_whole = _find_whole(table, schema) if self.missing == "drop" else np.ones(len(table), dtype=bool)
        kept, labels = table if is_whole.all() else table[is_whole], _label_groups(table, groups)
        labels = None if labels is None else pd.factorize(labels[is_whole])[0]
        fitted = fit_model(
            *(kept, schema, self._choose_fit(schema, len(kept), labels)),
            mismatch_cost=self.mismatch_cost,
            scaler=self.scaler,
            latest_year=self.latest_year,
            missing="median" if self.missing == "median" else "refuse",
            source=source,
            source_sha256=source_sha256,
        )
        self.roles_, self.n_dropped_ = roles, len(table) - len(kept)
        self._keep(fitted)
        found = _measure(fitted, labels, seconds=time.perf_counter() - start)
        self.quality_ = found._replace(unit=schema[schema.target].unit)
        return self

    def _join(self, X: Any, y: ArrayLike | None) -> tuple[pd.DataFrame, str]:
        """Return one table with its target, and the target's name."""
        table = as_table(X)
        given = self.target if self.schema is None else self.schema.target
        if y is None:
            if given is None:
                message = 'There is no target. Name its column: NeighborsModel(target="price"), or give y.'
                raise ParameterError(message)
            return table, given
        name = given or getattr(y, "name", None) or "target"
        if name in table:
            message = f"X holds the target {name!r}, and y is given too. Give one of both."
            raise ParameterError(message)
        if np.ndim(y) > 1:
            message = f"y has shape {np.shape(y)}. A model predicts one target: fit one model for each."
            raise ParameterError(message)
        values = pd.Series(y).array  # with its type, such as a category's
        if len(values) != len(table):
            message = f"X has {len(table)} rows and y has {len(values)}. Each row needs a target."
            raise ParameterError(message)
        return table.assign(**{name: values}), name

    def _find_roles(self, table: pd.DataFrame, target: str, groups: Any) -> tuple[Schema, pd.DataFrame]:
        """Return the schema, and a table of the columns' roles with the reasons."""
        if self.schema is not None:
            schema = self.schema
            if self.unit:
                columns = [
                    replace(found, unit=self.unit) if found.role in TARGETS else found for found in schema.columns
                ]
                schema = Schema(tuple(columns))
            return schema, _list_roles(schema)
        named = {role: _list_names(getattr(self, role)) for role in _ROLES}
        if isinstance(groups, str) and not any(groups in names for names in named.values()):
            named["ignore"].append(groups)
        guessed = guess_schema(table, target, classifies=self.classifies, unit=self.unit, **named)
        return guessed.schema, guessed.to_frame()

    def _choose_fit(
        self, schema: Schema, n_rows: int, groups: NDArray[np.int64] | None
    ) -> Callable[[pd.DataFrame, NDArray[Any]], Any]:
        """Return the function that fits encoded rows."""
        learns = self.estimator is None and self.effort != "quick" and n_rows >= FEWEST_TO_LEARN

        def fit(X: pd.DataFrame, y: NDArray[Any]) -> Any:
            if self.estimator is not None:
                chosen = clone(self.estimator)
                if isinstance(chosen, BaseSearchCV):
                    told = {} if groups is None else {"groups": groups}
                    chosen = clone(chosen.fit(X, y, **told).best_estimator_)
            elif learns:
                numbers = [name for name in X.columns if name in schema.numbers]
                indicators = [name for name in X.columns if name not in schema.numbers]
                options: dict[str, Any] = {**_LEARNING[self.effort], "random_state": self.random_state}
                if schema.classifies and n_rows < _FEW_ROWS:
                    options["n_maps"] = _LEARNING["best"]["n_maps"]
                make = make_learned_classifier if schema.classifies else make_learned_regressor
                chosen = make(numbers, indicators, verbose=self.verbose, **options)
            else:
                chosen = _tune(X, y, schema.classifies, groups, random_state=self.random_state)
            chosen = self._add_intervals(chosen, schema, len(X), learns=learns)
            if groups is None or not isinstance(chosen, IntervalRegressor):
                return fit_in_groups(chosen, X, y, groups)
            n_groups = len(np.unique(groups))
            cv = min(chosen.cv, n_groups) if isinstance(chosen.cv, int) else chosen.cv
            return chosen.set_params(cv=cv).fit(X, y, groups=groups)

        return fit

    def _add_intervals(self, chosen: Any, schema: Schema, n_rows: int, *, learns: bool) -> Any:
        """Wrap a regressor in intervals if there are enough rows to calibrate them."""
        share = 0.2 if learns else 1.0  # of the rows calibrates
        needed = self.coverage / (1 - self.coverage)
        have_none = schema.classifies or not self.intervals or n_rows * share < needed
        if have_none or isinstance(chosen, IntervalRegressor):
            return chosen
        bounds = self.bounds or _find_bounds(schema)
        return IntervalRegressor(chosen, coverage=self.coverage, bounds=bounds, random_state=self.random_state)

    def _keep(self, model: Model) -> None:
        """Keep a fitted model, and what it says about itself."""
        self.model_, schema = model, model.schema
        self.method_ = _describe_method(model.estimator)
        self.feature_names_in_ = np.array([*schema.numbers, *schema.categories], dtype=object)
        if schema.classifies:
            self.classes_ = model.estimator.classes_

    def predict(self, X: Any) -> NDArray[Any]:
        """Predict the target of raw rows.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            Raw rows with the columns that predict.

        Returns
        -------
        ndarray of shape (n_rows,)
            Predictions as float64, in the target's unit; labels where the target is a class.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        """
        check_is_fitted(self)
        return self.model_.predict(as_table(X), latest_year=self.latest_year)

    def predict_interval(self, X: Any, *, coverage: float | None = None) -> Intervals:
        """Give each raw row an interval for its target.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            Raw rows with the columns that predict.
        coverage : float or None, default=None
            Share of targets to cover. None takes the model's own.

        Returns
        -------
        Intervals
            `lower` and `upper` (n_rows,), float64, in the target's unit.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the target is a class, or there were too few rows for intervals.
        """
        check_is_fitted(self)
        return self.model_.predict_interval(as_table(X), coverage=coverage, latest_year=self.latest_year)

    def predict_quantiles(self, X: Any, quantiles: ArrayLike) -> NDArray[np.float64]:
        """Give quantiles of each raw row's target.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            Raw rows with the columns that predict.
        quantiles : array-like of shape (n_quantiles,)
            Shares of targets that lie below, each between 0 and 1.

        Returns
        -------
        ndarray of shape (n_rows, n_quantiles), float64
            In the target's unit, see `IntervalRegressor.predict_quantiles`.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the target is a class, or there were too few rows for intervals.
        ValueError
            If a quantile is not between 0 and 1.
        """
        check_is_fitted(self)
        return self.model_.predict_quantiles(as_table(X), quantiles, latest_year=self.latest_year)

    def predict_cdf(self, X: Any, y: ArrayLike) -> NDArray[np.float64]:
        """Give the probability that each raw row's target is at most some value.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            Raw rows with the columns that predict.
        y : float or array-like of shape (n_rows,) or (n_rows, n_values)
            Values, in the target's unit. An array of shape (1, n_values) holds several for all.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_values), float64
            Probabilities, see `IntervalRegressor.predict_cdf`.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the target is a class, or there were too few rows for intervals.
        ValueError
            If `y` has another number of rows.
        """
        check_is_fitted(self)
        return self.model_.predict_cdf(as_table(X), y, latest_year=self.latest_year)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Give each raw row the probability of each class.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            Raw rows with the columns that predict.

        Returns
        -------
        ndarray of shape (n_rows, n_classes), float64
            In the order of `classes_`.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the target is a number.
        """
        check_is_fitted(self)
        if not self.model_.schema.classifies:
            message = f"{self.model_.schema.target!r} is a number, and has no classes. Use predict_interval."
            raise TypeError(message)
        encoded = self.model_.encode(self.model_.check(as_table(X), latest_year=self.latest_year))
        return np.asarray(self.model_.estimator.predict_proba(encoded), dtype=np.float64)

    def tabulate(
        self,
        X: Any,
        *,
        coverage: float | None = None,
        quantiles: Sequence[float] = (),
        at_most: Sequence[float] = (),
    ) -> pd.DataFrame:
        """Predict raw rows, and lay the predictions out beside the rows' text columns.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            Raw rows with the columns that predict.
        coverage : float or None, default=None
            Share of targets that intervals cover. None takes the model's own.
        quantiles : sequence of float, default=()
            Shares of targets, each between 0 and 1. Each gets a column of the value that they lie below.
        at_most : sequence of float, default=()
            Values, in the target's unit. Each gets a column of the probability that the target is at most that.

        Returns
        -------
        DataFrame of shape (n_rows, n_texts + 1 or more)
            Text columns, the prediction, and its interval or its probability, then the columns that were asked for.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        """
        check_is_fitted(self)
        asked: dict[str, Any] = {"coverage": coverage, "quantiles": quantiles, "at_most": at_most}
        return tabulate_predictions(self.model_, as_table(X), **asked, latest_year=self.latest_year)

    def explain(self, X: Any, *, n_neighbors: int | None = None) -> Explanation:
        """Find the training rows that count most in each prediction, and the columns that make them near.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            A few raw rows with the columns that predict.
        n_neighbors : int or None, default=None
            Number of training rows to show, at most as many as the model predicts from. None shows 5, or all where
            they are fewer.

        Returns
        -------
        Explanation
            Training rows, weights, distances, and each column's share.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the estimator has no neighbours.
        """
        check_is_fitted(self)
        return self.model_.explain(as_table(X), n_neighbors=n_neighbors, latest_year=self.latest_year)

    def tabulate_neighbors(self, X: Any, *, n_neighbors: int | None = None) -> pd.DataFrame:
        """Lay out the training rows that count most in each prediction, with what they hold.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            A few raw rows with the columns that predict.
        n_neighbors : int or None, default=None
            Number of training rows to show, at most as many as the model predicts from. None shows 5, or all where
            they are fewer.

        Returns
        -------
        DataFrame of shape (n_rows * n_neighbors, n_texts + n_columns + 3)
            The text columns of the training rows, their target, `weight` and `distance`, and what they hold in the
            columns that predict. The index holds the number of the prediction, and of the training row.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the estimator has no neighbours.
        """
        found, model = self.explain(X, n_neighbors=n_neighbors), self.model_
        rows = found.indices.reshape(-1)
        targets = model.targets[rows]
        if model.schema.classifies:
            targets = model.estimator.classes_[targets.astype(np.int64)]
        counts = {
            model.schema.target: targets,
            "weight": found.weights.reshape(-1),
            "distance": found.distances.reshape(-1),
        }
        queries = np.repeat(np.arange(len(found.indices)), found.indices.shape[1])
        index = pd.MultiIndex.from_arrays([queries, rows], names=["prediction", "training_row"])
        parts = [model.name_rows(rows), pd.DataFrame(counts), model.show_rows(rows)]
        return pd.concat([part.reset_index(drop=True) for part in parts if part.shape[1]], axis=1).set_index(index)

    def score(self, X: Any, y: ArrayLike | None = None) -> float:
        """Score predictions of raw rows: R², or the share of classes that are right.

        Parameters
        ----------
        X : DataFrame of shape (n_rows, n_columns), array-like or path
            Raw rows with the columns that predict.
        y : array-like of shape (n_rows,) or None, default=None
            Their targets. None takes the target's column of `X`.

        Returns
        -------
        float
            R² or accuracy, better when larger.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        DataFileError
            If the target is not there, or for the reasons of `predict`.
        """
        check_is_fitted(self)
        table, schema = as_table(X), self.model_.schema
        if y is None and schema.target not in table:
            message = f"The table has no column {schema.target!r} to compare with. Give rows that have it, or y."
            raise DataFileError(message)
        actual = np.asarray(table[schema.target] if y is None else y)
        score = accuracy_score if schema.classifies else r2_score
        return float(score(actual, self.predict(table)))

    def save(self, path: str | Path) -> None:
        """Write the model to a file that runs no code when it is read.

        Parameters
        ----------
        path : str or Path
            The file, or an existing folder, in which it is called `model.safetensors`.

        Raises
        ------
        NotFittedError
            If the model has not been fitted.
        ModelFileError
            If a file cannot hold such an estimator.
        OSError
            If the file cannot be written. The old file then stays as it was.
        """
        check_is_fitted(self)
        save_model(self.model_, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model that `save` or `energyknn fit` wrote. No code in the file is run.

        Parameters
        ----------
        path : str or Path
            The file, or a folder with `model.safetensors` in it.

        Returns
        -------
        NeighborsModel
            A fitted model. Its predictions are those of the model that was saved.

        Raises
        ------
        ModelFileError
            If the file is not a model, is not whole, or has a byte changed.
        """
        model = load_model(path)
        missing: Gaps = "refuse" if model.fills is None else "median"
        read = cls(model.schema.target, missing=missing, mismatch_cost=model.mismatch_cost)
        read.unit = model.schema[model.schema.target].unit
        read.roles_, read.n_dropped_ = _list_roles(model.schema), 0
        read._keep(model)
        return read

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        classifies = self.classifies if self.schema is None else self.schema.classifies
        if hasattr(self, "model_"):
            classifies = self.model_.schema.classifies
        tags.estimator_type = {None: None, True: "classifier", False: "regressor"}[classifies]
        tags.input_tags.string = tags.input_tags.categorical = True
        tags.input_tags.allow_nan = self.missing != "refuse"
        return tags


def as_table(X: Any) -> pd.DataFrame:
    """Return rows, or those of a file, as a frame of pandas. The columns of an array are called x0, x1 and so on."""
    if isinstance(X, pd.DataFrame):
        return X
    if hasattr(X, "to_pandas"):
        return pd.DataFrame(X.to_pandas())
    if isinstance(X, str | Path):
        return read_file(X).table
    values = np.asarray(X)
    if values.ndim != 2:
        message = f"X has {values.ndim} dimensions. It must be a table: a frame, or an array of rows and columns."
        raise ParameterError(message)
    return pd.DataFrame(values, columns=[f"x{number}" for number in range(values.shape[1])])


def _list_roles(schema: Schema) -> pd.DataFrame:
    """Lay out roles that were given as those that are guessed are."""
    roles = {column.name: (column.role, "as given") for column in schema.columns}
    return pd.DataFrame.from_dict(roles, orient="index", columns=["role", "why"]).rename_axis("column")


def _find_bounds(schema: Schema) -> tuple[float, float] | None:
    """Return the range that the schema gives the target, if it gives one."""
    column = schema[schema.target]
    if column.minimum is None and column.maximum is None:
        return None
    low = -math.inf if column.minimum is None else column.minimum
    return low, math.inf if column.maximum is None else column.maximum


def drop_gaps(table: pd.DataFrame, schema: Schema) -> pd.DataFrame:
    """Leave out the rows with a missing cell in a column that is used."""
    return table[_find_whole(table, schema)]


def _list_names(names: Sequence[str] | str) -> list[str]:
    """Return names of columns, of which one may stand alone."""
    return [names] if isinstance(names, str) else list(names)


def _label_groups(table: pd.DataFrame, groups: ArrayLike | str | None) -> NDArray[np.int64] | None:
    """Give each row the number of its group, which a column of the table may hold."""
    if groups is None:
        return None
    if isinstance(groups, str) and groups not in table:
        known = [str(name) for name in table.columns]
        message = f"There is no column {groups!r}.{suggest_name(groups, known)} Name one for groups, or give an array."
        raise DataFileError(message)
    labels, distinct = pd.factorize(table[groups] if isinstance(groups, str) else pd.Series(groups))
    if len(labels) != len(table):
        message = f"X has {len(table)} rows and groups has {len(labels)}. Each row needs a group."
        raise ParameterError(message)
    if (labels < 0).any() or len(distinct) < 2:
        what = "a missing value" if (labels < 0).any() else "one group"
        message = f"groups holds {what}. Each row needs a group, and there must be at least 2."
        raise ParameterError(message)
    return labels.astype(np.int64)


def _find_whole(table: pd.DataFrame, schema: Schema) -> NDArray[np.bool_]:
    """Find the rows without a missing cell in the columns that are used."""
    used = [column.name for column in schema.columns if column.role != "text" and column.name in table]
    is_whole = table[used].notna().all(axis=1).to_numpy(dtype=bool)
    if not is_whole.any():
        counts = table[used].isna().sum()
        message = (
            f'Every row misses a cell, most of them {counts.idxmax()!r}. Ignore that column, or fill: missing="median".'
        )
        raise DataFileError(message)
    return is_whole


def _tune(
    X: pd.DataFrame, y: NDArray[Any], classifies: bool, groups: NDArray[np.int64] | None, *, random_state: int
) -> Any:
    """Choose the number of neighbours, the weighting and the distance by cross-validation, from one search per fold."""
    n_folds = min(_N_FOLDS, len(X) if groups is None else len(np.unique(groups)))
    if n_folds < 2:
        message = f"Found {len(X)} row. A model needs at least 2."
        raise ParameterError(message)
    splitter, groups = _choose_folds(X, y, classifies, groups, n_folds, random_state)
    folds = list(splitter.split(X, y, groups))
    most = min(_MOST_NEIGHBORS, *(len(train) for train, _ in folds))
    if classifies:
        grid = {"n_neighbors": [k for k in _VOTERS if k <= most], "weights": list(_WEIGHTS), "p": list(_POWERS)}
        search = from_grid_search(GridSearchCV(KNNClassifier(), grid, cv=folds, refit=False)).fit(X, y)
        return KNNClassifier(**search.best_params_)
    candidates = [Candidate(k, weights, p) for p in _POWERS for weights in _WEIGHTS for k in range(1, most + 1)]
    cut = [Split(*pair) for pair in folds]
    table = score_candidates(X, y, candidates=candidates, folds=cut, scoring="neg_mean_squared_error").test["score"]
    best = candidates[table.best]
    return KNNRegressor(best.n_neighbors, weights=best.weights, p=best.p)


def _choose_folds(
    X: pd.DataFrame,
    y: NDArray[Any],
    classifies: bool,
    groups: NDArray[np.int64] | None,
    n_folds: int,
    random_state: int,
) -> tuple[Any, Any]:
    """Choose folds that keep groups or copies on one side, hold each class alike, or are drawn, whichever is needed."""
    options: dict[str, Any] = {"shuffle": True, "random_state": random_state}
    if groups is not None:
        return GroupKFold(n_folds, **options), groups
    codes = np.unique(y, return_inverse=True)[1] if classifies else y
    repeats = label_repeats(X.to_numpy(), np.asarray(codes, dtype=np.float64))
    if repeats is not None and len(np.unique(repeats)) >= n_folds:
        return GroupKFold(n_folds, **options), repeats
    if classifies and np.bincount(codes).min() >= n_folds:
        return StratifiedKFold(n_folds, **options), None
    return KFold(n_folds, **options), None


def _measure(model: Model, groups: NDArray[np.int64] | None, *, seconds: float) -> Quality:
    """Measure a fitted model on rows that it predicts without having seen them."""
    estimator, found = model.estimator, Quality(0, seconds=seconds)
    if isinstance(estimator, IntervalRegressor):
        left, sizes = estimator.left_out_, np.abs(estimator.scores_)
        reach = conformal_quantile(sizes, estimator.coverage) * left.difficulty
        ends = estimator.bounds or (-math.inf, math.inf)
        widths = np.clip(left.predictions + reach, *ends) - np.clip(left.predictions - reach, *ends)
        found = found._replace(coverage=_cross_coverage(sizes, estimator.coverage), mean_width=float(widths.mean()))
        return _add_errors(found, left.targets, np.clip(left.predictions, *ends))
    if isinstance(estimator, KNNRegressor):
        if groups is None:
            return _add_errors(found, model.targets, predict_left_out(estimator))
        return _add_errors(found, model.targets, _predict_groups_left_out(estimator, model.rows, model.targets, groups))
    if isinstance(estimator, KNNClassifier):
        labels = estimator.classes_[model.targets.astype(np.int64)]
        repeats = label_repeats(model.rows, model.targets) if groups is None else groups
        if groups is None and (repeats is None or len(np.unique(repeats)) < _N_FOLDS):
            predicted = estimator.predict(None)
        else:
            predicted = _predict_groups_left_out(estimator, model.rows, labels, repeats)
        return found._replace(n_rows=len(labels), accuracy=float(accuracy_score(labels, predicted)))
    if _votes_after_a_map(estimator):
        return _measure_on_a_fifth(model, found, groups)
    return found


def _votes_after_a_map(estimator: Any) -> bool:
    """Return whether a model learns a distance for classes."""
    return isinstance(estimator, Pipeline) and isinstance(estimator[-1], SoftVoteClassifier)


def _measure_on_a_fifth(model: Model, quality: Quality, groups: NDArray[np.int64] | None) -> Quality:
    """Learn once more from four fifths of the rows, and measure the classes of the rest."""
    X = pd.DataFrame(model.rows, columns=list(name_features(model.levels, model.schema)))
    labels = model.estimator.classes_[model.targets.astype(np.int64)]
    n_folds = _N_FOLDS if groups is None else min(_N_FOLDS, len(np.unique(groups)))
    splitter, sides = _choose_folds(X, labels, True, groups, n_folds, 0)
    train, test = next(splitter.split(X, labels, sides))
    told = None if groups is None else groups[train]
    predicted = fit_in_groups(clone(model.estimator), X.iloc[train], labels[train], told).predict(X.iloc[test])
    return quality._replace(n_rows=len(test), accuracy=float(accuracy_score(labels[test], predicted)))


def _predict_groups_left_out(
    model: KNNClassifier | KNNRegressor, rows: NDArray[np.float64], targets: NDArray[Any], groups: Any
) -> NDArray[Any]:
    """Predict each training row from the folds that hold no row of its group."""
    cv = GroupKFold(min(_N_FOLDS, len(np.unique(groups))))
    return np.asarray(cross_val_predict(clone(model), rows, targets, cv=cv, groups=groups))


def _add_errors(quality: Quality, actual: NDArray[np.float64], predicted: NDArray[np.float64]) -> Quality:
    """Add R² and RMSE."""
    r2, rmse = float(r2_score(actual, predicted)), float(root_mean_squared_error(actual, predicted))
    return quality._replace(n_rows=len(actual), r2=r2, rmse=rmse)


def _cross_coverage(sizes: NDArray[np.float64], coverage: float) -> float | None:
    """Return how many rows are covered where each half of them calibrates the other; None of too few."""
    order = np.random.default_rng(0).permutation(len(sizes))
    halves = sizes[order[::2]], sizes[order[1::2]]
    if len(halves[1]) < coverage / (1 - coverage):
        return None
    covered = [test <= conformal_quantile(fitted, coverage) for fitted, test in (halves, halves[::-1])]
    return float(np.concatenate(covered).mean())


def _describe_method(estimator: Any) -> str:
    """Say in a few words what was fitted."""
    model = estimator.estimator_ if isinstance(estimator, IntervalRegressor) else estimator
    if isinstance(model, KNNRegressor | KNNClassifier):
        what = "mean" if isinstance(model, KNNRegressor) else "vote"
        n_rows = f"{model.n_neighbors} {'neighbour' if model.n_neighbors == 1 else 'neighbours'}"
        weights = "" if model.weights == "uniform" else ", nearer ones counting more"
        distances = {1: "Manhattan distance", 2: "Euclidean distance"}
        distance = next((name for p, name in distances.items() if p == model.p), f"p = {model.p}")
        return f"the {what} of {n_rows}{weights} ({distance})"
    if _votes_after_a_map(model):
        return "votes of neighbours after a learned distance"
    if isinstance(model, Pipeline) and any(isinstance(step, MetricMap) for _, step in model.steps):
        return "local planes after a learned distance"
    return type(model).__name__
