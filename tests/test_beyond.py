"""Models beside one another: the same rows, the same folds, and no look at a test row."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from made_tracks import make_tracks
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import cross_val_score

from energyknn.beyond import compare_models, list_models
from energyknn.cli import main
from energyknn.study import Protocol, prepare

QUICK = {"n_maps": 2, "n_rounds": 2, "n_queries": 200, "n_components": 3, "n_neighbors": 20}


def shrink(models):
    """Leave few trees, which take most of the time."""
    models["random forest"].set_params(n_estimators=3, n_jobs=1)
    for name in ("boosted trees", "boosted trees, tuned"):
        models[name].set_params(max_iter=3)
    return models


@pytest.fixture(scope="module")
def data():
    return prepare(make_tracks(400), Protocol(), n_neighbors=51)


@pytest.fixture(scope="module")
def models(data):
    return shrink(list_models(list(data.X_train), n_neighbors=11, learning=QUICK))


@pytest.fixture(scope="module")
def scores(data, models):
    return compare_models(data, models)


def test_every_model_has_its_scores(scores, models):
    assert list(scores) == list(models)
    assert len(scores) == 10
    for score in scores.values():
        assert np.isfinite([score.cv_rmse, *score.test, score.seconds]).all()
    assert scores["mean"].test.r2 == pytest.approx(0, abs=0.05)


def test_the_scores_are_scikit_learns(data, scores):
    folds = [tuple(fold) for fold in data.folds]
    expected = -cross_val_score(
        LinearRegression(), data.X_train, data.y_train, cv=folds, scoring="neg_root_mean_squared_error"
    ).mean()
    assert scores["ordinary least squares"].cv_rmse == pytest.approx(expected, rel=1e-12)
    model = LinearRegression().fit(data.X_train, data.y_train)
    assert scores["ordinary least squares"].test.r2 == pytest.approx(model.score(data.X_test, data.y_test), rel=1e-12)


def test_test_rows_move_nothing_but_test_scores(data, scores, models):
    shifted = replace(data, X_test=data.X_test * -1 + 3, y_test=data.y_test[::-1] + 1)
    chosen = {name: models[name] for name in ("neighbours, mean of learned maps", "boosted trees")}
    found = compare_models(shifted, chosen)
    for name, score in found.items():
        assert score.cv_rmse == scores[name].cv_rmse
        assert score.test != scores[name].test


def test_the_command_line_shows_and_writes_them(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "energyknn.reproducing.list_models",
        lambda columns, **options: shrink(list_models(columns, learning=QUICK, **options)),
    )
    arguments = ["reproduce", "--no-honest", "--no-report", "--beyond", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0
    written = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))["beyond"]
    assert set(written["boosted trees"]) == {"cv_rmse", "test", "seconds"}
    assert set(written["boosted trees"]["test"]) == {"r2", "rmse"}
    shown = capsys.readouterr().out
    for name, row in written.items():
        assert name in shown
        assert f"{row['test']['rmse']:.5f}" in shown
