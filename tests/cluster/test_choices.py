"""Choices that need a search of their own: each tried once, with every k and weighting, until nothing is left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_ray import start_ray

from energyknn.cluster.choices import Range, _draw, _Space, search_choices
from energyknn.errors import ClusterError
from energyknn.estimators.transformers import ColumnWeights
from energyknn.splitting import fold_rows
from energyknn.tuning.candidates import Candidate, score_candidates

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
        ({"choices": {"first": Range(0, 1)}, "method": "grid"}, "'first' is a range, of which a grid"),
        ({"choices": GRID, "n_trials": 0}, "n_trials is 0"),
        ({"choices": GRID, "method": "guess"}, "method"),
        ({"choices": GRID, "n_neighbors": [0]}, "n_neighbors holds 0"),
        ({"choices": GRID, "scoring": ["r2", "neg_mean_squared_error"]}, "needs one scorer"),
    ],
)
def test_what_cannot_be_chosen_is_refused_before_anything_starts(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search_choices(X, y, **(COMMON | options))


def draw_all(method: Any, choices: Mapping[str, Any], *, n_trials: int | None = None) -> list[tuple[float, ...]]:
    space = _Space(choices, n_trials, method=method)
    draws = _draw(space, method, 0)
    found: list[tuple[float, ...]] = []
    for _ in range(space.n_trials + 2):
        chosen = draws.next()
        if chosen is None:
            break
        found.append(tuple(chosen.values()))
        draws.learn(chosen, -float(sum(chosen.values())))
    return found


@pytest.mark.parametrize("method", ["random", "grid", "optuna"])
def test_every_choice_is_tried_once_and_then_nothing_is_left(method: str) -> None:
    if method == "optuna":
        pytest.importorskip("optuna")
    drawn = draw_all(method, GRID)
    assert sorted(drawn) == [(p, first) for p in (0, 1) for first in (0, 1, 2)]


def test_random_draws_repeat_with_their_seed_and_fill_a_range() -> None:
    choices = {"low": Range(1.0, 2.0), "log": Range(1e-4, 1.0, log=True)}
    drawn = draw_all("random", choices, n_trials=200)
    assert drawn == draw_all("random", choices, n_trials=200)
    low, log = np.array(drawn).T
    assert low.min() >= 1
    assert low.max() <= 2
    assert 0.3 < (log < 1e-2).mean() < 0.7  # half of the draws, 200 of them: false alarms below 1e-7


def test_optuna_learns_where_scores_are_good() -> None:
    pytest.importorskip("optuna")
    space = _Space({"at": Range(0.0, 1.0)}, 60, method="optuna")
    draws = _draw(space, "optuna", 0)
    found = []
    for _ in range(60):
        chosen = draws.next()
        assert chosen is not None
        found.append(chosen["at"])
        draws.learn(chosen, -abs(chosen["at"] - 0.8))
    assert np.median(np.abs(np.array(found[30:]) - 0.8)) < np.median(np.abs(np.array(found[:10]) - 0.8))


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Start Ray as a user would, once for all tests."""
    with start_ray() as ray:
        yield ray


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
@pytest.mark.parametrize("method", ["grid", "random", "optuna"])
def test_scores_are_those_of_one_machine(method: Any) -> None:
    def weigh_first(values: Mapping[str, Any]) -> ColumnWeights:  # within, so that workers need not import this file
        return ColumnWeights({0: values["first"]})

    told: list[tuple[int, int]] = []
    found = search_choices(
        X,
        y,
        choices=GRID,
        make_transformer=weigh_first,
        method=method,
        random_state=0,
        progress=lambda *step: told.append(step),
        **COMMON,
    )
    assert found.is_exhausted
    assert len(found.choices) == 6
    assert told == [(done, 6) for done in range(1, 7)]
    for values, table in zip(found.choices, found.fold_scores, strict=True):
        candidates = [Candidate(k, name, values["p"], weigh_first(values)) for k, name in found.candidates]
        # one group of candidates, as in the trial: they share one transformer
        candidates = [candidate._replace(transformer=candidates[0].transformer) for candidate in candidates]
        expected = score_candidates(X, y, candidates=candidates, folds=FOLDS)
        np.testing.assert_array_equal(table, expected.test["score"])
    values, k, weights, score = found.best
    assert score == found.fold_scores.mean(axis=2).max()
    assert (k, weights) in found.candidates
    assert values["first"] == 3.0


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
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120, check=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert not (tmp_path / "ray_results").exists()


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
def test_a_trial_that_fails_ends_the_search_with_its_own_error() -> None:
    def fail(values: Mapping[str, Any]) -> None:
        message = f"no scaler for {values['p']}"
        raise ZeroDivisionError(message)

    with pytest.raises(ZeroDivisionError, match="no scaler for"):
        search_choices(X, y, choices=GRID, make_transformer=fail, **COMMON)


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
def test_a_time_budget_ends_the_search_with_what_is_scored() -> None:
    def wait(values: Mapping[str, Any]) -> ColumnWeights:
        time.sleep(values["seconds"])
        return ColumnWeights()

    choices = {"seconds": (0.0, 0.1, 300.0, 301.0, 302.0, 303.0)}
    start = time.monotonic()
    found = search_choices(X, y, choices=choices, make_transformer=wait, method="grid", time_budget=25.0, **COMMON)
    assert time.monotonic() - start < 100
    scored = [values["seconds"] for values in found.choices]
    assert scored[0] == 0.0
    assert set(scored) <= {0.0, 0.1}  # a busy machine may not come to the second
    assert not found.is_exhausted
    with pytest.raises(ClusterError, match="No choice was scored within the time"):
        search_choices(X, y, choices={"seconds": (300.0,)}, make_transformer=wait, time_budget=2.0, **COMMON)
