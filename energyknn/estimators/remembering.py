"""What a fitted estimator returns for the rows of a fold, computed once for all candidates and remembered.

A scorer gets a fitted estimator of the usual kind. While a fold is scored, its steps and its model answer for the rows
of the fold from what is remembered, and for any other rows as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.utils import gen_batches
from sklearn.utils.validation import _num_samples

from energyknn._shared.threads import count_threads, run_slices
from energyknn.neighbors import Neighbors
from energyknn.neighbors.weighting import KERNELS, Weights, needs_bandwidth, weigh_neighbors
from energyknn.tuning.prefixes import average_prefixes, count_prefixes, is_worth_compiling

_MOST_HELD = 1 << 26  # neighbours, or numbers that are predicted, that are held for the rows of a fold
_VALUES_AT_ONCE = 1 << 18


class _Memory:
    """Results for the rows of one fold, by the identity of what a function was given."""

    def __init__(self, *known: Any) -> None:
        self._known = {id(rows): rows for rows in known}
        self._results: dict[tuple[Any, int], Any] = {}

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that remembers what is returned for known rows. What it returns is known then, too."""

        @wraps(function)
        def remembered(X: Any, **options: Any) -> Any:
            if options or id(X) not in self._known:
                return function(X, **options)
            key = (function, id(X))
            if key not in self._results:
                self._results[key] = found = function(X)
                self._known[id(found)] = found
            return self._results[key]

        return remembered

    def knows(self, rows: Any) -> bool:
        """Tell whether rows are among those of the fold, or came of them."""
        return id(rows) in self._known


@contextmanager
def remembering(
    known: Sequence[Any], steps: Sequence[Any], model: Any, candidates: Sequence[Mapping[str, Any]], *, at_once: bool
) -> Iterator[None]:
    """Let fitted steps and a fitted neighbour model remember what they return for known rows.

    Parameters
    ----------
    known : sequence of objects
        The rows of the fold. They are known by identity, and so is what the steps return for them.
    steps : sequence of fitted transformers
        The steps before the model.
    model : KNNRegressor or KNNClassifier
        Fitted. Its parameters may change from one candidate to the next.
    candidates : sequence of mapping
        The parameters of the model that will be set.
    at_once : bool
        Whether to predict with all candidates in one pass. Sums then differ from scikit-learn's in the last digits.
    """
    memory = _Memory(*known)
    sizes = [
        int(params["n_neighbors"]) + needs_bandwidth(params["weights"])
        for params in candidates
        if isinstance(params["n_neighbors"], Integral)
    ]
    largest = min(max(sizes, default=1), len(model.y_))
    for step in steps:
        step.transform = memory.wrap(step.transform)
    model._find = _remember_neighbors(model._find, memory, largest)
    if at_once:
        for name, compute in _choose_methods(model, largest).items():
            method = _remember_predictions(model, getattr(model, name), compute, memory, candidates, largest)
            setattr(model, name, method)
    try:
        yield
    finally:
        for name in ("_find", "_count_votes", "_elect", "predict"):
            vars(model).pop(name, None)
        for step in steps:
            del step.transform


def _remember_neighbors(find: Callable[..., Neighbors], memory: _Memory, largest: int) -> Callable[..., Neighbors]:
    """Return a search that finds as many neighbours of known rows as any candidate needs, once."""
    find_most = memory.wrap(lambda X: find(X, largest))

    def remembered(X: Any, n_neighbors: Any, **options: Any) -> Neighbors:
        is_held = memory.knows(X) and isinstance(n_neighbors, Integral) and 1 <= int(n_neighbors) <= largest
        if not is_held or _num_samples(X) * largest > _MOST_HELD:
            return find(X, n_neighbors, **options)
        found = find_most(X)
        nearest = (found.distances[:, :n_neighbors], found.indices[:, :n_neighbors])
        return Neighbors(*map(np.ascontiguousarray, nearest))  # NumPy adds up other arrays in another order

    return remembered


class _Computed(NamedTuple):
    """How one method of a model computes what all candidates return.

    Attributes
    ----------
    compute : callable
        Takes the model, the neighbours, and every k by weights. Returns what the method does, by weights and k.
    width : int
        How many numbers the method returns for each row.
    kernels : bool
        Whether it takes kernels of relative distance.
    """

    compute: Callable[..., Any]
    width: int
    kernels: bool


def _choose_methods(model: Any, largest: int) -> dict[str, _Computed]:
    """Choose the methods that compute what all candidates return in one pass."""
    if not is_classifier(model):
        return {"predict": _Computed(_average_all, model.y_[:1].size, kernels=True)}
    classes = model.classes_ if model.outputs_2d_ else [model.classes_]
    n_classes = sum(map(len, classes))
    methods = {"_count_votes": _Computed(_count_all, n_classes, kernels=False)}
    if n_classes > largest * len(classes):  # most classes have no vote, so those that have some are counted alone
        methods["_elect"] = _Computed(_elect_all, len(classes), kernels=False)
    return methods


def _remember_predictions(
    model: Any,
    predict: Callable[[Any], Any],
    computed: _Computed,
    memory: _Memory,
    candidates: Sequence[Mapping[str, Any]],
    largest: int,
) -> Callable[[Any], Any]:
    """Return a method that computes what all candidates with weights by name return for known rows, once."""
    plan: dict[Weights, set[int]] = {}
    for params in candidates:
        weights, k = params["weights"] or "uniform", params["n_neighbors"]
        is_planned = isinstance(weights, str) and (computed.kernels or weights not in KERNELS)
        if is_planned and isinstance(k, Integral) and 1 <= int(k) <= largest:
            plan.setdefault(weights, set()).add(int(k))
    compute_all = memory.wrap(lambda X: computed.compute(model, model._find(X, largest), plan))
    n_values = computed.width * sum(map(len, plan.values()))

    @wraps(predict)  # scikit-learn's scorers read the name
    def remembered(X: Any) -> Any:
        weights = model.weights or "uniform"
        if (
            not memory.knows(X)
            or _num_samples(X) * n_values > _MOST_HELD
            or model.n_neighbors not in plan.get(weights, ())
        ):
            return predict(X)
        return compute_all(X)[weights, model.n_neighbors]

    return remembered


def _average_all(
    model: Any, found: Neighbors, plan: Mapping[Weights, set[int]]
) -> dict[tuple[Weights, int], NDArray[np.float64]]:
    """Average the targets of the neighbours, for each weighting and k."""
    sizes = sorted(set().union(*plan.values()))
    n_query = len(found.indices)
    compiled = is_worth_compiling(n_query, list(plan), sizes)
    means = {name: np.empty((len(sizes), n_query, *model.y_.shape[1:])) for name in plan}

    def average(part: slice) -> None:
        targets = model.y_[found.indices[part]]
        options = {"n_features": model.n_features_in_, "compiled": compiled}
        for name, mean in average_prefixes(found.distances[part], targets, list(plan), sizes, **options).items():
            means[name][:, part] = mean

    _run_in_slices(model, average, found)
    return {(name, k): means[name][sizes.index(k)] for name, listed in plan.items() for k in listed}


def _count_all(
    model: Any, found: Neighbors, plan: Mapping[Weights, set[int]]
) -> dict[tuple[Weights, int], list[NDArray[np.float64]]]:
    """Add up the votes of the neighbours, for each weighting and k: a list with one array for each output."""
    sizes = sorted(set().union(*plan.values()))
    classes = model.classes_ if model.outputs_2d_ else [model.classes_]
    codes = model.y_.reshape(len(model.y_), -1)
    n_query = len(found.indices)
    votes = {name: [np.empty((len(sizes), n_query, len(known))) for known in classes] for name in plan}

    def count(part: slice) -> None:
        for name, outputs in votes.items():
            weights = weigh_neighbors(found.distances[part], name)
            for output, counted in enumerate(outputs):
                labels = codes[:, output][found.indices[part]]
                counted[:, part] = count_prefixes(labels, weights, sizes, n_classes=counted.shape[2])

    _run_in_slices(model, count, found)
    places = {k: place for place, k in enumerate(sizes)}
    return {(name, k): [counted[places[k]] for counted in votes[name]] for name, listed in plan.items() for k in listed}


def _elect_all(
    model: Any, found: Neighbors, plan: Mapping[Weights, set[int]]
) -> dict[tuple[Weights, int], list[NDArray[np.int64]]]:
    """Find the class with the most votes, for each weighting and k: a list with one array for each output."""
    sizes = sorted(set().union(*plan.values()))
    codes = model.y_.reshape(len(model.y_), -1)
    elected = {name: np.empty((codes.shape[1], len(sizes), len(found.indices)), dtype=np.int64) for name in plan}

    def elect(part: slice) -> None:
        for output, labels in enumerate(np.moveaxis(codes[found.indices[part]], 2, 0)):
            own_labels, places = _number_labels(labels)
            for name, chosen in elected.items():
                weights = weigh_neighbors(found.distances[part], name)
                votes = count_prefixes(places, weights, sizes, n_classes=own_labels.shape[1])
                chosen[output, :, part] = own_labels[np.arange(len(labels)), votes.argmax(axis=2)]

    _run_in_slices(model, elect, found)
    return {(name, k): list(elected[name][:, sizes.index(k)]) for name, listed in plan.items() for k in listed}


def _number_labels(labels: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Give the labels in each row numbers, ascending. Return the labels of each row by number, and the numbers."""
    order = np.argsort(labels, axis=1, kind="stable")
    ascending = np.take_along_axis(labels, order, axis=1)
    numbers = np.zeros_like(labels)
    numbers[:, 1:] = np.cumsum(ascending[:, 1:] != ascending[:, :-1], axis=1)
    own_labels = np.zeros((len(labels), int(numbers.max()) + 1), dtype=np.int64)
    np.put_along_axis(own_labels, numbers, ascending, axis=1)
    places = np.empty_like(labels)
    np.put_along_axis(places, order, numbers, axis=1)
    return own_labels, places


def _run_in_slices(model: Any, work: Callable[[slice], None], found: Neighbors) -> None:
    """Work on slices of the queries, on the threads of the model."""
    n_query, k = found.indices.shape
    slices = gen_batches(n_query, max(1, _VALUES_AT_ONCE // k))
    run_slices(work, slices, n_threads=count_threads(model.n_jobs))
