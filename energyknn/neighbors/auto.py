"""Which engine "auto" stands for. Results have the same bits either way, so this decides about time alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from energyknn.neighbors.engines import Engine, load_engine

if TYPE_CHECKING:
    from energyknn._shared.aside import Compilation

WORTH_LOADING = 1 << 33
_WORTH_COMPILING = 1 << 40


@dataclass
class History:
    """What this process has searched so far, and what "auto" may take from now on.

    Attributes
    ----------
    work : int
        The work that scikit-learn's engine has done, as `count_work` counts it.
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
        elif engine == "sklearn":
            self.work += work

    def choose(self, work: int) -> Engine:
        """Choose the engine for a search; let another process compile the blocked engine's kernels where they are not.

        While it does, scikit-learn's engine serves. Where no other process can, because there is no folder to keep
        kernels in, the blocked engine is worth a higher price.
        """
        engine = choose_engine(work, self.work, is_ready=self.is_ready, price=self.price)
        if engine == "sklearn" or self.is_ready or self.price > WORTH_LOADING:
            return engine
        if self.compilation is not None and self.compilation.is_running():
            return "sklearn"
        blocked = load_engine("blocked")
        if blocked.try_loading_kernels():
            self.is_ready = True
            return "blocked"
        has_failed = self.compilation is not None
        self.compilation = None if has_failed else blocked.compile_kernels_aside()
        if self.compilation is not None:
            return "sklearn"
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


def choose_engine(work: int, work_before: int, *, is_ready: bool, price: int = WORTH_LOADING) -> Engine:
    """Choose the engine that "auto" stands for.

    Parameters
    ----------
    work : int
        The work of this search, as `count_work` counts it.
    work_before : int
        The work that scikit-learn's engine has done in this process.
    is_ready : bool
        Whether this process has used the blocked engine before.
    price : int, default=2³³
        The work that the blocked engine must be worth: about 0.2 s of scikit-learn's engine on two cores. Loading Numba
        and the compiled kernels takes longer than that. To compile them here takes half a minute, or 2⁴⁰.

    Returns
    -------
    {"blocked", "sklearn"}
        "blocked" if it is ready: it was the fastest for every size and shape that was measured. Otherwise "blocked"
        once `work + work_before` is at least its price.

    Notes
    -----
    This is the rent-or-buy rule: a process "rents" scikit-learn's engine for small searches, and "buys" the blocked
    engine when the rent that was paid comes near its price. So many small searches never cost much more than the
    better of the two choices made beforehand.

    Examples
    --------
    >>> choose_engine(count_work(1000, 1000, 11), 0, is_ready=False)
    'sklearn'
    >>> choose_engine(count_work(1000, 1000, 11), 2**33, is_ready=False)
    'blocked'
    """
    return "blocked" if is_ready or work + work_before >= price else "sklearn"
