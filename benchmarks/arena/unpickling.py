"""Write a pickled frame as Parquet. Reading a pickle runs code: do it once, in a process that does nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from energyknn._shared.saving import staged_file


def main(pickled: str, path: str) -> None:
    """Read one file and write the other."""
    table = pd.read_pickle(pickled, compression="xz")  # noqa: S301 - its checksum was compared
    with staged_file(Path(path)) as staged:
        table.to_parquet(staged, index=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
