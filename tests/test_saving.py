"""Saving: a file is whole or not there, whatever goes wrong on the way."""

from __future__ import annotations

import pytest

from energyknn.saving import save_and_reload, staged_file, staged_folder


def test_files_appear_when_all_are_written(tmp_path):
    out = tmp_path / "a" / "out"
    with staged_folder(out) as staged:
        (staged / "deep").mkdir()
        (staged / "deep" / "one.txt").write_text("1")
        assert list(out.rglob("one.txt")) == [staged / "deep" / "one.txt"]
    assert [path.relative_to(out).as_posix() for path in out.rglob("*")] == ["deep", "deep/one.txt"]


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "kept.txt").write_text("old")
    with pytest.raises(OSError, match="No space"), staged_folder(tmp_path) as staged:  # noqa: PT012 - what fails is the body
        (staged / "kept.txt").write_text("new")
        raise OSError(28, "No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]
    assert (tmp_path / "kept.txt").read_text() == "old"


def test_a_failure_removes_the_folders_it_made(tmp_path):
    with pytest.raises(RuntimeError), staged_folder(tmp_path / "a" / "b"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_other_files_in_the_folder_stay(tmp_path):
    (tmp_path / "other.txt").write_text("mine")
    with staged_folder(tmp_path) as staged:
        (staged / "new.txt").write_text("1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.txt", "other.txt"]


def test_a_single_file_is_replaced_whole(tmp_path):
    path = tmp_path / "f.txt"
    path.write_text("old")
    with staged_file(path) as staged:
        staged.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(IsADirectoryError), staged_file(tmp_path):
        pass


def test_a_search_is_read_back_from_its_file(tmp_path):
    search = {"n_neighbors": 11}
    read = save_and_reload(search, tmp_path / "model" / "s.joblib")
    assert read == search
    assert read is not search
