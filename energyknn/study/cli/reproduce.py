"""energyknn reproduce: a whole study of a file, with a report."""

from __future__ import annotations

import argparse
import shlex
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich

from energyknn.study.cli import options as shared
from energyknn.study.cli.showing import choose_track, open_console, write_json

if TYPE_CHECKING:
    from energyknn.study.jobs.reproduce import Outcome

SUMMARY = "study a file: tune k, test, judge overfitting, write a report"
DESCRIPTION = (
    "Study a data file: hold rows out, tune the number of neighbours, score the test rows, judge overfitting. Write "
    "results.json, report.html with its pictures, and the tuned model for `energyknn predict`. The notebook's columns "
    "stand beside the notebook's figures; with --target, other columns get a study of their own."
)
EXAMPLES = (
    "energyknn reproduce --out results",
    "energyknn reproduce --data tracks.csv --no-honest --no-report --out results",
    "energyknn reproduce --data homes.csv --target price --unit EUR --out results",
    "energyknn reproduce --data - --target price < homes.csv",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, shown="the synthetic sample")
    shared.add_option(command, "--out", "DIR", "folder to write", Path("results"))
    shared.add_reference_year(command)
    shared.add_choice(
        command, "--search", "; ".join(f"{name}: {text}" for name, text in _SEARCHES.items()), [*_SEARCHES]
    )
    text = "rows that the scale is learned from: all_rows or train_only"
    shown, choices = "all_rows for the notebook's columns, train_only for others", ("all_rows", "train_only")
    shared.add_option(command, "--scaling", "WORD", text, shown=shown, choices=choices)
    text = "candidates for other columns than the notebook's: 1:300, 1:51:10 or 5,7,9"
    shown = "every k from 1 to 300, or to the rows of a fold"
    shared.add_option(command, "--n-neighbors", "K", text, type=shared.parse_sizes, shown=shown)
    for flag, text in _SWITCHES.items():
        command.add_argument(flag, action="store_true", help=text)
    text = "time for --beyond: 90s, 2m, 1h, or none for as long as it takes; what does not fit is made smaller and said"
    shared.add_option(command, "--budget", "TIME", text, "2m", type=shared.parse_duration)
    shared.add_json(command, "print the content of results.json instead of tables")
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
    "--no-honest": "leave out the second study, without leaks: rows that repeat others stay on one side",
    "--no-report": "write no report; then no extra is needed",
}


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from sklearn.callback import ProgressBar

    from energyknn.study.jobs.reproduce import reproduce
    from energyknn.study.reporting.needs import require_packages

    if options.use_gpu and options.search not in {"tune-sklearn", "ray"}:
        message = f"--use-gpu is for --search tune-sklearn or ray; {options.search} runs on the CPU only"
        raise shared.UserError(message)
    if not options.no_report:
        require_packages()
    rich.reconfigure(stderr=True)
    showing = sys.stderr.isatty() and not options.quiet
    with shared.take_data(options):
        dataset = shared.read_data(options)
    outcome = reproduce(
        dataset,
        options.out,
        scaling=options.scaling,
        reference_year=options.reference_year,
        latest_year=date.today().year,
        n_neighbors=options.n_neighbors,
        tool=options.search,
        use_gpu=options.use_gpu,
        honest=not options.no_honest,
        beyond=options.beyond,
        budget=options.budget,
        report=not options.no_report,
        track=choose_track(options),
        callbacks=(ProgressBar(max_propagation_depth=0),) if showing else (),
    )
    results = outcome.results
    if options.json:
        write_json(results)
    else:
        _show(outcome, options)
    compared: Any = results.get("beyond_analyses")
    if compared and compared["interrupted"]:
        message = f"the study and what was compared before are in {options.out}"
        raise KeyboardInterrupt(message)


def _show(outcome: Outcome, options: argparse.Namespace) -> None:
    """Print the figures, the verdict, what was written, and the command that predicts with the model."""
    console, results = open_console(), outcome.results
    console.print(outcome.table)
    console.print(f"\nOverfitting: {results['overfitting']['verdict']}.", style="bold")
    console.print(results["overfitting"]["explanation"])
    console.print(f"\nWritten to {options.out}: {', '.join(outcome.written)}", soft_wrap=True)
    model = results["model"]
    console.print(
        f"{model['file']} is the tuned model, k = {model['n_neighbors']}, fitted on all {model['rows']:,} rows. This "
        "predicts the rows of a file with it:"
    )
    console.print(shlex.join(_name_prediction(options, model["file"])), soft_wrap=True)


def _name_prediction(options: argparse.Namespace, model: str) -> list[str]:
    """Return the words of the command that predicts with the model that was written."""
    from energyknn.loading import sample_path

    data = sample_path() if options.data is None else "NEW.csv" if shared.is_stdin(options.data) else options.data
    return ["energyknn", "predict", "--model", str(options.out / model), "--data", str(data)]
