"""Choices that need a search of their own: each tried once, with every k and weighting, until nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from real_ray import start_ray

from energyknn.cluster import choices as module
from energyknn.cluster.choices import ChoiceScores, Range, _Chooser, search_choices
from energyknn.cluster.pool import Outcome, Task, Unit
from energyknn.errors import ClusterError
from energyknn.estimators.transformers import ColumnWeights
from energyknn.splitting import fold_rows
from energyknn.tuning import Candidate, score_candidates

X = np.random.default_rng(0).normal(size=(300, 3))
y = X[:, 0] + 0.1 * X[:, 1]
FOLDS = fold_rows(len(X), n_splits=2)
GRID = {"p": (1, 2), "first": (0.5, 1.0, 3.0)}
COMMON: dict[str, Any] = {"folds": FOLDS, "n_neighbors": [3, 9], "weights": ["uniform", "distance"]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"choices": {}}, "choices is empty"),
        ({"choices": {"p": ()}}, "'p' has no values"),
        ({"choices": {"p": (1, 3)}}, r"p is \(1, 3\)"),
        ({"choices": {"p": Range(1, 2)}}, "p is Range"),
        ({"choices": {"first": Range(2, 1)}}, "low must be less than high"),
        ({"choices": {"first": Range(0, 1, log=True)}}, "above 0 where log is set"),
        ({"choices": {"first": Range(0, 1)}}, "n_trials is None, but 'first' is a range"),
        ({"choices": {"first": Range(0, 1)}, "method": "grid"}, "'first' is a range, and a grid"),
        ({"choices": GRID, "n_trials": 0}, "n_trials is 0"),
        ({"choices": GRID, "method": "guess"}, "method"),
        ({"choices": GRID, "n_neighbors": [0]}, "n_neighbors holds 0"),
        ({"choices": GRID, "scoring": ["r2", "neg_mean_squared_error"]}, "needs one scorer"),
    ],
)
def test_what_cannot_be_chosen_is_refused_before_anything_starts(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search_choices(X, y, **(COMMON | options))


class HerePool:
    """A pool without processes: the job is done here, a unit after another."""

    def __init__(self, n_workers: int = 2) -> None:
        self.facts = SimpleNamespace(n_workers=n_workers)
        self.n_runs = 0

    @contextmanager
    def open_job(self, task: Task) -> Iterator[HerePool]:
        self._task = task
        yield self

    def put(self, value: Any) -> Any:
        return value

    def run(self, units: Sequence[Unit], is_over: Callable[[], bool]) -> Iterator[tuple[Unit, Outcome]]:
        self.n_runs += 1
        for unit in units:
            if is_over():
                return
            held = self._task.prepare(*unit.data, n_jobs=1)
            yield unit, self._task.work(held, *unit.arguments(), n_jobs=1)


def search_here(choices: Mapping[str, Any], **options: Any) -> ChoiceScores:
    """Search without Ray."""
    return search_choices(X, y, choices=choices, **(COMMON | {"pool": HerePool()} | options))


def draw_all(method: Any, choices: Mapping[str, Any], *, score: Any = sum, n_trials: int = 100) -> list[Any]:
    """Draw until nothing is left, one after another."""
    chooser = _Chooser(choices, method, 0)
    drawn = []
    for key in islice(chooser, n_trials):
        drawn.append(key)
        chooser.tell(key, float(score(key)))
    return drawn


METHODS = ["random", "grid", "optuna"]


@pytest.mark.parametrize("method", METHODS)
def test_every_choice_is_tried_once_and_then_nothing_is_left(method: str) -> None:
    pytest.importorskip("optuna")
    assert sorted(draw_all(method, GRID)) == [(p, first) for p in (0, 1) for first in (0, 1, 2)]


def test_a_grid_goes_through_all_in_order() -> None:
    assert draw_all("grid", GRID) == [(p, first) for p in (0, 1) for first in (0, 1, 2)]


def test_random_draws_repeat_with_their_seed_and_fill_a_range() -> None:
    pytest.importorskip("optuna")
    choices = {"low": Range(1.0, 2.0), "log": Range(1e-4, 1.0, log=True)}
    drawn = draw_all("random", choices, n_trials=200)
    assert drawn == draw_all("random", choices, n_trials=200)
    low, log = np.array(drawn).T
    assert low.min() >= 1
    assert low.max() <= 2
    assert 0.3 < (log < 1e-2).mean() < 0.7  # half of the draws, 200 of them: false alarms below 1e-7


def test_optuna_learns_where_scores_are_good() -> None:
    pytest.importorskip("optuna")
    drawn = draw_all("optuna", {"at": Range(0.0, 1.0)}, score=lambda key: -abs(key[0] - 0.8), n_trials=60)
    off = np.abs(np.array(drawn)[:, 0] - 0.8)
    assert np.median(off[30:]) < np.median(off[:10])


def weigh_first(values: Mapping[str, Any]) -> ColumnWeights:
    return ColumnWeights({0: values["first"]})


def assert_scored_as_on_one_machine(found: ChoiceScores) -> None:
    """Hold each choice's scores to the bits of `score_candidates`, and the best to all of them."""
    for values, table in zip(found.choices, found.fold_scores, strict=True):
        transformer = weigh_first(values)  # one for all candidates, as in the trial
        candidates = [Candidate(k, name, values["p"], transformer) for k, name in found.candidates]
        np.testing.assert_array_equal(
            table, score_candidates(X, y, candidates=candidates, folds=FOLDS).test["score"], strict=True
        )
    values, k, weights, score = found.best
    assert score == found.fold_scores.mean(axis=2).max()
    assert (k, weights) in found.candidates
    assert values["first"] == 3.0


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_scores_every_choice_with_every_k_and_weighting(method: Any) -> None:
    pytest.importorskip("optuna")
    told: list[tuple[int, int]] = []
    options: dict[str, Any] = {"make_transformer": weigh_first, "method": method, "random_state": 0}
    pool = HerePool()
    found = search_here(GRID, **options, pool=pool, progress=lambda *step: told.append(step))
    assert found.is_exhausted
    assert len(found.choices) == 6
    assert found.candidates == ((3, "uniform"), (9, "uniform"), (3, "distance"), (9, "distance"))
    assert told == [(done, 6) for done in range(1, 7)]
    assert pool.n_runs == (3 if method == "optuna" else 1)  # Optuna reads the scores of two workers before it draws on
    assert_scored_as_on_one_machine(found)
    again = search_here(GRID, **options)
    assert again.choices == found.choices


def test_fewer_trials_than_choices_leave_some() -> None:
    found = search_here(GRID, make_transformer=weigh_first, method="grid", n_trials=4)
    assert [tuple(values.values()) for values in found.choices] == [(1, 0.5), (1, 1.0), (1, 3.0), (2, 0.5)]
    assert not found.is_exhausted


def test_an_outcome_without_a_score_is_not_the_best() -> None:
    pytest.importorskip("optuna")

    def score_one_side(*_: Any) -> float:
        return np.nan if scored.pop() else 1.0

    scored = [False, False, True, True]  # two folds of two choices
    found = search_here(
        {"p": (1, 2)}, method="optuna", n_neighbors=[3], weights=["uniform"], scoring=score_one_side, pool=HerePool(1)
    )
    assert np.isnan(found.fold_scores[0]).all()
    assert found.best[-1] == 1.0


def test_a_trial_that_fails_ends_the_search_with_its_own_error() -> None:
    def fail(values: Mapping[str, Any]) -> None:
        message = f"no scaler for {values['p']}"
        raise ZeroDivisionError(message)

    with pytest.raises(ZeroDivisionError, match="no scaler for 1"):
        search_here(GRID, make_transformer=fail, method="grid")


def test_a_time_budget_ends_the_search_with_what_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(now=100.0)

    def wait(values: Mapping[str, Any]) -> None:
        clock.now += values["seconds"]

    monkeypatch.setattr(module, "monotonic", lambda: clock.now)
    options: dict[str, Any] = {"make_transformer": wait, "method": "grid"}
    found = search_here({"seconds": (1, 2, 30, 4)}, **options, time_budget=25)
    assert [values["seconds"] for values in found.choices] == [1, 2, 30]
    assert not found.is_exhausted
    with pytest.raises(ClusterError, match="No choice was scored within the time"):
        search_here({"seconds": (1, 2)}, **options, time_budget=0)


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Start Ray as a user would, once for all tests."""
    with start_ray() as ray:
        yield ray


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
@pytest.mark.parametrize("method", METHODS)
def test_workers_score_as_one_machine(method: Any) -> None:
    def weigh(values: Mapping[str, Any]) -> ColumnWeights:  # within, so that workers need not import this file
        return ColumnWeights({0: values["first"]})

    found = search_choices(X, y, choices=GRID, make_transformer=weigh, method=method, random_state=0, **COMMON)
    assert found.is_exhausted
    assert len(found.choices) == 6
    assert_scored_as_on_one_machine(found)


@pytest.mark.ray
def test_alone_it_starts_quietly_and_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import numpy as np, ray\n"
        "from energyknn.cluster.choices import search_choices\n"
        "from energyknn.splitting import fold_rows\n"
        "X, folds = np.random.default_rng(0).normal(size=(60, 2)), fold_rows(60, n_splits=2)\n"
        "options = {'folds': folds, 'n_neighbors': [3], 'method': 'optuna', 'num_cpus': 1}\n"
        "search_choices(X, X[:, 0], choices={'p': (1, 2)}, **options)\n"
        "print(ray.is_initialized())\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    environment |= {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600, check=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert not (tmp_path / "ray_results").exists()
