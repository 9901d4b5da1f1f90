"""Spotify files of other authors: every command takes them by their columns, and says what it read as what."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from spotify_shapes import LACKING, SHAPES, write_shape

from energyknn.modelfile import load_model
from energyknn.study.cli import main
from energyknn.study.notebook import SPOTIFY

FEW = ["SpotifyFeatures.csv", "spotify-2023.csv"]


def run(*arguments):
    return main([str(argument) for argument in arguments])


@pytest.mark.medium
@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in SHAPES])
def test_a_file_of_each_shape_needs_no_option(name, tmp_path, capsys):
    path = write_shape(name, tmp_path)
    assert run("reproduce", "--data", path, "--out", tmp_path / "out", "--no-report") == 0
    told = capsys.readouterr().err
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    used = set(SPOTIFY.names) - set(LACKING[name]) - set(SPOTIFY.texts)
    assert used <= {column["name"] for column in results["schema"]["columns"]}
    assert ("notebook" in results) == (not LACKING[name])
    assert all(f"{column!r}" in told for column in LACKING[name])
    assert run("predict", "--model", tmp_path / "out", "--data", path) == 0
    predicted = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert predicted["predicted_energy"].between(0, 1).all()
    assert len(predicted) == results["data"]["rows"]


@pytest.mark.medium
def test_a_model_predicts_tracks_of_another_author(tmp_path, capsys):
    """The same tracks get the same predictions, whatever their columns are called."""
    train, other = write_shape("songs.csv", tmp_path), write_shape("data.csv", tmp_path, n_rows=40, seed=3)
    assert run("fit", "--data", train, "--effort", "quick", "--out", tmp_path / "m") == 0
    model = load_model(tmp_path / "m")
    assert run("predict", "--model", tmp_path / "m", "--data", other, "--out", tmp_path / "p.csv") == 0
    expected = model.predict(pd.read_csv(other))
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "p.csv")["predicted_energy"], expected)
    hits = write_shape("songs.csv", tmp_path, n_rows=40, seed=3)
    assert run("predict", "--model", tmp_path / "m", "--data", hits, "--out", tmp_path / "h.csv") == 0
    renamed = pd.read_csv(tmp_path / "h.csv")
    assert "'song' is read as 'name'." in capsys.readouterr().err
    np.testing.assert_allclose(renamed["predicted_energy"], expected, atol=0.05)
