"""energyknn fit: a model from a data file."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

from energyknn.study.cli.options import UserError, add_columns, choose_schema


def add_command(commands: Any) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "fit",
        help="fit a model on all rows of a file and save it",
        description="Fit a model on all rows of a data file, and save it as a file that `energyknn predict` reads and "
        "that runs no code when it is read.",
    )
    command.add_argument("--data", type=Path, required=True, metavar="FILE", help="CSV or Parquet file")
    command.add_argument(
        "--out",
        type=Path,
        default=Path("model.safetensors"),
        metavar="MODEL",
        help="file to write, or a folder for model.safetensors (default: model.safetensors)",
    )
    command.add_argument(
        "--model",
        choices=("learned", "notebook"),
        default="learned",
        help="learned: local fits after learned distances, minutes on 170,000 tracks; notebook: the mean of the "
        "nearest rows, in seconds and less accurate (default: learned)",
    )
    command.add_argument(
        "--n-neighbors", type=int, metavar="K", help="neighbours of --model notebook (default: 13, its tuned one)"
    )
    command.add_argument(
        "--no-intervals",
        action="store_true",
        help="leave out the calibration of intervals: it needs at least 9 rows, of a learned model a fifth of all",
    )
    command.add_argument("--reference-year", type=int, default=2021, metavar="Y", help="as in reproduce")
    add_columns(command)
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from energyknn.loading import hash_file, load_table
    from energyknn.modelfile import fit_model, save_model

    if options.model != "notebook" and options.n_neighbors is not None:
        message = (
            f"--n-neighbors is for --model notebook. Add that, or leave it out: {options.model} has its own numbers"
        )
        raise UserError(message)
    schema, latest_year = choose_schema(options), date.today().year
    table = load_table(options.data, schema, latest_year=latest_year)
    try:
        model = fit_model(
            *(table, schema, _make_estimator(options, table, schema)),
            reference_year=options.reference_year,
            latest_year=latest_year,
            source=options.data.name,
            source_sha256=hash_file(options.data),
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    save_model(model, options.out)
    sys.stdout.write(f"Model of {schema.target}, fitted on {len(table)} rows, written to {options.out}\n")


def _make_estimator(options: argparse.Namespace, table: Any, schema: Any) -> Any:
    """Make the estimator that is asked for, unfitted."""
    from energyknn.encoding import fit_levels, name_features
    from energyknn.estimators import KNNRegressor, make_learned_regressor
    from energyknn.estimators.intervals import IntervalRegressor
    from energyknn.study.notebook import MICRO_BEST

    target = schema[schema.target]
    bounds = None if None in (target.minimum, target.maximum) else (target.minimum, target.maximum)
    if options.model == "notebook":
        model = KNNRegressor(MICRO_BEST if options.n_neighbors is None else options.n_neighbors)
        return model if options.no_intervals else IntervalRegressor(model, bounds=bounds)
    columns = name_features(fit_levels(table, schema), schema)
    numbers = [name for name in columns if name in schema.numbers]
    indicators = [name for name in columns if name not in numbers]
    learned = make_learned_regressor(numbers, indicators, verbose=sys.stderr.isatty())
    return learned if options.no_intervals else IntervalRegressor(learned, method="split", refill=True, bounds=bounds)
