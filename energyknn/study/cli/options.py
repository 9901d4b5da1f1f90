"""What several commands share: the parser, its errors, and options that read the same everywhere."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from energyknn.schema import Schema, make_schema
from energyknn.study.notebook import SPOTIFY


class UserError(Exception):
    """What the user can mend, in one line."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `UserError`."""

    def error(self, message: str) -> NoReturn:
        """Raise the parser's message as one line."""
        line = f"{message}. See '{self.prog} --help'."
        raise UserError(line)


def add_columns(command: argparse.ArgumentParser) -> None:
    """Add the options that name the columns of another file."""
    columns = command.add_argument_group(
        "other people's columns",
        "Name the target and the features of a file with other columns; names separated by commas.",
    )
    columns.add_argument("--target", metavar="NAME", help="the column to predict")
    for role, what in (
        ("numbers", "columns to standardise"),
        ("categories", "columns to turn into indicators"),
        ("years", "columns to turn into ages"),
        ("texts", "columns that together name a song or a thing"),
    ):
        columns.add_argument(f"--{role}", metavar="NAMES", default="", help=what)


def choose_schema(options: argparse.Namespace) -> Schema:
    """Return the schema that the options of `add_columns` name, the notebook's where they name none."""
    roles = {
        role: [name for name in getattr(options, role).split(",") if name]
        for role in ("numbers", "categories", "years", "texts")
    }
    if options.target is None:
        if any(roles.values()):
            message = "Columns are named, but not the target. Add --target NAME."
            raise UserError(message)
        return SPOTIFY
    try:
        return make_schema(target=options.target, **roles)
    except ValueError as error:
        raise UserError(str(error)) from error


def parse_sizes(text: str) -> list[int]:
    """Read numbers of neighbours: single ones, and ranges that include their end, separated by commas.

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
        If it is none of these.

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
