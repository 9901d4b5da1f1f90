"""How a command ends when something outside of it says so."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from children import leave_out_coverage

from energyknn.loading import sample_path
from energyknn.study.cli import main
from energyknn.study.cli.ending import ending_when_told

POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes that end a process, nor a full device")
ENDED_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
from energyknn._shared import saving
from energyknn.study.cli import main

number = getattr(signal, sys.argv[1])  # it may be ignored from the start, as under nohup, and the child waits for it
signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

def save(table, path):
    with saving.staged_file(path) as staged:
        staged.write_text("half")
        os.kill(os.getpid(), number)
        signal.pause()

saving.save_table = save
sys.exit(main(["sample", "--rows", "50", "--out", sys.argv[2]]))
"""


@POSIX
@pytest.mark.medium
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_leaves_nothing_behind(tmp_path, name):
    out = tmp_path / "tracks.csv"
    done = subprocess.run(
        [sys.executable, "-c", ENDED_WHILE_SAVING, name, out],
        env=leave_out_coverage(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 128 + getattr(signal, name)
    assert done.stderr == f"energyknn: {'interrupted' if name == 'SIGINT' else 'terminated'}; no file was written.\n"
    assert list(tmp_path.iterdir()) == []


def test_a_signal_that_ray_takes_ends_a_command_alike(monkeypatch, capsys):
    monkeypatch.setattr("energyknn.study.cli.sample.run", lambda _: sys.exit(signal.SIGTERM))
    assert main(["sample", "--rows", "5"]) == 143
    assert capsys.readouterr().err == "energyknn: terminated; no file was written.\n"


def test_signals_are_given_back_and_ignored_ones_stay_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with ending_when_told():
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with ending_when_told():
        assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    signal.signal(signal.SIGTERM, before)


def test_a_command_runs_where_no_signal_can_be_taken(monkeypatch, capsys):
    """In another thread, and on a system that knows none of them."""
    statuses = []
    run = threading.Thread(target=lambda: statuses.append(main(["sample", "--rows", "5"])))
    run.start()
    run.join()
    for name in ("SIGTERM", "SIGHUP"):
        monkeypatch.delattr(signal, name, raising=False)
    statuses.append(main(["sample", "--rows", "5"]))
    assert statuses == [0, 0]
    assert len(capsys.readouterr().out.splitlines()) == 12


def run_shell(line, **environment):
    """Run a line of a shell in which energyknn is this Python's."""
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", line.replace("energyknn", f"{sys.executable} -m energyknn")],
        env=leave_out_coverage() | environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@POSIX
@pytest.mark.medium
def test_a_reader_that_goes_away_ends_the_command_quietly():
    done = run_shell("energyknn sample --rows 20000 | head -n 1")
    assert (done.returncode, done.stderr) == (141, "")
    assert done.stdout.count("\n") == 1


@POSIX
@pytest.mark.medium
@pytest.mark.parametrize("streams", ["", "2>&1"])
def test_tables_end_so_too(tmp_path, streams):
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(30, 3000)))  # more than a pipe holds
    wide.rename(columns=lambda number: f"column {number}").to_csv(tmp_path / "wide.csv", index=False)
    done = run_shell(f"energyknn describe --data {tmp_path / 'wide.csv'} {streams} | head -n 1")
    assert (done.returncode, done.stderr) == (141, "")
    assert done.stdout.count("\n") == 1


@POSIX
@pytest.mark.medium
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
@pytest.mark.parametrize("rows", [5, 20_000])
def test_a_full_disk_under_stdout_takes_one_line(rows):
    done = run_shell(f"energyknn sample --rows {rows} > /dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("energyknn: error: No space left on device. ")
    assert done.stderr.count("\n") == 1


def test_what_the_output_cannot_encode_takes_one_line(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    monkeypatch.setattr("energyknn.study.cli.sample.run", lambda _: sys.stdout.write("Bj\u00f6rk"))
    assert main(["sample", "--rows", "5"]) == 2
    assert capsys.readouterr().err == (
        "energyknn: error: The output holds '\u00f6', which 'ascii' cannot encode. "
        "Set PYTHONUTF8=1, or write to a file with --out.\n"
    )


def test_an_interrupt_while_commands_are_imported_ends_as_one_while_they_run(monkeypatch, capsys):
    from energyknn.__main__ import main as begin

    class Interrupting:
        def find_spec(self, name, *_):
            if name == "energyknn.study.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "energyknn.study.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    assert begin() == 130
    assert capsys.readouterr().err == "energyknn: interrupted; no file was written.\n"


@pytest.mark.parametrize(
    "error", [ValueError("shapes differ"), KeyError("price"), OSError("no number"), ImportError("m")]
)
def test_a_fault_of_the_program_is_told_from_a_mistake(tmp_path, monkeypatch, capsys, error):
    """A command never ends in a traceback. What the user cannot mend is said to be ours, and its details are kept."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for command in ("sample.synthesise_tracks", "jobs.reproduce.reproduce", "jobs.tune.tune", "jobs.describe.describe"):
        place = "energyknn.study.synthesis.synthesise_tracks" if "sample" in command else f"energyknn.study.{command}"
        monkeypatch.setattr(place, fail)
        name = command.split(".")[-2]
        words = {"sample": ["--rows", "5"], "reproduce": ["--no-report"]}.get(name, ["--data", str(sample_path())])
        assert main([name, *words, "--quiet"]) == 1
        said = capsys.readouterr().err
        assert said.startswith(f"energyknn: fault: {type(error).__name__}: ")
        assert "not of your file" in said
        assert said.count("\n") == 1
        kept = next(tmp_path.glob("energyknn-fault-*.txt"))
        assert str(kept) in said
        assert "in fail" in kept.read_text(encoding="utf-8")
        kept.unlink()


def test_where_no_details_can_be_kept_a_fault_is_still_one_line(monkeypatch, capsys):
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    monkeypatch.setattr("energyknn.study.cli.sample.run", lambda _: 1 / 0)
    assert main(["sample", "--rows", "5"]) == 1
    said = capsys.readouterr().err
    assert "ZeroDivisionError: division by zero" in said
    assert "Set TMPDIR" in said
    assert said.count("\n") == 1


WITHOUT_SEMAPHORES = """
import _multiprocessing, sys

def refuse(*_, **__):
    raise OSError(30, "Read-only file system")

_multiprocessing.SemLock = refuse
sys.argv = ["energyknn", "sample", "--rows", "5"]
from energyknn.__main__ import main
sys.exit(main())
"""


@POSIX
@pytest.mark.medium
def test_no_shared_memory_is_no_word():
    """Where there is no /dev/shm, joblib warns while it is imported. Nobody can mend that, and it moves no figure."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SEMAPHORES],
        env=leave_out_coverage(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
