"""The columns of a data file: names, roles, units, ranges and levels, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from energyknn._shared.showing import in_one_line
from energyknn.errors import ParameterError

__all__ = ["Column", "Schema", "make_schema"]

Role = Literal["number", "year", "category", "target", "label", "text"]
TARGETS: tuple[Role, ...] = ("target", "label")
"""The roles of the column to predict."""


@in_one_line
@dataclass(frozen=True)
class Column:
    """One column of a data file.

    Parameters
    ----------
    name : str
        The name in the header.
    role : {"number", "year", "category", "target", "label", "text"}
        How the column is used. A number is standardised, a year becomes an age, a category becomes indicators, a
        target is a number to predict, a label is a class to predict, and text names rows.
    unit : str
        Unit of the values, for labels.
    minimum, maximum : float or None
        Inclusive range of valid values. None sets no limit.
    levels : tuple of int or str
        Every level of a category, in the order of its indicator columns. Empty learns them from the data.
    unknown : tuple of int or str
        Codes that mean "none of the levels". Such a row gets no indicator.
    required : bool
        Whether a file without the column is refused.

    See Also
    --------
    make_schema : Describes columns by their roles alone.

    Examples
    --------
    >>> Column("age", "number", unit="years", minimum=0, maximum=130).role
    'number'
    """

    name: str
    role: Role
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    levels: tuple[int | str, ...] = ()
    unknown: tuple[int | str, ...] = ()
    required: bool = True


@dataclass(frozen=True)
class Schema:
    """The columns of a data file, in the file's order.

    Raises
    ------
    ValueError
        If a name occurs twice, there is not exactly one target, or there is neither a number nor a category.

    See Also
    --------
    make_schema : Makes a schema of names.

    Examples
    --------
    >>> Schema((Column("area", "number"), Column("price", "target"))).target
    'price'
    """

    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            message = f"Column named twice: {', '.join(map(repr, twice))}. Give each column one role."
            raise ParameterError(message)
        targets = self._named(*TARGETS)
        if len(targets) != 1:
            message = f"{len(targets)} target columns: {list(targets)}. A schema has exactly one target."
            raise ParameterError(message)
        if not self.numbers and not self.categories:
            message = "No feature columns: name at least one number or category."
            raise ParameterError(message)

    def _named(self, *roles: Role) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.role in roles)

    def __repr__(self) -> str:
        """Name the target, and count the columns of each role."""
        roles = [column.role for column in self.columns]
        words = {"number": "numbers", "year": "years", "category": "categories", "text": "texts"}
        counts = [
            f"{roles.count(role)} {role if roles.count(role) == 1 else several}"
            for role, several in words.items()
            if role in roles
        ]
        return f"Schema({'label' if self.classifies else 'target'}={self.target!r}, {', '.join(counts)})"

    @property
    def names(self) -> tuple[str, ...]:
        """Every column's name, in the file's order."""
        return tuple(column.name for column in self.columns)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns that are standardised: numbers and the year, in the file's order."""
        return self._named("number", "year")

    @property
    def years(self) -> tuple[str, ...]:
        """Columns that hold a calendar year."""
        return self._named("year")

    @property
    def categories(self) -> tuple[str, ...]:
        """Columns that become indicators, in the file's order."""
        return self._named("category")

    @property
    def target(self) -> str:
        """The column to predict."""
        return self._named(*TARGETS)[0]

    @property
    def classifies(self) -> bool:
        """Whether the target is a class, and not a number."""
        return bool(self._named("label"))

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns that are kept as text."""
        return self._named("text")

    def __getitem__(self, name: str) -> Column:
        """Return the column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


def make_schema(
    *,
    target: str,
    classifies: bool = False,
    numbers: Sequence[str] = (),
    categories: Sequence[str] = (),
    years: Sequence[str] = (),
    texts: Sequence[str] = (),
    unit: str = "",
) -> Schema:
    """Describe the columns of a data file by their roles. Levels of categories are learned from the data.

    Parameters
    ----------
    target : str
        The column to predict.
    classifies : bool, default=False
        Whether the target is a class, of any type, and not a number.
    numbers, categories, years, texts : sequence of str
        Names by role, in the order that the encoded columns should have.
    unit : str, default=""
        Unit of the target, for labels.

    Returns
    -------
    Schema
        Numbers, years, categories, target and texts, in this order.

    Raises
    ------
    ValueError
        If a name occurs twice, or there is neither a number nor a category.

    See Also
    --------
    Column : Adds units, ranges and levels.
    energyknn.loading.load_table : Reads a file with a schema.

    Examples
    --------
    >>> make_schema(target="price", numbers=["area", "rooms"], categories=["town"]).numbers
    ('area', 'rooms')
    """
    named: list[tuple[Role, Sequence[str]]] = [
        ("number", numbers),
        ("year", years),
        ("category", categories),
        ("label" if classifies else "target", [target]),
        ("text", texts),
    ]
    columns = [Column(name, role, unit if role in TARGETS else "") for role, names in named for name in names]
    return Schema(tuple(columns))
