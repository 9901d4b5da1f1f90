"""Read Parquet and Feather files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pandas as pd

from energyknn.errors import DataFileError, import_extra
from energyknn.loading.arrow_messages import count_feather_bytes
from energyknn.loading.content import FileContent
from energyknn.loading.names import check_names, keep_texts, match_names
from energyknn.loading.sources import Source, check_limit

_FEATHER_START = 8  # bytes before the first message


def read_parquet(source: Source, names: Sequence[str] | None, texts: Collection[str]) -> FileContent:
    """Read the columns of a Parquet file that are asked for, called as in the file."""
    arrow = import_extra("pyarrow", extra="formats")
    parquet = import_extra("pyarrow.parquet", extra="formats")
    try:
        with source.open_seekable() as stream:
            fields = list(parquet.read_schema(stream))
            wanted, notes = _choose_fields(fields, names, source.name)
            texts_of_file = [field.name for field in wanted if _is_text(field.type)]
            chosen = [field.name for field in wanted]
            stream.seek(0)
            with parquet.ParquetFile(stream, read_dictionary=texts_of_file) as file:
                check_limit(_count_bytes(file.metadata, len(chosen)), source)
                table = file.read(columns=chosen)
        table.validate(full=True)
        check_limit(sum(_count_text(table[name]) for name in texts_of_file), source)
        return FileContent(_to_pandas(table, texts), tuple(notes), tuple(field.name for field in fields))
    except arrow.ArrowException as error:
        message = f"{source.name!r} is not a whole Parquet file ({_one_line(error)}). Fetch or write it again."
        raise DataFileError(message) from error


def read_feather(source: Source, names: Sequence[str] | None, texts: Collection[str]) -> FileContent:
    """Read the columns of a Feather file that are asked for, called as in the file."""
    arrow = import_extra("pyarrow", extra="formats")
    try:
        with source.open_seekable() as stream:
            stream.seek(_FEATHER_START)
            fields = list(arrow.ipc.open_stream(stream).schema)
            wanted, notes = _choose_fields(fields, names, source.name)
            stream.seek(_FEATHER_START)
            check_limit(count_feather_bytes(arrow.ipc.MessageReader.open_stream(stream), len(fields)), source)
            places = [place for place, field in enumerate(fields) if field in wanted]
            stream.seek(_FEATHER_START)
            table = arrow.ipc.open_stream(stream, options=arrow.ipc.IpcReadOptions(included_fields=places)).read_all()
        table.validate(full=True)
        check_limit(sum(_count_text(table[field.name]) for field in wanted if _is_text(field.type)), source)
        return FileContent(_to_pandas(table, texts), tuple(notes), tuple(field.name for field in fields))
    except arrow.ArrowException as error:
        message = f"{source.name!r} is not a whole Feather file ({_one_line(error)}). Fetch or write it again."
        raise DataFileError(message) from error


def _choose_fields(fields: list[Any], names: Sequence[str] | None, source: str) -> tuple[list[Any], list[str]]:
    """Choose the columns that are asked for; all that hold numbers, text or dates where none are named."""
    check_names([field.name for field in fields], source)
    if names is None:
        wanted = [field for field in fields if _is_plain(field.type)]
        return wanted, [
            f"Column {field.name!r} holds {field.type} and is left out." for field in fields if field not in wanted
        ]
    matched = match_names([field.name for field in fields], names, source)
    wanted = [field for field in fields if field.name in matched.values()]
    for field in wanted:
        if not _is_plain(field.type):
            message = f"{source!r}: column {field.name!r} has the type {field.type}. It must hold numbers or text."
            raise DataFileError(message)
    return wanted, []


def _unwrap(kind: Any) -> Any:
    """Return the type of the values of a dictionary."""
    types = import_extra("pyarrow", extra="formats").types
    return kind.value_type if types.is_dictionary(kind) else kind


def _is_text(kind: Any) -> bool:
    """Tell whether a column holds text."""
    types, kind = import_extra("pyarrow", extra="formats").types, _unwrap(kind)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_plain(kind: Any) -> bool:
    """Tell whether a column holds numbers, truth values, text or dates."""
    types, plain = import_extra("pyarrow", extra="formats").types, _unwrap(kind)
    of_numbers = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    return _is_text(kind) or any(tells(plain) for tells in (*of_numbers, types.is_temporal, types.is_null))


def _to_pandas(table: Any, texts: Collection[str]) -> pd.DataFrame:
    """Turn a table of Arrow into one of pandas."""
    arrow = import_extra("pyarrow", extra="formats")
    plain = [field.with_type(_simplify(field.type, arrow)) for field in table.schema]
    frame: pd.DataFrame = table.cast(arrow.schema(plain)).to_pandas(ignore_metadata=True, date_as_object=False)
    for field in table.schema:
        if _is_text(field.type):  # which old releases of pyarrow return as objects
            frame[field.name] = frame[field.name].astype("str")
    return keep_texts(frame, texts)


def _simplify(kind: Any, arrow: Any) -> Any:
    """Return the type that a column has in pandas: text, floating numbers for decimals, and values for dictionaries."""
    if _is_text(kind):
        return arrow.string()
    plain = _unwrap(kind)
    return arrow.float64() if arrow.types.is_decimal(plain) else plain


def _count_bytes(metadata: Any, n_wanted: int) -> int:
    """Count the bytes of the decompressed file, at least 8 for each value.

    It reads the metadata of row groups and not of columns, because pyarrow ends the process if those are damaged.
    """
    encoded = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
    return int(max(encoded, metadata.num_rows * n_wanted * 8))


def _count_text(column: Any) -> int:
    """Count the bytes of text in a column, repeated values of dictionaries included."""
    compute = import_extra("pyarrow.compute", extra="formats")
    lengths = (
        compute.take(compute.binary_length(chunk.dictionary), chunk.indices)
        if hasattr(chunk, "dictionary")
        else compute.binary_length(chunk)
        for chunk in column.chunks
    )
    return sum(compute.sum(of_chunk).as_py() or 0 for of_chunk in lengths)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())
