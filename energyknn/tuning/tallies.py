"""What blocks of neighbours say about candidates: errors summed slice by slice, and scores when all rows are in.

A block may be scored anywhere, by itself. The sums of its slices are added up in ascending order of rows, so scores
have the same bits wherever, and in whatever blocks of whole slices, they were made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from energyknn._shared.checks import check_rows
from energyknn._shared.threads import run_slices
from energyknn.neighbors.weighting import Weights
from energyknn.splitting import Split
from energyknn.tuning.fold_neighbors import FoldBlock
from energyknn.tuning.prefixes import average_prefixes, is_worth_compiling
from energyknn.tuning.scoring import Scorer, needs_predictions, score_predictions, score_sums, sum_errors

__all__ = ["BlockSums", "Candidate", "Job", "Tally", "Wanted", "sum_block"]

_WORTH_THREADS = 1 << 18  # neighbours; fewer are scored before a thread is started


class Candidate(NamedTuple):
    """What is scored.

    Attributes
    ----------
    n_neighbors : int
        k.
    weights : str or callable
        As in `energyknn.neighbors.weighting.weigh_neighbors`.
    p : {1, 2}
        Manhattan or Euclidean distance.
    transformer : scikit-learn transformer or None
        Fitted on the training rows of each fold and applied to both sides: a scaler, a selection of columns, their
        weights. Each needs a search of its own.
    """

    n_neighbors: int
    weights: Weights = "uniform"
    p: int = 2
    transformer: Any = None


@dataclass(frozen=True, eq=False)
class Job:
    """What is scored, and how.

    Parameters
    ----------
    X : object
        Rows, for transformers and scorers that look at them.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs), float64
        Targets.
    folds : tuple of Split
        Row numbers.
    scorers : mapping of str to callable
        As `resolve_scoring` returns them.
    with_train : bool
        Whether training rows are scored too.
    error_score : float or "raise"
        What a failure gets.
    n_threads : int
        At least 1.
    """

    X: Any
    y: NDArray[np.float64]
    folds: tuple[Split, ...]
    scorers: Mapping[str, Scorer]
    with_train: bool
    error_score: float | Literal["raise"]
    n_threads: int

    def transform(self, transformer: Any, fold: Split) -> NDArray[np.float64]:
        """Return all rows as a transformer sees them that knows the fold's training rows."""
        fitted = clone(transformer).fit(_take_rows(self.X, fold.train), self.y[fold.train])
        return check_rows(fitted.transform(self.X), name="What the transformer returned")


def _take_rows(X: Any, rows: NDArray[np.int64]) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else np.asarray(X)[rows]


class Wanted:
    """The candidates of a search by weighting: where they stand, and which of the sizes each wants."""

    def __init__(self, candidates: Sequence[Candidate], *, n_query: int) -> None:
        self.n_candidates = len(candidates)
        self.sizes = sorted({candidate.n_neighbors for candidate in candidates})
        self.places: dict[Weights, NDArray[np.int64]] = {}
        self.columns: dict[Weights, NDArray[np.int64]] = {}
        for weights in dict.fromkeys(candidate.weights for candidate in candidates):
            places = [place for place, candidate in enumerate(candidates) if candidate.weights == weights]
            self.places[weights] = np.array(places)
            sizes = [candidates[place].n_neighbors for place in places]
            self.columns[weights] = np.searchsorted(self.sizes, sizes)
        self.compiled = is_worth_compiling(n_query, list(self.places), self.sizes)
        self.has_functions = any(callable(weights) for weights in self.places)


class BlockSums(NamedTuple):
    """What a block says.

    Attributes
    ----------
    sums : dict of str to ndarray of shape (n_slices, n_candidates, n_outputs), float64
        Sums of "squared" and "absolute" errors over the rows of each slice, as far as scorers need them.
    failed : dict of int to Exception
        By place: candidates whose weighting failed. Their sums mean nothing.
    """

    sums: dict[str, NDArray[np.float64]]
    failed: dict[int, Exception]


def sum_block(
    job: Job,
    wanted: Wanted,
    block: FoldBlock,
    *,
    slice_rows: int,
    predictions: NDArray[np.float64] | None = None,
    skip: Collection[int] = (),
) -> BlockSums:
    """Predict the rows of a block with every candidate, and sum the errors slice by slice.

    Parameters
    ----------
    job : Job
        Targets, scorers and threads; its rows `X` are not looked at.
    wanted : Wanted
        The candidates.
    block : FoldBlock
        Neighbours of some rows.
    slice_rows : int
        Row numbers of a slice, see `FoldSearch`.
    predictions : ndarray of shape (n_candidates, n_rows, n_outputs), float64, or None, default=None
        Where predictions go, for scorers that need them.
    skip : collection of int, default=()
        Places of candidates that are not weighed, since they failed before.

    Returns
    -------
    BlockSums
        The same for any number of threads.

    Raises
    ------
    Exception
        What a weighting raises, if the job's `error_score` is "raise".
    """
    work = _Block(job, wanted, block, predictions, set(skip), {})
    edges = np.flatnonzero(np.diff(block.rows // slice_rows)) + 1
    slices = [slice(*pair) for pair in zip([0, *edges], [*edges, len(block.rows)], strict=True)]
    parts: list[dict[str, NDArray[np.float64]]] = [{}] * len(slices)

    def score(number: int) -> None:
        parts[number] = work.sum_slice(slices[number])

    is_small = block.neighbors.indices.size < _WORTH_THREADS
    n_threads = 1 if wanted.has_functions or is_small else job.n_threads
    run_slices(score, range(len(slices)), n_threads=n_threads)
    return BlockSums({kind: np.stack([part[kind] for part in parts]) for kind in parts[0]}, work.failed)


@dataclass(frozen=True, eq=False)
class _Block:
    """A block that is being weighed."""

    job: Job
    wanted: Wanted
    block: FoldBlock
    predictions: NDArray[np.float64] | None
    skip: set[int]
    failed: dict[int, Exception]

    def sum_slice(self, queries: slice) -> dict[str, NDArray[np.float64]]:
        """Predict some rows with every candidate, and sum the errors."""
        indices = self.block.neighbors.indices[queries]
        neighbors = self.job.y[indices].reshape(*indices.shape, -1)
        rows = self.block.rows[queries]
        actual = self.job.y[rows].reshape(len(rows), -1)
        sums: dict[str, NDArray[np.float64]] = {}
        for weights, means in self._average(queries, neighbors).items():
            places, columns = self.wanted.places[weights], self.wanted.columns[weights]
            for kind, found in sum_errors(means, actual, self.job.scorers).items():
                if kind not in sums:
                    sums[kind] = np.zeros((self.wanted.n_candidates, actual.shape[1]))
                sums[kind][places] = found[columns]
            if self.predictions is not None:
                self.predictions[places, queries] = means[columns]
        return sums

    def _average(self, queries: slice, neighbors: NDArray[np.float64]) -> dict[Weights, NDArray[np.float64]]:
        """Average the targets of the first k neighbours, for each weighting that does not fail."""
        distances = self.block.neighbors.distances[queries]
        named = [weights for weights in self.wanted.places if not callable(weights)]
        means = average_prefixes(
            *(distances, neighbors, named, self.wanted.sizes),
            n_features=self.block.n_features,
            compiled=self.wanted.compiled,
        )
        for weights in self.wanted.places:
            if callable(weights):
                means[weights] = self._average_with_function(weights, distances, neighbors)
        return means

    def _average_with_function(
        self, weights: Weights, distances: NDArray[np.float64], neighbors: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Average with a user's function, which may fail for some of its candidates."""
        means = np.zeros((len(self.wanted.sizes), len(distances), neighbors.shape[2]))
        for place, column in zip(self.wanted.places[weights], self.wanted.columns[weights], strict=True):
            if place in self.skip or place in self.failed:
                continue
            try:
                sizes = [self.wanted.sizes[column]]
                found = average_prefixes(distances, neighbors, [weights], sizes, n_features=self.block.n_features)
            except Exception as error:  # whatever a user's function raises
                if self.job.error_score == "raise":
                    raise
                self.failed[int(place)] = error
            else:
                means[column] = found[weights][0]
        return means


class Tally:
    """What is known of one side of one fold so far.

    Parameters
    ----------
    job : Job
        What is scored.
    wanted : Wanted
        The candidates.
    rows : ndarray of shape (n_rows,), int64
        All rows of the side, ascending.
    """

    def __init__(self, job: Job, wanted: Wanted, rows: NDArray[np.int64]) -> None:
        self.job, self.wanted, self.rows = job, wanted, rows
        self.actual = job.y[rows].reshape(len(rows), -1)
        self.n_done = 0
        self.sums: dict[str, NDArray[np.float64]] = {}
        self.failed: dict[int, Exception] = {}
        self.predictions = None
        if any(needs_predictions(scorer) for scorer in job.scorers.values()):
            self.predictions = np.empty((wanted.n_candidates, *self.actual.shape))

    @property
    def is_complete(self) -> bool:
        """Whether all rows are in."""
        return self.n_done == len(self.rows)

    def view_predictions(self, first: int, n_rows: int) -> NDArray[np.float64] | None:
        """Return the place of the predictions of some rows, or None where no scorer needs them."""
        return None if self.predictions is None else self.predictions[:, first : first + n_rows]

    def add(self, n_rows: int, found: BlockSums) -> None:
        """Add up the sums of the next rows, a slice after another."""
        for kind, slices in found.sums.items():
            for sums in slices:
                self.sums[kind] = self.sums[kind] + sums if kind in self.sums else sums
        self.failed |= {place: error for place, error in found.failed.items() if place not in self.failed}
        self.n_done += n_rows

    def score(self) -> tuple[dict[str, NDArray[np.float64]], list[Exception]]:
        """Score every candidate by every metric; return the failures too."""
        failures: list[Exception] = []
        scores: dict[str, NDArray[np.float64]] = {}
        shape = self.job.y[self.rows].shape
        X = _take_rows(self.job.X, self.rows) if self.predictions is not None else None
        for name, scorer in self.job.scorers.items():
            if not needs_predictions(scorer):
                scores[name] = score_sums(scorer, self.sums, self.actual)
                continue
            scores[name] = np.empty(self.wanted.n_candidates)
            for place, predicted in enumerate(self.predictions if self.predictions is not None else ()):
                try:
                    scores[name][place] = score_predictions(scorer, predicted.reshape(shape), X, self.job.y[self.rows])
                except Exception as error:  # whatever a user's scorer raises
                    if self.job.error_score == "raise":
                        raise
                    scores[name][place] = self.job.error_score
                    failures.append(error)
        for place, failure in self.failed.items():
            for table in scores.values():
                table[place] = self.job.error_score
                failures.append(failure)
        return scores, failures
