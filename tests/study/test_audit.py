"""energyknn audit: wrong rows come first, on the screen, in JSON and in the file."""

from __future__ import annotations

import io
import json

import pandas as pd
import pytest
from made_homes import make_homes

from energyknn.study.cli import main

HOMES = ("audit", "--data", "homes.csv", "--target", "price", "--missing", "drop", "--effort", "quick")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    homes = make_homes(empty=0)
    homes.loc[homes.index[5], "price"] = 40 * homes["price"].max()
    homes.to_csv(tmp_path / "homes.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_worst_rows_are_shown_and_all_are_written(capsys, folder):
    assert main([*HOMES, "--top", "2"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].split()[:5] == ["row", "price", "neighbours", "say", "misfit"]
    assert lines[1].split()[0] == "5"
    assert lines[3].startswith("Test: 20 rows swapped their targets.")
    assert len(lines) == 4
    assert "All 400 rows written to audit.csv" in said.err
    assert sorted(pd.read_csv(folder / "audit.csv")["row"]) == list(range(400))


def test_json_holds_what_is_shown(capsys, folder):
    assert main([*HOMES, "--json", "--quiet", "--top", "3", "--out", "doubtful.json", "--spoil", "0.1"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert said.err == ""
    assert (found["target"], found["rows"], found["out"]) == ("price", 400, "doubtful.json")
    assert found["spoilt"]["rows"] == 40
    assert found["spoilt"]["found"] > 40 * found["spoilt"]["by_chance"]
    assert found["worst"] == json.loads((folder / "doubtful.json").read_text())[:3]
    assert found["worst"][0]["row"] == 5


def test_classes_are_read_from_standard_input(capsys, monkeypatch):
    homes = pd.read_csv("homes.csv")
    homes["dear"] = (homes.pop("price") > 300_000).map({True: "yes", False: "no"})
    text = io.TextIOWrapper(io.BytesIO(homes.to_csv(index=False).encode()))
    monkeypatch.setattr("sys.stdin", text)
    assert main(["audit", "--data", "-", "--target", "dear", "--spoil", "0", "--missing", "drop"]) == 0
    assert "How well this finds wrong targets was not tested." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "value", "said"), [("--top", "0", "--top is 0"), ("--spoil", "0.9", "spoil is 0.9")]
)
def test_a_mistake_ends_in_one_line_and_writes_nothing(capsys, folder, option, value, said):
    assert main([*HOMES, "--quiet", option, value]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (folder / "audit.csv").exists()
