"""The distribution of a new target around its prediction: that of the calibrating errors, by conformal prediction.

A new score is as likely to have any rank among n calibrating scores and itself. So the scores, moved to a prediction
and stretched by its difficulty, are a distribution of the target that is calibrated for any n (Vovk and others,
Computationally efficient versions of conformal predictive distributions and interval distributions, 2020).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


class ScoreDistribution:
    """The distribution of a new score, from n that are exchangeable with it.

    Examples
    --------
    >>> scores = ScoreDistribution([3.0, 1.0, 2.0])
    >>> scores.find_quantile(0.75), scores.find_quantile(0.2)
    (3.0, -inf)
    >>> scores.share_below([2.5, 9.0]).tolist()
    [0.625, 0.875]
    """

    def __init__(self, scores: ArrayLike) -> None:
        self.ordered: NDArray[np.float64] = np.sort(np.asarray(scores, dtype=np.float64))
        shares, gaps = np.arange(1, len(self.ordered)) / len(self.ordered), np.diff(self.ordered)
        self._area_below = np.append(0.0, np.cumsum(shares**2 * gaps))  # of F² up to each score
        self._area_above = np.append(np.cumsum(((1 - shares) ** 2 * gaps)[::-1])[::-1], 0.0)  # of (1 - F)² from each

    def find_quantile(self, share: float) -> float:
        """Return the score that a new one does not exceed with a probability of `share` or more.

        For a share below 0.5 it is the score that a new one falls below with a probability of `share` or less. If there
        are too few scores, it is infinite.
        """
        place = round((len(self.ordered) + 1) * share, 8)  # rounded, because 100 * 0.55 is more than 55
        rank = math.floor(place) if share < 0.5 else math.ceil(place)
        if 1 <= rank <= len(self.ordered):
            return float(self.ordered[rank - 1])
        return -math.inf if rank < 1 else math.inf

    def share_below(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return how likely a new score is at most each of some; of the scores it may equal, half are below."""
        below, up_to = (np.searchsorted(self.ordered, scores, side=side) for side in ("left", "right"))
        return np.asarray((below + up_to + 1) / (2 * (len(self.ordered) + 1)))

    def measure_area(
        self, low: NDArray[np.float64], score: NDArray[np.float64], high: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Integrate the squared difference between the distribution and the step at `score`, from `low` to `high`."""
        below = self._integrate_below(score) - self._integrate_below(low)
        return np.asarray(below + self._integrate_above(score) - self._integrate_above(high))

    def _integrate_below(self, ends: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.interp(ends, self.ordered, self._area_below) + np.maximum(ends - self.ordered[-1], 0.0))

    def _integrate_above(self, starts: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.interp(starts, self.ordered, self._area_above) + np.maximum(self.ordered[0] - starts, 0.0))
