"""One self-contained HTML page, and the files that go with it, as bytes."""

from __future__ import annotations

import base64
import io
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from itertools import groupby
from typing import Any, NamedTuple

from energyknn.errors import import_extra
from energyknn.study.reporting.axes import Picture
from energyknn.study.reporting.pictures import StudyArrays, draw_pictures
from energyknn.study.reporting.tables import (
    ComparisonRow,
    compare_with_honest,
    compare_with_notebook,
    format_difference,
    format_value,
)
from energyknn.study.results import Results

_DOTS_PER_INCH = 200


class _Image(NamedTuple):
    """A picture as the page embeds it."""

    name: str
    png: bytes
    alt: str
    caption: str

    @property
    def address(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


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
    return _fill_template(results, _encode_pictures(pictures))


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
    images = _encode_pictures(draw_pictures(results, arrays))
    files = {"report.html": _fill_template(results, images).encode("utf-8")}
    return files | {f"pictures/{image.name}.png": image.png for image in images}


def _encode_pictures(pictures: Mapping[str, Picture]) -> list[_Image]:
    images = []
    for name, picture in pictures.items():
        file = io.BytesIO()
        picture.figure.savefig(file, format="png", dpi=_DOTS_PER_INCH)
        images.append(_Image(name, file.getvalue(), picture.alt, picture.caption))
    return images


def _fill_template(results: Results, images: Sequence[_Image]) -> str:
    jinja = import_extra("jinja2", extra="report")
    source = resources.files("energyknn.study.reporting").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja.Environment(
        autoescape=True, undefined=jinja.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= dict[str, Callable[..., str]](figure=format_value, difference=format_difference, say=_say)
    beyond = [image for image in images if image.name.startswith("beyond")]
    rest = [image for image in images if image not in beyond]
    return str(environment.from_string(source).render(**_describe(results), images=rest, beyond_images=beyond))


def _describe(results: Results) -> dict[str, Any]:
    """Return what the template shows, by the names that it uses."""
    models = sorted(results.get("beyond", {}).items(), key=lambda item: item[1]["test"]["rmse"])
    data, protocol = results["data"], results["protocol"]
    command = f"--data {shlex.quote(data['path'])} --reference-year {protocol['reference_year']}"
    return {
        "data": data,
        "protocol": protocol,
        "cards": _make_cards(results),
        "overfitting": results["overfitting"],
        "gaps": [(name, results[name]["n_neighbors"]) for name in ("base", "tuned")],
        "steps": _group_by_step(compare_with_notebook(results)),
        "honest": _describe_honest(results),
        "beyond": {**results["beyond_analyses"], "models": models, "best": models[0][0]} if models else None,
        "searches": list(_list_searches(results)),
        "seconds": results["seconds"],
        "environment": results["environment"],
        "command": f"energyknn reproduce {command} --search {shlex.quote(protocol['search'])}",
    }


def _group_by_step(rows: Sequence[ComparisonRow]) -> list[tuple[str, list[ComparisonRow]]]:
    return [(step, list(group)) for step, group in groupby(rows, key=lambda row: row.step)]


def _make_cards(results: Results) -> list[dict[str, str]]:
    """Return the key figures: what, this run's, the notebook's."""
    tuned, printed = results["tuned"], results["notebook"]["tuned"]
    cards = [
        ("R² on test rows", tuned["test"]["r2"], printed["test"]["r2"], ".4f"),
        ("RMSE on test rows", tuned["test"]["rmse"], printed["test"]["rmse"], ".4f"),
        ("neighbours k", tuned["n_neighbors"], printed["n_neighbors"], "d"),
    ]
    return [{"name": name, "value": format(a, form), "notebook": format(b, form)} for name, a, b, form in cards]


def _describe_honest(results: Results) -> dict[str, Any] | None:
    """Return both protocols and the change of the tuned model's scores."""
    honest = results.get("honest")
    if not honest:
        return None
    rows = compare_with_honest(results)
    protocols: list[Mapping[str, Any]] = [results["protocol"], honest["protocol"]]
    names = {"scaling": "scale fitted on", "groups": "kept on one side"}
    names |= {"train_rows": "train rows", "test_rows": "test rows"}
    return {
        "steps": _group_by_step(rows),
        "change": {row.quantity: row.difference for row in rows if row.step == "tuned"},
        "protocol": [(words, *(_say(side[name], name) for side in protocols)) for name, words in names.items()],
    }


def _say(value: object, name: str = "") -> str:
    """Write a value of the results in words; counts of rows get their thousands set apart."""
    if name.endswith("rows"):
        return f"{value:,}"
    known = {"all_rows": "all rows", "train_only": "training rows", "True": "yes", "False": "no"}
    return known.get(str(value), str(value))


def _list_searches(results: Results) -> Iterator[dict[str, Any]]:
    """Yield every search that was run, with one row for each candidate."""
    parts: list[tuple[Mapping[str, Any], str]] = [(results, "search")]
    if honest := results.get("honest"):
        parts.append((honest, "search without leakage"))
    for part, words in parts:
        for name in ("coarse", "micro"):
            search = part[name]
            columns = ("n_neighbors", "mean_test_score", "std_test_score", "fold_test_scores")
            rows = list(zip(*(search[column] for column in columns), strict=True))
            yield {"tool": None, **search, "name": f"{name} {words}", "rows": rows}
