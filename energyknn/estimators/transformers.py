"""scikit-learn transformers of columns: weights, where 0 leaves a column out, and features of ranks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.validation import check_is_fitted, validate_data

__all__ = ["ColumnWeights", "RankFeatures"]

_FARTHEST = 5.0  # where values and scores are cut off, so that no row stands alone
_N_QUANTILES = 1000


class ColumnWeights(TransformerMixin, BaseEstimator):
    """Multiply columns by weights, so that they count for more or less in a distance; 0 leaves a column out.

    Parameters
    ----------
    weights : mapping of str or int to float or None, default=None
        Weight by column, by name where the rows are a data frame, else by position. At least 0.
    default : float, default=1.0
        Weight of the columns that `weights` does not name.

    Attributes
    ----------
    weights_ : ndarray of shape (n_features,), float64
        Weight of each column.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where `X` was a data frame with names that are all text.

    Examples
    --------
    >>> ColumnWeights({0: 2.0, 2: 0.0}).fit_transform([[1.0, 2.0, 3.0]])
    array([[2., 2.]])
    """

    def __init__(self, weights: Mapping[Any, float] | None = None, *, default: float = 1.0) -> None:
        self.weights = weights
        self.default = default

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Find the columns that are named.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers.
        y : object, default=None
            Not looked at.

        Returns
        -------
        ColumnWeights
            The transformer itself.

        Raises
        ------
        ValueError
            If a column is not there, a weight is negative or not finite, or every weight is 0.
        """
        validate_data(self, X, dtype=np.float64)
        names = list(getattr(self, "feature_names_in_", range(self.n_features_in_)))
        given = dict(self.weights or {})
        unknown = [name for name in given if name not in names]
        if unknown:
            message = f"{', '.join(map(repr, unknown))} is no column. The columns are {', '.join(map(str, names))}."
            raise ValueError(message)
        weights = np.array([given.get(name, self.default) for name in names], dtype=np.float64)
        if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
            message = (
                f"The weights are {weights.tolist()}. Each must be finite and at least 0, and one more than 0: "
                "a distance needs a column."
            )
            raise ValueError(message)
        self.weights_ = weights
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Multiply the columns and leave out those of weight 0.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers.

        Returns
        -------
        ndarray of shape (n_rows, n_features_out), float64
            Columns of weight more than 0.

        Raises
        ------
        NotFittedError
            If the transformer has not been fitted.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        kept = self.weights_ > 0
        weighted: NDArray[np.float64] = rows[:, kept] * self.weights_[kept]
        return weighted

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the columns that are kept.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Their names, where they are not known from the fit.

        Returns
        -------
        ndarray of str
            Names.
        """
        check_is_fitted(self)
        if input_features is None:
            input_features = getattr(self, "feature_names_in_", [f"x{at}" for at in range(self.n_features_in_)])
        names: NDArray[np.object_] = np.asarray(input_features, dtype=object)[self.weights_ > 0]
        return names


class RankFeatures(TransformerMixin, BaseEstimator):
    """Give each column its values, their normal scores, and waves of their ranks, for a linear map to combine.

    Parameters
    ----------
    n_waves : int, default=4
        Waves of each column: cos(pi * j * rank) for j from 1 on, with the rank from 0 to 1.

    Attributes
    ----------
    quantiles_ : QuantileTransformer
        What turns values into ranks.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where `X` was a data frame with names that are all text.

    Notes
    -----
    Values and normal scores are cut off at -5 and 5: give columns of about unit variance. With all waves, a linear map
    of these features can be any smooth function of each column.

    Examples
    --------
    >>> RankFeatures(n_waves=1).fit_transform([[0.0], [1.0], [2.0]]).round(2).tolist()
    [[0.0, -5.0, 1.0], [1.0, 0.0, 0.0], [2.0, 5.0, -1.0]]
    """

    def __init__(self, n_waves: int = 4) -> None:
        self.n_waves = n_waves

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Learn the ranks of values.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers.
        y : object, default=None
            Not looked at.

        Returns
        -------
        RankFeatures
            The transformer itself.
        """
        rows = validate_data(self, X, dtype=np.float64)
        n_quantiles = min(_N_QUANTILES, len(rows))
        self.quantiles_ = QuantileTransformer(n_quantiles=n_quantiles, subsample=None).fit(rows)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the features.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers.

        Returns
        -------
        ndarray of shape (n_rows, (2 + n_waves) * n_features), float64
            Values, normal scores, then the waves, each for all columns.

        Raises
        ------
        NotFittedError
            If the transformer has not been fitted.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        ranks = self.quantiles_.transform(rows)
        scores = np.clip(norm.ppf(ranks), -_FARTHEST, _FARTHEST)
        waves = [np.cos(np.pi * number * ranks) for number in range(1, self.n_waves + 1)]
        return np.hstack([np.clip(rows, -_FARTHEST, _FARTHEST), scores, *waves])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the features.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns, where they are not known from the fit.

        Returns
        -------
        ndarray of str
            Names.
        """
        check_is_fitted(self)
        if input_features is None:
            input_features = getattr(self, "feature_names_in_", [f"x{at}" for at in range(self.n_features_in_)])
        endings = ["", "_score", *(f"_wave{number}" for number in range(1, self.n_waves + 1))]
        return np.array([f"{name}{ending}" for ending in endings for name in np.asarray(input_features)], dtype=object)
