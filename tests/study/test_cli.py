"""The command line: every bad input ends in status 2, one line on stderr and nothing written."""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pandas as pd
import pytest
from children import leave_out_coverage
from made_homes import make_homes
from made_tracks import make_tracks
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, RobustScaler

import energyknn
from energyknn.loading import load_table, sample_path
from energyknn.study.cli import main
from energyknn.study.cli.options import parse_sizes
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, prepare


def write_csv(spoil):
    def write(path):
        spoil(make_tracks(120)).to_csv(path, index=False)
        return path

    return write


def write_bytes(content, name="tracks.csv"):
    def write(path):
        path = path.with_name(name)
        path.write_bytes(content)
        return path

    return write


def with_value(column, value):
    return lambda table: table.astype({column: object}).assign(**{column: [value, *table[column][1:]]})


def sample_bytes():
    return make_tracks(120).to_csv(index=False).encode()


BAD_FILES = {
    "no such file": (lambda path: path, "No file at"),
    "empty file": (write_bytes(b""), "is empty"),
    "header only": (write_csv(lambda table: table.iloc[:0]), "no rows below the header"),
    "truncated gzip": (write_bytes(gzip.compress(sample_bytes())[:2000], "tracks.csv.gz"), "damaged or cut short"),
    "no known encoding": (write_bytes(sample_bytes().replace(b"Song 7", "Песня".encode("cp1251"))), "is not UTF-8"),
    "no target": (write_csv(lambda table: table.drop(columns="energy")), "Name the column to predict: --target NAME"),
    "a duplicated column": (
        write_bytes(sample_bytes().replace(b"valence", b"tempo", 1)),
        "column named twice: 'tempo'",
    ),
    "text in a number column": (
        write_csv(with_value("tempo", "fast")),
        "column 'tempo' is text where a number belongs in 1 row (row 0: 'fast')",
    ),
    "NaN": (write_csv(with_value("loudness", np.nan)), "empty cells in 1 of 120 rows (by column: loudness 1)"),
    "infinity": (write_csv(with_value("valence", np.inf)), "column 'valence' is infinite in 1 row (row 0: inf)"),
    "energy outside 0..1": (write_csv(with_value("energy", 1.01)), "column 'energy' is outside 0 to 1 in 1 row"),
    "mode = 3": (write_csv(with_value("mode", 3)), "column 'mode' is outside its levels 0, 1 in 1 row (row 0: 3)"),
    "key = 12": (write_csv(with_value("key", 12)), "column 'key' is outside its levels -1 to 11 in 1 row (row 0: 12)"),
    "a year in the future": (write_csv(with_value("year", 2999)), "column 'year' is outside 1860 to"),
    "a year of 0": (write_csv(with_value("year", 0)), "column 'year' is outside 1860 to"),
    "fewer rows than folds": (write_csv(lambda table: table.head(3)), "3 rows leave"),
    "fewer rows than neighbours": (write_csv(lambda table: table.head(60)), "at least 85 rows"),
    "a directory": (lambda path: path.parent, "is a folder"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(tmp_path, capsys, case):
    write, message = BAD_FILES[case]
    (tmp_path / "in").mkdir()
    out = tmp_path / "out"
    status = main(["reproduce", "--data", str(write(tmp_path / "in" / "tracks.csv")), "--out", str(out)])
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("energyknn: error: ")
    assert captured.out == ""
    assert not out.exists()


BAD_OPTIONS = {
    "no command": ([], "COMMAND"),
    "an unknown command": (["predictt"], "invalid choice"),
    "an unknown option": (["reproduce", "--fast"], "--fast"),
    "a reference year that is no number": (["reproduce", "--reference-year", "now"], "invalid int value"),
    "an unknown search": (["reproduce", "--search", "skopt"], "invalid choice: 'skopt'"),
    "more folds than rows": (["tune", "--data", "SAMPLE", "--cv", "9999"], "--cv 9999 is more than the 1600 training"),
    "k of a candidate beyond a fold": (["tune", "--data", "SAMPLE", "--n-neighbors", "1:5000"], "at most 1200"),
    "classes of one row": (
        ["tune", "--data", "SAMPLE", "--target", "duration_ms", "--task", "classify"],
        "It is a number: leave --task classify out",
    ),
    "text as a number": (["tune", "--data", "SAMPLE", "--target", "energy", "--numbers", "name"], "name a category"),
    "a number as years": (["tune", "--data", "SAMPLE", "--target", "energy", "--years", "tempo"], "above 2026 or no"),
    "a target with a role": (
        ["tune", "--data", "SAMPLE", "--target", "energy", "--ignore", "energy"],
        "'energy' is the column to predict, and has a role as well",
    ),
    "a GPU for the grid": (["reproduce", "--use-gpu"], "--use-gpu is for --search tune-sklearn or ray"),
    "columns without a target": (["reproduce", "--numbers", "tempo"], "Add --target NAME"),
    "a column in two roles": (
        ["reproduce", "--target", "energy", "--numbers", "tempo,tempo"],
        "Column named twice: 'tempo'",
    ),
    "k that is no range": (["tune", "--data", "x.csv", "--n-neighbors", "1-5"], "1-5"),
    "k that runs backwards": (["tune", "--data", "x.csv", "--n-neighbors", "9:3"], "9:3"),
    "k of 0": (["tune", "--data", "SAMPLE", "--n-neighbors", "0:3"], "n_neighbors holds 0"),
    "k beyond a fold": (["tune", "--data", "SAMPLE", "--n-neighbors", "5000"], "5000 neighbours are asked for"),
    "weights that nobody knows": (
        ["tune", "--data", "SAMPLE", "--weights", "unifrom"],
        "Did you mean 'uniform'",
    ),
    "a scoring that nobody knows": (["tune", "--data", "SAMPLE", "--scoring", "r3"], "scoring 'r3' is unknown"),
    "a scoring of classes for a number": (
        ["tune", "--data", "SAMPLE", "--scoring", "accuracy"],
        "scoring 'accuracy' cannot score 'energy', which is a number",
    ),
    "a folder that is not there": (["fit", "--data", "SAMPLE", "--out", "no/m"], "there is no folder 'no'"),
    "one fold": (["tune", "--data", "SAMPLE", "--cv", "1"], "cv is 1"),
    "a p that is no number": (["tune", "--data", "SAMPLE", "--p", "two"], "--p is 'two'"),
    "a p of 3": (["tune", "--data", "SAMPLE", "--p", "3"], "p is 3"),
    "a cost below 0": (["tune", "--data", "SAMPLE", "--mismatch-cost", "-1"], "mismatch_cost is -1.0"),
    "a scaler that nobody knows": (["tune", "--data", "SAMPLE", "--scaler", "log"], "Scaler 'log' is unknown"),
    "a column that is not there": (
        ["tune", "--data", "SAMPLE", "--without", "keys"],
        "Cannot leave out 'keys'",
    ),
    "no rows": (["sample", "--rows", "0"], "n_rows"),
    "no number of rows": (["sample"], "--rows"),
}


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_a_bad_option_is_refused_in_one_line(capsys, case):
    arguments, message = BAD_OPTIONS[case]
    assert main([str(sample_path()) if word == "SAMPLE" else word for word in arguments]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1


READS_AND_WRITES = {
    "predict": ["predict", "--model", "m.safetensors", "--data", "homes.csv", "--out", "homes.csv"],
    "predict, by another way": [
        "predict", "--model", "m.safetensors", "--data", "homes.csv", "--out", "in/../homes.csv",
    ],
    "audit": ["audit", "--data", "homes.csv", "--target", "price", "--out", "homes.csv"],
    "audit, where it writes by itself": ["audit", "--data", "audit.csv", "--target", "price"],
    "describe": ["describe", "--data", "homes.csv", "--target", "price", "--out", "homes.csv"],
    "describe, its own columns": [
        "describe", "--data", "homes.csv", "--target", "price", "--columns", "columns.toml", "--out", "columns.toml",
    ],
    "tune": ["tune", "--data", "homes.json", "--target", "price", "--out", "homes.json"],
    "tune, beside its page": ["tune", "--data", "homes.json", "--target", "price", "--report", "homes.html"],
    "fit": ["fit", "--data", "homes.csv", "--target", "price", "--out", "homes.csv"],
    "fit, a link": ["fit", "--data", "homes.csv", "--target", "price", "--out", "link.safetensors"],
    "fit, another table": ["fit", "--data", "homes.csv", "--target", "price", "--out", "audit.csv"],
    "reproduce": ["reproduce", "--data", "results/results.json", "--target", "price"],
}  # fmt: skip


@pytest.mark.parametrize("case", READS_AND_WRITES)
def test_no_command_replaces_a_file_that_it_reads(tmp_path, monkeypatch, capsys, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "results").mkdir()
    homes = make_homes(60, empty=0)
    homes.to_csv("homes.csv", index=False)
    homes.to_csv("audit.csv", index=False)
    for name in ("homes.json", "results/results.json"):
        homes.to_json(name, orient="records")
    (tmp_path / "link.safetensors").symlink_to("homes.csv")
    (tmp_path / "columns.toml").write_text('target = "price"\n')
    if case.startswith("predict"):
        fit = ["fit", "--data", "homes.csv", "--target", "price", "--n-neighbors", "3", "--out", "m.safetensors"]
        assert main([*fit, "--quiet"]) == 0
    held = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(READS_AND_WRITES[case]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "--out" in said.err or "--report" in said.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == held


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_an_output_folder_that_cannot_be_written_is_refused(tmp_path, capsys, out):
    (tmp_path / "file").write_text("not a folder")
    make_tracks(120).to_csv(tmp_path / "tracks.csv", index=False)
    assert main(["reproduce", "--data", str(tmp_path / "tracks.csv"), "--out", str(tmp_path / out)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "Choose another place with --out" in captured.err
    assert (tmp_path / "file").read_text() == "not a folder"


def test_a_full_disk_loses_nothing(tmp_path, capsys):
    make_tracks(120).to_csv(tmp_path / "tracks.csv", index=False)
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.json").write_text("old")
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, allowed[1]))  # bytes of a file
    try:
        status = main(["reproduce", "--data", str(tmp_path / "tracks.csv"), "--out", str(out), "--no-report"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    error = capsys.readouterr().err
    assert status == 2
    assert error.count("\n") == 1
    assert "File too large" in error
    assert [path.name for path in out.iterdir()] == ["results.json"]
    assert (out / "results.json").read_text() == "old"


@pytest.mark.filterwarnings("default")
def test_a_constant_column_is_warned_of_once_and_takes_no_part(tmp_path, capsys):
    make_tracks(120).assign(tempo=120.0).to_csv(tmp_path / "tracks.csv", index=False)
    data, out = str(tmp_path / "tracks.csv"), str(tmp_path / "out")
    assert main(["reproduce", "--data", data, "--out", out, "--no-report"]) == 0
    assert capsys.readouterr().err == (
        "energyknn: warning: Constant column 'tempo': standardised to 0, so no distance depends on it.\n"
    )


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """Run the README's command in another folder, on the committed sample; return where it wrote, and what it said."""
    folder = tmp_path_factory.mktemp("reproduce")
    with (
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(io.StringIO()) as stdout,
        redirect_stderr(io.StringIO()) as stderr,
    ):
        patch.chdir(folder)
        patch.setenv("COLUMNS", "120")
        assert main(["reproduce", "--out", "out"]) == 0
    return folder / "out", stdout.getvalue(), stderr.getvalue()


@pytest.mark.medium
def test_reproduce_writes_what_it_says(reproduced):
    out, shown, warned = reproduced
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert {"results.json", "report.html", "pictures/residuals.svg"} <= written
    assert sum(name.startswith("pictures/") for name in written) >= 5
    assert all(name in shown for name in written)
    assert warned == ""


def test_results_have_the_promised_keys(reproduced):
    results = json.loads((reproduced[0] / "results.json").read_text(encoding="utf-8"))
    assert {"path", "rows", "sha256", "synthetic"} <= set(results["data"])
    assert {"scaling", "reference_year", "test_size", "random_state", "groups"} <= set(results["protocol"])
    for part in (results["base"], results["tuned"], results["honest"]["base"], results["honest"]["tuned"]):
        assert {"n_neighbors", "train", "test"} <= set(part)
        assert {"r2", "rmse"} == set(part["train"]) == set(part["test"])
    for part in (results["coarse"], results["micro"]):
        assert {"n_neighbors", "mean_test_score", "std_test_score", "best"} <= set(part)
    stages = {"load", "encode", "split", "scale", "base_fit", "base_predict", "coarse", "micro", "total"}
    assert stages <= set(results["seconds"])
    assert {"python", "packages", "cpu", "threads", "engine", "device"} <= set(results["environment"])
    assert {"verdict", "train_minus_test_r2"} <= set(results["overfitting"])
    assert results["data"]["synthetic"] is True
    assert results["protocol"]["scaling"] == "all_rows"
    assert results["honest"]["protocol"]["groups"] == "songs"


def test_the_table_shows_the_notebook_beside_the_run(reproduced):
    out, shown, _ = reproduced
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert "0.80299" in shown
    assert f"{results['tuned']['test']['r2']:.5f}" in shown
    assert results["overfitting"]["verdict"] in shown


def test_both_stages_are_read_off_one_table_of_every_k(reproduced):
    results = json.loads((reproduced[0] / "results.json").read_text(encoding="utf-8"))
    assert results["curve"]["n_neighbors"] == list(range(1, 57))
    every_k = dict(zip(results["curve"]["n_neighbors"], results["curve"]["mean_test_score"], strict=True))
    for stage in ("coarse", "micro"):
        scores = results[stage]["mean_test_score"]
        assert scores == [every_k[k] for k in results[stage]["n_neighbors"]]


@pytest.mark.medium
def test_the_grids_searches_are_saved_and_the_figures_are_the_same(reproduced, tmp_path):
    assert main(["reproduce", "--search", "grid", "--no-report", "--no-honest", "--out", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out" / "model").iterdir()}
    assert names == {"coarse_search.joblib", "micro_search.joblib"}
    grid, one = (
        json.loads((folder / "results.json").read_text(encoding="utf-8"))
        for folder in (tmp_path / "out", reproduced[0])
    )
    for stage in ("coarse", "micro"):
        # the sample holds rows that tie, and scikit-learn's heap may settle a tie otherwise than by row number
        np.testing.assert_allclose(grid[stage]["mean_test_score"], one[stage]["mean_test_score"], atol=2e-3)


def test_a_second_run_gives_the_same_figures(reproduced, tmp_path):
    assert main(["reproduce", "--out", str(tmp_path / "again"), "--no-report"]) == 0
    first, second = (
        json.loads((folder / "results.json").read_text(encoding="utf-8"))
        for folder in (reproduced[0], tmp_path / "again")
    )
    for part in ("data", "base", "coarse", "micro", "tuned", "overfitting", "honest"):
        assert first[part] == second[part]


def test_other_peoples_columns_on_the_command_line(tmp_path):
    random = np.random.default_rng(0)
    table = pd.DataFrame({"area": random.random(150), "town": random.choice(["a", "b"], 150)})
    table.assign(price=table["area"] * 3).to_csv(tmp_path / "homes.csv", index=False)
    arguments = ["--target", "price", "--numbers", "area", "--categories", "town", "--no-report"]
    out = tmp_path / "out"
    assert main(["reproduce", "--data", str(tmp_path / "homes.csv"), *arguments, "--out", str(out)]) == 0
    assert json.loads((out / "results.json").read_text())["tuned"]["test"]["r2"] > 0.99


def test_tune_prints_every_candidate_as_grid_search_scores_it(capsys):
    arguments = ["tune", "--data", str(sample_path()), "--n-neighbors", "9:11", "--weights", "uniform,distance"]
    assert main([*arguments, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    data = prepare(load_table(sample_path(), SPOTIFY), Protocol())
    grid = GridSearchCV(KNeighborsRegressor(), {"weights": ["uniform", "distance"], "n_neighbors": [9, 10, 11]}, cv=4)
    expected = grid.fit(data.X_train.to_numpy(), data.y_train).cv_results_
    assert [row["n_neighbors"] for row in printed["candidates"]] == [9, 10, 11, 9, 10, 11]
    # rows of the sample tie, and scikit-learn's heap may settle a tie otherwise than by row number
    means = [row["mean_test_score"] for row in printed["candidates"]]
    by_params = dict(zip(map(str, expected["params"]), expected["mean_test_score"], strict=True))
    for row in printed["candidates"]:
        params = {name: row[name] for name in ("n_neighbors", "weights")}
        assert row["mean_test_score"] == pytest.approx(by_params[str(params)], abs=2e-3)
    assert printed["best"] == printed["candidates"][int(np.argmax(means))]
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    assert f"{max(means):.5f}" in shown
    assert "Best: k = " in shown


@pytest.mark.medium
def test_tune_varies_the_distance_too(capsys):
    arguments = ["tune", "--data", str(sample_path()), "--n-neighbors", "5,9", "--p", "1,2", "--mismatch-cost", "8,1"]
    arguments += ["--scaler", "as it is,robust", "--without", "key,mode", "--json"]
    assert main(arguments) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["candidates"]) == 2 * 2 * 2 * 2 * 2
    assert printed["searches"] == 4 * 2 * 2 * 2 * 2
    data = prepare(load_table(sample_path(), SPOTIFY), Protocol())
    numbers = list(SPOTIFY.numbers)
    rest = [name for name in data.X_train if name not in numbers and not name.startswith(("key_", "mode_"))]
    chosen = ColumnTransformer(
        [("numbers", RobustScaler(), numbers), ("rest", FunctionTransformer(lambda X: X * np.sqrt(1 / 8)), rest)]
    )
    model = make_pipeline(chosen, KNeighborsRegressor(9, p=1))
    expected = cross_val_score(model, data.X_train, data.y_train, cv=4).mean()
    for row in printed["candidates"]:
        how = (row["n_neighbors"], row["p"], row["mismatch_cost"], row["scaler"], row["without"])
        if how == (9, 1, 1.0, "robust", ["key", "mode"]):
            assert row["mean_test_score"] == pytest.approx(expected, abs=2e-3)
            break
    else:
        raise AssertionError


def test_tune_shows_what_of_the_distance_varies(capsys):
    arguments = ["tune", "--data", str(sample_path()), "--n-neighbors", "5"]
    assert main([*arguments, "--mismatch-cost", "8,1", "--without", "key,mode"]) == 0
    shown = capsys.readouterr().out
    assert "mismatch cost" in shown
    assert "without" in shown


def test_tune_shows_the_folds_that_were_finished_when_interrupted(capsys, monkeypatch):
    def interrupt_last(steps, _description):
        yield from list(steps)[:-1]
        raise KeyboardInterrupt

    monkeypatch.setattr("energyknn.study.cli.tune.choose_track", lambda _options: interrupt_last)
    assert main(["tune", "--data", str(sample_path()), "--n-neighbors", "5,9"]) == 130
    shown = capsys.readouterr()
    assert "k = 9, uniform: R² fold 0 0." in shown.out
    assert "fold 2" in shown.out
    assert "fold 3" not in shown.out
    assert "interrupted" in shown.err


@pytest.mark.parametrize(
    ("text", "values"),
    [("5", [5]), ("1:4", [1, 2, 3, 4]), ("1:51:10", [1, 11, 21, 31, 41, 51]), ("3,1,7:8", [3, 1, 7, 8])],
)
def test_candidates_are_numbers_and_ranges(text, values):
    assert parse_sizes(text) == values


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.parquet"])
def test_sample_writes_every_format(tmp_path, capsys, name):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    assert main(["sample", "--rows", "30", "--out", str(tmp_path / name)]) == 0
    told = capsys.readouterr()
    assert told == ("", f"30 synthetic tracks written to {tmp_path / name}\n")
    read = pd.read_parquet if name.endswith("parquet") else pd.read_csv
    assert len(read(tmp_path / name)) == 30


def test_sample_goes_to_stdout_by_default(capsys):
    assert main(["sample", "--rows", "3"]) == 0
    assert capsys.readouterr().out.count("\n") == 4


def test_the_committed_sample_is_what_the_command_makes(tmp_path):
    arguments = ["--rows", "2000", "--missing-key", "3", "--out", str(tmp_path / "t.csv")]
    assert main(["sample", *arguments]) == 0
    assert (tmp_path / "t.csv").read_bytes() == sample_path().read_bytes()


def test_a_missing_extra_is_named_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["reproduce", "--out", str(tmp_path / "out")]) == 2
    assert "pip install 'energyknn[report]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_interrupt_writes_nothing(tmp_path, capsys, monkeypatch):
    def interrupt(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("energyknn.study.jobs.studies.run_study", interrupt)
    assert main(["reproduce", "--out", str(tmp_path / "out")]) == 130
    assert "no file was written" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [[], ["reproduce"], ["tune"], ["sample"], ["fetch"]])
def test_help_is_there(capsys, command):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert "usage: energyknn" in capsys.readouterr().out


@pytest.mark.slow
def test_progress_goes_to_a_terminals_stderr_only(tmp_path):
    """Run `python -m energyknn` in a pseudo-terminal, so that progress is shown, and keep stdout apart."""
    make_tracks(120).to_csv(tmp_path / "few.csv", index=False)
    parent, child = os.openpty()
    options = ["--data", "few.csv", "--search", "grid", "--no-honest", "--no-report", "--out", "out"]
    command = [sys.executable, "-m", "energyknn", "reproduce", *options]
    environment = leave_out_coverage()
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=child, text=True
    ) as process:
        os.close(child)
        shown = b""
        while True:
            try:
                part = os.read(parent, 65536)
            except OSError:
                break
            if not part:
                break
            shown += part
        out = process.stdout.read()
    os.close(parent)
    assert process.returncode == 0
    assert b"GridSearchCV" in shown
    assert b"Predict training rows" in shown
    assert "GridSearchCV - fit" not in out


def test_the_version_is_told(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"energyknn {energyknn.__version__}\n"


def test_sample_as_json(tmp_path, capsys):
    assert main(["sample", "--rows", "3", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["rows"], printed["random_state"]) == (3, 0)
    assert main(["sample", "--rows", "3", "--out", str(tmp_path / "t.csv"), "--json", "--quiet"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == {"rows": 3, "random_state": 0, "path": str(tmp_path / "t.csv")}
    assert told.err == ""
    assert pd.read_csv(tmp_path / "t.csv").to_dict(orient="records") == printed["tracks"]
