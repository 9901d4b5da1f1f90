"""scikit-learn transformers of columns: weights, where 0 leaves a column out, and features made of ranks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.preprocessing import QuantileTransformer
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn.errors import ParameterError
from energyknn.estimators.base import Saved

_FARTHEST = 5.0  # values and scores are cut off here, so that no row stands alone
_N_QUANTILES = 1000
_WAVES, _ROWS_A_FEATURE = 4, 8
_MOST_WAVES = 1000  # that a model file may ask for


@dataclass(eq=False, repr=False)
class ColumnWeights(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Multiply columns by weights, so that each counts for more or less in a distance.

    Parameters
    ----------
    weights : mapping of str or int to float or None, default=None
        Weight of each column, at least 0, by name if the rows are a data frame and by position otherwise. A weight of 0
        leaves the column out.
    default : float, default=1.0
        Weight of the columns that `weights` does not name.

    Attributes
    ----------
    weights_ : ndarray of shape (n_features,), float64
        Weight of each column.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there if `X` was a data frame whose column names are all text.

    See Also
    --------
    MetricMap : Learn how much each column counts.
    energyknn.inspection.weigh_columns : Measure how much each column counts in a fitted model.

    Examples
    --------
    >>> ColumnWeights({0: 2.0, 2: 0.0}).fit_transform([[1.0, 2.0, 3.0]])
    array([[2., 2.]])
    """

    _saved: ClassVar = Saved(("weights_",))

    weights: Mapping[Any, float] | None = None
    _: KW_ONLY
    default: float = 1.0

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Find the columns that are named.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows: finite real numbers.
        y : object, default=None
            Ignored.

        Returns
        -------
        ColumnWeights
            The transformer itself.

        Raises
        ------
        ValueError
            If `X` lacks a column that is named, a weight is negative or not finite, or every weight is 0.
        """
        validate_data(self, X, dtype=np.float64)
        names = list(getattr(self, "feature_names_in_", range(self.n_features_in_)))
        given = dict(self.weights or {})
        unknown = [name for name in given if name not in names]
        if unknown:
            message = (
                f"weights names {', '.join(map(repr, unknown))}, which X does not have. Its columns are "
                f"{', '.join(map(str, names))}."
            )
            raise ParameterError(message)
        weights = np.array([given.get(name, self.default) for name in names], dtype=np.float64)
        if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.max() > 0):
            message = (
                f"The weights are {weights.tolist()}. Each must be finite and at least 0, and one more than 0: "
                "a distance needs a column."
            )
            raise ParameterError(message)
        self.weights_ = weights
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Multiply the columns, and leave out those of weight 0.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows: finite real numbers.

        Returns
        -------
        ndarray of shape (n_rows, n_features_out), float64
            The columns whose weight is above 0, multiplied.

        Raises
        ------
        NotFittedError
            If the transformer has not been fitted.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        kept = self.weights_ > 0
        return np.asarray(rows[:, kept] * self.weights_[kept])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the columns that are kept.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of all columns. None takes those of the fit.

        Returns
        -------
        ndarray of str
            Names of the columns whose weight is above 0.
        """
        names: NDArray[np.object_] = super().get_feature_names_out(input_features)
        return names[self.weights_ > 0]


@dataclass(eq=False, repr=False)
class RankFeatures(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Turn each column into its values, their normal scores and waves of their ranks.

    Parameters
    ----------
    n_waves : int or None, default=4
        Number of waves of each column. Wave j is cos(pi * j * rank), with ranks from 0 to 1. None takes at most 4, and
        so few that there are 8 rows or more for each feature.

    Attributes
    ----------
    quantiles_ : QuantileTransformer
        Turns values into ranks.
    n_waves_ : int
        Number of waves.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there if `X` was a data frame whose column names are all text.

    See Also
    --------
    MetricMap : Learns a linear map of such features.
    make_learned_regressor : A model that uses both.

    Notes
    -----
    Give columns of about unit variance: values and normal scores are cut off at -5 and 5. The more waves there are,
    the closer a linear map of these features comes to any smooth function of each column.

    Examples
    --------
    >>> RankFeatures(n_waves=1).fit_transform([[0.0], [1.0], [2.0]]).round(2).tolist()
    [[0.0, -5.0, 1.0], [1.0, 0.0, 0.0], [2.0, 5.0, -1.0]]
    """

    _saved: ClassVar = Saved(("quantiles_", "n_waves_"), lambda ranks: ranks._is_sound())

    n_waves: int | None = 4

    def fit(self, X: ArrayLike, y: object = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Learn the ranks of values.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows: finite real numbers.
        y : object, default=None
            Ignored.

        Returns
        -------
        RankFeatures
            The transformer itself.
        """
        rows = validate_data(self, X, dtype=np.float64)
        self.quantiles_ = QuantileTransformer(n_quantiles=min(_N_QUANTILES, len(rows)), subsample=None).fit(rows)
        afforded = len(rows) // (_ROWS_A_FEATURE * rows.shape[1]) - 2
        self.n_waves_ = min(max(0, afforded), _WAVES) if self.n_waves is None else self.n_waves
        return self

    def _is_sound(self) -> bool:
        """Return whether a transformer that was read makes a number of features that it may."""
        return 0 <= self._count_waves() <= _MOST_WAVES and self.n_waves in (None, self._count_waves())

    def _count_waves(self) -> int:
        """Return the number of waves. Model files of older releases have it as the parameter alone."""
        return int(getattr(self, "n_waves_", self.n_waves or 0))

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Compute the features.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows: finite real numbers.

        Returns
        -------
        ndarray of shape (n_rows, (2 + n_waves) * n_features), float64
            The values of all columns, then their normal scores, then each wave.

        Raises
        ------
        NotFittedError
            If the transformer has not been fitted.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        ranks = self.quantiles_.transform(rows)
        scores = np.clip(norm.ppf(ranks), -_FARTHEST, _FARTHEST)
        waves = [np.cos(np.pi * number * ranks) for number in range(1, self._count_waves() + 1)]
        return np.hstack([np.clip(rows, -_FARTHEST, _FARTHEST), scores, *waves])

    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]:
        """Name the features.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns. None takes those of the fit.

        Returns
        -------
        ndarray of str
            The columns' names, then ``name_score``, then ``name_wave1`` and so on.
        """
        endings = ["", "_score", *(f"_wave{number}" for number in range(1, self._count_waves() + 1))]
        names = super().get_feature_names_out(input_features)
        return np.array([f"{name}{ending}" for ending in endings for name in names], dtype=object)
