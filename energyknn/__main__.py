"""Where the command line begins: `energyknn`, or `python -m energyknn`."""

from __future__ import annotations

import sys
import warnings


def main() -> int:
    """Import the commands and run one, so that an interrupt while they are imported ends as it does later."""
    try:
        # Where processes cannot share locks, as in some containers, joblib warns. Our work is done by threads.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*joblib will operate in serial mode", UserWarning)
            from energyknn.study.cli import main as run
    except KeyboardInterrupt:
        sys.stderr.write("energyknn: interrupted; no file was written.\n")
        return 130
    return run()


if __name__ == "__main__":
    raise SystemExit(main())
