"""The mean of the nearest rows as a scikit-learn regressor."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import KNeighborsRegressor

from energyknn.estimators.base import Saved, has_target_for_each_row
from energyknn.estimators.exact import ExactNeighbors
from energyknn.neighbors.engines import Engine
from energyknn.neighbors.weighting import KERNELS, Weights, average_targets


@dataclass(eq=False, repr=False)
class KNNRegressor(ExactNeighbors, KNeighborsRegressor):
    """Predict the weighted mean of the targets of the k nearest training rows.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbours to average, from 1 to the number of training rows.
    weights : str or callable, default="uniform"
        How much each neighbour counts: "uniform" (all alike), "distance" (the inverse of the distance), a kernel
        ("triangular", "epanechnikov", "biweight", "triweight", "cosine", "inverse", "gaussian", "rank" or "optimal"),
        or a function that takes the distances and returns as many weights.
    algorithm : {"auto", "ball_tree", "kd_tree", "brute"}, default="auto"
        How scikit-learn searches by the metrics that are not searched here. The neighbours are the same.
    leaf_size : int, default=30
        Rows in a leaf of scikit-learn's trees. The neighbours are the same.
    p : float, default=2
        Power of Minkowski's distance: 1 for Manhattan, 2 for Euclidean. Only read if `metric` is "minkowski".
    metric : str, callable or DistanceMetric, default="minkowski"
        The distance, by scikit-learn's names. Minkowski's distances with p of at least 1, Chebyshev's and the cosine
        distance are searched here, and scikit-learn searches by the others.
    metric_params : dict or None, default=None
        Further parameters of the distance.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
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
    weights: Weights | None = "uniform"
    algorithm: str = "auto"
    leaf_size: int = 30
    p: float | None = 2
    metric: Any = "minkowski"
    metric_params: dict[str, Any] | None = None
    n_jobs: int | None = None
    engine: Engine = "auto"

    _parameter_constraints: ClassVar = KNeighborsRegressor._parameter_constraints | ExactNeighbors._own_constraints

    def _fit(self, X: Any, y: Any = None) -> Self:
        """Fit, and keep the targets as numbers."""
        super()._fit(X, y)
        self.y_ = np.asarray(self._y, dtype=np.float64)
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
        if not (isinstance(self.weights, str) and self.weights in KERNELS):
            return np.asarray(super().predict(X))
        found, weights = self.weigh(X)
        return average_targets(self.y_[found.indices], weights)
