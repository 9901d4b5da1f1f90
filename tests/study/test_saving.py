"""Saving: a file is whole or not there, whatever goes wrong on the way."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from children import run_python

from energyknn._shared import saving
from energyknn._shared.saving import TABLE_ENDINGS, save_table, staged_file, staged_folder
from energyknn.errors import DataFileError
from energyknn.loading import read_file


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


TABLE = pd.DataFrame(
    {"a": [0.1, 1 / 3, None], "n": [1, 2, 3], "b": ["é", '"', "=1+1"], "c": [True, False, True], "d": ["x", None, "z"]}
)


@pytest.mark.parametrize("name", [f"t{ending}" for ending in TABLE_ENDINGS] + ["T.CSV", "T.Json"])
def test_a_table_is_written_as_its_ending_says(tmp_path, name):
    for module in ("pyarrow", "zstandard", "openpyxl"):
        pytest.importorskip(module)
    save_table(TABLE.set_index(pd.Index([5, 6, 7])), tmp_path / "new" / name)
    content = read_file(tmp_path / "new" / name)
    pd.testing.assert_frame_equal(content.table, TABLE, check_exact=True)
    assert content.notes == (("Cells are separated by tabs.",) if ".tsv" in name else ())


def test_json_is_what_other_programs_read(tmp_path):
    save_table(TABLE, tmp_path / "t.json")
    assert json.loads((tmp_path / "t.json").read_text())[2] == {"a": None, "n": 3, "b": "=1+1", "c": True, "d": "z"}
    save_table(TABLE, tmp_path / "t.jsonl")
    assert [json.loads(line)["n"] for line in (tmp_path / "t.jsonl").read_text().splitlines()] == [1, 2, 3]
    save_table(TABLE.iloc[:0], tmp_path / "none.json")
    assert json.loads((tmp_path / "none.json").read_text()) == []


@pytest.mark.parametrize("name", ["t.doc", "t", "t.xls", "csv", "t.csv.rar"])
def test_an_ending_that_is_no_tables_is_refused_before_anything_is_written(tmp_path, name):
    with pytest.raises(DataFileError, match=r"has no ending of a table that is written. Give it .csv, "):
        save_table(TABLE, tmp_path / "new" / name)
    assert list(tmp_path.iterdir()) == []


def test_what_a_sheet_cannot_hold_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    pytest.importorskip("openpyxl")
    with pytest.raises(DataFileError, match="Excel sheet cannot hold the table"):
        save_table(pd.DataFrame({"a": ["\x00"]}), tmp_path / "t.xlsx")
    monkeypatch.setattr(saving, "_MOST_ROWS_OF_A_SHEET", 2)
    with pytest.raises(DataFileError, match="An Excel sheet holds 2 rows, and the table has 3"):
        save_table(TABLE, tmp_path / "t.xlsx")
    assert list(tmp_path.iterdir()) == []


KILLS = """
import json, os, random, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from made_tracks import make_tracks
from energyknn.errors import ModelFileError
from energyknn.estimators import KNNRegressor
from energyknn.modelfile import fit_model, load_model, save_model
from energyknn.study.notebook import SPOTIFY

path, n_kills = Path(sys.argv[1]) / "m", int(sys.argv[2])
random.seed(n_kills)
tracks = make_tracks(5_000)
models = [fit_model(tracks, SPOTIFY, KNNRegressor(k)) for k in (3, 4)]
seconds = []
for model in models * 3:
    start = time.perf_counter()
    save_model(model, path)
    seconds.append(time.perf_counter() - start)
longest = sorted(seconds)[3]
counts = dict.fromkeys(("killed", "finished", "old", "new", "broken"), 0)
for _ in range(n_kills):
    old = load_model(path).estimator.n_neighbors
    new = models[old == 3]
    child = os.fork()
    if child == 0:
        save_model(new, path)
        os._exit(0)
    time.sleep(random.uniform(0, 1.3 * longest))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    counts["killed" if os.WIFSIGNALED(status) else "finished"] += 1
    try:
        counts["old" if load_model(path).estimator.n_neighbors == old else "new"] += 1
    except ModelFileError:
        counts["broken"] += 1
        save_model(models[0], path)
print(json.dumps(counts))
"""


@pytest.mark.slow
@pytest.mark.parametrize("n_kills", [6, pytest.param(150, marks=pytest.mark.fuzz)])
def test_a_save_that_is_killed_leaves_the_old_file_or_the_new(tmp_path, request, say, n_kills):
    done = run_python(KILLS, tmp_path, n_kills, request.path.parents[1])
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    say(f"saves over a model: {counts}")
    assert counts["broken"] == 0
    assert counts["old"] + counts["new"] == n_kills
    if n_kills > 100:
        assert counts["killed"] >= 100
        assert min(counts["old"], counts["new"]) > 0
