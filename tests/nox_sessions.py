"""The sessions of the noxfile."""

from __future__ import annotations

import re
from pathlib import Path

NOXFILE = (Path(__file__).parents[1] / "noxfile.py").read_text(encoding="utf-8")


def list_sessions() -> set[str]:
    """List the sessions: functions that are decorated as one, and lines of the table."""
    return set(re.findall(r'^(?:@nox\.session\ndef |define\(")(\w+)', NOXFILE, flags=re.MULTILINE))
