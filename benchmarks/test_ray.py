"""What does Ray cost? The notebook's coarse search as Ray trials, and as one search per fold in this process."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from harness.rivals import COARSE, GRID, score_ours, search_grid

from energyknn.tuning.candidates import Candidate

QUESTION = "Ray overhead"


@pytest.mark.parametrize("rival", [GRID, pytest.param("Ray Tune, started for it", marks=pytest.mark.ray)])
def test_ray_overhead(record, require, few, rival):
    if rival != GRID:
        require("Ray Tune", "ray")

    def ask_ray():
        module = importlib.import_module("energyknn.tuning.ray_tune")
        return module.search_ray_tune(few.X, few.y, n_neighbors=COARSE, folds=few.folds).mean_test_score

    def ask_grid():
        return search_grid(few, {"n_neighbors": list(COARSE)})["mean_test_score"]

    record.compare(
        f"{len(COARSE)} candidates, {len(few.y):,} rows", rival,
        ours=lambda: score_ours(few, [Candidate(k) for k in COARSE]).mean(axis=1),
        theirs=ask_grid if rival == GRID else ask_ray,
        check=lambda ours, theirs: np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-4),
        pairs=1, n_ours=3, check_first=False,
    )  # fmt: skip
