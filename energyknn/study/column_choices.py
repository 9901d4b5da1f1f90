"""What a user says about the columns of a file: on the command line, or in a small TOML file."""

from __future__ import annotations

import csv
import io
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from energyknn._shared.showing import in_one_line
from energyknn.errors import DataFileError

ROLES: Mapping[str, str] = {
    "number": "numbers",
    "category": "categories",
    "year": "years",
    "text": "texts",
    "ignore": "ignore",
}
"""What a column may be: the word in a file, and the option of the command line that names such columns."""

Task = Literal["auto", "regress", "classify"]
Missing = Literal["refuse", "median", "drop"]
_KEYS = ("target", "unit", "task", "missing", "columns")


@in_one_line
@dataclass(frozen=True)
class ColumnChoices:
    """What a user says about the columns of a file. What is not said is found out.

    Parameters
    ----------
    target : str or None
        The column to predict. None for the study's own, where the file has it.
    unit : str
        The target's unit, for labels.
    task : {"auto", "regress", "classify"}
        Whether the target is a number or a class. "auto" takes text and truth values for classes.
    missing : {"refuse", "median", "drop"}
        What becomes of empty cells: refuse the file; fill numbers with the median of the training rows and let a
        category be none of its levels; or leave out the rows.
    roles : mapping of str to str
        The role of each named column: a key of `ROLES`.
    """

    target: str | None = None
    unit: str = ""
    task: Task = "auto"
    missing: Missing = "refuse"
    roles: Mapping[str, str] = field(default_factory=dict)

    def list_names(self, role: str) -> list[str]:
        """Return the columns of a role, in the order in which they were named."""
        return [name for name, chosen in self.roles.items() if chosen == role]

    @property
    def arguments(self) -> tuple[str, ...]:
        """The words on the command line that say the same."""
        words: list[str] = []
        for option, value, usual in (
            ("--target", self.target, None),
            ("--unit", self.unit, ""),
            ("--task", self.task, "auto"),
            ("--missing", self.missing, "refuse"),
        ):
            words += [] if value == usual else [option, str(value)]
        for role, option in ROLES.items():
            names = self.list_names(role)
            words += [f"--{option}", join_names(names)] if names else []
        return tuple(words)


def split_names(text: str) -> list[str]:
    """Return the names between the commas. A name with a comma stands in double quotes.

    Examples
    --------
    >>> split_names('area, "price, net"')
    ['area', 'price, net']
    """
    cells = next(csv.reader([text], skipinitialspace=True), [])
    return [name.strip() for name in cells if name.strip()]


def join_names(names: Sequence[str]) -> str:
    """Write names with commas between them, so that `split_names` returns them.

    Examples
    --------
    >>> join_names(["area", "price, net"])
    'area,"price, net"'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()


def read_column_choices(path: Path) -> ColumnChoices:
    """Read a TOML file that `write_column_choices` wrote or that a user wrote by hand.

    Raises
    ------
    DataFileError
        If it is no such file.
    """
    try:
        held = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        message = f"No file at {str(path)!r}. `energyknn describe DATA --out {path.name}` writes one."
        raise DataFileError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        message = f"{path.name!r} is not a TOML file ({error}). `energyknn describe DATA --out FILE` writes one."
        raise DataFileError(message) from error
    columns = held.get("columns", {})
    _require(set(held) <= set(_KEYS), path, f"the keys are {', '.join(_KEYS)}, and it has {', '.join(held)}")
    _require(isinstance(columns, dict), path, "[columns] gives each column its role")
    for name, role in columns.items():
        _require(role in ROLES, path, f"column {name!r} has the role {role!r}. Roles are {', '.join(ROLES)}")
    for key, words in (("task", get_args(Task)), ("missing", get_args(Missing))):
        _require(held.get(key, words[0]) in words, path, f"{key} is {held.get(key)!r}. It is one of {', '.join(words)}")
    for key in ("target", "unit"):
        _require(isinstance(held.get(key, ""), str), path, f"{key} is {held.get(key)!r}. It must be text in quotes")
    return ColumnChoices(**{key: held[key] for key in _KEYS[:-1] if key in held}, roles=columns)


def _require(holds: bool, path: Path, rule: str) -> None:
    if not holds:
        message = f"{path.name!r}: {rule}."
        raise DataFileError(message)


def write_column_choices(choices: ColumnChoices, reasons: Mapping[str, str], *, source: str) -> str:
    """Write choices as the text of a TOML file, with a comment on each column.

    Parameters
    ----------
    choices : ColumnChoices
        The choices.
    reasons : mapping of str to str
        Why each column has its role.
    source : str
        Name of the data file.
    """
    import tomlkit

    document = tomlkit.document()
    document.add(tomlkit.comment(f"What the columns of {source} are. Change what is wrong, and give the file to"))
    document.add(tomlkit.comment("reproduce, tune or fit with --columns."))
    values: dict[str, Any] = {key: getattr(choices, key) for key in _KEYS[:-1]}
    for key, value in values.items():
        if value is not None:
            document.add(key, value)
    document["task"].comment("auto, regress or classify")
    document["missing"].comment("refuse, median or drop")
    document.add(tomlkit.nl())
    document.add(tomlkit.comment(f"Roles: {', '.join(ROLES)}."))
    columns = tomlkit.table()
    for name, role in choices.roles.items():
        columns.add(name, role)
        if reasons.get(name):
            columns[name].comment(" ".join(reasons[name].split()))
    document.add("columns", columns)
    return tomlkit.dumps(document)


def combine(first: ColumnChoices, second: ColumnChoices) -> ColumnChoices:
    """Return the first choices, with what they leave open from the second."""
    usual = ColumnChoices()
    said = {key: getattr(first, key) for key in _KEYS[:-1] if getattr(first, key) != getattr(usual, key)}
    return replace(second, **said, roles={**second.roles, **first.roles})
