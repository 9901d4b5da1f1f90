"""Why a model of neighbours predicts a value: the rows behind it, what they are worth, and which columns count."""

from energyknn.inspection.audit import audit_rows
from energyknn.inspection.columns import explain_columns, group_columns, weigh_columns
from energyknn.inspection.rows import explain_predictions, tabulate_neighbors
from energyknn.inspection.values import value_rows

__all__ = [
    "audit_rows",
    "explain_columns",
    "explain_predictions",
    "group_columns",
    "tabulate_neighbors",
    "value_rows",
    "weigh_columns",
]
