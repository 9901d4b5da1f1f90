"""Work that needs more memory than there is: refused before it starts, with the bytes and what takes less."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from children import run_python

from energyknn._shared import memory
from energyknn._shared.memory import measure_available_memory, require_memory
from energyknn.errors import MemoryShortageError
from energyknn.loading import sample_path
from energyknn.neighbors import build_index, search, search_neighbors
from energyknn.study.cli import main

GIBIBYTE = 1 << 30


@pytest.fixture
def little_memory(monkeypatch):
    """Leave 100 MB on this machine."""
    monkeypatch.setattr(memory, "measure_available_memory", lambda: 100_000_000)


@pytest.mark.usefixtures("little_memory")
def test_what_needs_more_than_there_is_is_refused_with_bytes_and_remedy():
    with pytest.raises(MemoryShortageError) as caught:
        require_memory(GIBIBYTE, "To sort", "Sort less.")
    assert str(caught.value) == (
        "To sort takes about 1,073,741,824 bytes of memory, and 100,000,000 are there. Sort less."
    )


def test_what_needs_little_is_not_asked_about(monkeypatch):
    monkeypatch.setattr(memory, "measure_available_memory", lambda: pytest.fail("asked"))
    require_memory(1000, "To sort", "Sort less.")


def test_nothing_is_refused_where_nobody_knows(monkeypatch):
    monkeypatch.setattr(memory, "measure_available_memory", lambda: None)
    require_memory(1 << 60, "To sort", "Sort less.")


@pytest.mark.parametrize("version", [1, 2])
def test_a_control_group_says_what_it_leaves(monkeypatch, tmp_path, version):
    names = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("memory.max", "memory.current")}
    folder = tmp_path / "memory" if version == 1 else tmp_path
    folder.mkdir(exist_ok=True)
    for name, value in zip(names[version], ("5000", "3000"), strict=True):
        (folder / name).write_text(value + "\n")
    (folder / "memory.stat").write_text(f"anon 7\n{'total_' if version == 1 else ''}inactive_file 1000\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_find_group", str)
    assert measure_available_memory() == 3000
    (folder / names[version][0]).write_text("max\n")
    assert measure_available_memory() != 3000


def test_a_group_is_bound_by_the_groups_around_it(monkeypatch, tmp_path):
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    for folder, limit in ((inner, "max"), (inner.parent, "5000")):
        (folder / "memory.max").write_text(limit)
        (folder / "memory.current").write_text("3000")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_find_group", lambda: "outer/inner")
    assert measure_available_memory() == 2000


@pytest.fixture
def without_proc(monkeypatch):
    """Let there be no /proc and no /sys, as outside of Linux."""
    monkeypatch.setattr(memory, "_read_lines", lambda _: [])


@pytest.mark.usefixtures("without_proc")
@pytest.mark.parametrize(("pages", "expected"), [(1000, 4096_000), (-1, None)])
def test_other_systems_say_how_much_memory_there_is_in_all(monkeypatch, pages, expected):
    values = {"SC_PHYS_PAGES": pages, "SC_PAGE_SIZE": 4096}
    monkeypatch.setattr(os, "sysconf_names", values, raising=False)
    monkeypatch.setattr(os, "sysconf", values.get, raising=False)
    assert measure_available_memory() == expected


@pytest.mark.usefixtures("without_proc")
@pytest.mark.parametrize(("known", "expected"), [(1, 2000), (0, None)])
def test_windows_says_what_it_leaves(monkeypatch, known, expected):
    def tell(pointer):
        status = pointer._obj
        assert status.length == 64, "Windows refuses another size"
        status.available, status.left = 3000, 2000
        return known

    windows = SimpleNamespace(kernel32=SimpleNamespace(GlobalMemoryStatusEx=tell))
    monkeypatch.setattr(memory.ctypes, "windll", windows, raising=False)
    assert measure_available_memory() == expected


@pytest.mark.usefixtures("without_proc")
def test_a_system_that_tells_nothing_refuses_nothing(monkeypatch):
    monkeypatch.delattr(os, "sysconf_names", raising=False)
    assert measure_available_memory() is None


@pytest.mark.usefixtures("little_memory")
def test_a_search_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setattr(search, "load_engine", lambda engine: pytest.fail(f"{engine} was started"))
    queries = np.zeros((200_000, 1))
    with pytest.raises(MemoryShortageError, match=r"To find 50 neighbours of 200000 rows.*lower n_neighbors"):
        search_neighbors(np.arange(60.0).reshape(-1, 1), queries, 50, engine="brute")


@pytest.mark.usefixtures("little_memory")
def test_an_index_is_refused_before_it_is_built(monkeypatch):
    blocked = pytest.importorskip("energyknn.neighbors.engines.blocked.engine")
    monkeypatch.setattr(blocked, "build_tree", lambda _: pytest.fail("was built"))
    with pytest.raises(MemoryShortageError, match=r'To prepare 200000 rows of 60 columns.*engine="brute"'):
        build_index(np.zeros((200_000, 60)), engine="blocked")


UNDER_A_LIMIT = """
import resource
from pathlib import Path
import numpy as np
from energyknn._shared.memory import measure_available_memory
from energyknn.neighbors import search_neighbors
X, queries = np.arange(300.0).reshape(-1, 1), np.zeros((200_000, 1))
before = measure_available_memory()
limit = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (400 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(before, measure_available_memory())
print(len(search_neighbors(X, queries[:500], 100, engine="brute").indices))
search_neighbors(X, queries, 100, engine="brute")
"""


@pytest.mark.medium
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_under_a_real_limit_a_search_says_so_and_a_smaller_one_runs():
    done = run_python(UNDER_A_LIMIT)
    measured, found = done.stdout.splitlines()
    before, after = map(int, measured.split())
    assert 0 < after <= min(before, 401 << 20)
    assert found == "500"
    assert "MemoryShortageError: To find 100 neighbours of 200000 rows takes about" in done.stderr


def test_the_command_line_says_so_in_one_line(monkeypatch, capsys):
    from energyknn.study.jobs import tune

    def refuse(*_, **__):
        message = "To find takes more."
        raise MemoryShortageError(message)

    monkeypatch.setattr(tune, "tune", refuse)
    assert main(["tune", "--data", str(sample_path())]) == 2
    assert capsys.readouterr().err == "energyknn: error: To find takes more.\n"
