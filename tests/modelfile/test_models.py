"""Models on disk: the same predictions to the bit after reading, and everything that is no whole model refused."""

from __future__ import annotations

import ast
import json
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from children import run_python
from made_tracks import make_tracks
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import RandomForestRegressor, VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

import energyknn
from energyknn.encoding import fit_levels, name_features
from energyknn.errors import DataFileError, ModelFileError
from energyknn.estimators import (
    ColumnWeights,
    KNNRegressor,
    KNNSearchCV,
    LocalLinearRegressor,
    MetricMap,
    RankFeatures,
    make_learned_regressor,
)
from energyknn.estimators.neighborhoods import list_neighborhoods
from energyknn.learning.planes import weigh_softly
from energyknn.loading import load_table
from energyknn.modelfile import files, fit_model, load_model, save_model, states
from energyknn.modelfile.model import describe_model, tabulate_predictions
from energyknn.modelfile.texts import Texts
from energyknn.schema import make_schema
from energyknn.study.comparison.models import list_models
from energyknn.study.notebook import SPOTIFY

NUMBERS = list(SPOTIFY.numbers)
COLUMNS = list(name_features(fit_levels(pd.DataFrame(), SPOTIFY), SPOTIFY))
INDICATORS = [name for name in COLUMNS if name not in NUMBERS]
QUICK = {"n_rounds": 2, "n_components": 3, "n_neighbors": 9}

ESTIMATORS = {
    "neighbours": KNNRegressor(7),
    "a kernel, Manhattan": KNNRegressor(7, weights="triangular", p=1),
    "a function": KNNRegressor(7, weights=weigh_softly),
    "the blocked engine": KNNRegressor(7, engine="blocked"),
    "one learned map": make_learned_regressor(NUMBERS, INDICATORS, n_maps=1, **QUICK),
    "learned maps": make_learned_regressor(NUMBERS, INDICATORS, n_maps=2, n_units=16, **QUICK),
    "weights of columns": make_pipeline(MetricMap(form="diagonal", n_rounds=2), KNNRegressor(5)),
    "scalers": make_pipeline(
        ColumnTransformer(
            [
                ("standard", StandardScaler(), NUMBERS[:2]),
                ("robust", RobustScaler(), NUMBERS[2:4]),
                ("range", MinMaxScaler((-1, 1)), NUMBERS[4:6]),
                ("largest", MaxAbsScaler(), NUMBERS[6:8]),
                ("ranks", QuantileTransformer(n_quantiles=20), NUMBERS[8:]),
            ],
            remainder="passthrough",
            verbose_feature_names_out=False,
        ).set_output(transform="pandas"),
        ColumnWeights({"mode_0": 0.0, "loudness": 2.0}),
        KNNRegressor(3, weights="distance"),
    ),
    "positions and nothing else": make_pipeline(
        ColumnTransformer([("first", "passthrough", slice(0, 5)), ("rest", "drop", [5])]),
        FunctionTransformer(),
        LocalLinearRegressor(20),
    ),
    "a vote with weights": VotingRegressor([("a", KNNRegressor(3)), ("b", LinearRegression())], weights=[3, 1]),
    "a line": make_pipeline(make_column_transformer(("passthrough", ["loudness"])), LinearRegression()),
    "the mean": DummyRegressor(),
}


@pytest.fixture(scope="module")
def rows():
    return make_tracks(150)


@pytest.fixture(scope="module")
def others():
    return make_tracks(40, seed=1)


@pytest.fixture(scope="module")
def saved(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "m.safetensors"
    save_model(fit_model(rows, SPOTIFY), path)
    return path


@pytest.mark.medium
@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_predictions_are_equal_to_the_bit_after_reading(rows, others, tmp_path, name, mmap):
    model = fit_model(rows, SPOTIFY, ESTIMATORS[name])
    save_model(model, tmp_path / "m")
    read = load_model(tmp_path / "m", mmap=mmap)
    assert type(read.estimator) is type(model.estimator)
    np.testing.assert_array_equal(read.predict(others), model.predict(others))
    save_model(read, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


def test_what_is_compared_beyond_the_notebook_can_be_saved_but_for_trees(rows, tmp_path):
    models = list_models(COLUMNS, n_neighbors=5, learning={**QUICK, "n_maps": 1})
    trees = {name for name in models if "tuned" in name} | {"random forest", "boosted trees"}
    for name in models.keys() - trees:
        save_model(fit_model(rows, SPOTIFY, models[name]), tmp_path / "m")
        assert load_model(tmp_path / "m").training.n_rows == 150
    assert trees < models.keys()


@pytest.mark.slow
def test_another_process_predicts_the_same(others, saved, tmp_path):
    others.to_csv(tmp_path / "new.csv", index=False)
    code = (
        "import sys; from energyknn.loading import load_table; from energyknn.modelfile import load_model; "
        "from energyknn.study.notebook import SPOTIFY; new = load_table(sys.argv[2], SPOTIFY); "
        "sys.stdout.write(load_model(sys.argv[1], mmap=True).predict(new).tobytes().hex())"
    )
    done = run_python(code, saved, tmp_path / "new.csv", check=True)
    assert done.stdout == load_model(saved).predict(others).tobytes().hex()


def test_a_model_predicts_what_its_estimator_does_on_encoded_rows(rows, others):
    model = fit_model(rows, SPOTIFY, KNNRegressor(5))
    encoded = model.encode(model.check(others))
    assert encoded.columns.tolist() == COLUMNS
    np.testing.assert_array_equal(model.predict(others), model.estimator.predict(encoded))
    scaled = model.encode(model.check(rows))[NUMBERS]
    np.testing.assert_allclose(scaled.mean(), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(ddof=0), 1, rtol=1e-9)


def test_the_best_of_a_search_is_kept(rows, tmp_path):
    model = fit_model(rows, SPOTIFY, KNNSearchCV({"n_neighbors": [3, 4]}, cv=3))
    save_model(model, tmp_path / "m")
    assert load_model(tmp_path / "m").estimator.n_neighbors in (3, 4)


def test_attributes_of_an_estimator_are_there_after_reading(rows, tmp_path):
    model = fit_model(rows, SPOTIFY, make_pipeline(RankFeatures(2), MetricMap(**QUICK), KNNRegressor(4)))
    save_model(model, tmp_path / "m")
    read = load_model(tmp_path / "m").estimator
    assert read[1].traces_ == model.estimator[1].traces_
    assert read[0].feature_names_in_.tolist() == model.estimator[0].feature_names_in_.tolist()
    assert read[0].get_feature_names_out().tolist() == model.estimator[0].get_feature_names_out().tolist()


def test_training_rows_can_be_named(saved):
    named = load_model(saved).name_rows([3, 0])
    assert named["name"].tolist() == ["Song 3", "Song 0"]
    assert named.columns.tolist() == ["artists", "id", "name", "release_date"]


def test_texts_hold_any_text():
    texts = ["", "Für Elise", "\x00", "🎵" * 3, "\ud800"]
    assert Texts.of(texts).take(range(5)) == [*texts[:4], "?"]
    with pytest.raises(ModelFileError):
        Texts(np.zeros(3, dtype=np.uint8), np.array([0, 2, 1, 3]))


def test_text_and_target_may_be_missing_and_texts_stand_beside_predictions(others, saved):
    model = load_model(saved)
    bare = others.drop(columns=["energy", "artists", "id", "name", "release_date"])
    np.testing.assert_array_equal(model.predict(bare), model.predict(others))
    assert tabulate_predictions(model, bare).columns.tolist() == ["predicted_energy"]
    assert tabulate_predictions(model, others).columns.tolist() == [*SPOTIFY.texts, "predicted_energy"]


def test_other_peoples_columns_and_a_level_that_was_never_seen(tmp_path):
    homes = pd.DataFrame({"price": [1.0, 2, 3, 4], "area": [1, 2, 3, 4], "town": ["a", "b", "a", "b"]})
    schema = make_schema(target="price", numbers=["area"], categories=["town"])
    model = fit_model(homes, schema, KNNRegressor(1))
    save_model(model, tmp_path / "m")
    read = load_model(tmp_path / "m", schema=schema)
    assert read.schema == schema
    assert read.predict(homes).tolist() == [1, 2, 3, 4]
    with pytest.warns(UserWarning, match="'town' holds levels in 1 row that the model was not fitted on"):
        read.predict(pd.DataFrame({"area": [1], "town": ["c"]}))


def test_a_level_is_known_whatever_type_its_file_gives_it():
    homes = pd.DataFrame({"area": [1.0, 2, 3, 4], "town": ["A", "1", "2", "02139"], "new": [True, False, True, False]})
    schema = make_schema(target="price", numbers=["area"], categories=["town", "new"])
    model = fit_model(homes.assign(price=[1.0, 2.0, 3.0, 4.0]), schema, KNNRegressor(1))
    rows = homes.iloc[1:3]
    for towns, news in (([1, 2], [0, 1]), ([1.0, 2.0], ["FALSE", "true"]), (["1 ", "2"], [False, True])):
        checked = model.check(rows.assign(town=towns, new=news))
        assert checked["town"].tolist() == ["1", "2"]
        assert checked["new"].tolist() == [False, True]
    with pytest.warns(UserWarning, match="in 1 row that the model was not fitted on, such as 2139: they count"):
        model.check(rows.assign(town=[2139, 1]))


def test_another_schema_is_refused_with_the_columns_it_needs(saved):
    homes = pd.DataFrame({"area": [1], "town": ["a"]})
    with pytest.raises(DataFileError, match=r"no 'acousticness'.*another schema.*predicts 'energy' from acousticness"):
        load_model(saved).predict(homes)
    with pytest.raises(ModelFileError, match="and not 'price' from area, price: another schema"):
        load_model(saved, schema=make_schema(target="price", numbers=["area"]))


def test_too_few_rows_are_refused_when_fitting(rows):
    with pytest.raises(ValueError, match="n_neighbors is 13"):
        fit_model(rows.head(5), SPOTIFY)


def test_a_description_says_where_the_model_comes_from(rows, tmp_path):
    model = fit_model(rows, SPOTIFY, source="tracks.csv", source_sha256="ab")
    save_model(model, tmp_path / "m")
    described = describe_model(tmp_path / "m")
    assert json.loads(json.dumps(described)) == described
    assert described["written_by"] == energyknn.__version__
    assert described["training"]["n_rows"] == 150
    assert described["training"]["source"] == "tracks.csv"
    assert described["training"]["sha256"] == fit_model(rows, SPOTIFY).training.sha256
    assert described["training"]["sha256"] != fit_model(rows.assign(tempo=rows["tempo"] + 1), SPOTIFY).training.sha256
    assert described["versions"]["numpy"] == np.__version__
    assert described["target"] == "energy"


OLD = Path(__file__).with_name("format_1")
"""Files that the first release of format 1 wrote, and what it predicted from them."""


@pytest.mark.medium
@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("path", sorted(OLD.glob("*.safetensors")), ids=lambda path: path.stem)
def test_files_written_before_are_read_and_predict_what_they_did(path, mmap):
    homes, predictions = pd.read_csv(OLD / "homes.csv"), pd.read_csv(OLD / "predictions.csv")
    model = load_model(path, mmap=mmap)
    np.testing.assert_allclose(model.predict(homes), predictions[path.stem], rtol=1e-12)
    found = model.explain(homes.head(2), n_neighbors=3)
    assert model.name_rows(found.indices[0])["street"].str.startswith("Straße").all()
    if f"{path.stem}_lower" in predictions:
        lower, upper = model.predict_interval(homes)
        np.testing.assert_allclose(lower, predictions[f"{path.stem}_lower"], rtol=1e-12)
        np.testing.assert_allclose(upper, predictions[f"{path.stem}_upper"], rtol=1e-12)


def test_training_rows_are_written_once(rows, tmp_path):
    for model in (KNNRegressor(5), VotingRegressor([("a", KNNRegressor(3)), ("b", LocalLinearRegressor(9))])):
        fitted = fit_model(rows, SPOTIFY, model)
        save_model(fitted, tmp_path / "m")
        content = files.read_content(tmp_path / "m")
        held = sum(array.nbytes for array in content.arrays.values() if array.shape[:1] == (len(rows),))
        assert held == fitted.rows.nbytes + fitted.targets.nbytes
        read = load_model(tmp_path / "m", mmap=True)
        (first, *_) = list_neighborhoods(read.estimator)
        assert np.shares_memory(read.rows, first.model.index_.X_train)


def test_any_reader_of_safetensors_opens_the_file(saved):
    safetensors = pytest.importorskip("safetensors")
    model = load_model(saved)
    with safetensors.safe_open(saved, framework="numpy") as file:
        assert file.metadata()["kind"] == "energyknn model"
        np.testing.assert_array_equal(file.get_tensor("training.rows"), model.estimator.index_.X_train)


def test_a_folder_stands_for_the_file_in_it(rows, tmp_path):
    save_model(fit_model(rows, SPOTIFY), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]
    assert load_model(tmp_path).training.n_rows == 150


class Burglar:
    """What makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def not_models(folder):
    """Write files that are no models; those of pickle would leave a trace."""
    trace = folder / "trace"
    (folder / "pickle").write_bytes(pickle.dumps(Burglar(trace)))
    joblib.dump(Burglar(trace), folder / "joblib", compress=3)
    np.save(folder / "npy", np.array([Burglar(trace)], dtype=object), allow_pickle=True)
    (folder / "empty").write_bytes(b"")
    (folder / "short").write_bytes(b"\x10")
    (folder / "text").write_text("energy,tempo\n1,2\n" * 99)
    (folder / "long").write_bytes((1 << 62).to_bytes(8, "little") + b"{" * 999)
    return trace


@pytest.mark.parametrize("name", ["pickle", "joblib", "npy.npy", "empty", "short", "text", "long"])
def test_what_is_no_model_is_refused_and_nothing_of_it_is_run(tmp_path, name):
    trace = not_models(tmp_path)
    with pytest.raises(ModelFileError, match="is not a model of energyknn"):
        load_model(tmp_path / name)
    assert not trace.exists()


def test_a_pickle_behind_a_models_header_is_refused_and_not_run(tmp_path, saved):
    trace = tmp_path / "trace"
    content = saved.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    (tmp_path / "m").write_bytes(content[:end] + pickle.dumps(Burglar(trace)))
    with pytest.raises(ModelFileError, match="is damaged"):
        load_model(tmp_path / "m")
    assert not trace.exists()
    pickle.loads(pickle.dumps(Burglar(trace)))  # noqa: S301 - what would have been run
    assert trace.exists()


def test_no_module_unpickles_a_file_but_the_one_that_wrote_it():
    unsafe = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve"}
    for path in Path(energyknn.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not unsafe & {name.split(".")[0] for name in names}, path
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "joblib.load":
                assert path.name == "saving.py"
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert ast.unparse(node.value) == "False", path


def test_every_changed_byte_is_noticed(tmp_path, saved):
    content = saved.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    random = np.random.default_rng(0)
    places = [*range(8), *random.integers(8, end, 150), *random.integers(end, len(content), 150), len(content) - 1]
    for place in places:
        changed = bytearray(content)
        changed[place] ^= int(random.integers(1, 256))
        (tmp_path / "m").write_bytes(changed)
        with pytest.raises(ModelFileError):
            load_model(tmp_path / "m")


@pytest.mark.parametrize("length", [0, 7, 8, 100, 3000, -8, -1])
def test_a_file_that_is_cut_short_or_longer_is_refused(tmp_path, saved, length):
    (tmp_path / "m").write_bytes(saved.read_bytes()[:length])
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "m")
    (tmp_path / "m").write_bytes(saved.read_bytes() + b"\0" * (1 + abs(length)))
    with pytest.raises(ModelFileError, match="do not fill"):
        load_model(tmp_path / "m")


def rewrite(path, target, change):
    """Write a file anew with its description changed, as somebody would who knows how the checksum is made."""
    content = files.read_content(path)
    description, arrays = content.description, dict(content.arrays)
    change(description, arrays)
    files.write_content(target, description, arrays)
    return target


def set_node(*keys, to):
    def change(description, arrays):
        del arrays
        for key in keys[:-1]:
            description = description[key]
        description[keys[-1]] = to

    return change


def set_array(name, change):
    return lambda _, arrays: arrays.update({name: change(arrays[name])})


def set_targets(change):
    """Give the estimator other targets than those of training."""

    def change_file(description, arrays):
        arrays["other"] = change(arrays["training.targets"])
        description["estimator"]["fitted"]["y_"] = {"array": "other"}

    return change_file


FITTED = ("estimator", "fitted")
CRAFTED = {
    "a class that is not listed": (
        set_node("estimator", "estimator", to="Popen"),
        "'Popen' is not among Column",
    ),
    "a module's name": (set_node("estimator", "estimator", to="os.system"), "'os.system' is not among"),
    "a function that is not listed": (
        set_node("estimator", "parameters", "weights", to={"function": "os.system"}),
        "'os.system' is not among weigh_softly",
    ),
    "a tag that is not listed": (set_node(*FITTED, "y_", to={"pickle": "gASV"}), "'pickle' is not among"),
    "two tags": (set_node(*FITTED, "y_", to={"array": "a", "tuple": []}), "cannot be used"),
    "an attribute that the class has not": (set_node(*FITTED, "predict", to=1), "has no 'predict'"),
    "a parameter that the class has not": (set_node("estimator", "parameters", "n", to=1), "has no 'n'"),
    "an array that is not there": (set_node(*FITTED, "y_", to={"array": "nowhere"}), "nowhere"),
    "text for an index": (set_node(*FITTED, "index_", to="rows"), "cannot be used"),
    "more neighbours than rows": (set_node("estimator", "parameters", "n_neighbors", to=10**9), "n_neighbors is 10"),
    "another p": (set_node(*FITTED, "index_", "index", "p", to=3), "p is 3"),
    "fewer targets": (set_targets(lambda y: y[:100]), "do not belong together"),
    "targets of two columns": (set_targets(lambda y: y.reshape(-1, 1).repeat(2, 1)), "does not predict"),
    "NaN among the rows": (set_array("training.rows", lambda rows: rows * np.nan), "contains NaN"),
    "rows of another width": (set_array("training.rows", lambda rows: rows[:, :9]), "cannot be used"),
    "other targets": (set_targets(lambda y: y + 0.1), "does not predict here what it predicted"),
    "no rows to predict again": (set_array("probe.rows", lambda rows: rows[:0]), "cannot be used"),
    "names of fewer rows": (
        lambda _, arrays: arrays.update(
            {"labels.id.edges": np.zeros(1, np.int64), "labels.id.content": np.zeros(0, np.uint8)}
        ),
        "names of training rows and the rest do not go together",
    ),
    "names out of reach": (set_array("labels.id.edges", lambda edges: edges * 1000), "do not cut them"),
    "no schema": (lambda description, _: description.pop("schema"), "cannot be used"),
    "two targets": (set_node("schema", 0, "role", to="target"), "exactly one target"),
    "a role that is none": (set_node("schema", 0, "role", to="admin"), "role and the rest do not go together"),
    "a range of text": (set_node("schema", 0, "minimum", to="0"), "range and the rest do not go together"),
    "levels of another column": (set_node("levels", to={"town": []}), "categories and the rest do not go together"),
    "a deviation of 0": (set_node("scale", "sd", to=[0.0] * len(NUMBERS)), "scale and the rest"),
    "a scale of fewer columns": (set_node("scale", "columns", to=[]), "columns and the rest do not go together"),
    "a year of text": (set_node("reference_year", to="2021"), "reference year and the rest do not go together"),
    "a negative cost": (set_node("mismatch_cost", to=-1), "mismatch cost and the rest do not go together"),
    "versions of lists": (set_node("versions", to={"numpy": []}), "versions and the rest do not go together"),
    "a list for the estimator": (set_node("estimator", to=[]), "cannot be used"),
    "nested deep": (set_node("estimator", to=json.loads("[" * 400 + "]" * 400)), "cannot be used"),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_a_file_made_on_purpose_is_refused_in_one_line(tmp_path, saved, case):
    change, message = CRAFTED[case]
    path = rewrite(saved, tmp_path / "m", change)
    with pytest.raises(ModelFileError) as caught:
        load_model(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_waves_without_end_are_refused(rows, tmp_path):
    save_model(fit_model(rows, SPOTIFY, make_pipeline(RankFeatures(1), KNNRegressor(3))), tmp_path / "a")
    steps = ("estimator", "parameters", "steps", 0, "tuple", 1, "parameters", "n_waves")
    with pytest.raises(ModelFileError, match="RankFeatures do not belong together"):
        load_model(rewrite(tmp_path / "a", tmp_path / "b", set_node(*steps, to=10**9)))


def test_json_without_end_is_refused(tmp_path):
    for text in (b'{"__metadata__": {"kind": "energyknn model", "a": ' + b"[" * 200_000, b'{"__metadata__": {"kind"'):
        (tmp_path / "m").write_bytes(len(text).to_bytes(8, "little") + text)
        with pytest.raises(ModelFileError):
            load_model(tmp_path / "m")


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [1 << 60], "data_offsets": [0, 1 << 63]},
        {"dtype": "F64", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [1], "data_offsets": [8, 0]},
        {"dtype": "F64", "shape": [1], "data_offsets": [-8, 0]},
        {"dtype": "F64", "shape": [1], "data_offsets": [8, 16]},
        {"dtype": "F64", "shape": [1] * 60, "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [1.0], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": ["1"], "data_offsets": [0, 8]},
        {"dtype": "F64", "shape": [True], "data_offsets": [0, 8]},
        {"dtype": "object", "shape": [1], "data_offsets": [0, 8]},
        {"dtype": ["F64"], "shape": [1], "data_offsets": [0, 8]},
        {"dtype": "F64"},
        "F64",
        None,
    ],
)
def test_arrays_that_are_not_where_they_are_said_to_be_are_refused(tmp_path, entry):
    metadata = {"kind": "energyknn model", "checksum": "0" * 64, "format_version": "1", "written_by": "1"}
    header = json.dumps({"__metadata__": {**metadata, "description": "{}"}, "a": entry}).encode()
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    for mmap in (False, True):
        with pytest.raises(ModelFileError, match="damaged"):
            load_model(tmp_path / "m", mmap=mmap)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes that are files")
def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ModelFileError, match="is not a file"):
        load_model(tmp_path / "pipe")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ModelFileError, match="No file at"):
        load_model(tmp_path / "none")


def test_a_newer_format_is_refused_with_the_release_that_reads_it(monkeypatch, rows, tmp_path):
    with monkeypatch.context() as newer:
        newer.setattr(files, "FORMAT_VERSION", 2)
        newer.setattr(files, "__version__", "9.1.0")
        save_model(fit_model(rows, SPOTIFY), tmp_path / "m")
    with pytest.raises(ModelFileError, match=r"format 2, written by energyknn 9\.1\.0.*formats up to 1.*newer"):
        load_model(tmp_path / "m")
    with pytest.raises(ModelFileError, match="format 2"):
        describe_model(tmp_path / "m")


def test_an_older_format_is_converted(monkeypatch, others, saved):
    def rename(description, arrays):
        return {**description, "year_of_age_0": description["reference_year"]}, arrays

    def rename_back(description, arrays):
        return {**description, "reference_year": description.pop("year_of_age_0")}, arrays

    expected = load_model(saved).predict(others)
    monkeypatch.setattr(files, "FORMAT_VERSION", 3)
    monkeypatch.setattr(files, "CONVERTERS", {1: rename, 2: rename_back})
    np.testing.assert_array_equal(load_model(saved).predict(others), expected)


def test_every_older_format_has_a_converter():
    assert sorted(files.CONVERTERS) == list(range(1, files.FORMAT_VERSION))


@pytest.mark.parametrize(
    "estimator",
    [RandomForestRegressor(2), KNNRegressor(3, weights=lambda distances: distances + 1)],
    ids=["a forest", "a function of one's own"],
)
def test_what_cannot_be_described_is_refused_when_saving(rows, tmp_path, estimator):
    (tmp_path / "m").write_text("old")
    with pytest.raises(ModelFileError, match=r"which a model file cannot hold. It holds ColumnWeights, "):
        save_model(fit_model(rows, SPOTIFY, estimator), tmp_path / "m")
    assert (tmp_path / "m").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_class_of_the_same_name_is_another(rows, tmp_path):
    class KNNRegressor(energyknn.KNNRegressor):
        pass

    with pytest.raises(ModelFileError, match="cannot hold"):
        save_model(fit_model(rows, SPOTIFY, KNNRegressor(3)), tmp_path / "m")


def test_every_parameter_that_is_listed_is_the_classes():
    for name, kind in states.KINDS.items():
        known = kind.estimator._get_param_names()
        assert set(kind.parameters) <= set(known), name


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        "text",
        0.1,
        float("nan"),
        float("-inf"),
        [1, (2, [3])],
        {"a": 1, 2: (None,)},
        slice(1, None, 2),
        np.float64(0.1),
        np.int64(7),
        np.arange(6.0).reshape(2, 3).T,
        np.empty((0, 3)),
        np.array(["a", "é"], dtype=object),
        np.array([True, False]),
    ],
    ids=repr,
)
def test_values_are_the_same_after_a_way_through_json(value):
    arrays = {}
    node = json.loads(json.dumps(states.encode_state(value, arrays, name="it"), allow_nan=False))
    decoded = states.decode_state(node, arrays)
    assert type(decoded) is type(value)
    np.testing.assert_equal(decoded, value)


def predict_at_once(model, tracks, n_threads=8):
    """Predict on several threads that start together."""
    start = threading.Barrier(n_threads)

    def predict(_):
        start.wait()
        return model.predict(tracks)

    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(predict, range(n_threads)))


def test_eight_threads_predict_from_one_mapped_model_at_once(rows, others, tmp_path):
    for estimator in (KNNRegressor(5), make_learned_regressor(NUMBERS, INDICATORS, n_maps=1, **QUICK)):
        save_model(fit_model(rows, SPOTIFY, estimator), tmp_path / "m")
        expected = load_model(tmp_path / "m").predict(others)
        for found in predict_at_once(load_model(tmp_path / "m", mmap=True), others):
            np.testing.assert_array_equal(found, expected)


PROCESS = """
import sys
sys.path[:0] = [sys.argv[3], sys.argv[3] + "/.."]
import energyknn.neighbors.engines.blocked.engine  # so that it is the engine
from energyknn.loading import load_table
from energyknn.modelfile import load_model
from energyknn.study.notebook import SPOTIFY
from test_models import predict_at_once
found = predict_at_once(load_model(sys.argv[1], mmap=True), load_table(sys.argv[2], SPOTIFY))
print(*(predictions.tobytes().hex() for predictions in found), sep="\\n")
"""


@pytest.mark.fuzz
def test_eight_processes_of_eight_threads_predict_from_one_file_at_once(tmp_path, request, say):
    tracks = make_tracks(3_000)
    model = fit_model(tracks, SPOTIFY, make_learned_regressor(NUMBERS, INDICATORS, n_maps=1, **QUICK))
    save_model(model, tmp_path / "m")
    tracks.head(500).to_csv(tmp_path / "new.csv", index=False)
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "m"), str(tmp_path / "new.csv"), str(request.path.parent)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    printed = [process.communicate()[0].splitlines() for process in running]
    expected = load_model(tmp_path / "m").predict(load_table(tmp_path / "new.csv", SPOTIFY)).tobytes().hex()
    found = [line for lines in printed for line in lines]
    say(f"predictions at once: {len(found)} of 64, each of 500 rows, {sum(line == expected for line in found)} equal")
    assert found == [expected] * 64
