"""Searches and tuning on a Ray cluster, with the same bits as on one machine.

Importing this package does not load Ray. The functions that need it do.
"""

from energyknn.cluster.choices import Range, search_choices
from energyknn.cluster.grid_search import fit_search_on_ray
from energyknn.cluster.pool import open_pool
from energyknn.cluster.search import search_neighbors_on_ray
from energyknn.cluster.tuning import score_candidates_on_ray

__all__ = [
    "Range",
    "fit_search_on_ray",
    "open_pool",
    "score_candidates_on_ray",
    "search_choices",
    "search_neighbors_on_ray",
]
