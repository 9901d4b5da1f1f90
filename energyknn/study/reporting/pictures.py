"""Pictures of the study: pure functions from figures and arrays to Matplotlib figures.

Nothing here touches pyplot, a window or the user's Matplotlib settings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.showing import in_one_line
from energyknn.study.reporting.axes import Picture, label_axes, make_axes, mark_values, write_ticks
from energyknn.study.reporting.cells import draw_pairs, find_limits
from energyknn.study.reporting.colors import BLUE, GREEN, GREY, LINES, PAPER, PURPLE, RED
from energyknn.study.reporting.comparison_pictures import draw_beyond
from energyknn.study.reporting.curves import Curve, describe_bars, draw_curve, draw_every_k, draw_points, mark_best
from energyknn.study.reporting.svg import say_values
from energyknn.study.reporting.tables import QUANTITIES, SIDES
from energyknn.study.reporting.words import Words, write_number
from energyknn.study.results import NumberResults, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


FloatArray = NDArray[np.float64]

_MOST_POINTS = 30_000


@in_one_line
@dataclass(frozen=True, eq=False)
class StudyArrays:
    """The targets and predictions that the pictures are drawn from.

    Parameters
    ----------
    y_train : ndarray of shape (n_train,), float64
        Targets of the training rows.
    y_test : ndarray of shape (n_test,), float64
        Targets of the test rows.
    predicted_test : ndarray of shape (n_test,), float64
        What the tuned model predicts for the test rows, in their order.
    """

    y_train: FloatArray
    y_test: FloatArray
    predicted_test: FloatArray


def draw_validation_curve(results: Results) -> Figure:
    """Draw the mean validation R² of the candidates of both searches, beside the notebook's, with one standard error.

    Parameters
    ----------
    results : Results
        The content of `results.json`.

    Returns
    -------
    matplotlib.figure.Figure
        Above, the coarse and the micro candidates, every k where it was scored, and the notebook's coarse trials with
        their folds. Below, the micro candidates alone.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.

    Notes
    -----
    One standard error is the population standard deviation over the folds, divided by the root of their
    number.
    """
    coarse, micro, best = Curve(results["coarse"]), Curve(results["micro"]), results["micro"]["best"]
    mean, error = micro.find(best)
    title = f"Best k is {best}: validation R² {mean:.4f}\u00a0±\u00a0{error:.4f}"
    every_k = results.get("curve")
    if every_k and every_k["best"] != best:
        title += f"; of every k it is {every_k['best']}, which the two searches miss"
    figure, (above, below) = make_axes(5.6, title, heights=(1.35, 1))
    if every_k:
        draw_curve(above, Curve(every_k), label="every k from one search, this run", color=BLUE, marker="")
    draw_coarse = draw_points if every_k else draw_curve  # a line beside that of every k would be read as another
    draw_coarse(above, coarse, label="coarse search, this run", color=BLUE, marker="o")
    draw_points(above, micro, label="micro search, this run", color=BLUE, marker="s", markerfacecolor=PAPER)
    printed = Curve(results["notebook"]["coarse"])
    style: dict[str, Any] = {"color": PURPLE, "marker": "D", "markerfacecolor": PAPER, "markersize": 5.5}
    draw_points(above, printed, label="coarse search, notebook", **style)
    above.scatter(
        np.repeat(printed.n_neighbors, printed.folds.shape[1]), printed.folds.ravel(), s=3, color=PURPLE, alpha=0.7
    )
    label_axes(above, "neighbours k (count)", "mean validation R² (no unit)")
    above.legend(fontsize=9, loc="best", framealpha=0.9)

    near, total = int(np.count_nonzero(micro.mean >= mean - error)), len(micro.n_neighbors)
    share = f"All {total}" if near == total else f"{near} of {total}"
    words = f"{share} micro candidates are within one standard error (dashed) of the best (star)"
    draw_curve(below, micro, label="micro search, this run", color=BLUE, marker="s")
    below.axhline(mean - error, color=GREY, linewidth=1, linestyle="--")
    below.set_xticks(micro.n_neighbors)
    label_axes(below, "neighbours k (count)", "mean validation R² (no unit)", title=words)
    for axes in (above, below):
        mark_best(axes, best, mean)
    return figure


def draw_predicted_against_actual(
    y_test: ArrayLike, predicted_test: ArrayLike, *, words: Words, n_points: int = _MOST_POINTS, random_state: int = 42
) -> Figure:
    """Draw predicted against actual targets as counts in hexagonal cells, with the identity line.

    Parameters
    ----------
    y_test : array-like of shape (n_test,)
        Actual targets.
    predicted_test : array-like of shape (n_test,)
        Predicted targets, in the same order.
    words : Words
        The target and its unit.
    n_points : int, default=30_000
        Most rows to draw; of more, a random choice without repeats is drawn.
    random_state : int, default=42
        Seed of the choice.

    Returns
    -------
    matplotlib.figure.Figure
        The RMSE and R² in its title are those of all test rows.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    actual, predicted = np.asarray(y_test, dtype=np.float64), np.asarray(predicted_test, dtype=np.float64)
    rmse = float(np.sqrt(np.mean((actual - predicted) ** 2)))
    title = f"Predicted {words.target} misses actual {words.target} by {write_number(rmse)} (RMSE, test rows)"
    if len(actual) > n_points:
        chosen = np.random.default_rng(random_state).choice(len(actual), n_points, replace=False)
        actual, predicted = actual[chosen], predicted[chosen]
    names = (f"actual {words.target}", f"predicted {words.target}")
    return draw_pairs(title, (actual, predicted), names, words=words, of="test rows")


def _count_bins(n_rows: int) -> int:
    """Return the bins of a histogram: the root of the rows, 10 to 50."""
    return int(np.clip(np.sqrt(n_rows), 10, 50))


def _name_bins(edges: FloatArray) -> list[str]:
    """Return what lies in each bin of a histogram."""
    ends = [write_number(float(edge)) for edge in edges]
    return [f"{low} to {high}" for low, high in pairwise(ends)]


def draw_residuals(y_test: ArrayLike, predicted_test: ArrayLike, *, words: Words) -> Figure:
    """Draw the residuals, actual minus predicted, against the prediction and as a histogram.

    Parameters
    ----------
    y_test : array-like of shape (n_test,)
        Actual targets.
    predicted_test : array-like of shape (n_test,)
        Predicted targets, in the same order.
    words : Words
        The target and its unit.

    Returns
    -------
    matplotlib.figure.Figure
        Above, median and 5 to 95 % band in up to 20 bins of equally many rows; below, the histogram.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    predicted = np.asarray(predicted_test, dtype=np.float64)
    residuals = np.asarray(y_test, dtype=np.float64) - predicted
    n_bins = int(np.clip(len(predicted) // 50, 1, 20))  # of at least 50 rows, where there are that many
    bins = np.array_split(np.argsort(predicted, kind="stable"), n_bins)
    centre = np.array([np.median(predicted[rows]) for rows in bins])
    lowest, median, highest = np.array([np.quantile(residuals[rows], [0.05, 0.5, 0.95]) for rows in bins]).T
    largest = float(np.max(np.abs(median)))
    low, high = np.quantile(residuals, [0.05, 0.95])
    ends = " and ".join(write_number(float(end), signed=True) for end in (low, high))
    title = f"Median residual within ±{write_number(largest)} in every bin; 90\u00a0% of all between {ends}"
    figure, (above, below) = make_axes(5.0, title, heights=(1.2, 1))
    style: dict[str, Any] = {"color": BLUE, "alpha": 0.25, "linewidth": 0, "label": "5 to 95 % of the rows"}
    above.fill_between(centre, lowest, highest, **style)
    above.plot(centre, median, color=BLUE, marker="o", markersize=3.5, label="median")
    spans = (
        f"median {write_number(float(middle), signed=True)}, 5 to 95 %: {write_number(float(start), signed=True)} to "
        f"{write_number(float(end), signed=True)}"
        for start, middle, end in zip(lowest, median, highest, strict=True)
    )
    mark_values(above, centre, median, spans)
    above.axhline(0, color=RED, linewidth=1.2)
    residual = words.with_unit("actual - predicted")
    label_axes(above, words.with_unit(f"predicted {words.target}"), residual.replace(" (", "\n("))
    write_ticks(above.xaxis, float(np.abs(predicted).max()))
    for axis in (above.yaxis, below.xaxis):
        write_ticks(axis, float(np.abs(residuals).max()))
    above.legend(fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    counts, edges, bars = below.hist(residuals, bins=_count_bins(len(residuals)), color=BLUE)
    for bar, count, inside in zip(cast("Any", bars), counts, _name_bins(edges), strict=True):
        say_values(bar, [f"{inside}: {count:,.0f}"])
    below.axvline(0, color=RED, linewidth=1.2)
    for value in (low, high):
        below.axvline(value, color=GREY, linestyle="--", linewidth=1)
    label_axes(below, residual, "test rows (count)", title="Dashed lines: 5 and 95 %")
    return figure


def draw_train_against_test(results: Results | NumberResults) -> Figure:
    """Draw the scores on training and test rows, before and after tuning, beside the notebook's where they are given.

    Parameters
    ----------
    results : Results or NumberResults
        The content of `results.json`.

    Returns
    -------
    matplotlib.figure.Figure
        R² above and RMSE below, with one line for each model and side. The title states the gap with each row's own
        self left out.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    gaps, words = results["overfitting"]["without_self_minus_test_r2"], Words.of(results)
    title = f"Train minus test R², self left out: {gaps['base']:+.3f} before tuning, {gaps['tuned']:+.3f} after"
    figure, panels = make_axes(5.4, title, heights=(1, 1))
    models: list[Mapping[str, Any]] = [results["base"], results["tuned"]]
    for axes, quantity in zip(panels, QUANTITIES, strict=True):
        draw_sides(axes, models, quantity)
    notebook: Any = results.get("notebook")
    if notebook:
        for axes, quantity in zip(panels, QUANTITIES, strict=True):
            printed = [
                notebook[name].get(side, {}).get(quantity, np.nan) for name in ("base", "tuned") for side in SIDES
            ]
            style: dict[str, Any] = {"color": PURPLE, "marker": "D", "markerfacecolor": "none", "linestyle": "none"}
            axes.plot(printed, np.arange(len(printed)), markersize=6, label="what the notebook printed", **style)
            said = [f"notebook: {value:.4f}" for value in printed if np.isfinite(value)]
            mark_values(axes, [v for v in printed if np.isfinite(v)], np.flatnonzero(np.isfinite(printed)), said)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    label_axes(panels[0], "R² (no unit; higher is better)", "model and rows")
    label_axes(panels[1], words.with_unit("RMSE", note="lower is better"), "model and rows")
    write_ticks(panels[1].xaxis, max(model[side]["rmse"] for model in models for side in SIDES))
    return figure


def draw_sides(axes: Axes, models: Sequence[Mapping[str, Any]], quantity: str) -> None:
    """Draw a score of models on training rows, on the same without self, and on test rows, one line each."""
    markers = dict(zip(SIDES, ((GREEN, "o"), (GREEN, "^"), (BLUE, "s")), strict=True))
    lines = [(model, side) for model in models for side in SIDES]
    for height, (model, side) in enumerate(lines):
        (color, marker), value = markers[side], model[side][quantity]
        (dot,) = axes.plot([value], [height], color=color, marker=marker, markersize=8, linestyle="none")
        where: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 8.5}
        text = write_number(value) if quantity == "rmse" else f"{value:.3f}"
        say_values(dot, [f"k = {model['n_neighbors']}, {SIDES[side]}: {value:,.6g}"])
        axes.annotate(text, (value, height), (0, 6), **where)
    axes.set_yticks(range(len(lines)), [f"k = {model['n_neighbors']}, {SIDES[side]}" for model, side in lines])
    axes.set_ylim(len(lines) - 0.5, -0.8)
    axes.margins(x=0.12)
    axes.locator_params(axis="x", nbins=5)


def draw_target_distribution(y_train: ArrayLike, y_test: ArrayLike, *, words: Words) -> Figure:
    """Draw how the target is spread over all rows, and over training and test rows.

    Parameters
    ----------
    y_train : array-like of shape (n_train,)
        Targets of the training rows.
    y_test : array-like of shape (n_test,)
        Targets of the test rows.
    words : Words
        The target and its unit.

    Returns
    -------
    matplotlib.figure.Figure
        Three histograms over the same bins, up to 50, each as a share of its own rows.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    train, test = np.asarray(y_train, dtype=np.float64), np.asarray(y_test, dtype=np.float64)
    everything = np.concatenate([train, test])
    mean, spread = (write_number(float(value)) for value in (everything.mean(), everything.std()))
    title = f"Spread of {words.target} over {len(everything):,} {words.row}s: mean {mean}, sd {spread}"
    figure, (axes,) = make_axes(3.4, title)
    low, high = find_limits(words, everything)
    edges = np.linspace(low, high, _count_bins(len(test)) + 1)
    shares = [100 * np.histogram(values, edges)[0] / len(values) for values in (everything, train, test)]
    axes.stairs(shares[0], edges, fill=True, color=LINES, label=f"all rows ({len(everything):,})")
    label = f"train ({len(train):,}), sd {write_number(float(train.std()))}"
    axes.stairs(shares[1], edges, color=GREEN, linewidth=1.6, label=label)
    label = f"test ({len(test):,}), sd {write_number(float(test.std()))}"
    axes.stairs(shares[2], edges, color=BLUE, linewidth=1.4, linestyle="--", label=label)
    said = (
        f"{inside}: all {a:.1f} %, train {b:.1f} %, test {c:.1f} %"
        for inside, a, b, c in zip(_name_bins(edges), *shares, strict=True)
    )
    mark_values(axes, (edges[1:] + edges[:-1]) / 2, shares[0], said)
    label_axes(axes, words.with_unit(words.target), "rows in a bin (% of each group)")
    write_ticks(axes.xaxis, max(abs(low), abs(high)))
    axes.set_ylim(0, 1.4 * max(float(share.max()) for share in shares))
    axes.legend(fontsize=9, loc="best")
    return figure


def draw_pictures(results: Results | NumberResults, arrays: StudyArrays) -> dict[str, Picture]:
    """Draw every picture of a study of numbers, with its caption and its text for those who cannot see it.

    Parameters
    ----------
    results : Results or NumberResults
        The content of `results.json`.
    arrays : StudyArrays
        Targets and predictions.

    Returns
    -------
    dict of str to Picture
        By name, in the order in which the page shows them; a name is also that of the picture's file. Those of
        `draw_beyond` come last.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    words, n_test = Words.of(results), len(arrays.y_test)
    target = words.target
    drawn = f"All {n_test:,} test rows."
    if n_test > _MOST_POINTS:
        drawn = f"{_MOST_POINTS:,} of {n_test:,} test rows, a random choice with a fixed seed."
    printed = " Diamonds: the notebook's own two models, on its own file." if "notebook" in results else ""
    sides = "Train without self leaves it out: its gap to the test score shows overfitting."
    pictures = {
        "validation_curve": _show_validation_curve(results),
        "train_against_test": Picture(
            draw_train_against_test(results),
            "Dots of R² and RMSE on training and test rows, before and after tuning.",
            f"Train counts each row as its own neighbour. {sides}{printed}",
        ),
        "predicted_against_actual": Picture(
            draw_predicted_against_actual(arrays.y_test, arrays.predicted_test, words=words),
            f"Map of counts: predicted {target} against actual {target}.",
            f"{drawn} Predicted by the tuned model. A prediction on the line is right.",
        ),
        "residuals": Picture(
            draw_residuals(arrays.y_test, arrays.predicted_test, words=words),
            f"Band of residuals against predicted {target}, and a histogram of residuals.",
            f"All {n_test:,} test rows, tuned model. Above, bins of equally many rows by predicted {target}: a median "
            "above 0 means that the model predicts too little there.",
        ),
        "target_distribution": Picture(
            draw_target_distribution(arrays.y_train, arrays.y_test, words=words),
            f"Histogram of {target} in all, training and test rows.",
            "The two sides of the split and both together, each in % of its own rows. R² compares the error with this "
            "spread; RMSE does not.",
        ),
    }
    return pictures | draw_beyond(results)


def _show_validation_curve(results: Results | NumberResults) -> Picture:
    """Return the picture of the candidates: those of the notebook's two searches, or every k of the one search."""
    if "notebook" in results:
        study = cast("Results", results)
        return Picture(
            draw_validation_curve(study),
            "Curve of mean validation R² against the number of neighbours.",
            describe_bars(len(study["coarse"]["fold_test_scores"][0]), "R²")
            + " Star: the best k. Diamonds: what the notebook printed for its own file; dots: its folds.",
        )
    curve = results["curve"]
    return Picture(
        draw_every_k(curve, score="R²"),
        "Curve of mean validation R² against the number of neighbours.",
        describe_bars(len(curve["fold_test_scores"][0]), "R²")
        + f" Star: the best k. Circle: the largest k within one standard error of it. {curve['remark']}".rstrip(),
    )
