"""Other models on the study's rows, and what their errors, intervals and columns tell, within a budget of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from energyknn.neighbors import build_index
from energyknn.progress import Track, track_on_stderr, track_silently
from energyknn.schema import Schema
from energyknn.study import describing
from energyknn.study.comparison import diagnostics, models
from energyknn.study.comparison.budget import PARTS, TOO_FEW, Plan, plan_comparison
from energyknn.study.comparison.columns import measure_columns
from energyknn.study.comparison.coverage import measure_intervals_by_decade
from energyknn.study.comparison.models import LEARNED, NOTEBOOK, ONE_MAP, TUNED_TREES
from energyknn.study.comparison.trees import find_missing_libraries
from energyknn.study.notebook import LARGEST_N_NEIGHBORS
from energyknn.study.protocol import Prepared, prepare, take_rows
from energyknn.study.results import Analyses, ComparedModel
from energyknn.study.run import Study

_BY_GROUP = (NOTEBOOK, TUNED_TREES, LEARNED)
_FOR_ONE_THREAD = 20_000  # training rows. With fewer, threads wait for one another longer than they compute
_PLANNED = 0.8  # share of the time left that is planned; the rest is for what takes longer than a few steps told

SPENT = "the budget was spent before"
"""Why a model or a part was left out of a comparison that took longer than planned."""

INTERRUPTED = "interrupted"
"""Why a model or a part was left out of a comparison that the user ended."""


class Task(NamedTuple):
    """A model to score or a part to compute.

    Attributes
    ----------
    name : str
        Words for it.
    work : float
        Seconds that it is expected to take.
    act : callable
        Computes it and keeps what it found.
    can_wait : bool
        Whether it is left out where the budget is spent.
    """

    name: str
    work: float
    act: Callable[[], None]
    can_wait: bool = True

    def __str__(self) -> str:
        return self.name


def compare_models_beyond(
    table: pd.DataFrame,
    study: Study,
    *,
    schema: Schema,
    budget: float | None = None,
    track: Track[Any] = track_silently,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[dict[str, ComparedModel], Analyses]:
    """Compare models on the study's rows and analyse their errors.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        The table of the study.
    study : Study
        Its rows, protocol and tuned k.
    schema : Schema
        The role of each column.
    budget : float or None, default=None
        Seconds. What does not fit is made smaller or left out, and said. None does everything.
    track : Track, default=track_silently
        Shows progress by models and parts, whose `work` is seconds.
    clock : callable, default=time.perf_counter
        Returns seconds.

    Returns
    -------
    models : dict of str to ComparedModel
        Scores by model.
    analyses : Analyses
        The parts that were computed, and what was made smaller or left out. After an interrupt (Ctrl-C), both hold
        what was finished before it.
    """
    data = study.data
    build_index(np.zeros((2, 1)), engine="blocked").search(np.zeros((1, 1)), 1)  # may compile; not part of the budget
    started = clock()
    listed = models.list_models(
        data.X_train.columns.tolist(),
        n_neighbors=study.tuned.n_neighbors,
        n_train=min(len(fold.train) for fold in data.folds),
        schema=schema,
    )
    too_few = {name: TOO_FEW for name in models.THAT_LEARN if name not in listed}
    if track is track_on_stderr:
        for model in listed.values():
            model.set_params(**{name: 1 for name in model.get_params() if name == "metricmap__verbose"})
    comparison = _Comparison(table, study, schema, listed, track)
    analyses = comparison.analyses
    analyses["missing"] = find_missing_libraries()
    planned = math.inf if budget is None else _PLANNED * budget
    waiting = [*listed, *PARTS.values()]
    try:
        with threadpool_limits(1 if len(data.y_train) < _FOR_ONE_THREAD else None):
            plan = plan_comparison(data, listed, planned, schema=schema, track=track)
            analyses |= {"reduced": plan.reduced, "left_out": too_few | plan.left_out}
            if budget is not None:
                analyses["budget"] = {"seconds": budget, "measured": describing.make_plain(plan.measured)}
            tasks = comparison.list_tasks(plan)
            waiting = [task.name for task in tasks]
            for task in track(tasks, "Compare models"):
                if task.can_wait and budget is not None and clock() - started >= budget:
                    analyses["left_out"][task.name] = SPENT
                else:
                    task.act()
                waiting.remove(task.name)
    except KeyboardInterrupt:
        analyses["interrupted"] = True
        analyses["left_out"] |= dict.fromkeys(waiting, INTERRUPTED)
    analyses["errors"] = _tabulate_errors(table, data, comparison.scores, schema)
    analyses["seconds"] = clock() - started
    return describing.describe_models(comparison.scores), describing.make_plain(analyses)


@dataclass(eq=False)
class _Comparison:
    """What is compared, and what was found so far."""

    table: pd.DataFrame
    study: Study
    schema: Schema
    listed: dict[str, Any]
    track: Track[Any]
    scores: dict[str, models.ModelScore] = field(default_factory=dict)
    analyses: Any = field(default_factory=lambda: {"reduced": {}, "left_out": {}, "interrupted": False})

    def list_tasks(self, plan: Plan) -> list[Task]:
        """List a task for each model and each part that is planned, and give the models the plan's parameters."""
        tasks, tested = [], take_rows(self.study.data, n_tested=plan.n_tested)
        for name, settings in plan.models.items():
            self.listed[name].set_params(**settings)
            act = partial(self.score_model, name, tested, plan.n_folds)
            tasks.append(Task(name, plan.work[name], act, can_wait=plan.measured[name].step > 0))
        acts = self.list_parts(plan.n_tested)
        parts = [Task(PARTS[name], plan.work[name], partial(acts[name], **plan.parts[name])) for name in plan.parts]
        return tasks + parts

    def list_parts(self, n_tested: int | None) -> dict[str, Callable[..., None]]:
        """List what computes each part, on so many test rows."""
        return {
            "learning_curve": self.measure_curves,
            "effects": self.measure_effects,
            "nested": self.estimate_nested,
            "intervals": partial(self.measure_intervals, n_tested=n_tested),
            "columns": self.measure_columns,
        }

    def score_model(self, name: str, data: Prepared, n_folds: int) -> None:
        """Score a model on folds and test rows."""
        self.scores[name] = models.score_model(data, self.listed[name], n_folds=n_folds, track=self.track)

    def measure_curves(self, models: Sequence[str], shares: Sequence[float]) -> None:
        """Measure the learning curve of each of some models."""
        self.analyses["learning_curve"] = {
            name: diagnostics.measure_learning_curve(
                self.study.data, self.listed[name], shares=shares, track=self.track
            )
            for name in models
        }

    def measure_effects(self, n_rows: int | None) -> None:
        """Measure the effects of the protocol on random rows of the table, or on all."""
        table, data, protocol = self.table, self.study.data, self.study.protocol
        if n_rows is not None:
            table = table.sample(n_rows, random_state=protocol.random_state, ignore_index=True)
            data = prepare(table, protocol, schema=self.schema)
        effects = diagnostics.measure_effects(
            table, protocol, self.listed[NOTEBOOK], data=data, schema=self.schema, track=self.track
        )
        self.analyses["effects"] = {"model": NOTEBOOK, "effects": effects}

    def estimate_nested(self, n_rows: int | None) -> None:
        """Estimate the error of neighbours whose k is chosen inside each fold."""
        candidates = range(1, LARGEST_N_NEIGHBORS + 1)
        data = take_rows(self.study.data, n_rows)
        self.analyses["nested"] = diagnostics.estimate_nested(data, candidates, track=self.track)

    def measure_intervals(self, model: str, n_rows: int | None, n_tested: int | None) -> None:
        """Measure what intervals cover."""
        data = take_rows(self.study.data, n_rows, n_tested)
        report = measure_intervals_by_decade(self.table, data, self.listed[model], schema=self.schema)
        self.analyses |= describing.describe_intervals(report)

    def measure_columns(self, n_folds: int, most_shuffled: int) -> None:
        """Measure how much each column counts."""
        report = measure_columns(
            self.study.data, self.listed[ONE_MAP], schema=self.schema, n_folds=n_folds, most_shuffled=most_shuffled
        )
        self.analyses |= describing.make_plain(report)


def _tabulate_errors(
    table: pd.DataFrame, data: Prepared, scores: Mapping[str, models.ModelScore], schema: Schema
) -> dict[str, dict[str, tuple[diagnostics.GroupErrors, ...]]]:
    """Tabulate the errors of up to three models by target, and by decade where the table has years."""
    predicted = {name: scores[name].predicted_test for name in _BY_GROUP if name in scores}
    if not predicted:
        return {}
    data = take_rows(data, n_tested=len(next(iter(predicted.values()))))
    groups = {"target": diagnostics.label_bins(data.y_test)}
    if schema.years:
        groups["decade"] = diagnostics.label_decades(table[schema.years[0]].to_numpy()[data.X_test.index])
    tables = {
        what: {name: diagnostics.tabulate_errors(data.y_test, rows, labels) for name, rows in predicted.items()}
        for what, labels in groups.items()
    }
    return {what: table for what, table in tables.items() if all(table.values())}
