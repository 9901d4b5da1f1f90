"""The rows that do not fit, as a table for a terminal, and how well wrong targets are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from energyknn.study.reporting.reasons import show_value


def tabulate_audit(rows: Sequence[Mapping[str, Any]], target: str) -> Table:
    """Build the table of rows that do not fit.

    Parameters
    ----------
    rows : sequence of mappings
        As `energyknn.auditing.audit_table` lists them.
    target : str
        Name of the target.

    Returns
    -------
    rich.table.Table
        One line for each row. The columns that name it come last: a track's name and artists, or all there are.
    """
    number, named = next(iter(rows[0])), choose_names(list(rows[0]))
    figures = [target, *(f"{word}_{target}" for word in ("neighbors", "misfit", "value"))]
    table = Table(box=None, pad_edge=False)
    for heading in ("row", target, "neighbours say", "misfit", "value"):
        table.add_column(heading, justify="right", overflow="fold")
    for name in named:
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for row in rows:
        shown = (str(row[number]), *(show_value(row[name]) for name in figures[:3]), f"{row[figures[3]]:.3g}")
        table.add_row(*shown, *(" ".join(str(row[name]).split()) for name in named))
    return table


def choose_names(columns: Sequence[str]) -> list[str]:
    """Choose the columns of the list that name a row: a track's name and artists, or all that there are."""
    named = list(columns)[1:-4]
    return [name for name in ("name", "artists") if name in named] or named


def describe_test(spoilt: Mapping[str, Any]) -> str:
    """Say how many of the rows that were spoilt on purpose were found.

    Examples
    --------
    >>> describe_test({"rows": 100, "found": 47, "by_chance": 0.05})
    'Test: 100 rows swapped their targets. Of the 100 rows that then fit least, 47 were among them; by chance it is 5.'
    >>> describe_test({"rows": 0, "found": 0, "by_chance": 0.0})
    'How well this finds wrong targets was not tested.'
    """
    n_rows, n_found = spoilt["rows"], spoilt["found"]
    if not n_rows:
        return "How well this finds wrong targets was not tested."
    return (
        f"Test: {n_rows:,} rows swapped their targets. Of the {n_rows:,} rows that then fit least, {n_found:,} were "
        f"among them; by chance it is {n_rows * spoilt['by_chance']:,.0f}."
    )
