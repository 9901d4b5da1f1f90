"""Column weights as a scikit-learn transformer."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from energyknn.estimators.transformers import ColumnWeights, RankFeatures

ROWS = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0], "c": [5.0, 6.0]})


@pytest.mark.medium
@parametrize_with_checks([ColumnWeights(), ColumnWeights(default=0.5), RankFeatures(), RankFeatures(n_waves=0)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_columns_are_weighted_by_name_and_left_out_at_0():
    weights = ColumnWeights({"a": 2.0, "b": 0.0}, default=3.0).fit(ROWS)
    np.testing.assert_array_equal(weights.transform(ROWS), [[2.0, 15.0], [4.0, 18.0]])
    assert list(weights.get_feature_names_out()) == ["a", "c"]
    assert list(weights.set_output(transform="pandas").transform(ROWS).columns) == ["a", "c"]


def test_columns_of_an_array_are_named_by_position():
    weights = ColumnWeights({1: 0.0})
    np.testing.assert_array_equal(weights.fit_transform(ROWS.to_numpy()), ROWS[["a", "c"]].to_numpy())
    assert list(weights.get_feature_names_out()) == ["x0", "x2"]


@pytest.mark.parametrize("transformer", [ColumnWeights(), RankFeatures(n_waves=0)])
@pytest.mark.parametrize("rows", [ROWS, ROWS.to_numpy()])
@pytest.mark.parametrize("names", [None, ["a", "b", "c"], ["c", "b", "a"], ["a", "b"]])
def test_names_of_columns_are_let_in_and_refused_as_scikit_learn_does(transformer, rows, names):
    """Those of the fit, if it saw any, else as many as there were columns."""
    ours, theirs = transformer.fit(rows), StandardScaler().fit(rows)
    try:
        expected = theirs.get_feature_names_out(names)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            ours.get_feature_names_out(names)
    else:
        np.testing.assert_array_equal(ours.get_feature_names_out(names)[:3], expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"d": 1.0}, "names 'd', which X does not have. Its columns are a, b, c"),
        ({"a": -1.0}, "at least 0"),
        ({"a": np.nan}, "finite"),
        ({"a": 0.0, "b": 0.0, "c": 0.0}, "one more than 0"),
    ],
)
def test_weights_that_make_no_distance_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        ColumnWeights(weights).fit(ROWS)


def test_rank_features_are_the_value_its_normal_score_and_waves_of_its_rank():
    random = np.random.default_rng(0)
    X = random.exponential(size=(5000, 2))
    found = RankFeatures(n_waves=2).fit(X).transform(X)
    assert found.shape == (5000, 8)
    np.testing.assert_allclose(found[:, :2], np.minimum(X, 5))
    ranks = np.argsort(np.argsort(X, axis=0), axis=0) / 4999
    np.testing.assert_allclose(found[:, 2:4], np.clip(norm.ppf(ranks), -5, 5), atol=0.35)
    np.testing.assert_allclose(found[:, 4:6], np.cos(np.pi * ranks), atol=0.01)
    np.testing.assert_allclose(found[:, 6:8], np.cos(2 * np.pi * ranks), atol=0.01)


def test_rank_features_know_only_the_rows_of_the_fit():
    X = np.arange(100.0).reshape(-1, 1)
    features = RankFeatures().fit(X[:50])
    np.testing.assert_array_equal(features.transform(X[60:61]), features.transform(X[60:90])[:1])
    assert list(RankFeatures(n_waves=1).fit(ROWS[["a"]]).get_feature_names_out()) == ["a", "a_score", "a_wave1"]


def test_few_rows_get_few_waves():
    """With 8 rows for each feature, 3 columns of 100 rows afford 2 waves, and 20 columns none."""
    random = np.random.default_rng(0)
    for n_rows, n_columns, expected in ((100, 3, 2), (100, 20, 0), (5000, 2, 4)):
        X = random.normal(size=(n_rows, n_columns))
        features = RankFeatures(None).fit(X)
        assert features.n_waves_ == expected
        assert features.transform(X).shape == (n_rows, (2 + expected) * n_columns)
        assert len(features.get_feature_names_out()) == (2 + expected) * n_columns
