"""The command `reproduce` on other people's files: its words, its own command again, its model, and a used folder."""

from __future__ import annotations

import html
import io
import json
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from check_results import check_results

from energyknn.loading import sample_path
from energyknn.study.cli import main

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

SPOTIFYS_WORDS = re.compile(r"\b(tracks?|songs?|energy|spotify|notebook)\b", re.IGNORECASE)
FIGURES = (
    "protocol",
    "baseline",
    "base",
    "curve",
    "coarse",
    "micro",
    "tuned",
    "overfitting",
    "honest",
    "classes",
    "confusion",
)


def make_homes(n_rows: int = 240) -> pd.DataFrame:
    random = np.random.default_rng(0)
    homes = pd.DataFrame(
        {
            "area": random.integers(20, 200, n_rows),
            "rooms": random.integers(1, 7, n_rows),
            "built": random.integers(1900, 2024, n_rows),
            "town": random.choice(["Ulm", "Bonn", "Kiel"], n_rows),
            "heating": random.choice(["gas", "oil", "heat pump"], n_rows),
        }
    )
    price = (3000 * homes["area"] + 900 * (homes["built"] - 1900) + random.normal(0, 20_000, n_rows)).round()
    grade = np.select([price < 200_000, price < 400_000], ["low", "middle"], "high")
    homes = homes.assign(price=price, grade=grade)
    return pd.concat([homes, homes.iloc[::12]], ignore_index=True)


PRICE = (
    "--target",
    "price",
    "--unit",
    "EUR",
    "--numbers",
    "area,rooms",
    "--years",
    "built",
    "--categories",
    "town,heating",
)
CASES: dict[str, tuple[str, ...]] = {
    "sample": (),
    "homes": ("--data", "my homes.csv", *PRICE),
    "guessed roles": ("--data", "my homes.csv", "--target", "price", "--ignore", "grade", "--n-neighbors", "1:20"),
    "classes": ("--data", "my homes.csv", "--target", "grade", "--numbers", "area,rooms,built", "--categories", "town"),
    "categories alone": ("--data", "my homes.csv", "--target", "price", "--categories", "town,heating"),
    "one number": ("--data", "my homes.csv", "--target", "price", "--numbers", "area"),
    "classes of categories alone": ("--data", "my homes.csv", "--target", "grade", "--categories", "town,heating"),
}


class Ran:
    """A run of `reproduce` in a folder of its own: what it said, and what it wrote."""

    def __init__(self, folder: Path, case: str) -> None:
        make_homes().to_csv(folder / "my homes.csv", index=False)
        self.folder, self.out = folder, folder / "my results"
        with redirect_stdout(io.StringIO()) as stdout, redirect_stderr(io.StringIO()) as stderr:
            assert main(["reproduce", *CASES[case], "--out", "my results"]) == 0
        self.said, self.warned = stdout.getvalue(), stderr.getvalue()
        self.text = (self.out / "results.json").read_text(encoding="utf-8")
        self.results: dict[str, Any] = json.loads(self.text)
        self.page = re.sub(r"base64,[^\"]*", "", (self.out / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a function that runs a case once."""
    ran: dict[str, Ran] = {}

    def run_once(case: str) -> Ran:
        if case not in ran:
            folder = tmp_path_factory.mktemp("run")
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                ran[case] = Ran(folder, case)
        return ran[case]

    return run_once


@pytest.mark.medium
@pytest.mark.parametrize("case", CASES)
def test_results_follow_the_schema_and_name_what_was_written(run, case):
    ran = run(case)
    check_results(ran.results)
    written = sorted(path.relative_to(ran.out).as_posix() for path in ran.out.rglob("*") if path.is_file())
    assert ran.results["files"] == written
    assert {"model.safetensors", "report.html", "results.json"} <= set(written)


@pytest.mark.medium
@pytest.mark.parametrize("case", [case for case in CASES if case != "sample"])
def test_nothing_of_the_notebook_reaches_other_columns(run, case):
    ran = run(case)
    for text in (ran.page, ran.text, ran.said, ran.warned, *ran.results["files"]):
        found = SPOTIFYS_WORDS.search(text)
        assert found is None, text[max(0, found.start() - 80) : found.end() + 80]
    assert ran.results["schema"]["target"] in ran.page


@pytest.mark.medium
@pytest.mark.parametrize("case", CASES)
def test_the_command_that_is_printed_gives_the_same_figures(run, case, monkeypatch):
    ran = run(case)
    words = shlex.split(ran.results["command"])
    assert words[:2] == ["energyknn", "reproduce"]
    monkeypatch.chdir(ran.folder)
    assert main([*words[1:], "--out", "again", "--no-report"]) == 0
    again = json.loads((ran.folder / "again" / "results.json").read_text(encoding="utf-8"))
    for part in (*FIGURES, "data", "schema", "command", "model"):
        assert again.get(part) == ran.results.get(part), part
    assert ran.results["command"] in ran.page.replace("&#39;", "'")


@pytest.mark.medium
@pytest.mark.parametrize("case", CASES)
def test_the_last_line_predicts_with_the_model_that_was_written(run, case, monkeypatch, capsys):
    ran = run(case)
    words = shlex.split(ran.said.splitlines()[-1])
    assert words[:2] == ["energyknn", "predict"]
    monkeypatch.chdir(ran.folder)
    assert main(words[1:]) == 0
    predicted = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert f"predicted_{ran.results['schema']['target']}" in predicted
    assert len(predicted) == ran.results["model"]["rows"] == ran.results["data"]["rows"]


@pytest.mark.medium
def test_figures_have_the_targets_unit_and_four_digits(run):
    ran = run("homes")
    rmse = ran.results["tuned"]["test"]["rmse"]
    assert f"{rmse:,.0f}" in ran.said
    assert f"{rmse:,.0f}" in ran.page
    assert "RMSE (EUR)" in ran.said
    assert "price (EUR)" in ran.page
    assert f"{rmse:.4f}" not in ran.page
    assert ran.results["schema"]["columns"][0] == {"name": "area", "role": "number", "unit": ""}


@pytest.mark.medium
def test_the_terminal_tells_both_studies_and_the_best_k(run):
    ran = run("homes")
    curve, second = ran.results["curve"], ran.results["honest"]
    said = " ".join(ran.said.split())  # where lines are wrapped
    assert f"Best k: {curve['best']} of the {len(curve['n_neighbors'])} that were tried" in said
    assert "Second study: rows that repeat others kept on one side" in said
    assert f"{second['tuned']['test']['r2']:.4f}" in said
    assert second["protocol"]["groups"] == "repeats"
    assert ran.results["overfitting"]["explanation"] in said


@pytest.mark.medium
def test_a_best_k_at_the_edge_is_said_in_the_terminal_and_on_the_page(tmp_path):
    make_homes().to_csv(tmp_path / "homes.csv", index=False)
    options = ("--data", str(tmp_path / "homes.csv"), *PRICE, "--n-neighbors", "1:2", "--no-honest")
    with redirect_stdout(io.StringIO()) as stdout:
        assert main(["reproduce", *options, "--out", str(tmp_path / "out")]) == 0
    remark = "The best k is the largest that was tried (2): try more with --n-neighbors 1:8."
    assert remark in stdout.getvalue()
    assert remark in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.medium
def test_the_grid_finds_what_one_search_finds(run, monkeypatch):
    ran = run("homes")
    monkeypatch.chdir(ran.folder)
    options = ("--search", "grid", "--n-neighbors", "1:6", "--no-honest", "--no-report", "--quiet")
    assert main(["reproduce", *CASES["homes"], *options, "--out", "grid"]) == 0
    curve = json.loads((ran.folder / "grid" / "results.json").read_text(encoding="utf-8"))["curve"]
    assert curve["tool"] == "GridSearchCV"
    # rows repeat, and scikit-learn's heap may settle a tie otherwise than by row number
    np.testing.assert_allclose(curve["mean_test_score"], ran.results["curve"]["mean_test_score"][:6], atol=5e-3)


@pytest.mark.medium
def test_json_is_the_content_of_the_file(tmp_path, capsys):
    make_homes(120).to_csv(tmp_path / "homes.csv", index=False)
    options = ["--target", "price", "--out", str(tmp_path / "out"), "--no-report", "--json"]
    assert main(["reproduce", "--data", str(tmp_path / "homes.csv"), *options]) == 0
    written = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == written


def test_a_run_without_report_removes_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_homes().to_csv("my homes.csv", index=False)
    assert main(["reproduce", *CASES["one number"], "--out", "out"]) == 0
    mine = [Path("out/pictures/mine.png"), Path("out/notes.txt"), Path("outside.png")]
    for path in mine:
        path.write_text("mine")
    listed = json.loads(Path("out/results.json").read_text(encoding="utf-8"))
    listed["files"] += ["../outside.png", "notes.txt"]
    Path("out/results.json").write_text(json.dumps(listed), encoding="utf-8")
    assert main(["reproduce", *CASES["classes"], "--out", "out", "--no-report"]) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        *("model.safetensors", "notes.txt", "pictures", "results.json"),
    ]
    assert all(path.read_text() == "mine" for path in mine)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--n-neighbors", "1:9"), "n_neighbors is for other columns"),
        (
            ("--data", "my homes.csv", *PRICE, "--search", "tune-sklearn"),
            "'tune-sklearn' is for the columns of the sample",
        ),
        ((*CASES["classes"], "--search", "grid"), "'grid' scores numbers, and 'grade' is a class"),
        ((*CASES["classes"], "--beyond"), "'grade' is a class"),
        ((*CASES["classes"], "--n-neighbors", "1:900"), "900 neighbours are asked for"),
        ((*CASES["one number"], "--n-neighbors", "0:9"), "n_neighbors holds 0"),
        ((*CASES["classes"], "--n-neighbors", "0:9"), "n_neighbors holds 0"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(tmp_path, monkeypatch, capsys, options, words):
    monkeypatch.chdir(tmp_path)
    make_homes().to_csv("my homes.csv", index=False)
    assert main(["reproduce", *options, "--out", "out", "--quiet"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert not Path("out").exists()


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["number", "class"])
def test_any_name_is_shown_as_it_is(tmp_path, kind):
    target, column = "価格 $x^2$ in $", "<b>ärea</b> {{ 7 }} %"
    homes = make_homes(120).rename(columns={"area": column, "price": target})
    if kind == "class":
        homes[target] = np.where(homes[target] > 300_000, "$ {{ high }} $", "[red]低い[/red]")
    homes[[column, target]].to_csv(tmp_path / "homes.csv", index=False)
    out = tmp_path / "out"
    with redirect_stdout(io.StringIO()) as stdout:
        options = ("--data", str(tmp_path / "homes.csv"), "--target", target, "--numbers", column)
        assert main(["reproduce", *options, "--out", str(out), "--quiet"]) == 0
    assert target in stdout.getvalue()
    page = html.unescape((out / "report.html").read_text(encoding="utf-8"))
    for text in (target, column, *(("$ {{ high }} $", "[red]低い[/red]") if kind == "class" else ())):
        assert text in page
    assert "<b>ärea" not in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.medium
def test_files_with_the_notebooks_columns_but_for_one_are_tracks_without_its_figures(tmp_path):
    tracks = pd.read_csv(sample_path()).head(300).drop(columns=["explicit"])
    tracks.to_csv(tmp_path / "tracks.csv", index=False)
    out = tmp_path / "out"
    assert main(["reproduce", "--data", str(tmp_path / "tracks.csv"), "--out", str(out), "--quiet"]) == 0
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    check_results(results)
    assert "notebook" not in results
    assert (results["schema"]["row"], results["schema"]["unit"]) == ("track", "0 to 1")
    page = re.sub(r"base64,[^\"]*", "", (out / "report.html").read_text(encoding="utf-8"))
    assert "How well do the nearest tracks predict energy?" in page
    assert "notebook:" not in page
    assert "Notebook" not in page
