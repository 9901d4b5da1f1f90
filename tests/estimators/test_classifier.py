"""KNNClassifier: scikit-learn's own checks, and votes held against scikit-learn's."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_classification
from sklearn.metrics import accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks

from energyknn.estimators import KNNClassifier
from energyknn.neighbors.weighting import KERNELS, weigh_neighbors

X, y = make_classification(300, 5, n_informative=4, n_redundant=1, n_classes=3, random_state=1)
TRAIN, QUERY, LABELS = X[:240], X[240:], y[:240]


@parametrize_with_checks([KNNClassifier(), KNNClassifier(engine="blocked", weights="triangular", p=1)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("engine", ["brute", "sklearn", "blocked"])
@pytest.mark.parametrize("weights", ["uniform", "distance", None, lambda distances: 1 / (1 + distances)])
@pytest.mark.parametrize("p", [1, 2])
def test_votes_equal_scikit_learns(p, weights, engine):
    options = {"n_neighbors": 7, "weights": weights, "p": p}
    expected = KNeighborsClassifier(algorithm="kd_tree", **options).fit(TRAIN, LABELS)
    found = KNNClassifier(engine=engine, **options).fit(TRAIN, LABELS)
    np.testing.assert_array_equal(found.predict(QUERY), expected.predict(QUERY))
    np.testing.assert_allclose(found.predict_proba(QUERY), expected.predict_proba(QUERY), rtol=0, atol=1e-14)
    assert found.score(QUERY, y[240:]) == expected.score(QUERY, y[240:])
    np.testing.assert_array_equal(found.kneighbors_graph(QUERY).toarray(), expected.kneighbors_graph(QUERY).toarray())


@pytest.mark.parametrize("weights", KERNELS)
def test_kernels_weigh_votes(weights):
    model = KNNClassifier(5, weights=weights).fit(TRAIN, LABELS)
    found, given = model.weigh(QUERY)
    farther = model.kneighbors(QUERY, 6)[0][:, 5]
    bandwidth = farther if weights not in ("rank", "optimal") else None
    np.testing.assert_array_equal(given, weigh_neighbors(found.distances, weights, bandwidth=bandwidth, n_features=5))
    votes = np.stack([(given * (LABELS[found.indices] == label)).sum(axis=1) for label in range(3)], axis=1)
    np.testing.assert_allclose(model.predict_proba(QUERY), votes / votes.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_array_equal(model.predict(QUERY), votes.argmax(axis=1))


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["low", "mid", "high"])[LABELS],
        LABELS > 0,
        LABELS - 1.0,
        LABELS.astype(str).astype(object),
        LABELS * 10**12,
    ],
    ids=["text", "booleans", "floats", "objects", "large"],
)
def test_labels_of_any_type_come_back(labels):
    expected = KNeighborsClassifier().fit(TRAIN, labels)
    found = KNNClassifier().fit(TRAIN, labels)
    np.testing.assert_array_equal(found.classes_, expected.classes_)
    predicted = found.predict(QUERY)
    np.testing.assert_array_equal(predicted, expected.predict(QUERY))
    assert predicted.dtype == labels.dtype


def test_several_outputs():
    both = np.c_[LABELS, LABELS[::-1] % 2]
    expected, found = KNeighborsClassifier().fit(TRAIN, both), KNNClassifier().fit(TRAIN, both)
    np.testing.assert_array_equal(found.predict(QUERY), expected.predict(QUERY))
    for one, other in zip(found.predict_proba(QUERY), expected.predict_proba(QUERY), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-15)


def test_the_smallest_label_wins_where_votes_tie():
    model = KNNClassifier(2).fit([[0.0], [1.0], [3.0]], ["b", "a", "c"])
    assert model.predict([[0.4], [2.5]]).tolist() == ["a", "a"]
    np.testing.assert_array_equal(model.predict_proba([[0.4]]), [[0.5, 0.5, 0.0]])


def test_training_rows_without_themselves():
    model = KNNClassifier(3).fit(TRAIN, LABELS)
    expected = [
        KNNClassifier(3).fit(np.delete(TRAIN, row, 0), np.delete(LABELS, row)).predict(TRAIN[[row]])[0]
        for row in range(20)
    ]
    np.testing.assert_array_equal(model.predict(None)[:20], expected)
    assert model.score(None, LABELS) == accuracy_score(LABELS, model.predict(None))


def test_frames_keep_their_names_and_one_class_is_enough():
    frame = pd.DataFrame(TRAIN, columns=list("abcde"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = KNNClassifier().fit(frame, np.zeros(240, dtype=int))
        assert set(model.predict(frame)) == {0}
    assert list(model.feature_names_in_) == list("abcde")
    np.testing.assert_array_equal(model.predict_proba(frame), np.ones((240, 1)))


@pytest.mark.parametrize("weights", [lambda d: d * 0, lambda d: -d, lambda d: d * np.nan], ids=["0", "negative", "NaN"])
def test_weights_that_cannot_vote_are_refused_in_one_line(weights):
    model = KNNClassifier(weights=weights).fit(TRAIN, LABELS)
    with pytest.raises(ValueError, match=r"60 rows are negative or not finite|zero weights.*60 of 60") as raised:
        model.predict(QUERY)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"n_neighbors": 0}, "'n_neighbors' parameter of KNNClassifier"),
        ({"weights": "square"}, "'weights' parameter of KNNClassifier"),
        ({"metric": "kosine"}, "'metric' parameter of KNNClassifier"),
        ({"engine": "quick"}, "'engine' parameter of KNNClassifier"),
        ({"algorithm": "kd_tree", "metric": "cosine"}, "cosine"),
    ],
)
def test_parameters_are_checked_when_it_is_fitted(options, words):
    with pytest.raises(ValueError, match=words):
        KNNClassifier(**options).fit(TRAIN, LABELS)


def test_labels_that_are_no_classes_are_refused():
    with pytest.raises(ValueError, match="continuous"):
        KNNClassifier().fit(TRAIN, LABELS + 0.5)
    with pytest.raises(ValueError, match="NaN"):
        KNNClassifier().fit(TRAIN, np.where(LABELS == 0, np.nan, LABELS))
