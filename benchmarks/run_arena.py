"""Run the arena: each peer, by default and tuned for the same seconds, on each set. What is known is not run again."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from arena.cell import DEFAULT, TUNED
from arena.peers import PEERS
from arena.running import RESULTS, Plan, find_absent, run_plan
from arena.sets import N_FOLDS, SETS, choose_sets
from harness.runs import say

SIZES: dict[str, dict[str, Any]] = {
    "full": {"sets": [name for name, chosen in SETS.items() if not chosen.sealed], "folds": N_FOLDS, "seconds": 60.0},
    "smoke": {"sets": ["diabetes", "digits"], "folds": 1, "seconds": 1.0, "most": 300},
}


def main(arguments: list[str] | None = None) -> int:
    """Run the arena."""
    parser = argparse.ArgumentParser(prog="nox -s arena --", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="full",
                        help="smoke: two sets, one fold, a second to tune (default: full)")  # fmt: skip
    parser.add_argument("--sets", metavar="NAMES", help="with commas between them (default: all that are not sealed)")
    parser.add_argument("--peers", metavar="NAMES", help="with commas between them (default: all)")
    parser.add_argument("--mode", choices=(DEFAULT, TUNED), help="(default: both)")
    parser.add_argument("--folds", type=int, choices=range(1, N_FOLDS + 1), help="the first so many (default: all)")
    parser.add_argument("--seconds", type=float, help="to tune a peer on a fold (default: 60)")
    parser.add_argument("--limit", type=float, default=3600.0, metavar="SECONDS", help="of a cell (default: 3600)")
    parser.add_argument("--rows", type=int, metavar="N", dest="most", help="of each set at most, to try things out")
    parser.add_argument("--sealed", action="store_true", help="allow sealed sets, which are scored once, at the end")
    parser.add_argument("--out", type=Path, metavar="FILE",
                        help="added to (default: results.jsonl or smoke.jsonl, in benchmarks/arena)")  # fmt: skip
    options = parser.parse_args(arguments)
    asked: dict[str, Any] = {**SIZES[options.size], "limit": options.limit}
    asked |= {
        name: getattr(options, name) for name in ("folds", "seconds", "most") if getattr(options, name) is not None
    }
    if options.sets:
        asked["sets"] = options.sets.split(",")
    elif options.sealed:
        asked["sets"] = [name for name, chosen in SETS.items() if chosen.sealed]
    if options.peers:
        asked["peers"] = [name.strip() for name in options.peers.split(",")]
        unknown = [name for name in asked["peers"] if name not in PEERS]
        if unknown:
            parser.error(f"--peers names {', '.join(unknown)}. Known are {', '.join(PEERS)}")
    if options.mode:
        asked["modes"] = [options.mode]
    try:
        choose_sets(asked["sets"], sealed=options.sealed)
    except ValueError as error:
        parser.error(str(error))
    plan = Plan(**asked)
    for name, why in find_absent(plan).items():
        sys.stderr.write(f"missing: {name}: {why}\n")
    out = options.out or RESULTS.with_name("smoke.jsonl" if options.size == "smoke" else RESULTS.name)
    run_plan(plan, out, say=say)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
