"""The engines: each finds candidates in its own way, and the contract decides among them.

A new engine is one module here and one entry of `_ENTRIES`. The module has either

- ``find_candidates(search)``, which returns `Candidates`;
- ``find_neighbors(search)``, which returns `Neighbors`, where no candidate is missing for certain; or
- ``build_tree(search)`` and ``search_tree(tree, search)``, which returns `Neighbors`, where training rows are prepared.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal, NamedTuple, get_args

Engine = Literal["auto", "blocked", "brute", "flat", "sklearn", "torch"]
"""The names of the engines, for type checkers; `_ENTRIES` has the same."""


class _Entry(NamedTuple):
    """Where an engine is, and what must be known of it before it is loaded."""

    module: str  # imported when the engine is first asked for: scikit-learn, Numba and PyTorch take their time to load
    prepares: bool = False  # whether it has `build_tree` and `search_tree`
    is_certain: bool = False  # whether it has `find_neighbors`
    copies_rows: bool = False  # whether a search takes the memory of a copy of all rows
    powers: tuple[int, ...] | None = (1, 2)  # the metrics, by p, for which it can rule rows out; None for all

    def serves(self, p: int) -> bool:
        """Tell whether the engine can search by a metric."""
        return self.powers is None or p in self.powers


_ENTRIES: dict[str, _Entry] = {
    "blocked": _Entry("blocked.engine", prepares=True),
    "brute": _Entry("brute", powers=None),
    "flat": _Entry("flat", is_certain=True, copies_rows=True, powers=(2,)),
    "sklearn": _Entry("sklearn", copies_rows=True),
    "torch": _Entry("torch", copies_rows=True),
}
ENGINES: tuple[Engine, ...] = get_args(Engine)


def find_entry(engine: str) -> _Entry:
    """Return what is known of an engine without loading it."""
    return _ENTRIES[engine]


def load_engine(engine: str) -> Any:
    """Import an engine; return its module."""
    return import_module(f"{__name__}.{_ENTRIES[engine].module}")
