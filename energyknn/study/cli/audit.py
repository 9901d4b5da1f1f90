"""energyknn audit: the rows of a file whose targets do not fit, the worst first."""

from __future__ import annotations

import argparse
import os
import shlex
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from energyknn.study.cli import options as shared
from energyknn.study.cli.showing import count, open_console, write_json, write_note

if TYPE_CHECKING:
    from energyknn.auditing import Audit
    from energyknn.study.dataset import Dataset

_TOP = 20  # rows
_EFFORTS = {"normal": "a learned distance, in a minute or more", "quick": "the best plain distance, in seconds"}

SUMMARY = "list the rows of a file whose target does not fit, the worst first"
DESCRIPTION = (
    "Compare the target of each row with those of the rows that are most alike, and list those that fit least first: "
    "mislabelled, wrong or odd rows. To tell how well that works on this file, some rows swap their targets, and the "
    "command counts how many of them it finds. Row numbers count from 0."
)
EXAMPLES = (
    "energyknn audit --data tracks.csv --effort quick --top 10",
    "energyknn audit --data homes.csv --target price --out doubtful.xlsx",
    "energyknn audit --data homes.csv --target price --report audit.html",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, required=True)
    text = "; ".join(f"{name}: {words}" for name, words in _EFFORTS.items())
    shared.add_choice(command, "--effort", f"how rows are compared. {text}", [*_EFFORTS])
    shared.add_option(command, "--top", "N", "how many rows to show", _TOP)
    text = "share of the rows that swap targets for the test; 0 for no test"
    shared.add_option(command, "--spoil", "SHARE", text, 0.05)
    shared.add_table_out(command, Path("audit.csv"))
    shared.add_page(command, "HTML page to write: the rows that fit least, with pictures", "audit.html")
    shared.add_json(command)
    shared.add_columns(command)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn._shared.saving import save_table
    from energyknn.auditing import audit_table
    from energyknn.neighbors_model import NeighborsModel
    from energyknn.study.reporting.needs import require_packages

    if options.top < 1:
        message = f"--top is {options.top}. It must be at least 1 row"
        raise shared.UserError(message)
    if options.report is not None:
        require_packages()
    start = time.perf_counter()
    with shared.take_data(options):
        dataset = shared.read_data(options)
    model = NeighborsModel(
        schema=dataset.schema,
        effort=options.effort,
        missing="median" if shared.read_choices(options).missing == "median" else "refuse",
        latest_year=date.today().year,
        verbose=int(not options.quiet),
    )
    found = audit_table(dataset.table, model, spoil=options.spoil)
    out = options.out
    save_table(found.rows, out)
    if options.report is not None:
        _write_page(found, dataset, out, options)
    results = {
        "target": dataset.schema.target,
        "rows": len(found.rows),
        "method": found.model.method_,
        "spoilt": {"rows": found.n_spoilt, "found": found.n_found, "by_chance": found.chance},
        "seconds": time.perf_counter() - start,
        "out": str(out),
        "worst": found.rows.head(options.top).to_dict(orient="records"),
    }
    if options.json:
        write_json(results)
    else:
        _show(results)
        write_note(options, f"All {count(len(found.rows), 'row')} written to {out}, the worst first.")
        if options.report is not None:
            write_note(options, f"Written: {options.report}")


def _write_page(found: Audit, dataset: Dataset, out: Path, options: argparse.Namespace) -> None:
    """Write the page, which names the command that writes it again."""
    from energyknn._shared.saving import staged_file
    from energyknn.study.describing import describe_dataset
    from energyknn.study.reporting.audit_page import render_audit
    from energyknn.study.reporting.needs import keeping_fonts

    words = ["--effort", options.effort, "--top", str(options.top), "--spoil", f"{options.spoil:g}"]
    words += ["--out", os.fspath(out), "--report", os.fspath(options.report)]
    command = shlex.join(["energyknn", "audit", *dataset.arguments, *words])
    with staged_file(options.report) as path, keeping_fonts(path.parent):
        described = describe_dataset(dataset)
        page = render_audit(found, described, top=options.top, command=command, saved=os.fspath(out))
        path.write_text(page, encoding="utf-8")


def _show(results: dict[str, Any]) -> None:
    """Print the worst rows, and how well wrong targets are found."""
    from energyknn.study.reporting.audit import describe_test, tabulate_audit

    console = open_console()
    console.print(tabulate_audit(results["worst"], results["target"]))
    console.print(describe_test(results["spoilt"]), soft_wrap=True)
