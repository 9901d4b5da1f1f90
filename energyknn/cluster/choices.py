"""Choices that need a search of their own, such as the distance, the scaler or the weights of columns.

A trial is one choice. It runs on one worker of a pool, and scores every k and every weighting from one search per fold.
Optuna is asked only for what changes the distances.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, product
from math import inf, prod
from time import monotonic
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import check_choice, check_integer
from energyknn._shared.showing import in_one_line
from energyknn.cluster.pool import Outcome, Task, Unit, WorkerPool, use_pool
from energyknn.cluster.session import ClusterOptions
from energyknn.errors import ClusterError, ParameterError, import_extra
from energyknn.neighbors.engines import Engine
from energyknn.neighbors.metrics import METRICS
from energyknn.neighbors.weighting import Weights
from energyknn.splitting import Split
from energyknn.tuning.candidates import Candidate, check_sizes, score_candidates
from energyknn.tuning.scores import CandidateScores
from energyknn.tuning.scoring import resolve_scoring

Method = Literal["random", "grid", "optuna"]
MakeTransformer = Callable[[Mapping[str, Any]], Any]
"""Turns chosen values into a transformer, as `Candidate` takes it, or None."""

_Choices = Mapping[str, "tuple[Any, ...] | Range"]
_Key = tuple[float, ...]
"""What was chosen for each name: the place of a value in its tuple, or a number in its range."""

_MOST_DRAWS = 100  # of a choice, until one comes that was not tried
_ROUND = 100  # trials of a worker that are drawn at once, where no draw depends on scores


class Range(NamedTuple):
    """A range of numbers to choose from in `search_choices`.

    Attributes
    ----------
    low, high : float
        The least and the largest number.
    log : bool, default=False
        Whether the logarithms of the numbers are drawn evenly, in place of the numbers.

    Examples
    --------
    >>> Range(0.1, 10.0, log=True)
    Range(low=0.1, high=10.0, log=True)
    """

    low: float
    high: float
    log: bool = False


@in_one_line
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
        Whether every choice was scored.
    """

    choices: tuple[Mapping[str, Any], ...]
    candidates: tuple[tuple[int, Weights], ...]
    fold_scores: NDArray[np.float64]
    is_exhausted: bool

    @property
    def best(self) -> tuple[Mapping[str, Any], int, Weights, float]:
        """The choice, k, weights and mean score of the best candidate; the first where several are equal."""
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
    pool: WorkerPool | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> ChoiceScores:
    """Try choices that need a search of their own, each once and with every k and weighting.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Rows; a data frame for transformers that choose columns by name.
    y : array-like of shape (n_rows,) or (n_rows, n_outputs)
        Their targets.
    choices : mapping of str to sequence or Range
        The values to choose from, by name. "p" is the distance, 1 or 2; other names are for `make_transformer`.
    folds : sequence of Split
        Row numbers of training and validation rows.
    n_neighbors : sequence of int
        Every k to score with each choice.
    weights : sequence of str or callable, default=("uniform",)
        Every weighting to score with each choice.
    make_transformer : callable or None, default=None
        Called with the chosen values. It returns a transformer, which is fitted on the training rows of each fold, or
        None.
    method : {"random", "grid", "optuna"}, default="random"
        "random" draws evenly. "grid" tries all choices in order; the last name changes fastest. "optuna" draws with
        Optuna's TPE sampler, which prefers what scored best. No method tries the same values twice.
    n_trials : int or None, default=None
        Number of choices to try; None for all, where no `Range` is among them.
    time_budget : float or None, default=None
        Seconds, from the first trial on. Choices that are not scored by then are left out.
    scoring : None, str or callable, default=None
        One scorer, as scikit-learn takes it; None for R².
    engine : str, default="auto"
        How neighbours are found: "auto", "blocked", "brute", "flat", "sklearn" or "torch".
    random_state : int or None, default=None
        Seed of "random" and "optuna". "optuna" draws one trial for each worker before it reads their scores, so what
        it draws also depends on the number of workers.
    address : str or None, default=None
        ``host:port`` of a cluster. None stands for the Ray that this process is connected to, else the cluster that
        RAY_ADDRESS names, else a quiet local Ray that is shut down afterwards.
    num_cpus : int or None, default=None
        Cores of a local Ray; None for all.
    cpus_per_worker : int, default=1
        Cores of each worker. A trial runs on one worker.
    pool : WorkerPool or None, default=None
        Workers from `open_pool`, in place of the three options before.
    progress : callable or None, default=None
        Called as ``progress(n_done, n_trials)`` after each trial.

    Returns
    -------
    ChoiceScores
        For each choice, the same bits as `score_candidates` returns.

    Raises
    ------
    ValueError
        If there is nothing to choose from, a range is empty or has no number of trials, "p" is neither 1 nor 2, there
        are several scorers, candidates do not fit the folds, or options are given beside a pool.
    ImportError
        If Ray is not installed, or Optuna for "random" and "optuna".
    ClusterError
        If the cluster cannot be used, no worker is left, or no choice was scored within the time.
    Exception
        What a trial itself raised.

    See Also
    --------
    score_candidates_on_ray : Spreads the scoring of one list of candidates over all workers.
    """
    options = ClusterOptions(address, num_cpus, cpus_per_worker)
    check_choice(method, ("random", "grid", "optuna"), name="method")
    check_sizes(n_neighbors, folds)
    if len(resolve_scoring(scoring)) != 1 or isinstance(scoring, Mapping | list | tuple | set | frozenset):
        message = f"scoring is {scoring!r}. A search for the best choice needs one scorer."
        raise ParameterError(message)
    known = {name: values if isinstance(values, Range) else tuple(values) for name, values in choices.items()}
    size, n_trials = _count_choices(known, method, n_trials)
    chooser = _Chooser(known, method, random_state)
    pairs = tuple((int(k), name) for name in dict.fromkeys(weights) for k in dict.fromkeys(n_neighbors))
    score = partial(score_candidates, folds=tuple(folds), scoring=scoring, error_score="raise", engine=engine)
    work = partial(_score, score, pairs, make_transformer)
    tried: dict[int, _Key] = {}
    tables: dict[int, NDArray[np.float64]] = {}
    with use_pool(pool, options) as used, used.open_job(Task(_hold, work, uses_gpu=engine == "torch")) as job:
        data = job.put(X), job.put(np.asarray(y, dtype=np.float64))
        n_ahead = job.facts.n_workers * (1 if method == "optuna" else _ROUND)
        deadline = inf if time_budget is None else monotonic() + time_budget

        def is_over() -> bool:
            return monotonic() >= deadline

        while not is_over():
            drawn = dict(enumerate(islice(chooser, min(n_ahead, n_trials - len(tried))), len(tried)))
            if not drawn:
                break
            tried |= drawn
            units = [Unit(str(at), 0, data, partial(tuple, (_read(known, key),))) for at, key in drawn.items()]
            for unit, outcome in job.run(units, is_over):
                tables[int(unit.key)] = outcome.arrays["fold_scores"]
                if progress:
                    progress(len(tables), n_trials)
            for at in sorted(drawn.keys() & tables.keys()):
                chooser.tell(drawn[at], float(np.nanmax(tables[at].mean(axis=1), initial=-inf)))
    if not tables:
        message = "No choice was scored within the time. Give more of it, or fewer candidates."
        raise ClusterError(message)
    scored = sorted(tables)
    found = tuple(MappingProxyType(_read(known, tried[at])) for at in scored)
    return ChoiceScores(found, pairs, np.array([tables[at] for at in scored]), len(scored) == size)


def _count_choices(choices: _Choices, method: Method, n_trials: int | None) -> tuple[float, int]:
    """Return how many choices there are and how many are tried, or refuse what cannot be chosen.

    There is no end of choices where there is a range.
    """
    if not choices:
        message = "choices is empty. Name at least one thing to choose, such as p=(1, 2)."
        raise ParameterError(message)
    distances = choices.get("p", (2,))
    if isinstance(distances, Range) or not set(distances) <= METRICS.keys():
        message = f"p is {distances!r}. It can be chosen from 1 (Manhattan) and 2 (Euclidean)."
        raise ParameterError(message)
    for name, values in choices.items():
        if isinstance(values, Range):
            if not (values.low < values.high and (values.low > 0 or not values.log)):
                message = f"{name!r} is {values}. low must be less than high, and above 0 where log is set."
                raise ParameterError(message)
            if method == "grid":
                message = f"{name!r} is a range, and a grid cannot try all of its values. List the values to try."
                raise ParameterError(message)
            if n_trials is None:
                message = f"n_trials is None, but {name!r} is a range. Say how many choices to try."
                raise ParameterError(message)
        elif not values:
            message = f"{name!r} has no values. Give at least one."
            raise ParameterError(message)
    size = prod(inf if isinstance(values, Range) else len(values) for values in choices.values())
    if n_trials is None:
        return size, int(size)
    rule = "an integer of at least 1, or None for all"
    return size, int(min(check_integer(n_trials, name="n_trials", rule=rule, least=1), size))


def _read(choices: _Choices, key: _Key) -> dict[str, Any]:
    """Return the chosen values by name."""
    pairs = zip(choices.items(), key, strict=True)
    return {name: at if isinstance(values, Range) else values[int(at)] for (name, values), at in pairs}


class _Chooser(Iterator[_Key]):
    """Draws choices, each once. A grid goes through all in order; the other methods ask Optuna."""

    def __init__(self, choices: _Choices, method: Method, random_state: int | None) -> None:
        places = [() if isinstance(values, Range) else range(len(values)) for values in choices.values()]
        self._all = product(*places)  # empty where there is a range
        self._trials: dict[_Key, Any] = {}
        self._scores: dict[_Key, float] = {}
        self._study: Any = None
        if method == "grid":
            return
        optuna = import_extra("optuna", extra="ray")
        samplers = {"random": optuna.samplers.RandomSampler, "optuna": optuna.samplers.TPESampler}
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(direction="maximize", sampler=samplers[method](seed=random_state))
        optuna.logging.set_verbosity(level)
        self._failed = optuna.trial.TrialState.FAIL
        self._distributions = {
            name: optuna.distributions.FloatDistribution(*values[:2], log=values.log)
            if isinstance(values, Range)
            else optuna.distributions.CategoricalDistribution(range(len(values)))
            for name, values in choices.items()
        }

    def __next__(self) -> _Key:
        """Draw a choice that was not tried; stop where none is left."""
        for _ in range(_MOST_DRAWS if self._study else 0):
            trial = self._study.ask(self._distributions)
            key = tuple(trial.params[name] for name in self._distributions)
            if key not in self._trials:
                self._trials[key] = trial
                return key
            score = self._scores.get(key)  # None while the first trial of the same choice runs
            self._study.tell(trial, score, state=self._failed if score is None else None)
        key = next(key for key in self._all if key not in self._trials)
        self._trials[key] = None
        return key

    def tell(self, key: _Key, score: float) -> None:
        """Take note of a score, for the next draws."""
        self._scores[key] = score
        if self._trials[key] is not None:
            self._study.tell(self._trials[key], score)


def _hold(X: Any, y: NDArray[np.float64], *, n_jobs: int) -> tuple[Any, NDArray[np.float64]]:  # noqa: ARG001 - a Task's
    """Keep the rows and targets on a worker."""
    return X, y


def _score(
    score: Callable[..., CandidateScores],
    pairs: Sequence[tuple[int, Weights]],
    make_transformer: MakeTransformer | None,
    data: tuple[Any, NDArray[np.float64]],
    values: Mapping[str, Any],
    *,
    n_jobs: int,
) -> Outcome:
    """Score a choice on a worker: the body of a trial."""
    transformer = None if make_transformer is None else make_transformer(values)
    candidates = [Candidate(k, name, int(values.get("p", 2)), transformer) for k, name in pairs]
    (table,) = score(*data, candidates=candidates, n_jobs=n_jobs).test.values()
    return Outcome({"fold_scores": table.values})
