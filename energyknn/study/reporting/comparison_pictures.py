"""Pictures of other models on the study's rows: pure functions from parts of `results.json` to Matplotlib figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from energyknn.study.reporting.axes import Picture, escape, label_axes, make_axes, mark_values, write_ticks
from energyknn.study.reporting.colors import BLUE, GREY, INK, ORANGE, RED
from energyknn.study.reporting.svg import say_values
from energyknn.study.reporting.words import Words, write_number
from energyknn.study.results import (
    ComparedModel,
    CoveragePart,
    CurvePart,
    EstimatePart,
    GroupPart,
    NumberResults,
    Results,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


_STYLES = (("o", "-"), ("s", "--"), ("^", ":"), ("D", "-."), ("v", "-"))
_BEST_SHOWN = 6
_MOST_NAMES = 12  # below a panel, before they are thinned
_NOMINAL = 90  # % of the rows


def _plot_estimates(
    axes: Axes, places: Any, estimates: Sequence[EstimatePart], *, across: bool = False, **style: Any
) -> None:
    """Plot figures with their intervals: upright, or across where the vertical axis has names."""
    value, low, high = np.array([[row["value"], row["low"], row["high"]] for row in estimates]).T
    reach = np.array([value - low, high - value]).clip(0)
    x, y = (value, places) if across else (places, value)
    options: dict[str, Any] = {"markersize": 4.5, "capsize": 2.5, "elinewidth": 1.2, "linewidth": 1.2, **style}
    axes.errorbar(x, y, xerr=reach if across else None, yerr=None if across else reach, **options)
    name = f"{style['label']}: " if "label" in style else ""
    ends = zip(*(map(write_number, map(float, end)) for end in (value, low, high)), strict=True)
    mark_values(axes, x, y, (f"{name}{middle} ({start} to {end})" for middle, start, end in ends))


def _color(name: str) -> str:
    """Return blue for neighbours, orange for trees and forests, grey for the rest."""
    return BLUE if "neighbours" in name else ORANGE if "tree" in name or "forest" in name or "tuned" in name else GREY


def _plot_each(axes: Axes, lines: Mapping[str, tuple[Any, Sequence[EstimatePart]]]) -> None:
    """Plot a line of estimates for each model, in the colour of its kind, with its own marker and dashes."""
    for (model, (places, estimates)), (marker, dashes) in zip(lines.items(), cycle(_STYLES), strict=False):
        _plot_estimates(axes, places, estimates, color=_color(model), marker=marker, linestyle=dashes, label=model)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write names on the vertical axis, the first on top."""
    axes.set_yticks(range(len(names)), list(map(escape, names)))
    axes.set_ylim(len(names) - 0.4, -0.6)


def draw_models(models: Mapping[str, ComparedModel], *, words: Words) -> Figure:
    """Draw the error of every model as bars, and the best ones again where their intervals can be seen.

    Parameters
    ----------
    models : mapping of str to ComparedModel
        The part `beyond` of `results.json`.
    words : Words
        The target's unit.

    Returns
    -------
    matplotlib.figure.Figure
        Above, bars from 0; below, up to six best models with their intervals.
    """
    errors = {
        name: models[name]["test_rmse"] for name in sorted(models, key=lambda name: models[name]["test_rmse"]["value"])
    }
    values, best = [error["value"] for error in errors.values()], list(errors)[:_BEST_SHOWN]
    heights = (0.4 + 0.27 * len(errors), 0.5 + 0.3 * len(best))
    figure, (above, below) = make_axes(
        1.5 + sum(heights), f"Least test RMSE: {write_number(values[0])}, {best[0]}", heights=heights
    )
    bars = above.barh(range(len(errors)), values, color=[_color(name) for name in errors], height=0.65)
    for bar, (name, error) in zip(bars, errors.items(), strict=True):
        say_values(bar, [f"{name}: {write_number(error['value'])}"])
    above.bar_label(bars, list(map(write_number, values)), padding=3, fontsize=8.5)
    above.set_xlim(0, 1.35 * max(values))
    for row, name in enumerate(best):
        marker = "o" if _color(name) == BLUE else "s"
        _plot_estimates(below, [row], [errors[name]], across=True, color=_color(name), marker=marker, linestyle="none")
    _name_rows(above, list(errors))
    _name_rows(below, best)
    for axes in (above, below):
        write_ticks(axes.xaxis, max(values))
    label_axes(above, words.with_unit("test RMSE"), "model")
    label_axes(below, words.with_unit("test RMSE"), "model", title="The best, with 95 % intervals")
    return figure


def draw_errors(errors: Mapping[str, Sequence[GroupPart]], *, by: str, words: Words) -> Figure:
    """Draw the errors of groups of rows, such as decades, for some models.

    Parameters
    ----------
    errors : mapping of str to sequence of GroupPart
        The groups of each model.
    by : str
        What the groups are, with its unit.
    words : Words
        The target's unit.

    Returns
    -------
    matplotlib.figure.Figure
        Above, the RMSE; below, the mean residual, actual minus predicted; both with their intervals.
    """
    last = list(errors)[-1]
    worst = max(errors[last], key=lambda row: row["rmse"]["value"])
    title = f"Largest RMSE of {last}: {write_number(worst['rmse']['value'])} ({worst['group']})"
    figure, (above, below) = make_axes(5.6, title, heights=(1.2, 1))
    groups = list(dict.fromkeys(row["group"] for rows in errors.values() for row in rows))
    places = {
        model: np.array([groups.index(row["group"]) for row in rows]) + 0.12 * (number - (len(errors) - 1) / 2)
        for number, (model, rows) in enumerate(errors.items())
    }
    _plot_each(above, {model: (places[model], [row["rmse"] for row in rows]) for model, rows in errors.items()})
    _plot_each(below, {model: (places[model], [row["residual"] for row in rows]) for model, rows in errors.items()})
    shown = range(0, len(groups), -(-len(groups) // _MOST_NAMES))
    for axes in (above, below):
        axes.set_xticks(shown, [groups[place] for place in shown], rotation=45, ha="right", rotation_mode="anchor")
    above.set_ylim(bottom=0)
    below.axhline(0, color=RED, linewidth=1.2)
    for axes in (above, below):
        write_ticks(axes.yaxis, max(abs(end) for end in axes.get_ylim()))
    label_axes(above, by, words.with_unit("RMSE"))
    label_axes(below, by, words.with_unit("actual - predicted", note="mean"))
    figure.legend(*above.get_legend_handles_labels(), loc="outside lower center", ncols=1, fontsize=9)
    return figure


def draw_learning_curve(curves: Mapping[str, Sequence[CurvePart]], *, words: Words) -> Figure:
    """Draw the error of models over the number of rows that they learned from.

    Parameters
    ----------
    curves : mapping of str to sequence of CurvePart
        The points of each model.
    words : Words
        The target's unit.

    Returns
    -------
    matplotlib.figure.Figure
        RMSE over training rows, these on a logarithmic axis.
    """
    name = min(curves, key=lambda model: curves[model][-1]["rmse"]["value"])
    *_, before, last = (point["rmse"]["value"] for point in (curves[name][0], *curves[name]))
    change = f"take {write_number(before - last)} off" if last <= before else f"add {write_number(last - before)} to"
    title = f"Twice the rows {change} the RMSE of {name}"
    figure, (axes,) = make_axes(4.2, title)
    sizes = {model: [point["n_train"] for point in points] for model, points in curves.items()}
    _plot_each(axes, {model: (sizes[model], [point["rmse"] for point in points]) for model, points in curves.items()})
    ticks = sorted(set().union(*sizes.values()))
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks])
    axes.set_xticks([], minor=True)
    label_axes(axes, "training rows (count, log scale)", words.with_unit("RMSE of validation rows"))
    write_ticks(axes.yaxis, max(point["rmse"]["value"] for points in curves.values() for point in points))
    axes.legend(fontsize=9, loc="best", framealpha=0.9)
    return figure


def draw_weights(
    weights: Mapping[str, EstimatePart], *, unit: str = "weight (share of the squared distance)", verb: str = "weighs"
) -> Figure:
    """Draw how much each column counts, with its spread.

    Parameters
    ----------
    weights : mapping of str to EstimatePart
        By column; an interval may be a range over folds.
    unit : str
        What the figures are.
    verb : str
        What the first column does most.

    Returns
    -------
    matplotlib.figure.Figure
        One bar for each column, the heaviest on top.
    """
    ordered = dict(sorted(weights.items(), key=lambda item: -item[1]["value"]))
    names, estimates, places = list(ordered), list(ordered.values()), range(len(ordered))
    figure, (axes,) = make_axes(1.4 + 0.26 * len(names), f"{names[0]} {verb} most")
    axes.barh(places, [estimate["value"] for estimate in estimates], color=BLUE, alpha=0.6, height=0.65)
    _plot_estimates(axes, places, estimates, across=True, color=INK, linestyle="none", marker="")
    _name_rows(axes, names)
    label_axes(axes, unit, "column")
    return figure


def draw_calibration(points: Sequence[CoveragePart]) -> Figure:
    """Draw how many targets lie in intervals of several nominal coverages.

    Parameters
    ----------
    points : sequence of CoveragePart
        With `nominal`, in ascending order or not.

    Returns
    -------
    matplotlib.figure.Figure
        Observed over nominal coverage, with the line on which they are equal.
    """
    nominal = np.array([100 * point["nominal"] for point in points])
    off = np.array([100 * point["coverage"] for point in points]) - nominal
    figure, (axes,) = make_axes(4.4, f"Coverage is off by {off[np.abs(off).argmax()]:+.1f} % at most")
    ends = [nominal.min() - 5, 100]
    axes.plot(ends, ends, color=RED, linewidth=1.2, label="observed = nominal")
    _plot_estimates(axes, nominal, [_as_percent(point) for point in points], color=BLUE, marker="o", label="test rows")
    axes.set_aspect("equal")
    label_axes(axes, "nominal coverage (% of rows)", "observed coverage (% of test rows)")
    axes.legend(fontsize=9, loc="upper left")
    return figure


def draw_coverage(rows: Sequence[CoveragePart], *, words: Words) -> Figure:
    """Draw coverage and width of intervals by decade.

    Parameters
    ----------
    rows : sequence of CoveragePart
        With `group`.
    words : Words
        The target's unit, and what a row is.

    Returns
    -------
    matplotlib.figure.Figure
        Above, coverage with its intervals; below, mean widths.
    """
    shares, places = [_as_percent(row) for row in rows], range(len(rows))
    low, high = (end(share["value"] for share in shares) for end in (min, max))
    title = f"{_NOMINAL} % intervals cover {low:.1f} to {high:.1f} % of the rows of a group"
    figure, (above, below) = make_axes(5.0, title, heights=(1.2, 1))
    _plot_estimates(above, places, shares, color=BLUE, marker="o", linestyle="none")
    above.axhline(_NOMINAL, color=RED, linewidth=1.2)
    bars = below.bar(places, [row["mean_width"] for row in rows], color=BLUE, width=0.65)
    for bar, row in zip(bars, rows, strict=True):
        say_values(bar, [f"{row['group']}: {write_number(row['mean_width'])} wide"])
    for axes in (above, below):
        axes.set_xticks(places, [row["group"] for row in rows], rotation=45, ha="right", rotation_mode="anchor")
    by = _name_decades(words)
    write_ticks(below.yaxis, max(row["mean_width"] for row in rows))
    label_axes(above, by, "coverage\n(% of test rows)")
    label_axes(below, by, words.with_unit("mean width"))
    return figure


def _name_decades(words: Words) -> str:
    return "decade of release (years)" if words.row == "track" else "decade (years)"


def _as_percent(row: CoveragePart) -> EstimatePart:
    return {"value": 100 * row["coverage"], "low": 100 * row["coverage_low"], "high": 100 * row["coverage_high"]}


_BOOTSTRAP = "Bars: 95 % intervals, by bootstrap over the rows."


def draw_beyond(results: Results | NumberResults) -> dict[str, Picture]:
    """Draw every picture of the section with other models.

    Parameters
    ----------
    results : Results or NumberResults
        The content of `results.json`, with the parts `beyond` and `beyond_analyses` or without.

    Returns
    -------
    dict of str to Picture
        By name; all begin with "beyond". Empty where these parts are missing. A table of errors that is missing, such
        as that by decade of a file without years, gives no picture.
    """
    models, found = results.get("beyond"), results.get("beyond_analyses")
    if not models or not found:
        return {}
    words, by = Words.of(results), _name_decades(Words.of(results))
    target = words.target
    pictures = {
        "models": Picture(
            draw_models(models, words=words),
            "Bars of the test RMSE of every model, and the best with intervals.",
            "All models, same training and test rows; neighbours in blue, trees in orange. " + _BOOTSTRAP,
        )
    }
    errors = found.get("errors", {})
    if "decade" in errors:
        pictures["errors_by_decade"] = Picture(
            draw_errors(errors["decade"], by=by, words=words),
            "Lines of RMSE and of the mean residual by decade.",
            "Test rows by decade; decades of fewer than 20 rows are left out. Below: above 0, a model predicts too "
            "little there. " + _BOOTSTRAP,
        )
    if "target" in errors:
        pictures["errors_by_target"] = Picture(
            draw_errors(errors["target"], by=words.with_unit(f"actual {target}"), words=words),
            f"Lines of RMSE and of the mean residual by actual {target}.",
            f"Test rows by actual {target}. Predictions lie nearer the mean than targets do, so any model predicts too "
            "much at the low end and too little at the high end. " + _BOOTSTRAP,
        )
    if "learning_curve" in found:
        pictures["learning_curve"] = Picture(
            draw_learning_curve(found["learning_curve"], words=words),
            "Curves of RMSE over training rows.",
            "Models that learn from a part of one fold's training rows, all scored on that fold's validation rows. "
            + _BOOTSTRAP,
        )
    if "weights" in found:
        pictures["weights"] = Picture(
            draw_weights(found["weights"]),
            "Bars of the columns' weights.",
            "The weight of each column in a learned distance. Lines: a standard deviation over folds to either side.",
        )
    if "importance" in found:
        pictures["importance"] = Picture(
            draw_weights(found["importance"], unit=words.with_unit("rise of the RMSE when shuffled"), verb="tells"),
            "Bars of the columns' importance.",
            "How much the error rises when a column is shuffled among validation rows, a category's indicators "
            "together. Lines: a standard deviation over folds to either side.",
        )
    if "calibration" in found:
        pictures["calibration"] = Picture(
            draw_calibration(found["calibration"]),
            "Observed over nominal coverage.",
            f"Share of the test rows whose {target} lies in its interval. Bars: 95 % intervals of the share.",
        )
    if "coverage" in found:
        pictures["coverage"] = Picture(
            draw_coverage(found["coverage"], words=words),
            "Coverage and mean width of intervals by group.",
            "Test rows in intervals of 90 % (line), and how wide these are. Bars: 95 % intervals of the share.",
        )
    return {f"beyond_{name}": picture for name, picture in pictures.items()}
