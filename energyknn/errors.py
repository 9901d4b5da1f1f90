"""What a user can mend: a bad file or folder, a GPU or a cluster that is not there, an extra that is not installed."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = [
    "ClusterError",
    "DataFileError",
    "DeviceError",
    "JournalError",
    "MemoryShortageError",
    "ModelFileError",
    "import_extra",
]


class DataFileError(ValueError):
    """A data file that cannot be used: the message says what came in, what the rule is and what to do."""


class ModelFileError(ValueError):
    """A model file that cannot be used, or a model that cannot be put in one."""


class MemoryShortageError(MemoryError):
    """Work that would take more memory than there is: the message says how much, and what takes less."""


class DeviceError(ValueError):
    """A GPU that was asked for and is not there."""


class ClusterError(ValueError):
    """A Ray cluster that cannot be used, or that lost all that could do the work."""


class JournalError(ValueError):
    """A journal's folder that cannot be written, or that belongs to another study."""


def import_extra(module: str, *, extra: str) -> ModuleType:
    """Import a module that an optional extra installs.

    Parameters
    ----------
    module : str
        Full name of the module, such as ``"matplotlib.pyplot"``.
    extra : str
        The extra of energyknn that installs it, such as ``"report"``.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the module is not installed. The message names the extra.

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
