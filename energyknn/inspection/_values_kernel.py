"""The compiled loop of `values`: what each neighbour of a query is worth, in one pass over the ranks.

Numba does not run these bodies under coverage.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import numpy as np

from energyknn._shared.compiling import compile_kernel


@compile_kernel
def _join(n_others, k):  # pragma: no cover
    """Return how likely a row is among some, and they among the first k - 1 of their kind, if any size is as likely."""
    most = min(k - 1, n_others)
    return 0.5 * most * (most + 1) / (n_others * (n_others + 1.0)) if n_others > 0 else 0.0


@compile_kernel
def value_ranks(targets, plays, n_players, totals, slopes, curve, k, depth, values, others):  # pragma: no cover
    """Write what each row is worth to a query, and what each row that is not listed is worth.

    A coalition is worth slope * m - curve * m², where m is the sum of its first k targets, divided by k. `values` holds
    0 for a listed row that does not play. Those past the first `depth`, which is k or more, count as if each had their
    mean target.
    """
    n_query, width = targets.shape
    target, value = np.empty(width + 1), np.empty(width + 1)
    for query in range(n_query):
        n, listed, after = n_players[query], 0, totals[query]
        for at in range(width):
            if plays[query, at] and listed < depth:
                target[listed] = targets[query, at]
                after -= target[listed]
                listed += 1
        rest = n - listed
        target[listed] = after / rest if rest > 0 else 0.0
        last = (
            listed if rest > 0 else listed - 1
        )  # the place of the last rank: that of all the rest, if there is a rest
        worth, slope = target[last], slopes[query]
        most = min(k, n)
        mean = (totals[query] - worth) / (n - 1) if n > 1 else 0.0
        value[last] = (worth / k) * ((slope - curve * worth / k) * most - curve * mean * most * (most - 1) / k) / n
        following = 0.0  # the sum of targets from two ranks on, each times how likely it stands beside the swapped rows
        if rest > 1:
            following = target[last] * 0.5 * k * (k - 1) * (1.0 / listed - 1.0 / (n - 1))
        before = 0.0
        for at in range(last):
            before += target[at]
        for at in range(last - 1, -1, -1):
            before -= target[at]
            if at + 2 <= last:
                following += target[at + 2] * _join(at + 1, k)
            enters = min(k, at + 1) / (at + 1.0)
            pair, beside = target[at] + target[at + 1], _join(at, k) * before + following
            lead = slope * enters - curve * (pair * enters + 2.0 * beside) / k
            value[at] = value[at + 1] + (target[at] - target[at + 1]) / k * lead
        others[query] = value[listed] if rest > 0 else 0.0
        listed = 0
        for at in range(width):
            values[query, at] = others[query]
            if not plays[query, at]:
                values[query, at] = 0.0
            elif listed < depth:
                values[query, at] = value[listed]
                listed += 1
