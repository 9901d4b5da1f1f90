"""scikit-learn estimators: thin shells that hold parameters and call the functions."""

from energyknn.estimators.classifier import KNNClassifier
from energyknn.estimators.drop_in import from_grid_search
from energyknn.estimators.intervals import IntervalRegressor, measure_coverage
from energyknn.estimators.learned import LocalLinearRegressor, MetricMap, make_learned_regressor
from energyknn.estimators.learned_classes import SoftVoteClassifier, make_learned_classifier
from energyknn.estimators.regressor import KNNRegressor
from energyknn.estimators.search_cv import KNNSearchCV
from energyknn.estimators.transformers import ColumnWeights, RankFeatures

__all__ = [
    "ColumnWeights",
    "IntervalRegressor",
    "KNNClassifier",
    "KNNRegressor",
    "KNNSearchCV",
    "LocalLinearRegressor",
    "MetricMap",
    "RankFeatures",
    "SoftVoteClassifier",
    "from_grid_search",
    "make_learned_classifier",
    "make_learned_regressor",
    "measure_coverage",
]
