"""The shell commands: parse, call, print. Results go to stdout, progress and errors to stderr."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, NoReturn

import rich
from rich.console import Console

from energyknn import __version__
from energyknn.errors import DataFileError, DeviceError, import_extra
from energyknn.progress import track_on_stderr, track_silently
from energyknn.schema import SPOTIFY, Schema, make_schema

__all__ = ["main", "parse_sizes"]


class _UserError(Exception):
    """What the user can mend, in one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        line = f"{message}. See '{self.prog} --help'."
        raise _UserError(line)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        The words after the program's name; None takes them from the shell.

    Returns
    -------
    int
        0 when done; 2 for what the user can mend, with one line on stderr; 130 when interrupted. A bug ends in a
        traceback and status 1.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_once()
            options = _build_parser().parse_args(arguments)
            options.run(options)
    except (_UserError, DataFileError, DeviceError, ImportError, ConnectionError) as error:
        if isinstance(error, ImportError) and "energyknn[" not in str(error):
            raise
        return _complain(str(error))
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = f" at {str(error.filename)!r}" if error.filename is not None else ""
        return _complain(
            f"{error.strerror or error}{where}. Nothing was left half-written. Choose another place with --out."
        )
    except KeyboardInterrupt:
        sys.stderr.write("energyknn: interrupted; no file was written.\n")
        return 130
    return 0


def _complain(message: str) -> int:
    sys.stderr.write(f"energyknn: error: {' '.join(message.split())}\n")
    return 2


def _show_once() -> Any:
    """Return a `showwarning` of one line, silent where a line was shown before: both studies meet the same columns."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        line = " ".join(str(message).split())
        if line not in shown:
            sys.stderr.write(f"energyknn: warning: {line}\n")
        shown.add(line)

    return show


def _build_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="energyknn", description="Predict Spotify's energy score by k-nearest-neighbour regression.")
    parser.add_argument("--version", action="version", version=f"energyknn {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    _add_reproduce(commands)
    _add_tune(commands)
    _add_sample(commands)
    _add_fetch(commands)
    return parser


def _add_reproduce(commands: Any) -> None:
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
        help="compare lines, trees and learned distances on the same rows (more than half an hour on 170,000 tracks)",
    )
    command.add_argument("--no-honest", action="store_true", help="leave out the second study, without leaks")
    command.add_argument("--no-report", action="store_true", help="write results.json only; needs no extra")
    _add_columns(command)
    command.set_defaults(run=_reproduce)


def _add_columns(command: argparse.ArgumentParser) -> None:
    columns = command.add_argument_group(
        "other people's columns",
        "Name the target and the features of a file with other columns; names separated by commas.",
    )
    columns.add_argument("--target", metavar="NAME", help="the column to predict")
    for role, what in (
        ("numbers", "columns to standardise"),
        ("categories", "columns to turn into indicators"),
        ("years", "columns to turn into ages"),
        ("texts", "columns that together name a song or a thing"),
    ):
        columns.add_argument(f"--{role}", metavar="NAMES", default="", help=what)


def _add_tune(commands: Any) -> None:
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
    _add_columns(command)
    command.set_defaults(run=_tune)


def parse_sizes(text: str) -> list[int]:
    """Read numbers of neighbours: single ones, and ranges that include their end, separated by commas.

    Parameters
    ----------
    text : str
        Such as ``"5"``, ``"1:51"``, ``"1:51:10"`` or ``"1,5,9:11"``.

    Returns
    -------
    list of int
        In the order given.

    Raises
    ------
    ArgumentTypeError
        If it is none of these.

    Examples
    --------
    >>> parse_sizes("1:51:10")
    [1, 11, 21, 31, 41, 51]
    """
    sizes: list[int] = []
    for part in text.split(","):
        try:
            numbers = [int(number) for number in part.split(":")]
            found = numbers if len(numbers) == 1 else list(range(numbers[0], numbers[1] + 1, *numbers[2:]))
        except (ValueError, TypeError):
            found = []
        if not found:
            message = f"{part!r} names no candidates. Give a number, a range 1:51 or 1:51:10, or several with commas"
            raise argparse.ArgumentTypeError(message)
        sizes += found
    return sizes


def _add_sample(commands: Any) -> None:
    command = commands.add_parser(
        "sample",
        help="make synthetic tracks of any size",
        description="Make seeded synthetic tracks with the notebook's 19 columns; the same call gives the same file.",
    )
    command.add_argument("--rows", type=int, required=True, metavar="N", help="number of tracks")
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="CSV (also .gz, .zip, .zst) or Parquet (default: stdout)"
    )
    command.add_argument("--random-state", type=int, default=0, metavar="SEED", help="seed (default: 0)")
    command.add_argument(
        "--missing-key",
        type=int,
        action="append",
        default=[],
        metavar="KEY",
        help="leave a key out; may be repeated",
    )
    command.set_defaults(run=_sample)


def _add_fetch(commands: Any) -> None:
    command = commands.add_parser(
        "fetch",
        help="download the notebook's kind of file from Kaggle",
        description="Download the data set through kagglehub and record its checksum beside it.",
    )
    command.add_argument(
        "--out", type=Path, default=Path("data.csv"), metavar="FILE", help="where it goes (default: data.csv)"
    )
    command.add_argument("--sha256", metavar="DIGEST", help="refuse a file with another checksum")
    command.set_defaults(run=_fetch)


def _reproduce(options: argparse.Namespace) -> None:
    from energyknn.reproducing import reproduce

    if options.use_gpu and options.search not in {"tune-sklearn", "ray"}:
        message = f"--use-gpu is for --search tune-sklearn or ray; {options.search} runs on the CPU only"
        raise _UserError(message)
    if not options.no_report:
        for module in ("matplotlib", "jinja2"):
            import_extra(module, extra="report")
    showing = sys.stderr.isatty()
    rich.reconfigure(stderr=True)
    outcome = reproduce(
        options.data,
        options.out,
        schema=_choose_schema(options),
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


def _tune(options: argparse.Namespace) -> None:
    from energyknn.reproducing import tune
    from energyknn.study import Protocol
    from energyknn.tuning.candidates import SearchInterrupted

    if options.cv < 2:
        message = f"cv is {options.cv}. It must be at least 2 folds"
        raise _UserError(message)
    try:
        outcome = tune(
            options.data,
            Protocol(reference_year=options.reference_year, n_splits=options.cv),
            n_neighbors=options.n_neighbors,
            weights=[name for name in options.weights.split(",") if name],
            p=_parse_numbers(options.p, int, name="p"),
            mismatch_cost=_parse_numbers(options.mismatch_cost, float, name="mismatch-cost"),
            scaler=[name.strip() for name in options.scaler.split(",") if name],
            without=[(), *([name for name in names.split(",") if name] for names in options.without or ())],
            scoring=options.scoring,
            schema=_choose_schema(options),
            latest_year=date.today().year,
            track=track_on_stderr if sys.stderr.isatty() else track_silently,
        )
    except SearchInterrupted as interrupt:
        _show_finished(interrupt)
        raise
    except ValueError as error:
        raise _UserError(str(error)) from error
    if options.json:
        sys.stdout.write(json.dumps(outcome.results, indent=1) + "\n")
        return
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    console.print(outcome.table)
    console.print(outcome.summary)


def _parse_numbers(text: str, kind: type[Any], *, name: str) -> list[Any]:
    """Read numbers with commas between them."""
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        message = f"--{name} is {text!r}. Give a number, or several with commas"
        raise _UserError(message) from None


def _show_finished(interrupt: Any) -> None:
    """Print the scores of the folds that an interrupted search had finished, one line for each candidate."""
    for metric, table in interrupt.scores.test.items():
        for candidate, scores in zip(interrupt.scores.candidates, table, strict=True):
            finished = {f"fold {fold}": f"{score:.5f}" for fold, score in enumerate(scores) if score == score}
            if finished:
                line = ", ".join(f"{name} {score}" for name, score in finished.items())
                sys.stdout.write(f"k = {candidate.n_neighbors}, {candidate.weights}: {metric} {line}\n")


def _choose_schema(options: argparse.Namespace) -> Schema:
    roles = {
        role: [name for name in getattr(options, role).split(",") if name]
        for role in ("numbers", "categories", "years", "texts")
    }
    if options.target is None:
        if any(roles.values()):
            message = "Columns are named, but not the target. Add --target NAME."
            raise _UserError(message)
        return SPOTIFY
    try:
        return make_schema(target=options.target, **roles)
    except ValueError as error:
        raise _UserError(str(error)) from error


def _make_callbacks() -> tuple[Any, ...]:
    from sklearn.callback import ProgressBar

    return (ProgressBar(max_propagation_depth=0),)


def _sample(options: argparse.Namespace) -> None:
    from energyknn.saving import staged_file
    from energyknn.synthesis import synthesise_tracks

    try:
        tracks = synthesise_tracks(
            options.rows, random_state=options.random_state, missing_keys=tuple(options.missing_key)
        )
    except ValueError as error:
        raise _UserError(str(error)) from error
    if options.out is None:
        tracks.to_csv(sys.stdout, index=False)
        return
    with staged_file(options.out) as path:
        if path.suffix in {".parquet", ".pq"}:
            import_extra("pyarrow", extra="formats")
            tracks.to_parquet(path, index=False)
        else:
            if path.suffix == ".zst":
                import_extra("zstandard", extra="formats")
            tracks.to_csv(path, index=False)
    sys.stdout.write(f"{len(tracks)} synthetic tracks written to {options.out}\n")


def _fetch(options: argparse.Namespace) -> None:
    from energyknn.fetching import fetch_tracks

    fetched = fetch_tracks(options.out, sha256=options.sha256)
    sys.stdout.write(f"{fetched.path}: SHA-256 {fetched.sha256}, recorded in {fetched.record}\n")
