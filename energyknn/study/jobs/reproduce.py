"""The whole study: a data file to a folder with its figures, its report and the fitted searches."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import joblib
import pandas as pd
from rich.console import Group

from energyknn._shared.saving import staged_folder
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study import describing
from energyknn.study.comparison import diagnostics, models
from energyknn.study.comparison.columns import measure_columns
from energyknn.study.comparison.coverage import measure_intervals_by_decade
from energyknn.study.comparison.models import LEARNED, NOTEBOOK, ONE_MAP, TUNED_TREES
from energyknn.study.comparison.trees import find_missing_libraries
from energyknn.study.dataset import Dataset, read_dataset
from energyknn.study.notebook import LARGEST_N_NEIGHBORS, REFERENCE_YEAR, SPOTIFY
from energyknn.study.protocol import Prepared, Protocol
from energyknn.study.reporting.page import render_report
from energyknn.study.reporting.pictures import StudyArrays
from energyknn.study.reporting.tables import build_table, compare_with_notebook, tabulate_models
from energyknn.study.results import Analyses, ComparedModel, Results
from energyknn.study.run import Study, list_candidates, run_study
from energyknn.study.synthesis import are_synthetic
from energyknn.study.tools import ToolName, choose_tool

_WITH_CURVES = (NOTEBOOK, ONE_MAP, "boosted trees")  # models that tune or average would take hours
_BY_GROUP = (NOTEBOOK, TUNED_TREES, LEARNED)


@dataclass(frozen=True)
class Outcome:
    """What `reproduce` found: the content of `results.json`, the tables to print, and the names of the files."""

    results: Results
    table: Any
    written: tuple[str, ...]


def reproduce(
    data: str | Path | Dataset | None,
    out_dir: str | Path,
    *,
    schema: Schema = SPOTIFY,
    scaling: Literal["all_rows", "train_only"] = "all_rows",
    reference_year: int = REFERENCE_YEAR,
    latest_year: int | None = None,
    tool: ToolName = "one-search",
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
    data : str, Path, Dataset or None
        A data file, or one that was read already. None takes the committed sample of synthetic tracks.
    out_dir : str or Path
        The folder for `results.json`, `report.html`, `pictures/`, and `model/` with scikit-learn's fitted searches. It
        is written only when everything is done.
    schema : Schema, default=SPOTIFY
        The role of each column of the file. A `Dataset` has its own.
    scaling : {"all_rows", "train_only"}, default="all_rows"
        Rows that the scale is learned from.
    reference_year : int, default=2021
        The year in which a track's age is 0.
    latest_year : int or None, default=None
        The last calendar year that the file may hold. None allows any.
    tool : {"one-search", "grid", "tune-sklearn", "ray"}, default="one-search"
        What scores the candidates: one neighbour search per fold, GridSearchCV, tune-sklearn and then GridSearchCV, or
        Ray Tune.
    use_gpu : bool, default=False
        Whether each trial of "ray" and "tune-sklearn" reserves a GPU.
    honest : bool, default=True
        Whether to run a second study without leaks: the scale is learned from the training rows, and all rows of a
        song are kept on one side.
    beyond : bool, default=False
        Whether to compare other models on the same rows: lines, trees, and neighbours by a learned distance.
    report : bool, default=True
        Whether to write the report, which needs the extra `report`.
    track : Track, default=track_silently
        Shows progress.
    callbacks : sequence of scikit-learn callbacks
        GridSearchCV calls them.

    Returns
    -------
    Outcome
        The results, the tables to print, and the names of the files.

    Raises
    ------
    DataFileError
        If the file cannot be used.
    OSError
        If the folder cannot be written. Then it is left as it was.
    ImportError
        If an extra is missing.

    See Also
    --------
    energyknn.study.run.run_study : The study alone, on a table.
    """
    started = time.perf_counter()
    dataset = data if isinstance(data, Dataset) else read_dataset(data, schema, latest_year=latest_year)
    table, schema = dataset.table, dataset.schema
    loaded = time.perf_counter() - started
    protocol = Protocol(scaling=scaling, reference_year=reference_year)
    without_leaks = replace(protocol, scaling="train_only", groups="songs")
    options: dict[str, Any] = {"callbacks": callbacks, "track": track}
    engine = "energyknn" if tool == "one-search" else "scikit-learn brute"
    with staged_folder(out_dir) as staged:
        first = choose_tool(tool, random_state=protocol.random_state, use_gpu=use_gpu, **options)
        study = run_study(table, protocol, first, schema=schema, track=track)
        for stage, search in study.searches.items():
            (staged / "model").mkdir(exist_ok=True)
            joblib.dump(search, staged / "model" / f"{stage}_search.joblib")
        second = None
        if honest:
            scorer = choose_tool("one-search" if tool == "one-search" else "grid", **options)
            second = run_study(table, without_leaks, scorer, schema=schema, track=track)
        found = {
            "data": {
                "path": dataset.path,
                "rows": len(table),
                "nulls": int(table.isna().sum().sum()),
                "sha256": dataset.sha256,
                "synthetic": are_synthetic(table),
            },
            **describing.describe_study(study, second, tool=tool),
            "notebook": describing.describe_notebook(),
            "environment": describing.describe_environment(engine),
        }
        results = cast("Results", found)
        if beyond:
            results["beyond"], results["beyond_analyses"] = _compare(table, study, schema=schema, track=track)
        results["seconds"] |= {"load": loaded, "total": time.perf_counter() - started}
        (staged / "results.json").write_text(json.dumps(results, indent=1, allow_nan=False), encoding="utf-8")
        if report:
            arrays = StudyArrays(study.data.y_train, study.data.y_test, study.tuned.predicted_test)
            for name, content in render_report(results, arrays).items():
                (staged / name).parent.mkdir(exist_ok=True)
                (staged / name).write_bytes(content)
        written = tuple(sorted(str(file.relative_to(staged)) for file in staged.rglob("*") if file.is_file()))
    tables = [build_table(compare_with_notebook(results))]
    if beyond:
        tables.append(tabulate_models(results["beyond"], results["beyond_analyses"]["missing"]))
    return Outcome(results, Group(*tables), written)


def _compare(
    table: pd.DataFrame, study: Study, *, schema: Schema, track: Track[Any]
) -> tuple[dict[str, ComparedModel], Analyses]:
    """Compare models on the study's rows and analyse their errors."""
    started, data, protocol = time.perf_counter(), study.data, study.protocol
    listed = models.list_models(data.X_train.columns.tolist(), n_neighbors=study.tuned.n_neighbors, schema=schema)
    scores = models.compare_models(data, listed, track=track)
    inner = min(len(fold.train) for fold in data.folds) * (protocol.n_splits - 1) // protocol.n_splits
    curves = {name: diagnostics.measure_learning_curve(data, listed[name], track=track) for name in _WITH_CURVES}
    effects = diagnostics.measure_effects(table, protocol, listed[NOTEBOOK], data=data, schema=schema, track=track)
    analyses = {
        "missing": find_missing_libraries(),
        "errors": _tabulate_errors(table, data, scores, schema),
        "learning_curve": curves,
        "effects": {"model": NOTEBOOK, "effects": effects},
        "nested": diagnostics.estimate_nested(data, list_candidates(1, inner, n=LARGEST_N_NEIGHBORS), track=track),
    }
    analyses |= describing.describe_intervals_and_columns(
        measure_intervals_by_decade(table, data, listed[LEARNED], schema=schema),
        measure_columns(data, listed[ONE_MAP], schema=schema),
    )
    analyses["seconds"] = time.perf_counter() - started
    return describing.describe_models(scores), describing.make_plain(analyses)


def _tabulate_errors(
    table: pd.DataFrame, data: Prepared, scores: Mapping[str, models.ModelScore], schema: Schema
) -> dict[str, dict[str, tuple[diagnostics.GroupErrors, ...]]]:
    """Tabulate the errors of three models by target, and by decade where the table has years."""
    groups = {"target": diagnostics.label_bins(data.y_test)}
    if schema.years:
        groups["decade"] = diagnostics.label_decades(table[schema.years[0]].to_numpy()[data.X_test.index])
    tables = {
        what: {
            name: diagnostics.tabulate_errors(data.y_test, scores[name].predicted_test, labels) for name in _BY_GROUP
        }
        for what, labels in groups.items()
    }
    return {what: table for what, table in tables.items() if all(table.values())}
