"""The journal of finished units: whole records or none, and only of the same study."""

from __future__ import annotations

import json
import os
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from children import run_python

from energyknn.cluster.journal import describe_value, open_journal
from energyknn.errors import JournalError

STUDY = {"X": np.arange(6.0), "k": 5, "scoring": "r2"}
ARRAYS = {"measures": np.array([[0.1, 0.2]]), "indices": np.array([[3, 1]])}


def only_record(folder: Any) -> Any:
    (record,) = folder.glob("*.unit")
    return record


def test_what_is_written_is_read_with_the_same_bits(tmp_path):
    open_journal(str(tmp_path), STUDY).write("shard-0-rows-0", ARRAYS)
    found = open_journal(str(tmp_path), STUDY).read("shard-0-rows-0")
    assert found.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "shard-0-rows-0.unit"]


def test_a_unit_that_was_not_finished_is_not_there(tmp_path):
    assert open_journal(str(tmp_path), STUDY).read("shard-0-rows-0") is None


@pytest.mark.parametrize("n_bytes", [0, 10, 60, 200])
def test_a_record_cut_short_is_dropped(tmp_path, n_bytes):
    journal = open_journal(str(tmp_path), STUDY)
    journal.write("unit", ARRAYS)
    whole = only_record(tmp_path).read_bytes()
    only_record(tmp_path).write_bytes(whole[:n_bytes])
    assert journal.read("unit") is None
    journal.write("unit", ARRAYS)
    assert only_record(tmp_path).read_bytes() == whole


def test_a_record_with_a_changed_bit_is_dropped(tmp_path):
    journal = open_journal(str(tmp_path), STUDY)
    journal.write("unit", ARRAYS)
    record = bytearray(only_record(tmp_path).read_bytes())
    record[-30] ^= 1
    only_record(tmp_path).write_bytes(bytes(record))
    assert journal.read("unit") is None


@pytest.mark.parametrize(
    ("name", "value"), [("X", np.arange(6.0) + 1e-12), ("k", 6), ("scoring", "neg_mean_squared_error")]
)
def test_another_study_is_refused_and_the_difference_named(tmp_path, name, value):
    open_journal(str(tmp_path), STUDY)
    with pytest.raises(JournalError, match=rf"belongs to another study \({name}: .* there, .* here; 1 in all\)"):
        open_journal(str(tmp_path), STUDY | {name: value})


def test_a_folder_of_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.txt").write_text("words")
    with pytest.raises(JournalError, match=r"holds thesis\.txt \(1 files\) and no journal"):
        open_journal(str(tmp_path), STUDY)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_manifest_that_is_none_is_refused(tmp_path):
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(JournalError, match=r"is not the manifest of a journal"):
        open_journal(str(tmp_path), STUDY)


def test_what_a_killed_run_left_aside_is_no_hindrance(tmp_path):
    (tmp_path / ".manifest.json.0123.part").write_text("{")
    open_journal(str(tmp_path), STUDY)
    assert json.loads((tmp_path / "manifest.json").read_text())["k"] == "5"


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="cannot be used"):
        open_journal(str(tmp_path / "file"), STUDY)


def test_a_disk_that_takes_nothing_more_is_told(tmp_path, monkeypatch):
    journal = open_journal(str(tmp_path), STUDY)

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal, "_filesystem", SimpleNamespace(pipe_file=refuse))
    with pytest.raises(JournalError, match=r"cannot be written: .*No space left"):
        journal.write("unit", ARRAYS)


def test_an_unknown_kind_of_address_is_refused():
    with pytest.raises(JournalError, match="fsspec cannot open"):
        open_journal("nowhere://folder", STUDY)


def test_any_address_of_fsspec_will_do():
    journal = open_journal("memory://journal-of-a-test", STUDY)
    journal.write("unit", ARRAYS)
    assert journal.read("unit") is not None


def weigh(distances, *, power=1.0):
    return 1 / (1 + distances**power)


def test_functions_are_told_apart_by_code_defaults_and_what_they_enclose():
    def enclose(number):
        return lambda distances: distances + number

    kinds = [
        weigh,
        partial(weigh, power=2.0),
        partial(weigh, power=3.0),
        lambda distances: distances,
        lambda distances: 2 * distances,
        lambda distances, power=1: distances,  # noqa: ARG005
        lambda distances: distances in {1, 2},
        lambda distances: distances in {"1", "2"},
        enclose(1),
        enclose(2),
    ]
    assert len({describe_value(kind) for kind in kinds}) == len(kinds)
    assert describe_value(enclose(1)) == describe_value(enclose(1))


_DESCRIBE = """
import numpy as np
from sklearn.preprocessing import StandardScaler
from energyknn.cluster.journal import describe_value
def scale(x, names=frozenset({"a", "b", "c"})):
    return x if x in {"alpha", "beta", "gamma"} else 2 * x
print(describe_value(scale), describe_value(StandardScaler()), describe_value({"a": [np.arange(3), "b"]}))
"""


@pytest.mark.slow
def test_a_description_is_the_same_in_another_process(capsys):
    """Sets are in another order there: this process has another hash seed, or draws one of 4 billion at random."""
    seed = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    exec(_DESCRIBE, {"__name__": "__main__"})  # noqa: S102 - the code above
    assert run_python(_DESCRIBE, check=True, PYTHONHASHSEED=seed).stdout == capsys.readouterr().out
