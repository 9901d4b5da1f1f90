"""Pictures of a study whose target is a class: pure functions from `results.json` to Matplotlib figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from energyknn.study.reporting.axes import Picture, label_axes, make_axes, mark_values
from energyknn.study.reporting.cells import draw_matrix, shorten
from energyknn.study.reporting.colors import BLUE, GREEN, GREY, PAPER, RED
from energyknn.study.reporting.curves import describe_bars, draw_every_k
from energyknn.study.reporting.pictures import draw_sides
from energyknn.study.reporting.svg import say_values
from energyknn.study.reporting.words import Words
from energyknn.study.results import ClassPart, ClassResults, ConfusionPart, ReliabilityPart

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_SHOWN = 20  # classes


def draw_confusion(confusion: ConfusionPart, *, accuracy: float, words: Words) -> Figure:
    """Draw test rows by actual and predicted class.

    Parameters
    ----------
    confusion : ConfusionPart
        Counts by actual class, then predicted class.
    accuracy : float
        The share of rows whose class is predicted. Classes that are counted together hide some that are not.
    words : Words
        The target.

    Returns
    -------
    matplotlib.figure.Figure
        Each row of the matrix in % of the rows of its class; counts stand in the cells where they can be read.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    counts, labels = np.array(confusion["counts"]), confusion["labels"]
    wrong, n_rows = counts - np.diag(np.diag(counts)), int(counts.sum())
    title = f"{round((1 - accuracy) * n_rows):,} of {n_rows:,} test rows get another {words.target} than theirs"
    if wrong.any():
        actual, predicted = np.unravel_index(int(wrong.argmax()), wrong.shape)
        title += f": most often {labels[actual]} is taken for {labels[predicted]}"
    names = (f"actual {words.target}", f"predicted {words.target}")
    return draw_matrix(title, counts, labels, names, pair="{} predicted as {}")


def draw_reliability(groups: Sequence[ReliabilityPart]) -> Figure:
    """Draw how many predictions are right, over the share of the votes that they got.

    Parameters
    ----------
    groups : sequence of ReliabilityPart
        Groups of test rows, by the share of votes for the predicted class.

    Returns
    -------
    matplotlib.figure.Figure
        Dots with their intervals, and the line on which both are equal.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    shares = 100 * np.array([group["mean_share"] for group in groups])
    right, low, high = 100 * np.array([[group["right"][end] for end in ("value", "low", "high")] for group in groups]).T
    off = right - shares
    worst = int(np.abs(off).argmax())
    title = (
        f"Where {shares[worst]:.0f} % of the neighbours vote for the predicted class, {right[worst]:.0f} % are right"
    )
    figure, (axes,) = make_axes(4.4, title)
    ends = [min(shares.min(), low.min()) - 3, 101]
    axes.plot(ends, ends, color=RED, linewidth=1.2, label="as many right as vote")
    reach = np.array([right - low, high - right]).clip(0)
    axes.errorbar(
        shares,
        right,
        yerr=reach,
        color=BLUE,
        marker="o",
        markersize=4.5,
        capsize=2.5,
        elinewidth=1.2,
        label="test rows",
    )
    said = (f"{vote:.1f} % of the votes: {share:.1f} % right" for vote, share in zip(shares, right, strict=True))
    mark_values(axes, shares, right, said)
    axes.set_aspect("equal")
    label_axes(axes, "share of the votes for the predicted class (%)", "right predictions (%)")
    axes.legend(fontsize=9, loc="upper left")
    return figure


def draw_classes(classes: Sequence[ClassPart], *, words: Words) -> Figure:
    """Draw the share of each class in training and test rows, and how many of its test rows are found.

    Parameters
    ----------
    classes : sequence of ClassPart
        The classes, the largest first; the first 20 are drawn.
    words : Words
        The target.

    Returns
    -------
    matplotlib.figure.Figure
        Bars for the two sides of the split, and dots for recall.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    shown = classes[:_MOST_SHOWN]
    sides = [np.array([part[side] for part in classes], dtype=float) for side in ("train_rows", "test_rows")]
    shares = [100 * side[: len(shown)] / side.sum() for side in sides]
    found = [(place, part["recall"]) for place, part in enumerate(shown) if part["recall"] is not None]
    hardest = min(found, key=lambda item: item[1])
    title = f"Hardest to find: {shown[hardest[0]]['label']}, {100 * hardest[1]:.0f} % of its test rows"
    figure, (axes,) = make_axes(1.9 + 0.34 * len(shown), title)
    places = np.arange(len(shown))
    sides_shown = (("training rows", GREEN, -0.18), ("test rows", GREY, 0.18))
    for (side, color, offset), values in zip(sides_shown, shares, strict=True):
        bars = axes.barh(places + offset, values, height=0.34, color=color, label=side)
        for bar, part, value in zip(bars, shown, values, strict=True):
            say_values(bar, [f"{part['label']}: {value:.1f} % of the {side}"])
    style: dict[str, Any] = {
        "color": BLUE,
        "markeredgecolor": PAPER,
        "marker": "D",
        "markersize": 8,
        "linestyle": "none",
    }
    recalls = [100 * recall for _, recall in found]
    (dots,) = axes.plot(recalls, [place for place, _ in found], label="found (recall)", **style)
    say_values(dots, (f"{shown[place]['label']}: {100 * recall:.1f} % found" for place, recall in found))
    axes.set_yticks(places, [shorten(part["label"]) for part in shown])
    axes.set_ylim(len(shown) - 0.5, -0.6)
    axes.set_xlim(0, 104)
    label_axes(axes, "share of all rows, or of its test rows (%)", words.target)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9)
    return figure


def draw_accuracies(results: ClassResults) -> Figure:
    """Draw accuracies on training and test rows, before and after tuning, beside those of the most frequent class.

    Parameters
    ----------
    results : ClassResults
        The content of `results.json`.

    Returns
    -------
    matplotlib.figure.Figure
        Accuracy above, balanced accuracy below, with one line for each model and side.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    gaps = results["overfitting"]["without_self_minus_test_accuracy"]
    title = f"Train minus test accuracy, self left out: {gaps['base']:+.3f} before tuning, {gaps['tuned']:+.3f} after"
    figure, panels = make_axes(5.4, title, heights=(1, 1))
    models: list[Mapping[str, Any]] = [results["base"], results["tuned"]]
    baseline: Mapping[str, Any] = results["baseline"]["test"]
    for axes, quantity in zip(panels, ("accuracy", "balanced_accuracy"), strict=True):
        axes.axvline(
            baseline[quantity], color=GREY, linestyle="--", linewidth=1.2, label="most frequent class, test rows"
        )
        draw_sides(axes, models, quantity)
        label_axes(axes, f"{quantity.replace('_', ' ')} (higher is better)", "model and rows")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", fontsize=9)
    return figure


def draw_class_pictures(results: ClassResults) -> dict[str, Picture]:
    """Draw every picture of a study of classes, with its caption and its text for those who cannot see it.

    Parameters
    ----------
    results : ClassResults
        The content of `results.json`.

    Returns
    -------
    dict of str to Picture
        By name, in the order in which the page shows them; a name is also that of the picture's file.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    words, curve = Words.of(results), results["curve"]
    n_test, n_classes = results["protocol"]["test_rows"], len(results["classes"])
    few = "" if n_classes <= _MOST_SHOWN else f" The {_MOST_SHOWN} with the most rows of {n_classes}."
    return {
        "validation_curve": Picture(
            draw_every_k(curve, score="accuracy"),
            "Curve of mean validation accuracy against the number of neighbours.",
            describe_bars(len(curve["fold_test_scores"][0]), "accuracy")
            + f" Star: the best k. Circle: the largest k within one standard error of it. {curve['remark']}".rstrip(),
        ),
        "train_against_test": Picture(
            draw_accuracies(results),
            "Dots of accuracy and balanced accuracy on training and test rows, before and after tuning.",
            "Train counts each row as its own neighbour. Train without self leaves it out: its gap to the test score "
            "shows overfitting. Balanced accuracy counts each class alike, however few rows it has.",
        ),
        "confusion": Picture(
            draw_confusion(results["confusion"], accuracy=results["tuned"]["test"]["accuracy"], words=words),
            f"Matrix of test rows by actual and predicted {words.target}.",
            f"All {n_test:,} test rows, tuned model. A row of the matrix is one actual class. Those on the diagonal "
            f"are right.{' The rarest classes are counted together.' if few else ''}",
        ),
        "reliability": Picture(
            draw_reliability(results["reliability"]),
            "Share of right predictions over the share of votes.",
            "Test rows by the share of their neighbours that vote for the predicted class. Below the line, the votes "
            "promise too much. Bars: 95 % intervals of the share (Wilson).",
        ),
        "classes": Picture(
            draw_classes(results["classes"], words=words),
            f"Bars of the share of each {words.target}, and dots of its recall.",
            f"The two sides of the split, and how many of the test rows of each class are found.{few}",
        ),
    }
