"""Compare two runs that pytest-benchmark saved, and fail where the second is slower beyond a threshold."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def read_medians(path: Path) -> dict[str, float]:
    """Return the median seconds of each benchmark of a saved run."""
    saved = json.loads(path.read_text(encoding="utf-8"))
    return {case["fullname"]: case["stats"]["median"] for case in saved["benchmarks"]}


def main() -> int:
    """Print the ratio of every case and return 1 if any exceeds the threshold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--threshold", type=float, default=1.25, help="slowest ratio that passes (default: 1.25)")
    options = parser.parse_args()
    before, after = read_medians(options.before), read_medians(options.after)
    ratios = {name: after[name] / before[name] for name in before.keys() & after.keys()}
    for name in sorted(ratios):
        verdict = "SLOWER" if ratios[name] > options.threshold else ""
        sys.stdout.write(f"{ratios[name]:7.3f}  {name}  {verdict}\n")
    for name in sorted(before.keys() ^ after.keys()):
        sys.stdout.write(f"   only in one run  {name}\n")
    if not ratios:
        sys.stderr.write("The runs have no benchmark in common: there is nothing to compare.\n")
        return 2
    return int(max(ratios.values()) > options.threshold)


if __name__ == "__main__":
    raise SystemExit(main())
