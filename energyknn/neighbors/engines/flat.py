"""Every row is screened by a float32 matrix product, and the contract decides among those that a proven margin leaves.

It prepares nothing and compiles nothing, and needs no package but NumPy: so it is the engine of small jobs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.threads import limiting_pools, run_slices
from energyknn.neighbors.contract import Neighbors, Search, SearchReport, empty_neighbors, finish_pairs

_SLICE_VALUES = 1 << 20  # float32 values that a thread screens at once: fewer make slower products of wide rows
_FEWEST_QUERIES = 32  # of a slice, so that the product is one of matrices
_IN_GROUP = 16  # rows that are represented by the smallest value among them
_WORTH_GROUPING = 4  # groups for each neighbour: the k-th smallest of fewer would be too large
_SAMPLE = 1024  # rows whose mean is the centre
_MOST_ERROR = 2.0**-8  # relative; with more, rows could be farther from the centre than `_bound_norms` says


class _Screen(NamedTuple):
    """Rows as they are screened: scaled, relative to about the mean training row, in float32.

    Attributes
    ----------
    train : ndarray of shape (n_padded, n_features + 1), float32
        x and (1 - error) |x|²; n_padded is a multiple of `_IN_GROUP`, and a row behind the last is out of reach.
    query : ndarray of shape (n_query, n_features + 1), float32
        -2q and 1.
    sizes : ndarray of shape (n_query,), float64
        |q|².
    largest : float
        The largest |x|².
    error : float
        Twice the relative error of a value, of (|x| + |q|)².
    tiny : float
        What underflow adds to that.
    """

    train: NDArray[np.float32]
    query: NDArray[np.float32]
    sizes: NDArray[np.float64]
    largest: float
    error: float
    tiny: float


def find_neighbors(search: Search) -> Neighbors:
    """Find the nearest rows by screening all of them.

    Parameters
    ----------
    search : Search
        What to search for, with p = 2.

    Returns
    -------
    Neighbors
        Exact, in the contract's order.

    Notes
    -----
    Let x and q be scaled and relative to the centre, d the number of columns, u = 2⁻²⁴, s = |x| + |q| and D the
    contract's squared distance. The product is v = |x|² - 2xq, and v + |q|² differs from D by at most:

    - 2us² + u²s² for rounding coordinates to float64 and to float32, each by a relative u (1 + 2⁻²⁸);
    - 3us² for |x|², which is of the coordinates before they are rounded to float32, and is rounded itself;
    - (d + 1)us² (1 + du) for a sum of d + 1 products, in any order, fused or not;
    - (d + 2)2⁻⁵³s² for the contract's own sum.

    Together they are less than 2(d + 8)us² ≤ e(|x|² + |q|²), where e = 4(d + 8)u. What underflow adds is in `tiny`.
    The product holds (1 - e)|x|² in place of |x|², so each value w is a lower bound: D - |q|² ≥ w - e|q|². From above
    D - |q|² ≤ w + 2e|x|² + e|q|². If k rows have a value of at most t, the k-th distance is bounded by the largest
    norm r among them, and a row whose value is above t + 2e(r² + |q|²) is farther. All others are measured.

    Scaled coordinates are below 2²⁵, so no limit overflows. A row behind the last has the largest number as its value,
    and the query's own row has infinity: neither is within a limit.

    Time n_query * n_train * (n_features + 22). Memory a copy of all rows in float32.
    """
    screen = _make_screen(search)
    found = empty_neighbors(search)
    n_train, n_query = len(search.X_train), len(search.X_query)
    survivors = []

    def find(queries: slice) -> None:
        values = screen.query[queries] @ screen.train.T
        if search.own is not None:
            values[np.arange(len(values)), search.own[queries]] = np.inf
        groups = _take_smallest(values, search.n_neighbors)
        limits = _bound_values(groups, queries, screen, search.n_neighbors)
        pairs = _find_at_most(values, groups, limits)
        survivors.append(len(pairs[0]))
        finish_pairs(search, queries, *pairs, found)

    step = max(_FEWEST_QUERIES, _SLICE_VALUES // n_train)
    slices = (slice(start, min(start + step, n_query)) for start in range(0, n_query, step))
    with limiting_pools(1, of="numpy"), np.errstate(over="ignore", under="ignore"):
        run_slices(find, slices, n_threads=search.n_threads)
    n_screened = n_train * n_query
    found.report = SearchReport("flat", 0, n_screened, n_screened * screen.train.shape[1], sum(survivors))
    return found


def _make_screen(search: Search) -> _Screen:
    """Write the rows as they are screened."""
    n_train, n_features = search.X_train.shape
    exponent = np.clip(np.frexp(search.reach)[1], -500, 1000)
    scale = float(2.0**-exponent) if search.reach > 0 else 1.0
    sample = search.X_train[:: -(-n_train // _SAMPLE)]
    centre = sample[0] + (sample - sample[0]).mean(axis=0)  # where rows are equal this is no farther from them
    train, train_sizes = _narrow(search.X_train, centre, scale, n_padded=-(-n_train // _IN_GROUP) * _IN_GROUP)
    query, sizes = _narrow(search.X_query, centre, scale, n_padded=len(search.X_query))
    error = 4 * (n_features + 8) * 2.0**-24
    train[:n_train, -1] = (1 - error) * train_sizes
    train[n_train:, -1] = np.finfo(np.float32).max
    query *= -2
    query[:, -1] = 1
    tiny = (n_features + 8) * (2.0**-119 + 2.0**-1071 * scale * scale)
    return _Screen(train, query, sizes, float(train_sizes.max()), error, tiny)


def _narrow(
    rows: NDArray[np.float64], centre: NDArray[np.float64], scale: float, *, n_padded: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Subtract the centre, scale and round; return the rows, with room for a column and more rows, and their |x|²."""
    n_rows, n_features = rows.shape
    narrow = np.zeros((n_padded, n_features + 1), dtype=np.float32)
    sizes = np.empty(n_rows)
    step = max(1, _SLICE_VALUES // n_features)
    with np.errstate(under="ignore"):
        for start in range(0, n_rows, step):
            part = slice(start, start + step)
            exact = rows[part] - centre
            exact *= scale
            narrow[:n_rows][part, :-1] = exact
            sizes[part] = np.einsum("ij,ij->i", exact, exact)
    return narrow, sizes


def _take_smallest(values: NDArray[np.float32], n_neighbors: int) -> NDArray[np.float32]:
    """Take the smallest value of each group; the values themselves where there are too few groups."""
    if values.shape[1] < _WORTH_GROUPING * n_neighbors * _IN_GROUP:
        return values
    return np.asarray(values.reshape(len(values), _IN_GROUP, -1).min(axis=1))


def _find_at_most(
    values: NDArray[np.float32], groups: NDArray[np.float32], limits: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find the pairs of a query and a row whose value is at most the query's limit, query by query."""
    n_groups = groups.shape[1]
    query, group = np.divmod(np.flatnonzero(groups <= limits[:, np.newaxis]), n_groups)
    if n_groups == values.shape[1]:
        return query, group
    rows = group[:, np.newaxis] + np.arange(0, values.shape[1], n_groups)
    pair, member = np.nonzero(values[query[:, np.newaxis], rows] <= limits[query, np.newaxis])
    return query[pair], rows[pair, member]


def _bound_values(
    groups: NDArray[np.float32], queries: slice, screen: _Screen, n_neighbors: int
) -> NDArray[np.float32]:
    """Bound the values of the rows that may be among the k nearest of each query."""
    kth = np.partition(groups, n_neighbors - 1, axis=1)[:, n_neighbors - 1].astype(np.float64)
    sizes = screen.sizes[queries]
    norms = _bound_norms(kth, sizes, screen)
    limits = kth + 2 * (screen.error * (norms + sizes) + screen.tiny)
    return np.nextafter(limits.astype(np.float32), np.float32(np.inf))


def _bound_norms(kth: NDArray[np.float64], sizes: NDArray[np.float64], screen: _Screen) -> NDArray[np.float64]:
    """Bound |x|² of the rows whose value is at most the k-th.

    Such a row has (1 - 2e)|x|² - 2|x||q| ≤ value + e|q|². Solved for |x| that is at most
    (|q| + √(value + (1 + 4e)|q|²)) / (1 - 2e), and e is at most `_MOST_ERROR`.
    """
    if screen.error > _MOST_ERROR:
        return np.full(len(sizes), screen.largest)
    distances = np.sqrt(np.maximum(kth + (1 + 4 * screen.error) * sizes, 0) + screen.tiny)
    return np.minimum(screen.largest, 1.05 * (np.sqrt(sizes) + distances) ** 2)
