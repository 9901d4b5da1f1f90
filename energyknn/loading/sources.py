"""Find what holds the table: the file, or a file in an archive, decompressed within a size limit.

A path may go on inside an archive or a workbook: `archive.zip/tracks.csv`, `book.xlsx/Sheet2`. Nothing is unpacked to
disk.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from energyknn.errors import DataFileError, import_extra
from energyknn.loading.kinds import COMPRESSED, HEAD, Kind, name_foreigner, tell_kind

ALWAYS_ALLOWED = 1 << 26  # bytes that any compressed file may expand to
_MOST_LAYERS = 4
_SHOWN = 5
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")
_KIND_OF_ENDING: dict[str, tuple[str, str]] = {
    ".gz": ("gzip", "compressed by gzip"),
    ".zst": ("zst", "compressed by Zstandard"),
    ".bz2": ("bz2", "compressed by bzip2"),
    ".xz": ("xz", "compressed by xz"),
    ".zip": ("zip", "a zip archive"),
    ".parquet": ("parquet", "a Parquet file"),
    ".pq": ("parquet", "a Parquet file"),
    ".feather": ("feather", "a Feather file"),
    ".arrow": ("feather", "a Feather file"),
    ".xlsx": ("excel", "an Excel file"),
    ".xlsm": ("excel", "an Excel file"),
}
"""What an ending promises. A file whose ending promises nothing is text."""
_LIKELY = (".csv", ".tsv", ".parquet", ".pq", ".feather", ".arrow", ".xlsx", ".jsonl", ".ndjson")
_POSSIBLE = (".txt", ".json", ".data", ".tab")
_NEVER = ("readme", "license", "licence", "copying", "changelog", "notice", "dataset-metadata", "datapackage")


@dataclass(frozen=True)
class Source:
    """Bytes that hold a table, and how they were found.

    `open` gives a stream at each call, `limit` is how many bytes it may give, and `inside` is the rest of the path: the
    name of a sheet. `path` is the file on the disk where the stream is that file's own.
    """

    name: str
    open: Callable[[], AbstractContextManager[BinaryIO]]
    limit: int
    inside: str
    ending: str
    kind: str = ""
    path: Path | None = None
    notes: tuple[str, ...] = ()

    def read_all(self) -> bytes:
        """Return all bytes."""
        with self.open() as stream:
            return stream.read()

    @contextmanager
    def open_seekable(self) -> Iterator[BinaryIO]:
        """Open the bytes so that a reader may go back and forth."""
        if self.path is not None:
            with self.path.open("rb") as stream:
                yield stream
        else:
            yield io.BytesIO(self.read_all())


def split_path(path: str | Path) -> tuple[Path, str]:
    """Split a path that goes on inside a file: into the file, and the rest as text."""
    path = Path(path)
    for file in (path, *path.parents):
        if file.is_file():
            return file, path.relative_to(file).as_posix() if file != path else ""
    return path, ""


def find_source(path: str | Path, max_expansion: float) -> Source:
    """Find the bytes that hold the table of a file, below all compression."""
    file, inside = split_path(path)
    if file.is_dir():
        message = f"{str(file)!r} is a folder. Name a file in it."
        raise DataFileError(message)
    if not file.is_file():
        message = f"No file at {str(file)!r}. Check the path."
        raise DataFileError(message)
    limit = max(ALWAYS_ALLOWED, int(max_expansion * file.stat().st_size))
    source = Source(file.name, lambda: file.open("rb"), limit, inside, file.suffix.lower(), path=file)
    for _ in range(_MOST_LAYERS):
        kind, members = _look_at(source)
        source = _note_kind(source, kind)
        if kind in COMPRESSED:
            source = _decompress(source, kind)
        elif kind == "zip":
            source = _choose_member(source, members)
        elif source.inside and kind != "excel":
            message = f"{source.name!r} is one table, and holds no {source.inside!r}. Name the file alone."
            raise DataFileError(message)
        else:
            return replace(source, kind=kind)
    message = f"{file.name!r} is compressed more than {_MOST_LAYERS - 1} times. Decompress it first."
    raise DataFileError(message)


def check_limit(n_bytes: int, source: Source) -> None:
    """Require a decompressed size within the limit."""
    if n_bytes > source.limit:
        message = (
            f"{source.name!r} holds more than {source.limit:,} bytes once it is decompressed, like a file made to fill "
            "the memory. If you trust it, write it as plain CSV first, or raise max_expansion of load_table."
        )
        raise DataFileError(message)


def _look_at(source: Source) -> tuple[Kind | str, list[zipfile.ZipInfo]]:
    """Tell what a source is, and what it holds if it is an archive."""
    with source.open() as stream:
        head = stream.read(HEAD)
    if not head:
        message = f"{source.name!r} is empty. It needs a header line and rows."
        raise DataFileError(message)
    what = name_foreigner(head)
    kind: str = tell_kind(head)
    members: list[zipfile.ZipInfo] = []
    if kind == "zip":
        with source.open_seekable() as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
        names = {member.filename for member in members}
        if "xl/workbook.xml" in names:
            kind = "excel"
            check_limit(sum(member.file_size for member in members), source)
        elif "[Content_Types].xml" in names or "mimetype" in names:
            what = "is an office document without a sheet that can be read. Save its table as CSV or .xlsx"
    if what:
        message = f"{source.name!r} {what}."
        raise DataFileError(message)
    return kind, members


def _note_kind(source: Source, kind: str) -> Source:
    """Note where the name of a file says something else than its bytes."""
    promised, _ = _KIND_OF_ENDING.get(source.ending, ("text", "text"))
    if kind == promised:
        return source
    names = dict(_KIND_OF_ENDING.values())
    if promised in {"parquet", "feather", "excel"}:
        article = names[promised].split(" ", 1)[1]
        message = f"{source.name!r} is not a whole {article}. Fetch or write it again."
        raise DataFileError(message)
    note = f"{source.name!r} is {names.get(kind, 'not compressed')}, whatever its name says."
    return replace(source, notes=(*source.notes, note), ending="")


def _decompress(source: Source, kind: str) -> Source:
    """Return what a compressed source holds."""

    @contextmanager
    def open_bounded() -> Iterator[BinaryIO]:
        with ExitStack() as opened:
            outer = opened.enter_context(source.open())
            stream = opened.enter_context(_open_compressed(outer, kind))
            yield io.BufferedReader(_Bounded(stream, source), 1 << 18)

    ending = Path(source.name).stem if source.ending in _PACKED else source.name
    return replace(source, open=open_bounded, ending=PurePosixPath(ending).suffix.lower(), path=None)


def _open_compressed(stream: Any, kind: str) -> Any:
    """Open a compressed stream."""
    if kind == "zst":
        arrow = import_extra("pyarrow", extra="formats")
        return arrow.CompressedInputStream(arrow.PythonFile(stream, mode="r"), "zstd")
    openers: dict[str, Callable[..., Any]] = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
    return openers[kind](stream, "rb")


def _choose_member(source: Source, members: list[zipfile.ZipInfo]) -> Source:
    """Return the one table of an archive, or the one that the path names."""
    member, inside = _find_member([member for member in members if not member.is_dir()], source)

    @contextmanager
    def open_bounded() -> Iterator[BinaryIO]:
        with ExitStack() as opened:
            outer = opened.enter_context(source.open_seekable())
            archive = opened.enter_context(zipfile.ZipFile(outer))
            stream = opened.enter_context(archive.open(member))
            yield io.BufferedReader(_Bounded(stream, source), 1 << 18)

    name = source.name if len(members) == 1 else f"{source.name}/{member.filename}"
    ending = PurePosixPath(member.filename).suffix.lower()
    return replace(source, name=name, open=open_bounded, inside=inside, ending=ending, path=None)


def _find_member(members: list[zipfile.ZipInfo], source: Source) -> tuple[zipfile.ZipInfo, str]:
    """Find the table of an archive, and the rest of the path below it.

    The path names it in full, or by its last part where no other file has the same.
    """
    if not source.inside:
        return _find_only_table(members, source), ""
    for member in members:
        if source.inside == member.filename or source.inside.startswith(f"{member.filename}/"):
            return member, source.inside[len(member.filename) + 1 :]
    named = [member for member in members if PurePosixPath(member.filename).name == source.inside]
    if len(named) == 1:
        return named[0], ""
    message = f"{source.name!r} holds no {source.inside!r}. It holds {_list_members(members)}."
    raise DataFileError(message)


def _find_only_table(members: list[zipfile.ZipInfo], source: Source) -> zipfile.ZipInfo:
    """Find the one file of an archive that is a table by its name, or the one file that there is."""
    visible = [
        member
        for member in members
        if not (_lower_name(member.filename).startswith(".") or "__MACOSX" in PurePosixPath(member.filename).parts)
    ]
    others = [member for member in visible if not _lower_name(member.filename).startswith(_NEVER)]
    for endings in (_LIKELY, _POSSIBLE):
        tables = [member for member in others if _ending(member.filename) in endings]
        if tables:
            break
    else:
        tables = others or visible
    if len(tables) == 1:
        return tables[0]
    if not tables:
        message = f"{source.name!r} holds 0 files. It must hold one table: unpack it and name that."
    else:
        first = f"{source.name}/{tables[0].filename}"
        message = f"{source.name!r} holds {len(tables)} files: {_list_members(tables)}. Name one, as in {first!r}."
    raise DataFileError(message)


def _lower_name(name: str) -> str:
    return PurePosixPath(name).name.lower()


def _ending(name: str) -> str:
    """Return the ending of a name below that of its compression."""
    path = PurePosixPath(name.lower())
    return PurePosixPath(path.stem).suffix if path.suffix in _PACKED else path.suffix


def _list_members(members: list[zipfile.ZipInfo]) -> str:
    """Name the first files of an archive."""
    more = f" and {len(members) - _SHOWN} more" if len(members) > _SHOWN else ""
    return ", ".join(repr(member.filename) for member in members[:_SHOWN]) + more


class _Bounded(io.RawIOBase):
    """A decompressed stream that ends with an error beyond a size limit."""

    def __init__(self, stream: Any, source: Source) -> None:
        self._stream, self._source, self._n_given = stream, source, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        self._n_given += len(content)
        check_limit(self._n_given, self._source)
        buffer[: len(content)] = content
        return len(content)
