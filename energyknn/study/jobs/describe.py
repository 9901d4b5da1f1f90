"""What the columns of a file are: a data file in, roles and reasons out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from energyknn._shared.showing import in_one_line
from energyknn.loading.names import list_some
from energyknn.roles import guess_roles
from energyknn.study.column_choices import ColumnChoices
from energyknn.study.dataset import find_columns, read_rows
from energyknn.study.reporting.column_table import tabulate_columns
from energyknn.study.spotify_files import TEXT_COLUMNS, recognise_tracks


@in_one_line
@dataclass(frozen=True)
class Description:
    """What `describe` found.

    Attributes
    ----------
    results : dict
        For JSON: `path`, `rows`, `target`, `columns` with name, role, why and the number of empty cells, and `notes`.
    table : rich.table.Table
        The columns.
    choices : ColumnChoices
        The roles, to be written to a file and changed there.
    """

    results: dict[str, Any]
    table: Any
    choices: ColumnChoices


def describe(data: Path, choices: ColumnChoices, **reading: Any) -> Description:
    """Describe the columns of a data file.

    Parameters
    ----------
    data : Path
        The file.
    choices : ColumnChoices
        What the user says about its columns. Without a target, roles are found without one.
    **reading
        `sep`, `decimal` and `encoding` for `energyknn.loading.read_file`.

    Returns
    -------
    Description
        Roles, reasons and empty cells.

    Raises
    ------
    DataFileError
        If the file cannot be read.
    """
    content = read_rows(data, texts=TEXT_COLUMNS if choices.target is None else (), **reading)
    raw, notes, task = content.table, list(content.notes), choices.task
    if choices.target is None and recognise_tracks(raw) is None:
        guesses = guess_roles(raw)
        roles: dict[str, str | None] = {name: guess.role for name, guess in guesses.items()}
        reasons = {name: guess.reason for name, guess in guesses.items()}
        notes.append("No column to predict is named: add --target NAME.")
        target = None
    else:
        columns = find_columns(raw, choices, source=data.name)
        raw, schema = columns.table, columns.schema
        notes += columns.notes
        target = schema.target
        named = {column.name: column.role for column in schema.columns}
        roles = {name: named.get(name) for name in raw.columns}
        said = _OF_TRACKS if choices.target is None else _SAID
        reasons = {name: columns.reasons.get(name, said if name in named else _NOT_SAID) for name in raw.columns}
        task = "classify" if schema.classifies else "regress"
    empty = raw.isna().sum()
    gaps = [f"{name} {empty[name]:,}" for name, role in roles.items() if role not in (None, "text") and empty[name]]
    if gaps and choices.missing == "refuse":
        listed = list_some(gaps)
        notes.append(f"Empty cells ({listed}): add --missing median to fill them, or --missing drop to leave rows out.")
    rows = [
        {"name": str(name), "role": role, "why": reasons[name], "empty": int(empty[name])}
        for name, role in roles.items()
    ]
    found = {name: role or "ignore" for name, role in roles.items() if name != target}
    results = {
        "path": str(data),
        "rows": len(raw),
        "target": target,
        "task": task if target else None,
        "columns": rows,
        "notes": notes,
    }
    return Description(results, tabulate_columns(rows, target), replace(choices, target=target, roles=found))


_SAID, _NOT_SAID, _OF_TRACKS = "as named", "not named: left out", "as in the notebook's file"
