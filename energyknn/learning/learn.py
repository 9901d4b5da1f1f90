"""Learn a distance from the data: a map after which rows with similar targets lie near each other.

Each row is predicted by a weighted plane fitted to its neighbours (weights exp(-d²), d measured after the map) and
evaluated at the row, as LocalLinearRegressor does. The squared error has a gradient in closed form. Each round draws
rows, finds their exact neighbours among each other, and takes a few steps of Adam. The cost of a round does not grow
with the file, and because every round holds other rows, the map hardly overfits single neighbours.

Goldberger et al. (Neighbourhood components analysis, 2004) learn a linear map in this way for classes, Weinberger and
Tesauro (Metric learning for kernel regression, 2007) for targets. Both predict weighted means and weigh all pairs of
rows, which needs n² memory. Salakhutdinov and Hinton (Learning a nonlinear embedding by preserving class neighbourhood
structure, 2007) bend the map by a network, as the hidden layer does here.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import check_choice
from energyknn._shared.showing import in_one_line
from energyknn._shared.threads import count_threads, run_slices
from energyknn.learning.adam import Adam
from energyknn.learning.gradient import differentiate_errors, map_compactly
from energyknn.learning.maps import (
    HiddenLayer,
    RowMap,
    compose_map,
    differentiate_parameters,
    start_parameters,
    turn_map,
)
from energyknn.learning.planes import weigh_locally
from energyknn.neighbors import NeighborIndex, build_index
from energyknn.neighbors.engines import Engine
from energyknn.progress import Track, track_silently

_LAST_RATE = 0.03  # share of the learning rate that is left in the last round
_LARGEST_VALIDATION = 5000  # rows
_MEASURED_EVERY = 5  # rounds
_FIRST_SIZE = 1.2  # of the map that learning starts from
_ENOUGH_ROWS = 10_000  # to turn a map
_ENOUGH_FOR_UNITS = 10_000  # rows, to learn a hidden layer of
_UNITS = 128
_ROWS_BY_DECAY, _LARGEST_DECAY = 1500, 5.0
_POSITIVE = (
    *(
        "n_components",
        "n_neighbors",
        "n_rounds",
        "n_rows",
        "row_share",
        "n_queries",
        "n_steps",
        "n_passes",
        "learning_rate",
    ),
    "ridge",
)
_MOST = {"row_share": 1.0}
_FEWEST_GROUPS = 3  # one for validation, one to predict, one to predict it from


class Round(NamedTuple):
    """The result of a round of learning.

    Attributes
    ----------
    seconds : float
        Time since the start.
    leave_one_out_rmse : float
        Error of the round's rows before its steps, in the target's unit.
    validation_rmse : float or None
        Error of the validation rows after its steps, in the target's unit. None where it was not measured.
    """

    seconds: float
    leave_one_out_rmse: float
    validation_rmse: float | None


@in_one_line
@dataclass(frozen=True, eq=False)
class LearnedMap:
    """A map and how it was learned.

    Parameters
    ----------
    components : ndarray of shape (n_features, n_components), float64
        The linear part of the map. After a full map, columns are uncorrelated, those of largest variance first.
    hidden : HiddenLayer or None
        The hidden layer; None for a linear map.
    trace : tuple of Round
        Every round.
    best : int
        Number of the round whose map is kept.
    """

    components: NDArray[np.float64] = field(repr=False)
    hidden: HiddenLayer | None = field(repr=False)
    trace: tuple[Round, ...] = field(repr=False)
    best: int


@dataclass(eq=False, repr=False)
class MapOptions:
    """How one map is learned. `energyknn.MetricMap` has these parameters, and says what they are."""

    n_components: int = 32
    _: KW_ONLY
    n_units: int | None = 128
    form: Literal["full", "diagonal"] = "full"
    n_neighbors: int = 100
    n_rounds: int = 60
    n_shared: int = 0
    n_rows: int = 30_000
    row_share: float = 0.4
    n_queries: int = 20_000
    n_steps: int = 10
    n_passes: int = 1
    learning_rate: float = 0.012
    weight_decay: float | None = 1.0
    ridge: float = 0.3
    patience: int | None = None
    time_budget: float | None = None
    engine: Engine = "auto"
    n_jobs: int | None = None


def learn_map(
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    options: MapOptions,
    *,
    groups: ArrayLike | None = None,
    random_state: int | None = 0,
    track: Track[int] = track_silently,
) -> LearnedMap:
    """Learn one map, as `learn_maps` does."""
    return learn_maps(X, y, options, seeds=[random_state], groups=groups, track=track)[0]


def learn_maps(
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    options: MapOptions,
    *,
    seeds: Sequence[int | None],
    groups: ArrayLike | None = None,
    track: Track[int] = track_silently,
    learner: type[Learner] | None = None,
) -> list[LearnedMap]:
    """Learn maps after which the nearest rows predict the target, side by side.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
        Training rows, finite, each column of about unit variance.
    y : ndarray of shape (n_rows,), float64
        Their targets.
    options : MapOptions
        The parameters of each map.
    seeds : sequence of int or None
        Seed of each map. With shared rounds, the first seed's map is learned in them, and its validation rows are
        those of all.
    groups : array-like of shape (n_rows,) or None, default=None
        Group of each row. A round draws at most one row of each group, and validation holds whole groups out.
    track : Track, default=track_silently
        Shows the progress of the rounds.
    learner : type or None, default=None
        Learns each map. None takes `Learner`, for numbers.

    Returns
    -------
    list of LearnedMap
        For each seed the map with the smallest validation error that was measured. The same seed gives the same bits
        on one machine with any number of threads, whatever maps are learned beside it, unless there is a time budget.
        With shared rounds the first seed counts, too.

    Raises
    ------
    ValueError
        If there are fewer than 3 groups, or a number is out of its range.

    Notes
    -----
    A tenth of the rows, but at most 5,000, in groups of their own, chooses the round. These rows are predicted from
    `n_rows` rows that stay the same, after the last round and every fifth before it; after each round if `patience` or
    `time_budget` may end learning.

    A round takes one search of `n_queries` among `n_rows` rows and `n_passes * n_steps` steps. Memory is proportional
    to `n_queries * n_neighbors`, never to the square of the number of rows as in metric-learn's MLKR. Distances to
    neighbours are larger among the rows of a round than among all rows, so a model on all rows needs sharper weights.

    These schedules were tried on training rows of 172,491 tracks, one map, with the error of 8,000 other training rows.
    Of 30,000 rows, two seeds: 60 rounds of one pass 0.0969 and 0.0965; 30 of two passes 0.0971 and 0.0967, in 0.8 of
    the CPU time; 20 of two passes 0.0975 and 0.0970, in half. Of 100,000 rows, one seed: 60 rounds of one pass 0.0912;
    14 of two passes 0.0917; 10 of two passes 0.0920, in 0.3 of the CPU time, and with a learning rate of 0.02 0.0925,
    with a weight decay of 0.4 0.0922 and of 2 0.0927. 14 of two passes with 50 neighbours gave 0.0921, and 20 whose
    rows grow from 0.15 to all 0.0927. The error followed the number of rows predicted, so the defaults stay.

    Muon's steps, which go equally far in all directions of a matrix, were tried in place of Adam's, with 129,992 rows.
    Adam with 60 rounds, four seeds: 0.0916 to 0.0919. Muon with 40 rounds: by a singular value decomposition 0.0917 and
    0.0915; by Newton-Schulz steps, another seed, 0.0922. Two such maps err by 0.0902 on the test rows of split 42, four
    of Adam's by 0.0899.

    Maps that share rounds still err differently. With 127,992 rows, two seeds, 14 shared rounds and 6 more of each map,
    predicting with a ridge of 0.3: one map 0.0930 and 0.0927, two joined 0.0926 and 0.0923, four joined 0.0921 and
    0.0919. A ridge of 0.12 lowers each by 0.0002. The mean of the four maps' parameters is one map, and errs by 0.0933.
    28 rounds of one map at the full rate, whose last four windows of three rounds give a mean map each, joined: 0.0922
    with the first seed. Four maps with 30 shared rounds and 12 more of each take a third of the rounds that four
    maps of 60 take, and err more: by 0.0903 on the test rows of split 42, predicting with a ridge of 0.12.
    """
    labels = np.arange(len(X)) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    _check_groups(labels, len(X))
    _check_options(options)
    n_threads, single = count_threads(options.n_jobs), X.astype(np.float32)
    kind, randoms = learner or Learner, [np.random.default_rng(seed) for seed in seeds]
    make = partial(kind, single, y, labels, options)
    learners = [make(random, n_threads) for random in randoms[: 1 if options.n_shared else None]]
    what = "Learn the distance" if len(seeds) == 1 else f"Learn {len(seeds)} maps"
    for number in track(range(options.n_rounds), what):
        if number == options.n_shared:
            learners += [learners[0].branch(random) for random in randoms[len(learners) :]]
        for one in learners:
            one.n_threads = max(1, n_threads // len(learners))
        run_slices(kind.learn_round, [one for one in learners if not one.is_done], n_threads=n_threads)
        if all(one.is_done for one in learners):
            break
    learners += [learners[0].branch(random) for random in randoms[len(learners) :]]  # where the budget ended them
    return kind.collect(learners)


def _check_groups(labels: NDArray[np.int64], n_rows: int) -> None:
    """Require a group for each row, and enough groups."""
    n_groups = len(np.unique(labels))
    if labels.shape != (n_rows,) or n_groups < _FEWEST_GROUPS:
        message = (
            f"groups has shape {labels.shape} and {n_groups} groups for {n_rows} rows. It must name a group for "
            f"each row, and at least {_FEWEST_GROUPS}: a row is predicted from others' groups."
        )
        raise ValueError(message)


def _check_options(options: MapOptions) -> None:
    """Require a known form, and numbers in their ranges."""
    check_choice(options.form, ("full", "diagonal"), name="form")
    not_positive = [name for name in _POSITIVE if not 0 < getattr(options, name) <= _MOST.get(name, np.inf)]
    negative = [name for name in ("n_units", "weight_decay") if not (getattr(options, name) or 0) >= 0]
    rules = (not_positive, "above 0, and row_share at most 1"), (negative, "at least 0")
    for wrong, rule in rules:
        if wrong:
            given = ", ".join(f"{name} = {getattr(options, name)!r}" for name in wrong)
            message = f"{given}: each must be {rule}."
            raise ValueError(message)
    if not 0 <= options.n_shared < options.n_rounds:
        message = f"n_shared is {options.n_shared!r}. It must be at least 0 and below n_rounds, {options.n_rounds}."
        raise ValueError(message)


def _hold_out(
    labels: NDArray[np.int64], random: np.random.Generator, share: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Hold whole groups out for validation: return the other rows and these rows, in random order."""
    order = random.permutation(len(labels))
    groups = np.unique(labels[order], return_index=True)[1]
    groups = labels[order][np.sort(groups)]
    n_held = max(1, min(int(share * len(labels)), _LARGEST_VALIDATION) * len(groups) // len(labels))
    is_held = np.isin(labels[order], groups[: min(n_held, len(groups) - 2)])
    return order[~is_held], order[is_held]


def _choose_units(options: MapOptions, n_rows: int) -> int:
    """Return the number of units in the hidden layer. Few rows teach it nothing but themselves."""
    return (_UNITS if n_rows >= _ENOUGH_FOR_UNITS else 0) if options.n_units is None else options.n_units


def _choose_decay(options: MapOptions, n_rows: int) -> float:
    """Return the weight decay: the fewer the rows, the more."""
    chosen = min(max(1.0, _ROWS_BY_DECAY / n_rows), _LARGEST_DECAY)
    return chosen if options.weight_decay is None else options.weight_decay


class Learner:
    """A map that is learned: its rows, its parameters, and what its rounds gave.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float32
        All rows.
    y, groups : ndarray of shape (n_rows,)
        Their targets and groups.
    options : MapOptions
        The parameters of the map.
    random : Generator
        Draws rows, and the map to start from.
    n_threads : int
        Number of threads.

    Attributes
    ----------
    kept : RowMap
        The map of the round with the smallest validation error.
    best : int
        The number of that round.
    least_error : float
        The validation error of that round.
    trace : list of Round
        Every round.
    is_done : bool
        Whether no round is to follow.
    """

    validation_share = 0.1  # of the rows

    def __init__(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        groups: NDArray[np.int64],
        options: MapOptions,
        random: np.random.Generator,
        n_threads: int,
    ) -> None:
        self.X, self.y, self.groups, self.options = X, y, groups, options
        self.random, self.n_threads = random, n_threads
        self.learned_from, self.held_out = _hold_out(groups, random, self.validation_share)
        least = options.n_neighbors + 1
        self.n_rows = min(options.n_rows, max(int(options.row_share * len(self.learned_from)), least))
        self.sample = X[self.learned_from[:: -(-len(self.learned_from) // _ENOUGH_ROWS)]]
        shape = (X.shape[1], options.n_components, _choose_units(options, len(X)), options.form)
        self.adam = Adam(start_parameters(*shape, _FIRST_SIZE, random), _choose_decay(options, len(X)))
        self.start = perf_counter()
        self.reference = self.draw()
        self.trace: list[Any] = []
        self.kept, self.best, self.least_error, self.is_done = compose_map(self.adam.parameters), 0, np.inf, False

    def learn_round(self) -> None:
        """Draw rows, find their neighbours, take a few steps, and measure the map, unless the time is over."""
        options, number, seconds = self.options, len(self.trace), perf_counter() - self.start
        budget, n_shared = options.time_budget, options.n_shared
        if self.trace and budget is not None and seconds >= budget:
            self.is_done = True
            return
        share = max(number - n_shared, 0) / (options.n_rounds - n_shared)
        share = max(share, seconds / budget if budget else 0.0)
        rate = options.learning_rate * (_LAST_RATE + (1 - _LAST_RATE) * 0.5 * (1 + np.cos(np.pi * min(share, 1.0))))
        errors = self.take_steps(rate)
        validation = self.try_map(number) if self.is_measured(number) else None
        self.trace.append(self.sum_up(perf_counter() - self.start, errors, validation))
        self.is_done = options.patience is not None and number - self.best >= options.patience

    def branch(self, random: np.random.Generator) -> Self:
        """Return a copy that goes on by itself, with its own draws and the same validation rows."""
        other = copy(self)
        other.random, other.adam, other.trace = random, deepcopy(self.adam), list(self.trace)
        return other

    def is_measured(self, number: int) -> bool:
        """Say whether the validation rows are predicted after a round."""
        may_end = self.options.patience is not None or self.options.time_budget is not None
        return may_end or (self.options.n_rounds - 1 - number) % _MEASURED_EVERY == 0

    def try_map(self, number: int) -> float:
        """Measure the map after a round, keep it if none before errs less, and return its validation error."""
        turned = self.turn()
        validation = self.measure_validation(turned)
        if validation <= self.least_error:
            self.kept, self.best, self.least_error = turned, number, validation
        return validation

    def take_steps(self, rate: float) -> NDArray[np.float64]:
        """Draw rows, find their neighbours, take steps, and return the errors of the first pass over the queries."""
        rows, options = self.draw(), self.options
        queries, k = np.arange(min(options.n_queries, len(rows))), min(options.n_neighbors, len(rows) - 1)
        index = self.index_rows(rows, self.turn())
        neighbors = index.search(index.X_train[: len(queries)], k, own=queries, n_jobs=self.n_threads).indices
        X, y = self.X[rows], self.y[rows]
        parts = np.array_split(queries, min(options.n_steps, len(queries)))
        errors = []
        for part in parts * options.n_passes:
            row_map = compose_map(self.adam.parameters)
            found, gradient = self.differentiate(X, y, part, neighbors[part], row_map)
            errors.append(found)
            self.adam.step(differentiate_parameters(gradient, self.adam.parameters), rate)
        return np.concatenate(errors[: len(parts)])

    def differentiate(
        self,
        X: NDArray[np.float32],
        y: NDArray[Any],
        queries: NDArray[np.int64],
        neighbors: NDArray[np.int64],
        row_map: RowMap,
    ) -> tuple[NDArray[np.float64], RowMap]:
        """Return the errors of some rows, and the gradient of the mean of their squares."""
        ridge, n_threads = self.options.ridge, self.n_threads
        return differentiate_errors(X, y, queries, neighbors, row_map, ridge=ridge, n_threads=n_threads)

    def sum_up(self, seconds: float, errors: NDArray[np.float64], validation: float | None) -> Any:
        """Describe a round."""
        return Round(seconds, float(np.sqrt(np.mean(errors**2))), validation)

    @classmethod
    def collect(cls, learners: Sequence[Self]) -> list[LearnedMap]:
        """Return the maps of the best rounds."""
        return [LearnedMap(*one.kept, tuple(one.trace), one.best) for one in learners]

    def draw(self) -> NDArray[np.int64]:
        """Draw rows to learn from, at most one of each group."""
        order = self.random.permutation(self.learned_from)
        first = np.unique(self.groups[order], return_index=True)[1]
        return order[np.sort(first)[: self.n_rows]]

    def turn(self) -> RowMap:
        """Make the map of the parameters, rotated unless it is diagonal."""
        row_map = compose_map(self.adam.parameters)
        return row_map if self.options.form == "diagonal" else turn_map(self.sample, *row_map)

    def map_rows(self, rows: NDArray[np.int64], row_map: RowMap) -> NDArray[np.float64]:
        """Map rows for a search."""
        return map_compactly(self.X[rows], row_map, n_threads=self.n_threads).astype(np.float64, order="C")

    def index_rows(self, rows: NDArray[np.int64], turned: RowMap) -> NeighborIndex:
        """Map rows, and prepare them for searches."""
        return build_index(self.map_rows(rows, turned), engine=self.options.engine, n_jobs=self.n_threads)

    def measure_validation(self, turned: RowMap) -> float:
        """Measure the RMSE of the validation rows, predicted from rows that stay the same."""
        index, targets = self.index_rows(self.reference, turned), self.y[self.reference]
        queries = self.map_rows(self.held_out, turned)
        found = index.search(queries, min(self.options.n_neighbors, len(targets)), n_jobs=self.n_threads)
        counts = weigh_locally(queries, index.X_train, found, ridge=self.options.ridge, n_threads=self.n_threads)
        errors = (counts * targets[found.indices]).sum(axis=1) - self.y[self.held_out]
        return float(np.sqrt(np.mean(errors**2)))
