"""Other Python processes, which coverage does not watch: it would make them import for twice as long."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any


def leave_out_coverage() -> dict[str, str]:
    """Return the environment of this process, without what makes coverage watch another one."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


def run_python(
    code: str, *arguments: object, check: bool = False, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run code in another Python, and return what it printed."""
    options: dict[str, Any] = {"capture_output": True, "text": True, "check": check}
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=leave_out_coverage() | environment, **options
    )
