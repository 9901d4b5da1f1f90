"""The page of the candidates that `tune` scored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

from energyknn.study.reporting.html import list_chapters, render_html, say
from energyknn.study.reporting.tuning import (
    describe_candidate,
    describe_edges,
    describe_smoothest,
    format_score,
    list_varied,
    name_fit,
    name_scoring,
    rank,
)
from energyknn.study.reporting.tuning_pictures import draw_tuning_pictures
from energyknn.study.reporting.words import Words, write_error, write_number

_TOP, _MOST = 20, 1000  # rows of the tables
_HEADINGS = {"p": "p", "mismatch_cost": "Mismatch cost", "scaler": "Scaler", "without": "Columns"}
_PICTURES = {
    "candidates": "How does the score change with k?",
    "settings": "Which settings matter?",
    "heat_map": "Where are the good candidates?",
}


def render_tuning(results: Mapping[str, Any], *, command: str, saved: str) -> str:
    """Render what `tune` found as one HTML page that needs nothing else.

    Parameters
    ----------
    results : mapping
        What `tune` found.
    command : str
        The command that scores the same candidates again.
    saved : str
        The JSON file that holds `results`, from which `energyknn fit` makes the best model.

    Returns
    -------
    str
        HTML with its style and pictures inside, which asks for no address and escapes every text.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    words, rows, varied = Words.of(cast("Any", results)), results["candidates"], list_varied(results["candidates"])
    pictures, best = draw_tuning_pictures(results), results["best"]
    scored = not math.isnan(best["mean_test_score"])
    edges = describe_edges(rows, best, results["rows_in_fold"]) if scored else []
    suggestions = list(_list_suggestions(results, command))
    *first, last = ["weights", *(_HEADINGS[name].lower() for name in varied)]
    shown = {
        **results,
        **_list_contents(list(pictures), has_suggestions=bool(suggestions)),
        "words": words,
        "heading": f"{words.target} by k-nearest neighbours: candidates",
        "colors": {
            "blue": "the best setting, on validation rows",
            "grey": "other settings, for comparison",
        },
        "score_name": name_scoring(results["scoring"]),
        "n_candidates": f"{len(rows):,} candidate{'s' if len(rows) > 1 else ''}",
        "best": describe_candidate(best, varied),
        "cards": list(_list_cards(results)) if scored else [],
        "edges": edges,
        "smoothest": describe_smoothest(results, varied) if scored else "",
        "setting_words": f"{', '.join(first)} and {last}" if first else last,
        "headings": ["Weights", *(_HEADINGS[name] for name in varied)],
        "ranked": [_describe_row(row, varied, results["folds"]) for row in rank(rows)],
        "n_top": _TOP,
        "n_most": _MOST,
        "fit": name_fit(results, saved),
        "suggestions": suggestions,
        "command": command,
        "saved": saved,
        "file_and_protocol": list(_list_protocol(results)),
    }
    return render_html("tuning_report.html.j2", shown, pictures)


def _list_contents(pictures: list[str], *, has_suggestions: bool) -> dict[str, Any]:
    """Return the chapters of the page with the sections that these candidates have."""
    evidence = {f"{name.replace('_', '-')}-section": _PICTURES[name] for name in pictures}
    try_next = {"try": "Try next"} if has_suggestions else {}
    return list_chapters(
        {
            "answer": ("Answer", {}),
            "evidence": ("Evidence", {**evidence, "top": "The best candidates"}),
            "doubts": ("How sure is it?", {}),
            "next": ("What to do next", {"fit": "Fit the best", **try_next, "again": "Run it again"}),
            "details": ("Details", {}),
        }
    )


def _list_cards(results: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield a name, a figure and a remark for each card."""
    best, near = results["best"], results["smoothest_within_one_standard_error"]
    tried = sorted({row["n_neighbors"] for row in results["candidates"]})
    error = best["std_test_score"] / math.sqrt(results["folds"])
    yield (
        f"mean {name_scoring(results['scoring'])}",
        write_number(best["mean_test_score"]),
        f"± {write_error(error, best['mean_test_score'])} (one standard error)",
    )
    ends = f"best of {len(tried)} from {tried[0]} to {tried[-1]}" if len(tried) > 1 else "the only one tried"
    yield "neighbours k", str(best["n_neighbors"]), ends
    score = f"scores {write_number(near['mean_test_score'])}"
    yield "largest k as good", str(near["n_neighbors"]), f"within one standard error: {score}"
    searches = results["searches"]
    yield (
        "candidates",
        f"{len(results['candidates']):,}",
        f"scored from {searches} search{'es' if searches > 1 else ''}",
    )


def _describe_row(row: Mapping[str, Any], varied: list[str], folds: int) -> dict[str, Any]:
    """Return a row of the tables: what a candidate is, and its scores."""
    words = {
        "p": str(row["p"]),
        "mismatch_cost": f"{row['mismatch_cost']:g}",
        "scaler": row["scaler"],
        "without": f"without {', '.join(row['without'])}" if row["without"] else "all",
    }
    return {
        "n_neighbors": row["n_neighbors"],
        "mean": format_score(row["mean_test_score"]),
        "error": format_score(row["std_test_score"] / math.sqrt(folds)),
        "settings": [row["weights"], *(words[name] for name in varied)],
    }


def _list_suggestions(results: Mapping[str, Any], command: str) -> Iterator[tuple[str, str]]:
    """Yield what to vary next: why, and the command."""
    rows = results["candidates"]
    if len({row["weights"] for row in rows}) == 1:
        yield "Nearer neighbours may deserve more weight. This tries both.", f"{command} --weights uniform,distance"
    if len({row["p"] for row in rows}) == 1:
        yield "The distance may sum differences in place of their squares (p = 1).", f"{command} --p 1,2"


def _list_protocol(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the file and the protocol are, in words."""
    yield "file", results["data"]["path"]
    yield "SHA-256", str(results["data"]["sha256"])
    yield "training rows", f"{results['rows']:,}"
    yield "folds", str(results["folds"])
    yield "scoring", name_scoring(results["scoring"])
    yield "scale learned from", say(results["scaling"])
    yield "neighbour searches", str(results["searches"])
