"""The real file of full size: every figure that plain scikit-learn gives on it, to 1e-9."""

from __future__ import annotations

import json

import pytest

from energyknn.cli import main

pytestmark = pytest.mark.full_data

ROWS = 172_491
FIGURES = {
    ("base", "train", "r2"): 0.8223971858969,
    ("base", "train", "rmse"): 0.0985110654253,
    ("base", "test", "r2"): 0.7264087052050,
    ("base", "test", "rmse"): 0.1213522099997,
    ("tuned", "train", "r2"): 0.7804955716111,
    ("tuned", "train", "rmse"): 0.1095170502313,
    ("tuned", "test", "r2"): 0.7405608714814,
    ("tuned", "test", "rmse"): 0.1181719197587,
}
COARSE = (0.5646865, 0.7386827, 0.7378965, 0.7339083, 0.7299618, 0.7264199)
MICRO_BEST_SCORE = 0.7394614


@pytest.fixture(scope="module")
def results(full_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("full") / "out"
    arguments = ["--data", str(full_data), "--reference-year", "2021", "--search", "grid", "--no-honest"]
    assert main(["reproduce", *arguments, "--out", str(out)]) == 0
    return json.loads((out / "results.json").read_text(encoding="utf-8"))


def test_the_file_is_the_one_that_the_figures_are_of(results):
    assert results["data"]["rows"] == ROWS
    assert results["data"]["nulls"] == 0
    assert (results["protocol"]["train_rows"], results["protocol"]["test_rows"]) == (137_992, 34_499)


@pytest.mark.parametrize(("model", "side", "score"), FIGURES)
def test_base_and_tuned_figures(results, model, side, score):
    assert results[model][side][score] == pytest.approx(FIGURES[model, side, score], rel=0, abs=1e-9)


def test_both_searches(results):
    assert results["coarse"]["best"] == 11
    assert results["coarse"]["mean_test_score"] == pytest.approx(COARSE, rel=0, abs=5.1e-8)  # known to seven digits
    assert results["micro"]["best"] == 14
    assert max(results["micro"]["mean_test_score"]) == pytest.approx(MICRO_BEST_SCORE, rel=0, abs=5.1e-8)
    assert results["tuned"]["n_neighbors"] == 14
