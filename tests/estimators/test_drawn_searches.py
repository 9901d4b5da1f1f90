"""Searches that are drawn at random: `from_grid_search` gives what scikit-learn's own fit gives."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from estimators.test_drop_in import assert_same
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    RandomizedSearchCV,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
)
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, RobustScaler, StandardScaler

NUMBERS = ["r2", "neg_mean_squared_error", "neg_mean_absolute_error", "neg_max_error", "explained_variance"]
LABELS = ["accuracy", "balanced_accuracy", "f1_macro", "neg_log_loss", "roc_auc_ovr", "matthews_corrcoef"]
DISTANCES = [
    {"p": [1, 2]},
    {"p": [1.5, 3]},
    {"metric": ["manhattan", "euclidean"]},
    {"metric": ["chebyshev"]},
    {"metric": ["cosine"]},
    {"algorithm": ["kd_tree", "brute"]},
    {"leaf_size": [3, 30]},
    {},
]


def choose(draw, values):
    """Return one of the values."""
    return values[int(draw.integers(len(values)))]


def draw_search(draw):
    """Draw a search over a pipeline, the rows and the targets."""
    classifies = bool(draw.integers(2))
    n_rows, n_features = int(draw.integers(40, 120)), int(draw.integers(3, 7))
    X = draw.normal(size=(n_rows, n_features)) * draw.uniform(0.1, 10, size=n_features)
    score = X @ draw.normal(size=n_features) + draw.normal(size=n_rows)
    y = np.digitize(score, np.quantile(score, [0.3, 0.6])) if classifies else score
    if classifies and draw.integers(2):
        y = np.array(["b", "a", "c"])[y]
    model = KNeighborsClassifier() if classifies else KNeighborsRegressor()
    most = n_rows // 2 + (n_rows if draw.integers(8) == 0 and not classifies else 0)  # some regressions ask too many
    sizes = [int(k) for k in draw.integers(1, most, size=4)]
    weights = [["uniform"], ["distance"], ["uniform", "distance"], [lambda distances: np.exp(-distances)], [None]]
    own = {"n_neighbors": sizes, "weights": choose(draw, weights), **choose(draw, DISTANCES)}
    steps, grid = [], {}
    for number in range(int(draw.integers(3))):
        name = f"step{number}"
        choices = [StandardScaler(), RobustScaler(), MinMaxScaler(), QuantileTransformer(n_quantiles=10), "passthrough"]
        if own.get("metric") == ["chebyshev"]:
            del choices[2:4]  # with ends at 0 and 1, the largest differences of several rows are equal
        steps.append((name, choose(draw, choices)))
        if draw.integers(3) == 0:
            grid[name] = [StandardScaler(), "passthrough"]
    if draw.integers(4) == 0:
        steps.append(("last", choose(draw, [PCA(2), SelectKBest(f_classif if classifies else f_regression, k=2)])))
        grid |= {"last__n_components": [2, 3]} if isinstance(steps[-1][1], PCA) else {"last__k": [2, "all"]}
    estimator, prefix = model, ""
    if steps or draw.integers(2):
        estimator, prefix = Pipeline([*steps, ("knn", model)]), "knn__"
    grid |= {f"{prefix}{name}": values for name, values in own.items()}
    folds = [
        int(draw.integers(2, 6)),
        KFold(3, shuffle=True, random_state=0),
        RepeatedKFold(n_splits=2, n_repeats=2, random_state=1),
        ShuffleSplit(2, random_state=2),
        StratifiedKFold(3) if classifies else TimeSeriesSplit(3),
    ]
    names = LABELS if classifies else NUMBERS
    several = [str(name) for name in draw.choice(names, size=2, replace=False)]
    scoring = choose(draw, [None, choose(draw, names), several])
    options = {
        "cv": choose(draw, folds),
        "scoring": scoring,
        "refit": scoring[0] if isinstance(scoring, list) else bool(draw.integers(4)),
        "return_train_score": bool(draw.integers(2)),
        "error_score": choose(draw, [np.nan, -1e9]),
    }
    if draw.integers(3) == 0:
        return RandomizedSearchCV(estimator, grid, n_iter=3, random_state=int(draw.integers(9)), **options), X, y
    return GridSearchCV(estimator, grid, **options), X, y


def check_search(seed):
    """Draw a search and hold it to scikit-learn's."""
    search, X, y = draw_search(np.random.default_rng(seed))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            search.fit(X, y)
    except Exception as error:
        with pytest.raises(type(error)):
            assert_same(search, X, y)
        return
    assert_same(search, X, y)


@pytest.mark.medium
@pytest.mark.parametrize("seed", [*range(6), *[pytest.param(seed, marks=pytest.mark.slow) for seed in range(6, 60)]])
def test_a_drawn_search(seed):
    check_search(seed)


@pytest.mark.fuzz
def test_two_thousand_drawn_searches():
    for seed in range(1000, 3000):
        try:
            check_search(seed)
        except AssertionError as error:
            message = f"The search of seed {seed} differs."
            raise AssertionError(message) from error
