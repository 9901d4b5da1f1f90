"""The first search of an installation: another process compiles, and the flat engine serves until it is done."""

from __future__ import annotations

import os
import pickle
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from children import run_python

import energyknn
from energyknn._shared import aside
from energyknn._shared.aside import Compilation
from energyknn._shared.turns import taking_turns
from energyknn.neighbors import auto, build_index, search, search_neighbors
from energyknn.neighbors.auto import History, count_work

X = np.random.default_rng(0).integers(0, 9, size=(60, 3)).astype(float)
OF_ONE_QUERY = count_work(len(X), 1, 3)


@pytest.fixture
def installation(monkeypatch):
    """Let a process have searched nothing, in an installation without kernels; the test says what becomes of them."""
    made = SimpleNamespace(
        history=History(price=2 * OF_ONE_QUERY), loads=[], runs=[], compiles=True, started=0, used=[]
    )

    def start():
        made.started += 1
        return SimpleNamespace(is_running=lambda: made.runs.pop(0)) if made.compiles else None

    blocked = SimpleNamespace(try_loading_kernels=lambda: made.loads.pop(0), compile_kernels_aside=start)
    run = search._run_search

    def note(part, engine, tree):
        made.used.append((engine, len(part.X_query)))
        return run(part, engine, tree)

    monkeypatch.setattr(auto, "load_engine", lambda _: blocked)
    monkeypatch.setattr(auto, "WORTH_LOADING", made.history.price)
    monkeypatch.setattr(search, "HISTORY", made.history)
    monkeypatch.setattr(search, "_run_search", note)
    return made


def assert_exact(found, **options):
    expected = search_neighbors(X, None, 4, engine="brute", **options)
    assert found.indices.tobytes() == expected.indices.tobytes()
    assert found.distances.tobytes() == expected.distances.tobytes()


@pytest.mark.parametrize("p", [1, 2])
def test_one_search_is_served_by_one_engine_and_ended_by_the_other(installation, p):
    installation.loads, installation.runs = [False, True], [True, True, False]
    assert_exact(search_neighbors(X, None, 4, p=p), p=p)
    first = {1: "sklearn", 2: "flat"}[p]
    assert installation.used[:-1] == [(first, 2), (first, 2), ("blocked", 56)]
    assert installation.started == 1
    assert installation.history.is_ready


def test_an_index_is_taken_over_too(installation):
    installation.loads, installation.runs = [False, True], [True, True, False]
    index = build_index(X)
    assert (index.engine, index.tree) == ("flat", None)
    assert_exact(index.search(None, 4))
    assert [engine for engine, _ in installation.used[:-1]] == ["flat", "blocked"]
    assert_exact(index.search(None, 4))
    assert installation.used[-2] == ("blocked", 60)
    again = pickle.loads(pickle.dumps(index))  # noqa: S301
    assert_exact(again.search(None, 4))


def test_kernels_that_are_there_are_used_at_once(installation):
    installation.loads = [True]
    assert_exact(search_neighbors(X, None, 4))
    assert installation.used[0] == ("blocked", 60)
    assert installation.started == 0


def test_a_compilation_that_fails_is_not_started_again(installation):
    installation.loads, installation.runs = [False, False], [False]
    assert_exact(search_neighbors(X, None, 4))
    assert {engine for engine, _ in installation.used[:-1]} == {"flat"}
    assert installation.started == 1
    assert installation.history.price == auto._WORTH_COMPILING


def test_where_no_other_process_can_compile_this_one_does_for_much_work(installation, monkeypatch):
    installation.loads, installation.compiles = [False], False
    monkeypatch.setattr(auto, "_WORTH_COMPILING", 90 * OF_ONE_QUERY)
    assert_exact(search_neighbors(X, None, 4))
    assert_exact(search_neighbors(X, None, 4))
    engines = [engine for engine, _ in installation.used]
    assert engines[0] == "flat"
    assert engines[-2] == "blocked"


def test_an_engine_that_is_named_waits_for_nobody(installation):
    search_neighbors(X, None, 4, engine="blocked")
    assert installation.used == [("blocked", 60)]
    assert installation.started == 0


@pytest.mark.skipif(not hasattr(os, "register_at_fork"), reason="needs processes that fork")
def test_a_fork_forgets_what_is_no_child_of_it():
    history = History(compilation=SimpleNamespace())
    history.forget_compilation()
    assert history.compilation is None


def compile_stub(tmp_path, body):
    """Write a module whose function stands for compiling, and return what starts it."""
    (tmp_path / "stub.py").write_text(f"def compile():\n    {body}\n", encoding="utf-8")
    return tmp_path, "stub", "compile"


def wait_for(compilation):
    compilation._process.wait()


@pytest.mark.medium
def test_another_process_compiles_and_is_seen_to_end(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    body = f"from pathlib import Path; Path({str(tmp_path / 'made')!r}).touch()"
    compilation = Compilation(*compile_stub(tmp_path, body))
    wait_for(compilation)
    assert (tmp_path / "made").exists()
    assert not compilation.is_running()


@pytest.mark.medium
def test_one_process_at_a_time_compiles(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    body = f"from pathlib import Path; Path({str(tmp_path / 'made')!r}).touch()"
    with taking_turns(tmp_path):
        compilation = Compilation(*compile_stub(tmp_path, body))
        wait_for(compilation)
        assert not (tmp_path / "made").exists(), "it saw that another process compiles"
        states = []
        asking = threading.Thread(target=lambda: states.append(compilation.is_running()))
        asking.start()
        asking.join()
        assert states == [True]
    assert not compilation.is_running()


@pytest.mark.parametrize("executable", ["", "/usr/bin/uwsgi", "C:/app/notepad.exe"])
def test_what_is_no_python_is_not_started(tmp_path, monkeypatch, executable):
    monkeypatch.setattr(sys, "executable", executable)
    monkeypatch.setattr(aside.subprocess, "Popen", lambda *_, **__: pytest.fail("was started"))
    with pytest.raises(OSError, match="not a Python"):
        Compilation(tmp_path, "module", "function")


FIRST_SEARCH = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from energyknn.neighbors import auto, search_neighbors
auto.HISTORY.price = auto.WORTH_LOADING = 1 << 22  # of the 2²³ that the search takes
X = np.random.default_rng(0).normal(size=(450, 3))
found, expected = search_neighbors(X, None, 4), search_neighbors(X, None, 4, engine="brute")
assert found.indices.tobytes() == expected.indices.tobytes()
from energyknn.neighbors.engines.blocked.engine import _search_batches
print(json.dumps([auto.HISTORY.is_ready, len(_search_batches._entries)]))
"""


@pytest.mark.slow
def test_the_first_search_of_an_installation_does_not_wait_for_the_compiler(tmp_path):
    """Its process ends while another compiles; later ones find the kernels."""
    package = Path(energyknn.__file__).parent
    shutil.copytree(package, tmp_path / "energyknn", ignore=shutil.ignore_patterns("__pycache__"))
    first = run_python(FIRST_SEARCH, tmp_path, check=True)
    assert first.stdout == "[false, 0]\n"
    assert first.stderr.startswith("Another process compiles the kernels of the blocked engine")
    assert first.stderr.count("\n") == 1
    (lock,) = tmp_path.rglob("energyknn.lock")
    with taking_turns(lock.parent):
        pass
    later = run_python(FIRST_SEARCH, tmp_path, check=True)
    assert (later.stdout, later.stderr) == ("[true, 1]\n", "")
