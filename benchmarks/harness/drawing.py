"""Pictures of a saved run: units on every axis, colours that everybody can tell apart, losing cases as they are."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.peers import BRUTE, PEERS

BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#555555"
DOTS_PER_INCH = 144
WIDTH = 4.8  # inches: 691 dots, and 10 pt are 20 of them
VERDICTS = {"faster": (BLUE, "o"), "no clear difference": (GREY, "s"), "slower": (RED, "D")}
Cases = Sequence[Mapping[str, Any]]
_LINE = 66  # letters that find room across a picture
_FEW_DECADES = 50.0  # a range of ratios so narrow that powers of ten alone would leave its axis bare


def tell_verdict(case: Mapping[str, Any]) -> str:
    """Say what the interval of a case's ratio leaves open."""
    low, high = case["interval"]
    return "faster" if low > 1 else "slower" if high < 1 else "no clear difference"


def make_panels(height: float, title: str, *, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """Return a white figure with panels one above the other."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    panels = list(figure.subplots(rows, squeeze=False)[:, 0])
    figure.suptitle(title, x=0.01, ha="left", fontsize=11.5, fontweight="bold")
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9.5)
    return figure, panels


def encode(figure: Figure) -> bytes:
    """Return a picture as PNG."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return file.getvalue()


def scale_by_tens(axis: Any, unit: str = "") -> None:
    """Write plain numbers at the ticks of a logarithmic axis."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}{unit}"))
    axis.set_minor_formatter(NullFormatter())


def draw_ratios(cases: Cases, title: str) -> Figure:
    """Draw how many times faster each case is, with its interval; left of the line, ours is slower."""
    figure, (axes,) = make_panels(1.2 + 0.42 * len(cases), title)
    for place, case in enumerate(reversed(cases)):
        low, high = case["interval"]
        color, marker = VERDICTS[tell_verdict(case)]
        axes.plot([low, high], [place, place], color=color, linewidth=2.2, solid_capstyle="butt")
        axes.plot([case["times_faster"]], [place], color=color, marker=marker, markersize=6)
        axes.annotate(
            _label(case), (0.01, place), xycoords=("axes fraction", "data"),
            xytext=(0, 4), textcoords="offset points", fontsize=8.5, va="bottom",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.75},
        )  # fmt: skip
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    lowest, highest = (pick(case["interval"][side] for case in cases) for side, pick in ((0, min), (1, max)))
    axes.set_xlim(min(0.5, lowest / 1.3), max(2.0, highest * 1.3))
    axes.set_ylim(-0.6, len(cases) - 0.1)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if highest / lowest < _FEW_DECADES else (1,)))
    scale_by_tens(axes.xaxis)
    axes.set_xlabel("times faster than the rival (ratio of seconds, log scale; 95 % interval)", fontsize=9.5)
    shown = [name for name in VERDICTS if any(tell_verdict(case) == name for case in cases)]
    handles = [axes.plot([], [], color=VERDICTS[name][0], marker=VERDICTS[name][1])[0] for name in shown]
    figure.legend(
        handles,
        [name if " " in name else f"energyknn is {name}" for name in shown],
        fontsize=8.5,
        ncols=3,
        loc="outside lower left",
    )
    return figure


def _label(case: Mapping[str, Any]) -> str:
    """Name a case and its rival, on two lines where one is too short."""
    label = f"{case['case']} | {case['rival']}"
    return label if len(label) <= _LINE else label.replace(" | ", " |\n")


def draw_seconds(cases: Cases, title: str) -> Figure:
    """Draw the seconds of the rival and of ours on one line for each case, the longest wait first."""
    figure, (axes,) = make_panels(1.3 + 0.5 * len(cases), title)
    for place, case in enumerate(sorted(cases, key=lambda case: case["rival_seconds"])):
        ours, theirs = case["ours_seconds"], case["rival_seconds"]
        axes.plot([ours, theirs], [place, place], color="#c8c8c8", linewidth=2.2, zorder=1)
        for seconds, color, marker, side in ((ours, BLUE, "o", "right"), (theirs, GREY, "s", "left")):
            axes.plot([seconds], [place], marker, color=color, markersize=6.5)
            axes.annotate(
                tell_time(seconds), (seconds, place), (-8 if side == "right" else 8, 0), textcoords="offset points",
                fontsize=8.5, ha=side, va="center", color=color,
            )  # fmt: skip
        ratio = f"{case['times_faster']:,.0f} times faster"
        for text, x, side, weight in ((case["case"].partition(" (")[0], 0, "left", None), (ratio, 1, "right", "bold")):
            axes.annotate(
                text, (x, place), (4 if side == "left" else -4, 9), xycoords=("axes fraction", "data"),
                textcoords="offset points", fontsize=8.5, ha=side, va="bottom", weight=weight,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )  # fmt: skip
    quickest, slowest = min(case["ours_seconds"] for case in cases), max(case["rival_seconds"] for case in cases)
    axes.set(xscale="log", xlim=(quickest / 8, slowest * 8), ylim=(-0.5, len(cases) - 0.2), yticks=[])
    marks = {0.01: "10 ms", 0.1: "0.1 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h"}
    axes.set_xticks(list(marks), list(marks.values()))
    axes.minorticks_off()
    axes.set_xlabel("time of the whole search (log scale)", fontsize=9.5)
    handles = [axes.plot([], [], "o", color=BLUE)[0], axes.plot([], [], "s", color=GREY)[0]]
    figure.legend(handles, ["from_grid_search", "GridSearchCV"], fontsize=8.5, ncols=2, loc="outside lower left")
    return figure


def tell_time(seconds: float) -> str:
    """Write a time with two digits, in the unit that a person would say it in."""
    scale, unit = next(((scale, unit) for scale, unit in ((60, "min"), (1, "s")) if seconds >= scale), (1e-3, "ms"))
    return f"{float(f'{seconds / scale:.2g}'):g} {unit}"


def draw_shapes(cases: Cases, title: str) -> Figure:
    """Draw the ratio of every size and shape over the columns, a panel for each number of training rows."""
    sizes = sorted({case["shape"]["n_train"] for case in cases})
    figure, panels = make_panels(1.0 + 1.9 * len(sizes), title, rows=len(sizes))
    styles = dict(zip(sorted({case["shape"]["n_neighbors"] for case in cases}), _STYLES, strict=False))
    for axes, n_train in zip(panels, sizes, strict=True):
        for k, (color, marker) in styles.items():
            chosen = [c for c in cases if (c["shape"]["n_train"], c["shape"]["n_neighbors"]) == (n_train, k)]
            x = [c["shape"]["n_features"] for c in chosen]
            y = [c["times_faster"] for c in chosen]
            label = f"k = {k}"
            axes.plot(x, y, linestyle="none", marker=marker, color=color, markersize=4.5, alpha=0.8, label=label)
        axes.axhline(1, color="black", linewidth=1)
        axes.set(xscale="log", yscale="log")
        axes.set_xticks(sorted({case["shape"]["n_features"] for case in cases}))
        axes.set_title(f"{n_train:,} training rows", loc="left", fontsize=10)
        axes.set_ylabel("times faster (ratio)", fontsize=9.5)
        axes.set_yticks([0.5, 1, 2, 5, 10])
        scale_by_tens(axes.xaxis)
        scale_by_tens(axes.yaxis)
    panels[-1].set_xlabel("columns (count, log scale)", fontsize=10)
    panels[0].legend(fontsize=8.5, ncols=4, loc="upper right", framealpha=0.9)
    return figure


_STYLES = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"), (PURPLE, "D"), (RED, "v"))


def draw_growth(cases: Cases, title: str) -> Figure:
    """Draw seconds over rows, columns and k, both logarithmic: a straight line is a power."""
    names = list(dict.fromkeys(case["axis"] for case in cases))
    figure, panels = make_panels(0.8 + 2.3 * len(names), title, rows=len(names))
    rivals = list(dict.fromkeys(case["rival"] for case in cases))
    for axes, name in zip(panels, names, strict=True):
        chosen = [case for case in cases if case["axis"] == name]
        ours = [case for case in chosen if case["rival"] == rivals[0]]
        _draw_line(axes, ours, "ours_seconds", "energyknn", _STYLES[0])
        for rival, style in zip(rivals, _STYLES[1:], strict=False):
            _draw_line(axes, [case for case in chosen if case["rival"] == rival], "rival_seconds", rival, style)
        axes.set(xscale="log", yscale="log")
        axes.set_xticks(sorted({case["at"] for case in chosen}))
        axes.set_xlabel(f"{name} (count, log scale)", fontsize=9.5)
        axes.set_ylabel("seconds (log scale)", fontsize=9.5)
        scale_by_tens(axes.xaxis)
        scale_by_tens(axes.yaxis)
    panels[0].legend(fontsize=8.5, loc="best", framealpha=0.9)
    return figure


def _draw_line(axes: Axes, cases: Cases, seconds: str, label: str, style: tuple[str, str]) -> None:
    ordered = sorted(cases, key=lambda case: case["at"])
    x, y = [case["at"] for case in ordered], [case[seconds] for case in ordered]
    axes.plot(x, y, color=style[0], marker=style[1], markersize=4.5, linewidth=1.5, label=label)


def draw_quality(cases: Cases, title: str) -> Figure:
    """Draw recall and the error of predictions over seconds: up and to the left is better, then down."""
    figure, panels = make_panels(6.2, title, rows=2)
    baseline = next((case for case in cases if case["rival"] == BRUTE), cases[0])
    for axes, quality in zip(panels, ("recall", "rmse"), strict=True):
        best = baseline["ours_rmse"] if quality == "rmse" else 1.0
        axes.plot([baseline["ours_seconds"]], [best], "*", color=ORANGE, markeredgecolor="black", markersize=14,
                  label="energyknn (exact)")  # fmt: skip
        for peer, (color, marker) in zip(dict.fromkeys(case["peer"] for case in cases), _QUALITY_STYLES, strict=False):
            chosen = sorted((case for case in cases if case["peer"] == peer), key=lambda case: case["effort"] or 0)
            label = f"{peer} ({'exact' if PEERS[peer].exact else 'approximate'})"
            x, y = [case["rival_seconds"] for case in chosen], [case[quality] for case in chosen]
            axes.plot(x, y, color=color, marker=marker, markersize=5, linewidth=1.2, label=label)
        axes.set_xscale("log")
        scale_by_tens(axes.xaxis)
        axes.set_xlabel("seconds to search a built index (log scale)", fontsize=9.5)
    panels[0].set_ylabel("recall (share of the true neighbours)", fontsize=9.5)
    panels[1].set_ylabel("RMSE of predictions (energy, 0 to 1)", fontsize=9.5)
    panels[0].legend(fontsize=8.5, loc="best", framealpha=0.9)
    return figure


_QUALITY_STYLES = ((BLUE, "o"), (GREEN, "s"), (RED, "^"), (PURPLE, "D"), (GREY, "v"))


def draw_values(cases: Cases, title: str, unit: str) -> Figure:
    """Draw figures without a rival as bars, ours in another colour than the others."""
    figure, (axes,) = make_panels(1.1 + 0.34 * len(cases), title)
    ordered = list(reversed(cases))
    colors = [BLUE if case.get("rival", "energyknn") == "energyknn" else GREY for case in ordered]
    axes.barh(range(len(ordered)), [case["value"] for case in ordered], color=colors, height=0.6)
    axes.set_yticks(range(len(ordered)), [case["case"] for case in ordered], fontsize=9)
    axes.set_xlabel(unit, fontsize=9.5)
    return figure
