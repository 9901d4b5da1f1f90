"""The page of the arena and its picture, from what was kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from harness.drawing import BLUE, GREY, encode, make_panels, scale_by_tens
from matplotlib.ticker import LogLocator

from arena.cell import DEFAULT, TUNED
from arena.peers import PEERS
from arena.running import Record
from arena.sets import CLASSIFICATION, REGRESSION, SETS
from arena.standings import Point, Table, list_losses, list_points, make_table
from energyknn.study.comparison.bootstrap import Estimate

PICTURE = "arena-front"
TASKS = {REGRESSION: "RMSE", CLASSIFICATION: "log loss"}
MODES = {DEFAULT: "by default", TUNED: "tuned"}
TO_BEAT = {
    DEFAULT: ("LightGBM", "scikit-learn boosting", "random forest"),
    TUNED: ("LightGBM", "CatBoost", "scikit-learn boosting", "ChimeraBoost"),
}
"""Trees that energyknn should rank before on regression."""


def tell_result(tables: Mapping[tuple[str, str], Table | None]) -> str:
    """Say in a line how energyknn ranks on regression, by default and tuned, beside the trees it should beat."""
    parts = [_tell_ranks(table, mode) for (task, mode), table in tables.items() if task == REGRESSION and table]
    return " ".join(parts) or "The arena was not run on regression yet."


def _tell_ranks(table: Table, mode: str) -> str:
    ranks = {standing.peer: standing.rank.value for standing in table.standings}
    mine, n_sets = ranks[table.ours], len(table.errors)
    sides: dict[str, list[str]] = {"ahead of": [], "behind": [], "level with": []}
    for peer in TO_BEAT[mode]:
        if peer in ranks:
            side = "level with" if mine == ranks[peer] else "ahead of" if mine < ranks[peer] else "behind"
            sides[side].append(f"{peer} ({ranks[peer]:.2f})")
    said = "; ".join(f"{side} {', '.join(names)}" for side, names in sides.items() if names) or "beside no trees"
    sets = f"{n_sets} regression set{'s' if n_sets > 1 else ''}"
    return f"{MODES[mode].capitalize()}, {table.ours} has a mean rank of {mine:.2f} of {len(ranks)} on {sets}: {said}."


def format_estimate(value: Estimate | None, places: int = 2) -> str:
    """Write a figure and its interval where it has one."""
    if value is None:
        return ""
    low, high = value.low, value.high
    return f"{value.value:.{places}f}" + ("" if np.isnan(low) else f" ({low:.{places}f} to {high:.{places}f})")


def format_error(value: float) -> str:
    """Write an error to five digits; a peer that failed has none."""
    return f"{value:.5g}" if np.isfinite(value) else "failed"


def draw_front(points: Mapping[str, Sequence[Point]]) -> Any:
    """Draw errors over seconds, a panel for each task; further down and to the left is better."""
    figure, panels = make_panels(0.8 + 3.4 * len(points), "Error over seconds", rows=len(points))
    for axes, (task, found) in zip(panels, points.items(), strict=True):
        front = [point for point in found if point.is_ahead]
        axes.step([p.seconds for p in front], [p.error for p in front], where="post", color="#c8c8c8", zorder=1)
        for peer in dict.fromkeys(point.peer for point in found):
            mine = [point for point in found if point.peer == peer]
            color, place = BLUE if PEERS[peer].is_ours else GREY, (mine[0].seconds, mine[0].error)
            axes.plot([p.seconds for p in mine], [p.error for p in mine], color=color, linewidth=0.6, alpha=0.6)
            for point in mine:
                shape = "o" if point.mode == DEFAULT else "s"
                axes.plot([point.seconds], [point.error], shape, color=color, markersize=4.5)
            axes.annotate(peer, place, (4, 4), textcoords="offset points", fontsize=7, color=color)
        axes.set(xscale="log", xlim=(found[0].seconds / 2, found[-1].seconds * 8))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        scale_by_tens(axes.xaxis)
        axes.set_title(f"{task} ({TASKS[task]})", loc="left", fontsize=10)
        axes.set_ylabel("error by the least (ratio)", fontsize=9.5)
    panels[-1].set_xlabel("seconds to tune, fit and predict a fold (log scale)", fontsize=9.5)
    return figure


def list_absent(records: Sequence[Record]) -> list[str]:
    """Say which peers have no result in a task that they can do."""
    found = {(record["peer"], SETS[record["set"]].task) for record in records}
    return [f"{name}, {task}" for name, peer in PEERS.items() for task in peer.tasks if (name, task) not in found]


def render_page(records: Sequence[Record], source: str) -> tuple[str, dict[str, bytes]]:
    """Return the page as Markdown and its picture as PNG, by name."""
    tables = {(task, mode): make_table(records, task, mode) for task in TASKS for mode in MODES}
    points = {task: list_points(records, task, tuple(MODES)) for task in TASKS}
    points = {task: found for task, found in points.items() if found}
    environment = jinja2.Environment(  # noqa: S701 - Markdown, from our own files
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"estimate": format_estimate, "error": format_error}
    template = environment.from_string(Path(__file__).with_name("page.md.j2").read_text(encoding="utf-8"))
    text = template.render(
        result=tell_result(tables), source=source, tasks=TASKS, modes=MODES, sets=SETS, peers=PEERS, points=points,
        tables={key: table for key, table in tables.items() if table},
        losses={key: list_losses(table) for key, table in tables.items() if table},
        sealed=[record for record in records if SETS[record["set"]].sealed],
        failures=[record for record in records if "failed" in record],
        budgets=[f"{budget:g}" for budget in sorted({r["budget"] for r in records if r["budget"]})],
        limited=sorted({record["most"] for record in records if record["most"]}),
        loads=[record["load_average"] for record in records if record["load_average"] is not None],
        versions={record["peer"]: record["version"] for record in records}, absent=list_absent(records),
        picture=PICTURE if points else None,
    )  # fmt: skip
    pictures = {PICTURE: encode(draw_front(points))} if points else {}
    return re.sub(r"\n{3,}", "\n\n", text), pictures
