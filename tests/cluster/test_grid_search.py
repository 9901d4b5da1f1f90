"""A search of from_grid_search on a real Ray: the scores of the search on one machine."""

from __future__ import annotations

import numpy as np
import pytest
from real_ray import start_ray
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from energyknn import from_grid_search
from energyknn.cluster import fit_search_on_ray

X, y = make_classification(400, 6, n_informative=4, n_classes=3, random_state=0)
PIPELINE = Pipeline([("scaler", StandardScaler()), ("knn", KNeighborsClassifier())])
GRID = [
    {"scaler__with_std": [True, False], "knn__n_neighbors": [1, 5, 500], "knn__weights": ["distance", lambda d: d + 1]},
    {"knn": [LogisticRegression()], "knn__C": [0.1, 1]},
]
SEARCH = GridSearchCV(
    PIPELINE, GRID, cv=3, scoring=["accuracy", "neg_log_loss"], refit="accuracy", return_train_score=True
)


@pytest.mark.ray
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_scores_are_those_of_one_machine():
    expected = from_grid_search(SEARCH).fit(X, y)
    with start_ray():
        found = fit_search_on_ray(from_grid_search(SEARCH), X, y)
    assert list(found.cv_results_) == list(expected.cv_results_)
    for name, values in expected.cv_results_.items():
        if name.startswith(("split", "mean_t", "std_t", "rank")):
            np.testing.assert_array_equal(found.cv_results_[name], values, err_msg=name)
    assert found.best_params_ == expected.best_params_
    np.testing.assert_array_equal(found.predict(X), expected.predict(X))
    assert not hasattr(found, "_execute")


def test_another_search_is_refused():
    with pytest.raises(TypeError, match=r"is a GridSearchCV\. It must be one that from_grid_search returned"):
        fit_search_on_ray(SEARCH, X, y)
