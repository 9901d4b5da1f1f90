"""Classes as the target: from a file to candidates' scores, a model file, predictions and reasons."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier

from energyknn.errors import DataFileError
from energyknn.estimators import KNNClassifier
from energyknn.loading import load_table
from energyknn.modelfile import fit_model, load_model, save_model
from energyknn.schema import make_schema
from energyknn.study.cli import main

NUMBERS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SCHEMA = make_schema(target="species", classifies=True, numbers=NUMBERS)


def make_flowers():
    flowers = load_iris()
    rows = flowers.data + np.random.default_rng(0).normal(scale=1e-3, size=flowers.data.shape)  # so that none tie
    return pd.DataFrame(rows, columns=NUMBERS).assign(species=flowers.target_names[flowers.target])


@pytest.fixture
def path(tmp_path):
    make_flowers().to_csv(tmp_path / "flowers.csv", index=False)
    return tmp_path / "flowers.csv"


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_tune_finds_out_that_text_is_a_class_and_scores_as_scikit_learn(path, capsys):
    columns = ("--target", "species", "--numbers", ",".join(NUMBERS))
    options = ("--n-neighbors", "3:7", "--weights", "uniform,distance", "--p", "1,2", "--json")
    assert run("tune", "--data", path, *columns, *options) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["scoring"] == "accuracy"
    assert len(printed["candidates"]) == 5 * 2 * 2
    flowers = make_flowers()
    numbers, labels = flowers[NUMBERS].to_numpy(), flowers["species"].to_numpy()
    X, _, y, _ = train_test_split(numbers, labels, test_size=0.2, random_state=42, stratify=labels)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    for row in printed["candidates"]:
        model = KNeighborsClassifier(row["n_neighbors"], weights=row["weights"], p=row["p"])
        expected = cross_val_score(model, X, y, cv=StratifiedKFold(4)).mean()
        assert row["mean_test_score"] == pytest.approx(expected, abs=1e-12)
    assert run("tune", "--data", path, *columns, "--n-neighbors", "3", "--scoring", "neg_log_loss") == 0
    assert "Best: k = 3" in capsys.readouterr().out


def test_numbers_are_classes_where_the_user_says_so(path, capsys):
    make_flowers().assign(species=lambda table: table["species"].factorize()[0]).to_csv(path, index=False)
    columns = ("--target", "species", "--numbers", ",".join(NUMBERS), "--n-neighbors", "5", "--json")
    assert run("tune", "--data", path, *columns) == 0
    assert json.loads(capsys.readouterr().out)["scoring"] == "r2"
    assert run("tune", "--data", path, *columns, "--task", "classify") == 0
    assert json.loads(capsys.readouterr().out)["scoring"] == "accuracy"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--target", "species", "--numbers", NUMBERS[0], "--scoring", "acuracy"], "Did you mean 'accuracy'"),
        (
            ["--target", "species", "--numbers", NUMBERS[0], "--task", "regress"],
            "holds 'setosa', which is not a number",
        ),
        (["--target", "species", "--numbers", NUMBERS[0], "--scoring", "r2"], "scoring 'r2' cannot score 'species'"),
        (["--task", "classify"], "--task classify needs --target NAME"),
        (["--target", "species", "--numbers", NUMBERS[0], "--cv", "60"], "60"),
    ],
)
def test_mistakes_end_in_one_line(path, capsys, options, words):
    assert run("tune", "--data", path, "--n-neighbors", "3", *options) == 2
    shown = capsys.readouterr().err.strip()
    assert words in shown
    assert "\n" not in shown


def test_fit_and_predict_classes(path, capsys, tmp_path):
    model = tmp_path / "model.safetensors"
    columns = ("--target", "species", "--numbers", ",".join(NUMBERS))
    assert run("fit", "--data", path, *columns, "--n-neighbors", "5", "--out", model) == 0
    capsys.readouterr()
    assert run("predict", "--model", model, "--data", path) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert printed.columns.tolist() == ["row", "predicted_species", "probability_species"]
    assert (printed["predicted_species"] == make_flowers()["species"]).mean() > 0.9
    assert printed["probability_species"].between(1 / 3, 1).all()
    assert run("predict", "--model", model, "--data", path, "--why", "2") == 0
    assert "species versicolor" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["text", "numbers", "truth"])
def test_a_model_file_gives_the_labels_back(tmp_path, kind):
    table = make_flowers()
    if kind != "text":
        codes = table["species"].factorize()[0] * 7 - 3
        table["species"] = codes if kind == "numbers" else codes > 0
    model = fit_model(table, SCHEMA, KNNClassifier(7, weights="distance"))
    save_model(model, tmp_path / "m.safetensors")
    again = load_model(tmp_path / "m.safetensors")
    np.testing.assert_array_equal(again.predict(table), model.predict(table))
    np.testing.assert_array_equal(again.predict(table), table["species"].to_numpy())
    X = again.encode(again.check(table))
    np.testing.assert_array_equal(again.estimator.predict_proba(X), model.estimator.predict_proba(X))
    found = again.explain(table.head(2), n_neighbors=3)
    assert found.indices.tolist() == [[0, *found.indices[0, 1:]], [1, *found.indices[1, 1:]]]


def test_a_missing_label_is_refused(path):
    table = make_flowers()
    table.loc[3, "species"] = None
    table.to_csv(path, index=False)
    with pytest.raises(DataFileError, match=r"column 'species' is missing \(NaN\) in 1 row \(row 3"):
        load_table(path, SCHEMA)
