"""Errors that a user can mend: a bad file or folder, a missing GPU or cluster, an extra that is not installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from difflib import get_close_matches
from types import ModuleType
from typing import Any

__all__ = [
    "ClusterError",
    "DataFileError",
    "DeviceError",
    "JournalError",
    "MemoryShortageError",
    "ModelFileError",
    "ParameterError",
    "UnsupportedError",
]


class DataFileError(ValueError):
    """A data file cannot be used. The message says what came in, what the rule is and what to do."""


class ModelFileError(ValueError):
    """A model file cannot be used, or a model cannot be put in one."""


class ParameterError(ValueError):
    """A parameter is out of its range, or goes neither with another nor with the data."""


class UnsupportedError(TypeError):
    """A model does not have what is asked of it, such as intervals or neighbours."""


class MemoryShortageError(MemoryError):
    """Work would take more memory than there is. The message says how much, and what takes less."""


class DeviceError(ValueError):
    """A GPU was asked for and is not there."""


class ClusterError(ValueError):
    """A Ray cluster cannot be used, or lost all nodes that could do the work."""


class JournalError(ValueError):
    """A journal's folder cannot be written, or belongs to another study."""


def import_extra(module: str, *, extra: str) -> ModuleType:
    """Import a module that an optional extra installs. If it is not installed, an ImportError names the extra.

    Examples
    --------
    >>> import_extra("json", extra="report").__name__
    'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name.split(".")[0]):
            raise
        message = (
            f"The module {module!r} is not installed. It belongs to the extra {extra!r}: "
            f"pip install 'energyknn[{extra}]'"
        )
        raise ImportError(message, name=error.name) from None


def suggest_name(name: Any, known: Iterable[str]) -> str:
    """Return a sentence that names the nearest known name, or nothing where none is near.

    Examples
    --------
    >>> suggest_name("unifrom", ["uniform", "distance"])
    " Did you mean 'uniform'?"
    """
    near = get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
