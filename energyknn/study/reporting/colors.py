"""The colours of pictures. Each means the same wherever it is; markers differ too.

Blue is what this run's neighbours score on rows that they have not seen, green what they score on training rows, orange
trees and forests, purple the notebook, red where things should be, and grey what stands by for comparison. They are
those of Okabe and Ito, which people with any common colour blindness can tell apart; on a dark page lighter.
"""

from __future__ import annotations

BLUE, ORANGE, GREEN, RED, PURPLE = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7"
INK, PAPER, GREY, LINES = "#000000", "#ffffff", "#555555", "#dddddd"
SHADES = ("#e3eef8", "#c5dcee", "#9cc4e1", "#6aa6cf", "#2f78ad", "#1f639b", "#08406f")
"""From few to many, for maps of counts."""

_LIGHT = dict(
    zip(
        ("blue", "orange", "green", "red", "purple", "ink", "paper", "grey", "lines"),
        (BLUE, ORANGE, GREEN, RED, PURPLE, INK, PAPER, GREY, LINES),
        strict=True,
    )
) | {f"shade-{number}": shade for number, shade in enumerate(SHADES, start=1)}
_DARK = {
    "blue": "#5cb4ec",
    "orange": "#f0b429",
    "green": "#35c79b",
    "red": "#ff8448",
    "purple": "#e2a0c5",
    "ink": "#e8ebee",
    "paper": "#1e2329",
    "grey": "#a9b3be",
    "lines": "#39414a",
} | {
    f"shade-{number}": shade
    for number, shade in enumerate(("#24384a", "#284e6d", "#2a5d84", "#2f709e", "#5ca2d1", "#8ec5e8", "#cfe8fa"), 1)
}
COLORS = {"light": _LIGHT, "dark": _DARK}
"""By name, on a light and on a dark page."""


def write_variables(scheme: str) -> str:
    """Write the colours of pictures on a light or dark page as variables of CSS."""
    return " ".join(f"--{name}: {color};" for name, color in COLORS[scheme].items())
