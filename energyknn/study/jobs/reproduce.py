"""The whole study: a data file to a folder with its figures, its report and the fitted searches."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, cast

import joblib
from rich.console import Group

from energyknn._shared.saving import staged_folder
from energyknn._shared.showing import in_one_line
from energyknn.errors import DataFileError, ParameterError
from energyknn.estimators import IntervalRegressor, KNNClassifier, KNNRegressor
from energyknn.modelfile import fit_model, save_model
from energyknn.modelfile.model import MODEL_FILE
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study import describing
from energyknn.study.column_choices import ColumnChoices
from energyknn.study.dataset import Dataset, read_dataset
from energyknn.study.jobs.beyond import compare_models_beyond
from energyknn.study.jobs.studies import Choices, choose_study
from energyknn.study.notebook import REFERENCE_YEAR, SPOTIFY, holds_tracks
from energyknn.study.reporting.needs import keeping_fonts
from energyknn.study.reporting.page import render_report
from energyknn.study.reporting.terminal import list_tables
from energyknn.study.results import AnyResults
from energyknn.study.tools import ToolName

REPORT, RESULTS = "report.html", "results.json"


@in_one_line
@dataclass(frozen=True)
class Outcome:
    """What `reproduce` found: the content of `results.json`, the tables to print, and the names of the files."""

    results: AnyResults
    table: Any
    written: tuple[str, ...]


def reproduce(
    data: str | Path | Dataset | None,
    out_dir: str | Path,
    *,
    schema: Schema = SPOTIFY,
    scaling: Literal["all_rows", "train_only"] | None = None,
    reference_year: int = REFERENCE_YEAR,
    latest_year: int | None = None,
    n_neighbors: Sequence[int] | None = None,
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

    The notebook's columns get the notebook's study, beside what the notebook printed. Other columns get a study of
    their own: every k from one search, the best of them, k = 5, and the mean or the most frequent class as a baseline.

    Parameters
    ----------
    data : str, Path, Dataset or None
        A data file, or one that was read already. None takes the committed sample of synthetic tracks.
    out_dir : str or Path
        The folder for `results.json`, `report.html`, `pictures/` and `model.safetensors`, which holds the tuned model
        fitted on all rows; for the notebook's columns also `model/` with scikit-learn's fitted searches. It is written
        only when everything is done. What an earlier run wrote there, and this one does not, is removed.
    schema : Schema, default=SPOTIFY
        The role of each column of the file. A `Dataset` has its own.
    scaling : {"all_rows", "train_only"} or None, default=None
        Rows that the scale is learned from. None takes all rows for the notebook's columns, as the notebook did, and
        the training rows for others.
    reference_year : int, default=2021
        The year in which an age is 0.
    latest_year : int or None, default=None
        The last calendar year that the file may hold. None allows any.
    n_neighbors : sequence of int or None, default=None
        The candidates for other columns. None tries every k from 1 to 300, or to the rows of a fold.
    tool : {"one-search", "grid", "tune-sklearn", "ray"}, default="one-search"
        What scores the candidates: one neighbour search per fold, GridSearchCV, tune-sklearn and then GridSearchCV, or
        Ray Tune. Classes take the first alone, and "tune-sklearn" takes the notebook's columns alone.
    use_gpu : bool, default=False
        Whether each trial of "ray" and "tune-sklearn" reserves a GPU.
    honest : bool, default=True
        Whether to run a second study without leaks. For the notebook's columns the scale is learned from the training
        rows, and all rows of a song are kept on one side. For other columns with a number to predict, rows with equal
        features are kept on one side, where there are enough of them to matter.
    beyond : bool, default=False
        Whether to compare other models on the same rows: lines, trees, and neighbours by a learned distance. Not for
        classes. An interrupt (Ctrl-C) while they are compared keeps what is finished.
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
        If the columns and the other arguments do not go together, or `budget` is not above 0.
    OSError
        If the folder cannot be written. Then it is left as it was.
    ImportError
        If an extra is missing.

    See Also
    --------
    energyknn.study.run.run_study : The study of the notebook's columns alone, on a table.
    energyknn.study.own.study_numbers : The study of other columns alone.
    """
    started = time.perf_counter()
    if beyond:
        _require_comparable(data.schema if isinstance(data, Dataset) else schema, budget)
    dataset = data if isinstance(data, Dataset) else read_dataset(data, schema, latest_year=latest_year)
    loaded = time.perf_counter() - started
    default: Literal["all_rows", "train_only"] = "all_rows" if dataset.is_notebooks else "train_only"
    choices = Choices(scaling or default, reference_year, n_neighbors, tool, use_gpu, honest, track, callbacks)
    _check_choices(dataset, choices)
    with staged_folder(out_dir) as staged:
        found = choose_study(dataset)(dataset, choices)
        for stage, search in found.searches.items():
            (staged / "model").mkdir(exist_ok=True)
            joblib.dump(search, staged / "model" / f"{stage}_search.joblib")
        described: dict[str, Any] = {
            **describing.describe_dataset(dataset),
            "command": write_command(dataset, choices, scaling=scaling, beyond=beyond, budget=budget),
            **found.part,
            "environment": describing.describe_environment(
                "energyknn" if tool == "one-search" else "scikit-learn brute"
            ),
        }
        if beyond:
            described["beyond"], described["beyond_analyses"] = compare_models_beyond(
                dataset.table, cast("Any", found.study), schema=dataset.schema, budget=budget, track=track
            )
        described["model"] = _save_tuned(dataset, found.n_neighbors, choices, staged / MODEL_FILE, latest_year)
        described["seconds"] |= {"load": loaded, "total": time.perf_counter() - started}
        results = cast("AnyResults", described)
        if report:
            with keeping_fonts(staged):
                files = render_report(results, found.arrays)
            for name, content in files.items():
                (staged / name).parent.mkdir(exist_ok=True)
                (staged / name).write_bytes(content)
        written = [file.relative_to(staged).as_posix() for file in staged.rglob("*") if file.is_file()]
        results["files"] = sorted([*written, RESULTS])
        (staged / RESULTS).write_text(json.dumps(results, indent=1, allow_nan=False), encoding="utf-8")
        before = _list_earlier_files(Path(out_dir))
    for name in before.difference(results["files"]):
        (Path(out_dir) / name).unlink(missing_ok=True)
        with suppress(OSError):  # it holds more, or is the folder itself
            (Path(out_dir) / name).parent.rmdir()
    return Outcome(results, Group(*list_tables(results)), tuple(results["files"]))


def _check_choices(dataset: Dataset, choices: Choices) -> None:
    """Require arguments that go with the columns."""
    message = None
    if dataset.is_notebooks and choices.n_neighbors is not None:
        message = "n_neighbors is for other columns: the study of the notebook's columns tries the notebook's k."
    if not dataset.is_notebooks and choices.tool == "tune-sklearn":
        message = "Search 'tune-sklearn' is for the columns of the sample. Other columns take one-search, grid or ray."
    if dataset.schema.classifies and choices.tool != "one-search":
        message = f"Search {choices.tool!r} scores numbers, and {dataset.schema.target!r} is a class. Leave it out."
    if message is not None:
        raise ParameterError(message)


def _require_comparable(schema: Schema, budget: float | None) -> None:
    """Require a target that all models can predict, and time for them."""
    if schema.classifies:
        message = (
            f"The target {schema.target!r} is a class, and the comparison with other models is of those that predict "
            "numbers. Leave it out, or name a target that is a number."
        )
        raise DataFileError(message)
    if budget is not None and not budget > 0:
        message = f"budget is {budget!r} seconds. It must be above 0, or None to take as long as it takes."
        raise ParameterError(message)


def _save_tuned(
    dataset: Dataset, n_neighbors: int, choices: Choices, path: Path, latest_year: int | None
) -> dict[str, Any]:
    """Fit the tuned model on all rows, with intervals where it predicts numbers, write it, and describe it."""
    target = dataset.schema[dataset.schema.target]
    bounds = None if None in (target.minimum, target.maximum) else (target.minimum, target.maximum)
    estimator = (
        KNNClassifier(n_neighbors)
        if dataset.schema.classifies
        else IntervalRegressor(KNNRegressor(n_neighbors), bounds=cast("Any", bounds))
    )
    features = [*dataset.schema.numbers, *dataset.schema.categories]
    holds_gaps = bool(dataset.table[features].isna().to_numpy().any())
    model = fit_model(
        *(dataset.table, dataset.schema, estimator),
        reference_year=choices.reference_year,
        latest_year=latest_year,
        missing="median" if holds_gaps else "refuse",
        source=Path(dataset.path).name,
        source_sha256=dataset.sha256,
    )
    save_model(model, path)
    return {"file": path.name, "n_neighbors": n_neighbors, "rows": len(dataset.table)}


def write_command(
    dataset: Dataset, choices: Choices, *, scaling: str | None, beyond: bool, budget: float | None
) -> str:
    """Return the command that runs the same study again, as a shell takes it."""
    schema, words = dataset.schema, [*dataset.arguments]
    if "--target" not in words and not holds_tracks(schema):  # a file that was read with a given schema
        roles = {column.name: column.role for column in schema.columns if column.name != schema.target}
        said: dict[str, Any] = {"target": schema.target, "unit": schema[schema.target].unit, "roles": roles}
        words += ColumnChoices(**said, task="classify" if schema.classifies else "regress").arguments
    if schema.years:
        words += ["--reference-year", str(choices.reference_year)]
    words += ["--search", choices.tool]
    words += ["--scaling", scaling] if scaling else []
    words += ["--n-neighbors", write_sizes(choices.n_neighbors)] if choices.n_neighbors else []
    asked = {"--use-gpu": choices.use_gpu, "--beyond": beyond, "--no-honest": not choices.honest}
    words += [option for option, is_asked in asked.items() if is_asked]
    words += ["--budget", "none" if budget is None else f"{budget:g}s"] if beyond else []
    return shlex.join(["energyknn", "reproduce", *words])


def write_sizes(sizes: Sequence[int]) -> str:
    """Write numbers of neighbours as `--n-neighbors` takes them.

    Examples
    --------
    >>> write_sizes([5, 6, 7]), write_sizes([1, 11, 21])
    ('5:7', '1,11,21')
    """
    first, last = sizes[0], sizes[-1]
    return f"{first}:{last}" if list(sizes) == list(range(first, last + 1)) else ",".join(map(str, sizes))


def _list_earlier_files(out_dir: Path) -> set[str]:
    """Return the files that an earlier run says it wrote, of the kinds that runs write."""
    try:
        listed = json.loads((out_dir / RESULTS).read_text(encoding="utf-8"))["files"]
        paths = {PurePosixPath(name) for name in listed}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    known = {REPORT: {".html"}, "pictures": {".svg", ".png"}, "model": {".joblib"}}
    return {str(path) for path in paths if len(path.parts) <= 2 and path.suffix in known.get(path.parts[0], ())}
