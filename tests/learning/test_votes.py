"""A distance that is learned for classes: its gradient against differences, its votes, and its aim on made data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from energyknn import (
    KNNClassifier,
    MetricMap,
    explain_predictions,
    make_learned_classifier,
    make_learned_regressor,
)
from energyknn.estimators import SoftVoteClassifier
from energyknn.fitting import fit_in_groups
from energyknn.learning.maps import compose_map, differentiate_parameters, start_parameters
from energyknn.learning.votes import differentiate_votes, share_votes

BRIEF = {"n_maps": 2, "n_rounds": 3, "n_components": 4, "n_neighbors": 20}


@pytest.fixture(scope="module")
def data():
    """Two columns of eight tell three classes apart."""
    random = np.random.default_rng(0)
    X = random.normal(size=(600, 8))
    return X, np.array(["a", "b", "c"])[(X[:, 0] > 0) * 1 + (X[:, 1] + 0.3 * random.normal(size=600) > 0.5)]


@pytest.mark.parametrize("n_units", [0, 5])
def test_the_gradient_is_that_of_the_log_loss_by_differences(n_units):
    random = np.random.default_rng(1)
    X, codes = random.normal(size=(30, 4)), random.integers(0, 3, 30)
    queries, shares = np.array([3, 0, 7, 20, 11]), np.bincount(codes) / 30
    neighbors = np.array([random.permutation(np.delete(np.arange(30), query))[:9] for query in queries])
    parameters = start_parameters(4, 3, n_units, "full", 1.0, random)

    def measure(given):
        losses, gradient = differentiate_votes(X, codes, queries, neighbors, compose_map(given), shares=shares)
        return losses.mean(), differentiate_parameters(gradient, given)

    step = 1e-6
    for array, found in zip(parameters, measure(parameters)[1], strict=True):
        expected = np.empty_like(array)
        for place in np.ndindex(array.shape):
            kept = array[place]
            array[place] = kept + step
            above = measure(parameters)[0]
            array[place] = kept - step
            expected[place] = (above - measure(parameters)[0]) / (2 * step)
            array[place] = kept
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-8)


def test_losses_are_the_log_loss_of_scikit_learns_votes(data):
    X, y = data
    codes = np.unique(y, return_inverse=True)[1]
    shares = np.bincount(codes) / len(codes)
    queries, others = np.arange(50), np.arange(50, 600)
    near = KNeighborsClassifier(40, weights=lambda distances: np.exp(-(distances**2))).fit(X[others], codes[others])
    neighbors = others[near.kneighbors(X[queries], return_distance=False)]
    identity = compose_map((np.eye(8),))
    losses, _ = differentiate_votes(X, codes, queries, neighbors, identity, shares=shares)
    expected = 0.98 * near.predict_proba(X[queries]) + 0.02 * shares
    assert losses.mean() == pytest.approx(log_loss(codes[queries], expected), rel=1e-12)


def test_votes_without_a_prior_are_scikit_learns(data):
    X, y = data
    for sharpness in (0.0, 0.7):
        found = SoftVoteClassifier(15, sharpness=sharpness, prior=0.0).fit(X[:400], y[:400])
        weights = lambda distances, sharpness=sharpness: np.exp(-sharpness * distances**2)  # noqa: E731
        expected = KNeighborsClassifier(15, weights=weights).fit(X[:400], y[:400])
        np.testing.assert_allclose(found.predict_proba(X[400:]), expected.predict_proba(X[400:]), atol=1e-12)
        np.testing.assert_array_equal(found.predict(X[400:]), expected.predict(X[400:]))


def test_a_prior_leaves_no_class_impossible_and_counts_less_where_many_agree():
    shares = 0.05 * np.array([0.5, 0.5])
    one, many = (share_votes(np.zeros((1, n), dtype=int), np.full((1, n), 1 / n), shares)[0] for n in (1, 100))
    assert 0 < many[1] < one[1] < 0.05
    np.testing.assert_allclose([one.sum(), many.sum()], 1)


def test_training_rows_are_predicted_without_themselves(data):
    X, y = data[0][:60], data[1][:60]
    found = SoftVoteClassifier(20).fit(X, y).predict_proba(None)
    for row in (0, 17, 59):
        rest = np.arange(60) != row
        alone = SoftVoteClassifier(20, prior=0.0).fit(X[rest], y[rest])
        assert found[row].argmax() == alone.predict_proba(X[[row]])[0].argmax()


@pytest.mark.medium
@parametrize_with_checks(
    [
        SoftVoteClassifier(),
        SoftVoteClassifier(3, prior=0.0),
        MetricMap(n_components=2, loss="log_loss", n_maps=2, n_rounds=1, n_neighbors=5, n_units=8),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.medium
def test_the_learned_vote_is_surer_than_the_best_plain_vote(data):
    X, y = data
    model = make_learned_classifier(range(8)).fit(X[:400], y[:400])
    grid = {"n_neighbors": [5, 10, 20, 40, 80], "weights": ["uniform", "distance"]}
    plain = GridSearchCV(KNNClassifier(), grid, scoring="neg_log_loss", cv=5).fit(X[:400], y[:400])
    assert model.classes_.tolist() == ["a", "b", "c"]
    losses = [log_loss(y[400:], one.predict_proba(X[400:])) for one in (model, plain)]
    assert losses[0] < 0.8 * losses[1]
    np.testing.assert_array_equal(model.predict(X[400:]), model.classes_[model.predict_proba(X[400:]).argmax(axis=1)])
    first, *_, last = (one for one in model["metricmap"].traces_[0] if one.validation_log_loss is not None)
    assert last.validation_log_loss < first.validation_log_loss
    assert last.leave_one_out_log_loss < first.leave_one_out_log_loss


@pytest.mark.medium
def test_few_rows_are_not_learned_by_heart():
    X, y = load_wine(return_X_y=True)
    X, others, y, expected = train_test_split(X, y, random_state=0, stratify=y)
    model = make_learned_classifier(range(13)).fit(X, y)
    assert model["metricmap"].hidden_ is None
    assert log_loss(expected, model.predict_proba(others)) < 0.2


@pytest.mark.medium
def test_units_of_columns_change_nothing(data):
    X, y = data
    units = 10.0 ** np.arange(-4, 4)
    plain, scaled = (make_learned_classifier(range(8), **BRIEF).fit(rows, y) for rows in (X, X * units))
    np.testing.assert_allclose(scaled.predict_proba(X * units), plain.predict_proba(X), atol=1e-3)


@pytest.mark.medium
def test_seeds_repeat_with_any_number_of_threads_and_differ(data):
    first, second, other = (
        make_learned_classifier(range(8), random_state=seed, n_jobs=n_jobs, **BRIEF).fit(*data).predict_proba(data[0])
        for seed, n_jobs in ((3, 1), (3, 2), (4, 1))
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.medium
def test_groups_are_predicted_from_others_while_learning():
    """The rows of a group are alike and of one class, and new groups have a class by chance."""
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 15)
    X = random.normal(size=(40, 3))[groups] + 0.01 * random.normal(size=(600, 3))
    y = random.integers(0, 2, 40)[groups]
    options, losses = BRIEF | {"n_rounds": 15, "learning_rate": 0.1, "weight_decay": 0.0, "n_units": 0}, []
    for given in (None, groups):
        model = make_pipeline(StandardScaler(), MetricMap(loss="log_loss", **options), SoftVoteClassifier())
        model = model.fit(X, y) if given is None else fit_in_groups(model, X, y, given)
        losses.append(model["metricmap"].traces_[0][-1].validation_log_loss)
    assert losses[0] < 0.3 < 0.6 < losses[1]


def test_a_diagonal_map_finds_the_columns_that_tell(data):
    found = MetricMap(form="diagonal", loss="log_loss", n_rounds=15, n_neighbors=40, learning_rate=0.05).fit(*data)
    assert set(np.diag(found.components_).argsort()[-2:]) == {0, 1}


@pytest.mark.medium
def test_neighbours_and_columns_are_explained(data):
    X, y = data
    model = make_learned_classifier(range(8), **BRIEF).fit(X, y)
    found = explain_predictions(model, X[:3], X)
    np.testing.assert_array_equal(found.predictions, model.predict(X[:3]))
    assert found.shares.shape == (3, 5, 8)


def test_classes_that_are_none_are_refused_in_a_line(data):
    X, y = data
    for model in (SoftVoteClassifier(), MetricMap(loss="log_loss"), make_learned_classifier(range(8))):
        for target in (X[:, 0], np.c_[y, y]):
            with pytest.raises(ValueError, match=r"continuous|1d array") as caught:
                model.fit(X, target)
            assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match=r"loss is 'hinge'"):
        MetricMap(loss="hinge").fit(X, y)
    for options in ({"n_neighbors": 0}, {"prior": -1.0}, {"sharpness": np.inf}):
        with pytest.raises(ValueError, match=r"must be at least 1, the others finite"):
            SoftVoteClassifier(**options).fit(X, y)


def test_one_class_is_certain(data):
    model = make_learned_classifier(range(8), **BRIEF).fit(data[0], np.zeros(600))
    np.testing.assert_allclose(model.predict_proba(data[0][:5]), 1)


@pytest.mark.medium
@pytest.mark.parametrize("classifies", [True, False])
def test_levels_count_by_their_targets_out_of_fold(classifies):
    """Sixty levels tell the target. Three hundred levels of chance would tell the training rows if it were in fold."""
    random = np.random.default_rng(0)
    table = pd.DataFrame({"town": random.integers(0, 60, 900), "chance": random.integers(0, 300, 900)}).astype(str)
    effects = random.normal(size=60)[table["town"].astype(int)]
    y = np.where(effects > 0, "dear", "cheap") if classifies else effects
    make = make_learned_classifier if classifies else make_learned_regressor
    model = make([], categories=["town", "chance"], n_maps=1, n_rounds=10).fit(table[:600], y[:600])
    unseen = table[600:].assign(town=["Atlantis", *table["town"][601:]])
    assert model.score(unseen, y[600:]) > 0.85
