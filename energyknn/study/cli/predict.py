"""energyknn predict: a saved model on new rows, with intervals and reasons."""

from __future__ import annotations

import argparse
import sys
import warnings
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from energyknn.study.cli import options as shared
from energyknn.study.cli.showing import count, open_console, write_json, write_note

_MOST_EXPLAINED = 1000  # rows
_USUAL = 0  # --why without a number: as many training rows as the model explains by itself

SUMMARY = "predict the rows of a file with a saved model"
DESCRIPTION = (
    "Predict the rows of a data file with a model that `energyknn fit` wrote. The file needs the model's columns; the "
    "target and text may be missing. Predictions stand beside the columns that name the rows, or beside row numbers, "
    "which count from 0."
)
EXAMPLES = (
    "energyknn predict --model energy.safetensors --data new.csv --out predicted.csv",
    "energyknn predict --model energy.safetensors --data new.csv --why 3",
    "energyknn predict --model energy.safetensors --data new.csv --quantiles 0.1,0.5,0.9",
    "energyknn predict --model energy.safetensors --data - < new.csv",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    text = "a model's file, or a folder with model.safetensors"
    shared.add_option(command, "--model", "MODEL", text, type=Path, required=True)
    shared.add_data(command, required=True)
    shared.add_table_out(command)
    text = "share of targets that the intervals cover"
    shared.add_option(command, "--coverage", "C", text, type=float, shown="that of the model, 0.9 as a rule")
    text = "shares of targets, such as 0.1,0.5,0.9: adds a column for each, the value that they lie below"
    shared.add_option(command, "--quantiles", "SHARES", text, shown="none")
    text = "values, such as 300000: adds a column for each, how likely the target is at most that"
    shared.add_option(command, "--at-most", "VALUES", text, shown="none")
    text = "instead of CSV, show the N training rows that count most in a prediction, and where they differ from it"
    shared.add_option(command, "--why", "N", text, type=int, nargs="?", const=_USUAL, shown="5, or all there are")
    shared.add_json(command, "print one JSON object with every prediction instead of CSV")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn._shared.saving import save_table
    from energyknn.modelfile import load_model

    model = load_model(options.model)
    with shared.take_data(options):
        predictions, reasons = _predict(model, options)
    if options.out is not None:
        save_table(predictions, options.out)
        write_note(options, f"Predictions of {count(len(predictions), 'row')} written to {options.out}")
    if options.json:
        write_json(_list_predictions(model, predictions, reasons))
    elif reasons is not None:
        _print_reasons(model, predictions, reasons)
    elif options.out is None:
        predictions.to_csv(sys.stdout, index=False)


def _predict(model: Any, options: argparse.Namespace) -> tuple[Any, Reasons | None]:
    """Return a table of predictions beside what names the rows, and the reasons if they are asked for."""
    from energyknn.modelfile.model import tabulate_predictions

    schema, latest_year = model.schema, date.today().year
    content = _read_rows(schema, options)
    if options.why is not None and len(content.table) > _MOST_EXPLAINED:
        message = f"--why explains up to {_MOST_EXPLAINED} rows, and the file has {len(content.table)}. Give it fewer"
        raise shared.UserError(message)
    asked: dict[str, Any] = {"coverage": options.coverage}
    for name in ("quantiles", "at_most"):
        if (text := getattr(options, name)) is not None:
            asked[name] = shared.parse_numbers(text, float, name=name.replace("_", "-"))
    predictions = tabulate_predictions(model, content.table, **asked, latest_year=latest_year, source=options.data.name)
    for note in content.notes:
        write_note(options, note)
    if not any(name in predictions for name in schema.texts):
        known = {name.casefold() for name in schema.names}
        others = {name for name in content.columns if name.strip().casefold() not in known}
        predictions = _read_names(options, others, len(predictions)).join(predictions)
    if options.why is None:
        return predictions, None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the rows have been predicted: what there is to warn of was told
        rows = model.check(content.table, latest_year=latest_year)
        own = rows[[*schema.numbers, *schema.categories]].astype(object).to_dict(orient="records")
        explanation = model.explain(content.table, n_neighbors=options.why or None, latest_year=latest_year)
        return predictions, Reasons(explanation, own)


def _read_rows(schema: Any, options: argparse.Namespace) -> Any:
    """Return the rows to predict. For a model of tracks their columns may have other names and units."""
    from energyknn.loading import FileContent, read_file
    from energyknn.study.notebook import SPOTIFY
    from energyknn.study.spotify_files import TEXT_COLUMNS, recognise_tracks

    if not set(schema.columns) <= set(SPOTIFY.columns):
        return read_file(options.data, names=schema.names, texts=schema.texts, **shared.read_format(options))
    content = read_file(options.data, texts=TEXT_COLUMNS, **shared.read_format(options))
    found = recognise_tracks(content.table, with_target=False)
    return content if found is None else FileContent(found.table, (*content.notes, *found.notes), content.columns)


def _read_names(options: argparse.Namespace, columns: set[str], n_rows: int) -> Any:
    """Return the columns of a file that name its rows: text or whole numbers, each another. If none do, row numbers."""
    import pandas as pd

    from energyknn.loading import read_file

    if not columns:
        return pd.DataFrame({"row": range(n_rows)})
    table = read_file(options.data, names=sorted(columns), **shared.read_format(options)).table
    types = pd.api.types
    named = [
        name
        for name, values in table.items()
        if values.is_unique
        and (types.is_string_dtype(values) or types.is_integer_dtype(values))
        and values.notna().all()
    ]
    return table[named] if named else pd.DataFrame({"row": range(n_rows)})


def _list_reasons(model: Any, explanation: Any, query: int) -> list[dict[str, Any]]:
    """List the training rows behind a prediction: names, target, weight, distance, shares in it and own values."""
    rows = explanation.indices[query]
    names = model.name_rows(rows).to_dict(orient="records") or [{}] * len(rows)
    values = model.show_rows(rows).to_dict(orient="records")
    targets = _name_targets(model, rows)
    return [
        {
            "training_row": int(row),
            **names[place],
            model.schema.target: targets[place],
            "weight": float(explanation.weights[query, place]),
            "distance": float(explanation.distances[query, place]),
            "shares": dict(zip(explanation.columns, explanation.shares[query, place].tolist(), strict=True)),
            "values": values[place],
        }
        for place, row in enumerate(rows)
    ]


def _name_targets(model: Any, rows: Any) -> list[Any]:
    """Return the targets of training rows: labels where the target is a class."""
    targets = model.targets[rows]
    found = model.estimator.classes_[targets.astype(int)] if model.schema.classifies else targets
    return list(found.tolist())


class Reasons(NamedTuple):
    """Why a model predicts what it does, and the values of the rows that it predicts."""

    explanation: Any
    own: list[dict[str, Any]]


def _list_predictions(model: Any, predictions: Any, reasons: Reasons | None) -> dict[str, Any]:
    """Return what --json prints."""
    records = predictions.to_dict(orient="records")
    if reasons is not None:
        for query, record in enumerate(records):
            record["values"] = reasons.own[query]
            record["extrapolated"] = bool(reasons.explanation.extrapolated[query])
            record["why"] = _list_reasons(model, reasons.explanation, query)
    return {"target": model.schema.target, "rows": len(records), "predictions": records}


def _print_reasons(model: Any, predictions: Any, found: Reasons) -> None:
    """Print a table under each prediction, and what there is to say about it."""
    from energyknn.study.reporting.reasons import describe_values, describe_weights, tabulate_reasons

    console, target = open_console(), model.schema.target
    names = list(predictions)[: list(predictions).index(f"predicted_{target}")]
    for query, prediction in enumerate(predictions.to_dict(orient="records")):
        reasons = _list_reasons(model, found.explanation, query)
        console.print(_title(prediction, _choose_names(names), target), style="bold")
        if values := describe_values(reasons, found.own[query]):
            console.print(values)
        console.print(tabulate_reasons(reasons, target, _choose_names(list(model.labels))))
        for line in describe_weights(reasons, extrapolated=bool(found.explanation.extrapolated[query])):
            console.print(line)
        console.print()


def _choose_names(names: list[str]) -> list[str]:
    """Choose the columns that name a row on the screen: a track's name and artists, or all there are."""
    return [name for name in ("name", "artists") if name in names] or names


def _title(prediction: Any, names: list[str], target: str) -> str:
    """Name a row, what is predicted for it, and its interval."""
    from energyknn.study.reporting.reasons import show_value

    named = " | ".join(f"row {prediction[name]}" if name == "row" else str(prediction[name]) for name in names)
    title = f"{named}: {target} {show_value(prediction[f'predicted_{target}'])}"
    if f"lower_{target}" in prediction:
        low, high = (show_value(prediction[f"{word}_{target}"]) for word in ("lower", "upper"))
        title += f", from {low} to {high}"
    return title
