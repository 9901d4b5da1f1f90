"""Compare two saved runs, and fail where the second is slower than the first beyond a threshold.

Judged is how many times faster than its rival ours was, since both were timed in turns within a run: a machine that
is slower in one run is slower for both. A case is slower if that figure fell by more than the threshold even where the
two intervals are nearest to each other and, on the same machine, our fastest call took longer by more than the
threshold too: a rival that became faster is no slowdown. Cases of fewer than five pairs, whose interval is a sketch,
must exceed the square of the threshold. A question is slower if the median of its cases is, by the same two rules.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from harness.runs import THRESHOLD, check_alike, compare_questions, compare_runs, find_ratios, read_run


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the change of every case and return 1 if any exceeds the threshold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--threshold", type=float, default=THRESHOLD, help="times slower that pass (default: 1.25)")
    options = parser.parse_args(arguments)
    before, after = read_run(options.before), read_run(options.after)
    reason = check_alike(before, after)
    if reason:
        sys.stderr.write(reason + "\n")
        return 2
    changes = compare_runs(before, after)
    slower = 0
    for change in (*changes, *compare_questions(changes)):
        exceeds = change.exceeds(options.threshold)
        slower += exceeds
        own = "" if change.seconds is None else f", ours took {change.seconds:.2f} times as long"
        verdict = "SLOWER " if exceeds else ""
        sys.stdout.write(f"{change.times:7.3f} times worse, surely {change.surely:.3f}{own}  {verdict}{change.name}\n")
    for name in sorted(find_ratios(before).keys() ^ find_ratios(after).keys()):
        sys.stdout.write(f"only in one run  {name}\n")
    sys.stdout.write(
        f"{slower} slower beyond {options.threshold:g} times, of {len(changes)} cases and their questions\n"
    )
    return int(slower > 0)


if __name__ == "__main__":
    raise SystemExit(main())
