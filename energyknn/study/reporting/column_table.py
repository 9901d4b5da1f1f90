"""What each column of a file is, as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table


def tabulate_columns(columns: Sequence[Mapping[str, Any]], target: str | None) -> Table:
    """Build the table of a file's columns.

    Parameters
    ----------
    columns : sequence of mappings
        For each column `name`, `role` (None where it is left out) and `why`.
    target : str or None
        The column to predict.

    Returns
    -------
    rich.table.Table
        One line for each column: the target in bold, those that are left out dimmed.
    """
    table = Table(box=None, pad_edge=False)
    for heading in ("column", "role", "why"):
        table.add_column(heading, overflow="fold")
    for column in columns:
        style = "dim" if column["role"] is None else "bold" if column["name"] == target else None
        table.add_row(" ".join(column["name"].split()), column["role"] or "-", column["why"], style=style)
    return table
