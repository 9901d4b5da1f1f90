"""The README is true: its table is what the command prints, its script runs, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness.runs import read_run

from energyknn.study.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def table_rows(text):
    """Return the cells of each line of the table that holds figures, but for those that time a machine."""
    lines = [line for line in text.splitlines() if line.startswith("│") and "minutes" not in line]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


@pytest.mark.medium
def test_the_table_is_what_reproduce_prints(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["reproduce", "--out", str(tmp_path / "out"), "--no-honest"]) == 0
    printed = table_rows(capsys.readouterr().out)
    shown = table_rows(README)
    assert [row[:3] for row in shown] == [row[:3] for row in printed]
    for row, fresh in zip(shown, printed, strict=True):
        # scikit-learn settles ties by its heap, so the last digits may move with the machine
        assert float(row[3]) == pytest.approx(float(fresh[3]), abs=2e-3), row


@pytest.mark.medium
def test_the_script_runs(capsys):
    scripts = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(compile("\n".join(scripts), "README.md", "exec"), {})  # noqa: S102 - the README's own scripts
    printed = capsys.readouterr().out
    assert "Scores(r2=0." in printed
    assert "'weights': 'distance'" in printed


def test_the_first_screen_quotes_the_saved_run():
    run = read_run(ROOT / "benchmarks" / "results" / "full.json")
    times = {
        (case["extra_info"].get("case"), case["extra_info"].get("rival")): case["extra_info"]
        for case in run["benchmarks"]
    }
    tuning = times["12 candidates, 4 folds, engine auto", "scikit-learn GridSearchCV"]["times_faster"]
    search = times["27 columns", "hnswlib"]["times_faster"]
    first = " ".join(README[: README.index("```python")].split())
    assert f"{tuning:.0f} times faster than GridSearchCV" in first
    assert f"{search:.1f} times faster than hnswlib" in first


def test_the_options_that_it_names_exist(capsys):
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    listed = capsys.readouterr().out
    lines = [line for line in README.splitlines() if line.startswith("energyknn reproduce")]
    named = {word for line in [*lines, *re.findall(r"`(--.*?)`", README)] for word in re.findall(r"--[a-z-]+", line)}
    assert named <= set(re.findall(r"--[a-z-]+", listed))


def test_the_two_commands_are_there_and_ci_calls_the_second():
    assert "python -m pip install nox && python -m nox -s reproduce" in README
    assert "python -m pip install nox && python -m nox -s tests" in README
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"nox.* tests$", ci, flags=re.MULTILINE)
