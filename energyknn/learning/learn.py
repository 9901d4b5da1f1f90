"""A distance learned from the data: a map after which near rows have like targets.

The prediction of a row is a plane through the targets of its nearest other rows, weighted by exp(-d²), with d the
distance after the map, read at the row, as of the local fits that the map is for. Its squared error has a gradient in
closed form. Each round draws rows anew, finds their neighbours among each other, exactly, and takes a few steps of
Adam. What a round costs does not grow with the file, and as rounds hold other rows, single neighbours are hard to learn
by heart. Goldberger et al. (Neighbourhood components analysis, 2004) learn a linear map so for classes, Weinberger and
Tesauro (Metric learning for kernel regression, 2007) for targets; both predict weighted means, and weigh all pairs of
rows, which needs n² memory. Salakhutdinov and Hinton (Learning a nonlinear embedding by preserving class neighbourhood
structure, 2007) bend the map by a network, as a hidden layer does here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from energyknn.learning.maps import HiddenLayer, RowMap, map_rows, pull_back, trace_rows, turn_map
from energyknn.learning.planes import Planes, fit_planes, weigh_locally
from energyknn.neighbors import NeighborIndex, build_index
from energyknn.neighbors.search import Engine
from energyknn.progress import Track, track_silently

__all__ = ["LearnedMap", "Round", "differentiate_errors", "learn_map", "weigh_softly"]

_BETA_MEAN, _BETA_SQUARE = 0.9, 0.98  # of Adam; few steps are taken, so the memory of squares is short
_LAST_RATE = 0.03  # share of the learning rate that is left in the last round
_LARGEST_VALIDATION = 5000  # rows
_CACHED_NUMBERS = 1 << 18  # 1 MiB of float32
_ROWS_AT_ONCE = 1024  # of validation, whose neighbours are held
_FEWEST_ROWS = 3  # one to choose by, one to predict, one to predict it from

Parameters = tuple[NDArray[Any], ...]
"""Square roots of weights; or a matrix; or a matrix and the three parts of a hidden layer."""


class Round(NamedTuple):
    """What a round of learning gave.

    Attributes
    ----------
    seconds : float
        Since the start.
    leave_one_out_rmse : float
        Of the round's rows, before its steps, in the target's unit.
    validation_rmse : float
        Of rows that are kept out of learning, after its steps.
    """

    seconds: float
    leave_one_out_rmse: float
    validation_rmse: float


@dataclass(frozen=True, eq=False)
class LearnedMap:
    """A map and how it was learned.

    Parameters
    ----------
    components : ndarray of shape (n_features, n_components), float64
        Rows times this, and what the hidden layer adds, are the mapped rows: see `map_rows`. After a full map,
        columns do not correlate, and those of most variance come first.
    hidden : HiddenLayer or None
        Of a map that is not linear.
    trace : tuple of Round
        Every round, the best not always last.
    best : int
        The round that the map is of.
    """

    components: NDArray[np.float64]
    hidden: HiddenLayer | None
    trace: tuple[Round, ...]
    best: int


def weigh_softly(distances: NDArray[np.float64], sharpness: float | NDArray[np.float64] = 1.0) -> NDArray[np.float64]:
    """Weigh neighbours by exp(-sharpness * distance²), to a sum of 1.

    Parameters
    ----------
    distances : ndarray of shape (n_query, n_neighbors), float64
        Nearest first.
    sharpness : float or ndarray of shape (n_query, 1), default=1.0
        More gives nearer neighbours more.

    Returns
    -------
    ndarray of shape (n_query, n_neighbors), float64
        Weights.

    Examples
    --------
    >>> weigh_softly(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
    """
    squares = distances * distances
    weights = np.exp(-sharpness * (squares - squares[:, :1]))
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def differentiate_errors(
    mapped: NDArray[Any],
    y: NDArray[np.float64],
    queries: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    *,
    ridge: float = np.inf,
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Predict rows from their neighbours, and differentiate the mean squared error by every mapped row.

    Parameters
    ----------
    mapped : ndarray of shape (n_rows, n_components), float32 or float64
        Rows after the map.
    y : ndarray of shape (n_rows,), float64
        Their targets.
    queries : ndarray of shape (n_query,), int64
        Which rows are predicted.
    neighbors : ndarray of shape (n_query, n_neighbors), int64
        From which rows; their weights are exp(-d²), to a sum of 1.
    ridge : float, default=inf
        Penalty of the slopes of the planes that predict, above 0: see `energyknn.learning.planes.fit_planes`. Infinite
        for the neighbours' weighted mean.

    Returns
    -------
    errors : ndarray of shape (n_query,), float64
        Prediction less target.
    gradient : ndarray of shape (n_rows, n_components), of the type of `mapped`
        Of the mean of the squared errors.

    Notes
    -----
    A prediction changes with the squared distances of its neighbours, each of which has twice the difference of the
    mapped rows as its derivative, and where it has a slope, with the rows themselves. Sums over pairs are products with
    sparse matrices. Memory 8 n_query * n_neighbors bytes, a few times.
    """
    planes = _fit_planes(mapped.astype(np.float32, copy=False), y, queries, neighbors, ridge)
    errors = planes.predictions - y[queries]
    factors = (2 / len(queries) * errors)[:, np.newaxis]
    edges = np.arange(0, neighbors.size + 1, neighbors.shape[1])

    def pair(values: NDArray[Any]) -> sparse.csr_array:
        entries = (values.reshape(-1).astype(mapped.dtype), neighbors.reshape(-1), edges)
        return sparse.csr_array(entries, shape=(len(queries), len(mapped)))

    shares = 2 * factors * planes.by_squares
    pairs = pair(shares)
    gradient = pairs.sum(axis=0)[:, np.newaxis] * mapped
    gradient -= pairs.T @ mapped[queries]
    at_queries = shares.sum(axis=1)[:, np.newaxis].astype(mapped.dtype) * mapped[queries] - pairs @ mapped
    if np.isfinite(ridge):
        tilts, slopes = ((factors * part).astype(mapped.dtype) for part in (planes.tilts, planes.slopes))
        gradient += pair(planes.residuals).T @ tilts
        gradient -= pair(planes.counts).T @ slopes
        at_queries += slopes
    np.add.at(gradient, queries, at_queries)
    return errors, gradient


def _fit_planes(
    mapped: NDArray[np.float32],
    y: NDArray[np.float64],
    queries: NDArray[np.int64],
    neighbors: NDArray[np.int64],
    ridge: float,
) -> Planes:
    """Fit planes to the neighbours of rows, as many rows at once as a cache holds."""
    at_once = max(1, _CACHED_NUMBERS // (neighbors.shape[1] * mapped.shape[1]))
    parts = []
    for start in range(0, len(queries), at_once):
        rows, near = queries[start : start + at_once], neighbors[start : start + at_once]
        offsets = mapped[near]
        offsets -= mapped[rows, np.newaxis]
        squares = np.einsum("qkc,qkc->qk", offsets, offsets)
        weights = np.exp(squares.min(axis=1, keepdims=True) - squares)
        weights /= weights.sum(axis=1, keepdims=True)
        parts.append(fit_planes(offsets, weights, y[near].astype(np.float32), ridge=ridge))
    return Planes(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def learn_map(
    X: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    n_components: int = 32,
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
    scale: float = 1.2,
    validation_fraction: float = 0.1,
    patience: int | None = None,
    time_budget: float | None = None,
    random_state: int | None = 0,
    engine: Engine = "auto",
    n_jobs: int | None = None,
    track: Track[int] = track_silently,
) -> LearnedMap:
    """Learn a map after which the nearest rows predict the target.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Training rows, finite, each column of about unit variance.
    y : array-like of shape (n_rows,)
        Their targets.
    groups : array-like of shape (n_rows,) or None, default=None
        Which rows belong together, where new rows will be of new groups. Then no row is
        predicted from its own group, neither in learning nor in validation: a round draws at most one row of each.
        None for each row its own.
    n_components : int, default=32
        Columns after the map. Ignored by the diagonal form.
    n_units : int, default=128
        Units of a hidden layer that bends the map; 0 for a linear one. Ignored by the diagonal form.
    form : {"full", "diagonal"}, default="full"
        Any such map, or one weight, of at least 0, for each column.
    n_neighbors : int, default=100
        Neighbours that a row is predicted from.
    n_rounds : int, default=60
        How often neighbours are found again.
    n_rows : int, default=30000
        Rows of a round, at most, drawn anew each time; neighbours are found among them.
    row_share : float, default=0.4
        Rows of a round as a share of all to learn from, at most 1; but enough for each to have its neighbours. With
        most rows in every round, a map learns single neighbours by heart.
    n_queries : int, default=20000
        How many of them are predicted.
    n_steps : int, default=10
        Steps of Adam in a round.
    learning_rate : float, default=0.012
        Of the first round; it falls along a cosine.
    weight_decay : float, default=1.0
        Each step shrinks the map by this times the learning rate, at least 0.
    ridge : float, default=0.3
        Penalty of a squared slope of the planes that predict, above 0; infinite for the neighbours' weighted mean.
    scale : float, default=1.2
        Size of the map that learning starts from.
    validation_fraction : float, default=0.1
        Share of rows, at most 5,000 where these are of groups of their own, that are kept out of learning and choose
        the round. They are predicted from `n_rows` rows that stay the same.
    patience : int or None, default=None
        Rounds without a better validation error after which learning stops; None for all rounds.
    time_budget : float or None, default=None
        Seconds after which no round begins; the first always does. With a budget, runs need not repeat.
    random_state : int or None, default=0
        Seed. A run with the same seed gives the same bits on the same machine.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`.
    track : Track, default=track_silently
        Shows progress by rounds.

    Returns
    -------
    LearnedMap
        The map of the round with the least validation error.

    Raises
    ------
    ValueError
        If there are fewer than 3 rows, or a number is out of its range.

    Notes
    -----
    A round takes one search of `n_queries` among `n_rows` rows and `n_steps` products; memory is proportional to
    `n_queries * n_neighbors`, never to the square of the number of rows as in metric-learn's MLKR. Between fewer rows
    than there are, distances are larger than they will be: what predicts from all rows should weigh more sharply.
    """
    rows, target = np.asarray(X, dtype=np.float64), np.asarray(y, dtype=np.float64)
    labels = np.arange(len(rows)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    _check(
        rows, target, labels, n_components=n_components, n_neighbors=n_neighbors, n_rounds=n_rounds, n_rows=n_rows,
        row_share=row_share, n_queries=n_queries, n_steps=n_steps, learning_rate=learning_rate, ridge=ridge,
        scale=scale, validation_fraction=validation_fraction,
    )  # fmt: skip
    _check_counted_from_zero(n_units=n_units, weight_decay=weight_decay)
    random = np.random.default_rng(random_state)
    learn, held = _hold_out(labels, validation_fraction, random)
    n_drawn = min(n_rows, max(int(row_share * len(learn)), n_neighbors + 1))
    job = _Job(
        *(rows[learn], target[learn], labels[learn], rows[held], target[held], n_drawn, n_neighbors, ridge, engine),
        n_jobs,
    )
    adam = _Adam(_start(rows.shape[1], n_components, n_units, form, scale, random), weight_decay)
    start = perf_counter()
    reference = job.draw(random)
    trace: list[Round] = []
    kept, best = job.turn(adam.parameters), 0
    for number in track(range(n_rounds), "Learn the distance"):
        seconds = perf_counter() - start
        if trace and time_budget is not None and seconds >= time_budget:
            break
        share = max(number / n_rounds, seconds / time_budget if time_budget else 0.0)
        rate = learning_rate * (_LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + np.cos(np.pi * min(share, 1.0))))
        errors = _learn_round(job, adam, random, n_queries=n_queries, n_steps=n_steps, rate=rate)
        turned = job.turn(adam.parameters)
        validation = job.measure_validation(reference, turned)
        trace.append(Round(perf_counter() - start, float(np.sqrt(np.mean(errors**2))), validation))
        if validation <= trace[best].validation_rmse:
            kept, best = turned, number
        if patience is not None and number - best >= patience:
            break
    return LearnedMap(*kept, tuple(trace), best)


def _check(rows: NDArray[np.float64], target: NDArray[np.float64], labels: NDArray[np.int64], **numbers: float) -> None:
    """Require enough rows, of enough groups, and numbers above 0."""
    if rows.ndim != 2 or len(rows) < _FEWEST_ROWS or target.shape != (len(rows),):
        message = (
            f"X has shape {rows.shape} and y {target.shape}. Learning a distance needs at least {_FEWEST_ROWS} rows "
            "and one target for each."
        )
        raise ValueError(message)
    n_groups = len(np.unique(labels))
    if labels.shape != target.shape or n_groups < _FEWEST_ROWS:
        message = (
            f"groups has shape {labels.shape} and {n_groups} groups for {len(rows)} rows. It must name a group for "
            f"each row, and at least {_FEWEST_ROWS}: a row is predicted from others' groups."
        )
        raise ValueError(message)
    wrong = [f"{name} = {value!r}" for name, value in numbers.items() if not value > 0]
    if numbers["validation_fraction"] >= 1:
        wrong.append(f"validation_fraction = {numbers['validation_fraction']!r}")
    if numbers["row_share"] > 1:
        wrong.append(f"row_share = {numbers['row_share']!r}")
    if wrong:
        message = f"{', '.join(wrong)}: each must be above 0, validation_fraction below 1 and row_share at most 1."
        raise ValueError(message)


def _check_counted_from_zero(**numbers: float) -> None:
    """Require numbers of at least 0."""
    wrong = [f"{name} = {value!r}" for name, value in numbers.items() if not value >= 0]
    if wrong:
        message = f"{', '.join(wrong)}: each must be at least 0."
        raise ValueError(message)


def _hold_out(
    labels: NDArray[np.int64], fraction: float, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw whole groups to choose by; return the rows of the others, and theirs, in random order."""
    order = random.permutation(len(labels))
    groups = np.unique(labels[order], return_index=True)[1]
    groups = labels[order][np.sort(groups)]
    n_held = max(1, min(int(fraction * len(labels)), _LARGEST_VALIDATION) * len(groups) // len(labels))
    is_held = np.isin(labels[order], groups[: min(n_held, len(groups) - 2)])
    return order[~is_held], order[is_held]


@dataclass(eq=False)
class _Job:
    """Rows to learn from, rows to choose by, and how to search."""

    X: NDArray[np.float64]
    y: NDArray[np.float64]
    groups: NDArray[np.int64]
    X_validation: NDArray[np.float64]
    y_validation: NDArray[np.float64]
    n_rows: int
    n_neighbors: int
    ridge: float
    engine: Engine
    n_jobs: int | None

    def draw(self, random: np.random.Generator) -> NDArray[np.int64]:
        """Draw rows, no two of one group."""
        order = random.permutation(len(self.X))
        first = np.unique(self.groups[order], return_index=True)[1]
        return order[np.sort(first)[: self.n_rows]]

    def turn(self, parameters: Parameters) -> RowMap:
        """Make the map, its columns turned; a diagonal stays one."""
        return _compose(parameters) if parameters[0].ndim == 1 else turn_map(self.X, *_compose(parameters))

    def prepare(self, rows: NDArray[np.int64], turned: RowMap) -> NeighborIndex:
        """Map rows, and prepare them for searches."""
        return build_index(map_rows(self.X[rows], *turned), engine=self.engine, n_jobs=self.n_jobs)

    def find_others(self, index: NeighborIndex, n_queries: int) -> NDArray[np.int64]:
        """Find the neighbours of the first rows among the others."""
        n_neighbors, own = min(self.n_neighbors, len(index.X_train) - 1), np.arange(n_queries)
        return index.search(index.X_train[:n_queries], n_neighbors, own=own, n_jobs=self.n_jobs).indices

    def measure_validation(self, rows: NDArray[np.int64], turned: RowMap) -> float:
        """Measure the RMSE of the rows that are kept out, predicted from some that are not."""
        index, targets = self.prepare(rows, turned), self.y[rows]
        n_neighbors = min(self.n_neighbors, len(rows))
        errors = []
        for start in range(0, len(self.y_validation), _ROWS_AT_ONCE):
            block = slice(start, start + _ROWS_AT_ONCE)
            queries = map_rows(self.X_validation[block], *turned)
            found = index.search(queries, n_neighbors, n_jobs=self.n_jobs)
            weights = weigh_softly(found.distances)
            if np.isfinite(self.ridge):
                weights = weigh_locally(queries, index.X_train[found.indices], weights, ridge=self.ridge)
            errors.append((weights * targets[found.indices]).sum(axis=1) - self.y_validation[block])
        return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def _learn_round(
    job: _Job, adam: _Adam, random: np.random.Generator, *, n_queries: int, n_steps: int, rate: float
) -> NDArray[np.float64]:
    """Draw rows, find their neighbours among each other, and take a few steps; return the errors of the queries."""
    rows = job.draw(random)
    queries = np.arange(min(n_queries, len(rows)))
    neighbors = job.find_others(job.prepare(rows, job.turn(adam.parameters)), len(queries))
    compact, y = job.X[rows].astype(np.float32), job.y[rows]
    errors = []
    for part in np.array_split(queries, min(n_steps, len(queries))):
        parameters = tuple(array.astype(np.float32) for array in adam.parameters)
        mapped, outputs = trace_rows(compact, *_compose(parameters))
        found, gradient = differentiate_errors(mapped, y, part, neighbors[part], ridge=job.ridge)
        errors.append(found)
        adam.step(_pull_back(compact, gradient, parameters, outputs), rate)
    return np.concatenate(errors)


def _start(
    n_features: int, n_components: int, n_units: int, form: str, scale: float, random: np.random.Generator
) -> Parameters:
    """Start with a random map, or with equal weights."""
    if form == "diagonal":
        return (np.full(n_features, float(np.sqrt(2 * scale / np.sqrt(n_features)))),)
    if form != "full":
        message = f"form is {form!r}. It must be 'full' or 'diagonal'."
        raise ValueError(message)
    components = random.normal(0.0, float(scale / np.sqrt(n_features)), size=(n_features, n_components))
    if not n_units:
        return (components,)
    return (
        components,
        random.normal(0.0, float(1 / np.sqrt(n_features)), size=(n_features, n_units)),
        random.uniform(-1.0, 1.0, size=n_units),
        random.normal(0.0, float(1 / np.sqrt(n_units)), size=(n_units, n_components)),
    )


def _compose(parameters: Parameters) -> RowMap:
    """Make the map of its parameters."""
    matrix, *hidden = parameters
    return RowMap(np.diag(matrix**2) if matrix.ndim == 1 else matrix, HiddenLayer(*hidden) if hidden else None)


def _pull_back(
    rows: NDArray[Any], gradient: NDArray[Any], parameters: Parameters, outputs: NDArray[Any] | None
) -> Parameters:
    """Turn the gradient by mapped rows into one by the parameters."""
    matrix, *hidden = parameters
    if matrix.ndim == 1:
        return (2 * matrix * np.einsum("rc,rc->c", rows, gradient),)
    by_components, by_hidden = pull_back(rows, gradient, HiddenLayer(*hidden) if hidden else None, outputs)
    return (by_components, *(by_hidden or ()))


@dataclass(eq=False)
class _Adam:
    """Kingma and Ba's steps (Adam: a method for stochastic optimization, 2015), with a decay of their own.

    What shrinks parameters is no part of the gradient (Loshchilov and Hutter, Decoupled weight decay, 2019).
    """

    parameters: Parameters
    weight_decay: float
    n_steps: int = 0
    means: Parameters = field(init=False)
    squares: Parameters = field(init=False)

    def __post_init__(self) -> None:
        self.means = self.squares = tuple(np.zeros_like(array) for array in self.parameters)

    def step(self, gradients: Parameters, rate: float) -> None:
        """Take a step against the gradient."""
        self.n_steps += 1
        self.means = tuple(
            _BETA_MEAN * mean + (1 - _BETA_MEAN) * gradient
            for mean, gradient in zip(self.means, gradients, strict=True)
        )
        self.squares = tuple(
            _BETA_SQUARE * square + (1 - _BETA_SQUARE) * gradient.astype(np.float64) ** 2
            for square, gradient in zip(self.squares, gradients, strict=True)
        )
        bias_mean, bias_square = 1 - _BETA_MEAN**self.n_steps, 1 - _BETA_SQUARE**self.n_steps
        self.parameters = tuple(
            array * (1 - rate * self.weight_decay) - rate * (mean / bias_mean) / (np.sqrt(square / bias_square) + 1e-12)
            for array, mean, square in zip(self.parameters, self.means, self.squares, strict=True)
        )
