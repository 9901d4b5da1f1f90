"""The shell commands. Results go to stdout; progress and errors go to stderr.

Each module here is a command: `SUMMARY` and `DESCRIPTION` are its help, `add_options` adds its options, `run` runs it.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

from energyknn import __version__, errors
from energyknn.study.cli import fetch, fit, predict, reproduce, sample, tune
from energyknn.study.cli.options import Parser, UserError

_MENDABLE = (UserError, *(getattr(errors, name) for name in errors.__all__))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        The words after the program's name; None takes them from the shell.

    Returns
    -------
    int
        0 when done; 2 for what the user can mend, with one line on stderr; 130 when interrupted. A bug ends in a
        traceback and status 1.
    """
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_once()
            options = _build_parser().parse_args(arguments)
            options.run(options)
    except (*_MENDABLE, ImportError, ConnectionError) as error:
        if isinstance(error, ImportError) and "energyknn[" not in str(error):
            raise
        return _complain(str(error))
    except OSError as error:
        if error.filename is None and error.errno is None:
            raise
        where = f" at {str(error.filename)!r}" if error.filename is not None else ""
        return _complain(
            f"{error.strerror or error}{where}. Nothing was left half-written. Choose another place with --out."
        )
    except KeyboardInterrupt:
        sys.stderr.write("energyknn: interrupted; no file was written.\n")
        return 130
    return 0


def _complain(message: str) -> int:
    sys.stderr.write(f"energyknn: error: {' '.join(message.split())}\n")
    return 2


def _show_once() -> Any:
    """Return a `showwarning` that writes each line once, because both studies warn of the same columns."""
    write = cache(sys.stderr.write)  # called once for each line
    return lambda message, *_, **__: write(f"energyknn: warning: {' '.join(str(message).split())}\n")


def _build_parser() -> Parser:
    parser = Parser(prog="energyknn", description="Predict Spotify's energy score by k-nearest-neighbour regression.")
    parser.add_argument("--version", action="version", version=f"energyknn {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    for module in (reproduce, tune, fit, predict, sample, fetch):
        name = module.__name__.rpartition(".")[2]
        command = commands.add_parser(name, help=module.SUMMARY, description=module.DESCRIPTION)
        module.add_options(command)
        command.set_defaults(run=module.run)
    return parser
