"""`energyknn tune --ray` prints the same output as one machine, and a mistake ends in one line and status 2."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_tracks import make_tracks
from real_ray import start_ray

from energyknn.errors import ClusterError, JournalError
from energyknn.loading import sample_path
from energyknn.study.cli import main

TUNE = ["tune", "--n-neighbors", "3,5,9", "--weights", "uniform,distance"]


def assert_one_line(captured: Any, message: str) -> None:
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_journal_without_ray_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([*TUNE, "--data", str(sample_path()), "--journal", str(tmp_path)]) == 2
    assert_one_line(capsys.readouterr(), "--journal is for --ray")


@pytest.mark.parametrize("address", ["nowhere", "ray://host:10001"])
def test_what_is_no_address_is_refused_before_the_file_is_read(
    capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert main([*TUNE, "--data", "no such file", "--ray", address]) == 2
    assert_one_line(capsys.readouterr(), "It must be host:port")


@pytest.mark.medium
def test_an_address_that_keeps_silent_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert main([*TUNE, "--data", str(sample_path()), "--ray", address]) == 2
    assert_one_line(capsys.readouterr(), f"energyknn: error: No Ray answers at '{address}'")


def test_a_missing_ray_is_named_with_its_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main([*TUNE, "--data", str(sample_path()), "--ray"]) == 2
    assert_one_line(capsys.readouterr(), "pip install 'energyknn[ray]'")


@pytest.mark.parametrize("error", [ClusterError, JournalError])
def test_a_cluster_or_journal_that_cannot_be_used_ends_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        message = "No Ray answers at '203.0.113.1:6379'. Start one there, or unset RAY_ADDRESS."
        raise error(message)

    monkeypatch.setenv("RAY_ADDRESS", "203.0.113.1:6379")
    monkeypatch.setattr("energyknn.study.tools.search_ray_tune", refuse)
    assert main(["reproduce", "--search", "ray", "--no-report", "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert_one_line(captured, "energyknn: error: No Ray answers at '203.0.113.1:6379'")
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Start Ray as a user would, once for all tests."""
    with start_ray() as ray:
        yield ray


@pytest.fixture
def tracks_file(tmp_path: Path) -> str:
    """Write 400 tracks."""
    make_tracks(400).to_csv(tmp_path / "tracks.csv", index=False)
    return str(tmp_path / "tracks.csv")


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
@pytest.mark.parametrize("more", [[], ["--json", "--p", "1,2", "--scaler", "as it is,robust", "--without", "key"]])
def test_the_output_is_that_of_one_machine(
    capsys: pytest.CaptureFixture[str], tracks_file: str, tmp_path: Path, more: list[str]
) -> None:
    command, journal = [*TUNE, "--data", tracks_file, *more], tmp_path / "journal"
    assert main(command) == 0
    expected = capsys.readouterr()
    for options in (["--ray"], ["--ray", "auto", "--journal", str(journal)]):
        assert main([*command, *options]) == 0
        found = capsys.readouterr()
        assert (found.out, found.err) == (expected.out, expected.err)
    records = {path.name: path.read_bytes() for path in journal.glob("*.unit")}
    assert len(records) >= 4
    assert main([*command, "--ray", "--journal", str(journal)]) == 0
    assert capsys.readouterr().out == expected.out
    assert {path.name: path.read_bytes() for path in journal.glob("*.unit")} == records


@pytest.mark.ray
@pytest.mark.usefixtures("running_ray")
def test_a_journal_of_another_study_is_refused(
    capsys: pytest.CaptureFixture[str], tracks_file: str, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    journal.mkdir()
    (journal / "manifest.json").write_text(json.dumps({"kind": "scores"}))
    assert main([*TUNE, "--data", tracks_file, "--ray", "--journal", str(journal)]) == 2
    assert_one_line(capsys.readouterr(), "belongs to another study")
    (journal / "manifest.json").unlink()
    (journal / "letter.txt").write_text("words")
    assert main([*TUNE, "--data", tracks_file, "--ray", "--journal", str(journal)]) == 2
    assert_one_line(capsys.readouterr(), "holds letter.txt")


@pytest.mark.ray
def test_alone_it_is_quiet(tracks_file: str) -> None:
    command = [sys.executable, "-m", "energyknn", *TUNE, "--data", tracks_file, "--ray"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "Best: k = " in done.stdout
