"""The parser of the commands: one-line errors that name the nearest word, and help that fits narrow terminals."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from energyknn.errors import suggest_name
from energyknn.study.cli.options import UserError

_CONTINUED = " \\\n"
"""What breaks a line of the shell, so that a wrapped example can be pasted as it is shown."""


class HelpLines(argparse.HelpFormatter):
    """Help that wraps text at words, and examples so that the shell still takes them.

    The first line names the options that are needed. The others stand below it.
    """

    def add_usage(self, usage: str | None, actions: Iterable[argparse.Action], *rest: Any, **options: Any) -> None:
        """Add the line that says how the command is called."""
        needed = [action for action in actions if action.required or "--help" in action.option_strings]
        super().add_usage(usage, needed, *rest, **options)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(_wrap(line, width, indent) for line in text.splitlines())


def _wrap(line: str, width: int, indent: str) -> str:
    if not line.startswith("  "):
        return textwrap.fill(line, width, initial_indent=indent, subsequent_indent=indent)
    wrapper = textwrap.TextWrapper(width - 2, "  ", "      ", break_long_words=False, break_on_hyphens=False)
    return _CONTINUED.join(wrapper.wrap(line.strip()))


class Parser(argparse.ArgumentParser):
    """A parser whose errors are `UserError` and name the nearest known word."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **options: Any) -> None:
        shown = "\n".join(["examples:", *(f"  {example}" for example in examples)])
        options = {"formatter_class": HelpLines, "epilog": shown if examples else None} | options
        super().__init__(*args, **options)

    def error(self, message: str) -> NoReturn:
        """Raise the parser's message as one line."""
        stop = "" if message.endswith("?") else "."
        line = f"{message}{stop} See '{self.prog} --help'."
        raise UserError(line)

    def parse_known_args(self, *args: Any, **options: Any) -> Any:
        """Parse words, and refuse those that are no options of this command."""
        parsed, unknown = super().parse_known_args(*args, **options)
        if unknown:
            word = unknown[0].partition("=")[0]
            known = [flag for action in self._actions for flag in action.option_strings]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{_ask(word, known)}")
        return parsed, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            known = [str(choice) for choice in action.choices or ()]
            error.message += _ask(value, known)
            raise


def _ask(word: Any, known: Sequence[str]) -> str:
    """Return the end of a message: whether the nearest known word was meant."""
    asked = suggest_name(word, known)
    return f".{asked}" if asked else ""
