"""Learn a distance for classes: the log loss of soft votes, differentiated by the map of rows.

Each row's classes are voted for by its neighbours (weights exp(-d²), d measured after the map), as SoftVoteClassifier
does. Goldberger et al. (Neighbourhood components analysis, 2004) learn a linear map for such votes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from energyknn.learning.learn import LearnedMap, Learner
from energyknn.learning.maps import HiddenLayer, RowMap, map_rows
from energyknn.learning.planes import weigh_softly
from energyknn.neighbors import build_index

PRIOR = 0.05
"""Votes that are shared among the classes as the training rows are, so that no class is impossible."""

_SHARED = 0.02  # of a vote while a map is learned, for the same reason
_SHARPNESSES = 2.0 ** np.arange(-4, 6.5, 0.5)


class VoteRound(NamedTuple):
    """The result of a round of learning for classes.

    Attributes
    ----------
    seconds : float
        Time since the start.
    leave_one_out_log_loss : float
        Mean log loss of the round's rows before its steps.
    validation_log_loss : float or None
        Mean log loss of the validation rows after its steps. None where it was not measured.
    """

    seconds: float
    leave_one_out_log_loss: float
    validation_log_loss: float | None


def share_votes(codes: NDArray[Any], weights: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn votes into probabilities, with a few votes more that are shared as the classes are.

    Weights w that sum to 1 count as 1 / Σ w² votes: as many as neighbours where all are alike, and 1 where one has all.

    Parameters
    ----------
    codes : ndarray of int of shape (n_query, n_neighbors)
        Class of each neighbour.
    weights : ndarray of shape (n_query, n_neighbors), float64
        Weights that sum to 1 for each query.
    shares : ndarray of shape (n_classes,), float64
        Share of each class in the training rows, times the number of votes that are added.

    Returns
    -------
    ndarray of shape (n_query, n_classes), float64
        Probabilities.

    Examples
    --------
    >>> share_votes(np.array([[0, 0, 1, 1]]), np.full((1, 4), 0.25), np.array([0.0, 1.0]))
    array([[0.4, 0.6]])
    """
    flat = codes + np.arange(len(codes))[:, np.newaxis] * len(shares)
    votes = np.bincount(flat.ravel(), weights.ravel(), len(codes) * len(shares)).reshape(len(codes), len(shares))
    n_votes = 1 / (weights * weights).sum(axis=1, keepdims=True)
    return np.asarray((n_votes * votes + shares) / (n_votes + shares.sum()))


def differentiate_votes(
    X: NDArray[np.float32],
    codes: NDArray[Any],
    queries: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    row_map: RowMap,
    *,
    shares: NDArray[np.float64],
) -> tuple[NDArray[np.float64], RowMap]:
    """Predict the classes of rows by votes of their neighbours, and differentiate the mean log loss by the map.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float32
        Rows before the map.
    codes : ndarray of int of shape (n_rows,)
        Their classes.
    queries : ndarray of shape (n_query,), int64
        Numbers of the rows to predict, each once.
    neighbors : ndarray of shape (n_query, n_neighbors), int64
        Numbers of the rows that vote, with the weights exp(-d²), normalised, where d is measured after the map.
    row_map : RowMap
        The map.
    shares : ndarray of shape (n_classes,), float64
        Share of each class. A small part of each vote goes to the classes by these.

    Returns
    -------
    losses : ndarray of shape (n_query,), float64
        -log of the probability of each row's class.
    gradient : RowMap
        Gradient of the mean loss by each array of the map.
    """
    rows, places = np.unique(np.append(queries, neighbors), return_inverse=True)
    asked, near = places[: len(queries)], places[len(queries) :].reshape(neighbors.shape)
    components, hidden = row_map
    mapped = map_rows(X[rows], components, hidden)

    offsets = mapped[near] - mapped[asked][:, np.newaxis]
    squares = np.einsum("qkc,qkc->qk", offsets, offsets).astype(np.float64)
    weights = np.exp(squares.min(axis=1, keepdims=True) - squares)
    weights /= weights.sum(axis=1, keepdims=True)
    is_right = codes[neighbors] == codes[queries][:, np.newaxis]
    right = (weights * is_right).sum(axis=1)
    chances = (1 - _SHARED) * right + _SHARED * shares[codes[queries]]
    factors = (1 - _SHARED) / chances / len(queries)
    by_squares = factors[:, np.newaxis] * weights * (is_right - right[:, np.newaxis])

    # A squared distance changes by twice the offset. The entries of a query sum to 0.
    edges = np.arange(0, neighbors.size + 1, neighbors.shape[1])
    entries = (2 * by_squares.ravel().astype(mapped.dtype), near.ravel(), edges)
    pairs = sparse.csr_array(entries, shape=(len(queries), len(rows)))
    gradient = pairs.sum(axis=0)[:, np.newaxis] * mapped - pairs.T @ mapped[asked]
    gradient[asked] -= pairs @ mapped
    by_components = X[rows].T @ gradient
    if hidden is None:
        return -np.log(chances), RowMap(by_components)
    outputs = np.tanh(X[rows] @ hidden.weights + hidden.offsets)
    by_inputs = (gradient @ hidden.components.T) * (1 - outputs * outputs)
    by_hidden = HiddenLayer(X[rows].T @ by_inputs, by_inputs.sum(axis=0), outputs.T @ gradient)
    return -np.log(chances), RowMap(by_components, by_hidden)


class VoteLearner(Learner):
    """A map that is learned for classes; `y` holds their codes. The map of the last round is kept.

    The best of many rounds by a few rows is often a poor one, and the last round's rate is small.
    """

    validation_share = 0.2

    def __init__(self, X: NDArray[np.float32], y: NDArray[Any], *rest: Any) -> None:
        self.shares = np.bincount(y) / len(y)
        super().__init__(X, y, *rest)

    def try_map(self, number: int) -> float:
        """Measure the map after a round, and keep it. The last round is always measured."""
        validation = super().try_map(number)
        self.kept = self.turn()
        return validation

    def differentiate(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        queries: NDArray[np.int64],
        neighbors: NDArray[np.int64],
        row_map: RowMap,
    ) -> tuple[NDArray[np.float64], RowMap]:
        """Return the log losses of some rows, and the gradient of their mean."""
        components, hidden = row_map
        layer = None if hidden is None else HiddenLayer(*(part.astype(np.float32) for part in hidden))
        single = RowMap(components.astype(np.float32), layer)
        return differentiate_votes(X, y, queries, neighbors, single, shares=self.shares)

    def sum_up(self, seconds: float, errors: NDArray[np.float64], validation: float | None) -> VoteRound:
        """Describe a round."""
        return VoteRound(seconds, float(errors.mean()), validation)

    def measure_validation(self, turned: RowMap) -> float:
        """Measure the mean log loss of the validation rows, predicted from rows that stay the same."""
        return float(self.measure_losses(turned, self.reference, np.ones(1)).mean())

    def measure_losses(
        self, turned: RowMap, rows: NDArray[np.int64], sharpnesses: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Measure the log loss of each validation row, voted for by other rows, with each sharpness."""
        mapped, asked = (map_rows(self.X[part].astype(np.float64), *turned) for part in (rows, self.held_out))
        index = build_index(mapped, engine=self.options.engine, n_jobs=self.n_threads)
        found = index.search(asked, min(self.options.n_neighbors, len(rows)), n_jobs=self.n_threads)
        codes, right = self.y[rows][found.indices], self.y[self.held_out][:, np.newaxis]
        shared = (
            share_votes(codes, weigh_softly(found.distances, sharpness), PRIOR * self.shares)
            for sharpness in sharpnesses
        )
        return -np.log([np.take_along_axis(chances, right, axis=1)[:, 0] for chances in shared])

    @classmethod
    def collect(cls, learners: Sequence[Self]) -> list[LearnedMap]:
        """Return the maps, scaled so that votes of all rows, weighing exp(-d²), have the least log loss.

        A round holds a part of the rows, so its neighbours are farther. The rows that each map was not learned from
        choose one scale for all maps.
        """
        losses = [one.measure_losses(one.kept, one.learned_from, _SHARPNESSES) for one in learners]
        scale = float(np.sqrt(_SHARPNESSES[np.hstack(losses).mean(axis=1).argmin()]))
        return [LearnedMap(*_scale_map(one.kept, scale), tuple(one.trace), len(one.trace) - 1) for one in learners]


def _scale_map(row_map: RowMap, scale: float) -> RowMap:
    """Multiply the mapped rows by a number."""
    components, hidden = row_map
    return RowMap(scale * components, None if hidden is None else hidden._replace(components=scale * hidden.components))
