"""energyknn fetch: the notebook's kind of file, from Kaggle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from energyknn.study.cli.options import add_option

SUMMARY = "download the notebook's kind of file from Kaggle"
DESCRIPTION = "Download the data set through kagglehub and record its checksum beside it."
EXAMPLES = ("energyknn fetch --out data.csv",)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_option(command, "--out", "FILE", "where the file goes", Path("data.csv"))
    add_option(command, "--sha256", "DIGEST", "refuse a file with another checksum")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn.study.fetching import fetch_tracks

    fetched = fetch_tracks(options.out, sha256=options.sha256)
    sys.stdout.write(f"{fetched.path}: SHA-256 {fetched.sha256}, recorded in {fetched.record}\n")
