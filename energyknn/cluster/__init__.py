"""Past one machine: searches and tuning on a Ray cluster, with the bits of one machine.

Importing this package does not load Ray; the functions that need it do.
"""

from energyknn.cluster.choices import search_choices
from energyknn.cluster.search import search_neighbors_on_ray
from energyknn.cluster.tuning import score_candidates_on_ray

__all__ = ["score_candidates_on_ray", "search_choices", "search_neighbors_on_ray"]
