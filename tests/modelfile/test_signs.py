"""Signs that rows are unlike the training rows: each in one sentence for all columns, and none by chance."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from energyknn.modelfile import fit_model
from energyknn.schema import make_schema

SCHEMA = make_schema(target="price", numbers=["area", "rooms", "lot"], categories=["town"])


def make_homes(n_rows=400, seed=0):
    random = np.random.default_rng(seed)
    homes = pd.DataFrame({"area": random.normal(100, 20, n_rows), "rooms": random.integers(1, 7, n_rows)})
    return homes.assign(lot=random.normal(500, 50, n_rows), town=random.choice(["Bonn", "Ulm"], n_rows), price=1.0)


MODEL = fit_model(make_homes().assign(price=lambda homes: homes["area"]), SCHEMA)


def list_warnings(rows):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MODEL.predict(rows)
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize("seed", range(1, 9))
@pytest.mark.parametrize("n_rows", [1, 3, 40, 2000])
def test_rows_like_the_training_rows_show_no_sign(seed, n_rows):
    rows, homes = make_homes(n_rows, seed), make_homes()
    for name in ("area", "lot"):
        rows[name] = rows[name].clip(homes[name].min(), homes[name].max())
    assert list_warnings(rows) == []


def test_far_rows_are_told_in_one_sentence_for_all_columns():
    rows = make_homes(50, 1)
    rows.loc[[3, 4], "area"], rows.loc[[4, 9], "lot"] = 5000.0, -9000.0
    (told,) = list_warnings(rows)
    assert told.startswith("3 of 50 rows lie outside of the training rows by more than their whole range: ")
    low, high = make_homes()["area"].agg(["min", "max"])
    assert f"'area' in 2 (trained on {low:.8g} to {high:.8g}), 'lot' in 2 (" in told
    rows = make_homes(50, 1)
    rows.loc[7, "area"] = 5000.0
    assert list_warnings(rows)[0].startswith("1 of 50 rows lies outside")


def test_drifted_columns_are_told_in_one_sentence():
    rows = make_homes(100, 1)
    (told,) = list_warnings(rows.assign(area=rows["area"] + 15, lot=rows["lot"] - 40))
    assert told.startswith("Means differ from those of the training rows, in standard deviations: 'area' by +0.")
    assert "'lot' by -0." in told
    assert told.endswith("Unless the rows were chosen so, fit the model on rows like them.")


def test_another_unit_is_told_once_and_is_no_drift():
    rows = make_homes(20, 1)
    (told,) = list_warnings(rows.assign(area=rows["area"] * 1e4, lot=rows["lot"] / 1e4))
    assert told.startswith("Most values lie outside of the training rows: 'area' in 20 of 20 rows (trained on ")
    assert "'lot' in 20 of 20 rows" in told
    assert told.endswith("Give them in the unit that the model was fitted on.")


def test_years_are_told_as_years_and_earlier_ones_have_a_minus():
    random = np.random.default_rng(0)
    cars = pd.DataFrame({"built": random.integers(1990, 2010, 300)}).assign(price=lambda cars: cars["built"] * 2.0)
    model = fit_model(cars, make_schema(target="price", years=["built"]))
    old = pd.DataFrame({"built": [1990, 1991, 1992, 1993] * 30})
    with pytest.warns(UserWarning, match=r"in standard deviations: 'built' by -1\.\d"):
        model.predict(old)
    with pytest.warns(UserWarning, match=r"'built' in 2 \(trained on 1990 to 2009\)"):
        model.predict(pd.DataFrame({"built": [1900, 1901, *[2000] * 30]}))


def test_training_rows_are_shown_as_the_file_had_them():
    homes = make_homes()
    shown = MODEL.show_rows([5, 0, 399])
    expected = homes.iloc[[5, 0, 399]].reset_index(drop=True)
    assert shown.columns.tolist() == ["area", "rooms", "lot", "town"]
    np.testing.assert_allclose(shown["area"], expected["area"], rtol=1e-11)
    assert shown["rooms"].tolist() == expected["rooms"].tolist()
    assert shown["town"].tolist() == expected["town"].tolist()


def test_years_are_shown_as_years():
    cars = pd.DataFrame({"built": range(1990, 2010), "price": range(20)})
    model = fit_model(cars, make_schema(target="price", years=["built"]))
    assert model.show_rows([0, 19])["built"].tolist() == [1990, 2009]
