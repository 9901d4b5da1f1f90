"""scikit-learn's neighbour models over the package's exact search: what the regressor and the classifier share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import issparse
from sklearn.neighbors import VALID_METRICS, BallTree, KDTree
from sklearn.neighbors._base import NeighborsBase, _check_precomputed
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from energyknn._shared.memory import measure_available_memory
from energyknn.estimators.base import NeighborsMixin
from energyknn.neighbors import Neighbors, build_index
from energyknn.neighbors.cosine import CosineIndex, can_scale
from energyknn.neighbors.engines import ENGINES, Engine
from energyknn.neighbors.foreign import ForeignIndex
from energyknn.neighbors.metrics import METRICS
from energyknn.neighbors.minkowski import MinkowskiIndex
from energyknn.neighbors.weighting import KERNELS, needs_bandwidth, weigh_neighbors

if TYPE_CHECKING:
    from sklearn.neighbors import KNeighborsRegressor as _Base  # the classifier has the same of what is used here
else:
    _Base = object

_COPIES = 4  # of the rows, which a search takes at most
_LEAST_FILLED = 0.03  # of the values of sparse rows; with fewer, scikit-learn's search of sparse rows is faster
_LARGEST = ("chebyshev", "infinity")
_POWERS = {name: p for p, metric in METRICS.items() for name in metric.names}


def find_power(model: Any) -> int | None:
    """Return the power p of the distance of a neighbour model where the package's engines have it, or None."""
    if model.metric == "minkowski":
        params = {"p": model.p, "w": None} | (model.metric_params or {})
        known = set(params) == {"p", "w"} and params["w"] is None and params["p"] in METRICS
        return int(params["p"]) if known else None
    known = isinstance(model.metric, str) and not model.metric_params
    return _POWERS.get(model.metric) if known else None


def find_other_power(model: Any) -> float | None:
    """Return the power p ≥ 1 of Minkowski's distance, infinity for Chebyshev's; None for other distances."""
    if not isinstance(model.metric, str) or model.metric not in ("minkowski", *_LARGEST):
        return None
    params = {"p": np.inf if model.metric in _LARGEST else model.p} | (model.metric_params or {})
    return float(params["p"]) if set(params) == {"p"} and params["p"] >= 1 else None


class ExactNeighbors(NeighborsMixin, _Base):
    """`fit`, `kneighbors` and weights for a class that scikit-learn's neighbour model follows in the order of bases."""

    index_: Any  # a NeighborIndex, or a ForeignIndex
    weights: Any
    metric: Any
    algorithm: str
    engine: Engine

    _own_constraints: ClassVar = {
        "weights": [StrOptions({"uniform", "distance", *KERNELS}), callable, None],
        "engine": [StrOptions(set(ENGINES))],
    }

    def _fit(self, X: Any, y: Any = None) -> Self:
        """Fit as scikit-learn does, and prepare the rows for the package's search in place of scikit-learn's tree."""
        self._check_algorithm_metric()
        given = self.algorithm
        try:
            if callable(self.metric) or self.metric in VALID_METRICS["brute"]:
                self.algorithm = "brute"  # so that no tree is built here
            super()._fit(X, y)
        finally:
            self.algorithm = given
        if isinstance(X, KDTree | BallTree | NeighborsBase):  # prepared by the caller, for its own metric
            self.index_ = self._ask_scikit_learn(X)
        else:
            self._index_rows()
        return self

    def _index_rows(self) -> None:
        """Prepare the training rows that scikit-learn keeps for searches by the present distance."""
        power = find_power(self)
        other = find_other_power(self)
        is_cosine = isinstance(self.metric, str) and self.metric == "cosine" and not self.metric_params
        rows = _make_dense(self._fit_X, least_filled=_LEAST_FILLED) if power or other or is_cosine else None
        if rows is None or (is_cosine and not can_scale(rows)):
            self.index_ = self._ask_scikit_learn(self._fit_X)
        elif power is not None:
            self.index_ = build_index(rows, p=power, engine=self.engine, n_jobs=self.n_jobs)
        elif other is not None:
            self.index_ = MinkowskiIndex(rows, other, algorithm=self.algorithm, leaf_size=self.leaf_size)
        else:
            self.index_ = CosineIndex(rows, engine=self.engine, n_jobs=self.n_jobs)

    def _ask_scikit_learn(self, X_train: Any) -> ForeignIndex:
        """Let scikit-learn search the training rows."""
        names = ("algorithm", "leaf_size", "metric", "p", "metric_params")
        return ForeignIndex(X_train, {name: getattr(self, name) for name in names})

    def restore(self) -> None:
        """Set what scikit-learn's methods read, after a model file has set the prepared rows and the targets."""
        self._fit_X, self._y, self._fit_method = self.index_.X_train, self.y_, "brute"
        self.n_samples_fit_ = len(self.y_)
        self.effective_metric_ = METRICS[self.index_.p].names[0]
        self.effective_metric_params_: dict[str, Any] = {}

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
        found = self._find(X, self.n_neighbors if n_neighbors is None else n_neighbors)
        return (found.distances, found.indices) if return_distance else found.indices

    def weigh(
        self, X: ArrayLike | None, *, rows: NDArray[np.int64] | None = None
    ) -> tuple[Neighbors, NDArray[np.float64]]:
        """Find the training rows that each prediction is made of, and the weight of each.

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
        k, weights = self.n_neighbors, self.weights or "uniform"
        n_available = len(self.y_) - (X is None)
        reaches_next = needs_bandwidth(weights) and 1 <= k < n_available
        found = self._find(X, k + 1 if reaches_next else k, rows=rows)
        bandwidth = found.distances[:, k] if reaches_next else None
        nearest = Neighbors(found.distances[:, :k], found.indices[:, :k])
        given = weigh_neighbors(nearest.distances, weights, bandwidth=bandwidth, n_features=self.n_features_in_)
        return nearest, given

    def _find(self, X: Any, n_neighbors: Any, *, rows: NDArray[np.int64] | None = None) -> Neighbors:
        """Find the neighbours of rows whose columns are checked, or of training rows."""
        if X is None:
            query = None if rows is None else self.index_.X_train[rows]
            return Neighbors(*self.index_.search(query, n_neighbors, own=rows, n_jobs=self.n_jobs))
        if self.metric == "precomputed":
            query = _check_precomputed(X)
        else:
            finite = "allow-nan" if self.__sklearn_tags__().input_tags.allow_nan else True
            options = {"accept_sparse": "csr", "order": "C", "ensure_all_finite": finite}
            query = validate_data(self, X, reset=False, **options)
        trees_alone = self.algorithm in ("kd_tree", "ball_tree") and not issparse(self._fit_X)
        if isinstance(self.index_, ForeignIndex):
            return Neighbors(*self.index_.search(query, n_neighbors, n_jobs=self.n_jobs))
        rows = None if issparse(query) and trees_alone else _make_dense(query)  # scikit-learn refuses it
        if rows is None or (isinstance(self.index_, CosineIndex) and not can_scale(rows)):
            return self._ask_scikit_learn(self._fit_X).search(query, n_neighbors, n_jobs=self.n_jobs)
        return Neighbors(*self.index_.search(rows, n_neighbors, n_jobs=self.n_jobs))


def _make_dense(rows: Any, *, least_filled: float = 0) -> Any:
    """Return rows as an array; None for a sparse matrix that is better searched as it is, by scikit-learn."""
    is_sparse: bool = issparse(rows)
    if not is_sparse:
        return rows
    n_rows, n_features = rows.shape
    available = measure_available_memory()
    n_bytes = _COPIES * n_rows * n_features * np.dtype(np.float64).itemsize
    fits = available is None or n_bytes < available
    is_filled = rows.nnz >= least_filled * n_rows * n_features
    return rows.toarray() if fits and is_filled else None
