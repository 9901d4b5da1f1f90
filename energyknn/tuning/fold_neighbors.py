"""The neighbours of the rows of each fold, from one search per fold or from one search over all rows.

A search over all rows can serve every fold: the neighbours of a row that are on the fold's training side are its
neighbours in the fold. Rows with fewer than k of them are searched again, for twice as many neighbours. One search over
all rows is less work where training rows are scored too, or where folds are repeated. It is more work where each row is
queried once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from energyknn._shared.checks import check_rows
from energyknn._shared.showing import in_one_line
from energyknn.neighbors import NeighborIndex, Neighbors, build_index
from energyknn.neighbors.engines import Engine
from energyknn.splitting import Split

Side = Literal["test", "train", "train_without_self"]
_QUERIED: tuple[Side, Side] = ("test", "train_without_self")
"""The side that a search is for: of test rows, and of training rows."""
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
        Which of its rows. On "train", a row can be its own neighbour.
    rows : ndarray of shape (n_query,), int64
        Row numbers, ascending.
    neighbors : Neighbors
        Their neighbours on the training side. `indices` are row numbers.
    n_features : int
        Number of columns that the distances were computed from.
    """

    fold: int
    side: Side
    rows: NDArray[np.int64]
    neighbors: Neighbors
    n_features: int


class Step(NamedTuple):
    """One search for the neighbours of some rows.

    Attributes
    ----------
    fold : int
        Which fold is searched; -1 for all of them together.
    trains : bool
        Whether the queries are training rows.
    start, stop : int
        The row numbers of the queries are from `start` up to, but not including, `stop`.
    work : float
        Number of pairs of a query and a training row.
    """

    fold: int
    trains: bool
    start: int
    stop: int
    work: float


@in_one_line
@dataclass(frozen=True, eq=False)
class PreparedFold:
    """All rows as a fold's transformer returns them, and an index of its training rows."""

    X: NDArray[np.float64]
    index: NeighborIndex


@in_one_line
@dataclass(frozen=True, eq=False)
class FoldSearch:
    """The searches that one distance needs, to find the neighbours of every fold.

    Parameters
    ----------
    X : ndarray or DataFrame of shape (n_rows, n_features)
        All rows, before the transformer; finite numbers where there is none.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs), float64
        Their targets, which the transformer is fitted with.
    folds : sequence of Split
        Row numbers of training and validation rows. They are sorted.
    n_neighbors : int
        The largest k. Where a side has fewer rows, all of them are found.
    p : {1, 2}, default=2
        Manhattan or Euclidean distance.
    transformer : transformer or None, default=None
        Fitted on each fold's training rows and applied to all rows. With one, no search is shared.
    with_train : bool, default=False
        Whether training rows are queried too, with and without themselves.
    shared : bool or None, default=None
        Whether one search over all rows serves all folds; None for whichever is less work.
    engine, n_jobs
        Engine and threads, see `energyknn.neighbors.search_neighbors`.

    Notes
    -----
    The work of a search is estimated as n_query * n_train^0.6 * (k + 60). The times measured on 172,491 rows of 27
    columns, and on parts of them, for k from 10 to 400, are within a third of that. With s the smallest share of rows
    on a training side, a shared search asks for k / s + 3 sqrt(k (1 - s)) / s neighbours.
    """

    X: Any
    y: NDArray[np.float64]
    folds: Sequence[Split]
    n_neighbors: int
    p: int = 2
    transformer: Any = None
    with_train: bool = False
    shared: bool | None = None
    engine: Engine = "auto"
    n_jobs: int | None = None

    def __post_init__(self) -> None:
        folds = tuple(Split(np.sort(fold.train), np.sort(fold.test)) for fold in self.folds)
        can_share = self.transformer is None and all((np.diff(fold.train) > 0).all() for fold in folds)
        shared = self.shared
        if shared is None:
            n_rows, k = len(self.X), self.n_neighbors
            searches = [(len(test) + self.with_train * len(train), len(train)) for train, test in folds]
            each = sum(_estimate_work(n_query, n_train, k) for n_query, n_train in searches)
            shared = _estimate_work(n_rows, n_rows, _estimate_reach(k, folds, n_rows)) < each
        object.__setattr__(self, "folds", folds)
        object.__setattr__(self, "shared", shared and can_share)

    @property
    def slice_rows(self) -> int:
        """Row numbers of a slice: steps begin and end at multiples of it.

        Errors are summed slice by slice, so that the sums are bit-identical whatever the steps are.
        """
        return int(np.clip(_SLICE_VALUES // self.n_neighbors, _SMALLEST_SLICE, _LARGEST_SLICE))

    def list_steps(self, *, span: int | None = None) -> list[Step]:
        """List the searches: fold after fold, test rows first, rows ascending.

        Parameters
        ----------
        span : int or None, default=None
            Row numbers of a step, a multiple of `slice_rows`; None for as many as fit in memory.

        Returns
        -------
        list of Step
            Each has at least one query.
        """
        n_rows = len(self.X)
        searches = [
            (number, trains, fold.train if trains else fold.test, len(fold.train), self.n_neighbors)
            for number, fold in enumerate(self.folds)
            for trains in (False, True)[: 1 + self.with_train]
        ]
        if self.shared:
            searches = [(-1, False, np.arange(n_rows), n_rows, _estimate_reach(self.n_neighbors, self.folds, n_rows))]
        steps = []
        for number, trains, rows, n_train, k in searches:
            n_slices = _VALUES_AT_ONCE / (max(len(rows) / n_rows, 1e-9) * k * self.slice_rows)
            largest = self.slice_rows * max(1, int(min(n_slices, n_rows / self.slice_rows + 1)))
            taken = largest if span is None else min(span, largest)
            asked = ((start, len(_cut(rows, start, start + taken))) for start in range(0, n_rows, taken))
            steps += [Step(number, trains, start, start + taken, n * n_train) for start, n in asked if n]
        return steps

    def prepare(self, number: int) -> PreparedFold:
        """Transform all rows as a fold needs them, and build the index of its training rows."""
        if self.transformer is None:
            X = np.ascontiguousarray(self.X, dtype=np.float64)
        else:
            train = self.folds[number].train
            fitted = clone(self.transformer).fit(_safe_indexing(self.X, train), self.y[train])
            X = check_rows(fitted.transform(self.X), name="What the transformer returned")
        indexed = X if number < 0 else X[self.folds[number].train]
        return PreparedFold(X, build_index(indexed, p=self.p, engine=self.engine, n_jobs=self.n_jobs))

    def find(self, prepared: PreparedFold, step: Step) -> Iterator[FoldBlock]:
        """Search for the neighbours of a step's rows, in the fold that was prepared for it.

        Parameters
        ----------
        prepared : PreparedFold
            `prepare(step.fold)`.
        step : Step
            One of `list_steps`.

        Yields
        ------
        FoldBlock
            One for test rows. Two for training rows: without themselves, then with themselves.
        """
        for block in (self._find_in_all if step.fold < 0 else self._find_in_fold)(prepared, step):
            yield block
            if block.side == "train_without_self":
                k = min(self.n_neighbors, len(self.folds[block.fold].train))
                yield block._replace(side="train", neighbors=insert_own(block.neighbors, block.rows, k))

    def rows_of(self, step: Step) -> NDArray[np.int64]:
        """Return the queries of a step of one fold."""
        fold = self.folds[step.fold]
        return _cut(fold.train if step.trains else fold.test, step.start, step.stop)

    def _find_in_fold(self, prepared: PreparedFold, step: Step) -> Iterator[FoldBlock]:
        """Search on the training side of a fold."""
        train, rows = self.folds[step.fold].train, self.rows_of(step)
        own = np.arange(*np.searchsorted(train, [step.start, step.stop])) if step.trains else None
        found = self._search(prepared, rows, min(self.n_neighbors, len(train) - step.trains), own)
        found = found._replace(indices=train[found.indices])
        yield FoldBlock(step.fold, _QUERIED[step.trains], rows, found, prepared.X.shape[1])

    def _find_in_all(self, prepared: PreparedFold, step: Step) -> Iterator[FoldBlock]:
        """Search among all rows once, and pick out the neighbours of each fold."""
        n_rows, n_features = prepared.X.shape
        rows = np.arange(step.start, min(step.stop, n_rows))
        found = self._search(prepared, rows, _estimate_reach(self.n_neighbors, self.folds, n_rows), rows)
        for number, fold in enumerate(self.folds):
            member = np.zeros(n_rows, dtype=bool)
            member[fold.train] = True
            for trains in (False, True)[: 1 + self.with_train]:
                asked = self.rows_of(step._replace(fold=number, trains=trains))
                if len(asked):
                    part = Neighbors(found.distances[asked - step.start], found.indices[asked - step.start])
                    k = min(self.n_neighbors, len(fold.train) - trains)
                    taken = self._take(prepared, asked, part, member, k)
                    yield FoldBlock(number, _QUERIED[trains], asked, taken, n_features)

    def _take(
        self, prepared: PreparedFold, rows: NDArray[np.int64], found: Neighbors, member: NDArray[np.bool_], k: int
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
            wider = min(2 * found.indices.shape[1], len(prepared.X) - 1)
            again = self._search(prepared, rest, wider, rest)
            taken.distances[~enough], taken.indices[~enough] = self._take(prepared, rest, again, member, k)
        return taken

    def _search(
        self, prepared: PreparedFold, rows: NDArray[np.int64], k: int, own: NDArray[np.int64] | None
    ) -> Neighbors:
        """Search for k neighbours of some rows; for none where a training side is a single row."""
        if k == 0:
            return Neighbors(np.empty((len(rows), 0)), np.empty((len(rows), 0), dtype=np.int64))
        return prepared.index.search(prepared.X[rows], k, own=own, n_jobs=self.n_jobs)


def _estimate_work(n_query: int, n_train: int, n_neighbors: int) -> float:
    return float(n_query * n_train**0.6 * (n_neighbors + 60))


def _estimate_reach(n_neighbors: int, folds: Sequence[Split], n_rows: int) -> int:
    """Estimate how many neighbours to fetch so that nearly every row has k of them in a random training side."""
    share = min(len(fold.train) for fold in folds) / n_rows
    reach = (n_neighbors + 3 * np.sqrt(n_neighbors * (1 - share))) / share
    return int(min(np.ceil(reach) + 1, n_rows - 1))


def _cut(rows: NDArray[np.int64], start: int, stop: int) -> NDArray[np.int64]:
    """Return those of some ascending row numbers that are from `start` up to, but not including, `stop`."""
    return rows[slice(*np.searchsorted(rows, [start, stop]))]


def insert_own(others: Neighbors, rows: NDArray[np.int64], n_neighbors: int) -> Neighbors:
    """Insert each row among its neighbours, at distance 0 and ordered by row number, and keep the first."""
    n_before = ((others.distances == 0) & (others.indices < rows[:, np.newaxis])).sum(axis=1)
    columns = np.arange(others.indices.shape[1] + 1)
    is_own = columns == n_before[:, np.newaxis]
    distances, indices = np.zeros(is_own.shape), np.empty(is_own.shape, dtype=np.int64)
    distances[~is_own], indices[~is_own] = others.distances.reshape(-1), others.indices.reshape(-1)
    indices[is_own] = rows
    return Neighbors(np.ascontiguousarray(distances[:, :n_neighbors]), np.ascontiguousarray(indices[:, :n_neighbors]))
