"""energyknn fit: a model from a data file."""

from __future__ import annotations

import argparse
import json
import shlex
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from energyknn.study.cli import options as shared
from energyknn.study.cli.parser import Parser
from energyknn.study.cli.showing import open_console, write_json, write_note
from energyknn.study.column_choices import ROLES
from energyknn.study.notebook import MICRO_BEST

if TYPE_CHECKING:
    from energyknn.schema import Schema

SUMMARY = "fit a model on all rows of a file, say how good it is, and save it"
DESCRIPTION = (
    "Fit a model on all rows of a data file, measure it on rows that it was not shown, and save it for `energyknn "
    "predict`. Reading the saved file runs no code."
)
EXAMPLES = (
    "energyknn fit --data tracks.csv --effort quick --out energy.safetensors",
    "energyknn fit --data tracks.csv --target tempo --numbers energy,loudness --effort quick --out tempo.safetensors",
)
_EFFORTS = {
    "normal": "a learned distance, by one map",
    "quick": "the best number of plain neighbours, in seconds",
    "best": "a learned distance, by four maps and more rounds, in minutes",
}


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, shown="that of --from")
    text, usual = "file to write, or a folder for it", Path("model.safetensors")
    shared.add_option(command, "--out", "MODEL", text, usual, type=shared.name_model)
    text = "; ".join(f"{name}: {words}" for name, words in _EFFORTS.items())
    shared.add_choice(command, "--effort", text, [*_EFFORTS])
    text = "plain neighbours with the settings that `energyknn tune --out FILE` found best"
    shared.add_option(command, "--from", "FILE", text, type=Path, dest="tuned", shown=None)
    text = f"notebook: the mean of {MICRO_BEST} neighbours, as in the notebook; learned: a learned distance"
    shared.add_option(command, "--model", "WORD", text, shown="as --effort says", choices=("learned", "notebook"))
    shared.add_option(command, "--n-neighbors", "K", "plain neighbours, and how many", type=int, shown="tuned")
    text = "range of the target, such as 0:1 or 0: for no end. Predictions and intervals are cut off there"
    shared.add_option(command, "--bounds", "LOW:HIGH", text, type=parse_bounds, shown=None)
    text = (
        "column of groups, such as patients, which predicts nothing: rows of one group stay on one side wherever the "
        "model is tuned, calibrated or measured"
    )
    shared.add_option(command, "--groups", "NAME", text, shown=None)
    text = "do not calibrate intervals, which needs at least 9 rows; a learned model calibrates on a fifth of them"
    command.add_argument("--no-intervals", action="store_true", help=text)
    shared.add_json(command)
    shared.add_columns(command)


def parse_bounds(text: str) -> tuple[float, float]:
    """Read the ends of a range. An end that is left out is infinite.

    Examples
    --------
    >>> parse_bounds("0:"), parse_bounds("0:1")
    ((0.0, inf), (0.0, 1.0))
    """
    low, colon, high = text.partition(":")
    try:
        bounds = float(low or "-inf"), float(high or "inf")
    except ValueError:
        bounds = (1.0, 0.0)
    if not colon or not bounds[0] < bounds[1]:
        message = f"{text!r} is no range. Give LOW:HIGH, such as 0:1, or 0: for no upper end"
        raise argparse.ArgumentTypeError(message)
    return bounds


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn.estimators import IntervalRegressor
    from energyknn.neighbors_model import NeighborsModel

    tuned = None if options.tuned is None else _read_tuned(options.tuned)
    if tuned is not None:
        _take_data(options, tuned["data"]["arguments"])
    if options.data is None:
        message = "--data FILE is missing: name the file to fit on"
        raise shared.UserError(message)
    if options.groups is not None:
        _keep_groups(options)
    with shared.take_data(options):
        dataset = shared.read_data(options)
    if tuned is not None and tuned["data"]["sha256"] not in (None, dataset.sha256):
        note = f"{dataset.path} is not the file that {options.tuned.name} was tuned on, or has changed since"
        write_note(options, f"{note}. Tune again where that matters.")
    plan = _plan(options, dataset.schema) if tuned is None else _plan_tuned(tuned["fit"], dataset.schema)
    missing = shared.read_choices(options).missing
    model = NeighborsModel(
        effort=options.effort,
        intervals=not options.no_intervals,
        bounds=options.bounds,
        missing="median" if missing == "median" else "refuse",
        latest_year=date.today().year,
        verbose=int(not options.quiet),
        **{"schema": dataset.schema, **plan},
    )
    model.fit(dataset.table, groups=options.groups, source=Path(dataset.path).name, source_sha256=dataset.sha256)
    model.save(options.out)
    results = {
        "model": str(options.out),
        "target": dataset.schema.target,
        "unit": dataset.schema[dataset.schema.target].unit,
        "method": model.method_,
        "rows": len(dataset.table),
        "held_out": {name: value for name, value in model.quality_._asdict().items() if name != "unit"},
        "coverage": model.coverage if isinstance(model.model_.estimator, IntervalRegressor) else None,
    }
    if options.json:
        write_json(results)
    else:
        _show(results, options)


def _keep_groups(options: argparse.Namespace) -> None:
    """Let the column of groups name rows, so that it is read and predicts nothing, unless it is asked to predict."""
    options.ignore = [name for name in options.ignore if name != options.groups]
    if not any(options.groups in getattr(options, option) for option in ROLES.values()):
        options.texts = [*options.texts, options.groups]


def _plan(options: argparse.Namespace, schema: Schema) -> dict[str, Any]:
    """Return the estimator that the options name, if they name one."""
    from energyknn.estimators import KNNClassifier, KNNRegressor

    if options.model == "learned" and (options.n_neighbors is not None or options.effort == "quick"):
        other = "--effort quick" if options.n_neighbors is None else "--n-neighbors"
        message = f"--model learned and {other} exclude each other. Leave one out"
        raise shared.UserError(message)
    if options.n_neighbors is None and (options.model != "notebook" or schema.classifies):
        return {}
    n_neighbors = MICRO_BEST if options.n_neighbors is None else options.n_neighbors
    return {"estimator": KNNClassifier(n_neighbors) if schema.classifies else KNNRegressor(n_neighbors)}


def _plan_tuned(best: dict[str, Any], schema: Schema) -> dict[str, Any]:
    """Return the estimator, the scale and the columns of a tuned candidate."""
    from energyknn.estimators import KNNClassifier, KNNRegressor

    kind = KNNClassifier if schema.classifies else KNNRegressor
    kept = tuple(column for column in schema.columns if column.name not in best["without"])
    return {
        "estimator": kind(best["n_neighbors"], weights=best["weights"], p=best["p"]),
        "mismatch_cost": best["mismatch_cost"],
        "scaler": "standard" if best["scaler"] == "as it is" else best["scaler"],
        "schema": replace(schema, columns=kept),
    }


def _read_tuned(path: Path) -> dict[str, Any]:
    """Read what `tune --out` wrote."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        words = [str(word) for word in held["data"]["arguments"]]
        found = {"data": {"arguments": words, "sha256": held["data"].get("sha256")}, "fit": dict(held["fit"])}
        needed = {"n_neighbors", "weights", "p", "mismatch_cost", "scaler", "without"}
        lacking = sorted(needed - set(found["fit"]))
    except FileNotFoundError as error:
        message = f"No file at {str(path)!r}. `energyknn tune --data FILE --out {path.name}` writes one"
        raise shared.UserError(message) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        message = f"{path.name!r} does not hold what `energyknn tune --out` writes. Tune again"
        raise shared.UserError(message) from error
    if lacking:
        message = f"{path.name!r} lacks {', '.join(lacking)}. Tune again"
        raise shared.UserError(message)
    return found


def _take_data(options: argparse.Namespace, arguments: list[str]) -> None:
    """Take what the options leave open about the data from the words with which `tune` read them."""
    parser = Parser(add_help=False)
    shared.add_data(parser)
    shared.add_columns(parser)
    said = vars(parser.parse_args(arguments))
    if options.target not in (None, said["target"]):
        tuned = repr(said["target"]) if said["target"] else "the energy of tracks"
        message = (
            f"{options.tuned.name!r} was tuned for {tuned}, and --target is {options.target!r}. Tune again for that"
        )
        raise shared.UserError(message)
    for name, value in said.items():
        if not getattr(options, name):
            setattr(options, name, value)


def _show(results: dict[str, Any], options: argparse.Namespace) -> None:
    """Print what was fitted, how good it is, and the command that predicts with it."""
    from energyknn.study.reporting.words import write_number

    console, held = open_console(), results["held_out"]
    unit = f" {results['unit']}" if results["unit"] else ""
    named = f"{results['target']} ({results['unit']})" if results["unit"] else results["target"]
    console.print(f"{named} by {results['method']}, fitted on {results['rows']} rows.", soft_wrap=True)
    if held["accuracy"] is not None:
        console.print(f"Held out: {held['accuracy']:.1%} of {held['n_rows']:,} classes are right.", soft_wrap=True)
    if held["rmse"] is not None:
        line = f"Held out ({held['n_rows']:,} rows): RMSE {write_number(held['rmse'])}{unit}, R² {held['r2']:.4f}."
        console.print(line, soft_wrap=True)
        if held["r2"] <= 0:
            console.print("That is no better than the mean of the targets: do not rely on it.", soft_wrap=True)
        if results["coverage"] is None and not options.no_intervals:
            console.print("There are too few rows for intervals.", soft_wrap=True)
    if held["coverage"] is not None:
        line = f"Intervals for {results['coverage']:.0%} cover {held['coverage']:.1%} of them"
        console.print(f"{line}; mean width {write_number(held['mean_width'])}{unit}.", soft_wrap=True)
    console.print(f"{held['seconds']:.1f} seconds. Written to {results['model']}", soft_wrap=True)
    command = shlex.join(["energyknn", "predict", "--model", results["model"], "--data", "NEW.csv"])
    console.print(f"Predict with it: {command}", soft_wrap=True)
