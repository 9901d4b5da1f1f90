"""Ray Tune: the rule for GPUs and a quiet Ray with a stand-in for it, and the scores on a real one."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from legacy.check_tune_sklearn_legacy import CANDIDATES, make_rows
from real_ray import start_ray

from energyknn._shared import ray_session as module
from energyknn._shared.ray_session import open_ray
from energyknn.splitting import fold_rows
from energyknn.tuning.grid import scores_from_cv_results, search_grid
from energyknn.tuning.ray_tune import _collect, _score_candidate, open_tune, search_ray_tune

X, y = make_rows(400)
FOLDS = fold_rows(len(X), n_splits=4)


def fake_ray(
    monkeypatch: pytest.MonkeyPatch, *, local: int = 0, cluster: float = 0, running: bool = False
) -> list[Any]:
    """Put a Ray without processes in place of the real one; return the list that its calls go into."""
    calls: list[Any] = []
    ray, accelerators = ModuleType("ray"), ModuleType("ray._private.accelerators")
    manager = SimpleNamespace(
        get_current_process_visible_accelerator_ids=lambda: None,
        get_current_node_num_accelerators=lambda: local,
    )
    members = {
        "is_initialized": lambda: running,
        "init": lambda **options: calls.append(options),
        "shutdown": lambda: calls.append("shutdown"),
        "nodes": lambda: [{"Alive": True, "Resources": {"CPU": 2.0} | ({"GPU": cluster} if cluster else {})}],
    }
    for name, member in members.items():
        setattr(ray, name, member)
    accelerators.get_accelerator_manager_for_resource = lambda _: manager  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setitem(sys.modules, "ray._private.accelerators", accelerators)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return calls


def test_missing_ray_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'energyknn\[ray\]'"):
        search_ray_tune(X, y, n_neighbors=[5], folds=FOLDS)


@pytest.mark.parametrize("running", [False, True])
def test_no_gpu_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch, running: bool) -> None:
    calls = fake_ray(monkeypatch, running=running)
    with pytest.raises(ValueError, match=r"use_gpu .* asks for 1 GPUs, but Ray sees 0 GPUs .* Set it to False"):
        search_ray_tune(X, y, n_neighbors=[5], folds=FOLDS, use_gpu=True)
    assert calls == []


def test_no_gpu_is_refused_after_the_start_where_ray_cannot_say_before(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_ray(monkeypatch)
    monkeypatch.delattr(sys.modules["ray._private.accelerators"], "get_accelerator_manager_for_resource")
    with pytest.raises(ValueError, match="Ray sees 0 GPUs"), open_tune(use_gpu=True):
        pass
    assert calls[1:] == ["shutdown"]


def test_a_gpu_is_said_to_be_only_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_ray(monkeypatch, local=1, cluster=1)
    with pytest.warns(UserWarning, match="only reserves a GPU.*computes on the CPU"), open_tune(use_gpu=True):
        assert len(calls) == 1
    assert calls[1:] == ["shutdown"]


def test_a_started_ray_is_local_quiet_and_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_ray(monkeypatch)
    with open_ray(num_cpus=2):
        pass
    options, *rest = calls
    assert options["address"] == "local"
    assert options["num_cpus"] == 2
    assert options["include_dashboard"] is options["log_to_driver"] is False
    assert rest == ["shutdown"]


def test_a_cluster_that_the_environment_names_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_ray(monkeypatch)
    monkeypatch.setattr(module, "check_address", lambda address: calls.append(f"checked {address}"))
    monkeypatch.setenv("RAY_ADDRESS", "somewhere:6379")
    with open_ray(num_cpus=2):
        pass
    checked, options, _ = calls
    assert checked == "checked somewhere:6379"
    assert options["address"] == "somewhere:6379"
    assert "num_cpus" not in options


def test_a_running_ray_is_left_running(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_ray(monkeypatch, running=True)
    with open_ray():
        pass
    assert calls == []


def test_settings_of_the_user_are_kept_and_ours_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_ray(monkeypatch)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    monkeypatch.delenv("RAY_AIR_NEW_OUTPUT", raising=False)
    before, level = dict(os.environ), logging.getLogger("ray.tune").level
    with open_ray():
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == "1"
        assert os.environ["RAY_AIR_NEW_OUTPUT"] == "0"
        logging.getLogger("ray").setLevel("ERROR")
    assert dict(os.environ) == before
    assert logging.getLogger("ray.tune").level == level
    assert logging.getLogger("ray").level != logging.ERROR


@pytest.mark.parametrize("is_chosen", [False, True])
def test_the_folder_stays_only_where_the_user_chose_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any, is_chosen: bool
) -> None:
    fake_ray(monkeypatch)
    with open_tune(chosen=str(tmp_path) if is_chosen else None) as name:
        assert Path(name).is_dir()
    assert Path(name).exists() == is_chosen
    assert (Path(name) == tmp_path) == is_chosen


@pytest.mark.parametrize(
    ("n_neighbors", "folds", "message"),
    [
        ([], FOLDS, "0 candidates and 4 folds"),
        ([5], [], "1 candidates and 0 folds"),
        ([0, 5, 301], FOLDS, "n_neighbors holds 0, 301. Each must be from 1 to 300"),
    ],
)
def test_candidates_that_fit_no_fold_are_refused(n_neighbors: list[int], folds: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search_ray_tune(X, y, n_neighbors=n_neighbors, folds=folds)


def test_a_trial_scores_each_fold_as_scikit_learn_does() -> None:
    scored = _score_candidate({"n_neighbors": 7}, X=X, y=y, folds=[tuple(fold) for fold in FOLDS], weights="uniform")
    expected = scores_from_cv_results(search_grid(X, y, n_neighbors=[7], folds=FOLDS).cv_results_)
    np.testing.assert_allclose(scored["fold_scores"], expected[0], rtol=0, atol=1e-12)


def test_a_failed_trial_ends_the_search_with_its_cause() -> None:
    cause = KeyError("trial")
    with pytest.raises(RuntimeError, match="1 of 2 trials failed") as caught:
        _collect(SimpleNamespace(errors=[cause], num_errors=1), (1, 2))
    assert caught.value.__cause__ is cause


@pytest.fixture(scope="module")
def running_ray() -> Iterator[Any]:
    """Start Ray as a user would."""
    with start_ray() as ray:
        yield ray


@pytest.mark.ray
@pytest.mark.parametrize("weights", ["uniform", "distance"])
def test_scores_equal_grid_search(running_ray: Any, weights: str) -> None:
    from sklearn.model_selection import GridSearchCV
    from sklearn.neighbors import KNeighborsRegressor

    told: list[tuple[int, int]] = []
    found = search_ray_tune(
        X,
        y,
        n_neighbors=[*CANDIDATES, 1],
        folds=FOLDS,
        weights=weights,
        num_cpus=2,
        random_state=0,
        progress=lambda *step: told.append(step),
    )
    grid = GridSearchCV(KNeighborsRegressor(weights=weights), {"n_neighbors": CANDIDATES}, cv=4).fit(X, y)
    expected = scores_from_cv_results(grid.cv_results_)
    assert found.n_neighbors == expected.n_neighbors
    assert found.best == expected.best
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert told == [(done, 6) for done in range(1, 7)]
    assert running_ray.is_initialized()


@pytest.mark.ray
def test_no_gpu_is_refused_on_a_running_ray(running_ray: Any) -> None:
    if running_ray.cluster_resources().get("GPU"):
        pytest.skip("this Ray has a GPU")
    with pytest.raises(ValueError, match="Ray sees 0 GPUs"):
        search_ray_tune(X, y, n_neighbors=[5], folds=FOLDS, use_gpu=True)


_ALONE = """
import json, os, sys
import numpy as np
from energyknn.splitting import fold_rows
from energyknn.tuning.ray_tune import search_ray_tune
assert "ray" not in sys.modules
X = np.random.default_rng(0).normal(size=(60, 3))
options = {"n_neighbors": [1, 3], "folds": fold_rows(60, n_splits=2)}
try:
    search_ray_tune(X, X[:, 0], use_gpu=True, **options)
except ValueError as error:
    message = str(error)
import ray
started = ray.is_initialized()
before = dict(os.environ)
search_ray_tune(X, X[:, 0], num_cpus=1, **options)
print(json.dumps([message, started, ray.is_initialized(), before == dict(os.environ)]))
"""


@pytest.mark.ray
def test_alone_it_refuses_without_a_start_then_starts_quietly_and_leaves_nothing(tmp_path: Any) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TUNE_"))}
    environment |= {"HOME": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", _ALONE], env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    message, started, running, same_environment = json.loads(done.stdout)
    assert "Ray sees 0 GPUs" in message
    assert not started
    assert not running
    assert same_environment
    assert not (tmp_path / "ray_results").exists()
    assert "Wrote the latest version" not in done.stderr
