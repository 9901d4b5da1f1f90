"""Overfitting: the standard error against a bootstrap, and a verdict that follows the figures."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from energyknn.study.overfitting import Gap, judge_overfitting, measure_gap, r2_standard_error


@pytest.mark.medium
def test_the_standard_error_is_the_bootstraps():
    random = np.random.default_rng(0)
    y_true = random.normal(size=2000)
    y_pred = 0.8 * y_true + random.normal(size=2000) * 0.4
    samples = random.integers(0, 2000, (1500, 2000))
    actual, errors = y_true[samples], (y_true - y_pred)[samples]
    drawn = 1 - (errors**2).mean(axis=1) / actual.var(axis=1)
    assert drawn[0] == pytest.approx(r2_score(actual[0], y_pred[samples[0]]))
    bootstrap = np.std(drawn)
    assert r2_standard_error(y_true, y_pred) == pytest.approx(bootstrap, rel=0.08)


def test_a_gap_is_training_less_test():
    gap = measure_gap(0.9, 0.75, 0.7, errors=(0.03, 0.04))
    assert (gap.with_self, gap.without_self, gap.standard_error) == pytest.approx((0.2, 0.05, 0.05))


@pytest.mark.parametrize(
    ("without_self", "verdict"), [(0.019, "not overfit"), (-0.5, "not overfit"), (0.021, "overfit"), (0.3, "overfit")]
)
def test_the_verdict_is_about_what_is_left_without_self(without_self, verdict):
    judged = judge_overfitting(Gap(0.2, 0.1, 0.01), Gap(0.15, without_self, 0.01))
    assert judged.verdict == verdict
    assert f"{without_self:+.4f}" in judged.explanation
    assert f"the tuned model is {verdict}." in judged.explanation


def test_the_verdict_names_its_score():
    judged = judge_overfitting(Gap(0.2, 0.1, 0.01), Gap(0.15, 0.0, 0.01), score="accuracy")
    assert judged.explanation.startswith("Training accuracy less test accuracy is +0.2000 before tuning")


@pytest.mark.parametrize(("without_self", "words"), [(0.01, "within"), (0.03, "above zero by more"), (-0.03, "below")])
def test_the_verdict_says_on_which_side_of_two_standard_errors_the_difference_lies(without_self, words):
    explanation = judge_overfitting(Gap(0.2, 0.1, 0.01), Gap(0.15, without_self, 0.01)).explanation
    assert f"{without_self:+.4f} after it, {words}" in explanation
