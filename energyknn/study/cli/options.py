"""The options that several commands share, and the error of a mistake in them."""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import shtab
from rich.console import Console

from energyknn._shared.saving import TABLE_ENDINGS, check_writer
from energyknn.study.column_choices import (
    ROLES,
    ColumnChoices,
    Missing,
    Task,
    combine,
    read_column_choices,
    split_names,
)
from energyknn.study.notebook import REFERENCE_YEAR

if TYPE_CHECKING:
    from energyknn.study.dataset import Dataset


class UserError(Exception):
    """A mistake that the user can mend. Its message is one line."""


_STDIN = Path("-")
_READ = {"--data": "data", "--model": "model", "--from": "tuned", "--columns": "columns"}
"""The options that may name a file to read, and where the parser keeps each."""
_IN_FOLDER = ("model.safetensors", "results.json", "report.html")
"""What a command writes into a folder that is named by --out."""
_ROLE_WORDS = {
    "number": "columns to standardise",
    "category": "columns to turn into indicators",
    "year": "columns of years or dates, to turn into ages",
    "text": "columns that name a row",
    "ignore": "columns to leave out",
}
_SEPARATORS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " "}

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


def add_data(command: argparse.ArgumentParser, **options: Any) -> None:
    """Add the options that name the data file and say how its text is written. Inside `take_data` the file is there."""
    text = "data file: CSV, Parquet, Excel, JSON, compressed or not; - reads one from standard input"
    add_option(command, "--data", "FILE", text, type=Path, **options)
    text = "what separates the cells of a text file, such as ';' or tab"
    add_option(command, "--sep", "CHARACTER", text, shown="found out", type=_name_separator)
    add_option(command, "--decimal", "CHARACTER", "decimal mark of a text file: . or ,", shown="found out")
    add_option(command, "--encoding", "NAME", "encoding of a text file, such as latin-1", shown="found out")


def _name_separator(text: str) -> str:
    """Return the separator: a character, or its name."""
    return _SEPARATORS.get(text, text)


def is_stdin(data: Path | None) -> bool:
    """Tell whether the data file is what stands on standard input."""
    return data == _STDIN


@contextmanager
def take_data(options: argparse.Namespace) -> Iterator[None]:
    """Put what stands on standard input into a file, and name that, where the data file is "-".

    What the command reads is kept from what it writes.
    """
    _check_places(options)
    if not is_stdin(options.data):
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


def _check_places(options: argparse.Namespace) -> None:
    """Refuse to replace a file that the command reads."""
    read = {flag: getattr(options, name, None) for flag, name in _READ.items()}
    for flag in ("--out", "--report"):
        out = getattr(options, flag[2:], None)
        if not isinstance(out, Path):
            continue
        for written in (out, *(out / name for name in _IN_FOLDER)):
            for other, path in read.items():
                if isinstance(path, Path) and path.is_file() and written.is_file() and written.samefile(path):
                    message = (
                        f"{flag} would replace {str(written)!r}, which {other} reads. Name another place with {flag}."
                    )
                    raise UserError(message)


def _name_data(options: argparse.Namespace, dataset: Dataset) -> Dataset:
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


def name_table(text: str) -> Path:
    """Return the path of a table to write, if it can be written."""
    path = name_file(text, kind="table", endings=TABLE_ENDINGS)
    check_writer(path)
    return path


def name_file(text: str, *, kind: str = "file", endings: Sequence[str] = ()) -> Path:
    """Return the path of a file to write, if its ending says what to write and its folder is there."""
    path = Path(text)
    if endings and not text.lower().endswith(tuple(endings)):
        message = f"{path.name!r} has no ending of a {kind} that is written. Give it {', '.join(endings)}"
        raise argparse.ArgumentTypeError(message)
    if not path.parent.is_dir():
        message = f"there is no folder {str(path.parent)!r} for {path.name!r}. Make it first, or name another"
        raise argparse.ArgumentTypeError(message)
    return path


def add_table_out(command: argparse.ArgumentParser, usual: Path | None = None) -> None:
    """Add the option that names a table to write. Without it the table is `usual`, or goes to stdout."""
    text = "table to write, as its ending says: .csv, .tsv, .json, .jsonl, .parquet, .feather, .xlsx, .csv.gz and alike"
    add_option(command, "--out", "FILE", text, usual, type=name_table, shown=usual or "CSV to stdout")


def name_model(text: str) -> Path:
    """Return the path of a model to write: a folder, or a file that is not called as one of another kind."""
    return name_file(
        text, kind="model", endings=() if Path(text).is_dir() or not Path(text).suffix else (".safetensors",)
    )


def add_page(command: argparse.ArgumentParser, text: str, usual: str) -> None:
    """Add the option that names an HTML page to write. `usual` is its name where none is given."""
    named, shown = partial(name_file, kind="page", endings=(".html",)), f"{usual}, if no FILE is given"
    add_option(command, "--report", "FILE", text, type=named, nargs="?", const=Path(usual), shown=shown)


def add_reference_year(command: argparse.ArgumentParser) -> None:
    """Add the year from which ages are counted."""
    add_option(command, "--reference-year", "Y", "year in which a track's age is 0", REFERENCE_YEAR)


def add_columns(command: argparse.ArgumentParser) -> None:
    """Add the options that say what the columns of a file are."""
    columns = command.add_argument_group(
        "your own columns",
        "Name the column to predict. What the others are is found out and shown. To change it, name the columns to "
        "use, or edit the file that `energyknn describe` writes. Commas stand between names.",
    )
    add_option(columns, "--target", "NAME", "the column to predict")
    add_option(columns, "--unit", "TEXT", "the target's unit, for labels")
    for role, text in _ROLE_WORDS.items():
        add_option(columns, f"--{ROLES[role]}", "NAMES", text, type=split_names, shown=None, default=())
    add_option(
        columns, "--columns", "FILE", "a TOML file that says what each column is; options go before it", type=Path
    )
    text = "empty cells: refuse the file, fill them with the median of the training rows, or drop their rows"
    add_option(columns, "--missing", "WORD", text, shown="refuse", choices=get_args(Missing))
    text = "what --target is: a number (regress) or a class (classify); auto takes text for classes"
    add_option(columns, "--task", "WORD", text, shown="auto", choices=get_args(Task))


def read_choices(options: argparse.Namespace) -> ColumnChoices:
    """Return what the options of `add_columns` say, and then what the file says that they name."""
    roles: dict[str, str] = {}
    for role, option in ROLES.items():
        for name in getattr(options, option):
            if name in roles:
                message = f"Column named twice: {name!r}. Give each column one role."
                raise UserError(message)
            roles[name] = role
    said: dict[str, Any] = {
        name: value for name in ("target", "unit", "task", "missing") if (value := getattr(options, name))
    }
    choices = ColumnChoices(roles=roles, **said)
    return choices if options.columns is None else combine(choices, read_column_choices(options.columns))


def read_format(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the options of `add_data` say about the text of a file."""
    return {name: getattr(options, name) for name in ("sep", "decimal", "encoding")}


def read_data(options: argparse.Namespace) -> Dataset:
    """Read the data file that the options name, and say on stderr what was found out about it."""
    from energyknn.study.dataset import recognise_dataset

    latest_year = date.today().year
    dataset = recognise_dataset(options.data, read_choices(options), latest_year=latest_year, **read_format(options))
    if not options.quiet:
        _show_dataset(dataset)
    return _name_data(options, dataset)


def _show_dataset(dataset: Dataset) -> None:
    """Print what was found out about a file and its columns on stderr."""
    from energyknn.study.reporting.column_table import tabulate_columns

    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    for note in dataset.notes:
        console.print(note, soft_wrap=True)
    if dataset.reasons:
        roles = {column.name: column.role for column in dataset.schema.columns}
        rows = [{"name": name, "role": roles.get(name), "why": why} for name, why in dataset.reasons.items()]
        console.print(tabulate_columns(rows, dataset.schema.target, folded=True))


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


def parse_duration(text: str) -> float | None:
    """Read a duration.

    Parameters
    ----------
    text : str
        A number of seconds, or one with its unit: ``"90"``, ``"90s"``, ``"2m"``, ``"1.5h"``. ``"none"`` for no limit.

    Returns
    -------
    float or None
        Seconds. None for no limit.

    Raises
    ------
    ArgumentTypeError
        If the text is no duration, or not above 0.

    Examples
    --------
    >>> parse_duration("90"), parse_duration("2m"), parse_duration("none")
    (90.0, 120.0, None)
    """
    if text.strip().lower() == "none":
        return None
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(s|m|h|)", text.strip().lower(), re.ASCII)
    seconds = float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0.0
    if not 0 < seconds < math.inf:
        message = f"{text!r} is no duration above 0. Give seconds (90 or 90s), minutes (2m), hours (1h), or none"
        raise argparse.ArgumentTypeError(message)
    return seconds


def parse_numbers(text: str, kind: type[Any], *, name: str) -> list[Any]:
    """Read numbers with commas between them."""
    try:
        numbers = [kind(part) for part in text.split(",")]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        message = f"--{name} is {text!r}. Give a number, or several with commas"
        raise UserError(message)
    return numbers
