"""`energyknn fit` and `energyknn predict`: a model file between two commands, and every bad one refused in one line."""

from __future__ import annotations

import io
import json
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler

from energyknn.encoding import encode_features, fit_levels
from energyknn.estimators import KNNRegressor, LocalLinearRegressor
from energyknn.estimators.intervals import IntervalRegressor
from energyknn.estimators.neighborhoods import list_neighborhoods
from energyknn.modelfile import files, fit_model, load_model, save_model
from energyknn.modelfile.model import describe_model
from energyknn.schema import make_schema
from energyknn.study.cli import main
from energyknn.study.notebook import SPOTIFY
from energyknn.study.reporting.reasons import describe_weights


@pytest.fixture
def folder(tmp_path):
    make_tracks(150).to_csv(tmp_path / "train.csv", index=False)
    make_tracks(20, seed=1).to_csv(tmp_path / "new.csv", index=False)
    return tmp_path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def fit(folder, *more):
    options = ("--model", "notebook", *more)
    assert run("fit", "--data", folder / "train.csv", "--out", folder / "m.safetensors", *options) == 0
    return folder / "m.safetensors"


def test_predictions_are_those_of_scikit_learn(folder, capsys):
    model = fit(folder, "--n-neighbors", 4)
    assert "fitted on 150 rows" in capsys.readouterr().out
    assert run("predict", "--model", model, "--data", folder / "new.csv") == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    train, new = make_tracks(150), make_tracks(20, seed=1)
    levels, numbers = fit_levels(train, SPOTIFY), list(SPOTIFY.numbers)
    X, queries = encode_features(train, levels, SPOTIFY), encode_features(new, levels, SPOTIFY)
    scaler = StandardScaler().fit(X[numbers].to_numpy())
    for table in (X, queries):
        table[numbers] = scaler.transform(table[numbers].to_numpy())
    expected = KNeighborsRegressor(4).fit(X, train["energy"]).predict(queries)
    np.testing.assert_allclose(printed["predicted_energy"], expected, rtol=1e-12)
    assert printed["name"].tolist() == new["name"].tolist()
    given = ["artists", "id", "name", "release_date"]
    assert printed.columns.tolist() == [*given, "predicted_energy", "lower_energy", "upper_energy"]


def test_every_way_out_gives_the_same_predictions(folder, capsys):
    pytest.importorskip("pyarrow")
    model, data = fit(folder), folder / "new.csv"
    capsys.readouterr()
    expected = load_model(model).predict(make_tracks(20, seed=1))
    (folder / "out").mkdir()
    for name, read in (("p.csv", pd.read_csv), ("p.csv.gz", pd.read_csv), ("p.parquet", pd.read_parquet)):
        assert run("predict", "--model", model, "--data", data, "--out", folder / name) == 0
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.splitlines()[-1] == f"Predictions of 20 rows written to {folder / name}"
        np.testing.assert_array_equal(read(folder / name)["predicted_energy"], expected)
    assert run("predict", "--model", model, "--data", data, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["target"], printed["rows"]) == ("energy", 20)
    assert [row["predicted_energy"] for row in printed["predictions"]] == expected.tolist()
    assert printed["predictions"][0]["name"] == "Song 0"


def test_a_folder_and_a_file_without_texts_and_target(folder, capsys):
    (folder / "model").mkdir()
    assert run("fit", "--data", folder / "train.csv", "--out", folder / "model", "--model", "notebook") == 0
    new = make_tracks(20, seed=1).drop(columns=["energy", *SPOTIFY.texts])
    new.to_csv(folder / "bare.csv", index=False)
    capsys.readouterr()
    assert run("predict", "--model", folder / "model", "--data", folder / "bare.csv") == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    np.testing.assert_array_equal(printed["predicted_energy"], load_model(folder / "model").predict(new))


def test_a_target_of_text_is_not_looked_at(folder, capsys):
    model = fit(folder)
    make_tracks(20, seed=1).assign(energy="later").to_csv(folder / "new.csv", index=False)
    assert run("predict", "--model", model, "--data", folder / "new.csv") == 0
    assert capsys.readouterr().err == ""


def test_a_learned_distance_unless_another_model_is_asked_for(folder, monkeypatch, capsys):
    from energyknn import neighbors_model

    monkeypatch.setitem(neighbors_model._LEARNING, "normal", {"n_maps": 1, "n_rounds": 1, "n_components": 2})
    make_tracks(220).to_csv(folder / "train.csv", index=False)
    model = folder / "m.safetensors"
    assert run("fit", "--data", folder / "train.csv", "--out", model) == 0
    assert "local planes after a learned distance" in capsys.readouterr().out
    assert [type(found.model) for found in list_neighborhoods(load_model(model).estimator.estimator_)] == [
        LocalLinearRegressor
    ]
    assert run("predict", "--model", model, "--data", folder / "new.csv") == 0
    assert capsys.readouterr().err == ""


def test_other_peoples_columns(folder, capsys):
    homes = pd.DataFrame({"price": np.arange(20.0), "area": np.arange(20), "town": ["a", "b"] * 10, "street": "=1+1"})
    homes.to_csv(folder / "train.csv", index=False)
    columns = ("--target", "price", "--numbers", "area", "--categories", "town", "--texts", "street")
    model = fit(folder, "--n-neighbors", 1, *columns)
    capsys.readouterr()
    assert run("predict", "--model", model, "--data", folder / "train.csv") == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert printed.columns.tolist() == ["street", "predicted_price", "lower_price", "upper_price"]
    assert printed["predicted_price"].tolist() == homes["price"].tolist()


@pytest.mark.filterwarnings("ignore:Most values lie outside of the training rows")
def test_a_value_that_no_distance_can_reach_is_refused_by_name(folder, capsys):
    prices = np.random.default_rng(0).normal(size=20)
    homes = pd.DataFrame({"price": prices, "area": np.arange(20.0), "rooms": np.arange(20.0)})
    homes.to_csv(folder / "train.csv", index=False)
    model = fit(folder, "--target", "price", "--numbers", "area,rooms")
    capsys.readouterr()
    for value, status in ((1e90, 0), (-1e200, 2)):
        homes.assign(rooms=value).to_csv(folder / "new.csv", index=False)
        assert run("predict", "--model", model, "--data", folder / "new.csv", "--why") == status
    captured = capsys.readouterr()
    assert "column 'rooms' has values 1.73e+199 times its spread away" in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("name", ["p.doc", "p.xls", "p", "p.csv.bz2"])
@pytest.mark.parametrize("command", ["predict", "sample"])
def test_a_name_that_does_not_say_what_to_write_is_refused(tmp_path, capsys, name, command):
    options = ["--model", "m", "--data", "d.csv"] if command == "predict" else ["--rows", 5]
    assert run(command, *options, "--out", tmp_path / name) == 2
    told = capsys.readouterr().err
    assert f"'{name}' has no ending of a table that is written. Give it .csv, .csv.gz, " in told
    assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("always:Most values")
def test_a_column_in_another_unit_is_told(folder, capsys):
    model, new = fit(folder), make_tracks(20, seed=1)
    capsys.readouterr()
    new.assign(duration_ms=new["duration_ms"] / 60_000).to_csv(folder / "minutes.csv", index=False)
    assert run("predict", "--model", model, "--data", folder / "minutes.csv") == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 21
    low, high = make_tracks(150)["duration_ms"].agg(["min", "max"])
    expected = (
        f"of the training rows: 'duration_ms' in 20 of 20 rows (trained on {low} to {high}). Give them in the unit"
    )
    assert expected in told.err
    assert run("predict", "--model", model, "--data", folder / "new.csv") == 0
    assert capsys.readouterr().err == ""


def test_the_model_names_its_data(folder):
    described = describe_model(fit(folder))
    assert described["training"]["source"] == "train.csv"
    assert len(described["training"]["source_sha256"]) == 64


def read_rows(capsys):
    return pd.DataFrame(json.loads(capsys.readouterr().out)["predictions"])


def test_intervals_are_those_of_the_estimator_and_follow_the_coverage(folder, capsys):
    path, new = fit(folder), make_tracks(20, seed=1)
    capsys.readouterr()
    widths = []
    for more, coverage in (((), 0.9), (("--coverage", 0.5), 0.5)):
        assert run("predict", "--model", path, "--data", folder / "new.csv", "--json", *more) == 0
        rows = read_rows(capsys)
        train = fit_model(make_tracks(150), SPOTIFY)
        direct = IntervalRegressor(KNNRegressor(13), bounds=(0, 1)).fit(train.rows, train.targets)
        lower, upper = direct.predict_interval(load_model(path).encode(new).to_numpy(), coverage=coverage)
        np.testing.assert_array_equal(rows["lower_energy"], lower)
        np.testing.assert_array_equal(rows["upper_energy"], upper)
        widths.append((upper - lower).mean())
    assert widths[1] < widths[0]


def test_a_model_without_intervals(folder, capsys):
    path = fit(folder, "--no-intervals")
    capsys.readouterr()
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--json") == 0
    assert "lower_energy" not in read_rows(capsys)
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--coverage", 0.5) == 2
    assert "fitted without intervals" in capsys.readouterr().err


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["notebook", "learned"])
def test_why_names_training_rows_and_shares(folder, capsys, monkeypatch, kind):
    from energyknn import neighbors_model

    monkeypatch.setitem(neighbors_model._LEARNING, "normal", {"n_maps": 2, "n_rounds": 1, "n_components": 3})
    train = make_tracks(220)
    train.to_csv(folder / "train.csv", index=False)
    path = fit(folder, "--model", kind)
    make_tracks(5, seed=1).to_csv(folder / "new.csv", index=False)
    capsys.readouterr()
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--json", "--why", 13) == 0
    rows = json.loads(capsys.readouterr().out)["predictions"]
    columns = ["loudness", "tempo", "key", "mode", "explicit", "valence", "year"]
    for row in rows:
        why, numbers = pd.DataFrame(row["why"]), [reason["training_row"] for reason in row["why"]]
        assert why["name"].tolist() == train["name"].iloc[numbers].tolist()
        assert why["energy"].tolist() == train["energy"].iloc[numbers].tolist()
        shares, values = (pd.DataFrame(list(why[part])) for part in ("shares", "values"))
        assert {*columns} <= {*shares} == {*values}
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)
        assert shares.to_numpy().min() >= 0
        np.testing.assert_allclose(values[columns].astype(float), train[columns].iloc[numbers].astype(float), rtol=1e-9)
        if kind == "notebook":  # all thirteen are shown, each counts for as much
            np.testing.assert_allclose(why["weight"], 1 / 13)
            np.testing.assert_allclose(row["predicted_energy"], why["energy"].mean())
            assert row["extrapolated"] is False


def test_why_on_the_screen(folder, capsys):
    path, train = fit(folder), make_tracks(150).assign(name="[bold]<script>")
    train.to_csv(folder / "train.csv", index=False)
    path = fit(folder)
    capsys.readouterr()
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why", 2, "--out", folder / "p.csv") == 0
    shown = capsys.readouterr().out
    assert shown.count("training row, and its values that differ") == 20
    assert shown.count("[bold]<script>") == 40
    assert shown.count("These 2 rows have 15% of the weight.") == 20
    assert "Song 0" in shown
    assert len(pd.read_csv(folder / "p.csv")) == 20


@pytest.mark.parametrize("width", [40, 60, 80])
def test_why_breaks_no_word_and_no_figure(folder, capsys, monkeypatch, width):
    path = fit(folder)
    capsys.readouterr()
    monkeypatch.setenv("COLUMNS", str(width))
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why", 5) == 0
    narrow = capsys.readouterr().out
    assert max(map(len, narrow.splitlines())) <= width
    monkeypatch.setenv("COLUMNS", "500")
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why", 5) == 0
    assert sorted(narrow.split()) == sorted(capsys.readouterr().out.split())
    assert "…" not in narrow


def test_a_pipe_gets_plain_text(folder, capsys, monkeypatch):
    path = fit(folder)
    capsys.readouterr()
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why", 5) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--quiet", "--out", folder / "p.csv") == 0
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_no_colour_where_it_wants_none(folder, capsys, monkeypatch):
    path = fit(folder)
    capsys.readouterr()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why", 2) == 0
    assert not re.search(r"\x1b\[[0-9;]*[34]\d", capsys.readouterr().out)


@pytest.mark.filterwarnings("ignore:Most values lie outside of the training rows")
def test_a_plane_that_goes_on_beyond_is_told(folder, capsys):
    homes = pd.DataFrame({"area": np.arange(60.0), "price": 3 * np.arange(60.0)})
    schema = make_schema(target="price", numbers=["area"])
    save_model(fit_model(homes, schema, LocalLinearRegressor(8, ridge=1e-9)), folder / "plane.safetensors")
    pd.DataFrame({"area": [62.0, 30.5]}).to_csv(folder / "new.csv", index=False)
    command = ("predict", "--model", folder / "plane.safetensors", "--data", folder / "new.csv", "--why", 3)
    assert run(*command) == 0
    beyond, inside = capsys.readouterr().out.split("row 1: price")
    assert "The prediction lies outside of the targets of all rows that it is made of" in beyond
    assert "outside" not in inside
    assert "area 59 (100%)" in beyond
    assert run(*command, "--json") == 0
    assert [row["extrapolated"] for row in json.loads(capsys.readouterr().out)["predictions"]] == [True, False]


def test_weights_below_0_are_explained():
    reasons = [{"weight": 0.6}, {"weight": 0.46}]
    assert describe_weights(reasons, extrapolated=False) == [
        "These 2 rows have 106% of the weight; rows that are not shown take the rest back, by weights below 0."
    ]
    assert describe_weights(reasons[:1], extrapolated=False) == ["This row has 60% of the weight."]


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"house": [f"h{n}" for n in range(9)]}, ["house"]),
        ({"nr": range(100, 109), "town": "Ulm"}, ["nr"]),
        ({"town": "Ulm", "lot": np.arange(9) + 0.5}, ["row"]),
        ({"PRICE": range(9)}, ["row"]),
        ({}, ["row"]),
    ],
)
def test_predictions_stand_beside_what_names_the_rows(folder, capsys, more, named):
    homes = pd.DataFrame({"area": np.arange(60.0), "price": 3 * np.arange(60.0)})
    save_model(fit_model(homes, make_schema(target="price", numbers=["area"])), folder / "m.safetensors")
    new = pd.DataFrame({"area": np.arange(9.0) * 7, **more})
    new.to_csv(folder / "new.csv", index=False)
    assert run("predict", "--model", folder / "m.safetensors", "--data", folder / "new.csv") == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert printed.columns.tolist() == [*named, "predicted_price"]
    assert printed[named[0]].tolist() == (list(range(9)) if named == ["row"] else new[named[0]].tolist())


def test_rows_from_standard_input(folder, capsys, monkeypatch):
    model = fit(folder)
    capsys.readouterr()
    assert run("predict", "--model", model, "--data", folder / "new.csv") == 0
    expected = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((folder / "new.csv").read_bytes())))
    assert run("predict", "--model", model, "--data", "-") == 0
    assert capsys.readouterr().out == expected


def test_an_empty_cell_is_named_with_its_remedy(folder, capsys):
    model = fit(folder)
    new = make_tracks(20, seed=1)
    new.assign(tempo=new["tempo"].mask(new.index == 3)).to_csv(folder / "new.csv", index=False)
    capsys.readouterr()
    assert run("predict", "--model", model, "--data", folder / "new.csv") == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "column 'tempo' is missing (NaN) in 1 row (row 3: nan)" in told
    assert told.endswith("fills them (--missing median).\n")


@pytest.mark.parametrize("command", ["predict", "sample"])
def test_no_folder_is_made_unasked(folder, capsys, command):
    options = ["--model", "m", "--data", "d.csv"] if command == "predict" else ["--rows", 5]
    assert run(command, *options, "--out", folder / "no" / "p.csv") == 2
    told = capsys.readouterr().err
    assert f"there is no folder '{folder / 'no'}' for 'p.csv'. Make it first" in told
    assert told.count("\n") == 1
    assert not (folder / "no").exists()


def test_why_of_more_rows_than_are_shown(folder, capsys):
    path = fit(folder)
    make_tracks(1001, seed=1).to_csv(folder / "new.csv", index=False)
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why") == 2
    assert "up to 1000 rows, and the file has 1001" in capsys.readouterr().err
    make_tracks(3, seed=1).to_csv(folder / "new.csv", index=False)
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why", 99) == 2
    assert "n_neighbors is 99" in capsys.readouterr().err


def test_why_shows_all_there_are_and_the_rows_own_values(tmp_path, capsys):
    homes = pd.DataFrame({"area": [50.0, 60, 70, 80] * 5, "town": ["Ulm", "Bonn"] * 10, "price": range(20)})
    homes.to_csv(tmp_path / "homes.csv", index=False)
    pd.DataFrame({"area": [55], "town": ["Ulm"]}).to_csv(tmp_path / "new.csv", index=False)
    model = tmp_path / "m.safetensors"
    command = ("fit", "--data", tmp_path / "homes.csv", "--target", "price", "--n-neighbors", 1, "--out", model)
    assert run(*command) == 0
    assert "by the mean of 1 neighbour (" in capsys.readouterr().out
    assert run("predict", "--model", model, "--data", tmp_path / "new.csv", "--why") == 0
    shown = capsys.readouterr().out
    assert "This row has area 55." in shown
    assert "This row has 100% of the weight." in shown
    assert run("predict", "--model", model, "--data", tmp_path / "new.csv", "--why", "--json") == 0
    record = json.loads(capsys.readouterr().out)["predictions"][0]
    assert record["values"] == {"area": 55, "town": "Ulm"}
    assert len(record["why"]) == 1


@pytest.mark.parametrize(("ending", "module"), [("xlsx", "openpyxl"), ("parquet", "pyarrow"), ("csv.zst", "zstandard")])
def test_a_missing_extra_is_said_before_any_work(folder, capsys, monkeypatch, ending, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert run("predict", "--model", "no.safetensors", "--data", "no.csv", "--out", folder / f"p.{ending}") == 2
    assert f"The module '{module}' is not installed. It belongs to the extra 'formats'" in capsys.readouterr().err


class Burglar:
    def __reduce__(self):
        return Path.touch, (Path("trace"),)


def change_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def raise_the_version(path):
    content = files.read_content(path)
    text = path.read_bytes().replace(b'"format_version": "1"', b'"format_version": "7"')
    assert content.written_by.encode() in text
    path.write_bytes(text)


BAD = {
    "no model": (lambda folder: (folder / "m.safetensors").unlink(), "No file at"),
    "a pickle": (lambda folder: (folder / "m.safetensors").write_bytes(pickle.dumps(Burglar())), "is not a model of"),
    "a changed byte": (lambda folder: change_a_byte(folder / "m.safetensors"), "does not have the checksum"),
    "a newer format": (lambda folder: raise_the_version(folder / "m.safetensors"), "has format 7, written by"),
    "the data as the model": (
        lambda folder: (folder / "m.safetensors").write_bytes((folder / "new.csv").read_bytes()),
        "is not a model of energyknn",
    ),
    "another schema": (
        lambda folder: (folder / "new.csv").write_text("area,town\n1,a\n"),
        "has no 'acousticness', 'danceability'",
    ),
    "a column less": (
        lambda folder: make_tracks(9).drop(columns="tempo").to_csv(folder / "new.csv", index=False),
        "'new.csv' has no 'tempo': it has another schema than the model, which predicts 'energy' from",
    ),
    "a bad value": (
        lambda folder: make_tracks(9).assign(mode=3).to_csv(folder / "new.csv", index=False),
        "column 'mode' is outside its levels 0, 1 in 9 rows",
    ),
    "a year in the future": (
        lambda folder: make_tracks(9).assign(year=2999).to_csv(folder / "new.csv", index=False),
        "column 'year' is outside 1860 to",
    ),
    "no data": (lambda folder: (folder / "new.csv").unlink(), "No file at"),
    "a folder for the output": (lambda folder: (folder / "out.csv").mkdir(), "is a folder"),
}


@pytest.mark.medium
@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_predicted_ends_in_one_line(folder, capsys, monkeypatch, case):
    monkeypatch.chdir(folder)
    spoil, message = BAD[case]
    fit(folder)
    spoil(folder)
    before = sorted(folder.rglob("*"))
    capsys.readouterr()
    status = run("predict", "--model", "m.safetensors", "--data", "new.csv", "--out", "out.csv")
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert sorted(folder.rglob("*")) == before
    assert not (folder / "trace").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "notebook", "--n-neighbors", "0"], "'n_neighbors' parameter of KNNRegressor must be"),
        (["--model", "notebook", "--n-neighbors", "151"], "n_neighbors is 151. It must be from 1 to 149"),
        (["--n-neighbors", "many"], "invalid int value"),
        (["--model", "learned", "--n-neighbors", "3"], "--model learned and --n-neighbors exclude each other"),
        (["--model", "learned", "--effort", "quick"], "--model learned and --effort quick exclude each other"),
        (["--bounds", "1:0"], "'1:0' is no range"),
        (["--bounds", "1"], "'1' is no range"),
        (["--from", "nothing.json"], "No file at 'nothing.json'"),
        (["--model", "forest"], "invalid choice: 'forest'"),
        (["--numbers", "tempo"], "Add --target NAME"),
        (["--target", "tempo", "--numbers", "price"], "There is no column 'price'"),
    ],
)
def test_what_cannot_be_fitted_ends_in_one_line(folder, capsys, options, message):
    status = run("fit", "--data", folder / "train.csv", "--out", folder / "m", *options)
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (folder / "m").exists()


def test_quantiles_and_probabilities_stand_beside_the_predictions(folder, capsys):
    model, data = fit(folder), folder / "new.csv"
    capsys.readouterr()
    asked = ("--quantiles", "0.05,0.5,0.95", "--at-most", "0.25,1", "--coverage", "0.9")
    assert run("predict", "--model", model, "--data", data, *asked) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    shares = ("quantile_0.05", "quantile_0.5", "quantile_0.95", "at_most_0.25", "at_most_1")
    assert printed.columns.tolist()[-5:] == [f"{share}_energy" for share in shares]
    low, middle, high, some, sure = (printed[f"{share}_energy"] for share in shares)
    assert ((low <= middle) & (middle <= high)).all()
    loaded, new = load_model(model), make_tracks(20, seed=1)
    np.testing.assert_array_equal(loaded.predict_quantiles(new, [0.05, 0.5, 0.95])[:, 1], middle)
    np.testing.assert_array_equal(loaded.predict_cdf(new, 0.25), some)
    assert some.between(0, 1).all()
    assert (sure == 1).all()  # the bound of the scores


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--quantiles", "0.1;0.5"], "--quantiles is '0.1;0.5'. Give a number, or several with commas"),
        (["--quantiles", "1.5"], "A quantile is 1.5"),
        (["--at-most", "nan"], "--at-most is 'nan'. Give a number, or several with commas"),
    ],
)
def test_quantiles_and_values_that_are_none_are_refused(folder, capsys, options, said):
    model = fit(folder)
    capsys.readouterr()
    assert run("predict", "--model", model, "--data", folder / "new.csv", *options) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_classes_have_no_quantiles(tmp_path, capsys):
    table = pd.DataFrame({"size": np.arange(80.0), "kind": np.where(np.arange(80) < 40, "small", "large")})
    table.to_csv(tmp_path / "kinds.csv", index=False)
    data = ("--data", tmp_path / "kinds.csv")
    assert run("fit", *data, "--target", "kind", "--effort", "quick", "--out", tmp_path / "m.safetensors") == 0
    capsys.readouterr()
    assert run("predict", *data, "--model", tmp_path / "m.safetensors", "--quantiles", "0.5") == 2
    assert "'kind' is a class. It has probabilities" in capsys.readouterr().err
