"""What peers that take only numbers, or no gaps, are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from arena.sets import Rows


def fit_encoder(rows: Rows) -> Any:
    """Return what turns columns into numbers of about unit variance, then indicators of -1 and 1 for categories.

    A gap in a number becomes the median, with a column that tells of it; a gap in a category is a level.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    categories = make_pipeline(levels, MinMaxScaler(feature_range=(-1, 1), clip=True))
    encoder = ColumnTransformer([("numbers", numbers, rows.numbers), ("categories", categories, rows.categories)])
    return encoder.fit(rows.X)


def count_numbers(encoder: Any) -> int:
    """Return how many columns stand before the indicators of categories."""
    found = encoder.output_indices_["numbers"]
    return int(found.stop - found.start)


def fill_texts(X: pd.DataFrame) -> pd.DataFrame:
    """Make categories text, and their gaps a word."""
    return _replace_categories(X, lambda values: values.astype(object).fillna("no value"))


def number_levels(X: pd.DataFrame) -> pd.DataFrame:
    """Make categories the numbers of their levels, with their gaps."""
    return _replace_categories(X, lambda values: values.cat.codes.astype(np.float64).where(values.notna()))


def _replace_categories(X: pd.DataFrame, change: Any) -> pd.DataFrame:
    categories = X.select_dtypes("category")
    return X.assign(**{name: change(values) for name, values in categories.items()})
