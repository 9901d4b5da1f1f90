"""The learned distance as a scikit-learn transformer, and the local fits that it is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, RegressorMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn.estimators.transformers import ColumnWeights, RankFeatures
from energyknn.learning.learn import learn_map, weigh_softly
from energyknn.learning.maps import RowMap, join_maps, map_rows
from energyknn.learning.planes import weigh_locally
from energyknn.neighbors import Neighbors, build_index
from energyknn.neighbors.search import Engine
from energyknn.progress import track_on_stderr, track_silently

__all__ = ["LocalLinearRegressor", "MetricMap", "make_learned_regressor"]

_ROWS_AT_ONCE = 2048  # of local fits, whose neighbours are held
_WITHIN_REACH = 30  # neighbours whose weights do not vanish
_NOT_OF_ONE_MAP = ("n_maps", "random_state", "verbose")


class MetricMap(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Map rows so that near rows have like targets; see `energyknn.learning.learn.learn_map`.

    Parameters
    ----------
    n_components : int, default=32
        Columns after the map. Ignored by the diagonal form.
    n_maps : int, default=1
        Maps that are joined to one, each learned with a seed of its own: squared distances after it are the mean of
        theirs; see `energyknn.learning.maps.join_maps`.
    n_units, form, n_neighbors, n_rounds, n_rows, row_share, n_queries, n_steps, learning_rate, weight_decay, ridge
        As in `learn_map`.
    patience, time_budget
        As in `learn_map`, of each map.
    random_state : int or None, default=0
        Seed of the first map; the others follow.
    verbose : int, default=0
        Whether to show a progress bar on stderr, with the time that is left.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`.

    Attributes
    ----------
    components_ : ndarray of shape (n_features, n_components), float64
        The linear part of the map.
    hidden_ : HiddenLayer or None
        What bends it: see `energyknn.learning.maps.map_rows`.
    traces_ : tuple of tuple of Round
        How each of the maps was learned.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where `X` was a data frame with names that are all text.
    """

    __metadata_request__fit: ClassVar = {"groups": True}

    def __init__(
        self,
        n_components: int = 32,
        *,
        n_maps: int = 1,
        n_units: int = 128,
        form: Literal["full", "diagonal"] = "full",
        n_neighbors: int = 100,
        n_rounds: int = 60,
        n_rows: int = 30_000,
        row_share: float = 0.4,
        n_queries: int = 20_000,
        n_steps: int = 10,
        learning_rate: float = 0.012,
        weight_decay: float = 1.0,
        ridge: float = 0.3,
        patience: int | None = None,
        time_budget: float | None = None,
        random_state: int | None = 0,
        verbose: int = 0,
        engine: Engine = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_maps = n_maps
        self.n_units = n_units
        self.form = form
        self.n_neighbors = n_neighbors
        self.n_rounds = n_rounds
        self.n_rows = n_rows
        self.row_share = row_share
        self.n_queries = n_queries
        self.n_steps = n_steps
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.ridge = ridge
        self.patience = patience
        self.time_budget = time_budget
        self.random_state = random_state
        self.verbose = verbose
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Learn the map.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers, each column of about unit variance.
        y : array-like of shape (n_rows,)
            Targets.
        groups : array-like of shape (n_rows,) or None, default=None
            As in `learn_map`. Where scikit-learn routes metadata, the map asks for them by itself, in a pipeline or a
            mean of models too: see `energyknn.fitting.fit_in_groups`.

        Returns
        -------
        MetricMap
            The transformer itself.

        Raises
        ------
        ValueError
            As `learn_map`; or if `n_maps` is not at least 1.
        """
        rows, target = validate_data(self, X, y, dtype=np.float64, order="C", y_numeric=True, ensure_min_samples=3)
        if self.n_maps < 1:
            message = f"n_maps is {self.n_maps!r}. It must be at least 1."
            raise ValueError(message)
        options = {name: value for name, value in self.get_params().items() if name not in _NOT_OF_ONE_MAP}
        track = track_on_stderr if self.verbose else track_silently
        seeds = [None if self.random_state is None else self.random_state + number for number in range(self.n_maps)]
        learned = [learn_map(rows, target, groups=groups, **options, random_state=seed, track=track) for seed in seeds]
        self.components_, self.hidden_ = learned[0].components, learned[0].hidden
        if self.n_maps > 1:
            maps = [RowMap(one.components, one.hidden) for one in learned]
            self.components_, self.hidden_ = join_maps(rows, maps, learned[0].components.shape[1])
        self.traces_ = tuple(one.trace for one in learned)
        self._n_features_out = self.components_.shape[1]
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Map rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Finite real numbers.

        Returns
        -------
        ndarray of shape (n_rows, n_components), float64
            Mapped rows.

        Raises
        ------
        NotFittedError
            If the transformer has not been fitted.
        """
        check_is_fitted(self)
        rows = validate_data(self, X, dtype=np.float64, reset=False)
        mapped: NDArray[np.float64] = map_rows(rows, self.components_, self.hidden_)
        return mapped

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


class LocalLinearRegressor(RegressorMixin, BaseEstimator):
    """Predict from a plane that is fitted to the nearest training rows, nearer ones with more weight.

    Parameters
    ----------
    n_neighbors : int, default=200
        Rows of a fit; all training rows where there are fewer.
    sharpness : float, default=2.0
        Weights are exp(-sharpness * distance²).
    reach : float, default=4.5
        Where rows are sparse, weights fall more slowly: so that the 30th nearest row's is at least exp(-reach) of what
        it would be at no distance. Infinite for one sharpness everywhere.
    ridge : float, default=0.3
        Penalty of a squared slope, above 0.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`.

    Attributes
    ----------
    index_ : NeighborIndex
        The training rows, prepared for searches.
    y_ : ndarray of shape (n_train,), float64
        The targets.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Their names, where `X` was a data frame with names that are all text.
    """

    def __init__(
        self,
        n_neighbors: int = 200,
        *,
        sharpness: float = 2.0,
        reach: float = 4.5,
        ridge: float = 0.3,
        engine: Engine = "auto",
        n_jobs: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.sharpness = sharpness
        self.reach = reach
        self.ridge = ridge
        self.engine = engine
        self.n_jobs = n_jobs

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the training rows, prepared for searches, and their targets.

        Parameters
        ----------
        X : array-like of shape (n_train, n_features)
            Finite real numbers, scaled as they shall count.
        y : array-like of shape (n_train,)
            Finite real numbers.

        Returns
        -------
        LocalLinearRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If rows or targets are not finite numbers of matching length, or `ridge` or `reach` is not above 0.
        """
        if not self.reach > 0:
            message = f"reach is {self.reach!r}. It must be above 0; infinite for one sharpness everywhere."
            raise ValueError(message)
        if not self.ridge > 0:
            message = f"ridge is {self.ridge!r}. It must be above 0: few or equal neighbours need it."
            raise ValueError(message)
        X, y = validate_data(self, X, y, dtype=np.float64, order="C", y_numeric=True)
        self.index_ = build_index(X, engine=self.engine, n_jobs=self.n_jobs)
        self.y_ = np.asarray(y, dtype=np.float64)
        return self

    def predict(self, X: ArrayLike | None) -> NDArray[np.float64]:
        """Predict the targets of rows.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            Rows. None predicts each training row from its neighbours other than itself.

        Returns
        -------
        ndarray of shape (n_query,), float64
            Predictions, in the target's unit.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        parts = [(weights * self.y_[found.indices]).sum(axis=1) for found, weights in self._weigh_blocks(X)]
        predictions: NDArray[np.float64] = np.concatenate(parts)
        return predictions

    def weigh(
        self, X: ArrayLike | None, *, rows: NDArray[np.int64] | None = None
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """Find the training rows that a prediction is made of, and the weight of each.

        Parameters
        ----------
        X : array-like of shape (n_query, n_features) or None
            As in `predict`.
        rows : ndarray of int of shape (n_query,) or None, default=None
            Which training rows, where `X` is None; None for all.

        Returns
        -------
        found : Neighbors
            Distances and training rows, nearest first.
        weights : ndarray of shape (n_query, n_neighbors), float64
            What each target counts for in the prediction, to a sum of 1; some are negative.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        found, weights = zip(*self._weigh_blocks(X, rows), strict=True)
        distances, indices = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Neighbors(distances, indices), np.concatenate(weights)

    def _weigh_blocks(
        self, X: ArrayLike | None, rows: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Neighbors, NDArray[np.float64]]]:
        """Find and weigh the neighbours of some rows at a time."""
        check_is_fitted(self)
        train = self.index_.X_train
        own = None
        if X is None:
            own = np.arange(len(train)) if rows is None else rows
            queries = train[own]
        else:
            queries = validate_data(self, X, dtype=np.float64, order="C", reset=False)
        k = min(self.n_neighbors, len(train) - (X is None))
        for start in range(0, len(queries), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            found = self.index_.search(queries[block], k, own=None if own is None else own[block], n_jobs=self.n_jobs)
            soft = weigh_softly(found.distances, self._adapt_sharpness(found.distances))
            yield found, weigh_locally(queries[block], train[found.indices], soft, ridge=self.ridge)

    def _adapt_sharpness(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sharpness of each query, less where its neighbours are far."""
        squares = distances[:, [min(_WITHIN_REACH, distances.shape[1]) - 1]] ** 2
        most = np.full_like(squares, self.sharpness)
        return np.minimum(most, np.divide(self.reach, squares, out=most.copy(), where=squares > 0))


def make_learned_regressor(
    numbers: Sequence[Any],
    indicators: Sequence[Any] = (),
    *,
    n_maps: int = 4,
    n_waves: int = 4,
    indicator_weight: float = 0.3,
    random_state: int = 0,
    **options: Any,
) -> Pipeline:
    """Make the model of learned distances: a local fit to the nearest rows after maps that are learned and joined.

    Parameters
    ----------
    numbers : sequence of str or int
        Columns of numbers, of about unit variance: they get the features of `RankFeatures`.
    indicators : sequence of str or int, default=()
        Columns of indicators.
    n_maps : int, default=4
        Maps that are joined.
    n_waves : int, default=4
        As in `RankFeatures`.
    indicator_weight : float, default=0.3
        What indicators are multiplied by before learning starts, above 0.
    random_state : int, default=0
        Seed of the first map; the others follow.
    **options
        Of `MetricMap`.

    Returns
    -------
    Pipeline
        Unfitted.

    Examples
    --------
    >>> model = make_learned_regressor([0, 1], n_maps=1, n_rounds=2, n_components=2, n_neighbors=9)
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> model.fit(X, X[:, 0]).predict(X[:3]).shape
    (3,)
    """
    weights = ColumnWeights(default=indicator_weight)
    columns = ColumnTransformer([("numbers", RankFeatures(n_waves), numbers), ("indicators", weights, indicators)])
    return make_pipeline(
        columns, MetricMap(n_maps=n_maps, random_state=random_state, **options), LocalLinearRegressor()
    )
