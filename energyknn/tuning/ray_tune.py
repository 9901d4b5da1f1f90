"""Ray Tune over the number of neighbours: one trial for each candidate. The rows are sent once.

Importing this module does not load Ray.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils import check_X_y

from energyknn._shared.ray_session import open_ray
from energyknn.errors import import_extra
from energyknn.splitting import Split
from energyknn.tuning.candidates import Candidate, check_sizes
from energyknn.tuning.scores import ScoreTable


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
    progress: Callable[[int, int], None] | None = None,
) -> ScoreTable:
    """Score every candidate once on every fold with `ray.tune.Tuner`.

    The trials run on the Ray that this process is connected to, else on the cluster that RAY_ADDRESS names. Without
    either, a local Ray is started and shut down again. Only Ray's own logs stay on disk, in its temporary folder.

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
    ScoreTable
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
    check_sizes(candidates, folds)
    X, y = check_X_y(X, y, dtype=np.float64, y_numeric=True)
    data = {"X": X, "y": y, "folds": [tuple(fold) for fold in folds], "weights": weights}
    with open_tune(num_cpus=num_cpus, use_gpu=use_gpu) as folder:
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
                callbacks=[_make_callback(tune, progress, len(candidates))],
                failure_config=tune.FailureConfig(fail_fast=True),
            ),
        )
        return _collect(tuner.fit(), [Candidate(k, weights) for k in candidates])


@contextmanager
def open_tune(
    *, num_cpus: int | None = None, use_gpu: bool = False, chosen: str | None = None, extra: str = "ray"
) -> Iterator[str]:
    """Connect to a Ray as `open_ray` does, and give Tune a folder: the chosen one, or a temporary one.

    Warns
    -----
    UserWarning
        If `use_gpu`: Ray only reserves the GPU.
    """
    with open_ray(num_cpus=num_cpus, n_gpus=int(use_gpu), extra=extra):
        if use_gpu:
            message = "use_gpu=True only reserves a GPU for each trial; scikit-learn computes on the CPU all the same."
            warnings.warn(message, UserWarning, stacklevel=2)
        if chosen is not None:
            yield os.path.abspath(os.path.expanduser(chosen))  # noqa: PTH100, PTH111 - Ray wants a string
            return
        with tempfile.TemporaryDirectory(prefix="energyknn-ray-", ignore_cleanup_errors=True) as folder:
            yield folder


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


def _collect(results: Any, candidates: Sequence[Candidate]) -> ScoreTable:
    """Put the trials' scores into the order of the candidates."""
    if results.errors:
        message = f"{results.num_errors} of {len(candidates)} trials failed. The first one's own error is the cause."
        raise RuntimeError(message) from results.errors[0]
    by_candidate = {result.metrics["n_neighbors"]: result.metrics["fold_scores"] for result in results}
    return ScoreTable(candidates, np.array([by_candidate[candidate.n_neighbors] for candidate in candidates]))


def _make_callback(tune: ModuleType, progress: Callable[[int, int], None] | None, n_candidates: int) -> Any:
    """Make the log without which Tune warns of every trial; it also tells `progress` of every finished trial."""

    class Log(tune.logger.JsonLoggerCallback):  # type: ignore[name-defined]
        """Write results as JSON, and count finished trials."""

        n_done = 0

        def on_trial_complete(self, *arguments: Any, **options: Any) -> None:
            super().on_trial_complete(*arguments, **options)
            self.n_done += 1
            if progress:
                progress(self.n_done, n_candidates)

        def on_experiment_end(self, trials: list[Any], **_: Any) -> None:
            for trial in trials:  # closes the files of stopped trials as well
                self.log_trial_end(trial)

    return Log()
