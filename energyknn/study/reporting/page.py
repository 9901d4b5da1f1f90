"""One self-contained HTML page, and the files that go with it, as bytes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from energyknn.study.reporting import tables
from energyknn.study.reporting.axes import Picture
from energyknn.study.reporting.class_pictures import draw_class_pictures
from energyknn.study.reporting.html import list_chapters, render_html, say
from energyknn.study.reporting.pictures import StudyArrays, draw_pictures
from energyknn.study.reporting.words import Words, write_number
from energyknn.study.results import Analyses, AnyResults, ClassResults, ComparedModel, NumberResults, Results


def render_page(results: AnyResults, pictures: Mapping[str, Picture]) -> str:
    """Render the study as one HTML page that needs nothing else.

    Parameters
    ----------
    results : Results, NumberResults or ClassResults
        The content of `results.json`.
    pictures : mapping of str to Picture
        What `draw_pictures` or `draw_class_pictures` returns, or a part of it. Each stands in the section that it is
        evidence for.

    Returns
    -------
    str
        HTML with its style and pictures inside. It asks for no address, and escapes every text of the results. Its
        one script sorts and copies tables; the page allows no other, and is whole without it.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    if "notebook" in results:
        name, described = "report.html.j2", _describe_notebooks(cast("Results", results))
    else:
        name, described = "own_report.html.j2", _describe_own(results)
    return render_html(name, {**_describe(results), **described}, pictures)


def render_report(results: AnyResults, arrays: StudyArrays | None) -> dict[str, bytes]:
    """Render the page and its pictures as the files of a report.

    Parameters
    ----------
    results : Results, NumberResults or ClassResults
        The content of `results.json`.
    arrays : StudyArrays or None
        Targets and predictions; None where the target is a class.

    Returns
    -------
    dict of str to bytes
        Content by file name, relative to the report's folder: `report.html`, then one SVG for each picture
        under `pictures/`. The page does not need the other files.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    if arrays is None:
        pictures = draw_class_pictures(cast("ClassResults", results))
    else:
        pictures = draw_pictures(cast("Results | NumberResults", results), arrays)
    files = {"report.html": render_page(results, pictures).encode("utf-8")}
    return files | {f"pictures/{name}.svg": picture.file for name, picture in pictures.items()}


def _describe(results: AnyResults) -> dict[str, Any]:
    """Return what the template of every study shows, by the names that it uses."""
    found: dict[str, Any] = dict(results)
    models = sorted(found.get("beyond", {}).items(), key=lambda item: item[1]["test"]["rmse"])
    words = Words.of(results)
    key = "accuracy" if "classes" in results else "r2"
    return {
        "notebook": None,
        **results,
        "words": words,
        **_list_contents(results),
        "heading": f"{words.target} by k-nearest neighbours: report",
        "colors": {
            "blue": f"this run, on {words.row}s that were held out",
            "green": f"this run, on training {words.row}s",
            **({"orange": "trees and forests"} if models else {}),
            **({"purple": "the notebook"} if "notebook" in results else {}),
            "red": "where the figures should be",
            "grey": "for comparison",
        },
        "suggestions": list(_list_suggestions(results)),
        "honest": found.get("honest"),
        "beyond": _describe_beyond(found["beyond_analyses"], models) if models else None,
        "gaps": {
            "score": "Accuracy" if "classes" in results else "R²",
            "with_self": found["overfitting"][f"train_minus_test_{key}"],
            "without_self": found["overfitting"][f"without_self_minus_test_{key}"],
        },
        "file_and_protocol": list(_list_protocol(results)),
        "machine": list(_list_machine(results)),
    }


def _list_contents(results: AnyResults) -> dict[str, Any]:
    """Return the chapters of the page with the sections that this study has; their titles stand here alone."""
    words, tracks = Words.of(results), "notebook" in results
    scores = {"comparison": "The notebook beside this run"} if tracks else {"scores": "Scores of the models"}
    misses = f"Which {words.target} is mistaken?" if "classes" in results else "How far do predictions miss?"
    honest = "The same study without leakage" if tracks else "The same with repeated rows on one side"
    beyond = "Beyond the notebook" if tracks else "Other models on the same rows"
    chapters: dict[str, tuple[str, dict[str, str]]] = {
        "answer": ("Answer", {}),
        "evidence": ("Evidence", {**scores, "misses": misses, "chosen": "How was k chosen?"}),
        "doubts": (
            "Doubts",
            {
                "overfitting": "Is the model overfit?",
                **({"honest": honest} if results.get("honest") else {}),
                **({"beyond": beyond} if results.get("beyond") else {}),
            },
        ),
        "next": (
            "What to do next",
            {"predict": f"Predict other {words.row}s", "try": "Try next", "reproduce": "Run it again"},
        ),
        "details": (
            "Details",
            {
                "searches": "Every k that was tried",
                "seconds": "Where the time went",
                "protocol": "File, protocol and machine",
            },
        ),
    }
    return list_chapters(chapters)


def _list_suggestions(results: AnyResults) -> Iterator[tuple[str, str]]:
    """Yield what to try after this study: why, and the command."""
    found: Mapping[str, Any] = results
    if "classes" not in found and not found.get("beyond"):
        yield (
            "Are other models better? This compares lines, tuned trees and learned distances on the same rows, and "
            "measures how sure the figures are.",
            f"{found['command']} --beyond",
        )
    if not found["data"]["arguments"]:
        yield (
            "Study a file of your own: name the column to predict.",
            ("energyknn reproduce --data FILE --target COLUMN --out results"),
        )
    elif "notebook" not in found:
        yield (
            "Is each column used as it should be? This writes what each column is into a file. Edit it, and add "
            "--columns columns.toml to the command of this study.",
            shlex.join(["energyknn", "describe", *found["data"]["arguments"], "--out", "columns.toml"]),
        )


def _describe_notebooks(results: Results) -> dict[str, Any]:
    """Return what the page of the notebook's columns shows: its figures beside this run's."""
    honest = tables.compare_with_honest(results)
    steps = tables.group_by_step(tables.compare_with_notebook(results))
    parts: dict[str, Any] = {"search": results, "search without leakage": results.get("honest")}
    return {
        "steps": [step for step in steps if step[0] in ("base", "tuned")],
        "search_steps": [step for step in steps if step[0] not in ("base", "tuned")],
        "honest_steps": tables.group_by_step(honest),
        "honest_change": {row.quantity: row.difference for row in honest if row.step == "tuned"},
        "searches": [
            {"name": f"{name} {words}", **part[name]}
            for words, part in parts.items()
            if part
            for name in ("coarse", "micro")
        ],
    }


def _describe_own(results: NumberResults | ClassResults) -> dict[str, Any]:
    """Return what the page of other columns shows."""
    words, base, tuned = Words.of(results), cast("Any", results["base"]), cast("Any", results["tuned"])
    honest = cast("Any", results.get("honest"))
    if "classes" in results:
        names = {"accuracy": "accuracy", "balanced_accuracy": "balanced accuracy"}
        what = (
            "Balanced accuracy counts each class alike. The log loss, better when smaller, punishes sure and wrong "
            "votes. ROC AUC is the chance that a row of a class gets more votes for it than a row of another."
        )
    else:
        names = {"r2": "R²", "rmse": words.with_unit("RMSE")}
        what = "R² is 1 for perfect predictions, and 0 for their mean."

    def write(key: str, scores: Mapping[str, Any]) -> str:
        return write_number(scores[key]) if key == "rmse" else tables.format_score(scores[key])

    cards = [
        (f"{name} on test rows", write(key, tuned["test"]), f"k = {base['n_neighbors']}: {write(key, base['test'])}")
        for key, name in names.items()
    ]
    tried = results["curve"]["n_neighbors"]
    cards.append(("neighbours k", str(tuned["n_neighbors"]), f"best of {len(tried)} from {tried[0]} to {tried[-1]}"))
    curves = {"this run": results["curve"], "repeated rows on one side": honest["curve"] if honest else None}
    return {
        "task": "class" if "classes" in results else "number",
        "cards": cards,
        "score_name": "accuracy" if "classes" in results else "R²",
        "what_scores": what,
        "scores": tables.list_scores(results, words),
        "honest_scores": tables.list_scores(honest, words) if honest else None,
        "searches": [{"name": name, **curve} for name, curve in curves.items() if curve],
    }


def _describe_beyond(analyses: Analyses, models: Sequence[tuple[str, ComparedModel]]) -> dict[str, Any]:
    """Return the models from the best on, and what else was found, with its notes in place of what is missing."""
    return {**analyses, "models": models, "best": models[0][0], "notes": tables.list_notes(analyses)}


_NAMES = {
    "path": "file",
    "nulls": "empty cells",
    "sha256": "SHA-256",
    "scaling": "scale learned from",
    "reference_year": "ages are counted to",
    "test_size": "share held out",
    "random_state": "seed of the split",
    "groups": "kept on one side",
    "train_rows": "training rows",
    "search": "candidates scored by",
}


def _list_protocol(results: AnyResults) -> Iterator[tuple[str, str]]:
    """Yield what the file and the protocol are, in words; nothing that plays no part in this study."""
    has_years = any(column["role"] == "year" for column in results["schema"]["columns"])
    shown = {
        "reference_year": has_years,
        "synthetic": results["schema"]["row"] == "track",
        "arguments": False,
        "notes": False,
    }
    for part in (results["data"], results["protocol"]):
        for name, value in part.items():
            if shown.get(name, True):
                yield _NAMES.get(name, name.replace("_", " ")), say(value, name)


def _list_machine(results: AnyResults) -> Iterator[tuple[str, str]]:
    """Yield what the machine is, and the versions of packages."""
    environment: Mapping[str, Any] = results["environment"]
    yield from ((name, str(value)) for name, value in environment.items() if name != "packages")
    yield from environment["packages"].items()
