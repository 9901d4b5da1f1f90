"""PyTorch's matrix products, on a GPU where there is one: they find candidates in float64, the contract decides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from energyknn.errors import import_extra
from energyknn.neighbors._exact import Candidates, Search
from energyknn.neighbors._margins import centre_rows, drop_own_rows, expansion_margin

__all__ = ["find_candidates"]

_EXTRA = 8  # candidates beyond k: the last bounds the rows that are left out, and a few ties find room
_SLICE_VALUES = {"cpu": 1 << 24, "cuda": 1 << 28}  # distances held at once: 128 MiB, 2 GiB


def find_candidates(search: Search) -> Candidates:
    """Find candidates in chunks of queries, on the GPU if PyTorch finds one and else on the CPU.

    Parameters
    ----------
    search : Search
        What to search for.

    Returns
    -------
    Candidates
        The rows of the smallest measures, a few more than k, and the bound that rounding allows.

    Raises
    ------
    ImportError
        If PyTorch is not installed.

    Notes
    -----
    Measures are x² - 2xy + y² (p = 2) or sums of absolute differences (p = 1), in float64 on any device: a GPU and a
    BLAS may sum in an order of their own, which the margin covers. Where it does not settle a query, because rows
    tie or nearly do at the k-th distance, the oracle answers. Threads on the CPU are those of the search.
    """
    torch = import_extra("torch", extra="gpu")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(search.n_threads)
    try:
        return _find_on(torch, "cuda" if torch.cuda.is_available() else "cpu", search)
    finally:
        torch.set_num_threads(n_threads)


def _find_on(torch: Any, device: str, search: Search) -> Candidates:
    """Search on a device, a chunk of queries after another."""
    n_query, n_train = len(search.X_query), len(search.X_train)
    n_found = min(n_train, search.n_neighbors + (search.own is not None) + _EXTRA)
    train, query = centre_rows(search)
    rows = torch.from_numpy(train).to(device)
    indices = np.empty((n_query, n_found), dtype=np.int64)
    farthest = np.empty(n_query)
    step = max(1, _SLICE_VALUES[device] // n_train)
    for start in range(0, n_query, step):
        part = slice(start, start + step)
        measures, found = _select(torch, rows, torch.from_numpy(query[part]).to(device), n_found, search.p)
        farthest[part], indices[part] = measures.cpu().numpy(), found.cpu().numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        outside: NDArray[np.float64] = farthest - expansion_margin(train, query, p=search.p)
    if n_found == n_train:
        outside[:] = np.inf
    return Candidates(indices if search.own is None else drop_own_rows(indices, search.own), outside)


def _select(torch: Any, rows: Any, queries: Any, n_found: int, p: int) -> tuple[Any, Any]:
    """Give the largest of the `n_found` smallest measures, and the rows that they belong to."""
    if p == 1:
        measures = torch.cdist(queries, rows, p=1.0)
    else:
        norms = (rows * rows).sum(dim=1)
        measures = torch.addmm(norms, queries, rows.T, alpha=-2.0)
        measures += (queries * queries).sum(dim=1, keepdim=True)
    found = torch.topk(measures, n_found, dim=1, largest=False, sorted=False)
    return found.values.amax(dim=1), found.indices
