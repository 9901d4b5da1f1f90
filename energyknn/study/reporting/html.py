"""A template and what it shows, to one HTML page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

from energyknn.errors import import_extra
from energyknn.study.reporting import tables
from energyknn.study.reporting.axes import Picture
from energyknn.study.reporting.colors import write_variables
from energyknn.study.reporting.words import write_number


def render_html(template: str, shown: Mapping[str, Any], pictures: Mapping[str, Picture]) -> str:
    """Render a template of this folder as a page with its style, pictures and one script inside.

    Parameters
    ----------
    template : str
        The name of its file.
    shown : mapping of str to anything
        What the template shows, by the names that it uses.
    pictures : mapping of str to Picture
        The pictures by name.

    Returns
    -------
    str
        HTML that asks for no address and escapes every text. Its one script sorts and copies tables; the page allows
        no other.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    jinja = import_extra("jinja2", extra="report")
    loader = jinja.PackageLoader("energyknn.study.reporting", "")
    options = {"autoescape": True, "undefined": jinja.StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = jinja.Environment(loader=loader, **options)
    environment.filters |= dict[str, Any](
        figure=tables.format_value,
        difference=tables.format_difference,
        score=tables.format_score,
        amount=write_number,
        say=say,
    )
    script = environment.get_template("tables.js.j2").render()
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    page = {"pictures": pictures, "variables": write_variables, "script": script, "script_hash": f"sha256-{digest}"}
    return str(environment.get_template(template).render({**shown, **page}))


def list_chapters(chapters: Mapping[str, tuple[str, Mapping[str, str]]]) -> dict[str, Any]:
    """Return the contents of a page, and the title of every section by its id.

    Parameters
    ----------
    chapters : mapping of str to tuple
        By id, the title of a chapter and the titles of its sections by their ids.

    Returns
    -------
    dict
        `contents` and `titles`, as the templates take them.
    """
    contents = [
        {"id": key, "title": title, "parts": [{"id": inner, "title": words} for inner, words in parts.items()]}
        for key, (title, parts) in chapters.items()
    ]
    titles = {key: title for key, (title, _) in chapters.items()}
    return {
        "contents": contents,
        "titles": titles | {key: title for _, parts in chapters.values() for key, title in parts.items()},
    }


def say(value: object, name: str = "") -> str:
    """Write a value of the results in words; counts get their thousands set apart."""
    if name.endswith("rows") or name == "nulls":
        return f"{value:,}"
    known = {
        "all_rows": "all rows",
        "train_only": "training rows",
        "repeats": "rows with equal features",
        "none": "nothing",
        "one-search": "one search per fold",
        "grid": "GridSearchCV",
        "ray": "Ray Tune",
        "True": "yes",
        "False": "no",
    }
    return known.get(str(value), str(value))
