"""Pictures of what lies beyond the notebook: pure functions from plain tables to Matplotlib figures.

A table is what JSON gives: mappings and lists. An estimate is a mapping with `value`, `low` and `high`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from energyknn.study.reporting._axes import BLUE, GREEN, GREY, ORANGE, RED, Picture, label_axes, make_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "draw_beyond",
    "draw_calibration",
    "draw_coverage",
    "draw_errors",
    "draw_learning_curve",
    "draw_models",
    "draw_weights",
]

Row = Mapping[str, Any]

_STYLES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (RED, "D"), (GREY, "v"))
_BEST_SHOWN = 6
_MOST_NAMES = 12  # below a panel, before they are thinned
_ERROR = "energy score"


def _plot_estimates(axes: Axes, places: Any, estimates: Sequence[Row], *, across: bool = False, **style: Any) -> None:
    """Plot figures with their intervals: upright, or across for names on the vertical axis."""
    value, low, high = (np.array([row[end] for row in estimates]) for end in ("value", "low", "high"))
    reach = np.array([value - low, high - value]).clip(0)
    x, y = (value, places) if across else (places, value)
    options: dict[str, Any] = {"markersize": 4.5, "capsize": 2.5, "elinewidth": 1.2, **style}
    axes.errorbar(x, y, xerr=reach if across else None, yerr=None if across else reach, **options)


def _color(name: str) -> str:
    """Return blue for neighbours, orange for trees and forests, grey for the rest."""
    return BLUE if "neighbours" in name else ORANGE if "tree" in name or "forest" in name or "tuned" in name else GREY


def draw_models(models: Mapping[str, Row]) -> Figure:
    """Draw the error of every model as bars, and the best ones again where their intervals can be seen.

    Parameters
    ----------
    models : mapping of str to mapping
        The part `beyond` of `results.json`: each has `test_rmse`, an estimate.

    Returns
    -------
    matplotlib.figure.Figure
        Above, bars from 0; below, up to six best models with their intervals.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    names = sorted(models, key=lambda name: models[name]["test_rmse"]["value"])
    least = models[names[0]]["test_rmse"]["value"]
    best = names[:_BEST_SHOWN]
    heights = (0.4 + 0.27 * len(names), 0.5 + 0.3 * len(best))
    figure, (above, below) = make_axes(1.5 + sum(heights), f"Least test RMSE: {least:.4f}, {names[0]}", heights=heights)
    places = np.arange(len(names))
    values = [models[name]["test_rmse"]["value"] for name in names]
    above.barh(places, values, color=[_color(name) for name in names], height=0.65)
    for place, value in zip(places, values, strict=True):
        above.annotate(f"{value:.4f}", (value, place), (3, 0), textcoords="offset points", va="center", fontsize=8.5)
    above.set_xlim(0, 1.35 * max(values))
    for row, name in enumerate(best):
        style: dict[str, Any] = {
            "color": _color(name),
            "marker": "o" if _color(name) == BLUE else "s",
            "linestyle": "none",
        }
        _plot_estimates(below, [row], [models[name]["test_rmse"]], across=True, **style)
    for axes, shown in ((above, names), (below, best)):
        axes.set_yticks(range(len(shown)), shown)
        axes.set_ylim(len(shown) - 0.4, -0.6)
    label_axes(above, f"test RMSE ({_ERROR})", "model")
    label_axes(below, f"test RMSE ({_ERROR})", "model", title="The best, with 95 % intervals")
    return figure


def draw_errors(errors: Mapping[str, Sequence[Row]], *, by: str) -> Figure:
    """Draw the errors of groups of rows, such as decades, for some models.

    Parameters
    ----------
    errors : mapping of str to sequence of mapping
        By model, one mapping for each group: `group`, `n_rows`, and the estimates `rmse` and `residual`.
    by : str
        What the groups are, with its unit.

    Returns
    -------
    matplotlib.figure.Figure
        Above, the RMSE; below, the mean residual, actual less predicted; both with their intervals.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    last = list(errors)[-1]
    worst = max(errors[last], key=lambda row: row["rmse"]["value"])
    title = f"{last}: largest RMSE {worst['rmse']['value']:.3f}, at {worst['group']}"
    figure, panels = make_axes(5.6, title, heights=(1.2, 1))
    groups = list(dict.fromkeys(row["group"] for rows in errors.values() for row in rows))
    for axes, name in zip(panels, ("rmse", "residual"), strict=True):
        for number, (model, rows) in enumerate(errors.items()):
            color, marker = _STYLES[number % len(_STYLES)]
            places = np.array([groups.index(row["group"]) for row in rows]) + 0.12 * (number - (len(errors) - 1) / 2)
            style: dict[str, Any] = {"color": color, "marker": marker, "linewidth": 1.2, "label": model}
            _plot_estimates(axes, places, [row[name] for row in rows], **style)
        shown = range(0, len(groups), -(-len(groups) // _MOST_NAMES))
        axes.set_xticks(shown, [groups[place] for place in shown], rotation=45, ha="right", rotation_mode="anchor")
    panels[0].set_ylim(bottom=0)
    panels[1].axhline(0, color="black", linewidth=1)
    label_axes(panels[0], by, f"RMSE\n({_ERROR})")
    label_axes(panels[1], by, f"actual - predicted\n(mean, {_ERROR})")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=1, fontsize=9)
    return figure


def draw_learning_curve(curves: Mapping[str, Sequence[Row]]) -> Figure:
    """Draw the error of models over the number of rows that they learned from.

    Parameters
    ----------
    curves : mapping of str to sequence of mapping
        By model, one mapping for each size: `n_train`, and the estimate `rmse`.

    Returns
    -------
    matplotlib.figure.Figure
        RMSE over training rows, these on a logarithmic axis.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """

    def drop(points: Sequence[Row]) -> float:
        return float(points[-2]["rmse"]["value"] - points[-1]["rmse"]["value"]) if len(points) > 1 else 0.0

    name = min(curves, key=lambda model: curves[model][-1]["rmse"]["value"])
    title = f"{name}: the last doubling of rows takes {drop(curves[name]):.4f} off the RMSE"
    figure, (axes,) = make_axes(4.2, title)
    for number, (model, points) in enumerate(curves.items()):
        color, marker = _STYLES[number % len(_STYLES)]
        style: dict[str, Any] = {"color": color, "marker": marker, "linewidth": 1.4, "label": model}
        _plot_estimates(axes, [point["n_train"] for point in points], [point["rmse"] for point in points], **style)
    sizes = sorted({point["n_train"] for points in curves.values() for point in points})
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.set_xticks([], minor=True)
    label_axes(axes, "training rows (count, log scale)", f"RMSE of validation rows ({_ERROR})")
    axes.legend(fontsize=9, loc="best", framealpha=0.9)
    return figure


def draw_weights(
    weights: Mapping[str, Row], *, unit: str = "weight (share of the squared distance)", verb: str = "weighs"
) -> Figure:
    """Draw what each column counts for, with its spread.

    Parameters
    ----------
    weights : mapping of str to mapping
        By column, an estimate; its interval may be a range over folds.
    unit : str
        What the figures are.
    verb : str
        What the first column does most.

    Returns
    -------
    matplotlib.figure.Figure
        One bar for each column, the heaviest on top.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    names = sorted(weights, key=lambda name: -weights[name]["value"])
    figure, (axes,) = make_axes(1.4 + 0.26 * len(names), f"{names[0]} {verb} most")
    places = np.arange(len(names))
    axes.barh(places, [weights[name]["value"] for name in names], color=BLUE, alpha=0.6, height=0.65)
    _plot_estimates(
        axes, places, [weights[name] for name in names], across=True, color="black", linestyle="none", marker=""
    )
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    label_axes(axes, unit, "column")
    return figure


def draw_calibration(points: Sequence[Row]) -> Figure:
    """Draw how many targets lie in intervals of several nominal coverages.

    Parameters
    ----------
    points : sequence of mapping
        Each has `nominal`, `coverage`, `coverage_low` and `coverage_high`, shares from 0 to 1.

    Returns
    -------
    matplotlib.figure.Figure
        Observed over nominal coverage, with the line on which they are equal.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    farthest = max(points, key=lambda point: abs(point["coverage"] - point["nominal"]))
    off = 100 * (farthest["coverage"] - farthest["nominal"])
    figure, (axes,) = make_axes(4.4, f"Coverage is off by {off:+.1f} % at most")
    ends = [100 * min(point["nominal"] for point in points) - 5, 100]
    axes.plot(ends, ends, color=RED, linewidth=1.2, label="observed = nominal")
    estimates = [_as_percent(point) for point in points]
    style: dict[str, Any] = {"color": BLUE, "marker": "o", "linewidth": 1.2, "label": "test rows"}
    _plot_estimates(axes, [100 * point["nominal"] for point in points], estimates, **style)
    axes.set_aspect("equal")
    label_axes(axes, "nominal coverage (% of rows)", "observed coverage (% of test rows)")
    axes.legend(fontsize=9, loc="upper left")
    return figure


def draw_coverage(rows: Sequence[Row], *, nominal: float = 0.9, by: str = "decade of release (years)") -> Figure:
    """Draw coverage and width of intervals by group of rows.

    Parameters
    ----------
    rows : sequence of mapping
        Each has `group`, `coverage`, `coverage_low`, `coverage_high` (shares from 0 to 1) and `mean_width`, as
        `energyknn.estimators.intervals.measure_coverage` tabulates them.
    nominal : float, default=0.9
        The coverage that was asked for.
    by : str
        What the groups are, with its unit.

    Returns
    -------
    matplotlib.figure.Figure
        Above, coverage with its intervals; below, mean widths.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    low, high = (100 * end(row["coverage"] for row in rows) for end in (min, max))
    title = f"{100 * nominal:g} % intervals cover {low:.1f} to {high:.1f} % of the rows of a group"
    figure, (above, below) = make_axes(5.0, title, heights=(1.2, 1))
    places = np.arange(len(rows))
    style: dict[str, Any] = {"color": BLUE, "marker": "o", "linestyle": "none"}
    _plot_estimates(above, places, [_as_percent(row) for row in rows], **style)
    above.axhline(100 * nominal, color=RED, linewidth=1.2)
    below.bar(places, [row["mean_width"] for row in rows], color=BLUE, width=0.65)
    for axes in (above, below):
        axes.set_xticks(places, [row["group"] for row in rows], rotation=45, ha="right", rotation_mode="anchor")
    label_axes(above, by, "coverage\n(% of test rows)")
    label_axes(below, by, f"mean width\n({_ERROR})")
    return figure


def _as_percent(row: Row) -> dict[str, float]:
    names = {"value": "coverage", "low": "coverage_low", "high": "coverage_high"}
    return {end: 100 * row[name] for end, name in names.items()}


_BOOTSTRAP = "Bars: 95 % intervals, by bootstrap over the rows."


def draw_beyond(results: Mapping[str, Any]) -> dict[str, Picture]:
    """Draw every picture of the section beyond the notebook whose table is in the results.

    Parameters
    ----------
    results : mapping
        The study's results, with the parts `beyond` and `beyond_analyses` or without.

    Returns
    -------
    dict of str to Picture
        By name; all begin with "beyond". Empty where nothing of it was run.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    models, found = results.get("beyond"), results.get("beyond_analyses") or {}
    errors = found.get("errors") or {}
    drawn: list[tuple[str, Any, Callable[[Any], Figure], str, str]] = [
        ("models", models, draw_models, "Bars of the test RMSE of every model, and the best with intervals.",
         "All models, same training and test rows; neighbours in blue, trees in orange. " + _BOOTSTRAP),
        ("errors_by_decade", errors.get("decade"), lambda table: draw_errors(table, by="decade of release (years)"),
         "Lines of RMSE and of the mean residual by decade.",
         "Test rows by decade of release; decades of fewer than 20 rows are left out. Below: above 0, a model predicts "
         "too little there. " + _BOOTSTRAP),
        ("errors_by_target", errors.get("target"), lambda table: draw_errors(table, by="actual energy (score)"),
         "Lines of RMSE and of the mean residual by actual energy.",
         "Test rows by actual energy. Any model that errs predicts too much at the low end and too little at the high "
         "end: predictions lie nearer the mean. " + _BOOTSTRAP),
        ("learning_curve", found.get("learning_curve"), draw_learning_curve, "Curves of RMSE over training rows.",
         "Models that learn from a part of one fold's training rows, all scored on that fold's validation rows. "
         + _BOOTSTRAP),
        ("weights", found.get("weights"), draw_weights, "Bars of the columns' weights.",
         "What each column weighs in a learned distance. Lines: a standard deviation over folds to either side."),
        ("importance", found.get("importance"),
         lambda table: draw_weights(table, unit="rise of the RMSE when shuffled (score)", verb="tells"),
         "Bars of the columns' importance.",
         "What a column tells a map, by the harm of shuffling it among validation rows, a category's indicators "
         "together. Lines: a standard deviation over folds to either side."),
        ("calibration", found.get("calibration"), draw_calibration, "Observed over nominal coverage.",
         "Share of the test rows whose energy lies in its interval. Bars: 95 % intervals of the share."),
        ("coverage", found.get("coverage"), draw_coverage, "Coverage and mean width of intervals by group.",
         "Test rows in intervals of 90 % (line), and how wide these are. Bars: 95 % intervals of the share."),
    ]  # fmt: skip
    pictures = {}
    for name, table, draw, alt, caption in drawn:
        if table:
            figure = draw(table)
            title = " ".join(figure.get_suptitle().split())
            pictures[f"beyond_{name}"] = Picture(figure, f"{title}. {alt}", caption)
    return pictures
