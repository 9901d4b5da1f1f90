"""What was found so far, in one JSON file that is written anew, whole, after each step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from energyknn._shared.saving import staged_file

KEY = ("problem", "groups", "seed", "model")
"""What tells one record from another."""


def read_state(path: Path) -> dict[str, Any]:
    """Read what was found so far; nothing, where there is no file."""
    lists, mappings = ("records", "differences"), ("problems", "choices", "defaults", "honesty", "reliability", "mlkr")
    empty: dict[str, Any] = {name: {} for name in mappings} | {name: [] for name in lists}
    return empty | (json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {})


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write what was found, one line for each record, so that versions can be told apart line by line."""
    parts = []
    for name, value in state.items():
        lines = ",\n".join(json.dumps(_round(record), ensure_ascii=False) for record in value) if value else ""
        text = f"[\n{lines}\n]" if isinstance(value, list) else json.dumps(_round(value), indent=1, ensure_ascii=False)
        parts.append(f"{json.dumps(name)}: {text}")
    with staged_file(path) as staged:
        staged.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def _round(value: Any) -> Any:
    """Keep eight digits of each figure."""
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, Mapping):
        return {name: _round(part) for name, part in value.items()}
    return [_round(part) for part in value] if isinstance(value, list | tuple) else value


def find_record(records: list[dict[str, Any]], **key: Any) -> dict[str, Any] | None:
    """Return the record of a key, None where there is none."""
    return next((record for record in records if all(record.get(name) == value for name, value in key.items())), None)
