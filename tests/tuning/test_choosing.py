"""Choosing: the best mean, the smoothest within one standard error, and whether two candidates differ at all."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ttest_rel

from energyknn.tuning.choosing import compare_candidates, find_best, find_smoothest


def test_the_best_has_the_largest_mean_and_the_first_of_equals_wins():
    assert find_best(np.array([[0.1, 0.3], [0.4, 0.2], [0.3, 0.3]])) == 1
    assert find_best(np.array([[np.nan, np.nan], [0.4, 0.2]])) == 1


def test_the_smoothest_is_the_largest_k_within_one_standard_error():
    scores = np.array([[0.70, 0.80], [0.80, 0.90], [0.78, 0.88], [0.60, 0.61]])
    # the best mean is 0.85 and its standard error 0.05 / sqrt(2) = 0.035: k = 20 is within, k = 30 is not
    assert find_smoothest(scores, [5, 10, 20, 30]) == 2
    assert find_smoothest(scores[:2], [5, 10]) == 1


def test_a_comparison_is_a_paired_t_test_corrected_for_shared_training_rows():
    random = np.random.default_rng(0)
    first, second = random.normal(0.8, 0.01, 6), random.normal(0.79, 0.01, 6)
    plain = compare_candidates(first, second, test_share=0.0)
    expected = ttest_rel(first, second)
    assert plain.p_value == pytest.approx(expected.pvalue)
    assert plain.difference == pytest.approx(np.mean(first - second))
    corrected = compare_candidates(first, second, test_share=1 / 5)
    assert corrected.standard_error == pytest.approx(plain.standard_error * np.sqrt((1 / 6 + 1 / 5) / (1 / 6)))
    assert corrected.p_value > plain.p_value


def test_equal_candidates_do_not_differ():
    same = compare_candidates([0.5, 0.6], [0.5, 0.6], test_share=0.25)
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_one_fold_tells_nothing_of_a_difference():
    with pytest.raises(ValueError, match="1 fold"):
        compare_candidates([0.5], [0.6], test_share=0.25)
