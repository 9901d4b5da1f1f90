"""The page, the README's figures and other tables, from saved runs: texts and pictures by file name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from harness.drawing import (
    draw_growth,
    draw_quality,
    draw_ratios,
    draw_seconds,
    draw_shapes,
    draw_values,
    encode,
    tell_verdict,
)
from harness.rivals import GRID
from harness.runs import say

QUESTIONS = {
    "where it does not pay": "Cases chosen to lose",
    "neighbors": "How fast is the search?",
    "tuning": "How fast is tuning?",
    "quality": "What quality for what time?",
    "growth": "How does the time grow?",
    "fit": "What does fitting cost?",
    "predict": "How fast is a prediction?",
    "loading": "What does checked loading cost?",
    "memory": "How much memory does a search take?",
    "start-up": "How long until the first result?",
    "Ray overhead": "What does Ray cost?",
    "GPU": "What does a GPU bring?",
}
DROP_IN = "drop-in"  # the picture of the grids, and the saved run that it is drawn from
START, STOP = "<!-- benchmarks -->", "<!-- /benchmarks -->"
HEADLINES = (
    ("neighbors", "27 columns"),
    ("tuning", "12 candidates, 4 folds, engine auto"),
    ("tuning", "102 candidates"),
)
Case = Mapping[str, Any]


def list_cases(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what each case of a run kept, with its question."""
    return [case["extra_info"] | {"question": case["group"]} for case in run["benchmarks"]]


def format_seconds(seconds: float) -> str:
    """Write a time with three digits, in the unit that suits it."""
    scale, unit = next(((scale, unit) for scale, unit in ((1, "s"), (1e-3, "ms")) if seconds >= scale), (1e-6, "µs"))
    return f"{format_figure(seconds / scale)} {unit}"


def format_figure(value: float) -> str:
    """Write a figure with three digits and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def format_spread(case: Case) -> str:
    """Write an interval where it has two ends."""
    low, high = case["interval"]
    return "" if low == high else f" ({format_figure(low)} to {format_figure(high)})"


def format_ratio(case: Case) -> str:
    """Write how many times faster ours is, or how many times slower, so that no reader has to invert a figure."""
    if (ratio := case["times_faster"]) >= 1:
        return f"{format_figure(ratio)} times faster"
    return f"{format_figure(1 / ratio)} times slower"


def format_ratio_spread(case: Case) -> str:
    """Write the interval of a ratio, in the direction of `format_ratio`."""
    low, high = case["interval"]
    return format_spread(case if case["times_faster"] >= 1 else {"interval": (1 / high, 1 / low)})


def make_table(cases: Sequence[Case]) -> str:
    """Return a Markdown table of cases with a rival."""
    lines = [
        "| case | compared with | energyknn is | energyknn takes | the other takes | required | remark |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for case in cases:
        ratio = f"**{format_ratio(case)}**{format_ratio_spread(case)}"
        target = format_ratio({"times_faster": case["target"]}) if case.get("target") else ""
        times = [format_seconds(case[name]) for name in ("ours_seconds", "rival_seconds")]
        lines.append(f"| {' | '.join([case['case'], case['rival'], ratio, *times, target, _remark(case)])} |")
    return "\n".join(lines)


def _remark(case: Case) -> str:
    """Say what a reader must know to judge a ratio."""
    said = ["" if case.get("exact", True) else f"recall {case['recall']:.4f}"]
    said.append(f"RMSE {case['rmse']:.5f}" if "rmse" in case else "")
    said.append(f"built in {format_seconds(case['build_seconds'])}" if "build_seconds" in case else "")
    said.append(f"{case['n_query']:,} queries" if "n_query" in case else "")
    said.append(f"{case['searches']} searches" if "searches" in case else "")
    verdict = tell_verdict(case)
    said.append("" if verdict == "faster" else verdict)
    return ", ".join(filter(None, said))


def describe_data(run: Mapping[str, Any]) -> str:
    """Say what the tracks of a saved run were, and how many."""
    rows = run["run"].get("rows")
    return run["run"]["data"] + (f" ({rows:,} rows)" if rows else "")


def make_search_table(run: Mapping[str, Any]) -> str:
    """Return the table of the notebook's own problem beside each rival, and of the three cases that fare worst."""
    compared = [case for case in list_cases(run) if "times_faster" in case]
    chosen = [
        case
        for question, start in HEADLINES
        for case in compared
        if case["question"] == question and case["case"].startswith(start)
    ]
    worst = list_worst(compared)
    lines = [
        "| | compared with | energyknn is (95 % interval) | energyknn takes | the other takes |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for case in (*chosen, *(case for case in worst if case not in chosen)):
        remark = "" if case.get("exact", True) else f" (recall {case['recall']:.3f})"
        figures = f"{format_ratio(case)}{format_ratio_spread(case)}"
        times = " | ".join(format_seconds(case[name]) for name in ("ours_seconds", "rival_seconds"))
        lines.append(f"| {case['question']}: {case['case']} | {case['rival']}{remark} | {figures} | {times} |")
    lines.append(
        f"\nOn {describe_data(run)}, {describe_source(run)}; the last three rows are the worst of all "
        f"{len(compared)} cases."
    )
    return "\n".join(lines)


def list_worst(compared: Sequence[Case]) -> list[Case]:
    """Return the three cases in which ours fares worst beside its rival, the worst first."""
    return sorted(compared, key=lambda case: case["times_faster"])[:3]


def describe_source(run: Mapping[str, Any]) -> str:
    """Say where the figures of a saved run come from: machine, threads, day and revision."""
    machine = run["machine_info"]
    return (
        f"{machine['cpu']['brand_raw']}, {machine['threads']} threads, {run['datetime'][:10]}, revision "
        f"{run['commit_info']['id'][:7]}"
    )


def make_readme_figures(drop_in: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Return what the README shows of the saved runs: a picture, what it was drawn from, and where ours loses."""
    compared = [case for case in list_cases(run) if "times_faster" in case]
    slower = sum(tell_verdict(case) == "slower" for case in compared)
    worst = list_worst(compared)[0]
    return (
        f"![Seconds of GridSearchCV and of from_grid_search, for {len(list_grids(drop_in))} grids]"
        f"(benchmarks/pictures/{DROP_IN}.png)\n\n"
        f"*Drawn from benchmarks/results/drop-in.json: {describe_source(drop_in)}. Where GridSearchCV takes minutes, "
        f"some of its candidates were timed and multiplied.*\n\n"
        f"**Where it does not pay:** in {slower} of {len(compared)} cases of "
        f"[the benchmarks](benchmarks/RESULTS.md#where-it-does-not-pay), energyknn is slower than what it is compared "
        f"with. The worst case is {worst['question']}, {worst['case']}: energyknn takes "
        f"{format_seconds(worst['ours_seconds'])}, which is {format_ratio(worst)} than {worst['rival']} "
        f"({format_seconds(worst['rival_seconds'])})."
    )


def list_grids(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the cases of a run in which a whole grid was searched by GridSearchCV and by ours."""
    return [case for case in list_cases(run) if case.get("rival") == GRID]


def make_drop_in_table(run: Mapping[str, Any]) -> str:
    """Return the table for the page on the drop-in: the seconds of each grid before and after."""
    lines = [
        "| grid | GridSearchCV | from_grid_search | times faster (95 % interval) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for case in list_grids(run):
        times = " | ".join(format_seconds(case[name]) for name in ("rival_seconds", "ours_seconds"))
        lines.append(f"| {case['case']} | {times} | {format_figure(case['times_faster'])}{format_spread(case)} |")
    machine, packages = run["machine_info"], run["machine_info"]["packages"]
    versions = ", ".join(f"{name} {packages[name]}" for name in ("scikit-learn", "numpy", "numba"))
    lines.append(
        f"\n{machine['cpu']['brand_raw']}, {machine['threads']} threads, {versions}, {run['datetime'][:10]}, revision "
        f"{run['commit_info']['id'][:7]}. Both searches ran in one process, one after the other, with every core and "
        "without the refit, and their scores were compared."
    )
    return "\n".join(lines)


def replace_table(page: str, table: str) -> str:
    """Put the table between the two marks of a page."""
    found = re.subn(f"{START}.*?{STOP}", lambda _: f"{START}\n{table}\n{STOP}", page, flags=re.DOTALL)
    if found[1] != 1:
        message = f"The page has {found[1]} places between {START} and {STOP}. It must have one."
        raise ValueError(message)
    return found[0]


def sort_cases(run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the questions of a run in the order of the page, each with its cases by what they are."""
    cases = list_cases(run)
    questions = []
    for name, title in QUESTIONS.items():
        members = [case for case in cases if case["question"] == name]
        if members:
            ratios = [case for case in members if "times_faster" in case]
            questions.append(
                {
                    "name": name, "title": title, "slug": re.sub(r"\W+", "-", name).lower(),
                    "ratios": [case for case in ratios if "shape" not in case],
                    "shapes": _sum_up([case for case in ratios if "shape" in case]),
                    "figures": [case for case in members if "value" in case],
                    "notes": [_describe_ties(case) for case in members if "tied" in case],
                }
            )  # fmt: skip
    return questions


def _sum_up(shapes: Sequence[Case]) -> dict[str, Any] | None:
    if not shapes:
        return None
    ratios = np.array([case["times_faster"] for case in shapes])
    slower = sum(tell_verdict(case) == "slower" for case in shapes)
    summary = (
        f"{len(shapes)} sizes and shapes against {shapes[0]['rival']}: from {format_figure(ratios.min())} to "
        f"{format_figure(ratios.max())} times faster, median {format_figure(float(np.median(ratios)))}; "
        f"{(ratios < 1).sum()} have a median below 1, {slower} of them with certainty."
    )
    return {"cases": shapes, "summary": summary}


def _describe_ties(case: Case) -> str:
    return (
        f"{case['tied']:,} of {case['n_query']:,} queries have two distances that tie; scikit-learn orders or chooses "
        f"otherwise in {case['differs']:,} of them, and in none of the rest."
    )


def draw_pictures(questions: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Any, str]]:
    """Return each picture with what it shows, by the name of its file."""
    pictures: dict[str, tuple[Any, str]] = {}
    for question in questions:
        slug, title = question["slug"], question["title"]
        if question["name"] == "growth" and question["ratios"]:
            pictures[slug] = draw_growth(question["ratios"], title), "seconds over rows, columns and k"
        elif question["name"] == "quality" and question["ratios"]:
            pictures[slug] = draw_quality(question["ratios"], title), "recall and error over seconds"
        elif question["ratios"]:
            pictures[slug] = draw_ratios(question["ratios"], title), f"{question['name']}: times faster than each rival"
        if question["shapes"]:
            shapes = question["shapes"]["cases"]
            pictures[f"{slug}-shapes"] = (
                draw_shapes(shapes, "Times faster, by size and shape"),
                "times faster than brute force, by columns, rows and k",
            )
        units = {case["unit"] for case in question["figures"]}
        if len(question["figures"]) > 2 and len(units) == 1:
            drawn = draw_values(question["figures"], title, units.pop())
            pictures[f"{slug}-values"] = drawn, f"{question['name']}: bars of energyknn and others"
    return pictures


def render_page(run: Mapping[str, Any], source: str) -> tuple[str, dict[str, bytes]]:
    """Return the page as Markdown and its pictures as PNG, by name."""
    questions = sort_cases(run)
    pictures = draw_pictures(questions)
    compared = [case for case in list_cases(run) if "times_faster" in case]
    machine = run["machine_info"]
    environment = jinja2.Environment(  # noqa: S701 - Markdown, from our own files
        undefined=jinja2.ChainableUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"figure": format_figure, "spread": format_spread}
    template = environment.from_string(Path(__file__).with_name("results.md.j2").read_text(encoding="utf-8"))
    text = template.render(
        run=run, data=describe_data(run), source=source, machine=machine, questions=questions, table=make_table,
        pictures={name: alt for name, (_, alt) in pictures.items()},
        is_smoke=run["run"]["size"] == "smoke",
        memory=_format_memory(machine.get("memory_bytes")),
        load=" ".join(f"{load:g}" for load in machine.get("load_average") or []) or "not recorded",
        blas=_describe_pools(machine.get("thread_pools")),
        packages=", ".join(f"{name} {version}" for name, version in machine["packages"].items()),
        missing="; ".join(f"{name}: {why}" for name, why in run["run"]["missing"].items()) or "nothing",
        n_compared=len(compared),
        losing=[case for case in compared if tell_verdict(case) == "slower"],
        nearest=sorted(compared, key=lambda case: case["times_faster"])[:5],
        absent=[name for name in QUESTIONS if name not in {question["name"] for question in questions}],
    )  # fmt: skip
    return re.sub(r"\n{3,}", "\n\n", text), {name: encode(figure) for name, (figure, _) in pictures.items()}


def draw_drop_in(run: Mapping[str, Any]) -> bytes:
    """Draw the seconds of each grid before and after, as PNG."""
    return encode(draw_seconds(list_grids(run), "The same grid search, one line changed"))


def _format_memory(n_bytes: float | None) -> str:
    return "memory not recorded" if n_bytes is None else f"{n_bytes / 2**30:.1f} GiB of memory"


def _describe_pools(pools: Sequence[Mapping[str, Any]] | None) -> str:
    said = [f"{pool['internal_api']} {pool.get('version') or ''}".strip() for pool in pools or []]
    return ", ".join(dict.fromkeys(said)) or "not recorded"


def write_page(path: Path, text: str, pictures: Mapping[str, bytes]) -> None:
    """Write a page, and its pictures in a folder beside it; say so."""
    (path.parent / "pictures").mkdir(parents=True, exist_ok=True)
    for name, png in pictures.items():
        (path.parent / "pictures" / f"{name}.png").write_bytes(png)
    path.write_text(text, encoding="utf-8")
    say(f"{path} with {len(pictures)} picture{'' if len(pictures) == 1 else 's'}")
