"""Scaling: the notebook's printed values, scikit-learn's StandardScaler, constant columns, no leak."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from energyknn.scaling import Scale, apply_scale, fit_scale


def test_the_nine_printed_rows_standardise_to_the_printed_values(notebook):
    columns = notebook["head_rows"]["columns"]
    recovered = notebook["recovered"]
    scale = Scale(
        tuple(columns),
        tuple(recovered["mean"][name] for name in columns),
        tuple(recovered["sd"][name] for name in columns),
    )
    raw = pd.DataFrame.from_dict(notebook["head_rows"]["raw"], orient="index", columns=columns)
    printed = pd.DataFrame.from_dict(notebook["head_rows"]["standardised"], orient="index", columns=columns)
    np.testing.assert_allclose(apply_scale(raw, scale), printed, rtol=0, atol=1e-6)


def test_the_scale_is_standard_scalers():
    X = pd.DataFrame(np.random.default_rng(0).normal(3, 7, (50, 3)), columns=list("abc"))
    expected = StandardScaler().fit_transform(X[["a", "b"]].to_numpy())
    scaled = apply_scale(X, fit_scale(X, ["a", "b"]))
    np.testing.assert_array_equal(scaled[["a", "b"]], expected)
    np.testing.assert_array_equal(scaled["c"], X["c"])


@pytest.mark.parametrize(("name", "scaler"), [("robust", RobustScaler()), ("minmax", MinMaxScaler())])
def test_other_scales_are_scikit_learns(name, scaler):
    X = pd.DataFrame(np.random.default_rng(0).normal(3, 7, (50, 3)), columns=list("abc")).assign(b=4.0)
    with pytest.warns(UserWarning, match="Constant column 'b'"):
        scale = fit_scale(X, ["a", "b"], scaler=name)
    expected = scaler.fit_transform(X[["a", "b"]].to_numpy())
    np.testing.assert_allclose(apply_scale(X, scale)[["a", "b"]], expected, rtol=0, atol=1e-14)


def test_an_unknown_scaler_is_refused():
    with pytest.raises(ValueError, match=r"Scaler 'log' is unknown. Known are standard, robust, minmax"):
        fit_scale(pd.DataFrame({"a": [1.0, 2.0]}), ["a"], scaler="log")


def test_only_the_named_rows_enter_the_scale():
    X = pd.DataFrame({"a": np.arange(10.0)})
    rows = np.array([0, 1, 2])
    changed = X.copy()
    changed.loc[5:, "a"] = 1e9
    assert fit_scale(X, ["a"], rows=rows) == fit_scale(changed, ["a"], rows=rows)
    assert fit_scale(X, ["a"]) != fit_scale(changed, ["a"])


def test_a_constant_column_standardises_to_zero_with_a_warning():
    X = pd.DataFrame({"a": [0.1, 0.1, 0.1], "b": [1.0, 2.0, 3.0]})
    with pytest.warns(UserWarning, match="Constant column 'a'"):
        scale = fit_scale(X, ["a", "b"])
    np.testing.assert_allclose(apply_scale(X, scale)["a"], 0, atol=1e-15)


def test_scaling_changes_no_argument():
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [3, 4]})
    before = X.copy()
    apply_scale(X, fit_scale(X, ["a"]))
    pd.testing.assert_frame_equal(X, before)


def test_no_column_is_a_scale_of_its_own():
    X = pd.DataFrame({"a": [1.0, 2.0]})
    assert fit_scale(X, []) == Scale((), (), ())
    pd.testing.assert_frame_equal(apply_scale(X, fit_scale(X, [])), X)
