"""energyknn tune: every candidate from one search per fold."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from functools import partial
from typing import Any

from energyknn.study.cli import options as shared
from energyknn.study.cli.showing import choose_track, format_json, open_console, write_json
from energyknn.study.column_choices import split_names

_TOP = 20  # candidates
_ONE = {"weights": "uniform", "p": "2", "mismatch_cost": "8", "scaler": "as it is"}
"""What is tried where an option does not say more."""

SUMMARY = "score every candidate from one search per fold"
DESCRIPTION = (
    "Cross-validate every number of neighbours and weighting on the training rows (four fifths, as in the study), with "
    "one neighbour search for each fold."
)
EXAMPLES = (
    "energyknn tune --data tracks.csv --n-neighbors 5:25 --top 5",
    "energyknn tune --data tracks.csv --weights uniform,distance --mismatch-cost 8,1,0 --out tuned.json",
    "energyknn tune --data tracks.csv --weights uniform,distance --p 1,2 --report tuning.html",
    "energyknn tune --data - < tracks.csv",
    "energyknn tune --data tracks.csv --target tempo --numbers energy,loudness,danceability",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    shared.add_data(command, required=True)
    text, whole = "candidates: 1:51, 1:51:10 or 5,7,9", shared.parse_sizes("1:51")
    shared.add_option(command, "--n-neighbors", "K", text, whole, type=shared.parse_sizes, shown="1:51")
    shared.add_option(command, "--weights", "NAMES", "uniform, distance or a kernel", _ONE["weights"])
    shared.add_option(command, "--p", "P", "1 Manhattan, 2 Euclidean, 1,2 for both", _ONE["p"])
    shared.add_option(
        command, "--mismatch-cost", "COSTS", "what a differing category costs: 8,1,0", _ONE["mismatch_cost"]
    )
    text = "what scales the numbers once more, fold by fold: standard, robust, minmax"
    shared.add_option(command, "--scaler", "NAMES", text, _ONE["scaler"])
    text = "columns to leave out; each time it is given adds one more choice to that of all columns"
    shared.add_option(command, "--without", "NAMES", text, [], type=split_names, action="append", shown=None)
    shared.add_option(command, "--cv", "N", "number of folds", 4)
    shared.add_option(command, "--scoring", "NAME", "a scikit-learn scorer", shown="r2, or accuracy for classes")
    shared.add_reference_year(command)
    text = "rows that the scale is learned from: all_rows, as in the notebook, or train_only"
    shown = "train_only; all_rows for the notebook's columns"
    shared.add_option(command, "--scaling", "WORD", text, choices=("all_rows", "train_only"), shown=shown)
    shared.add_option(command, "--top", "N", "how many candidates to show, or all", _TOP, type=_count_top)
    shared.add_json(command, "print one JSON object with every candidate instead of a table")
    text = "JSON file to write, from which `energyknn fit --from` makes the best model"
    shared.add_option(
        command, "--out", "FILE", text, type=partial(shared.name_file, kind="JSON file", endings=(".json",))
    )
    text = "HTML page to write: the candidates as curves and tables. Without --out, the JSON file is written beside it"
    shared.add_page(command, text, "tuning.html")
    ray = command.add_argument_group("on a Ray cluster", "The same bits as on one machine, for files past one machine.")
    text = (
        "score on the Ray cluster at host:port, or at 'auto' on the one of this machine. Without an address, "
        "RAY_ADDRESS names the cluster; where it is not set, a local Ray is started and shut down again"
    )
    shared.add_option(ray, "--ray", "ADDRESS", text, nargs="?", const="")
    text = "a folder (a path or an fsspec address) that keeps every finished piece; the same call goes on from there"
    shared.add_option(ray, "--journal", "DIR", text)
    shared.add_columns(command)


def _count_top(text: str) -> int | None:
    """Return how many candidates to show; None for all."""
    if text == "all":
        return None
    if not text.isdecimal() or int(text) < 1:
        message = f"{text!r} is no number of candidates. Give 1 or more, or all"
        raise argparse.ArgumentTypeError(message)
    return int(text)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn._shared.saving import staged_file
    from energyknn.study.reporting.needs import keeping_fonts, require_packages
    from energyknn.study.reporting.tuning_page import render_tuning
    from energyknn.tuning import SearchInterrupted

    if options.cv < 2:
        message = f"cv is {options.cv}. It must be at least 2 folds"
        raise shared.UserError(message)
    if options.journal is not None and options.ray is None:
        message = "--journal is for --ray. Add --ray, or leave the journal out."
        raise shared.UserError(message)
    if options.report is not None:
        require_packages()
        options.out = options.out or options.report.with_suffix(".json")
    try:
        with shared.take_data(options):
            results = _tune(options)
    except SearchInterrupted as interrupt:
        _show_finished(interrupt)
        raise
    if options.out is not None:
        with staged_file(options.out) as path:
            path.write_text(format_json(results), encoding="utf-8")
    if options.report is not None:
        command, saved = _write_command(results, options), os.fspath(options.out)
        with staged_file(options.report) as path, keeping_fonts(path.parent):
            path.write_text(render_tuning(results, command=command, saved=saved), encoding="utf-8")
    if options.json:
        write_json(results)
    else:
        _show(results, options)


def _tune(options: argparse.Namespace) -> dict[str, Any]:
    """Score the candidates that the options name."""
    from energyknn.study.jobs.tune import tune
    from energyknn.study.protocol import Protocol, Scaling

    place = _choose_place(options.ray, options.journal)
    dataset = shared.read_data(options)
    if options.journal is not None and dataset.schema.classifies:
        message = "--journal keeps the scores of numbers, and the target is a class. Leave it out."
        raise shared.UserError(message)
    scaling: Scaling = options.scaling or ("all_rows" if dataset.is_notebooks else "train_only")
    return tune(
        dataset,
        Protocol(scaling=scaling, reference_year=options.reference_year, n_splits=options.cv),
        n_neighbors=options.n_neighbors,
        weights=split_names(options.weights),
        p=shared.parse_numbers(options.p, int, name="p"),
        mismatch_cost=shared.parse_numbers(options.mismatch_cost, float, name="mismatch-cost"),
        scaler=split_names(options.scaler),
        without=[(), *options.without],
        scoring=options.scoring,
        track=choose_track(options),
        **place,
    )


def _write_command(results: dict[str, Any], options: argparse.Namespace) -> str:
    """Return the command that scores the same candidates again and writes the page, as a shell takes it."""
    from energyknn.study.jobs.reproduce import write_sizes

    words = [*results["data"]["arguments"], "--n-neighbors", write_sizes(options.n_neighbors)]
    for name, usual in _ONE.items():
        words += [f"--{name.replace('_', '-')}", getattr(options, name)] if getattr(options, name) != usual else []
    if any(column["role"] == "year" for column in results["schema"]["columns"]):
        words += ["--reference-year", str(options.reference_year)]
    for names in options.without:
        words += ["--without", ",".join(names)]
    words += ["--cv", str(options.cv), "--scoring", results["scoring"], "--scaling", results["scaling"]]
    words += ["--report", os.fspath(options.report)]
    return shlex.join(["energyknn", "tune", *words])


def _show(results: dict[str, Any], options: argparse.Namespace) -> None:
    """Print the best candidates, what else there is to say, the best, and the command that fits it."""
    from energyknn.study.reporting.tuning import describe_tuning, name_fit, tabulate_candidates

    console = open_console()
    console.print(tabulate_candidates(results, options.top))
    more = len(results["candidates"]) - (options.top or len(results["candidates"]))
    if more > 0:
        console.print(f"… {more} more: --top all")
    console.print()
    *others, best = describe_tuning(results)
    for line in others:
        console.print(line)
    console.print(best, style="bold")
    if options.report is not None:
        console.print(f"Written: {options.report}, {options.out}", soft_wrap=True)
    if options.out is not None:
        console.print(f"Fit it: {name_fit(results, os.fspath(options.out))}", soft_wrap=True)
    elif not options.quiet:
        fit = name_fit(results, "tuned.json")
        console.print(f"Fit it: add --out tuned.json here, then {fit}", soft_wrap=True)


def _choose_place(address: str | None, journal: str | None) -> dict[str, Any]:
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
    from energyknn.study.reporting.tuning import name_scoring

    for metric, table in interrupt.scores.test.items():
        for candidate, scores in zip(interrupt.scores.candidates, table, strict=True):
            finished = [f"fold {fold} {score:.5f}" for fold, score in enumerate(scores) if score == score]
            if finished:
                line = f"k = {candidate.n_neighbors}, {candidate.weights}: {name_scoring(metric)} {', '.join(finished)}"
                sys.stdout.write(f"{line}\n")
