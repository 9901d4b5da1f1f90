"""energyknn tune: every candidate from one search per fold."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console

from energyknn.progress import track_on_stderr, track_silently
from energyknn.study.cli.options import UserError, add_columns, choose_schema, parse_numbers, parse_sizes


def add_command(commands: Any) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "tune",
        help="score every candidate from one search per fold",
        description="Cross-validate every number of neighbours and weighting on the training rows (four fifths, as in "
        "the study), with one neighbour search for each fold.",
    )
    command.add_argument("--data", type=Path, required=True, metavar="FILE", help="CSV or Parquet file")
    command.add_argument(
        "--n-neighbors",
        type=parse_sizes,
        default=parse_sizes("1:51"),
        metavar="K",
        help="candidates: 1:51, 1:51:10 or 5,7,9 (default: 1:51)",
    )
    command.add_argument(
        "--weights", default="uniform", metavar="NAMES", help="uniform, distance or a kernel (default: uniform)"
    )
    command.add_argument("--p", default="2", metavar="P", help="1 Manhattan, 2 Euclidean, 1,2 for both (default: 2)")
    command.add_argument(
        "--mismatch-cost", default="8", metavar="COSTS", help="what a differing category costs: 8,1,0 (default: 8)"
    )
    command.add_argument(
        "--scaler",
        default="as it is",
        metavar="NAMES",
        help="what scales the numbers once more, fold by fold: standard, robust, minmax (default: as it is)",
    )
    command.add_argument(
        "--without",
        action="append",
        metavar="NAMES",
        help="columns to leave out; each time it is given is one more choice, beside all columns",
    )
    command.add_argument("--cv", type=int, default=4, metavar="N", help="number of folds (default: 4)")
    command.add_argument("--scoring", default="r2", metavar="NAME", help="a scikit-learn scorer (default: r2)")
    command.add_argument("--reference-year", type=int, default=2021, metavar="Y", help="as in reproduce")
    command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    ray = command.add_argument_group("on a Ray cluster", "The same scores, to the last bit, past one machine.")
    ray.add_argument(
        "--ray",
        nargs="?",
        const="",
        metavar="ADDRESS",
        help="score on the Ray cluster at host:port, or 'auto' for the one on this machine; without an address on what "
        "RAY_ADDRESS names, else on a Ray that is started for it and shut down",
    )
    ray.add_argument(
        "--journal",
        metavar="DIR",
        help="keep every finished piece in a folder of its own (a path or an fsspec address), and go on from there",
    )
    add_columns(command)
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from energyknn.study.jobs.tune import tune
    from energyknn.study.protocol import Protocol
    from energyknn.tuning import SearchInterrupted

    if options.cv < 2:
        message = f"cv is {options.cv}. It must be at least 2 folds"
        raise UserError(message)
    if options.journal is not None and options.ray is None:
        message = "--journal is for --ray. Add --ray, or leave the journal out."
        raise UserError(message)
    try:
        outcome = tune(
            options.data,
            Protocol(reference_year=options.reference_year, n_splits=options.cv),
            n_neighbors=options.n_neighbors,
            weights=[name for name in options.weights.split(",") if name],
            p=parse_numbers(options.p, int, name="p"),
            mismatch_cost=parse_numbers(options.mismatch_cost, float, name="mismatch-cost"),
            scaler=[name.strip() for name in options.scaler.split(",") if name],
            without=[(), *([name for name in names.split(",") if name] for names in options.without or ())],
            scoring=options.scoring,
            schema=choose_schema(options),
            latest_year=date.today().year,
            track=track_on_stderr if sys.stderr.isatty() else track_silently,
            score=_choose_score(options.ray, options.journal),
        )
    except SearchInterrupted as interrupt:
        _show_finished(interrupt)
        raise
    except ValueError as error:
        raise UserError(str(error)) from error
    if options.json:
        sys.stdout.write(json.dumps(outcome.results, indent=1) + "\n")
        return
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(outcome.table)
    console.print(outcome.summary)


def _choose_score(address: str | None, journal: str | None) -> Callable[..., Any]:
    """Return what scores candidates: here, or on a Ray cluster, whose address is tried before any work."""
    if address is None:
        from energyknn.tuning import score_candidates

        return score_candidates
    from energyknn._shared.ray_session import check_address, name_address
    from energyknn.cluster.tuning import score_candidates_on_ray

    known = name_address(address)
    if known is not None:
        check_address(known)

    def score(*rows: Any, **options: Any) -> Any:
        return score_candidates_on_ray(*rows, **options, address=known, journal=journal).scores

    return score


def _show_finished(interrupt: Any) -> None:
    """Print the scores of the folds that an interrupted search had finished, one line for each candidate."""
    for metric, table in interrupt.scores.test.items():
        for candidate, scores in zip(interrupt.scores.candidates, table, strict=True):
            finished = {f"fold {fold}": f"{score:.5f}" for fold, score in enumerate(scores) if score == score}
            if finished:
                line = ", ".join(f"{name} {score}" for name, score in finished.items())
                sys.stdout.write(f"k = {candidate.n_neighbors}, {candidate.weights}: {metric} {line}\n")
