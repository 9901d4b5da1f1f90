"""scikit-learn estimators: thin shells that hold parameters and call the functions."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, MetaEstimatorMixin, MultiOutputMixin, RegressorMixin
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn.neighbors import Neighbors, build_index
from energyknn.neighbors.search import Engine
from energyknn.splitting import Split
from energyknn.tuning.candidates import Candidate, CandidateScores, resolve_scoring, score_candidates
from energyknn.weighting import Weights, average_targets, needs_bandwidth, weigh_neighbors

__all__ = ["KNNRegressor", "KNNSearchCV", "from_grid_search"]


class KNNRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predict the weighted mean of the targets of the k nearest training rows.

    Parameters
    ----------
    n_neighbors : int, default=5
        Neighbours to average, from 1 to the number of training rows.
    weights : str or callable, default="uniform"
        "uniform", "distance", a kernel's name, or a function of the distances; see
        `energyknn.weighting.weigh_neighbors`.
    p : {1, 2}, default=2
        Manhattan (1) or Euclidean (2) distance.
    engine : {"auto", "blocked", "brute", "sklearn", "torch"}, default="auto"
        How to search. The neighbours are the same.
    n_jobs : int or None, default=None
        Threads; None for every core, and 1 inside a joblib worker.

    Attributes
    ----------
    index_ : NeighborIndex
        The training rows, prepared for searches.
    y_ : ndarray of shape (n_train,) or (n_train, n_outputs), float64
        The targets.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, where `X` was a data frame with names that are all text.

    Notes
    -----
    Neighbours are exact and ordered by (distance², training row), so predictions do not depend on engine or
    threads. Kernels of relative distance divide by the distance of the (k + 1)-th neighbour; with k = n_train there
    is none and the k-th serves.

    Examples
    --------
    >>> model = KNNRegressor(n_neighbors=2).fit([[0.0], [1.0], [3.0]], [0.0, 1.0, 5.0])
    >>> model.predict([[2.5]])
    array([3.])
    """

    def __init__(
        self,
        n_neighbors: int = 5,
        *,
        weights: Weights = "uniform",
        p: int = 2,
        engine: Engine = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.weights = weights
        self.p = p
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the training rows, prepared for searches, and their targets.

        Parameters
        ----------
        X : array-like of shape (n_train, n_features)
            Finite real numbers, scaled as they shall count.
        y : array-like of shape (n_train,) or (n_train, n_outputs)
            Finite real numbers.

        Returns
        -------
        KNNRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If the rows or targets are not finite numbers of matching length, or a parameter is out of its range.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, order="C", multi_output=True, y_numeric=True)
        self.index_ = build_index(X, p=self.p, engine=self.engine, n_jobs=self.n_jobs)
        self.y_ = np.asarray(y, dtype=np.float64)
        return self

    def predict(self, X: ArrayLike | None) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            Rows. None predicts each training row from its neighbours other than itself.

        Returns
        -------
        ndarray of shape (n_query,) or (n_query, n_outputs), float64
            Predictions, in the target's unit.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If the rows have other columns than the training rows, or there are fewer training rows than neighbours.
        """
        check_is_fitted(self)
        k = self.n_neighbors
        n_available = len(self.y_) - (X is None)
        reaches_next = needs_bandwidth(self.weights) and 1 <= k < n_available
        found = self._search(X, k + 1 if reaches_next else k)
        bandwidth = found.distances[:, k] if reaches_next else None
        distances, indices = found.distances[:, :k], found.indices[:, :k]
        weights = weigh_neighbors(distances, self.weights, bandwidth=bandwidth, n_features=self.n_features_in_)
        return average_targets(self.y_[indices], weights)

    @overload
    def kneighbors(
        self, X: ArrayLike | None = ..., n_neighbors: int | None = ..., return_distance: Literal[True] = ...
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...

    @overload
    def kneighbors(
        self, X: ArrayLike | None = ..., n_neighbors: int | None = ..., *, return_distance: Literal[False]
    ) -> NDArray[np.int64]: ...

    def kneighbors(
        self, X: ArrayLike | None = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """Find the nearest training rows of each row.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None, default=None
            Rows. None asks for each training row's neighbours other than itself.
        n_neighbors : int or None, default=None
            How many; None for the estimator's own number.
        return_distance : bool, default=True
            Whether to return distances too.

        Returns
        -------
        distances : ndarray of shape (n_query, n_neighbors), float64
            Nearest first; only if `return_distance`.
        indices : ndarray of shape (n_query, n_neighbors), int64
            Training rows, equal distances in ascending order.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If the rows have other columns than the training rows, or there are fewer training rows than neighbours.
        """
        check_is_fitted(self)
        found = self._search(X, self.n_neighbors if n_neighbors is None else n_neighbors)
        return (found.distances, found.indices) if return_distance else found.indices

    def _search(self, X: ArrayLike | None, n_neighbors: int) -> Neighbors:
        """Search with columns checked against those of the training rows."""
        query = None if X is None else validate_data(self, X, dtype=np.float64, order="C", reset=False)
        return self.index_.search(query, n_neighbors, n_jobs=self.n_jobs)


def _has_refitted(search: KNNSearchCV) -> bool:
    """Tell whether predictions can be asked for; before a fit, whether they can be afterwards."""
    return hasattr(search, "best_estimator_") or (search.refit is not False and not hasattr(search, "cv_results_"))


class KNNSearchCV(MetaEstimatorMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Choose k, weights and p by cross-validation, with one neighbour search per fold for all candidates.

    Parameters
    ----------
    param_grid : mapping or sequence of mappings
        Values of `n_neighbors`, `weights` and `p`, as GridSearchCV takes them; what is not named keeps
        KNNRegressor's default. Candidates that repeat are scored and reported once.
    cv : int, splitter, iterable of pairs or None, default=None
        Folds as in GridSearchCV; None for five without shuffling.
    scoring : None, str, callable, sequence or mapping, default=None
        None for R²; else as in GridSearchCV.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows; the metric that decides, where there are several; or a function
        of `cv_results_` that returns the index of the best.
    return_train_score : bool, default=False
        Whether to score the training rows too, which takes two more searches a fold.
    engine : {"auto", "blocked", "brute", "sklearn", "torch"}, default="auto"
        How to search. No score depends on it.
    n_jobs : int or None, default=None
        Threads; None for every core, and 1 inside a joblib worker.

    Attributes
    ----------
    cv_results_ : dict
        GridSearchCV's keys and shapes. Candidates share a search, so `mean_score_time` is a fold's time divided by
        their number, and `mean_fit_time` is 0.
    best_estimator_ : KNNRegressor
        Fitted on all rows, if `refit`.
    best_params_, best_score_, best_index_
        As in GridSearchCV.
    n_splits_ : int
        Number of folds.
    multimetric_ : bool
        Whether there are several metrics.
    refit_time_ : float
        Seconds that the last fit took.

    Notes
    -----
    Where rows tie, scores follow the tie rule of `energyknn.neighbors.search_neighbors`; elsewhere they are
    GridSearchCV's.

    Examples
    --------
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> search = KNNSearchCV({"n_neighbors": range(1, 10)}, cv=4).fit(X, np.sin(X[:, 0] / 6))
    >>> search.best_params_
    {'n_neighbors': 1}
    """

    def __init__(
        self,
        param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]],
        *,
        cv: Any = None,
        scoring: Any = None,
        refit: Any = True,
        return_train_score: bool = False,
        engine: Engine = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.param_grid = param_grid
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.return_train_score = return_train_score
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Score every candidate and, if `refit`, fit the best on all rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers, scaled as they shall count.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Finite real numbers.
        groups : array-like of shape (n_rows,) or None, default=None
            For splitters that keep groups together.

        Returns
        -------
        KNNSearchCV
            The search itself.

        Raises
        ------
        ValueError
            If a candidate, the scoring, the refit or the rows are not what the parameters allow.
        """
        rows, target = validate_data(self, X, y, dtype=np.float64, order="C", multi_output=True, y_numeric=True)
        scorers = resolve_scoring(self.scoring)
        self.multimetric_ = not (self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring))
        self._check_refit(list(scorers))
        params = _expand_grid(self.param_grid)
        folds = [Split(*pair) for pair in check_cv(self.cv, target, classifier=False).split(rows, target, groups)]
        self.n_splits_ = len(folds)
        start = time.perf_counter()
        scores = score_candidates(
            rows,
            target,
            candidates=[Candidate(**{"n_neighbors": 5, **values}) for values in params],
            folds=folds,
            scoring=scorers,
            with_train=self.return_train_score,
            engine=self.engine,
            n_jobs=self.n_jobs,
        )
        self.cv_results_ = _tabulate(params, scores, seconds=(time.perf_counter() - start) / len(folds) / len(params))
        self.scorer_ = scorers if self.multimetric_ else scorers["score"]
        if self.refit or not self.multimetric_:
            self._choose()
        if self.refit:
            self._refit(X, y)
        return self

    def _check_refit(self, metrics: Sequence[str]) -> None:
        """Require that one metric decides."""
        if self.multimetric_ and self.refit and not callable(self.refit) and self.refit not in metrics:
            message = (
                f"refit is {self.refit!r}, but there are {len(metrics)} metrics: {', '.join(metrics)}. "
                "Name the one that decides, give a function of cv_results_, or False."
            )
            raise ValueError(message)

    def _choose(self) -> None:
        """Set what was best."""
        metric = self.refit if self.multimetric_ and isinstance(self.refit, str) else "score"
        if callable(self.refit):
            self.best_index_ = int(self.refit(self.cv_results_))
        else:
            self.best_index_ = int(self.cv_results_[f"rank_test_{metric}"].argmin())
        if not callable(self.refit):
            self.best_score_ = float(self.cv_results_[f"mean_test_{metric}"][self.best_index_])
        self.best_params_ = self.cv_results_["params"][self.best_index_]

    def _refit(self, X: ArrayLike, y: ArrayLike) -> None:
        """Fit the best candidate on all rows."""
        start = time.perf_counter()
        self.best_estimator_ = KNNRegressor(**self.best_params_, engine=self.engine, n_jobs=self.n_jobs).fit(X, y)
        self.refit_time_ = time.perf_counter() - start

    @available_if(_has_refitted)  # type: ignore[untyped-decorator]
    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict with the best candidate.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_query,) or (n_query, n_outputs), float64
            Predictions, in the target's unit.

        Raises
        ------
        NotFittedError
            If the search has not been fitted.
        """
        check_is_fitted(self)
        return self.best_estimator_.predict(X)

    @available_if(_has_refitted)  # type: ignore[untyped-decorator]
    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Score the best candidate by the metric that chose it.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows.
        y : array-like of shape (n_query,) or (n_query, n_outputs)
            Their targets.

        Returns
        -------
        float
            The score, better when larger.

        Raises
        ------
        NotFittedError
            If the search has not been fitted.
        """
        check_is_fitted(self)
        scorer = self.scorer_
        if isinstance(scorer, dict):
            scorer = scorer[self.refit if isinstance(self.refit, str) else next(iter(scorer))]
        return float(scorer(self.best_estimator_, X, y))


def _expand_grid(param_grid: Any) -> list[dict[str, Any]]:
    """List the candidates of a grid, each once."""
    listed = list(ParameterGrid(param_grid))
    wrong = sorted({name for params in listed for name in params} - {"n_neighbors", "weights", "p"})
    if wrong:
        message = (
            f"{', '.join(map(repr, wrong))} is no parameter to search over here. One search serves n_neighbors, "
            "weights and p; fit one KNNSearchCV for each value of another."
        )
        raise ValueError(message)
    once: list[dict[str, Any]] = []
    for params in listed:
        if params not in once:
            once.append(params)
    if len(once) < len(listed):
        message = f"{len(listed) - len(once)} of {len(listed)} candidates repeat another: each is scored once."
        warnings.warn(message, stacklevel=3)
    return once


def _tabulate(params: list[dict[str, Any]], scores: CandidateScores, *, seconds: float) -> dict[str, Any]:
    """Lay scores out as GridSearchCV's `cv_results_`."""
    times = np.full(len(params), seconds)
    results: dict[str, Any] = {
        "mean_fit_time": np.zeros(len(params)),
        "std_fit_time": np.zeros(len(params)),
        "mean_score_time": times,
        "std_score_time": np.zeros(len(params)),
    }
    for name in sorted({name for values in params for name in values}):
        column = np.ma.MaskedArray(np.empty(len(params), dtype=object), mask=True)
        for number, values in enumerate(params):
            if name in values:
                column[number] = values[name]
        results[f"param_{name}"] = column
    results["params"] = params
    for side, tables in (("test", scores.test), ("train", scores.train)):
        for metric, table in (tables or {}).items():
            results |= {f"split{fold}_{side}_{metric}": table[:, fold] for fold in range(table.shape[1])}
            results[f"mean_{side}_{metric}"] = table.mean(axis=1)
            results[f"std_{side}_{metric}"] = table.std(axis=1)
            if side == "test":
                results[f"rank_test_{metric}"] = _rank(results[f"mean_test_{metric}"])
    return results


def _rank(means: NDArray[np.float64]) -> NDArray[np.int32]:
    """Rank means, 1 for the largest; what is no number comes last."""
    if not np.isfinite(means).all():
        warnings.warn("Some test scores are not finite: their candidates rank last.", stacklevel=4)
    finite = means[np.isfinite(means)]
    filled = np.nan_to_num(means, nan=(finite.min() if len(finite) else 0.0) - 1)
    ranks: NDArray[np.int32] = rankdata(-filled, method="min").astype(np.int32)
    return ranks


def from_grid_search(search: GridSearchCV) -> KNNSearchCV:
    """Turn a grid search over scikit-learn's KNeighborsRegressor into one search per fold.

    Parameters
    ----------
    search : GridSearchCV
        Over `n_neighbors`, `weights` and `p`. It is not changed and need not be fitted.

    Returns
    -------
    KNNSearchCV
        Unfitted, with the same candidates, folds, scoring and refit.

    Raises
    ------
    ValueError
        If it searches over something else, or by another metric.

    Examples
    --------
    >>> from_grid_search(GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [1, 2]}, cv=4)).param_grid
    [{'n_neighbors': [1, 2], 'p': [2], 'weights': ['uniform']}]
    """
    model = search.estimator
    if not isinstance(model, KNeighborsRegressor):
        message = (
            f"The search is over {type(model).__name__}. It must be over scikit-learn's KNeighborsRegressor itself."
        )
        raise ValueError(message)  # noqa: TRY004 - the search is of the right type, what it holds is not
    exponents = {"minkowski": model.p, "euclidean": 2, "l2": 2, "manhattan": 1, "cityblock": 1, "l1": 1}
    if model.metric not in exponents or model.metric_params:
        message = (
            f"metric {model.metric!r} with metric_params {model.metric_params!r}: only p = 1 and 2 can be searched."
        )
        raise ValueError(message)
    p = exponents[model.metric]
    if p not in (1, 2):
        message = f"p is {p!r}. Only 1 (Manhattan) and 2 (Euclidean) can be searched."
        raise ValueError(message)
    defaults = {"n_neighbors": [model.n_neighbors], "p": [p], "weights": [model.weights or "uniform"]}
    grids = [search.param_grid] if isinstance(search.param_grid, Mapping) else list(search.param_grid)
    return KNNSearchCV(
        [dict(sorted({**defaults, **grid}.items())) for grid in grids],
        cv=search.cv,
        scoring=search.scoring,
        refit=search.refit,
        return_train_score=search.return_train_score,
    )
