"""Figures as rows that the terminal and the page both show: the notebook beside this run, or models side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from energyknn.study.reporting.words import Value, Words, write_number
from energyknn.study.results import Analyses, ComparedModel, Results

SIDES = {"train": "train", "train_without_self": "train without self", "test": "test"}
"""The rows that a model is scored on: key in the results, and words for it."""

QUANTITIES = {"r2": "R²", "rmse": "RMSE"}
"""The two scores: key in the results, and words for it."""

_CLASS_SCORES = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
    "roc_auc": "ROC AUC",
}


class ComparisonRow(NamedTuple):
    """One figure of the notebook beside this run's; None where there is none.

    Attributes
    ----------
    step : str
        Step of the study: "base", "coarse search", "micro search", "every k, ..." or "tuned".
    quantity : str
        What was measured, such as "test R²".
    notebook, this_run : int, float or None
        The two figures.
    """

    step: str
    quantity: str
    notebook: Value
    this_run: Value

    @property
    def difference(self) -> Value:
        """The figure of this run minus that of the notebook; None where either is missing."""
        return None if self.notebook is None or self.this_run is None else self.this_run - self.notebook


def compare_with_notebook(results: Results) -> tuple[ComparisonRow, ...]:
    """Set every figure of the study beside the one that the notebook printed.

    Parameters
    ----------
    results : Results
        The content of `results.json`.

    Returns
    -------
    tuple of ComparisonRow
        The base model, the coarse search, the micro search, the best of every k where that was scored, and the tuned
        model. The candidates of a search stand in ascending order.
    """
    notebook, seconds, curve = results["notebook"], results["seconds"], results.get("curve")
    rows = [*_compare_models("base", notebook["base"], results["base"])]
    rows += _compare_searches("coarse search", notebook["coarse"], results["coarse"], seconds["coarse"])
    rows += _compare_searches("micro search", notebook["micro"], results["micro"], seconds["micro"])
    if curve:
        step, tried = f"every k, {curve['n_neighbors'][0]} to {curve['n_neighbors'][-1]}", curve["n_neighbors"]
        rows.append(ComparisonRow(step, "best k", None, curve["best"]))
        rows.append(ComparisonRow(step, "mean R² there", None, curve["mean_test_score"][tried.index(curve["best"])]))
    return (*rows, *_compare_models("tuned", notebook["tuned"], results["tuned"]))


def compare_with_honest(results: Results) -> tuple[ComparisonRow, ...]:
    """Set the base and the tuned model (as `notebook`) beside those of the study without leaks (as `this_run`)."""
    honest = results.get("honest")
    if not honest:
        return ()
    return (
        *_compare_models("base", results["base"], honest["base"]),
        *_compare_models("tuned", results["tuned"], honest["tuned"]),
    )


def _compare_models(step: str, notebook: Mapping[str, Any], this_run: Mapping[str, Any]) -> Iterator[ComparisonRow]:
    """Yield the number of neighbours and every score that either side has."""
    yield ComparisonRow(step, "k", notebook["n_neighbors"], this_run["n_neighbors"])
    for side, words in SIDES.items():
        if side in notebook or side in this_run:
            for key, score in QUANTITIES.items():
                both = (model[side][key] if side in model else None for model in (notebook, this_run))
                yield ComparisonRow(step, f"{words} {score}", *both)


def _compare_searches(
    step: str, notebook: Mapping[str, Any], this_run: Mapping[str, Any], seconds: float
) -> Iterator[ComparisonRow]:
    """Yield the mean score of every candidate that either side scored, then the best and the minutes."""
    printed, means = (
        dict(zip(search["n_neighbors"], search.get("mean_test_score", ()), strict=False))
        for search in (notebook, this_run)
    )
    for k in sorted(printed.keys() | means.keys()):
        yield ComparisonRow(step, f"mean R² at k = {k}", printed.get(k), means.get(k))
    yield ComparisonRow(step, "best k", notebook["best"], this_run["best"])
    yield ComparisonRow(step, "minutes", notebook.get("minutes"), seconds / 60)


def format_value(value: Value, *, quantity: str = "") -> str:
    """Write a figure as text: whole numbers as they are, scores to five places, minutes to two, None as a dash.

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


def format_score(value: Value) -> str:
    """Write a score as text, to four places; None gives a dash.

    Examples
    --------
    >>> format_score(0.98765), format_score(None)
    ('0.9877', '-')
    """
    return "-" if value is None else f"{value:.4f}"


def group_by_step(rows: Sequence[ComparisonRow]) -> list[tuple[str, list[ComparisonRow]]]:
    """Return each step with its rows, in their order."""
    return [(step, list(group)) for step, group in groupby(rows, key=lambda row: row.step)]


def build_table(
    rows: Sequence[ComparisonRow],
    *,
    title: str = "Notebook beside this run",
    names: tuple[str, str] = ("notebook", "this run"),
) -> Table:
    """Build the table of two studies side by side for a terminal, with a rule between steps.

    Parameters
    ----------
    rows : sequence of ComparisonRow
        The figures.
    title : str
        What stands above the table.
    names : tuple of two str
        What the two columns of figures are called.

    Returns
    -------
    rich.table.Table
        One line for each row.
    """
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.caption = f"difference = {names[1]} - {names[0]}; - where there is no figure"
    table.add_column("step")
    table.add_column("quantity")
    for name in (*names, "difference"):
        table.add_column(name, justify="right", no_wrap=True)
    for step, group in group_by_step(rows):
        table.add_section()
        for row in group:
            figures = [format_value(value, quantity=row.quantity) for value in (row.notebook, row.this_run)]
            difference = format_difference(row.difference, quantity=row.quantity)
            table.add_row(step if row is group[0] else "", row.quantity, *figures, difference)
    return table


class ScoreLine(NamedTuple):
    """A score of each model, as text."""

    score: str
    figures: tuple[str, ...]


class ScoreSheet(NamedTuple):
    """The names of the models, and a line for each score."""

    models: tuple[str, ...]
    lines: tuple[ScoreLine, ...]


def list_scores(figures: Mapping[str, Any], words: Words) -> ScoreSheet:
    """Set the baseline, the base model and the tuned model of a study of other columns side by side.

    Parameters
    ----------
    figures : mapping
        `NumberResults`, `ClassResults`, or the second study of the first.
    words : Words
        The target's unit.

    Returns
    -------
    ScoreSheet
        Every score on every side. A dash stands for what is not defined.
    """
    baseline, base, tuned = (figures[name] for name in ("baseline", "base", "tuned"))
    is_number = "rmse" in tuned["test"]
    scores = {"r2": "R²", "rmse": words.with_unit("RMSE")} if is_number else _CLASS_SCORES
    models = (
        "mean" if is_number else "most frequent",
        f"k = {base['n_neighbors']}",
        f"tuned, k = {tuned['n_neighbors']}",
    )
    lines = []
    for side, of in SIDES.items():
        for key, name in scores.items():
            write = write_number if key == "rmse" else format_score
            values = [model.get(side, {}).get(key) for model in (baseline, base, tuned)]
            lines.append(ScoreLine(f"{of} {name}", tuple(map(write, values))))
    return ScoreSheet(models, tuple(lines))


def tabulate_scores(sheet: ScoreSheet, *, title: str) -> Table:
    """Build the table of models side by side for a terminal, with a rule between the sides of the split."""
    table = Table(title=Text(title), title_justify="left")
    table.add_column("score")
    for model in sheet.models:
        table.add_column(model, justify="right")
    for number, line in enumerate(sheet.lines):
        if number % (len(sheet.lines) // len(SIDES)) == 0:
            table.add_section()
        table.add_row(Text(line.score), *line.figures)
    return table


def list_notes(analyses: Analyses) -> list[str]:
    """List what was not compared, what the budget made smaller, and what it or an interrupt left out."""
    left_out = analyses["left_out"]
    smaller = [f"{name}: {words}" for name, words in analyses["reduced"].items() if name not in left_out]
    return [*_group_notes("not compared", analyses["missing"]), *smaller, *_group_notes("left out", left_out)]


def _group_notes(what: str, reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each reason, with all that it is the reason for."""
    return [
        f"{what}: {'; '.join(name for name, given in reasons.items() if given == why)} ({why})"
        for why in dict.fromkeys(reasons.values())
    ]


def tabulate_models(
    models: Mapping[str, ComparedModel],
    notes: Sequence[str] = (),
    *,
    title: str = "Beyond the notebook, on the same rows",
) -> Table:
    """Build the table of models beyond the notebook for a terminal.

    Parameters
    ----------
    models : mapping of str to ComparedModel
        The part `beyond` of `results.json`.
    notes : sequence of str, default=()
        Lines under the table, as of `list_notes`.
    title : str
        What stands above the table.

    Returns
    -------
    rich.table.Table
        One line for each model, that with the least test RMSE in bold.
    """
    table = Table(title=title, title_justify="left", caption_justify="left")
    table.box, table.pad_edge, table.padding = None, False, (0, 1, 0, 0)  # so that 80 columns hold it
    measure = "± half of the 95 % interval of the test RMSE, by bootstrap over test rows"
    table.caption = Text("\n".join((measure, *notes)))
    table.add_column("model", no_wrap=True)
    for name in ("cv RMSE", "test RMSE", "±", "test R²", "seconds"):
        table.add_column(name, justify="right")
    best = min(models, key=lambda name: models[name]["test"]["rmse"])
    for name, model in models.items():
        half = (model["test_rmse"]["high"] - model["test_rmse"]["low"]) / 2
        figures = (*map(write_number, (model["cv_rmse"], model["test"]["rmse"], half)), f"{model['test']['r2']:.5f}")
        style = "bold" if name == best else None
        table.add_row(name, *figures, f"{model['seconds']:.1f}", style=style)
    return table
