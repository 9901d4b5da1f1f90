"""Compiled kernels on disk: where they are kept, what becomes of damaged files, and who compiles."""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import sys
import tempfile
from threading import Thread

import numba
import pytest
from children import run_python
from numba.core import caching

from energyknn._shared import kernel_files
from energyknn._shared.kernel_loading import find_folder, load_or_compile, try_loading
from energyknn._shared.turns import taking_turns

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
SOURCE = """
from energyknn._shared.compiling import compile_kernel

@compile_kernel
def double(number):
    return 2 * number
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that loads the same kernel as another process would, and knows nothing of it before."""
    (tmp_path / "package").mkdir()
    path = tmp_path / "package" / "doubling.py"
    path.write_text(SOURCE, encoding="utf-8")

    def load_anew():
        spec = importlib.util.spec_from_file_location("doubling", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "doubling", module)
        spec.loader.exec_module(module)
        return module.double

    return load_anew


def call(kernel):
    """Call a kernel; tell whether it was compiled."""
    assert kernel(4) == 8
    return sum(kernel.stats.cache_misses.values()) == 1


@pytest.fixture
def without_writing(tmp_path, monkeypatch):
    """Let neither the package's folder nor a home be written, as in a container; return the temporary folder."""
    monkeypatch.setattr(kernel_files._Kernel, "_locator_classes", [kernel_files._PrivateFolder])
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(shared))
    return shared


def test_a_kernel_is_compiled_once_for_an_installation(load):
    assert call(load())
    assert not call(load())


def damage(content, how):
    """Damage a file's content."""
    return {
        "cut off": content[: len(content) // 2],
        "empty": b"",
        "zeros": content[:50] + bytes(len(content) - 50),
        "another pickle": b"\x80\x04K\x01.",
        "one bit": content[:-200] + bytes([content[-200] ^ 1]) + content[-199:],
        "too long": content + b"more",
    }[how]


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("how", ["cut off", "empty", "zeros", "another pickle", "one bit", "too long"])
def test_a_damaged_file_is_compiled_anew(load, ending, how):
    kernel = load()
    call(kernel)
    (path,) = find_folder(kernel).glob(f"doubling*.{ending}")
    path.write_bytes(damage(path.read_bytes(), how))
    assert call(load())
    assert not call(load()), "the damaged file was replaced"


def test_data_of_another_signature_are_not_run(load):
    """Two processes that saved at once can leave an index that names the other's file."""
    kernel = load()
    kernel(4)
    kernel(4.0)
    first, second = sorted(find_folder(kernel).glob("*.nbc"))
    first.write_bytes(second.read_bytes())
    kernel = load()
    assert (kernel(4), kernel(4.5)) == (8, 9.0)


def test_a_change_of_a_step_in_another_file_compiles_anew(load, monkeypatch):
    call(load())
    monkeypatch.setattr(kernel_files, "_hash_steps", lambda _: "another")
    assert call(load())


def test_a_full_disk_keeps_nothing_and_gives_the_result(load, monkeypatch, tmp_path):
    def fill(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_open_for_write", fill)
    assert call(load())
    assert call(load())
    assert not list(tmp_path.rglob("*.nb?"))


def test_where_nothing_can_be_written_kernels_are_kept_under_the_temporary_folder(load, without_writing):
    kernel = load()
    assert call(kernel)
    assert without_writing in find_folder(kernel).parents
    (private,) = without_writing.iterdir()
    assert private.stat().st_mode & 0o777 == 0o700
    assert not call(load())


@pytest.mark.parametrize("bait", ["open to others", "a link", "a file"])
def test_a_folder_that_others_could_fill_is_not_read(load, without_writing, bait, tmp_path):
    call(load())
    (private,) = without_writing.iterdir()
    if bait == "open to others":
        private.chmod(0o770)
    else:
        private.rename(tmp_path / "moved")
        private.symlink_to(tmp_path / "moved") if bait == "a link" else private.touch()
    kernel = load()
    assert find_folder(kernel) is None
    assert call(kernel)


def test_a_temporary_folder_where_others_can_replace_files_is_not_used(load, without_writing):
    without_writing.chmod(0o777)
    assert find_folder(load()) is None


def test_a_folder_of_another_user_is_not_used(load, without_writing, monkeypatch):
    call(load())
    (private,) = without_writing.iterdir()
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    private.rename(without_writing / f"energyknn-{user + 1}")
    assert find_folder(load()) is None


def test_without_owners_of_files_the_temporary_folder_is_the_users_own(load, without_writing, monkeypatch):
    """As on Windows."""
    monkeypatch.delattr(os, "geteuid")
    assert without_writing in find_folder(load()).parents


def test_a_user_without_a_home_gets_no_folder_named_like_one(load, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    kinds = [kind for kind in kernel_files._Kernel._locator_classes if kind is not caching.InTreeCacheLocator]
    monkeypatch.setattr(kernel_files._Kernel, "_locator_classes", kinds)
    assert call(load())
    assert not (tmp_path / "~").exists()


def test_kernels_that_came_with_the_installation_are_read_where_it_cannot_be_written(load, request):
    call(load())
    request.getfixturevalue("without_writing")
    assert not call(load())


def test_kernels_are_kept_where_numba_is_told_to(load, monkeypatch, tmp_path):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "chosen"))
    kernel = load()
    assert call(kernel)
    assert tmp_path / "chosen" in find_folder(kernel).parents


def test_what_is_not_on_disk_is_not_loaded(load):
    kernel = load()
    assert not try_loading(lambda: kernel(4))
    assert call(kernel)
    again = load()
    assert try_loading(lambda: again(4))


def test_compiling_is_announced_once_and_only_if_something_is_compiled(load, caplog):
    for _ in range(2):
        kernel = load()
        load_or_compile(kernel, lambda kernel=kernel: kernel(4), what="doubling")
    assert [record.getMessage() for record in caplog.records] == [
        "Compiling the kernels of doubling, once for this installation."
    ]


@pytest.mark.parametrize("private", [True, False])
def test_the_announcement_says_what_keeps_kernels(load, without_writing, caplog, private):
    if not private:
        without_writing.chmod(0o777)
    kernel = load()
    load_or_compile(kernel, lambda: kernel(4), what="doubling")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert ("while" if private else "in each process") in record.getMessage()
    assert "Set NUMBA_CACHE_DIR" in record.getMessage()


def test_who_comes_second_waits(tmp_path):
    order = []

    def take_turn():
        with taking_turns(tmp_path):
            order.append("second")

    second = Thread(target=take_turn)
    with taking_turns(tmp_path):
        second.start()
        second.join(timeout=0.05)
        order.append("first")
    second.join()
    assert order == ["first", "second"]


def test_a_folder_that_cannot_hold_a_lock_makes_nobody_wait(tmp_path):
    with taking_turns(tmp_path / "missing"):
        pass


LATE = """
import numba, os
os.environ["NUMBA_DISABLE_JIT"] = "1"
from energyknn.neighbors import search_neighbors
print(search_neighbors([[0.0], [1.0], [3.0]], [[0.75]], 2, engine="blocked").indices.tolist())
"""


@pytest.mark.medium
def test_the_compiler_can_be_switched_off_after_numba_was_imported():
    assert run_python(LATE, check=True).stdout == "[[1, 0]]\n"
