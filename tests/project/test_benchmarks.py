"""The benchmarks: all of them run, say what is missing, name no machine, and the committed page is what they gave."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from harness.data import FULL, PUBLIC, SMOKE, describe_data, make_public_problem, read_size
from harness.machine import describe_machine
from harness.page import (
    DROP_IN,
    QUESTIONS,
    format_ratio,
    format_ratio_spread,
    list_cases,
    make_drop_in_table,
    make_readme_figures,
    render_page,
    replace_table,
)
from harness.peers import GPU_PEERS, PEERS, check_distances, measure_distances, measure_recall, search_ours
from harness.runs import read_run
from harness.timing import Recorder, median_interval

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
COMMITTED = FOLDER / "results" / "full.json"
WITHOUT_TORCH = set() if importlib.util.find_spec("torch") else {"GPU"}
SLOW = """
import time
from energyknn.neighbors.engines.blocked import engine as blocked
search_tree = blocked.search_tree
def search_slowly(*arguments):
    time.sleep(0.5)
    return search_tree(*arguments)
blocked.search_tree = search_slowly
"""


def run_benchmarks(out, *arguments, path=""):
    """Run suites at smoke size in a process of their own; return it and what it saved."""
    command = [sys.executable, "-m", "pytest", "--size=smoke", "--benchmark-only", f"--benchmark-json={out}"]
    done = subprocess.run(
        [*command, "--doctest-ignore-import-errors", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(path), os.environ.get("PYTHONPATH")]))},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    return done, json.loads(out.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Run all benchmarks once, but for those that start Ray."""
    return run_benchmarks(tmp_path_factory.mktemp("run") / "run.json", "benchmarks", "-m", "not ray")


@pytest.mark.slow
def test_every_benchmark_runs_at_smoke_size(everything):
    _, run = everything
    assert {case["group"] for case in run["benchmarks"]} == set(QUESTIONS) - WITHOUT_TORCH
    assert run["run"]["failed"] == []
    assert run["run"]["rows"] == 2000
    for case in run["benchmarks"]:
        info = case["extra_info"]
        assert "times_faster" in info or "value" in info or "tied" in info, case["fullname"]


@pytest.mark.slow
def test_a_peer_that_is_not_installed_is_reported(everything):
    done, run = everything
    missing = {name for name, peer in PEERS.items() if importlib.util.find_spec(peer.module) is None}
    assert missing <= run["run"]["missing"].keys()
    for name in run["run"]["missing"]:
        assert f"missing: {name}: " in done.stdout
    timed = {case.get("rival") for case in list_cases(run)}
    assert {name for name in PEERS if name not in missing} <= timed


@pytest.mark.slow
def test_a_run_says_what_it_ran_on_and_names_no_machine(everything):
    _, run = everything
    machine = run["machine_info"]
    assert machine["cpu"]["brand_raw"]
    assert machine["cores"] == os.cpu_count()
    assert machine["packages"]["numpy"] == np.__version__
    assert machine["thread_pools"]
    assert len(run["commit_info"]["id"]) in (7, 40)
    text = json.dumps(run)
    assert f'"{platform.node()}"' not in text
    assert str(Path.home()) not in text
    assert str(ROOT) not in text
    assert sys.prefix not in text


def test_what_pytest_benchmark_finds_of_a_machine_is_left_out():
    described = describe_machine({"node": "a-host", "release": "a-kernel", "cpu": {"brand_raw": "a CPU", "flags": []}})
    assert described["cpu"] == {"brand_raw": "a CPU"}
    assert not {"node", "release"} & described.keys()
    assert "filepath" not in json.dumps(described)


@pytest.mark.slow
def test_a_run_becomes_a_page(everything):
    _, run = everything
    text, pictures = render_page(run, "run.json")
    assert ("Not in this run" in text) == bool(WITHOUT_TORCH)
    assert "committed sample of 2,000 synthetic tracks" in text
    for case in list_cases(run):
        if "times_faster" in case and "shape" not in case:
            assert f"| {case['case']} | {case['rival']} |" in text
    assert set(pictures) >= {"growth", "quality", "neighbors", "where-it-does-not-pay", "memory-values"}
    for name in pictures:
        assert f"(pictures/{name}.png)" in text


@pytest.mark.slow
def test_a_sleep_in_the_caller_of_the_kernel_is_found(tmp_path):
    """Searches that sleep for half a second make the comparison of two real runs fail."""
    (tmp_path / "slow.py").write_text(SLOW, encoding="utf-8")
    suite = "benchmarks/test_predict.py"
    run_benchmarks(tmp_path / "before.json", suite)
    run_benchmarks(tmp_path / "after.json", suite, "-p", "slow", path=tmp_path)
    done = subprocess.run(
        [sys.executable, str(FOLDER / "compare_runs.py"), str(tmp_path / "before.json"), str(tmp_path / "after.json")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    assert re.search(r"SLOWER all \d cases of predict", done.stdout)


@pytest.mark.medium
def test_the_page_is_what_the_committed_run_gives(monkeypatch):
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda *_, **__: None)  # their names alone are compared
    text, pictures = render_page(read_run(COMMITTED), COMMITTED.name)
    assert (FOLDER / "RESULTS.md").read_text(encoding="utf-8") == text
    assert {path.stem for path in (FOLDER / "pictures").glob("*.png")} == {*pictures, DROP_IN}


@pytest.mark.parametrize(
    ("ratio", "interval", "told"),
    [
        (243, (242, 250), "243 times faster (242 to 250)"),
        (0.046, (0.04, 0.05), "21.7 times slower (20.0 to 25.0)"),
        (1, (1, 1), "1.00 times faster"),
        (0.8, (0.5, 1.25), "1.25 times slower (0.800 to 2.00)"),
    ],
)
def test_a_ratio_below_one_is_told_as_times_slower(ratio, interval, told):
    case = {"times_faster": ratio, "interval": interval}
    assert format_ratio(case) + format_ratio_spread(case) == told


def test_no_figure_of_the_readme_is_typed_by_hand():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    drop_in, run = read_run(COMMITTED.with_name(f"{DROP_IN}.json")), read_run(COMMITTED)
    assert replace_table(readme, make_readme_figures(drop_in, run)) == readme
    worst = [case["extra_info"] for case in run["benchmarks"] if case["extra_info"].get("times_faster", 1) < 0.1]
    worst[0]["times_faster"] /= 2
    assert replace_table(readme, make_readme_figures(drop_in, run)) != readme
    with pytest.raises(ValueError, match="has 0 places"):
        replace_table("no marks", "a table")


def test_no_figure_of_the_page_on_the_drop_in_is_typed_by_hand():
    page = (ROOT / "docs" / "how_to" / "drop_in.md").read_text(encoding="utf-8")
    table = make_drop_in_table(read_run(COMMITTED.with_name(f"{DROP_IN}.json")))
    assert replace_table(page, table) == page
    assert len(table.splitlines()) > 10


@pytest.mark.parametrize("path", sorted(COMMITTED.parent.glob("*.json")), ids=lambda path: path.name)
def test_a_committed_run_names_no_machine(path):
    text = path.read_text(encoding="utf-8")
    assert '"node"' not in text
    assert "/home" not in text
    assert "/tmp" not in text  # noqa: S108 - what must not be there


class FakeBenchmark:
    """Calls as pytest-benchmark does, and times nothing."""

    def __init__(self):
        self.extra_info = {}

    def pedantic(self, target, *, setup, teardown, rounds, iterations):
        assert iterations == 1
        for _ in range(rounds):
            setup()
            target()
            teardown()


def test_pairs_are_interleaved_and_take_turns_in_going_first():
    calls = []
    recorder = Recorder(FakeBenchmark(), [])
    recorder.compare(
        "a case", "a rival", ours=lambda: calls.append("ours"), theirs=lambda: calls.append("theirs"),
        check=lambda *_: calls.append("check"), pairs=4, factor=2, target=3,
    )  # fmt: skip
    assert calls == ["ours", "theirs", "check", *["ours", "theirs", "theirs", "ours"] * 2, "check"]
    info = recorder.benchmark.extra_info
    assert len(info["ours_times"]) == len(info["rival_times"]) == 4
    assert info["interval"][0] <= info["times_faster"] <= info["interval"][1]
    assert "at least 3" in recorder.lines[0]


def test_a_wrong_answer_is_never_timed():
    recorder = Recorder(FakeBenchmark(), [])
    with pytest.raises(AssertionError):
        recorder.compare(
            "a case", "a rival", ours=lambda: 1.0, theirs=lambda: 2.0, check=np.testing.assert_allclose
        )  # fmt: skip
    assert recorder.benchmark.extra_info == {}
    assert recorder.lines == []


def test_the_interval_holds_the_median_and_narrows_with_more_pairs():
    random = np.random.default_rng(0)
    few, many = (median_interval(random.lognormal(0, 0.2, size=n)) for n in (5, 500))
    assert few[1] <= few[0] <= few[2]
    assert many[2] - many[1] < few[2] - few[1]
    assert many[1] < 1 < many[2]
    assert median_interval([2.0]) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("name", PEERS)
def test_every_installed_peer_finds_the_neighbours(name):
    peer = PEERS[name]
    if importlib.util.find_spec(peer.module) is None:
        pytest.skip(f"{peer.module} is not installed")
    if name == "pynndescent":
        pytest.skip("it compiles for a minute; its suite holds it to its recall")
    rows = np.random.default_rng(0).normal(size=(300, 4))
    train, query = rows[:250], rows[250:]
    ours = search_ours(train, query, 3)
    found = peer.search(train, query, 3)
    assert found[0].shape == found[1].shape == (50, 3)
    assert measure_recall(measure_distances(train, query, found[1]), ours[0]) > (0.9999 if peer.exact else 0.9)
    if peer.exact and peer.dtype == "float64":
        check_distances(ours, found)


def search_by_hand(train, query, k):
    squares = ((query[:, None] - train) ** 2).sum(axis=2)
    indices = np.argsort(squares, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(squares, indices, axis=1), indices


class FlatIndex:
    """Has FAISS's calls on a GPU."""

    def __init__(self, resources, n_features):
        assert resources == "resources"
        self.rows = np.empty((0, n_features))

    def add(self, rows):
        assert rows.dtype == np.float32
        self.rows = rows

    def search(self, query, k):
        return search_by_hand(self.rows, query, k)


class Finder:
    """Has cuML's calls."""

    def __init__(self, *, algorithm):
        assert algorithm == "brute"

    def fit(self, rows):
        self.rows = rows

    def kneighbors(self, query, n_neighbors):
        squares, indices = search_by_hand(self.rows, query, n_neighbors)
        return np.sqrt(squares), indices


def make_modules():
    """Make modules with the calls that the documentation of searches for GPUs shows."""

    def build(rows, metric):
        assert metric == "euclidean"
        return rows

    def search(index, query, k):
        squares, indices = search_by_hand(index, query, k)
        return np.sqrt(squares), indices

    return {
        "faiss": SimpleNamespace(StandardGpuResources=lambda: "resources", GpuIndexFlatL2=FlatIndex),
        "cuml.neighbors": SimpleNamespace(NearestNeighbors=Finder),
        "cupy": SimpleNamespace(asarray=np.asarray, asnumpy=np.asarray, float32=np.float32),
        "cuvs.neighbors.brute_force": SimpleNamespace(build=build, search=search),
    }


@pytest.mark.parametrize("name", GPU_PEERS)
def test_searches_for_gpus_are_called_as_documented(name, monkeypatch):
    """Stand-ins, since no GPU is here: what is held is our side of the calls."""
    modules = make_modules()
    monkeypatch.setattr("harness.peers.importlib.import_module", modules.__getitem__)
    rows = np.random.default_rng(0).normal(size=(60, 4))
    found = GPU_PEERS[name].search(rows[:50], rows[50:], 3)
    np.testing.assert_array_equal(found[1], search_by_hand(rows[:50], rows[50:], 3)[1])
    np.testing.assert_allclose(found[0] ** 2, search_by_hand(rows[:50], rows[50:], 3)[0], rtol=1e-5)


def test_recall_counts_ties_as_found_and_farther_rows_as_missed():
    assert measure_recall(np.array([[1.0, 2.0], [1.0, 3.0]]), np.array([[1.0, 2.0], [2.0, 2.0]])) == 0.75


@pytest.mark.parametrize("name", PUBLIC)
def test_sets_without_music_are_there_offline(name):
    if name == "diamonds" and importlib.util.find_spec("plotnine") is None:
        pytest.skip("plotnine is not installed")
    made = make_public_problem(name, 400)
    assert len(made.train) == len(made.y_train) == 320
    assert len(made.query) == len(made.y_query) == 80
    assert np.isfinite(made.train).all()


def test_sizes(monkeypatch):
    monkeypatch.setenv("ENERGYKNN_DATA", "a/folder/tracks.csv")
    assert read_size("smoke") is SMOKE
    assert describe_data(FULL) == "the file tracks.csv"
    assert describe_data(read_size("5000")) == "5,000 synthetic tracks"
    for text in ("tiny", "0", "-5"):
        with pytest.raises(ValueError, match=r"full, smoke, or a number"):
            read_size(text)
    monkeypatch.delenv("ENERGYKNN_DATA")
    assert describe_data(FULL) == "172,491 synthetic tracks"


def test_a_case_with_one_call_of_a_rival_beside_several_of_ours_has_as_many_ratios():
    recorder = Recorder(SimpleNamespace(extra_info={}), [])
    recorder.keep_ratio("a case", "a rival", {"ours": [1.0, 2.0, 4.0], "theirs": [8.0]})
    assert recorder.benchmark.extra_info["times_faster"] == 4.0
