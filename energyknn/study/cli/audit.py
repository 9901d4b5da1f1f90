"""energyknn audit: the rows of a file whose targets do not fit, the worst first."""

from __future__ import annotations

import argparse
import time
from datetime import date
from pathlib import Path
from typing import Any

from energyknn.study.cli import options as shared
from energyknn.study.cli.showing import count, open_console, write_json, write_note

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
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, required=True)
    text = "; ".join(f"{name}: {words}" for name, words in _EFFORTS.items())
    shared.add_choice(command, "--effort", f"how rows are compared. {text}", [*_EFFORTS])
    shared.add_option(command, "--top", "N", "how many rows to show", _TOP)
    text = "share of the rows that swap targets for the test; 0 for no test"
    shared.add_option(command, "--spoil", "SHARE", text, 0.05)
    shared.add_table_out(command, "audit.csv")
    shared.add_json(command)
    shared.add_columns(command)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn._shared.saving import save_table
    from energyknn.auditing import audit_table
    from energyknn.neighbors_model import NeighborsModel

    if options.top < 1:
        message = f"--top is {options.top}. It must be at least 1 row"
        raise shared.UserError(message)
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
    out = options.out or Path("audit.csv")
    save_table(found.rows, out)
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


def _show(results: dict[str, Any]) -> None:
    """Print the worst rows, and how well wrong targets are found."""
    from energyknn.study.reporting.audit import describe_test, tabulate_audit

    console = open_console()
    console.print(tabulate_audit(results["worst"], results["target"]))
    console.print(describe_test(results["spoilt"]), soft_wrap=True)
