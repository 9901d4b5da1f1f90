"""One self-contained HTML page, and the files that go with it, as bytes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from energyknn.errors import import_extra
from energyknn.study.reporting import tables
from energyknn.study.reporting.axes import Picture
from energyknn.study.reporting.pictures import StudyArrays, draw_pictures
from energyknn.study.results import Analyses, ComparedModel, Results


def render_page(results: Results, pictures: Mapping[str, Picture]) -> str:
    """Render the study as one HTML page that needs nothing else.

    Parameters
    ----------
    results : Results
        The content of `results.json`.
    pictures : mapping of str to Picture
        What `draw_pictures` returns, or a part of it. They are embedded in this order. Those whose names begin with
        "beyond" stand in the section beyond the notebook.

    Returns
    -------
    str
        HTML with its style and pictures inside. It has no script, asks for no address, and escapes every text
        of the results.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    jinja = import_extra("jinja2", extra="report")
    loader = jinja.PackageLoader("energyknn.study.reporting", "")
    options = {"autoescape": True, "undefined": jinja.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja.Environment(loader=loader, **options)
    environment.filters |= dict[str, Any](figure=tables.format_value, difference=tables.format_difference, say=_say)
    return str(environment.get_template("report.html.j2").render(_describe(results), pictures=pictures))


def render_report(results: Results, arrays: StudyArrays) -> dict[str, bytes]:
    """Render the page and its pictures as the files of a report.

    Parameters
    ----------
    results : Results
        The content of `results.json`.
    arrays : StudyArrays
        Targets and predictions.

    Returns
    -------
    dict of str to bytes
        Content by file name, relative to the report's folder: `report.html`, then one PNG for each picture
        under `pictures/`. The page does not need the other files.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    pictures = draw_pictures(results, arrays)
    files = {"report.html": render_page(results, pictures).encode("utf-8")}
    return files | {f"pictures/{name}.png": picture.png for name, picture in pictures.items()}


def _describe(results: Results) -> dict[str, Any]:
    """Return what the template shows, by the names that it uses: the results and what is made of them."""
    models = sorted(results.get("beyond", {}).items(), key=lambda item: item[1]["test"]["rmse"])
    honest = tables.compare_with_honest(results)
    parts: dict[str, Any] = {"search": results, "search without leakage": results.get("honest")}
    data, protocol = shlex.quote(results["data"]["path"]), results["protocol"]
    command = f"energyknn reproduce --data {data} --reference-year {protocol['reference_year']}"
    return {
        **results,
        "steps": tables.group_by_step(tables.compare_with_notebook(results)),
        "honest": results.get("honest"),
        "honest_steps": tables.group_by_step(honest),
        "honest_change": {row.quantity: row.difference for row in honest if row.step == "tuned"},
        "beyond": _describe_beyond(results["beyond_analyses"], models) if models else None,
        "searches": [
            {"name": f"{name} {words}", **part[name]}
            for words, part in parts.items()
            if part
            for name in ("coarse", "micro")
        ],
        "command": f"{command} --search {shlex.quote(protocol['search'])}",
    }


def _describe_beyond(analyses: Analyses, models: Sequence[tuple[str, ComparedModel]]) -> dict[str, Any]:
    """Return the models from the best on, and what else was found, with its notes in place of what is missing."""
    return {**analyses, "models": models, "best": models[0][0], "notes": tables.list_notes(analyses)}


def _say(value: object, name: str = "") -> str:
    """Write a value of the results in words; counts of rows get their thousands set apart."""
    if name.endswith("rows"):
        return f"{value:,}"
    known = {"all_rows": "all rows", "train_only": "training rows", "True": "yes", "False": "no"}
    return known.get(str(value), str(value))
