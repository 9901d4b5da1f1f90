"""Choosing the defaults of ours by a rule, on rows that are test rows of no split with the first seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from scipy.stats import gmean
from sklearn.metrics import root_mean_squared_error
from sklearn.pipeline import Pipeline

from comparison.state import find_record
from energyknn.estimators import make_learned_regressor
from energyknn.fitting import fit_in_groups
from energyknn.schema import Schema
from energyknn.study.protocol import Prepared, Protocol, prepare

FILES = ("tracks", "diamonds")
LEARNING = {"n_units": (0, 128), "ridge": (0.3, 1.0, 3.0, 1000.0)}
PREDICTING = {"sharpness": (1.0, 1.4, 2.0, 2.8), "reach": (3.0, 4.5, 6.0, 1000.0)}
"""Values of `MetricMap` and `LocalLinearRegressor` that are tried; 1000 is as good as infinite."""

_MOST_SCORED = 10_000  # rows
PROTOCOLS = ("none", "songs")


def select_unused(table: pd.DataFrame, *, schema: Schema, random_state: int) -> NDArray[np.int64]:
    """Return the rows that are learned from under both protocols."""
    trained = [
        prepare(table, Protocol(scaling="train_only", groups=groups, random_state=random_state), schema=schema)
        for groups in PROTOCOLS
    ]
    return np.intersect1d(*(data.X_train.index for data in trained))


def choose_defaults(
    table: pd.DataFrame,
    known: Sequence[Mapping[str, Any]],
    *,
    schema: Schema,
    random_state: int,
    learning: Mapping[str, Sequence[Any]] = LEARNING,
    predicting: Mapping[str, Sequence[Any]] = PREDICTING,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    """Fit one map with each setting of learning that is not known yet, and score each setting of predicting.

    Rows that are test rows of neither protocol are split again, under each protocol. Fits come as they finish.
    """
    unused = table.iloc[select_unused(table, schema=schema, random_state=random_state)].reset_index(drop=True)
    data = {
        groups: prepare(unused, Protocol(scaling="train_only", groups=groups, random_state=random_state), schema=schema)
        for groups in PROTOCOLS
    }
    wanted = [
        (groups, setting)
        for groups, setting in itertools.product(PROTOCOLS, _list_settings(learning))
        if find_record(list(known), groups=groups, **setting) is None
    ]
    parallel = Parallel(n_jobs=min(cpu_count(), max(len(wanted), 1)), return_as="generator")
    yield from parallel(
        delayed(_score)(data[groups], groups, setting, _list_settings(predicting), schema, options)
        for groups, setting in wanted
    )


def _list_settings(values: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def _score(
    data: Prepared,
    groups: str,
    setting: dict[str, Any],
    predicting: Sequence[dict[str, Any]],
    schema: Schema,
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """Learn one map and predict with every setting of its local fit."""
    numbers = [column for column in data.X_train if column in schema.numbers]
    rest = [column for column in data.X_train if column not in schema.numbers]
    model = make_learned_regressor(numbers, rest, n_maps=1, **setting, **options)
    fitted: Pipeline = fit_in_groups(model, data.X_train, data.y_train, data.groups)
    mapped, local, y_test = fitted[:-1].transform(data.X_test[:_MOST_SCORED]), fitted[-1], data.y_test[:_MOST_SCORED]
    scores = [
        {**chosen, "rmse": root_mean_squared_error(y_test, local.set_params(**chosen).predict(mapped))}
        for chosen in predicting
    ]
    return {"groups": groups, **setting, "n_train": len(data.y_train), "n_test": len(y_test), "scores": scores}


def list_means(defaults: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the RMSE of every setting by file and protocol, and their geometric mean; the least mean first.

    So a file whose target has a larger unit counts for no more. Settings that lack a file or protocol are left out.
    """
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    tasks = set()
    for problem, known in defaults.items():
        for fit in known["fits"]:
            tasks.add((problem, fit["groups"]))
            for score in fit["scores"]:
                setting = {name: value for name, value in {**fit, **score}.items() if name not in _NO_SETTING}
                entry = found.setdefault(tuple(setting.values()), {**setting, "rmse": {}})
                entry["rmse"][problem, fit["groups"]] = score["rmse"]
    complete = [entry for entry in found.values() if entry["rmse"].keys() == tasks]
    for entry in complete:
        entry["mean"] = float(gmean(list(entry["rmse"].values())))
    return sorted(complete, key=lambda entry: entry["mean"])


_NO_SETTING = ("groups", "n_train", "n_test", "scores", "rmse")


def find_best(defaults: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the setting with the least mean."""
    return list_means(defaults)[0]
