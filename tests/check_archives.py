"""Check that a wheel and an sdist hold what they should: `python check_archives.py WHEEL SDIST`."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

IN_WHEEL = ("energyknn/py.typed", "energyknn/data_sample/tracks.csv", "licenses/LICENSE")
IN_SDIST = ("LICENSE", "README.md", "CHANGELOG.md", "docs/index.md", "tests/conftest.py", "locks/lowest.txt", ".ci/run")


def find_missing(path: Path) -> list[str]:
    """List the files that a wheel or an sdist lacks."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            names, wanted = wheel.namelist(), IN_WHEEL
    else:
        with tarfile.open(path) as sdist:
            names, wanted = sdist.getnames(), IN_SDIST
    return [file for file in wanted if not any(name.endswith(file) for name in names)]


def main(paths: list[str]) -> int:
    """Say what is missing; return 1 if anything is."""
    missing = {name: lacking for name in paths if (lacking := find_missing(Path(name)))}
    for name, lacking in missing.items():
        print(f"{name} lacks {', '.join(lacking)}. Name it in pyproject.toml, where archives are described.")  # noqa: T201 - it is a command
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
