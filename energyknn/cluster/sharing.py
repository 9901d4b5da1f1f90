"""An index that all workers of a node share. It is built once, and mapped from the object store without a copy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energyknn.neighbors import NeighborIndex
from energyknn.neighbors.contract import Search


def share_index(search: Search) -> NeighborIndex:
    """Build the blocked engine's index of a search's training rows, for workers to map.

    Its `X_train` are the rows in the order of its blocks, so that they go into the object store once. A search still
    returns the numbers that the rows had before. How far the queries lie apart sets the scale of the index.
    """
    from energyknn.neighbors.engines.blocked.engine import build_tree

    tree = build_tree(search)
    return NeighborIndex(tree.rows, search.p, "blocked", tree)


def count_bytes(index: NeighborIndex) -> int:
    """Count the bytes of a shared index."""
    return sum(value.nbytes for value in index.tree or () if isinstance(value, np.ndarray))


def open_index(index: NeighborIndex) -> NeighborIndex:
    """Return a shared index, as it comes from the object store, in a form that can be searched in the same memory."""
    if index.tree is None:
        return index
    opened: Any = [open_array(value) if isinstance(value, np.ndarray) else value for value in index.tree]
    tree = type(index.tree)(*opened)
    return replace(index, X_train=tree.rows, tree=tree)


class _Opened:
    """The array interface of an array, marked as writeable. It keeps the array alive."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


def open_array(array: NDArray[Any]) -> NDArray[Any]:
    """View a C-ordered array from the object store as a writeable one, in the same memory.

    The object store gives out read-only arrays, for which the compiled kernels would have to be compiled once more. The
    memory is shared with other processes, so nobody may write to it.
    """
    return array if array.flags.writeable else np.asarray(_Opened(array))
