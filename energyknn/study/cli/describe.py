"""energyknn describe: what the columns of a file are, before anything is computed."""

from __future__ import annotations

import argparse
import shlex

from energyknn.study.cli import options as shared
from energyknn.study.cli.showing import count, open_console, write_json

SUMMARY = "show what each column of a file is, and write that down to be changed"
DESCRIPTION = (
    "Read a data file and show how it was read, what each column is and why, and how many cells are empty. With --out, "
    "write the roles to a small TOML file, which the other commands take with --columns."
)
EXAMPLES = (
    "energyknn describe --data homes.csv --target price --out homes.toml",
    "energyknn describe --data - < homes.csv",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, required=True)
    shared.add_option(command, "--out", "FILE", "TOML file to write", type=shared.name_file, shown=None)
    shared.add_json(command)
    shared.add_columns(command)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn._shared.saving import staged_file
    from energyknn.study.column_choices import write_column_choices
    from energyknn.study.jobs.describe import describe

    with shared.take_data(options):
        found = describe(options.data, shared.read_choices(options), **shared.read_format(options))
    found.results["path"] = str(options.data)
    if options.out is not None:
        with staged_file(options.out) as staged:
            reasons = {column["name"]: column["why"] for column in found.results["columns"]}
            source = "standard input" if shared.is_stdin(options.data) else options.data.name
            staged.write_text(write_column_choices(found.choices, reasons, source=source), encoding="utf-8")
    if options.json:
        write_json(found.results)
        return
    console = open_console()
    n_rows, n_columns = found.results["rows"], len(found.results["columns"])
    for line in (f"{options.data}: {count(n_rows, 'row')}, {count(n_columns, 'column')}.", *found.results["notes"]):
        console.print(line, soft_wrap=True)
    console.print(found.table)
    named = ("--columns", str(options.out)) if options.out is not None else shared.read_choices(options).arguments
    if options.out is not None:
        console.print(f"Roles written to {options.out}. Change what is wrong.", soft_wrap=True)
    if found.results["target"] is not None:
        command = shlex.join(["energyknn", "reproduce", "--data", str(options.data), *named])
        console.print(f"Next: {command}", soft_wrap=True)
