"""Results to tables, pictures and one self-contained HTML page.

Importing this package loads neither Matplotlib nor Jinja: the functions that need
the extra ``report`` load it.
"""

from energyknn.study.reporting._axes import Picture
from energyknn.study.reporting.comparison_pictures import draw_beyond
from energyknn.study.reporting.page import render_page, render_report
from energyknn.study.reporting.pictures import (
    StudyArrays,
    draw_energy_distribution,
    draw_pictures,
    draw_predicted_against_actual,
    draw_residuals,
    draw_train_against_test,
    draw_validation_curve,
)
from energyknn.study.reporting.tables import (
    ComparisonRow,
    build_table,
    compare_with_notebook,
    render_table,
    tabulate_candidates,
    tabulate_models,
)

__all__ = [
    "ComparisonRow",
    "Picture",
    "StudyArrays",
    "build_table",
    "compare_with_notebook",
    "draw_beyond",
    "draw_energy_distribution",
    "draw_pictures",
    "draw_predicted_against_actual",
    "draw_residuals",
    "draw_train_against_test",
    "draw_validation_curve",
    "render_page",
    "render_report",
    "render_table",
    "tabulate_candidates",
    "tabulate_models",
]
