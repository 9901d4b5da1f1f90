"""The distances: what is summed over the columns, and what the search returns of the sum.

A new metric is one entry of `METRICS`. Every search then takes it: the oracle computes it, and an engine that can rule
rows out for it names it in `energyknn.neighbors.engines`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_Change = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Metric(NamedTuple):
    """A distance that is a function of a sum over the columns, and grows with it.

    Attributes
    ----------
    names : tuple of str
        What scikit-learn calls it.
    take_terms : callable
        Turns differences, in place, into the terms of the sum.
    take_distances : callable
        Turns sums into distances.
    """

    names: tuple[str, ...]
    take_terms: _Change
    take_distances: _Change


METRICS: dict[int, Metric] = {
    1: Metric(("manhattan", "cityblock", "l1"), lambda terms: np.abs(terms, out=terms), lambda sums: sums),
    2: Metric(("euclidean", "l2"), lambda terms: np.multiply(terms, terms, out=terms), np.sqrt),
}
"""By the power p of Minkowski's distance."""
