"""Fetching: the checksum is recorded, a changed file refused, and no network told in plain words."""

from __future__ import annotations

import hashlib
import json
import sys
from types import SimpleNamespace

import pytest

from energyknn.errors import DataFileError
from energyknn.study.cli import main
from energyknn.study.fetching import DATASET, fetch_tracks

CONTENT = b"acousticness,energy\n0.1,0.2\n"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def kaggle(tmp_path, monkeypatch):
    """Put a stand-in in kagglehub's place, which needs a network: it serves one file."""
    served = tmp_path / "cache.csv"
    served.write_bytes(CONTENT)
    asked = []

    def dataset_download(name, path):
        asked.append((name, path))
        return str(served)

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))
    return SimpleNamespace(served=served, asked=asked)


def test_the_file_and_its_record_are_written(kaggle, tmp_path, capsys):
    path = tmp_path / "data" / "data.csv"
    assert main(["fetch", "--out", str(path)]) == 2
    assert "there is no folder" in capsys.readouterr().err
    path.parent.mkdir()
    assert main(["fetch", "--out", str(path)]) == 0
    assert path.read_bytes() == CONTENT
    record = json.loads((tmp_path / "data" / "data.csv.source.json").read_text())
    assert (record["sha256"], record["dataset"]) == (DIGEST, DATASET)
    assert kaggle.asked == [(DATASET, "data.csv")]
    assert DIGEST in capsys.readouterr().out
    assert main(["fetch", "--out", str(path), "--json", "--quiet"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "path": str(path),
        "sha256": DIGEST,
        "record": f"{path}.source.json",
    }


def test_a_file_that_changed_since_is_refused_and_the_old_one_stays(kaggle, tmp_path):
    path = tmp_path / "data.csv"
    fetch_tracks(path)
    kaggle.served.write_bytes(b"other")
    with pytest.raises(DataFileError, match=f"{DIGEST} was expected"):
        fetch_tracks(path)
    assert path.read_bytes() == CONTENT


@pytest.mark.usefixtures("kaggle")
def test_an_expected_checksum_is_held_against_the_file(tmp_path, capsys):
    assert main(["fetch", "--out", str(tmp_path / "d.csv"), "--sha256", "0" * 64]) == 2
    assert "was expected" in capsys.readouterr().err
    assert not (tmp_path / "d.csv").exists()


def test_without_a_network_the_reason_is_told_in_one_line(tmp_path, capsys, monkeypatch):
    def dataset_download(*_args, **_kwargs):
        message = "no route\nto host"
        raise TimeoutError(message)

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=dataset_download))
    assert main(["fetch", "--out", str(tmp_path / "d.csv")]) == 2
    error = capsys.readouterr().err
    assert "Kaggle did not give" in error
    assert "Check the network" in error
    assert error.count("\n") == 1


def test_without_the_extra_it_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    assert main(["fetch", "--out", str(tmp_path / "d.csv")]) == 2
    assert "pip install 'energyknn[kaggle]'" in capsys.readouterr().err
