"""The compiled loops of learning and of local fits: one pass over queries, and two over the rows that they touch.

Rows have a multiple of `TILE_COLUMNS` components; those that are added are 0 and change nothing. Every sum has a fixed
order, and no loop calls a library, so bits depend neither on the number of threads nor on the machine. Numba does not
run these bodies under coverage.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from energyknn._shared.compiling import IS_COMPILED, compile_kernel, compile_step
from energyknn.learning import products_llvm, products_numpy
from energyknn.learning.products_numpy import TILE_COLUMNS

_PRODUCTS: Any = products_llvm if IS_COMPILED else products_numpy

add_products = _PRODUCTS.add_products
measure_square = _PRODUCTS.measure_square

_ROWS_AT_ONCE = 128  # whose columns, units and gradients stay in the second cache
_HALVINGS = 10  # exp(-x) = exp(-x / 1024) ** 1024
_LARGEST = 700.0  # exp(-x) is 0 beyond, but for 1e-304
_ROUNDING = 1e-15  # of a pivot, as a share of the largest variance
_FARTHEST = 18.5  # neighbours that weigh less than exp(-18.5) = 1e-8 of the first do not count


@compile_step
def fall(value):  # pragma: no cover
    """Return exp(-value) for a value of at least 0: a library's exp has other bits on other machines."""
    part = -min(value, _LARGEST) / (1 << _HALVINGS)
    power = 1.0 + part / 8.0
    for degree in (7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0):
        power = 1.0 + power * (part / degree)
    for _ in range(_HALVINGS):
        power *= power
    return power


@compile_step
def bend(value):  # pragma: no cover
    """Return tanh(value), within a few roundings of float32: the rational function of Eigen's `ptanh`."""
    one = np.float32
    value = min(max(value, one(-7.90531110763549805)), one(7.90531110763549805))
    square = value * value
    above = one(-2.76076847742355e-16)
    above = above * square + one(2.00018790482477e-13)
    above = above * square + one(-8.60467152213735e-11)
    above = above * square + one(5.12229709037114e-08)
    above = above * square + one(1.48572235717979e-05)
    above = above * square + one(6.37261928875436e-04)
    above = above * square + one(4.89352455891786e-03)
    below = one(1.19825839466702e-06)
    below = below * square + one(1.18534705686654e-04)
    below = below * square + one(2.26843463243900e-03)
    below = below * square + one(4.89352518554385e-03)
    return value * above / below


@compile_kernel
def map_slice(X, rows, start, stop, first, offsets, second, mapped, outputs):  # pragma: no cover
    """Map some of the rows: z = x A + tanh(x W + b) C.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float32
        Rows.
    rows : ndarray of shape (n_touched,), int64
        Numbers of the rows that are mapped.
    start, stop : int
        Which of these numbers.
    first : ndarray of shape (n_features, n_components + n_units), float32
        A beside W.
    offsets : ndarray of shape (n_units,), float32
        b.
    second : ndarray of shape (n_units, n_components), float32
        C.
    mapped : ndarray of shape (n_rows, n_components), float32
        Rows after the map, written where they are touched.
    outputs : ndarray of shape (n_touched, n_units), float32
        Outputs of the units, written.
    """
    n_features, n_columns = first.shape
    n_units, n_components = second.shape
    some = np.empty((_ROWS_AT_ONCE, n_features), dtype=np.float32)
    sums = np.empty((_ROWS_AT_ONCE, n_columns), dtype=np.float32)
    found = np.empty((_ROWS_AT_ONCE, n_components), dtype=np.float32)
    for begin in range(start, stop, _ROWS_AT_ONCE):
        n = min(_ROWS_AT_ONCE, stop - begin)
        for at in range(n):
            some[at] = X[rows[begin + at]]
        sums[:n] = 0.0
        add_products(some[:n], False, first, sums[:n])
        for at in range(n):
            for unit in range(n_units):
                outputs[begin + at, unit] = bend(sums[at, n_components + unit] + offsets[unit])
            for component in range(n_components):
                found[at, component] = sums[at, component]
        add_products(outputs[begin : begin + n], False, second, found[:n])
        for at in range(n):
            mapped[rows[begin + at]] = found[at]


@compile_step
def factorise(matrix, ridge, n):  # pragma: no cover
    """Replace the upper triangle of a covariance plus a ridge by that of U, with the matrix U'U (Cholesky).

    No pivot is below the ridge, but for rounding. Whole rows are worked on, which takes half the time of parts of
    unlike lengths: the numbers left of the diagonal fall to about 0, and are not read.
    """
    least = ridge
    for pivot in range(n):
        least = max(least, _ROUNDING * matrix[pivot, pivot])
    for pivot in range(n):
        root = np.sqrt(max(matrix[pivot, pivot], least))
        scale = 1.0 / root
        for column in range(n):
            matrix[pivot, column] *= scale
        matrix[pivot, pivot] = root
        for row in range(pivot + 1, n):
            share = matrix[pivot, row]
            for column in range(n):
                matrix[row, column] -= share * matrix[pivot, column]


@compile_step
def solve(factor, side, n):  # pragma: no cover
    """Replace a right side by the solution of U'U x = side."""
    for row in range(n):
        side[row] /= factor[row, row]
        share = side[row]
        for column in range(row + 1, n):
            side[column] -= share * factor[row, column]
    for row in range(n - 1, -1, -1):
        total = side[row]
        for column in range(row + 1, n):
            total -= factor[row, column] * side[column]
        side[row] = total / factor[row, row]


@compile_step
def centre_offsets(offsets, weights, centre, weighted):  # pragma: no cover
    """Write the weighted mean of offsets, subtract it from them, and write them times their weights."""
    n_near, n_components = offsets.shape
    centre[:] = 0.0
    add_products(weights, True, offsets, centre)
    for near in range(n_near):
        weight = weights[near, 0]
        for component in range(n_components):
            offset = offsets[near, component] - centre[0, component]
            offsets[near, component] = offset
            weighted[near, component] = weight * offset


@compile_step
def factorise_spread(offsets, weighted, ridge, products, factor):  # pragma: no cover
    """Factorise the weighted covariance of centred offsets plus a ridge."""
    n_components = offsets.shape[1]
    products[:] = 0.0
    add_products(weighted, True, offsets, products)
    for row in range(n_components):
        for column in range(n_components):
            factor[row, column] = products[row, column]
        factor[row, row] += ridge
    factorise(factor, ridge, n_components)


@compile_step
def subtract_query(mapped, row, neighbors, kept, offsets):  # pragma: no cover
    """Write the neighbours that are kept minus their query."""
    n_near, n_components = offsets.shape
    for near in range(n_near):
        other = neighbors[kept[near]]
        for component in range(n_components):
            offsets[near, component] = mapped[other, component] - mapped[row, component]


@compile_step
def keep_near(squares, kept):  # pragma: no cover
    """Move the squares of the neighbours that count to the front, write their places, and return their number."""
    least = squares[0]
    for near in range(len(squares)):
        least = min(least, squares[near])
    n_kept = 0
    for near in range(len(squares)):
        if squares[near] - least < _FARTHEST:
            squares[n_kept], kept[n_kept] = squares[near], near
            n_kept += 1
    return n_kept


@compile_step
def weigh_squares(squares, sharpness, weights):  # pragma: no cover
    """Weigh neighbours by exp(-sharpness * square), so that the weights sum to 1."""
    least = squares[0]
    for near in range(len(squares)):
        least = min(least, squares[near])
    total = 0.0
    for near in range(len(squares)):
        squares[near] = fall(sharpness * (squares[near] - least))
    for near in range(len(squares)):
        total += squares[near]
    for near in range(len(squares)):
        weights[near, 0] = squares[near] / total


@compile_kernel
def differentiate_slice(
    mapped, y, queries, neighbors, ridge, start, stop, errors, shares, counts, residuals, slopes, tilts, own
):  # pragma: no cover
    """Predict some of the queries, and write what each pair adds to the gradient of the mean squared error.

    Parameters
    ----------
    mapped : ndarray of shape (n_rows, n_components), float32
        Rows after the map.
    y : ndarray of shape (n_rows,), float64
        Their targets.
    queries : ndarray of shape (n_query,), int64
        Numbers of the rows to predict.
    neighbors : ndarray of shape (n_query, n_neighbors), int64
        Numbers of the rows that predict them.
    ridge : float
        Penalty of a squared slope.
    start, stop : int
        Which queries.
    errors : ndarray of shape (n_query,), float64
        Prediction - target, written.
    shares, counts, residuals : ndarray of shape (n_query, n_neighbors), float32
        With the slope b and the tilt a of the query's plane, a neighbour's gradient is
        share * (neighbour - query) + residual * a - count * b; written.
    slopes, tilts, own : ndarray of shape (n_query, n_components), float32
        b, a, and the gradient of each query itself; written.
    """
    n_given, n_components = neighbors.shape[1], mapped.shape[1]
    all_squares, all_weights = np.empty(n_given), np.empty((n_given, 1), dtype=np.float32)
    all_offsets = np.empty((n_given, n_components), dtype=np.float32)
    all_weighted = np.empty((n_given, n_components), dtype=np.float32)
    all_values = np.empty((n_given, TILE_COLUMNS), dtype=np.float32)  # of the planes b and a, then columns of 0
    all_deviations, all_shares = np.empty((n_given, 1), dtype=np.float32), np.empty((n_given, 1), dtype=np.float32)
    by_weights, kept = np.empty(n_given), np.empty(n_given, dtype=np.int64)
    centre, side = np.empty((1, n_components), dtype=np.float32), np.empty((1, n_components), dtype=np.float32)
    products = np.empty((n_components, n_components), dtype=np.float32)
    factor = np.empty((n_components, n_components))
    slope, tilt = np.zeros(n_components), np.zeros(n_components)
    planes = np.zeros((n_components, TILE_COLUMNS), dtype=np.float32)
    for query in range(start, stop):
        row = queries[query]
        for near in range(n_given):
            at_near = neighbors[query, near] * n_components
            all_squares[near] = measure_square(mapped, at_near, mapped, row * n_components, n_components)
        n_near = keep_near(all_squares, kept)
        squares, weights, values = all_squares[:n_near], all_weights[:n_near], all_values[:n_near]
        offsets, weighted, deviations = all_offsets[:n_near], all_weighted[:n_near], all_deviations[:n_near]
        subtract_query(mapped, row, neighbors[query], kept, offsets)
        weigh_squares(squares, 1.0, weights)
        mean = 0.0
        for near in range(n_near):
            mean += weights[near, 0] * y[neighbors[query, kept[near]]]
        for near in range(n_near):
            deviations[near, 0] = y[neighbors[query, kept[near]]] - mean
        centre_offsets(offsets, weights, centre, weighted)
        values[:] = 0.0
        if ridge < np.inf:
            factorise_spread(offsets, weighted, ridge, products, factor)
            side[:] = 0.0
            add_products(deviations, True, weighted, side)
            for component in range(n_components):
                slope[component], tilt[component] = side[0, component], -centre[0, component]
            solve(factor, slope, n_components)
            solve(factor, tilt, n_components)
            for component in range(n_components):
                planes[component, 0], planes[component, 1] = slope[component], tilt[component]
            add_products(offsets, False, planes, values)
        prediction, middle = mean, 0.0
        for component in range(n_components):
            prediction -= centre[0, component] * slope[component]
        errors[query] = prediction - y[row]
        change = 2.0 / len(queries) * errors[query]
        shares[query], counts[query], residuals[query] = 0.0, 0.0, 0.0
        for near in range(n_near):
            residual, leverage = deviations[near, 0] - values[near, 0], 1.0 + values[near, 1]
            by_weights[near] = residual * leverage
            middle += weights[near, 0] * by_weights[near]
            counts[query, kept[near]] = change * weights[near, 0] * leverage
            residuals[query, kept[near]] = change * weights[near, 0] * residual
        for near in range(n_near):
            share = 2.0 * change * weights[near, 0] * (middle - by_weights[near])
            shares[query, kept[near]], all_shares[near, 0] = share, -share
        for component in range(n_components):
            slopes[query, component], tilts[query, component] = slope[component], tilt[component]
            own[query, component] = change * slope[component]
        # The shares of a query sum to 0, so the offsets may be those from the mean.
        add_products(all_shares[:n_near], True, offsets, own[query : query + 1])


@compile_kernel
def group_pairs(neighbors, n_rows):  # pragma: no cover
    """Group pairs by the neighbour: return where each row's pairs start (n_rows + 1), and the pairs (n_pairs, 2)."""
    n_query, n_near = neighbors.shape
    starts = np.zeros(n_rows + 1, dtype=np.int64)
    for query in range(n_query):
        for near in range(n_near):
            starts[neighbors[query, near] + 1] += 1
    for row in range(n_rows):
        starts[row + 1] += starts[row]
    places, pairs = starts.copy(), np.empty((neighbors.size, 2), dtype=np.int32)
    for query in range(n_query):
        for near in range(n_near):
            place = places[neighbors[query, near]]
            pairs[place, 0], pairs[place, 1] = query, near
            places[neighbors[query, near]] = place + 1
    return starts, pairs


@compile_step
def gather_gradient(
    row, mapped, queries, starts, pairs, shares, counts, residuals, slopes, tilts, out
):  # pragma: no cover
    """Add what a row's pairs add to its gradient, in their order."""
    n_components = len(out)
    for place in range(starts[row], starts[row + 1]):
        query, near = pairs[place, 0], pairs[place, 1]
        other = queries[query]
        share, count, residual = shares[query, near], counts[query, near], residuals[query, near]
        if share == 0.0 and count == 0.0 and residual == 0.0:
            continue
        for component in range(n_components):
            out[component] += (
                share * (mapped[row, component] - mapped[other, component])
                + residual * tilts[query, component]
                - count * slopes[query, component]
            )


@compile_kernel
def gather_slice(
    rows, start, stop, mapped, queries, asked, starts, pairs, shares, counts, residuals, slopes, tilts, own, gradient
):  # pragma: no cover
    """Write the gradients by some of the mapped rows. `asked` has the query that each row is, or -1."""
    for at in range(start, stop):
        row, out = rows[at], gradient[at]
        if asked[row] >= 0:
            out[:] = own[asked[row]]
        else:
            out[:] = 0.0
        gather_gradient(row, mapped, queries, starts, pairs, shares, counts, residuals, slopes, tilts, out)


@compile_kernel
def pull_back_slice(
    X, rows, start, stop, gradient, outputs, turned, by_first, by_offsets, by_second
):  # pragma: no cover
    """Add what some rows' gradients add to the gradients by the parameters of the map.

    Parameters
    ----------
    X, rows, start, stop, outputs
        As in `map_slice`.
    gradient : ndarray of shape (n_touched, n_components), float32
        Gradients by the mapped rows.
    turned : ndarray of shape (n_components, n_units), float32
        C transposed.
    by_first, by_offsets, by_second : ndarray, float32
        Gradients by `first`, `offsets` and `second`; they are added to.
    """
    n_components, n_units = turned.shape
    some = np.empty((_ROWS_AT_ONCE, X.shape[1]), dtype=np.float32)
    both = np.empty((_ROWS_AT_ONCE, n_components + n_units), dtype=np.float32)
    by_inputs = np.empty((_ROWS_AT_ONCE, n_units), dtype=np.float32)
    for begin in range(start, stop, _ROWS_AT_ONCE):
        n = min(_ROWS_AT_ONCE, stop - begin)
        here, units = gradient[begin : begin + n], outputs[begin : begin + n]
        by_inputs[:n] = 0.0
        add_products(here, False, turned, by_inputs[:n])
        for at in range(n):
            some[at] = X[rows[begin + at]]
            for component in range(n_components):
                both[at, component] = here[at, component]
            for unit in range(n_units):
                change = by_inputs[at, unit] * (np.float32(1.0) - units[at, unit] * units[at, unit])
                both[at, n_components + unit] = change
                by_offsets[unit] += change
        add_products(some[:n], True, both[:n], by_first)
        add_products(units, True, here, by_second)


@compile_kernel
def weigh_slice(queries, rows, distances, indices, sharpness, ridge, start, stop, counts):  # pragma: no cover
    """Write how much each neighbour's target counts in the planes at some of the queries.

    Parameters
    ----------
    queries, rows : ndarray of shape (n_query or n_rows, n_components), float64
        Rows to predict, and rows that predict them.
    distances, indices : ndarray of shape (n_query, n_neighbors)
        Their neighbours.
    sharpness : ndarray of shape (n_query,), float64
        Weights are exp(-sharpness * distance²).
    ridge : float
        Penalty of a squared slope; infinity gives the weights themselves.
    start, stop : int
        Which queries.
    counts : ndarray of shape (n_query, n_neighbors), float64
        What counts, written.
    """
    n_near, n_given = indices.shape[1], queries.shape[1]
    n_components = -(-n_given // TILE_COLUMNS) * TILE_COLUMNS
    squares, weights = np.empty(n_near), np.empty((n_near, 1))
    offsets, weighted = np.zeros((n_near, n_components)), np.empty((n_near, n_components))
    centre, tilt = np.empty((1, n_components)), np.empty(n_components)
    products, factor = np.empty((n_components, n_components)), np.empty((n_components, n_components))
    for query in range(start, stop):
        for near in range(n_near):
            squares[near] = distances[query, near] * distances[query, near]
        weigh_squares(squares, sharpness[query], weights)
        if ridge == np.inf:
            counts[query] = weights[:, 0]
            continue
        for near in range(n_near):
            other = indices[query, near]
            for component in range(n_given):
                offsets[near, component] = rows[other, component] - queries[query, component]
            for component in range(n_given, n_components):
                offsets[near, component] = 0.0
        centre_offsets(offsets, weights, centre, weighted)
        factorise_spread(offsets, weighted, ridge, products, factor)
        tilt[:] = centre[0]
        solve(factor, tilt, n_components)
        for near in range(n_near):
            leverage = 1.0
            for component in range(n_components):
                leverage -= offsets[near, component] * tilt[component]
            counts[query, near] = weights[near, 0] * leverage
