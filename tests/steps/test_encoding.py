"""Encoding: the notebook's 27 columns whatever a file lacks, ages, indicators and their cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks

from energyknn.encoding import age_in_years, encode_features, fit_levels, name_features, target_values
from energyknn.schema import make_schema
from energyknn.study.notebook import SPOTIFY


def encode_as_the_notebook(table, reference_year):
    """Run the notebook's own cells, with its uint8 columns named as pandas now types them."""
    numbers = table.select_dtypes(["float64", "int64"]).copy()
    numbers["year"] = reference_year - numbers["year"]
    numbers = pd.get_dummies(numbers, columns=["explicit", "key", "mode"], dtype="uint8")
    indicators = numbers.select_dtypes("uint8").columns
    numbers[indicators] = numbers[indicators].astype("int64").replace({0: -1})
    return numbers.drop(columns="energy").astype("float64")


def test_the_27_columns_have_the_notebooks_names_and_order(notebook):
    assert list(name_features(fit_levels(pd.DataFrame(), SPOTIFY), SPOTIFY)) == notebook["encoded_columns"]


def test_a_full_table_is_encoded_as_by_the_notebooks_own_cells(tracks):
    encoded = encode_features(tracks, fit_levels(tracks, SPOTIFY), SPOTIFY, reference_year=2021)
    pd.testing.assert_frame_equal(encoded, encode_as_the_notebook(tracks, 2021))


def test_a_file_that_lacks_levels_still_gives_27_columns(notebook):
    table = make_tracks(3)
    assert list(encode_features(table, fit_levels(table, SPOTIFY), SPOTIFY).columns) == notebook["encoded_columns"]


def test_a_track_without_a_key_costs_half_of_a_mismatch():
    table = make_tracks(3).assign(key=[-1, 4, 7])
    keys = encode_features(table, fit_levels(table, SPOTIFY), SPOTIFY).filter(like="key_").to_numpy()
    cost = ((keys[:, None] - keys[None]) ** 2).sum(axis=2)
    assert cost.tolist() == [[0, 4, 4], [4, 0, 8], [4, 8, 0]]


@pytest.mark.parametrize("cost", [0.0, 0.5, 1.0, 8.0, 20.0])
def test_a_mismatch_costs_what_was_asked(cost):
    table = make_tracks(2).assign(mode=[0, 1])
    encoded = encode_features(table, fit_levels(table, SPOTIFY), SPOTIFY, mismatch_cost=cost)
    modes = encoded.filter(like="mode_").to_numpy()
    assert ((modes[0] - modes[1]) ** 2).sum() == pytest.approx(cost)


@pytest.mark.parametrize("cost", [-1.0, np.nan, np.inf])
def test_an_impossible_mismatch_cost_is_refused(tracks, cost):
    with pytest.raises(ValueError, match="mismatch_cost is"):
        encode_features(tracks, fit_levels(tracks, SPOTIFY), SPOTIFY, mismatch_cost=cost)


def test_levels_of_other_peoples_categories_come_from_the_training_rows():
    schema = make_schema(target="price", numbers=["area"], categories=["town"])
    table = pd.DataFrame({"price": [1.0, 2, 3], "area": [10, 20, 30], "town": ["b", "a", "new"]})
    levels = fit_levels(table.iloc[:2], schema)
    assert levels["town"] == ("a", "b")
    encoded = encode_features(table, levels, schema)
    assert list(encoded.columns) == ["area", "town_a", "town_b"]
    assert encoded.iloc[2].tolist() == [30, -1, -1]
    with pytest.raises(TypeError):
        levels["town"] = ("c",)


def test_age_counts_from_the_reference_year():
    assert age_in_years(pd.Series([1921, 2021, 2022]), 2021).tolist() == [100, 0, -1]


def test_encoding_changes_no_argument(tracks):
    before = tracks.copy()
    encode_features(tracks, fit_levels(tracks, SPOTIFY), SPOTIFY)
    pd.testing.assert_frame_equal(tracks, before)
    assert target_values(tracks, SPOTIFY).tolist() == tracks["energy"].tolist()
