"""Errors: a missing extra is named; a broken module is not taken for a missing one."""

from __future__ import annotations

import sys

import pytest

from energyknn.errors import import_extra


def test_a_missing_module_names_its_extra():
    with pytest.raises(ImportError, match=r"'no_such_thing' is not installed.*energyknn\[gpu\]"):
        import_extra("no_such_thing", extra="gpu")


def test_a_module_whose_own_import_fails_keeps_its_error(tmp_path, monkeypatch):
    (tmp_path / "broken_thing.py").write_text("import another_missing_thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="another_missing_thing"):
        import_extra("broken_thing", extra="gpu")
    assert "broken_thing" not in sys.modules
