"""energyknn fit: what it says of a model is true, and what `tune` found best is what it fits."""

from __future__ import annotations

import io
import json
import shlex

import numpy as np
import pandas as pd
import pytest
from made_homes import make_homes
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler

from energyknn.estimators import KNNClassifier, KNNRegressor, SoftVoteClassifier
from energyknn.modelfile import load_model
from energyknn.study.cli import main

HOMES = ("--target", "price", "--unit", "EUR", "--missing", "drop")


def make_untied_homes():
    """Make homes of which no two are equally far from a third."""
    homes = make_homes(empty=0)
    return homes.assign(area=homes["area"] + np.random.default_rng(1).uniform(-0.05, 0.05, len(homes)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    make_homes().to_csv(tmp_path / "homes.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def read_json(capsys, *arguments):
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("folder")
def test_fit_says_how_good_the_model_is_and_how_to_predict(capsys):
    homes = make_untied_homes()
    homes.to_csv("homes.csv", index=False)
    found = read_json(capsys, "fit", "--data", "homes.csv", *HOMES, "--n-neighbors", 7)
    assert found["method"] == "the mean of 7 neighbours (Euclidean distance)"
    assert found["unit"] == "EUR"
    rows, prices = load_model("model.safetensors").rows, homes["price"].to_numpy()
    left_out = KNeighborsRegressor(7).fit(rows, prices).predict(None)
    assert found["held_out"]["n_rows"] == 400
    assert found["held_out"]["rmse"] == pytest.approx(np.sqrt(np.mean((left_out - prices) ** 2)), rel=1e-9)
    assert found["held_out"]["coverage"] == pytest.approx(0.9, abs=0.05)
    assert run("fit", "--data", "homes.csv", *HOMES, "--n-neighbors", 7) == 0
    shown = capsys.readouterr().out
    assert "price (EUR) by the mean of 7 neighbours" in shown
    command = shlex.split(shown.splitlines()[-1].removeprefix("Predict with it: "))
    homes.to_csv("NEW.csv", index=False)
    assert main(command[1:]) == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == "id,predicted_price,lower_price,upper_price"
    assert printed.count("\n") == 401


@pytest.mark.usefixtures("folder")
def test_quick_takes_the_best_number_of_neighbours(capsys):
    found = read_json(capsys, "fit", "--data", "homes.csv", *HOMES, "--effort", "quick")
    model = load_model("model.safetensors").estimator.estimator_
    assert isinstance(model, KNNRegressor)
    assert f"the mean of {model.n_neighbors} neighbours" in found["method"]


@pytest.mark.usefixtures("folder")
def test_a_target_of_text_gets_a_classifier(capsys):
    columns = ("--target", "town", "--numbers", "price,rooms,built")
    found = read_json(capsys, "fit", "--data", "homes.csv", *columns)
    assert isinstance(load_model("model.safetensors").estimator[-1], SoftVoteClassifier)
    assert found["method"] == "votes of neighbours after a learned distance"
    assert 0.25 < found["held_out"]["accuracy"] <= 1
    assert run("fit", "--data", "homes.csv", *columns, "--effort", "quick") == 0
    assert isinstance(load_model("model.safetensors").estimator, KNNClassifier)
    assert "classes are right" in capsys.readouterr().out


def test_what_tune_found_best_is_what_fit_fits(folder, capsys):
    tune = ("tune", "--data", "homes.csv", *HOMES, "--n-neighbors", "2:9", "--weights", "uniform,distance")
    varied = ("--p", "1,2", "--mismatch-cost", "2,8", "--scaler", "robust,minmax", "--without", "listed,garden")
    assert run(*tune, *varied, "--out", "tuned.json") == 0
    words = shlex.split(capsys.readouterr().out.splitlines()[-1].removeprefix("Fit it: "))
    assert main(words[1:]) == 0
    best = json.loads((folder / "tuned.json").read_text())["fit"]
    model = load_model("model.safetensors")
    fitted = model.estimator.estimator_
    assert (fitted.n_neighbors, fitted.weights, fitted.p) == (best["n_neighbors"], best["weights"], best["p"])
    assert model.mismatch_cost == best["mismatch_cost"]
    assert not set(best["without"]) & set(model.schema.names)
    assert model.schema["price"].unit == "EUR"


@pytest.mark.usefixtures("folder")
def test_the_scale_of_a_tuned_model_is_that_which_was_tuned():
    homes = make_untied_homes()
    homes.to_csv("homes.csv", index=False)
    columns = ("--target", "price", "--numbers", "area,rooms,built", "--n-neighbors", "5", "--scaler", "robust")
    assert run("tune", "--data", "homes.csv", *columns, "--out", "tuned.json") == 0
    assert run("fit", "--data", "homes.csv", "--from", "tuned.json") == 0
    X, y = np.array(homes[["area", "rooms", "built"]]), np.array(homes["price"])
    expected = make_pipeline(RobustScaler(), KNeighborsRegressor(5)).fit(X, y).predict(X)
    np.testing.assert_allclose(load_model("model.safetensors").predict(homes), expected, rtol=1e-12)


@pytest.mark.usefixtures("folder")
def test_predictions_stay_within_bounds():
    assert run("fit", "--data", "homes.csv", *HOMES, "--n-neighbors", 3, "--bounds", "300000:") == 0
    model = load_model("model.safetensors")
    assert model.predict(make_homes(empty=0)).min() == 300_000
    assert model.predict_interval(make_homes(empty=0)).lower.min() == 300_000


@pytest.mark.filterwarnings("default")
@pytest.mark.usefixtures("folder")
def test_empty_cells_are_filled_in_rows_to_predict_too(capsys):
    columns = ("--target", "price", "--missing", "median", "--n-neighbors", 5)
    assert run("fit", "--data", "homes.csv", *columns) == 0
    make_homes().head(30).assign(area=None).drop(columns="price").to_csv("new.csv", index=False)
    capsys.readouterr()
    assert run("predict", "--model", "model.safetensors", "--data", "new.csv") == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 31
    assert "'area'" in captured.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "does not hold what `energyknn tune --out` writes"),
        ("[1", "does not hold what `energyknn tune --out` writes"),
        ('{"data": {"arguments": []}, "fit": {"n_neighbors": 3}}', "lacks mismatch_cost, p, scaler, weights, without"),
    ],
)
def test_a_damaged_file_of_tune_ends_in_one_line(folder, capsys, content, message):
    (folder / "tuned.json").write_text(content)
    assert run("fit", "--data", "homes.csv", "--from", "tuned.json") == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (folder / "model.safetensors").exists()


@pytest.mark.usefixtures("folder")
def test_leave_one_out_is_honest(capsys):
    """The figure that `fit` prints is near what cross-validation gives."""
    found = read_json(capsys, "fit", "--data", "homes.csv", *HOMES, "--n-neighbors", 7)
    model = load_model("model.safetensors")
    predicted = cross_val_predict(KNeighborsRegressor(7), model.rows, model.targets, cv=KFold(10))
    rmse = np.sqrt(np.mean((predicted - model.targets) ** 2))
    assert found["held_out"]["rmse"] == pytest.approx(rmse, rel=0.05)


@pytest.mark.usefixtures("folder")
def test_fit_says_that_the_file_is_not_what_was_tuned_and_refuses_another_target(capsys):
    assert run("tune", "--data", "homes.csv", *HOMES, "--n-neighbors", "3,5", "--out", "tuned.json") == 0
    assert run("fit", "--from", "tuned.json") == 0
    assert "has changed since" not in capsys.readouterr().err
    make_homes().head(300).to_csv("homes.csv", index=False)
    assert run("fit", "--from", "tuned.json") == 0
    note = (
        "homes.csv is not the file that tuned.json was tuned on, or has changed since. Tune again where that matters."
    )
    assert note in capsys.readouterr().err
    assert run("fit", "--from", "tuned.json", "--target", "area") == 2
    assert "'tuned.json' was tuned for 'price', and --target is 'area'. Tune again for that" in capsys.readouterr().err


@pytest.mark.usefixtures("folder")
def test_fit_reads_standard_input(capsys, monkeypatch):
    content = make_homes(empty=0).to_csv(index=False).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert run("fit", "--data", "-", "--target", "price", "--n-neighbors", 3) == 0
    assert "fitted on 400 rows" in capsys.readouterr().out


def make_visits(n_patients=60, n_visits=5):
    """Make visits whose pressure is the patient's own, so that only other visits of the same one predict it."""
    random = np.random.default_rng(0)
    patient = np.repeat(np.arange(n_patients), n_visits)
    own = random.normal(size=n_patients)[patient]
    traits = np.round(random.normal(size=n_patients), 3)[patient] + random.normal(0, 1e-3, len(patient))
    return pd.DataFrame({"patient": patient, "trait": traits, "pressure": own})


@pytest.mark.parametrize("named", [(), ("--ignore", "patient"), ("--numbers", "trait")])
def test_groups_stay_on_one_side_and_predict_nothing(folder, capsys, named):
    make_visits().to_csv(folder / "visits.csv", index=False)
    asked = ("fit", "--data", "visits.csv", "--target", "pressure", "--n-neighbors", 3)
    assert read_json(capsys, *asked, *named)["held_out"]["r2"] > 0.8
    held = read_json(capsys, *asked, *named, "--groups", "patient")["held_out"]
    assert held["r2"] < 0.3
    schema = load_model("model.safetensors").schema
    assert (schema.numbers, schema.categories, schema.years) == (("trait",), (), ())


def test_groups_that_are_not_there_are_refused_in_a_line(folder, capsys):
    assert run("fit", "--data", "homes.csv", *HOMES, "--groups", "owner") == 2
    assert "owner" in capsys.readouterr().err.splitlines()[-1]
    assert not (folder / "model.safetensors").exists()


@pytest.mark.usefixtures("folder")
def test_a_model_that_is_no_better_than_the_mean_says_so(capsys):
    random = np.random.default_rng(0)
    pd.DataFrame({"noise": random.normal(size=7), "y": random.normal(size=7)}).to_csv("few.csv", index=False)
    asked = ("fit", "--data", "few.csv", "--target", "y", "--n-neighbors", 1)
    found = read_json(capsys, *asked)
    assert found["held_out"]["r2"] < 0
    assert found["coverage"] is None
    assert run(*asked) == 0
    shown = capsys.readouterr().out
    assert "That is no better than the mean of the targets: do not rely on it." in shown
    assert "There are too few rows for intervals." in shown
    assert run(*asked, "--no-intervals") == 0
    assert "intervals" not in capsys.readouterr().out
