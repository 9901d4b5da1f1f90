"""Put a run that pytest-benchmark wrote among the results, without names of machines and paths."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.runs import format_run, read_run, strip_run

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Save the run under its name."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", help="file name without its ending (default: the size of the run)")
    options = parser.parse_args()
    run = strip_run(read_run(options.run))
    path = RESULTS / f"{options.name or run['run']['size']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(format_run(run), encoding="utf-8")
    sys.stdout.write(f"{len(run['benchmarks'])} cases in benchmarks/results/{path.name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
