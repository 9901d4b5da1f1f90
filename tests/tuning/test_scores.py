"""The table of scores: means, the best row, the smoothest that is as good, and whether two rows differ at all."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.stats import ttest_rel
from sklearn.preprocessing import StandardScaler

from energyknn.tuning import Candidate, ScoreTable, compare_candidates


def make_table(values, n_neighbors=None):
    return ScoreTable([Candidate(k) for k in n_neighbors or range(1, len(values) + 1)], values)


def test_means_and_deviations_are_those_of_cv_results():
    scores = make_table([[0.1, 0.2], [0.5, 0.3], [0.4, 0.4]], (3, 1, 2))
    np.testing.assert_allclose(scores.mean, [0.15, 0.4, 0.4])
    np.testing.assert_allclose(scores.std, [0.05, 0.1, 0.0], atol=1e-15)
    assert scores.best == 1
    assert scores.n_neighbors == (3, 1, 2)


def test_a_table_is_indexed_as_its_array_and_cannot_be_changed():
    given = np.array([[0.1, 0.2]])
    scores = make_table(given)
    given[0, 0] = 9
    assert (scores[0, 0], scores.shape, len(scores)) == (0.1, (1, 2), 1)
    np.testing.assert_array_equal(scores, [[0.1, 0.2]])
    np.array(scores)[0, 0] = 9
    assert scores[0, 0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        scores.values[0, 0] = 1
    with pytest.raises(TypeError):
        scores[0, 0] = 1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scores)), scores)  # noqa: S301


@pytest.mark.parametrize("scores", [np.zeros((1, 2)), np.zeros(2), np.zeros((2, 0)), np.zeros((3, 2))])
def test_scores_of_another_shape_are_refused(scores):
    with pytest.raises(ValueError, match="for 2 candidates"):
        ScoreTable([Candidate(1), Candidate(2)], scores)


def test_the_best_has_the_largest_mean_and_the_first_of_equals_wins():
    assert make_table([[0.1, 0.3], [0.4, 0.2], [0.3, 0.3]]).best == 1


def test_a_candidate_without_a_score_on_some_fold_is_neither_best_nor_smoothest():
    scores = make_table([[0.9, np.nan], [0.4, 0.2], [np.nan, np.nan]])
    assert (scores.best, scores.smoothest) == (1, 1)
    assert np.isnan(scores.mean[[0, 2]]).all()
    nothing = make_table([[np.nan, np.nan]])
    assert (nothing.best, nothing.smoothest) == (0, 0)


def test_the_smoothest_is_the_largest_k_within_one_standard_error():
    scores = np.array([[0.70, 0.80], [0.80, 0.90], [0.78, 0.88], [0.60, 0.61]])
    # the best mean is 0.85 and its standard error 0.05 / sqrt(2) = 0.035: k = 20 is within, k = 30 is not
    assert make_table(scores, [5, 10, 20, 30]).smoothest == 2
    assert make_table(scores[:2], [5, 10]).smoothest == 1


def test_candidates_are_selected_by_what_is_scored_and_not_by_label():
    scaler = StandardScaler()
    scores = ScoreTable([Candidate(1, label="a"), Candidate(1, transformer=scaler), Candidate(2)], [[1], [2], [3]])
    chosen = scores.select([Candidate(2), Candidate(1), Candidate(1, transformer=scaler, label="b")])
    assert chosen.values.tolist() == [[3], [1], [2]]
    assert chosen.candidates[1].label == "a"
    with pytest.raises(ValueError, match=r"Candidate\(n_neighbors=9.* was not scored"):
        scores.select([Candidate(9)])


def test_a_table_shows_in_one_line_and_as_a_frame():
    scores = make_table([[0.5, 0.7], [0.1, 0.2]])
    assert repr(scores) == "ScoreTable(2 candidates, 2 folds, best: n_neighbors=1, mean 0.6, std 0.1)"
    frame = scores.to_frame()
    assert list(frame.columns) == [*Candidate._fields, "mean", "std", "fold_0", "fold_1"]
    assert frame["fold_1"].tolist() == [0.7, 0.2]


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


def test_one_standard_error_is_the_best_ones_spread_over_the_root_of_the_folds():
    """The best has mean 0.6 and std 0.1 on 4 folds, so the limit is 0.55: 0.551 is within it and 0.549 is not."""
    best = [0.5, 0.5, 0.7, 0.7]
    assert make_table([best, [0.551] * 4], [5, 10]).smoothest == 1
    assert make_table([best, [0.549] * 4], [5, 10]).smoothest == 0
