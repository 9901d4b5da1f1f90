"""The page of the rows that `audit` compared with their neighbours."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

import pandas as pd

from energyknn.study.reporting.audit import choose_names, describe_test
from energyknn.study.reporting.audit_pictures import draw_audit_pictures
from energyknn.study.reporting.html import list_chapters, render_html
from energyknn.study.reporting.words import Words, write_number

if TYPE_CHECKING:
    from energyknn.auditing import Audit

_MOST = 1000  # rows of the long table
_TITLES = {
    "targets": "What do the neighbours say?",
    "misfits": "Where do the odd rows end?",
    "test": "How much must I read to find wrong rows?",
}


def render_audit(found: Audit, described: Mapping[str, Any], *, top: int, command: str, saved: str) -> str:
    """Render what `audit` found as one HTML page that needs nothing else.

    Parameters
    ----------
    found : Audit
        What `audit_table` returns.
    described : mapping
        What `describe_dataset` says of the rows that were audited.
    top : int
        How many rows the first table shows.
    command : str
        The command that audits the same rows again.
    saved : str
        The file that holds the whole list.

    Returns
    -------
    str
        HTML with its style and pictures inside, which asks for no address and escapes every text.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    words, data = Words.of(cast("Any", described)), described["data"]
    classifies = found.model.model_.schema.classifies
    rows = [_describe_row(row) for row in found.rows.head(max(top, _MOST)).to_dict(orient="records")]
    named = [f"{words.row.capitalize()} {row['number']}" for row in rows[:top]]
    pictures = draw_audit_pictures(found, named, words=words)
    shown = {
        **_list_contents(list(pictures)),
        "words": words,
        "heading": f"{words.target} audited by nearest neighbours",
        "colors": {
            "blue": f"the {words.row}s that fit least",
            **({} if classifies else {"red": "where the targets should be"}),
            "grey": f"all {words.row}s, or chance, for comparison",
        },
        "cards": list(_list_cards(found, words)),
        "path": data["path"],
        "first": rows[0],
        "rows": rows,
        "n_rows": len(found.rows),
        "top": top,
        "n_most": _MOST,
        "text_columns": choose_names(found.rows.columns.tolist()),
        "test": describe_test({"rows": found.n_spoilt, "found": found.n_found, "by_chance": found.chance}),
        "classifies": classifies,
        "command": command,
        "study": shlex.join(["energyknn", "reproduce", *data["arguments"], "--out", "results"]),
        "saved": saved,
        "file_and_method": [
            ("file", data["path"]),
            ("SHA-256", data["sha256"]),
            (f"{words.row}s", f"{len(found.rows):,}"),
            ("distance", found.model.method_),
        ],
    }
    return render_html("audit_report.html.j2", shown, pictures)


def _list_contents(pictures: list[str]) -> dict[str, Any]:
    """Return the chapters of the page with the sections that this audit has."""
    evidence = {f"{name}-section": _TITLES[name] for name in pictures}
    return list_chapters(
        {
            "answer": ("Answer", {}),
            "top": ("The rows that fit least", {}),
            "evidence": ("Evidence", evidence),
            "doubts": ("How sure is it?", {}),
            "next": ("What to do next", {"mend": "Mend the file", "again": "Run it again"}),
            "details": ("Details", {}),
        }
    )


def _list_cards(found: Audit, words: Words) -> Iterator[tuple[str, str, str]]:
    """Yield a name, a figure and a remark for each card."""
    rows = found.rows
    yield f"{words.row}s compared", f"{len(rows):,}", "each with the rows most like it"
    if found.model.model_.schema.classifies:
        differ = int((rows.iloc[:, -4].astype(str) != rows.iloc[:, -3].astype(str)).sum())
        yield "neighbours disagree", f"{differ:,}", f"{100 * differ / len(rows):.1f} % of the {words.row}s"
    else:
        gap = (rows.iloc[:, -4] - rows.iloc[:, -3]).abs().median()
        yield "usual distance", write_number(float(gap)), words.with_unit("median, from what neighbours say")
    worse = int((rows.iloc[:, -1] < 0).sum())
    yield f"{words.row}s of value below 0", f"{worse:,}", "others are predicted better without them"
    if found.n_spoilt:
        share = f"{100 * found.n_found / found.n_spoilt:.0f} %"
        yield "found in the test", share, f"of {found.n_spoilt:,} wrong ones; chance {100 * found.chance:.0f} %"


def _describe_row(row: dict[Any, Any]) -> dict[str, Any]:
    """Return a row of the tables as texts."""
    number, *texts, target, said, misfit, value = row.values()
    return {
        "number": number,
        "target": _write(target),
        "said": _write(said),
        "misfit": f"{misfit:.3f}",
        "value": write_number(value),
        "texts": {name: "" if pd.isna(text) else str(text) for name, text in zip(list(row)[1:-4], texts, strict=True)},
    }


def _write(value: Any) -> str:
    """Write a target: a number, or the name of a class."""
    return write_number(value) if isinstance(value, int | float) else str(value)
