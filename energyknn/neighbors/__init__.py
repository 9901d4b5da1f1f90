"""Exact nearest neighbours: one function, several engines, the same bits from all of them."""

from energyknn.neighbors.contract import Neighbors
from energyknn.neighbors.search import NeighborIndex, build_index, search_neighbors

__all__ = ["NeighborIndex", "Neighbors", "build_index", "search_neighbors"]
