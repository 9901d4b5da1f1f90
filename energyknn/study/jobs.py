"""The jobs: a data file to a folder with the study's figures and report, and to a table of candidates."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from rich.console import Group
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from energyknn._shared.saving import save_and_reload, staged_folder
from energyknn.encoding import MISMATCH_COST
from energyknn.estimators.transformers import ColumnWeights
from energyknn.loading import count_nulls, hash_file, load_table, sample_path
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study.comparison import (
    ModelScore,
    compare_models,
    estimate_nested,
    find_missing_libraries,
    label_bins,
    label_decades,
    list_models,
    measure_columns,
    measure_effects,
    measure_intervals_by_decade,
    measure_learning_curve,
    tabulate_errors,
)
from energyknn.study.comparison.models import LEARNED, NOTEBOOK, ONE_MAP, TUNED_TREES
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import (
    COARSE_N_NEIGHBORS,
    Prepared,
    Protocol,
    check_size,
    micro_candidates,
    prepare,
    run_study,
)
from energyknn.study.reporting import (
    StudyArrays,
    build_table,
    compare_with_notebook,
    render_report,
    tabulate_candidates,
    tabulate_models,
)
from energyknn.study.reporting.results import (
    describe_analyses,
    describe_environment,
    describe_models,
    describe_notebook,
    describe_reliability,
    describe_study,
)
from energyknn.study.synthesis import are_synthetic
from energyknn.study.tools import Tool, choose_search
from energyknn.tuning import Candidate, CandidateScores, compare_candidates, score_candidates

__all__ = ["SCALERS", "Outcome", "Tuning", "reproduce", "tune"]


@dataclass(frozen=True)
class Outcome:
    """What `reproduce` found: the mapping of `results.json`, the printed table, the files written."""

    results: dict[str, Any]
    table: Any
    written: tuple[str, ...]


def reproduce(
    data: str | Path | None,
    out_dir: str | Path,
    *,
    schema: Schema = SPOTIFY,
    scaling: Literal["all_rows", "train_only"] = "all_rows",
    reference_year: int = 2021,
    latest_year: int | None = None,
    tool: Tool = "one-search",
    use_gpu: bool = False,
    honest: bool = True,
    beyond: bool = False,
    report: bool = True,
    track: Track[Any] = track_silently,
    callbacks: Sequence[Any] = (),
) -> Outcome:
    """Run the study on a file and write what it found.

    Parameters
    ----------
    data : str, Path or None
        A data file; None for the committed sample.
    out_dir : str or Path
        The folder for `results.json`, `report.html`, `pictures/` and `model/`. It is written only when all is done.
    schema : Schema, default=SPOTIFY
        What the file's columns are.
    scaling, reference_year
        As in `Protocol`.
    latest_year : int or None, default=None
        The last calendar year that the file may hold.
    tool, use_gpu
        As in `choose_search`.
    honest : bool, default=True
        Whether to run the study once more with the scale fitted on training rows and songs kept on one side.
    beyond : bool, default=False
        Whether to compare lines, trees and learned distances too, on the same rows, and to measure what the figures
        are worth.
    report : bool, default=True
        Whether to write the report, which needs the extra `report`.
    track, callbacks
        Show progress.

    Returns
    -------
    Outcome
        The results, the table of notebook beside this run, and the names of the files.

    Raises
    ------
    DataFileError
        If the file cannot be used.
    OSError
        If the folder cannot be written; then it is as it was.
    ImportError
        If an extra is missing.
    """
    started = time.perf_counter()
    path = sample_path() if data is None else Path(data)
    table = load_table(path, schema, latest_year=latest_year)
    check_size(len(table))
    loaded = time.perf_counter() - started
    protocol = Protocol(scaling=scaling, reference_year=reference_year)
    with staged_folder(out_dir) as staged:
        search = choose_search(
            tool,
            keep=lambda stage, search: save_and_reload(search, staged / "model" / f"{stage}_search.joblib"),
            callbacks=callbacks,
            track=track,
            random_state=protocol.random_state,
            use_gpu=use_gpu,
        )
        study = run_study(table, protocol, search, schema=schema, track=track)
        second = None
        if honest:
            second = run_study(
                table,
                replace(protocol, scaling="train_only", groups="songs"),
                choose_search("one-search" if tool == "one-search" else "grid", callbacks=callbacks, track=track),
                schema=schema,
                track=track,
            )
        described = describe_study(study, second, tool=tool)
        if beyond:
            described |= _go_beyond(table, protocol, study.tuned.n_neighbors, schema=schema, track=track)
        described["seconds"] = {
            "load": loaded,
            **described["seconds"],
            "total": time.perf_counter() - started,
        }
        source = {
            "path": str(path) if data is not None else path.name,
            "rows": len(table),
            "nulls": int(count_nulls(table).sum()),
            "sha256": hash_file(path),
            "synthetic": are_synthetic(table),
        }
        results = {
            "data": source,
            **described,
            "notebook": describe_notebook(),
            "environment": describe_environment("energyknn" if tool == "one-search" else "scikit-learn brute"),
        }
        _write(staged / "results.json", json.dumps(results, indent=1, allow_nan=False).encode())
        if report:
            arrays = StudyArrays(study.y_train, study.y_test, study.tuned.predicted_test)
            for name, content in render_report(results, arrays).items():
                _write(staged / name, content)
        written = tuple(sorted(str(file.relative_to(staged)) for file in staged.rglob("*") if file.is_file()))
    tables = [build_table(compare_with_notebook(results))]
    if beyond:
        tables.append(tabulate_models(results["beyond"], results["beyond_analyses"]["missing"]))
    return Outcome(results, Group(*tables), written)


_CURVES = (NOTEBOOK, ONE_MAP, "boosted trees")  # none that tunes or averages: hours
_SHOWN = (NOTEBOOK, TUNED_TREES, LEARNED)  # by decade and by target


def _go_beyond(
    table: pd.DataFrame, protocol: Protocol, n_neighbors: int, *, schema: Schema, track: Track[Any]
) -> dict[str, Any]:
    """Compare models on the study's rows and say what the figures are worth, as parts of `results.json`."""
    started = time.perf_counter()
    data = prepare(table, protocol, schema=schema)
    models = list_models(data.X_train.columns.tolist(), n_neighbors=n_neighbors, schema=schema)
    scores = compare_models(data, models, track=track)
    smallest = min(len(fold.train) for fold in data.folds) * (protocol.n_splits - 1) // protocol.n_splits
    candidates = micro_candidates(1, smallest, n=max(COARSE_N_NEIGHBORS) + 5)
    described = describe_analyses(
        missing=find_missing_libraries(),
        errors=_tabulate_errors(table, data, scores, schema),
        learning_curve={name: measure_learning_curve(data, models[name], track=track) for name in _CURVES},
        effects=(NOTEBOOK, measure_effects(table, protocol, models[NOTEBOOK], schema=schema, track=track)),
        nested=estimate_nested(data, candidates, track=track),
    )
    described |= describe_reliability(
        measure_intervals_by_decade(table, data, models[LEARNED], schema=schema),
        measure_columns(data, models[ONE_MAP], schema=schema),
    )
    described["seconds"] = time.perf_counter() - started
    return {"beyond": describe_models(scores), "beyond_analyses": described}


def _tabulate_errors(
    table: pd.DataFrame, data: Prepared, scores: Mapping[str, ModelScore], schema: Schema
) -> dict[str, dict[str, Any]]:
    """Tabulate the errors of three models by decade, where there are years, and by target."""
    groups = {"target": label_bins(data.y_test)}
    if schema.years:
        groups["decade"] = label_decades(table[schema.years[0]].to_numpy()[data.X_test.index])
    tables = {
        what: {name: tabulate_errors(data.y_test, scores[name].predicted_test, labels) for name in _SHOWN}
        for what, labels in groups.items()
    }
    return {what: table for what, table in tables.items() if all(table.values())}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


SCALERS: Mapping[str, Any] = {
    "as it is": None,
    "standard": StandardScaler,
    "robust": RobustScaler,
    "minmax": MinMaxScaler,
}
"""What `tune` can scale the numbers with, fold by fold."""


@dataclass(frozen=True)
class Tuning:
    """What `tune` found: a mapping for JSON, a table to print, and what to make of it in a few lines."""

    results: dict[str, Any]
    table: Any
    summary: str


def tune(
    data: str | Path,
    protocol: Protocol,
    *,
    n_neighbors: Sequence[int],
    weights: Sequence[str] = ("uniform",),
    p: Sequence[int] = (2,),
    mismatch_cost: Sequence[float] = (MISMATCH_COST,),
    scaler: Sequence[str] = ("as it is",),
    without: Sequence[Sequence[str]] = ((),),
    scoring: str = "r2",
    schema: Schema = SPOTIFY,
    latest_year: int | None = None,
    track: Track[Any] = track_silently,
    score: Callable[..., CandidateScores] = score_candidates,
) -> Tuning:
    """Score every candidate on the training rows of a file, with one search for each fold and distance.

    Parameters
    ----------
    data : str or Path
        A data file.
    protocol : Protocol
        Which rows, which scale, how many folds.
    n_neighbors, weights : sequence
        k and weights. Every combination of these and the following is a candidate; k and weights share a search.
    p : sequence of {1, 2}, default=(2,)
        Manhattan or Euclidean distance.
    mismatch_cost : sequence of float, default=(8,)
        What a differing category costs, as in `encode_features`.
    scaler : sequence of str, default=("as it is",)
        What scales the numbers once more, from the training rows of each fold: a key of `SCALERS`.
    without : sequence of sequences of str, default=((),)
        Columns that are left out, each choice a candidate.
    scoring : str, default="r2"
        A scikit-learn scorer's name.
    schema, latest_year, track
        As in `reproduce`.
    score : callable, default=score_candidates
        What scores candidates, with the arguments of `score_candidates`, here or on other machines.

    Returns
    -------
    Tuning
        Scores by candidate, the best, and the smoothest within one standard error.

    Raises
    ------
    DataFileError
        If the file cannot be used.
    ValueError
        If a candidate or the scoring cannot be used.
    """
    table = load_table(data, schema, latest_year=latest_year)
    prepared = prepare(table, protocol, schema=schema, n_neighbors=max(n_neighbors))
    distances = [
        (
            {"mismatch_cost": cost, "scaler": name, "without": ",".join(left_out)},
            _choose_columns(schema, prepared, cost, name, left_out),
        )
        for cost, name, left_out in product(mismatch_cost, scaler, without)
    ]
    candidates = [
        Candidate(k, name, exponent, transformer, label)
        for label, transformer in distances
        for exponent in p
        for name in weights
        for k in n_neighbors
    ]
    scored = score(
        *(prepared.X_train, prepared.y_train),
        candidates=candidates,
        folds=prepared.folds,
        scoring={scoring: scoring},
        track=track,
    )
    scores = scored.test[scoring]
    rows = [
        {
            "n_neighbors": candidate.n_neighbors,
            "weights": candidate.weights,
            "p": candidate.p,
            **candidate.label,
            "mean_test_score": float(mean),
            "std_test_score": float(std),
        }
        for candidate, mean, std in zip(scores.candidates, scores.mean, scores.std, strict=True)
    ]
    best, smoothest = scores.best, scores.smoothest
    compared = compare_candidates(scores[best], scores[smoothest], test_share=1 / (protocol.n_splits - 1))
    results = {
        "scoring": scoring,
        "folds": protocol.n_splits,
        "searches": len(distances) * len(p) * protocol.n_splits,
        "rows": len(prepared.y_train),
        "candidates": rows,
        "best": rows[best],
        "smoothest_within_one_standard_error": rows[smoothest],
        "best_minus_smoothest": compared._asdict(),
    }
    varied = [name for name in ("p", "mismatch_cost", "scaler", "without") if len({row[name] for row in rows}) > 1]

    def describe(row: Mapping[str, Any]) -> str:
        others = [f"{name.replace('_', ' ')} {row[name] or 'nothing'}" for name in varied]
        return ", ".join([f"k = {row['n_neighbors']}", row["weights"], *others])

    summary = (
        f"Best: {describe(rows[best])}. Smoothest within one standard error: {describe(rows[smoothest])} (best less "
        f"smoothest {compared.difference:+.5f}, p = {compared.p_value:.2g}, paired over {protocol.n_splits} folds)."
    )
    return Tuning(results, tabulate_candidates(rows, scoring, varied), summary)


def _choose_columns(
    schema: Schema, prepared: Prepared, mismatch_cost: float, scaler: str, without: Sequence[str]
) -> Any:
    """Make the transformer of one distance, or None where the columns stay as they are."""
    columns = list(prepared.X_train.columns)
    indicators = [name for name in columns if name not in schema.numbers]
    known = (*schema.numbers, *schema.categories)
    unknown = [name for name in without if name not in known]
    if unknown:
        message = f"{', '.join(map(repr, unknown))} is no column to leave out. The columns are {', '.join(known)}."
        raise ValueError(message)
    if scaler not in SCALERS:
        message = f"Scaler {scaler!r} is unknown. Known are {', '.join(SCALERS)}."
        raise ValueError(message)
    if not (np.isfinite(mismatch_cost) and mismatch_cost >= 0):
        message = f"mismatch_cost is {mismatch_cost!r}. It must be a finite number of at least 0; the notebook's is 8."
        raise ValueError(message)
    weights = dict.fromkeys(indicators, float(np.sqrt(mismatch_cost / MISMATCH_COST)))
    weights |= {
        name: 0.0
        for name in columns
        for left in without
        if name == left or _is_indicator(name, left, schema.categories)
    }
    if SCALERS[scaler] is None:
        return None if all(weight == 1 for weight in weights.values()) else ColumnWeights(weights)
    numbers = ColumnTransformer(
        [("numbers", SCALERS[scaler](), list(schema.numbers))], remainder="passthrough", verbose_feature_names_out=False
    )
    return make_pipeline(numbers.set_output(transform="pandas"), ColumnWeights(weights))


def _is_indicator(column: str, category: str, categories: Sequence[str]) -> bool:
    return category in categories and column.startswith(f"{category}_")
