"""What every picture shares: a white figure with panels under a title that wraps, labels and colours.

Colours are those of Okabe and Ito, which people with any common colour blindness can tell apart; markers differ too.
"""

from __future__ import annotations

import base64
import io
import textwrap
import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from energyknn.errors import import_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#555555"
_DOTS_PER_INCH = 200
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
    def alt(self) -> str:
        """The text for those who cannot see it: the figure's title, then what it shows."""
        return f"{' '.join(self.title.split())}. {self.shows}"

    @property
    def title(self) -> str:
        """The figure's title as it is read."""
        return self.figure.get_suptitle().replace(r"\$", "$")

    @cached_property
    def png(self) -> bytes:
        """The figure as the content of a PNG file."""
        file = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph")  # the font lacks a letter of a name, which the page has as text
            self.figure.savefig(file, format="png", dpi=_DOTS_PER_INCH)
        return file.getvalue()

    @property
    def address(self) -> str:
        """The PNG file as an address that needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def make_axes(height: float, title: str, *, heights: tuple[float, ...] = (1,)) -> tuple[Figure, list[Axes]]:
    """Return a white figure with panels one above the other, under a title that wraps."""
    figure_module = import_extra("matplotlib.figure", extra="report")
    figure = figure_module.Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    grid = figure.subplots(len(heights), squeeze=False, height_ratios=heights)
    figure.suptitle(
        escape(textwrap.fill(title, 48)), x=0.01, ha="left", fontsize=11.5, fontweight="bold", color="black"
    )
    for axes in grid[:, 0]:
        axes.set_facecolor("white")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9.5)
    return figure, list(grid[:, 0])


def label_axes(axes: Axes, x: str, y: str, *, title: str = "") -> None:
    """Name both axes, with their units, and perhaps the panel."""
    axes.set_xlabel(escape(textwrap.fill(x, 56)), fontsize=10)
    axes.set_ylabel(escape(y if "\n" in y else textwrap.fill(y, 30)), fontsize=10)
    if title:
        axes.set_title(escape(textwrap.fill(title, 46)), loc="left", fontsize=10)


def escape(text: str) -> str:
    """Return text that Matplotlib draws as it is: between two dollars it would set a formula."""
    return text.replace("$", r"\$")


def write_ticks(axis: Axis, largest: float) -> None:
    """Write the numbers of an axis with thousands set apart, and millions as M."""
    ticker = import_extra("matplotlib.ticker", extra="report")
    if largest >= 1000:
        axis.set_major_locator(ticker.MaxNLocator(5))
        axis.set_major_formatter(
            ticker.EngFormatter(sep="") if largest >= 1_000_000 else ticker.StrMethodFormatter("{x:,.10g}")
        )
