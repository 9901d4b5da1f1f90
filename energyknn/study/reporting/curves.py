"""Scores over the number of neighbours: what the pictures of every study share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from energyknn.study.reporting.axes import label_axes, make_axes, mark_values
from energyknn.study.reporting.colors import BLUE, GREY, INK, PAPER
from energyknn.study.reporting.svg import say_values
from energyknn.study.results import OwnCurve, SearchPart

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TICKS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 300, 1000, 3000)
_FEW = 30  # candidates that are drawn as dots on an even axis


class Curve:
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


def draw_points(axes: Axes, curve: Curve, **style: Any) -> None:
    """Draw the candidates as dots, with one standard error."""
    options: dict[str, Any] = {"linestyle": "none", "markersize": 4.5, "capsize": 2.5, "elinewidth": 1.2, **style}
    axes.errorbar(curve.n_neighbors, curve.mean, yerr=curve.error, **options)
    say_curve(axes, curve)


def say_curve(axes: Axes, curve: Curve) -> None:
    """Let each candidate say its score where the pointer rests on it."""
    rows = zip(curve.n_neighbors, curve.mean, curve.error, strict=True)
    mark_values(axes, curve.n_neighbors, curve.mean, (f"k = {k}: {mean:.4f} ± {error:.4f}" for k, mean, error in rows))


def draw_curve(axes: Axes, curve: Curve, *, label: str, color: str, marker: str = "o") -> None:
    """Draw the candidates as a line, with a band of one standard error."""
    draw_band(axes, curve, color=color)
    draw_points(axes, curve, label=label, color=color, marker=marker, linestyle="-")


def draw_band(axes: Axes, curve: Curve, *, color: str) -> None:
    """Draw a band of one standard error."""
    low, high = curve.mean - curve.error, curve.mean + curve.error
    axes.fill_between(curve.n_neighbors, low, high, color=color, alpha=0.2, linewidth=0)


def mark_best(axes: Axes, best: int, score: float) -> None:
    """Mark the best candidate with a star."""
    (star,) = axes.plot(
        [best], [score], linestyle="none", zorder=5, marker="*", markersize=14, color=INK, markeredgecolor=PAPER
    )
    say_values(star, [f"k = {best}: {score:.4f}, the best"])
    axes.axvline(best, color=GREY, linewidth=0.8, linestyle=":")


def space_candidates(axes: Axes, n_neighbors: Any) -> None:
    """Space many candidates evenly by their logarithm, because scores change most where k is small."""
    if len(n_neighbors) > _FEW:
        axes.set_xscale("log")
        shown = [k for k in _TICKS if n_neighbors[0] <= k <= n_neighbors[-1]]
        axes.set_xticks(shown, list(map(str, shown)))
        axes.set_xticks([], minor=True)


def draw_every_k(search: OwnCurve, *, score: str) -> Figure:
    """Draw the mean validation score of every candidate, with one standard error.

    Parameters
    ----------
    search : OwnCurve
        The candidates.
    score : str
        What their score is called.

    Returns
    -------
    matplotlib.figure.Figure
        A line with a band; a star at the best k, and a circle at the largest k within one standard error of it.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    curve, best, near = Curve(search), search["best"], search["within_one_standard_error"]
    mean, error = curve.find(best)
    title = f"Best k is {best} of {len(curve.mean)} tried: validation {score} {mean:.4f}\u00a0±\u00a0{error:.4f}"
    figure, (axes,) = make_axes(4.2, title)
    draw_band(axes, curve, color=BLUE)
    marker = "o" if len(curve.mean) <= _FEW else ""
    axes.plot(curve.n_neighbors, curve.mean, color=BLUE, linewidth=1.5, marker=marker, markersize=4)
    axes.axhline(mean - error, color=GREY, linewidth=1, linestyle="--")
    say_curve(axes, curve)
    if near != best:
        style: dict[str, Any] = {"markerfacecolor": PAPER, "color": INK, "markeredgewidth": 1.8, "zorder": 4}
        axes.plot([near], [curve.find(near)[0]], marker="o", markersize=9, linestyle="none", **style)
    mark_best(axes, best, mean)
    space_candidates(axes, curve.n_neighbors)
    label_axes(axes, "neighbours k (count)", f"mean validation {score}")
    return figure


def describe_bars(n_folds: int, score: str) -> str:
    """Say what bars and bands of scores over folds are."""
    return (
        f"Mean {score} over {n_folds} folds of the training rows. Bars and bands: one standard error, the standard "
        f"deviation over the folds divided by √{n_folds}."
    )
