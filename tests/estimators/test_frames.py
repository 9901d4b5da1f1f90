"""Frames of other libraries give the results of pandas' frames, columns by name."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_regression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from energyknn import Candidate, score_candidates
from energyknn.estimators import (
    ColumnWeights,
    IntervalRegressor,
    KNNClassifier,
    KNNRegressor,
    KNNSearchCV,
    LocalLinearRegressor,
    from_grid_search,
    make_learned_regressor,
)
from energyknn.inspection import explain_columns, explain_predictions, weigh_columns
from energyknn.splitting import fold_rows

X, y = make_regression(200, 4, noise=10, random_state=42)
FRAME = pd.DataFrame(X, columns=list("abcd"))
SCALE = make_column_transformer((StandardScaler(), ["a", "c"]), (MinMaxScaler(), ["b"]))
GRID = {"kneighborsregressor__n_neighbors": [3, 5]}


def make_arrow(frame):
    """Make an Arrow table."""
    return pytest.importorskip("pyarrow").Table.from_pandas(frame, preserve_index=False)


def search_fast(rows):
    """Score a grid over a pipeline that takes columns by name."""
    given = GridSearchCV(make_pipeline(SCALE, KNeighborsRegressor()), GRID)
    return from_grid_search(given).fit(rows, y).cv_results_["mean_test_score"]


def explain(rows):
    """Tell which column brought the neighbours near."""
    return explain_predictions(KNNRegressor(3).fit(rows, y), rows[5:9], rows).shares


USES = {
    "regressor": lambda rows: KNNRegressor().fit(rows, y).predict(rows),
    "classifier": lambda rows: KNNClassifier().fit(rows, y > 0).predict_proba(rows),
    "intervals by name": lambda rows: IntervalRegressor(KNNRegressor(), by="a").fit(rows, y).predict_interval(rows),
    "intervals by place": lambda rows: IntervalRegressor(KNNRegressor(), by=1).fit(rows, y).predict_interval(rows),
    "pipeline": lambda rows: make_pipeline(SCALE, LocalLinearRegressor(20)).fit(rows, y).predict(rows),
    "column weights": lambda rows: ColumnWeights({"b": 3.0}).fit_transform(rows),
    "learned": lambda rows: (
        make_learned_regressor(["a", "b"], ["c", "d"], n_maps=1, n_rounds=2).fit(rows, y).predict(rows)
    ),
    "search": lambda rows: (
        KNNSearchCV({"n_neighbors": [3], "transformer": [SCALE]}).fit(rows, y).cv_results_["mean_test_score"]
    ),
    "drop-in": search_fast,
    "candidates": lambda rows: (
        score_candidates(rows, y, candidates=[Candidate(3, transformer=SCALE)], folds=fold_rows(200)).test["score"].mean
    ),
    "explained rows": explain,
    "explained columns": lambda rows: explain_columns(KNNRegressor(3), rows, y, folds=fold_rows(200, n_splits=2)),
    "weighed columns": lambda rows: weigh_columns(KNNRegressor(3).fit(rows, y), rows),
}


@cache
def use_pandas(name):
    """Return the result for a pandas frame."""
    return USES[name](FRAME)


@pytest.mark.medium
@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("make_frame", [pl.from_pandas, make_arrow], ids=["polars", "arrow"])
@pytest.mark.parametrize("name", USES)
def test_a_frame_gives_what_pandas_frames_do(name, make_frame):
    np.testing.assert_allclose(USES[name](make_frame(FRAME)), use_pandas(name), rtol=1e-9)


def test_a_column_that_the_frame_lacks_is_named():
    with pytest.raises(
        ValueError, match=r"by is 'z'\. It must be one column of X, by its name or position, and X has 'a"
    ):
        IntervalRegressor(KNNRegressor(), by="z").fit(pl.from_pandas(FRAME), y)
