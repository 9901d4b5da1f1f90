"""An estimator that is fitted on the training rows of a fold, and answers for one candidate after another."""

from __future__ import annotations

import numbers
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

import joblib
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples

from energyknn.estimators.exact import find_power
from energyknn.estimators.model_at_end import find_model, follow_to_model
from energyknn.estimators.quick_scores import make_quick_scorer
from energyknn.estimators.remembering import remembering
from energyknn.neighbors.auto import count_work
from energyknn.neighbors.foreign import ForeignIndex

_EUCLIDEAN = 2
_MOST_FOR_TREES = 15  # columns; with more, scikit-learn's "auto" takes its brute force
_SMALL_WORK = 1 << 28  # work as `count_work` counts it: some milliseconds


class Planned(NamedTuple):
    """A candidate: its place, its parameters, and the parameters that its neighbour model then has."""

    place: int
    params: dict[str, Any]
    model: dict[str, Any]


@dataclass(eq=False)
class FittedFold:
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

    def set_model(self, planned: Planned) -> bool:
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
        chain = follow_to_model(self.estimator)
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

    def group_by_distance(self, candidates: Sequence[Planned]) -> Iterable[list[Planned]]:
        """Group candidates that find the same neighbours at the same distances."""
        groups: dict[Any, list[Planned]] = {}
        for planned in candidates:
            key = (self._find_rounding(planned), identify_distance(planned.model))
            groups.setdefault(key, []).append(planned)
        return groups.values()

    def change_distance(self, planned: Planned) -> bool:
        """Prepare the model's training rows for the distance of a candidate, and return whether that can be done."""
        model, distance = self.model, identify_distance(planned.model)
        rounding = self._find_rounding(planned)
        if rounding is not None:
            model.index_ = ForeignIndex(model._fit_X, {"algorithm": "brute", "metric": rounding})
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

    def _find_rounding(self, planned: Planned) -> str | None:
        """Return the metric if scikit-learn's brute force rounds distances otherwise and is no slower here.

        Candidates whose scores differ in the last digits alone then rank as they do in the given search.
        """
        if self._count_work() >= _SMALL_WORK:
            return None
        params, (n_train, n_features) = planned.model, self.model._fit_X.shape
        is_many = isinstance(params["n_neighbors"], numbers.Integral) and params["n_neighbors"] >= n_train // 2
        is_unsuited = n_features > _MOST_FOR_TREES or is_many or issparse(self.model._fit_X)
        is_brute = params["algorithm"] == "brute" or (params["algorithm"] == "auto" and is_unsuited)
        if is_brute and identify_distance(params) == _EUCLIDEAN:
            return "euclidean"
        is_cosine = isinstance(params["metric"], str) and params["metric"] == "cosine" and not params["metric_params"]
        return "cosine" if is_cosine and params["algorithm"] in ("auto", "brute") else None

    def remembering(self, candidates: Sequence[Planned]) -> AbstractContextManager[None]:
        """Remember what is returned for the rows of the fold, and compute it for all candidates at once."""
        pipelines = [part for part in follow_to_model(self.estimator) if isinstance(part, Pipeline)]
        steps = [step for part in pipelines for _, step in part.steps[:-1] if hasattr(step, "transform")]
        is_small = self._count_work() < _SMALL_WORK
        parameters = [planned.model for planned in candidates]
        return remembering((self.X_test, self.X_train), steps, self.model, parameters, at_once=not is_small)


def identify_distance(model: Mapping[str, Any]) -> Any:
    """Return what is equal for parameters of models that measure the same distance."""
    others = [identify(model[name]) for name in ("metric", "p", "metric_params", "algorithm")]
    return find_power(SimpleNamespace(**model)) or tuple(others)


def identify(value: Any) -> Any:
    """Return what is equal for equal numbers, texts, arrays and mappings, and for the same function or estimator."""
    return (type(value), value) if isinstance(value, Hashable) else joblib.hash(value)
