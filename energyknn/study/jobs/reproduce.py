"""The whole study: a data file to a folder with its figures, its report and the fitted searches."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import joblib
from rich.console import Group

from energyknn._shared.saving import staged_folder
from energyknn.errors import DataFileError
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study import describing
from energyknn.study.dataset import Dataset, read_dataset
from energyknn.study.jobs.beyond import compare_models_beyond
from energyknn.study.notebook import REFERENCE_YEAR, SPOTIFY
from energyknn.study.protocol import Protocol
from energyknn.study.reporting.page import render_report
from energyknn.study.reporting.pictures import StudyArrays
from energyknn.study.reporting.tables import build_table, compare_with_notebook, list_notes, tabulate_models
from energyknn.study.results import Results
from energyknn.study.run import run_study
from energyknn.study.synthesis import are_synthetic
from energyknn.study.tools import ToolName, choose_tool


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
    budget: float | None = None,
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
        Whether to compare other models on the same rows: lines, trees, and neighbours by a learned distance. An
        interrupt (Ctrl-C) while they are compared keeps what is finished.
    budget : float or None, default=None
        Seconds that comparing other models may take. What does not fit is made smaller or left out; the results and the
        table say what. None takes as long as it takes.
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
        If the file cannot be used, or `beyond` is asked for and the target is a class.
    ValueError
        If `budget` is not above 0.
    OSError
        If the folder cannot be written. Then it is left as it was.
    ImportError
        If an extra is missing.

    See Also
    --------
    energyknn.study.run.run_study : The study alone, on a table.
    """
    started = time.perf_counter()
    if beyond:
        _require_comparable(data.schema if isinstance(data, Dataset) else schema, budget)
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
            results["beyond"], results["beyond_analyses"] = compare_models_beyond(
                table, study, schema=schema, budget=budget, track=track
            )
        results["seconds"] |= {"load": loaded, "total": time.perf_counter() - started}
        (staged / "results.json").write_text(json.dumps(results, indent=1, allow_nan=False), encoding="utf-8")
        if report:
            arrays = StudyArrays(study.data.y_train, study.data.y_test, study.tuned.predicted_test)
            for name, content in render_report(results, arrays).items():
                (staged / name).parent.mkdir(exist_ok=True)
                (staged / name).write_bytes(content)
        written = tuple(sorted(str(file.relative_to(staged)) for file in staged.rglob("*") if file.is_file()))
    tables = [build_table(compare_with_notebook(results))]
    if results.get("beyond"):
        tables.append(tabulate_models(results["beyond"], list_notes(results["beyond_analyses"])))
    return Outcome(results, Group(*tables), written)


def _require_comparable(schema: Schema, budget: float | None) -> None:
    """Require a target that all models can predict, and time for them."""
    if schema.classifies:
        message = (
            f"The target {schema.target!r} is a class, and the comparison beyond the notebook is of models that "
            "predict numbers. Leave it out, or name a target that is a number."
        )
        raise DataFileError(message)
    if budget is not None and not budget > 0:
        message = f"budget is {budget!r} seconds. It must be above 0, or None to take as long as it takes."
        raise ValueError(message)
