"""The compiled loop that merges the nearest rows of two sets. Importing this loads Numba."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import numpy as np

from energyknn._shared.compiling import compile_kernel


@compile_kernel
def merge_rows(measures, indices, new_measures, new_indices):  # pragma: no cover
    """Merge the second pair of arrays into the first, in place; all rows are sorted by (measure, training row)."""
    n_query, n_neighbors = measures.shape
    old_measures, old_indices = np.empty(n_neighbors), np.empty(n_neighbors, dtype=np.int64)
    for query in range(n_query):
        if new_measures[query, 0] > measures[query, n_neighbors - 1]:
            continue
        old_measures[:], old_indices[:] = measures[query], indices[query]
        old, new = 0, 0
        for at in range(n_neighbors):
            measure, row = new_measures[query, new], new_indices[query, new]
            if measure < old_measures[old] or (measure == old_measures[old] and row < old_indices[old]):
                measures[query, at], indices[query, at] = measure, row
                new += 1
            else:
                measures[query, at], indices[query, at] = old_measures[old], old_indices[old]
                old += 1
