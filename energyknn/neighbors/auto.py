"""Which engine "auto" stands for. Results have the same bits either way, so this decides about time alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from energyknn.neighbors.engines import Engine, find_entry, load_engine

if TYPE_CHECKING:
    from energyknn._shared.aside import Compilation

WORTH_LOADING = 1 << 32
_WORTH_COMPILING = 1 << 40
_MOST_FEATURES = 64  # the blocked engine gains nothing on further columns where boxes rule nothing out


@dataclass
class History:
    """What this process has searched so far, and what "auto" may take from now on.

    Attributes
    ----------
    work : int
        The work that engines which compile nothing have done, as `count_gain` counts it.
    is_ready : bool
        Whether the blocked engine has been used, so that its compiled kernels are loaded.
    compilation : Compilation or None
        The process that compiles them, if they were not on disk.
    price : int
        The work from which on the blocked engine is worth its price: of loading it, or of compiling it here.
    """

    work: int = 0
    is_ready: bool = False
    compilation: Compilation | None = None
    price: int = WORTH_LOADING

    def record(self, engine: Engine, work: int) -> None:
        """Remember a search."""
        if engine == "blocked":
            self.is_ready = True
        elif engine in ("flat", "sklearn"):
            self.work += work

    def choose(self, work: int) -> Engine:
        """Choose the engine for a search; let another process compile the blocked engine's kernels where they are not.

        While it does, the flat engine serves. Where no other process can, because there is no folder to keep
        kernels in, the blocked engine is worth a higher price.
        """
        engine = choose_engine(work, self.work, is_ready=self.is_ready, price=self.price)
        if engine == "flat" or self.is_ready or self.price > WORTH_LOADING:
            return engine
        if self.compilation is not None and self.compilation.is_running():
            return "flat"
        blocked = load_engine("blocked")
        if blocked.try_loading_kernels():
            self.is_ready = True
            return "blocked"
        has_failed = self.compilation is not None
        self.compilation = None if has_failed else blocked.compile_kernels_aside()
        if self.compilation is not None:
            return "flat"
        self.price = _WORTH_COMPILING
        return choose_engine(work, self.work, is_ready=False, price=self.price)

    def forget_compilation(self) -> None:
        """Forget the other process: after a fork it is no child of this one."""
        self.compilation = None


HISTORY = History()
"""The one record of this process: `search_neighbors` and `NeighborIndex.search` write it, "auto" reads it."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=HISTORY.forget_compilation)


def count_work(n_train: int, n_query: int, n_features: int) -> int:
    """Count the work of a search: n_train * n_query * (40 + n_features).

    Selecting neighbours costs scikit-learn's engine about as much as measuring 40 columns.
    """
    return n_train * n_query * (40 + n_features)


def count_gain(n_train: int, n_query: int, n_features: int) -> int:
    """Count the work of which the blocked engine may save the most: that of a search with 64 columns at most."""
    return count_work(n_train, n_query, min(n_features, _MOST_FEATURES))


def find_server(engine: Engine, p: int) -> Engine:
    """Return the engine, or the next best that compiles nothing where that one does not search by p."""
    candidates: tuple[Engine, ...] = (engine, "sklearn", "brute")
    return next(candidate for candidate in candidates if find_entry(candidate).serves(p))


def choose_engine(work: int, work_before: int, *, is_ready: bool, price: int = WORTH_LOADING) -> Engine:
    """Choose the engine that "auto" stands for.

    Parameters
    ----------
    work : int
        The work of this search, as `count_gain` counts it.
    work_before : int
        The work that engines which compile nothing have done in this process.
    is_ready : bool
        Whether this process has used the blocked engine before.
    price : int, default=2³²
        The work that the blocked engine must be worth: about 0.1 s of one core. Loading the compiled kernels takes as
        long. To compile them here takes half a minute, or 2⁴⁰.

    Returns
    -------
    {"blocked", "flat"}
        "blocked" if it is ready: it was the fastest for every size and shape that was measured. Otherwise "blocked"
        once `work + work_before` is at least its price.

    Notes
    -----
    This is the rent-or-buy rule: a process "rents" the flat engine for small searches, and "buys" the blocked
    engine when the rent that was paid comes near its price. So many small searches never cost much more than the
    better of the two choices made beforehand.

    Examples
    --------
    >>> choose_engine(count_gain(1000, 1000, 11), 0, is_ready=False)
    'flat'
    >>> choose_engine(count_gain(1000, 1000, 11), 2**34, is_ready=False)
    'blocked'
    """
    return "blocked" if is_ready or work + work_before >= price else "flat"
