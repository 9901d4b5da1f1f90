"""An index that all workers of a node share: built once, and mapped from the object store without a copy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energyknn.neighbors import NeighborIndex
from energyknn.neighbors.contract import Search

__all__ = ["count_bytes", "open_array", "open_index", "share_index"]


def share_index(search: Search) -> NeighborIndex:
    """Build the index of a search's training rows, for others to map.

    Parameters
    ----------
    search : Search
        The whole search: how far its queries lie apart sets the index's scale.

    Returns
    -------
    NeighborIndex
        Of the blocked engine. Its `X_train` are the rows in the order of its blocks, so that they go into the object
        store once: what it finds are the numbers that the rows had.
    """
    from energyknn.neighbors.engines.blocked.engine import build_tree  # loads Numba

    tree = build_tree(search)
    return NeighborIndex(tree.rows, search.p, "blocked", tree)


def count_bytes(index: NeighborIndex) -> int:
    """Count the bytes of a shared index."""
    return sum(value.nbytes for value in index.tree or () if isinstance(value, np.ndarray))


def open_index(index: NeighborIndex) -> NeighborIndex:
    """Make a shared index, as it comes from the object store, ready to be searched in place.

    Parameters
    ----------
    index : NeighborIndex
        Made by `share_index`.

    Returns
    -------
    NeighborIndex
        The same memory.
    """
    tree = index.tree
    if tree is None:
        return index
    values: dict[str, Any] = tree._asdict()
    arrays: Any = {name: open_array(value) for name, value in values.items() if isinstance(value, np.ndarray)}
    opened = tree._replace(**arrays)
    return replace(index, X_train=opened.rows, tree=opened)


class _Opened:
    """What NumPy needs to know of an array, without that it is read-only; it keeps the array alive."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}


def open_array(array: NDArray[Any]) -> NDArray[Any]:
    """View an array from the object store as one that may be written to.

    The object store gives arrays out as read-only, for which compiled kernels would have to be compiled once more.
    Whoever opens an array must not write to it all the same: it is shared with other processes.

    Parameters
    ----------
    array : ndarray
        C-ordered.

    Returns
    -------
    ndarray
        A view of the same memory.
    """
    return array if array.flags.writeable else np.asarray(_Opened(array))
