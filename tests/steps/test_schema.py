"""The schema: the notebook's 19 columns, and anybody's."""

from __future__ import annotations

import pytest

from energyknn.schema import Column, Schema, make_schema
from energyknn.study.notebook import SPOTIFY


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


def test_make_schema_describes_columns_by_their_roles_alone():
    schema = make_schema(target="energy", numbers=["tempo", "height"], categories=["key"])
    assert schema["tempo"] == Column("tempo", "number")
    assert schema["key"].levels == ()
    assert schema.names == ("tempo", "height", "key", "energy")


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
