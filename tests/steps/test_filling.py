"""Missing cells: medians of the training rows for numbers and years, no level for categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from energyknn.encoding import encode_features, fit_levels
from energyknn.errors import DataFileError
from energyknn.filling import apply_fills, fit_fills
from energyknn.schema import make_schema

SCHEMA = make_schema(target="price", numbers=["area"], years=["built"], categories=["town"])


@pytest.fixture
def homes():
    return pd.DataFrame(
        {
            "area": [50.0, np.nan, 90.0, 1000.0],
            "built": pd.array([1990, 1991, None, 2020], dtype="Int64"),
            "town": ["Ulm", None, "Bonn", "Ulm"],
            "price": [1.0, 2.0, 3.0, 4.0],
        }
    )


def test_numbers_and_years_take_the_median_of_the_rows_that_are_given(homes):
    assert dict(fit_fills(homes, SCHEMA).medians) == {"area": 90.0, "built": 1991.0}
    assert dict(fit_fills(homes, SCHEMA, rows=np.array([0, 1, 2])).medians) == {"area": 70.0, "built": 1990.0}


def test_only_missing_cells_change_and_the_table_does_not(homes):
    before = homes.copy()
    filled = apply_fills(homes, fit_fills(homes, SCHEMA))
    assert filled["area"].tolist() == [50, 90, 90, 1000]
    assert filled["built"].tolist() == [1990, 1991, 1991, 2020]
    assert filled["town"].isna().tolist() == [False, True, False, False]
    pd.testing.assert_frame_equal(homes, before)


@pytest.mark.parametrize("nothing", [None, np.nan, pd.NA])
def test_a_missing_level_is_none_of_the_levels(homes, nothing):
    towns = homes.assign(town=pd.Series(["Ulm", nothing, "Bonn", "Ulm"], dtype=object), area=1.0, built=2000)
    levels = fit_levels(towns, SCHEMA)
    assert levels["town"] == ("Bonn", "Ulm")
    encoded = encode_features(towns, levels, SCHEMA)
    assert encoded[["town_Bonn", "town_Ulm"]].to_numpy()[1].tolist() == [-1, -1]


def test_levels_of_several_types_have_an_order(homes):
    mixed = homes.assign(town=pd.Series(["Ulm", 3, True, "Bonn"], dtype=object))
    assert fit_levels(mixed, SCHEMA)["town"] == (True, 3, "Bonn", "Ulm")


def test_a_column_without_a_value_is_refused(homes):
    with pytest.raises(DataFileError, match="'area' is empty in the training rows"):
        fit_fills(homes, SCHEMA, rows=np.array([1]))
