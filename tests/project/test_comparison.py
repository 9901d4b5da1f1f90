"""The long comparison: what is finished is kept, a run that was ended goes on, and the page is drawn from that."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from compare_models import main
from comparison import running
from comparison.choosing import FILES, LEARNING, PREDICTING, choose_defaults, find_best, select_unused
from comparison.mlkr import compare_with_mlkr, is_installed
from comparison.page import list_settings, render_page, tell_outcome
from comparison.problems import PROBLEMS
from comparison.running import LINE, NOTEBOOK, OURS, Plan, read_table, run_honesty, run_plan, run_reliability
from comparison.state import read_state, write_state
from draw_comparison import main as draw
from made_tracks import make_tracks
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error

from energyknn.estimators import LocalLinearRegressor, MetricMap, make_learned_regressor
from energyknn.fitting import fit_in_groups
from energyknn.study.comparison.bootstrap import estimate_over_splits, estimate_rmse_difference
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, prepare

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "benchmarks" / "comparison" / "results.json"
QUICK_MAP = {"n_rounds": 2, "n_queries": 200, "n_components": 3, "n_neighbors": 20}
QUICK = {"n_maps": 1, **QUICK_MAP}
PLAN = Plan(
    "tracks", (42, 43), models=(OURS, "scikit-learn", NOTEBOOK, LINE), learning=QUICK,
    tuning={"n_trials": 2, "max_trees": 8, "time_budget": None},
)  # fmt: skip


def say(_):
    """Say nothing."""


@pytest.fixture(scope="module")
def table():
    return make_tracks(400)


@pytest.fixture(scope="module")
def path(table, tmp_path_factory):
    """Run two splits, songs on one side of a third, and the honesty of the first."""
    path = tmp_path_factory.mktemp("comparison") / "results.json"
    with pytest.MonkeyPatch.context() as patch:
        few_trees = partial(running.HistGradientBoostingRegressor, max_iter=5)
        patch.setattr(running, "HistGradientBoostingRegressor", few_trees)
        patch.setattr(running, "measure_columns", partial(running.measure_columns, n_repeats=1))
        run_plan(PLAN, table, path, say=say)
        run_plan(replace(PLAN, groups="songs", seeds=(42,)), table, path, say=say)
        run_honesty(PLAN, table, path, say=say)
        run_reliability(PLAN, table, path, say=say)
    return path


@pytest.mark.slow
def test_every_model_has_a_record_for_every_split(path):
    state = read_state(path)
    keys = [(record["groups"], record["seed"], record["model"]) for record in state["records"]]
    expected = [("none", seed, name) for seed in PLAN.seeds for name in PLAN.models]
    assert keys == [*expected, *(("songs", 42, name) for name in PLAN.models)]
    for record in state["records"]:
        assert record["rmse"]["low"] < record["rmse"]["value"] < record["rmse"]["high"]
        assert record["seconds"] > 0
    assert str(path.parent) not in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_record_is_what_the_model_scores(table, path):
    data = prepare(table, Protocol(scaling="train_only", random_state=43))
    model = LinearRegression().fit(data.X_train, data.y_train)
    record = next(r for r in read_state(path)["records"] if r["seed"] == 43 and r["model"] == LINE)
    assert record["r2"] == pytest.approx(model.score(data.X_test, data.y_test), rel=1e-6)


def test_ours_is_told_songs_where_they_are_kept_on_one_side(table, tmp_path):
    recordings = pd.concat([table.iloc[:300], table.iloc[:150]], ignore_index=True)
    plan = replace(PLAN, groups="songs", seeds=(42,), models=(OURS,))
    (record,) = run_plan(plan, recordings, tmp_path / "results.json", say=say)["records"]
    data = prepare(recordings, Protocol(scaling="train_only", groups="songs", random_state=42))
    numbers = [name for name in data.X_train if name in SPOTIFY.numbers]
    model = make_learned_regressor(numbers, [name for name in data.X_train if name not in numbers], **QUICK)
    told, not_told = (
        fit_in_groups(clone(model), data.X_train, data.y_train, groups).predict(data.X_test)
        for groups in (data.groups, None)
    )
    assert record["rmse"]["value"] == pytest.approx(root_mean_squared_error(data.y_test, told), rel=1e-9)
    assert record["rmse"]["value"] != pytest.approx(root_mean_squared_error(data.y_test, not_told), rel=1e-6)


@pytest.mark.slow
def test_trees_are_tuned_once_for_a_file(path):
    choice = read_state(path)["choices"]["tracks"]["scikit-learn"]
    assert len(choice["trials"]) == 3
    assert choice["n_trees"] <= 8


@pytest.mark.slow
def test_differences_are_paired_over_test_rows(table, path):
    state = read_state(path)
    data = prepare(table, Protocol(scaling="train_only", random_state=42))
    key = {"problem": "tracks", "groups": "none", "seed": 42}
    ours, theirs = (running._read_predictions(path, {**key, "model": name}) for name in (OURS, LINE))
    expected = estimate_rmse_difference(data.y_test, ours, theirs)
    found = next(d for d in state["differences"] if d["seed"] == 42 and d["groups"] == "none" and d["model"] == LINE)
    assert found["rmse"]["value"] == pytest.approx(expected.value, rel=1e-6)


@pytest.mark.slow
def test_what_is_finished_is_not_run_again(table, path, monkeypatch):
    def refuse(*_, **__):
        pytest.fail("a model was made again")

    before = path.read_text(encoding="utf-8")
    monkeypatch.setattr(running, "_make_model", refuse)
    run_plan(PLAN, table, path, say=say)
    run_honesty(PLAN, table, path, say=say)
    run_reliability(PLAN, table, path, say=say)
    assert path.read_text(encoding="utf-8") == before


@pytest.mark.slow
def test_intervals_and_columns_are_kept_and_shown(path):
    found = read_state(path)["reliability"]["tracks"]
    assert found["coverage"][0]["n_rows"] == sum(row["n_rows"] for row in found["coverage"][1:])
    text, _ = render_page(read_state(path), "results.json")
    assert "Intervals and columns" in text
    assert f"| all | {found['coverage'][0]['n_rows']:,} | {100 * found['coverage'][0]['coverage']:.2f} |" in text
    assert f"| loudness | {found['weights']['loudness']['value']:.4f} (" in text


def test_a_run_that_was_interrupted_goes_on(table, tmp_path, monkeypatch):
    path, make = tmp_path / "results.json", running._make_model

    def interrupt(plan, state, name, data, schema):
        if name == LINE:
            raise KeyboardInterrupt
        return make(plan, state, name, data, schema)

    plan = replace(PLAN, seeds=(42,), models=(NOTEBOOK, LINE))
    monkeypatch.setattr(running, "_make_model", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, table, path, say=say)
    kept = read_state(path)["records"]
    assert [record["model"] for record in kept] == [NOTEBOOK]
    monkeypatch.setattr(running, "_make_model", make)
    run_plan(plan, table, path, say=say)
    assert read_state(path)["records"][0] == kept[0]
    assert [record["model"] for record in read_state(path)["records"]] == [NOTEBOOK, LINE]


@pytest.mark.slow
def test_results_of_another_file_are_refused(table, path):
    with pytest.raises(ValueError, match="results of another file"):
        run_plan(PLAN, table.iloc[:300], path, say=say)


def test_a_state_is_read_as_it_was_written(tmp_path):
    state = read_state(tmp_path / "none.json") | {"records": [{"value": 1 / 3, "name": "é"}], "differences": []}
    write_state(tmp_path / "a.json", state)
    assert read_state(tmp_path / "a.json") == state | {"records": [{"value": 0.33333333, "name": "é"}]}


@pytest.mark.slow
def test_the_page_says_what_was_kept(path, tmp_path):
    state = read_state(path)
    first, second = list_settings(state)
    assert (first["groups"], second["groups"]) == ("none", "songs")
    assert first["seeds"] == [42, 43]
    line = next(model for model in first["models"] if model["name"] == LINE)
    values = {
        name: [r["rmse"]["value"] for r in state["records"] if r["groups"] == "none" and r["model"] == name]
        for name in (OURS, LINE)
    }
    expected = estimate_over_splits(values[OURS], values[LINE], test_share=80 / 320)
    assert line["difference"] == expected._asdict()
    assert line["rmse"] == pytest.approx(np.mean(values[LINE]))
    alone = next(model for model in second["models"] if model["name"] == LINE)
    assert alone["difference"]["low"] < alone["difference"]["value"]
    assert draw([str(path), "--out", str(tmp_path)]) == 0
    text = (tmp_path / "beyond.md").read_text(encoding="utf-8")
    assert (tmp_path / "pictures" / "beyond-differences.png").read_bytes().startswith(b"\x89PNG")
    assert f"| {LINE} | {np.mean(values[LINE]):.5f} |" in text
    for words in ("## Real tracks, every song on one side", "songs on both sides", "one learned map"):
        assert words in text
    lines = [row for row in text.splitlines() if row.startswith("|")]
    assert all(row.endswith("|") for row in lines)


@pytest.mark.slow
def test_a_page_without_intervals_has_no_picture(path):
    state = read_state(path)
    state["records"] = [record for record in state["records"] if record["seed"] == 43]
    text, pictures = render_page(state | {"differences": []}, "results.json")
    assert pictures == {}
    assert "![" not in text
    assert "no interval" in text


def test_the_learned_map_beside_mlkr(table):
    if not is_installed():
        pytest.skip("metric-learn is not installed")
    found = compare_with_mlkr(prepare(table, Protocol()), n_rows=100, n_components=2, max_iter=3)
    assert found["mlkr"]["bytes_of_pairs"] == 80_000
    for side in ("ours", "ours_linear", "mlkr"):
        assert 0 < found[side]["rmse"] < 0.5
        assert found[side]["seconds"] > 0


@pytest.fixture(scope="module")
def fits(table):
    """Try two learning rates with two ways to weigh, on the rows that no test row is among."""
    small = {"learning": {"n_rows": (100,), "learning_rate": (0.01, 0.1)}, "predicting": {"sharpness": (0.5, 2.0)}}
    return list(choose_defaults(table, [], schema=SPOTIFY, random_state=42, **small, **QUICK_MAP))


def test_defaults_are_chosen_on_rows_that_are_test_rows_under_neither_protocol(table):
    """Some songs are there twice, so that the two protocols test on different rows."""
    recordings = pd.concat([table.iloc[:300], table.iloc[:150]], ignore_index=True)
    unused = select_unused(recordings, schema=SPOTIFY, random_state=42)
    tested = [
        set(prepare(recordings, Protocol(scaling="train_only", groups=groups, random_state=42)).X_test.index)
        for groups in ("none", "songs")
    ]
    assert tested[0] - tested[1]
    assert tested[1] - tested[0]
    assert set(unused) == set(range(len(recordings))) - tested[0] - tested[1]


@pytest.mark.medium
def test_a_choice_does_not_depend_on_test_rows(table, fits):
    unused = select_unused(table, schema=SPOTIFY, random_state=42)
    changed = table.copy()
    tested = ~np.isin(np.arange(len(table)), unused)
    changed.loc[tested, "energy"] = 1 - changed.loc[tested, "energy"]
    small = {"learning": {"n_rows": (100,), "learning_rate": (0.01,)}, "predicting": {"sharpness": (0.5, 2.0)}}
    found = list(choose_defaults(changed, [], schema=SPOTIFY, random_state=42, **small, **QUICK_MAP))
    assert tested.any()
    assert found == [fit for fit in fits if fit["learning_rate"] == 0.01]


def test_every_setting_is_tried_under_both_protocols(fits):
    keys = {(fit["groups"], fit["n_rows"], fit["learning_rate"]) for fit in fits}
    assert keys == {(groups, 100, rate) for groups in ("none", "songs") for rate in (0.01, 0.1)}
    for fit in fits:
        assert [score["sharpness"] for score in fit["scores"]] == [0.5, 2.0]
        assert all(0 < score["rmse"] < 1 for score in fit["scores"])


def test_the_best_setting_errs_least_in_the_mean_of_files_and_protocols():
    """The errors of the gems are a hundred times as large, and count as much."""

    def fit(groups, rate, *errors):
        scores = [{"sharpness": sharpness, "rmse": rmse} for sharpness, rmse in zip((1.0, 2.0), errors, strict=True)]
        return {"groups": groups, "learning_rate": rate, "scores": scores}

    tracks = [fit("none", 0.1, 3.0, 1.0), fit("songs", 0.1, 1.0, 4.0), fit("none", 0.2, 2.0, 2.0)]
    gems = [fit("none", 0.1, 100.0, 60.0), fit("none", 0.2, 1.0, 1.0)]
    best = find_best({"tracks": {"fits": tracks}, "diamonds": {"fits": gems}})
    errors = {("tracks", "none"): 1.0, ("tracks", "songs"): 4.0, ("diamonds", "none"): 60.0}
    assert best["mean"] == pytest.approx(240 ** (1 / 3))
    assert best == {"learning_rate": 0.1, "sharpness": 2.0, "rmse": errors, "mean": best["mean"]}


def test_what_was_tried_is_not_tried_again(table, fits):
    learning = {"n_rows": (100,), "learning_rate": (0.01, 0.1)}
    assert list(choose_defaults(table, fits, schema=SPOTIFY, random_state=42, learning=learning, **QUICK_MAP)) == []


def test_the_defaults_are_the_committed_choice():
    known = read_state(COMMITTED)["defaults"]
    assert tuple(known) == FILES
    for found in known.values():
        assert len(found["fits"]) == 2 * np.prod([len(values) for values in LEARNING.values()])
    best = find_best(known)
    assert {name: MetricMap().get_params()[name] for name in LEARNING} == {name: best[name] for name in LEARNING}
    predicting = LocalLinearRegressor().get_params()
    assert {name: predicting[name] for name in PREDICTING} == {name: best[name] for name in PREDICTING}


@pytest.mark.slow
def test_the_page_shows_mlkr_where_it_was_run(path):
    sides = {
        "ours": {"rmse": 0.1, "seconds": 2.0},
        "ours_linear": {"rmse": 0.1, "seconds": 2.0},
        "mlkr": {"rmse": 0.2, "seconds": 9.0, "bytes_of_pairs": 8_000_000},
    }
    found = {"rows": 1000, "components": 8, "neighbors": 50, "version": "1.2.3", **sides}
    text, _ = render_page(read_state(path) | {"mlkr": {"tracks": found}}, "results.json")
    assert "| MLKR, metric-learn 1.2.3 | 0.20000 | 9.0 |" in text
    assert "MLKR" not in render_page(read_state(path), "results.json")[0]


@pytest.mark.slow
def test_the_page_says_what_was_not_run(path):
    text, _ = render_page(read_state(path), "results.json")
    lacking = text[text.index("## Not run yet") :]
    assert "- the learned distance on real tracks, rows split at random, split 44, 45, 46, 47" in lacking
    assert "- CatBoost on synthetic tracks, rows split at random, split 42" in lacking
    assert "every song on one side, split 42" in lacking
    assert "the learned distance on real tracks, every song" not in lacking


def test_verdicts():
    def tell(low, high):
        return tell_outcome({"difference": {"value": 0.0, "low": low, "high": high}})

    assert [tell(-2, -1), tell(1, 2), tell(-1, 1), tell(None, None)] == [
        "lower error", "higher error", "no clear difference", "no interval",
    ]  # fmt: skip


def test_gems_are_numbers_all_through():
    if importlib.util.find_spec("plotnine") is None:
        pytest.skip("plotnine is not installed")
    table = read_table(Plan("diamonds", (42,), n_rows=500), None)
    data = prepare(table, Protocol(), schema=PROBLEMS["diamonds"].schema)
    assert list(data.X_train) == ["carat", "depth", "table", "x", "y", "z", "cut", "color", "clarity"]
    assert np.isfinite(data.X_train.to_numpy()).all()
    assert np.corrcoef(data.X_train["carat"], data.y_train)[0, 1] > 0.8


def test_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("ENERGYKNN_DATA", raising=False)
    out = tmp_path / "results.json"
    sample = str(ROOT / "data_sample" / "tracks.csv")
    arguments = ["--models", f"{LINE}", "--splits", "42", "--rows", "500", "--out", str(out)]
    assert main([*arguments, "--data", sample]) == 0
    assert "tracks, none, split 42, ordinary least squares: RMSE" in capsys.readouterr().out
    assert json.loads(out.read_text(encoding="utf-8"))["problems"]["tracks"]["rows"] == 500
    for wrong, words in ((["--models", "forest"], "Known are"), (arguments, "needs a file")):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
        assert words in capsys.readouterr().err


@pytest.mark.medium
@pytest.mark.skipif(not COMMITTED.is_file(), reason="no comparison is committed")
def test_the_committed_page_is_what_the_committed_results_give():
    text, _ = render_page(read_state(COMMITTED), f"benchmarks/comparison/{COMMITTED.name}")
    assert (ROOT / "docs" / "beyond.md").read_text(encoding="utf-8") == text
