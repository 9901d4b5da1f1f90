"""`energyknn tune`: the best first in the table and last on the screen, and what else a reader needs to go on."""

from __future__ import annotations

import io
import json
import math
import shlex

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks
from sklearn.model_selection import KFold, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsRegressor

from energyknn.loading import hash_file
from energyknn.modelfile import load_model
from energyknn.study.cli import main
from energyknn.study.reporting.tuning import describe_edges, describe_tuning, rank

HOMES = ("--target", "price", "--numbers", "area,built", "--categories", "town")


def make_homes(n_rows=160):
    random = np.random.default_rng(0)
    homes = pd.DataFrame({"area": random.normal(100, 30, n_rows), "built": random.integers(1900, 2020, n_rows)})
    homes["town"] = random.choice(["Bonn", "Ulm"], n_rows)
    return homes.assign(price=3000 * homes["area"] + random.normal(0, 9000, n_rows))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    make_homes().to_csv(tmp_path / "homes.csv", index=False)
    make_tracks(200).to_csv(tmp_path / "tracks.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tune(*words):
    return main(["tune", *map(str, words)])


def read_json(capsys, *words):
    assert tune(*words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_the_best_stand_first_in_the_table_and_last_on_the_screen(capsys):
    found = read_json(capsys, "--data", "tracks.csv", "--n-neighbors", "1:30")
    assert tune("--data", "tracks.csv", "--n-neighbors", "1:30") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["k", "mean", "R²", "sd", "over", "folds", "weights"]
    ranked = sorted(found["candidates"], key=lambda row: -row["mean_test_score"])
    shown = [line.split() for line in lines[1:21]]
    assert [(int(k), score) for k, score, *_ in shown] == [
        (row["n_neighbors"], f"{row['mean_test_score']:.5f}") for row in ranked[:20]
    ]
    assert lines[21] == "… 10 more: --top all"
    assert lines[-2].startswith(
        f"Best: k = {ranked[0]['n_neighbors']}, uniform: mean R² {ranked[0]['mean_test_score']:.5f}"
    )
    assert lines[-1].endswith("energyknn fit --data tracks.csv --from tuned.json")


@pytest.mark.parametrize(
    ("top", "n_shown", "said"), [("3", 3, "… 2 more: --top all"), ("all", 5, None), ("9", 5, None)]
)
def test_top_says_how_many_are_shown(capsys, top, n_shown, said):
    assert tune("--data", "tracks.csv", "--n-neighbors", "1:5", "--top", top) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines.index(said or "") == n_shown + 1
    assert any("more: --top" in line for line in lines) == (said is not None)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_figures_are_never_cut_and_lines_fit(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    varied = ["--mismatch-cost", "8,0", "--scaler", "as it is,robust", "--without", "built", "--p", "1,2"]
    command = ["--data", "homes.csv", *HOMES, "--n-neighbors", "5,9", *varied, "--top", "all"]
    best = read_json(capsys, *command)["best"]
    assert tune(*command) == 0
    shown = capsys.readouterr().out
    table, _, rest = shown.partition("\n\n")
    assert "…" not in shown
    assert max(map(len, shown.splitlines()[:-1])) <= width
    assert sum(line.split()[0] in {"5", "9"} for line in table.splitlines() if line[:2].strip()) == 2 * 2 * 2 * 2 * 2
    assert f"{best['mean_test_score']:.5f}" in table
    words = {"uniform,", "mismatch", "cost", "robust", "without", "built"}
    assert words <= set(table.replace(",\n", ", \n").split()) | {word.rstrip(",") for word in table.split()}
    assert f"mismatch cost {best['mismatch_cost']:g}" in " ".join(rest.split())
    assert "nothing" not in shown


def test_own_columns_are_scaled_by_training_rows_and_the_notebooks_by_all(capsys):
    command = ["--data", "homes.csv", "--target", "price", "--numbers", "area,built", "--n-neighbors", "5"]
    found, homes = read_json(capsys, *command), make_homes()
    X, _, y, _ = train_test_split(
        homes[["area", "built"]].to_numpy(float), homes["price"], test_size=0.2, random_state=42
    )
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    expected = cross_val_score(KNeighborsRegressor(5), X, y, cv=KFold(4)).mean()
    assert found["scaling"] == "train_only"
    assert found["score"] == pytest.approx(expected, abs=1e-12)
    assert read_json(capsys, *command, "--scaling", "all_rows")["score"] != found["score"]
    assert read_json(capsys, "--data", "tracks.csv", "--n-neighbors", "5")["scaling"] == "all_rows"
    own = read_json(capsys, "--data", "tracks.csv", "--n-neighbors", "5", "--scaling", "train_only")
    assert own["scaling"] == "train_only"


def test_the_file_holds_all_that_a_fit_needs(folder, capsys):
    varied = [
        "--weights",
        "uniform,distance",
        "--mismatch-cost",
        "1,0",
        "--without",
        "town,built",
        "--scaler",
        "robust",
    ]
    assert tune("--data", "homes.csv", *HOMES, "--n-neighbors", "4:6", *varied, "--out", "tuned.json") == 0
    shown = capsys.readouterr().out
    held = json.loads((folder / "tuned.json").read_text(encoding="utf-8"))
    best = max(held["candidates"], key=lambda row: row["mean_test_score"])
    assert held["best"] == best
    assert held["fit"] == {
        name: best[name] for name in ("n_neighbors", "weights", "p", "mismatch_cost", "scaler", "without")
    }
    assert held["fit"]["without"] in ([], ["town", "built"])
    assert held["score"] == best["mean_test_score"]
    assert held["scoring"] == "r2"
    assert held["data"]["path"] == "homes.csv"
    assert held["data"]["sha256"] == hash_file("homes.csv")
    assert held["data"]["arguments"][:2] == ["--data", "homes.csv"]
    program, *words = shlex.split(shown.splitlines()[-1].removeprefix("Fit it: "))
    assert [program, *words] == ["energyknn", "fit", "--data", "homes.csv", "--from", "tuned.json"]
    assert main(words) == 0
    model = load_model("model.safetensors")
    assert model.mismatch_cost == best["mismatch_cost"]
    assert set(model.schema.numbers) == {"area", "built"} - set(best["without"])


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("tuned.csv", "has no ending of a JSON file that is written. Give it .json"),
        ("no/t.json", "there is no folder 'no'"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_before_any_work(capsys, out, message):
    assert tune("--data", "no such file", "--out", out) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


@pytest.mark.parametrize("top", ["0", "-3", "many", "1.5"])
def test_a_top_that_is_no_number_is_refused(capsys, top):
    assert tune("--data", "tracks.csv", f"--top={top}") == 2
    assert f"'{top}' is no number of candidates. Give 1 or more, or all" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "asked"),
    [(["--weights", "distence"], "distance"), (["--scaler", "rubust"], "robust"), (["--without", "tempa"], "tempo")],
)
def test_a_misspelt_word_is_asked_for(capsys, words, asked):
    assert tune("--data", "tracks.csv", "--n-neighbors", "5", *words) == 2
    assert f"Did you mean '{asked}'?" in capsys.readouterr().err


def test_data_from_standard_input(folder, capsys, monkeypatch):
    expected = read_json(capsys, "--data", "homes.csv", *HOMES, "--n-neighbors", "4:6")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((folder / "homes.csv").read_bytes())))
    found = read_json(capsys, "--data", "-", *HOMES, "--n-neighbors", "4:6")
    assert found["candidates"] == expected["candidates"]
    assert found["data"]["path"] == "-"
    assert found["data"]["sha256"] == expected["data"]["sha256"]
    assert found["data"]["arguments"][:2] == ["--data", "-"]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert tune("--data", "-", *HOMES) == 2
    assert "'stdin.csv' is empty" in capsys.readouterr().err


def test_quiet_leaves_the_result(capsys):
    assert tune("--data", "tracks.csv", "--n-neighbors", "5,9", "--quiet") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.splitlines()[-1].startswith("Best: k = ")


def make_rows(means, **settings):
    plain = {"weights": "uniform", "p": 2, "mismatch_cost": 8.0, "scaler": "as it is", "without": []} | settings
    return [{"n_neighbors": k, **plain, "mean_test_score": mean, "std_test_score": 0.01} for k, mean in means.items()]


@pytest.mark.parametrize(
    ("tried", "best", "said"),
    [
        (range(1, 52), 51, ["k = 51 is the largest that was tried: try --n-neighbors 40:150."]),
        (range(5, 10), 5, ["k = 5 is the smallest that was tried: try --n-neighbors 1:5."]),
        (range(1, 52), 1, []),
        (range(1, 52), 7, []),
        ([13], 13, []),
        (range(1, 101), 100, []),
    ],
)
def test_an_edge_is_said(tried, best, said):
    rows = make_rows({k: 0.5 - abs(k - best) / 1000 for k in tried})
    most = 100 if best == 100 else 1000
    assert describe_edges(rows, next(row for row in rows if row["n_neighbors"] == best), most) == said


@pytest.mark.parametrize(("cost", "said"), [(8.0, "8 is the largest"), (1.0, "1 is the smallest"), (4.0, None)])
def test_an_edge_of_the_mismatch_cost_is_said(cost, said):
    rows = [row for given in (8.0, 4.0, 1.0) for row in make_rows({5: 0.5}, mismatch_cost=given)]
    lines = describe_edges(rows, next(row for row in rows if row["mismatch_cost"] == cost), 99)
    assert [said in line for line in lines] == ([True] if said else [])


def test_a_mismatch_cost_of_0_is_a_number_and_no_edge():
    rows = [row for given in (8.0, 0.0) for row in make_rows({5: 0.5 + (given == 0)}, mismatch_cost=given)]
    results = {
        "scoring": "r2",
        "folds": 4,
        "rows_in_fold": 99,
        "candidates": rows,
        "best": rows[1],
        "smoothest_within_one_standard_error": rows[1],
    }
    said = describe_tuning(results)
    assert said == [
        "No larger k comes within one standard error of the best.",
        "Best: k = 5, uniform, mismatch cost 0: mean R² 1.50000 (sd over 4 folds 0.01000).",
    ]


@pytest.mark.parametrize(
    ("p_value", "said"), [(0.4, "0.01000 lower."), (0.038, "more than chance explains (p-value 0.038).")]
)
def test_the_largest_k_that_is_nearly_as_good(p_value, said):
    rows = make_rows({5: 0.51, 20: 0.5})
    results = {
        "scoring": "r2",
        "folds": 4,
        "rows_in_fold": 99,
        "candidates": rows,
        "best": rows[0],
        "smoothest_within_one_standard_error": rows[1],
        "best_minus_smoothest": {"difference": 0.01, "standard_error": 0.1, "p_value": p_value},
    }
    first = describe_tuning(results)[0]
    assert first.startswith(
        "Largest k within one standard error of the best: k = 20, uniform: mean R² 0.50000, 0.01000"
    )
    assert first.endswith(said)
    assert ("p-value" in first) == (p_value < 0.05)


def test_what_failed_stands_last():
    rows = make_rows({1: math.nan, 2: 0.1, 3: 0.2})
    assert [row["n_neighbors"] for row in rank(rows)] == [3, 2, 1]
