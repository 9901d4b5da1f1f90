"""energyknn reproduce: the whole study, beside the notebook."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

import rich
from rich.console import Console

from energyknn.errors import import_extra
from energyknn.progress import track_on_stderr, track_silently
from energyknn.study.cli.options import UserError, add_columns, choose_schema


def add_command(commands: Any) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "reproduce",
        help="run the whole study and show it beside the notebook",
        description="Run the whole study on a data file; print the notebook beside this run; write results.json, "
        "report.html with its pictures, and both searches.",
    )
    command.add_argument(
        "--data", type=Path, metavar="FILE", help="CSV or Parquet file (default: the synthetic sample)"
    )
    command.add_argument(
        "--out", type=Path, default=Path("results"), metavar="DIR", help="folder to write (default: results)"
    )
    command.add_argument(
        "--reference-year",
        type=int,
        default=2021,
        metavar="Y",
        help="year in which a track's age is 0 (default: 2021)",
    )
    command.add_argument(
        "--search",
        choices=("one-search", "grid", "tune-sklearn", "ray"),
        default="one-search",
        help="one-search: one neighbour search per fold serves all candidates; grid: GridSearchCV; "
        "tune-sklearn: TuneSearchCV, then GridSearchCV; ray: Ray Tune (default: one-search)",
    )
    command.add_argument(
        "--scaling",
        choices=("all_rows", "train_only"),
        default="all_rows",
        help="rows from which the scale is learned; the notebook used all (default: all_rows)",
    )
    command.add_argument("--use-gpu", action="store_true", help="reserve a GPU for each trial of tune-sklearn or ray")
    command.add_argument(
        "--beyond",
        action="store_true",
        help="compare lines, tuned trees and learned distances on the same rows, and measure what the figures are "
        "worth (more than an hour on 170,000 tracks)",
    )
    command.add_argument("--no-honest", action="store_true", help="leave out the second study, without leaks")
    command.add_argument("--no-report", action="store_true", help="write results.json only; needs no extra")
    add_columns(command)
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from energyknn.study.jobs.reproduce import reproduce

    if options.use_gpu and options.search not in {"tune-sklearn", "ray"}:
        message = f"--use-gpu is for --search tune-sklearn or ray; {options.search} runs on the CPU only"
        raise UserError(message)
    if not options.no_report:
        for module in ("matplotlib", "jinja2"):
            import_extra(module, extra="report")
    showing = sys.stderr.isatty()
    rich.reconfigure(stderr=True)
    outcome = reproduce(
        options.data,
        options.out,
        schema=choose_schema(options),
        scaling=options.scaling,
        reference_year=options.reference_year,
        latest_year=date.today().year,
        tool=options.search,
        use_gpu=options.use_gpu,
        honest=not options.no_honest,
        beyond=options.beyond,
        report=not options.no_report,
        track=track_on_stderr if showing else track_silently,
        callbacks=_make_callbacks() if showing else (),
    )
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(outcome.table)
    console.print(f"\nOverfitting: {outcome.results['overfitting']['verdict']}.", style="bold")
    console.print(outcome.results["overfitting"]["explanation"])
    console.print(f"\nWritten to {options.out}: {', '.join(outcome.written)}")


def _make_callbacks() -> tuple[Any, ...]:
    from sklearn.callback import ProgressBar

    return (ProgressBar(max_propagation_depth=0),)
