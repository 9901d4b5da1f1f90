"""scikit-learn's own search, as a yardstick: its brute force finds candidates, the contract decides."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

from energyknn._shared.threads import limiting_pools
from energyknn.neighbors.contract import Candidates, Search
from energyknn.neighbors.engines.margins import bound_candidates, centre_rows, count_candidates
from energyknn.neighbors.metrics import METRICS

_SLICE_VALUES = 1 << 33  # products in a slice: about 0.1 s


def find_candidates(search: Search) -> Candidates:
    """Find candidates with scikit-learn's brute force.

    Parameters
    ----------
    search : Search
        What to search for.

    Returns
    -------
    Candidates
        The rows that scikit-learn finds nearest, a few more than k, and the bound that its rounding allows.

    Notes
    -----
    Where the bound does not settle a query, because rows tie or nearly do at the k-th distance, the oracle answers.
    """
    n_query, n_found = len(search.X_query), count_candidates(search)
    train, query = centre_rows(search)
    metric = METRICS[search.p].names[0]
    indices = np.empty((n_query, n_found), dtype=np.int64)
    farthest = np.empty(n_query)
    step = max(256, _SLICE_VALUES // train.size)
    with limiting_pools(search.n_threads), np.errstate(over="ignore", under="ignore", invalid="ignore"):
        finder = NearestNeighbors(algorithm="brute", metric=metric, n_jobs=search.n_threads).fit(train)
        for part in gen_batches(n_query, step):
            distances, indices[part] = finder.kneighbors(query[part], n_neighbors=n_found)
            farthest[part] = distances[:, -1] ** search.p
    return bound_candidates(search, (train, query), indices, farthest)
