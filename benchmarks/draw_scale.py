"""Write docs/scale.md from what `measure_scale.py` measured."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from harness.scale import render_page

FOLDER = Path(__file__).parent


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measured", type=Path, nargs="?", default=FOLDER / "results" / "scale.json")
    parser.add_argument("--out", type=Path, default=FOLDER.parent / "docs" / "scale.md")
    options = parser.parse_args()
    page = render_page(json.loads(options.measured.read_text(encoding="utf-8")))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{options.out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
