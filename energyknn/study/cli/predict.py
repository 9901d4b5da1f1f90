"""energyknn predict: a saved model on new rows, with intervals and reasons."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from energyknn.study.cli.options import UserError, add_data, add_option, add_table_out

_MOST_EXPLAINED = 1000  # rows
_N_REASONS = 5  # training rows of each
_N_SHARES = 3  # columns named beside a training row


SUMMARY = "predict the rows of a file with a saved model"
DESCRIPTION = (
    "Predict the rows of a data file with a model that `energyknn fit` wrote. The file needs the model's columns; the "
    "target and text may be missing."
)
EXAMPLES = (
    "energyknn predict --model energy.safetensors --data new.csv --out predicted.csv",
    "energyknn predict --model energy.safetensors --data new.csv --why 3",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    text = "a model's file, or a folder with model.safetensors"
    add_option(command, "--model", "MODEL", text, type=Path, required=True)
    add_data(command, required=True)
    add_table_out(command, "CSV to stdout")
    add_option(command, "--coverage", "C", "share of targets that the intervals cover", type=float, shown=0.9)
    text = "instead of CSV, show the N training rows that count most in a prediction, and columns' shares in distances"
    add_option(command, "--why", "N", text, type=int, nargs="?", const=_N_REASONS, shown=_N_REASONS)
    command.add_argument("--json", action="store_true", help="print JSON, one object a row, instead of CSV")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn._shared.saving import save_table
    from energyknn.loading import read_table
    from energyknn.modelfile import load_model
    from energyknn.modelfile.model import tabulate_predictions

    model, latest_year = load_model(options.model), date.today().year
    rows = read_table(options.data, model.schema)
    try:
        predictions = tabulate_predictions(
            model, rows, coverage=options.coverage, latest_year=latest_year, source=options.data.name
        )
        reasons = None if options.why is None else _explain(model, rows, options.why, latest_year)
    except (ValueError, TypeError) as error:
        raise UserError(str(error)) from error
    if options.out is not None:
        save_table(predictions, options.out)
    if options.json:
        records = predictions.to_dict(orient="records")
        if reasons is not None:
            records = [
                {**record, "why": why.to_dict(orient="records")} for record, why in zip(records, reasons, strict=True)
            ]
        sys.stdout.write(json.dumps(records, indent=1) + "\n")
    elif reasons is not None:
        _print_reasons(model, predictions, reasons)
    elif options.out is None:
        predictions.to_csv(sys.stdout, index=False)


def _explain(model: Any, rows: Any, n_neighbors: int, latest_year: int) -> list[Any]:
    """Return a table for each row: the training rows that count most, their targets and the columns' shares."""
    import pandas as pd

    from energyknn.inspection import tabulate_neighbors

    if len(rows) > _MOST_EXPLAINED:
        message = f"--why explains up to {_MOST_EXPLAINED} rows, and the file has {len(rows)}. Give it fewer"
        raise UserError(message)
    explanation = model.explain(rows, n_neighbors=n_neighbors, latest_year=latest_year)
    tables = []
    for query, indices in enumerate(explanation.indices):
        named = {name: texts.to_numpy() for name, texts in model.name_rows(indices).items()}
        row = {"training_row": indices, **named, model.schema.target: _name_targets(model, indices)}
        tables.append(pd.DataFrame(row, index=indices).join(tabulate_neighbors(explanation, query)))
    return tables


def _name_targets(model: Any, rows: Any) -> Any:
    """Return the targets of training rows: labels where the target is a class."""
    targets = model.targets[rows]
    return model.estimator.classes_[targets.astype(int)] if model.schema.classifies else targets


def _show(value: Any) -> str:
    """Return a target as text."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _print_reasons(model: Any, predictions: Any, reasons: list[Any]) -> None:
    """Print a table under each prediction."""
    from rich.console import Console
    from rich.table import Table

    console = Console(file=sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True)
    target = model.schema.target
    columns = [name for name in reasons[0] if name in (*model.schema.numbers, *model.schema.categories)]
    texts = [name for name in ("name", "artists") if name in reasons[0]]
    texts = texts or [name for name in model.labels if name in reasons[0]]
    for (_, prediction), why in zip(predictions.iterrows(), reasons, strict=True):
        named = [str(prediction[name]) for name in texts if name in prediction]
        title = f"{' | '.join(named)}: " if named else ""
        title += f"{target} {_show(prediction[f'predicted_{target}'])}"
        if f"lower_{target}" in prediction:
            title += f", from {prediction[f'lower_{target}']:.3f} to {prediction[f'upper_{target}']:.3f}"
        console.print(title, style="bold")
        table = Table(box=None, pad_edge=False)
        for heading in (*texts, target, "weight", "distance", "differs in"):
            is_text = heading in (*texts, "differs in")
            table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
        for _, neighbor in why.iterrows():
            table.add_row(
                *(str(neighbor[name]) for name in texts),
                _show(neighbor[target]),
                f"{neighbor['weight']:.1%}",
                f"{neighbor['distance']:.3f}",
                _name_differences(neighbor[columns]),
            )
        console.print(table)
        console.print()


def _name_differences(shares: Any) -> str:
    """Name the columns that make up most of a distance."""
    largest = shares.astype(float).sort_values(ascending=False, kind="stable").head(_N_SHARES)
    return ", ".join(f"{name} {share:.0%}" for name, share in largest.items() if share > 0) or "equal"
