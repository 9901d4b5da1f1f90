"""energyknn tune: every candidate from one search per fold."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

from rich.console import Console

from energyknn.progress import track_on_stderr, track_silently
from energyknn.study.cli import options as shared

SUMMARY = "score every candidate from one search per fold"
DESCRIPTION = (
    "Cross-validate every number of neighbours and weighting on the training rows (four fifths, as in the study), with "
    "one neighbour search for each fold."
)
EXAMPLES = (
    "energyknn tune --data tracks.csv --n-neighbors 5:25",
    "energyknn tune --data tracks.csv --weights uniform,distance --mismatch-cost 8,1,0",
    "energyknn tune --data tracks.csv --target tempo --numbers energy,loudness,danceability",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, required=True)
    text, whole = "candidates: 1:51, 1:51:10 or 5,7,9", shared.parse_sizes("1:51")
    shared.add_option(command, "--n-neighbors", "K", text, whole, type=shared.parse_sizes, shown="1:51")
    shared.add_option(command, "--weights", "NAMES", "uniform, distance or a kernel", "uniform")
    shared.add_option(command, "--p", "P", "1 Manhattan, 2 Euclidean, 1,2 for both", "2")
    shared.add_option(command, "--mismatch-cost", "COSTS", "what a differing category costs: 8,1,0", "8")
    text = "what scales the numbers once more, fold by fold: standard, robust, minmax"
    shared.add_option(command, "--scaler", "NAMES", text, "as it is")
    text = "columns to leave out; each time it is given adds one more choice to that of all columns"
    shared.add_option(command, "--without", "NAMES", text, [], type=shared.split_names, action="append", shown=None)
    shared.add_option(command, "--cv", "N", "number of folds", 4)
    shared.add_option(command, "--scoring", "NAME", "a scikit-learn scorer", shown="r2, or accuracy for classes")
    shared.add_reference_year(command)
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    ray = command.add_argument_group("on a Ray cluster", "The same bits as on one machine, for files past one machine.")
    text = (
        "score on the Ray cluster at host:port, or at 'auto' on the one of this machine. Without an address, "
        "RAY_ADDRESS names the cluster; where it is not set, a local Ray is started and shut down again"
    )
    shared.add_option(ray, "--ray", "ADDRESS", text, nargs="?", const="")
    text = "a folder (a path or an fsspec address) that keeps every finished piece; the same call goes on from there"
    shared.add_option(ray, "--journal", "DIR", text)
    shared.add_columns(command)
    shared.add_task(command)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn.study.jobs.tune import tune
    from energyknn.study.protocol import Protocol
    from energyknn.tuning import SearchInterrupted

    if options.cv < 2:
        message = f"cv is {options.cv}. It must be at least 2 folds"
        raise shared.UserError(message)
    if options.journal is not None and options.ray is None:
        message = "--journal is for --ray. Add --ray, or leave the journal out."
        raise shared.UserError(message)
    schema = shared.choose_schema(options)
    if options.journal is not None and schema.classifies:
        message = "--journal keeps the scores of numbers, and the target is a class. Leave it out."
        raise shared.UserError(message)
    try:
        outcome = tune(
            options.data,
            Protocol(reference_year=options.reference_year, n_splits=options.cv),
            n_neighbors=options.n_neighbors,
            weights=shared.split_names(options.weights),
            p=shared.parse_numbers(options.p, int, name="p"),
            mismatch_cost=shared.parse_numbers(options.mismatch_cost, float, name="mismatch-cost"),
            scaler=shared.split_names(options.scaler),
            without=[(), *options.without],
            scoring=options.scoring,
            schema=schema,
            latest_year=date.today().year,
            track=track_on_stderr if sys.stderr.isatty() else track_silently,
            **_choose_place(options.ray, options.journal),
        )
    except SearchInterrupted as interrupt:
        _show_finished(interrupt)
        raise
    except ValueError as error:
        raise shared.UserError(str(error)) from error
    if options.json:
        sys.stdout.write(json.dumps(outcome.results, indent=1) + "\n")
        return
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(outcome.table)
    console.print(outcome.summary)


def _choose_place(address: str | None, journal: str | None) -> dict[str, Callable[..., Any]]:
    """Return what scores candidates on a Ray cluster, whose address is tried before any work; nothing for here."""
    if address is None:
        return {}
    from energyknn._shared.ray_session import check_address, name_address
    from energyknn.cluster import fit_search_on_ray, score_candidates_on_ray

    known = name_address(address)
    if known is not None:
        check_address(known)

    def score(*rows: Any, **options: Any) -> Any:
        return score_candidates_on_ray(*rows, **options, address=known, journal=journal).scores

    return {"score": score, "fit": partial(fit_search_on_ray, address=known)}


def _show_finished(interrupt: Any) -> None:
    """Print the scores of the folds that an interrupted search had finished, one line for each candidate."""
    for metric, table in interrupt.scores.test.items():
        for candidate, scores in zip(interrupt.scores.candidates, table, strict=True):
            finished = [f"fold {fold} {score:.5f}" for fold, score in enumerate(scores) if score == score]
            if finished:
                line = f"k = {candidate.n_neighbors}, {candidate.weights}: {metric} {', '.join(finished)}"
                sys.stdout.write(f"{line}\n")
