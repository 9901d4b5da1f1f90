"""The README is true: its scripts and commands run, its figures are those of the saved runs, its sessions exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from harness.page import list_grids
from harness.runs import read_run

from energyknn.study.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
STUDY = (ROOT / "docs" / "study.md").read_text(encoding="utf-8")


def table_rows(text):
    """Return the cells of each line of the table that holds figures, but for those that time a machine."""
    lines = [line for line in text.splitlines() if line.startswith("│") and "minutes" not in line]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


@pytest.fixture
def homes(tmp_path, monkeypatch):
    """Work in a folder with the two files that the README names."""
    random = np.random.default_rng(0)
    area, built = random.normal(90, 25, 200).round(1), random.integers(1900, 2020, 200)
    town = random.choice(["Ast", "Berg", "Cole"], 200)
    price = (3000 * area + 500 * (built - 1900) + 40000 * (town == "Berg") + random.normal(0, 9000, 200)).round(-2)
    table = pd.DataFrame({"area": area, "built": built, "town": town, "price": price})
    table.to_csv(tmp_path / "homes.csv", index=False)
    table.drop(columns="price").head(4).to_csv(tmp_path / "new.csv", index=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


@pytest.mark.medium
def test_the_table_of_the_study_is_what_reproduce_prints(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["reproduce", "--out", str(tmp_path / "out"), "--no-honest"]) == 0
    printed = table_rows(capsys.readouterr().out)
    shown = table_rows(STUDY)
    assert [row[:3] for row in shown] == [row[:3] for row in printed]
    for row, fresh in zip(shown, printed, strict=True):
        # scikit-learn settles ties by its heap, so the last digits may move with the machine
        assert float(row[3]) == pytest.approx(float(fresh[3]), abs=2e-3), row


@pytest.mark.medium
@pytest.mark.usefixtures("homes")
def test_the_scripts_run(capsys):
    scripts = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(scripts) == 2
    quick = "\n".join(scripts).replace("40_000", "4_000")  # the same script, in a tenth of the time
    exec(compile(quick, "README.md", "exec"), {})  # noqa: S102 - the README's own scripts
    printed = capsys.readouterr().out
    assert "'weights': 'distance'" in printed
    assert "intervals cover" in printed


@pytest.mark.medium
def test_the_commands_run(homes):
    lines = re.findall(r"^energyknn .*$", README, flags=re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        assert main(shlex.split(line)[1:]) == 0, line
    assert (homes / "results" / "report.html").is_file()
    assert len(pd.read_csv(homes / "predicted.csv")) == 4


@pytest.mark.usefixtures("homes")
def test_the_command_that_predicts_is_the_last_line_of_the_study(capsys):
    study, predict = re.findall(r"^energyknn .*$", README, flags=re.MULTILINE)
    main([*shlex.split(study)[1:], "--no-report", "--n-neighbors", "3,5"])
    said = capsys.readouterr().out.splitlines()[-1]
    assert predict.partition(" --data")[0] == said.partition(" --data")[0]


def test_the_example_quotes_the_saved_runs():
    (classes,) = (
        case for case in list_grids(read_run(ROOT / "benchmarks/results/drop-in.json")) if "classes" in case["case"]
    )
    assert classes["case"].startswith("classes: 60 candidates, 5 folds, 40,000 x 20, 5 classes")
    text = " ".join(README.split())
    assert f"in {classes['rival_seconds'] / 60:.1f} minutes on two cores" in text
    assert f"it takes {classes['ours_seconds']:.1f} seconds" in text
    searches = {
        (case["extra_info"].get("case"), case["extra_info"].get("rival")): case["extra_info"]
        for case in read_run(ROOT / "benchmarks/results/full.json")["benchmarks"]
    }
    assert f"{searches['27 columns', 'hnswlib']['times_faster']:.1f} times faster than hnswlib" in text


def test_the_options_of_the_study_exist(capsys):
    with pytest.raises(SystemExit):
        main(["reproduce", "--help"])
    listed = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    named = {word for quoted in re.findall(r"`(--.*?)`", STUDY) for word in re.findall(r"--[a-z-]+", quoted)}
    assert named
    assert named <= listed


def test_the_two_commands_are_there_and_ci_calls_the_second():
    assert "python -m pip install nox && python -m nox -s reproduce" in README
    assert "python -m pip install nox && python -m nox -s tests" in README
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"nox.* tests$", ci, flags=re.MULTILINE)


def test_an_extra_that_is_named_exists():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    named = {extra for names in re.findall(r"pip install '\.\[(.*?)\]'", README) for extra in names.split(",")}
    assert named
    assert all(f"\n{extra} = [" in project for extra in named)
