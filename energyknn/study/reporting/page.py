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
from energyknn.study.reporting._axes import Picture
from energyknn.study.reporting.pictures import StudyArrays, draw_pictures
from energyknn.study.reporting.tables import (
    ComparisonRow,
    compare_with_notebook,
    compare_with_train_only,
    format_difference,
    format_value,
)

__all__ = ["render_page", "render_report"]

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


def render_page(results: Mapping[str, Any], pictures: Mapping[str, Picture]) -> str:
    """Render the study as one HTML page that needs nothing else.

    Parameters
    ----------
    results : mapping
        The study's results, shaped as `results.json`. `honest`, `beyond`, `micro`, `notebook`, `overfitting`,
        `seconds` and `environment` may be missing: their sections then are as well.
    pictures : mapping of str to Picture
        What `draw_pictures` returns, or a part of it. They are embedded in this order, those whose names begin with
        "beyond" in the section beyond the notebook.

    Returns
    -------
    str
        HTML with its style and pictures inside. It has no script, asks for no address, and escapes every text
        of the results.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    KeyError
        If `data`, `protocol`, `base`, `coarse` or `tuned` is missing.
    """
    return _fill_template(results, _encode_pictures(pictures))


def render_report(results: Mapping[str, Any], arrays: StudyArrays) -> dict[str, bytes]:
    """Render the page and its pictures as the files of a report.

    Parameters
    ----------
    results : mapping
        The study's results, shaped as `results.json`.
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
    KeyError
        If `data`, `protocol`, `base`, `coarse` or `tuned` is missing.
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


def _fill_template(results: Mapping[str, Any], images: Sequence[_Image]) -> str:
    jinja = import_extra("jinja2", extra="report")
    source = resources.files("energyknn.study.reporting").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja.Environment(
        autoescape=True, undefined=jinja.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= dict[str, Callable[..., str]](figure=format_value, difference=format_difference, say=_say)
    beyond = [image for image in images if image.name.startswith("beyond")]
    rest = [image for image in images if image not in beyond]
    return str(environment.from_string(source).render(**_describe(results), images=rest, beyond_images=beyond))


def _describe(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template shows, by the names that it uses."""
    return {
        "data": results["data"],
        "protocol": results["protocol"],
        "cards": _make_cards(results),
        "overfitting": results.get("overfitting"),
        "gaps": _list_gaps(results),
        "steps": _group_by_step(compare_with_notebook(results)),
        "honest": _describe_honest(results),
        "beyond": _describe_beyond(results),
        "searches": list(_list_searches(results)),
        "seconds": _list_seconds(results.get("seconds") or {}),
        "environment": results.get("environment"),
        "command": _write_command(results),
    }


def _group_by_step(rows: Sequence[ComparisonRow]) -> list[tuple[str, list[ComparisonRow]]]:
    return [(step, list(group)) for step, group in groupby(rows, key=lambda row: row.step)]


def _make_cards(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the key figures: what, this run's, the notebook's."""
    tuned, notebook = results["tuned"], (results.get("notebook") or {}).get("tuned") or {}
    printed = notebook.get("test") or {}
    cards = [
        ("R² on test rows", tuned["test"]["r2"], printed.get("r2"), ".4f"),
        ("RMSE on test rows", tuned["test"]["rmse"], printed.get("rmse"), ".4f"),
        ("neighbours k", tuned["n_neighbors"], notebook.get("n_neighbors"), "d"),
    ]
    return [
        {
            "name": name,
            "value": format(value, form),
            "notebook": "no figure" if other is None else format(other, form),
        }
        for name, value, other, form in cards
    ]


def _list_gaps(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the three figures behind the verdict, for the base and the tuned model."""
    overfitting = results.get("overfitting") or {}
    kinds = ("train_minus_test_r2", "without_self_minus_test_r2", "standard_error")
    columns = {kind: overfitting.get(kind) or {} for kind in kinds}
    return [
        {"name": name, "n_neighbors": results[name]["n_neighbors"]} | {kind: columns[kind].get(name) for kind in kinds}
        for name in ("base", "tuned")
    ]


def _describe_honest(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return both protocols, the rows of both and the change of the tuned model's test scores."""
    honest = results.get("honest")
    if not honest:
        return None
    rows = compare_with_train_only(results)
    change = {row.quantity: row.difference for row in rows if row.step == "tuned"}
    protocols = (results["protocol"], honest.get("protocol") or {})
    names = {"scaling": "scale fitted on", "groups": "kept on one side"}
    names |= {"train_rows": "train rows", "test_rows": "test rows"}
    both = [(words, [_say(protocol.get(name), name) for protocol in protocols]) for name, words in names.items()]
    return {
        "steps": _group_by_step(rows),
        "change": change,
        "protocol": [(words, *sides) for words, sides in both if sides not in (["none", "none"], ["-", "-"])],
    }


def _describe_beyond(results: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the models in the order of their errors, the effects of the protocol and the nested estimate."""
    models, analyses = results.get("beyond"), results.get("beyond_analyses") or {}
    if not models:
        return None
    ordered = sorted(models.items(), key=lambda item: item[1]["test"]["rmse"])
    return {
        "models": ordered,
        "best": ordered[0][0],
        "missing": analyses.get("missing") or {},
        "effects": analyses.get("effects"),
        "nested": analyses.get("nested"),
        "coverage": analyses.get("coverage"),
        "constant_width": analyses.get("constant_width"),
    }


def _say(value: object, name: str = "") -> str:
    """Write a value of the results in words; counts of rows get their thousands set apart."""
    if name.endswith("rows"):
        return "-" if value is None else f"{value:,}"
    known = {"all_rows": "all rows", "train_only": "training rows", "None": "none", "True": "yes", "False": "no"}
    return known.get(str(value), str(value))


def _list_searches(results: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every search that was run, with one row for each candidate."""
    searches = {f"{name} search": results.get(name) for name in ("coarse", "micro")}
    honest = results.get("honest") or {}
    searches |= {f"{name} search without leakage": honest.get(name) for name in ("coarse", "micro")}
    for name, search in searches.items():
        if search:
            names = ("n_neighbors", "mean_test_score", "std_test_score", "fold_test_scores")
            rows = list(zip(*(search[column] for column in names), strict=True))
            n_folds = len(search["fold_test_scores"][0])
            tool = search.get("tool")
            yield {"name": name, "tool": tool, "n_folds": n_folds, "rows": rows, "best": search["best"]}


def _list_seconds(seconds: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return the stages with their share of the total, in %."""
    total = seconds.get("total") or sum(seconds.values())
    return [
        {"stage": stage.replace("_", " "), "seconds": value, "share": 100 * value / total if total else 0.0}
        for stage, value in seconds.items()
    ]


def _write_command(results: Mapping[str, Any]) -> str:
    """Return the shell command that runs the study again."""
    data, protocol = results["data"], results["protocol"]
    words = ["energyknn", "reproduce", "--data", str(data["path"])]
    if protocol.get("reference_year") is not None:
        words += ["--reference-year", str(protocol["reference_year"])]
    if protocol.get("search") is not None:
        words += ["--search", str(protocol["search"])]
    return shlex.join(words)
