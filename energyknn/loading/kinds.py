"""Tell by its first bytes what a file is, whatever its name says."""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["gzip", "zip", "zst", "bz2", "xz", "parquet", "feather", "text"]
COMPRESSED: tuple[Kind, ...] = ("gzip", "zst", "bz2", "xz")
HEAD = 1 << 16  # bytes that are looked at

_KINDS: tuple[tuple[bytes, Kind], ...] = (
    (rb"\x1f\x8b", "gzip"),
    (rb"PK(\x03\x04|\x05\x06)", "zip"),
    (rb"\x28\xb5\x2f\xfd", "zst"),
    (rb"BZh[1-9]1AY&SY", "bz2"),
    (rb"\xfd7zXZ\0", "xz"),
    (rb"PAR1\x15", "parquet"),
    (rb"ARROW1\0\0", "feather"),
)
_FOREIGN = (
    (rb"%PDF-", "a PDF document"),
    (rb"\x89PNG|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP", "an image"),
    (rb"SQLite format 3\0", "an SQLite database"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file (.xls), or one with a password"),
    (rb"\x89HDF\r\n", "an HDF5 file"),
    (rb"\x80[\x02-\x05][\x95\]c}(]", "a pickle, which can run code"),
    (rb"7z\xbc\xaf\x27\x1c|Rar!\x1a\x07", "an archive of another kind"),
    (rb"(RDX|RDA|RDB)[23]\n|X\n\0\0\0[\x02\x03]", "an R data file"),
    (rb"PARE", "an encrypted Parquet file"),
    (rb"FEA1", "a Feather file of the first version"),
    (rb"OggS|ID3|fLaC", "a sound file"),
    (rb".{257}ustar", "a tar archive"),
    (rb"Obj\x01", "an Avro file"),
    (rb"\x93NUMPY", "an array of NumPy"),
    (rb"<stata_dta>|[\x71-\x73][\x01\x02]\x01\0", "a Stata file"),
    (rb"\$FL[23]@\(#\)", "an SPSS file"),
    (rb"\xcf\xfa\xed\xfe|\x7fELF|MZ[\x80\x90]\0", "a program"),
    (rb"ORC", "an ORC file"),
)
"""What cannot be read, and its beginning; `ORC` counts only before bytes that are no text."""
_WEB_PAGE = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype html|html|head|script|body)\b", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(rb"<title[^>]*>\s*(.{1,200}?)\s*</title>", re.IGNORECASE | re.DOTALL)
_POINTERS = (
    (b"version https://git-lfs.github.com/", "Git LFS", "git lfs pull"),
    (b"/annex/objects/", "git-annex", "git annex get"),
)


def tell_kind(head: bytes) -> Kind:
    """Tell what a file is from its first bytes: text where they say nothing else."""
    return next((kind for start, kind in _KINDS if re.match(start, head)), "text")


def name_foreigner(head: bytes) -> str | None:
    """Say what a file is that holds no table which can be read, and what to do; None where it may hold one."""
    for start, what in _FOREIGN:
        if re.match(start, head, re.DOTALL) and (what != "an ORC file" or b"\0" in head[:200]):
            return f"is {what}. Save its table as CSV"
    plain = head.removeprefix(b"\xef\xbb\xbf")
    if _WEB_PAGE.match(plain):
        title = _TITLE.search(plain)
        named = f" ({' '.join(title[1].decode('utf-8', 'replace').split())!r})" if title else ""
        return f"is a web page{named}, perhaps a login page: download the file itself"
    for start_of_text, tool, command in _POINTERS:
        if plain.startswith(start_of_text):
            return f"is a pointer of {tool} and not the data: fetch them with '{command}'"
    if plain.startswith(b"<?xml"):
        return "is an XML file. Save its table as CSV"
    return None
