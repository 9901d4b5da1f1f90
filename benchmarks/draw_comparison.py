"""Draw docs/beyond.md and its picture from what the comparison kept."""

from __future__ import annotations

import argparse
from pathlib import Path

from comparison.page import render_page
from comparison.state import read_state
from harness.page import write_page

FOLDER = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    """Write the page and its picture."""
    parser = argparse.ArgumentParser(prog="nox -s compare_report --", description=__doc__)
    parser.add_argument("results", type=Path, nargs="?", default=FOLDER / "comparison" / "results.json")
    parser.add_argument("--out", type=Path, default=FOLDER.parent / "docs", help="folder of the page (default: docs)")
    options = parser.parse_args(arguments)
    if not options.results.is_file():
        parser.error(f"{options.results} is no file. Run nox -s compare first")
    text, pictures = render_page(read_state(options.results), f"benchmarks/comparison/{options.results.name}")
    write_page(options.out / "beyond.md", text, pictures)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
