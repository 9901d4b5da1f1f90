"""The learned distance as a scikit-learn transformer, and the local linear fits that it is learned for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, RegressorMixin, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler, TargetEncoder
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn._shared.checks import check_choice
from energyknn._shared.threads import count_threads
from energyknn.errors import ParameterError
from energyknn.estimators.base import NeighborsMixin, Saved, has_target_for_each_row, join_blocks
from energyknn.estimators.transformers import ColumnWeights, RankFeatures
from energyknn.learning.learn import Learner, MapOptions, learn_maps
from energyknn.learning.maps import RowMap, join_maps, map_rows
from energyknn.learning.planes import weigh_locally
from energyknn.learning.votes import VoteLearner
from energyknn.neighbors import Neighbors, build_index
from energyknn.neighbors.engines import Engine
from energyknn.progress import track_on_stderr, track_silently

Loss = Literal["squared_error", "log_loss"]
LOSSES: tuple[Loss, ...] = get_args(Loss)

_ROWS_AT_ONCE = 2048  # whose neighbours are in memory together
_WITHIN_REACH = 30  # neighbours that keep some weight


@dataclass(eq=False, repr=False)
class MetricMap(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator, MapOptions):
    """Map rows so that rows with similar targets lie near each other.

    Parameters
    ----------
    n_components : int, default=32
        Number of columns after the map. Ignored by the diagonal form.
    n_maps : int, default=1
        Number of maps, each learned with its own seed, that are joined to one. A squared distance after it is the mean
        of the squared distances after each.
    loss : {"squared_error", "log_loss"}, default="squared_error"
        What the map minimises: the squared error of planes that predict numbers, or the log loss of votes for classes.
    n_units : int or None, default=128
        Number of units in a hidden layer that bends the map. 0 gives a linear map. None takes 128, and 0 for fewer than
        10,000 rows. Ignored by the diagonal form.
    form : {"full", "diagonal"}, default="full"
        "full" learns a matrix and the hidden layer. "diagonal" learns one weight, at least 0, for each column.
    n_neighbors : int, default=100
        Number of neighbours that predict a row while the map is learned.
    n_rounds : int, default=60
        Number of rounds. Each draws rows, finds their neighbours after the map so far, and improves the map.
    n_shared : int, default=0
        Number of rounds that all maps have in common, fewer than `n_rounds`: one map is learned, and then each goes on
        from it with its own draws.
    n_rows : int, default=30000
        Largest number of rows in a round.
    row_share : float, default=0.4
        Share of the rows that a round draws, at most 1, but enough for each row to have its neighbours. If every round
        holds most rows, the map overfits single neighbours.
    n_queries : int, default=20000
        Largest number of rows that are predicted in a round.
    n_steps : int, default=10
        Steps of the optimiser Adam in a pass over the rows that are predicted.
    n_passes : int, default=1
        Passes over these rows in a round. Their neighbours are searched once.
    learning_rate : float, default=0.012
        Learning rate of the first round and of shared ones. Then it falls along a cosine.
    weight_decay : float or None, default=1.0
        Each step shrinks the map by this times the learning rate. At least 0. None takes 1500 / n_rows, but at least 1
        and at most 5: few rows need more.
    ridge : float, default=0.3
        Penalty of a squared slope of the planes that predict, above 0. Infinity predicts weighted means. Not used for
        classes.
    patience : int or None, default=None
        Stop a map after this many rounds without a smaller validation error. None runs all rounds.
    time_budget : float or None, default=None
        Seconds after which no round of a map begins. The first always does. Runs with a budget may differ.
    random_state : int or None, default=0
        Seed of the first map. The other maps take the seeds that follow.
    verbose : int, default=0
        1 shows a progress bar with the remaining time on stderr.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        Which implementation searches for neighbours. The neighbours are the same.
    n_jobs : int or None, default=None
        Number of threads. None uses every core, and one inside a joblib worker. Several maps are learned side by side,
        and the bits are the same with any number.

    Attributes
    ----------
    components_ : ndarray of shape (n_features, n_components), float64
        The linear part of the map.
    hidden_ : HiddenLayer or None
        The hidden layer: `weights`, `offsets` and `components`. A row x maps to
        ``x @ components_ + tanh(x @ weights + offsets) @ components``.
    traces_ : tuple of tuple of Round
        For each map its rounds: `seconds`, `leave_one_out_rmse` and `validation_rmse`. For classes they are of the type
        `VoteRound`, with `leave_one_out_log_loss` and `validation_log_loss`.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there if `X` was a data frame whose column names are all text.

    See Also
    --------
    make_learned_regressor : A model that predicts after a learned map.
    LocalLinearRegressor : The local fits that the map is learned for.
    SoftVoteClassifier : The votes that the map is learned for where the target is a class.
    ColumnWeights : Weights that are given, not learned.

    Notes
    -----
    The map minimises the squared error of leave-one-out predictions by gradient descent. Each row is predicted by a
    weighted plane that is fitted to its neighbours (weights exp(-d²), with d measured after the map), as
    LocalLinearRegressor does. A validation set chooses the round whose map is kept.

    For classes, the map minimises the log loss of leave-one-out votes with the weights exp(-d²) (Goldberger et al.,
    Neighbourhood components analysis, 2004). The map of the last round is kept, and the rows that a map was not learned
    from choose the scale of distances, as SoftVoteClassifier needs it.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> found = MetricMap(form="diagonal", n_neighbors=20, n_rounds=20, learning_rate=0.1).fit(X, X[:, 0])
    >>> int(np.diag(found.components_).argmax())  # the column that the target depends on
    0
    """

    __metadata_request__fit: ClassVar = {"groups": True}
    _saved: ClassVar = Saved(("components_", "hidden_", "traces_", "_n_features_out"))

    _: KW_ONLY
    loss: Loss = "squared_error"
    n_maps: int = 1
    random_state: int | None = 0
    verbose: int = 0

    def fit(self, X: ArrayLike, y: ArrayLike, *, groups: ArrayLike | None = None) -> Self:
        """Learn the map.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Training rows: finite real numbers, each column of about unit variance.
        y : array-like of shape (n_rows,)
            Targets: numbers, or labels where `loss` is "log_loss".
        groups : array-like of shape (n_rows,) or None, default=None
            Group of each row, for data whose new rows belong to new groups. No row is then predicted from its own
            group. None treats each row as its own group. With metadata routing, also inside a pipeline or a mean of
            models, the map asks for groups by itself; `energyknn.fitting.fit_in_groups` passes them.

        Returns
        -------
        MetricMap
            The transformer itself.

        Raises
        ------
        ValueError
            If there are fewer than 3 rows or groups, or a parameter is out of its range.
        """
        check_choice(self.loss, LOSSES, name="loss")
        votes = self.loss == "log_loss"
        options: dict[str, Any] = {"dtype": np.float64, "order": "C", "ensure_min_samples": 3}
        rows, target = validate_data(self, X, y, y_numeric=not votes, **options)
        if votes:
            check_classification_targets(target)
            target = np.unique(target, return_inverse=True)[1]
        if self.n_maps < 1:
            message = f"n_maps is {self.n_maps!r}. It must be at least 1."
            raise ParameterError(message)
        track = track_on_stderr if self.verbose else track_silently
        seeds = [None if self.random_state is None else self.random_state + number for number in range(self.n_maps)]
        learned = learn_maps(
            rows, target, self, seeds=seeds, groups=groups, track=track, learner=VoteLearner if votes else Learner
        )
        maps = [RowMap(one.components, one.hidden) for one in learned]
        self._n_features_out = maps[0].components.shape[1]
        self.components_, self.hidden_ = maps[0] if len(maps) == 1 else join_maps(rows, maps, self._n_features_out)
        self.traces_ = tuple(one.trace for one in learned)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Map rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows: finite real numbers.

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
        return map_rows(rows, self.components_, self.hidden_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        return tags


@dataclass(eq=False, repr=False)
class LocalLinearRegressor(NeighborsMixin, RegressorMixin, BaseEstimator):
    """Predict by a plane that is fitted to the nearest training rows, with more weight on nearer ones.

    Parameters
    ----------
    n_neighbors : int, default=200
        Number of rows that a plane is fitted to, or all training rows if there are fewer.
    sharpness : float, default=2.0
        Weights are exp(-sharpness * distance²).
    reach : float, default=4.5
        Lowers the sharpness where data are sparse, so that the 30th neighbour keeps at least exp(-reach) of the largest
        possible weight. Infinity uses one sharpness everywhere.
    ridge : float, default=0.3
        Penalty of a squared slope, above 0.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        Which implementation searches. The neighbours are the same.
    n_jobs : int or None, default=None
        Number of threads. None uses every core, and one inside a joblib worker.

    Attributes
    ----------
    index_ : NeighborIndex
        The training rows, prepared for searches.
    y_ : ndarray of shape (n_train,), float64
        The targets.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns. Only there if `X` was a data frame whose column names are all text.

    See Also
    --------
    KNNRegressor : The weighted mean of the neighbours.
    make_learned_regressor : Local fits after a learned map.

    Notes
    -----
    A mean of neighbours is pulled to the side on which most of them lie. A plane is not (Fan and Gijbels, Local
    Polynomial Modelling and Its Applications, 1996).

    Examples
    --------
    >>> X = np.arange(10.0).reshape(-1, 1)
    >>> LocalLinearRegressor(5, sharpness=0.1, ridge=1e-9).fit(X, 3 * X[:, 0]).predict([[9.5]]).round(3)
    array([28.5])
    """

    _saved: ClassVar = Saved(("index_", "y_"), has_target_for_each_row)

    n_neighbors: int = 200
    _: KW_ONLY
    sharpness: float = 2.0
    reach: float = 4.5
    ridge: float = 0.3
    engine: Engine = "auto"
    n_jobs: int | None = None

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Keep the training rows, prepared for searches, and their targets.

        Parameters
        ----------
        X : array-like of shape (n_train, n_features)
            Training rows: finite real numbers, each column scaled by how much it should count in the distance.
        y : array-like of shape (n_train,)
            Targets: finite real numbers.

        Returns
        -------
        LocalLinearRegressor
            The estimator itself.

        Raises
        ------
        ValueError
            If the rows or targets are not finite numbers, their numbers differ, or `ridge` or `reach` is not above 0.
        """
        if not self.reach > 0:
            message = f"reach is {self.reach!r}. It must be above 0; infinite for one sharpness everywhere."
            raise ParameterError(message)
        if not self.ridge > 0:
            message = f"ridge is {self.ridge!r}. It must be above 0: few or equal neighbours need it."
            raise ParameterError(message)
        X, y = validate_data(self, X, y, dtype=np.float64, order="C", y_numeric=True)
        self.index_ = build_index(X, engine=self.engine, n_jobs=self.n_jobs)
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
        ndarray of shape (n_query,), float64
            Predictions, in the target's unit.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        return np.concatenate(
            [(weights * self.y_[near.indices]).sum(axis=1) for near, weights in self._weigh_blocks(X)]
        )

    def weigh(
        self, X: ArrayLike | None, *, rows: NDArray[np.int64] | None = None
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """Find the training rows that each plane is fitted to, and how much the target of each counts.

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
            Weights that sum to 1 for each query. The prediction is the weighted sum of the targets. Some weights are
            negative.

        Raises
        ------
        NotFittedError
            If the estimator has not been fitted.
        """
        return join_blocks(self._weigh_blocks(X, rows))

    def _weigh_blocks(
        self, X: ArrayLike | None, rows: NDArray[np.int64] | None = None
    ) -> Iterator[tuple[Neighbors, NDArray[np.float64]]]:
        """Find and weigh the neighbours of a block of rows at a time."""
        check_is_fitted(self)
        n_threads = count_threads(self.n_jobs)
        for queries, found in self.search_blocks(X, self.n_neighbors, rows=rows, block_rows=_ROWS_AT_ONCE):
            sharpness = self._adapt_sharpness(found.distances)
            train = self.index_.X_train
            yield found, weigh_locally(queries, train, found, sharpness, ridge=self.ridge, n_threads=n_threads)

    def _adapt_sharpness(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sharpness of each query, lower if its neighbours are far."""
        squares = distances[:, min(_WITHIN_REACH, distances.shape[1]) - 1] ** 2
        most = np.full_like(squares, self.sharpness)
        return np.minimum(most, np.divide(self.reach, squares, out=most.copy(), where=squares > 0))


def list_columns(columns: Sequence[Any]) -> list[Any]:
    """Return names or positions as ColumnTransformer takes them: a list of Python's own text or numbers."""
    return list(np.array(list(columns)).tolist())


def encode_levels(categories: Sequence[Any], random_state: int) -> list[tuple[str, Pipeline, list[Any]]]:
    """Make the part of a ColumnTransformer that turns levels into mean targets, out of fold for training rows."""
    encoder = TargetEncoder(cv=KFold(shuffle=True, random_state=random_state))
    return (
        [("categories", make_pipeline(encoder, StandardScaler()), list_columns(categories))] if len(categories) else []
    )


def make_learned_regressor(
    numbers: Sequence[Any],
    indicators: Sequence[Any] = (),
    *,
    categories: Sequence[Any] = (),
    n_maps: int = 4,
    n_waves: int | None = None,
    indicator_weight: float = 0.3,
    random_state: int = 0,
    **options: Any,
) -> Pipeline:
    """Make a model that predicts by local linear fits after a learned map.

    Parameters
    ----------
    numbers : sequence of str or int
        Names or positions of the numeric columns, in any unit: they are scaled, and `RankFeatures` makes features.
    indicators : sequence of str or int, default=()
        Names or positions of the indicator columns.
    categories : sequence of str or int, default=()
        Names or positions of raw columns with many levels. Each becomes the mean target of its level, or the share of
        each class, found out of fold by scikit-learn's TargetEncoder. A model file cannot hold such a model.
    n_maps : int, default=4
        Number of maps that are learned and joined to one.
    n_waves : int or None, default=None
        Number of cosine waves of each numeric column's ranks that become features. None takes at most 4, and fewer of
        few rows.
    indicator_weight : float, default=0.3
        Indicators are multiplied by this before learning starts. Above 0.
    random_state : int, default=0
        Seed of the first map. The other maps take the seeds that follow.
    **options
        Further parameters of `MetricMap`. The hidden layer and the weight decay follow from the number of rows.

    Returns
    -------
    Pipeline
        The unfitted model.

    See Also
    --------
    make_learned_classifier : The same for classes.
    MetricMap : Learns the map.
    LocalLinearRegressor : Predicts after the map.
    IntervalRegressor : Adds intervals; use "split" with `refill` for this model.

    Examples
    --------
    >>> model = make_learned_regressor([0, 1], n_maps=1, n_rounds=2, n_components=2, n_neighbors=9)
    >>> X = np.random.default_rng(0).normal(size=(60, 2))
    >>> model.fit(X, X[:, 0]).predict(X[:3]).shape
    (3,)
    """
    weights, features = ColumnWeights(default=indicator_weight), make_pipeline(StandardScaler(), RankFeatures(n_waves))
    parts = [("numbers", features, list_columns(numbers)), ("indicators", weights, list_columns(indicators))]
    columns = ColumnTransformer([*parts, *encode_levels(categories, random_state)])
    chosen: dict[str, Any] = {"n_units": None, "weight_decay": None, **options}
    return make_pipeline(columns, MetricMap(n_maps=n_maps, random_state=random_state, **chosen), LocalLinearRegressor())
