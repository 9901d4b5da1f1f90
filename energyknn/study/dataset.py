"""A data file as a study uses it: its checked rows, what each column is, and how it was read."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import pandas as pd

from energyknn._shared.showing import in_one_line
from energyknn.errors import DataFileError
from energyknn.loading import FileContent, check_content, hash_file, load_table, read_file, sample_path
from energyknn.loading.names import describe_matches, list_some, match_names
from energyknn.roles import guess_schema
from energyknn.schema import Schema, make_schema
from energyknn.study.column_choices import ROLES, ColumnChoices, Missing
from energyknn.study.notebook import SPOTIFY
from energyknn.study.spotify_files import TEXT_COLUMNS, recognise_tracks


@in_one_line
@dataclass(frozen=True, eq=False)
class Dataset:
    """A data file as a study uses it.

    Parameters
    ----------
    path : str
        The file as the user named it; the name alone for the sample.
    sha256 : str
        Its checksum.
    schema : Schema
        What each column is.
    table : DataFrame of shape (n_rows, n_columns)
        The checked rows.
    arguments : tuple of str
        The words on the command line that read the same rows again, without the command.
    notes : tuple of str
        What was found out about the file or changed in it, a sentence each.
    reasons : mapping of str to str
        Why each column of the file has its role, or none. Empty where the user named all roles.
    """

    path: str
    sha256: str
    schema: Schema
    table: pd.DataFrame = field(repr=False)
    arguments: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_notebooks(self) -> bool:
        """Whether the columns are the notebook's, so that its printed figures stand beside this file's."""
        return self.schema == SPOTIFY


def read_dataset(data: str | Path | None, schema: Schema = SPOTIFY, *, latest_year: int | None = None) -> Dataset:
    """Read a data file whose columns are known. None reads the sample."""
    path = sample_path() if data is None else Path(data)
    table = load_table(path, schema, latest_year=latest_year)
    named = path.name if data is None else str(data)
    arguments = () if data is None else ("--data", str(data))
    return Dataset(named, hash_file(path), schema, table, arguments)


def recognise_dataset(
    data: Path | None,
    choices: ColumnChoices,
    *,
    latest_year: int | None = None,
    **reading: Any,
) -> Dataset:
    """Read a data file, and find out what the user does not say about its columns.

    Parameters
    ----------
    data : Path or None
        The file. None takes the sample.
    choices : ColumnChoices
        What the user says. Without a target, the file must hold tracks, as the notebook's file does.
    latest_year : int or None, default=None
        The last calendar year that the file may hold. None allows any.
    **reading
        `sep`, `decimal` and `encoding` for `energyknn.loading.read_file`.

    Returns
    -------
    Dataset
        The checked rows. Numbers and categories may be missing where `choices.missing` is "median".

    Raises
    ------
    DataFileError
        If the file cannot be read or used.
    """
    path = sample_path() if data is None else data
    texts = TEXT_COLUMNS if choices.target is None else choices.list_names("text")
    content = read_rows(path, texts, **reading)
    columns = find_columns(content.table, choices, source=path.name)
    table, words = _treat_empty(columns.table, columns.schema, choices.missing, source=path.name)
    checked = check_content(
        FileContent(table, (*content.notes, *columns.notes, *words), content.columns),
        columns.schema,
        latest_year=latest_year,
        missing="keep" if choices.missing == "median" else "refuse",
        source=path.name,
    )
    said = [word for name, value in reading.items() if value for word in (f"--{name}", value)]
    return Dataset(
        path=path.name if data is None else str(data),
        sha256=hash_file(path),
        schema=columns.schema,
        table=checked.table,
        arguments=(*(() if data is None else ("--data", str(data))), *said, *choices.arguments),
        notes=checked.notes,
        reasons=columns.reasons,
    )


def read_rows(path: Path, texts: Collection[str], **reading: Any) -> FileContent:
    """Read every column of a file, and require a row."""
    content = read_file(path, texts=texts, **reading)
    if len(content.table) == 0:
        message = f"{path.name!r}: no rows below the header. It needs at least one row."
        raise DataFileError(message)
    return content


@in_one_line
class Columns(NamedTuple):
    """Raw rows, what each column is, sentences about it, and why columns have their roles."""

    table: pd.DataFrame
    schema: Schema
    notes: tuple[str, ...] = ()
    reasons: Mapping[str, str] = MappingProxyType({})


def find_columns(raw: pd.DataFrame, choices: ColumnChoices, *, source: str) -> Columns:
    """Find out what each column of raw rows is.

    Without a target, the rows must be tracks as in the notebook's file. Where the user names features, only those are
    used. Otherwise all columns are, each by its values.
    """
    if choices.target is None:
        return _find_tracks(raw, choices, source)
    matches = match_names(list(raw.columns), [choices.target, *choices.roles], source)
    raw = raw.rename(columns={name: wanted for wanted, name in matches.items()})
    named: dict[str, Any] = {option: choices.list_names(role) for role, option in ROLES.items()}
    features = [name for option in ("numbers", "categories", "years") for name in named[option]]
    if features:
        named["ignore"] = [name for name in raw.columns if name not in {choices.target, *features, *named["texts"]}]
    classifies = None if choices.task == "auto" else choices.task == "classify"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            guessed = guess_schema(raw, choices.target, classifies=classifies, unit=choices.unit, **named)
        except DataFileError as error:
            raise DataFileError(_name_options(str(error))) from error
    notes = [*describe_matches(matches), *(str(warning.message) for warning in caught)]
    if classifies is None and not guessed.schema.classifies and raw[choices.target].nunique() == 2:
        notes.append(
            f"The target {choices.target!r} has two values, and is a number. --task classify makes it a class."
        )
    if not features:
        reasons = {name: _name_options(why) for name, why in guessed.reasons.items()}
        return Columns(raw, guessed.schema, tuple(notes), reasons)
    del named["ignore"]
    kind: dict[str, Any] = {"classifies": guessed.schema.classifies, "unit": choices.unit}
    return Columns(raw, make_schema(target=choices.target, **kind, **named), tuple(notes))


def _name_options(text: str) -> str:
    """Name an option of the command line in place of a parameter."""
    return text.replace("classifies=True", "--task classify")


def _find_tracks(raw: pd.DataFrame, choices: ColumnChoices, source: str) -> Columns:
    """Take rows for tracks, whatever their columns are called."""
    if choices.roles:
        message = "Columns are named, but not the target. Add --target NAME."
        raise DataFileError(message)
    if choices.task == "classify":
        message = f"--task classify needs --target NAME: {SPOTIFY.target}, the notebook's target, is a number."
        raise DataFileError(message)
    found = recognise_tracks(raw)
    if found is None:
        message = (
            f"{source!r} does not hold tracks with an energy, as the notebook's file does. Name the column to predict: "
            f"--target NAME. The file has {list_some(repr(str(name)) for name in raw.columns)}."
        )
        raise DataFileError(message)
    return Columns(found.table, found.schema, found.notes)


def _treat_empty(
    table: pd.DataFrame, schema: Schema, missing: Missing, *, source: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Refuse empty cells, leave out their rows, or leave them to be filled; and say so."""
    empty = table[[name for name in schema.names if schema[name].role != "text" and name in table]].isna()
    counts = empty.sum().loc[lambda count: count > 0]
    if not len(counts):
        return table, ()
    listed = list_some(f"{name} {count:,}" for name, count in counts.items())
    n_rows = int(empty.any(axis=1).sum())
    if missing == "refuse":
        message = (
            f"{source!r} has empty cells in {n_rows:,} of {len(table):,} rows (by column: {listed}). Add --missing "
            "median to fill them, or --missing drop to leave out these rows."
        )
        raise DataFileError(message)
    if missing == "drop":
        if n_rows == len(table):
            message = f"{source!r} has empty cells in every row (by column: {listed}). Leave such a column out."
            raise DataFileError(message)
        words = f"{n_rows:,} of {len(table):,} rows are left out, because they have empty cells ({listed})."
        return table[~empty.any(axis=1)], (words,)
    notes, without = [], empty[schema.target]
    if without.any():
        notes.append(f"{int(without.sum()):,} of {len(table):,} rows are left out: they have no {schema.target}.")
        table, empty = table[~without], empty[~without]
    filled = [(name, empty[name].sum()) for name in empty if empty[name].any()]
    if filled:
        listed = list_some(f"{name} {count:,}" for name, count in filled)
        notes.append(
            f"Empty cells ({listed}) take the median of the training rows; a category is then none of its levels."
        )
    return table, tuple(notes)
