"""Compare ours with tuned trees on several splits of a file; what is finished is kept, and not run again."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from comparison.mlkr import is_installed
from comparison.problems import PROBLEMS
from comparison.running import MODELS, Plan, read_table, run_choice, run_honesty, run_mlkr, run_plan, run_reliability
from harness.runs import say

from energyknn.study.cli.options import parse_sizes
from energyknn.study.comparison.trees import find_missing_libraries

RESULTS = Path(__file__).parent / "comparison" / "results.json"


def main(arguments: list[str] | None = None) -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(prog="nox -s compare --", description=__doc__)
    parser.add_argument("--problem", choices=PROBLEMS, default="tracks", help="which file (default: tracks)")
    parser.add_argument("--data", type=Path, default=os.environ.get("ENERGYKNN_DATA"), metavar="FILE",
                        help="the real tracks (default: what ENERGYKNN_DATA names)")  # fmt: skip
    parser.add_argument("--splits", type=parse_sizes, default=parse_sizes("42:47"), metavar="SEEDS",
                        help="seeds of the splits: 42:47, or 42,45 (default: 42:47)")  # fmt: skip
    parser.add_argument("--groups", choices=("none", "songs"), default="none",
                        help="songs: keep every song on one side (default: none)")  # fmt: skip
    parser.add_argument("--models", default=",".join(MODELS), metavar="NAMES", help="with commas between them")
    parser.add_argument("--budget", type=float, default=60.0, metavar="SECONDS",
                        help="to tune the trees of each library, once (default: 60)")  # fmt: skip
    parser.add_argument("--trials", type=int, metavar="N",
                        help="settings to try of each library, at most (default: what the budget allows)")  # fmt: skip
    parser.add_argument("--rows", type=int, metavar="N", help="a random part of the file, to try things out")
    parser.add_argument("--honesty", action="store_true",
                        help="measure, on the first split, what the figures are worth, too")  # fmt: skip
    parser.add_argument("--reliability", action="store_true",
                        help="measure, on the first split, what intervals cover and columns tell, too")  # fmt: skip
    parser.add_argument("--defaults", action="store_true",
                        help="try options of ours, on rows that are test rows of no first split, too")  # fmt: skip
    parser.add_argument("--mlkr", action="store_true",
                        help="compare the learned map with metric-learn's MLKR on 2,000 rows, too")  # fmt: skip
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="the JSON file that is added to")
    options = parser.parse_args(arguments)
    names = tuple(options.models.split(","))
    unknown = [name for name in names if name not in MODELS]
    if unknown:
        parser.error(f"--models names {', '.join(unknown)}. Known are {', '.join(MODELS)}")
    for name, advice in find_missing_libraries().items():
        sys.stderr.write(f"missing: {name}: {advice}\n")
    tuning = {"n_trials": options.trials}
    seeds = tuple(options.splits)
    plan = Plan(options.problem, seeds, options.groups, names, options.budget, options.rows, tuning=tuning)
    try:
        table = read_table(plan, Path(options.data) if options.data else None)
        run_plan(plan, table, options.out, say=say)
    except ModuleNotFoundError as error:
        parser.error(f"{options.problem} comes with the package {error.name}, which is not installed")
    except ValueError as error:
        parser.error(str(error))
    if options.honesty:
        run_honesty(plan, table, options.out, say=say)
    if options.reliability:
        run_reliability(plan, table, options.out, say=say)
    if options.defaults:
        run_choice(plan, table, options.out, say=say)
    if options.mlkr:
        if is_installed():
            run_mlkr(plan, table, options.out)
        else:
            sys.stderr.write("missing: MLKR: pip install metric-learn\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
