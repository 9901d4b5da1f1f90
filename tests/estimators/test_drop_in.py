"""from_grid_search: the results of scikit-learn's own search, for searches of many kinds."""

from __future__ import annotations

import pickle
import re
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from scipy.stats import randint
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import TransformedTargetRegressor, make_column_transformer
from sklearn.datasets import make_classification, make_regression
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestRegressor
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - it makes the import below work
from sklearn.feature_selection import SelectKBest, f_regression
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.metrics import get_scorer, get_scorer_names, make_scorer, mean_absolute_error
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    HalvingGridSearchCV,
    KFold,
    LeaveOneOut,
    RandomizedSearchCV,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from energyknn.estimators import KNNClassifier, KNNRegressor, from_grid_search
from energyknn.estimators.model_at_end import find_model
from energyknn.estimators.quick_scores import _OF_CLASSES, _OF_NUMBERS, _OF_VOTES

K = {"n_neighbors": [3, 2, 1]}
BOTH = {"weights": ["uniform", "distance"]}
X, y = make_regression(90, 5, noise=10, random_state=42)
FRAME = pd.DataFrame(X, columns=list("abcde"))
CX, CY = make_classification(240, 6, n_informative=4, n_classes=3, random_state=0)
LABELS = np.array(["red", "green", "blue"])[CY]
random = np.random.default_rng(0)
MIXED = FRAME.assign(town=random.choice(list("stuvwxyz"), len(X)))
MIXED.loc[::17, "b"] = np.nan


def named(model):
    return Pipeline([("scaler", StandardScaler()), ("knn", model)])


def near_ties(means):
    """Tell whether two means differ in the last digits alone."""
    steps = np.diff(np.sort(means))
    return bool(((steps > 0) & (steps < 1e-12)).any())


def assert_same(search, X, y, **params):
    """Hold `from_grid_search` of a search to the search itself: results, dtypes and the best model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with joblib.parallel_config("threading"):  # processes would take seconds to start
            expected = clone(search).fit(X, y, **params)
        found = from_grid_search(search).fit(X, y, **params)
    assert isinstance(found, type(search))
    assert list(found.cv_results_) == list(expected.cv_results_)
    assert str(found.cv_results_["params"]) == str(expected.cv_results_["params"])
    for name, values in expected.cv_results_.items():
        assert getattr(found.cv_results_[name], "dtype", None) == getattr(values, "dtype", None), name
        if name.startswith("rank") and near_ties(expected.cv_results_[name.replace("rank", "mean")]):
            continue  # the last digits decide, and a sum in another order changes them
        if name.startswith(("split", "mean_t", "std_t", "rank")):
            np.testing.assert_allclose(found.cv_results_[name], values, rtol=0, atol=1e-10, err_msg=name)
    for name in ("best_index_", "best_params_", "n_splits_", "multimetric_"):
        assert str(getattr(found, name, None)) == str(getattr(expected, name, None)), name
    assert hasattr(found, "best_score_") == hasattr(expected, "best_score_")
    if hasattr(expected, "best_estimator_"):
        # scikit-learn's brute force gives a row a distance of some 1e-8 to itself, by the machine; weights feel it.
        weights = getattr(find_model(found.best_estimator_), "weights", None)
        near = 1e-9 if weights in ("uniform", None) else 1e-6 * (np.ptp(y) if np.asarray(y).dtype.kind == "f" else 1)
        np.testing.assert_array_equal(getattr(found, "classes_", None), getattr(expected, "classes_", None))
        try:
            other = expected.predict(X)
        except ValueError:  # the best candidate failed on every fold, too
            with pytest.raises(ValueError, match="n_neighbors"):
                found.predict(X)
            return found
        one = found.predict(X)
        if one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=near)
        else:
            np.testing.assert_array_equal(one, other)
        assert type(found.best_estimator_) in (type(expected.best_estimator_), KNNRegressor, KNNClassifier)
        if isinstance(expected.best_estimator_, Pipeline):
            assert list(found.best_estimator_.named_steps) == list(expected.best_estimator_.named_steps)
    return found


R, C, G = KNeighborsRegressor, KNeighborsClassifier, GridSearchCV
ENCODED = make_column_transformer((TargetEncoder(cv=KFold(5)), ["town"]), (StandardScaler(), ["a", "c"]))
COLUMNS = make_column_transformer(
    (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), ["a", "b", "c"]),
    (OneHotEncoder(handle_unknown="ignore"), ["town"]),
)
LOGGED = TransformedTargetRegressor(
    regressor=named(R()), func=lambda t: np.log(t + 1e3), inverse_func=lambda t: np.exp(t) - 1e3
)

REGRESSIONS = {
    "k": G(R(), {"n_neighbors": range(1, 21)}),
    "several metrics": G(
        R(), K | BOTH, scoring=["r2", "neg_max_error"], refit="neg_max_error", return_train_score=True
    ),
    "repeated values": G(R(), {"n_neighbors": [3, 3, 1, 3], **BOTH}),
    "algorithm and leaf size": G(
        R(), K | BOTH | {"algorithm": ["brute", "kd_tree", "ball_tree", "auto"], "leaf_size": [2, 30]}, cv=3
    ),
    "metrics by name": G(R(), K | {"metric": ["cityblock", "l2", "minkowski", "chebyshev", "cosine", "braycurtis"]}),
    "p beside a metric": G(R(metric="manhattan"), K | {"p": [1, 2]}),
    "powers": G(R(), [{"n_neighbors": [1, 3], "p": [1, 1.5, 2, 3]}, {"weights": ["distance"], "p": [4]}]),
    "weighted columns": G(R(), K | {"metric_params": [None, {"w": np.array([1.0, 2.0, 0.5, 1.0, 0.1])}]}),
    "a distance of one's own": G(R(), {"n_neighbors": [2], "metric": [lambda a, b: np.abs(a - b).max()]}, cv=2),
    "weights of one's own": G(R(), K | {"weights": [None, lambda d: 1 / (1 + d), "distance"]}),
    "jobs in the grid": G(R(), K | {"n_jobs": [1, 2]}, n_jobs=2),
    "a pipeline's grid": G(named(R()), {"knn__n_neighbors": [2, 7], "knn__weights": ["distance"]}, cv=4),
    "steps tuned": G(make_pipeline(PCA(), R()), {"pca__n_components": [1, 3], "kneighborsregressor__p": [1, 2]}),
    "steps swapped": G(
        named(R()), {"scaler": [StandardScaler(), RobustScaler(), "passthrough", None], "knn__n_neighbors": [2, 6]}
    ),
    "columns chosen": G(
        Pipeline([("sel", SelectKBest(f_regression)), ("knn", R())]), {"sel__k": [2, "all"], "knn__n_neighbors": [2, 6]}
    ),
    "model in the grid": G(named(R()), [{"knn": [R(), R(p=1)], "knn__n_neighbors": [3, 5]}]),
    "other models": G(
        named(R()), [{"knn": [R()], "knn__n_neighbors": [3, 5]}, {"knn": [Ridge()], "knn__alpha": [1, 10]}], cv=3
    ),
    "our own model": G(KNNRegressor(weights="distance"), K),
    "nested pipelines": G(
        make_pipeline(MinMaxScaler(), Pipeline([("inner", StandardScaler()), ("knn", R())])),
        {"pipeline__knn__n_neighbors": [2, 5], "pipeline__inner__with_std": [True, False]},
    ),
    "target transformed": G(LOGGED, {"regressor__knn__n_neighbors": [1, 4], "regressor__scaler__with_mean": [True]}),
    "repeated folds": G(R(), K, cv=RepeatedKFold(n_splits=3, n_repeats=2, random_state=9)),
    "overlapping folds": G(R(), K, cv=ShuffleSplit(4, random_state=1)),
    "rows on both sides": G(R(), K, cv=[(np.arange(60), np.arange(30, 90))]),
    "masks": G(R(), K, cv=[(np.arange(90) < 50, np.arange(90) >= 50)]),
    "time series": G(R(), K | BOTH, cv=TimeSeriesSplit(4), return_train_score=True),
    "a random search": RandomizedSearchCV(
        R(), {"n_neighbors": randint(1, 20), "p": [1, 2], **BOTH}, n_iter=9, random_state=3
    ),
    "k above a fold": G(R(), {"n_neighbors": [5, 70, 400], **BOTH}),
    "k above a fold, scored 0": G(R(), {"n_neighbors": [5, 400]}, error_score=0),
    "k below 1": G(R(), {"n_neighbors": [0, 5, -3]}),
    "no refit": G(R(), K, refit=False),
    "refit by a function": G(R(), K, refit=lambda results: int(results["mean_test_score"].argmin())),
    "a scorer that predicts other rows": G(R(), K, scoring=lambda e, A, b: -abs(e.predict(A + 0.5) - b).mean()),
    "a scorer that reads parameters": G(R(), K, scoring=lambda e, _A, _b: -e.n_neighbors),
    "a scorer that predicts a part": G(R(), K, scoring=lambda e, A, _b: e.predict(A[:10]).mean()),
    "a scorer that asks for neighbours": G(R(), K, scoring=lambda e, A, _b: -e.kneighbors(A)[0].mean()),
    "a scorer that returns a mapping": G(
        R(), K, scoring=lambda e, A, b: {"a": -abs(e.predict(A) - b).mean(), "b": e.score(A, b)}, refit="a"
    ),
    "a scorer that fails": G(R(), K, scoring=lambda e, _A, _b: 1.0 if e.n_neighbors > 1 else 1 / 0),
    "a scorer made of a metric": G(R(), K, scoring=make_scorer(mean_absolute_error, greater_is_better=False)),
}


@pytest.mark.parametrize("name", REGRESSIONS)
def test_regression(name):
    assert_same(REGRESSIONS[name], X, y)


FRAMES = {
    "columns by name": (G(make_pipeline(COLUMNS, R()), {"kneighborsregressor__n_neighbors": [1, 5]}), MIXED),
    "target encoder": (
        G(make_pipeline(ENCODED, StandardScaler(), R()), {"kneighborsregressor__n_neighbors": [1, 20]}),
        MIXED,
    ),
    "a plain frame": (G(R(), K | BOTH), FRAME),
    "rows with gaps": (G(R(metric="nan_euclidean"), K), FRAME.mask(FRAME > 1.2)),
    "sparse rows": (
        G(make_pipeline(TruncatedSVD(2), R()), {"truncatedsvd__n_components": [2, 3]}),
        sparse.csr_array(X),
    ),
    "sparse rows for the model": (G(R(), K | BOTH), sparse.csr_array(np.where(abs(X) < 0.3, 0, X))),
    "distances": (G(R(metric="precomputed"), K | BOTH), np.linalg.norm(X[:, None] - X[None], axis=2)),
    "nullable numbers": (
        G(make_pipeline(StandardScaler(), R()), {"kneighborsregressor__n_neighbors": [2, 4]}),
        FRAME.convert_dtypes(),
    ),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_and_other_rows(name):
    search, rows = FRAMES[name]
    assert_same(search, rows, y if name != "a plain frame" else pd.Series(y, index=np.arange(90)[::-1]))


CLASSES = {
    "k and weights": G(C(), {"n_neighbors": range(1, 12), **BOTH}),
    "metrics": G(named(C()), {"knn__n_neighbors": [3, 5, 11], "knn__metric": ["euclidean", "manhattan"]}, n_jobs=-1),
    "scorers": G(
        C(), K, scoring=["accuracy", "roc_auc_ovr", "f1_macro", "neg_log_loss", "matthews_corrcoef"], refit="f1_macro"
    ),
    "folds": G(C(), K, cv=StratifiedKFold(4, shuffle=True, random_state=1), return_train_score=True),
    "a random search": RandomizedSearchCV(C(), {"n_neighbors": range(1, 40), **BOTH}, n_iter=8, random_state=0),
    "weights of one's own": G(C(), K | {"weights": [lambda d: np.exp(-d)]}),
    "our own model": G(KNNClassifier(), K),
}


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    assert_same(CLASSES[name], CX, LABELS)


@pytest.mark.parametrize("labels", [CY, CY == 1, CY + 0.0], ids=["numbers", "booleans", "floats"])
@pytest.mark.parametrize("name", ["k and weights", "a random search", "our own model"])
def test_labels(name, labels):
    assert_same(CLASSES[name], CX, labels)


def test_several_labels():
    assert_same(G(C(), K | BOTH, scoring=lambda e, A, b: (e.predict(A) == b).mean()), CX, np.c_[CY, CY[::-1]])


def test_several_targets():
    assert_same(G(R(), K | BOTH, scoring=["r2", "neg_mean_absolute_error"], refit="r2"), X, np.c_[y, y[::-1]])


def test_a_class_that_a_training_fold_lacks():
    order = np.argsort(CY, kind="stable")
    assert_same(G(C(), K, cv=KFold(3), scoring=["accuracy", "neg_log_loss"], refit=False), CX[order], CY[order])


def test_groups_and_leave_one_out():
    assert_same(G(R(), K, cv=GroupKFold(3)), X, y, groups=np.arange(90) % 7)
    assert_same(G(R(), K, cv=LeaveOneOut(), scoring="neg_mean_absolute_error"), X[:30], y[:30])


def test_scorers_that_take_sample_weights_get_them():
    with config_context(enable_metadata_routing=True):
        scorer = make_scorer(mean_absolute_error, greater_is_better=False).set_score_request(sample_weight=True)
        assert_same(G(R(), K, scoring=scorer), X, y, sample_weight=np.arange(90.0))


class Counted(TransformerMixin, BaseEstimator):
    """A step that counts how often it is fitted."""

    fits = 0

    def __init__(self, power=1):
        self.power = power

    def fit(self, _X, _y=None):
        type(self).fits += 1
        return self

    def transform(self, X):
        return X**self.power


def test_steps_are_fitted_once_for_each_setting_of_them_and_fold():
    Counted.fits = 0
    grid = {"counted__power": [1, 3], "kneighborsregressor__n_neighbors": range(1, 9), "kneighborsregressor__p": [1, 2]}
    from_grid_search(G(make_pipeline(Counted(), R()), grid, cv=5, refit=False)).fit(X, y)
    assert Counted.fits == 2 * 5


class Fails(TransformerMixin, BaseEstimator):
    """A step that cannot be fitted with one of its parameters."""

    def __init__(self, fails=False):
        self.fails = fails

    def fit(self, _X, _y=None):
        if self.fails:
            message = "not with these"
            raise ValueError(message)
        return self

    def transform(self, X):
        return X


def test_a_step_that_fails_is_scored_by_error_score():
    grid = {"fails__fails": [True, False], "kneighborsregressor__n_neighbors": [1, 2]}
    assert_same(G(make_pipeline(Fails(), R()), grid, error_score=-7.0), X, y)
    with pytest.raises(ValueError, match="not with these"):
        from_grid_search(G(make_pipeline(Fails(), R()), grid, error_score="raise")).fit(X, y)
    with pytest.raises(ValueError, match="All the 5 fits failed"):
        from_grid_search(G(make_pipeline(Fails(True), R()), {"kneighborsregressor__p": [1]})).fit(X, y)


class Clipped(KNeighborsRegressor):
    """A model of someone's own."""

    def predict(self, X):
        return np.clip(super().predict(X), -50, 50)


@pytest.mark.parametrize(
    ("search", "error", "message"),
    [
        (HalvingGridSearchCV(R(), K), TypeError, "HalvingGridSearchCV is no search that is known. Give a GridSearchCV"),
        (G(Clipped(), K), ValueError, "is over Clipped. It must be over one of .* not over a subclass"),
        (G(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [1]}), ValueError, "is over Ridge"),
        (R(), TypeError, "KNeighborsRegressor is no search that is known"),
        (G(RandomForestRegressor(), {"max_depth": [1]}), ValueError, "RandomForestRegressor"),
    ],
)
def test_what_cannot_be_taken_is_refused_at_once(search, error, message):
    with pytest.raises(error, match=message) as raised:
        from_grid_search(search)
    assert "\n" not in str(raised.value)


def test_unknown_parameters_are_told_in_scikit_learns_words():
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        from_grid_search(G(named(R()), {"knn__nothing": [2]})).fit(X, y)
    with pytest.raises(ValueError, match="refit"):
        from_grid_search(G(R(), K, refit=1.7)).fit(X, y)
    with pytest.raises(IndexError, match="best_index_ index out of range"):
        from_grid_search(G(R(), K, refit=lambda _results: -1)).fit(X, y)
    with pytest.raises(ValueError, match="error_score"):
        from_grid_search(G(R(), K, error_score="nonsense")).fit(X, y)


def test_a_second_fit_leaves_nothing_of_the_first():
    search = from_grid_search(G(R(), K)).fit(X, y)
    search.set_params(refit=False).fit(X, -y)
    assert not hasattr(search, "best_estimator_")
    with pytest.raises(AttributeError, match="predict"):
        search.predict(X)


def test_the_given_search_stays_as_it_was_and_the_new_one_is_a_search_like_others():
    given = G(named(R()), {"knn__n_neighbors": [2, 5]}, cv=3)
    search = from_grid_search(given)
    assert not hasattr(given, "cv_results_")
    assert type(given.estimator[-1]) is KNeighborsRegressor
    search.fit(X, y)
    again = pickle.loads(pickle.dumps(search))  # noqa: S301 - made here
    np.testing.assert_array_equal(again.predict(X), search.predict(X))
    assert type(search.best_estimator_["knn"]) is KNNRegressor
    given.estimator.set_params(**search.best_params_)
    scores = cross_val_score(from_grid_search(given), X, y, cv=2)
    np.testing.assert_allclose(scores, cross_val_score(given, X, y, cv=2), atol=1e-10)


def test_steps_that_set_nothing_when_they_are_fitted():
    assert_same(G(make_pipeline(FunctionTransformer(np.tanh), R()), {"kneighborsregressor__p": [1, 2]}), X, y)


def test_threads_of_the_search_reach_the_model():
    assert from_grid_search(G(R(), K, n_jobs=1)).fit(X, y).best_estimator_.n_jobs == 1
    assert from_grid_search(G(R(n_jobs=2), K)).fit(X, y).best_estimator_.n_jobs == 2


def test_folds_that_can_be_listed_once_serve_both_searches():
    given = G(R(), K, cv=KFold(3).split(X))
    fast = from_grid_search(given).fit(X, y)
    np.testing.assert_allclose(fast.cv_results_["mean_test_score"], given.fit(X, y).cv_results_["mean_test_score"])


def test_polars_frames_keep_their_names():
    table = pl.from_pandas(MIXED)
    assert_same(G(make_pipeline(COLUMNS, R()), {"kneighborsregressor__n_neighbors": [1, 5]}), table, y)


def test_an_interrupted_search_shows_the_folds_that_were_finished(monkeypatch):
    def interrupt_last(steps, _description):
        *most, _ = steps
        yield from most
        raise KeyboardInterrupt

    whole = from_grid_search(G(R(), K | BOTH, cv=3)).fit(X, y)
    monkeypatch.setattr("energyknn.estimators.one_search.track_silently", interrupt_last)
    search = from_grid_search(G(R(), K | BOTH, cv=3))
    with pytest.raises(KeyboardInterrupt):
        search.fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["split1_test_score"], whole.cv_results_["split1_test_score"])
    assert np.isnan(search.cv_results_["split2_test_score"]).all()
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert not hasattr(search, "best_estimator_")


def read_lines(text):
    """Sort the lines that a search printed, without the times and the dots before them."""
    lines = re.sub(r"total time=\s*\S+", "", text).splitlines()
    return sorted(re.sub(r"\.{2,}", " ", line).strip() for line in lines)


@pytest.mark.parametrize("verbose", [1, 2, 3, 10])
@pytest.mark.parametrize(
    "options", [{}, {"return_train_score": True, "scoring": ["r2", "neg_max_error"], "refit": "r2"}]
)
def test_what_a_search_prints(verbose, options, capfd):
    grid = {"knn__n_neighbors": [2, 50], "scaler": [None, StandardScaler()]}
    grids = [grid, {"knn": [Ridge()], "knn__alpha": [1.0, 2.0]}]
    search = G(named(R()), grids, cv=2, verbose=verbose, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search.fit(X, y)
        expected = capfd.readouterr().out
        from_grid_search(search).fit(X, y)
    found = capfd.readouterr().out
    assert read_lines(found) == read_lines(expected)
    assert found.count("\n") == 1 + (12 if verbose > 1 else 0) + (12 if verbose > 9 else 0)


class Recorder:
    """A callback that notes what it is told."""

    def __init__(self):
        self.told = []

    def setup(self, estimator, context):  # noqa: ARG002 - scikit-learn's signature
        self.told.append(("setup", context.task_name))

    def teardown(self, estimator, context):  # noqa: ARG002 - scikit-learn's signature
        self.told.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context, *, X, y, metadata):  # noqa: ARG002 - scikit-learn's signature
        self.told.append(("begin", context.task_name, context.task_id, context.max_subtasks, repr(X), repr(y)))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata):  # noqa: ARG002 - scikit-learn's signature
        weights = None if metadata is None else metadata["sample_weight"].tolist()
        self.told.append(("end", context.task_name, context.task_id, weights))


@pytest.mark.parametrize("refit", [True, False])
def test_callbacks_are_told_what_a_search_of_scikit_learn_tells_them(refit):
    grids = [K | BOTH, {"n_neighbors": [40, 80]}]
    recorders, searches = (Recorder(), Recorder()), []
    for recorder in recorders:
        search = G(R(), grids, cv=2, refit=refit).set_callbacks(recorder)
        searches.append(search)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 80 neighbours of 45 rows
        searches[0].fit(X, y)
        from_grid_search(searches[1]).fit(X, y)
    expected, found = (recorder.told for recorder in recorders)
    assert sorted(map(str, found)) == sorted(map(str, expected))
    assert found[:4] == expected[:4]
    assert found[-3:] == expected[-3:]


def test_a_splitter_that_gives_other_folds_than_it_says_is_refused():
    class Short(KFold):
        def split(self, X, y=None, groups=None):
            return list(super().split(X, y, groups))[:2]

    with pytest.raises(ValueError, match="inconsistent results"):
        from_grid_search(G(R(), K, cv=Short(4))).fit(X, y)


@pytest.mark.parametrize("model", [R(), named(R())], ids=["alone", "pipeline"])
def test_rows_that_a_scorer_makes_are_not_taken_for_those_of_the_fold(model):
    """Each candidate's rows may lie where those of the last one lay in memory."""

    def score(fitted, X, y):
        n_neighbors = fitted[-1].n_neighbors if isinstance(fitted, Pipeline) else fitted.n_neighbors
        return -np.abs(fitted.predict(X + n_neighbors / 10) - y).mean()

    prefix = "knn__" if isinstance(model, Pipeline) else ""
    assert_same(G(model, {f"{prefix}n_neighbors": range(1, 30)}, scoring=score, cv=3), X, y)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.bool_])
def test_targets_of_other_dtypes(dtype):
    assert_same(G(R(), K | BOTH, cv=3, scoring=["r2", "neg_mean_absolute_error"], refit="r2"), X, y.astype(dtype))


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("scoring", [["accuracy", "balanced_accuracy"], ["accuracy", "neg_log_loss"]])
def test_many_classes(outputs, scoring, monkeypatch):
    """With more classes than neighbours, only those with votes are counted. Ties go to the smallest label."""
    monkeypatch.setattr("energyknn.estimators.fitted_fold._SMALL_WORK", 0)
    drawn = np.random.default_rng(3)
    rows, labels = drawn.normal(size=(400, 2)), drawn.permutation(np.arange(400) % 40)
    labels = labels if outputs == 1 else np.c_[labels, labels[::-1]]
    scoring = scoring if outputs == 1 else lambda model, X, y: (model.predict(X) == y).mean()
    search = G(C(), {"n_neighbors": [1, 2, 7, 12]} | BOTH, cv=KFold(2), scoring=scoring, refit=False)
    assert_same(search, rows, labels)


TASKS = {
    "numbers": (R(), X, np.abs(y)),
    "two classes": (C(), CX, CY == 1),
    "three classes": (C(), CX, CY),
    "several labels": (C(), CX, np.c_[CY == 1, CY == 2].astype(int)),
}


SCORED = {"numbers": 13, "two classes": 20, "three classes": 15, "several labels": 10}  # names that suit the task


@pytest.mark.medium
@pytest.mark.parametrize("task", TASKS)
def test_every_scorer_of_scikit_learn(task, monkeypatch):
    """Candidates that are predicted in one pass, as for many rows, have the scores of those predicted alone."""
    model, rows, targets = TASKS[task]
    names = [name for name in get_scorer_names() if task != "numbers" or get_scorer(name)._response_method == "predict"]
    search = G(model, {"n_neighbors": [3, 1]} | BOTH, cv=2, scoring=names, refit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = clone(search).fit(rows, targets).cv_results_
        one_by_one = from_grid_search(search).fit(rows, targets).cv_results_
        monkeypatch.setattr("energyknn.estimators.fitted_fold._SMALL_WORK", 0)
        at_once = from_grid_search(search).fit(rows, targets).cv_results_
    scored = [name for name in names if np.isfinite(expected[f"mean_test_{name}"]).any()]
    assert len(scored) >= SCORED[task]
    for split in (f"split{fold}_test_{name}" for fold in range(2) for name in names):
        for found in (one_by_one, at_once):
            np.testing.assert_allclose(found[split], expected[split], rtol=1e-12, atol=1e-12, err_msg=split)


def check_scorers(names, task):
    """Hold the scores of a search with each scorer alone to scikit-learn's, and return the names that suit the task."""
    model, rows, targets = TASKS[task]
    scored = []
    for name in names:
        search = G(model, K | BOTH, cv=3, scoring=name, refit=False, error_score="raise")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                expected = clone(search).fit(rows, targets).cv_results_
            except (ValueError, TypeError, AttributeError) as error:
                with pytest.raises(type(error)):
                    from_grid_search(search).fit(rows, targets)
                continue
            found = from_grid_search(search).fit(rows, targets).cv_results_
        for split in (f"split{fold}_test_score" for fold in range(3)):
            np.testing.assert_allclose(found[split], expected[split], rtol=1e-12, atol=1e-12, err_msg=name)
        scored.append(name)
    return scored


@pytest.mark.medium
@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])
@pytest.mark.parametrize("task", TASKS)
def test_the_quick_scores_are_scikit_learns(task, at_once, monkeypatch):
    if at_once:
        monkeypatch.setattr("energyknn.estimators.fitted_fold._SMALL_WORK", 0)
    assert len(check_scorers([*_OF_NUMBERS, *_OF_CLASSES, *_OF_VOTES], task)) >= (1 if task == "several labels" else 3)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [False, True], ids=["one by one", "at once"])
@pytest.mark.parametrize("task", TASKS)
def test_every_scorer_alone(task, at_once, monkeypatch):
    if at_once:
        monkeypatch.setattr("energyknn.estimators.fitted_fold._SMALL_WORK", 0)
    assert len(check_scorers(get_scorer_names(), task)) >= SCORED[task]
