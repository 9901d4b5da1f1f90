"""energyknn fetch: the notebook's kind of file, from Kaggle."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from energyknn.study.cli.options import add_json, add_option, name_file
from energyknn.study.cli.showing import write_json

SUMMARY = "download the notebook's kind of file from Kaggle"
DESCRIPTION = "Download the data set through kagglehub and record its checksum beside it."
EXAMPLES = ("energyknn fetch --out data.csv",)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_option(command, "--out", "FILE", "where the file goes", Path("data.csv"), type=name_file)
    add_option(command, "--sha256", "DIGEST", "refuse a file with another checksum")
    add_json(command)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn.study.fetching import fetch_tracks

    fetched = fetch_tracks(options.out, sha256=options.sha256)
    if options.json:
        write_json({"path": str(fetched.path), "sha256": fetched.sha256, "record": str(fetched.record)})
        return
    sys.stdout.write(f"{fetched.path}: SHA-256 {fetched.sha256}, recorded in {fetched.record}\n")
