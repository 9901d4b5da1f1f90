"""What each column of a file is, as a table for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

_MOST = 40  # lines of a table that stands before a result
_FIRST = 30


def tabulate_columns(columns: Sequence[Mapping[str, Any]], target: str | None, *, folded: bool = False) -> Table:
    """Build the table of a file's columns.

    Parameters
    ----------
    columns : sequence of mappings
        For each column `name`, `role` (None where it is left out) and `why`.
    target : str or None
        The column to predict.
    folded : bool, default=False
        Whether the first columns and the target stand for more than 40, with a line that counts the others by role.

    Returns
    -------
    rich.table.Table
        One line for each column: the target in bold, those that are left out dimmed.
    """
    n_shown = _FIRST if folded and len(columns) > _MOST else len(columns)
    rest = [column for column in columns[n_shown:] if column["name"] != target]
    shown = [column for column in columns if column not in rest]
    table = Table(box=None, pad_edge=False)
    for heading in ("column", "role", "why"):
        table.add_column(heading, overflow="fold")
    for column in shown:
        style = "dim" if column["role"] is None else "bold" if column["name"] == target else None
        table.add_row(" ".join(column["name"].split()), column["role"] or "-", column["why"], style=style)
    if rest:
        counts = Counter(column["role"] or "left out" for column in rest)
        roles = ", ".join(f"{count:,} {role}" for role, count in counts.items())
        table.add_row(f"and {len(rest):,} more", "", f"{roles}: `energyknn describe` shows all", style="dim")
    return table
