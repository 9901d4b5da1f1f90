"""The vote of the nearest rows as a scikit-learn classifier."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import KNeighborsClassifier

from energyknn.errors import ParameterError
from energyknn.estimators.base import Saved, has_target_for_each_row
from energyknn.estimators.exact import ExactNeighbors
from energyknn.neighbors.engines import Engine
from energyknn.neighbors.weighting import Weights


@dataclass(eq=False, repr=False)
class KNNClassifier(ExactNeighbors, KNeighborsClassifier):
    """Predict the class for which most of the k nearest training rows vote.

    Parameters
    ----------
    n_neighbors : int, default=5
        Number of neighbours that vote, from 1 to the number of training rows.
    weights : str or callable, default="uniform"
        How much each vote counts: "uniform" (all alike), "distance" (the inverse of the distance), a kernel
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
    n_jobs : int or None, default=None
        Number of threads. None uses every core, and one inside a joblib worker.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        Which implementation searches. The neighbours are the same.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of ndarray
        The labels, ascending; a list with one array for each output where there are several.
    index_ : NeighborIndex
        The training rows, prepared for searches.
    y_ : ndarray of shape (n_train,) or (n_train, n_outputs), int64
        The place of each row's label in `classes_`.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there if `X` was a data frame whose column names are all text.

    See Also
    --------
    KNNRegressor : The same for numbers.
    from_grid_search : Choose the number of neighbours, the weights and the distance by cross-validation.

    Notes
    -----
    Neighbours are exact and ordered by (distance, training row), so predictions do not depend on the engine or the
    number of threads. Where classes have equally many votes, the smallest label is predicted, as in scikit-learn.

    Examples
    --------
    >>> model = KNNClassifier(n_neighbors=3).fit([[0.0], [1.0], [3.0], [4.0]], ["low", "low", "high", "high"])
    >>> model.predict([[2.75]])
    array(['high'], dtype='<U4')
    >>> model.predict_proba([[2.75]])
    array([[0.66666667, 0.33333333]])
    """

    _saved: ClassVar = Saved(("index_", "y_", "classes_", "outputs_2d_"), lambda model: model._is_sound())

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

    _parameter_constraints: ClassVar = KNeighborsClassifier._parameter_constraints | ExactNeighbors._own_constraints

    def _fit(self, X: Any, y: Any = None) -> Self:
        """Fit, and keep the places of the labels."""
        super()._fit(X, y)
        self.y_ = np.asarray(self._y, dtype=np.int64)
        return self

    def _is_sound(self) -> bool:
        """Return whether every row of a model that was read has a label."""
        if not hasattr(self, "y_"):
            return has_target_for_each_row(self)
        known = has_target_for_each_row(self) and self.outputs_2d_ is False and self.y_.ndim == 1
        return known and self.y_.min() >= 0 and self.y_.max() < len(self.classes_)

    def predict(self, X: ArrayLike | None) -> NDArray[Any]:
        """Predict the classes of rows.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            Rows to predict. None predicts each training row from its neighbours other than itself.

        Returns
        -------
        ndarray of shape (n_query,) or (n_query, n_outputs)
            The label with the most votes; of several, the smallest.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            If the rows have other columns than the training rows, there are fewer training rows than neighbours, or
            weights are negative, not finite, or all 0 for a row.
        """
        places = self._elect(X)
        if not self.outputs_2d_:
            return np.asarray(self.classes_[places[0]])
        return np.column_stack([classes[found] for classes, found in zip(self.classes_, places, strict=True)])

    def predict_proba(self, X: ArrayLike | None) -> Any:
        """Estimate the probability of each class by its share of the votes.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            Rows to predict. None predicts each training row from its neighbours other than itself.

        Returns
        -------
        ndarray of shape (n_query, n_classes), or list of such arrays
            Probabilities, in the order of `classes_`; a list with one array for each output where there are several.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        ValueError
            As in `predict`.
        """
        shares = [votes / votes.sum(axis=1, keepdims=True) for votes in self._count_votes(X)]
        return shares if self.outputs_2d_ else shares[0]

    def _elect(self, X: ArrayLike | None) -> list[NDArray[np.int64]]:
        """Find the place of the class with the most votes: an array of shape (n_query,) for each output."""
        return [votes.argmax(axis=1) for votes in self._count_votes(X)]

    def _count_votes(self, X: ArrayLike | None) -> list[NDArray[np.float64]]:
        """Add up the weights of each class: an array of shape (n_query, n_classes) for each output."""
        found, weights = self.weigh(X)
        _check_votes(weights)
        classes, codes = self.classes_, self.y_
        if not self.outputs_2d_:
            classes, codes = [classes], codes[:, np.newaxis]
        return [add_votes(codes[:, output][found.indices], weights, len(known)) for output, known in enumerate(classes)]


def _check_votes(weights: NDArray[np.float64]) -> None:
    """Require weights of at least 0, and one above it in each row."""
    totals = weights.sum(axis=1)
    n_empty = np.count_nonzero(totals == 0)
    if n_empty and not (weights < 0).any():
        message = (
            "All neighbors of some sample is getting zero weights. Please modify 'weights' to avoid this case if you "
            f"are using a user-defined function. It is so for {n_empty} of {len(weights)} rows."
        )  # the first two sentences are scikit-learn's
        raise ParameterError(message)
    if (weights < 0).any() or not np.isfinite(totals).all():
        n_wrong = np.count_nonzero((weights < 0).any(axis=1) | ~np.isfinite(totals))
        message = (
            f"The weights of {n_wrong} rows are negative or not finite. Votes need weights of at least 0, one of them "
            "above it: correct the function of the distances."
        )
        raise ParameterError(message)


def add_votes(codes: NDArray[Any], weights: NDArray[np.float64], n_classes: int) -> NDArray[np.float64]:
    """Add up the weights of each class in the rows of two matrices: (n_query, n_classes), nearest neighbours first."""
    n_query = len(codes)
    flat = codes + np.arange(n_query)[:, np.newaxis] * n_classes
    votes = np.bincount(flat.ravel(), weights=weights.ravel(), minlength=n_query * n_classes)
    return np.asarray(votes, dtype=np.float64).reshape(n_query, n_classes)
