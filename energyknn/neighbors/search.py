"""The front of every search: it checks what comes in, chooses an engine, and takes the last step for all engines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import (
    check_choice,
    check_n_neighbors,
    check_own,
    check_reach,
    check_rows_and_range,
    check_width,
)
from energyknn._shared.memory import require_memory
from energyknn._shared.threads import count_threads
from energyknn.errors import ParameterError
from energyknn.neighbors.auto import HISTORY, count_gain, count_work, find_server
from energyknn.neighbors.contract import Neighbors, Search, empty_neighbors, finish_search
from energyknn.neighbors.engines import ENGINES, Engine, brute, find_entry, load_engine
from energyknn.neighbors.metrics import METRICS

if TYPE_CHECKING:
    from energyknn.neighbors.engines.blocked.layout import Tree
    from energyknn.neighbors.engines.blocked.wide import WideRows

_WORTH_THREADS = 1 << 28  # work as `count_work` counts it; less takes a few milliseconds


def search_neighbors(
    X_train: ArrayLike,
    X_query: ArrayLike | None = None,
    n_neighbors: int = 5,
    *,
    p: int = 2,
    engine: Engine = "auto",
    n_jobs: int | None = None,
) -> Neighbors:
    """Find the nearest training rows of each query, exactly.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Finite real numbers. Scale the columns first: each counts in its own unit.
    X_query : array-like of shape (n_query, n_features) or None, default=None
        Finite real numbers. None finds the neighbours of each training row among the others. Rows that repeat it
        are among those others.
    n_neighbors : int, default=5
        From 1 to n_train, or to n_train - 1 if `X_query` is None.
    p : {1, 2}, default=2
        Manhattan (1) or Euclidean (2) distance.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        How to search; every engine returns the same bits. "auto" takes the flat engine (for p = 1 scikit-learn's)
        for small jobs and while another process compiles the blocked engine. It takes the blocked engine for large
        jobs, and for all once this process has loaded it.
    n_jobs : int or None, default=None
        Threads. None uses every core that the process may use, and one inside a joblib worker; -1 uses every core.

    Returns
    -------
    Neighbors
        `distances` (n_query, n_neighbors), float64, and `indices` (n_query, n_neighbors), int64, nearest first.

    Raises
    ------
    TypeError
        If rows are sparse, complex, text or objects, or `n_neighbors` or `n_jobs` is not an integer.
    ValueError
        If rows are not a matrix, are empty, hold NaN or infinity, differ in width, or lie so far apart that a sum
        overflows; if `n_neighbors`, `p`, `engine` or `n_jobs` is out of its range.
    ImportError
        If the engine is "torch" and PyTorch is not installed.
    MemoryShortageError
        If the result and the engine's copies need more memory than is available.

    See Also
    --------
    build_index : Prepare training rows once, for many searches.

    Notes
    -----
    The distance is the float64 sum, in column order, of squared (p = 2, then its square root) or absolute (p = 1)
    differences of the columns as given. Neighbours are ordered by (that sum, training row), so equal sums are
    ordered by row number and the k nearest are the first k of the k + 1 nearest. The result does not depend on
    engine, threads or the order of the queries. Integers are converted to float64, which is exact up to 2⁵³.

    Examples
    --------
    >>> found = search_neighbors([[0.0], [1.0], [3.0]], [[0.75]], n_neighbors=2)
    >>> found.indices
    array([[1, 0]])
    >>> found.distances
    array([[0.25, 0.75]])
    """
    check_choice(engine, ENGINES, name="engine")
    train, train_range = check_rows_and_range(X_train, name="X_train")
    search = plan_search(train, X_query, n_neighbors, p=p, n_jobs=n_jobs, train_range=train_range)
    if engine == "auto":
        return _search_by_best(search, _build_tree)
    _require_metric(engine, p)
    return _run_search(search, engine, _build_tree(search, engine))


@dataclass(frozen=True, eq=False, repr=False)
class NeighborIndex:
    """Training rows that are prepared for many searches; `build_index` makes it.

    Attributes
    ----------
    X_train : ndarray of shape (n_train, n_features), float64
        The training rows. C-ordered float64 rows are not copied, so do not change them.
    p : {1, 2}
        Manhattan or Euclidean distance.
    engine : str
        The engine that searches.
    tree : Tree, WideRows or None
        What the blocked engine has prepared; None for other engines.
    chooses : bool, default=False
        Whether each search chooses its engine anew, as "auto" does: the blocked engine once it is worth its price.

    Examples
    --------
    >>> build_index([[0.0], [1.0], [3.0]], engine="brute")
    NeighborIndex(3 rows, 1 columns, p=2, engine='brute')
    """

    X_train: NDArray[np.float64]
    p: int
    engine: Engine
    tree: Tree | WideRows | None
    chooses: bool = False

    def __repr__(self) -> str:
        n_rows, n_features = self.X_train.shape
        return f"NeighborIndex({n_rows} rows, {n_features} columns, p={self.p}, engine={self.engine!r})"

    def search(
        self,
        X_query: ArrayLike | None = None,
        n_neighbors: int = 5,
        *,
        own: ArrayLike | None = None,
        n_jobs: int | None = None,
    ) -> Neighbors:
        """Find the nearest training rows of each query, exactly.

        Parameters
        ----------
        X_query : array-like of shape (n_query, n_features) or None, default=None
            Finite real numbers. None finds the neighbours of each training row among the others.
        n_neighbors : int, default=5
            From 1 to n_train, or to n_train - 1 if each query leaves out a row.
        own : array-like of int of shape (n_query,) or None, default=None
            The number of the training row that each query leaves out: its own, where some training rows are searched.
        n_jobs : int or None, default=None
            Threads. None uses every core that the process may use, and one inside a joblib worker; -1 uses every core.

        Returns
        -------
        Neighbors
            The same bits that `search_neighbors` returns.

        Raises
        ------
        TypeError
            If queries are sparse, complex, text or objects, or `n_neighbors` or `n_jobs` is not an integer.
        ValueError
            If queries are not a matrix of the training rows' width, hold NaN or infinity, or lie so far away that a
            sum overflows; if `n_neighbors` or `n_jobs` is out of its range; if `own` does not hold one row number for
            each query.
        MemoryShortageError
            If the result and the engine's copies need more memory than is available.
        """
        search = plan_search(
            *(self.X_train, X_query, n_neighbors), p=self.p, n_jobs=n_jobs, own=own, train_range=self._range
        )
        if self.chooses and self.tree is None:
            return _search_by_best(search, lambda _, engine: self._later_tree if engine == "blocked" else None)
        return _run_search(search, self.engine, self.tree)

    @cached_property
    def _later_tree(self) -> Tree | WideRows | None:
        """What the blocked engine prepares when it takes over."""
        return _build_tree(plan_search(self.X_train, self.X_train, 1, p=self.p, n_jobs=None), "blocked")

    @cached_property
    def _range(self) -> tuple[float, float]:
        """The smallest and the largest value of the training rows."""
        return float(self.X_train.min()), float(self.X_train.max())


def build_index(X_train: ArrayLike, *, p: int = 2, engine: Engine = "auto", n_jobs: int | None = None) -> NeighborIndex:
    """Prepare training rows once, for many searches.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        Finite real numbers. Scale the columns first: each counts in its own unit.
    p : {1, 2}, default=2
        Manhattan (1) or Euclidean (2) distance.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        How to search. "auto" chooses as `search_neighbors` does for as many queries as training rows, and each search
        chooses anew until the blocked engine has taken over.
    n_jobs : int or None, default=None
        Threads that prepare the rows.

    Returns
    -------
    NeighborIndex
        An immutable value that can be pickled. Its `search` returns the same bits as `search_neighbors`.

    Raises
    ------
    TypeError
        If rows are sparse, complex, text or objects, or `n_jobs` is not an integer.
    ValueError
        If rows are not a matrix, are empty, hold NaN or infinity, or lie so far apart that a sum overflows; if `p`,
        `engine` or `n_jobs` is out of its range.
    MemoryShortageError
        If the prepared rows need more memory than is available.

    See Also
    --------
    search_neighbors : Search once.

    Examples
    --------
    >>> index = build_index([[0.0], [1.0], [3.0]])
    >>> index.search([[0.75]], 1).indices
    array([[1]])
    >>> index.search(None, 1).indices.tolist()
    [[1], [0], [1]]
    """
    check_choice(engine, ENGINES, name="engine")
    train, train_range = check_rows_and_range(X_train, name="X_train")
    search = plan_search(train, train, 1, p=p, n_jobs=n_jobs, train_range=train_range)
    chosen = _choose_engine(search) if engine == "auto" else engine
    _require_metric(chosen, p)
    return NeighborIndex(train, p, chosen, _build_tree(search, chosen), chooses=engine == "auto")


def plan_search(
    train: NDArray[np.float64],
    X_query: ArrayLike | None,
    n_neighbors: int,
    *,
    p: int,
    n_jobs: int | None,
    own: ArrayLike | None = None,
    train_range: tuple[float, float] | None = None,
) -> Search:
    """Check all of a search but its training rows; return what engines get.

    `train` comes from `check_rows`, and `train_range` is its smallest and largest value where they are known. The
    other parameters, and the errors, are those of `search_neighbors` and of `NeighborIndex.search`.
    """
    check_choice(p, tuple(METRICS), name="p")
    if X_query is None or X_query is train:
        query, query_range = train, train_range
    else:
        query, query_range = check_rows_and_range(X_query, name="X_query")
    check_width(query, train.shape[1])
    if own is not None:
        own = check_own(own, n_query=len(query), n_train=len(train))
    elif X_query is None:
        own = np.arange(len(train), dtype=np.int64)
    reach = check_reach(train, query, p=p, train_range=train_range, query_range=query_range)
    n_neighbors = check_n_neighbors(n_neighbors, n_train=len(train), excludes_self=own is not None)
    is_small = count_work(len(train), len(query), train.shape[1]) < _WORTH_THREADS
    n_threads = count_threads(1 if n_jobs is None and is_small else n_jobs)
    return Search(train, query, n_neighbors, p, own, reach, 1 if is_small else n_threads)


def _count_gain(search: Search) -> int:
    """Count the work of a search that the blocked engine may save."""
    return count_gain(len(search.X_train), len(search.X_query), search.X_train.shape[1])


def _choose_engine(search: Search) -> Engine:
    """Choose the engine that "auto" stands for."""
    return find_server(HISTORY.choose(_count_gain(search)), search.p)


def _require_metric(engine: Engine, p: int) -> None:
    """Require an engine that searches by a metric."""
    if not find_entry(engine).serves(p):
        message = f'engine is {engine!r}, which does not search by p = {p}. Use "auto" or "brute" for that.'
        raise ParameterError(message)


def _search_by_best(search: Search, find_tree: Callable[[Search, Engine], Tree | WideRows | None]) -> Neighbors:
    """Search with the engine that "auto" stands for, and go on with another once that is better.

    Queries of a large search take turns, so that another engine serves while the blocked one's kernels are compiled.
    """
    engine, n_query = _choose_engine(search), len(search.X_query)
    step = max(1, HISTORY.price // (_count_gain(search) // n_query))
    if engine == "blocked" or step >= n_query:
        return _run_search(search, engine, find_tree(search, engine))
    _require_room(search)
    found = empty_neighbors(search)
    done = 0
    while done < n_query:
        rest = _take_queries(search, slice(done, n_query))
        engine = _choose_engine(rest)
        part = rest if engine == "blocked" else _take_queries(rest, slice(step))
        for array, values in zip(found, _run_search(part, engine, find_tree(part, engine)), strict=True):
            array[done : done + len(values)] = values
        done += len(part.X_query)
    return found


def _take_queries(search: Search, queries: slice) -> Search:
    """Return the search of some of the queries."""
    own = None if search.own is None else search.own[queries]
    return replace(search, X_query=search.X_query[queries], own=own)


def _build_tree(search: Search, engine: Engine) -> Tree | WideRows | None:
    """Prepare the training rows where the engine does so."""
    if not find_entry(engine).prepares:
        return None
    n_rows, n_features = search.X_train.shape
    require_memory(
        n_rows * (n_features * 12 + 32),
        f"To prepare {n_rows} rows of {n_features} columns",
        'Give fewer rows or columns, or engine="brute", which prepares nothing and takes longer.',
    )
    tree: Tree | WideRows = load_engine(engine).build_tree(search)
    HISTORY.record(engine, 0)
    return tree


def _run_search(search: Search, engine: Engine, tree: Tree | WideRows | None) -> Neighbors:
    """Search with an engine. The oracle answers queries for which its candidates do not settle the neighbours."""
    _require_room(search, 8 * (search.X_train.size + search.X_query.size) if find_entry(engine).copies_rows else 0)
    module = load_engine(engine)
    HISTORY.record(engine, _count_gain(search))
    if tree is not None or find_entry(engine).is_certain:
        found: Neighbors = module.find_neighbors(search) if tree is None else module.search_tree(tree, search)
        return found
    neighbors, unsettled = finish_search(search, module.find_candidates(search))
    if len(unsettled):
        own = None if search.own is None else search.own[unsettled]
        rest = replace(search, X_query=search.X_query[unsettled], own=own)
        settled, _ = finish_search(rest, brute.find_candidates(rest))
        neighbors.distances[unsettled] = settled.distances
        neighbors.indices[unsettled] = settled.indices
    return neighbors


def _require_room(search: Search, copies: int = 0) -> None:
    """Require memory for a result, and for copies of so many bytes."""
    n_query, k = len(search.X_query), search.n_neighbors
    require_memory(
        n_query * (24 * k + 32) + copies,
        f"To find {k} neighbours of {n_query} rows",
        "Search for fewer rows at a time, or lower n_neighbors.",
    )
