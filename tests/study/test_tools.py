"""The tools behind --search: the scores of the grid from each, and no wait for a GPU that is not there."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_tracks import make_tracks

from energyknn.study.cli import main
from energyknn.study.notebook import COARSE_N_NEIGHBORS
from energyknn.study.protocol import Protocol, prepare
from energyknn.study.tools import choose_tool


@pytest.fixture(scope="module")
def data():
    return prepare(make_tracks(400), Protocol())


@pytest.fixture(scope="module")
def grid(data):
    return choose_tool("grid").coarse(data, COARSE_N_NEIGHBORS).scores


@pytest.mark.parametrize("tool", ["one-search", pytest.param("ray", marks=pytest.mark.ray)])
def test_a_tool_of_ours_scores_as_the_grid(data, grid, tool):
    scores, search = choose_tool(tool).coarse(data, COARSE_N_NEIGHBORS)
    np.testing.assert_allclose(scores.values, grid.values, rtol=0, atol=1e-12)
    assert search is None


@pytest.mark.tune_sklearn
def test_tune_sklearn_draws_first_and_takes_the_grid_then(data, grid):
    tool = choose_tool("tune-sklearn")
    scores, search = tool.coarse(data, COARSE_N_NEIGHBORS)
    expected = dict(zip(grid.n_neighbors, grid.values, strict=True))
    for n_neighbors, row in zip(scores.n_neighbors, scores.values, strict=True):
        np.testing.assert_allclose(row, expected[n_neighbors], rtol=0, atol=1e-12)
    assert type(search).__name__ == "TuneSearchCV"
    assert type(tool.micro(data, COARSE_N_NEIGHBORS).search).__name__ == "GridSearchCV"


@pytest.mark.parametrize(
    "tool",
    [pytest.param("ray", marks=pytest.mark.ray), pytest.param("tune-sklearn", marks=pytest.mark.tune_sklearn)],
)
def test_the_study_runs_with_the_tool_and_refuses_a_gpu_that_is_not_there(tmp_path, capsys, tool):
    arguments = ["reproduce", "--search", tool, "--no-honest", "--no-report", "--out"]
    assert main([*arguments, str(tmp_path / "out")]) == 0
    assert json.loads((tmp_path / "out" / "results.json").read_text())["protocol"]["search"] == tool
    capsys.readouterr()
    assert main([*arguments, str(tmp_path / "gpu"), "--use-gpu"]) == 2
    error = capsys.readouterr().err
    assert "Ray sees 0 GPUs" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "gpu").exists()
