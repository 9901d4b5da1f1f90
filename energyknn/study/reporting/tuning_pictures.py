"""Pictures of the candidates of `tune`: pure functions from what it found to Matplotlib figures."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn.errors import import_extra
from energyknn.study.reporting.axes import Picture, escape, label_axes, make_axes, mark_values
from energyknn.study.reporting.colors import BLUE, GREY, INK, PAPER, SHADES
from energyknn.study.reporting.curves import describe_bars, mark_best, space_candidates
from energyknn.study.reporting.svg import say_values
from energyknn.study.reporting.tuning import list_varied, name_scoring, name_setting, rank
from energyknn.study.reporting.words import write_error, write_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_CURVES, _MOST_SETTINGS, _MOST_COLUMNS = 8, 12, 100
_LINES = ("--", ":", "-.")  # of the curves that have names; more than these look alike
_NAME = 26  # letters of a setting's name in a line beside an axis


class Setting(NamedTuple):
    """All that defines a distance and its weights, by name, with the scores of its k in their order.

    The arrays have shape (n_candidates,). `error` is one standard error of the mean over the folds.
    """

    name: str
    n_neighbors: NDArray[np.int64]
    mean: NDArray[np.float64]
    error: NDArray[np.float64]

    @property
    def best(self) -> int:
        """The place of the best k."""
        return int(self.mean.argmax())


def group_settings(results: Mapping[str, Any]) -> list[Setting]:
    """Group the candidates that were scored by their settings, the setting of the best candidate first.

    Parameters
    ----------
    results : mapping
        What `tune` found.

    Returns
    -------
    list of Setting
        By their best scores. Candidates that failed are left out.
    """
    rows = [row for row in rank(results["candidates"]) if not math.isnan(row["mean_test_score"])]
    varied = list_varied(results["candidates"])
    names = list(dict.fromkeys(name_setting(row, varied) for row in rows))
    settings = []
    for name in names:
        members = [row for row in rows if name_setting(row, varied) == name]
        by_k = {row["n_neighbors"]: row for row in sorted(members, key=lambda row: row["n_neighbors"])}
        mean, std = (np.array([row[f"{part}_test_score"] for row in by_k.values()]) for part in ("mean", "std"))
        settings.append(Setting(name, np.array(list(by_k)), mean, std / math.sqrt(results["folds"])))
    return settings


def draw_candidates(results: Mapping[str, Any], settings: Sequence[Setting]) -> Figure:
    """Draw the mean score over k: the best setting with one standard error, and the others for comparison.

    Parameters
    ----------
    results : mapping
        What `tune` found.
    settings : sequence of Setting
        What `group_settings` returns. The first eight are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        A star at the best candidate, and a circle at that with the largest k within one standard error of it.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    (first, *others), score = settings[:_MOST_CURVES], name_scoring(results["scoring"])
    best, near = results["best"], results["smoothest_within_one_standard_error"]
    mean, error = float(first.mean[first.best]), float(first.error[first.best])
    title = f"Best k is {best['n_neighbors']}: mean {score} {write_number(mean)}\u00a0±\u00a0{write_error(error, mean)}"
    figure, (axes,) = make_axes(4.4, title)
    named = len(others) <= len(_LINES)
    for number, setting in enumerate(others):
        style: dict[str, Any] = {"linestyle": _LINES[number] if named else "-", "linewidth": 1.2 if named else 0.8}
        label = _wrap(setting.name, 40) if named else "other settings" if number == 0 else "_other"
        axes.plot(setting.n_neighbors, setting.mean, color=GREY, label=label, **style)
        _say_scores(axes, setting)
    low, high = first.mean - first.error, first.mean + first.error
    axes.fill_between(first.n_neighbors, low, high, color=BLUE, alpha=0.2, linewidth=0)
    axes.plot(first.n_neighbors, first.mean, color=BLUE, linewidth=1.5, label=_wrap(first.name, 40))
    axes.axhline(mean - error, color=GREY, linewidth=1, linestyle="--")
    _say_scores(axes, first)
    if near != best:
        _circle(axes, near["n_neighbors"], near["mean_test_score"])
    mark_best(axes, best["n_neighbors"], mean)
    space_candidates(axes, first.n_neighbors)
    label_axes(axes, "neighbours k (count)", f"mean validation {score}")
    if others:
        axes.legend(fontsize=9, loc="best", framealpha=0.9)
    return figure


def draw_settings(results: Mapping[str, Any], settings: Sequence[Setting]) -> Figure:
    """Draw the best score of each setting with one standard error.

    Parameters
    ----------
    results : mapping
        What `tune` found.
    settings : sequence of Setting
        What `group_settings` returns. The first twelve are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        One line for each setting, the best first; the dashed line is one standard error below it.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    shown, score = settings[:_MOST_SETTINGS], name_scoring(results["scoring"])
    places = [setting.best for setting in shown]
    means = np.array([setting.mean[place] for setting, place in zip(shown, places, strict=True)])
    errors = np.array([setting.error[place] for setting, place in zip(shown, places, strict=True)])
    limit = float(means[0] - errors[0])
    near = sum(float(setting.mean.max()) >= limit for setting in settings)
    title = f"{near} of {len(settings)} settings come within one standard error of the best"
    names = [
        _wrap(f"{setting.name}, k = {setting.n_neighbors[place]}") for setting, place in zip(shown, places, strict=True)
    ]
    figure, (axes,) = make_axes(_measure_names(names), title)
    for height, (mean, error) in enumerate(zip(means, errors, strict=True)):
        style: dict[str, Any] = {"color": GREY if height else BLUE, "marker": "o", "markersize": 6, "capsize": 2.5}
        axes.errorbar([mean], [height], xerr=[error], linestyle="none", **style)
    said = (f"{_say(setting, place)}" for setting, place in zip(shown, places, strict=True))
    mark_values(axes, means, range(len(shown)), said)
    axes.axvline(limit, color=GREY, linewidth=1, linestyle="--")
    _name_rows(axes, names)
    axes.locator_params(axis="x", nbins=4)
    label_axes(axes, f"best mean validation {score}", "")
    return figure


def draw_heat_map(results: Mapping[str, Any], settings: Sequence[Setting]) -> Figure:
    """Draw the mean score of every setting and k as a colour, darker where it is better.

    Parameters
    ----------
    results : mapping
        What `tune` found.
    settings : sequence of Setting
        What `group_settings` returns. The first twelve are drawn, each with at most 100 k.

    Returns
    -------
    matplotlib.figure.Figure
        A star on the best candidate, and a circle on that with the largest k within one standard error of it.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    colors = import_extra("matplotlib.colors", extra="report")
    shown, score = settings[:_MOST_SETTINGS], name_scoring(results["scoring"])
    best, near = results["best"], results["smoothest_within_one_standard_error"]
    limit = best["mean_test_score"] - best["std_test_score"] / math.sqrt(results["folds"])
    n_near, total = sum(int((setting.mean >= limit).sum()) for setting in settings), len(results["candidates"])
    sizes = _choose_sizes(shown, [best["n_neighbors"], near["n_neighbors"]])
    table = np.full((len(shown), len(sizes)), np.nan)
    texts = np.full(table.shape, "not scored", dtype=object)
    for row, setting in enumerate(shown):
        for place, k in enumerate(setting.n_neighbors.tolist()):
            if k in sizes:
                table[row, sizes.index(k)], texts[row, sizes.index(k)] = setting.mean[place], _say(setting, place)
    names = [_wrap(setting.name) for setting in shown]
    title = f"{n_near:,} of {total:,} candidates come within one standard error of the best"
    figure, (axes,) = make_axes(_measure_names(names) + 0.8, title)
    low = float(np.nanquantile(table, 0.1))  # the worst would take most shades
    shades: dict[str, Any] = {"cmap": colors.ListedColormap(SHADES), "vmin": low, "vmax": float(np.nanmax(table))}
    image = axes.pcolormesh(table, edgecolors="face", linewidth=0.3, **shades)
    say_values(image, texts.ravel())
    axes.grid(visible=False)
    axes.set_ylim(len(shown), 0)
    centres = np.arange(len(shown)) + 0.5
    axes.set_yticks(centres, names)
    ticks = np.unique(np.linspace(0, len(sizes) - 1, min(len(sizes), 8)).round().astype(int))
    axes.set_xticks(ticks + 0.5, [str(sizes[tick]) for tick in ticks])
    found = [setting.name for setting in shown]
    near_name = name_setting(near, list_varied(results["candidates"]))
    if near != best and near_name in found:
        _circle(axes, sizes.index(near["n_neighbors"]) + 0.5, found.index(near_name) + 0.5)
    style: dict[str, Any] = {"marker": "*", "markersize": 14, "color": INK, "markeredgecolor": PAPER}
    axes.plot([sizes.index(best["n_neighbors"]) + 0.5], [0.5], linestyle="none", zorder=5, **style)
    label_axes(axes, "neighbours k (count)", "")
    bar = figure.colorbar(
        image, ax=axes, location="bottom", shrink=0.9, extend="min" if low > np.nanmin(table) else "neither"
    )
    bar.set_label(f"mean validation {score}", fontsize=10)
    bar.ax.tick_params(labelsize=9.5)
    bar.ax.locator_params(nbins=4)
    return figure


def draw_tuning_pictures(results: Mapping[str, Any]) -> dict[str, Picture]:
    """Draw every picture of the candidates: a curve over k, and where settings differ, their scores and a heat map.

    Parameters
    ----------
    results : mapping
        What `tune` found.

    Returns
    -------
    dict of str to Picture
        By name, in the order in which the page shows them. A picture that would compare a thing with itself is left
        out.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    settings = group_settings(results)
    score, bars = name_scoring(results["scoring"]), describe_bars(results["folds"], name_scoring(results["scoring"]))
    marks = "Star: the best candidate. Circle: the largest k within one standard error of it."
    has_sizes = any(len(setting.n_neighbors) > 1 for setting in settings)
    pictures = {}
    if has_sizes:
        few = f" The {_MOST_CURVES} best of {len(settings)} settings." if len(settings) > _MOST_CURVES else ""
        pictures["candidates"] = Picture(
            draw_candidates(results, settings),
            f"Curves of mean {score} against the number of neighbours.",
            f"{bars} {marks}{few}",
        )
    if len(settings) > 1:
        few = f" The {_MOST_SETTINGS} best of {len(settings)}." if len(settings) > _MOST_SETTINGS else ""
        pictures["settings"] = Picture(
            draw_settings(results, settings),
            f"Dots of the best mean {score} of each setting, with one standard error.",
            f"Each setting at its own best k. {bars} Dashed: one standard error below the best.{few}",
        )
        if has_sizes:
            pictures["heat_map"] = Picture(
                draw_heat_map(results, settings),
                f"Heat map of mean {score} by setting and number of neighbours.",
                f"Darker is better; on a dark page lighter. The worst tenth shares one shade. {marks}{few}",
            )
    return pictures


def _say(setting: Setting, place: int) -> str:
    """Say a candidate and its score."""
    mean, error = float(setting.mean[place]), float(setting.error[place])
    score = f"{write_number(mean)} ± {write_error(error, mean)}"
    return f"k = {setting.n_neighbors[place]}, {setting.name}: {score}"


def _say_scores(axes: Axes, setting: Setting) -> None:
    """Let each candidate of a setting say its score where the pointer rests on it."""
    texts = [_say(setting, place) for place in range(len(setting.mean))]
    mark_values(axes, setting.n_neighbors, setting.mean, texts)


def _circle(axes: Axes, x: float, y: float) -> None:
    """Mark the candidate with the largest k that is nearly as good."""
    style: dict[str, Any] = {"markerfacecolor": PAPER, "color": INK, "markeredgewidth": 1.8, "zorder": 4}
    axes.plot([x], [y], marker="o", markersize=9, linestyle="none", **style)


def _wrap(name: str, width: int = _NAME) -> str:
    """Break the name of a setting into lines, three at most."""
    return escape(textwrap.fill(textwrap.shorten(name, 3 * width, placeholder=" …"), width))


def _measure_names(names: Sequence[str]) -> float:
    """Return the height in inches of a picture with a row for each name."""
    return 1.5 + sum(0.2 + 0.17 * len(name.splitlines()) for name in names)


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows of a picture, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _choose_sizes(settings: Sequence[Setting], needed: Sequence[int]) -> list[int]:
    """Return the k of a heat map: all that were tried, or some of many, denser where they are small."""
    sizes = sorted({k for setting in settings for k in setting.n_neighbors.tolist()})
    if len(sizes) <= _MOST_COLUMNS:
        return sizes
    places = np.geomspace(1, len(sizes), _MOST_COLUMNS).round().astype(int) - 1
    return sorted({sizes[place] for place in places} | set(needed))
