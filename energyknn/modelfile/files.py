"""A file of arrays and plain text that runs no code when it is read, and whose checksum shows that it is whole.

The layout is that of safetensors: eight bytes with the length of a header, the header as JSON, then the bytes of all
arrays. Any reader of safetensors opens it. This module reads it without that package, because text, checksum and arrays
then come from one open file. So a file that is replaced meanwhile cannot be mixed up with another.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn import __version__
from energyknn._shared.showing import in_one_line
from energyknn.errors import ModelFileError

FORMAT_VERSION = 1
"""The format that this release writes. It rises when an older release could misread a file."""

Description = dict[str, Any]
Arrays = Mapping[str, NDArray[Any]]
CONVERTERS: dict[int, Callable[[Description, Arrays], tuple[Description, Arrays]]] = {}
"""By format version: the function that turns description and arrays into those of the next version."""

_KIND = "energyknn model"
_LENGTH = 8  # bytes that hold the header's length
_LONGEST_HEADER = 1 << 23  # bytes; JSON of this length takes some 200 MB once it is parsed
_MOST_DIMENSIONS = 8
_BLANK = b"0" * 64
_CHECKSUM = re.compile(rb'"checksum": "([0-9a-f]{64})"')
_RELEASE = re.compile(r"[0-9A-Za-z.+-]{1,40}")
_DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4", "U8": "|u1", "BOOL": "|b1"}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}


@in_one_line
class Content(NamedTuple):
    """The content of a file.

    Attributes
    ----------
    written_by : str
        The release of energyknn that wrote it.
    description : dict
        Plain JSON, in the shape of this release's format version.
    arrays : mapping of str to ndarray
        Arrays by name. Changing them does not change the file.
    """

    written_by: str
    description: Description
    arrays: Arrays


def write_content(path: Path, description: Mapping[str, Any], arrays: Arrays) -> None:
    """Write a description and arrays as one file.

    Parameters
    ----------
    path : Path
        The file. Use a path of `energyknn._shared.saving.staged_file` to replace a file in one step.
    description : mapping
        Plain JSON without NaN and infinity.
    arrays : mapping of str to ndarray
        Arrays of float64, float32, int64, int32, uint8 or bool.

    Raises
    ------
    ModelFileError
        If the text is longer than a reader accepts.
    OSError
        If the file cannot be written.
    """
    widest_first = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)  # so that each array starts aligned
    plain = {name: _as_little_endian(arrays[name]) for name in widest_first}
    header = _make_header(description, plain)
    digest = _hash(header, plain.values())
    with path.open("wb") as file:
        file.write(len(header).to_bytes(_LENGTH, "little"))
        file.write(header.replace(_BLANK, digest.encode(), 1))
        for array in plain.values():
            file.write(_as_bytes(array))


def _make_header(description: Mapping[str, Any], arrays: Arrays) -> bytes:
    """Describe the arrays. The checksum is zeros, and stands before any other text of the file."""
    metadata = {
        "kind": _KIND,
        "checksum": _BLANK.decode(),
        "format_version": str(FORMAT_VERSION),
        "written_by": __version__,
        "description": json.dumps(description, allow_nan=False),
    }
    entries: dict[str, Any] = {"__metadata__": metadata}
    offset = 0
    for name, array in arrays.items():
        end = offset + array.nbytes
        entries[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    header = json.dumps(entries).encode()
    if len(header) > _LONGEST_HEADER:
        message = (
            f"The model's text takes {len(header):,} bytes. A file holds at most {_LONGEST_HEADER:,}: leave out "
            "categories with very many levels."
        )
        raise ModelFileError(message)
    return header + b" " * (-(_LENGTH + len(header)) % 64)


def read_content(path: Path, *, mmap: bool = False) -> Content:
    """Read a file that `write_content` wrote, and convert it if it has an older format.

    Parameters
    ----------
    path : Path
        The file.
    mmap : bool, default=False
        Whether to map arrays into memory, so that processes share them.

    Returns
    -------
    Content
        Release, description and arrays.

    Raises
    ------
    ModelFileError
        If the file cannot be read, is not a model, is not whole, has a byte changed, or has a newer format.
    """
    name = path.name
    if not path.is_file():
        what = f"{str(path)!r} is not a file" if path.exists() else f"No file at {str(path)!r}"
        message = f"{what}. Check the path, and name a file that `energyknn fit` or save_model wrote."
        raise ModelFileError(message)
    try:
        with path.open("rb") as file:
            header = _read_header(file, name)
            entries = _parse_json(header, name)
            metadata = entries.pop("__metadata__")
            if not isinstance(metadata, dict):
                raise ModelFileError(_describe_broken(name, "its metadata is not an object"))
            written_by = str(metadata.get("written_by", ""))
            version = _read_version(metadata, written_by, name)
            arrays = _read_arrays(file, entries, len(header), name, mmap=mmap)
    except OSError as error:
        message = f"{str(path)!r} cannot be read ({error.strerror or error}). Check its permissions."
        raise ModelFileError(message) from error
    found = _CHECKSUM.findall(header)
    if len(found) != 1 or found[0].decode() != _hash(_CHECKSUM.sub(b'"checksum": "' + _BLANK + b'"', header), arrays):
        message = (
            f"{name!r} is damaged: its content does not have the checksum that it was written with. "
            "Copy it again, or fit it again."
        )
        raise ModelFileError(message)
    description = _parse_json(metadata.get("description"), name)
    named: Arrays = dict(zip(entries, arrays, strict=True))
    for step in range(version, FORMAT_VERSION):
        description, named = CONVERTERS[step](description, named)
    return Content(written_by, description, named)


def _read_header(file: BinaryIO, name: str) -> bytes:
    """Read the header, and refuse a file that does not start as a model does."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(_LENGTH), "little")
    header = file.read(length) if length <= min(size - _LENGTH, _LONGEST_HEADER + 64) else b""
    if not header.startswith(b'{"__metadata__": {"kind": "' + _KIND.encode() + b'"'):
        message = (
            f"{name!r} is not a model of energyknn, or is cut short. Name a file of `energyknn fit` or save_model. "
            "Pickle and joblib files are never opened, because reading one runs the code in it."
        )
        raise ModelFileError(message)
    return header


def _parse_json(text: Any, name: str) -> dict[str, Any]:
    """Parse a JSON object, however deep it is nested."""
    try:
        parsed = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise ModelFileError(_describe_broken(name, "its text is not JSON")) from error
    if not isinstance(parsed, dict):
        raise ModelFileError(_describe_broken(name, "its text is not an object"))
    return parsed


def _read_version(metadata: Mapping[str, Any], written_by: str, name: str) -> int:
    """Read the format version, and refuse one that is newer than this release."""
    text = metadata.get("format_version")
    if not (isinstance(text, str) and re.fullmatch(r"[1-9][0-9]{0,5}", text) and _RELEASE.fullmatch(written_by)):
        raise ModelFileError(_describe_broken(name, "it does not say which format it has"))
    version = int(text)
    if version > FORMAT_VERSION:
        message = (
            f"{name!r} has format {version}, written by energyknn {written_by}; this is energyknn {__version__}, which "
            f"reads formats up to {FORMAT_VERSION}. Read it with energyknn {written_by} or newer, or fit it again."
        )
        raise ModelFileError(message)
    return version


def _read_arrays(
    file: BinaryIO, entries: Mapping[str, Any], header_length: int, name: str, *, mmap: bool
) -> list[NDArray[Any]]:
    """Read or map all arrays, after checking that they fill the rest of the file exactly."""
    begin = _LENGTH + header_length
    size = os.fstat(file.fileno()).st_size - begin
    try:
        places = list(_list_places(entries))
    except (KeyError, TypeError, ValueError) as error:
        raise ModelFileError(_describe_broken(name, "its arrays are not described as safetensors are")) from error
    if sum(nbytes for *_, nbytes in places) != size:
        raise ModelFileError(_describe_broken(name, f"its arrays do not fill the {size:,} bytes behind its text"))
    if mmap and size:  # nothing cannot be mapped
        data = np.asarray(np.memmap(file, dtype=np.uint8, mode="c", offset=begin))
    else:
        try:
            data = np.fromfile(file, dtype=np.uint8, count=size)
        except MemoryError as error:
            message = f"{name!r} takes {size:,} bytes, more than there are. Map it into memory: mmap=True."
            raise ModelFileError(message) from error
    return [data[start : start + nbytes].view(dtype).reshape(shape) for dtype, shape, start, nbytes in places]


def _list_places(entries: Mapping[str, Any]) -> Iterator[tuple[np.dtype[Any], tuple[int, ...], int, int]]:
    """Yield dtype, shape, start and bytes of each array; a ValueError says that they do not follow one another."""
    offset = 0
    for entry in entries.values():
        dtype, shape = np.dtype(_DTYPES[entry["dtype"]]), tuple(entry["shape"])
        start, end = entry["data_offsets"]
        numbers = (start, end, *shape)
        if len(shape) > _MOST_DIMENSIONS or any(type(n) is not int or not 0 <= n < 1 << 48 for n in numbers):
            raise ValueError
        nbytes = math.prod(shape) * dtype.itemsize
        if (start, end) != (offset, offset + nbytes):
            raise ValueError
        yield dtype, shape, start, nbytes
        offset = end


def _describe_broken(name: str, what: str) -> str:
    """Write the message for a damaged file."""
    return f"{name!r} is damaged: {what}. Copy it again, or fit it again."


def _hash(header: bytes, arrays: Iterable[NDArray[Any]]) -> str:
    """Return the checksum of the file, computed with zeros in its place."""
    digest = hashlib.sha256(len(header).to_bytes(_LENGTH, "little"))
    digest.update(header)
    for array in arrays:
        digest.update(_as_bytes(array))
    return digest.hexdigest()


def _as_little_endian(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array in C order and little-endian bytes."""
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def _as_bytes(array: NDArray[Any]) -> Any:
    """View an array as bytes, without a copy."""
    return array.reshape(-1).view(np.uint8).data
