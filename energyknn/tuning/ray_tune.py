"""Ray Tune over the number of neighbours: one trial for each candidate, the rows sent once.

This module loads Ray only when it is used. `ray_session` and its rule for GPUs also serve the tune-sklearn adapter.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils import check_X_y

from energyknn.errors import import_extra
from energyknn.splitting import Split
from energyknn.tuning.scores import SearchScores

__all__ = ["ray_session", "results_folder", "search_ray_tune"]

Progress = Callable[[int, int], None]
"""Called with the number of candidates that are done and the number of all."""

_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
_SET_BY_RAY = ("RAY_AUTH_MODE", "PYTHONBREAKPOINT")  # by `ray.init` of Ray 2.60, which leaves them set


def search_ray_tune(
    X: ArrayLike,
    y: ArrayLike,
    *,
    n_neighbors: Sequence[int],
    folds: Sequence[Split],
    weights: str = "uniform",
    num_cpus: int | None = None,
    use_gpu: bool = False,
    random_state: int | None = None,
    progress: Progress | None = None,
) -> SearchScores:
    """Score every candidate once on every fold with `ray.tune.Tuner`.

    Uses the Ray that is running, or the one that the variable RAY_ADDRESS names; otherwise it starts one on this
    machine and shuts it down again. Nothing stays on disk but Ray's own logs in its temporary folder.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows, finite.
    y : array-like of shape (n_rows,)
        Their targets.
    n_neighbors : sequence of int
        The candidates, each at least 1 and at most the rows of the smallest training side. Repeats are left out.
    folds : sequence of Split
        Row numbers of training and validation rows.
    weights : {"uniform", "distance"}, default="uniform"
        Weight of each neighbour.
    num_cpus : int or None, default=None
        Trials at a time, each on one core; None for one on every core that Ray has.
    use_gpu : bool, default=False
        Reserve a GPU for each trial. scikit-learn computes on the CPU all the same, and a warning says so.
    random_state : int or None, default=None
        Seed of Ray's generator of variants. A grid draws nothing, so scores and order do not depend on it.
    progress : callable or None, default=None
        Called as ``progress(n_done, n_candidates)`` after each candidate.

    Returns
    -------
    SearchScores
        In the order of `n_neighbors`. The scores are those of scikit-learn's GridSearchCV on the same folds.

    Raises
    ------
    ImportError
        If the extra "ray" is not installed.
    ValueError
        If there is no candidate or no fold, a candidate does not fit the folds, or a GPU is asked for and there is
        none.
    RuntimeError
        If a trial fails; the cause is the trial's own error.
    """
    candidates = tuple(dict.fromkeys(int(k) for k in n_neighbors))
    _check_candidates(candidates, folds)
    X, y = check_X_y(X, y, dtype=np.float64, y_numeric=True)
    data = {"X": X, "y": y, "folds": [tuple(fold) for fold in folds], "weights": weights}
    with ray_session(num_cpus=num_cpus, use_gpu=use_gpu), results_folder(None) as folder:
        tune = import_extra("ray.tune", extra="ray")
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(_score_candidate, **data), {"cpu": 1, "gpu": int(use_gpu)}),
            param_space={"n_neighbors": tune.grid_search(list(candidates))},
            tune_config=tune.TuneConfig(
                search_alg=tune.search.BasicVariantGenerator(max_concurrent=num_cpus or 0, random_state=random_state),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="search",
                storage_path=folder,
                verbose=0,
                callbacks=[tune.logger.JsonLoggerCallback(), _make_callback(tune, progress, len(candidates))],
                failure_config=tune.FailureConfig(fail_fast=True),
            ),
        )
        return _collect(tuner.fit(), candidates)


def _check_candidates(candidates: tuple[int, ...], folds: Sequence[Split]) -> None:
    """Check that every fold can serve every candidate."""
    if not candidates or not folds:
        message = f"{len(candidates)} candidates and {len(folds)} folds. A search needs at least one of each."
        raise ValueError(message)
    limit = min(len(train) for train, _ in folds)
    wrong = [k for k in candidates if not 1 <= k <= limit]
    if wrong:
        message = (
            f"n_neighbors holds {wrong[:5]} ({len(wrong)} in all). A candidate is at least 1 and at most {limit}, "
            "the rows of the smallest training side."
        )
        raise ValueError(message)


def _score_candidate(
    config: Mapping[str, Any],
    *,
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    folds: Sequence[tuple[NDArray[np.int64], NDArray[np.int64]]],
    weights: str,
) -> dict[str, Any]:
    """Score one candidate on every fold: the body of a trial."""
    model = KNeighborsRegressor(config["n_neighbors"], weights=weights)
    scores = [float(r2_score(y[test], model.fit(X[train], y[train]).predict(X[test]))) for train, test in folds]
    return {"n_neighbors": config["n_neighbors"], "fold_scores": scores}


def _collect(results: Any, candidates: tuple[int, ...]) -> SearchScores:
    """Put the trials' scores into the order of the candidates."""
    if results.errors:
        message = f"{results.num_errors} of {len(candidates)} trials failed. The first one's own error is the cause."
        raise RuntimeError(message) from results.errors[0]
    by_candidate = {result.metrics["n_neighbors"]: result.metrics["fold_scores"] for result in results}
    return SearchScores(candidates, np.array([by_candidate[k] for k in candidates]))


def _make_callback(tune: ModuleType, progress: Progress | None, n_candidates: int) -> Any:
    """Make the Ray callback that tells `progress` of every finished trial."""

    class Report(tune.Callback):  # type: ignore[misc, name-defined]
        """Count finished trials."""

        n_done = 0

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            self.n_done += 1
            if progress:
                progress(self.n_done, n_candidates)

    return Report()


@contextmanager
def ray_session(*, num_cpus: int | None = None, use_gpu: bool = False, extra: str = "ray") -> Iterator[None]:
    """Have a quiet Ray for the length of a `with` block.

    Parameters
    ----------
    num_cpus : int or None, default=None
        Cores of a Ray that is started here; None for all.
    use_gpu : bool, default=False
        Whether a GPU must be there.
    extra : str, default="ray"
        The extra that an ImportError names.

    Yields
    ------
    None
        While Ray is running. A Ray that was running before is left running.

    Raises
    ------
    ImportError
        If Ray is not installed.
    ValueError
        If a GPU must be there and is not. Where no Ray is running, that is found before one is started.

    Warns
    -----
    UserWarning
        If `use_gpu`: the GPU is only reserved.

    Notes
    -----
    Ray's output, its usage statistics and its own loggers are switched off through environment variables, which
    are put back afterwards. A variable that is already set keeps its value.
    """
    ray = import_extra("ray", extra=extra)
    started = not ray.is_initialized()
    elsewhere = bool(os.environ.get("RAY_ADDRESS"))
    with ExitStack() as stack:
        stack.enter_context(_quiet_environment())
        stack.enter_context(_quiet_loggers())
        if use_gpu and started and not elsewhere:
            _check_gpu(_count_local_gpus())
        if started:
            stack.callback(ray.shutdown)
            _start(ray, num_cpus=num_cpus, elsewhere=elsewhere)
        if use_gpu:
            _check_gpu(ray.cluster_resources().get("GPU", 0))
            _warn_of_gpu()
        yield


def _start(ray: ModuleType, *, num_cpus: int | None, elsewhere: bool) -> None:
    """Connect to the cluster that RAY_ADDRESS names, or start a Ray of our own that never joins another."""
    if elsewhere:
        ray.init(log_to_driver=False, logging_level="error")
    else:
        ray.init(
            address="local",
            num_cpus=num_cpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )


@contextmanager
def _quiet_environment() -> Iterator[None]:
    """Switch off what Ray prints, reports and writes by itself, where the user has not decided."""
    before = {name: os.environ.get(name) for name in (*_QUIET, *_SET_BY_RAY)}
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = old


@contextmanager
def _quiet_loggers() -> Iterator[None]:
    """Keep Tune from telling of files that do not stay, and put back the levels that a start changes."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune")]
    levels = [logger.level for logger in loggers]
    loggers[1].setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def results_folder(chosen: str | None) -> Iterator[str]:
    """Give the chosen folder, or one that is removed afterwards.

    Parameters
    ----------
    chosen : str or None
        A folder of the user's, which stays; None for a temporary one.

    Yields
    ------
    str
        Its absolute path.
    """
    if chosen is not None:
        yield os.path.abspath(os.path.expanduser(chosen))  # noqa: PTH100, PTH111 - Ray wants a string
        return
    with tempfile.TemporaryDirectory(prefix="energyknn-ray-", ignore_cleanup_errors=True) as name:
        yield name


def _count_local_gpus() -> float:
    """Count the GPUs that a Ray started here would offer; infinity where this Ray cannot say so beforehand."""
    try:
        accelerators = import_extra("ray._private.accelerators", extra="ray")
        manager = accelerators.get_accelerator_manager_for_resource("GPU")
        visible = manager.get_current_process_visible_accelerator_ids()
        count = manager.get_current_node_num_accelerators()
    except (ImportError, AttributeError):  # Ray's own name for it: the check after the start still holds
        return np.inf
    return float(count if visible is None else min(count, len(visible)))


def _check_gpu(n_gpus: float) -> None:
    """Refuse a search whose trials would wait for a GPU without end."""
    if n_gpus < 1:
        message = (
            f"use_gpu=True, but Ray sees {n_gpus:g} GPUs. Every trial reserves one, so none would ever start. "
            "Set use_gpu=False: the computation runs on the CPU in any case."
        )
        raise ValueError(message)


def _warn_of_gpu() -> None:
    warnings.warn(
        "use_gpu=True only reserves a GPU for each trial; scikit-learn computes on the CPU all the same.",
        UserWarning,
        stacklevel=2,
    )
