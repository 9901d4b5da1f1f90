"""Rows counted by two targets, such as the actual and the predicted one, as the shades of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from energyknn.errors import import_extra
from energyknn.study.reporting.axes import escape, label_axes, make_axes, write_ticks
from energyknn.study.reporting.colors import INK, PAPER, RED, SHADES
from energyknn.study.reporting.svg import say_values
from energyknn.study.reporting.words import Words, write_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure


FloatArray = NDArray[np.float64]

UNIT_INTERVAL = "0 to 1"
"""The unit of scores such as shares."""

_MOST_WRITTEN = 10  # classes of a matrix whose counts can be read
_PALE = 100 * 4 / len(SHADES)  # % up to which ink is read on a cell
_LONGEST_NAME = 18  # letters of a class beside an axis
_END = 8  # of them, its last, by which long names often differ


def draw_pairs(
    title: str, pairs: tuple[FloatArray, FloatArray], names: tuple[str, str], *, words: Words, of: str
) -> Figure:
    """Draw how often two numbers come together, in hexagonal cells, with the line on which both are equal.

    Parameters
    ----------
    title : str
        The title of the figure.
    pairs : tuple of two ndarrays of shape (n_rows,), float64
        The numbers for the horizontal and for the vertical axis, in the unit of the target.
    names : tuple of two str
        Their names.
    words : Words
        The target and its unit.
    of : str
        What is counted.

    Returns
    -------
    matplotlib.figure.Figure
        Light cells hold one row, dark ones many, on a log scale.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    figure, (axes,) = make_axes(4.5, title)
    low, high = find_limits(words, *pairs)
    cells = _draw_cells(axes, pairs, (low, high))
    x, y = names
    equal = f"{y.removesuffix(f' {words.target}')} = {x.removesuffix(f' {words.target}')}"
    axes.plot([low, high], [low, high], color=RED, linewidth=1.6, label=equal)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        write_ticks(axis, max(abs(low), abs(high)))
    label_axes(axes, words.with_unit(x), words.with_unit(y))
    axes.legend(fontsize=9, loc="upper left")
    bar = figure.colorbar(cells, ax=axes, shrink=0.85, format="{x:g}")
    bar.set_label(f"{of} in a cell (count, log scale)", fontsize=10)
    bar.ax.tick_params(labelsize=9.5)
    return figure


def find_limits(words: Words, *values: FloatArray) -> tuple[float, float]:
    """Return the ends of an axis for targets: those of a score from 0 to 1 stay there."""
    low, high = min(part.min() for part in values), max(part.max() for part in values)
    if words.unit == UNIT_INTERVAL:
        low, high = min(low, 0.0), max(high, 1.0)
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _draw_cells(axes: Axes, points: tuple[FloatArray, FloatArray], limits: tuple[float, float]) -> PolyCollection:
    """Draw counts in hexagonal cells, light for one row and dark for many, on a log scale up to 10 or more."""
    colors = import_extra("matplotlib.colors", extra="report")
    shades = colors.ListedColormap(SHADES)
    cells = axes.hexbin(
        *points, gridsize=40, mincnt=1, norm=colors.LogNorm(vmin=1), cmap=shades, extent=(*limits, *limits)
    )
    cells.set_clim(1, max(10.0, float(np.asarray(cells.get_array(), dtype=np.float64).max())))
    counts = np.asarray(cells.get_array(), dtype=np.int64)
    near = (" and ".join(map(write_number, place)) for place in np.asarray(cells.get_offsets()).tolist())
    say_values(cells, (f"{count:,} near {place}" for count, place in zip(counts, near, strict=True)))
    return cells


def draw_matrix(
    title: str, counts: NDArray[np.int64], labels: Sequence[str], names: tuple[str, str], *, pair: str
) -> Figure:
    """Draw rows by two classes, as shares of those with the same first class.

    Parameters
    ----------
    title : str
        The title of the figure.
    counts : ndarray of shape (n_classes, n_classes), int64
        Rows by their first class, then their second.
    labels : sequence of str
        The classes.
    names : tuple of two str
        What the first and the second class are.
    pair : str
        How two classes are told, with braces for both.

    Returns
    -------
    matplotlib.figure.Figure
        Counts stand in the cells where they can be read.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    figure, (axes,) = make_axes(4.6 if len(labels) <= _MOST_WRITTEN else 5.8, title)
    shares = 100 * counts / counts.sum(axis=1, keepdims=True).clip(1)
    shades = import_extra("matplotlib.colors", extra="report").ListedColormap(SHADES)
    image = axes.pcolormesh(shares, vmin=0, vmax=100, cmap=shades, edgecolors=PAPER, linewidth=0.5)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    pairs = (pair.format(first, second) for first in labels for second in labels)
    said = zip(pairs, counts.ravel(), shares.ravel(), strict=True)
    say_values(image, (f"{words}: {count:,}, {share:.1f} %" for words, count, share in said))
    axes.grid(visible=False)
    shown = [shorten(label) for label in labels]
    centres = np.arange(len(labels)) + 0.5
    axes.set_xticks(centres, shown, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(centres, shown)
    if len(labels) <= _MOST_WRITTEN:
        for (row, column), count in np.ndenumerate(counts):
            color = PAPER if shares[row, column] > _PALE else INK
            axes.text(column + 0.5, row + 0.5, f"{count:,}", ha="center", va="center", color=color, fontsize=9)
    first, second = names
    label_axes(axes, second, first)
    bar = figure.colorbar(image, ax=axes, shrink=0.85)
    bar.set_label(f"rows (% of the {first.split()[0]} class)", fontsize=10)
    bar.ax.tick_params(labelsize=9.5)
    return figure


def shorten(label: str) -> str:
    """Return a label that fits beside an axis, without the middle of a long one.

    Examples
    --------
    >>> shorten("the first of many classes")
    'the first… classes'
    """
    fits = len(label) <= _LONGEST_NAME
    return escape(label if fits else f"{label[: _LONGEST_NAME - _END - 1]}…{label[-_END:]}")
