"""Why a model of neighbours predicts a value: the training rows behind it, and the columns behind their distances."""

from energyknn.inspection.columns import explain_columns, group_columns, weigh_columns
from energyknn.inspection.rows import explain_predictions, tabulate_neighbors

__all__ = ["explain_columns", "explain_predictions", "group_columns", "tabulate_neighbors", "weigh_columns"]
