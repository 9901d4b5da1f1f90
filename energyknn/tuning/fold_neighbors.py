"""The neighbours that folds need: from one search for each fold, or from one search over all rows for all of them.

A search over all rows serves every fold: of its neighbours, those on a fold's training side are that fold's, as long
as there are k of them; rows with fewer are searched again for twice as many. That is less work where training rows are
scored too, or folds are repeated, and more where each row is asked about once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn.neighbors import NeighborIndex, Neighbors, build_index
from energyknn.neighbors.search import Engine
from energyknn.progress import Track
from energyknn.splitting import Split

__all__ = ["FoldBlock", "FoldSearch", "PreparedFold", "Side", "Step", "plan_searches"]

Side = Literal["test", "train", "train_without_self"]
_VALUES_AT_ONCE = 1 << 23  # distances that are held at once: 64 MiB, and as much for the rows
_SLICE_VALUES = 1 << 21
_LARGEST_SLICE = 4096  # row numbers
_SMALLEST_SLICE = 64


class FoldBlock(NamedTuple):
    """The neighbours of some rows of one side of one fold.

    Attributes
    ----------
    fold : int
        Which fold.
    side : {"test", "train", "train_without_self"}
        Which of its rows; training rows are their own neighbours or not.
    rows : ndarray of shape (n_query,), int64
        Row numbers, ascending.
    neighbors : Neighbors
        Exact; `indices` are row numbers, ties in ascending order.
    n_features : int
        Columns that the distances are of.
    """

    fold: int
    side: Side
    rows: NDArray[np.int64]
    neighbors: Neighbors
    n_features: int


class Step(NamedTuple):
    """A search.

    Attributes
    ----------
    fold : int
        Of which fold; -1 for all of them.
    trains : bool
        Whether it asks about training rows.
    start, stop : int
        From which row number to which.
    work : float
        Pairs of a query and a training row.
    """

    fold: int
    trains: bool
    start: int
    stop: int
    work: float


@dataclass(frozen=True, eq=False)
class PreparedFold:
    """A fold, all rows as it sees them, and the index of those that it trains on."""

    fold: int
    X: NDArray[np.float64]
    index: NeighborIndex


@dataclass(frozen=True, eq=False)
class FoldSearch:
    """A plan of searches; made by `plan_searches`.

    Attributes
    ----------
    folds : tuple of Split
        Row numbers of both sides, ascending.
    n_neighbors : int
        k, but no more than a side has.
    p : {1, 2}
        Manhattan or Euclidean distance.
    with_train : bool
        Whether training rows are asked about too.
    shared : bool
        Whether one search over all rows serves all folds.
    slice_rows : int
        Row numbers of a slice. Blocks begin and end at multiples of it, so whoever sums over the slices of a block
        gets the same bits from either plan.
    """

    X: NDArray[np.float64]
    folds: tuple[Split, ...]
    n_neighbors: int
    p: int
    with_train: bool
    shared: bool
    slice_rows: int
    engine: Engine
    n_jobs: int | None
    transform: Callable[[Split], NDArray[np.float64]] | None

    def find(self, track: Track[Any]) -> Iterator[FoldBlock]:
        """Search, and yield one block after another: of one fold after another, or of all folds in turn.

        Parameters
        ----------
        track : Track
            Shows progress, by pairs of a query and a training row.

        Yields
        ------
        FoldBlock
            In ascending order of rows for each side of each fold.
        """
        return self._find_together(track) if self.shared else self._find_each(track)

    def _find_each(self, track: Track[Any]) -> Iterator[FoldBlock]:
        """Search each fold for itself."""
        prepared = None
        for step in track(self.plan_steps(), "Search each fold once"):
            if prepared is None or step.fold != prepared.fold:
                prepared = None  # never two indexes at a time
                prepared = self.prepare_fold(step.fold)
            yield from self.find_step(prepared, step)

    def plan_steps(self, *, span: int | None = None) -> list[Step]:
        """List the searches of folds that are searched each for itself.

        Parameters
        ----------
        span : int or None, default=None
            Row numbers of a step, a multiple of `slice_rows`; None for as many as memory allows.

        Returns
        -------
        list of Step
            One fold after another, test rows first, rows ascending; none without rows.
        """
        steps = []
        for number, fold in enumerate(self.folds):
            for trains in (False, True) if self.with_train else (False,):
                rows = fold.train if trains else fold.test
                largest = self._choose_span(len(rows) / max(1, len(self.X)), self.n_neighbors)
                taken = largest if span is None else min(span, largest)
                for start in range(0, len(self.X), taken):
                    step = Step(number, trains, start, start + taken, 0)
                    n_rows = len(_cut(rows, step))
                    if n_rows:
                        steps.append(step._replace(work=n_rows * len(fold.train)))
        return steps

    def prepare_fold(self, number: int) -> PreparedFold:
        """Build the index of a fold's training rows, as the fold sees them."""
        fold = self.folds[number]
        X = self.X if self.transform is None else self.transform(fold)
        return PreparedFold(number, X, build_index(X[fold.train], p=self.p, engine=self.engine, n_jobs=self.n_jobs))

    def find_step(self, prepared: PreparedFold, step: Step) -> Iterator[FoldBlock]:
        """Search a step of the fold that was prepared.

        Parameters
        ----------
        prepared : PreparedFold
            Of the step's fold.
        step : Step
            One of `plan_steps`.

        Yields
        ------
        FoldBlock
            Test rows; or training rows without themselves, then with themselves.
        """
        fold, X, index = self.folds[prepared.fold], prepared.X, prepared.index
        rows = self.rows_of(step)
        if step.trains:
            places = np.arange(*np.searchsorted(fold.train, [step.start, step.stop]))
            k = min(self.n_neighbors, len(fold.train) - 1)
            found = _search_others(index, X, rows, k, own=places, n_jobs=self.n_jobs)
            found = found._replace(indices=fold.train[found.indices])
            yield from self._both_train_sides(prepared.fold, rows, found, X.shape[1])
        else:
            found = index.search(X[rows], min(self.n_neighbors, len(fold.train)), n_jobs=self.n_jobs)
            found = found._replace(indices=fold.train[found.indices])
            yield FoldBlock(prepared.fold, "test", rows, found, X.shape[1])

    def rows_of(self, step: Step) -> NDArray[np.int64]:
        """Return the rows that a step asks about."""
        fold = self.folds[step.fold]
        return _cut(fold.train if step.trains else fold.test, step)

    def _find_together(self, track: Track[Any]) -> Iterator[FoldBlock]:
        """Search all rows once, and pick each fold's neighbours out."""
        index = build_index(self.X, p=self.p, engine=self.engine, n_jobs=self.n_jobs)
        members = np.zeros((len(self.folds), len(self.X)), dtype=bool)
        for number, fold in enumerate(self.folds):
            members[number, fold.train] = True
        reach = _estimate_reach(self.n_neighbors, self.folds, len(self.X))
        span = self._choose_span(1.0, reach)
        steps = [
            Step(-1, False, start, start + span, min(span, len(self.X) - start) * len(self.X))
            for start in range(0, len(self.X), span)
        ]
        for step in track(steps, "Search all rows once for all folds"):
            rows = np.arange(step.start, min(step.stop, len(self.X)))
            found = _search_others(index, self.X, rows, reach, own=rows, n_jobs=self.n_jobs)
            for number, fold in enumerate(self.folds):
                for trains in (False, True) if self.with_train else (False,):
                    asked = _cut(fold.train if trains else fold.test, step)
                    if not len(asked):
                        continue
                    part = Neighbors(found.distances[asked - step.start], found.indices[asked - step.start])
                    k = min(self.n_neighbors, len(fold.train) - trains)
                    taken = self._take(index, asked, part, members[number], k)
                    if trains:
                        yield from self._both_train_sides(number, asked, taken, self.X.shape[1])
                    else:
                        yield FoldBlock(number, "test", asked, taken, self.X.shape[1])

    def _take(
        self, index: NeighborIndex, rows: NDArray[np.int64], found: Neighbors, member: NDArray[np.bool_], k: int
    ) -> Neighbors:
        """Take the first k neighbours that are members; search again where fewer were found."""
        is_member = member[found.indices]
        counts = is_member.sum(axis=1)
        enough = counts >= k
        places = np.flatnonzero(is_member[enough])
        starts = np.cumsum(counts[enough]) - counts[enough]
        first = places[starts[:, np.newaxis] + np.arange(k)]
        taken = Neighbors(np.empty((len(rows), k)), np.empty((len(rows), k), dtype=np.int64))
        taken.distances[enough] = found.distances[enough].reshape(-1)[first]
        taken.indices[enough] = found.indices[enough].reshape(-1)[first]
        if not enough.all():
            rest = rows[~enough]
            wider = min(2 * found.indices.shape[1], len(self.X) - 1)
            again = _search_others(index, self.X, rest, wider, own=rest, n_jobs=self.n_jobs)
            settled = self._take(index, rest, again, member, k)
            taken.distances[~enough], taken.indices[~enough] = settled
        return taken

    def _both_train_sides(
        self, fold: int, rows: NDArray[np.int64], others: Neighbors, n_features: int
    ) -> Iterator[FoldBlock]:
        """Yield training rows without themselves, and with themselves where their number puts them."""
        yield FoldBlock(fold, "train_without_self", rows, others, n_features)
        k = min(self.n_neighbors, len(self.folds[fold].train))
        yield FoldBlock(fold, "train", rows, _insert_own(others, rows, k), n_features)

    def _choose_span(self, share: float, reach: int) -> int:
        """Choose how many row numbers a search spans, a multiple of a slice, for results that fit in memory."""
        n_slices = _VALUES_AT_ONCE / (max(share, 1e-9) * reach * self.slice_rows)
        return self.slice_rows * max(1, int(min(n_slices, len(self.X) / self.slice_rows + 1)))


def plan_searches(
    X: NDArray[np.float64],
    folds: Sequence[Split],
    n_neighbors: int,
    *,
    p: int = 2,
    with_train: bool = False,
    shared: bool | None = None,
    transform: Callable[[Split], NDArray[np.float64]] | None = None,
    engine: Engine = "auto",
    n_jobs: int | None = None,
) -> FoldSearch:
    """Plan the searches that find the neighbours of every fold.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float64
        All rows.
    folds : sequence of Split
        Row numbers of training and validation rows.
    n_neighbors : int
        The largest k.
    p : {1, 2}, default=2
        Manhattan or Euclidean distance.
    with_train : bool, default=False
        Whether training rows are asked about too, with and without themselves.
    shared : bool or None, default=None
        Whether one search over all rows serves all folds; None takes what is less work.
    transform : callable or None, default=None
        Returns all rows as a fold sees them, of shape (n_rows, any number of columns); then no search is shared.
    engine, n_jobs
        As in `energyknn.neighbors.search_neighbors`.

    Returns
    -------
    FoldSearch
        The plan.

    Notes
    -----
    The work of a search is taken as queries * training rows^0.6 * (k + 60): its time on 172,491 rows of 27 columns,
    and on parts of them, for k from 10 to 400, is within a third of that. A shared search is for
    k / s + 3 sqrt(k (1 - s)) / s neighbours, with s the smallest share of rows on a training side.
    """
    sides = tuple(Split(np.sort(fold.train), np.sort(fold.test)) for fold in folds)
    can_share = transform is None and all(_is_ascending(fold.train) for fold in sides)
    if shared is None:
        shared = can_share and _work_together(sides, n_neighbors, len(X)) < _work_each(sides, n_neighbors, with_train)
    slice_rows = int(np.clip(_SLICE_VALUES // n_neighbors, _SMALLEST_SLICE, _LARGEST_SLICE))
    return FoldSearch(X, sides, n_neighbors, p, with_train, shared and can_share, slice_rows, engine, n_jobs, transform)


def _is_ascending(rows: NDArray[np.int64]) -> bool:
    return bool((np.diff(rows) > 0).all())


def _estimate_work(n_query: int, n_train: int, n_neighbors: int) -> float:
    return float(n_query * n_train**0.6 * (n_neighbors + 60))


def _work_each(folds: Sequence[Split], n_neighbors: int, with_train: bool) -> float:
    return sum(
        _estimate_work(len(fold.test) + with_train * len(fold.train), len(fold.train), n_neighbors) for fold in folds
    )


def _work_together(folds: Sequence[Split], n_neighbors: int, n_rows: int) -> float:
    return _estimate_work(n_rows, n_rows, _estimate_reach(n_neighbors, folds, n_rows))


def _estimate_reach(n_neighbors: int, folds: Sequence[Split], n_rows: int) -> int:
    """Say among how many neighbours nearly every row finds k of a training side that is drawn at random."""
    share = min(len(fold.train) for fold in folds) / n_rows
    reach = (n_neighbors + 3 * np.sqrt(n_neighbors * (1 - share))) / share
    return int(min(np.ceil(reach) + 1, n_rows - 1))


def _cut(rows: NDArray[np.int64], step: Step) -> NDArray[np.int64]:
    """Cut the rows of a step out of ascending rows."""
    return rows[slice(*np.searchsorted(rows, [step.start, step.stop]))]


def _search_others(
    index: NeighborIndex,
    X: NDArray[np.float64],
    rows: NDArray[np.int64],
    n_neighbors: int,
    *,
    own: NDArray[np.int64],
    n_jobs: int | None,
) -> Neighbors:
    """Search the neighbours of training rows but themselves; there are none where a row stands alone."""
    if n_neighbors == 0:
        return Neighbors(np.empty((len(rows), 0)), np.empty((len(rows), 0), dtype=np.int64))
    return index.search(X[rows], n_neighbors, own=own, n_jobs=n_jobs)


def _insert_own(others: Neighbors, rows: NDArray[np.int64], n_neighbors: int) -> Neighbors:
    """Put each row among its neighbours, at distance 0 and in the order of row numbers; keep the first."""
    n_before = ((others.distances == 0) & (others.indices < rows[:, np.newaxis])).sum(axis=1)
    columns = np.arange(others.indices.shape[1] + 1)
    is_own = columns == n_before[:, np.newaxis]
    distances, indices = np.zeros(is_own.shape), np.empty(is_own.shape, dtype=np.int64)
    distances[~is_own], indices[~is_own] = others.distances.reshape(-1), others.indices.reshape(-1)
    indices[is_own] = rows
    return Neighbors(np.ascontiguousarray(distances[:, :n_neighbors]), np.ascontiguousarray(indices[:, :n_neighbors]))
