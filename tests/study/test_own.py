"""Studies of other people's columns: every k, its edges, baselines, classes, and scores that are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score
from sklearn.model_selection import cross_validate
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from energyknn.errors import DataFileError
from energyknn.schema import make_schema
from energyknn.study.classes import (
    count_confusions,
    elect,
    evaluate_classes,
    judge_each_class,
    measure_reliability,
    rank_classes,
    score_votes,
)
from energyknn.study.own import find_repeats, remark_on_edge, study_classes, study_numbers
from energyknn.study.protocol import Protocol
from energyknn.study.tools import choose_tool
from energyknn.tuning import Candidate, ScoreTable

PROTOCOL = Protocol(scaling="train_only")
HOMES = make_schema(target="price", numbers=["area", "rooms"], categories=["town"])
GRADES = make_schema(target="grade", classifies=True, numbers=["area", "rooms"], categories=["town"])


def make_homes(n_rows: int = 300, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    homes = pd.DataFrame(
        {
            "area": random.normal(90, 30, n_rows),
            "rooms": random.normal(3, 1, n_rows),
            "town": random.choice(["Ulm", "Bonn", "Kiel"], n_rows),
        }
    )
    price = 3000 * homes["area"] + 60_000 * (homes["town"] == "Bonn") + random.normal(0, 20_000, n_rows)
    grade = np.select([price < 200_000, price < 350_000], ["low", "middle"], "high")
    return homes.assign(price=price, grade=grade)


def run(table, schema=HOMES, **options):
    return study_numbers(table, PROTOCOL, choose_tool("one-search").micro, schema=schema, **options)


@pytest.fixture(scope="module")
def numbers():
    return run(make_homes())


@pytest.fixture(scope="module")
def of_classes():
    return study_classes(make_homes(), PROTOCOL, schema=GRADES)


def test_every_k_is_tried_and_the_best_of_all_is_taken(numbers):
    assert numbers.curve.n_neighbors == tuple(range(1, 181))  # 240 training rows, 180 in a fold
    assert numbers.tuned.n_neighbors == numbers.curve.n_neighbors[int(np.argmax(numbers.curve.mean))]
    assert numbers.base.n_neighbors == 5
    data = numbers.data
    folds = [tuple(fold) for fold in data.folds]
    for k in (1, 5, 180):
        scores = cross_validate(KNeighborsRegressor(k), data.X_train.to_numpy(), data.y_train, cv=folds)["test_score"]
        np.testing.assert_allclose(numbers.curve[k - 1], scores, atol=1e-10)


def test_the_baseline_is_the_mean_of_the_training_rows(numbers):
    data = numbers.data
    assert numbers.baseline.predicted == data.y_train.mean()
    assert numbers.baseline.train.r2 == pytest.approx(0)
    assert numbers.baseline.test.rmse == pytest.approx(np.sqrt(np.mean((data.y_test - data.y_train.mean()) ** 2)))


@pytest.mark.parametrize(
    ("scores", "tried", "remark"),
    [
        ([0.1, 0.3, 0.2], (1, 2, 3), ""),
        ([0.1, 0.2, 0.3], (1, 30, 51), "The best k is the largest that was tried (51): try more with --n-neighbors"),
        ([0.1, 0.2, 0.3], (1, 2, 90), "The best k is the largest that was tried (90), and the folds hold no more"),
        ([0.3, 0.2, 0.1], (5, 6, 7), "The best k is the smallest that was tried (5): try fewer"),
        ([0.3, 0.2, 0.1], (1, 2, 3), "The best k is the smallest that was tried (1), and there is none below it."),
    ],
)
def test_a_best_k_at_the_edge_is_said(scores, tried, remark):
    table = ScoreTable([Candidate(k) for k in tried], [[score] for score in scores])
    assert remark_on_edge(table, limit=90).startswith(remark)
    assert bool(remark_on_edge(table, limit=90)) == bool(remark)


def test_the_user_names_the_candidates():
    study = run(make_homes(), n_neighbors=[9, 3, 3])
    assert study.curve.n_neighbors == (3, 9)


@pytest.mark.parametrize("schema", [make_schema(target="price", categories=["town"]), HOMES])
def test_categories_alone_and_few_rows_make_a_study(schema):
    study = run(make_homes(12), schema=schema, n_neighbors=[1, 2])
    assert np.isfinite(study.tuned.test.rmse)


def test_a_constant_target_is_refused():
    with pytest.raises(DataFileError, match="'price' is 7 in all 240 training rows"):
        run(make_homes().assign(price=7.0))
    with pytest.raises(DataFileError, match="'grade' is low in all 240 training rows"):
        study_classes(make_homes().assign(grade="low"), PROTOCOL, schema=GRADES)


def test_too_few_rows_are_refused():
    with pytest.raises(DataFileError, match="rows leave"):
        run(make_homes(5))
    with pytest.raises(DataFileError, match=r"9 rows leave 1 to score in a fold.* at least 10 rows"):
        run(make_homes(9))
    assert np.isfinite(run(make_homes(10)).curve.mean).all()


@pytest.mark.parametrize(
    ("share", "schema", "expected"),
    [
        (0, HOMES, False),
        (0.005, HOMES, False),
        (0.1, HOMES, True),
        (0.1, make_schema(target="price", categories=["town"]), False),
    ],
)
def test_a_second_study_is_run_where_repeated_rows_matter(share, schema, expected):
    homes = make_homes(400)
    table = pd.concat([homes, homes.head(int(400 * share))], ignore_index=True)
    assert find_repeats(table, schema, "repeats") is expected


def test_columns_of_few_values_get_no_second_study():
    homes = make_homes(400).assign(area=lambda table: table["area"].round(-1), rooms=1)
    assert not find_repeats(homes, HOMES, "repeats")


def test_class_scores_are_scikit_learns(of_classes):
    data = of_classes.data
    folds = [tuple(fold) for fold in data.folds]
    names = ["accuracy", "balanced_accuracy", "neg_log_loss"]
    X, y = data.X_train.to_numpy(), data.y_train
    curve, others = of_classes.curve, of_classes.others
    for k in (1, 4, 9, 180):
        scores = cross_validate(KNeighborsClassifier(k), X, y, cv=folds, scoring=names)
        np.testing.assert_allclose(curve[k - 1], scores["test_accuracy"], atol=1e-12)
        assert others["balanced_accuracy"][k - 1] == pytest.approx(scores["test_balanced_accuracy"].mean())
        assert others["log_loss"][k - 1] == pytest.approx(-scores["test_neg_log_loss"].mean())
    model = KNeighborsClassifier(of_classes.tuned.n_neighbors).fit(X, y)
    X_test = data.X_test.to_numpy()
    predicted, shares = model.predict(X_test), model.predict_proba(X_test)
    np.testing.assert_array_equal(elect(of_classes.tuned.shares_test, of_classes.classes), predicted)
    assert of_classes.tuned.test == pytest.approx(
        (
            accuracy_score(data.y_test, predicted),
            balanced_accuracy_score(data.y_test, predicted),
            log_loss(data.y_test, shares),
            roc_auc_score(data.y_test, shares, multi_class="ovr"),
        )
    )
    without_self = model.predict_proba(None)
    assert of_classes.tuned.train_without_self.accuracy == accuracy_score(y, elect(without_self, model.classes_))


def test_the_baseline_of_classes_is_the_most_frequent(of_classes):
    most = pd.Series(of_classes.data.y_train).mode()[0]
    assert of_classes.baseline.predicted == most
    assert of_classes.baseline.test.accuracy == np.mean(of_classes.data.y_test == most)
    assert of_classes.baseline.test.balanced_accuracy == pytest.approx(1 / 3)


def test_votes_are_counted_one_neighbour_at_a_time():
    random = np.random.default_rng(3)
    votes, codes = random.integers(0, 5, (200, 40)), random.integers(0, 5, 200)
    found = score_votes(codes, votes, [1, 7, 40], n_classes=6)
    for column, k in enumerate((1, 7, 40)):
        counts = np.array([np.bincount(row[:k], minlength=6) for row in votes])
        assert found[0, column] == np.mean(counts.argmax(axis=1) == codes)


def test_scores_that_are_not_defined_are_none():
    classes = np.array(["a", "b", "c"])
    shares = np.array([[0.5, 0.5, 0.0], [0.2, 0.8, 0.0]])
    scores = evaluate_classes(["a", "b"], shares, classes)
    assert (scores.accuracy, scores.roc_auc) == (1.0, None)
    assert scores.log_loss == pytest.approx(-np.log([0.5, 0.8]).mean())
    assert evaluate_classes(["a", "z"], shares, classes).log_loss is None


def test_a_class_that_no_test_row_has_is_told():
    found = judge_each_class(["a", "a", "b", "c"], ["a", "b"], ["a", "a"])
    assert [part.label for part in found] == ["a", "b", "c"]
    assert found[0] == ("a", 2, 1, 0.5, 1.0, pytest.approx(2 / 3))
    assert (found[1].precision, found[1].recall) == (None, 0.0)
    assert found[2][2:] == (0, None, None, None)


def test_the_rarest_of_many_classes_are_counted_together():
    random = np.random.default_rng(0)
    labels, predicted = random.integers(0, 40, (2, 500))
    ranked = rank_classes(labels)
    confusion = count_confusions(labels, predicted, ranked)
    assert confusion.labels[-1] == "21 others"
    counts = np.array(confusion.counts)
    assert counts.shape == (20, 20)
    assert counts.sum() == 500
    assert counts[0, 0] == np.sum((labels == ranked[0]) & (predicted == ranked[0]))


def test_groups_of_equal_shares_hold_all_rows_and_their_intervals(of_classes):
    groups = measure_reliability(of_classes.data.y_test, of_classes.tuned.shares_test, of_classes.classes)
    assert sum(group.n_rows for group in groups) == len(of_classes.data.y_test)
    assert all(group.n_rows >= len(of_classes.data.y_test) / 10 for group in groups)
    assert all(low <= right <= high for *_, (right, low, high) in groups)
    right = sum(group.right[0] * group.n_rows for group in groups) / len(of_classes.data.y_test)
    assert right == pytest.approx(of_classes.tuned.test.accuracy)


@pytest.mark.parametrize("kind", [int, bool])
def test_numbers_and_truth_values_are_classes(kind):
    homes = make_homes().assign(grade=lambda table: (table["grade"] == "low").astype(kind))
    study = study_classes(homes, PROTOCOL, schema=GRADES, n_neighbors=range(1, 20))
    assert study.tuned.test.roc_auc > 0.8
