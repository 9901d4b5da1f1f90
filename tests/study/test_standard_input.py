"""`--data -`: every command reads what stands on standard input, in any format, as it reads a file."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest
from made_homes import make_homes

from energyknn.study.cli import main

COMMANDS = {
    "describe": ["describe", "--target", "price", "--json"],
    "describe without a target": ["describe", "--json"],
    "reproduce": ["reproduce", "--target", "price", "--json", "--no-report", "--n-neighbors", "1:9"],
    "tune": ["tune", "--target", "price", "--json", "--n-neighbors", "1:9"],
    "fit": ["fit", "--target", "price", "--json", "--n-neighbors", "5"],
    "predict": ["predict", "--model", "model.safetensors"],
}


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Give the bytes of homes.csv, in a folder with a model of theirs."""
    monkeypatch.chdir(tmp_path)
    make_homes(150, empty=0).to_csv("homes.csv", index=False)
    assert main(["fit", "--data", "homes.csv", "--target", "price", "--n-neighbors", "5"]) == 0
    return (tmp_path / "homes.csv").read_bytes()


def forget_names(text):
    """Return what was printed without what names the file or differs from run to run."""
    if not text.startswith("{"):
        return text
    found = json.loads(text)
    for part in ("path", "data", "command", "seconds", "environment"):
        found.pop(part, None)
    found.get("held_out", {}).pop("seconds", None)
    return found


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["text", "gzip"])
@pytest.mark.parametrize("command", COMMANDS)
def test_standard_input_is_as_good_as_a_file(homes, capsys, monkeypatch, command, pack):
    words = COMMANDS[command]
    assert main([*words, "--data", "homes.csv", "--quiet"]) == 0
    expected = forget_names(capsys.readouterr().out)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(pack(homes))))
    assert main([*words, "--data", "-", "--quiet"]) == 0
    found = capsys.readouterr().out
    if isinstance(expected, dict) and pack is gzip.compress:  # it is said that the bytes are compressed
        expected.pop("notes", None)
        assert "stdin" not in json.dumps({**forget_names(found), "notes": []})
        assert {**forget_names(found), "notes": []} == {**expected, "notes": []}
    else:
        assert forget_names(found) == expected
        assert "stdin" not in found


def test_the_study_of_standard_input_names_it_so(homes, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(homes)))
    assert main(["reproduce", "--data", "-", "--target", "price", "--no-report"]) == 0
    shown = capsys.readouterr().out
    assert shown.splitlines()[-1] == "energyknn predict --model results/model.safetensors --data NEW.csv"
    results = json.loads(Path("results/results.json").read_text(encoding="utf-8"))
    assert results["command"].startswith("energyknn reproduce --data - --target price")


def test_an_empty_standard_input_is_refused_in_a_line(capsys, monkeypatch):
    for command in ("describe", "reproduce"):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
        capsys.readouterr()
        assert main([command, "--data", "-", "--target", "price"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
