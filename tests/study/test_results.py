"""The shape of results.json: the schema follows the types, and real results follow the schema."""

from __future__ import annotations

import copy
import json
import runpy
from pathlib import Path

import jsonschema
import pytest
from check_results import SCHEMA, check_results
from made_tracks import make_tracks

from energyknn.study.jobs.reproduce import reproduce

WRITER = Path(__file__).parents[2] / "docs" / "results_schema.py"


def test_the_schema_is_made_from_the_types():
    written = runpy.run_path(str(WRITER))["write_schema"]()
    assert SCHEMA.read_text(encoding="utf-8") == written, "Run `python docs/results_schema.py`."


def test_the_keys_that_others_rely_on_are_required():
    parts = json.loads(SCHEMA.read_text(encoding="utf-8"))["$defs"]
    promised = {
        "Results": "data protocol base coarse micro tuned overfitting notebook seconds environment",
        "DataPart": "path rows sha256 synthetic",
        "ProtocolPart": "scaling reference_year test_size random_state groups",
        "ModelPart": "n_neighbors train test",
        "ScorePair": "r2 rmse",
        "SearchPart": "n_neighbors mean_test_score std_test_score best",
        "OverfittingPart": "verdict train_minus_test_r2",
        "HonestPart": "base tuned",
        "ComparedModel": "cv_rmse test seconds",
        "NotebookPart": "base coarse micro tuned",
        "SecondsPart": "load encode split scale base_fit base_predict coarse micro total",
        "EnvironmentPart": "python packages cpu threads engine device",
    }
    for name, keys in promised.items():
        assert set(keys.split()) <= set(parts[name]["required"])
    assert {"honest", "beyond"} <= set(parts["Results"]["properties"])


@pytest.fixture(scope="module")
def tracks_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tracks") / "tracks.csv"
    make_tracks(120).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("honest", [True, False])
def test_results_follow_the_schema(tmp_path, tracks_file, honest):
    reproduce(tracks_file, tmp_path / "out", honest=honest, report=False)
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert ("honest" in results) == honest
    check_results(results)


def test_results_of_another_shape_are_noticed(tmp_path, tracks_file):
    results = reproduce(tracks_file, tmp_path / "out", honest=False, report=False).results
    for part, name in (("base", "train"), ("seconds", "total"), ("data", "sha256")):
        spoiled = copy.deepcopy(results)
        del spoiled[part][name]
        with pytest.raises(jsonschema.ValidationError):
            check_results(spoiled)
