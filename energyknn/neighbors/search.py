"""The front of every search: checks, the choice of an engine, and the last step that all engines share."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.checks import (
    check_choice,
    check_n_neighbors,
    check_own,
    check_reach,
    check_rows,
    check_width,
)
from energyknn._shared.memory import require_memory
from energyknn._shared.threads import count_threads
from energyknn.neighbors.contract import Candidates, Neighbors, Search, finish_search
from energyknn.neighbors.engines.brute import find_by_brute_force

if TYPE_CHECKING:
    from energyknn.neighbors.engines.blocked.kernels import Tree

__all__ = ["ENGINES", "Engine", "NeighborIndex", "build_index", "choose_engine", "plan_search", "search_neighbors"]

Engine = Literal["auto", "blocked", "brute", "sklearn", "torch"]
ENGINES: tuple[Engine, ...] = ("auto", "blocked", "brute", "sklearn", "torch")
_BLOCKED = "energyknn.neighbors.engines.blocked.engine"
_WORTH_LOADING = 1 << 33
_WORTH_THREADS = 1 << 28  # the same measure of work: a few milliseconds


def choose_engine(n_train: int, n_features: int, *, n_query: int, is_loaded: bool) -> Engine:
    """Say which engine "auto" stands for.

    Parameters
    ----------
    n_train, n_features : int
        Shape of the training rows.
    n_query : int
        Number of queries.
    is_loaded : bool
        Whether this process has used the blocked engine before.

    Returns
    -------
    {"blocked", "sklearn"}
        "blocked" once it is loaded: it was the fastest for every size and shape that was measured. Before that only
        if n_train * n_query * (40 + n_features) is at least 2³³, a job of about 0.2 s for scikit-learn on two cores:
        to load Numba and the compiled kernels takes longer, and to compile them, once, much longer.
    """
    work = n_train * n_query * (40 + n_features)
    return "blocked" if is_loaded or work >= _WORTH_LOADING else "sklearn"


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
        Finite real numbers. Columns count as they are: scale them first.
    X_query : array-like of shape (n_query, n_features) or None, default=None
        Finite real numbers. None asks for the neighbours of each training row among the others: a row is left
        out by its number, so rows that repeat it remain.
    n_neighbors : int, default=5
        From 1 to n_train, or to n_train - 1 if `X_query` is None.
    p : {1, 2}, default=2
        Manhattan (1) or Euclidean (2) distance.
    engine : {"auto", "blocked", "brute", "sklearn", "torch"}, default="auto"
        How to search. The result is the same to the last bit; see `choose_engine` for what "auto" takes.
    n_jobs : int or None, default=None
        Threads. None is every core that the process may use, and 1 inside a joblib worker; -1 is every core.

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
        If the result and what the engine copies take more memory than there is.

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
    train = check_rows(X_train, name="X_train")
    search = plan_search(train, X_query, n_neighbors, p=p, n_jobs=n_jobs)
    if engine == "auto":
        engine = choose_engine(*train.shape, n_query=len(search.X_query), is_loaded=_BLOCKED in sys.modules)
    return _run_search(search, engine, _build_tree(search, engine))


@dataclass(frozen=True, eq=False)
class NeighborIndex:
    """Training rows, prepared for many searches; made by `build_index`.

    Attributes
    ----------
    X_train : ndarray of shape (n_train, n_features), float64
        The training rows. They are not copied where they are C-ordered float64 already: do not change them.
    p : {1, 2}
        Manhattan or Euclidean distance.
    engine : str
        The engine that searches.
    tree : Tree or None
        What the blocked engine has prepared.
    """

    X_train: NDArray[np.float64]
    p: int
    engine: Engine
    tree: Tree | None

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
            As in `search_neighbors`.
        n_neighbors : int, default=5
            As in `search_neighbors`.
        own : array-like of int of shape (n_query,) or None, default=None
            The training row that each query is, and that is not to be its neighbour: a self-search of some rows.
        n_jobs : int or None, default=None
            As in `search_neighbors`.

        Returns
        -------
        Neighbors
            Those of `search_neighbors`, to the last bit.

        Raises
        ------
        TypeError, ValueError
            As in `search_neighbors`; if `own` is no training row for each query.
        """
        search = plan_search(
            *(self.X_train, X_query, n_neighbors), p=self.p, n_jobs=n_jobs, own=own, train_range=self._range
        )
        return _run_search(search, self.engine, self.tree)

    @cached_property
    def _range(self) -> tuple[float, float]:
        """The smallest and the largest value of the training rows."""
        return float(self.X_train.min()), float(self.X_train.max())


def build_index(X_train: ArrayLike, *, p: int = 2, engine: Engine = "auto", n_jobs: int | None = None) -> NeighborIndex:
    """Prepare training rows once, for many searches.

    Parameters
    ----------
    X_train : array-like of shape (n_train, n_features)
        As in `search_neighbors`.
    p : {1, 2}, default=2
        As in `search_neighbors`.
    engine : {"auto", "blocked", "brute", "sklearn", "torch"}, default="auto"
        As in `search_neighbors`; "auto" chooses as if there were as many queries as training rows.
    n_jobs : int or None, default=None
        Threads that prepare the rows.

    Returns
    -------
    NeighborIndex
        An immutable value that can be pickled; its `search` gives the results of `search_neighbors`.

    Raises
    ------
    TypeError, ValueError
        As in `search_neighbors`.

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
    check_choice(p, (1, 2), name="p")
    check_choice(engine, ENGINES, name="engine")
    train = check_rows(X_train, name="X_train")
    if engine == "auto":
        engine = choose_engine(*train.shape, n_query=len(train), is_loaded=_BLOCKED in sys.modules)
    search = plan_search(train, train, 1, p=p, n_jobs=n_jobs)
    return NeighborIndex(train, p, engine, _build_tree(search, engine))


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
    """Check everything about a search but its training rows.

    Parameters
    ----------
    train : ndarray of shape (n_train, n_features), float64
        As `check_rows` returns them.
    X_query, n_neighbors, p, n_jobs, own
        As in `search_neighbors` and `NeighborIndex.search`.
    train_range : tuple of float or None, default=None
        The smallest and the largest value of the training rows, where they are known.

    Returns
    -------
    Search
        What engines get.

    Raises
    ------
    TypeError, ValueError
        As in `NeighborIndex.search`.
    """
    check_choice(p, (1, 2), name="p")
    query = train if X_query is None or X_query is train else check_rows(X_query, name="X_query")
    check_width(query, train.shape[1])
    if own is not None:
        own = check_own(own, n_query=len(query), n_train=len(train))
    elif X_query is None:
        own = np.arange(len(train), dtype=np.int64)
    reach = check_reach(train, query, p=p, train_range=train_range)
    n_neighbors = check_n_neighbors(n_neighbors, n_train=len(train), excludes_self=own is not None)
    work = len(train) * len(query) * (40 + train.shape[1])
    n_threads = (
        count_threads(n_jobs) if work >= _WORTH_THREADS else min(1, count_threads(1 if n_jobs is None else n_jobs))
    )
    return Search(train, query, n_neighbors, p, own, reach, n_threads)


def _build_tree(search: Search, engine: Engine) -> Tree | None:
    """Prepare what an engine needs to have prepared."""
    if engine != "blocked":
        return None
    n_rows, n_features = search.X_train.shape
    require_memory(
        n_rows * (n_features * 12 + 32),
        f"To prepare {n_rows} rows of {n_features} columns",
        'Give fewer rows or columns, or engine="brute", which prepares nothing and takes longer.',
    )
    from energyknn.neighbors.engines.blocked.engine import build_tree  # loads Numba

    return build_tree(search)


def _run_search(search: Search, engine: Engine, tree: Tree | None) -> Neighbors:
    """Search with an engine, and with the oracle where candidates leave a query open."""
    n_query, k = len(search.X_query), search.n_neighbors
    copies = 0 if engine in {"blocked", "brute"} else 8 * (search.X_train.size + search.X_query.size)
    require_memory(
        n_query * (24 * k + 32) + copies,
        f"To find {k} neighbours of {n_query} rows",
        "Search for fewer rows at a time, or lower n_neighbors.",
    )
    if tree is not None:
        from energyknn.neighbors.engines.blocked.engine import search_tree

        return search_tree(tree, search)
    neighbors, unsettled = finish_search(search, _load_engine(engine)(search))
    if len(unsettled):
        own = None if search.own is None else search.own[unsettled]
        rest = replace(search, X_query=search.X_query[unsettled], own=own)
        settled, _ = finish_search(rest, find_by_brute_force(rest))
        neighbors.distances[unsettled] = settled.distances
        neighbors.indices[unsettled] = settled.indices
    return neighbors


def _load_engine(engine: Engine) -> Callable[[Search], Candidates]:
    """Import an engine when it is asked for: scikit-learn and PyTorch take their time to load."""
    if engine == "brute":
        return find_by_brute_force
    module = import_module(f"energyknn.neighbors.engines.{engine}")
    return cast("Callable[[Search], Candidates]", module.find_candidates)
