"""The options that several commands share, and the error of a mistake in them."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import shtab

from energyknn._shared.saving import TABLE_ENDINGS
from energyknn.schema import Schema, make_schema
from energyknn.study.notebook import REFERENCE_YEAR, SPOTIFY

if TYPE_CHECKING:
    from energyknn.study.dataset import Dataset


class UserError(Exception):
    """A mistake that the user can mend. Its message is one line."""


_STDIN = Path("-")
_MOST_TEXT = 0.5  # of the values of a target that is a number, where some cells are damaged

_ROLES = {
    "numbers": "columns to standardise",
    "categories": "columns to turn into indicators",
    "years": "columns to turn into ages",
    "texts": "columns that together name a song or a thing",
}

_COMPLETED = {"FILE": shtab.FILE, "MODEL": shtab.FILE, "DIR": shtab.DIRECTORY}
"""What a shell lists for the values of an option, by the word that stands for them."""


def add_option(command: Any, flag: str, metavar: str | None, text: str, default: Any = None, **options: Any) -> None:
    """Add an option with a value of its default's type, and name the default in the help.

    Where `shown` is given, the help names that instead of the default.
    """
    shown = options.pop("shown", default)
    options.setdefault("type", str if default is None else type(default))
    text = text if shown is None else f"{text} (default: {shown})"
    action = command.add_argument(flag, metavar=metavar, default=default, help=text, **options)
    if metavar in _COMPLETED:
        action.complete = _COMPLETED[metavar]


def add_choice(command: argparse.ArgumentParser, flag: str, text: str, choices: Sequence[str]) -> None:
    """Add an option that takes one of some words, the first where it is not given."""
    listed = text if all(choice in text for choice in choices) else f"{text}: {' or '.join(choices)}"
    add_option(command, flag, "WORD", listed, choices[0], choices=choices)


def add_data(command: argparse.ArgumentParser, *, stdin: bool = False, **options: Any) -> None:
    """Add the option that names the data file. A command that takes standard input reads it inside `take_data`."""
    text = f"CSV or Parquet file{'; - reads CSV from standard input' if stdin else ''}"
    add_option(command, "--data", "FILE", text, type=Path, **options)


@contextmanager
def take_data(options: argparse.Namespace) -> Iterator[None]:
    """Put what stands on standard input into a file, and name that, where the data file is "-"."""
    if options.data != _STDIN:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="energyknn-") as folder:
        options.data = Path(folder) / "stdin.csv"
        with options.data.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        try:
            options.reads_stdin = True
            yield
        finally:
            options.data, options.reads_stdin = _STDIN, False


def name_data(options: argparse.Namespace, dataset: Dataset) -> Dataset:
    """Name the data file as the user did, where `take_data` put standard input into another."""
    if not getattr(options, "reads_stdin", False):
        return dataset
    words = [str(_STDIN) if word == dataset.path else word for word in dataset.arguments]
    return replace(dataset, path=str(_STDIN), arguments=tuple(words))


def add_quiet(command: argparse.ArgumentParser) -> None:
    """Add the option that leaves out all that is neither a result nor an error."""
    text = "show results and errors only: no notes, no warnings, no progress"
    command.add_argument("--quiet", action="store_true", help=text)


def add_json(command: argparse.ArgumentParser, text: str = "print one JSON object instead of text") -> None:
    """Add the option that prints what programs read."""
    command.add_argument("--json", action="store_true", help=text)


def name_file(text: str, *, kind: str, endings: Sequence[str]) -> Path:
    """Return the path of a file to write, if its ending says what to write and its folder is there."""
    path = Path(text)
    if not text.lower().endswith(tuple(endings)):
        message = f"{path.name!r} has no ending of a {kind} that is written. Give it {', '.join(endings)}"
        raise argparse.ArgumentTypeError(message)
    if not path.parent.is_dir():
        message = f"there is no folder {str(path.parent)!r} for {path.name!r}. Make it first, or name another"
        raise argparse.ArgumentTypeError(message)
    return path


def add_table_out(command: argparse.ArgumentParser, shown: str) -> None:
    """Add the option that names a table to write. `shown` says where it goes without."""
    text = "CSV (also .csv.gz, .csv.zip, .csv.zst) or Parquet"
    add_option(
        command, "--out", "FILE", text, type=partial(name_file, kind="table", endings=TABLE_ENDINGS), shown=shown
    )


def add_reference_year(command: argparse.ArgumentParser) -> None:
    """Add the year from which ages are counted."""
    add_option(command, "--reference-year", "Y", "year in which a track's age is 0", REFERENCE_YEAR)


def add_columns(command: argparse.ArgumentParser) -> None:
    """Add the options that name the columns of another file."""
    columns = command.add_argument_group(
        "other people's columns",
        "Name the target and the features of a file with other columns; names separated by commas.",
    )
    add_option(columns, "--target", "NAME", "the column to predict")
    for role, text in _ROLES.items():
        add_option(columns, f"--{role}", "NAMES", text, type=split_names, shown=None, default=())


def split_names(text: str) -> list[str]:
    """Return the names between the commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def add_task(columns: argparse.ArgumentParser) -> None:
    """Add the option that says whether the target is a number or a class."""
    text = "what --target is: a number (regress) or a class (classify); auto takes text for classes"
    add_choice(columns, "--task", text, ("auto", "regress", "classify"))


def choose_schema(options: argparse.Namespace) -> Schema:
    """Return the schema that the options of `add_columns` name, or the notebook's where they name none.

    With the option of `add_task`, the data file tells what the target is unless the user does.
    """
    task = getattr(options, "task", "regress")
    roles: dict[str, Any] = {role: list(getattr(options, role)) for role in _ROLES}
    if options.target is None:
        if any(roles.values()):
            message = "Columns are named, but not the target. Add --target NAME."
            raise UserError(message)
        if task == "classify":
            message = f"--task classify needs --target NAME: {SPOTIFY.target}, the notebook's target, is a number."
            raise UserError(message)
        return SPOTIFY
    try:
        schema = make_schema(target=options.target, **roles)
    except ValueError as error:
        raise UserError(str(error)) from error
    columns = [replace(column, role="label") if column.role == "target" else column for column in schema.columns]
    labelled = Schema(tuple(columns))
    classifies = task == "classify" or (task == "auto" and holds_classes(options.data, labelled))
    return labelled if classifies else schema


def holds_classes(data: Path, schema: Schema) -> bool:
    """Tell whether most values in the column to predict are text or truth values, and not numbers."""
    import pandas as pd

    from energyknn.loading import read_table

    values = read_table(data, schema).get(schema.target, pd.Series(dtype=float)).dropna()
    return bool(pd.api.types.is_bool_dtype(values) or pd.to_numeric(values, errors="coerce").isna().mean() > _MOST_TEXT)


def parse_sizes(text: str) -> list[int]:
    """Read numbers of neighbours: numbers and ranges, separated by commas. A range includes its end.

    Parameters
    ----------
    text : str
        Such as ``"5"``, ``"1:51"``, ``"1:51:10"`` or ``"1,5,9:11"``.

    Returns
    -------
    list of int
        In the order given.

    Raises
    ------
    ArgumentTypeError
        If a part is neither a number nor a range, or names no number.

    Examples
    --------
    >>> parse_sizes("1:51:10")
    [1, 11, 21, 31, 41, 51]
    """
    sizes: list[int] = []
    for part in text.split(","):
        try:
            numbers = [int(number) for number in part.split(":")]
            found = numbers if len(numbers) == 1 else list(range(numbers[0], numbers[1] + 1, *numbers[2:]))
        except (ValueError, TypeError):
            found = []
        if not found:
            message = f"{part!r} names no candidates. Give a number, a range 1:51 or 1:51:10, or several with commas"
            raise argparse.ArgumentTypeError(message)
        sizes += found
    return sizes


def parse_numbers(text: str, kind: type[Any], *, name: str) -> list[Any]:
    """Read numbers with commas between them."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        message = f"--{name} is {text!r}. Give a number, or several with commas"
        raise UserError(message) from None
