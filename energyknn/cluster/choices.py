"""Choices that need a search of their own (distance, scaler, weights of columns), tried through Ray Tune.

Every trial scores every k and every weighting from one search per fold, so that Tune has nothing to choose but what
changes the distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType, ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import check_choice, check_integer
from energyknn._shared.ray_session import results_folder
from energyknn.cluster.session import ClusterOptions, open_cluster, wait_for_room
from energyknn.errors import ClusterError, import_extra
from energyknn.neighbors.search import Engine
from energyknn.neighbors.weighting import Weights
from energyknn.splitting import Split
from energyknn.tuning.candidates import Candidate, score_candidates
from energyknn.tuning.ray_tune import Progress, make_run_config
from energyknn.tuning.scores import check_candidates
from energyknn.tuning.scoring import resolve_scoring

__all__ = ["ChoiceScores", "Range", "search_choices"]

Method = Literal["random", "grid", "optuna"]
MakeTransformer = Callable[[Mapping[str, Any]], Any]
"""Turns chosen values into a transformer, as `Candidate` takes it, or None."""

_Chosen = dict[str, float]
"""By name: the place of the value in a list, or a number in a range."""

_MOST_DRAWS = 100  # of one choice, until it is one that was not tried


class Range(NamedTuple):
    """Numbers to choose from.

    Attributes
    ----------
    low, high : float
        The least and the largest.
    log : bool
        Whether their logarithms are drawn evenly.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, eq=False)
class ChoiceScores:
    """Scores of every choice that was tried.

    Parameters
    ----------
    choices : tuple of mapping of str to object
        The chosen values, in the order in which they were tried.
    candidates : tuple of (int, str or callable)
        k and weights, scored for each choice.
    fold_scores : ndarray of shape (n_choices, n_candidates, n_folds), float64
        On the validation rows.
    is_exhausted : bool
        Whether nothing is left to try.
    """

    choices: tuple[Mapping[str, Any], ...]
    candidates: tuple[tuple[int, Weights], ...]
    fold_scores: NDArray[np.float64]
    is_exhausted: bool

    @property
    def best(self) -> tuple[Mapping[str, Any], int, Weights, float]:
        """The choice, k, weights and mean score that are best; the first of those that are equal."""
        means = self.fold_scores.mean(axis=2)
        choice, place = np.unravel_index(np.nanargmax(means), means.shape)
        return (self.choices[choice], *self.candidates[place], float(means[choice, place]))


def search_choices(
    X: ArrayLike,
    y: ArrayLike,
    *,
    choices: Mapping[str, Sequence[Any] | Range],
    folds: Sequence[Split],
    n_neighbors: Sequence[int],
    weights: Sequence[Weights] = ("uniform",),
    make_transformer: MakeTransformer | None = None,
    method: Method = "random",
    n_trials: int | None = None,
    time_budget: float | None = None,
    scoring: Any = None,
    engine: Engine = "auto",
    random_state: int | None = None,
    address: str | None = None,
    num_cpus: int | None = None,
    cpus_per_worker: int = 1,
    progress: Progress | None = None,
) -> ChoiceScores:
    """Try choices that need a search of their own, each once and with every k and weighting.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Rows; a data frame for transformers that choose columns by name.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Their targets.
    choices : mapping of str to sequence or Range
        What there is to choose from, by name. "p" is the distance, 1 or 2; other names are for `make_transformer`.
    folds : sequence of Split
        Row numbers of training and validation rows.
    n_neighbors : sequence of int
        Every k to score with each choice.
    weights : sequence of str or callable, default=("uniform",)
        Every weighting to score with each choice.
    make_transformer : callable or None, default=None
        Called with the chosen values; returns what is fitted on the training rows of each fold, or None.
    method : {"random", "grid", "optuna"}, default="random"
        "random" draws evenly; "grid" goes through all in order, the last name fastest; "optuna" draws by its
        tree-structured estimator, from what was best. No method tries the same values twice.
    n_trials : int or None, default=None
        Choices to try; None for all, where no `Range` is among them.
    time_budget : float or None, default=None
        Seconds. Choices that are not scored by then are left out.
    scoring : None, str or callable, default=None
        One scorer, as in `resolve_scoring`.
    engine : str, default="auto"
        As in `energyknn.neighbors.search_neighbors`.
    random_state : int or None, default=None
        Seed of "random" and "optuna". With "optuna" and several workers, what is drawn also depends on which is
        scored first.
    address, num_cpus, cpus_per_worker
        As in `energyknn.cluster.search.search_neighbors_on_ray`; a trial runs on one worker.
    progress : callable or None, default=None
        Called as ``progress(n_done, n_trials)`` after each trial.

    Returns
    -------
    ChoiceScores
        Those of `score_candidates`, to the last bit, for each choice.

    Raises
    ------
    ValueError
        If there is nothing to choose from, a range is empty or has no number of trials, "p" is neither 1 nor 2, there
        are several scorers, or candidates do not fit the folds.
    ImportError
        If Ray is not installed, or Optuna for "optuna".
    ClusterError
        If the cluster cannot be used, all of its CPUs are taken, or no choice was scored within the time.
    Exception
        What a trial itself raised first.

    Notes
    -----
    The rows go into the object store once, and workers are used for one trial after another. They are Ray Tune's own:
    leave the block of an `open_pool` on the same cluster first.
    """
    options = ClusterOptions(address, num_cpus, cpus_per_worker)
    check_choice(method, ("random", "grid", "optuna"), name="method")
    check_candidates(n_neighbors, folds)
    if len(resolve_scoring(scoring)) != 1 or isinstance(scoring, Mapping | list | tuple | set | frozenset):
        message = f"scoring is {scoring!r}. A search for the best choice needs one scorer."
        raise ValueError(message)
    space = _Space(choices, n_trials, method=method)
    candidates = tuple((int(k), name) for name in dict.fromkeys(weights) for k in dict.fromkeys(n_neighbors))
    data: dict[str, Any] = {"X": X, "y": np.asarray(y, dtype=np.float64), "folds": tuple(folds), "space": space}
    data |= {"candidates": candidates, "make_transformer": make_transformer, "scoring": scoring, "engine": engine}
    with open_cluster(options) as facts, results_folder(None) as folder:
        wait_for_room(options)
        tune = import_extra("ray.tune", extra="ray")
        chooser = _make_chooser(tune, space, _draw(space, method, random_state))
        tuner = tune.Tuner(
            tune.with_resources(tune.with_parameters(_try, n_jobs=cpus_per_worker, **data), {"cpu": cpus_per_worker}),
            tune_config=tune.TuneConfig(
                search_alg=tune.search.ConcurrencyLimiter(chooser, max_concurrent=facts.n_workers),
                num_samples=space.n_trials,
                metric="score",
                mode="max",
                time_budget_s=time_budget,
                reuse_actors=True,
            ),
            run_config=make_run_config(tune, folder, progress, space.n_trials),
        )
        return _collect(tuner.fit(), space, candidates)


class _Space:
    """What there is to choose from."""

    def __init__(self, choices: Mapping[str, Sequence[Any] | Range], n_trials: int | None, *, method: Method) -> None:
        self.choices = {
            name: values if isinstance(values, Range) else tuple(values) for name, values in choices.items()
        }
        self.ranges = [name for name, values in self.choices.items() if isinstance(values, Range)]
        self._check(method)
        sizes = [len(values) for values in self.choices.values() if not isinstance(values, Range)]
        self.size = None if self.ranges else int(np.prod(sizes, dtype=np.int64))
        if n_trials is None and self.size is None:
            message = f"n_trials is None, but {self.ranges[0]!r} is a range. Say how many choices to try."
            raise ValueError(message)
        if n_trials is not None and check_integer(n_trials, name="n_trials", rule="an integer or None") < 1:
            message = f"n_trials is {n_trials}. It must be at least 1, or None for all."
            raise ValueError(message)
        self.n_trials = min(number for number in (n_trials, self.size) if number is not None)

    def _check(self, method: Method) -> None:
        if not self.choices:
            message = "choices is empty. Name at least one thing to choose, such as p=(1, 2)."
            raise ValueError(message)
        for name, values in self.choices.items():
            if isinstance(values, Range):
                if not (values.low < values.high and (values.low > 0 or not values.log)):
                    message = f"{name!r} is {values}. low must be less than high, and above 0 where log is set."
                    raise ValueError(message)
            elif not values:
                message = f"{name!r} has no values. Give at least one."
                raise ValueError(message)
        if method == "grid" and self.ranges:
            message = f"{self.ranges[0]!r} is a range, of which a grid cannot try all. List its values."
            raise ValueError(message)
        wrong = self.choices.get("p", (2,))
        if isinstance(wrong, Range) or not set(wrong) <= {1, 2}:
            message = f"p is {wrong!r}. It can be chosen from 1 (Manhattan) and 2 (Euclidean)."
            raise ValueError(message)

    def read(self, chosen: _Chosen) -> Mapping[str, Any]:
        """Return the values that were chosen."""
        return MappingProxyType(
            {
                name: chosen[name] if isinstance(values, Range) else values[int(chosen[name])]
                for name, values in self.choices.items()
            }
        )

    def enumerate(self) -> Iterator[_Chosen]:
        """Yield all choices, the last name fastest; there must be no range."""
        places = (range(len(values)) for values in self.choices.values())
        return (dict(zip(self.choices, chosen, strict=True)) for chosen in product(*places))

    def draw(self, random: np.random.Generator) -> _Chosen:
        """Draw evenly."""
        return {name: _draw_value(values, random) for name, values in self.choices.items()}


def _draw_value(values: Sequence[Any] | Range, random: np.random.Generator) -> float:
    if not isinstance(values, Range):
        return int(random.integers(len(values)))
    if values.log:
        return float(np.exp(random.uniform(np.log(values.low), np.log(values.high))))
    return float(random.uniform(values.low, values.high))


class _Draws:
    """What to try next; no method but Optuna's looks at scores."""

    def __init__(self, draws: Iterator[_Chosen]) -> None:
        self._draws = draws

    def next(self) -> _Chosen | None:
        """Return the next choice, or None where nothing is left."""
        return next(self._draws, None)

    def learn(self, chosen: _Chosen, score: float) -> None:
        """Take note of a score."""


class _OptunaDraws(_Draws):
    """Optuna's choices, each once."""

    def __init__(self, space: _Space, random_state: int | None) -> None:
        optuna = import_extra("optuna", extra="ray")
        self._optuna, self._space = optuna, space
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=random_state))
        optuna.logging.set_verbosity(level)
        self._known: dict[tuple[float, ...], Any] = {}
        self._scores: dict[tuple[float, ...], float] = {}

    def next(self) -> _Chosen | None:
        for _ in range(_MOST_DRAWS):
            trial = self._study.ask()
            chosen = {name: self._suggest(trial, name, values) for name, values in self._space.choices.items()}
            key = tuple(chosen.values())
            if key not in self._known:
                self._known[key] = trial
                return chosen
            if key in self._scores:
                self._study.tell(trial, self._scores[key])
            else:
                self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        for chosen in self._space.enumerate() if self._space.size is not None else ():
            if tuple(chosen.values()) not in self._known:
                self._known[tuple(chosen.values())] = None
                return chosen
        return None

    def learn(self, chosen: _Chosen, score: float) -> None:
        key = tuple(chosen.values())
        self._scores[key] = score
        if self._known[key] is not None:
            self._study.tell(self._known[key], score)

    def _suggest(self, trial: Any, name: str, values: Sequence[Any] | Range) -> float:
        if isinstance(values, Range):
            return float(trial.suggest_float(name, values.low, values.high, log=values.log))
        return int(trial.suggest_categorical(name, range(len(values))))


def _draw(space: _Space, method: Method, random_state: int | None) -> _Draws:
    """Make what says what to try next."""
    if method == "optuna":
        return _OptunaDraws(space, random_state)
    return _Draws(space.enumerate() if method == "grid" else _draw_evenly(space, random_state))


def _draw_evenly(space: _Space, random_state: int | None) -> Iterator[_Chosen]:
    """Draw without repeats."""
    random = np.random.default_rng(random_state)
    known: set[tuple[float, ...]] = set()
    while len(known) != space.size:
        chosen = space.draw(random)
        if tuple(chosen.values()) not in known:
            known.add(tuple(chosen.values()))
            yield chosen


def _make_chooser(tune: ModuleType, space: _Space, draws: _Draws) -> Any:
    """Make the Tune searcher that asks `draws`."""

    class Chooser(tune.search.Searcher):  # type: ignore[name-defined]
        """Number choices, and end where nothing is left."""

        def __init__(self) -> None:
            super().__init__(metric="score", mode="max")
            self._asked: dict[str, _Chosen] = {}

        def suggest(self, trial_id: str) -> Any:
            chosen = draws.next() if len(self._asked) < space.n_trials else None
            if chosen is None:
                return self.FINISHED
            self._asked[trial_id] = chosen
            return {"number": len(self._asked) - 1, "chosen": chosen}

        def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
            if result and not error and "score" in result:
                draws.learn(self._asked[trial_id], result["score"])

        def __reduce__(self) -> tuple[Any, ...]:
            return (tune.search.Searcher, ("score", "max"))  # Tune keeps a copy that nobody resumes

        def save(self, checkpoint_path: str) -> None:
            """Do nothing: what Tune would keep is in a folder that does not stay."""

        def restore(self, checkpoint_path: str) -> None:
            """Do nothing, as `save` does."""

    return Chooser()


def _try(
    config: Mapping[str, Any],
    *,
    X: Any,
    y: NDArray[np.float64],
    folds: Sequence[Split],
    space: _Space,
    candidates: Sequence[tuple[int, Weights]],
    make_transformer: MakeTransformer | None,
    scoring: Any,
    engine: Engine,
    n_jobs: int,
) -> dict[str, Any]:
    """Score a choice: the body of a trial."""
    values = space.read(config["chosen"])
    transformer = None if make_transformer is None else make_transformer(values)
    p = int(values.get("p", 2))
    scores = score_candidates(
        *(X, y),
        candidates=[Candidate(k, name, p, transformer) for k, name in candidates],
        folds=folds,
        scoring=scoring,
        error_score="raise",
        engine=engine,
        n_jobs=n_jobs,
    )
    (table,) = scores.test.values()
    best = float(np.nanmax(table.mean(axis=1)))
    return {"score": best, "number": config["number"], "chosen": config["chosen"], "fold_scores": table.tolist()}


def _collect(results: Any, space: _Space, candidates: tuple[tuple[int, Weights], ...]) -> ChoiceScores:
    """Put the trials' scores into the order in which they were begun."""
    if results.errors:
        first = results.errors[0]
        cause = getattr(first, "cause", None)
        raise cause if isinstance(cause, Exception) else first
    done = [result.metrics for result in results if result.metrics and "fold_scores" in result.metrics]
    if not done:
        message = "No choice was scored within the time. Give more of it, or fewer candidates."
        raise ClusterError(message)
    done.sort(key=lambda metrics: int(metrics["number"]))
    return ChoiceScores(
        tuple(space.read(metrics["chosen"]) for metrics in done),
        candidates,
        np.array([metrics["fold_scores"] for metrics in done]),
        len(done) == space.size,
    )
