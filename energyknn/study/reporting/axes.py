"""What every picture shares: a figure with panels under a title that wraps, and labels."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from energyknn.errors import import_extra
from energyknn.study.reporting.colors import LINES
from energyknn.study.reporting.svg import name_title, say_values, write_file, write_markup

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 4.8  # inches: 10 pt is then 10 px high on a page 360 px wide


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with the words that go with it.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure.
    shows : str
        What it shows, for those who cannot see it.
    caption : str
        How to read it: what was measured, on how many rows.
    """

    figure: Figure
    shows: str
    caption: str

    @property
    def title(self) -> str:
        """The figure's title as it is read."""
        return " ".join(self.figure.get_suptitle().split()).replace(r"\$", "$")

    @cached_property
    def file(self) -> bytes:
        """The figure as the content of an SVG file."""
        return write_file(self.figure)

    @cached_property
    def markup(self) -> str:
        """The figure as markup within a page, without its title."""
        return write_markup(self.figure, self.shows)


def make_axes(height: float, title: str, *, heights: tuple[float, ...] = (1,)) -> tuple[Figure, list[Axes]]:
    """Return a white figure with panels one above the other, under a title that wraps."""
    figure_module = import_extra("matplotlib.figure", extra="report")
    figure = figure_module.Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    grid = figure.subplots(len(heights), squeeze=False, height_ratios=heights)
    style: dict[str, Any] = {"x": 0.01, "ha": "left", "fontsize": 11.5, "fontweight": "bold", "color": "black"}
    name_title(figure.suptitle(escape(textwrap.fill(title, 48)), **style))
    for axes in grid[:, 0]:
        axes.set_facecolor("white")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=LINES, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9.5)
    return figure, list(grid[:, 0])


def label_axes(axes: Axes, x: str, y: str, *, title: str = "") -> None:
    """Name both axes, with their units, and perhaps the panel. A short unit is not broken between lines."""
    x, y = (re.sub(r"\([^()]{,12}\)", lambda unit: unit[0].replace(" ", "\u00a0"), name) for name in (x, y))
    axes.set_xlabel(escape(textwrap.fill(x, 56)), fontsize=10)
    axes.set_ylabel(escape(y if "\n" in y else textwrap.fill(y, 30)), fontsize=10)
    if title:
        axes.set_title(escape(textwrap.fill(title, 46)), loc="left", fontsize=10)


def mark_values(axes: Axes, x: Any, y: Any, texts: Iterable[str]) -> None:
    """Let a text be said where the pointer rests near each of some points, which are not drawn."""
    (line,) = axes.plot(x, y, linestyle="none", marker="o", markersize=9, alpha=0, label="_values")
    say_values(line, texts)


def escape(text: str) -> str:
    """Return text that Matplotlib draws as it is: between two dollars it would set a formula."""
    return text.replace("$", r"\$")


def write_ticks(axis: Axis, largest: float) -> None:
    """Write the numbers of an axis with thousands set apart; large ones with k and M."""
    ticker = import_extra("matplotlib.ticker", extra="report")
    if largest >= 1000:
        axis.set_major_locator(ticker.MaxNLocator(5))
        axis.set_major_formatter(
            ticker.EngFormatter(sep="") if largest >= 100_000 else ticker.StrMethodFormatter("{x:,.10g}")
        )
