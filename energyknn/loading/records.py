"""Read JSON: records, an object of columns, or one record a line."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pandas as pd

from energyknn.errors import DataFileError
from energyknn.loading.content import FileContent
from energyknn.loading.names import check_names, keep_texts
from energyknn.loading.sources import Source

_RULE = 'It must hold records, as in [{"area": 70}].'


def holds_records(start: bytes) -> bool:
    """Tell whether text begins as JSON records do, and not as a table of text."""
    plain = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if plain[:1] == b"[":
        return plain[1:].lstrip()[:1] in (b"{", b"]")
    return plain[:1] == b"{" and plain[1:].lstrip()[:1] in (b'"', b"}")


def read_records(source: Source, texts: Collection[str], encoding: str | None) -> FileContent:
    """Read every column of JSON records, or of an object of columns."""
    text = source.read_all().decode(encoding or "utf-8-sig")
    try:
        table = pd.DataFrame(_parse(text, source.name))
    except RecursionError as error:
        message = f"{source.name!r} nests values too deeply. It must hold records of numbers and text."
        raise DataFileError(message) from error
    table = table.reset_index(drop=True)
    table.columns = table.columns.astype(str)
    check_names(list(table.columns), source.name)
    nested = [name for name in table if table[name].dtype == object and table[name].map(_is_nested).any()]
    if len(nested) == table.shape[1]:
        message = f"{source.name!r} holds JSON that is no table. {_RULE}"
        raise DataFileError(message)
    notes = [f"Column {name!r} holds lists or objects and is left out." for name in nested]
    columns = tuple(table.columns)
    return FileContent(keep_texts(table.drop(columns=nested), texts), tuple(notes), columns)


def _parse(text: str, source: str) -> Any:
    """Parse one JSON value, or one a line."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":
            message = f"{source!r} is not whole JSON ({error}). Fetch or write it again."
            raise DataFileError(message) from error
        try:
            content = [json.loads(line) for line in text.split("\n") if line.strip()]
        except json.JSONDecodeError as of_line:
            message = f"{source!r} is not whole JSON, one object a line ({of_line}). Fetch or write it again."
            raise DataFileError(message) from of_line
    if isinstance(content, dict):
        records = [values for values in content.values() if isinstance(values, list) and all(map(_is_record, values))]
        if len(records) == 1:
            content = records[0]
        elif not any(map(_is_nested, content.values())):
            content = [content]
    is_records = isinstance(content, list) and all(map(_is_record, content))
    if not is_records and not isinstance(content, dict):
        message = f"{source!r} holds JSON that is no table. {_RULE}"
        raise DataFileError(message)
    return content


def _is_record(value: object) -> bool:
    return isinstance(value, dict)


def _is_nested(value: object) -> bool:
    return isinstance(value, dict | list)
