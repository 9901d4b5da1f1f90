"""Audits: the rows that do not fit come first, whether targets are numbers or classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import VotingRegressor

from energyknn import KNNClassifier, KNNRegressor
from energyknn.inspection import audit_rows, value_rows


def draw(n_rows=300):
    random = np.random.default_rng(0)
    X = random.random((n_rows, 2))
    return X, X.sum(axis=1) + 0.05 * random.normal(size=n_rows), random.choice(n_rows, 9, replace=False)


def test_wrong_numbers_come_first():
    X, y, wrong = draw()
    y[wrong] += 5
    found = audit_rows(KNNRegressor().fit(X, y))
    assert set(found.index[:9]) == set(wrong)
    assert found["misfit"].is_monotonic_decreasing
    assert np.array_equal(found["target"], y[found.index])


def test_wrong_classes_come_first():
    X, y, _ = draw()
    classes = np.where(y > 1, "high", "low")
    wrong = np.flatnonzero(np.abs(y - 1) > 0.4)[:9]
    classes[wrong] = np.where(y[wrong] > 1, "low", "high")
    found = audit_rows(KNNClassifier().fit(X, classes))
    assert set(found.index[:9]) == set(wrong)
    assert (found["neighbors_say"] != found["target"]).iloc[:9].all()


def test_misfits_are_those_of_the_definition():
    X, y, _ = draw(150)
    found = audit_rows(KNNRegressor(3).fit(X, y), n_neighbors=11).sort_index()
    nearest = KNNRegressor().fit(X, y).kneighbors(None, 100, return_distance=False)
    said = np.sort(y[nearest[:, :11]], axis=1)[:, 1:-1].mean(axis=1)
    spread = np.abs(y[nearest] - np.median(y[nearest], axis=1)[:, np.newaxis]).mean(axis=1)
    assert found["neighbors_say"].to_numpy() == pytest.approx(said)
    assert found["misfit"].to_numpy() == pytest.approx(np.abs(y - said) / (0.8 * spread + 0.2 * np.median(spread)))
    values = value_rows(KNNRegressor(3).fit(X, y), n_neighbors=11, depth=300)
    assert np.array_equal(found["value"], values)
    classes = np.digitize(y, [0.7, 1.2])
    found = audit_rows(KNNClassifier(3).fit(X, classes), n_neighbors=11).sort_index()
    others = classes[nearest] != classes[:, np.newaxis]
    assert found["misfit"].to_numpy() == pytest.approx(0.8 * others[:, :11].mean(axis=1) + 0.2 * others.mean(axis=1))


def test_copies_of_a_wrong_row_do_not_vouch_for_each_other():
    X, y, _ = draw()
    X[:3], y[:3] = [0.5, 0.5], 9.0
    found = audit_rows(KNNRegressor().fit(X, y))
    assert set(found.index[:3]) == {0, 1, 2}
    assert (found["neighbors_say"].iloc[:3] < 2).all()


def test_models_of_a_mean_are_averaged():
    X, y, _ = draw()
    both = VotingRegressor([("a", KNNRegressor(p=1)), ("b", KNNRegressor(p=2))]).fit(X, y)
    parts = [audit_rows(KNNRegressor(p=p).fit(X, y)).sort_index() for p in (1, 2)]
    assert audit_rows(both).sort_index()["misfit"].to_numpy() == pytest.approx((parts[0] + parts[1])["misfit"] / 2)


def test_a_gross_error_hides_no_smaller_one_beside_it():
    X, y, _ = draw()
    first = int(np.argmin(((X - 0.5) ** 2).sum(axis=1)))
    second = int(np.argsort(((X - X[first]) ** 2).sum(axis=1))[1])
    y[first], y[second] = 1e6, 9.0
    assert audit_rows(KNNRegressor().fit(X, y)).index[:2].tolist() == [first, second]


def test_few_rows_and_equal_targets_are_audited():
    assert (audit_rows(KNNRegressor(1).fit([[0.0], [1.0]], [3.0, 3.0]))["misfit"] == 0).all()
    with pytest.raises(ValueError, match="equal, or of one group"):
        audit_rows(KNNRegressor(1).fit([[0.0], [1.0]], [3.0, 4.0]), groups=[1, 1])
    with pytest.raises(ValueError, match="n_neighbors is 0"):
        audit_rows(KNNRegressor(1).fit([[0.0], [1.0]], [3.0, 4.0]), n_neighbors=0)
