"""Kernels that another process compiles, while this one does its work in another way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

from energyknn._shared.turns import taking_turns

_COMPILE = """
import sys
sys.path[:] = {path!r}
from importlib import import_module
from pathlib import Path
from energyknn._shared.turns import taking_turns
with taking_turns(Path({folder!r}), waits=False) as is_first:
    if is_first:
        getattr(import_module({module!r}), {function!r})()
"""


class Compilation:
    """Kernels that another process compiles. It ends by itself, even after this process.

    Parameters
    ----------
    folder : Path
        Where compiled kernels are kept: one process at a time compiles there.
    module, function : str
        What to call to compile them.

    Raises
    ------
    OSError
        If no other Python can be started.
    """

    def __init__(self, folder: Path, module: str, function: str) -> None:
        if not _is_python():
            message = f"{sys.executable!r} is not a Python"
            raise OSError(message)
        self.folder = folder
        code = _COMPILE.format(path=sys.path, folder=str(folder), module=module, function=function)
        self._process = subprocess.Popen(  # noqa: S603 - this Python, and code of this file
            [sys.executable, "-I", "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name == "posix",  # an interrupt is not meant for it
        )
        Thread(target=self._process.wait, daemon=True).start()  # so that nothing of it is left when it ends

    def is_running(self) -> bool:
        """Tell whether this or another process still compiles there."""
        if self._process.poll() is None:
            return True
        with taking_turns(self.folder, waits=False) as is_free:
            return not is_free


def _is_python() -> bool:
    """Tell whether this program can be started again to run code: an application that holds a Python may not."""
    name = Path(sys.executable or "").stem.lower()
    return name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
