"""The tools behind --search: the scores of the grid from each, and no wait for a GPU that is not there."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from made_tracks import make_tracks

from energyknn.study.cli import main
from energyknn.study.protocol import COARSE_N_NEIGHBORS, Protocol, prepare
from energyknn.study.tools import choose_search
from energyknn.tuning import ScoreTable


@pytest.fixture(scope="module")
def data():
    return prepare(make_tracks(400), Protocol())


@pytest.fixture(scope="module")
def grid(data):
    return choose_search("grid").score("coarse", data, COARSE_N_NEIGHBORS)


def search_and_keep(tool, data, stage):
    kept = {}

    def keep(name, search):
        kept[name] = search
        return search

    return choose_search(tool, keep=keep).score(stage, data, COARSE_N_NEIGHBORS), kept


def test_one_search_scores_as_the_grid(data, grid):
    scores, kept = search_and_keep("one-search", data, "coarse")
    np.testing.assert_allclose(scores.values, grid.values, rtol=0, atol=1e-12)
    assert isinstance(kept["coarse"], ScoreTable)


@pytest.mark.ray
def test_ray_tune_scores_as_the_grid(data, grid):
    scores, kept = search_and_keep("ray", data, "coarse")
    np.testing.assert_allclose(scores.values, grid.values, rtol=0, atol=1e-12)
    assert isinstance(kept["coarse"], ScoreTable)


@pytest.mark.tune_sklearn
def test_tune_sklearn_draws_first_and_takes_the_grid_then(data, grid):
    scores, kept = search_and_keep("tune-sklearn", data, "coarse")
    expected = dict(zip(grid.n_neighbors, grid.values, strict=True))
    for n_neighbors, fold_scores in zip(scores.n_neighbors, scores.values, strict=True):
        np.testing.assert_allclose(fold_scores, expected[n_neighbors], rtol=0, atol=1e-12)
    assert type(kept["coarse"]).__name__ == "TuneSearchCV"
    _, kept = search_and_keep("tune-sklearn", data, "micro")
    assert type(kept["micro"]).__name__ == "GridSearchCV"


@pytest.mark.parametrize(
    "tool",
    [pytest.param("ray", marks=pytest.mark.ray), pytest.param("tune-sklearn", marks=pytest.mark.tune_sklearn)],
)
def test_the_study_runs_with_the_tool_and_refuses_a_gpu_that_is_not_there(tmp_path, capsys, tool):
    arguments = ["reproduce", "--search", tool, "--no-honest", "--no-report", "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["protocol"]["search"] == tool
    capsys.readouterr()
    start = time.perf_counter()
    assert main([*arguments, str(tmp_path / "gpu"), "--use-gpu"]) == 2
    assert time.perf_counter() - start < 5  # the promise is an answer within five seconds, not a speed
    error = capsys.readouterr().err
    assert "Ray sees 0 GPUs" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "gpu").exists()
