"""Ray Tune over the number of neighbours: one trial for each candidate, the rows sent once.

This module loads Ray only when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils import check_X_y

from energyknn._shared.ray_session import ray_session, results_folder
from energyknn.errors import import_extra
from energyknn.splitting import Split
from energyknn.tuning.scores import SearchScores, check_candidates

__all__ = ["Progress", "make_run_config", "search_ray_tune"]

Progress = Callable[[int, int], None]
"""Called with the number of candidates that are done and the number of all."""


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
    check_candidates(candidates, folds)
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
            run_config=make_run_config(tune, folder, progress, len(candidates)),
        )
        return _collect(tuner.fit(), candidates)


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


def make_run_config(tune: ModuleType, folder: str, progress: Progress | None, n_candidates: int) -> Any:
    """Make a quiet run of Tune that ends with the first failure.

    Parameters
    ----------
    tune : module
        ``ray.tune``.
    folder : str
        Where Tune writes.
    progress : callable or None
        Called as ``progress(n_done, n_candidates)``.
    n_candidates : int
        Number of trials.

    Returns
    -------
    ray.tune.RunConfig
        For a Tuner.
    """
    return tune.RunConfig(
        name="search",
        storage_path=folder,
        verbose=0,
        callbacks=[_make_log(tune), _make_callback(tune, progress, n_candidates)],
        failure_config=tune.FailureConfig(fail_fast=True),
    )


def _make_log(tune: ModuleType) -> Any:
    """Make the log without which Tune warns of every trial; it closes the files of trials that were stopped too."""

    class Log(tune.logger.JsonLoggerCallback):  # type: ignore[name-defined]
        """Write results as JSON."""

        def on_experiment_end(self, trials: list[Any], **_: Any) -> None:
            for trial in trials:
                self.log_trial_end(trial)

    return Log()


def _make_callback(tune: ModuleType, progress: Progress | None, n_candidates: int) -> Any:
    """Make the Ray callback that tells `progress` of every finished trial."""

    class Report(tune.Callback):  # type: ignore[name-defined]
        """Count finished trials."""

        n_done = 0

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            self.n_done += 1
            if progress:
                progress(self.n_done, n_candidates)

    return Report()
