"""Predictive distributions: calibrated for any number of rows, monotone, and in agreement with intervals."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import binomtest

from energyknn import IntervalRegressor, KNNRegressor
from energyknn.estimators.distributions import ScoreDistribution

QUANTILES = [0.02, 0.1, 0.3, 0.5, 0.8, 0.95, 0.99]


def draw(random, n_rows):
    """Draw rows whose noise is skewed, and grows with the column."""
    X = random.random((n_rows, 1))
    return X, X[:, 0] + X[:, 0] * random.exponential(size=n_rows)


def fit(seed=0, n_rows=600, **options):
    X, y = draw(np.random.default_rng(seed), n_rows)
    return IntervalRegressor(KNNRegressor(20), n_neighbors=30, **options).fit(X, y)


def is_about(n_right, n_rows, low, high):
    """Return whether a share may be from `low` to `high`: neither is refuted, at one in a million."""
    above = binomtest(n_right, n_rows, high, alternative="greater").pvalue
    return min(above, binomtest(n_right, n_rows, low, alternative="less").pvalue) > 1e-6


def test_quantiles_hold_for_exchangeable_scores_of_any_number():
    """A new score lies up to a quantile as often as it says, and at most 1 / (n + 1) more or less."""
    random, n_trials = np.random.default_rng(0), 2000
    for n_scores in (1, 4, 19, 60):
        drawn = random.gumbel(size=(n_trials, n_scores + 1))
        known = [ScoreDistribution(row[:-1]) for row in drawn]
        for share in QUANTILES:
            ends = [scores.find_quantile(share) for scores in known]
            n_below = int((drawn[:, -1] <= ends).sum())
            slack = 1 / (n_scores + 1)
            low, high = (max(share - slack, 0), share) if share < 0.5 else (share, min(share + slack, 1))
            assert is_about(n_below, n_trials, low, high)


def test_probabilities_are_uniform_for_exchangeable_scores():
    """With n scores, a new one is as likely to get any of the n + 1 probabilities."""
    random, n_scores, n_trials = np.random.default_rng(0), 9, 5000
    drawn = random.normal(size=(n_trials, n_scores + 1)) ** 3
    shares = np.array([ScoreDistribution(row[:-1]).share_below(row[-1]) for row in drawn])
    values, counts = np.unique(shares.round(9), return_counts=True)
    assert values == pytest.approx((np.arange(10) + 0.5) / 10)
    assert all(is_about(int(count), n_trials, 0.1, 0.1) for count in counts)


@pytest.mark.slow
def test_a_split_covers_by_one_side_and_by_quantiles_over_many_seeds():
    """The guarantee is over the draw of all rows: one new row for each fit."""
    n_fits, right = 400, {"upper": 0, "lower": 0, "quantiles": 0}
    for seed in range(n_fits):
        model = fit(seed, 60, method="split", calibration_size=20)
        X, y = draw(np.random.default_rng(10_000 + seed), 1)
        for side in ("upper", "lower"):
            lower, upper = model.predict_interval(X, coverage=0.8, side=side)
            right[side] += int(lower[0] <= y[0] <= upper[0])
        low, high = model.predict_quantiles(X, [0.1, 0.9])[0]
        right["quantiles"] += int(low <= y[0] <= high)
    assert is_about(right["upper"], n_fits, 0.8, 0.8 + 1 / 21)
    assert is_about(right["lower"], n_fits, 0.8, 0.8 + 1 / 21)
    assert is_about(right["quantiles"], n_fits, 0.8, 0.8 + 2 / 21)


@pytest.mark.medium
@pytest.mark.parametrize("by", [None, 0])
def test_new_rows_are_spread_evenly_over_the_distribution(by):
    """Four fits, so that a share over all of them is off by chance by less than 0.006, one time in three."""
    found = []
    for seed in range(4):
        model = fit(seed, 3000, by=by, n_groups=4)
        X, y = draw(np.random.default_rng(100 + seed), 3000)
        below = (y[:, np.newaxis] <= model.predict_quantiles(X, QUANTILES)).mean(axis=0)
        found.append([below, (model.predict_cdf(X, y)[:, np.newaxis] <= QUANTILES).mean(axis=0)])
    below, shares = np.mean(found, axis=0)
    assert below == pytest.approx(QUANTILES, abs=0.03)
    assert shares == pytest.approx(QUANTILES, abs=0.03)


@pytest.mark.parametrize("bounds", [None, (0.2, 1.5)])
def test_quantiles_never_fall_and_the_probabilities_are_their_inverse(bounds):
    model = fit(bounds=bounds, by=0, n_groups=3)
    X = np.linspace(0, 1, 50)[:, np.newaxis]
    found = model.predict_quantiles(X, QUANTILES)
    assert (np.diff(found, axis=1) >= 0).all()
    for place, share in enumerate(QUANTILES):
        ends = found[:, place]
        inside = np.isfinite(ends) & (True if bounds is None else (ends > bounds[0]) & (ends < bounds[1]))
        step = 1e-9
        assert (model.predict_cdf(X, ends - step)[inside] <= share).all() or share >= 0.5
        assert (model.predict_cdf(X, ends + step)[inside] >= share - 1 / 100).all()
    grid = np.linspace(-1, 4, 60)[np.newaxis]
    shares = model.predict_cdf(X, grid)
    assert shares.shape == (50, 60)
    assert (np.diff(shares, axis=1) >= 0).all()
    if bounds is not None:
        assert (shares[:, grid[0] < 0.2] == 0).all()
        assert (shares[:, grid[0] >= 1.5] == 1).all()
        assert found.min() >= 0.2
        assert found.max() <= 1.5


def test_quantiles_are_the_ends_of_intervals_with_one_side():
    model = fit()
    X = np.linspace(0, 1, 20)[:, np.newaxis]
    for coverage in (0.5, 0.9, 0.97):
        upper = model.predict_interval(X, coverage=coverage, side="upper")
        lower = model.predict_interval(X, coverage=coverage, side="lower")
        assert upper.upper == pytest.approx(model.predict_quantiles(X, [coverage])[:, 0], rel=1e-12)
        assert (upper.lower == -math.inf).all()
        assert (lower.upper == math.inf).all()
    assert lower.lower == pytest.approx(model.predict_quantiles(X, [1 - 0.97])[:, 0], rel=1e-12)


def test_intervals_are_quantiles_where_errors_are_symmetric():
    model = fit(n_rows=99)
    half = np.arange(1.0, 51.0)
    model.scores_, model.groups_ = np.append(-half, half), np.zeros(100, dtype=np.int64)
    X = np.linspace(0, 1, 9)[:, np.newaxis]
    # sizes come in pairs: of 101 ranks, 91 sizes reach 46, and 5 scores lie outward of -46 as of 46
    lower, upper = model.predict_interval(X, coverage=91 / 101)
    low, high = model.predict_quantiles(X, [5 / 101, 96 / 101]).T
    assert low == pytest.approx(lower, rel=1e-12)
    assert high == pytest.approx(upper, rel=1e-12)


def test_one_side_keeps_to_the_bounds():
    model = fit(bounds=(0.0, 9.0))
    lower, upper = model.predict_interval([[0.5]], side="upper")
    assert (lower[0], upper[0] < 9) == (0.0, True)
    with pytest.raises(ValueError, match="side"):
        model.predict_interval([[0.5]], side="left")


@pytest.mark.parametrize("bounds", [None, (0.3, 1.2)])
def test_the_crps_is_the_integral_that_defines_it(bounds):
    model = fit(n_rows=60, bounds=bounds)
    X, y = draw(np.random.default_rng(3), 4)
    y[0] = 2.5  # above the bounds
    scores = np.sort(model.scores_)
    predictions, difficulty, _ = model._locate(X)
    low, high = bounds or (-50.0, 50.0)
    for crps, target, prediction, spread in zip(model.measure_crps(X, y), y, predictions, difficulty, strict=True):
        points = np.clip(prediction + scores * spread, low, high)
        absolute = np.abs(points - target).mean() - np.abs(points[:, None] - points).mean() / 2
        assert crps == pytest.approx(absolute, rel=1e-9)
        steps = sorted({float(point) for point in points} | {float(target)})
        whole = sum(
            quad(lambda t: ((points <= t).mean() - (target <= t)) ** 2, a, b)[0]  # noqa: B023
            for a, b in pairwise(steps)
        )
        assert crps == pytest.approx(whole, rel=1e-6)


def test_the_crps_is_smaller_where_difficulty_is_known():
    X, y = draw(np.random.default_rng(5), 2000)
    aware, alike = fit(n_rows=3000), fit(n_rows=3000, shrinkage=1.0)
    assert aware.measure_crps(X, y).mean() < alike.measure_crps(X, y).mean()


def test_what_cannot_be_asked_is_said():
    model = fit()
    for share in (0.0, 1.0, 1.5):
        with pytest.raises(ValueError, match=f"A quantile is {share}. It must be between 0 and 1"):
            model.predict_quantiles([[0.5]], [0.5, share])
    with pytest.raises(ValueError, match="shape"):
        model.predict_cdf([[0.5], [0.6]], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="inconsistent"):
        model.measure_crps([[0.5], [0.6]], [1.0])
    assert model.predict_cdf([[0.5], [0.6]], 0.7).shape == (2,)
