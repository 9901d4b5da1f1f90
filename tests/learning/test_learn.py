"""The learned distance: its gradient against differences, its aim on made data, and what it never looks at."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from plain_learning import (
    differentiate_by_rows,
    differentiate_plainly,
    fit_planes,
    pull_back,
    trace_rows,
    weigh_plainly,
)
from sklearn.base import clone
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from energyknn.estimators import LocalLinearRegressor, MetricMap, make_learned_regressor
from energyknn.fitting import fit_in_groups
from energyknn.learning import learn
from energyknn.learning.gradient import differentiate_errors, map_compactly
from energyknn.learning.learn import MapOptions
from energyknn.learning.maps import (
    HiddenLayer,
    RowMap,
    compose_map,
    differentiate_parameters,
    join_maps,
    map_rows,
    start_parameters,
    turn_map,
)
from energyknn.learning.planes import weigh_locally, weigh_softly
from energyknn.neighbors import search_neighbors


@pytest.fixture(scope="module")
def data():
    """Two columns tell the target, six are noise of more weight."""
    random = np.random.default_rng(0)
    X = random.normal(size=(1500, 8))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] ** 2 + 0.1 * random.normal(size=1500)


def learn_map(X, y, *, groups=None, random_state=0, **options):
    return learn.learn_map(X, y, MapOptions(**options), groups=groups, random_state=random_state)


def measured(trace):
    return [entry.validation_rmse for entry in trace if entry.validation_rmse is not None]


QUICK = {"n_components": 4, "n_neighbors": 30, "n_rounds": 25, "n_queries": 300, "n_steps": 5, "learning_rate": 0.1}
STRAIGHT = {**QUICK, "n_units": 0, "weight_decay": 0.0}
BRIEF = {**QUICK, "n_rounds": 3}  # enough where bits are compared, and not what is learned


def predict_rows(mapped, y, queries, neighbors, ridge):
    """Predict rows from their neighbours, by scikit-learn's planes or as weighted means."""
    weights = np.exp(-((mapped[neighbors] - mapped[queries][:, np.newaxis]) ** 2).sum(axis=2))
    weights /= weights.sum(axis=1, keepdims=True)
    if np.isinf(ridge):
        return (weights * y[neighbors]).sum(axis=1)
    found = []
    for query, near, weight in zip(queries, neighbors, weights, strict=True):
        plane = Ridge(alpha=ridge).fit(mapped[near], y[near], sample_weight=weight)
        found.append(plane.predict(mapped[[query]])[0])
    return np.array(found)


@pytest.mark.medium
@pytest.mark.parametrize("ridge", [0.05, 0.3, 10.0, np.inf])
def test_the_oracles_gradient_is_that_of_the_mean_squared_error(ridge):
    random = np.random.default_rng(1)
    mapped, y = random.normal(size=(40, 3)), random.normal(size=40)
    queries = np.array([3, 17, 5, 30])
    neighbors = np.array([[number for number in range(40) if number != query][:20] for query in queries])

    def error(mapped):
        return np.mean((predict_rows(mapped, y, queries, neighbors, ridge) - y[queries]) ** 2)

    errors, gradient = differentiate_by_rows(mapped, y, queries, neighbors, ridge=ridge)
    np.testing.assert_allclose(errors, predict_rows(mapped, y, queries, neighbors, ridge) - y[queries], rtol=1e-9)
    for row in (3, 0, 17, 12, 39):
        for column in range(3):
            step = np.zeros_like(mapped)
            step[row, column] = 1e-5
            expected = (error(mapped + step) - error(mapped - step)) / 2e-5
            assert gradient[row, column] == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_planes_are_those_that_predict():
    random = np.random.default_rng(2)
    queries, rows, targets = random.normal(size=(6, 3)), random.normal(size=(6, 15, 3)), random.normal(size=(6, 15))
    weights = random.random((6, 15))
    weights /= weights.sum(axis=1, keepdims=True)
    counts = weigh_plainly(queries, rows, weights, ridge=0.2)
    planes = fit_planes(rows - queries[:, np.newaxis], weights, targets, ridge=0.2)
    np.testing.assert_allclose(planes.counts, counts, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(planes.predictions, (counts * targets).sum(axis=1), rtol=1e-9)
    means = fit_planes(rows - queries[:, np.newaxis], weights, targets, ridge=np.inf)
    np.testing.assert_allclose(means.predictions, (weights * targets).sum(axis=1), rtol=1e-12)
    assert not means.slopes.any()


@pytest.mark.parametrize("n_units", [0, 5])
def test_the_oracles_gradient_by_the_map_is_that_of_differences(n_units):
    random = np.random.default_rng(1)
    X, components, gradient = random.normal(size=(9, 3)), random.normal(size=(3, 2)), random.normal(size=(9, 2))
    hidden = HiddenLayer(*(random.normal(size=size) for size in ((3, 5), 5, (5, 2)))) if n_units else None
    mapped, outputs = trace_rows(X, components, hidden)
    np.testing.assert_array_equal(mapped, map_rows(X, components, hidden))
    by_components, by_hidden = pull_back(X, gradient, hidden, outputs)
    arrays, found = (components, *(hidden or ())), (by_components, *(by_hidden or ()))
    assert (by_hidden is None) == (hidden is None)

    def total(arrays):
        return (gradient * map_rows(X, arrays[0], HiddenLayer(*arrays[1:]) if n_units else None)).sum()

    for number, array in enumerate(arrays):
        for place in np.ndindex(array.shape):
            step = [np.zeros_like(other) for other in arrays]
            step[number][place] = 1e-6
            up, down = ([a + sign * b for a, b in zip(arrays, step, strict=True)] for sign in (1, -1))
            assert found[number][place] == pytest.approx((total(up) - total(down)) / 2e-6, rel=1e-6, abs=1e-8)


@pytest.mark.medium
def test_a_hidden_layer_learns_what_columns_tell_together():
    """The target is the length of a row: no linear map to two columns puts rows of a like length near."""
    X = np.random.default_rng(3).normal(size=(1500, 6))
    options = {**QUICK, "n_components": 2, "n_rounds": 30, "n_steps": 10, "learning_rate": 0.05, "weight_decay": 0.0}
    errors = {}
    for n_units in (0, 64):
        trace = learn_map(X, np.linalg.norm(X, axis=1), n_units=n_units, **options).trace
        errors[n_units] = min(measured(trace))
    assert errors[64] < 0.5 * errors[0]


def test_decay_shrinks_a_map(data):
    sizes = [np.linalg.norm(learn_map(*data, weight_decay=decay, **BRIEF).components) for decay in (0.0, 0.5)]
    assert sizes[1] < 0.8 * sizes[0]


@pytest.mark.medium
@pytest.mark.parametrize("form", ["full", "diagonal"])
def test_columns_of_noise_lose_their_weight(data, form):
    X, y = data
    learned = learn_map(X[:1000], y[:1000], form=form, **STRAIGHT)
    sizes = np.linalg.norm(learned.components, axis=1)
    assert sizes[:2].min() > 2 * sizes[2:].max()
    train, test = X[:1000] @ learned.components, X[1000:] @ learned.components
    plain = KNeighborsRegressor(10).fit(X[:1000], y[:1000]).predict(X[1000:])
    better = KNeighborsRegressor(10).fit(train, y[:1000]).predict(test)
    assert np.mean((better - y[1000:]) ** 2) < 0.25 * np.mean((plain - y[1000:]) ** 2)


@pytest.mark.medium
def test_the_trace_says_which_round_was_kept(data):
    learned = learn_map(*data, **QUICK)
    assert len(learned.trace) == 25
    assert [place for place, entry in enumerate(learned.trace) if entry.validation_rmse] == [4, 9, 14, 19, 24]
    assert learned.trace[learned.best].validation_rmse == min(measured(learned.trace))
    assert learned.trace[-1].leave_one_out_rmse < learned.trace[0].leave_one_out_rmse
    seconds = [entry.seconds for entry in learned.trace]
    assert seconds == sorted(seconds)


@pytest.mark.medium
@pytest.mark.parametrize("options", [{}, {"n_units": 0}])
def test_mapped_columns_do_not_correlate_and_come_by_their_variance(data, options):
    learned = learn_map(*data, **QUICK | options)
    mapped = map_rows(data[0], learned.components, learned.hidden)
    correlations = np.corrcoef(mapped, rowvar=False)
    np.testing.assert_allclose(correlations, np.eye(4), atol=0.1)
    variances = mapped.var(axis=0)
    assert (np.diff(variances) < 0.05 * variances[0]).all()


def make_step(form="full", n_rows=400, n_query=70, n_near=40, n_components=6, n_units=20, seed=5):
    """Make rows, targets, queries, neighbours and the parameters of a map. Some rows are no neighbours."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n_rows, 9)).astype(np.float32)
    queries = random.permutation(n_rows)[:n_query]
    neighbors = np.array(
        [random.choice(np.delete(np.arange(300), row % 300), n_near, replace=False) for row in queries]
    )
    parameters = start_parameters(9, n_components, n_units, form, 1.2, random)
    return X, np.sin(X[:, 0]) + random.normal(size=n_rows), queries, neighbors, parameters


@pytest.mark.parametrize("ridge", [0.05, 0.3, np.inf])
@pytest.mark.parametrize("options", [{}, {"n_units": 0}, {"n_components": 33}, {"form": "diagonal"}, {"n_rows": 5000}])
def test_the_compiled_gradient_is_the_oracles_but_for_the_rounding_of_single_precision(ridge, options):
    X, y, queries, neighbors, parameters = make_step(**options)
    errors, exact = differentiate_plainly(X.astype(np.float64), y, queries, neighbors, parameters, ridge=ridge)
    found, by_map = differentiate_errors(X, y, queries, neighbors, compose_map(parameters), ridge=ridge)
    np.testing.assert_allclose(found, errors, atol=1e-5)
    for one, other in zip(differentiate_parameters(by_map, parameters), exact, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5 * np.abs(other).max())


@pytest.mark.parametrize("ridge", [0.3, np.inf])
def test_the_compiled_gradient_is_that_of_differences(ridge):
    X, y, queries, neighbors, parameters = make_step()
    gradient = differentiate_parameters(
        differentiate_errors(X, y, queries, neighbors, compose_map(parameters), ridge=ridge)[1], parameters
    )
    direction = [np.random.default_rng(6).normal(size=array.shape) for array in parameters]

    def error(step):
        moved = tuple(array + step * way for array, way in zip(parameters, direction, strict=True))
        return np.mean(differentiate_plainly(X.astype(float), y, queries, neighbors, moved, ridge=ridge)[0] ** 2)

    along = sum((array * way).sum() for array, way in zip(gradient, direction, strict=True))
    assert along == pytest.approx((error(1e-5) - error(-1e-5)) / 2e-5, rel=1e-4)


def test_any_number_of_threads_gives_the_same_bits():
    X, y, queries, neighbors, parameters = make_step(n_rows=5000)
    row_map = compose_map(parameters)
    steps = [
        differentiate_errors(X, y, queries, neighbors, row_map, ridge=0.3, n_threads=number) for number in (1, 2, 4)
    ]
    for errors, (components, hidden) in steps[1:]:
        np.testing.assert_array_equal(errors, steps[0][0])
        for one, other in zip((components, *hidden), (steps[0][1].components, *steps[0][1].hidden), strict=True):
            np.testing.assert_array_equal(one, other)
    single, many = (map_compactly(X, row_map, n_threads=number) for number in (1, 4))
    np.testing.assert_array_equal(single, many)
    np.testing.assert_allclose(single, map_rows(X.astype(float), *row_map), atol=1e-5)


@pytest.mark.medium
def test_maps_that_are_learned_side_by_side_have_the_bits_of_maps_learned_alone(data):
    options = MapOptions(**BRIEF, n_jobs=4)
    together = learn.learn_maps(*data, options, seeds=[3, 4, 5])
    for seed, found in zip([3, 4, 5], together, strict=True):
        alone = learn_map(*data, random_state=seed, n_jobs=1, **BRIEF)
        np.testing.assert_array_equal(found.components, alone.components)
        for one, other in zip(found.hidden, alone.hidden, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.medium
def test_maps_share_their_first_rounds_and_then_go_on_alone(data):
    options = BRIEF | {"n_rounds": 4, "n_shared": 2}
    first, second = learn.learn_maps(*data, MapOptions(**options, n_jobs=4), seeds=[3, 4])
    errors = [[entry.leave_one_out_rmse for entry in found.trace] for found in (first, second)]
    assert errors[0][:2] == errors[1][:2]
    assert errors[0][2] != errors[1][2]
    assert not np.array_equal(first.components, second.components)
    alone = learn_map(*data, random_state=3, n_jobs=1, **options)
    np.testing.assert_array_equal(first.components, alone.components)
    again = learn.learn_maps(*data, MapOptions(**options, n_jobs=1), seeds=[3, 4])[1]
    np.testing.assert_array_equal(second.components, again.components)


def test_the_rate_falls_after_the_shared_rounds(data, monkeypatch):
    rates = []
    monkeypatch.setattr(learn.Learner, "take_steps", lambda _, rate: rates.append(rate) or np.zeros(1))
    learn_map(*data, **QUICK | {"n_rounds": 6, "n_shared": 3, "learning_rate": 1.0})
    learn_map(*data, **QUICK | {"n_rounds": 3, "learning_rate": 1.0})
    assert rates[:3] == [1.0, 1.0, 1.0]
    assert rates[3:6] == rates[6:]


def test_a_second_pass_takes_more_steps_with_the_same_neighbours(data):
    """The first pass of the first round is the same, so its errors are."""
    once, twice = (learn_map(*data, n_passes=number, **BRIEF) for number in (1, 2))
    assert once.trace[0].leave_one_out_rmse == twice.trace[0].leave_one_out_rmse
    assert twice.trace[-1].leave_one_out_rmse < once.trace[-1].leave_one_out_rmse


def test_planes_have_the_same_bits_with_any_number_of_threads():
    rows = np.random.default_rng(7).normal(size=(500, 5))
    found = search_neighbors(rows, None, 30)
    one, four = (weigh_locally(rows, rows, found, 2.0, ridge=0.3, n_threads=number) for number in (1, 4))
    np.testing.assert_array_equal(one, four)


def test_equal_neighbours_have_a_plane_whatever_the_ridge():
    """Their covariance is 0 but for rounding, and a ridge far below the rounding must not make it indefinite."""
    rows = np.repeat(1e3 + np.random.default_rng(8).normal(size=(2, 20)), 15, axis=0)
    found = search_neighbors(rows, None, 20)
    counts = weigh_locally(rows, rows, found, 1e-9, ridge=1e-300)
    assert np.isfinite(counts).all()


def test_learning_and_validation_err_as_planes_do(data):
    """A target that is a plane: planes predict it after a map that has learned nothing, means do not."""
    target = data[0] @ np.arange(8.0)
    options = STRAIGHT | {"n_components": 8, "n_rounds": 1, "learning_rate": 1e-6, "row_share": 1.0}
    for ridge, least, most in ((1e-6, 0.0, 0.02), (np.inf, 0.4, 1.0)):
        first = learn_map(data[0], target, ridge=ridge, **options).trace[0]
        for error in (first.leave_one_out_rmse, first.validation_rmse):
            assert least <= error / target.std() < most


@pytest.mark.parametrize("rule", [{"patience": 3}, {"time_budget": 1e9}])
def test_validation_follows_each_round_where_it_may_be_the_last_and_changes_no_step(data, rule):
    always, seldom = learn_map(*data, **BRIEF, **rule), learn_map(*data, **BRIEF)
    assert len(measured(always.trace)) == 3
    assert measured(seldom.trace) == [seldom.trace[-1].validation_rmse] == [always.trace[-1].validation_rmse]
    assert [one.leave_one_out_rmse for one in seldom.trace] == [one.leave_one_out_rmse for one in always.trace]


def test_seeds_repeat_to_the_bit_and_differ(data):
    first, second = learn_map(*data, random_state=3, **BRIEF), learn_map(*data, random_state=3, **BRIEF)
    np.testing.assert_array_equal(first.components, second.components)
    assert not np.array_equal(first.components, learn_map(*data, random_state=4, **BRIEF).components)


def test_learning_stops_early(data, monkeypatch):
    noise = np.random.default_rng(0).normal(size=1500)
    assert len(learn_map(data[0], noise, patience=2, **QUICK | {"n_rounds": 60}).trace) < 60
    monkeypatch.setattr("energyknn.learning.learn.perf_counter", itertools.count().__next__)  # a second for each look
    for budget, seconds in ((1e-9, [2]), (7, [2, 4, 6])):
        assert [entry.seconds for entry in learn_map(*data, time_budget=budget, **QUICK).trace] == seconds


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_rounds": 0}, "n_rounds = 0"),
        ({"learning_rate": -1.0, "n_queries": 0}, "n_queries = 0, learning_rate = -1.0"),
        ({"row_share": 1.5}, "row_share = 1.5"),
        ({"n_shared": 60}, "n_shared is 60. It must be at least 0 and below n_rounds, 60"),
        ({"n_shared": -1}, "n_shared is -1"),
        ({"ridge": 0.0}, "ridge = 0.0"),
        ({"form": "round"}, "form is 'round'"),
        ({"n_units": -1, "weight_decay": -0.5}, "n_units = -1, weight_decay = -0.5: each must be at least 0"),
    ],
)
def test_options_that_cannot_be_are_refused(data, options, message):
    with pytest.raises(ValueError, match=message):
        learn_map(*data, **options)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="minimum of 3 is required"):
        MetricMap().fit(np.zeros((2, 2)), np.zeros(2))


def test_soft_weights_sum_to_one_and_fall_with_distance():
    weights = weigh_softly(np.array([[0.5, 1.0, 40.0]]))
    assert weights.sum() == pytest.approx(1)
    assert weights[0, 0] / weights[0, 1] == pytest.approx(np.exp(0.75))
    assert weights[0, 2] == 0


@pytest.mark.medium
@parametrize_with_checks(
    [
        MetricMap(n_components=2, n_maps=2, n_rounds=1, n_neighbors=5, n_units=8),
        LocalLinearRegressor(n_neighbors=5),
        LocalLinearRegressor(3),
    ]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_the_transformer_is_the_learned_map(data):
    learned = learn_map(*data, random_state=1, **BRIEF)
    transformer = MetricMap(random_state=1, **BRIEF).fit(*data)
    assert learned.hidden.weights.shape == (8, 128)
    expected = map_rows(data[0], learned.components, learned.hidden)
    np.testing.assert_array_equal(transformer.transform(data[0]), expected)
    linear = MetricMap(random_state=1, **BRIEF | {"n_units": 0}).fit(*data)
    assert linear.hidden_ is None
    np.testing.assert_array_equal(linear.transform(data[0]), data[0] @ linear.components_)
    assert transformer.traces_[0][-1].leave_one_out_rmse == learned.trace[-1].leave_one_out_rmse
    assert len(transformer.traces_) == 1
    assert list(transformer.get_feature_names_out()) == [f"metricmap{number}" for number in range(4)]


@pytest.mark.parametrize("n_units", [0, 16])
def test_squared_distances_after_joined_maps_are_the_mean_of_theirs(data, n_units):
    options = {**BRIEF, "n_units": n_units}
    maps = [learn_map(*data, random_state=seed, **options) for seed in (4, 5, 6)]
    pairs = [RowMap(one.components, one.hidden) for one in maps]
    squares = [measure_steps(data[0], *pair) for pair in pairs]
    joined = join_maps(data[0], pairs, 12)
    np.testing.assert_allclose(measure_steps(data[0], *joined), np.mean(squares, axis=0), rtol=1e-9)
    transformer = MetricMap(n_maps=3, random_state=4, **options).fit(*data)
    mapped = transformer.transform(data[0])
    assert mapped.shape == (1500, 4)
    np.testing.assert_allclose(mapped, map_rows(data[0], *joined)[:, :4], rtol=1e-9, atol=1e-12)
    assert [trace[-1].validation_rmse for trace in transformer.traces_] == [
        one.trace[-1].validation_rmse for one in maps
    ]


def measure_steps(X, components, hidden):
    """Measure the squared distance of each row to the next."""
    return (np.diff(map_rows(X, components, hidden), axis=0) ** 2).sum(axis=1)


def test_a_turned_map_tells_rows_apart_as_before_whatever_their_order():
    """Sorted rows: the first 10,000 are not like the others."""
    random = np.random.default_rng(0)
    X = np.sort(random.normal(size=(30_000, 2)), axis=0) * [1.0, 3.0] + random.normal(size=(30_000, 2))
    components = random.normal(size=(2, 2))
    turned, hidden = turn_map(X, components)
    assert hidden is None
    np.testing.assert_allclose(measure_steps(X, turned, None), measure_steps(X, components, None), rtol=1e-9)
    mapped = X @ turned
    assert abs(np.corrcoef(mapped, rowvar=False)[0, 1]) < 0.01
    assert mapped[:, 0].var() > mapped[:, 1].var()


def test_diagonal_maps_join_to_the_root_of_their_mean_squares(data):
    options = {**BRIEF, "form": "diagonal", "n_components": 1}
    single = [MetricMap(random_state=seed, **options).fit(*data).components_ for seed in (0, 1)]
    joined = MetricMap(n_maps=2, **options).fit(*data).components_
    np.testing.assert_allclose(joined @ joined.T, np.mean([one**2 for one in single], axis=0), atol=1e-9)


def test_at_least_one_map_is_learned(data):
    with pytest.raises(ValueError, match="n_maps is 0"):
        MetricMap(n_maps=0).fit(*data)


def test_learning_shows_progress_where_asked(data, capsys):
    quiet, loud = (MetricMap(random_state=1, verbose=verbose, **BRIEF) for verbose in (0, 1))
    quiet.fit(*data)
    assert capsys.readouterr().err == ""
    np.testing.assert_array_equal(loud.fit(*data).components_, quiet.components_)
    assert "Learn the distance" in capsys.readouterr().err


@pytest.mark.parametrize("sharpness", [0.0, 1.3, np.linspace(0.1, 2.0, 5)])
def test_local_fits_are_weighted_ridge_regressions(sharpness):
    random = np.random.default_rng(0)
    queries, rows, targets = random.normal(size=(5, 3)), random.normal(size=(40, 3)), random.normal(size=40)
    found = search_neighbors(rows, queries, 20)
    counts = weigh_locally(queries, rows, found, sharpness, ridge=0.3)
    weights = weigh_softly(found.distances, np.broadcast_to(sharpness, 5)[:, np.newaxis])
    expected = weigh_plainly(queries, rows[found.indices], weights, ridge=0.3)
    np.testing.assert_allclose(counts, expected, rtol=1e-9, atol=1e-12)
    for number, near in enumerate(found.indices):
        model = Ridge(alpha=0.3).fit(rows[near], targets[near], sample_weight=weights[number])
        prediction = (counts[number] * targets[near]).sum()
        assert prediction == pytest.approx(model.predict(queries[number : number + 1])[0], rel=1e-9)
    np.testing.assert_allclose(weigh_locally(queries, rows, found, sharpness, ridge=np.inf), weights, rtol=1e-12)


def test_a_local_fit_follows_a_slope_to_the_edge():
    X = np.linspace(0, 1, 400).reshape(-1, 1)
    model = LocalLinearRegressor(40, sharpness=0.0, ridge=1e-9).fit(X, 3 * X[:, 0])
    np.testing.assert_allclose(model.predict([[0.0], [1.0], [0.5]]), [0.0, 3.0, 1.5], atol=1e-6)
    constant = LocalLinearRegressor(40, sharpness=0.0, ridge=1e9).fit(X, 3 * X[:, 0])
    assert constant.predict([[0.0]])[0] > 0.05


def test_a_local_fit_of_training_rows_leaves_each_out():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(60, 2)), random.normal(size=60)
    found = LocalLinearRegressor(10).fit(X, y).predict(None)
    rest = np.arange(60) != 7
    assert found[7] == pytest.approx(LocalLinearRegressor(10).fit(X[rest], y[rest]).predict(X[7:8])[0], rel=1e-12)


@pytest.mark.medium
def test_the_whole_model_beats_plain_neighbours_and_joins_its_maps(data):
    X, y = data
    options = {
        "numbers": [0, 1, 2, 3],
        "indicators": [4, 5, 6, 7],
        "n_maps": 2,
        "random_state": 7,
        **QUICK,
        "n_rounds": 10,
    }
    model = make_learned_regressor(**options).fit(X[:1000], y[:1000])
    rmse = np.sqrt(np.mean((model.predict(X[1000:]) - y[1000:]) ** 2))
    plain = KNeighborsRegressor(10).fit(X[:1000], y[:1000]).predict(X[1000:])
    assert rmse < 0.5 * np.sqrt(np.mean((plain - y[1000:]) ** 2))
    assert len(model[1].traces_) == 2
    alone = make_learned_regressor(**{**options, "n_maps": 1}).fit(X[:1000], y[:1000])
    assert model[1].traces_[0][-1].validation_rmse == alone[1].traces_[0][-1].validation_rmse
    again = clone(model).fit(X[:1000], y[:1000])
    np.testing.assert_array_equal(again.predict(X[1000:]), model.predict(X[1000:]))


def test_nothing_is_learned_from_rows_that_are_predicted(data):
    X, y = data
    options = {"numbers": list(range(8)), "indicators": [], "n_maps": 1, "random_state": 0, **BRIEF}
    model = make_learned_regressor(**options).fit(X[:1000], y[:1000])
    alone, among = model.predict(X[1000:1001]), model.predict(np.concatenate([X[1000:1001], 9 + X[1001:1100]]))[:1]
    np.testing.assert_allclose(alone, among, rtol=1e-12)


def test_a_row_has_the_same_prediction_whatever_rows_stand_beside_it(data):
    """A file of one row, or of three, gets the bits of a file of many."""
    X, y = data
    for options in (BRIEF, {**BRIEF, "n_components": 7, "n_units": 5}):
        model = make_learned_regressor(range(8), n_maps=1, random_state=0, **options).fit(X[:600], y[:600])
        expected = model.predict(X)
        for n_rows in (1, 2, 3, 7, 16, 17, 65, 500):
            np.testing.assert_array_equal(model.predict(X[-n_rows:]), expected[-n_rows:])


@pytest.mark.parametrize("kind", [tuple, np.array, pd.Index, pd.Series, dict.fromkeys], ids=lambda kind: kind.__name__)
def test_columns_are_named_by_any_sequence(data, kind):
    X, y = data[0][:300], data[1][:300]
    expected = make_learned_regressor([0, 1, 2], [3], n_maps=1, **BRIEF).fit(X, y).predict(X)
    for numbers in (kind([0, 1, 2]), range(3)):
        model = make_learned_regressor(numbers, kind([3]), n_maps=1, **BRIEF)
        np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), expected)
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    model = make_learned_regressor(kind(["a", "b", "c"]), kind(["d"]), n_maps=1, **BRIEF)
    np.testing.assert_array_equal(model.fit(frame, y).predict(frame), expected)


@pytest.fixture(scope="module")
def recordings():
    """Each song four times: equal columns, and a target that is the song's own but for a quarter."""
    random = np.random.default_rng(2)
    songs = np.repeat(np.arange(500), 4)
    X = random.normal(size=(500, 3))[songs]
    return X, X[:, 0] + random.normal(size=500)[songs] + 0.1 * random.normal(size=2000), songs


@pytest.mark.medium
def test_groups_are_predicted_from_others_while_learning(recordings):
    X, y, songs = recordings
    options = {**STRAIGHT, "row_share": 1.0}
    alone, together = learn_map(X, y, **options), learn_map(X, y, groups=songs, **options)
    assert alone.trace[alone.best].validation_rmse < 0.3
    assert together.trace[together.best].validation_rmse > 0.9
    assert min(entry.leave_one_out_rmse for entry in together.trace) > 0.9
    sizes = [np.linalg.norm(learned.components, axis=1) for learned in (alone, together)]
    assert sizes[0][0] < 1.1 * sizes[0][1:].max()  # all columns tell a song's recordings apart from others
    assert sizes[1][0] > 1.2 * sizes[1][1:].max()  # one tells the target of a new song
    assert sizes[0].max() > 3 * sizes[1].max()


def test_groups_of_one_row_change_nothing_but_their_names(recordings):
    X, y, _ = recordings
    names = np.array([f"song {number:04}" for number in range(2000)])
    expected, found = learn_map(X, y, **BRIEF), learn_map(X, y, groups=names, **BRIEF)
    np.testing.assert_array_equal(found.components, expected.components)


def test_a_round_draws_no_more_rows_than_asked(data):
    """1,350 rows are learned from, so the default share is 540."""
    few = learn_map(*data, **BRIEF | {"n_rows": 200})
    expected = learn_map(*data, **BRIEF).components
    assert not np.array_equal(few.components, expected)
    for same in ({"n_rows": 540, "row_share": 1.0}, {"n_rows": 540}, {"row_share": 0.5, "n_rows": 540}):
        np.testing.assert_array_equal(learn_map(*data, **BRIEF | same).components, expected)
    least = learn_map(*data, **BRIEF | {"row_share": 1e-9})
    np.testing.assert_array_equal(least.components, learn_map(*data, **BRIEF | {"n_rows": 31}).components)


@pytest.mark.medium
def test_rounds_of_a_part_of_the_rows_learn_less_by_heart(data):
    X, y = data[0][:600], data[1][:600] + np.random.default_rng(4).normal(size=600)
    gaps = {}
    for share in (0.2, 1.0):
        last = learn_map(X, y, **QUICK | {"row_share": share, "n_rounds": 40}).trace[-1]
        gaps[share] = last.validation_rmse - last.leave_one_out_rmse
    assert gaps[0.2] < 0.6 * gaps[1.0]


@pytest.mark.parametrize("groups", [np.zeros(1500), np.arange(2), np.arange(1500) % 2])
def test_groups_that_cannot_be_are_refused(data, groups):
    with pytest.raises(ValueError, match="groups has shape"):
        learn_map(*data, groups=groups, **QUICK)


@pytest.mark.medium
def test_pipelines_and_means_hand_groups_to_their_maps(recordings):
    X, y, songs = recordings
    options = {**QUICK, "n_maps": 1, "row_share": 1.0, "n_rounds": 8, "n_units": 128}  # bent, to learn songs by heart
    parts = [make_learned_regressor([0, 1, 2], random_state=seed, **options) for seed in (0, 1)]
    model = VotingRegressor([("first", parts[0]), ("second", parts[1])])
    plain, grouped = (fit_in_groups(clone(model), X, y, groups) for groups in (None, songs))
    for without, given in zip(plain.estimators_, grouped.estimators_, strict=True):
        assert without[1].traces_[0][-1].validation_rmse < 0.3 < 0.9 < given[1].traces_[0][-1].validation_rmse
    np.testing.assert_array_equal(clone(model).fit(X, y).predict(X[:9]), plain.predict(X[:9]))
    with pytest.raises(ValueError, match="groups"):
        model.fit(X, y, groups=songs)


def test_weights_fall_more_slowly_where_rows_are_sparse():
    X = np.concatenate([np.linspace(0, 1, 100), np.linspace(50, 90, 40)]).reshape(-1, 1)
    sharp, wide = (LocalLinearRegressor(40, ridge=1e9, reach=reach).fit(X, X[:, 0]) for reach in (np.inf, 4.5))
    for model, counted in ((sharp, (1, 3)), (wide, (10, 40))):
        _, weights = model.weigh([[70.0]])
        assert counted[0] <= 1 / (weights**2).sum() <= counted[1]
    np.testing.assert_array_equal(*(model.predict([[0.5]]) for model in (sharp, wide)))
    found, weights = wide.weigh([[70.0]])
    ratios = np.exp(-4.5 * (found.distances[0] ** 2 - found.distances[0, 0] ** 2) / found.distances[0, 29] ** 2)
    np.testing.assert_allclose(weights[0], ratios / ratios.sum(), rtol=1e-6)
    with pytest.raises(ValueError, match="reach is 0"):
        LocalLinearRegressor(reach=0).fit(X, X[:, 0])


@pytest.mark.medium
def test_units_of_columns_change_no_prediction_but_for_rounding(data):
    X, y = data
    units = 10.0 ** np.arange(-3, 5)
    plain, scaled = (
        make_learned_regressor(range(8), n_maps=1, **BRIEF).fit(rows, y) for rows in (X, X * units + units)
    )
    np.testing.assert_allclose(scaled.predict(X * units + units), plain.predict(X), atol=0.02)


@pytest.mark.medium
def test_few_rows_of_many_columns_are_not_learned_by_heart():
    """One column of 60 tells the target, of 300 rows: a mean has an R² of 0."""
    X = np.random.default_rng(0).normal(size=(600, 60))
    model = make_learned_regressor(range(60), n_rounds=15).fit(X[:300], 2 * X[:300, 0])
    assert model["metricmap"].hidden_ is None
    assert model.score(X[300:], 2 * X[300:, 0]) > 0.3


def test_several_targets_are_refused_in_a_line(data):
    X, y = data
    with pytest.raises(ValueError, match="1d array") as caught:
        make_learned_regressor(range(8), **BRIEF).fit(X, np.c_[y, y])
    assert "\n" not in str(caught.value)
