"""scikit-learn estimators: thin shells that hold parameters and call the functions."""

from energyknn.estimators.learned import LocalLinearRegressor, MetricMap, make_learned_regressor
from energyknn.estimators.regressor import KNNRegressor
from energyknn.estimators.search_cv import KNNSearchCV, from_grid_search

__all__ = [
    "KNNRegressor",
    "KNNSearchCV",
    "LocalLinearRegressor",
    "MetricMap",
    "from_grid_search",
    "make_learned_regressor",
]
