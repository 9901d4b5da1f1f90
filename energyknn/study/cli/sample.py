"""energyknn sample: synthetic tracks of any size."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from energyknn.study.cli.options import UserError


def add_command(commands: Any) -> None:
    """Add the command to the parser's commands."""
    command = commands.add_parser(
        "sample",
        help="make synthetic tracks of any size",
        description="Make seeded synthetic tracks with the notebook's 19 columns; the same call gives the same file.",
    )
    command.add_argument("--rows", type=int, required=True, metavar="N", help="number of tracks")
    command.add_argument(
        "--out", type=Path, metavar="FILE", help="CSV (also .gz, .zip, .zst) or Parquet (default: stdout)"
    )
    command.add_argument("--random-state", type=int, default=0, metavar="SEED", help="seed (default: 0)")
    command.add_argument(
        "--missing-key",
        type=int,
        action="append",
        default=[],
        metavar="KEY",
        help="leave a key out; may be repeated",
    )
    command.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from energyknn._shared.saving import save_table
    from energyknn.study.synthesis import synthesise_tracks

    try:
        tracks = synthesise_tracks(
            options.rows, random_state=options.random_state, missing_keys=tuple(options.missing_key)
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    if options.out is None:
        tracks.to_csv(sys.stdout, index=False)
        return
    save_table(tracks, options.out)
    sys.stdout.write(f"{len(tracks)} synthetic tracks written to {options.out}\n")
