"""The pictures of the gallery: what an example draws, kept as SVG, and its twin for the dark theme."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib import rc_context

DARK = {"#ffffff": "#131416", "#000000": "#e8ebee", "#555555": "#a9b3be", "#0072b2": "#5cb4ec", "#cccccc": "#4a525b"}
"""What the colours of the pictures are on a dark page: paper, ink, grey, blue, the frame of a legend."""


def keep_figures(_block: Any, variables: Any, settings: Any) -> str:
    """Save the figures that a piece of an example has drawn, and return what shows them on its page."""
    figures, shown = [plt.figure(number) for number in plt.get_fignums()], ""
    for figure, path in zip(figures, variables["image_path_iterator"], strict=False):
        drawn = Path(path).with_suffix(".svg")
        with rc_context({"svg.hashsalt": "energyknn"}):
            figure.savefig(drawn, metadata={"Date": None})
        says = "; ".join(axes.get_title() for axes in figure.axes if axes.get_title())
        shown += f"\n.. image:: /{drawn.relative_to(settings['src_dir']).as_posix()}\n   :alt: {says}\n"
    plt.close("all")
    return shown


def darken(svg: str) -> str:
    """Return a picture with the colours of a dark page.

    Examples
    --------
    >>> darken('<svg width="9"><path style="fill: #ffffff"/></svg>')
    '<svg fill="#e8ebee" width="9"><path style="fill: #131416"/></svg>'
    """
    known = re.compile("|".join(DARK))
    return known.sub(lambda found: DARK[found[0]], svg).replace("<svg ", f'<svg fill="{DARK["#000000"]}" ', 1)
