"""The front of every search: checks, the choice of an engine, and the last step that all engines share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Literal, cast

import numpy as np
from numpy.typing import ArrayLike

from energyknn.neighbors._checks import check_choice, check_n_neighbors, check_reach, check_rows, check_width
from energyknn.neighbors._exact import Candidates, Neighbors, Search, finish_search
from energyknn.neighbors._threads import count_threads
from energyknn.neighbors.brute import find_by_brute_force

__all__ = ["ENGINES", "Engine", "choose_engine", "search_neighbors"]

Engine = Literal["auto", "blocked", "brute", "sklearn", "torch"]
ENGINES: tuple[Engine, ...] = ("auto", "blocked", "brute", "sklearn", "torch")


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

    Notes
    -----
    The distance is the float64 sum, in column order, of squared (p = 2, then its square root) or absolute (p = 1)
    differences of the columns as given. Neighbours are ordered by (that sum, training row), so equal sums are
    ordered by row number and the k nearest are the first k of the k + 1 nearest. The result does not depend on
    engine, threads or the order of the queries.

    Examples
    --------
    >>> found = search_neighbors([[0.0], [1.0], [3.0]], [[0.9]], n_neighbors=2, engine="brute")
    >>> found.indices
    array([[1, 0]])
    >>> found.distances
    array([[0.1, 0.9]])
    """
    check_choice(p, (1, 2), name="p")
    check_choice(engine, ENGINES, name="engine")
    train = check_rows(X_train, name="X_train")
    query = train if X_query is None else check_rows(X_query, name="X_query")
    own = np.arange(len(train)) if X_query is None else None
    check_width(query, train.shape[1])
    check_reach(train, query, p=p)
    n_neighbors = check_n_neighbors(n_neighbors, n_train=len(train), excludes_self=own is not None)
    search = Search(train, query, n_neighbors, p, own, count_threads(n_jobs))
    return run_search(search, choose_engine(search) if engine == "auto" else engine)


def choose_engine(search: Search) -> Engine:
    """Choose what "auto" stands for."""
    del search
    return "sklearn"


def run_search(search: Search, engine: Engine) -> Neighbors:
    """Search with an engine, and with the oracle where its candidates leave a query open."""
    neighbors, unsettled = finish_search(search, _load_engine(engine)(search))
    if len(unsettled):
        own = None if search.own is None else search.own[unsettled]
        rest = replace(search, X_query=search.X_query[unsettled], own=own)
        settled, _ = finish_search(rest, find_by_brute_force(rest))
        neighbors.distances[unsettled] = settled.distances
        neighbors.indices[unsettled] = settled.indices
    return neighbors


def _load_engine(engine: Engine) -> Callable[[Search], Candidates]:
    """Import an engine when it is asked for: SciPy, Numba and PyTorch take their time to load."""
    if engine == "brute":
        return find_by_brute_force
    module, name = {"sklearn": ("engine_sklearn", "find_by_sklearn")}[engine]
    function = getattr(import_module(f"energyknn.neighbors.{module}"), name)
    return cast("Callable[[Search], Candidates]", function)
