"""Beyond the notebook: models on the same rows, trees tuned with care, and how sure each figure is."""

from energyknn.study.comparison.bootstrap import (
    Estimate,
    estimate_mean,
    estimate_over_splits,
    estimate_rmse,
    estimate_rmse_difference,
)
from energyknn.study.comparison.diagnostics import (
    CurvePoint,
    Effect,
    GroupErrors,
    NestedEstimate,
    estimate_nested,
    label_bins,
    label_decades,
    measure_effects,
    measure_learning_curve,
    tabulate_errors,
)
from energyknn.study.comparison.models import ModelScore, compare_models, list_models
from energyknn.study.comparison.reliability import (
    ColumnReport,
    IntervalReport,
    measure_columns,
    measure_intervals,
    measure_intervals_by_decade,
)
from energyknn.study.comparison.trees import LIBRARIES, TunedTreesRegressor, find_missing_libraries, tune_trees

__all__ = [
    "LIBRARIES",
    "ColumnReport",
    "CurvePoint",
    "Effect",
    "Estimate",
    "GroupErrors",
    "IntervalReport",
    "ModelScore",
    "NestedEstimate",
    "TunedTreesRegressor",
    "compare_models",
    "estimate_mean",
    "estimate_nested",
    "estimate_over_splits",
    "estimate_rmse",
    "estimate_rmse_difference",
    "find_missing_libraries",
    "label_bins",
    "label_decades",
    "list_models",
    "measure_columns",
    "measure_effects",
    "measure_intervals",
    "measure_intervals_by_decade",
    "measure_learning_curve",
    "tabulate_errors",
    "tune_trees",
]
