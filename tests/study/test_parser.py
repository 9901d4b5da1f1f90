"""The parser: help that fits narrow terminals, examples that run, the nearest word, completion."""

from __future__ import annotations

import io
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from made_tracks import make_tracks

from energyknn.study.cli import build_parser, main

COMMANDS = build_parser()._subparsers._group_actions[0].choices
EXAMPLES = [line.strip() for parser in (build_parser(), *COMMANDS.values()) for line in parser.epilog.splitlines()[1:]]


def show_help(capsys, *command):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_fits_the_terminal(capsys, monkeypatch, width, command):
    monkeypatch.setenv("COLUMNS", str(width))
    shown = show_help(capsys, *command)
    assert max(map(len, shown.splitlines())) <= width
    assert "\x1b" not in shown


@pytest.mark.parametrize("width", [40, 200])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrapped_example_is_still_the_command(capsys, monkeypatch, width, name):
    monkeypatch.setenv("COLUMNS", str(width))
    wrapped = show_help(capsys, name).partition("examples:\n")[2]
    joined = [" ".join(line.split()) for line in re.sub(r" \\\n\s*", " ", wrapped).splitlines()]
    assert joined == [line.strip() for line in COMMANDS[name].epilog.splitlines()[1:]]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Write the files that examples name: tracks, a model of them and new rows."""
    folder = tmp_path_factory.mktemp("examples")
    make_tracks(200).to_csv(folder / "tracks.csv", index=False)
    make_tracks(5, seed=1).to_csv(folder / "new.csv", index=False)
    homes = pd.DataFrame({"area": range(40, 80), "town": ["Bonn", "Ulm"] * 20})
    homes.assign(price=homes["area"] * 3000.0 + 500).to_csv(folder / "homes.csv", index=False)
    fit = ["fit", "--data", str(folder / "tracks.csv"), "--model", "notebook"]
    assert main([*fit, "--out", str(folder / "energy.safetensors")]) == 0
    return folder


def mark_slow(example):
    """Leave what draws a report to the slow session."""
    slow = "reproduce" in example and "--no-report" not in example
    return pytest.param(example, marks=pytest.mark.slow if slow else pytest.mark.medium)


@pytest.mark.parametrize("example", [mark_slow(line) for line in EXAMPLES if "energyknn fetch" not in line])
def test_every_example_runs(prepared, tmp_path, capsys, monkeypatch, example):
    shutil.copytree(prepared, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    command, _, given = example.partition(" < ")
    if given:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(Path(given).read_bytes())))
    program, *arguments = shlex.split(command)
    assert program == "energyknn"
    assert main(arguments) == 0, capsys.readouterr().err


def test_every_command_has_an_example_and_quiet():
    for name, parser in COMMANDS.items():
        assert f"  energyknn {name} " in parser.epilog
        assert "--quiet" in parser.format_help()


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["predictt"], "'predict'"),
        (["tune", "--data", "x.csv", "--mismatchcost", "3"], "'--mismatch-cost'"),
        (["tune", "--data", "x.csv", "--zzz"], None),
        (["fit", "--data", "x.csv", "--model", "notebok"], "'notebook'"),
        (["fit", "--data", "x.csv", "--n-neighbours=3"], "'--n-neighbors'"),
    ],
)
def test_the_nearest_word_is_asked_for(capsys, words, asked):
    assert main(words) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert told.endswith(" --help'.\n")
    assert (f". Did you mean {asked}? See" in told) if asked else ("Did you mean" not in told)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_options_and_files(capsys, shell):
    with pytest.raises(SystemExit) as caught:
        main(["--print-completion", shell])
    assert caught.value.code == 0
    script = capsys.readouterr().out
    assert all(name in script for name in COMMANDS)
    assert "mismatch-cost" in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_bash_takes_the_completion(capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["--print-completion", "bash"])
    (tmp_path / "completion").write_text(capsys.readouterr().out)
    asked = "COMP_WORDS=(energyknn tune --sc); COMP_CWORD=2"
    ask = f'source ./completion; {asked}; _shtab_energyknn; echo "${{COMPREPLY[*]}}"'
    done = subprocess.run(["bash", "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S607
    assert {"--scaler", "--scoring"} <= set(done.stdout.split())


@pytest.mark.filterwarnings("default")
def test_quiet_leaves_warnings_out_and_errors_in(capsys, tmp_path):
    make_tracks(120).assign(tempo=120.0).to_csv(tmp_path / "tracks.csv", index=False)
    command = ["tune", "--data", str(tmp_path / "tracks.csv"), "--n-neighbors", "5"]
    assert main(command) == 0
    assert "Constant column 'tempo'" in capsys.readouterr().err
    assert main([*command, "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main([*command, "--quiet", "--cv", "1"]) == 2
    assert "cv is 1" in capsys.readouterr().err
