"""A scikit-learn search that scores all candidates from one neighbour search per fold."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import product
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import config_context
from sklearn.base import BaseEstimator, MetaEstimatorMixin, MultiOutputMixin, RegressorMixin, clone
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, ParameterGrid, check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn.estimators.regressor import KNNRegressor
from energyknn.neighbors.engines import Engine
from energyknn.progress import track_on_stderr, track_silently
from energyknn.splitting import Split
from energyknn.tuning.candidates import Candidate, Job, run_here, run_job
from energyknn.tuning.scores import CandidateScores, SearchInterrupted

_MOST_ROW_NUMBERS = 1 << 30  # 8 GiB


def _has_refitted(search: KNNSearchCV) -> bool:
    """Tell whether there is a model to predict with, or will be one after a fit."""
    return hasattr(search, "best_estimator_") or (search.refit is not False and not hasattr(search, "cv_results_"))


@dataclass(eq=False, repr=False)
class KNNSearchCV(MetaEstimatorMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Choose k, weights and p by cross-validation, with one neighbour search per fold for all candidates.

    Parameters
    ----------
    param_grid : mapping or sequence of mappings
        Lists of values of `n_neighbors`, `weights`, `p` and `transformer`. Every combination is a candidate. A
        parameter without a list keeps KNNRegressor's default. A transformer (a scaler, a choice or a weighting of
        columns) is fitted on the training rows of each fold and needs a search of its own. Candidates that repeat are
        scored and reported once.
    cv : int, splitter, iterable of pairs or None, default=None
        The number of folds, a splitter, or pairs of training and validation row numbers; None for five folds without
        shuffling.
    scoring : None, str, callable, sequence or mapping, default=None
        A scorer's name, a scorer, or several by name; None for R².
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows; with several metrics, the name of the one that decides; or a
        function of `cv_results_` that returns the index of the best.
    return_train_score : bool, default=False
        Whether to score the training rows too, which takes one more search per fold.
    error_score : float or "raise", default=nan
        The score where a candidate's weights or the scorer fail, with a warning; "raise" for the error itself.
    verbose : int, default=0
        If not 0, a progress bar on stderr shows the time that is left.
    engine : {"auto", "blocked", "brute", "sklearn", "torch"}, default="auto"
        How to search. No score depends on it.
    n_jobs : int or None, default=None
        Threads; None for every core, and 1 inside a joblib worker.

    Attributes
    ----------
    cv_results_ : dict
        Scores of every candidate, with GridSearchCV's keys and shapes. Candidates share a search, so
        `mean_score_time` is a fold's time divided by their number, and `mean_fit_time` is 0.
    best_estimator_ : KNNRegressor or Pipeline
        Fitted on all rows, if `refit`; a pipeline where the best candidate has a transformer.
    best_params_ : dict
        Parameters of the best candidate.
    best_score_ : float
        Its mean validation score; absent where `refit` is a function.
    best_index_ : int
        Its place in `cv_results_`.
    scorer_ : callable or dict of str to callable
        The scorer, or the scorers by name where there are several metrics.
    n_splits_ : int
        Number of folds.
    multimetric_ : bool
        Whether there are several metrics.
    refit_time_ : float
        Seconds that the last fit took.

    See Also
    --------
    from_grid_search : Make it from a GridSearchCV.
    energyknn.score_candidates : The same scores without an estimator.

    Notes
    -----
    Where rows tie, scores follow the tie rule of `energyknn.neighbors.search_neighbors`. Without ties they equal
    GridSearchCV's.

    Examples
    --------
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> search = KNNSearchCV({"n_neighbors": range(1, 10)}, cv=4).fit(X, np.sin(X[:, 0] / 6))
    >>> search.best_params_
    {'n_neighbors': 1}
    """

    param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]]
    _: KW_ONLY
    cv: Any = None
    scoring: Any = None
    refit: Any = True
    return_train_score: bool = False
    error_score: float | Literal["raise"] = np.nan
    verbose: int = 0
    engine: Engine = "auto"
    n_jobs: int | None = None

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Score every candidate and, if `refit`, fit the best on all rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers, on the scale on which distances are meant.
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
            On Ctrl-C. `cv_results_` then holds the scores of the folds that were finished, and NaN for the others.
        """
        self.multimetric_ = not (self.scoring is None or isinstance(self.scoring, str) or callable(self.scoring))
        candidates = _expand_grid(self.param_grid)
        rows, target = self._check_rows(X, y, with_transformers=any(candidate.transformer for candidate in candidates))
        splitter = check_cv(self.cv, target, classifier=False)
        if not hasattr(splitter, "get_n_splits"):
            message = f"cv is {self.cv!r}. It must be a number of folds, a splitter, or pairs of row numbers."
            raise ValueError(message)
        _check_size(splitter.get_n_splits(rows, target, groups), len(rows))
        folds = [Split(*pair) for pair in splitter.split(rows, target, groups)]
        self.n_splits_ = len(folds)
        options = (self.scoring, self.return_train_score, self.error_score)
        job = Job(rows, target, candidates, folds, *options, engine=self.engine, n_jobs=self.n_jobs)
        self._check_refit(list(job.scorers))
        scorers = {name: get_scorer(scorer) for name, scorer in job.scorers.items()}
        self.scorer_ = scorers if self.multimetric_ else scorers["score"]
        start = time.perf_counter()
        try:
            scores = run_job(job, partial(run_here, track=track_on_stderr if self.verbose else track_silently))
        except SearchInterrupted as interrupt:
            self.cv_results_ = self._tabulate(interrupt.scores)
            raise
        seconds = time.perf_counter() - start
        self.cv_results_ = self._tabulate(scores, seconds=seconds / len(folds) / len(job.candidates))
        if self.refit or not self.multimetric_:
            metric = self.refit if self.multimetric_ else "score"
            self.best_index_ = int(BaseSearchCV._select_best_index(self.refit, metric, self.cv_results_))
            self.best_params_ = self.cv_results_["params"][self.best_index_]
            if not callable(self.refit):
                self.best_score_ = float(self.cv_results_[f"mean_test_{metric}"][self.best_index_])
        if self.refit:
            self._refit(X, y)
        return self

    def _check_rows(self, X: Any, y: ArrayLike, *, with_transformers: bool) -> tuple[Any, NDArray[np.float64]]:
        """Check rows and targets. Transformers, or else `Job`, check that rows are finite."""
        if with_transformers:
            validate_data(self, X, skip_check_array=True)
            target = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
            check_consistent_length(X, target)
            return (X if hasattr(X, "iloc") else np.asarray(X)), target
        options = {"dtype": np.float64, "order": "C", "ensure_all_finite": False}
        rows, target = validate_data(self, X, y, **options, multi_output=True, y_numeric=True)
        return rows, target

    def _check_refit(self, metrics: Sequence[str]) -> None:
        """Require that one metric decides."""
        if self.multimetric_ and self.refit and not callable(self.refit) and self.refit not in metrics:
            message = (
                f"refit is {self.refit!r}, but there are {len(metrics)} metrics: {', '.join(metrics)}. "
                "Name the one that decides, give a function of cv_results_, or False."
            )
            raise ValueError(message)

    def _tabulate(self, scores: CandidateScores, *, seconds: float = np.nan) -> dict[str, Any]:
        """Lay scores out as GridSearchCV does. Means leave out folds that an interrupt left without any score."""
        sides = {"test": scores.test, "train": scores.train or {}}
        values = np.stack([table.values for table in scores.test.values()])
        finished = np.flatnonzero(np.isfinite(seconds) | ~np.isnan(values).all(axis=(0, 1)))
        folds = finished if len(finished) else range(self.n_splits_)
        fits: list[dict[str, Any]] = []
        for row, fold in product(range(len(scores.candidates)), folds):
            fits.append({"fit_time": 0.0, "score_time": seconds})
            for side, tables in sides.items():
                fits[-1][f"{side}_scores"] = {name: table[row, fold] for name, table in tables.items()}
        params = [candidate.label for candidate in scores.candidates]
        results: dict[str, Any] = BaseSearchCV._format_results(self, params, len(folds), fits)
        for side, tables in sides.items():
            for name, table in tables.items():
                results |= {f"split{fold}_{side}_{name}": table[:, fold] for fold in range(self.n_splits_)}
        return results

    def _refit(self, X: ArrayLike, y: ArrayLike) -> None:
        """Fit the best candidate on all rows."""
        start = time.perf_counter()
        params = dict(self.best_params_)
        transformer = params.pop("transformer", None)
        model = KNNRegressor(**params, engine=self.engine, n_jobs=self.n_jobs)
        with config_context(assume_finite=True):  # every row was checked when candidates were scored
            chosen = model if transformer is None else make_pipeline(clone(transformer), model)
            self.best_estimator_ = chosen.fit(X, y)
        self.refit_time_ = time.perf_counter() - start

    @available_if(_has_refitted)
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

    @available_if(_has_refitted)
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


def _expand_grid(param_grid: Any) -> list[Candidate]:
    """List the candidates of a grid, each labelled with its parameters."""
    listed = list(ParameterGrid(param_grid))
    known = Candidate._fields[:4]
    wrong = sorted({name for params in listed for name in params} - set(known))
    if wrong:
        message = (
            f"{', '.join(map(repr, wrong))} is no parameter to search over here. They are "
            f"{', '.join(map(repr, known))}; fit one KNNSearchCV for each value of another."
        )
        raise ValueError(message)
    return [Candidate(**{"n_neighbors": 5, **params}, label=params) for params in listed]


def _check_size(n_splits: int, n_rows: int) -> None:
    """Refuse so many folds that their row numbers alone would fill the memory."""
    if n_splits * n_rows > _MOST_ROW_NUMBERS:
        message = (
            f"{n_splits} folds of {n_rows} rows: their row numbers take {n_splits * n_rows * 8 / 2**30:.0f} GiB. Use "
            "fewer folds, or energyknn.tuning.score_leave_one_out, which needs one search."
        )
        raise ValueError(message)


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
        Unfitted, with the same candidates, folds, scoring and refit. The steps before the model become transformers.
        Each setting of them needs a search of its own.

    Raises
    ------
    ValueError
        If it searches over another estimator or parameter, or if the metric is not Manhattan or Euclidean.

    See Also
    --------
    KNNSearchCV : The search that is returned.

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
    same = ("cv", "scoring", "refit", "return_train_score", "error_score", "verbose")
    param_grid = [_translate_grid(grid, prefix, transformer, defaults) for grid in grids]
    return KNNSearchCV(param_grid, **{name: getattr(search, name) for name in same})


def _read_exponent(model: KNeighborsRegressor) -> int:
    """Return 1 or 2, or refuse another metric."""
    exponents = {"minkowski": model.p, "euclidean": 2, "l2": 2, "manhattan": 1, "cityblock": 1, "l1": 1}
    p: int = exponents.get(model.metric, 0)
    if p not in (1, 2) or model.metric_params:
        message = (
            f"p is {model.p!r}, metric {model.metric!r} and metric_params {model.metric_params!r}. Only p = 1 "
            "(Manhattan) and p = 2 (Euclidean) can be searched."
        )
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
