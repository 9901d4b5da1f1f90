"""The real file of full size: every figure that plain scikit-learn gives on it, to 1e-9."""

from __future__ import annotations

import json

import pytest

from energyknn.study.cli import main

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
# mean scores of GridSearchCV(KNeighborsRegressor(n_jobs=-1), cv=4) after the notebook's own cells, scikit-learn 1.9.1
COARSE = {
    1: 0.5646865554428775,
    11: 0.7386827289631848,
    21: 0.7378964848589271,
    31: 0.733908331953949,
    41: 0.7299618202666165,
    51: 0.7264198967975289,
}
MICRO = {
    11: 0.7386827289631848,
    12: 0.7391664690078449,
    13: 0.7394336305972027,
    14: 0.7394614117670358,
    15: 0.7394160168443222,
    16: 0.7392376836793402,
}


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


@pytest.mark.parametrize(("stage", "expected", "best"), [("coarse", COARSE, 11), ("micro", MICRO, 14)])
def test_both_searches(results, stage, expected, best):
    assert results[stage]["n_neighbors"] == list(expected)
    assert results[stage]["mean_test_score"] == pytest.approx(list(expected.values()), rel=0, abs=1e-9)
    assert results[stage]["best"] == best


def test_one_search_with_our_own_engine_gives_the_same_figures(results, full_data, tmp_path):
    arguments = ["--data", str(full_data), "--no-honest", "--no-report", "--out", str(tmp_path / "out")]
    assert main(["reproduce", *arguments]) == 0
    own = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    for stage in ("coarse", "micro"):
        assert own[stage]["mean_test_score"] == pytest.approx(results[stage]["mean_test_score"], rel=0, abs=1e-9)
    for model in ("base", "tuned"):
        for side in ("train", "train_without_self", "test"):
            assert own[model][side] == pytest.approx(results[model][side], rel=0, abs=1e-9)
