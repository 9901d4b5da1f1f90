"""Pictures of the study: pure functions from figures and arrays to Matplotlib figures.

Nothing here touches pyplot, a window or the user's Matplotlib settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn.errors import import_extra
from energyknn.study.reporting.axes import BLUE, GREEN, GREY, ORANGE, RED, UNIT, Picture, label_axes, make_axes
from energyknn.study.reporting.comparison_pictures import draw_beyond
from energyknn.study.reporting.tables import QUANTITIES, SIDES
from energyknn.study.results import Results, SearchPart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure


FloatArray = NDArray[np.float64]

_MOST_POINTS = 30_000


@dataclass(frozen=True, eq=False)
class StudyArrays:
    """The targets and predictions that the pictures are drawn from.

    Parameters
    ----------
    y_train : ndarray of shape (n_train,), float64
        Energy of the training rows, 0 to 1.
    y_test : ndarray of shape (n_test,), float64
        Energy of the test rows, 0 to 1.
    predicted_test : ndarray of shape (n_test,), float64
        What the tuned model predicts for the test rows, in their order.
    """

    y_train: FloatArray
    y_test: FloatArray
    predicted_test: FloatArray


class _Curve:
    """Scores of one search in the order of k, each candidate once; arrays of shape (n_candidates,)."""

    def __init__(self, search: SearchPart) -> None:
        self.n_neighbors, order = np.unique(search["n_neighbors"], return_index=True)
        self.folds = np.array(search["fold_test_scores"])[order]  # (n_candidates, n_folds)
        self.mean = self.folds.mean(axis=1)
        self.error = self.folds.std(axis=1) / np.sqrt(self.folds.shape[1])

    def find(self, n_neighbors: int) -> tuple[float, float]:
        """Return the mean of a candidate and one standard error."""
        (place,) = np.flatnonzero(self.n_neighbors == n_neighbors)
        return float(self.mean[place]), float(self.error[place])


def draw_validation_curve(results: Results) -> Figure:
    """Draw the mean validation R² of every candidate k with one standard error.

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
    coarse, micro, best = _Curve(results["coarse"]), _Curve(results["micro"]), results["micro"]["best"]
    mean, error = micro.find(best)
    title = f"Best k is {best}: validation R² {mean:.4f} ± {error:.4f}"
    every_k = results.get("curve")
    if every_k and every_k["best"] != best:
        title += f"; of every k it is {every_k['best']}, which the searches pass by"
    figure, (above, below) = make_axes(5.6, title, heights=(1.35, 1))
    if every_k:
        _draw_curve(above, _Curve(every_k), label="every k from one search, this run", color=GREY, marker="")
    _draw_curve(above, coarse, label="coarse search, this run", color=BLUE)
    _draw_points(above, micro, label="micro search, this run", color=GREEN, marker="s")
    printed = _Curve(results["notebook"]["coarse"])
    style: dict[str, Any] = {"color": RED, "marker": "D", "markerfacecolor": "none", "markersize": 5.5}
    _draw_points(above, printed, label="coarse search, notebook", **style)
    above.scatter(
        np.repeat(printed.n_neighbors, printed.folds.shape[1]), printed.folds.ravel(), s=3, color=RED, alpha=0.7
    )
    label_axes(above, "neighbours k (count)", "mean validation R² (no unit)")
    above.legend(fontsize=9, loc="best", framealpha=0.9)

    near, total = int(np.count_nonzero(micro.mean >= mean - error)), len(micro.n_neighbors)
    share = f"All {total}" if near == total else f"{near} of {total}"
    words = f"{share} micro candidates are within one standard error (dashed) of the best (star)"
    _draw_curve(below, micro, label="micro search, this run", color=GREEN)
    below.axhline(mean - error, color=GREY, linewidth=1, linestyle="--")
    below.set_xticks(micro.n_neighbors)
    label_axes(below, "neighbours k (count)", "mean validation R² (no unit)", title=words)
    for axes in (above, below):
        axes.plot(
            [best], [mean], linestyle="none", zorder=5, marker="*", markersize=13, color=ORANGE, markeredgecolor="black"
        )
        axes.axvline(best, color=GREY, linewidth=0.8, linestyle=":")
    return figure


def _draw_points(axes: Axes, curve: _Curve, **style: Any) -> None:
    options: dict[str, Any] = {"linestyle": "none", "markersize": 4.5, "capsize": 2.5, "elinewidth": 1.2, **style}
    axes.errorbar(curve.n_neighbors, curve.mean, yerr=curve.error, **options)


def _draw_curve(axes: Axes, curve: _Curve, *, label: str, color: str, marker: str = "o") -> None:
    low, high = curve.mean - curve.error, curve.mean + curve.error
    axes.fill_between(curve.n_neighbors, low, high, color=color, alpha=0.2, linewidth=0)
    _draw_points(axes, curve, label=label, color=color, marker=marker, linestyle="-")


def draw_predicted_against_actual(
    y_test: ArrayLike, predicted_test: ArrayLike, *, n_points: int = _MOST_POINTS, random_state: int = 42
) -> Figure:
    """Draw predicted against actual energy as counts in hexagonal cells, with the identity line.

    Parameters
    ----------
    y_test : array-like of shape (n_test,)
        Actual energy, 0 to 1.
    predicted_test : array-like of shape (n_test,)
        Predicted energy, in the same order.
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
    title = f"Predicted energy misses actual energy by {rmse:.3f} (RMSE, test rows)"
    figure, (axes,) = make_axes(4.5, title)
    if len(actual) > n_points:
        chosen = np.random.default_rng(random_state).choice(len(actual), n_points, replace=False)
        actual, predicted = actual[chosen], predicted[chosen]
    low, high = min(actual.min(), predicted.min(), 0.0), max(actual.max(), predicted.max(), 1.0)
    cells = _draw_cells(axes, (actual, predicted), (low, high))
    axes.plot([low, high], [low, high], color=RED, linewidth=1.6, label="predicted = actual")
    axes.set_aspect("equal")
    label_axes(axes, f"actual energy ({UNIT})", f"predicted energy ({UNIT})")
    axes.legend(fontsize=9, loc="upper left")
    bar = figure.colorbar(cells, ax=axes, shrink=0.85, format="{x:g}")
    bar.set_label("test rows in a cell (count, log scale)", fontsize=10)
    bar.ax.tick_params(labelsize=9.5)
    return figure


def _draw_cells(axes: Axes, points: tuple[FloatArray, FloatArray], limits: tuple[float, float]) -> PolyCollection:
    """Draw counts in hexagonal cells, light for one row and dark for many, on a log scale up to 10 or more."""
    colors = import_extra("matplotlib.colors", extra="report")
    shades = colors.LinearSegmentedColormap.from_list("counts", ["#cfe2f3", "#4a90c4", "#08306b"])
    cells = axes.hexbin(
        *points, gridsize=40, mincnt=1, norm=colors.LogNorm(vmin=1), cmap=shades, extent=(*limits, *limits)
    )
    cells.set_clim(1, max(10.0, float(np.asarray(cells.get_array(), dtype=np.float64).max())))
    return cells


def _count_bins(n_rows: int) -> int:
    """Return the bins of a histogram: the root of the rows, 10 to 50."""
    return int(np.clip(np.sqrt(n_rows), 10, 50))


def draw_residuals(y_test: ArrayLike, predicted_test: ArrayLike) -> Figure:
    """Draw the residuals, actual minus predicted, against the prediction and as a histogram.

    Parameters
    ----------
    y_test : array-like of shape (n_test,)
        Actual energy, 0 to 1.
    predicted_test : array-like of shape (n_test,)
        Predicted energy, in the same order.

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
    title = f"Median residual within ±{largest:.3f} in every bin; 90 % of all between {low:+.2f} and {high:+.2f}"
    figure, (above, below) = make_axes(5.0, title, heights=(1.2, 1))
    style: dict[str, Any] = {"color": BLUE, "alpha": 0.25, "linewidth": 0, "label": "5 to 95 % of the rows"}
    above.fill_between(centre, lowest, highest, **style)
    above.plot(centre, median, color=BLUE, marker="o", markersize=3.5, label="median")
    above.axhline(0, color=RED, linewidth=1.2)
    label_axes(above, f"predicted energy ({UNIT})", "actual - predicted\n(energy score)")
    above.legend(fontsize=9, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    below.hist(residuals, bins=_count_bins(len(residuals)), color=BLUE)
    below.axvline(0, color=RED, linewidth=1.2)
    for value in (low, high):
        below.axvline(value, color=GREY, linestyle="--", linewidth=1)
    label_axes(below, "actual - predicted energy (energy score)", "test rows (count)", title="Dashed lines: 5 and 95 %")
    return figure


def draw_train_against_test(results: Results) -> Figure:
    """Draw the scores on training and test rows, before and after tuning, with the notebook's beside them.

    Parameters
    ----------
    results : Results
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
    gaps = results["overfitting"]["without_self_minus_test_r2"]
    title = f"Train minus test R², self left out: {gaps['base']:+.3f} before tuning, {gaps['tuned']:+.3f} after"
    figure, panels = make_axes(5.4, title, heights=(1, 1))
    models: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
        (results["base"], results["notebook"]["base"]),
        (results["tuned"], results["notebook"]["tuned"]),
    ]
    lines = [(model, printed, side) for model, printed in models for side in SIDES]
    heights = np.arange(len(lines))
    markers = dict(zip(SIDES, ((BLUE, "o"), (GREEN, "^"), (ORANGE, "s")), strict=True))
    for axes, quantity in zip(panels, QUANTITIES, strict=True):
        for height, (model, _, side) in zip(heights, lines, strict=True):
            (color, marker), value = markers[side], model[side][quantity]
            axes.plot([value], [height], color=color, marker=marker, markersize=8, linestyle="none")
            where: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "fontsize": 8.5}
            axes.annotate(f"{value:.3f}", (value, height), (0, 6), **where)
        values = [printed[side][quantity] if side in printed else np.nan for _, printed, side in lines]
        style: dict[str, Any] = {"color": RED, "marker": "D", "markerfacecolor": "none", "linestyle": "none"}
        axes.plot(values, heights, markersize=6, label="what the notebook printed", **style)
        axes.set_yticks(heights, [f"k = {model['n_neighbors']}, {SIDES[side]}" for model, _, side in lines])
        axes.set_ylim(len(lines) - 0.5, -0.8)
        axes.margins(x=0.12)
    label_axes(panels[0], "R² (no unit; higher is better)", "model and rows")
    label_axes(panels[1], "RMSE (energy score; lower is better)", "model and rows")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    return figure


def draw_energy_distribution(y_train: ArrayLike, y_test: ArrayLike) -> Figure:
    """Draw how energy is spread over all rows, and over training and test rows.

    Parameters
    ----------
    y_train : array-like of shape (n_train,)
        Energy of the training rows, 0 to 1.
    y_test : array-like of shape (n_test,)
        Energy of the test rows, 0 to 1.

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
    title = f"Energy of {len(everything):,} rows: mean {everything.mean():.3f}, sd {everything.std():.3f}"
    figure, (axes,) = make_axes(3.4, title)
    edges = np.linspace(min(everything.min(), 0.0), max(everything.max(), 1.0), _count_bins(len(test)) + 1)
    shares = [100 * np.histogram(values, edges)[0] / len(values) for values in (everything, train, test)]
    axes.stairs(shares[0], edges, fill=True, color="#c9d6df", label=f"all rows ({len(everything):,})")
    label = f"train ({len(train):,}), sd {train.std():.3f}"
    axes.stairs(shares[1], edges, color=BLUE, linewidth=1.6, label=label)
    label = f"test ({len(test):,}), sd {test.std():.3f}"
    axes.stairs(shares[2], edges, color=RED, linewidth=1.4, linestyle="--", label=label)
    label_axes(axes, f"energy ({UNIT})", "rows in a bin (% of each group)")
    axes.set_ylim(0, 1.4 * max(float(share.max()) for share in shares))
    axes.legend(fontsize=9, loc="upper left")
    return figure


def draw_pictures(results: Results, arrays: StudyArrays) -> dict[str, Picture]:
    """Draw every picture of the study, with its caption and its text for those who cannot see it.

    Parameters
    ----------
    results : Results
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
    sides = (arrays.y_test, arrays.predicted_test)
    n_test, n_folds = len(arrays.y_test), len(results["coarse"]["fold_test_scores"][0])
    drawn = f"All {n_test:,} test rows."
    if n_test > _MOST_POINTS:
        drawn = f"{_MOST_POINTS:,} of {n_test:,} test rows, a random choice with a fixed seed."
    pictures = {
        "validation_curve": Picture(
            draw_validation_curve(results),
            "Curve of mean validation R² against the number of neighbours.",
            f"Mean R² over {n_folds} folds of the training rows. Bars and bands: one standard error, the standard "
            f"deviation over the folds divided by √{n_folds}. Star: the best k. Diamonds: what the notebook printed "
            "for its own file; dots: its folds.",
        ),
        "train_against_test": Picture(
            draw_train_against_test(results),
            "Dots of R² and RMSE on training and test rows, before and after tuning.",
            "Train counts each row as its own neighbour, as the notebook does. Train without self leaves it out: its "
            "gap to the test score shows overfitting. Diamonds: the notebook's own two models, on its own file.",
        ),
        "predicted_against_actual": Picture(
            draw_predicted_against_actual(*sides),
            "Map of counts: predicted energy against actual energy.",
            f"{drawn} Predicted by the tuned model. A prediction on the line is right.",
        ),
        "residuals": Picture(
            draw_residuals(*sides),
            "Band of residuals against predicted energy, and a histogram of residuals.",
            f"All {n_test:,} test rows, tuned model. Above, bins of equally many rows by predicted energy: a median "
            "above 0 means that the model predicts too little there.",
        ),
        "energy_distribution": Picture(
            draw_energy_distribution(arrays.y_train, arrays.y_test),
            "Histogram of energy in all, training and test rows.",
            "The two sides of the split and both together, each in % of its own rows. R² compares the error with this "
            "spread; RMSE does not.",
        ),
    }
    return pictures | draw_beyond(results)
