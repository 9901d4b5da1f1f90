"""tune-sklearn on today's Ray: the scores of the old stack, saving and loading, and errors instead of waiting."""

from __future__ import annotations

import importlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
from legacy.check_tune_sklearn_legacy import CANDIDATES, SCORES, find_differences, make_rows, run_searches
from sklearn.linear_model import SGDRegressor
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.neighbors import KNeighborsRegressor

MODULE = "energyknn.tuning.tune_sklearn"
GRID = {"n_neighbors": CANDIDATES}


def run_python(code: str, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a process of its own, with another home and without the user's settings for Ray."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    environment |= {"HOME": str(home), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("missing", ["ray", "tune_sklearn"])
def test_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in ("ray", "ray.tune", "ray.tune.logger"):
        monkeypatch.setitem(sys.modules, name, None if missing == "ray" else ModuleType(name))
    monkeypatch.setitem(sys.modules, "tune_sklearn", None)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with pytest.raises(ImportError, match=r"pip install 'energyknn\[tune-sklearn\]'"):
        importlib.import_module(MODULE)
    assert "ray.tune.search.skopt" not in sys.modules


@pytest.fixture(scope="module")
def adapter() -> ModuleType:
    """Import the adapter."""
    return importlib.import_module(MODULE)


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Start Ray as a user would, with a GPU that is on paper alone."""
    ray = importlib.import_module("ray")
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": "error"}
    ray.init(address="local", num_cpus=2, num_gpus=1, **quiet)
    yield ray
    ray.shutdown()


@pytest.fixture(scope="module")
def searches(adapter: ModuleType, running_ray: Any) -> list[Any]:  # noqa: ARG001 - a Ray to run on
    """Fit a search of each kind."""
    X, y = make_rows(300)
    model, options = KNeighborsRegressor(), {"cv": 4, "n_jobs": -1}
    return [
        adapter.TuneGridSearchCV(model, {"n_neighbors": [3, 7]}, **options).fit(X, y),
        adapter.TuneSearchCV(model, {"n_neighbors": [3, 7]}, random_state=0, **options).fit(X, y),
    ]


@pytest.mark.tune_sklearn
def test_scores_equal_the_unmodified_package_and_grid_search(adapter: ModuleType, running_ray: Any) -> None:
    found = run_searches(adapter.TuneGridSearchCV, adapter.TuneSearchCV)
    assert find_differences(json.loads(SCORES.read_text(encoding="utf-8")), found) == []
    expected = GridSearchCV(KNeighborsRegressor(), GRID, cv=4, return_train_score=True).fit(*make_rows())
    assert found["grid"]["best_params"] == expected.best_params_
    assert "split3_train_score" in found["grid"]["scores"]
    for name in found["grid"]["scores"].keys() & expected.cv_results_.keys():
        np.testing.assert_allclose(found["grid"]["scores"][name], expected.cv_results_[name], rtol=0, atol=1e-12)
    assert running_ray.is_initialized()


@pytest.mark.tune_sklearn
def test_a_seed_repeats_the_draws_and_leaves_the_global_generators(adapter: ModuleType, searches: list[Any]) -> None:
    states = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002 - what tune-sklearn seeds
    again = adapter.TuneSearchCV(KNeighborsRegressor(), {"n_neighbors": [3, 7]}, random_state=0, cv=4, n_jobs=-1).fit(
        *make_rows(300)
    )
    assert again.cv_results_["params"] == searches[1].cv_results_["params"]
    np.testing.assert_array_equal(again.cv_results_["mean_test_score"], searches[1].cv_results_["mean_test_score"])
    assert states == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002


_LOAD = """
import joblib, json, sys
import numpy as np
found = []
for path in sys.argv[2:]:
    search = joblib.load(path)
    rows = np.load(sys.argv[1])
    found.append([
        search.predict(rows).tobytes().hex(), search.best_params_, int(search.best_index_), search.best_score_,
        search.cv_results_["mean_test_score"].tolist(), search.n_splits_, len(search._repr_html_()) > 0,
    ])
import ray
assert not ray.is_initialized()
print(json.dumps(found))
"""


@pytest.mark.tune_sklearn
def test_saved_searches_load_and_predict_the_same_in_a_fresh_process(searches: list[Any], tmp_path: Path) -> None:
    rows = make_rows(20)[0]
    np.save(tmp_path / "rows.npy", rows)
    paths = [tmp_path / f"{type(search).__name__}.joblib" for search in searches]
    for search, path in zip(searches, paths, strict=True):
        joblib.dump(search, path)
    loaded = json.loads(run_python(_LOAD, *map(str, [tmp_path / "rows.npy", *paths]), home=tmp_path).stdout)
    for search, found in zip(searches, loaded, strict=True):
        assert found == [
            search.predict(rows).tobytes().hex(),
            search.best_params_,
            int(search.best_index_),
            search.best_score_,
            search.cv_results_["mean_test_score"].tolist(),
            4,
            True,
        ]


@pytest.mark.tune_sklearn
def test_early_stopping_is_refused_by_name_where_it_cannot_work(adapter: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"KNeighborsRegressor has neither partial_fit .* early_stopping=False"):
        adapter.TuneSearchCV(KNeighborsRegressor(), GRID, early_stopping=True)


@pytest.mark.tune_sklearn
@pytest.mark.usefixtures("adapter")
def test_the_names_that_ray_has_dropped_are_not_left_on_it() -> None:
    loggers = importlib.import_module("ray.tune.logger")
    assert not hasattr(loggers, "Logger")
    assert not hasattr(loggers, "LegacyLoggerCallback")
    assert "ray.tune.search.skopt" not in sys.modules


@pytest.mark.tune_sklearn
def test_a_searcher_that_ray_has_dropped_is_refused(adapter: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"'bayesian' needs a searcher that Ray 2\.11 removed\. Use "):
        adapter.TuneSearchCV(KNeighborsRegressor(), GRID, search_optimization="bayesian")


@pytest.mark.tune_sklearn
@pytest.mark.usefixtures("running_ray")
def test_early_stopping_scores_each_step_where_it_can_work(adapter: ModuleType, tmp_path: Path) -> None:
    X, y = make_rows(300)
    search = adapter.TuneGridSearchCV(
        SGDRegressor(random_state=0),
        {"alpha": [1e-4]},
        cv=4,
        early_stopping="MedianStoppingRule",  # stops nothing within its first minute
        max_iters=3,
        local_dir=str(tmp_path),
    ).fit(X, y)
    for fold, (train, test) in enumerate(KFold(4).split(X)):
        model = SGDRegressor(random_state=0, alpha=1e-4)
        for _ in range(3):
            model.partial_fit(X[train], y[train])
        found = search.cv_results_[f"split{fold}_test_score"][0]
        assert found == pytest.approx(model.score(X[test], y[test]), abs=1e-12)
    assert search.local_dir == str(tmp_path)
    assert list(tmp_path.rglob("result.json"))


@pytest.mark.tune_sklearn
@pytest.mark.usefixtures("running_ray")
def test_a_gpu_that_ray_has_is_reserved_and_said_to_be_no_more_than_that(adapter: ModuleType) -> None:
    X, y = make_rows(300)
    search = adapter.TuneGridSearchCV(KNeighborsRegressor(), {"n_neighbors": [7]}, cv=4, use_gpu=True)
    with pytest.warns(UserWarning, match="only reserves a GPU for each trial.*computes on the CPU"):
        search.fit(X, y)
    expected = GridSearchCV(KNeighborsRegressor(), {"n_neighbors": [7]}, cv=4).fit(X, y)
    assert search.best_score_ == pytest.approx(expected.best_score_, abs=1e-12)


_ALONE = """
import json, os
import numpy as np
from sklearn.neighbors import KNeighborsRegressor
from energyknn.tuning.tune_sklearn import TuneGridSearchCV, TuneSearchCV
import ray
X = np.random.default_rng(0).normal(size=(60, 3))
before = dict(os.environ)
messages = []
for search in (TuneGridSearchCV, TuneSearchCV):
    try:
        search(KNeighborsRegressor(), {"n_neighbors": [1, 3]}, use_gpu=True).fit(X, X[:, 0])
    except ValueError as error:
        messages.append(str(error))
started = ray.is_initialized()
TuneGridSearchCV(KNeighborsRegressor(), {"n_neighbors": [3]}, cv=2).fit(X, X[:, 0])
print(json.dumps([messages, started, ray.is_initialized(), before == dict(os.environ)]))
"""


@pytest.mark.tune_sklearn
def test_alone_it_refuses_without_a_start_then_starts_quietly_and_leaves_nothing(tmp_path: Path) -> None:
    done = run_python(_ALONE, home=tmp_path)
    messages, started, running, same_environment = json.loads(done.stdout)
    assert len(messages) == 2
    assert all("Ray sees 0 GPUs" in message for message in messages)
    assert not started
    assert not running
    assert same_environment
    assert not (tmp_path / "ray_results").exists()
    assert "Wrote the latest version" not in done.stderr
