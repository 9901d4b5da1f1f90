"""Why: rows that make the prediction, shares against their definition, importance against scikit-learn's."""

from __future__ import annotations

from functools import cache
from itertools import combinations, permutations
from math import comb

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.ensemble import VotingRegressor
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, PolynomialFeatures, StandardScaler

from energyknn.encoding import encode_features, fit_levels
from energyknn.estimators import KNNClassifier, KNNRegressor, LocalLinearRegressor, MetricMap, make_learned_regressor
from energyknn.estimators.neighborhoods import list_neighborhoods
from energyknn.inspection import (
    explain_columns,
    explain_predictions,
    group_columns,
    tabulate_neighbors,
    weigh_columns,
)
from energyknn.schema import make_schema
from energyknn.splitting import fold_rows
from energyknn.study.notebook import SPOTIFY

RANDOM = np.random.default_rng(0)
NAMES = ["a", "b", "c", "d_0", "d_1"]
X = pd.DataFrame(RANDOM.normal(size=(120, 5)), columns=NAMES)
y = X["a"].to_numpy() ** 2 + X["b"].to_numpy() + 0.1 * RANDOM.normal(size=120)
NEW = pd.DataFrame(RANDOM.normal(size=(6, 5)), columns=NAMES)
GROUPS = {"a": ["a"], "b": ["b"], "c": ["c"], "d": ["d_0", "d_1"]}
QUICK = {"n_rounds": 3, "n_components": 3, "n_neighbors": 15}
BENT_MAP = {**QUICK, "n_units": 128, "weight_decay": 1.0, "n_waves": 4}  # few rows are given none by default
BENT = [
    "polynomial",
    "one map",
    "joined maps",
    "mean of maps",
]  # models that mix columns, as columns' products and hidden layers do
MODELS = {
    "notebook's": KNNRegressor(12),
    "manhattan": KNNRegressor(12, p=1, weights="distance"),
    "diagonal": make_pipeline(MetricMap(form="diagonal", n_rounds=3, n_neighbors=15), KNNRegressor(12)),
    "rotated": make_pipeline(StandardScaler(), PCA(3), LocalLinearRegressor(15)),
    "linear map": make_learned_regressor(NAMES[:3], NAMES[3:], n_maps=1, n_units=0, **QUICK),
    "polynomial": make_pipeline(PolynomialFeatures(2), KNNRegressor(12)),
    "one map": make_learned_regressor(NAMES[:3], NAMES[3:], n_maps=1, learning_rate=0.1, **BENT_MAP),
    "joined maps": make_learned_regressor(NAMES[:3], NAMES[3:], n_maps=3, learning_rate=0.1, **BENT_MAP),
    "mean of maps": VotingRegressor(
        [
            (f"seed{seed}", make_learned_regressor(NAMES[:3], NAMES[3:], n_maps=1, random_state=seed, **BENT_MAP))
            for seed in range(3)
        ]
    ),
}


class FittedModels(dict):
    """The models, each fitted when it is first asked for."""

    def __missing__(self, name):
        self[name] = clone(MODELS[name]).fit(X, y)
        return self[name]


@pytest.fixture(scope="module")
def models():
    return FittedModels()


def mark_slow(names):
    """Leave the models that take three times as long as one map to the slow tests."""
    slow = ("mean of maps", "joined maps")
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in names]


@pytest.fixture(params=mark_slow(MODELS))
def model(request, models):
    return models[request.param]


@pytest.mark.medium
def test_all_rows_together_make_the_prediction(models):
    for name in ("notebook's", "manhattan", "diagonal"):
        found = explain_predictions(models[name], NEW, X, n_neighbors=12)
        np.testing.assert_allclose((found.weights * y[found.indices]).sum(axis=1), found.predictions, rtol=1e-12)
        np.testing.assert_array_equal(found.predictions, models[name].predict(NEW))


@pytest.mark.medium
def test_the_heaviest_rows_come_first(model):
    found = explain_predictions(model, NEW[:3], X, n_neighbors=8)
    assert found.indices.shape == found.weights.shape == found.distances.shape == (3, 8)
    assert (np.diff(found.weights, axis=1) <= 0).all()
    more = explain_predictions(model, NEW[:3], X, n_neighbors=12)
    np.testing.assert_array_equal(found.indices, more.indices[:, :8])


def test_the_notebooks_neighbours_come_nearest_first(models):
    found = explain_predictions(models["notebook's"], NEW, X, n_neighbors=12)
    distances, indices = models["notebook's"].kneighbors(NEW)
    np.testing.assert_array_equal(found.indices, indices)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-12)
    np.testing.assert_allclose(found.weights, 1 / 12, rtol=1e-12)


def test_the_notebooks_shares_are_squared_differences(models):
    found = explain_predictions(models["notebook's"], NEW, X, n_neighbors=3)
    squares = (NEW.to_numpy()[:, np.newaxis] - X.to_numpy()[found.indices]) ** 2
    np.testing.assert_allclose(found.shares, squares / squares.sum(axis=2, keepdims=True), rtol=1e-9, atol=1e-12)


def test_manhattan_shares_are_differences(models):
    found = explain_predictions(models["manhattan"], NEW, X, n_neighbors=3)
    sizes = np.abs(NEW.to_numpy()[:, np.newaxis] - X.to_numpy()[found.indices])
    np.testing.assert_allclose(found.distances, sizes.sum(axis=2), rtol=1e-12)
    np.testing.assert_allclose(found.shares, sizes / sizes.sum(axis=2, keepdims=True), rtol=1e-9, atol=1e-12)


@pytest.mark.medium
def test_distances_are_those_of_the_mapped_rows(model):
    found = explain_predictions(model, NEW[:3], X, n_neighbors=4, columns=GROUPS)
    expected = 0.0
    for part in list_neighborhoods(model):
        steps = np.abs(part.map_rows(NEW[:3])[:, np.newaxis] - part.map_rows(X)[found.indices])
        expected = expected + part.share * (steps**part.model.index_.p).sum(axis=2)
    power = 1 if list_neighborhoods(model)[0].model.index_.p == 1 else 0.5
    np.testing.assert_allclose(found.distances, expected**power, rtol=1e-9)


@pytest.mark.medium
def test_shares_sum_to_one(model):
    for columns in (GROUPS, None):
        found = explain_predictions(model, NEW[:3], X, n_neighbors=4, columns=columns)
        np.testing.assert_allclose(found.shares.sum(axis=2), 1, rtol=1e-12)
        assert found.shares.min() >= 0
        assert found.shares.max() <= 1 + 1e-12


@pytest.mark.parametrize("name", ["notebook's", "manhattan", "diagonal"])
def test_groups_of_columns_that_are_not_mixed_add_up(models, name):
    """Where a map mixes columns, some cancel others and have no share, so that a group's share is its own."""
    model = models[name]
    alone = explain_predictions(model, NEW, X, n_neighbors=4)
    together = explain_predictions(model, NEW, X, n_neighbors=4, columns=GROUPS)
    assert alone.columns == tuple(NAMES)
    assert together.columns == ("a", "b", "c", "d")
    np.testing.assert_allclose(together.shares[:, :, 3], alone.shares[:, :, 3:].sum(axis=2), atol=1e-12)


@pytest.mark.medium
@pytest.mark.parametrize("name", mark_slow(["rotated", "linear map", *BENT]))
def test_shares_are_shapley_values(models, name):
    """The mean over all orders in which columns become those of the neighbour, of what each adds to the distance."""
    model, groups = models[name], list(GROUPS.values())
    found = explain_predictions(model, NEW.iloc[:1], X, n_neighbors=1, columns=GROUPS)
    query, neighbor = NEW.iloc[:1], X.iloc[found.indices[0, :1]].set_axis(NEW.index[:1])

    @cache
    def square(members):
        other = neighbor.copy()
        for number in members:
            other[groups[number]] = query[groups[number]]
        return sum(
            part.share * ((part.map_rows(other) - part.map_rows(neighbor)) ** 2).sum()
            for part in list_neighborhoods(model)
        )

    orders = list(permutations(range(4)))
    added = np.zeros(4)
    for order in orders:
        for place, number in enumerate(order):
            added[number] += square(frozenset(order[: place + 1])) - square(frozenset(order[:place]))
    expected = added.clip(min=0) / added.clip(min=0).sum()  # what brings the rows nearer has no share
    np.testing.assert_allclose(found.shares[0, 0], expected, rtol=1e-8, atol=1e-10)


def test_no_share_exceeds_the_whole_where_columns_cancel():
    """Rotated so that one column takes back most of what the other adds."""
    rows = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.9]])
    turn = FunctionTransformer(lambda X: np.asarray(X) @ np.array([[1.0], [-1.0]]))
    model = make_pipeline(turn, KNNRegressor(4)).fit(rows, [0.0, 1.0, 2.0, 3.0])
    found = explain_predictions(model, [[0.0, 0.0]], rows, n_neighbors=4)
    near = found.indices[0].tolist().index(3)
    assert found.distances[0, near] == pytest.approx(0.1)
    np.testing.assert_allclose(found.shares[0, near], [1.0, 0.0])


def test_a_plane_that_extrapolates_is_told():
    rows, targets = np.arange(12.0)[:, np.newaxis], 2 * np.arange(12.0)
    beyond = [[30.0], [5.5], [-9.0]]
    plane = LocalLinearRegressor(6).fit(rows, targets)
    found = explain_predictions(plane, beyond, rows, n_neighbors=3)
    assert found.predictions[0] > targets.max()
    assert found.extrapolated.tolist() == [True, False, True]
    for weights in ("uniform", "distance"):
        mean = KNNRegressor(6, weights=weights).fit(rows, targets)
        assert not explain_predictions(mean, [*beyond, [3.0]], rows).extrapolated.any()


def test_a_class_is_never_extrapolated():
    model = KNNClassifier(3).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    assert explain_predictions(model, [[9.0]], [[0.0], [1.0], [2.0]]).extrapolated.tolist() == [False]


@pytest.mark.medium
def test_an_identical_row_has_distance_zero_and_no_shares(model):
    found = explain_predictions(model, X.iloc[[5]], X, n_neighbors=12)
    place = found.indices[0].tolist().index(5)
    assert found.distances[0, place] == 0
    assert found.shares[0, place].tolist() == [0.0] * 5


def test_arrays_serve_as_well_as_frames():
    model = KNNRegressor(12).fit(X.to_numpy(), y)
    found = explain_predictions(model, NEW.to_numpy(), X.to_numpy(), n_neighbors=3, columns={"all": [0, 1, 2, 3, 4]})
    np.testing.assert_allclose(found.shares, 1)
    assert explain_predictions(model, NEW.to_numpy(), X.to_numpy(), n_neighbors=3).columns == ("0", "1", "2", "3", "4")


def test_what_cannot_be_explained_is_refused(models):
    model = models["notebook's"]
    with pytest.raises(ValueError, match=r"n_neighbors is 13\. The model predicts from 12 rows"):
        explain_predictions(model, NEW, X, n_neighbors=13)
    with pytest.raises(ValueError, match="X_train has 100 rows, but the model was fitted on 120"):
        explain_predictions(model, NEW, X.iloc[:100])
    with pytest.raises(ValueError, match="X_train is not what the model was fitted on"):
        explain_predictions(model, NEW, X.iloc[::-1])
    with pytest.raises(ValueError, match="It must hold each column once: a, b, c, d_0, d_1"):
        explain_predictions(model, NEW, X, columns={"a": ["a"], "b": ["b", "a"]})
    with pytest.raises(TypeError, match="LinearRegression has no neighbours"):
        explain_predictions(LinearRegression().fit(X, y), NEW, X)
    both = VotingRegressor([("p1", KNNRegressor(12, p=1)), ("p2", KNNRegressor(12))]).fit(X, y)
    with pytest.raises(ValueError, match="with different p"):
        explain_predictions(both, NEW, X)


def test_one_prediction_as_a_table(models):
    labels = pd.DataFrame({"name": [f"Song {row}" for row in range(120)]})
    found = explain_predictions(models["one map"], NEW, X, n_neighbors=3, columns=GROUPS)
    table = tabulate_neighbors(found, 2, labels=labels)
    assert table.columns.tolist() == ["name", "weight", "distance", "a", "b", "c", "d"]
    assert table.index.tolist() == found.indices[2].tolist()
    assert table["name"].tolist() == [f"Song {row}" for row in found.indices[2]]
    np.testing.assert_array_equal(table[["a", "b", "c", "d"]], found.shares[2])
    np.testing.assert_array_equal(table["weight"], found.weights[2])
    np.testing.assert_array_equal(table["distance"], found.distances[2])


def test_columns_are_grouped_by_the_files():
    table = make_tracks(20)
    names = list(encode_features(table, fit_levels(table, SPOTIFY), SPOTIFY))
    grouped = group_columns(names, SPOTIFY)
    assert [name for group in grouped.values() for name in group] == names
    assert grouped["key"] == [f"key_{level}" for level in range(12)]
    assert grouped["loudness"] == ["loudness"]
    schema = make_schema(target="y", numbers=["n"], categories=["c", "c_d"])
    assert group_columns(["n", "c_0", "c_d_0"], schema) == {"n": ["n"], "c": ["c_0"], "c_d": ["c_d_0"]}
    with pytest.raises(ValueError, match="'pitch' was not made from a column"):
        group_columns(["pitch"], SPOTIFY)


def test_weights_of_a_diagonal_map_are_its_own(models):
    model = models["diagonal"]
    found = weigh_columns(model, X)
    np.testing.assert_allclose(found["weight"], np.diag(model[0].components_) * X.to_numpy().std(axis=0), rtol=1e-12)
    assert found["share"].sum() == pytest.approx(1)


def test_shares_of_columns_are_those_of_pairs_drawn_at_random(models):
    """Over all pairs: each column's part of the sum of squared distances."""
    model, rows = models["linear map"], X.iloc[:12]
    part = list_neighborhoods(model)[0]
    ones, others = rows.iloc[np.repeat(np.arange(12), 12)], rows.iloc[np.tile(np.arange(12), 12)]
    others.index = ones.index
    whole = part.map_rows(ones) - part.map_rows(others)
    parts = []
    for members in GROUPS.values():
        varied = others.copy()
        varied[members] = ones[members]
        parts.append(((part.map_rows(varied) - part.map_rows(others)) * whole).sum())
    found = weigh_columns(model, rows, columns=GROUPS)
    np.testing.assert_allclose(found["share"], np.array(parts) / np.sum(parts), rtol=1e-8)


@pytest.mark.medium
@pytest.mark.parametrize("name", mark_slow(["linear map", *BENT]))
def test_shares_of_columns_are_those_of_their_explanations(models, name):
    """Over all pairs: each column's part of the sum of squared distances, and how far it moves rows alone."""
    model, rows = models[name], X.iloc[:10]
    starts, ends = (rows.iloc[numbers].reset_index(drop=True) for numbers in np.indices((10, 10)).reshape(2, -1))
    found = weigh_columns(model, rows, columns=GROUPS)
    parts, moves, total = np.zeros(4), np.zeros(4), 0.0
    for part in list_neighborhoods(model):
        origin = part.map_rows(starts)
        total += part.share * ((part.map_rows(ends) - origin) ** 2).sum()
        for order in permutations(range(4)):
            changed, before = starts.copy(), np.zeros(100)
            for place, number in enumerate(order):
                members = list(GROUPS.values())[number]
                changed[members] = ends[members]
                after = ((part.map_rows(changed) - origin) ** 2).sum(axis=1)
                parts[number] += part.share * (after - before).sum() / 24
                moves[number] += part.share * after.sum() / 6 if place == 0 else 0.0
                before = after
    np.testing.assert_allclose(found["share"], parts / total, rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(found["weight"], np.sqrt(moves / 200), rtol=1e-7)


@pytest.mark.medium
def test_sampled_orders_come_close_to_all(models, monkeypatch):
    """Five columns are taken apart by some orders; all 120 have to tell nearly the same, the more orders the nearer."""
    model = models["one map"]
    found = explain_predictions(model, NEW, X, n_neighbors=3)
    monkeypatch.setattr("energyknn.inspection.shares._N_ORDERS", 800)
    nearer = explain_predictions(model, NEW, X, n_neighbors=3)
    part = list_neighborhoods(model)[0]
    query = NEW.iloc[np.repeat(np.arange(6), 3)].reset_index(drop=True)
    neighbor = X.iloc[found.indices.reshape(-1)].reset_index(drop=True)
    origin, added = part.map_rows(neighbor), np.zeros((18, 5))

    @cache
    def measure(members):
        changed = neighbor.copy()
        changed[list(members)] = query[list(members)]
        return ((part.map_rows(changed) - origin) ** 2).sum(axis=1)

    for number, name in enumerate(NAMES):
        others = [other for other in NAMES if other != name]
        for size in range(5):
            for members in combinations(others, size):
                gain = measure(frozenset({*members, name})) - measure(frozenset(members))
                added[:, number] += gain / 5 / comb(4, size)  # the share of the orders in which these come before
    apart = added.clip(min=0)
    exact = (apart / apart.sum(axis=1, keepdims=True)).reshape(6, 3, 5)
    wrong, less_wrong = (np.median(np.abs(some.shares - exact).max(axis=2)) for some in (found, nearer))
    assert 0.001 < wrong < 0.1
    assert less_wrong < 0.3 * wrong


def test_equal_rows_have_no_weights(models):
    with pytest.raises(ValueError, match="The 3 rows are equal after the map"):
        weigh_columns(models["notebook's"], X.iloc[[4, 4, 4]])


def test_importance_is_scikit_learns():
    folds = fold_rows(120, n_splits=3)
    found = explain_columns(LinearRegression(), X, y, folds=folds, n_repeats=2, random_state=5)
    expected = [
        permutation_importance(
            LinearRegression().fit(X.iloc[fold.train], y[fold.train]),
            *(X.iloc[fold.test], y[fold.test]),
            scoring="neg_root_mean_squared_error",
            n_repeats=2,
            random_state=5,
        ).importances_mean
        for fold in folds
    ]
    assert found.columns.tolist() == ["importance", "importance_std"]
    np.testing.assert_allclose(found["importance"], np.mean(expected, axis=0), rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(found["importance_std"], np.std(expected, axis=0, ddof=1), rtol=1e-9, atol=1e-15)


@pytest.mark.medium
def test_a_column_that_is_not_used_has_no_importance_and_no_weight():
    model = make_learned_regressor(["a", "b"], ["c"], n_maps=2, **BENT_MAP)
    found = explain_columns(model, X, y, folds=fold_rows(120, n_splits=2), columns=GROUPS, n_repeats=1)
    assert found.loc["d"].tolist() == [0.0] * 6
    assert (found.loc[["a", "b"], ["weight", "share", "importance"]] > 0).all(axis=None)
    assert found["share"].sum() == pytest.approx(1)


def test_columns_of_one_category_are_shuffled_together():
    """Where the target is the product of two columns that are equal up to sign, alone either spoils it."""
    random = np.random.default_rng(0)
    sign = random.choice([-1.0, 1.0], size=400)
    rows = pd.DataFrame({"x_0": sign, "x_1": sign, "z": random.normal(size=400)})
    target = rows["x_0"].to_numpy() - rows["x_1"].to_numpy() + rows["z"].to_numpy()
    model = _Sum()
    folds = fold_rows(400, n_splits=2)
    alone = explain_columns(model, rows, target, folds=folds)
    together = explain_columns(model, rows, target, folds=folds, columns={"x": ["x_0", "x_1"], "z": ["z"]})
    assert alone.loc["x_0", "importance"] > 1
    assert together.loc["x", "importance"] == 0
    assert together.loc["z", "importance"] > 1


class _Sum(LinearRegression):
    """The first column less the second, plus the third."""

    def fit(self, X, y):
        super().fit(X, y)
        self.coef_, self.intercept_ = np.array([1.0, -1.0, 1.0]), 0.0
        return self
