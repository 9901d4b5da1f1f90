"""The notebook's figures beside this run's, as rows that the terminal and the page both show."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

__all__ = [
    "QUANTITIES",
    "SIDES",
    "ComparisonRow",
    "build_table",
    "compare_with_notebook",
    "compare_with_train_only",
    "format_difference",
    "format_value",
    "render_table",
    "tabulate_candidates",
    "tabulate_models",
]

SIDES = {"train": "train", "train_without_self": "train without self", "test": "test"}
"""The sides a model is evaluated on: key in the results, and words for it."""

QUANTITIES = {"r2": "R²", "rmse": "RMSE"}
"""The two scores: key in the results, and words for it."""

Value = int | float | None


class ComparisonRow(NamedTuple):
    """One figure of the notebook beside this run's.

    Parameters
    ----------
    step : str
        Step of the study: "base", "coarse search", "micro search" or "tuned".
    quantity : str
        What was measured, such as "test R²".
    notebook, this_run : int, float or None
        The two figures; None where there is none.
    difference : int, float or None
        This run minus the notebook; None where either is missing.
    """

    step: str
    quantity: str
    notebook: Value
    this_run: Value
    difference: Value


def compare_with_notebook(results: Mapping[str, Any]) -> tuple[ComparisonRow, ...]:
    """Set every figure of the study beside the one that the notebook printed.

    Parameters
    ----------
    results : mapping
        The study's results, shaped as `results.json`. A part that is missing gives no rows, or rows with None
        on its side.

    Returns
    -------
    tuple of ComparisonRow
        The base model, the coarse search, the micro search, the best of every k where that was scored, and the
        tuned model, in this order. Candidates
        of a search stand in the order of k.

    Examples
    --------
    >>> model = {"n_neighbors": 5, "test": {"r2": 0.75, "rmse": 0.125}}
    >>> notebook = {"base": {"n_neighbors": 5, "test": {"r2": 0.5, "rmse": 0.25}}}
    >>> compare_with_notebook({"base": model, "notebook": notebook})[1]
    ComparisonRow(step='base', quantity='test R²', notebook=0.5, this_run=0.75, difference=0.25)
    """
    notebook = results.get("notebook") or {}
    seconds = results.get("seconds") or {}
    minutes = {name: seconds[name] / 60 for name in ("coarse", "micro") if name in seconds}
    rows: list[ComparisonRow] = []
    rows += _compare_models("base", notebook.get("base"), results.get("base"))
    for name in ("coarse", "micro"):
        this_run = results.get(name)
        if this_run and name in minutes:
            this_run = {**this_run, "minutes": minutes[name]}
        rows += _compare_searches(f"{name} search", notebook.get(name), this_run)
    rows += _sum_up_curve(results.get("curve"))
    rows += _compare_models("tuned", notebook.get("tuned"), results.get("tuned"))
    return tuple(rows)


def compare_with_train_only(results: Mapping[str, Any]) -> tuple[ComparisonRow, ...]:
    """Set the study in the notebook's order beside the study without leakage.

    Parameters
    ----------
    results : mapping
        The study's results, with the part `honest`.

    Returns
    -------
    tuple of ComparisonRow
        The base and the tuned model; `notebook` holds the figures in the notebook's order, `this_run` those
        without leakage. Empty where the results have no part `honest`.
    """
    honest = results.get("honest")
    if not honest:
        return ()
    models = ("base", "tuned")
    return tuple(row for name in models for row in _compare_models(name, results.get(name), honest.get(name)))


def _subtract(value: Value, other: Value) -> Value:
    return None if value is None or other is None else value - other


def _make_row(step: str, quantity: str, values: tuple[Value, Value]) -> ComparisonRow:
    return ComparisonRow(step, quantity, *values, _subtract(values[1], values[0]))


def _drop_empty(rows: Iterable[ComparisonRow]) -> Iterator[ComparisonRow]:
    return (row for row in rows if row.notebook is not None or row.this_run is not None)


def _compare_models(
    step: str, notebook: Mapping[str, Any] | None, this_run: Mapping[str, Any] | None
) -> Iterator[ComparisonRow]:
    """Yield the number of neighbours and every score that either side has."""
    both = (notebook or {}, this_run or {})
    rows = [_make_row(step, "k", (both[0].get("n_neighbors"), both[1].get("n_neighbors")))]
    for side, side_words in SIDES.items():
        scores = [model.get(side) or {} for model in both]
        for name, words in QUANTITIES.items():
            rows.append(_make_row(step, f"{side_words} {words}", (scores[0].get(name), scores[1].get(name))))
    return _drop_empty(rows)


def _compare_searches(
    step: str, notebook: Mapping[str, Any] | None, this_run: Mapping[str, Any] | None
) -> Iterator[ComparisonRow]:
    """Yield the mean score of every candidate that either side tried, then the best and the minutes."""
    both = (notebook or {}, this_run or {})
    means = [dict(zip(s.get("n_neighbors", ()), s.get("mean_test_score", ()), strict=False)) for s in both]
    rows = [
        _make_row(step, f"mean R² at k = {k}", (means[0].get(k), means[1].get(k)))
        for k in sorted(means[0].keys() | means[1].keys())
    ]
    rows.append(_make_row(step, "best k", (both[0].get("best"), both[1].get("best"))))
    rows.append(_make_row(step, "minutes", (both[0].get("minutes"), both[1].get("minutes"))))
    return _drop_empty(rows)


def _sum_up_curve(curve: Mapping[str, Any] | None) -> Iterator[ComparisonRow]:
    """Yield the best of every k, which the notebook's two searches may pass by."""
    if curve:
        tried = list(curve["n_neighbors"])
        step = f"every k, {tried[0]} to {tried[-1]}"
        yield _make_row(step, "best k", (None, curve["best"]))
        yield _make_row(step, "mean R² there", (None, curve["mean_test_score"][tried.index(curve["best"])]))


def format_value(value: Value, *, quantity: str = "") -> str:
    """Write a figure as text: whole numbers as they are, scores to five places, minutes to two.

    Parameters
    ----------
    value : int, float or None
        The figure; None gives a dash.
    quantity : str, default=""
        What was measured.

    Returns
    -------
    str
        Text without a unit.

    Examples
    --------
    >>> format_value(0.1234567), format_value(13), format_value(None)
    ('0.12346', '13', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.2f}" if quantity == "minutes" else f"{value:.5f}"


def format_difference(value: Value, *, quantity: str = "") -> str:
    """Write a difference as text, with its sign; None gives a dash.

    Examples
    --------
    >>> format_difference(-0.25), format_difference(1), format_difference(0)
    ('-0.25000', '+1', '0')
    """
    text = format_value(value, quantity=quantity)
    return f"+{text}" if value is not None and value > 0 else text


def build_table(rows: Sequence[ComparisonRow]) -> Table:
    """Build the table for a terminal.

    Parameters
    ----------
    rows : sequence of ComparisonRow
        What `compare_with_notebook` returns.

    Returns
    -------
    rich.table.Table
        One line for each row, a rule between steps. Print it with a `rich.console.Console`.
    """
    table = Table(title="Notebook beside this run", title_justify="left", caption_justify="left")
    table.caption = "difference = this run - notebook; - where there is no figure"
    table.add_column("step")
    table.add_column("quantity")
    for name in ("notebook", "this run", "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for number, row in enumerate(rows):
        last = number + 1 == len(rows) or rows[number + 1].step != row.step
        first = number == 0 or rows[number - 1].step != row.step
        figures = [format_value(value, quantity=row.quantity) for value in (row.notebook, row.this_run)]
        difference = format_difference(row.difference, quantity=row.quantity)
        table.add_row(row.step if first else "", row.quantity, *figures, difference, end_section=last)
    return table


def render_table(rows: Sequence[ComparisonRow], *, width: int = 100) -> str:
    """Write the table as plain text.

    Parameters
    ----------
    rows : sequence of ComparisonRow
        What `compare_with_notebook` returns.
    width : int, default=100
        Most columns of text, at least 1.

    Returns
    -------
    str
        Lines that end in a newline, without colours.
    """
    console = Console(file=io.StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(build_table(rows), markup=False)
    return capture.get()


def tabulate_candidates(rows: Sequence[Mapping[str, Any]], scoring: str, varied: Sequence[str] = ()) -> Table:
    """Build the table of a search's candidates for a terminal.

    Parameters
    ----------
    rows : sequence of mappings
        `n_neighbors`, `weights`, `mean_test_score` and `std_test_score` of each candidate, and what is varied.
    scoring : str
        The scorer's name.
    varied : sequence of str, default=()
        What else differs between candidates; each gets a column.

    Returns
    -------
    rich.table.Table
        One line for each candidate, the best in bold.
    """
    table = Table(title="Every candidate, from one search per fold")
    for name in ("k", "weights", *varied, f"mean {scoring}", "sd over folds"):
        table.add_column(
            name.replace("_", " "), justify="left" if name in {"weights", "scaler", "without"} else "right"
        )
    best = max(rows, key=lambda row: row["mean_test_score"])
    for row in rows:
        figures = (f"{row['mean_test_score']:.5f}", f"{row['std_test_score']:.5f}")
        others = [str(row[name]) for name in varied]
        style = "bold" if row is best else None
        table.add_row(str(row["n_neighbors"]), str(row["weights"]), *others, *figures, style=style)
    return table


def tabulate_models(models: Mapping[str, Mapping[str, Any]], missing: Mapping[str, str] | None = None) -> Table:
    """Build the table of models beyond the notebook for a terminal.

    Parameters
    ----------
    models : mapping of str to mapping
        The part `beyond` of `results.json`.
    missing : mapping of str to str or None
        What to do about each library whose models are missing.

    Returns
    -------
    rich.table.Table
        One line for each model, the least RMSE of the test rows in bold; below it, what is missing.
    """
    table = Table(title="Beyond the notebook, on the same rows", title_justify="left", caption_justify="left")
    table.box, table.pad_edge, table.padding = None, False, (0, 1, 0, 0)  # so that 80 columns hold it
    absent = "".join(f"\nnot compared: {name} ({advice})" for name, advice in (missing or {}).items())
    table.caption = "± half of the 95 % interval of the test RMSE, by bootstrap over test rows" + absent
    table.add_column("model", no_wrap=True)
    for name in ("cv RMSE", "test RMSE", "±", "test R²", "seconds"):
        table.add_column(name, justify="right")
    best = min(models, key=lambda name: models[name]["test"]["rmse"])
    for name, model in models.items():
        cv_rmse, rmse, r2 = (f"{value:.5f}" for value in (model["cv_rmse"], model["test"]["rmse"], model["test"]["r2"]))
        half = (model["test_rmse"]["high"] - model["test_rmse"]["low"]) / 2
        shown = (cv_rmse, rmse, f"{half:.5f}", r2)
        table.add_row(name, *shown, f"{model['seconds']:.1f}", style="bold" if name == best else None)
    return table
