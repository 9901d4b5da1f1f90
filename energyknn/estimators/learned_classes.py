"""Soft votes of the nearest rows, and the learned distance for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn.errors import ParameterError
from energyknn.estimators.base import ROWS_AT_ONCE, NeighborsMixin, Saved, has_target_for_each_row, join_blocks
from energyknn.estimators.learned import MetricMap, encode_levels, list_columns
from energyknn.estimators.transformers import ColumnWeights
from energyknn.learning.planes import weigh_softly
from energyknn.learning.votes import PRIOR, share_votes
from energyknn.neighbors import Neighbors, build_index
from energyknn.neighbors.engines import Engine


def _is_sound(model: Any) -> bool:
    """Return whether every row of a model that was read has a class."""
    if not hasattr(model, "y_"):
        return has_target_for_each_row(model)
    known = has_target_for_each_row(model) and model.y_.ndim == 1 and model.prior >= 0
    return known and model.y_.min() >= 0 and model.y_.max() < len(model.classes_)


@dataclass(eq=False, repr=False)
class SoftVoteClassifier(NeighborsMixin, ClassifierMixin, BaseEstimator):
    """Predict probabilities of classes by votes of the nearest training rows, with more weight on nearer ones.

    Parameters
    ----------
    n_neighbors : int, default=100
        Number of rows that vote, or all training rows if there are fewer.
    sharpness : float, default=1.0
        A vote weighs exp(-sharpness * distance²). At least 0.
    prior : float, default=0.05
        Number of votes that are added, shared as the classes of the training rows are. So no probability is 0 or 1. At
        least 0.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        Which implementation searches. The neighbours are the same.
    n_jobs : int or None, default=None
        Number of threads. None uses every core, and one inside a joblib worker.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, ascending.
    index_ : NeighborIndex
        The training rows, prepared for searches.
    y_ : ndarray of shape (n_train,), int64
        The place of each row's label in `classes_`.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there if `X` was a data frame whose column names are all text.

    See Also
    --------
    make_learned_classifier : Soft votes after a learned map.
    KNNClassifier : Votes that are counted, with any weights.

    Notes
    -----
    Weights w that sum to 1 count as 1 / Σ w² votes before the prior is added. Where one row has nearly all weight, the
    prior counts more than where many rows agree.

    Examples
    --------
    >>> model = SoftVoteClassifier(2).fit([[0.0], [1.0], [3.0], [4.0]], ["low", "low", "high", "high"])
    >>> model.predict([[2.75]])
    array(['high'], dtype='<U4')
    >>> model.predict_proba([[2.75]]).round(3)
    array([[0.983, 0.017]])
    """

    _saved: ClassVar = Saved(("index_", "y_", "classes_"), _is_sound)

    n_neighbors: int = 100
    _: KW_ONLY
    sharpness: float = 1.0
    prior: float = PRIOR
    engine: Engine = "auto"
    n_jobs: int | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the training rows, prepared for searches, and their classes.

        Parameters
        ----------
        X : array-like of shape (n_train, n_features)
            Training rows: finite real numbers, each column scaled by how much it should count in the distance.
        y : array-like of shape (n_train,)
            Labels.

        Returns
        -------
        SoftVoteClassifier
            The estimator itself.

        Raises
        ------
        ValueError
            If the rows are not finite numbers, the targets are not one label for each row, or a parameter is out of
            its range.
        """
        if self.n_neighbors < 1 or not 0 <= self.sharpness < np.inf or not 0 <= self.prior < np.inf:
            message = (
                f"n_neighbors is {self.n_neighbors!r}, sharpness {self.sharpness!r} and prior {self.prior!r}. The "
                "first must be at least 1, the others finite and at least 0."
            )
            raise ParameterError(message)
        X, y = validate_data(self, X, y, dtype=np.float64, order="C")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.y_ = np.asarray(codes, dtype=np.int64)
        self.index_ = build_index(X, engine=self.engine, n_jobs=self.n_jobs)
        return self

    def predict(self, X: ArrayLike | None) -> NDArray[Any]:
        """Predict the classes of rows.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            Rows to predict. None predicts each training row from its neighbours other than itself.

        Returns
        -------
        ndarray of shape (n_query,)
            The label of the largest probability; of several, the smallest.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        places = self.predict_proba(X).argmax(axis=1)
        return np.asarray(self.classes_[places])

    def predict_proba(self, X: ArrayLike | None) -> NDArray[np.float64]:
        """Estimate the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            Rows to predict. None predicts each training row from its neighbours other than itself.

        Returns
        -------
        ndarray of shape (n_query, n_classes), float64
            Probabilities, in the order of `classes_`.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        check_is_fitted(self)
        shares = self.prior * np.bincount(self.y_, minlength=len(self.classes_)) / len(self.y_)
        blocks = self._weigh_blocks(X)
        return np.concatenate([share_votes(self.y_[found.indices], weights, shares) for found, weights in blocks])

    def weigh(
        self, X: ArrayLike | None, *, rows: NDArray[np.int64] | None = None
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """Find the training rows that vote for each prediction, and the weight of each vote.

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
            Weights that sum to 1 for each query.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        check_is_fitted(self)
        return join_blocks(self._weigh_blocks(X, rows))

    def _weigh_blocks(
        self, X: ArrayLike | None, rows: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Neighbors, NDArray[np.float64]]]:
        """Find and weigh the neighbours of a block of rows at a time."""
        for _, found in self.search_blocks(X, self.n_neighbors, rows=rows, block_rows=ROWS_AT_ONCE):
            yield found, weigh_softly(found.distances, self.sharpness)


def make_learned_classifier(
    numbers: Sequence[Any],
    indicators: Sequence[Any] = (),
    *,
    categories: Sequence[Any] = (),
    n_maps: int = 4,
    n_rounds: int = 20,
    indicator_weight: float = 0.3,
    random_state: int = 0,
    **options: Any,
) -> Pipeline:
    """Make a model that predicts classes by soft votes after a learned map.

    Parameters
    ----------
    numbers : sequence of str or int
        Names or positions of the numeric columns, in any unit: they are scaled.
    indicators : sequence of str or int, default=()
        Names or positions of the indicator columns.
    categories : sequence of str or int, default=()
        Names or positions of raw columns with many levels. Each becomes the mean target of its level, or the share of
        each class, found out of fold by scikit-learn's TargetEncoder. A model file cannot hold such a model.
    n_maps : int, default=4
        Number of maps that are learned and joined to one.
    n_rounds : int, default=20
        Number of rounds that each map learns.
    indicator_weight : float, default=0.3
        Indicators are multiplied by this before learning starts. Above 0.
    random_state : int, default=0
        Seed of the first map. The other maps take the seeds that follow.
    **options
        Further parameters of `MetricMap`. The hidden layer and the weight decay follow from the number of rows.

    Returns
    -------
    Pipeline
        The unfitted model. It has `predict`, `predict_proba` and, once fitted, `classes_`.

    See Also
    --------
    make_learned_regressor : The same for numbers.
    MetricMap : Learns the map.
    SoftVoteClassifier : Votes after the map.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> model = make_learned_classifier([0, 1], n_maps=1, n_rounds=2).fit(X, X[:, 0] > 0)
    >>> model.predict_proba(X[:3]).shape
    (3, 2)
    """
    weights = ColumnWeights(default=indicator_weight)
    parts = [("numbers", StandardScaler(), list_columns(numbers)), ("indicators", weights, list_columns(indicators))]
    columns = ColumnTransformer([*parts, *encode_levels(categories, random_state)])
    chosen: dict[str, Any] = {"row_share": 0.6, "n_units": None, "weight_decay": None, **options}
    learned = MetricMap(loss="log_loss", n_maps=n_maps, n_rounds=n_rounds, random_state=random_state, **chosen)
    return make_pipeline(columns, learned, SoftVoteClassifier())
