"""`energyknn fit` and `energyknn predict`: a model file between two commands, and every bad one refused in one line."""

from __future__ import annotations

import io
import json
import pickle
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
from energyknn.modelfile import files, fit_model, load_model
from energyknn.modelfile.model import describe_model
from energyknn.study.cli import main
from energyknn.study.notebook import SPOTIFY


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
    expected = load_model(model).predict(make_tracks(20, seed=1))
    for name, read in (("p.csv", pd.read_csv), ("p.csv.gz", pd.read_csv), ("p.parquet", pd.read_parquet)):
        assert run("predict", "--model", model, "--data", data, "--out", folder / "out" / name) == 0
        np.testing.assert_array_equal(read(folder / "out" / name)["predicted_energy"], expected)
    capsys.readouterr()
    assert run("predict", "--model", model, "--data", data, "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [row["predicted_energy"] for row in listed] == expected.tolist()
    assert listed[0]["name"] == "Song 0"


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
    make_tracks(20, seed=1).assign(energy="?").to_csv(folder / "new.csv", index=False)
    assert run("predict", "--model", model, "--data", folder / "new.csv") == 0
    assert capsys.readouterr().err == ""


def test_the_best_model_unless_another_is_asked_for(folder, monkeypatch, capsys):
    from energyknn import estimators

    whole = estimators.make_learned_regressor
    monkeypatch.setattr(
        estimators,
        "make_learned_regressor",
        lambda *columns, **options: whole(*columns, **options, n_maps=1, n_rounds=1, n_components=2),
    )
    model = folder / "m.safetensors"
    assert run("fit", "--data", folder / "train.csv", "--out", model) == 0
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
    homes = pd.DataFrame({"price": np.arange(20.0), "area": np.arange(20.0), "rooms": np.arange(20.0)})
    homes.to_csv(folder / "train.csv", index=False)
    model = fit(folder, "--target", "price", "--numbers", "area,rooms")
    for value, status in ((1e90, 0), (-1e200, 2)):
        homes.assign(rooms=value).to_csv(folder / "new.csv", index=False)
        assert run("predict", "--model", model, "--data", folder / "new.csv", "--why") == status
    captured = capsys.readouterr()
    assert "column 'rooms' has values 1.73e+199 times its spread away" in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("name", ["p.json", "p.xlsx", "p.tsv", "p", "p.csv.bz2"])
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
    new.assign(duration_ms=new["duration_ms"] / 60_000).to_csv(folder / "minutes.csv", index=False)
    assert run("predict", "--model", model, "--data", folder / "minutes.csv") == 0
    told = capsys.readouterr()
    assert len(told.out.splitlines()) == 22
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
    return pd.DataFrame(json.loads(capsys.readouterr().out))


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
    from energyknn import estimators

    whole = estimators.make_learned_regressor
    monkeypatch.setattr(
        estimators,
        "make_learned_regressor",
        lambda *columns, **options: whole(*columns, **options, n_maps=2, n_rounds=1, n_components=3),
    )
    path, train = fit(folder, "--model", kind), make_tracks(150)
    make_tracks(5, seed=1).to_csv(folder / "new.csv", index=False)
    capsys.readouterr()
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--json", "--why", 13) == 0
    rows = json.loads(capsys.readouterr().out)
    columns = ["loudness", "tempo", "key", "mode", "explicit", "valence"]
    for row in rows:
        why = pd.DataFrame(row["why"])
        assert why["name"].tolist() == train["name"].iloc[why["training_row"]].tolist()
        assert why["energy"].tolist() == train["energy"].iloc[why["training_row"]].tolist()
        assert {*columns} <= {*why}
        shares = why.drop(
            columns=["training_row", "energy", "weight", "distance", "release_date", "artists", "id", "name"]
        )
        np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)
        if kind == "notebook":  # all thirteen are shown, each counts for as much
            np.testing.assert_allclose(why["weight"], 1 / 13)
            np.testing.assert_allclose(row["predicted_energy"], why["energy"].mean())


def test_why_on_the_screen(folder, capsys):
    path, train = fit(folder), make_tracks(150).assign(name="[bold]<script>")
    train.to_csv(folder / "train.csv", index=False)
    path = fit(folder)
    capsys.readouterr()
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why", 2, "--out", folder / "p.csv") == 0
    shown = capsys.readouterr().out
    assert shown.count("differs in") == 20
    assert shown.count("[bold]<script>") == 40
    assert "Song 0" in shown
    assert len(pd.read_csv(folder / "p.csv")) == 20


def test_why_of_more_rows_than_are_shown(folder, capsys):
    path = fit(folder)
    make_tracks(1001, seed=1).to_csv(folder / "new.csv", index=False)
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why") == 2
    assert "up to 1000 rows, and the file has 1001" in capsys.readouterr().err
    make_tracks(3, seed=1).to_csv(folder / "new.csv", index=False)
    assert run("predict", "--model", path, "--data", folder / "new.csv", "--why", 99) == 2
    assert "n_neighbors is 99" in capsys.readouterr().err


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
        (["--n-neighbors", "3"], "--n-neighbors is for --model notebook"),
        (["--model", "forest"], "invalid choice: 'forest'"),
        (["--numbers", "tempo"], "Add --target NAME"),
        (["--target", "tempo", "--numbers", "price"], "missing column 'price'"),
    ],
)
def test_what_cannot_be_fitted_ends_in_one_line(folder, capsys, options, message):
    status = run("fit", "--data", folder / "train.csv", "--out", folder / "m", *options)
    captured = capsys.readouterr()
    assert status == 2
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert not (folder / "m").exists()
