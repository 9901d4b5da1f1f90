"""A journal of finished units in a folder of the user, so that a run that was ended can go on from there."""

from __future__ import annotations

import hashlib
import inspect
import io
import json
from collections.abc import Mapping
from functools import partial
from types import CodeType, FunctionType
from typing import Any
from uuid import uuid4

import joblib
import numpy as np
from numpy.typing import NDArray

import energyknn
from energyknn.errors import JournalError, import_extra

_MANIFEST = "manifest.json"
_FORMAT = "2"  # changes where the records change, or what a unit is
_MAGIC = b"energyknn unit 1\n"
_N_NAMED = 5


class Journal:
    """Finished units, one file each; made by `open_journal`.

    A file is written under a name that no other run uses, and then renamed. It begins with a checksum, so a file that
    was cut short or damaged is noticed and counts as not written.
    """

    def __init__(self, filesystem: Any, folder: str) -> None:
        self._filesystem, self._folder = filesystem, folder

    def read(self, key: str) -> dict[str, NDArray[Any]] | None:
        """Return the result of a unit, or None where it was not finished or its record is damaged."""
        try:
            record = self._filesystem.cat_file(f"{self._folder}/{key}.unit")
        except FileNotFoundError:
            return None
        head, content = record[: len(_MAGIC) + 64], record[len(_MAGIC) + 64 :]
        if head != _MAGIC + _checksum(content):
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)

    def write(self, key: str, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Write the result of a unit; raise JournalError if the file cannot be written."""
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **arrays)
        data = content.getvalue()
        self._put(f"{key}.unit", _MAGIC + _checksum(data) + data)

    def _put(self, name: str, data: bytes) -> None:
        """Write a file under another name and rename it."""
        aside = f"{self._folder}/.{name}.{uuid4().hex}.part"
        try:
            self._filesystem.pipe_file(aside, data)
            self._filesystem.mv(aside, f"{self._folder}/{name}")
        except OSError as error:
            message = f"The journal's folder {self._folder!r} cannot be written: {error}. Name another, or free it."
            raise JournalError(message) from error

    def claim(self, study: Mapping[str, str]) -> None:
        """Write down what the results depend on, or check that it is the same.

        Raises JournalError if the folder belongs to another study or to something else, or cannot be written.
        """
        study = {"format": _FORMAT, **study}
        try:
            self._filesystem.makedirs(self._folder, exist_ok=True)
            known = self._read_manifest()
        except OSError as error:
            message = f"The journal's folder {self._folder!r} cannot be used: {error}. Name another."
            raise JournalError(message) from error
        if not known:
            self._put(_MANIFEST, json.dumps(study, indent=1).encode())
            known = self._read_manifest()  # another run may have been first, or last
        differing = [name for name in {**study, **known} if known.get(name) != study.get(name)]
        if differing:
            differences = "; ".join(
                f"{name}: {known.get(name, 'nothing')} there, {study.get(name, 'nothing')} here"
                for name in differing[:_N_NAMED]
            )
            message = (
                f"The journal in {self._folder!r} belongs to another study ({differences}; {len(differing)} in all). "
                "Give it the same data and options, or name a new folder."
            )
            raise JournalError(message)

    def _read_manifest(self) -> dict[str, str]:
        """Read what the results depend on; nothing where the folder holds only what a killed run left."""
        try:
            return dict(json.loads(self._filesystem.cat_file(f"{self._folder}/{_MANIFEST}")))
        except FileNotFoundError:
            names = [entry.rsplit("/", 1)[-1] for entry in self._filesystem.ls(self._folder, detail=False)]
            others = sorted(name for name in names if name and not name.endswith(".part"))
            if not others:
                return {}
            message = (
                f"The folder {self._folder!r} holds {', '.join(others[:_N_NAMED])} ({len(others)} files) and no "
                "journal. A journal needs a folder of its own: name an empty or a new one."
            )
            raise JournalError(message) from None
        except ValueError as error:
            message = (
                f"{self._folder}/{_MANIFEST} is not the manifest of a journal ({error}). Name an empty or a new folder."
            )
            raise JournalError(message) from error


def open_journal(address: str, study: Mapping[str, Any]) -> Journal:
    """Open the journal of a study, or begin one.

    Parameters
    ----------
    address : str
        A folder of its own, which is made if it is not there: a path, or another address of fsspec, such as
        ``s3://bucket/folder``.
    study : mapping of str to object
        What the results depend on, by name: data and options. `describe_value` tells them apart.

    Returns
    -------
    Journal
        To read finished units from, and to write others to.

    Raises
    ------
    ImportError
        If fsspec is not installed.
    JournalError
        If the folder cannot be written, or holds another study's journal or other files.

    Notes
    -----
    Two runs of one study may share a folder: they write the same bits, and each file is replaced as a whole. Reading a
    journal runs no code from it.
    """
    fsspec = import_extra("fsspec", extra="ray")
    try:
        filesystem, folder = fsspec.core.url_to_fs(str(address))
    except (ImportError, ValueError) as error:
        message = f"journal is {address!r}, which fsspec cannot open: {error}."
        raise JournalError(message) from error
    journal = Journal(filesystem, folder.rstrip("/"))
    versions = {"energyknn": energyknn.__version__, "numpy": np.__version__}
    journal.claim({name: describe_value(value) for name, value in {**versions, **study}.items()})
    return journal


def describe_value(value: Any) -> str:
    """Describe a value so that a different value has a different description.

    Numbers and texts are returned as they are. Arrays, functions, estimators and whatever else can be pickled are
    returned as a hash. The hash of a function depends on its name, code, defaults and enclosed values, but not on the
    functions that it calls.

    Examples
    --------
    >>> describe_value(5), describe_value("r2")
    ('5', 'r2')
    """
    if value is None or isinstance(value, bool | int | float | np.number):
        return repr(value)
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest = hashlib.sha256(np.ascontiguousarray(value).data.cast("B") if value.size else b"").hexdigest()
        return f"{'x'.join(map(str, value.shape))} {value.dtype} {digest}"
    return str(joblib.hash(_open_functions(value), hash_name="sha1"))


def _open_functions(value: Any) -> Any:
    """Replace functions by what tells them apart, since they are pickled by their names alone."""
    if isinstance(value, FunctionType):
        closure = inspect.getclosurevars(value).nonlocals
        parts = (value.__defaults__, value.__kwdefaults__, dict(closure))
        return (value.__module__, value.__qualname__, _open_functions(value.__code__), _open_functions(parts))
    if isinstance(value, CodeType):
        return (value.co_code, [_open_functions(item) for item in value.co_consts], value.co_names)
    if isinstance(value, partial):
        return ("partial", *map(_open_functions, (value.func, value.args, value.keywords)))
    if isinstance(value, Mapping):
        return {key: _open_functions(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(joblib.hash(_open_functions(item)) for item in value)  # a set has no order that stays
    if type(value) in (list, tuple):
        return [_open_functions(item) for item in value]
    return value


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
