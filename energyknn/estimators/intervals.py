"""Prediction intervals by conformal prediction, wider where the neighbours' targets differ more.

A model has larger errors on some rows than on others. How far the targets of a row's neighbours lie apart tells how
hard the row is. The ratio of error to difficulty is then about the same everywhere, and its quantile over rows that
were left out gives intervals that cover (Papadopoulos, Vovk and Gammerman, Regression conformal prediction with nearest
neighbours, 2011).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self, cast, overload

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from scipy.stats import binomtest
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, clone, is_classifier
from sklearn.ensemble import VotingRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, ShuffleSplit, cross_val_predict
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, get_tags, indexable
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, column_or_1d, validate_data

from energyknn._shared.checks import check_choice
from energyknn._shared.showing import in_one_line
from energyknn.errors import ParameterError, UnsupportedError
from energyknn.estimators.base import ROWS_AT_ONCE, Saved
from energyknn.estimators.distributions import ScoreDistribution
from energyknn.estimators.neighborhoods import has_neighborhoods, list_neighborhoods, predict_left_out, refill_neighbors
from energyknn.estimators.regressor import KNNRegressor
from energyknn.fitting import fit_in_groups

Method = Literal["auto", "leave-one-out", "cv", "split"]
METHODS: tuple[Method, ...] = ("auto", "leave-one-out", "cv", "split")
Side = Literal["both", "lower", "upper"]
SIDES: tuple[Side, ...] = ("both", "lower", "upper")

_FEW_REPEATS = 0.02  # share of rows that repeat others and hardly change the coverage
_FEW_VALUES = 3  # rows for each different one, from which on equal rows may be what a table of few values has


class Intervals(NamedTuple):
    """Lower and upper ends, each (n_query,), float64, in the target's unit."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    def __repr__(self) -> str:
        return f"Intervals({len(self.lower)} rows, mean width {np.mean(self.upper - self.lower):.4g})"


@in_one_line
class LeftOut(NamedTuple):
    """Rows that were predicted without themselves: what they are, and how well that went.

    Attributes
    ----------
    rows : ndarray of shape (n_left_out,), int64
        Their numbers.
    targets, predictions, difficulty : ndarray of shape (n_left_out,), float64
        In the target's unit.
    """

    rows: NDArray[np.int64]
    targets: NDArray[np.float64]
    predictions: NDArray[np.float64]
    difficulty: NDArray[np.float64]


def conformal_quantile(scores: ArrayLike, coverage: float) -> float:
    """Return the score that a new one does not exceed with at least the given probability.

    It is the ceil((n + 1) * coverage)-th smallest of n scores, or infinity if n is too small. The new score is as
    likely to have any of n + 1 ranks, so the probability is at least `coverage`, and without ties at most 1 / (n + 1)
    more (Vovk, Gammerman and Shafer, Algorithmic learning in a random world, 2005).

    Examples
    --------
    >>> conformal_quantile(range(1, 20), 0.9)
    18.0
    >>> conformal_quantile([1, 2, 3], 0.9)
    inf
    """
    _check_share(coverage)
    ordered = np.sort(np.asarray(scores, dtype=np.float64))
    rank = math.ceil(round((len(ordered) + 1) * coverage, 8))  # rounded, because 100 * 0.55 is more than 55
    return float(ordered[rank - 1]) if rank <= len(ordered) else math.inf


def _check_share(share: float, *, name: str = "coverage") -> None:
    """Require a probability between 0 and 1."""
    if not 0 < share < 1:
        message = f"{name} is {share!r}. It must be between 0 and 1, such as 0.9."
        raise ParameterError(message)


def measure_spread(
    model: Any, X: Any = None, *, n_neighbors: int, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Measure the standard deviation of the targets of each row's neighbours: how hard the row is.

    If `X` is None, the rows are training rows (all, or those that `rows` numbers), each without itself among its
    neighbours. For a mean of several models, their standard deviations are averaged.

    Examples
    --------
    >>> model = KNNRegressor().fit([[0.0], [1.0], [5.0]], [1.0, 3.0, 9.0])
    >>> measure_spread(model, [[0.4]], n_neighbors=2)
    array([1.])
    """
    total: NDArray[np.float64] | float = 0.0
    for found in list_neighborhoods(model):
        model, mapped = found.model, None if X is None else found.run_steps(X)
        blocks = model.search_blocks(mapped, n_neighbors, rows=rows, block_rows=ROWS_AT_ONCE)
        spreads = [model.y_[nearest.indices].std(axis=1) for _, nearest in blocks]
        total = total + found.share * np.concatenate(spreads)
    return np.asarray(total)


def _has_range_for_each_score(model: Any) -> bool:
    """Return whether scores, groups and edges belong together in a model that was read."""
    if not hasattr(model, "scores_"):
        return True
    scores, groups, edges = model.scores_, model.groups_, model.edges_
    is_alike = scores.ndim == edges.ndim == 1 and scores.shape == groups.shape and groups.dtype == np.int64
    counts = np.bincount(groups, minlength=len(edges) + 1) if is_alike and (groups >= 0).all() else np.zeros(1)
    return bool(len(counts) == len(edges) + 1 and (counts > 0).all() and (np.diff(edges) > 0).all())


@dataclass(eq=False, repr=False)
class IntervalRegressor(MetaEstimatorMixin, RegressorMixin, BaseEstimator):
    """Give any regressor prediction intervals, wider where the neighbours' targets differ more.

    Parameters
    ----------
    estimator : estimator
        A regressor of one target.
    method : {"auto", "leave-one-out", "cv", "split"}, default="auto"
        Which errors calibrate the intervals. "auto" chooses, as the notes say. "leave-one-out" predicts each training
        row from its neighbours other than itself, at the cost of one search; the model must have neighbours. "cv"
        predicts each training row by a fit without its fold, at the cost of `cv` fits. "split" holds rows out and
        predicts those; the model is fitted on the others.
    coverage : float, default=0.9
        Share of new targets that the intervals should cover, between 0 and 1.
    neighbors : estimator or None, default=None
        The model of neighbours that measures how hard a row is, such as a KNNRegressor or a pipeline that ends in one.
        It is fitted on the same rows; a FrozenEstimator is used as it is. None takes `estimator` itself if it has
        neighbours, and otherwise the nearest rows in the columns of `X`.
    n_neighbors : int, default=100
        Number of neighbours whose targets are compared.
    shrinkage : float, default=0.2
        Weight of the standard deviation of all targets in the difficulty, above 0. With 1, all intervals are equally
        wide.
    by : str, int or None, default=None
        Name or position of a column whose ranges are calibrated separately, so that the intervals cover in each of
        them (Mondrian prediction).
    n_groups : int, default=10
        Number of ranges of `by`, each with about as many rows.
    bounds : tuple of float or None, default=None
        Smallest and largest possible target. Predictions and intervals are cut off there. Either may be infinite.
    cv : int or splitter, default=5
        Folds of the method "cv". They are not shuffled.
    calibration_size : float, default=0.2
        Share of the rows, or of the groups, that the method "split" holds out.
    refill : bool, default=False
        For the method "split" and a model of neighbours: whether held-out rows join the neighbours after everything
        else has been learned. Each is calibrated from its neighbours other than itself, or with groups from those that
        are not held out. A learned map has not seen these rows, and no row is lost to the search.
    random_state : int or None, default=0
        Seed that chooses the held-out rows.

    Attributes
    ----------
    method_ : {"leave-one-out", "cv", "split"}
        The method that calibrated the intervals.
    estimator_ : estimator
        The model, fitted on all rows, or by "split" on those that are not held out. With `refill`, its neighbours are
        all rows.
    neighbors_ : estimator or None
        The model that measures difficulty, fitted on the same rows. None if it is `estimator_`.
    scale_ : float
        Standard deviation of the targets of these rows.
    scores_ : ndarray of shape (n_calibration,), float64
        (target - prediction) / difficulty of each row that calibrates.
    left_out_ : LeftOut
        The rows that calibrate: `rows`, `targets`, `predictions` and `difficulty`. A model file does not keep it.
    groups_ : ndarray of shape (n_calibration,), int64
        The range of `by` that each of them is in.
    edges_ : ndarray of shape (at most n_groups - 1,), float64
        Where one range ends and the next begins.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there if `X` was a data frame whose column names are all text.

    See Also
    --------
    measure_coverage : Measure how many targets lie in their intervals.
    make_learned_regressor : The model of a learned distance, for "split" with `refill`.

    Notes
    -----
    The interval of a row is prediction ± q · difficulty. The difficulty is (1 - shrinkage) times the standard deviation
    of the neighbours' targets plus shrinkage times that of all targets. q is the quantile of the absolute scores that
    gives the coverage.

    "split" has a guarantee. If held-out and new rows are exchangeable, the interval covers a new target with a
    probability of at least `coverage`, over the choice of both, and in each range of `by`. The guarantee does not hold
    for other groups of rows.

    "leave-one-out", "cv" and "split" with `refill` have none. They cover rightly in the limit in which one row or fold
    hardly changes the model (Barber, Candès, Ramdas and Tibshirani, Predictive inference with the jackknife+, 2021;
    the jackknife+ itself guarantees 2 * coverage - 1). A learned map has seen the row that "leave-one-out" leaves out,
    so errors come out too small, and more so the longer it learned. "cv" fits fewer rows, so errors come out slightly
    too large. For a learned map, use "split" with `refill`. Measure the result with `measure_coverage` on rows that
    nothing has seen.

    Repeated rows are exchangeable with new rows only if new rows repeat training rows as often. A row whose copy stays
    in is predicted too well, and not at all wrong by one neighbour or by weights of 1 / distance, so intervals come out
    too narrow. If new rows belong to new groups, give `groups` to `fit`, with "cv" or "split". Groups are then
    exchangeable, and the guarantee holds approximately for their rows. Rows that are nearly equal are groups as well,
    and only `groups` can tell.

    "auto" takes "split" with `refill` for a model that learns its distance from the targets, "cv" for a model without
    neighbours, with groups, or where more than 2 % of the rows repeat others, and otherwise "leave-one-out". It keeps
    equal rows on one side. Equal rows count as repeated unless the table holds few different rows, with different
    targets: new rows then meet equal ones as well. Another method warns of repeated rows if no groups are given.

    Examples
    --------
    >>> random = np.random.default_rng(0)
    >>> X = random.random((400, 1))
    >>> y = X[:, 0] + X[:, 0] * random.normal(size=400)
    >>> model = IntervalRegressor(KNNRegressor(20), n_neighbors=20).fit(X, y)
    >>> lower, upper = model.predict_interval([[0.1], [0.9]])
    >>> bool((upper - lower)[0] < (upper - lower)[1])
    True
    """

    _saved: ClassVar = Saved(
        ("method_", "estimator_", "neighbors_", "scale_", "scores_", "groups_", "edges_"), _has_range_for_each_score
    )

    estimator: Any
    _: KW_ONLY
    method: Method = "auto"
    coverage: float = 0.9
    neighbors: Any = None
    n_neighbors: int = 100
    shrinkage: float = 0.2
    by: str | int | None = None
    n_groups: int = 10
    bounds: tuple[float, float] | None = None
    cv: Any = 5
    calibration_size: float = 0.2
    refill: bool = False
    random_state: int | None = 0

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Fit the model, and calibrate its intervals.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, in the form that `estimator` accepts.
        y : array-like of shape (n_rows,)
            Targets: finite real numbers.
        groups : array-like of shape (n_rows,) or None, default=None
            Group of each row. Rows of one group are held out together. Not for "leave-one-out". An `estimator` that
            asks for groups, as learned maps do, gets those of its rows. The fits of "cv" get none.

        Returns
        -------
        IntervalRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or there are too few rows to calibrate with.
        TypeError
            If the estimator is a classifier, the rows are sparse, or `method` is "leave-one-out" and the model has no
            neighbours.

        Warns
        -----
        UserWarning
            If rows repeat others and the method, which is not "auto", leaves copies of a row in.
        """
        self._check_parameters(groups)
        if is_classifier(self.estimator):
            message = f"{type(self.estimator).__name__} predicts classes, and intervals are for numbers."
            raise UnsupportedError(message)
        is_sparse: bool = issparse(X)
        if is_sparse:
            message = "X is sparse, and the spread of neighbours is measured on arrays. Give X.toarray()."
            raise TypeError(message)
        validate_data(self, X, y, skip_check_array=True)
        target = check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(X, target, groups)
        self._require_rows(len(target))
        labels = None if groups is None else np.asarray(groups)
        refill = self.refill or (self.method == "auto" and _learns_from_targets(self.estimator))
        (X,) = indexable(X)
        self.method_ = self.method
        if self.method == "auto" and refill:
            self.method_, labels = "split", label_repeats(np.asarray(X), target) if labels is None else labels
        learn, held = self._hold_out(target, labels)
        rows, y_learn = X if held is None else _safe_indexing(X, learn), target[learn]
        self.estimator_ = fit_in_groups(clone(self.estimator), rows, y_learn, None if labels is None else labels[learn])
        if has_neighborhoods(self.estimator_):
            _check_rows(self.estimator_, len(learn), name="estimator")
        repeats = None if labels is not None else self._find_repeats(X, target)
        if self.method_ == "auto":
            self.method_ = self._choose_method(labels, repeats)
            labels = repeats if labels is None else labels
        elif repeats is not None:
            self._warn_of(repeats)
        self.neighbors_ = self._fit_neighbors(rows, y_learn)
        self.scale_, self.edges_ = float(y_learn.std()), self._find_edges(rows)
        if held is None:
            predictions, difficulty = self._predict_left_out(X, target, labels), self._measure_difficulty(None, learn)
        elif refill and labels is None:
            self._refill(X, target)
            predictions, difficulty = predict_left_out(self.estimator_, held), self._measure_difficulty(None, held)
        else:
            rows = _safe_indexing(X, held)
            predictions, difficulty = self.estimator_.predict(rows), self._measure_difficulty(rows, held)
            if refill:  # only now: among all rows are those of its group
                self._refill(X, target)
        calibrating = learn if held is None else held
        self.left_out_ = LeftOut(calibrating, target[calibrating], predictions, difficulty)
        self.scores_ = (target[calibrating] - predictions) / difficulty
        self.groups_ = self._find_groups(X, len(target))[calibrating]
        counts = np.bincount(self.groups_, minlength=len(self.edges_) + 1)
        self._require_rows(int(counts.min()), where="" if self.by is None else " in a group")
        return self

    def _check_parameters(self, groups: ArrayLike | None) -> None:
        """Require each parameter to be in its range."""
        _check_share(self.coverage)
        rules = {
            f"method is {self.method!r}. It must be one of {', '.join(map(repr, METHODS))}.": self.method in METHODS,
            'method is "leave-one-out", which leaves out rows, not groups. Use "cv" or "split" with groups.': (
                self.method != "leave-one-out" or groups is None
            ),
            f"shrinkage is {self.shrinkage!r}. It must be above 0 and at most 1.": 0 < self.shrinkage <= 1,
            f"n_neighbors is {self.n_neighbors!r} and n_groups {self.n_groups!r}. Each must be at least 1.": (
                min(self.n_neighbors, self.n_groups) >= 1
            ),
            f"bounds is {self.bounds!r}. The first must be less than the second.": (
                self.bounds is None or self.bounds[0] < self.bounds[1]
            ),
        }
        for message, holds in rules.items():
            if not holds:
                raise ParameterError(message)

    def _hold_out(
        self, target: NDArray[np.float64], groups: NDArray[Any] | None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        """Return the rows to fit, and those that are held out to calibrate with."""
        if self.method_ != "split":
            return np.arange(len(target)), None
        make = ShuffleSplit if groups is None else GroupShuffleSplit
        splitter = make(n_splits=1, test_size=self.calibration_size, random_state=self.random_state)
        learn, held = next(splitter.split(target, groups=groups))
        return learn, held

    def _predict_left_out(self, X: Any, y: NDArray[np.float64], groups: NDArray[Any] | None) -> NDArray[np.float64]:
        """Predict each row without itself."""
        if self.method_ == "leave-one-out":
            return predict_left_out(self.estimator_)
        cv = self.cv if groups is None or not isinstance(self.cv, int) else GroupKFold(self.cv)
        return np.asarray(cross_val_predict(self.estimator, X, y, cv=cv, groups=groups))

    def _find_repeats(self, X: Any, y: NDArray[np.float64]) -> NDArray[np.int64] | None:
        """Label equal rows alike; None where few rows repeat others. Neighbours are compared after the steps before."""
        known = has_neighborhoods(self.estimator_)
        parts = [found.map_rows(X) for found in list_neighborhoods(self.estimator_)] if known else [np.asarray(X)]
        return label_repeats(np.hstack(parts), y)

    def _choose_method(self, groups: NDArray[Any] | None, repeats: NDArray[np.int64] | None) -> Method:
        """Choose how to calibrate a model that was fitted to all rows."""
        if groups is not None or not has_neighborhoods(self.estimator_):
            return "cv"
        if repeats is None:
            return "leave-one-out"
        folds = self.cv if isinstance(self.cv, int) else 1
        if isinstance(self.estimator_, FrozenEstimator) or len(np.unique(repeats)) < folds:
            self._warn_of(repeats)
            return "leave-one-out"
        return "cv"

    def _warn_of(self, repeats: NDArray[np.int64]) -> None:
        """Say that copies of rows stay in."""
        n_repeats = int((np.bincount(repeats) > 1)[repeats].sum())
        message = (
            f"{n_repeats:,} of {len(repeats):,} rows equal others, and {self.method!r} leaves copies in, so intervals "
            'may cover too little: use method="auto", or give fit groups with "cv" or "split".'
        )
        warnings.warn(message, UserWarning, stacklevel=3)

    def _fit_neighbors(self, X: Any, y: NDArray[np.float64]) -> Any:
        """Fit the model that measures difficulty, if it is not the estimator itself."""
        if self.neighbors is None:
            return None if has_neighborhoods(self.estimator_) else KNNRegressor(1).fit(X, y)
        fitted = clone(self.neighbors).fit(X, y)
        _check_rows(fitted, len(y), name="neighbors")
        return fitted

    def _refill(self, X: Any, y: NDArray[np.float64]) -> None:
        """Let the models find neighbours among all rows."""
        self.estimator_ = refill_neighbors(self.estimator_, X, y)
        if self.neighbors_ is not None:
            self.neighbors_ = refill_neighbors(self.neighbors_, X, y)

    def _measure_difficulty(self, X: Any, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Measure how hard rows are, in the target's unit; if X is None, the training rows of these numbers."""
        if self.scale_ == 0 or self.shrinkage == 1:
            return np.full(len(rows), self.scale_ or 1.0)
        model = self.estimator_ if self.neighbors_ is None else self.neighbors_
        spread = measure_spread(model, X, n_neighbors=self.n_neighbors, rows=rows)
        return (1 - self.shrinkage) * spread + self.shrinkage * self.scale_

    def _find_edges(self, X: Any) -> NDArray[np.float64]:
        """Cut the column `by` into ranges with about equally many rows."""
        if self.by is None:
            return np.empty(0)
        column, shares = self._read_column(X), np.arange(1, self.n_groups) / self.n_groups
        edges: NDArray[np.float64] = np.unique(np.quantile(column, shares, method="higher"))
        return np.extract(edges > column.min(), edges)

    def _require_rows(self, n_samples: int, *, where: str = "") -> None:
        """Require enough rows for a finite quantile."""
        needed = math.ceil(round(self.coverage / (1 - self.coverage), 8))
        if n_samples < needed:
            message = (
                f"Found n_samples={n_samples} to calibrate by{where}. A coverage of {self.coverage} needs at least "
                f"{needed}."
            )
            raise ParameterError(message)

    def _read_column(self, X: Any) -> NDArray[np.float64]:
        """Return the values of the column `by`."""
        try:
            column = _safe_indexing(np.asarray(X) if isinstance(X, list) else X, self.by, axis=1)
        except Exception:  # each library of frames has an error of its own
            names = getattr(X, "columns", None)
            has = f"{np.shape(X)[1]} columns" if names is None else ", ".join(map(repr, list(names)[:8]))
            message = f"by is {self.by!r}. It must be one column of X, by its name or position, and X has {has}."
            raise ParameterError(message) from None
        return np.asarray(column, dtype=np.float64)

    def _find_groups(self, X: Any, n_rows: int) -> NDArray[np.int64]:
        """Find the range of `by` that each row is in."""
        if self.by is None:
            return np.zeros(n_rows, dtype=np.int64)
        return np.searchsorted(self.edges_, self._read_column(X), side="right").astype(np.int64)

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows, in the form that `estimator` accepts.

        Returns
        -------
        ndarray of shape (n_query,), float64
            Predictions of `estimator_`, in the target's unit and within `bounds`.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        check_is_fitted(self)
        return self._cut_off(self.estimator_.predict(X))

    @overload
    def predict_interval(self, X: ArrayLike, *, coverage: float | None = None, side: Side = "both") -> Intervals: ...

    @overload
    def predict_interval(self, X: ArrayLike, *, coverage: Sequence[float], side: Side = "both") -> list[Intervals]: ...

    def predict_interval(
        self, X: ArrayLike, *, coverage: float | Sequence[float] | None = None, side: Side = "both"
    ) -> Intervals | list[Intervals]:
        """Give each row an interval for its target, or one of each of several coverages from one search.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows, in the form that `estimator` accepts.
        coverage : float, sequence of float or None, default=None
            Share of targets to cover, or several. None takes the estimator's own. If there were too few rows to
            calibrate that share, the ends are infinite, or at the bounds.
        side : {"both", "lower", "upper"}, default="both"
            Which ends to give. With "upper" an interval has no lower end: targets lie below the upper one as often as
            the coverage says. With "lower" they lie above the lower one. The other end is infinite, or at the bounds.

        Returns
        -------
        Intervals or list of Intervals
            `lower` and `upper` (n_query,), float64, in the target's unit. A list where several coverages are given.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If a coverage is not between 0 and 1, or `side` is unknown.
        """
        check_choice(side, SIDES, name="side")
        if coverage is None or np.ndim(coverage) == 0:
            return self._find_intervals(X, [self.coverage if coverage is None else cast("float", coverage)], side)[0]
        return self._find_intervals(X, cast("Sequence[float]", coverage), side)

    def predict_quantiles(self, X: ArrayLike, quantiles: ArrayLike) -> NDArray[np.float64]:
        """Give quantiles of each row's target.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows, in the form that `estimator` accepts.
        quantiles : array-like of shape (n_quantiles,)
            Shares of targets that lie below, each between 0 and 1.

        Returns
        -------
        ndarray of shape (n_query, n_quantiles), float64
            In the target's unit and within `bounds`; never falling from a smaller to a larger quantile. If there were
            too few rows to calibrate that share, they are infinite, or at the bounds.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If a quantile is not between 0 and 1.

        See Also
        --------
        predict_cdf : How likely the target is at most some value.

        Notes
        -----
        Each is a quantile of prediction + score * difficulty over the calibrating rows. It errs outwards: a target lies
        below one of less than a half at most as often as it says, and otherwise up to it at least as often. So an
        interval from one to another covers as often as they say, where that of `predict_interval` has the guarantee.
        """
        shares = np.atleast_1d(np.asarray(quantiles, dtype=np.float64))
        for share in shares:
            _check_share(float(share), name="A quantile")
        predictions, difficulty, groups = self._locate(X)
        found = [[scores.find_quantile(share) for share in shares] for scores in self._distributions()]
        return self._cut_off(predictions[:, np.newaxis] + np.array(found)[groups] * difficulty[:, np.newaxis])

    def predict_cdf(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Give the probability that each row's target is at most some value.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows, in the form that `estimator` accepts.
        y : float or array-like of shape (n_query,) or (n_query, n_values)
            Values, in the target's unit: one for all rows, one for each, or several for each. An array of shape
            (1, n_values) holds several for all.

        Returns
        -------
        ndarray of shape (n_query,) or (n_query, n_values), float64
            Probabilities. Without `bounds` they are never 0 or 1: with n rows that calibrate, the least is half of
            1 / (n + 1).

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If `y` has another number of rows.

        See Also
        --------
        predict_quantiles : The inverse.
        """
        predictions, difficulty, groups = self._locate(X)
        values = np.asarray(y, dtype=np.float64)
        shape = (len(predictions), *values.shape[1:]) if values.ndim > 1 else (len(predictions),)
        values = np.broadcast_to(values, shape)
        column = (slice(None), *(np.newaxis,) * (values.ndim - 1))
        scores = (values - predictions[column]) / difficulty[column]
        shares = np.empty(shape)
        for group, distribution in enumerate(self._distributions()):
            shares[groups == group] = distribution.share_below(scores[groups == group])
        if self.bounds is None:
            return shares
        return np.where(values < self.bounds[0], 0.0, np.where(values >= self.bounds[1], 1.0, shares))

    def measure_crps(self, X: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Measure how far each row's predictive distribution is from its target.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows that took no part in fitting or calibration.
        y : array-like of shape (n_query,)
            Their targets.

        Returns
        -------
        ndarray of shape (n_query,), float64
            The continuous ranked probability score, in the target's unit: smaller is better. Of a distribution that is
            a single value it is the absolute error. Take the mean, over all rows or by group.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If `y` has another number of rows.

        See Also
        --------
        measure_coverage : Measure how many targets lie in their intervals, and how wide these are.

        Notes
        -----
        It is the integral of the squared difference between the distribution and the step at the target (Gneiting and
        Raftery, Strictly proper scoring rules, prediction, and estimation, 2007). The distribution holds
        prediction + score * difficulty of each calibrating row, cut off at `bounds`.
        """
        predictions, difficulty, groups = self._locate(X)
        target = np.asarray(y, dtype=np.float64)
        check_consistent_length(predictions, target)
        low, high = self.bounds or (-math.inf, math.inf)
        outside = np.abs(target - self._cut_off(target))
        ends = [(value - predictions) / difficulty for value in (low, self._cut_off(target), high)]
        areas = np.empty(len(target))
        for group, distribution in enumerate(self._distributions()):
            areas[groups == group] = distribution.measure_area(*(end[groups == group] for end in ends))
        return np.asarray(areas * difficulty + outside)

    def predict_intervals(self, X: ArrayLike, coverages: Sequence[float]) -> list[Intervals]:
        """Give each row an interval of each coverage: the older name of `predict_interval` with several.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows, in the form that `estimator` accepts.
        coverages : sequence of float
            Shares of targets to cover, each between 0 and 1.

        Returns
        -------
        list of Intervals
            One for each coverage.
        """
        return self.predict_interval(X, coverage=coverages)

    def _find_intervals(self, X: ArrayLike, coverages: Sequence[float], side: Side = "both") -> list[Intervals]:
        """Find the intervals of each coverage, from one search."""
        predictions, difficulty, groups = self._locate(X)
        sizes = {"both": np.abs(self.scores_), "upper": self.scores_, "lower": -self.scores_}[side]
        by_group = [sizes[self.groups_ == group] for group in range(len(self.edges_) + 1)]
        factors = [np.array([conformal_quantile(group, coverage) for group in by_group]) for coverage in coverages]
        reaches = [of_group[groups] * difficulty for of_group in factors]
        none = np.full(len(predictions), math.inf)
        return [
            Intervals(
                self._cut_off(predictions - (none if side == "upper" else reach)),
                self._cut_off(predictions + (none if side == "lower" else reach)),
            )
            for reach in reaches
        ]

    def _locate(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
        """Return the prediction of each row, its difficulty, and the range of `by` that it is in."""
        check_is_fitted(self)
        predictions = self.estimator_.predict(X)
        difficulty = self._measure_difficulty(X, np.arange(len(predictions)))
        return predictions, difficulty, self._find_groups(X, len(predictions))

    def _distributions(self) -> list[ScoreDistribution]:
        """Return the distribution of the scores in each range of `by`."""
        return [ScoreDistribution(self.scores_[self.groups_ == group]) for group in range(len(self.edges_) + 1)]

    def _cut_off(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Cut values off at the bounds."""
        return values if self.bounds is None else np.clip(values, *self.bounds)


def label_repeats(rows: NDArray[Any], y: NDArray[np.float64], *, few: float = _FEW_REPEATS) -> NDArray[np.int64] | None:
    """Label rows that repeat others alike.

    None means that at most a share `few` of the rows equal another. It also means that the table holds few different
    rows and that most pairs of equal rows differ in their targets: they are equal because few values are possible.

    Examples
    --------
    >>> label_repeats(np.array([[1.0], [2.0], [1.0]]), np.array([5.0, 6.0, 5.0]))
    array([0, 1, 0])
    >>> label_repeats(np.array([[1.0], [2.0], [3.0]]), np.array([5.0, 6.0, 5.0])) is None
    True
    """
    frame = pd.DataFrame(rows)
    labels = np.asarray(frame.groupby(list(frame), sort=False, dropna=False).ngroup(), dtype=np.int64)
    sizes = np.bincount(labels)
    if sizes[sizes > 1].sum() <= few * len(labels):
        return None
    both = pd.DataFrame({"row": labels, "y": y}).groupby(["row", "y"], sort=False).size().to_numpy()
    pairs, alike = (sizes * (sizes - 1)).sum(), (both * (both - 1)).sum()
    return None if len(labels) >= _FEW_VALUES * len(sizes) and 2 * alike < pairs else labels


def _learns_from_targets(model: Any) -> bool:
    """Return whether steps before an unfitted model's neighbours need the targets, as learned maps do."""
    if isinstance(model, VotingRegressor):
        return any(_learns_from_targets(part) for _, part in model.estimators)
    steps = [step for _, step in model.steps[:-1]] if isinstance(model, Pipeline) else []
    return any(hasattr(step, "fit") and get_tags(step).target_tags.required for step in steps)


def _check_rows(model: Any, n_rows: int, *, name: str) -> None:
    """Require that a model's neighbours are the rows of the fit. A frozen model may hold others."""
    sizes = sorted({len(found.model.y_) for found in list_neighborhoods(model)})
    if sizes != [n_rows]:
        message = (
            f"{name} holds {', '.join(map(str, sizes))} rows, but is to hold the {n_rows} of this fit. A "
            'FrozenEstimator must have been fitted on the same rows; "split" leaves fewer of them.'
        )
        raise ParameterError(message)


def measure_coverage(
    y: ArrayLike, intervals: Intervals, *, groups: ArrayLike | None = None, confidence: float = 0.95
) -> pd.DataFrame:
    """Measure how many targets lie in their intervals, and how wide these are, over all rows and by group.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Targets of rows that took no part in fitting or calibration.
    intervals : Intervals
        The intervals of these rows, as `IntervalRegressor.predict_interval` returns them.
    groups : array-like of shape (n_rows,) or None, default=None
        A label for each row, such as its decade.
    confidence : float, default=0.95
        Level of the confidence interval of the coverage.

    Returns
    -------
    DataFrame of shape (1 + n_groups, 5)
        `n_rows`, `coverage`, `coverage_low` and `coverage_high` (Wilson's interval), and `mean_width` in the target's
        unit. The first row is "all". The others are the labels in ascending order.

    See Also
    --------
    IntervalRegressor : Makes the intervals.

    Examples
    --------
    >>> intervals = Intervals(np.zeros(3), np.array([1.0, 1.0, 4.0]))
    >>> measure_coverage([0.5, 2.0, 3.0], intervals, groups=["a", "a", "b"])[["n_rows", "coverage", "mean_width"]]
         n_rows  coverage  mean_width
    all       3  0.666667         2.0
    a         2  0.500000         1.0
    b         1  1.000000         4.0
    """
    target = np.asarray(y, dtype=np.float64)
    covered = (intervals.lower <= target) & (target <= intervals.upper)
    frame = pd.DataFrame({"covered": covered, "width": intervals.upper - intervals.lower})
    parts: dict[Any, pd.DataFrame] = {"all": frame}
    if groups is not None:
        parts |= dict(iter(frame.groupby(np.asarray(groups), sort=True)))
    rows = {label: _summarise(part, confidence) for label, part in parts.items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def _summarise(frame: pd.DataFrame, confidence: float) -> dict[str, float]:
    """Summarise the intervals of some rows."""
    n_covered, n_rows = int(frame["covered"].sum()), len(frame)
    share = binomtest(n_covered, n_rows).proportion_ci(confidence, method="wilson")
    return {
        "n_rows": n_rows,
        "coverage": n_covered / n_rows,
        "coverage_low": float(share.low),
        "coverage_high": float(share.high),
        "mean_width": float(frame["width"].mean()),
    }
