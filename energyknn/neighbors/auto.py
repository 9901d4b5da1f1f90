"""Which engine "auto" stands for. Results have the same bits either way, so this decides about time alone."""

from __future__ import annotations

from dataclasses import dataclass

from energyknn.neighbors.engines import Engine

_WORTH_LOADING = 1 << 33


@dataclass
class History:
    """What this process has searched so far.

    Attributes
    ----------
    work : int
        The work that scikit-learn's engine has done, as `count_work` counts it.
    is_ready : bool
        Whether the blocked engine has been used, so that its compiled kernels are loaded.
    """

    work: int = 0
    is_ready: bool = False

    def record(self, engine: Engine, work: int) -> None:
        """Remember a search."""
        if engine == "blocked":
            self.is_ready = True
        elif engine == "sklearn":
            self.work += work


HISTORY = History()
"""The one record of this process: `search_neighbors` and `NeighborIndex.search` write it, "auto" reads it."""


def count_work(n_train: int, n_query: int, n_features: int) -> int:
    """Count the work of a search: n_train * n_query * (40 + n_features).

    Selecting neighbours costs scikit-learn's engine about as much as measuring 40 columns.
    """
    return n_train * n_query * (40 + n_features)


def choose_engine(work: int, work_before: int, *, is_ready: bool) -> Engine:
    """Choose the engine that "auto" stands for.

    Parameters
    ----------
    work : int
        The work of this search, as `count_work` counts it.
    work_before : int
        The work that scikit-learn's engine has done in this process.
    is_ready : bool
        Whether this process has used the blocked engine before.

    Returns
    -------
    {"blocked", "sklearn"}
        "blocked" if it is ready: it was the fastest for every size and shape that was measured. Otherwise "blocked"
        once `work + work_before` is at least 2³³, about 0.2 s of scikit-learn's engine on two cores. Loading Numba and
        the compiled kernels takes longer than that, and compiling them, once for an installation, much longer.

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
    return "blocked" if is_ready or work + work_before >= _WORTH_LOADING else "sklearn"
