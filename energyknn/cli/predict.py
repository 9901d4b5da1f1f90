"""energyknn predict: a saved model on new rows."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

__all__ = ["add_command"]


def add_command(commands: Any) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "predict",
        help="predict the rows of a file with a saved model",
        description="Predict the rows of a data file with a model that `energyknn fit` wrote. The file needs the "
        "model's columns; the target and text may be missing.",
    )
    command.add_argument(
        "--model", type=Path, required=True, metavar="MODEL", help="a model's file, or a folder with model.safetensors"
    )
    command.add_argument("--data", type=Path, required=True, metavar="FILE", help="CSV or Parquet file")
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="CSV (also .gz, .zip, .zst) or Parquet (default: CSV to stdout)"
    )
    command.add_argument("--json", action="store_true", help="print JSON, one object a row, instead of CSV")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from energyknn.loading import read_table
    from energyknn.models import load_model, tabulate_predictions
    from energyknn.saving import save_table

    model = load_model(options.model)
    rows = read_table(options.data, schema=model.schema)
    predictions = tabulate_predictions(model, rows, latest_year=date.today().year, source=options.data.name)
    if options.json:
        sys.stdout.write(json.dumps(predictions.to_dict(orient="records"), indent=1) + "\n")
    if options.out is not None:
        save_table(predictions, options.out)
    elif not options.json:
        predictions.to_csv(sys.stdout, index=False)
