"""Write `results.schema.json`, the JSON schema of `results.json`, from the types in `energyknn.study.results`.

Run it from anywhere: `python docs/results_schema.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

from energyknn.study.results import AnyResults

PATH = Path(__file__).with_name("results.schema.json")
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean", NoneType: "null"}


def describe(hint: Any, parts: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a type, and add each `TypedDict` in it to the parts."""
    kind, inner = get_origin(hint), get_args(hint)
    if is_typeddict(hint):
        if hint.__name__ not in parts:
            parts[hint.__name__] = {}
            fields = get_type_hints(hint, include_extras=True)
            parts[hint.__name__] |= {
                "description": hint.__doc__,
                "type": "object",
                "properties": {name: describe(field, parts) for name, field in fields.items()},
                "required": [name for name, field in fields.items() if get_origin(field) is not NotRequired],
                "additionalProperties": False,
            }
        return {"$ref": f"#/$defs/{hint.__name__}"}
    if kind is NotRequired:
        return describe(inner[0], parts)
    if kind is Literal:
        return {"enum": list(inner)}
    if kind is list:
        return {"type": "array", "items": describe(inner[0], parts)}
    if kind is dict:
        return {"type": "object", "additionalProperties": describe(inner[1], parts)}
    if all(is_typeddict(part) for part in inner) and inner:
        return {"anyOf": [describe(part, parts) for part in inner]}
    if inner:
        return {"type": [NAMES[part] for part in inner]}
    return {"type": NAMES[hint]}


def write_schema() -> str:
    """Return the text of the schema."""
    parts: dict[str, Any] = {}
    whole = describe(AnyResults, parts)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "results.json of energyknn reproduce"}
    return json.dumps({**head, **whole, "$defs": dict(sorted(parts.items()))}, indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(write_schema(), encoding="utf-8")
