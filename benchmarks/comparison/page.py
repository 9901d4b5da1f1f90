"""The page of the comparison, and its picture, from what was kept."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from harness.drawing import BLUE, GREY, RED, encode, make_panels

from comparison.choosing import LEARNING, PREDICTING, PROTOCOLS, list_means
from comparison.problems import PROBLEMS
from comparison.running import MODELS, OURS
from energyknn.study.comparison.bootstrap import estimate_over_splits
from energyknn.study.comparison.trees import LIBRARIES

PICTURE = "beyond-differences"
LOWER, HIGHER, UNCLEAR = "lower error", "higher error", "no clear difference"
LINE_WIDTH = 58  # letters in a line of a panel's title
GROUPS = {"none": "rows split at random", "songs": "every song on one side"}

WANTED = (("tracks", "none", range(42, 48)), ("tracks", "songs", (42,)), ("synthetic", "none", (42,)),
          ("diamonds", "none", (42,)))  # fmt: skip
"""Files, protocols and splits that the page is for."""


def list_lacking(state: Mapping[str, Any]) -> list[str]:
    """Say what of the page was not run yet."""
    keys = ("problem", "groups", "seed", "model")
    known = {tuple(record[key] for key in keys) for record in state["records"]}
    lacking = []
    for problem, groups, seeds in WANTED:
        for name in MODELS:
            absent = [str(seed) for seed in seeds if (problem, groups, seed, name) not in known]
            if absent:
                who = "the learned distance" if name == OURS else name
                lacking.append(f"{who} on {PROBLEMS[problem].what}, {GROUPS[groups]}, split {', '.join(absent)}")
    return lacking


def list_settings(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each file and protocol that ours was run on with its models, in the order in which they were run."""
    ours = [record for record in state["records"] if record["model"] == OURS]
    keys = dict.fromkeys((record["problem"], record["groups"]) for record in ours)
    return [_describe_setting(state, problem, groups) for problem, groups in keys]


def _describe_setting(state: Mapping[str, Any], problem: str, groups: str) -> dict[str, Any]:
    """Gather the models of a file and protocol: ours first, the others by their errors."""
    mine = [record for record in state["records"] if (record["problem"], record["groups"]) == (problem, groups)]
    by_model = {name: {r["seed"]: r for r in mine if r["model"] == name} for name in MODELS}
    seeds = sorted(by_model[OURS])
    models = [
        _describe_model(state, name, by_model) for name in MODELS if name != OURS and by_model[name].keys() & set(seeds)
    ]
    ours = by_model[OURS].values()
    return {
        "problem": problem,
        "groups": groups,
        "title": f"{state['problems'][problem]['what'].capitalize()}, {GROUPS[groups]}",
        "target": state["problems"][problem]["target"],
        "rows": state["problems"][problem]["rows"],
        "seeds": seeds,
        "ours": {"rmse": _average(ours, "rmse"), "r2": _average(ours, "r2"), "seconds": _middle(ours)},
        "models": sorted(models, key=lambda model: model["rmse"]),
        "splits": [
            (seed, [by_model[name].get(seed, {}).get("rmse", {}).get("value") for name in MODELS]) for seed in seeds
        ],
        "n_train": mine[0]["n_train"],
        "n_test": mine[0]["n_test"],
    }


def _describe_model(
    state: Mapping[str, Any], name: str, by_model: Mapping[str, Mapping[int, Mapping[str, Any]]]
) -> dict[str, Any]:
    """Set a model beside ours on the splits that both have."""
    seeds = sorted(by_model[OURS].keys() & by_model[name].keys())
    ours, theirs = ([by_model[model][seed] for seed in seeds] for model in (OURS, name))
    described = {
        "name": name, "rmse": _average(theirs, "rmse"), "r2": _average(theirs, "r2"), "seconds": _middle(theirs),
        "n_splits": len(seeds),
        "wins": sum(a["rmse"]["value"] < b["rmse"]["value"] for a, b in zip(ours, theirs, strict=True)),
    }  # fmt: skip
    if len(seeds) > 1:
        pair = [[record["rmse"]["value"] for record in side] for side in (ours, theirs)]
        share = ours[0]["n_test"] / ours[0]["n_train"]
        described["difference"] = estimate_over_splits(*pair, test_share=share)._asdict()
        described["difference_if_apart"] = estimate_over_splits(*pair, test_share=0.0)._asdict()
        return described
    key = {part: theirs[0][part] for part in ("problem", "groups", "seed", "model")}
    found = [entry["rmse"] for entry in state["differences"] if {part: entry[part] for part in key} == key]
    value = ours[0]["rmse"]["value"] - theirs[0]["rmse"]["value"]
    described["difference"] = found[0] if found else {"value": value, "low": None, "high": None}
    return described


def _average(records: Any, name: str) -> float:
    values = [record[name]["value"] if name == "rmse" else record[name] for record in records]
    return float(np.mean(values))


def _middle(records: Any) -> float:
    return float(np.median([record["seconds"] for record in records]))


def format_figure(value: float | None, places: int = 5) -> str:
    """Write a figure, or a dash where there is none."""
    return "-" if value is None else f"{value:.{places}f}"


def format_estimate(estimate: Mapping[str, float | None], places: int = 5) -> str:
    """Write a figure with its sign, and its interval."""
    if estimate["low"] is None:
        return f"{estimate['value']:+.{places}f}"
    return f"{estimate['value']:+.{places}f} ({estimate['low']:+.{places}f} to {estimate['high']:+.{places}f})"


def format_interval(estimate: Mapping[str, float], places: int = 4) -> str:
    """Write a figure and its interval, without signs."""
    return f"{estimate['value']:.{places}f} ({estimate['low']:.{places}f} to {estimate['high']:.{places}f})"


def tell_outcome(model: Mapping[str, Any]) -> str:
    """Say what a difference leaves open."""
    difference = model["difference"]
    if difference["low"] is None:
        return "no interval"
    return LOWER if difference["high"] < 0 else HIGHER if difference["low"] > 0 else UNCLEAR


def draw_differences(settings: Sequence[Mapping[str, Any]]) -> Any:
    """Draw the difference of RMSE to tuned trees, a panel for each file and protocol. Left of 0, trees err more."""
    rows = [[model for model in setting["models"] if _is_drawn(model)] for setting in settings]
    shown = [(setting, models) for setting, models in zip(settings, rows, strict=True) if models]
    height = 0.9 + sum(1.2 + 0.27 * len(models) for _, models in shown)
    figure, panels = make_panels(height, "RMSE of the learned distance minus that of tuned trees", rows=len(shown))
    colors = {LOWER: BLUE, HIGHER: RED, UNCLEAR: GREY}
    for axes, (setting, models) in zip(panels, shown, strict=True):
        for place, model in enumerate(models):
            difference, color = model["difference"], colors[tell_outcome(model)]
            axes.plot([difference["low"], difference["high"]], [place, place], color=color, linewidth=2.2)
            axes.plot([difference["value"]], [place], "o", color=color, markersize=5)
        axes.axvline(0, color="black", linewidth=1)
        axes.locator_params(axis="x", nbins=4)
        axes.set_yticks(range(len(models)), [model["name"] for model in models], fontsize=8.5)
        axes.set_ylim(len(models) - 0.4, -0.6)
        title = f"{setting['title']} (splits: {len(setting['seeds'])})"
        axes.set_title(textwrap.fill(title, LINE_WIDTH), loc="left", fontsize=9.5)
        label = f"difference, 95 % interval; {setting['target']}"
        axes.set_xlabel(textwrap.fill(label, LINE_WIDTH), fontsize=8.5)
        axes.set_ylabel("trees of", fontsize=8.5)
    return figure


def _is_drawn(model: Mapping[str, Any]) -> bool:
    return model["name"] in LIBRARIES and model["difference"]["low"] is not None


def render_page(state: Mapping[str, Any], source: str) -> tuple[str, dict[str, bytes]]:
    """Return the page as Markdown and its picture as PNG, by name."""
    settings = [setting for setting in list_settings(state) if setting["models"]]
    has_picture = any(_is_drawn(model) for setting in settings for model in setting["models"])
    environment = jinja2.Environment(  # noqa: S701 - Markdown, from our own files
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {
        "figure": format_figure, "estimate": format_estimate, "interval": format_interval, "outcome": tell_outcome
    }  # fmt: skip
    template = environment.from_string(Path(__file__).with_name("page.md.j2").read_text(encoding="utf-8"))
    text = template.render(
        settings=settings, names=MODELS, choices=state["choices"], honesty=state["honesty"], mlkr=state["mlkr"],
        reliability=state["reliability"], defaults=_describe_choices(state),
        source=source, lacking=list_lacking(state),
        problems=state["problems"], missing=state.get("missing") or {}, environment=state["environment"],
        picture=PICTURE if has_picture else None, zip=zip,
        loads=[record["load_average"] for record in state["records"]],
    )  # fmt: skip
    pictures = {PICTURE: draw_differences(settings)} if has_picture else {}
    return re.sub(r"\n{3,}", "\n\n", text), {name: encode(figure) for name, figure in pictures.items()}


def _describe_choices(state: Mapping[str, Any]) -> dict[str, Any] | None:
    """Set beside the best setting each that differs from it in one option; None where nothing was tried."""
    if not state["defaults"]:
        return None
    best, *others = list_means(state["defaults"])
    names = (*LEARNING, *PREDICTING)
    tasks = []
    for problem, found in state["defaults"].items():
        for groups in PROTOCOLS:
            fit = next(fit for fit in found["fits"] if fit["groups"] == groups)
            title = f"{state['problems'][problem]['what']}, {GROUPS[groups]}"
            tasks.append({**fit, "key": (problem, groups), "title": title})
    return {
        "names": names, "best": best, "n_settings": 1 + len(others), "tasks": tasks,
        "others": [entry for entry in others if sum(entry[name] != best[name] for name in names) == 1],
    }  # fmt: skip
