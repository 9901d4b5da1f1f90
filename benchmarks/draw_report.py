"""Draw RESULTS.md, its pictures, the README's figures and the table of the page on the drop-in, from saved runs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.page import (
    DROP_IN,
    draw_drop_in,
    make_drop_in_table,
    make_readme_figures,
    render_page,
    replace_table,
)
from harness.runs import read_run

FOLDER = Path(__file__).parent


def main() -> int:
    """Write the page, its pictures and the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, nargs="?", default=FOLDER / "results" / "full.json")
    parser.add_argument("--out", type=Path, help="folder for the page alone; without it, the page and all tables")
    options = parser.parse_args()
    run = read_run(options.run)
    text, pictures = render_page(run, options.run.name)
    out = options.out or FOLDER
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    for old in (out / "pictures").glob("*.png"):
        old.unlink()
    for name, png in pictures.items():
        (out / "pictures" / f"{name}.png").write_bytes(png)
    (out / "RESULTS.md").write_text(text, encoding="utf-8")
    if options.out is None:
        drop_in = read_run(FOLDER / "results" / f"{DROP_IN}.json")
        (out / "pictures" / f"{DROP_IN}.png").write_bytes(draw_drop_in(drop_in))
        tables = {"README.md": make_readme_figures(drop_in, run), "docs/how_to/drop_in.md": make_drop_in_table(drop_in)}
        for name, table in tables.items():
            page = FOLDER.parent / name
            page.write_text(replace_table(page.read_text(encoding="utf-8"), table), encoding="utf-8")
    sys.stdout.write(f"{out / 'RESULTS.md'} with {len(pictures)} pictures\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
