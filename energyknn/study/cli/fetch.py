"""energyknn fetch: the notebook's kind of file, from Kaggle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any


def add_command(commands: Any) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "fetch",
        help="download the notebook's kind of file from Kaggle",
        description="Download the data set through kagglehub and record its checksum beside it.",
    )
    command.add_argument(
        "--out", type=Path, default=Path("data.csv"), metavar="FILE", help="where it goes (default: data.csv)"
    )
    command.add_argument("--sha256", metavar="DIGEST", help="refuse a file with another checksum")
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from energyknn.study.fetching import fetch_tracks

    fetched = fetch_tracks(options.out, sha256=options.sha256)
    sys.stdout.write(f"{fetched.path}: SHA-256 {fetched.sha256}, recorded in {fetched.record}\n")
