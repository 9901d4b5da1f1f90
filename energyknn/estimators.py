"""scikit-learn estimators: thin shells that hold parameters and call the functions."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    MetaEstimatorMixin,
    MultiOutputMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingRegressor
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn.local_fitting import weigh_locally
from energyknn.metric_learning import learn_map, weigh_softly
from energyknn.neighbors import Neighbors, build_index
from energyknn.neighbors.search import Engine
from energyknn.progress import track_on_stderr, track_silently
from energyknn.row_maps import map_rows
from energyknn.splitting import Split
from energyknn.transformers import ColumnWeights, RankFeatures
from energyknn.tuning.candidates import Candidate, CandidateScores, SearchInterrupted, find_repeats, score_candidates
from energyknn.tuning.scoring import resolve_scoring
from energyknn.weighting import Weights, average_targets, needs_bandwidth, weigh_neighbors

__all__ = [
    "KNNRegressor",
    "KNNSearchCV",
    "LocalLinearRegressor",
    "MetricMap",
    "from_grid_search",
    "make_learned_regressor",
]

_MOST_ROW_NUMBERS = 1 << 30  # 8 GiB
_ROWS_AT_ONCE = 2048  # of local fits, whose neighbours are held
_WITHIN_REACH = 30  # neighbours whose weights do not vanish


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
    feature_names_in_ : ndarray of shape (n_features,)
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
        found, weights = self.weigh(X)
        return average_targets(self.y_[found.indices], weights)

    def weigh(
        self, X: ArrayLike | None, *, rows: NDArray[np.int64] | None = None
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """Find the training rows that a prediction is the mean of, and the weight of each.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            As in `predict`.
        rows : ndarray of int of shape (n_query,) or None, default=None
            Which training rows, where `X` is None; None for all.

        Returns
        -------
        found : Neighbors
            Distances and training rows, nearest first.
        weights : ndarray of shape (n_query, n_neighbors), float64
            Weights, not normalised.

        Raises
        ------
        NotFittedError, ValueError
            As `predict`.
        """
        check_is_fitted(self)
        k = self.n_neighbors
        n_available = len(self.y_) - (X is None)
        reaches_next = needs_bandwidth(self.weights) and 1 <= k < n_available
        found = self._search(X, k + 1 if reaches_next else k, rows=rows)
        bandwidth = found.distances[:, k] if reaches_next else None
        nearest = Neighbors(found.distances[:, :k], found.indices[:, :k])
        weights = weigh_neighbors(nearest.distances, self.weights, bandwidth=bandwidth, n_features=self.n_features_in_)
        return nearest, weights

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

    def _search(self, X: ArrayLike | None, n_neighbors: int, *, rows: NDArray[np.int64] | None = None) -> Neighbors:
        """Search with columns checked against those of the training rows."""
        if X is None:
            query = None if rows is None else self.index_.X_train[rows]
            return self.index_.search(query, n_neighbors, own=rows, n_jobs=self.n_jobs)
        query = validate_data(self, X, dtype=np.float64, order="C", reset=False)
        return self.index_.search(query, n_neighbors, n_jobs=self.n_jobs)


def _has_refitted(search: KNNSearchCV) -> bool:
    """Tell whether predictions can be asked for; before a fit, whether they can be afterwards."""
    return hasattr(search, "best_estimator_") or (search.refit is not False and not hasattr(search, "cv_results_"))


class KNNSearchCV(MetaEstimatorMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Choose k, weights and p by cross-validation, with one neighbour search per fold for all candidates.

    Parameters
    ----------
    param_grid : mapping or sequence of mappings
        Values of `n_neighbors`, `weights`, `p` and `transformer`, as GridSearchCV takes them; what is not named keeps
        KNNRegressor's default. A transformer (a scaler, a choice or a weighting of columns) is fitted on the training
        rows of each fold and needs a search of its own. Candidates that repeat are scored and reported once.
    cv : int, splitter, iterable of pairs or None, default=None
        Folds as in GridSearchCV; None for five without shuffling.
    scoring : None, str, callable, sequence or mapping, default=None
        None for R²; else as in GridSearchCV.
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows; the metric that decides, where there are several; or a function
        of `cv_results_` that returns the index of the best.
    return_train_score : bool, default=False
        Whether to score the training rows too, which takes one more search a fold.
    error_score : float or "raise", default=nan
        What a candidate scores where its weights or the scorer fail, with a warning; or an error.
    verbose : int, default=0
        Whether to show a progress bar on stderr, with the time that is left.
    engine : {"auto", "blocked", "brute", "sklearn", "torch"}, default="auto"
        How to search. No score depends on it.
    n_jobs : int or None, default=None
        Threads; None for every core, and 1 inside a joblib worker.

    Attributes
    ----------
    cv_results_ : dict
        GridSearchCV's keys and shapes. Candidates share a search, so `mean_score_time` is a fold's time divided by
        their number, and `mean_fit_time` is 0.
    best_estimator_ : KNNRegressor or Pipeline
        Fitted on all rows, if `refit`; a pipeline where the best candidate has a transformer.
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
        error_score: float | Literal["raise"] = np.nan,
        verbose: int = 0,
        engine: Engine = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.param_grid = param_grid
        self.cv = cv
        self.scoring = scoring
        self.refit = refit
        self.return_train_score = return_train_score
        self.error_score = error_score
        self.verbose = verbose
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
        SearchInterrupted
            On Ctrl-C. `cv_results_` then holds the folds that were finished, and NaN for the others.
        """
        scorers = resolve_scoring(self.scoring)
        self.multimetric_ = not (self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring))
        self._check_refit(list(scorers))
        params, candidates = _expand_grid(self.param_grid)
        rows, target = self._check_rows(X, y, with_transformers=any(candidate.transformer for candidate in candidates))
        splitter = check_cv(self.cv, target, classifier=False)
        if not hasattr(splitter, "get_n_splits"):
            message = f"cv is {self.cv!r}. It must be a number of folds, a splitter, or pairs of row numbers."
            raise ValueError(message)
        _check_size(splitter.get_n_splits(rows, target, groups), len(rows))
        folds = [Split(*pair) for pair in splitter.split(rows, target, groups)]
        self.n_splits_ = len(folds)
        start = time.perf_counter()
        try:
            scores = score_candidates(
                *(rows, target),
                candidates=candidates,
                folds=folds,
                scoring=scorers,
                with_train=self.return_train_score,
                error_score=self.error_score,
                engine=self.engine,
                n_jobs=self.n_jobs,
                track=track_on_stderr if self.verbose else track_silently,
            )
        except SearchInterrupted as interrupt:
            self.cv_results_ = _tabulate(params, interrupt.scores, seconds=np.nan, interrupted=True)
            raise
        self.cv_results_ = _tabulate(params, scores, seconds=(time.perf_counter() - start) / len(folds) / len(params))
        self.scorer_ = scorers if self.multimetric_ else scorers["score"]
        if self.refit or not self.multimetric_:
            self._choose()
        if self.refit:
            self._refit(X, y)
        return self

    def _check_rows(self, X: Any, y: ArrayLike, *, with_transformers: bool) -> tuple[Any, NDArray[np.float64]]:
        """Check rows and targets; what transformers get is theirs to check."""
        if with_transformers:
            validate_data(self, X, skip_check_array=True)
            target = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
            check_consistent_length(X, target)
            return (X if hasattr(X, "iloc") else np.asarray(X)), target
        rows, target = validate_data(self, X, y, dtype=np.float64, order="C", multi_output=True, y_numeric=True)
        return rows, target

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
        params = dict(self.best_params_)
        transformer = params.pop("transformer", None)
        model = KNNRegressor(**params, engine=self.engine, n_jobs=self.n_jobs)
        self.best_estimator_ = (model if transformer is None else make_pipeline(clone(transformer), model)).fit(X, y)
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


def _expand_grid(param_grid: Any) -> tuple[list[dict[str, Any]], list[Candidate]]:
    """List the candidates of a grid, each once: as parameters and as what is scored."""
    listed = list(ParameterGrid(param_grid))
    known = set(Candidate._fields)
    wrong = sorted({name for params in listed for name in params} - known)
    if wrong:
        message = (
            f"{', '.join(map(repr, wrong))} is no parameter to search over here. They are "
            f"{', '.join(map(repr, Candidate._fields))}; fit one KNNSearchCV for each value of another."
        )
        raise ValueError(message)
    candidates = [Candidate(**{"n_neighbors": 5, **params}) for params in listed]
    repeats = find_repeats(candidates)
    kept = [number for number in range(len(listed)) if number not in repeats]
    return [listed[number] for number in kept], [candidates[number] for number in kept]


def _check_size(n_splits: int, n_rows: int) -> None:
    """Refuse folds whose row numbers alone would fill the memory."""
    if n_splits * n_rows > _MOST_ROW_NUMBERS:
        message = (
            f"{n_splits} folds of {n_rows} rows: their row numbers take {n_splits * n_rows * 8 / 2**30:.0f} GiB. Use "
            "fewer folds, or energyknn.tuning.candidates.score_leave_one_out, which needs one search."
        )
        raise ValueError(message)


def _tabulate(
    params: list[dict[str, Any]], scores: CandidateScores, *, seconds: float, interrupted: bool = False
) -> dict[str, Any]:
    """Lay scores out as GridSearchCV's `cv_results_`; after an interrupt, the means are of the folds that are there."""
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
            finished = table[:, ~np.isnan(table).all(axis=0)] if interrupted else table
            blank = np.full(len(table), np.nan)
            results[f"mean_{side}_{metric}"] = finished.mean(axis=1) if finished.size else blank
            results[f"std_{side}_{metric}"] = finished.std(axis=1) if finished.size else blank
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
        Over KNeighborsRegressor, alone or as the last step of a pipeline: over its `n_neighbors`, `weights` and `p`,
        and over whatever the steps before it have. It is not changed and need not be fitted.

    Returns
    -------
    KNNSearchCV
        Unfitted, with the same candidates, folds, scoring and refit. The steps before the model become transformers,
        each setting of them with a search of its own.

    Raises
    ------
    ValueError
        If it searches over something else, or by another metric.

    Examples
    --------
    >>> from_grid_search(GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [1, 2]}, cv=4)).param_grid
    [{'n_neighbors': [1, 2], 'p': [2], 'weights': ['uniform']}]
    """
    model, transformer, prefix = search.estimator, None, ""
    if isinstance(model, Pipeline):
        prefix = f"{model.steps[-1][0]}__"
        transformer = model[:-1] if len(model.steps) > 1 else None
        model = model[-1]
    if not isinstance(model, KNeighborsRegressor):
        message = (
            f"The search is over {type(model).__name__}. It must be over scikit-learn's KNeighborsRegressor, "
            "alone or as the last step of a pipeline."
        )
        raise ValueError(message)  # noqa: TRY004 - the search is of the right type, what it holds is not
    defaults = {
        "n_neighbors": [model.n_neighbors],
        "p": [_read_exponent(model)],
        "weights": [model.weights or "uniform"],
    }
    grids = [search.param_grid] if isinstance(search.param_grid, Mapping) else list(search.param_grid)
    return KNNSearchCV(
        [_translate_grid(grid, prefix, transformer, defaults) for grid in grids],
        cv=search.cv,
        scoring=search.scoring,
        refit=search.refit,
        return_train_score=search.return_train_score,
        error_score=search.error_score,
        verbose=search.verbose,
    )


def _read_exponent(model: KNeighborsRegressor) -> int:
    """Return 1 or 2, or refuse another metric."""
    exponents = {"minkowski": model.p, "euclidean": 2, "l2": 2, "manhattan": 1, "cityblock": 1, "l1": 1}
    if model.metric not in exponents or model.metric_params:
        message = (
            f"metric {model.metric!r} with metric_params {model.metric_params!r}: only p = 1 and 2 can be searched."
        )
        raise ValueError(message)
    p: int = exponents[model.metric]
    if p not in (1, 2):
        message = f"p is {p!r}. Only 1 (Manhattan) and 2 (Euclidean) can be searched."
        raise ValueError(message)
    return p


def _translate_grid(
    grid: Mapping[str, Sequence[Any]], prefix: str, transformer: Any, defaults: Mapping[str, Sequence[Any]]
) -> dict[str, Sequence[Any]]:
    """Translate a grid's names, and list the settings of the steps before the model."""
    own = {name.removeprefix(prefix): values for name, values in grid.items() if name.startswith(prefix)}
    before = {name: values for name, values in grid.items() if not name.startswith(prefix)}
    translated = dict(sorted({**defaults, **own}.items()))
    if transformer is None and before:
        message = f"{', '.join(map(repr, sorted(before)))} is no parameter of the model: there is no step before it."
        raise ValueError(message)
    if transformer is not None:
        translated["transformer"] = [clone(transformer).set_params(**setting) for setting in ParameterGrid(before)]
    return translated


class MetricMap(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Map rows so that near rows have like targets; see `energyknn.metric_learning.learn_map`.

    Parameters
    ----------
    n_components, n_units, form, n_neighbors, n_rounds, n_rows, row_share, n_queries, n_steps
        As in `learn_map`.
    learning_rate, weight_decay, patience, time_budget, random_state
        As in `learn_map`.
    verbose : int, default=0
        Whether to show a progress bar on stderr, with the time that is left.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`.

    Attributes
    ----------
    components_ : ndarray of shape (n_features, n_components), float64
        The linear part of the map.
    hidden_ : HiddenLayer or None
        What bends it: see `energyknn.row_maps.map_rows`.
    trace_ : tuple of Round
        How it was learned.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where `X` was a data frame with names that are all text.
    """

    __metadata_request__fit: ClassVar = {"groups": True}

    def __init__(
        self,
        n_components: int = 24,
        *,
        n_units: int = 128,
        form: Literal["full", "diagonal"] = "full",
        n_neighbors: int = 100,
        n_rounds: int = 60,
        n_rows: int = 30_000,
        row_share: float = 0.4,
        n_queries: int = 20_000,
        n_steps: int = 10,
        learning_rate: float = 0.012,
        weight_decay: float = 1.0,
        patience: int | None = None,
        time_budget: float | None = None,
        random_state: int | None = 0,
        verbose: int = 0,
        engine: Engine = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_units = n_units
        self.form = form
        self.n_neighbors = n_neighbors
        self.n_rounds = n_rounds
        self.n_rows = n_rows
        self.row_share = row_share
        self.n_queries = n_queries
        self.n_steps = n_steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.patience = patience
        self.time_budget = time_budget
        self.random_state = random_state
        self.verbose = verbose
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Learn the map.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers, each column of about unit variance.
        y : array-like of shape (n_rows,)
            Targets.
        groups : array-like of shape (n_rows,) or None, default=None
            As in `learn_map`. Where scikit-learn routes metadata, the map asks for them by itself, in a pipeline or a
            mean of models too: see `energyknn.fitting.fit_in_groups`.

        Returns
        -------
        MetricMap
            The transformer itself.
        """
        rows, target = validate_data(self, X, y, dtype=np.float64, order="C", y_numeric=True, ensure_min_samples=3)
        options = {name: value for name, value in self.get_params().items() if name != "verbose"}
        track = track_on_stderr if self.verbose else track_silently
        learned = learn_map(rows, target, groups=groups, **options, track=track)
        self.components_, self.hidden_, self.trace_ = learned.components, learned.hidden, learned.trace
        self._n_features_out = learned.components.shape[1]
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Map rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers.

        Returns
        -------
        ndarray of shape (n_rows, n_components), float64
            Mapped rows.

        Raises
        ------
        NotFittedError
            If the transformer has not been fitted.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        mapped: NDArray[np.float64] = map_rows(rows, self.components_, self.hidden_)
        return mapped

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class LocalLinearRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Predict from a plane that is fitted to the nearest training rows, nearer ones with more weight.

    Parameters
    ----------
    n_neighbors : int, default=200
        Rows of a fit; all training rows where there are fewer.
    sharpness : float, default=1.4
        Weights are exp(-sharpness * distance²).
    reach : float, default=4.5
        Where rows are sparse, weights fall more slowly: so that the 30th nearest row's is at least exp(-reach) of what
        it would be at no distance. Infinite for one sharpness everywhere.
    ridge : float, default=0.3
        Penalty of a squared slope, above 0.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`.

    Attributes
    ----------
    index_ : NeighborIndex
        The training rows, prepared for searches.
    y_ : ndarray of shape (n_train,), float64
        The targets.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where `X` was a data frame with names that are all text.
    """

    def __init__(
        self,
        n_neighbors: int = 200,
        *,
        sharpness: float = 1.4,
        reach: float = 4.5,
        ridge: float = 0.3,
        engine: Engine = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.sharpness = sharpness
        self.reach = reach
        self.ridge = ridge
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the training rows, prepared for searches, and their targets.

        Parameters
        ----------
        X : array-like of shape (n_train, n_features)
            Finite real numbers, scaled as they shall count.
        y : array-like of shape (n_train,)
            Finite real numbers.

        Returns
        -------
        LocalLinearRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If rows or targets are not finite numbers of matching length, or `ridge` or `reach` is not above 0.
        """
        if not self.reach > 0:
            message = f"reach is {self.reach!r}. It must be above 0; infinite for one sharpness everywhere."
            raise ValueError(message)
        if not self.ridge > 0:
            message = f"ridge is {self.ridge!r}. It must be above 0: few or equal neighbours need it."
            raise ValueError(message)
        X, y = validate_data(self, X, y, dtype=np.float64, order="C", y_numeric=True)
        self.index_ = build_index(X, engine=self.engine, n_jobs=self.n_jobs)
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
        ndarray of shape (n_query,), float64
            Predictions, in the target's unit.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        parts = [(weights * self.y_[found.indices]).sum(axis=1) for found, weights in self._weigh_blocks(X)]
        predictions: NDArray[np.float64] = np.concatenate(parts)
        return predictions

    def weigh(
        self, X: ArrayLike | None, *, rows: NDArray[np.int64] | None = None
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """Find the training rows that a prediction is made of, and the weight of each.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            As in `predict`.
        rows : ndarray of int of shape (n_query,) or None, default=None
            Which training rows, where `X` is None; None for all.

        Returns
        -------
        found : Neighbors
            Distances and training rows, nearest first.
        weights : ndarray of shape (n_query, n_neighbors), float64
            What each target counts for in the prediction, to a sum of 1; some are negative.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        found, weights = zip(*self._weigh_blocks(X, rows), strict=True)
        distances, indices = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Neighbors(distances, indices), np.concatenate(weights)

    def _weigh_blocks(
        self, X: ArrayLike | None, rows: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Neighbors, NDArray[np.float64]]]:
        """Find and weigh the neighbours of some rows at a time."""
        check_is_fitted(self)
        train = self.index_.X_train
        own = None
        if X is None:
            own = np.arange(len(train)) if rows is None else rows
            queries = train[own]
        else:
            queries = validate_data(self, X, dtype=np.float64, order="C", reset=False)
        k = min(self.n_neighbors, len(train) - (X is None))
        for start in range(0, len(queries), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            found = self.index_.search(queries[block], k, own=None if own is None else own[block], n_jobs=self.n_jobs)
            soft = weigh_softly(found.distances, self._adapt_sharpness(found.distances))
            yield found, weigh_locally(queries[block], train[found.indices], soft, ridge=self.ridge)

    def _adapt_sharpness(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sharpness of each query, less where its neighbours are far."""
        squares = distances[:, [min(_WITHIN_REACH, distances.shape[1]) - 1]] ** 2
        most = np.full_like(squares, self.sharpness)
        return np.minimum(most, np.divide(self.reach, squares, out=most.copy(), where=squares > 0))


def make_learned_regressor(
    numbers: Sequence[Any],
    indicators: Sequence[Any] = (),
    *,
    n_maps: int = 4,
    n_waves: int = 4,
    indicator_weight: float = 0.3,
    random_state: int = 0,
    **options: Any,
) -> VotingRegressor:
    """Make the model of learned distances: the mean of local fits after several maps, from one seed each.

    Parameters
    ----------
    numbers : sequence of str or int
        Columns of numbers, of about unit variance: they get the features of `RankFeatures`.
    indicators : sequence of str or int, default=()
        Columns of indicators.
    n_maps : int, default=4
        Maps whose predictions are averaged.
    n_waves : int, default=4
        As in `RankFeatures`.
    indicator_weight : float, default=0.3
        What indicators are multiplied by before learning starts, above 0.
    random_state : int, default=0
        Seed of the first map; the others follow.
    **options
        Of `MetricMap`.

    Returns
    -------
    VotingRegressor
        Unfitted.

    Examples
    --------
    >>> model = make_learned_regressor([0, 1], n_maps=1, n_rounds=2, n_components=2, n_neighbors=9)
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> model.fit(X, X[:, 0]).predict(X[:3]).shape
    (3,)
    """
    weights = ColumnWeights(default=indicator_weight)
    columns = ColumnTransformer([("numbers", RankFeatures(n_waves), numbers), ("indicators", weights, indicators)])
    models = [
        make_pipeline(columns, MetricMap(random_state=random_state + number, **options), LocalLinearRegressor())
        for number in range(n_maps)
    ]
    return VotingRegressor([(f"map{number}", model) for number, model in enumerate(models)])
