"""The shell commands. Results go to stdout; progress and errors go to stderr.

Each module that `build_parser` names is a command: `SUMMARY`, `DESCRIPTION` and `EXAMPLES` are its help, `add_options`
adds its options, `run` runs it. `--quiet` is an option of each. With it, warnings are not shown.
"""

from __future__ import annotations

import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Any

import shtab

from energyknn import __version__, errors
from energyknn.study.cli import audit, describe, fetch, fit, predict, reproduce, sample, tune
from energyknn.study.cli.ending import READER_LEFT, ending_when_told, leave_out_rest
from energyknn.study.cli.options import UserError, add_quiet
from energyknn.study.cli.parser import Parser

EXAMPLES = (
    "energyknn sample --rows 2000 --out tracks.csv",
    "energyknn tune --data tracks.csv --n-neighbors 5:25",
    "energyknn fit --data tracks.csv --model notebook --out energy.safetensors",
    "energyknn predict --model energy.safetensors --data tracks.csv --out predicted.csv",
)

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
        0 when done; 2 for what the user can mend, with one line on stderr; 128 and the signal's number when it was
        interrupted or terminated, or when what reads its output went away; 1 for a fault of the program, with one line
        that names the file where its details are.
    """
    try:
        with ending_when_told() as signals, warnings.catch_warnings():
            options = build_parser().parse_args(arguments)
            warnings.showwarning = _show_nothing if options.quiet else _show_once()
            options.run(options)
            sys.stdout.flush()
    except BrokenPipeError:
        leave_out_rest()
        return READER_LEFT
    except (*_MENDABLE, ImportError, ConnectionError) as error:
        if isinstance(error, ImportError) and "energyknn[" not in str(error):
            return _tell_fault(error)
        return _complain(str(error))
    except UnicodeEncodeError as error:
        if error.encoding != sys.stdout.encoding:
            return _tell_fault(error)
        leave_out_rest()
        return _complain(
            f"The output holds {error.object[error.start]!r}, which {error.encoding!r} cannot encode. "
            "Set PYTHONUTF8=1, or write to a file with --out."
        )
    except OSError as error:
        if error.filename is None and error.errno is None:
            return _tell_fault(error)
        leave_out_rest()
        where = f" at {str(error.filename)!r}" if error.filename is not None else ""
        return _complain(
            f"{error.strerror or error}{where}. Nothing was left half-written. Choose another place with --out."
        )
    except KeyboardInterrupt as stopped:
        return _tell_end(signals[0] if signals else signal.SIGINT, str(stopped))
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich ends so
            leave_out_rest()
            return READER_LEFT
        if error.code != signal.SIGTERM:  # Ray takes over SIGTERM, and exits with its number
            raise
        return _tell_end(signal.SIGTERM)
    except Exception as error:  # a fault of ours, which no user can mend
        if type(error).__name__ == "InvalidParameterError":  # scikit-learn's, which is not imported for that
            return _complain(str(error))
        leave_out_rest()
        return _tell_fault(error)
    return 128 + signals[0] if signals else 0


def _complain(message: str) -> int:
    sys.stderr.write(f"energyknn: error: {' '.join(message.split())}\n")
    return 2


def _tell_fault(error: Exception) -> int:
    """Say in a line what went wrong inside of the program, and write the details to a file in the temporary folder."""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    try:
        with NamedTemporaryFile("w", prefix="energyknn-fault-", suffix=".txt", encoding="utf-8", delete=False) as file:
            file.writelines([f"energyknn {__version__}, {sys.version}\n", *traceback.format_exception(error)])
        details = f"The details are in {file.name}: please report it with them."
    except OSError:
        details = "No file can be written for the details. Set TMPDIR to a folder that can, and run it again."
    sys.stderr.write(f"energyknn: fault: {what}. This is a fault of energyknn, and not of your file. {details}\n")
    return 1


def _tell_end(number: int, kept: str = "") -> int:
    how = "interrupted" if number == signal.SIGINT else "terminated"
    sys.stderr.write(f"energyknn: {how}; {kept or 'no file was written'}.\n")
    return 128 + number


def _show_once() -> Any:
    """Return a `showwarning` that writes each line once, because both studies warn of the same columns."""
    write = cache(sys.stderr.write)  # called once for each line
    return lambda message, *_, **__: write(f"energyknn: warning: {' '.join(str(message).split())}\n")


def _show_nothing(*_: Any, **__: Any) -> None:
    """Leave a warning out."""


def build_parser() -> Parser:
    """Return the parser of all commands."""
    text = (
        "Predict a column of a table from the nearest rows: tune, fit, predict, explain. Begin with synthetic tracks."
    )
    parser = Parser(prog="energyknn", description=text, examples=EXAMPLES)
    parser.add_argument("--version", action="version", version=f"energyknn {__version__}")
    _add_completion(parser)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=Parser)
    for module in (describe, reproduce, tune, fit, predict, audit, sample, fetch):
        name = module.__name__.rpartition(".")[2]
        options = {"help": module.SUMMARY, "description": module.DESCRIPTION, "examples": module.EXAMPLES}
        command = commands.add_parser(name, **options)
        module.add_options(command)
        add_quiet(command)
        command.set_defaults(run=module.run)
    return parser


def _add_completion(parser: Parser) -> None:
    """Add the option that prints a shell's completion."""
    shells = ", ".join(shtab.SUPPORTED_SHELLS)
    text = f"print what lets a shell complete commands, options and files: {shells}"
    shtab.add_argument_to(parser, "--print-completion", help=text)
    parser._option_string_actions["--print-completion"].metavar = "SHELL"  # its list of shells fits no narrow terminal
