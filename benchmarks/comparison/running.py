"""Running the comparison: tune once, fit and score each model on each split, keep each result at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from harness.machine import find_version
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import LinearRegression

from comparison.choosing import LEARNING, choose_defaults, find_best
from comparison.mlkr import compare_with_mlkr
from comparison.problems import PROBLEMS, fingerprint
from comparison.state import find_record, read_state, write_state
from energyknn import KNNRegressor, KNNSearchCV
from energyknn.estimators import make_learned_regressor
from energyknn.fitting import evaluate, fit_in_groups
from energyknn.study.comparison.bootstrap import estimate_rmse, estimate_rmse_difference
from energyknn.study.comparison.columns import measure_columns
from energyknn.study.comparison.coverage import measure_intervals_by_decade
from energyknn.study.comparison.diagnostics import (
    estimate_nested,
    label_bins,
    label_decades,
    measure_effects,
    measure_learning_curve,
    tabulate_errors,
)
from energyknn.study.comparison.trees import LIBRARIES, TunedTreesRegressor, find_missing_libraries, tune_trees
from energyknn.study.describing import describe_environment, describe_intervals, make_plain
from energyknn.study.protocol import Prepared, Protocol, prepare
from energyknn.study.songs import label_songs

OURS, NOTEBOOK, LINE = "energyknn", "notebook's neighbours", "ordinary least squares"
MODELS = (OURS, *LIBRARIES, NOTEBOOK, LINE)
N_NEIGHBORS = range(1, 57)
PACKAGES = ("lightgbm", "catboost")


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    problem: str
    seeds: tuple[int, ...]
    groups: str = "none"
    models: tuple[str, ...] = MODELS
    budget: float | None = 60.0  # seconds to tune the trees of a library
    n_rows: int | None = None  # a random part of the file, to try things out
    learning: Mapping[str, Any] = field(default_factory=dict)  # options of make_learned_regressor
    tuning: Mapping[str, Any] = field(default_factory=dict)  # options of tune_trees


Say = Callable[[str], None]


def read_table(plan: Plan, data: Path | None) -> pd.DataFrame:
    """Read the file of a plan."""
    table = PROBLEMS[plan.problem].read(data)
    if plan.n_rows is not None and plan.n_rows < len(table):
        rows = np.random.default_rng(0).permutation(len(table))[: plan.n_rows]
        table = table.iloc[rows].reset_index(drop=True)
    return table


def run_plan(plan: Plan, table: pd.DataFrame, path: Path, *, say: Say) -> dict[str, Any]:
    """Run what a state file does not hold yet, and return the state.

    Everything is fitted and chosen on training rows. The trees of a library are tuned once for each problem, on the
    training rows of the first split, and keep that choice on the others, as ours keeps its defaults.
    """
    state = read_state(path)
    mark = {"what": PROBLEMS[plan.problem].what, "target": PROBLEMS[plan.problem].target,
            "rows": len(table), "fingerprint": fingerprint(table)}  # fmt: skip
    if state["problems"].setdefault(plan.problem, mark) != mark:
        message = f"{path} holds results of another file for {plan.problem!r}. Name another one with --out."
        raise ValueError(message)
    missing = find_missing_libraries()
    state["missing"] = missing
    state["environment"] = describe_environment("energyknn")
    state["environment"]["packages"] |= {name: find_version(name) for name in PACKAGES}
    for seed in plan.seeds:
        _run_split(plan, table, path, state, seed, [name for name in plan.models if name not in missing], say)
    return state


def _run_split(
    plan: Plan, table: pd.DataFrame, path: Path, state: dict[str, Any], seed: int, names: list[str], say: Say
) -> None:
    """Fit and score what one split lacks, then the differences of the rest to ours."""
    split = {"problem": plan.problem, "groups": plan.groups, "seed": seed}
    wanted = [name for name in names if find_record(state["records"], **split, model=name) is None]
    compared = [name for name in names if name != OURS]
    lacking = [name for name in compared if find_record(state["differences"], **split, model=name) is None]
    if not wanted and not lacking:
        return
    schema = PROBLEMS[plan.problem].schema
    protocol = Protocol(scaling="train_only", groups=plan.groups, random_state=seed)
    data = prepare(table, protocol, schema=schema)
    songs = label_songs(table, schema)[data.X_test.index] if plan.groups == "songs" else None
    for name in wanted:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        model = _make_model(plan, state, name, data, schema)
        start = time.perf_counter()
        predicted = fit_in_groups(model, data.X_train, data.y_train, data.groups).predict(data.X_test)
        seconds = time.perf_counter() - start
        record = {
            **split, "model": name, "rmse": estimate_rmse(data.y_test, predicted, groups=songs)._asdict(),
            "r2": evaluate(data.y_test, predicted).r2, "seconds": seconds, "n_train": len(data.y_train),
            "n_test": len(data.y_test), "load_average": load,
        }  # fmt: skip
        if hasattr(model, "best_params_"):
            record["chosen"] = model.best_params_
        _keep_predictions(path, record, predicted)
        state["records"].append(record)
        _add_differences(path, state, split, compared, data.y_test, songs)
        say(f"{plan.problem}, {plan.groups}, split {seed}, {name}: RMSE {record['rmse']['value']:.5f}, {seconds:.0f} s")
    _add_differences(path, state, split, compared, data.y_test, songs)


def _add_differences(
    path: Path, state: dict[str, Any], split: Mapping[str, Any], names: list[str], y_test: np.ndarray, songs: Any
) -> None:
    """Add the differences to ours that the kept predictions of a split can tell, and keep them."""
    ours = _read_predictions(path, {**split, "model": OURS})
    for name in names:
        theirs = _read_predictions(path, {**split, "model": name})
        known = find_record(state["differences"], **split, model=name)
        if known is None and ours is not None and theirs is not None and len(ours) == len(theirs) == len(y_test):
            difference = estimate_rmse_difference(y_test, ours, theirs, groups=songs)
            state["differences"].append({**split, "model": name, "rmse": difference._asdict()})
    write_state(path, state)


def _make_model(plan: Plan, state: dict[str, Any], name: str, data: Prepared, schema: Any) -> Any:
    """Make a model, unfitted; trees with the choice that was made for the problem, or is made now."""
    columns = list(data.X_train)
    if name == OURS:
        numbers = [column for column in columns if column in schema.numbers]
        rest = [column for column in columns if column not in schema.numbers]
        return make_learned_regressor(numbers, rest, **plan.learning)
    if name == NOTEBOOK:
        return KNNSearchCV({"n_neighbors": N_NEIGHBORS}, cv=[tuple(fold) for fold in data.folds])
    if name == LINE:
        return LinearRegression()
    choices = state["choices"].setdefault(plan.problem, {})
    if name not in choices:
        start = time.perf_counter()
        options = {"n_trials": None, "time_budget": plan.budget, **plan.tuning}
        tuned = tune_trees(data.X_train, data.y_train, name, **options)
        choices[name] = {
            "setting": tuned.setting, "n_trees": tuned.n_trees, "seconds": time.perf_counter() - start,
            "budget": plan.budget, "trials": [trial._asdict() for trial in tuned.trials],
        }  # fmt: skip
    chosen = {part: choices[name][part] for part in ("setting", "n_trees")}
    return TunedTreesRegressor(name, chosen=chosen)


def _find_file(path: Path, key: Mapping[str, Any]) -> Path:
    """Return where predictions are kept: beside the state, outside of version control."""
    name = (
        "-".join(str(key[part]) for part in ("problem", "groups", "seed", "model")).replace("'", "").replace(" ", "_")
    )
    return path.parent / "predictions" / f"{path.stem}-{name}.npy"


def _keep_predictions(path: Path, key: Mapping[str, Any], predicted: np.ndarray) -> None:
    file = _find_file(path, key)
    file.parent.mkdir(parents=True, exist_ok=True)
    np.save(file, np.asarray(predicted, dtype=np.float64))


def _read_predictions(path: Path, key: Mapping[str, Any]) -> np.ndarray | None:
    file = _find_file(path, key)
    return np.load(file) if file.is_file() else None


def run_honesty(plan: Plan, table: pd.DataFrame, path: Path, *, say: Say) -> dict[str, Any]:
    """Measure what the figures of a problem's first split are worth, and keep it; return the state."""
    state = read_state(path)
    if plan.problem in state["honesty"]:
        return state
    schema, seed = PROBLEMS[plan.problem].schema, plan.seeds[0]
    protocol = Protocol(random_state=seed)
    data = prepare(table, protocol, schema=schema)
    nested = estimate_nested(data, N_NEIGHBORS)
    neighbors = KNNRegressor(nested.best)
    say(f"{plan.problem}: nested estimate done, k = {nested.best}")
    effects = measure_effects(table, protocol, neighbors, data=data, schema=schema)
    say(f"{plan.problem}: effects of the protocol done")
    numbers = [column for column in data.X_train if column in schema.numbers]
    rest = [column for column in data.X_train if column not in schema.numbers]
    models = {
        NOTEBOOK: neighbors,
        "boosted trees": HistGradientBoostingRegressor(random_state=seed),
        "one learned map": make_learned_regressor(numbers, rest, **{**plan.learning, "n_maps": 1}),
    }
    curves = {}
    for name, model in models.items():
        curves[name] = measure_learning_curve(data, model)
        say(f"{plan.problem}: learning curve of {name} done")
    described = make_plain(
        {
            "missing": find_missing_libraries(),
            "errors": _tabulate_errors(plan, table, path, seed),
            "learning_curve": curves,
            "effects": {"model": f"notebook's neighbours, k = {nested.best}", "effects": effects},
            "nested": nested,
        }
    )
    state = read_state(path)
    state["honesty"][plan.problem] = described
    write_state(path, state)
    return state


def run_reliability(plan: Plan, table: pd.DataFrame, path: Path, *, say: Say) -> dict[str, Any]:
    """Measure intervals and columns of ours on a problem's first split, and keep them; return the state."""
    state = read_state(path)
    if plan.problem in state["reliability"]:
        return state
    schema, seed = PROBLEMS[plan.problem].schema, plan.seeds[0]
    data = prepare(table, Protocol(scaling="train_only", random_state=seed), schema=schema)
    numbers = [column for column in data.X_train if column in schema.numbers]
    rest = [column for column in data.X_train if column not in schema.numbers]
    options = {**plan.learning, "random_state": seed}
    intervals = measure_intervals_by_decade(
        table, data, make_learned_regressor(numbers, rest, **options), schema=schema
    )
    say(f"{plan.problem}: intervals done, {intervals.coverage['coverage']['all']:.2%} of 90 % covered")
    columns = measure_columns(data, make_learned_regressor(numbers, rest, **{**options, "n_maps": 1}), schema=schema)
    say(f"{plan.problem}: weights and importance of columns done")
    state = read_state(path)
    state["reliability"][plan.problem] = describe_intervals(intervals) | make_plain(columns)
    write_state(path, state)
    return state


def run_choice(plan: Plan, table: pd.DataFrame, path: Path, *, say: Say) -> dict[str, Any]:
    """Try options of ours on rows that are test rows of no protocol's first split, and keep it; return the state."""
    state = read_state(path)
    known = state["defaults"].get(plan.problem, {"fits": []})["fits"]
    options = {"schema": PROBLEMS[plan.problem].schema, "random_state": plan.seeds[0]}
    for fit in choose_defaults(table, known, **options):
        known.append(fit)
        state["defaults"][plan.problem] = {"fits": known}
        write_state(path, state)
        least = min(fit["scores"], key=lambda score: score["rmse"])
        tried = ", ".join(f"{name} {fit[name]}" for name in LEARNING)
        say(f"{plan.problem}, {fit['groups']}, {tried}: {least}")
    say(f"least in the mean over {' and '.join(state['defaults'])}: {find_best(state['defaults'])}")
    return state


def run_mlkr(plan: Plan, table: pd.DataFrame, path: Path, *, n_rows: int = 2000) -> dict[str, Any]:
    """Compare the learned map with MLKR on training rows of a problem's first split, and keep it; return the state."""
    state = read_state(path)
    if plan.problem not in state["mlkr"]:
        protocol = Protocol(scaling="train_only", random_state=plan.seeds[0])
        data = prepare(table, protocol, schema=PROBLEMS[plan.problem].schema)
        state["mlkr"][plan.problem] = compare_with_mlkr(data, n_rows=n_rows)
        state["mlkr"][plan.problem]["version"] = find_version("metric-learn")
        write_state(path, state)
    return state


def _tabulate_errors(plan: Plan, table: pd.DataFrame, path: Path, seed: int) -> dict[str, Any]:
    """Tabulate errors by decade and by target, for the models whose predictions of the split are kept."""
    schema = PROBLEMS[plan.problem].schema
    data = prepare(table, Protocol(scaling="train_only", random_state=seed), schema=schema)
    labels = {"target": label_bins(data.y_test)}
    if schema.years:
        labels["decade"] = label_decades(table[schema.years[0]].to_numpy()[data.X_test.index])
    key = {"problem": plan.problem, "groups": "none", "seed": seed}
    kept = {name: _read_predictions(path, {**key, "model": name}) for name in MODELS}
    kept = {name: predicted for name, predicted in kept.items() if predicted is not None}
    tables = {
        what: {name: tabulate_errors(data.y_test, predicted, groups) for name, predicted in kept.items()}
        for what, groups in labels.items()
    }
    return {what: table for what, table in tables.items() if table and all(table.values())}
