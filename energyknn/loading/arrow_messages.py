"""Count how many bytes an Arrow file decompresses to, before anything in it is decompressed.

A message describes its body in a flatbuffer: the number of rows, and where each buffer lies. A compressed buffer begins
with the length that it decompresses to. The layout is that of `Message.fbs` in the Arrow format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

_HEADER_TYPE, _HEADER = 1, 2  # fields of a message
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3  # types of headers
_DATA = 1  # field of a dictionary batch
_LENGTH, _BUFFERS, _COMPRESSION = 0, 2, 3  # fields of a record batch
_VALUE = 8  # bytes of a value in memory


def count_feather_bytes(messages: Iterable[Any], n_columns: int) -> int:
    """Count the bytes of the decompressed file, at least 8 for each value."""
    return sum(_count_message(memoryview(message.metadata), message.body, n_columns) for message in messages)


def _count_message(metadata: memoryview, body: Any, n_columns: int) -> int:
    """Count the bytes of one message's decompressed body."""
    root = _follow(metadata, 0)
    kind = _find_field(metadata, root, _HEADER_TYPE)
    header = _find_field(metadata, root, _HEADER)
    if not kind or not header or metadata[kind] not in (_DICTIONARY_BATCH, _RECORD_BATCH):
        return 0
    batch = _follow(metadata, header)
    if metadata[kind] == _DICTIONARY_BATCH:
        batch, n_columns = _follow(metadata, _find_field(metadata, batch, _DATA)), 1
    length = _find_field(metadata, batch, _LENGTH)
    n_rows = struct.unpack_from("<q", metadata, length)[0] if length else 0
    n_bytes = len(body)
    buffers = _find_field(metadata, batch, _BUFFERS)
    if buffers and _find_field(metadata, batch, _COMPRESSION):
        n_bytes = sum(_list_lengths(metadata, _follow(metadata, buffers), memoryview(body)))
    return max(n_bytes, n_rows * n_columns * _VALUE)


def _list_lengths(metadata: memoryview, buffers: int, body: memoryview) -> list[int]:
    """List the lengths that the buffers of a body decompress to."""
    n_buffers = struct.unpack_from("<I", metadata, buffers)[0]
    places = struct.iter_unpack("<qq", metadata[buffers + 4 : buffers + 4 + 16 * n_buffers])
    return [
        max(n_stored, struct.unpack_from("<q", body, start)[0])  # -1: stored as it is
        for start, n_stored in places
        if n_stored
    ]


def _follow(metadata: memoryview, place: int) -> int:
    """Follow an offset."""
    return int(place + struct.unpack_from("<I", metadata, place)[0])


def _find_field(metadata: memoryview, table: int, number: int) -> int:
    """Return where a field of a table lies; 0 where it is left out."""
    fields = table - struct.unpack_from("<i", metadata, table)[0]
    place = 4 + 2 * number
    if fields < 0 or place >= struct.unpack_from("<H", metadata, fields)[0]:
        return 0
    offset = struct.unpack_from("<H", metadata, fields + place)[0]
    return int(table + offset) if offset else 0
