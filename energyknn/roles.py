"""What each column of a raw table is for, guessed from its values, with the reason in a few words."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api import types

from energyknn._shared.dates import read_years
from energyknn._shared.showing import in_one_line
from energyknn.errors import DataFileError, suggest_name
from energyknn.loading.names import MISSING, list_some
from energyknn.loading.written import CURRENCY, read_numbers
from energyknn.schema import Column, Role, Schema

__all__ = ["Guess", "GuessedSchema", "guess_roles", "guess_schema"]

_MOST_EMPTY = 0.95  # share of empty cells from which on a column is left out
_MOST_LEVELS = 50  # of a category
_ROWS_A_LEVEL = 4  # of a category, on average
_FEW = 10  # whole numbers that may be classes
_FEW_LABELS = 12  # numbers with a unit of their own that may be levels, such as "2WD"
_MOSTLY = 0.9  # share of values that tells what the others were meant to be
_YEARS = (1000, 2200)
_SAME = 0.9999  # correlation from which on a column tells the target
_MOST_CORRELATED = 5_000  # rows
_SAMPLE = 50  # distinct values that tell whether to look at all
_FEWEST_TO_TELL = 20  # rows; fewer are in the order of the target by chance
_SHOWN = 20  # characters of a value

_ROW_NUMBERS = re.compile(
    r"(unnamed: ?\d+|index|idx|row|rowid|rownames|row[ _]?(number|nr|no|names|id))?", re.IGNORECASE
)
_IDENTIFIER = re.compile(r"(?i:id|ids|key|uuid|guid|hash|(.*[ _.-](id|uuid|guid|hash)))|.*[a-z](ID|Id|UUID|Uuid)")
_YEAR_NAME = re.compile(
    r"(?i:(.*[ _.-])?(years?|yr|jahr|baujahr|built|released?|founded|born|vintage)([ _.-].*)?)|year[A-Z].*|.*[a-z]Year"
)
_WRITTEN = re.compile(
    rf"[-+]?({CURRENCY}?) ?[-+]?\d[\d., '\u00a0\u202f]*?(?:e[-+]?\d+)? ?(%|{CURRENCY}|[^\W\d_]{{0,3}}[²³]?)"
)


@in_one_line
class Guess(NamedTuple):
    """The role of a column, or None to leave it out, and why."""

    role: Role | None
    reason: str


class GuessedSchema(NamedTuple):
    """The roles of a table's columns, and why each has its own.

    Attributes
    ----------
    schema : Schema
        The columns that are used, in the table's order.
    reasons : mapping of str to str
        Why, for every column of the table, also for those that are left out.
    """

    schema: Schema
    reasons: Mapping[str, str]

    def to_frame(self) -> pd.DataFrame:
        """Lay out the columns as a table: `role` and `why`, by name. A column that is left out has an empty role."""
        roles = {column.name: column.role for column in self.schema.columns}
        rows = {name: (roles.get(name, ""), reason) for name, reason in self.reasons.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["role", "why"]).rename_axis("column")

    def __repr__(self) -> str:
        """Name the target, and count the columns of each role."""
        n_out = len(self.reasons) - len(self.schema.columns)
        return f"Guessed{self.schema!r}"[:-1] + (f", {n_out} left out)" if n_out else ")")

    def _repr_html_(self) -> str:
        """Show the columns as a table in a notebook."""
        with pd.option_context("display.max_colwidth", None):
            return self.to_frame().to_html()


def guess_roles(table: pd.DataFrame) -> dict[str, Guess]:
    """Guess what each column of a raw table is for, where the column to predict is not known yet.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A raw table, as read from a file. It is not changed.

    Returns
    -------
    dict of str to Guess
        `role` and `reason` of each column. No column is a target.

    Raises
    ------
    DataFileError
        If the table has no rows, or two columns have one name.

    See Also
    --------
    guess_schema : The same with a target, and the rules.

    Examples
    --------
    >>> guess_roles(pd.DataFrame({"town": ["Ulm", "Bonn"] * 20, "area": range(40)}))["town"]
    Guess(role='category', reason='2 distinct texts: a category')
    """
    _check_table(table)
    return {name: _guess_column(_Values(table[name]), name) for name in table.columns}


def guess_schema(
    table: pd.DataFrame,
    target: str,
    *,
    numbers: Sequence[str] = (),
    categories: Sequence[str] = (),
    years: Sequence[str] = (),
    texts: Sequence[str] = (),
    ignore: Sequence[str] = (),
    classifies: bool | None = None,
    unit: str = "",
) -> GuessedSchema:
    """Guess what each column of a raw table is for.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A raw table, as read from a file. It is not changed.
    target : str
        The column to predict.
    numbers, categories, years, texts : sequence of str or str, default=()
        Columns whose role is known. It is not guessed.
    ignore : sequence of str or str, default=()
        Columns to leave out.
    classifies : bool or None, default=None
        Whether the target is a class. None takes text, truth values and categories for classes.
    unit : str, default=""
        Unit of the target, for labels.

    Returns
    -------
    GuessedSchema
        `schema`, and `reasons` by column.

    Raises
    ------
    DataFileError
        If a named column is not there or has two roles, the target cannot be predicted, or no column is left to predict
        it from.

    Warns
    -----
    UserWarning
        If a column tells the target: a copy of it in another unit, or a code of its classes.

    See Also
    --------
    energyknn.schema.make_schema : Names the roles without a table.
    energyknn.loading.check_table : Checks a table with a schema.

    Notes
    -----
    A column without values, with less than 5 % of them, or with one value is left out. So are row numbers: "index", or
    "Unnamed: 0" of pandas.

    *Numbers* are numbers, also few whole ones: 1 to 5 rooms are no category. Whole numbers between 1000 and 2200 are
    *years* if the column's name says so ("year", "built", "released"). Dates give their year, if there are several.

    Truth values are *categories*. So are texts with at most 50 levels and at least 4 rows for each on average, and
    identifiers ("store_id") with as few. Text with more levels is *text*, which names rows and predicts nothing. So are
    other identifiers, and dates of one year.

    Numbers that are written as text ("12 %", "EUR 5", "60 kg") are numbers, if all have one unit. Those that may mean
    two things ("1,200"), or that stand among a few damaged ones, are left out, with a hint to mend them.

    Examples
    --------
    >>> homes = pd.DataFrame({"id": range(40), "town": ["Ulm", "Bonn"] * 20, "built": range(1970, 2010)})
    >>> homes["price"] = [7.5, 9.0, 4.0, 8.0] * 10
    >>> guess_schema(homes, "price").to_frame()["role"].to_dict()
    {'id': 'text', 'town': 'category', 'built': 'year', 'price': 'target'}
    >>> guess_schema(homes, "price").reasons["town"]
    '2 distinct texts: a category'
    """
    asked = _list_asked(
        {"number": numbers, "category": categories, "year": years, "text": texts, None: ignore}, table, target
    )
    values = _Values(table[target])
    goal = _guess_target(values, target, classifies)
    guesses = {
        name: asked[name] if name in asked else goal if name == target else _guess_column(_Values(table[name]), name)
        for name in table.columns
    }
    leaks = _find_leaks(table, target, {name: guess.role for name, guess in guesses.items() if name != target}, goal)
    for name in leaks:
        message = (
            f"Column {name!r} tells {target!r} almost exactly, as a copy of it would. If it is not known before the "
            "target is, leave it out: ignore it."
        )
        warnings.warn(message, stacklevel=2)
    reasons = {
        name: guess.reason + ("; it tells the target almost exactly" if name in leaks else "")
        for name, guess in guesses.items()
    }
    columns = [
        Column(name, guess.role, unit=unit if name == target else "") for name, guess in guesses.items() if guess.role
    ]
    if not any(column.role in ("number", "year", "category") for column in columns):
        why = list_some(f"{name!r} {reason}" for name, reason in reasons.items() if name != target)
        message = f"Nothing to predict {target!r} from: {why or 'it is the only column'}. Name numbers or categories."
        raise DataFileError(message)
    return GuessedSchema(Schema(tuple(columns)), reasons)


def _list_asked(named: Mapping[Role | None, Sequence[str]], table: pd.DataFrame, target: str) -> dict[str, Guess]:
    """List the roles that the caller names, after checking that the columns are there."""
    _check_table(table)
    names = list(table.columns)
    named = {role: [given] if isinstance(given, str) else given for role, given in named.items()}
    listed = [target, *(name for given in named.values() for name in given)]
    missing = [name for name in listed if name not in names]
    if missing:
        message = (
            f"There is no column {missing[0]!r}.{suggest_name(missing[0], names)} The table has {list_some(names)}."
        )
        raise DataFileError(message)
    several = sorted({name for name in listed if listed.count(name) > 1})
    if several:
        message = f"Columns with two roles: {', '.join(map(repr, several))}. Give each column one."
        if target in several:
            message = f"{target!r} is the column to predict, and has a role as well. Leave it out there."
        raise DataFileError(message)
    words = {
        "number": "a number",
        "category": "a category",
        "year": "a year",
        "text": "it names rows",
        None: "left out",
    }
    return {name: Guess(role, f"{words[role]}, as asked") for role, given in named.items() for name in given}


def _check_table(table: pd.DataFrame) -> None:
    """Require rows, and columns with a name of their own."""
    names = list(table.columns)
    strange: list[Any] = [name for name in table.columns if type(name) is not str]
    if strange:
        message = f"Column {strange[0]!r} has no text as its name. Column names must be text: rename them."
        raise DataFileError(message)
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        message = f"Column named twice: {', '.join(map(repr, twice))}. Rename or drop one of each."
        raise DataFileError(message)
    if len(table) == 0:
        message = "The table has no rows. It needs at least one."
        raise DataFileError(message)


class _Values:
    """The values of a column that are there: text without blanks around it, and what is blank is missing."""

    def __init__(self, column: pd.Series) -> None:
        present = column.dropna()
        self.is_text = False
        if types.is_object_dtype(present.dtype) or types.is_string_dtype(present.dtype):
            texts = _find_texts(present)
            if texts.all():
                present = present.str.strip()
            elif texts.any():
                present = present.where(~texts, present[texts].map(str.strip))
            if texts.any():
                present = present[~present.isin(MISSING)]
                self.is_text = bool(len(present)) and bool(_find_texts(present).all())
        self.present: pd.Series = present
        self.empty = 1 - len(present) / len(column)
        self.kinds = {type(value) for value in present} if types.is_object_dtype(present.dtype) else set()
        hashable = all(kind.__hash__ is not None for kind in self.kinds)
        self.distinct: pd.Series = pd.Series(present.unique()) if hashable else pd.Series(dtype=object)
        self.is_hashable = hashable

    @property
    def n_distinct(self) -> int:
        """Number of different values."""
        return len(self.distinct)

    @property
    def are_unique(self) -> bool:
        """Whether each row has a value of its own."""
        return self.empty == 0 and self.n_distinct == len(self.present)

    def describe_empty(self) -> str:
        """Name the share of empty cells, if there are any."""
        return f", {max(1, round(100 * self.empty))} % empty" if self.empty else ""

    @cached_property
    def numbers(self) -> pd.Series | None:
        """The distinct values as numbers, if all are. Text with leading zeros is a code, and not a number."""
        values = self.distinct
        if types.is_bool_dtype(values.dtype) or isinstance(values.dtype, pd.CategoricalDtype):
            return None
        if types.is_numeric_dtype(values.dtype):
            return None if types.is_complex_dtype(values.dtype) else values
        if not (types.is_object_dtype(values.dtype) or types.is_string_dtype(values.dtype)):
            return None
        if not self.is_hashable or bool in self.kinds or (self.kinds - {str} and not self.are_numbers):
            return None
        if _are_codes(self.distinct.astype(str)):
            return None
        found = pd.to_numeric(values, errors="coerce")
        return found if found.notna().all() else None

    @property
    def are_numbers(self) -> bool:
        """Whether the objects are numbers of Python, NumPy or `decimal`, or text."""
        return all(kind is str or hasattr(kind, "__float__") for kind in self.kinds)


def _guess_target(values: _Values, target: str, classifies: bool | None) -> Guess:
    """Guess whether the target is a number or a class; refuse what is neither."""
    if len(values.present) == 1:
        message = f"One row has the target {target!r}. To learn from rows takes more: give some hundreds."
        raise DataFileError(message)
    if values.n_distinct < 2 and values.is_hashable:
        what = f"always {_show(values.distinct[0])}" if values.n_distinct else "empty"
        message = f"The target {target!r} is {what}: there is nothing to predict. Name another column."
        raise DataFileError(message)
    numbers = values.numbers
    if numbers is not None and not classifies:
        return Guess("target", _describe_number_target(numbers, classifies) + values.describe_empty())
    guess = None if classifies else _guess_column(values, target)
    if guess is not None and guess.role == "number":
        return Guess("target", f"the target: {guess.reason.removesuffix(': a number')}")
    if classifies is False:
        message = f"The target {target!r} holds {_show(values.present.iloc[0])}, which is not a number. Mend it."
        raise DataFileError(message)
    n_classes, n_rows = values.n_distinct, len(values.present)
    if guess is not None and (guess.role == "year" or guess.role is None or guess.reason.startswith("date")):
        message = f"The target {target!r} cannot be predicted: {guess.reason}. Make it numbers, or name another column."
        raise DataFileError(message)
    if not classifies and 2 * n_classes > n_rows:
        message = (
            f"The target {target!r} holds {n_classes} distinct texts in {n_rows} rows: neither numbers nor classes. "
            "Name another column."
        )
        raise DataFileError(message)
    if n_classes == n_rows or (numbers is not None and 2 * n_classes > n_rows):
        hint = "It is a number: leave classifies=True out" if numbers is not None else "Name another column"
        message = f"The target {target!r} would have {n_classes} classes in {n_rows} rows. {hint}."
        raise DataFileError(message)
    return Guess("label", f"the target: {n_classes} classes{values.describe_empty()}")


def _describe_number_target(numbers: pd.Series, classifies: bool | None) -> str:
    """Describe a target that is a number, and say what else it could be."""
    n_distinct = numbers.nunique()
    if n_distinct <= _FEW and _are_whole(numbers):
        hint = "" if classifies is False else "; classifies=True makes it a class"
        return f"the target: {_describe_range(numbers)} with {n_distinct} values: a number{hint}"
    return f"the target: numbers {_describe_ends(numbers)}"


def _guess_column(values: _Values, name: str) -> Guess:
    """Guess the role of a column: the first rule that fits decides."""
    for rule in _RULES:
        guess = rule(values, name)
        if guess is not None:
            return guess
    return Guess(None, f"holds {_name_kinds(values)}: left out")


def _leave_out_what_says_nothing(values: _Values, name: str) -> Guess | None:
    """Leave out row numbers and what is empty or constant."""
    if values.n_distinct == 0 and values.is_hashable:
        return Guess(None, "empty: left out")
    if values.empty >= _MOST_EMPTY:
        return Guess(None, f"{int(100 * values.empty)} % empty: left out")
    if values.n_distinct == 1:
        return Guess(None, f"always {_show(values.distinct[0])}: left out")
    if values.are_unique and _ROW_NUMBERS.fullmatch(name.strip()) and values.numbers is not None:
        return Guess(None, "row numbers: left out")
    return None


def _guess_truth(values: _Values, _: str) -> Guess | None:
    """Take truth values for a category."""
    if types.is_bool_dtype(values.present.dtype) or (values.kinds and values.kinds <= {bool, np.bool_}):
        return Guess("category", f"true or false: a category{values.describe_empty()}")
    return None


def _guess_declared(values: _Values, name: str) -> Guess | None:
    """Take a categorical column for a category, if its levels are numbers, or few texts."""
    if not isinstance(values.present.dtype, pd.CategoricalDtype):
        return None
    levels = values.present.dtype.categories
    if types.is_numeric_dtype(levels.dtype):
        return Guess("category", f"{values.n_distinct} levels: a category{values.describe_empty()}")
    if not all(isinstance(level, str) for level in levels):
        return Guess(None, f"a category of {type(levels[0]).__name__}: left out, unless you make it text")
    texts = _Values(values.present.astype(object))
    texts.empty = values.empty
    return _guess_text(texts, name)


def _guess_date(values: _Values, _: str) -> Guess | None:
    """Take dates for years, if there are several."""
    if not values.is_hashable or values.numbers is not None:
        return None
    if read_years(values.distinct.head(_SAMPLE)).isna().any():
        return None
    years = read_years(values.distinct)
    if not years.between(*_YEARS).all():
        return None
    first, last = int(years.min()), int(years.max())
    if first == last:
        return Guess("text", f"dates within {first}: they name rows")
    return Guess("year", f"a date from {first} to {last}: its year is used{values.describe_empty()}")


def _guess_number(values: _Values, name: str) -> Guess | None:
    """Take numbers for numbers, years or identifiers."""
    numbers = values.numbers
    if numbers is None:
        return None
    empty, whole = values.describe_empty(), _are_whole(numbers)
    if whole and _YEAR_NAME.fullmatch(name.strip()) and numbers.between(*_YEARS).all():
        return Guess("year", f"calendar years {_describe_ends(numbers)}: a year{empty}")
    if whole and _IDENTIFIER.fullmatch(name.strip()):
        return _guess_identifier(values)
    if whole and values.n_distinct <= _FEW:
        return Guess("number", f"{_describe_range(numbers)} with {values.n_distinct} values: a number{empty}")
    return Guess("number", f"{'whole numbers' if whole else 'numbers'} {_describe_ends(numbers)}: a number{empty}")


def _guess_written(values: _Values, _: str) -> Guess | None:
    """Take numbers that are written as text for numbers, and leave out those that stand among a few damaged ones."""
    if not values.is_text:
        return None
    texts = values.present.astype(str)
    is_number = pd.to_numeric(texts, errors="coerce").notna()
    damaged = texts[~is_number]
    if is_number.mean() >= _MOSTLY and not _are_codes(texts) and values.n_distinct > _FEW:
        rows = f"{len(damaged)} {'row' if len(damaged) == 1 else 'rows'}"
        return Guess(
            None, f"numbers, but text in {rows}, such as {_show(damaged.iloc[0])}: left out, unless you mend it"
        )
    found = values.distinct.astype(str).str.extract(f"^(?:{_WRITTEN.pattern})$", expand=True)
    written = found[found.notna().all(axis=1)]
    is_written = texts.isin(values.distinct[written.index].astype(str))
    if is_written.mean() < _MOSTLY or len(written.drop_duplicates()) > 1 or _are_codes(texts):
        return None
    suffix = str(written.iloc[0, 1])
    if suffix.isalpha() and not re.fullmatch(CURRENCY, suffix) and values.n_distinct <= _FEW_LABELS:
        return None
    example = _show(values.present.iloc[0])
    if (numbers := read_numbers(texts, any_unit=True)) is not None and not numbers.marks:
        return Guess("number", f"numbers written as text, such as {example}: a number{values.describe_empty()}")
    return Guess(None, f"numbers written as text, such as {example}: left out, unless you write them as plain numbers")


def _guess_text(values: _Values, name: str) -> Guess | None:
    """Take text with few levels for a category, and other text for names of rows."""
    if not values.is_hashable or not values.kinds <= {str, bool, int, float} or not (values.is_text or values.kinds):
        return None
    if _IDENTIFIER.fullmatch(name.strip()) and not _are_few(values):
        return _guess_identifier(values)
    if _are_few(values):
        return Guess("category", f"{values.n_distinct} distinct texts: a category{values.describe_empty()}")
    if values.are_unique:
        return Guess("text", "a different text in every row: it names rows")
    return Guess(
        "text",
        f"{values.n_distinct} distinct texts in {len(values.present)} rows: too many for a category, it names rows",
    )


def _leave_out_other_types(values: _Values, _: str) -> Guess | None:
    """Name types of pandas that are no numbers."""
    if types.is_complex_dtype(values.present.dtype):
        return Guess(None, "complex numbers: left out")
    if types.is_timedelta64_dtype(values.present.dtype):
        return Guess(None, "durations: left out, unless you make them numbers")
    return None


_RULES: tuple[Callable[[_Values, str], Guess | None], ...] = (
    *(_leave_out_what_says_nothing, _guess_truth, _guess_declared, _leave_out_other_types),
    *(_guess_date, _guess_number, _guess_written, _guess_text),
)
"""In the order in which they are asked."""


def _guess_identifier(values: _Values) -> Guess:
    """Take identifiers for a category if few of them come in many rows, and else for names of rows."""
    if _are_few(values):
        return Guess("category", f"{values.n_distinct} identifiers, each in many rows: a category")
    if values.are_unique:
        return Guess("text", "each row has another value: an identifier, it names rows")
    return Guess("text", f"{values.n_distinct} identifiers: they name rows")


def _are_few(values: _Values) -> bool:
    """Return whether the levels are few, and common enough to learn from."""
    return values.n_distinct <= _MOST_LEVELS and len(values.present) >= _ROWS_A_LEVEL * values.n_distinct


def _find_leaks(table: pd.DataFrame, target: str, roles: Mapping[str, Role | None], goal: Guess) -> list[str]:
    """List the columns that tell the target: numbers in the same order or on a line, and codes of classes."""
    rows = table if len(table) <= _MOST_CORRELATED else table.sample(_MOST_CORRELATED, random_state=0)
    used = [name for name, role in roles.items() if role in ("number", "year", "category")]
    return [name for name in used if _tells(rows[name], rows[target], goal.role == "label")]


def _tells(column: pd.Series, target: pd.Series, is_class: bool) -> bool:
    """Return whether a column tells the target."""
    if is_class:
        pairs = pd.DataFrame({"column": column.astype(str), "target": target.astype(str)})
        counts = len(pairs.drop_duplicates()), pairs["column"].nunique(), pairs["target"].nunique()
        return len(set(counts)) == 1 and counts[0] > 1 and len(column) >= _FEWEST_TO_TELL
    both = pd.DataFrame(
        {"column": pd.to_numeric(column, errors="coerce"), "target": pd.to_numeric(target, errors="coerce")}
    )
    both = both.astype(np.float64).replace([np.inf, -np.inf], np.nan).dropna()
    if len(both) < _FEWEST_TO_TELL or both["column"].nunique() < 2 or both["target"].nunique() < 2:
        return False
    return any(abs(both["column"].corr(both["target"], method=method)) >= _SAME for method in ("pearson", "spearman"))


def _find_texts(values: pd.Series) -> NDArray[np.bool_]:
    """Find the values that are text."""
    if isinstance(values.dtype, pd.StringDtype):
        return np.ones(len(values), dtype=bool)
    return np.array([isinstance(value, str) for value in values], dtype=bool)


def _are_codes(texts: pd.Series) -> bool:
    """Return whether some texts begin with a zero, as numbers are not written."""
    return bool(texts.str.fullmatch(r"0\d+").any())


def _are_whole(numbers: pd.Series) -> bool:
    """Return whether all numbers are whole."""
    as_floats = numbers.to_numpy(dtype=np.float64)
    return bool((as_floats == np.floor(as_floats)).all()) and bool(np.isfinite(as_floats).all())


def _describe_ends(numbers: pd.Series) -> str:
    """Name the smallest and the largest number."""
    return f"{float(numbers.min()):.8g} to {float(numbers.max()):.8g}"


def _describe_range(numbers: pd.Series) -> str:
    """Name whole numbers by their ends."""
    return f"whole numbers {_describe_ends(numbers)}"


def _name_kinds(values: _Values) -> str:
    """Name the types of a column's values."""
    return ", ".join(sorted(kind.__name__ for kind in values.kinds)) or str(values.present.dtype)


def _show(value: object) -> str:
    """Return a value as short text."""
    text = str(value) if len(str(value)) <= _SHOWN else str(value)[: _SHOWN - 3] + "..."
    return repr(text) if isinstance(value, str) else text
