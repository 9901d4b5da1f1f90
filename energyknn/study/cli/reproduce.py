"""energyknn reproduce: the whole study, beside the notebook."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

import rich
from rich.console import Console

from energyknn.errors import import_extra
from energyknn.progress import track_on_stderr, track_silently
from energyknn.study.cli import options as shared

SUMMARY = "run the whole study and show it beside the notebook"
DESCRIPTION = (
    "Run the whole study on a data file; print the notebook beside this run; write results.json, report.html with its "
    "pictures, and both searches."
)
EXAMPLES = (
    "energyknn reproduce --out results",
    "energyknn reproduce --data tracks.csv --no-honest --no-report --out results",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, shown="the synthetic sample")
    shared.add_option(command, "--out", "DIR", "folder to write", Path("results"))
    shared.add_reference_year(command)
    shared.add_choice(
        command, "--search", "; ".join(f"{name}: {text}" for name, text in _SEARCHES.items()), [*_SEARCHES]
    )
    text = "rows that the scale is learned from; the notebook used all"
    shared.add_choice(command, "--scaling", text, ("all_rows", "train_only"))
    for flag, text in _SWITCHES.items():
        command.add_argument(flag, action="store_true", help=text)
    text = "time for --beyond: 90s, 2m, 1h, or none for as long as it takes; what does not fit is made smaller and said"
    shared.add_option(command, "--budget", "TIME", text, "2m", type=shared.parse_duration)
    shared.add_columns(command)


_SEARCHES = {
    "one-search": "one neighbour search per fold serves all candidates",
    "grid": "GridSearchCV",
    "tune-sklearn": "TuneSearchCV, then GridSearchCV",
    "ray": "Ray Tune",
}
_SWITCHES = {
    "--use-gpu": "reserve a GPU for each trial of tune-sklearn or ray",
    "--beyond": "compare lines, tuned trees and learned distances on the same rows, and measure how sure the figures "
    "are, within --budget",
    "--no-honest": "leave out the second study, without leaks",
    "--no-report": "write no report; then no extra is needed",
}


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sklearn.callback import ProgressBar

    from energyknn.study.jobs.reproduce import reproduce

    if options.use_gpu and options.search not in {"tune-sklearn", "ray"}:
        message = f"--use-gpu is for --search tune-sklearn or ray; {options.search} runs on the CPU only"
        raise shared.UserError(message)
    if not options.no_report:
        for module in ("matplotlib", "jinja2"):
            import_extra(module, extra="report")
    showing = sys.stderr.isatty()
    rich.reconfigure(stderr=True)
    outcome = reproduce(
        shared.read_data(options),
        options.out,
        scaling=options.scaling,
        reference_year=options.reference_year,
        latest_year=date.today().year,
        tool=options.search,
        use_gpu=options.use_gpu,
        honest=not options.no_honest,
        beyond=options.beyond,
        budget=options.budget,
        report=not options.no_report,
        track=track_on_stderr if showing else track_silently,
        callbacks=(ProgressBar(max_propagation_depth=0),) if showing else (),
    )
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(outcome.table)
    console.print(f"\nOverfitting: {outcome.results['overfitting']['verdict']}.", style="bold")
    console.print(outcome.results["overfitting"]["explanation"])
    console.print(f"\nWritten to {options.out}: {', '.join(outcome.written)}")
    compared = outcome.results.get("beyond_analyses")
    if compared and compared["interrupted"]:
        message = f"the study and what was compared before are in {options.out}"
        raise KeyboardInterrupt(message)
