"""A comparison within a budget: planned from what steps take, smaller where it must be, and never silently."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from itertools import count, pairwise

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks

import energyknn.study.comparison.budget as planning
from energyknn.errors import DataFileError
from energyknn.progress import track_silently
from energyknn.schema import make_schema
from energyknn.study.cli import main
from energyknn.study.comparison.budget import (
    OVER_BUDGET,
    PARTS,
    TOO_FEW,
    Cost,
    Rung,
    list_rungs,
    plan_comparison,
    share_out,
    time_steps,
)
from energyknn.study.comparison.models import LEARNED, NOTEBOOK, ONE_MAP, TUNED_TREES, list_models
from energyknn.study.jobs import beyond
from energyknn.study.jobs.beyond import INTERRUPTED, SPENT, compare_models_beyond
from energyknn.study.jobs.reproduce import reproduce
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, prepare, take_rows
from energyknn.study.run import run_study
from energyknn.study.tools import choose_tool

COSTS = {TUNED_TREES: Cost(0, 0.01, 1e-5), "random forest": Cost(0, 0.01, 1e-5), "boosted trees": Cost(0, 0.01, 1e-5)}
COSTS |= {name: Cost(0.05, 0.2, 4e-4, 4e-5) for name in (ONE_MAP, LEARNED)}
COSTS |= {"mean": Cost(1e-4, 0, 1e-7), NOTEBOOK: Cost(2e-3, 0, 1e-4)}
TINY = {"n_maps": 1, "n_rounds": 1, "n_queries": 100, "n_components": 2, "n_neighbors": 9}


@pytest.fixture(scope="module")
def table():
    return make_tracks(400)


@pytest.fixture(scope="module")
def data(table):
    return prepare(table, Protocol())


@pytest.fixture(scope="module")
def models(data):
    listed = list_models(list(data.X_train), n_neighbors=11)
    return {name: listed[name] for name in COSTS}


@pytest.fixture(scope="module")
def study(table):
    return run_study(table, Protocol(), choose_tool("one-search"))


def test_ladders_that_need_little_leave_the_rest_to_others():
    ladders = {"long": [Rung(100, {}), Rung(60, {}), Rung(5, {})], "short": [Rung(1, {})], "middle": [Rung(30, {})]}
    chosen = share_out(91, ladders)
    assert {name: rung.seconds for name, rung in chosen.items()} == {"short": 1, "middle": 30, "long": 60}


def test_what_does_not_fit_is_none_and_never_more_than_the_budget():
    ladders = {name: [Rung(8, {}), Rung(3, {})] for name in "abcd"}
    for budget in (0, 2.9, 3, 7, 12, 13, 31, 32, math.inf):
        chosen = share_out(budget, ladders)
        assert sum(rung.seconds for rung in chosen.values() if rung) <= budget
    assert all(rung.seconds == 8 for rung in chosen.values())
    assert not any(share_out(2.9, ladders).values())


def test_every_ladder_goes_down_from_the_models_own_parameters(models):
    for name, model in models.items():
        rungs = list_rungs(model, 100_000)
        steps = [rung.seconds for rung in rungs]
        assert steps == sorted(steps, reverse=True)
        assert not rungs[0].words
        assert all(rung.words for rung in rungs[1:])
        own = model.get_params()
        assert all(own[key] == value for key, value in rungs[0].settings.items()), name


def test_no_limit_plans_everything(data, models):
    plan = plan_comparison(data, models, math.inf, costs=COSTS)
    assert (list(plan.models), list(plan.parts)) == (list(models), list(PARTS))
    assert (plan.n_folds, plan.n_tested, plan.reduced, plan.left_out) == (4, None, {}, {})


@pytest.mark.parametrize("budget", [1, 10, 30, 100, 300, 3000])
def test_a_plan_keeps_to_its_budget_and_says_what_it_takes_away(data, models, budget):
    plan = plan_comparison(data, models, budget, costs=COSTS)
    assert sum(plan.work.values()) <= budget
    assert {"mean", NOTEBOOK} <= set(plan.models)
    absent = [name for name in models if name not in plan.models]
    assert set(plan.left_out) == {*absent, *(words for part, words in PARTS.items() if part not in plan.parts)}
    assert set(plan.left_out.values()) <= {OVER_BUDGET}
    for name, settings in plan.models.items():
        own = models[name].get_params()
        assert (name in plan.reduced) == any(own[key] != value for key, value in settings.items()), name
    assert ("RMSE over folds" in plan.reduced) == (plan.n_folds < 4)


def test_a_larger_budget_never_takes_a_model_away(data, models):
    plans = [plan_comparison(data, models, budget, costs=COSTS) for budget in (5, 20, 60, 200, 1000, 20_000)]
    for smaller, larger in pairwise(plans):
        assert set(smaller.models) <= set(larger.models)
    assert plans[0].left_out
    assert not plans[-1].left_out


def test_other_columns_have_no_model_of_the_notebook(data):
    schema = make_schema(target="energy", numbers=["loudness", "tempo"])
    listed = list_models(["loudness", "tempo"], n_neighbors=5, schema=schema, learning=TINY)
    assert not [name for name in listed if "notebook" in name]
    kept = {name: listed[name] for name in ("mean", NOTEBOOK, ONE_MAP)}
    costs = {name: COSTS.get(name, COSTS[NOTEBOOK]) for name in kept}
    two = replace(data, X_train=data.X_train[["loudness", "tempo"]], X_test=data.X_test[["loudness", "tempo"]])
    plan = plan_comparison(two, kept, math.inf, costs=costs, schema=schema)
    assert plan.parts["learning_curve"]["models"] == (NOTEBOOK, ONE_MAP)


def test_many_test_rows_are_sampled_where_predicting_all_takes_too_long(data, models):
    many = replace(data, X_test=data.X_test.iloc[np.zeros(40_000, int)], y_test=np.zeros(40_000))
    plan = plan_comparison(many, models, 60, costs=COSTS)
    assert plan.n_tested == 5000
    assert plan.reduced["test rows"] == "5,000 of 40,000, drawn at random"


def test_steps_are_timed_with_the_clock_that_is_given(data, models):
    ticks = count()
    for name in ("mean", "random forest", TUNED_TREES):
        cost = time_steps(data, models[name], clock=lambda: float(next(ticks)))
        assert (cost.step > 0) == (name != "mean")
        assert cost.row > 0


@pytest.mark.parametrize("n_train", [8, 80, 200])
def test_rows_that_are_taken_keep_their_folds_and_each_fold_keeps_both_sides(data, n_train):
    few = take_rows(data, n_train, 30)
    assert (len(few.y_train), len(few.X_test), len(few.folds)) == (n_train, 30, 4)
    whole_side = {label: number for number, fold in enumerate(data.folds) for label in data.X_train.index[fold.test]}
    for number, fold in enumerate(few.folds):
        held = min(n_train // 4, 30)
        assert (len(fold.train), len(fold.test)) == (n_train - n_train // 4, held)
        assert {whole_side[label] for label in few.X_train.index[fold.test]} == {number}
        assert number not in {whole_side[label] for label in few.X_train.index[fold.train]}
    assert few.y_train.tolist() == [data.y_train[data.X_train.index.get_loc(label)] for label in few.X_train.index]


def test_all_rows_are_taken_as_they_are(data):
    same = take_rows(data)
    assert same.X_train.equals(data.X_train)
    for fold, whole in zip(same.folds, data.folds, strict=True):
        assert fold.train.tolist() == whole.train.tolist()
        assert fold.test.tolist() == whole.test.tolist()


# ------------------------------------------------------------------------------------------------- the job


@pytest.fixture
def few_models(monkeypatch):
    """Leave three models, quick ones."""

    def list_few(columns, **options):
        listed = list_models(columns, learning=TINY, tuning={"n_trials": 1, "max_trees": 4}, **options)
        return {name: listed[name] for name in ("mean", NOTEBOOK, "boosted trees")}

    monkeypatch.setattr("energyknn.study.comparison.models.list_models", list_few)
    monkeypatch.setattr(beyond, "find_missing_libraries", dict)


def interrupt_before(name):
    """Return a track that is interrupted before a step."""

    def track(steps, _description):
        for step in steps:
            if str(step) == name:
                raise KeyboardInterrupt
            yield step

    return track


@pytest.mark.medium
@pytest.mark.usefixtures("few_models")
def test_an_interrupt_keeps_what_is_finished_and_names_the_rest(table, study):
    track = interrupt_before("effects of the protocol")
    found, analyses = compare_models_beyond(table, study, schema=SPOTIFY, track=track)
    assert list(found) == ["mean", NOTEBOOK, "boosted trees"]
    assert analyses["interrupted"]
    assert set(analyses["learning_curve"]) == {NOTEBOOK, "boosted trees"}
    assert "effects" not in analyses
    late = ("effects of the protocol", "nested estimate", "intervals")
    assert {name: analyses["left_out"][name] for name in late} == dict.fromkeys(late, INTERRUPTED)


@pytest.mark.medium
@pytest.mark.usefixtures("few_models")
def test_what_has_not_begun_when_the_budget_is_spent_is_left_out_and_said(table, study):
    clock = iter([0.0, *[0.5] * 3, *[1e6] * 99])
    found, analyses = compare_models_beyond(table, study, schema=SPOTIFY, budget=1e5, clock=lambda: next(clock))
    assert list(found) == ["mean", NOTEBOOK, "boosted trees"]
    assert analyses["left_out"]["nested estimate"] == SPENT
    assert "nested" not in analyses
    assert not analyses["interrupted"]
    assert analyses["budget"]["seconds"] == 1e5
    assert set(analyses["budget"]["measured"]) == {"mean", NOTEBOOK, "boosted trees"}


@pytest.mark.medium
@pytest.mark.usefixtures("few_models")
def test_an_interrupted_comparison_is_written_whole_and_ends_with_130(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "energyknn.study.jobs.reproduce.compare_models_beyond",
        lambda *given, **options: compare_models_beyond(
            *given, **{**options, "track": interrupt_before("effects of the protocol")}
        ),
    )
    assert main(["reproduce", "--beyond", "--no-honest", "--no-report", "--out", str(tmp_path / "out")]) == 130
    shown = capsys.readouterr()
    assert "interrupted; the study and what was compared before are in" in shown.err
    left_out = re.findall(r"left out: ([^()]*) \(interrupted\)", " ".join(shown.out.split()))
    assert "nested estimate" in "; ".join(left_out).split("; ")
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert results["tuned"]["test"]
    assert list(results["beyond"]) == ["mean", NOTEBOOK, "boosted trees"]


@pytest.mark.usefixtures("few_models")
def test_an_interrupt_before_any_model_keeps_the_study(table, study):
    found, analyses = compare_models_beyond(table, study, schema=SPOTIFY, track=interrupt_before("mean"))
    assert found == {}
    assert analyses["errors"] == {}
    assert set(analyses["left_out"]) == {"mean", NOTEBOOK, "boosted trees", *PARTS.values()}


@pytest.mark.medium
@pytest.mark.parametrize("groups", ["none", "songs"])
@pytest.mark.parametrize("part", PARTS)
def test_each_part_runs_on_whatever_a_budget_leaves_of_it(table, monkeypatch, part, groups):
    monkeypatch.setattr(planning, "_FEWEST_SAMPLED", 80)
    schema = make_schema(target="energy", numbers=["loudness", "tempo"], texts=["name", "artists"])
    study = run_study(table, Protocol(groups=groups), choose_tool("one-search"), schema=schema)
    listed = list_models(["loudness", "tempo"], n_neighbors=5, schema=schema, learning=TINY)
    comparison = beyond._Comparison(table, study, schema, listed, track_silently)
    fits = dict.fromkeys((NOTEBOOK, ONE_MAP, LEARNED, "boosted trees"), 1.0)
    rungs = dict(planning._list_parts(study.data, COSTS, fits, (80, 80), schema))[part]
    assert len(rungs) > 1
    for rung in rungs:
        comparison.list_parts(n_tested=None)[part](**rung.settings)
    assert comparison.analyses.keys() - {"reduced", "left_out", "interrupted"}


@pytest.mark.slow
@pytest.mark.parametrize("n_rows", [30, 60, 120])
def test_few_rows_are_compared_as_far_as_they_reach(tmp_path, capsys, n_rows):
    rng = np.random.default_rng(0)
    homes = pd.DataFrame({"area": rng.uniform(20, 200, n_rows).round(1), "town": rng.choice(list("abc"), n_rows)})
    homes["price"] = (homes["area"] * 1000 + rng.normal(0, 1e4, n_rows)).round()
    homes.to_csv(tmp_path / "homes.csv", index=False)
    asked = ["reproduce", "--data", str(tmp_path / "homes.csv"), "--target", "price", "--beyond", "--budget", "20s"]
    assert main([*asked, "--out", str(tmp_path / "out")]) == 0
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert {"mean", NOTEBOOK} <= set(results["beyond"])
    left_out = results["beyond_analyses"]["left_out"]
    assert {left_out[name] for name in (ONE_MAP, LEARNED, "columns")} == {TOO_FEW}
    assert (left_out.get("intervals") == TOO_FEW) == (n_rows < 119)
    (said,) = re.findall(r"left out: ([^()]*) \(too few rows\)", " ".join(capsys.readouterr().out.split()))
    assert {ONE_MAP, LEARNED, "columns"} <= set(said.split("; "))


def test_classes_and_impossible_budgets_are_refused_before_any_work(tmp_path):
    schema = make_schema(target="kind", numbers=["a"])
    classes = type(schema)(tuple(replace(c, role="label") if c.role == "target" else c for c in schema.columns))
    with pytest.raises(DataFileError, match=r"'kind' is a class.*Leave it out"):
        reproduce(tmp_path / "absent.csv", tmp_path / "out", schema=classes, beyond=True)
    for budget in (0, -1, math.nan):
        with pytest.raises(ValueError, match=r"budget is .* It must be above 0"):
            reproduce(None, tmp_path / "out", beyond=True, budget=budget)


@pytest.mark.parametrize("text", ["", "0", "-1", "2x", "m", "1h30m", "inf", "nan", "1e3"])
def test_what_is_no_duration_is_refused_in_one_line(capsys, text):
    assert main(["reproduce", "--beyond", f"--budget={text}"]) == 2
    assert "is no duration above 0" in capsys.readouterr().err
