"""Hold results to `docs/results.schema.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

SCHEMA = Path(__file__).parents[1] / "docs" / "results.schema.json"


def check_results(results: dict[str, Any]) -> None:
    """Raise where results are not as the schema says."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(results)
