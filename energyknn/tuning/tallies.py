"""Errors of many candidates, summed block by block, and the scores that follow when all rows are in.

A block can be computed anywhere. Its errors are summed slice by slice, and a tally adds up the slices in ascending
order of rows. So the scores are bit-identical wherever the blocks were computed, and whatever blocks they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import _safe_indexing

from energyknn._shared.threads import count_threads, run_slices
from energyknn.neighbors.weighting import Weights
from energyknn.tuning.fold_neighbors import FoldBlock, FoldSearch, PreparedFold, Side, Step
from energyknn.tuning.prefixes import average_prefixes, is_worth_compiling
from energyknn.tuning.scoring import Scorer, needs_predictions, score_predictions, score_sums, sum_errors

if TYPE_CHECKING:
    from energyknn.tuning.candidates import Candidate

_WORTH_THREADS = 1 << 18  # neighbours; fewer are scored before a thread is started


class BlockSums(NamedTuple):
    """The errors of every candidate on some rows of one side of one fold.

    Attributes
    ----------
    fold, side
        See `FoldBlock`.
    rows : ndarray of shape (n_rows,), int64
        Row numbers, ascending.
    sums : dict of str to ndarray of shape (n_slices, n_candidates, n_outputs), float64
        Sums of "squared" and "absolute" errors over the rows of each slice, as far as the scorers need them.
    predictions : ndarray of shape (n_candidates, n_rows, n_outputs), float64, or None
        None where no scorer needs them.
    failed : dict of int to Exception
        Candidates whose weighting failed, by place. Their sums and predictions are meaningless.
    """

    fold: int
    side: Side
    rows: NDArray[np.int64]
    sums: dict[str, NDArray[np.float64]]
    predictions: NDArray[np.float64] | None
    failed: dict[int, Exception]


@dataclass(frozen=True, eq=False)
class Part:
    """Candidates that share a search, with the plan of the search. `make_part` makes it.

    Attributes
    ----------
    plan : FoldSearch
        The search, with the rows and targets.
    scorers : mapping of str to str or callable
        See `resolve_scoring`.
    error_score : float or "raise"
        The score where weights or a scorer fail.
    n_candidates : int
        How many candidates there are.
    sizes : list of int
        Every k that occurs, ascending.
    groups : mapping of str or callable to tuple of ndarray
        By weighting: the places of its candidates, and the place of each one's k in `sizes`.
    compiled : bool
        Whether the weightings are computed by the compiled loop.
    """

    plan: FoldSearch
    scorers: Mapping[str, Scorer]
    error_score: float | Literal["raise"]
    n_candidates: int
    sizes: list[int]
    groups: Mapping[Weights, tuple[NDArray[np.int64], NDArray[np.int64]]]
    compiled: bool

    @property
    def keeps_predictions(self) -> bool:
        """Whether a scorer needs predictions."""
        return any(map(needs_predictions, self.scorers.values()))

    def run(self, prepared: PreparedFold, step: Step) -> Iterator[BlockSums]:
        """Find the neighbours of a step's rows, and sum the errors of every candidate."""
        for block in self.plan.find(prepared, step):
            yield sum_block(self, block)


def make_part(
    plan: FoldSearch,
    candidates: Sequence[Candidate],
    scorers: Mapping[str, Scorer],
    error_score: float | Literal["raise"],
    *,
    n_query: int,
) -> Part:
    """Group candidates by weighting; `n_query` is the number of rows to predict in all."""
    sizes = sorted({candidate.n_neighbors for candidate in candidates})
    groups = {}
    for weights in dict.fromkeys(candidate.weights for candidate in candidates):
        places = [place for place, candidate in enumerate(candidates) if candidate.weights == weights]
        columns = np.searchsorted(sizes, [candidates[place].n_neighbors for place in places])
        groups[weights] = np.array(places), columns
    compiled = is_worth_compiling(n_query, list(groups), sizes)
    return Part(plan, scorers, error_score, len(candidates), sizes, groups, compiled)


def sum_block(part: Part, block: FoldBlock) -> BlockSums:
    """Predict the rows of a block with every candidate, and sum the errors slice by slice.

    Parameters
    ----------
    part : Part
        The candidates.
    block : FoldBlock
        Neighbours of some rows.

    Returns
    -------
    BlockSums
        The same bits for any number of threads.

    Raises
    ------
    Exception
        Whatever a weighting raises, if `error_score` is "raise".
    """
    y = part.plan.y.reshape(len(part.plan.y), -1)
    edges = np.flatnonzero(np.diff(block.rows // part.plan.slice_rows)) + 1
    slices = [slice(*pair) for pair in zip([0, *edges], [*edges, len(block.rows)], strict=True)]
    sums: list[dict[str, NDArray[np.float64]]] = [{} for _ in slices]
    shape = (part.n_candidates, len(block.rows), y.shape[1])
    predictions = np.zeros(shape) if part.keeps_predictions else None
    failed: dict[int, Exception] = {}

    def sum_slice(number: int) -> None:
        queries = slices[number]
        actual, neighbors = y[block.rows[queries]], y[block.neighbors.indices[queries]]
        for weights, means in _average(part, block, queries, neighbors, failed).items():
            places, columns = part.groups[weights]
            for kind, found in sum_errors(means, actual, part.scorers).items():
                total = sums[number].setdefault(kind, np.zeros((part.n_candidates, y.shape[1])))
                total[places] = found[columns]
            if predictions is not None:
                predictions[places, queries] = means[columns]

    is_small = block.neighbors.indices.size < _WORTH_THREADS
    n_threads = 1 if is_small or any(map(callable, part.groups)) else count_threads(part.plan.n_jobs)
    run_slices(sum_slice, range(len(slices)), n_threads=n_threads)
    stacked = {kind: np.stack([found[kind] for found in sums]) for kind in sums[0]}
    return BlockSums(block.fold, block.side, block.rows, stacked, predictions, failed)


def _average(
    part: Part, block: FoldBlock, queries: slice, neighbors: NDArray[np.float64], failed: dict[int, Exception]
) -> dict[Weights, NDArray[np.float64]]:
    """Average the targets of the first k neighbours for each weighting, and note the candidates that fail."""
    distances, n_features = block.neighbors.distances[queries], block.n_features
    named = [weights for weights in part.groups if not callable(weights)]
    means = average_prefixes(*(distances, neighbors, named, part.sizes), n_features=n_features, compiled=part.compiled)
    for weights in [weights for weights in part.groups if callable(weights)]:  # a function may fail for some k
        means[weights] = np.zeros((len(part.sizes), len(distances), neighbors.shape[2]))
        for place, column in zip(*part.groups[weights], strict=True):
            if place in failed:
                continue
            try:
                found = average_prefixes(distances, neighbors, [weights], [part.sizes[column]], n_features=n_features)
                means[weights][column] = found[weights][0]
            except Exception as error:  # whatever a user's function raises
                if part.error_score == "raise":
                    raise
                failed[int(place)] = error
    return means


class Tally:
    """The sums of one side of one fold, from blocks that come in any order.

    Parameters
    ----------
    part : Part
        The candidates.
    fold, side
        See `FoldBlock`.
    """

    def __init__(self, part: Part, fold: int, side: Side) -> None:
        train, test = part.plan.folds[fold]
        self._part, self._rows = part, test if side == "test" else train
        self._n_done = 0
        self._waiting: dict[int, BlockSums] = {}
        self._sums: dict[str, NDArray[np.float64]] = {}
        self._predictions: list[NDArray[np.float64]] = []
        self._failed: dict[int, Exception] = {}

    @property
    def is_complete(self) -> bool:
        """Whether all rows are in."""
        return self._n_done == len(self._rows)

    def add(self, block: BlockSums) -> None:
        """Take a block, and add up all blocks whose predecessors are in: a slice after another, rows ascending."""
        self._waiting[int(block.rows[0])] = block
        while not self.is_complete and int(self._rows[self._n_done]) in self._waiting:
            found = self._waiting.pop(int(self._rows[self._n_done]))
            for kind, slices in found.sums.items():
                for sums in slices:
                    self._sums[kind] = self._sums[kind] + sums if kind in self._sums else sums
            if found.predictions is not None:
                self._predictions.append(found.predictions)
            self._failed = found.failed | self._failed
            self._n_done += len(found.rows)

    def score(self, X: Any) -> tuple[dict[str, NDArray[np.float64]], list[Exception]]:
        """Score every candidate by every metric, and list the failures. `X` is all rows, for the scorers."""
        part, actual = self._part, self._part.plan.y[self._rows]
        X_side = _safe_indexing(X, self._rows) if part.keeps_predictions else None
        scores: dict[str, NDArray[np.float64]] = {}
        failures: list[Exception] = []
        for name, scorer in part.scorers.items():
            if not needs_predictions(scorer):
                scores[name] = score_sums(str(scorer), self._sums, actual.reshape(len(actual), -1))
                continue
            scores[name] = np.empty(part.n_candidates)
            for place in sorted(set(range(part.n_candidates)) - self._failed.keys()):
                predicted = np.concatenate([block[place] for block in self._predictions]).reshape(actual.shape)
                try:
                    scores[name][place] = score_predictions(scorer, predicted, X_side, actual)
                except Exception as error:  # whatever a user's scorer raises
                    if part.error_score == "raise":
                        raise
                    scores[name][place] = part.error_score
                    failures.append(error)
        for place, failure in self._failed.items():
            for table in scores.values():
                table[place] = part.error_score
                failures.append(failure)
        return scores, failures
