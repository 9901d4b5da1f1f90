"""tune-sklearn 0.5.0 on today's Ray and scikit-learn, mended from outside.

tune-sklearn was archived in 2023 and pins none of its requirements, so it installs beside releases on which it fails.
This module supplies the names that it misses, and derives the classes that users and Ray's workers need. Unpickling one
of them imports this module first, so a saved search also loads in a fresh process.

The searches themselves are unchanged. `TuneSearchCV` draws from a list of values with replacement, so one candidate may
be drawn twice and another never; `random_state` makes the draws repeatable. `use_gpu=True` only reserves a GPU for each
trial, and scikit-learn computes on the CPU all the same. The files that `analysis_` names are removed after the fit
unless `local_dir` is given.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Self

import numpy as np
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import cross_validate
from sklearn.model_selection._validation import _score
from sklearn.utils import get_tags

from energyknn.errors import ParameterError, import_extra
from energyknn.tuning.ray_tune import open_tune


@contextmanager
def _dropped_names() -> Iterator[None]:
    """Provide empty stand-ins for the names that Ray has dropped, while tune-sklearn imports them."""
    loggers = import_extra("ray.tune.logger", extra="tune-sklearn")
    skopt = ModuleType("ray.tune.search.skopt")
    skopt.SkOptSearch = type("SkOptSearch", (), {})  # type: ignore[attr-defined]
    sys.modules[skopt.__name__] = skopt  # Ray 2.11 removed the searcher for scikit-optimize
    dropped = [name for name in ("Logger", "LegacyLoggerCallback") if not hasattr(loggers, name)]  # by Ray 2.55
    for name in dropped:
        setattr(loggers, name, type(name, (), {}))
    try:
        yield
    finally:
        del sys.modules[skopt.__name__]
        for name in dropped:
            delattr(loggers, name)


with _dropped_names():
    import_extra("tune_sklearn", extra="tune-sklearn")
    from tune_sklearn import _trainable, tune_basesearch, tune_gridsearch, tune_search


def _cross_validate(*args: Any, fit_params: Mapping[str, Any] | None = None, **options: Any) -> Any:
    """Call `cross_validate`, whose `fit_params` scikit-learn 1.6 renamed to `params`."""
    return cross_validate(*args, params=fit_params, **options)


def _score_each(estimator: Any, X: Any, y: Any, scorers: Mapping[str, Any], *, error_score: float | str) -> Any:
    """Call `_score`, which since scikit-learn 1.5 takes one more argument, and a scorer in place of a dict."""
    scorer = _MultimetricScorer(scorers=scorers, raise_exc=error_score == "raise")
    return _score(estimator, X, y, scorer, None, error_score)


def _find_early_stop_type(estimator: Any, early_stopping: bool) -> Any:
    """Refuse early stopping, by name, for an estimator that cannot train step by step."""
    kind = _get_early_stop_type(estimator, early_stopping)
    if early_stopping and kind is tune_basesearch.EarlyStopping.NO_EARLY_STOP:
        message = (
            f"early_stopping is set, but {type(estimator).__name__} has neither partial_fit nor a warm start, so no "
            "trial can be stopped half-way. Set early_stopping=False."
        )
        raise ParameterError(message)
    return kind


class _Trainable(_trainable._Trainable):
    """A trial. A worker that receives one imports this module, which applies the repairs below."""


class _PipelineTrainable(_trainable._PipelineTrainable):
    """A trial of a pipeline that stops early."""


_get_early_stop_type = tune_basesearch.get_early_stop_type
tune_basesearch.get_early_stop_type = _find_early_stop_type
_trainable.cross_validate = _cross_validate
_trainable._score = _score_each
for _module in (tune_gridsearch, tune_search):
    _module._Trainable = _Trainable
    _module._PipelineTrainable = _PipelineTrainable


class _OnTodaysRay:
    """Repairs for both searches: a quiet Ray during `fit`, and two properties that broke."""

    estimator: Any
    local_dir: str | None
    n_splits: int
    use_gpu: bool
    _check_is_fitted: Any

    @property
    def _estimator_type(self) -> str | None:
        """Kind of the estimator. Since scikit-learn 1.8 a regressor states it only in its tags."""
        kind: str | None = get_tags(self.estimator).estimator_type
        return kind

    @property
    def n_splits_(self) -> int:
        """Number of folds. tune-sklearn's own property returns itself, which the HTML repr follows without end."""
        self._check_is_fitted("n_splits_", check_refit=False)
        return self.n_splits

    def _fit(self, X: Any, y: Any = None, groups: Any = None, tune_params: Any = None, **fit_params: Any) -> Self:
        """Fit as tune-sklearn does, on the Ray that is running or on a local one, without files in the home folder.

        Warns
        -----
        UserWarning
            If `use_gpu`: Ray only reserves the GPU.

        Raises
        ------
        ValueError
            If `use_gpu` and there is no GPU.
        """
        chosen = self.local_dir
        with (
            open_tune(use_gpu=self.use_gpu, chosen=chosen, extra="tune-sklearn") as folder,
            _own_random_state(getattr(self, "seed", None)),
        ):
            self.local_dir = None  # Ray 2.60 refuses this name: it is storage_path now
            try:
                options = {"storage_path": folder, **(tune_params or {})}
                super()._fit(X, y, groups, options, **fit_params)  # type: ignore[misc]
            finally:
                self.local_dir = chosen
        return self


@contextmanager
def _own_random_state(seed: int | None) -> Iterator[None]:
    """Restore the states of the global random generators, which tune-sklearn seeds."""
    if seed is None:
        yield
        return
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 - the generator that tune-sklearn seeds
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


class TuneGridSearchCV(_OnTodaysRay, tune_gridsearch.TuneGridSearchCV):
    """tune-sklearn's search over every point of a grid, on today's Ray.

    Parameters, methods and fitted attributes are those of tune-sklearn's class of the same name.
    """


class TuneSearchCV(_OnTodaysRay, tune_search.TuneSearchCV):
    """tune-sklearn's search over drawn candidates, on today's Ray.

    Parameters, methods and fitted attributes are those of tune-sklearn's class of the same name. Values are drawn from
    a list with replacement, so candidates repeat. `n_trials` is at most the number of points of the grid where every
    parameter has a list.

    Raises
    ------
    ValueError
        If `search_optimization="bayesian"`, or early stopping is asked of an estimator that cannot do it.
    """

    def _try_import_required_libraries(self, search_optimization: Any) -> None:
        if search_optimization == "bayesian":
            message = (
                "search_optimization='bayesian' needs a searcher that Ray 2.11 removed. "
                "Use 'random', 'optuna' or 'hyperopt'."
            )
            raise ParameterError(message)
        super()._try_import_required_libraries(search_optimization)
