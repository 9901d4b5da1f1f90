"""scikit-learn's searches over neighbour models, with one neighbour search per fold for all candidates.

A search here is the user's own: scikit-learn lists its candidates, its folds and its scorers, fits its steps and lays
out its results. Only the candidates of one fold are not fitted one after another. What stands before the model is
fitted once for each setting of it, and every k and weighting of the model is scored from the same neighbours.
"""

from __future__ import annotations

import numbers
import time
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, _fit_context, clone, is_classifier
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler, RandomizedSearchCV, check_cv
from sklearn.model_selection._validation import (
    _fit_and_score,
    _insert_error_scores,
    _score,
    _warn_or_raise_about_fit_failures,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import indexable
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, _num_samples

from energyknn.estimators.classifier import KNNClassifier
from energyknn.estimators.exact import find_power
from energyknn.estimators.quick_scores import make_quick_scorer
from energyknn.estimators.regressor import KNNRegressor
from energyknn.estimators.remembering import remembering
from energyknn.neighbors.auto import count_work
from energyknn.neighbors.foreign import ForeignIndex
from energyknn.progress import Track, track_on_stderr, track_silently

_OURS: dict[type, Any] = {KNeighborsRegressor: KNNRegressor, KNeighborsClassifier: KNNClassifier}
_MODELS = (*_OURS, *_OURS.values())
_EUCLIDEAN = 2
_MOST_FOR_TREES = 15  # columns; with more, scikit-learn's "auto" takes its brute force
_MOST_ROW_NUMBERS = 1 << 30  # 8 GiB
_SMALL_WORK = 1 << 28  # work as `count_work` counts it: some milliseconds
_LEFT_BY_FIT = (
    *("best_estimator_", "best_index_", "best_params_", "best_score_", "cv_results_", "feature_names_in_"),
    *("multimetric_", "n_splits_", "refit_time_", "scorer_"),
)


class OneSearchPerFold:
    """`fit` for a search of scikit-learn that follows in the order of bases."""

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self: Any, X: Any, y: Any = None, **params: Any) -> Any:
        """Score every candidate, and refit the best as scikit-learn does.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            What the estimator takes.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Targets or labels.
        **params : dict
            What scikit-learn routes to the estimator, the scorers and the splitter, such as `groups`.

        Returns
        -------
        object
            The search itself.

        Raises
        ------
        ValueError
            As scikit-learn's own search.
        KeyboardInterrupt
            On Ctrl-C. If a fold was finished, `cv_results_` holds its scores, and NaN for the folds that were not.
        """
        for name in _LEFT_BY_FIT:
            vars(self).pop(name, None)
        scorers, refit_metric = self._get_scorers()
        X, y = indexable(X, y)
        params = _check_method_params(X, params=params)
        routed = self._get_routed_params_for_fit(params)
        splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = splitter.get_n_splits(X, y, **routed.splitter.split)
        _check_size(self.n_splits_, _num_samples(X))
        folds = list(splitter.split(X, y, **routed.splitter.split))
        names = _name_scorers(self.scoring, "accuracy" if is_classifier(self.estimator) else "r2")
        options = _Options(self.n_jobs, self.pre_dispatch, self.error_score, bool(self.return_train_score), names)
        task = SearchTask(clone(self.estimator), X, y, folds, scorers, routed, options)
        candidates = list(self._list_candidates())
        track = track_on_stderr if self.verbose else track_silently
        execute = getattr(self, "_execute", partial(run_units_here, track=track))
        units = task.list_units([self._translate(params) for params in candidates])
        records: dict[tuple[int, int], dict[str, Any]] = {}
        try:
            for unit, found in execute(task, units):
                records |= {(unit.fold, place): record for place, record in found}
        except KeyboardInterrupt:
            self._keep_finished(candidates, records)
            raise
        out = [records[fold, place] for place, fold in product(range(len(candidates)), range(len(folds)))]
        if not out:
            message = f"{len(candidates)} candidates and {len(folds)} folds. A search needs at least one of each."
            raise ValueError(message)
        _warn_or_raise_about_fit_failures(out, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(out, self.error_score)
        results = self._format_results(candidates, self.n_splits_, out)
        first = out[0]["test_scores"]
        self.multimetric_ = isinstance(first, dict)
        if callable(self.scoring) and self.multimetric_:
            self._check_refit_for_multimetric(first)
            refit_metric = self.refit
        if self.refit or not self.multimetric_:
            self.best_index_ = self._select_best_index(self.refit, refit_metric, results)
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{refit_metric}"][self.best_index_]
            self.best_params_ = results["params"][self.best_index_]
        if self.refit:
            best = _set_params(clone(self.estimator), self._translate(self.best_params_))
            self.best_estimator_ = self._finish(replace_models(best, n_jobs=self.n_jobs))
            start = time.time()
            self.best_estimator_.fit(X, *([] if y is None else [y]), **routed.estimator.fit)
            self.refit_time_ = time.time() - start
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
        self.scorer_ = scorers._scorers if isinstance(scorers, _MultimetricScorer) else scorers
        self.cv_results_ = results
        return self

    def _translate(self, params: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a candidate as those of the estimator."""
        return params

    def _finish(self, best: Any) -> Any:
        """Return the best estimator as it is kept."""
        return best

    def _keep_finished(self: Any, candidates: Sequence[Any], records: Mapping[tuple[int, int], Any]) -> None:
        """Lay out the folds that an interrupted search has finished. The scores of the others are NaN."""
        counts = Counter(fold for fold, _ in records)
        finished = [fold for fold in range(self.n_splits_) if counts[fold] == len(candidates)]
        if not finished:
            return
        out = [records[fold, place] for place, fold in product(range(len(candidates)), finished)]
        results = self._format_results(candidates, len(finished), out)
        held = [name.removeprefix("split0_") for name in results if name.startswith("split0_")]
        columns = {name: [results.pop(f"split{number}_{name}") for number in range(len(finished))] for name in held}
        empty = np.full(len(candidates), np.nan)
        for name, values in columns.items():
            known = dict(zip(finished, values, strict=True))
            results |= {f"split{fold}_{name}": known.get(fold, empty) for fold in range(self.n_splits_)}
        self.cv_results_ = results

    @contextmanager
    def run_units_with(self, execute: Callable[..., Any]) -> Iterator[None]:
        """Let a function score the units: it gets a `SearchTask` and its units, and yields the records of each."""
        self._execute = execute
        try:
            yield
        finally:
            del self._execute


class KNNGridSearchCV(OneSearchPerFold, GridSearchCV):
    """GridSearchCV over neighbour models, with one neighbour search per fold. `from_grid_search` makes it."""

    def _list_candidates(self) -> Iterable[dict[str, Any]]:
        """List every combination."""
        return cast("Iterable[dict[str, Any]]", ParameterGrid(self.param_grid))


class KNNRandomizedSearchCV(OneSearchPerFold, RandomizedSearchCV):
    """RandomizedSearchCV over neighbour models, with one neighbour search per fold. `from_grid_search` makes it."""

    def _list_candidates(self) -> Iterable[dict[str, Any]]:
        """Draw candidates."""
        sampled = ParameterSampler(self.param_distributions, self.n_iter, random_state=self.random_state)
        return cast("Iterable[dict[str, Any]]", sampled)


_SEARCHES: dict[type, type] = {GridSearchCV: KNNGridSearchCV, RandomizedSearchCV: KNNRandomizedSearchCV}


def from_grid_search(search: Any) -> Any:
    """Make a search with the same results as scikit-learn's, from one neighbour search per fold.

    Parameters
    ----------
    search : GridSearchCV or RandomizedSearchCV
        Over KNeighborsRegressor, KNeighborsClassifier, KNNRegressor or KNNClassifier: alone, as the last step of a
        pipeline, inside a TransformedTargetRegressor, or as a value of the grid. It is not changed and need not be
        fitted.

    Returns
    -------
    KNNGridSearchCV or KNNRandomizedSearchCV
        Unfitted, a subclass of the given search, with the same parameters. After `fit`, `cv_results_`, `best_params_`
        and `best_estimator_` have the names and the order of the given search. The best estimator holds KNNRegressor or
        KNNClassifier in place of scikit-learn's model.

    Raises
    ------
    TypeError
        If it is a search of another kind.
    ValueError
        If no candidate is a neighbour model that can be searched at once.

    See Also
    --------
    KNNSearchCV : A search without an estimator of scikit-learn's.

    Notes
    -----
    Scores equal scikit-learn's up to rounding where no distances tie. Rows that tie are taken in the order of their
    numbers, see `energyknn.search_neighbors`. Candidates without a neighbour model are scored as scikit-learn does.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": range(1, 20)}, cv=3)
    >>> from_grid_search(search).fit(*load_iris(return_X_y=True)).best_params_
    {'n_neighbors': 4}
    """
    kind = _SEARCHES.get(type(search))
    if kind is None:
        message = (
            f"The search is a {type(search).__name__}. It must be a GridSearchCV or a RandomizedSearchCV itself, not "
            "a subclass. Make one over the same estimator and parameters."
        )
        raise TypeError(message)
    params = search.get_params(deep=False)
    if isinstance(params["cv"], Iterator):  # it gives its folds once, and both searches need them
        params["cv"] = search.cv = list(params["cv"])
    fast = kind(**clone(params, safe=False))
    _check_models(fast)
    return fast


def _check_size(n_splits: int, n_rows: int) -> None:
    """Refuse so many folds that their row numbers alone would fill the memory."""
    if n_splits * n_rows > _MOST_ROW_NUMBERS:
        message = (
            f"{n_splits} folds of {n_rows} rows: their row numbers take {n_splits * n_rows * 8 / 2**30:.0f} GiB. Use "
            "fewer folds, or energyknn.tuning.score_leave_one_out, which needs one search."
        )
        raise ValueError(message)


def _check_models(search: Any) -> None:
    """Require that the estimator, or some value of the grid, is a neighbour model or ends in one."""
    space = search.param_grid if isinstance(search, GridSearchCV) else search.param_distributions
    grids = [space] if isinstance(space, Mapping) else list(space)
    values = [value for grid in grids for values in grid.values() if isinstance(values, Sequence) for value in values]
    estimators = [search.estimator, *[value for value in values if isinstance(value, BaseEstimator)]]
    if any(find_model(estimator) is not None for estimator in estimators):
        return
    last = _follow(search.estimator)[-1]
    kinds = ", ".join(model.__name__ for model in _MODELS)
    message = (
        f"The search is over {type(last).__name__}. It must be over one of {kinds}, and not over a subclass: alone, at "
        "the end of a pipeline or in a TransformedTargetRegressor. Fit the given search itself."
    )
    raise ValueError(message)


def _follow(estimator: Any) -> list[Any]:
    """List an estimator, the last step or the regressor inside it, and so on to the model."""
    chain = [estimator]
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, TransformedTargetRegressor):
            estimator = getattr(estimator, "regressor_", estimator.regressor)
        else:
            return chain
        chain.append(estimator)


def find_model(estimator: Any) -> Any:
    """Return the neighbour model that an estimator is or ends in, or None."""
    model = _follow(estimator)[-1]
    return model if type(model) in _MODELS else None


def name_model(estimator: Any) -> str:
    """Return what stands before the names of the model's parameters, such as "knn__"."""
    prefix = ""
    for part in _follow(estimator)[:-1]:
        prefix += f"{part.steps[-1][0]}__" if isinstance(part, Pipeline) else "regressor__"
    return prefix


def replace_models(estimator: Any, *, n_jobs: int | None = None) -> Any:
    """Put KNNRegressor and KNNClassifier, with the same parameters, in place of scikit-learn's model at the end."""
    model = find_model(estimator)
    if model is None:
        return estimator
    params = model.get_params(deep=False)
    if n_jobs is not None:
        params["n_jobs"] = n_jobs
    ours = _OURS.get(type(model), type(model))(**params)
    if hasattr(model, "_metadata_request"):
        ours._metadata_request = model._metadata_request
    prefix = name_model(estimator).removesuffix("__")
    return estimator.set_params(**{prefix: ours}) if prefix else ours


def _set_params(estimator: Any, params: Mapping[str, Any]) -> Any:
    """Set parameters as a search of scikit-learn does: to clones of the values."""
    return estimator.set_params(**clone(dict(params), safe=False))


class _Planned(NamedTuple):
    """A candidate: its place, its parameters, and the parameters that its neighbour model then has."""

    place: int
    params: dict[str, Any]
    model: dict[str, Any]


class SearchUnit(NamedTuple):
    """Candidates that share a setting of what stands before the model, and one fold; or one candidate without a model.

    Attributes
    ----------
    candidates : list
        The candidates.
    shares : bool
        Whether they are scored from the same neighbours.
    fold : int
        Which fold.
    """

    candidates: list[_Planned]
    shares: bool
    fold: int


class _Options(NamedTuple):
    """What the parameters of a search say about scoring."""

    n_jobs: int | None
    pre_dispatch: Any
    error_score: Any
    return_train_score: bool
    names: Mapping[str, str] | None


def _name_scorers(scoring: Any, default: str) -> Mapping[str, str] | None:
    """Return the names of scikit-learn's scorers by the names of the scores, or None where one is a function."""
    if scoring is None or isinstance(scoring, str):
        return {"score": scoring or default}
    named = scoring if isinstance(scoring, Mapping) else {} if callable(scoring) else {name: name for name in scoring}
    return named if named and all(isinstance(name, str) for name in named.values()) else None


_Records = list[tuple[int, dict[str, Any]]]


def run_units_here(
    task: SearchTask, units: Sequence[SearchUnit], *, track: Track[Any] = track_silently
) -> Iterator[tuple[SearchUnit, _Records]]:
    """Score units in this process, and candidates without a neighbour model in those of joblib."""
    alone = [unit for unit in units if not unit.shares]
    parallel = Parallel(n_jobs=task.options.n_jobs, pre_dispatch=task.options.pre_dispatch)
    yield from zip(alone, parallel(delayed(task.score)(unit) for unit in alone), strict=True)
    for unit in track([unit for unit in units if unit.shares], "Search each fold once"):
        yield unit, task.score(unit)


class SearchTask(NamedTuple):
    """One search: what is fitted, on what, and how it is scored."""

    estimator: Any
    X: Any
    y: Any
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]]
    scorers: Any
    routed: Any
    options: _Options

    def list_units(self, candidates: Sequence[dict[str, Any]]) -> list[SearchUnit]:
        """List the pieces of work, fold after fold."""
        groups = self._group(candidates)
        return [SearchUnit(group, shares, fold) for fold in range(len(self.folds)) for group, shares in groups]

    def score(self, unit: SearchUnit) -> _Records:
        """Score the candidates of a unit: their places, and scikit-learn's records of their fits."""
        fold = self.folds[unit.fold]
        if unit.shares:
            return [(planned.place, record) for planned, record in self._score_together(unit.candidates, fold)]
        return [(planned.place, self._score_alone(planned.params, fold)) for planned in unit.candidates]

    def _group(self, candidates: Sequence[dict[str, Any]]) -> list[tuple[list[_Planned], bool]]:
        """Group candidates by the setting of what stands before the model. One without a model is left alone."""
        groups: dict[Any, list[_Planned]] = {}
        alone: list[tuple[list[_Planned], bool]] = []
        for place, params in enumerate(candidates):
            try:
                estimator = _set_params(clone(self.estimator), params)
            except Exception:
                estimator = None
            model = find_model(estimator)
            if model is None:
                alone.append(([_Planned(place, params, {})], False))
                continue
            own, prefix = model.get_params(deep=False), name_model(estimator)
            before = {name: params[name] for name in sorted(set(params) - {f"{prefix}{name}" for name in own})}
            is_pairwise = isinstance(own["metric"], str) and own["metric"] == "precomputed"
            key = (is_pairwise, *((name, _identify(value)) for name, value in before.items()))
            groups.setdefault(key, []).append(_Planned(place, params, own))
        return alone + [(group, True) for group in groups.values()]

    def _score_alone(self, params: dict[str, Any], fold: Any) -> dict[str, Any]:
        """Fit and score one candidate as scikit-learn does."""
        record: dict[str, Any] = _fit_and_score(
            clone(self.estimator),
            self.X,
            self.y,
            scorer=self.scorers,
            train=fold[0],
            test=fold[1],
            verbose=0,
            parameters=params,
            fit_params=self.routed.estimator.fit,
            score_params=self.routed.scorer.score,
            return_train_score=self.options.return_train_score,
            return_n_test_samples=True,
            return_times=True,
            error_score=self.options.error_score,
        )
        return record

    def _score_together(self, group: Sequence[_Planned], fold: Any) -> Iterator[tuple[_Planned, dict[str, Any]]]:
        """Fit once what stands before the model, and score every candidate from the same neighbours."""
        fitted: _Fitted | None = None
        for number, planned in enumerate(group):
            with suppress(Exception):  # scikit-learn says below what is wrong, of each candidate
                fitted = self._fit(planned, fold)
                group = group[number:]
                break
            yield planned, self._score_alone(planned.params, fold)
        if fitted is None:
            return
        for alike in fitted.group_by_distance(group):
            if not fitted.change_distance(alike[0]):
                yield from ((planned, self._score_alone(planned.params, fold)) for planned in alike)
                continue
            with fitted.remembering(alike):
                for planned in alike:
                    yield planned, self._score_fitted(fitted, planned, fold)

    def _fit(self, planned: _Planned, fold: Any) -> _Fitted:
        """Fit one candidate on the training rows of a fold."""
        train, test = fold
        estimator = replace_models(_set_params(clone(self.estimator), planned.params), n_jobs=self.options.n_jobs)
        X_train, y_train = _safe_split(estimator, self.X, self.y, train)
        X_test, y_test = _safe_split(estimator, self.X, self.y, test, train)
        fit_params = _check_method_params(self.X, params=self.routed.estimator.fit, indices=train)
        start = time.time()
        estimator.fit(X_train, *([] if y_train is None else [y_train]), **fit_params)
        seconds = time.time() - start
        return _Fitted(estimator, X_train, y_train, X_test, y_test, seconds, _identify_distance(planned.model))

    def _score_fitted(self, fitted: _Fitted, planned: _Planned, fold: Any) -> dict[str, Any]:
        """Score one candidate, which differs from what is fitted in the parameters of the model alone."""
        if not fitted.set_model(planned):
            return self._score_alone(planned.params, fold)
        sides = [("test", fold[1], fitted.X_test, fitted.y_test), ("train", fold[0], fitted.X_train, fitted.y_train)]
        record = {"fit_error": None, "n_test_samples": _num_samples(fitted.X_test), "fit_time": fitted.seconds}
        start = time.time()
        for side, rows, X, y in sides[: 1 + bool(self.options.return_train_score)]:
            scores: Any = None
            if self.options.names is not None and not self.routed.scorer.score:
                scores = fitted.score_quickly(side, self.options.names)
            if scores is None:
                params = _check_method_params(self.X, params=self.routed.scorer.score, indices=rows)
                scores = _score(fitted.estimator, X, y, self.scorers, params, self.options.error_score)
            elif not isinstance(self.scorers, _MultimetricScorer):
                (scores,) = scores.values()
            record[f"{side}_scores"] = scores
        record["score_time"] = time.time() - start
        return record


@dataclass(eq=False)
class _Fitted:
    """An estimator that is fitted on the training rows of a fold, and the rows."""

    estimator: Any
    X_train: Any
    y_train: Any
    X_test: Any
    y_test: Any
    seconds: float
    distance: Any

    def __post_init__(self) -> None:
        self._quick: dict[str, Any] = {}

    @property
    def model(self) -> Any:
        """The neighbour model at its end."""
        return find_model(self.estimator)

    def set_model(self, planned: _Planned) -> bool:
        """Set the model's parameters to those of a candidate, and return whether they can be used."""
        model = self.model
        model.set_params(**planned.model | {"n_jobs": model.n_jobs})
        with suppress(Exception):  # what is wrong is said where the candidate is scored alone
            model._validate_params()
            model._check_algorithm_metric()
            return bool(model.n_neighbors <= len(model.y_))  # scikit-learn's classifier may take more
        return False

    def score_quickly(self, side: str, names: Mapping[str, str]) -> dict[str, float] | None:
        """Score one side without scikit-learn's checks, or return None where that is not possible."""
        X, y = (self.X_test, self.y_test) if side == "test" else (self.X_train, self.y_train)
        chain = _follow(self.estimator)
        if side not in self._quick:
            is_plain = all(type(part) is Pipeline for part in chain[:-1])
            self._quick[side] = make_quick_scorer(self.model, y, names) if is_plain else None
        if self._quick[side] is None:
            return None
        try:
            for part in chain[:-1]:
                for _, step in part.steps[:-1]:
                    X = step.transform(X) if hasattr(step, "transform") else X
            found: dict[str, float] = self._quick[side](X)
        except Exception:  # scikit-learn says what is wrong
            return None
        return found

    def group_by_distance(self, candidates: Sequence[_Planned]) -> Iterable[list[_Planned]]:
        """Group candidates that find the same neighbours at the same distances."""
        groups: dict[Any, list[_Planned]] = {}
        for planned in candidates:
            key = (self._rounds_otherwise(planned), _identify_distance(planned.model))
            groups.setdefault(key, []).append(planned)
        return groups.values()

    def change_distance(self, planned: _Planned) -> bool:
        """Prepare the model's training rows for the distance of a candidate, and return whether that can be done."""
        model, distance = self.model, _identify_distance(planned.model)
        if self._rounds_otherwise(planned):
            model.index_ = ForeignIndex(model._fit_X, {"algorithm": "brute", "metric": "euclidean"})
            self.distance = None
        elif self.distance != distance:
            self.distance = None
            if not self.set_model(planned):
                return False
            with suppress(Exception):  # what is wrong is said where the candidate is scored alone
                model._index_rows()
                self.distance = distance
            return self.distance is not None
        return True

    def _count_work(self) -> int:
        """Count the work of the search for the neighbours of the validation rows."""
        n_train, n_features = self.model._fit_X.shape
        return count_work(n_train, _num_samples(self.X_test), n_features)

    def _rounds_otherwise(self, planned: _Planned) -> bool:
        """Tell whether scikit-learn's brute force, whose distances differ in the last digits, is no slower here.

        Candidates that differ in `algorithm` alone then rank as they do in the given search.
        """
        n_train, n_features = self.model._fit_X.shape
        n_neighbors, algorithm = planned.model["n_neighbors"], planned.model["algorithm"]
        is_many = isinstance(n_neighbors, numbers.Integral) and n_neighbors >= n_train // 2
        is_brute = algorithm == "brute" or (algorithm == "auto" and (n_features > _MOST_FOR_TREES or is_many))
        is_small = self._count_work() < _SMALL_WORK
        return is_brute and is_small and _identify_distance(planned.model) == _EUCLIDEAN

    def remembering(self, candidates: Sequence[_Planned]) -> AbstractContextManager[None]:
        """Remember what is returned for the rows of the fold, and compute it for all candidates at once."""
        pipelines = [part for part in _follow(self.estimator) if isinstance(part, Pipeline)]
        steps = [step for part in pipelines for _, step in part.steps[:-1] if hasattr(step, "transform")]
        is_small = self._count_work() < _SMALL_WORK
        parameters = [planned.model for planned in candidates]
        return remembering((self.X_test, self.X_train), steps, self.model, parameters, at_once=not is_small)


def _identify_distance(model: Mapping[str, Any]) -> Any:
    """Return what is equal for parameters of models that measure the same distance."""
    others = [_identify(model[name]) for name in ("metric", "p", "metric_params", "algorithm")]
    return find_power(SimpleNamespace(**model)) or tuple(others)


def _identify(value: Any) -> Any:
    """Return what is equal for equal numbers, texts, arrays and mappings, and for the same function or estimator."""
    return (type(value), value) if isinstance(value, Hashable) else joblib.hash(value)
