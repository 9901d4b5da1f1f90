"""energyknn fit: a model from a data file."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

from energyknn.study.cli import options as shared
from energyknn.study.notebook import MICRO_BEST

SUMMARY = "fit a model on all rows of a file and save it"
DESCRIPTION = (
    "Fit a model on all rows of a data file, and save it for `energyknn predict`. Reading the saved file runs no code."
)
EXAMPLES = (
    "energyknn fit --data tracks.csv --model notebook --out energy.safetensors",
    "energyknn fit --data tracks.csv --target tempo --numbers energy,loudness --model notebook --out tempo.safetensors",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, required=True)
    shared.add_option(command, "--out", "MODEL", "file to write, or a folder for it", Path("model.safetensors"))
    learned = "learned: local fits after learned distances, minutes on 170,000 tracks"
    notebook = "notebook: the mean of the nearest rows, in seconds and less accurate. Classes: their vote, either way"
    shared.add_choice(command, "--model", f"{learned}; {notebook}", ("learned", "notebook"))
    shared.add_option(
        command, "--n-neighbors", "K", "neighbours of --model notebook, and of classes", type=int, shown=MICRO_BEST
    )
    text = "do not calibrate intervals, which needs at least 9 rows; a learned model calibrates on a fifth of them"
    command.add_argument("--no-intervals", action="store_true", help=text)
    shared.add_reference_year(command)
    shared.add_columns(command)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn.modelfile import fit_model, save_model

    dataset, latest_year = shared.read_data(options), date.today().year
    table, schema = dataset.table, dataset.schema
    if options.model == "learned" and options.n_neighbors is not None and not schema.classifies:
        message = "--n-neighbors is for --model notebook. Add that, or leave it out: a learned model has its own"
        raise shared.UserError(message)
    try:
        model = fit_model(
            *(table, schema, _make_estimator(options, table, schema)),
            reference_year=options.reference_year,
            latest_year=latest_year,
            source=options.data.name,
            source_sha256=dataset.sha256,
        )
    except ValueError as error:
        raise shared.UserError(str(error)) from error
    save_model(model, options.out)
    sys.stdout.write(f"Model of {schema.target}, fitted on {len(table)} rows, written to {options.out}\n")


def _make_estimator(options: argparse.Namespace, table: Any, schema: Any) -> Any:
    """Make the estimator that is asked for, unfitted."""
    from energyknn.encoding import fit_levels, name_features
    from energyknn.estimators import KNNClassifier, KNNRegressor, make_learned_regressor
    from energyknn.estimators.intervals import IntervalRegressor

    n_neighbors = MICRO_BEST if options.n_neighbors is None else options.n_neighbors
    if schema.classifies:
        return KNNClassifier(n_neighbors)
    target = schema[schema.target]
    bounds = None if None in (target.minimum, target.maximum) else (target.minimum, target.maximum)
    if options.model == "notebook":
        model = KNNRegressor(n_neighbors)
        return model if options.no_intervals else IntervalRegressor(model, bounds=bounds)
    columns = name_features(fit_levels(table, schema), schema)
    numbers = [name for name in columns if name in schema.numbers]
    indicators = [name for name in columns if name not in numbers]
    learned = make_learned_regressor(numbers, indicators, verbose=sys.stderr.isatty())
    return learned if options.no_intervals else IntervalRegressor(learned, bounds=bounds)
