"""energyknn sample: synthetic tracks of any size."""

from __future__ import annotations

import argparse
import sys

from energyknn.study.cli.options import UserError, add_option, add_table_out

SUMMARY = "make synthetic tracks of any size"
DESCRIPTION = "Make seeded synthetic tracks with the notebook's 19 columns. The same call gives the same file."
EXAMPLES = (
    "energyknn sample --rows 2000 --out tracks.csv",
    "energyknn sample --rows 5",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_option(command, "--rows", "N", "number of tracks", type=int, required=True)
    add_table_out(command, "stdout")
    add_option(command, "--random-state", "SEED", "seed", 0)
    text = "leave a key out; may be repeated"
    add_option(command, "--missing-key", "KEY", text, [], type=int, action="append", shown=None)


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn._shared.saving import save_table
    from energyknn.study.synthesis import synthesise_tracks

    try:
        tracks = synthesise_tracks(options.rows, random_state=options.random_state, missing_keys=options.missing_key)
    except ValueError as error:
        raise UserError(str(error)) from error
    if options.out is None:
        tracks.to_csv(sys.stdout, index=False)
        return
    save_table(tracks, options.out)
    sys.stdout.write(f"{len(tracks)} synthetic tracks written to {options.out}\n")
