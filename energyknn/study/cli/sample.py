"""energyknn sample: synthetic tracks of any size."""

from __future__ import annotations

import argparse
import sys

from energyknn.study.cli.options import add_json, add_option, add_table_out
from energyknn.study.cli.showing import write_json, write_note

SUMMARY = "make synthetic tracks of any size"
DESCRIPTION = "Make seeded synthetic tracks with the notebook's 19 columns. The same call gives the same file."
EXAMPLES = (
    "energyknn sample --rows 2000 --out tracks.csv",
    "energyknn sample --rows 5",
)


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_option(command, "--rows", "N", "number of tracks", type=int, required=True)
    add_table_out(command)
    add_option(command, "--random-state", "SEED", "seed", 0)
    text = "leave a key out; may be repeated"
    add_option(command, "--missing-key", "KEY", text, [], type=int, action="append", shown=None)
    add_json(command, "print one JSON object: the tracks, or with --out what was written")


def run(options: argparse.Namespace) -> None:
    """Run the command."""
    from energyknn._shared.saving import save_table
    from energyknn.study.synthesis import synthesise_tracks

    tracks = synthesise_tracks(options.rows, random_state=options.random_state, missing_keys=options.missing_key)
    if options.out is not None:
        save_table(tracks, options.out)
        write_note(options, f"{len(tracks):,} synthetic tracks written to {options.out}")
    if options.json:
        made = {"tracks": tracks.to_dict(orient="records")} if options.out is None else {"path": str(options.out)}
        write_json({"rows": len(tracks), "random_state": options.random_state, **made})
    elif options.out is None:
        tracks.to_csv(sys.stdout, index=False)
