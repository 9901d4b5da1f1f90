"""Pictures of classes: their titles say what the figures say."""

from __future__ import annotations

import numpy as np
import pytest

from energyknn.study.reporting.class_pictures import draw_classes, draw_confusion, draw_reliability
from energyknn.study.reporting.curves import draw_every_k
from energyknn.study.reporting.words import Words

pytest.importorskip("matplotlib")

GRADE = Words("grade")


def read_title(figure):
    return " ".join(figure.get_suptitle().split())


def test_the_matrix_names_what_is_confused_most():
    confusion = {"labels": ["low", "$ high $"], "counts": [[7, 1], [3, 9]]}
    figure = draw_confusion(confusion, accuracy=0.8, words=GRADE)
    assert read_title(figure) == (
        r"4 of 20 test rows get another grade than theirs: most often \$ high \$ is taken for low"
    )
    assert {text.get_text() for text in figure.axes[0].texts} == {"7", "1", "3", "9"}
    assert figure.axes[0].get_ylabel() == "actual grade"


def test_classes_that_are_counted_together_hide_no_mistake():
    figure = draw_confusion({"labels": ["a", "2 others"], "counts": [[5, 0], [0, 5]]}, accuracy=0.7, words=GRADE)
    assert read_title(figure) == "3 of 10 test rows get another grade than theirs"


def test_votes_are_drawn_beside_what_is_right():
    groups = [
        {"n_rows": 20, "mean_share": 0.6, "right": {"value": 0.4, "low": 0.2, "high": 0.6}},
        {"n_rows": 20, "mean_share": 0.9, "right": {"value": 0.85, "low": 0.7, "high": 0.95}},
    ]
    figure = draw_reliability(groups)
    assert read_title(figure) == "Where 60 % of the neighbours vote for the predicted class, 40 % are right"
    x, y = figure.axes[0].containers[0].lines[0].get_data()
    np.testing.assert_allclose([x, y], [[60, 90], [40, 85]])


def test_the_class_that_is_hardest_to_find_is_named():
    rows = {"train_rows": 30, "test_rows": 10, "precision": 0.5, "f1": 0.5}
    classes = [{"label": "a", "recall": 0.9, **rows}, {"label": "b", "recall": 0.25, **rows}]
    classes.append({"label": "c", "train_rows": 1, "test_rows": 0, "precision": None, "recall": None, "f1": None})
    figure = draw_classes(classes, words=GRADE)
    assert read_title(figure) == "Hardest to find: b, 25 % of its test rows"
    (found,) = (line for line in figure.axes[0].lines if line.get_label() == "found (recall)")
    np.testing.assert_allclose(found.get_xdata(), [90, 25])


@pytest.mark.parametrize(("n_candidates", "scale"), [(9, "linear"), (200, "log")])
def test_many_candidates_stand_on_a_logarithmic_axis(n_candidates, scale):
    tried = list(range(1, n_candidates + 1))
    folds = [[1 / (1 + abs(k - 4)), 1 / (2 + abs(k - 4))] for k in tried]
    curve = {"n_neighbors": tried, "fold_test_scores": folds, "best": 4, "within_one_standard_error": 5}
    figure = draw_every_k(curve, score="R²")
    (axes,) = figure.axes
    assert axes.get_xscale() == scale
    assert read_title(figure).startswith(f"Best k is 4 of {n_candidates} tried: validation R² 0.7500 ± 0.1768")
    marks = {line.get_marker(): line.get_xdata()[0] for line in axes.lines if len(line.get_xdata()) == 1}
    assert (marks["*"], marks["o"]) == (4, 5)
