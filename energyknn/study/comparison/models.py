"""Neighbours with a learned distance beside lines and trees, on the same rows and folds."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import make_pipeline

from energyknn.estimators import KNNRegressor, MetricMap, make_learned_regressor
from energyknn.fitting import Scores, evaluate, fit_in_groups
from energyknn.learning.planes import weigh_softly
from energyknn.neighbors_model import FEWEST_TO_LEARN
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study.comparison.bootstrap import Estimate, estimate_rmse
from energyknn.study.comparison.trees import LIBRARIES, TunedTreesRegressor, find_missing_libraries
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Prepared

NOTEBOOK, LEARNED, TUNED_TREES = "neighbours, equal weights", "neighbours, joined learned maps", "boosted trees, tuned"
COLUMN_WEIGHTS, ONE_MAP, BOOSTED_TREES = (
    "neighbours, one weight per column",
    "neighbours, one learned map",
    "boosted trees",
)
"""Names of models that others refer to."""

THAT_LEARN = (COLUMN_WEIGHTS, ONE_MAP, LEARNED)
"""Models that learn a distance."""

WITH_CURVES = (NOTEBOOK, ONE_MAP, BOOSTED_TREES)
"""Models that the learning curve shows. Those that tune or average would take hours."""


class ModelScore(NamedTuple):
    """The scores of a model.

    Attributes
    ----------
    cv_rmse : float
        Mean RMSE over the folds of the training rows, in the target's unit.
    test : Scores
        R² and RMSE of the test rows. No model was fitted to them or chosen by them.
    test_rmse : Estimate
        The same RMSE with its 95 % interval over samples of test rows.
    seconds : float
        Time to fit all training rows and predict the test rows.
    predicted_test : ndarray of shape (n_test,)
        Predictions of the test rows, in the target's unit.
    """

    cv_rmse: float
    test: Scores
    test_rmse: Estimate
    seconds: float
    predicted_test: NDArray[np.float64]


def list_models(
    columns: Sequence[str],
    *,
    n_neighbors: int,
    n_train: float = np.inf,
    schema: Schema = SPOTIFY,
    random_state: int = 42,
    learning: Mapping[str, Any] | None = None,
    tuning: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """List the models that are compared, unfitted.

    Parameters
    ----------
    columns : sequence of str
        Columns of the design matrix.
    n_neighbors : int
        The k of the study's tuned model.
    n_train : int, default=infinity
        Training rows of the smallest fit. With fewer than 200, the models that learn a distance are left out.
    schema : Schema, default=SPOTIFY
        The role of each column.
    random_state : int, default=42
        Seed of forests, trees and maps.
    learning : mapping or None, default=None
        Options of `make_learned_regressor` that replace its defaults.
    tuning : mapping or None, default=None
        Options of `TunedTreesRegressor` that replace its defaults and the 4 trials used here.

    Returns
    -------
    dict of str to estimator
        From the plainest model to tuned trees. Libraries that are not installed have no trees here;
        `find_missing_libraries` names them.
    """
    numbers = [name for name in columns if name in schema.numbers]
    indicators = [name for name in columns if name not in schema.numbers]
    options = {"random_state": random_state, **(learning or {})}
    of_map = {name: value for name, value in options.items() if name in MetricMap().get_params()}
    forest: dict[str, Any] = {"min_samples_leaf": 2, "max_features": 1 / 3, "random_state": random_state}
    of_trees = {"n_trials": 4, "random_state": random_state, **(tuning or {})}
    missing = find_missing_libraries()
    models: dict[str, Any] = {"mean": DummyRegressor()}
    if "loudness" in numbers:
        loudness = make_column_transformer(("passthrough", ["loudness"]))
        models["loudness alone"] = make_pipeline(loudness, LinearRegression())
    diagonal = MetricMap(**{**of_map, "form": "diagonal", "n_maps": 1, "ridge": np.inf})
    soft = KNNRegressor(of_map.get("n_neighbors", 100), weights=weigh_softly)
    models |= {
        "ordinary least squares": LinearRegression(),
        NOTEBOOK: KNNRegressor(n_neighbors),
        COLUMN_WEIGHTS: make_pipeline(diagonal, soft),
        ONE_MAP: make_learned_regressor(numbers, indicators, **{**options, "n_maps": 1}),
        LEARNED: make_learned_regressor(numbers, indicators, **options),
        "random forest": RandomForestRegressor(**forest, n_jobs=-1),
        BOOSTED_TREES: HistGradientBoostingRegressor(random_state=random_state),
        **{
            TUNED_TREES if name == "scikit-learn" else f"{name}, tuned": TunedTreesRegressor(name, **of_trees)
            for name in LIBRARIES
            if name not in missing
        },
    }
    learns = n_train >= FEWEST_TO_LEARN
    return {name: model for name, model in models.items() if learns or name not in THAT_LEARN}


def compare_models(
    data: Prepared, models: Mapping[str, Any], *, n_folds: int | None = None, track: Track[Any] = track_silently
) -> dict[str, ModelScore]:
    """Cross-validate each model on the training rows, then fit all of them and score the test rows, once.

    Parameters
    ----------
    data : Prepared
        Rows, targets and folds.
    models : mapping of str to estimator
        As of `list_models`; they are cloned.
    n_folds : int or None, default=None
        Folds to cross-validate on, from the first on. None takes all.
    track : Track, default=track_silently
        Shows progress by models.

    Returns
    -------
    dict of str to ModelScore
        In the order given.

    Notes
    -----
    Every model is fitted once for each fold and once for all training rows.
    """
    return {
        name: score_model(data, model, n_folds=n_folds) for name, model in track(list(models.items()), "Compare models")
    }


def score_model(
    data: Prepared, model: Any, *, n_folds: int | None = None, track: Track[Any] = track_silently
) -> ModelScore:
    """Score one model as `compare_models` does.

    Parameters
    ----------
    data : Prepared
        Rows, targets and folds.
    model : estimator
        It is cloned.
    n_folds : int or None, default=None
        Folds to cross-validate on, from the first on. None takes all.
    track : Track, default=track_silently
        Shows progress by fits.

    Returns
    -------
    ModelScore
        Its scores.
    """
    errors: list[float] = []
    for fold in track([*data.folds[:n_folds], None], "Fit each fold, then all rows"):
        if fold is not None:
            groups = None if data.groups is None else data.groups[fold.train]
            fitted = fit_in_groups(clone(model), data.X_train.iloc[fold.train], data.y_train[fold.train], groups)
            predicted = fitted.predict(data.X_train.iloc[fold.test])
            errors.append(root_mean_squared_error(data.y_train[fold.test], predicted))
            continue
        start = time.perf_counter()
        predicted = fit_in_groups(clone(model), data.X_train, data.y_train, data.groups).predict(data.X_test)
        seconds = time.perf_counter() - start
    interval = estimate_rmse(data.y_test, predicted)
    return ModelScore(float(np.mean(errors)), evaluate(data.y_test, predicted), interval, seconds, predicted)
