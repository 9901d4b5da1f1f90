"""Draw docs/arena.md and its picture from what the arena kept."""

from __future__ import annotations

import argparse
from pathlib import Path

from arena.page import render_page
from arena.running import RESULTS, read_records
from harness.page import write_page

FOLDER = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    """Write the page and its picture."""
    parser = argparse.ArgumentParser(prog="nox -s arena_report --", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=RESULTS)
    parser.add_argument("--out", type=Path, default=FOLDER.parent / "docs", help="folder of the page (default: docs)")
    options = parser.parse_args(arguments)
    if options.results != RESULTS and not options.results.is_file():
        parser.error(f"{options.results} is no file. Run nox -s arena first")
    text, pictures = render_page(read_records(options.results), f"benchmarks/arena/{options.results.name}")
    write_page(options.out / "arena.md", text, pictures)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
