"""Kernels that are kept as machine code and loaded without Numba."""

from __future__ import annotations

import sys
from threading import Thread
from typing import NamedTuple

import numba
import numpy as np
import pytest
from children import run_python

from energyknn._shared import kernel_folders, machine_code
from energyknn._shared.kernel_loading import find_folder, try_loading
from energyknn._shared.machine_code import Kernel, is_compiled

pytestmark = pytest.mark.skipif(not is_compiled(), reason="nothing is compiled")
SOURCE = """
from energyknn._shared.compiling import compile_step

@compile_step
def scale(value, factor):
    return value * factor

@compile_step
def fill(pair, share, target):
    for row in range(target.shape[0]):
        for column in range(target.shape[1]):
            target[row, column] = scale(pair.values[row, column], share) + pair.number
    return target.shape[1]

@compile_step
def allocate(values):
    values[:] = values.copy()
"""


class Pair(NamedTuple):
    values: np.ndarray
    number: int


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that makes a kernel as another process would, and knows nothing of it before."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "filling.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "package")
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    machine_code._hash_room.cache_clear()

    def load_anew(name="fill"):
        monkeypatch.delitem(sys.modules, "filling", raising=False)
        return Kernel("filling", name)

    return load_anew


def call(kernel):
    """Call a kernel; tell whether it was compiled."""
    before = "filling" in sys.modules
    values, target = np.arange(6.0).reshape(2, 3), np.empty((2, 3))
    values.flags.writeable = False
    assert kernel(Pair(values, 4), 0.5, target) == 3
    np.testing.assert_array_equal(target, values * 0.5 + 4)
    return "filling" in sys.modules and not before


def find_file(kernel):
    (path,) = find_folder(kernel).glob("fill-*.code")
    return path


def test_a_kernel_is_compiled_once_for_an_installation(load):
    assert call(load())
    assert not call(load())
    assert not try_loading(lambda: load()(Pair(np.zeros((1, 1), np.float32), 1), 2.0, np.zeros((1, 1))))


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_a_damaged_file_is_compiled_anew(load, cut):
    kernel = load()
    call(kernel)
    path = find_file(kernel)
    content = path.read_bytes()
    path.write_bytes(content[: cut or len(content) - 1] + b"\0")
    assert call(load())
    assert not call(load()), "the damaged file was replaced"


def test_a_change_of_a_file_of_the_room_compiles_anew(load, tmp_path):
    call(load())
    (tmp_path / "package" / "other.py").touch()
    (tmp_path / "package" / "other.py").write_text("more = 1\n", encoding="utf-8")
    machine_code._hash_room.cache_clear()
    assert call(load())


def test_other_instructions_of_the_processor_compile_anew(load, monkeypatch):
    call(load())
    monkeypatch.setattr(machine_code, "_describe_compiler", lambda: "another")
    assert call(load())


def test_where_no_folder_can_be_written_each_process_compiles(load, monkeypatch, tmp_path):
    monkeypatch.setattr(machine_code, "find_writable_folder", lambda _: None)
    assert call(load())
    assert call(load())
    assert not list(tmp_path.rglob("*.code"))


def test_a_full_disk_keeps_nothing_and_gives_the_result(load, monkeypatch, tmp_path):
    def fail(*_):
        message = "No space left on device"
        raise OSError(message)

    monkeypatch.setattr(machine_code.os, "replace", fail)
    assert call(load())
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".code" or path.name.startswith("tmp")]


@pytest.mark.parametrize("bad", ["transposed", "not aligned"])
def test_arrays_must_lie_in_order(load, bad):
    values = np.zeros((3, 2)).T if bad == "transposed" else np.frombuffer(bytearray(49), np.uint8)[1:].view(float)
    with pytest.raises(TypeError, match="not C-ordered and aligned"):
        load()(Pair(values, 1), 1.0, np.zeros((2, 3)))


def test_a_kernel_that_needs_numba_is_refused(load):
    with pytest.raises(Exception, match=r"NRT required|calls .*, which needs Numba"):
        load("allocate")(np.zeros(3))


def test_threads_that_come_together_compile_once(load, monkeypatch):
    counted = []
    compile_kernel = Kernel._compile
    monkeypatch.setattr(Kernel, "_compile", lambda self, *rest: counted.append(1) or compile_kernel(self, *rest))
    kernel = load()
    threads = [Thread(target=call, args=(kernel,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted) == 1


@pytest.fixture
def without_writing(tmp_path, monkeypatch):
    """Let neither the package's folder nor a home be written; return the temporary folder."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)

    def refuse(_):
        raise PermissionError

    monkeypatch.setattr(kernel_folders, "_find_beside", refuse)
    monkeypatch.setattr(kernel_folders, "_find_users", refuse)
    monkeypatch.setattr(kernel_folders.tempfile, "tempdir", str(shared))
    return shared


def test_where_nothing_can_be_written_kernels_are_kept_under_the_temporary_folder(load, without_writing):
    kernel = load()
    assert call(kernel)
    assert without_writing in find_folder(kernel).parents
    assert not call(load())


@pytest.mark.parametrize("bait", ["open to others", "a link", "a file", "an open parent"])
def test_a_folder_that_others_could_fill_is_not_read(load, without_writing, bait, tmp_path):
    call(load())
    (private,) = without_writing.iterdir()
    if bait == "an open parent":
        without_writing.chmod(0o777)
    elif bait == "open to others":
        private.chmod(0o770)
    else:
        private.rename(tmp_path / "moved")
        private.symlink_to(tmp_path / "moved") if bait == "a link" else private.touch()
    kernel = load()
    assert find_folder(kernel) is None
    assert call(kernel)


def test_a_user_without_a_home_gets_no_folder_named_like_one(load, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(kernel_folders.os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(kernel_folders, "_find_beside", lambda _: None)
    assert call(load())
    assert not (tmp_path / "~").exists()


def test_kernels_are_kept_where_the_environment_says(load, monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")  # Numba reads the environment anew when it compiles
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "chosen"))
    kernel = load()
    assert call(kernel)
    assert tmp_path / "chosen" in find_folder(kernel).parents


WITHOUT_NUMBA = """
import sys
import numpy as np
from energyknn.neighbors import search_neighbors
from energyknn.neighbors.engines.blocked import engine
engine.search_three_rows() if sys.argv[1] == "first" else None
rows = np.random.default_rng(0).normal(size=(300, 3))
found, expected = (search_neighbors(rows, None, 4, engine=engine) for engine in ("blocked", "brute"))
assert found.distances.tobytes() == expected.distances.tobytes()
assert found.indices.tobytes() == expected.indices.tobytes()
print("numba" in sys.modules)
"""


@pytest.mark.medium
def test_a_search_with_kernels_on_disk_loads_no_numba():
    run_python(WITHOUT_NUMBA, "first", check=True)
    assert run_python(WITHOUT_NUMBA, "later", check=True).stdout == "False\n"
