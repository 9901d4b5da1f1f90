"""Exact nearest neighbours: one function, several engines, the same bits from all of them."""

from energyknn.neighbors.contract import Neighbors
from energyknn.neighbors.search import NeighborIndex, build_index, search_neighbors
from energyknn.neighbors.weighting import KERNELS, weigh_neighbors

__all__ = ["KERNELS", "NeighborIndex", "Neighbors", "build_index", "search_neighbors", "weigh_neighbors"]
