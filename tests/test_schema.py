"""The schema: the notebook's 19 columns, and anybody's."""

from __future__ import annotations

import pytest

from energyknn.schema import SPOTIFY, Column, Schema, make_schema


def test_spotify_names_the_notebooks_columns(notebook):
    assert list(SPOTIFY.names) == notebook["file_columns"]


def test_spotify_roles():
    assert len(SPOTIFY.numbers) == 11
    assert SPOTIFY.categories == ("explicit", "key", "mode")
    assert SPOTIFY.target == "energy"
    assert SPOTIFY.texts == ("artists", "id", "name", "release_date")
    assert SPOTIFY["key"].levels == tuple(range(12))
    with pytest.raises(KeyError):
        SPOTIFY["nothing"]


def test_make_schema_keeps_what_is_known_of_a_column():
    schema = make_schema(target="energy", numbers=["tempo", "height"], categories=["key", "colour"])
    assert schema["tempo"] == SPOTIFY["tempo"]
    assert schema["key"].levels == tuple(range(12))
    assert schema["height"] == Column("height", "number")
    assert schema.names == ("tempo", "height", "key", "colour", "energy")


def test_a_known_name_in_another_role_is_a_new_column():
    assert make_schema(target="tempo", numbers=["energy"])["energy"] == Column("energy", "number")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ((Column("a", "number"), Column("a", "target")), "Column named twice: 'a'"),
        ((Column("a", "number"),), "0 target columns"),
        ((Column("a", "target"), Column("b", "target"), Column("c", "number")), "2 target columns"),
        ((Column("a", "target"), Column("b", "text")), "No feature columns"),
    ],
)
def test_a_schema_that_makes_no_study_is_refused(columns, message):
    with pytest.raises(ValueError, match=message):
        Schema(columns)
