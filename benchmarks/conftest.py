"""Fixtures of all suites, and what a saved run says beside its figures."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
from harness.data import (
    PUBLIC,
    describe_data,
    make_public_problem,
    make_track_problem,
    read_size,
    read_tracks,
)
from harness.machine import KEPT_OF_COMMIT, describe_machine, keep
from harness.peers import N_THREADS, PEERS, search_ours
from harness.rivals import search_grid
from harness.timing import Recorder

from energyknn.neighbors import search_neighbors
from energyknn.splitting import fold_rows
from energyknn.study.protocol import Protocol, prepare

SIZE, ROWS, LINES, MISSING, FAILED = (pytest.StashKey() for _ in range(5))


def pytest_addoption(parser):
    parser.addoption("--size", default="full", help="full, smoke (the committed sample), or a number of rows")


def pytest_configure(config):
    try:
        config.stash[SIZE] = read_size(config.getoption("--size"))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[ROWS] = None
    config.stash[LINES], config.stash[MISSING], config.stash[FAILED] = {}, {}, set()
    for line in ("ignore", r"error:::energyknn\."):  # others' warnings are theirs
        config.addinivalue_line("filterwarnings", line)


def pytest_generate_tests(metafunc):
    size = metafunc.config.stash[SIZE]
    if "cell" in metafunc.fixturenames:
        metafunc.parametrize("cell", size.cells, ids=lambda cell: "-".join(map(str, cell)))
    for axis in ("rows", "columns", "neighbors"):
        if f"n_{axis}_grown" in metafunc.fixturenames:
            metafunc.parametrize(f"n_{axis}_grown", getattr(size, f"growth_{axis}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    report = yield
    if report.failed:
        item.config.stash[FAILED].add(item.nodeid)
    return report


def pytest_benchmark_update_machine_info(machine_info):
    described = describe_machine(machine_info)
    machine_info.clear()
    machine_info.update(described)


def pytest_benchmark_update_commit_info(commit_info):
    kept = keep(commit_info, KEPT_OF_COMMIT)
    commit_info.clear()
    commit_info.update(kept)


def pytest_benchmark_update_json(config, output_json):
    failed = config.stash[FAILED]
    output_json["benchmarks"] = [case for case in output_json["benchmarks"] if case["fullname"] not in failed]
    output_json["run"] = {
        "size": config.stash[SIZE].name,
        "data": describe_data(config.stash[SIZE]),
        "rows": config.stash[ROWS],
        "peers": [peer.describe() for peer in PEERS.values()],
        "missing": config.stash[MISSING],
        "failed": sorted(failed),
    }


def pytest_terminal_summary(terminalreporter, config):
    for question, lines in config.stash[LINES].items():
        terminalreporter.section(f"{question}: how many times faster")
        for line in lines:
            terminalreporter.write_line(line)
    terminalreporter.section("what was compared")
    terminalreporter.write_line(f"{describe_data(config.stash[SIZE])}; {N_THREADS} threads")
    for name, why in config.stash[MISSING].items():
        terminalreporter.write_line(f"missing: {name}: {why}")


@pytest.fixture(scope="session")
def size(request):
    return request.config.stash[SIZE]


@pytest.fixture(scope="session")
def loaded():
    """Load what `auto` then takes for small jobs too."""
    rows = np.random.default_rng(0).normal(size=(5, 2))
    search_neighbors(rows, rows, 1, engine="blocked")


@pytest.fixture
def record(request, benchmark, loaded):  # noqa: ARG001 - everything is loaded before anything is timed
    """Time a case of this suite."""
    question = request.module.QUESTION
    benchmark.group = question
    return Recorder(benchmark, request.config.stash[LINES].setdefault(question, []))


@pytest.fixture(scope="session")
def report_missing(request):
    """Skip a case, and keep what it lacks."""

    def report(name, why):
        request.config.stash[MISSING][name] = why
        pytest.skip(why)

    return report


@pytest.fixture(scope="session")
def require(report_missing):
    """Skip a case whose package is not installed, and keep that it is missing."""

    def check(name, *modules):
        for module in modules:
            if importlib.util.find_spec(module) is None:
                report_missing(name, f"{module} is not installed")

    return check


@pytest.fixture(scope="session")
def find_peer(require):
    """Return a peer by name."""

    def find(name):
        require(name, PEERS[name].module)
        return PEERS[name]

    return find


@pytest.fixture(scope="session")
def table(request, size):
    tracks = read_tracks(size)
    request.config.stash[ROWS] = len(tracks)
    return tracks


@pytest.fixture(scope="session")
def problems(size, table, require, loaded):  # noqa: ARG001 - loaded first, as in `record`
    """Make each problem once."""
    made = {}

    def make(name):
        if name == "diamonds":
            require(name, PUBLIC[name])
        if name not in made:
            is_public = name in PUBLIC
            made[name] = make_public_problem(name, size.n_public) if is_public else make_track_problem(name, table)
        return made[name]

    return make


@pytest.fixture(scope="session")
def answers(size, problems):
    """Find the neighbours of each problem once."""
    found = {}

    def answer(name):
        if name not in found:
            made = problems(name)
            found[name] = search_ours(made.train, made.query, min(size.n_neighbors, len(made.train)))
        return found[name]

    return answer


@pytest.fixture(scope="session")
def data(table):
    """Training rows as the notebook has them, and scikit-learn's workers started, so that no rival pays for it."""
    prepared = prepare(table, Protocol())
    small = SimpleNamespace(X=prepared.X_train.to_numpy()[:100], y=prepared.y_train[:100], folds=fold_rows(100))
    search_grid(small, {"n_neighbors": [1, 2, 3, 4]})
    return SimpleNamespace(X=prepared.X_train.to_numpy(), y=prepared.y_train, folds=prepared.folds)


@pytest.fixture(scope="session")
def few(data, size):
    """Choose a part of them, for rivals that would need minutes for all."""
    chosen = np.random.default_rng(0).permutation(len(data.y))[: size.rows_beside]
    return SimpleNamespace(X=data.X[chosen], y=data.y[chosen], folds=fold_rows(len(chosen)))
