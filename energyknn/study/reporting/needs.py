"""What a report needs: its packages, and a folder for Matplotlib's list of fonts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path

from energyknn.errors import import_extra


def require_packages() -> None:
    """Require the packages of the extra ``report``, without loading them.

    Raises
    ------
    ImportError
        If one is not installed. The message names the extra.
    """
    for module in ("matplotlib", "jinja2"):
        if find_spec(module) is None:
            import_extra(module, extra="report")


@contextmanager
def keeping_fonts(folder: Path) -> Iterator[None]:
    """Let Matplotlib keep its list of fonts under a folder meanwhile, where there is no temporary folder for it."""
    with ExitStack() as stack:
        try:
            tempfile.gettempdir()
        except FileNotFoundError:
            if "MPLCONFIGDIR" not in os.environ:
                os.environ["MPLCONFIGDIR"] = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
                stack.callback(os.environ.pop, "MPLCONFIGDIR")
        yield
