"""The pieces of work of a search: candidates that share what stands before the model, on one fold."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection._validation import _fit_and_score, _score
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import _check_method_params, _num_samples

from energyknn.estimators.announcing import Announcer
from energyknn.estimators.fitted_fold import FittedFold, Planned, identify, identify_distance
from energyknn.estimators.model_at_end import find_model, name_model, replace_models, set_params
from energyknn.progress import Track, track_silently


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

    candidates: list[Planned]
    shares: bool
    fold: int


class ScoringOptions(NamedTuple):
    """What the parameters of a search say about scoring."""

    n_jobs: int | None
    pre_dispatch: Any
    error_score: Any
    return_train_score: bool
    names: Mapping[str, str] | None


def name_scorers(scoring: Any, default: str) -> Mapping[str, str] | None:
    """Return the names of scikit-learn's scorers by the names of the scores, or None where one is a function."""
    if scoring is None or isinstance(scoring, str):
        return {"score": scoring or default}
    named = scoring if isinstance(scoring, Mapping) else {} if callable(scoring) else {name: name for name in scoring}
    return named if named and all(isinstance(name, str) for name in named.values()) else None


Records = list[tuple[int, dict[str, Any]]]


def run_units_here(
    task: SearchTask,
    units: Sequence[SearchUnit],
    *,
    track: Track[Any] = track_silently,
    announcer: Announcer | None = None,
) -> Iterator[tuple[SearchUnit, Records]]:
    """Score units in this process, and candidates without a neighbour model in those of joblib."""
    alone = [unit for unit in units if not unit.shares]
    options = [announcer.leave_to_scikit_learn(unit) if announcer else {} for unit in alone]
    parallel = Parallel(n_jobs=task.options.n_jobs, pre_dispatch=task.options.pre_dispatch)
    found = parallel(delayed(task.score)(unit, **given) for unit, given in zip(alone, options, strict=True))
    yield from zip(alone, found, strict=True)
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
    options: ScoringOptions

    def list_units(self, candidates: Sequence[dict[str, Any]]) -> list[SearchUnit]:
        """List the pieces of work, fold after fold."""
        groups = self._group(candidates)
        return [SearchUnit(group, shares, fold) for fold in range(len(self.folds)) for group, shares in groups]

    def score(self, unit: SearchUnit, **options: Any) -> Records:
        """Score the candidates of a unit: their places, and scikit-learn's records of their fits.

        `options` are those of scikit-learn's function for a candidate without a neighbour model.
        """
        fold = self.folds[unit.fold]
        if unit.shares:
            return [(planned.place, record) for planned, record in self._score_together(unit.candidates, fold)]
        return [(planned.place, self._score_alone(planned.params, fold, **options)) for planned in unit.candidates]

    def _group(self, candidates: Sequence[dict[str, Any]]) -> list[tuple[list[Planned], bool]]:
        """Group candidates by the setting of what stands before the model. One without a model is left alone."""
        groups: dict[Any, list[Planned]] = {}
        alone: list[tuple[list[Planned], bool]] = []
        for place, params in enumerate(candidates):
            try:
                estimator = set_params(clone(self.estimator), params)
            except Exception:  # scikit-learn says what is wrong where the candidate is scored alone
                estimator = None
            model = find_model(estimator)
            if model is None:
                alone.append(([Planned(place, params, {})], False))
                continue
            own, prefix = model.get_params(deep=False), name_model(estimator)
            before = {name: params[name] for name in sorted(set(params) - {f"{prefix}{name}" for name in own})}
            is_pairwise = isinstance(own["metric"], str) and own["metric"] == "precomputed"
            key = (is_pairwise, *((name, identify(value)) for name, value in before.items()))
            groups.setdefault(key, []).append(Planned(place, params, own))
        return alone + [(group, True) for group in groups.values()]

    def _score_alone(self, params: dict[str, Any], fold: Any, **options: Any) -> dict[str, Any]:
        """Fit and score one candidate as scikit-learn does."""
        record: dict[str, Any] = _fit_and_score(
            clone(self.estimator),
            self.X,
            self.y,
            scorer=self.scorers,
            train=fold[0],
            test=fold[1],
            parameters=params,
            fit_params=self.routed.estimator.fit,
            score_params=self.routed.scorer.score,
            return_train_score=self.options.return_train_score,
            return_n_test_samples=True,
            return_times=True,
            error_score=self.options.error_score,
            **{"verbose": 0} | options,
        )
        return record

    def _score_together(self, group: Sequence[Planned], fold: Any) -> Iterator[tuple[Planned, dict[str, Any]]]:
        """Fit once what stands before the model, and score every candidate from the same neighbours."""
        fitted: FittedFold | None = None
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

    def _fit(self, planned: Planned, fold: Any) -> FittedFold:
        """Fit one candidate on the training rows of a fold."""
        train, test = fold
        estimator = replace_models(set_params(clone(self.estimator), planned.params), n_jobs=self.options.n_jobs)
        X_train, y_train = _safe_split(estimator, self.X, self.y, train)
        X_test, y_test = _safe_split(estimator, self.X, self.y, test, train)
        fit_params = _check_method_params(self.X, params=self.routed.estimator.fit, indices=train)
        start = time.time()
        estimator.fit(X_train, *([] if y_train is None else [y_train]), **fit_params)
        seconds = time.time() - start
        return FittedFold(estimator, X_train, y_train, X_test, y_test, seconds, identify_distance(planned.model))

    def _score_fitted(self, fitted: FittedFold, planned: Planned, fold: Any) -> dict[str, Any]:
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
