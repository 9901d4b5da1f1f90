"""What `tune` found, as a table of the best candidates and a few sentences."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

_SETTINGS = ("p", "mismatch_cost", "scaler", "without")
_PLAIN = ("numbers as they are", "all columns")
"""Settings that the table leaves out, so that it fits narrow terminals."""

_CHANCE = 0.05  # a p-value below it is told
_NAMES = {"r2": "R²"}


def tabulate_candidates(results: Mapping[str, Any], top: int | None = None) -> Table:
    """Build the table of the best candidates for a terminal.

    Parameters
    ----------
    results : mapping
        What `tune` found.
    top : int or None, default=None
        How many candidates to show; None for all.

    Returns
    -------
    rich.table.Table
        One line for each candidate, the best first and in bold. Figures are never cut; settings break at words.
    """
    rows, varied = results["candidates"], list_varied(results["candidates"])
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for heading in ("k", f"mean {name_scoring(results['scoring'])}", "sd over folds"):
        table.add_column(heading, justify="right", min_width=max(map(len, heading.split())))
    table.add_column("weights" if not varied else "settings")
    for place, row in enumerate(rank(rows)[:top]):
        figures = [str(row["n_neighbors"]), *(format_score(row[f"{name}_test_score"]) for name in ("mean", "std"))]
        settings = ", ".join([row["weights"], *(name for name in _name_settings(row, varied) if name not in _PLAIN)])
        table.add_row(*figures, settings, style="bold" if place == 0 else None)
        for column, figure in zip(table.columns, figures, strict=False):
            column.min_width = max(column.min_width or 0, len(figure))
    return table


def describe_tuning(results: Mapping[str, Any]) -> list[str]:
    """Return what stands below the table, a sentence each, the best candidate last."""
    rows, best = results["candidates"], results["best"]
    varied = list_varied(rows)
    score = f"mean {name_scoring(results['scoring'])} {format_score(best['mean_test_score'])}"
    deviation = f"sd over {results['folds']} folds {format_score(best['std_test_score'])}"
    return [
        describe_smoothest(results, varied),
        *describe_edges(rows, best, results["rows_in_fold"]),
        f"Best: {describe_candidate(best, varied)}: {score} ({deviation}).",
    ]


def describe_candidate(row: Mapping[str, Any], varied: Sequence[str]) -> str:
    """Name a candidate by its k, its weights and the settings that differ between candidates."""
    return f"k = {row['n_neighbors']}, {name_setting(row, varied)}"


def name_setting(row: Mapping[str, Any], varied: Sequence[str]) -> str:
    """Name a candidate by its weights and the settings that differ between candidates, without its k."""
    return ", ".join([row["weights"], *_name_settings(row, varied)])


def name_scoring(scoring: str) -> str:
    """Name a scorer as the rest of the study does."""
    return _NAMES.get(scoring, scoring)


def format_score(value: float) -> str:
    """Write a score as text: five places, or seven digits of large ones.

    Examples
    --------
    >>> format_score(0.1234567), format_score(-58789.7136), format_score(float("nan"))
    ('0.12346', '-58789.71', 'failed')
    """
    if math.isnan(value):
        return "failed"
    return f"{value:.5f}" if abs(value) < 100 else f"{value:.7g}"


def rank(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort candidates by their mean score, the best first. Those that failed stand last."""
    means = [row["mean_test_score"] for row in rows]
    order = sorted(range(len(rows)), key=lambda number: (math.isnan(means[number]), -means[number]))
    return [rows[number] for number in order]


def list_varied(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the settings of the distance that differ between candidates."""
    return [name for name in _SETTINGS if any(row[name] != rows[0][name] for row in rows)]


def _name_settings(row: Mapping[str, Any], varied: Sequence[str]) -> list[str]:
    """Name the settings of a candidate that differ between candidates."""
    words = {
        "p": f"p = {row['p']}",
        "mismatch_cost": f"mismatch cost {row['mismatch_cost']:g}",
        "scaler": _PLAIN[0] if row["scaler"] == "as it is" else f"scaler {row['scaler']}",
        "without": f"without {', '.join(row['without'])}" if row["without"] else _PLAIN[1],
    }
    return [words[name] for name in varied]


def describe_smoothest(results: Mapping[str, Any], varied: Sequence[str]) -> str:
    """Say which candidate predicts nearly as well from the most neighbours."""
    smoothest = results["smoothest_within_one_standard_error"]
    if smoothest == results["best"]:
        return "No larger k comes within one standard error of the best."
    compared = results["best_minus_smoothest"]
    score = f"mean {name_scoring(results['scoring'])} {format_score(smoothest['mean_test_score'])}"
    lower = f"{format_score(compared['difference'])} lower"
    if compared["p_value"] < _CHANCE:
        lower += f", more than chance explains (p-value {compared['p_value']:.2g})"
    named = describe_candidate(smoothest, varied)
    return f"Largest k within one standard error of the best: {named}: {score}, {lower}."


def describe_edges(rows: Sequence[Mapping[str, Any]], best: Mapping[str, Any], most: int) -> list[str]:
    """Say where the best value is the smallest or the largest that was tried, and what to try next.

    Parameters
    ----------
    rows : sequence of mappings
        The candidates.
    best : mapping
        The best of them.
    most : int
        The largest k that can be tried: the rows that are searched in the smallest fold.

    Returns
    -------
    list of str
        A sentence for each such value.

    Examples
    --------
    >>> rows = [{"n_neighbors": k, "mismatch_cost": 8.0} for k in range(1, 52)]
    >>> describe_edges(rows, rows[-1], 1200)
    ['k = 51 is the largest that was tried: try --n-neighbors 40:150.']
    """
    k, cost = best["n_neighbors"], best["mismatch_cost"]
    tried = sorted({row["n_neighbors"] for row in rows})
    costs = sorted({row["mismatch_cost"] for row in rows})
    lines = []
    if len(tried) > 1 and k == tried[-1] and k < most:
        lines.append(f"k = {k} is the largest that was tried: try --n-neighbors {_widen(k, most)}.")
    if len(tried) > 1 and k == tried[0] > 1:
        lines.append(f"k = {k} is the smallest that was tried: try --n-neighbors 1:{k}.")
    if len(costs) > 1 and cost == costs[-1]:
        more = f"--mismatch-cost {cost:g},{2 * cost:g},{4 * cost:g}"
        lines.append(f"A mismatch cost of {cost:g} is the largest that was tried: try {more}.")
    if len(costs) > 1 and cost == costs[0] > 0:
        less = f"--mismatch-cost {cost:g},{cost / 4:g},0"
        lines.append(f"A mismatch cost of {cost:g} is the smallest that was tried: try {less}.")
    return lines


def _widen(k: int, most: int) -> str:
    """Return a range around a k that goes to three times its size, rounded to two digits."""
    return f"{4 * k // 5}:{min(int(float(f'{3 * k:.2g}')), most)}"


def name_fit(results: Mapping[str, Any], saved: str) -> str:
    """Return the command that fits the best candidate, saved in a file, on the same data."""
    path = results["data"]["path"]
    return shlex.join(["energyknn", "fit", "--data", "FILE" if path == "-" else path, "--from", saved])
