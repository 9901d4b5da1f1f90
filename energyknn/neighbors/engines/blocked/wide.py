"""The wide path: where boxes rule out too little, every row is bounded by one matrix product of few columns.

A sample gives the directions in which rows differ most. A row is kept in float32 as its coordinates in these leading
directions and the length of what they leave. Two rows are at least as far apart as these numbers say, so their products
bound all distances from below, and few rows are left to measure. Rows are read where the caller has them.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.kernel_loading import load_or_compile
from energyknn._shared.machine_code import Kernel
from energyknn._shared.threads import limiting_pools, run_slices
from energyknn.neighbors.contract import Neighbors, Search, empty_neighbors
from energyknn.neighbors.engines.blocked.layout import MEASURED, choose_scale, require_plain
from energyknn.neighbors.engines.blocked.tile_shape import TILE_ROWS

_SEARCH = __name__ + "_search"
_search_bounds = Kernel(_SEARCH, "search_bounds")
_write_nearest = Kernel(_SEARCH, "write_nearest")

_IN_SAMPLE = 32  # one row in so many says where the directions are,
_SAMPLE = (256, 1024)  # but no fewer and no more rows than these
_ASKED = 64  # of them, whose nearest rows in the sample tell how many rows a number of directions leaves
_DIRECTIONS = (16, 32, 48, 64)
_MOST_NEAREST = (
    0.6  # where the nearest row is at this share of the usual squared distance, few directions rule out none
)
_N_TURNS = 2  # of the iteration that finds the directions
_COST_OF_BOUND = 25  # choosing among bounds takes as long as so many more columns,
_COST_OF_ROW = 32  # and measuring a row as long as so many products for each column
_MOST_MET = 1 << 16  # rows that a slice of queries meets at once
_SLICE_VALUES = 1 << 17  # float64 values that are narrowed at once
_SLICE_BOUNDS = 1 << 18  # bounds of a slice: they stay in the second cache,
_FEWEST_QUERIES = 64  # unless these have more,
_MOST_QUERIES = 512  # or wider products want more
_MOST_BOUNDS = 1 << 23  # of a slice, unless its fewest queries have more
_FEWEST_ROWS = 1024  # training rows; with fewer, or with fewer columns, the path is not worth choosing
_FEWEST_FEATURES = 64
_MOST_FEATURES = 1 << 16  # the proof asks for few enough that sums in float32 are near
_N_BOXES = 16  # boxes that are tried
_BOX_ROWS = 8  # of the sample in each,
_WIDENED = 2.0  # and how much wider a box of a block's rows is
_COST_OF_VISIT = 40  # a visit of a row in a box takes as long as so many more columns
_LARGEST_REACH = 2.0**40  # of queries, scaled: squares of this still are float32 numbers


class WideRows(NamedTuple):
    """Rows as they are bounded: scaled, relative to about the mean training row.

    Attributes
    ----------
    rows : ndarray of shape (n_train, n_features), float64
        The training rows as given, not copied.
    columns : ndarray of shape (n_leading + 2, n_padded), float32
        In its columns the leading coordinates z, the length r that they leave, and (1 - error) |x|². A row behind the
        last is out of reach; n_padded is a multiple of TILE_ROWS.
    centre : ndarray of shape (n_features,), float64
        What is subtracted.
    directions : ndarray of shape (n_features, n_leading), float64, or None
        V. None keeps all coordinates, and r is 0.
    scale : float
        A power of 2 that brings differences to about 1.
    error : float
        Twice the relative error of a bound, of |x|² + |q|².
    tiny : float
        What underflow adds to that.
    skew : float
        By how much the products of directions, and of rows with them, can be wrong.
    p : int
        Always 2.
    """

    rows: NDArray[np.float64]
    columns: NDArray[np.float32]
    centre: NDArray[np.float64]
    directions: NDArray[np.float64] | None
    scale: float
    error: float
    tiny: float
    skew: float
    p: int = 2


class _Sample(NamedTuple):
    """A sample of the training rows.

    Attributes
    ----------
    exact : ndarray of shape (n_sample, n_features), float64
        The rows, scaled and relative to the centre.
    sizes : ndarray of shape (n_sample,), float64
        Their |x|².
    asked : ndarray of shape (n_asked,), int64
        Some of them.
    squares : ndarray of shape (n_asked, n_sample), float64
        The squared distances from these to all; infinity from a row to itself.
    """

    exact: NDArray[np.float64]
    sizes: NDArray[np.float64]
    asked: NDArray[np.int64]
    squares: NDArray[np.float64]


def build_wide(search: Search, directions: NDArray[np.float64] | None) -> WideRows:
    """Write the training rows as they are bounded.

    Parameters
    ----------
    search : Search
        The first search, whose `reach` sets the scale, with p = 2.
    directions : ndarray of shape (n_features, n_leading), float64, or None
        Orthonormal columns, as `find_wide` chooses them; None keeps all coordinates.

    Returns
    -------
    WideRows
        For any number of searches.

    Notes
    -----
    Let V be the directions, ε the norm of V'V - I, at most 1/8, d the number of columns and l of directions, u = 2⁻²⁴,
    and x and q two rows as they are here. With z = V'x, and P the projection onto the directions,
    <Px, Pq> = z_x' (V'V)⁻¹ z_q is within 2ε|x||q| of z_x'z_q, and |x - Px|² ≤ |x|² - |z_x|² + 2ε|x|² = r². By Cauchy
    and Schwarz

        <x, q> = <Px, Pq> + <x - Px, q - Pq> ≤ z_x'z_q + r_x r_q + 2ε|x||q|,

    so |x|² - 2 (z_x'z_q + r_x r_q) + |q|² bounds the squared distance from below. Rounding makes that wrong by at most

    - d l 2⁻⁵²|x| for z in float64 in any order of summation; `skew` is at least this and ε together. r² is raised by
      4 skew |x|² and r by a relative 2⁻²², which also covers that r is rounded to float32;
    - 3u(|x|² + |q|²) for z that is rounded to float32, and for |x|²;
    - 2(l + 2)u(1 + du)(|x|² + |q|²) for the product of l + 2 terms in float32, in any order, fused or not;
    - 6 skew (|x|² + |q|²) for all that is in float64, 2⁻⁵²(d + 8)(|x|² + |q|²) for the contract's own sum and for
      subtracting the centre.

    Together they are less than e(|x|² + |q|²) / 2, where e = 4(l + 10)u + 16 skew. A value w of the product holds
    (1 - e)|x|² in place of |x|², so a row can only be as near as D, the scaled contract's squared distance, if
    w ≤ D - (1 - e)|q|² + tiny, and rounding of that limit is far below what e leaves. The k rows of the lowest values
    are measured, and the largest of their measures is the first D. Without directions l = d and r = skew = 0.

    Time n_features * n_train * n_leading. Memory n_train * (n_leading + 2) float32 numbers.
    """
    n_train, n_features = search.X_train.shape
    n_leading = n_features if directions is None else directions.shape[1]
    skew = 0.0 if directions is None else _measure_skew(directions)
    error = _find_error(n_leading) + 16 * skew
    scale = choose_scale(search.reach)
    tiny = (n_features + 8) * (2.0**-119 + 2.0**-1071 * scale * scale)
    shape = n_leading + 2, -(-n_train // TILE_ROWS) * TILE_ROWS
    columns = np.zeros(shape, dtype=np.float32, order="F" if directions is None else "C")
    wide = WideRows(search.X_train, columns, _find_centre(search.X_train), directions, scale, error, tiny, skew)
    columns[-1] = np.finfo(np.float32).max
    columns[-1, :n_train] = (1 - error) * _narrow(wide, search.X_train, columns, n_threads=search.n_threads)
    return wide


def search_wide(wide: WideRows, search: Search) -> Neighbors:
    """Find the neighbours of queries among wide rows.

    Parameters
    ----------
    wide : WideRows
        Built from the search's training rows.
    search : Search
        What to search for, with p = 2.

    Returns
    -------
    Neighbors
        Exact, in the contract's order.

    Notes
    -----
    Memory beyond the rows: for each thread the bounds of 32 to 128 queries and 65,536 rows.
    """
    _warm_up()
    if search.reach * wide.scale > _LARGEST_REACH:
        wide = build_wide(search, wide.directions)
    n_query, k = len(search.X_query), search.n_neighbors
    n_kept, n_padded = wide.columns.shape
    n_met = min(n_padded, max(_MOST_MET, -(-(k + 1) // TILE_ROWS) * TILE_ROWS))
    step = min(max(_SLICE_BOUNDS // n_met, n_kept), _MOST_QUERIES, max(_MOST_BOUNDS // n_met, _FEWEST_QUERIES))
    step = max(1, min(step, -(-n_query // search.n_threads)))
    shares, sizes = _narrow_queries(wide, search)
    rows, queries = require_plain(wide.rows), require_plain(search.X_query)
    own = np.empty(0, dtype=np.int64) if search.own is None else require_plain(search.own)
    rules = np.array([wide.scale, wide.error, wide.tiny])
    neighbors = empty_neighbors(search)
    spare: list[NDArray[np.float32]] = []  # arrays that the next slice writes its bounds into

    def find(first: int) -> None:
        selected = shares[first : first + step]
        room = spare.pop() if spare else np.empty(step * n_met, dtype=np.float32)
        keys, items = np.empty((len(selected), k + 1)), np.empty((len(selected), k + 1), dtype=np.int64)
        pending, measures = np.empty(MEASURED, dtype=np.int64), np.empty(MEASURED)
        for begin in range(0, n_padded, n_met):
            met = wide.columns[:, begin : begin + n_met]
            values = room[: len(selected) * met.shape[1]]
            np.matmul(selected, met, out=values.reshape(len(selected), -1))
            _search_bounds(values, begin, first, rows, queries, own, sizes, rules, keys, items, pending, measures)
        _write_nearest(keys, items, first, *neighbors)
        spare.append(room)

    with limiting_pools(1, of="numpy"):
        run_slices(find, range(0, n_query, step), n_threads=search.n_threads)
    return neighbors


def find_wide(search: Search) -> WideRows | None:
    """Bound the training rows; return None where boxes are expected to rule out more."""
    rows = search.X_train
    if search.p != 2 or not _FEWEST_FEATURES <= rows.shape[1] <= _MOST_FEATURES or len(rows) < _FEWEST_ROWS:
        return None
    with limiting_pools(1, of="numpy"):  # several threads wait for each other longer than such products take
        sample = _take_sample(search)
        cost, directions = _choose_directions(search, sample)
        takes_wide = cost <= _estimate_boxes(sample)
    return build_wide(search, directions) if takes_wide else None


def _spread_numbers(n_rows: int, n_taken: int) -> NDArray[np.int64]:
    """Take row numbers at equal distances."""
    return (np.arange(n_taken, dtype=np.int64) * n_rows + n_rows // 2) // n_taken


def _take_sample(search: Search) -> _Sample:
    """Take a sample, and measure how far some of it are from all of it."""
    rows = search.X_train[
        _spread_numbers(len(search.X_train), int(np.clip(len(search.X_train) // _IN_SAMPLE, *_SAMPLE)))
    ]
    exact = (rows - _find_centre(search.X_train)) * choose_scale(search.reach)
    sizes = np.einsum("ij,ij->i", exact, exact)
    asked = _spread_numbers(len(exact), min(_ASKED, len(exact)))
    squares = sizes[asked, np.newaxis] + sizes - 2 * exact[asked] @ exact.T
    squares[np.arange(len(asked)), asked] = np.inf
    return _Sample(exact, sizes, asked, squares)


def _choose_directions(search: Search, sample: _Sample) -> tuple[float, NDArray[np.float64] | None]:
    """Choose as many directions as make a search the fastest, or None to keep all coordinates; return the cost too.

    Rows of the sample ask for the nearest other row in it. The rows that a bound less its margin puts nearer would have
    to be measured.
    """
    exact, sizes, asked, squares = sample
    n_features = exact.shape[1]
    sums, nearest = sizes[asked, np.newaxis] + sizes, squares.min(axis=1, keepdims=True)

    def count_cost(bounds: NDArray[np.float64], n_leading: int) -> float:
        n_near = np.count_nonzero(bounds - _find_error(n_leading) * sums < nearest) - 2 * len(asked)
        return float(n_leading + _COST_OF_BOUND + _COST_OF_ROW * n_features * max(n_near, 0) / bounds.size)

    best, directions = count_cost(squares, n_features), None
    if np.median(nearest) > _MOST_NEAREST * np.median(squares):
        return best, directions
    found = _find_directions(exact, _DIRECTIONS[-1])
    for n_leading in _DIRECTIONS:
        leading = exact @ found[:, :n_leading]
        rest = np.sqrt(np.maximum(sizes - np.einsum("ij,ij->i", leading, leading), 0))
        bounds = sums - 2 * (leading[asked] @ leading.T + rest[asked, np.newaxis] * rest)
        cost = count_cost(bounds, n_leading) + 2 * n_features * n_leading / len(search.X_query)
        if cost < best:
            best, directions = cost, np.ascontiguousarray(found[:, :n_leading])
    return best, directions


def _estimate_boxes(sample: _Sample) -> float:
    """Estimate the cost of boxes: each is that of a few near rows, made wider for the many that a block has."""
    exact, _, asked, squares = sample
    inside = exact[np.argpartition(squares[:_N_BOXES], _BOX_ROWS, axis=1)[:, :_BOX_ROWS]]
    centres = (inside.max(axis=1) + inside.min(axis=1)) / 2
    halves = _WIDENED / 2 * (inside.max(axis=1) - inside.min(axis=1))
    gaps = np.maximum(np.abs(exact[asked[_N_BOXES:], np.newaxis] - centres) - halves, 0)
    share = np.mean(np.einsum("ijk,ijk->ij", gaps, gaps) <= squares[_N_BOXES:].min(axis=1, keepdims=True))
    return float(share * (exact.shape[1] + _COST_OF_VISIT))


def _narrow_queries(wide: WideRows, search: Search) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Write -2z, -2r and 1 for each query; return them and |q|²."""
    shares = np.zeros((len(wide.columns), len(search.X_query)), dtype=np.float32)
    sizes = _narrow(wide, search.X_query, shares, n_threads=search.n_threads)
    shares *= -2
    shares[-1] = 1
    return np.ascontiguousarray(shares.T), sizes


@cache
def _warm_up() -> None:
    """Load the kernels from disk, or compile them."""
    load_or_compile(_search_bounds, search_two_rows, what="wide rows: some seconds")


def search_two_rows() -> None:
    """Call every kernel."""
    rows, keys, items = np.eye(2), np.empty((1, 2)), np.empty((1, 2), dtype=np.int64)
    values, own, sizes = np.zeros(TILE_ROWS, dtype=np.float32), np.zeros(1, dtype=np.int64), np.ones(1)
    values[2:] = np.inf
    pending, measures = np.empty(MEASURED, dtype=np.int64), np.empty(MEASURED)
    _search_bounds(values, 0, 0, rows, rows, own, sizes, np.ones(3), keys, items, pending, measures)
    _write_nearest(keys, items, 0, np.empty((1, 1)), np.empty((1, 1), dtype=np.int64))


def _find_error(n_leading: int) -> float:
    """Return twice the relative error of a bound, without that of the directions."""
    return float(4 * (n_leading + 10) * 2.0**-24)


def _find_centre(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Find about the mean row; where rows are equal it is no farther from them than rounding takes it."""
    sample = rows[_spread_numbers(len(rows), min(len(rows), _SAMPLE[1]))]
    return np.asarray(sample[0] + (sample - sample[0]).mean(axis=0))


def _find_directions(exact: NDArray[np.float64], n_leading: int) -> NDArray[np.float64]:
    """Find about the directions in which rows differ most, those of the largest differences first."""
    directions = np.random.default_rng(0).normal(size=(exact.shape[1], n_leading))
    for _ in range(_N_TURNS):
        directions = np.linalg.qr(exact.T @ (exact @ directions))[0]
    leading = exact @ directions
    return np.asarray(directions @ np.linalg.eigh(leading.T @ leading)[1][:, ::-1])


def _measure_skew(directions: NDArray[np.float64]) -> float:
    """Bound the norm of V'V - I, and what rounding adds to it and to products with V."""
    n_features, n_leading = directions.shape
    skew = np.linalg.norm(directions.T @ directions - np.eye(n_leading))
    return float(skew + (n_features + 8) * (n_leading + 2) * 2.0**-51)


def _narrow(
    wide: WideRows, rows: NDArray[np.float64], columns: NDArray[np.float32], *, n_threads: int
) -> NDArray[np.float64]:
    """Write z and r of each row into columns; return |x|²."""
    sizes, directions = np.empty(len(rows)), wide.directions

    def narrow(part: slice) -> None:
        exact = rows[part] - wide.centre
        exact *= wide.scale
        sizes[part] = np.einsum("ij,ij->i", exact, exact)
        if directions is None:
            columns[:-2, part] = exact.T
            return
        leading = directions.T @ exact.T
        rest = sizes[part] * (1 + 4 * wide.skew) - np.einsum("ij,ij->j", leading, leading)
        columns[:-2, part] = leading
        columns[-2, part] = np.sqrt(np.maximum(rest, 0)) * (1 + 2.0**-22)

    step = max(1, _SLICE_VALUES // rows.shape[1])
    slices = (slice(start, min(start + step, len(rows))) for start in range(0, len(rows), step))
    with limiting_pools(1, of="numpy"), np.errstate(under="ignore"):
        run_slices(narrow, slices, n_threads=n_threads)
    return sizes
