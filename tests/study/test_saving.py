"""Saving: a file is whole or not there, whatever goes wrong on the way."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from children import run_python

from energyknn._shared.saving import save_table, staged_file, staged_folder


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


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.csv.zip", "t.csv.zst", "t.parquet"])
def test_a_table_is_written_as_its_ending_says(tmp_path, name):
    for module in ("pyarrow", "zstandard"):
        pytest.importorskip(module)
    table = pd.DataFrame({"a": [0.1, 1 / 3], "b": ["é", '"']})
    save_table(table, tmp_path / "new" / name)
    read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
    pd.testing.assert_frame_equal(read(tmp_path / "new" / name), table, check_exact=True)


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
