"""What a search says while it runs: the lines that `verbose` asks for, and what callbacks are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from joblib.logger import short_format_time
from sklearn.utils.metaestimators import _safe_split
from sklearn.utils.validation import _check_method_params

if TYPE_CHECKING:
    from energyknn.estimators.search_units import Records, SearchTask, SearchUnit

_WIDTH = 80


@dataclass(eq=False)
class Announcer:
    """Says what a search of scikit-learn says while it scores candidates, in the same words.

    Parameters
    ----------
    search : KNNGridSearchCV, KNNRandomizedSearchCV or KNNSearchCV
        The search.
    task : SearchTask
        Its rows and folds.
    candidates : sequence of dict
        Its candidates.
    context : CallbackContext
        scikit-learn's context of the search.
    sample_weight : array-like of shape (n_rows,) or None
        Weights of the rows, which callbacks get.
    """

    search: Any
    task: SearchTask
    candidates: Sequence[Mapping[str, Any]]
    context: Any
    sample_weight: Any

    def __post_init__(self) -> None:
        self._left_to_scikit_learn: set[int] = set()
        self._has_callbacks = bool(getattr(self.search, "_skl_callbacks", ()))

    def announce_start(self) -> None:
        """Say how many fits there are."""
        n_folds, n_candidates = len(self.task.folds), len(self.candidates)
        if self.search.verbose > 0:
            fits = f"{n_candidates} candidates, totalling {n_candidates * n_folds} fits"
            print(f"Fitting {n_folds} folds for each of {fits}")  # noqa: T201 - as scikit-learn

    def leave_to_scikit_learn(self, unit: SearchUnit) -> dict[str, Any]:
        """Return what scikit-learn's own function needs to announce a candidate without a neighbour model itself."""
        self._left_to_scikit_learn.add(id(unit))
        place = unit.candidates[0].place
        return {
            "verbose": self.search.verbose,
            "split_progress": (unit.fold, len(self.task.folds)),
            "candidate_progress": (place, len(self.candidates)),
            "caller": self.search,
            "callback_ctx": self._open_context(unit.fold, place),
        }

    def announce(self, unit: SearchUnit, records: Records) -> None:
        """Say how the candidates of a unit did."""
        if id(unit) in self._left_to_scikit_learn:
            return
        for place, record in records:
            if self.search.verbose > 1:
                self._print(unit.fold, place, record)
            if self._has_callbacks:
                told = self._describe_rows(unit.fold)
                context = self._open_context(unit.fold, place)
                context.call_on_fit_task_begin(estimator=self.search, **told)
                context.call_on_fit_task_end(estimator=self.search, **told)

    def _open_context(self, fold: int, place: int) -> Any:
        """Open scikit-learn's context of one candidate on one fold."""
        number = place * len(self.task.folds) + fold
        return self.context.subcontext(task_name="candidate-split-evaluation", task_id=number)

    def _describe_rows(self, fold: int) -> dict[str, Any]:
        """Return the training rows of a fold as callbacks get them."""
        task, (train, _) = self.task, self.task.folds[fold]
        X, y = _safe_split(task.estimator, task.X, task.y, train)
        if self.sample_weight is None:
            return {"X": X, "y": y, "metadata": None}
        weights = _check_method_params(task.X, params={"sample_weight": self.sample_weight}, indices=train)
        return {"X": X, "y": y, "metadata": weights}

    def _print(self, fold: int, place: int, record: Mapping[str, Any]) -> None:
        """Print the line of one candidate on one fold, and before it that of its start where that is asked for."""
        verbose = self.search.verbose
        which = f" {fold + 1}/{len(self.task.folds)}" if verbose > 2 else ""
        which += f"; {place + 1}/{len(self.candidates)}" if verbose > 9 else ""
        params = ", ".join(f"{name}={value}" for name, value in sorted(self.candidates[place].items()))
        if verbose > 9:
            print(f"[CV{which}] START {params}".ljust(_WIDTH, "."))  # noqa: T201 - as scikit-learn
        scores = _describe_scores(record) if verbose > 2 else ""
        seconds = short_format_time(record["fit_time"] + record["score_time"])
        result = f"{params}{';' if params else ''}{scores} total time={seconds}"
        print(f"[CV{which}] END ".ljust(_WIDTH - len(result), ".") + result)  # noqa: T201 - as scikit-learn


def _describe_scores(record: Mapping[str, Any]) -> str:
    """Describe the scores of one candidate on one fold."""
    test, train = record["test_scores"], record.get("train_scores")
    if not isinstance(test, Mapping):
        return f", score={test:.3f}" if train is None else f", score=(train={train:.3f}, test={test:.3f})"
    shown = {name: "" if train is None else f"train={train[name]:.3f}, " for name in sorted(test)}
    return "".join(f" {name}: ({before}test={test[name]:.3f})" for name, before in shown.items())
