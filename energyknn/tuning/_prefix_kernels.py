"""The compiled loop of `prefixes`: weighted means of the first k targets, for every k in one pass over the neighbours.

Numba does not run these bodies under coverage.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import numpy as np

from energyknn._shared.compiling import compile_kernel

_LANES = 32  # queries that are worked on together, in the lanes of vector registers
_EDGE = 1e-6  # of `weighting`
_TRIANGULAR, _EPANECHNIKOV, _BIWEIGHT, _TRIWEIGHT, _COSINE, _INVERSE, _GAUSSIAN, _RANK, _OPTIMAL = range(9)


@compile_kernel
def _weigh(kind, relative, quantile):  # pragma: no cover
    """Weigh one relative distance, up to a factor that cancels."""
    rest = 1.0 - relative * relative
    if kind == _TRIANGULAR:
        return 1.0 - relative
    if kind == _EPANECHNIKOV:
        return rest
    if kind == _BIWEIGHT:
        return rest * rest
    if kind == _TRIWEIGHT:
        return rest * rest * rest
    if kind == _COSINE:
        return np.cos(0.5 * np.pi * relative)
    if kind == _INVERSE:
        return 1.0 / relative
    return np.exp(-0.5 * (relative * quantile) ** 2)


@compile_kernel
def _average_directly(kind, distances, targets, lane, n_neighbors, bandwidth, quantile):  # pragma: no cover
    """Average as `weighting` does."""
    total, weighted = 0.0, 0.0
    for at in range(n_neighbors):
        relative = distances[at, lane] / bandwidth if bandwidth > 0.0 else 0.0
        weight = _weigh(kind, min(max(relative, _EDGE), 1.0 - _EDGE), quantile)
        total += weight
        weighted += weight * targets[at, lane]
    return weighted / total


@compile_kernel
def average_prefixes(
    distances, targets, sizes, kinds, even, n_even, guards, quantiles, spreads, level, steps, out
):  # pragma: no cover
    """Average the first k targets of each query with the weights of each kind, for each k.

    Parameters
    ----------
    distances, targets : ndarray of shape (n_query, width)
        Nearest first.
    sizes : ndarray of shape (n_sizes,)
        k, ascending, at most the width.
    kinds : ndarray of shape (n_kinds,)
        Places in `weighting.KERNELS`.
    even : ndarray of shape (n_kinds, n_sizes, n_terms)
        A kernel as a polynomial in the square of the relative distance.
    n_even : ndarray of shape (n_kinds, n_sizes)
        How many of its coefficients count; 0 to take the kernel itself.
    guards : ndarray of shape (n_kinds, n_sizes)
        A sum of weights below this has lost too many digits: then the kernel itself is taken.
    quantiles, spreads : ndarray of shape (n_sizes,)
        Of "gaussian" and "optimal".
    level : float
        Of "optimal".
    steps : ndarray of shape (width,)
        Of "optimal".
    out : ndarray of shape (n_kinds, n_sizes, n_query)
        Written.

    Notes
    -----
    With distances relative to the farthest, t = d / D, a kernel that is a polynomial in u² = (d / h)² needs the sums
    of t^2j and of y t^2j over the first k, whatever the bandwidth h = d of the next neighbour: they grow with k.
    Neighbours at distance 0 are counted apart, as their u is 1e-6, and those that tie with the next are corrected to
    1 - 1e-6.
    """
    n_query, width = distances.shape
    n_terms = even.shape[2]
    near, target = np.empty((width, _LANES)), np.empty((width, _LANES))
    far, per, plain = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES, dtype=np.bool_)
    sums, target_sums = np.empty((n_terms, _LANES)), np.empty((n_terms, _LANES))
    power, square = np.empty(_LANES), np.empty(_LANES)
    zeros, zero_targets, odd, odd_targets = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    inverse, inverse_targets, total, placed = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    ranked, first, group = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    ratio, weights, weighted = np.empty(_LANES), np.empty(_LANES), np.empty(_LANES)
    for begin in range(0, n_query, _LANES):
        n_lanes = min(_LANES, n_query - begin)
        for lane in range(_LANES):
            query = begin + min(lane, n_lanes - 1)
            nearest = 0.0
            for at in range(width):
                near[at, lane] = distances[query, at]
                target[at, lane] = targets[query, at]
                if nearest == 0.0:
                    nearest = distances[query, at]
            far[lane] = near[width - 1, lane]
            per[lane] = 1.0 / far[lane] if far[lane] > 0.0 else 0.0
            plain[lane] = nearest >= far[lane] * _EDGE and per[lane] < 1e300
            total[lane], placed[lane], zeros[lane], zero_targets[lane] = 0.0, 0.0, 0.0, 0.0
            odd[lane], odd_targets[lane], inverse[lane], inverse_targets[lane] = 0.0, 0.0, 0.0, 0.0
            ranked[lane], first[lane], group[lane] = 0.0, 1.0, 0.0
        for term in range(n_terms):
            for lane in range(_LANES):
                sums[term, lane], target_sums[term, lane] = 0.0, 0.0
        number = 0
        for at in range(sizes[-1]):
            for lane in range(_LANES):
                value, goal = near[at, lane], target[at, lane]
                positive = 1.0 if value > 0.0 else 0.0
                relative = value * per[lane]
                inverted = 1.0 / relative if value > 0.0 else 0.0
                total[lane] += goal
                placed[lane] += steps[at] * goal
                zeros[lane] += 1.0 - positive
                zero_targets[lane] += (1.0 - positive) * goal
                odd[lane] += relative
                odd_targets[lane] += relative * goal
                inverse[lane] += inverted
                inverse_targets[lane] += inverted * goal
                sums[0, lane] += positive
                target_sums[0, lane] += positive * goal
                power[lane], square[lane] = positive, relative * relative
            for lane in range(_LANES):
                if at > 0 and near[at, lane] != near[at - 1, lane]:
                    ranked[lane] += 0.5 * (first[lane] + at) * group[lane]
                    first[lane] = at + 1.0
                    group[lane] = 0.0
                group[lane] += target[at, lane]
            for term in range(1, n_terms):
                for lane in range(_LANES):
                    power[lane] *= square[lane]
                    sums[term, lane] += power[lane]
                    target_sums[term, lane] += power[lane] * target[at, lane]
            if at + 1 != sizes[number]:
                continue
            k = at + 1.0
            after = min(at + 1, width - 1)
            for lane in range(_LANES):
                ratio[lane] = far[lane] / near[after, lane] if near[after, lane] > 0.0 else 0.0
                square[lane] = ratio[lane] * ratio[lane]
            for which in range(len(kinds)):
                kind = kinds[which]
                if kind == _RANK:
                    for lane in range(n_lanes):
                        rank_sum = ranked[lane] + 0.5 * (first[lane] + k) * group[lane]
                        out[which, number, begin + lane] = ((k + 1.0) * total[lane] - rank_sum) / (0.5 * k * (k + 1.0))
                    continue
                if kind == _OPTIMAL:
                    for lane in range(n_lanes):
                        out[which, number, begin + lane] = (level * total[lane] - spreads[number] * placed[lane]) / k
                    continue
                if kind == _TRIANGULAR:
                    for lane in range(_LANES):
                        weights[lane] = sums[0, lane] - odd[lane] * ratio[lane]
                        weighted[lane] = target_sums[0, lane] - odd_targets[lane] * ratio[lane]
                elif kind == _INVERSE:
                    for lane in range(_LANES):
                        scale = 1.0 / ratio[lane] if ratio[lane] > 0.0 else 0.0
                        weights[lane] = inverse[lane] * scale
                        weighted[lane] = inverse_targets[lane] * scale
                else:
                    for lane in range(_LANES):
                        weights[lane], weighted[lane] = 0.0, 0.0
                    for back in range(n_even[which, number]):
                        term = n_even[which, number] - 1 - back
                        coefficient = even[which, number, term]
                        for lane in range(_LANES):
                            weights[lane] = weights[lane] * square[lane] + coefficient * sums[term, lane]
                            weighted[lane] = weighted[lane] * square[lane] + coefficient * target_sums[term, lane]
                at_zero = _weigh(kind, _EDGE, quantiles[number])
                at_edge = _weigh(kind, 1.0 - _EDGE, quantiles[number])
                for lane in range(_LANES):
                    weights[lane] += at_zero * zeros[lane]
                    weighted[lane] += at_zero * zero_targets[lane]
                for lane in range(n_lanes):
                    bandwidth = near[after, lane]
                    back = at
                    while back >= 0 and near[back, lane] > bandwidth * (1.0 - _EDGE):
                        change = at_edge - _weigh(kind, near[back, lane] / bandwidth, quantiles[number])
                        weights[lane] += change
                        weighted[lane] += change * target[back, lane]
                        back -= 1
                    if plain[lane] and n_even[which, number] > 0 and weights[lane] > guards[which, number]:
                        out[which, number, begin + lane] = weighted[lane] / weights[lane]
                    else:
                        out[which, number, begin + lane] = _average_directly(
                            kind, near, target, lane, at + 1, bandwidth, quantiles[number]
                        )
            number += 1
