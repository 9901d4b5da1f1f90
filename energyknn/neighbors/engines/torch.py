"""PyTorch's matrix products, on a GPU where there is one: they find candidates in float64, the contract decides.

What does not fit the device's memory at once is cut: queries always, training rows where they need to be. The
candidates that were found so far stay on the device and are merged there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import gen_batches

from energyknn.errors import import_extra
from energyknn.neighbors.contract import Candidates, Search
from energyknn.neighbors.engines.margins import bound_candidates, centre_rows, count_candidates

_SHARE = 0.5  # of the free memory of a GPU: the rest is for others, and for what PyTorch keeps aside
_CPU_BYTES = 1 << 29  # more is no faster on a CPU
_VALUE = 8  # bytes of a float64, and of a row number
_COPIES = 3  # of the distances: themselves, and what selecting the smallest may hold


class _Cut(NamedTuple):
    """How many rows are held at once: queries with their candidates, training rows, and queries with distances."""

    n_held: int
    n_train: int
    n_query: int


def find_candidates(search: Search) -> Candidates:
    """Find candidates in chunks, on the GPU if PyTorch finds one and else on the CPU.

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

    Takes half of the memory that is free on the GPU when it starts, or 512 MiB on the CPU.
    """
    torch = import_extra("torch", extra="gpu")
    n_threads = torch.get_num_threads()
    torch.set_num_threads(search.n_threads)
    try:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        return _find_on(torch, device, search, n_bytes=_count_free_bytes(torch, device))
    finally:
        torch.set_num_threads(n_threads)


def find_device_name() -> str:
    """Return what this engine computes on: the GPU's name, or "cpu".

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    """
    torch = import_extra("torch", extra="gpu")
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"


def _count_free_bytes(torch: Any, device: str) -> int:
    """Count the bytes that a search may take on a device."""
    if device == "cpu":
        return _CPU_BYTES
    free, _ = torch.cuda.mem_get_info()
    return int(_SHARE * free)


def _choose_cut(search: Search, n_found: int, *, n_bytes: int) -> _Cut:
    """Choose how many rows are held at once: a quarter of the bytes each for queries and rows, half for distances."""
    n_train, n_features = search.X_train.shape
    n_query = len(search.X_query)
    of_row = _VALUE * (n_features + 1)
    of_query = of_row + 2 * 2 * _VALUE * n_found  # candidates, and those of the next rows beside them
    held = min(n_query, max(1, n_bytes // 4 // of_query))
    rows = min(n_train, max(1, n_bytes // 4 // of_row))
    return _Cut(held, rows, min(held, max(1, n_bytes // 2 // (_COPIES * _VALUE * rows))))


def _find_on(torch: Any, device: str, search: Search, *, n_bytes: int) -> Candidates:
    """Search on a device: for queries that are held with their candidates, training rows in turn."""
    n_query, n_train, n_found = len(search.X_query), len(search.X_train), count_candidates(search)
    train, query = centre_rows(search)
    cut = _choose_cut(search, n_found, n_bytes=n_bytes)
    indices = np.empty((n_query, n_found), dtype=np.int64)
    farthest = np.empty(n_query)
    only = torch.from_numpy(train).to(device) if cut.n_train == n_train else None
    for held in gen_batches(n_query, cut.n_held):
        queries = torch.from_numpy(query[held]).to(device)
        chunks = list(gen_batches(len(queries), cut.n_query))
        best: list[Any] = [None] * len(chunks)
        for part in gen_batches(n_train, cut.n_train):
            rows = torch.from_numpy(train[part]).to(device) if only is None else only
            for number, chunk in enumerate(chunks):
                measures, numbers = _select(torch, rows, queries[chunk], n_found, search.p)
                found = measures, numbers + part.start
                best[number] = found if best[number] is None else _merge(torch, best[number], found, n_found)
        for chunk, (measures, numbers) in zip(chunks, best, strict=True):
            place = slice(held.start + chunk.start, held.start + chunk.stop)
            farthest[place], indices[place] = measures.amax(dim=1).cpu().numpy(), numbers.cpu().numpy()
    return bound_candidates(search, (train, query), indices, farthest)


def _select(torch: Any, rows: Any, queries: Any, n_found: int, p: int) -> tuple[Any, Any]:
    """Return the `n_found` smallest measures, or all if there are fewer, and their rows."""
    if p == 1:
        measures, shared = torch.cdist(queries, rows, p=1.0), 0.0
    else:  # y² is the same for all rows, so it is added after the smallest have been selected
        measures = torch.addmm((rows * rows).sum(dim=1), queries, rows.T, alpha=-2.0)
        shared = (queries * queries).sum(dim=1, keepdim=True)
    found = torch.topk(measures, min(n_found, len(rows)), dim=1, largest=False, sorted=False)
    return found.values + shared, found.indices


def _merge(torch: Any, first: tuple[Any, Any], second: tuple[Any, Any], n_found: int) -> tuple[Any, Any]:
    """Return the `n_found` smallest measures of two sets of rows, and their rows."""
    measures, numbers = (torch.cat(pair, dim=1) for pair in zip(first, second, strict=True))
    found = torch.topk(measures, min(n_found, measures.shape[1]), dim=1, largest=False, sorted=False)
    return found.values, torch.gather(numbers, 1, found.indices)
