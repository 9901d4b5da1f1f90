"""Roles of columns, guessed from the values of a table."""

from __future__ import annotations

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import pytest

from energyknn.errors import DataFileError
from energyknn.loading import check_table
from energyknn.roles import guess_schema

N = 60
ROWS = np.arange(N)
PRICE = 100.0 + (ROWS * 37 % 61) + 0.25 * (ROWS % 3)


def guess(column, *, name="column", **options):
    """Guess the roles of a table of one column, a number beside it and a target."""
    table = pd.DataFrame({name: column, "area": 50.0 + ROWS * 17 % 59, "price": PRICE})
    return guess_schema(table, "price", **options)


def cycle(*values):
    """Repeat values over all rows."""
    return [values[row % len(values)] for row in ROWS]


NUMBERS = {
    "floats": (PRICE[::-1] / 7, "a number"),
    "few whole numbers": (cycle(1, 2, 3, 4), "whole numbers 1 to 4 with 4 values: a number"),
    "zeros and ones": (cycle(0, 1), "whole numbers 0 to 1 with 2 values: a number"),
    "with gaps": (cycle(1.0, np.nan, 3.0, 8.0), "whole numbers 1 to 8 with 3 values: a number, 25 % empty"),
    "nullable": (pd.array(cycle(1, None, 5), dtype="Int64"), "a number"),
    "plain numbers as text": (cycle("1", "2.5", "7"), "a number"),
    "numbers as objects": (pd.Series(cycle(1, 2.5, 7), dtype=object), "a number"),
    "not a calendar year by its name": (cycle(1980, 1999, 2010), "a number"),
}


@pytest.mark.parametrize("case", NUMBERS)
def test_a_number_is_found(case):
    values, reason = NUMBERS[case]
    found = guess(values)
    assert found.schema["column"].role == "number"
    assert reason in found.reasons["column"]


CATEGORIES = {
    "texts": (cycle("Bonn", "Ulm", "Kiel"), "3 distinct texts: a category"),
    "with blanks": (cycle("Bonn", "", "Ulm", None), "2 distinct texts: a category, 50 % empty"),
    "truth values": (cycle(True, False), "true or false: a category"),
    "truth values with gaps": (cycle(True, None, False), "true or false: a category, 33 % empty"),
    "a category": (pd.Categorical(cycle("a", "b")), "2 distinct texts: a category"),
    "a category with gaps": (pd.Categorical(cycle("a", None, "b")), "2 distinct texts: a category, 33 % empty"),
    "a category of numbers": (pd.Categorical(cycle(1, 2)), "2 levels: a category"),
    "codes with leading zeros": (cycle("01", "02", "10"), "3 distinct texts: a category"),
    "grades": (cycle("1st", "2nd", "3rd"), "3 distinct texts: a category"),
    "sizes, some of them numbers": (cycle("36", "38", "S", "M"), "4 distinct texts: a category"),
    "quarters": (cycle("Q1", "Q2", "Q3", "Q4"), "4 distinct texts: a category"),
}


@pytest.mark.parametrize("case", CATEGORIES)
def test_a_category_is_found(case):
    values, reason = CATEGORIES[case]
    found = guess(values)
    assert found.schema["column"].role == "category"
    assert found.reasons["column"] == reason


@pytest.mark.parametrize("name", ["store_id", "storeId", "Store ID"])
def test_identifiers_that_come_in_many_rows_are_a_category(name):
    found = guess(cycle(101, 205, 333), name=name)
    assert found.schema[name].role == "category"
    assert found.reasons[name] == "3 identifiers, each in many rows: a category"


YEARS = {
    "text": [f"{1980 + row % 30}-0{1 + row % 9}-11" for row in ROWS],
    "times": pd.to_datetime([f"{1980 + row % 30}-03-11 10:00" for row in ROWS]),
    "days first": [f"11.03.{1980 + row % 30}" for row in ROWS],
    "years, months and days": cycle("1999", "2001-05", "1987-05-01"),
    "in words": cycle("March 3, 1999", "5 May 2001", "July 1987"),
    "dates of Python": [dt.date(1980 + row % 30, 3, 11) for row in ROWS],
    "months of pandas": pd.PeriodIndex([f"{1980 + row % 30}-03" for row in ROWS], freq="M"),
}


@pytest.mark.parametrize("case", YEARS)
def test_the_year_of_a_date_is_used(case):
    found = guess(YEARS[case])
    assert found.schema["column"].role == "year"
    assert found.reasons["column"].startswith("a date from 198")
    assert "its year is used" in found.reasons["column"]


@pytest.mark.parametrize("case", YEARS)
def test_a_date_that_was_guessed_to_be_a_year_passes_the_check(case):
    table = pd.DataFrame({"column": YEARS[case], "price": PRICE})
    checked = check_table(table, guess_schema(table, "price").schema)
    assert checked["column"].between(1980, 2010).all()


@pytest.mark.parametrize("name", ["year", "built", "released", "yearBuilt", "year_sold", "Baujahr"])
def test_a_calendar_year_is_known_by_its_name_and_range(name):
    found = guess(1950 + ROWS % 50, name=name)
    assert found.schema[name].role == "year"
    assert found.reasons[name] == "calendar years 1950 to 1999: a year"
    assert guess(ROWS % 50, name=name).schema[name].role == "number"


def test_dates_of_one_year_name_rows():
    found = guess(pd.to_datetime("2021-01-01") + pd.to_timedelta(ROWS, unit="D"))
    assert found.schema["column"].role == "text"
    assert found.reasons["column"] == "dates within 2021: they name rows"


TEXTS = {
    "a name": ("column", [f"Row {row}" for row in ROWS], "a different text in every row: it names rows"),
    "few rows of each": ("column", [f"Street {row % 30}" for row in ROWS], "30 distinct texts in 60 rows"),
    "an identifier": ("id", 7 * ROWS, "each row has another value: an identifier, it names rows"),
    "a hash": ("track_id", [f"a{row}f" for row in ROWS], "each row has another value: an identifier"),
    "repeated identifiers": ("customerId", 7 * (ROWS // 2), "30 identifiers: they name rows"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_what_names_rows_is_text(case):
    name, values, reason = TEXTS[case]
    found = guess(values, name=name)
    assert found.schema[name].role == "text"
    assert found.reasons[name].startswith(reason)


OUT = {
    "row numbers of pandas": ("Unnamed: 0", ROWS, "row numbers: left out"),
    "an index": ("index", ROWS, "row numbers: left out"),
    "empty": ("column", [None] * N, "empty: left out"),
    "blank": ("column", [" "] * N, "empty: left out"),
    "nearly empty": ("column", [1.0, 2.0] + [None] * (N - 2), "96 % empty: left out"),
    "constant": ("column", [3] * N, "always 3: left out"),
    "constant text": ("column", ["yes"] * N, "always 'yes': left out"),
    "thousands": (
        "column",
        [f"{1 + row % 30},{200 + row}" for row in ROWS],
        "numbers written as text, such as '1,200'",
    ),
    "dollars": ("column", [f"${row % 30},000.50" for row in ROWS], "numbers written as text, such as '$0,000.50'"),
    "damaged numbers": (
        "column",
        [str(row) for row in ROWS[:-2]] + ["?", "?"],
        "numbers, but text in 2 rows, such as '?'",
    ),
    "lists": ("column", [[row] for row in ROWS], "holds list: left out"),
    "ranges": (
        "column",
        pd.cut(pd.Series(PRICE), 4),
        "a category of Interval: left out, unless you make it text",
    ),
    "bytes": ("column", cycle(b"a", b"b"), "holds bytes: left out"),
    "complex numbers": ("column", ROWS * 1j, "complex numbers: left out"),
    "durations": ("column", pd.to_timedelta(ROWS, unit="s"), "durations: left out"),
}


@pytest.mark.parametrize("case", OUT)
def test_what_cannot_be_used_is_left_out_and_named(case):
    name, values, reason = OUT[case]
    found = guess(values, name=name)
    assert name not in found.schema.names
    assert found.reasons[name].startswith(reason)


@pytest.mark.parametrize("write", ["{} %", "EUR {}", "-${}.50", "{} kg", "{},5 €"])
def test_numbers_with_one_unit_are_numbers(write):
    values = [write.format(row % 30) for row in ROWS]
    found = guess(values)
    assert found.schema["column"].role == "number"
    assert found.reasons["column"] == f"numbers written as text, such as {values[0]!r}: a number"
    as_target = guess_schema(pd.DataFrame({"area": PRICE, "y": values}), "y")
    assert not as_target.schema.classifies
    assert as_target.reasons["y"] == f"the target: numbers written as text, such as {values[0]!r}"


def test_numbers_among_other_text_are_no_numbers():
    assert guess([str(row) if row % 2 else "x" for row in ROWS]).reasons["column"].startswith("31 distinct texts")


TARGETS = {
    "floats": (PRICE, "target", "numbers 100 to 160.25"),
    "texts": (cycle("a", "b"), "label", "2 classes"),
    "truth values": (cycle(True, False), "label", "2 classes"),
    "a category": (pd.Categorical(cycle("a", "b")), "label", "2 classes"),
    "few whole numbers": (cycle(0, 1, 2), "target", "whole numbers 0 to 2 with 3 values: a number"),
    "many whole numbers": (ROWS * 7 % 59, "target", "numbers 0 to 58"),
    "plain numbers as text": (cycle("1", "2.5", "7"), "target", "numbers 1 to 7"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_the_target_says_what_is_predicted(case):
    values, role, reason = TARGETS[case]
    table = pd.DataFrame({"area": 50.0 + ROWS * 17 % 59, "y": values})
    found = guess_schema(table, "y", unit="EUR")
    assert found.schema["y"].role == role
    assert found.schema["y"].unit == "EUR"
    assert found.reasons["y"].startswith(f"the target: {reason}")


def test_few_whole_numbers_say_how_to_make_them_classes_and_the_caller_decides():
    table = pd.DataFrame({"area": 50.0 + ROWS * 17 % 59, "y": cycle(0, 1, 2)})
    assert "classifies=True" in guess_schema(table, "y").reasons["y"]
    found = guess_schema(table, "y", classifies=True)
    assert found.schema.classifies
    assert found.reasons["y"] == "the target: 3 classes"
    assert not guess_schema(table, "y", classifies=False).schema.classifies


WRONG_TARGETS = {
    "constant": ([3.0] * N, "is always 3"),
    "empty": ([None] * N, "is empty"),
    "names": ([f"Row {row}" for row in ROWS], "60 distinct texts in 60 rows"),
    "thousands": ([f"{1 + row % 30},{200 + row}" for row in ROWS], "numbers written as text, such as '1,200'"),
    "dates": (pd.to_datetime("2021-01-01") + pd.to_timedelta(ROWS, unit="D"), "dates"),
}


@pytest.mark.parametrize("case", WRONG_TARGETS)
def test_a_target_that_cannot_be_predicted_is_refused(case):
    values, message = WRONG_TARGETS[case]
    with pytest.raises(DataFileError, match=message):
        guess_schema(pd.DataFrame({"area": PRICE, "y": values}), "y")


def test_names_that_are_not_there_are_refused_with_those_that_are():
    table = pd.DataFrame({"area": PRICE[::-1], "price": PRICE})
    with pytest.raises(DataFileError, match=r"no column 'pric'\. Did you mean 'price'"):
        guess_schema(table, "pric")
    with pytest.raises(DataFileError, match=r"no column 'rooms'.*has area, price"):
        guess_schema(table, "price", numbers=["rooms"])
    with pytest.raises(DataFileError, match="two roles: 'area'"):
        guess_schema(table, "price", numbers=["area"], ignore=["area"])
    with pytest.raises(DataFileError, match="'price' is the column to predict, and has a role as well"):
        guess_schema(table, "price", numbers=["price"])


def test_a_table_without_features_says_why():
    with pytest.raises(DataFileError, match="Nothing to predict 'price' from: 'area' always 3: left out"):
        guess_schema(pd.DataFrame({"area": [3] * N, "price": PRICE}), "price")


def test_the_callers_roles_win_and_the_rest_is_guessed():
    table = pd.DataFrame(
        {
            "rooms": cycle(1, 2, 3),
            "code": cycle(4, 5),
            "note": cycle("x", "y"),
            "area": PRICE[::-1] ** 2,
            "price": PRICE,
        }
    )
    found = guess_schema(table, "price", categories=["code"], texts=["note"], ignore=["area"])
    assert [found.schema[name].role for name in ("rooms", "code", "note")] == ["number", "category", "text"]
    assert "area" not in found.schema.names
    assert found.reasons["code"] == "a category, as asked"
    assert found.reasons["area"] == "left out, as asked"
    assert list(found.reasons) == list(table)
    assert found.schema.names == ("rooms", "code", "note", "price")
    assert guess_schema(table, "price", ignore="area").reasons["area"] == "left out, as asked"


LEAKS = {
    "the same": PRICE,
    "another currency, rounded": np.round(PRICE * 1.08, 2),
    "its logarithm": np.log(PRICE),
    "its negative": -PRICE,
}


@pytest.mark.parametrize("case", LEAKS)
def test_a_copy_of_the_target_is_warned_of(case):
    with pytest.warns(UserWarning, match="'column' tells 'price'.*ignore"):
        found = guess(LEAKS[case])
    assert "tells the target" in found.reasons["column"]
    assert found.schema["column"].role == "number"


def test_a_code_of_the_class_is_warned_of_and_a_good_column_is_not():
    table = pd.DataFrame({"code": cycle(7, 9), "area": PRICE, "half": cycle("a", "b", "c"), "sold": cycle("no", "yes")})
    with pytest.warns(UserWarning, match="'code' tells 'sold'") as caught:
        guess_schema(table, "sold")
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        guess_schema(table.drop(columns="code"), "sold")


def test_a_few_rows_tell_nothing():
    table = pd.DataFrame({"area": [1.0, 2.0, 4.0], "price": [1.0, 2.0, 4.0]})
    assert "tells" not in guess_schema(table, "price").reasons["area"]


def test_a_guess_is_shown_as_a_table_and_in_a_line():
    found = guess(cycle("Bonn", "Ulm"), name="town")
    assert repr(found) == "GuessedSchema(target='price', 1 number, 1 category)"
    frame = found.to_frame()
    assert frame.columns.tolist() == ["role", "why"]
    assert frame.loc["town"].tolist() == ["category", "2 distinct texts: a category"]
    assert "<table" in found._repr_html_()


def test_columns_without_a_text_as_name_and_an_empty_table_are_refused():
    with pytest.raises(DataFileError, match="names must be text"):
        guess_schema(pd.DataFrame({0: PRICE, "price": PRICE}), "price")
    with pytest.raises(DataFileError, match="named twice: 'a'"):
        guess_schema(pd.DataFrame(np.ones((9, 3)), columns=["a", "a", "price"]), "price")
    with pytest.raises(DataFileError, match="no rows"):
        guess_schema(pd.DataFrame({"a": [], "price": []}), "price")


def test_random_frames_give_a_schema_or_a_line():
    """Whatever columns are drawn, each gets a reason, and the table passes the check of its schema."""
    random = np.random.default_rng(0)
    makers = [
        lambda n: random.normal(size=n),
        lambda n: random.integers(0, 5, n),
        lambda n: random.choice(["a", "b", "c"], n),
        lambda n: random.choice([True, False], n),
        lambda n: [f"text {number}" for number in random.permutation(n)],
        lambda n: pd.Timestamp("1990-01-01") + pd.to_timedelta(random.integers(0, 9000, n), unit="D"),
        lambda n: random.integers(1900, 2020, n),
        lambda n: [f"{number} %" for number in random.integers(0, 99, n)],
        lambda n: np.full(n, 4.0),
    ]
    for _ in range(40):
        n_rows = int(random.integers(12, 80))
        table = pd.DataFrame(
            {f"c{place}": makers[kind](n_rows) for place, kind in enumerate(random.integers(0, len(makers), 6))}
        ).assign(year=random.integers(1900, 2020, n_rows), y=random.normal(size=n_rows))
        found = guess_schema(table, "y")
        assert list(found.reasons) == list(table)
        assert len(check_table(table, found.schema)) == n_rows
