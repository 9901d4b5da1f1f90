"""Find out in which encoding a text is written.

Text is UTF-8 where it can be. Where it cannot, single accented letters in words tell Windows-1252. On names and titles
other encodings cannot be told apart with certainty, so a file in one of them is refused until the caller names it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from energyknn.errors import DataFileError
from energyknn.loading.sources import Source

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, with whose mark it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 16  # bytes beyond ASCII, with the lines that they are in
_START = 2000  # bytes
_MOST_ZEROS = 0.1  # of the bytes of a text, where some are damaged
_CHUNK = 1 << 20  # bytes
_UTF8 = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_HIGH = re.compile(rb"[\x80-\xff]")
_RUN = re.compile(rb"[\x80-\xff]{2,}")
_MOST_IN_RUNS = 0.5  # of the letters beyond ASCII in Western text, of which few stand beside each other
_LABELS = {"utf-8-sig": "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "cp1252": "Windows-1252"}


@dataclass(frozen=True)
class Encoding:
    """How bytes become text. `errors` is as for `bytes.decode`."""

    codec: str
    errors: str = "strict"

    @property
    def label(self) -> str:
        """What people call it."""
        return _LABELS.get(self.codec, self.codec.upper())

    @property
    def note(self) -> str:
        """What to say of it; nothing where it is plain UTF-8."""
        if self.errors == "replace":
            return f"The text is {self.label} with damaged bytes, which are read as '\N{REPLACEMENT CHARACTER}'."
        if self.codec == "utf-8-sig":
            return ""
        return f"The text is {self.label}" + (", not UTF-8." if self.codec in ("cp1252", "latin-1") else ".")


def list_encodings(source: Source, start: bytes, encoding: str | None) -> Iterator[Encoding]:
    """Yield the encodings that a text may be in, the likeliest first, each only if those before it do not hold."""
    if encoding is not None:
        yield Encoding(_find_codec(encoding))
        return
    first = _tell_encoding(start)
    if first == "utf-8-sig" and start[:_START].count(0) > _MOST_ZEROS * len(start[:_START]):
        message = f"{source.name!r} is neither text nor of a format that is known. Save its table as CSV."
        raise DataFileError(message)
    yield Encoding(first)
    if first != "utf-8-sig":
        return
    with source.open() as stream:
        sample = _take_lines(stream)
    yield from _guess_encodings(sample, source.name)


def _find_codec(encoding: str) -> str:
    """Return the codec of an encoding that the caller names. A mark at the start is no part of the text."""
    try:
        codec = codecs.lookup(encoding)
        "".encode(codec.name)  # some codecs are not of text
    except (LookupError, ValueError) as error:
        message = f"The encoding {encoding!r} is not known. Name one such as 'utf-8', 'latin-1' or 'cp1252'."
        raise DataFileError(message) from error
    return "utf-8-sig" if codec.name == "utf-8" else "latin-1" if codec.name == "iso8859-1" else codec.name


def _tell_encoding(start: bytes) -> str:
    """Tell the encoding by a mark at the start, or by the zeros beside each ASCII letter in UTF-16."""
    for mark, codec in _MARKS:
        if start.startswith(mark):
            return codec
    sample = start[:_START]
    half = len(sample) // 2
    if half and sample[1::2].count(0) > 0.8 * half and not sample[::2].count(0):
        return "utf-16-le"
    if half and sample[::2].count(0) > 0.8 * half and not sample[1::2].count(0):
        return "utf-16-be"
    return "utf-8-sig"


def _take_lines(stream: BinaryIO) -> bytes:
    """Return the first lines with bytes beyond ASCII."""
    taken: list[bytes] = []
    n_bytes, rest = 0, b""
    while n_bytes < _SAMPLE and (chunk := stream.read(_CHUNK)):
        if chunk.isascii() and rest.isascii():
            rest = b""
            continue
        *lines, rest = (rest + chunk).split(b"\n")
        high = [line for line in lines if not line.isascii()]
        taken += high
        n_bytes += sum(map(len, high))
    return b"\n".join([*taken, rest])[:_SAMPLE]


def _guess_encodings(sample: bytes, source: str) -> Iterator[Encoding]:
    """Yield the encodings of text that is not UTF-8."""
    n_high = len(_HIGH.findall(sample))
    left = _UTF8.sub(b"", sample)
    n_left = len(_HIGH.findall(left))
    if n_high - n_left > n_left:
        yield Encoding("utf-8-sig", "replace")
        return
    if sum(map(len, _RUN.findall(sample))) > _MOST_IN_RUNS * n_high:
        message = (
            f"{source!r} is not UTF-8, and its encoding cannot be told. Save it as UTF-8 or name its encoding, "
            "such as 'cp1251' or 'gb18030'."
        )
        raise DataFileError(message)
    yield Encoding("cp1252")
    yield Encoding("latin-1")
