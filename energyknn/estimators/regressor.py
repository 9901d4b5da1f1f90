"""The mean of the nearest rows as a scikit-learn regressor."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn.estimators.base import NeighborsMixin, Saved, has_target_for_each_row
from energyknn.neighbors import Neighbors, build_index
from energyknn.neighbors.engines import Engine
from energyknn.neighbors.weighting import Weights, average_targets, needs_bandwidth, weigh_neighbors


@dataclass(eq=False, repr=False)
class KNNRegressor(NeighborsMixin, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Predict the weighted mean of the targets of the k nearest training rows.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbours to average, from 1 to the number of training rows.
    weights : str or callable, default="uniform"
        How much each neighbour counts: "uniform" (all alike), "distance" (the inverse of the distance), a kernel
        ("triangular", "epanechnikov", "biweight", "triweight", "cosine", "inverse", "gaussian", "rank" or "optimal"),
        or a function that takes the distances and returns as many weights.
    p : {1, 2}, default=2
        Manhattan (1) or Euclidean (2) distance.
    engine : {"auto", "blocked", "brute", "sklearn", "torch"}, default="auto"
        Which implementation searches. The neighbours are the same.
    n_jobs : int or None, default=None
        Number of threads. None uses every core, and one inside a joblib worker.

    Attributes
    ----------
    index_ : NeighborIndex
        The training rows, prepared for searches.
    y_ : ndarray of shape (n_train,) or (n_train, n_outputs), float64
        The targets.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there if `X` was a data frame whose column names are all text.

    See Also
    --------
    KNNSearchCV : Choose the number of neighbours and the weights by cross-validation.
    LocalLinearRegressor : Fit a plane to the neighbours in place of a mean.
    energyknn.search_neighbors : Find neighbours without a model.

    Notes
    -----
    Neighbours are exact and ordered by (distance², training row), so predictions do not depend on the engine or the
    number of threads. A kernel of relative distance divides distances by that of the (k + 1)-th neighbour. With
    k = n_train there is none, and the k-th serves.

    Examples
    --------
    >>> model = KNNRegressor(n_neighbors=2).fit([[0.0], [1.0], [3.0]], [0.0, 1.0, 5.0])
    >>> model.predict([[2.5]])
    array([3.])
    """

    _saved: ClassVar = Saved(("index_", "y_"), has_target_for_each_row)

    n_neighbors: int = 5
    _: KW_ONLY
    weights: Weights = "uniform"
    p: int = 2
    engine: Engine = "auto"
    n_jobs: int | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the training rows, prepared for searches, and their targets.

        Parameters
        ----------
        X : array-like of shape (n_train, n_features)
            Training rows: finite real numbers, each column scaled by how much it should count in the distance.
        y : array-like of shape (n_train,) or (n_train, n_outputs)
            Targets: finite real numbers.

        Returns
        -------
        KNNRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If the rows or targets are not finite numbers, their numbers differ, or a parameter is out of its range.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, order="C", multi_output=True, y_numeric=True)
        self.index_ = build_index(X, p=self.p, engine=self.engine, n_jobs=self.n_jobs)
        self.y_ = np.asarray(y, dtype=np.float64)
        return self

    def predict(self, X: ArrayLike | None) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            Rows to predict. None predicts each training row from its neighbours other than itself.

        Returns
        -------
        ndarray of shape (n_query,) or (n_query, n_outputs), float64
            Predictions, in the target's unit.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If the rows have other columns than the training rows, or there are fewer training rows than neighbours.
        """
        found, weights = self.weigh(X)
        return average_targets(self.y_[found.indices], weights)

    def weigh(
        self, X: ArrayLike | None, *, rows: NDArray[np.int64] | None = None
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """Find the training rows that each prediction averages, and the weight of each.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            Rows to predict. None takes training rows, each with its neighbours other than itself.
        rows : ndarray of int of shape (n_query,) or None, default=None
            Numbers of the training rows to take if `X` is None. None takes all.

        Returns
        -------
        found : Neighbors
            Distances and numbers of the training rows, nearest first.
        weights : ndarray of shape (n_query, n_neighbors), float64
            Weights, not normalised.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If the rows have other columns than the training rows, or there are fewer training rows than neighbours.
        """
        check_is_fitted(self)
        k = self.n_neighbors
        n_available = len(self.y_) - (X is None)
        reaches_next = needs_bandwidth(self.weights) and 1 <= k < n_available
        found = self._search(X, k + 1 if reaches_next else k, rows=rows)
        bandwidth = found.distances[:, k] if reaches_next else None
        nearest = Neighbors(found.distances[:, :k], found.indices[:, :k])
        weights = weigh_neighbors(nearest.distances, self.weights, bandwidth=bandwidth, n_features=self.n_features_in_)
        return nearest, weights

    @overload
    def kneighbors(
        self, X: ArrayLike | None = ..., n_neighbors: int | None = ..., return_distance: Literal[True] = ...
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...

    @overload
    def kneighbors(
        self, X: ArrayLike | None = ..., n_neighbors: int | None = ..., *, return_distance: Literal[False]
    ) -> NDArray[np.int64]: ...

    def kneighbors(
        self, X: ArrayLike | None = None, n_neighbors: int | None = None, return_distance: bool = True
    ) -> Any:
        """Find the nearest training rows of each row.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None, default=None
            Rows. None finds each training row's neighbours other than itself.
        n_neighbors : int or None, default=None
            Number of neighbours. None takes the estimator's own.
        return_distance : bool, default=True
            Whether to return the distances too.

        Returns
        -------
        distances : ndarray of shape (n_query, n_neighbors), float64
            Distances, nearest first. Only returned if `return_distance`.
        indices : ndarray of shape (n_query, n_neighbors), int64
            Numbers of the training rows. Rows at equal distance are in ascending order.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If the rows have other columns than the training rows, or there are fewer training rows than neighbours.
        """
        check_is_fitted(self)
        found = self._search(X, self.n_neighbors if n_neighbors is None else n_neighbors)
        return (found.distances, found.indices) if return_distance else found.indices

    def _search(self, X: ArrayLike | None, n_neighbors: int, *, rows: NDArray[np.int64] | None = None) -> Neighbors:
        """Search for rows whose columns are checked, or for training rows."""
        queries, own = self.find_queries(X, rows)
        return self.index_.search(queries, n_neighbors, own=own, n_jobs=self.n_jobs)
