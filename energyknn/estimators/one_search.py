"""`fit` for searches over neighbour models: one neighbour search per fold scores all candidates.

A search here is the user's own: scikit-learn lists its candidates, its folds and its scorers, fits its steps and lays
out its results. Only the candidates of one fold are not fitted one after another. What stands before the model is
fitted once for each setting of it, and every k and weighting of the model is scored from the same neighbours.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from sklearn.base import _fit_context, clone, is_classifier
from sklearn.metrics._scorer import _MultimetricScorer
from sklearn.model_selection import check_cv
from sklearn.model_selection._validation import _insert_error_scores, _warn_or_raise_about_fit_failures
from sklearn.utils import indexable
from sklearn.utils.validation import _check_method_params, _num_samples

from energyknn.estimators.announcing import Announcer
from energyknn.estimators.model_at_end import replace_models, set_params
from energyknn.estimators.search_units import ScoringOptions, SearchTask, name_scorers, run_units_here
from energyknn.progress import track_on_stderr, track_silently

_MOST_ROW_NUMBERS = 1 << 30  # 8 GiB
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
        weights = params.get("sample_weight")
        told = {"X": X, "y": y, "metadata": None if weights is None else {"sample_weight": weights}}
        root = self._init_callback_context(max_subtasks=1 + (self.refit is not False))
        root.call_on_fit_task_begin(estimator=self, **told)
        splitter = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self.n_splits_ = splitter.get_n_splits(X, y, **routed.splitter.split)
        _check_size(self.n_splits_, _num_samples(X))
        folds = list(splitter.split(X, y, **routed.splitter.split))
        if len(folds) != self.n_splits_:
            message = (
                "cv.split and cv.get_n_splits return inconsistent results. "
                f"Expected {self.n_splits_} splits, got {len(folds)}"
            )
            raise ValueError(message)
        names = name_scorers(self.scoring, "accuracy" if is_classifier(self.estimator) else "r2")
        options = ScoringOptions(self.n_jobs, self.pre_dispatch, self.error_score, bool(self.return_train_score), names)
        task = SearchTask(clone(self.estimator), X, y, folds, scorers, routed, options)
        evaluated: list[tuple[dict[str, Any], Any]] = []

        def evaluate(candidates: Iterable[dict[str, Any]], *, callback_ctx: Any) -> None:
            listed = list(candidates)
            evaluated.append(self._evaluate(task, listed, Announcer(self, task, listed, callback_ctx, weights)))

        self._run_search(evaluate, callback_ctx=root)
        ((results, first),) = evaluated
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
            best = set_params(clone(self.estimator), self._translate(self.best_params_))
            self.best_estimator_ = self._finish(replace_models(best, n_jobs=self.n_jobs))
            context = root.subcontext(task_name="refit-with-best-params")
            with context.propagate_callback_context(self.best_estimator_):
                context.call_on_fit_task_begin(estimator=self, **told)
                start = time.time()
                self.best_estimator_.fit(X, *([] if y is None else [y]), **routed.estimator.fit)
            self.refit_time_ = time.time() - start
            if hasattr(self.best_estimator_, "feature_names_in_"):
                self.feature_names_in_ = self.best_estimator_.feature_names_in_
            context.call_on_fit_task_end(estimator=self, **told)
        self.scorer_ = scorers._scorers if isinstance(scorers, _MultimetricScorer) else scorers
        self.cv_results_ = results
        root.call_on_fit_task_end(estimator=self, **told)
        return self

    def _evaluate(
        self: Any, task: SearchTask, candidates: Sequence[dict[str, Any]], announcer: Announcer
    ) -> tuple[dict[str, Any], Any]:
        """Score the candidates. Return the results as `cv_results_` holds them, and the first score or scores."""
        here = partial(run_units_here, track=track_on_stderr if self.verbose else track_silently, announcer=announcer)
        units = task.list_units([self._translate(params) for params in candidates])
        records: dict[tuple[int, int], dict[str, Any]] = {}
        announcer.announce_start()
        try:
            for unit, found in getattr(self, "_execute", here)(task, units):
                records |= {(unit.fold, place): record for place, record in found}
                announcer.announce(unit, found)
        except KeyboardInterrupt:
            self._keep_finished(candidates, records)
            raise
        out = [records[fold, place] for place, fold in product(range(len(candidates)), range(len(task.folds)))]
        if not out:
            message = "No fits were performed. Was the CV iterator empty? Were there no candidates?"
            raise ValueError(message)
        _warn_or_raise_about_fit_failures(out, self.error_score)
        if callable(self.scoring):
            _insert_error_scores(out, self.error_score)
        return self._format_results(candidates, self.n_splits_, out), out[0]["test_scores"]

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


def _check_size(n_splits: int, n_rows: int) -> None:
    """Refuse so many folds that their row numbers alone would fill the memory."""
    if n_splits * n_rows > _MOST_ROW_NUMBERS:
        message = (
            f"{n_splits} folds of {n_rows} rows: their row numbers take {n_splits * n_rows * 8 / 2**30:.0f} GiB. Use "
            "fewer folds, or energyknn.tuning.score_leave_one_out, which needs one search."
        )
        raise ValueError(message)
