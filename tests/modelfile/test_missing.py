"""Missing cells in models: refused with the remedy, or filled with the medians of the training rows."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from energyknn.errors import DataFileError, ModelFileError
from energyknn.estimators import KNNRegressor
from energyknn.modelfile import fit_model, load_model, save_model
from energyknn.modelfile.files import read_content, write_content
from energyknn.modelfile.model import tabulate_predictions
from energyknn.schema import make_schema

SCHEMA = make_schema(target="price", numbers=["area"], categories=["town"], years=["built"])


@pytest.fixture
def homes():
    n_rows = np.arange(30)
    return pd.DataFrame(
        {
            "area": 40.0 + n_rows,
            "town": [["Ulm", "Bonn"][row % 2] for row in n_rows],
            "built": 1970 + n_rows,
            "price": 100.0 + 3 * n_rows,
        }
    )


@pytest.fixture
def gaps(homes):
    return homes.assign(
        area=homes["area"].where(homes.index % 5 > 0),
        town=homes["town"].where(homes.index % 7 > 0, None),
        built=homes["built"].where(homes.index % 6 > 0),
    )


def test_a_model_of_medians_predicts_filled_rows(gaps):
    model = fit_model(gaps, SCHEMA, KNNRegressor(3), missing="median")
    medians = {"area": gaps["area"].median(), "built": np.floor(gaps["built"].median())}
    assert dict(model.fills.medians) == medians
    with pytest.warns(UserWarning, match="Missing cells") as caught:
        found = model.predict(gaps)
    assert str(caught[0].message) == (
        f"Missing cells: 'area' in 6 rows (filled with {medians['area']:g}), 'built' in 5 rows (filled with "
        f"{medians['built']:g}), 'town' in 5 rows (counts as none of its levels)."
    )
    assert len(caught) == 1
    whole = gaps.fillna(medians)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        np.testing.assert_array_equal(found, model.predict(whole))


def test_no_missing_cell_is_no_warning(homes, gaps):
    model = fit_model(gaps, SCHEMA, KNNRegressor(3), missing="median")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(tabulate_predictions(model, homes)) == len(homes)


def test_medians_are_kept_in_the_file(gaps, tmp_path):
    model = fit_model(gaps, SCHEMA, KNNRegressor(3), missing="median")
    save_model(model, tmp_path / "m")
    read = load_model(tmp_path / "m")
    with pytest.warns(UserWarning, match="Missing cells"):
        np.testing.assert_array_equal(read.predict(gaps), model.predict(gaps))
    save_model(read, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "m").read_bytes()


@pytest.mark.parametrize("fills", [{"area": 1.0}, {"area": "x", "built": 1}, {"area": 1, "built": 2, "town": 3}, [1]])
def test_fills_that_do_not_belong_to_the_model_are_refused(gaps, tmp_path, fills):
    save_model(fit_model(gaps, SCHEMA, KNNRegressor(3), missing="median"), tmp_path / "m")
    content = read_content(tmp_path / "m")
    write_content(tmp_path / "m", {**content.description, "fills": fills}, content.arrays)
    with pytest.raises(ModelFileError, match="cannot be used"):
        load_model(tmp_path / "m")


def test_a_missing_cell_is_refused_in_one_line_with_the_remedy(homes, gaps):
    model = fit_model(homes, SCHEMA, KNNRegressor(3))
    for refuse in (lambda: model.predict(gaps), lambda: fit_model(gaps, SCHEMA)):
        with pytest.raises(
            DataFileError, match=r"'area' is missing .NaN. in 6 rows.*missing=\"median\" fills"
        ) as caught:
            refuse()
        assert "\n" not in str(caught.value)
    wrong = homes.assign(area="large")
    with pytest.raises(DataFileError, match="text where a number belongs") as caught:
        model.predict(wrong)
    assert "median" not in str(caught.value)


def test_a_missing_target_is_always_refused(homes):
    with pytest.raises(DataFileError, match="'price' is missing"):
        fit_model(homes.assign(price=homes["price"].where(homes.index > 3)), SCHEMA, missing="median")


def test_another_way_is_refused(homes):
    with pytest.raises(ValueError, match=r"missing is 'mean'\. It must be one of 'refuse', 'median'"):
        fit_model(homes, SCHEMA, missing="mean")
