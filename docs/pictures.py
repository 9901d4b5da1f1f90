"""The pictures of the documentation, each drawn from a computation, at the time the pages are built."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from harness.drawing import BLUE, GREEN, ORANGE, RED
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from energyknn.loading import load_table, sample_path
from energyknn.neighbors import search_neighbors
from energyknn.study.notebook import COARSE_N_NEIGHBORS, SPOTIFY
from energyknn.study.protocol import Prepared, Protocol, prepare
from energyknn.study.run import list_candidates
from energyknn.tuning import Candidate, CandidateScores, score_candidates

GREY, PALE = "#858585", "#b0b0b0"  # to be seen on white and on black
EVERY_K = range(1, 57)
ROWS_IN_A_BLOCK = 16
QUERY, K = np.array([0.55, 0.25]), 5  # what the pictures of the search look for
HALF_ROUNDING = 2.0**-11  # of float16, which stands in for float32: its errors are large enough to be seen

_DARK, _LIGHT = "#131416", "#d0d2d6"  # the ground and the text of the site's dark theme
THEMES: dict[str, dict[str, str]] = {
    "": {"figure.facecolor": "white", "grid.color": "#e5e5e5"},
    "-dark": {
        "grid.color": "#303338",
        **dict.fromkeys(("figure.facecolor", "axes.facecolor", "legend.facecolor"), _DARK),
        **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _LIGHT),
    },
}
"""Settings of Matplotlib for each ending of a picture's name."""


class Block(NamedTuple):
    """Rows of one block and the corners of their box: `rows` (n,), `low` and `high` (2,)."""

    rows: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def cut_blocks(points: NDArray[np.float64], rows: NDArray[np.int64]) -> list[Block]:
    """Cut points of a plane into blocks, at medians of the wider side."""
    low, high = points[rows].min(axis=0), points[rows].max(axis=0)
    if len(rows) <= ROWS_IN_A_BLOCK:
        return [Block(rows, low, high)]
    ordered = rows[np.argsort(points[rows, int(np.argmax(high - low))], kind="stable")]
    half = len(rows) // 2
    return [*cut_blocks(points, ordered[:half]), *cut_blocks(points, ordered[half:])]


def find_nearest_place(block: Block, query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the place of a box that is nearest to a query: no row of the box can be nearer."""
    return np.clip(query, block.low, block.high)


class Visit(NamedTuple):
    """How a query was answered: blocks in the order of their bounds, how many were opened, the k-th distance."""

    blocks: list[Block]
    n_opened: int
    distance: float


def visit_blocks(points: NDArray[np.float64], blocks: list[Block], query: NDArray[np.float64], k: int) -> Visit:
    """Open blocks from near to far, and stop at the first that is farther than the k-th neighbour so far."""
    bounds = [float(np.hypot(*(find_nearest_place(block, query) - query))) for block in blocks]
    order = [int(number) for number in np.argsort(bounds, kind="stable")]
    nearest, n_opened = np.full(k, np.inf), 0
    while n_opened < len(order) and bounds[order[n_opened]] <= nearest[-1]:
        distances = np.hypot(*(points[blocks[order[n_opened]].rows] - query).T)
        nearest = np.sort(np.concatenate([nearest, distances]))[:k]
        n_opened += 1
    return Visit([blocks[number] for number in order], n_opened, float(nearest[-1]))


def make_points() -> NDArray[np.float64]:
    """Make 256 points of a plane in three clouds, always the same."""
    random = np.random.default_rng(7)
    clouds = [((-1.4, -0.6), (0.8, 0.5), 110), ((1.3, 0.9), (0.6, 0.7), 90), ((1.5, -1.5), (0.5, 0.3), 56)]
    return np.concatenate([random.normal(centre, spread, (n, 2)) for centre, spread, n in clouds])


class Screen(NamedTuple):
    """Rounded squared distances (n,), how far each may be off, and up to where a row may be a neighbour."""

    measured: NDArray[np.float64]
    margins: NDArray[np.float64]
    limit: float

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Whether each row could be among the nearest."""
        return self.measured - self.margins <= self.limit


def screen_rows(points: NDArray[np.float64], query: NDArray[np.float64], k: int) -> Screen:
    """Measure squared distances as x² - 2xy + y² in float16, and bound what rounding can have done to them."""
    rows, place = points.astype(np.float16), query.astype(np.float16)
    squares, own = (rows * rows).sum(axis=1, dtype=np.float16), (place * place).sum(dtype=np.float16)
    products = (rows * place).sum(axis=1, dtype=np.float16)
    measured = (squares - np.float16(2) * products + own).astype(np.float64)
    margins = 6 * HALF_ROUNDING * (np.hypot(*points.T) + np.hypot(*query)) ** 2
    return Screen(measured, margins, float(np.sort(measured + margins)[k - 1]))


def draw_bound() -> Figure:
    """Draw the bound of a box that is ruled out beside that of a box that must be opened."""
    points = make_points()
    visit = visit_blocks(points, cut_blocks(points, np.arange(len(points))), QUERY, K)
    figure = Figure(figsize=(7.2, 3.5), layout="constrained")
    chosen = (
        (visit.blocks[visit.n_opened - 1], "Box meets circle: open it", BLUE),
        (visit.blocks[visit.n_opened + 1], "Box outside: rule out every row in it", GREY),
    )
    for axes, (block, title, color) in zip(figure.subplots(1, 2), chosen, strict=True):
        nearest = find_nearest_place(block, QUERY)
        axes.add_patch(Rectangle(block.low, *(block.high - block.low), facecolor=color, alpha=0.2, edgecolor=color))
        axes.plot(*points[block.rows].T, "o", color=color, markersize=4)
        axes.add_patch(Circle(QUERY, visit.distance, facecolor="none", edgecolor=RED, linewidth=1.4))
        axes.plot(
            *np.array([QUERY, nearest]).T, color=ORANGE, linewidth=2.2, label="bound: to the nearest place of the box"
        )
        axes.plot([], [], color=RED, linewidth=1.4, label=f"circle: the {K}th neighbour so far")
        axes.plot(*nearest, "D", color=ORANGE, markersize=5)
        axes.plot(*QUERY, "*", color=RED, markeredgecolor="black", markersize=13)
        axes.set(aspect="equal", adjustable="datalim")
        axes.set_title(title, loc="left", fontweight="bold", fontsize=10.5)
        axes.margins(0.12)
    tidy(figure)
    figure.legend(*axes.get_legend_handles_labels(), fontsize=8.5, ncols=2, loc="outside lower center")
    return figure


def draw_tile() -> Figure:
    """Draw one tile: which pairs of 4 queries and 64 rows the screen keeps."""
    points, random = make_points(), np.random.default_rng(3)
    queries = QUERY + random.normal(scale=0.12, size=(4, 2))
    rows = np.sort(np.argsort(np.hypot(*(points - QUERY).T), kind="stable")[:64])
    kept = np.array([screen_rows(points, query, K).kept[rows] for query in queries])
    figure = Figure(figsize=(7.2, 1.7), layout="constrained")
    axes = figure.subplots()
    for (query, row), is_kept in np.ndenumerate(kept):
        color, alpha = (BLUE, 1.0) if is_kept else (GREY, 0.25)
        axes.add_patch(
            Rectangle((row + 0.08, query + 0.08), 0.84, 0.84, facecolor=color, alpha=alpha, edgecolor="none")
        )
    axes.set(xlim=(0, 64), ylim=(4, 0), xticks=[])
    axes.set_yticks(np.arange(4) + 0.5, [f"query {number + 1}" for number in range(4)], fontsize=9)
    axes.set_xlabel("64 rows of a box", fontsize=9.5)
    axes.set_title(f"One tile: {kept.sum()} of {kept.size} pairs remain", loc="left", fontweight="bold", fontsize=10.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def draw_margin() -> Figure:
    """Draw rounded squared distances with their margins, far from zero and around it, and which rows these leave."""
    points, away = make_points(), np.array([1.5, 1.5])
    figure = Figure(figsize=(7.2, 4.0), layout="constrained")
    panels = figure.subplots(1, 2, sharex=True)
    _draw_screen(panels[0], screen_rows(points + away, QUERY + away, K), points, "Far from zero")
    _draw_screen(panels[1], screen_rows(points, QUERY, K), points, "Around the centre")
    panels[0].set_ylabel("rows, by the rounded distance")
    tidy(figure)
    band, point = {"linewidth": 5, "alpha": 0.35}, {"linestyle": "none"}
    marks = (
        ({"color": BLUE, **band}, "kept"),
        ({"color": GREY, **band}, "ruled out"),
        ({"color": GREY, "marker": "o", **point}, "rounded"),
        ({"color": RED, "marker": "|", **point}, "exact"),
        ({"color": ORANGE}, f"{K} rows are surely no farther"),
    )
    handles = [panels[0].plot([], [], **style)[0] for style, _ in marks]
    figure.legend(handles, [label for _, label in marks], fontsize=8.5, ncols=5, loc="outside lower center")
    return figure


def _draw_screen(axes: Axes, screen: Screen, points: NDArray[np.float64], title: str) -> None:
    """Draw the first rows of a screen: what was measured, how far it may be off, and what is exact."""
    exact = ((points - QUERY) ** 2).sum(axis=1)
    for place, row in enumerate(np.argsort(screen.measured, kind="stable")[:14]):
        color = BLUE if screen.kept[row] else GREY
        measured, margin = screen.measured[row], screen.margins[row]
        axes.plot(
            [measured - margin, measured + margin], [place, place],
            color=color, linewidth=5, alpha=0.35, solid_capstyle="butt",
        )  # fmt: skip
        axes.plot(measured, place, "o", color=color, markersize=5)
        axes.plot(exact[row], place, "|", color=RED, markersize=11, markeredgewidth=1.8)
    axes.axvline(screen.limit, color=ORANGE, linewidth=1.6)
    axes.set(xlabel="squared distance to the query", yticks=[])
    axes.invert_yaxis()
    axes.set_title(
        f"{title}: {screen.kept.sum()} of {len(points)} rows kept", loc="left", fontweight="bold", fontsize=10
    )


def draw_rest() -> Figure:
    """Draw how many rows remain after each step of a search."""
    points = make_points()
    blocks = cut_blocks(points, np.arange(len(points)))
    visit = visit_blocks(points, blocks, QUERY, K)
    opened = np.concatenate([block.rows for block in visit.blocks[: visit.n_opened]])
    kept = int(screen_rows(points, QUERY, K).kept[opened].sum())
    steps = {"all rows": len(points), "in opened boxes": len(opened), "kept by the screen": kept, "neighbours": K}
    figure = Figure(figsize=(7.2, 1.9), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(steps), list(steps.values()), color=[PALE, PALE, BLUE, ORANGE], height=0.7)
    axes.bar_label(bars, padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.set(xlabel="rows", xlim=(0, len(points) * 1.08))
    axes.set_title("What is left after each step", loc="left", fontweight="bold")
    return tidy(figure)


def draw_blocks() -> Figure:
    """Draw which boxes a query opens, and which its bound rules out."""
    points, query, k = make_points(), QUERY, K
    blocks = cut_blocks(points, np.arange(len(points)))
    visit = visit_blocks(points, blocks, query, k)
    found = search_neighbors(points, query[np.newaxis], k)
    figure = Figure(figsize=(7.2, 4.6), layout="constrained")
    axes = figure.subplots()
    for number, block in enumerate(visit.blocks):
        opened = number < visit.n_opened
        color = BLUE if opened else GREY
        size = block.high - block.low
        axes.add_patch(
            Rectangle(block.low, *size, facecolor=color, alpha=0.16 if opened else 0.05, edgecolor="none", zorder=1)
        )
        axes.add_patch(Rectangle(block.low, *size, facecolor="none", edgecolor=color, linewidth=1.1, zorder=2))
        axes.plot(*points[block.rows].T, "o", color=color, markersize=2.6, alpha=0.9 if opened else 0.45, zorder=3)
        if opened:
            corner = (block.low[0], block.high[1])
            axes.annotate(str(number + 1), corner, (2, -10), textcoords="offset points", fontsize=9, color=BLUE)
    axes.add_patch(Circle(query, visit.distance, facecolor="none", edgecolor=RED, linewidth=1.4, zorder=4))
    axes.plot(*points[found.indices[0]].T, "o", color=ORANGE, markeredgecolor="black", markersize=5.5, zorder=5)
    axes.plot(*query, "*", color=RED, markeredgecolor="black", markersize=13, zorder=6)
    axes.set(xlabel="first column (standard deviations)", ylabel="second column (standard deviations)", aspect="equal")
    axes.set_title(
        f"{visit.n_opened} of {len(blocks)} boxes opened, {k} neighbours found", loc="left", fontweight="bold"
    )
    return tidy(figure)


def draw_searches() -> Figure:
    """Draw what is searched for six candidates on four folds: by a grid search, and by one search for each fold."""
    candidates, n_folds = list_candidates(11, 100), 4
    figure = Figure(figsize=(7.2, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, title, width, drawn in (
        (left, f"Grid search: {len(candidates) * n_folds} searches", 1, candidates),
        (right, f"One search per fold: {n_folds} searches", len(candidates), candidates[-1:]),
    ):
        for fold in range(n_folds):
            for number, k in enumerate(drawn):
                place = (number * width + 0.08, fold + 0.12)
                axes.add_patch(Rectangle(place, width - 0.16, 0.76, facecolor=BLUE, alpha=0.25, edgecolor=BLUE))
                label = f"{k}" if width == 1 else f"the {k} nearest, read as k = {', '.join(map(str, candidates))}"
                axes.text(
                    place[0] + (width - 0.16) / 2, fold + 0.5, label, ha="center", va="center",
                    fontsize=9 if width == 1 else 7.5,
                )  # fmt: skip
        axes.set(xlim=(0, len(candidates)), ylim=(n_folds, 0), xticks=[])
        axes.set_yticks(np.arange(n_folds) + 0.5, [f"fold {fold + 1}" for fold in range(n_folds)])
        axes.set_title(title, loc="left", fontweight="bold", fontsize=10.5)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return figure


def draw_prefixes(data: Prepared) -> Figure:
    """Draw one query's neighbours by rank, and the mean of the first k of their targets for every k."""
    query, largest = 0, EVERY_K[-1]
    found = search_neighbors(data.X_train, data.X_test.iloc[[query]], largest)
    energy = data.y_train[found.indices[0]]
    ranks = np.arange(1, largest + 1)
    means = np.cumsum(energy) / ranks
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    above.plot(ranks, found.distances[0], "o", color=BLUE, markersize=3.5)
    above.set(ylabel="distance (sd)")
    above.set_title("One search finds the 56 nearest of a track", loc="left", fontweight="bold", fontsize=10.5)
    below.plot(ranks, energy, "o", color=PALE, markersize=3.5, label="energy of the neighbour of that rank")
    below.plot(ranks, means, color=BLUE, linewidth=1.8, label="mean of the first k: the prediction for that k")
    below.axhline(data.y_test[query], color=RED, linewidth=1.2, linestyle="--", label="energy of the track itself")
    below.set(xlabel="rank of the neighbour, and k", ylabel="energy (0 to 1)", ylim=(-0.02, 1.02))
    below.set_title("Its sums are every k's prediction", loc="left", fontweight="bold", fontsize=10.5)
    below.legend(fontsize=8, loc="upper right", ncols=1, framealpha=0.9)
    return tidy(figure)


def score_every_k(data: Prepared) -> CandidateScores:
    """Score every k on the folds, on training rows with and without their own selves too."""
    candidates = [Candidate(k) for k in EVERY_K]
    return score_candidates(data.X_train, data.y_train, candidates=candidates, folds=data.folds, with_train=True)


def draw_stages(scores: CandidateScores) -> Figure:
    """Draw the mean R² of every k, and the candidates that the notebook's two searches have."""
    mean = scores.test["score"].mean
    coarse = [k for k in COARSE_N_NEIGHBORS if k in EVERY_K]
    best = max(coarse, key=lambda k: mean[k - 1])
    stages = ((coarse, ORANGE, "s", "coarse search"), (list_candidates(best, EVERY_K[-1]), GREEN, "^", "micro search"))
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot(EVERY_K, mean, color=BLUE, linewidth=1.6, label="every k")
    for candidates, color, marker, label in stages:
        axes.plot(
            candidates, [mean[k - 1] for k in candidates], marker, color=color, markeredgecolor="black", label=label
        )
    top = int(np.argmax(mean))
    axes.annotate(
        f"best of all: k = {EVERY_K[top]}", (EVERY_K[top], mean[top]), (16, -46), textcoords="offset points",
        arrowprops={"arrowstyle": "->", "color": GREY}, fontsize=9,
    )  # fmt: skip
    axes.set(xlabel="k, the number of neighbours", ylabel="mean R² of four folds")
    axes.legend(fontsize=9, loc="lower right")
    return tidy(figure)


def draw_overfitting(scores: CandidateScores) -> Figure:
    """Draw training scores with and without each row's own self beside the validation scores."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    axes = figure.subplots()
    for tables, color, label in (
        (scores.train, ORANGE, "training rows, each its own neighbour"),
        (scores.train_without_self, GREEN, "training rows, own self left out"),
        (scores.test, BLUE, "validation rows"),
    ):
        if tables is not None:
            axes.plot(EVERY_K, tables["score"].mean, color=color, linewidth=1.6, label=label)
    axes.set(xlabel="k, the number of neighbours", ylabel="mean R² of four folds")
    axes.legend(fontsize=9, loc="upper right")
    return tidy(figure)


def tidy(figure: Figure) -> Figure:
    """Take what is not needed off every panel."""
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(labelsize=9)
        _shrink_labels(axes)
    return figure


def _shrink_labels(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set_fontsize(9.5)
    axes.title.set_fontsize(10.5)


def encode_svg(draw: Callable[[], Figure], settings: Mapping[str, str]) -> bytes:
    """Draw and return SVG whose bytes depend on nothing but the picture."""
    file = io.BytesIO()
    with rc_context({"svg.hashsalt": "energyknn", **settings}):
        draw().savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def draw_all() -> dict[str, bytes]:
    """Draw every picture for the light and the dark theme.

    Returns
    -------
    dict of str to bytes
        SVG by name. Names of pictures for the dark theme end in ``-dark``.
    """
    data = prepare(load_table(sample_path(), SPOTIFY), Protocol())
    scores = score_every_k(data)
    drawn: dict[str, Callable[[], Figure]] = {
        "blocks": draw_blocks,
        "bound": draw_bound,
        "tile": draw_tile,
        "margin": draw_margin,
        "rest": draw_rest,
        "searches": draw_searches,
        "prefixes": lambda: draw_prefixes(data),
        "stages": lambda: draw_stages(scores),
        "overfitting": lambda: draw_overfitting(scores),
    }
    return {
        f"{name}{ending}": encode_svg(draw, settings)
        for name, draw in drawn.items()
        for ending, settings in THEMES.items()
    }
