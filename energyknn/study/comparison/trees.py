"""Tuned boosted trees of three libraries, which the learned distance is compared with.

Settings are tried at a fast learning rate and scored on rows that are kept out. The best setting is used again at a
slow rate. The kept-out rows choose the number of trees. Then so many trees are grown on all rows.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.model_selection import ParameterSampler
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn._shared.showing import in_one_line
from energyknn.errors import import_extra
from energyknn.progress import Track, track_silently
from energyknn.splitting import split_rows

FAST_RATE = 0.15
"""Learning rate of the trials."""

_PATIENCE = 50  # trees without a gain that end a trial at the fast rate; slower rates wait longer in proportion
_MOST_TRIALS = 1000

Rows = tuple[NDArray[np.float64], NDArray[np.float64]]


class Grown(NamedTuple):
    """Trees that have been grown.

    Attributes
    ----------
    predict : callable
        Takes rows and returns predictions.
    n_trees : int
        The number of trees with the least error on the kept-out rows; all trees where no rows were kept out.
    rmse : float or None
        Error of the kept-out rows with so many trees; None where no rows were kept out.
    """

    predict: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    n_trees: int
    rmse: float | None = None


class Library(NamedTuple):
    """A library of boosted trees.

    Attributes
    ----------
    module : str
        The module that is imported.
    first : mapping
        The first setting that is tried. It is known to be good.
    settings : mapping
        Lists, or distributions of `scipy.stats`, that the other settings are drawn from.
    grow : callable
        ``grow(setting, rows, kept_out, n_trees, patience, random_state)`` returns `Grown`; `kept_out` is None or
        the rows that choose how many trees are used.
    """

    module: str
    first: Mapping[str, Any]
    settings: Mapping[str, Any]
    grow: Callable[..., Grown]


class Trial(NamedTuple):
    """One setting that was tried.

    Attributes
    ----------
    setting : dict
        The library's own parameters.
    n_trees : int
        The number of trees with the least error on the kept-out rows.
    rmse : float
        Error of the kept-out rows, in the target's unit.
    seconds : float
        Time that the trial took.
    """

    setting: dict[str, Any]
    n_trees: int
    rmse: float
    seconds: float


@in_one_line
class TunedTrees(NamedTuple):
    """The choice of `tune_trees`.

    Attributes
    ----------
    setting : dict
        The library's own parameters, with the slow learning rate.
    n_trees : int
        The number of trees to grow on all rows.
    trials : tuple of Trial
        All trials. The last is that of the best setting at the slow rate.
    """

    setting: dict[str, Any]
    n_trees: int
    trials: tuple[Trial, ...]


def _grow_scikit_learn(
    setting: Mapping[str, Any], rows: Rows, kept_out: Rows | None, *, n_trees: int, patience: int, random_state: int
) -> Grown:
    stopping: dict[str, Any] = {"early_stopping": kept_out is not None, "n_iter_no_change": patience, "tol": 0}
    model = HistGradientBoostingRegressor(**setting, **stopping, max_iter=n_trees, random_state=random_state)
    if kept_out is None:
        return Grown(model.fit(*rows).predict, n_trees)
    model.fit(*rows, X_val=kept_out[0], y_val=kept_out[1])
    losses = -np.asarray(model.validation_score_)  # halves of mean squared errors, the first that of no tree
    best = 1 + int(np.argmin(losses[1:]))
    return Grown(model.predict, best, float(np.sqrt(2 * losses[best])))


def _grow_lightgbm(
    setting: Mapping[str, Any], rows: Rows, kept_out: Rows | None, *, n_trees: int, patience: int, random_state: int
) -> Grown:
    lightgbm = import_extra("lightgbm", extra="trees")
    options = {**setting, "objective": "regression", "metric": "rmse", "seed": random_state}
    options |= {"deterministic": True, "force_row_wise": True, "verbosity": -1}
    train = lightgbm.Dataset(*rows)
    if kept_out is None:
        return Grown(lightgbm.train(options, train, n_trees).predict, n_trees)
    stop = lightgbm.early_stopping(patience, verbose=False)
    trees = lightgbm.train(options, train, n_trees, valid_sets=[train.create_valid(*kept_out)], callbacks=[stop])
    return Grown(trees.predict, trees.best_iteration or n_trees, float(trees.best_score["valid_0"]["rmse"]))


def _grow_catboost(
    setting: Mapping[str, Any], rows: Rows, kept_out: Rows | None, *, n_trees: int, patience: int, random_state: int
) -> Grown:
    catboost = import_extra("catboost", extra="trees")
    stopping = {} if kept_out is None else {"od_type": "Iter", "od_wait": patience, "use_best_model": True}
    quiet = {"allow_writing_files": False, "logging_level": "Silent"}
    trees = catboost.CatBoostRegressor(**setting, **stopping, **quiet, iterations=n_trees, random_seed=random_state)
    trees.fit(*rows, eval_set=kept_out)
    rmse = None if kept_out is None else float(trees.best_score_["validation"]["RMSE"])
    return Grown(trees.predict, int(trees.tree_count_), rmse)


LIBRARIES: Mapping[str, Library] = {
    "scikit-learn": Library(
        "sklearn",
        {"max_leaf_nodes": 63, "min_samples_leaf": 20, "l2_regularization": 0.0, "max_features": 1.0},
        {
            "max_leaf_nodes": [31, 63, 127, 255],
            "min_samples_leaf": [5, 10, 20, 50, 100],
            "l2_regularization": loguniform(0.01, 30),
            "max_features": [0.3, 0.5, 0.7, 1.0],
        },
        _grow_scikit_learn,
    ),
    "LightGBM": Library(
        "lightgbm",
        {"num_leaves": 63, "min_data_in_leaf": 20, "lambda_l2": 0.0, "feature_fraction_bynode": 1.0},
        {
            "num_leaves": [31, 63, 127, 255],
            "min_data_in_leaf": [5, 10, 20, 50, 100],
            "lambda_l2": loguniform(0.01, 30),
            "feature_fraction_bynode": [0.3, 0.5, 0.7, 1.0],
            "bagging_fraction": [0.6, 0.8, 1.0],
            "bagging_freq": [1],
        },
        _grow_lightgbm,
    ),
    "CatBoost": Library(
        "catboost",
        {"depth": 8, "l2_leaf_reg": 3.0},
        {
            "depth": [6, 7, 8, 9, 10],
            "l2_leaf_reg": loguniform(0.5, 30),
            "random_strength": [0.0, 0.5, 1.0, 2.0],
            "bagging_temperature": [0.0, 0.5, 1.0],
        },
        _grow_catboost,
    ),
}
"""Libraries of boosted trees by the names that tables call them."""


def find_missing_libraries() -> dict[str, str]:
    """Find the libraries that are not installed.

    Returns
    -------
    dict of str to str
        How to install each of them. Empty where all are installed.
    """
    return {
        name: "pip install 'energyknn[trees]'"
        for name, library in LIBRARIES.items()
        if importlib.util.find_spec(library.module) is None
    }


def tune_trees(
    X: ArrayLike,
    y: ArrayLike,
    library: str,
    *,
    n_trials: int | None = 8,
    time_budget: float | None = None,
    learning_rate: float = 0.05,
    max_trees: int = 10_000,
    validation_fraction: float = 0.1,
    random_state: int = 0,
    track: Track[int] = track_silently,
) -> TunedTrees:
    """Choose the setting of a library's boosted trees, and how many trees to grow.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Training rows.
    y : array-like of shape (n_rows,)
        Their targets.
    library : {"scikit-learn", "LightGBM", "CatBoost"}
        The library that grows the trees.
    n_trials : int or None, default=8
        Number of settings to try: the known good one, then random ones. None tries as many as the budget allows.
    time_budget : float or None, default=None
        Seconds after which no further trial begins. The first trial always runs. With a budget, two runs can differ.
    learning_rate : float, default=0.05
        The slow learning rate, at which the best setting is used.
    max_trees : int, default=10000
        The largest number of trees.
    validation_fraction : float, default=0.1
        Share of the rows that are kept out. They score the settings and choose the number of trees.
    random_state : int, default=0
        Seed of the kept-out rows, of the settings and of the trees.
    track : Track, default=track_silently
        Shows progress by trials.

    Returns
    -------
    TunedTrees
        The choice and its trials.

    Raises
    ------
    ImportError
        If the library is not installed.
    ValueError
        If the library is unknown, or neither `n_trials` nor `time_budget` is given.
    """
    if library not in LIBRARIES:
        message = f"Library {library!r} is unknown. Known are {', '.join(LIBRARIES)}."
        raise ValueError(message)
    if n_trials is None and time_budget is None:
        message = "n_trials and time_budget are both None: tuning would never end. Give one of them."
        raise ValueError(message)
    matrix, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    split = split_rows(len(matrix), test_size=validation_fraction, random_state=random_state)
    rows, kept_out = (matrix[split.train], target[split.train]), (matrix[split.test], target[split.test])

    def try_setting(setting: Mapping[str, Any], rate: float) -> Trial:
        start = time.perf_counter()
        whole = {**setting, "learning_rate": rate}
        patience = round(_PATIENCE * max(1.0, FAST_RATE / rate))
        grown = LIBRARIES[library].grow(
            whole, rows, kept_out, n_trees=max_trees, patience=patience, random_state=random_state
        )
        return Trial(whole, grown.n_trees, float(grown.rmse or 0.0), time.perf_counter() - start)

    start = time.perf_counter()
    trials: list[Trial] = []
    settings = draw_settings(LIBRARIES[library].first, LIBRARIES[library].settings, random_state)
    for _ in track(range(_MOST_TRIALS if n_trials is None else n_trials), f"Tune the trees of {library}"):
        if trials and time_budget is not None and time.perf_counter() - start >= time_budget:
            break
        trials.append(try_setting(next(settings), FAST_RATE))
    best = min(trials, key=lambda trial: trial.rmse)
    slow = try_setting(best.setting, learning_rate)
    return TunedTrees(slow.setting, slow.n_trees, (*trials, slow))


def draw_settings(first: Mapping[str, Any], settings: Mapping[str, Any], random_state: int) -> Iterator[dict[str, Any]]:
    """Yield a good setting, then random ones as plain numbers: without end, or until each of a few was yielded.

    Parameters
    ----------
    first : mapping
        The setting that comes first.
    settings : mapping
        Lists, or distributions of `scipy.stats`, that the others are drawn from. Empty yields the first alone.
    random_state : int
        Seed of the others.

    Yields
    ------
    dict
        A setting.

    Examples
    --------
    >>> sorted(setting["depth"] for setting in draw_settings({"depth": 8}, {"depth": [6, 7]}, 0))
    [6, 7, 8]
    """
    yield dict(first)
    if not settings:
        return
    n_settings = _MOST_TRIALS
    if not any(hasattr(values, "rvs") for values in settings.values()):
        n_settings = min(n_settings, math.prod(map(len, settings.values())))
    for setting in ParameterSampler(dict(settings), n_settings, random_state=random_state):
        yield {name: getattr(value, "item", lambda value=value: value)() for name, value in sorted(setting.items())}


class TunedTreesRegressor(RegressorMixin, BaseEstimator):
    """Predict by boosted trees that `tune_trees` tunes on the rows they are fitted to.

    In cross-validation, the trees of each fold are tuned on its training rows, so the estimate is nested.

    Parameters
    ----------
    library : {"scikit-learn", "LightGBM", "CatBoost"}, default="scikit-learn"
        The library that grows the trees.
    n_trials : int or None, default=8
        Number of settings to try. None tries as many as the budget allows.
    time_budget : float or None, default=None
        Seconds after which no further trial begins.
    learning_rate : float, default=0.05
        The slow learning rate, at which the best setting is used.
    max_trees : int, default=10000
        The largest number of trees.
    random_state : int, default=0
        Seed of the kept-out rows, of the settings and of the trees.
    chosen : mapping or None, default=None
        An earlier `chosen_`, which is used instead of tuning.

    Attributes
    ----------
    chosen_ : dict
        `setting` and `n_trees` of the choice.
    trials_ : tuple of Trial
        All trials; empty where `chosen` was given.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where `X` was a data frame with names that are all text.
    """

    def __init__(
        self,
        library: str = "scikit-learn",
        *,
        n_trials: int | None = 8,
        time_budget: float | None = None,
        learning_rate: float = 0.05,
        max_trees: int = 10_000,
        random_state: int = 0,
        chosen: Mapping[str, Any] | None = None,
    ) -> None:
        self.library = library
        self.n_trials = n_trials
        self.time_budget = time_budget
        self.learning_rate = learning_rate
        self.max_trees = max_trees
        self.random_state = random_state
        self.chosen = chosen

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Tune the trees, then grow them on all rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers.
        y : array-like of shape (n_rows,)
            Targets.

        Returns
        -------
        TunedTreesRegressor
            The estimator itself.

        Raises
        ------
        ImportError
            If the library is not installed.
        ValueError
            If the library is unknown, or neither `n_trials` nor `time_budget` is given.
        """
        rows, target = validate_data(self, X, y, dtype=np.float64, order="C", y_numeric=True, ensure_min_samples=10)
        target = np.asarray(target, dtype=np.float64)
        self.trials_: tuple[Trial, ...] = ()
        self.chosen_ = dict(self.chosen or {})
        if self.chosen is None:
            options = {name: value for name, value in self.get_params().items() if name != "chosen"}
            setting, n_trees, self.trials_ = tune_trees(rows, target, **options)
            self.chosen_ = {"setting": setting, "n_trees": n_trees}
        setting, n_trees, seed = self.chosen_["setting"], self.chosen_["n_trees"], self.random_state
        grow = LIBRARIES[self.library].grow
        self.grown_ = grow(setting, (rows, target), None, n_trees=n_trees, patience=_PATIENCE, random_state=seed)
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features)
            Rows.

        Returns
        -------
        ndarray of shape (n_query,), float64
            Predictions, in the target's unit.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        return np.asarray(self.grown_.predict(rows), dtype=np.float64)
