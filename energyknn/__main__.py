"""Run the command line with `python -m energyknn`."""

from energyknn.study.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
