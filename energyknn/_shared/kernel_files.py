"""Compiled kernels on disk: Numba's cache, in a folder that can be written, of files that are whole and up to date.

Cache files are pickles, which run code when they are read. So they are kept where nobody else can put them.
"""
# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import logging
import stat
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba.core import caching

from energyknn._shared.kernel_folders import find_private_folder, make_private_folder, require_own
from energyknn._shared.machine_code import require_compiling

_SEAL = sha256().digest_size
_STEPS = Path(__file__).parents[1] / "neighbors" / "engines" / "blocked"
_LOG = logging.getLogger(__name__)


class _UserFolder(caching.UserWideCacheLocator):
    """The user's cache folder, if there is a user with a home of their own."""

    def ensure_cache_path(self) -> None:
        folder = Path(self.get_cache_path())
        if not folder.is_absolute():
            message = "There is no home."
            raise FileNotFoundError(message)
        super().ensure_cache_path()
        require_own(folder, kept_from=stat.S_IWOTH)


class _PrivateFolder(caching.InTreeCacheLocator):
    """A folder under the temporary one that only this user can read and write."""

    def __init__(self, py_func: Any, py_file: str) -> None:
        super().__init__(py_func, py_file)
        self._private = find_private_folder()
        self._cache_path = str(self._private / self.get_suitable_cache_subpath(py_file))

    def ensure_cache_path(self) -> None:
        make_private_folder()
        super().ensure_cache_path()


class _Kernel(caching.CompileResultCacheImpl):
    """Numba's way to keep a compiled function, in the first folder that can be written."""

    _locator_classes = [  # noqa: RUF012 - Numba's name and type
        *(_UserFolder if kind is caching.UserWideCacheLocator else kind for kind in caching.CacheImpl._locator_classes),
        _PrivateFolder,
    ]


class _SealedFiles(caching.IndexDataCacheFile):
    """The index and the data files of one kernel. Each ends with its checksum, and data name what they belong to."""

    def load(self, key: Any) -> Any:
        """Load what was compiled; return None, and delete the files, if they are damaged."""
        try:
            found = super().load(key)
            if found is None or found[:2] == (self._source_stamp, key):
                return found and found[2]
        except OSError:
            return None
        except Exception as error:  # a damaged pickle may raise anything
            _LOG.debug("%s: %r", self._index_path, error)
        self.discard()
        return None

    def save(self, key: Any, data: Any) -> None:
        """Save what was compiled."""
        super().save(key, (self._source_stamp, key, data))

    def discard(self) -> None:
        """Delete the files, where they can be deleted."""
        kernel = self._index_name.removesuffix("nbi")
        with suppress(OSError):
            for path in Path(self._cache_path).iterdir():
                if path.name.startswith(kernel):
                    path.unlink(missing_ok=True)

    def _dump(self, obj: Any) -> bytes:
        content: bytes = super()._dump(obj)
        return content + sha256(content).digest()

    def _load_index(self) -> Any:
        if Path(self._index_path).exists():
            head = caching.pickle.dumps(self._version, protocol=-1)  # type: ignore[attr-defined]  # as Numba writes it
            _require_seal(self._index_path, head)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _require_seal(self._data_path(name), b"")
        return super()._load_data(name)


def _require_seal(path: str, head: bytes) -> None:
    """Require a file that begins with `head` and ends with the checksum of what lies between."""
    content = Path(path).read_bytes()
    if not content.startswith(head) or sha256(content[len(head) : -_SEAL]).digest() != content[-_SEAL:]:
        message = f"{path} is damaged"
        raise ValueError(message)


class KernelCache(caching.FunctionCache):
    """Numba's cache of one kernel, which never keeps a search from its result.

    A kernel is loaded from the folder where new ones are kept, or else from the installation's own, which may hold
    them though it cannot be written. Where no folder can be written, where the disk is full, and where a file is
    damaged, it is compiled.

    Attributes
    ----------
    folder : Path or None
        Where new kernels are kept; None where no folder can be written.
    """

    _impl_class = _Kernel

    def __init__(self, py_func: Any) -> None:
        self.folder: Path | None = None
        self._cache_path: str | None = None
        self._files: list[_SealedFiles] = []
        try:
            super().__init__(py_func)
        except (RuntimeError, OSError):  # no folder
            return
        self.folder = Path(self._impl.locator.get_cache_path())
        room = Path(py_func.__code__.co_filename).parent
        stamp = self._impl.locator.get_source_stamp(), _hash_steps(room)
        installed = room / "__pycache__"
        self._files = [
            _SealedFiles(str(folder), self._impl.filename_base, stamp)
            for folder in dict.fromkeys((self.folder, installed))
        ]

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load what was compiled for a signature; return None if it is not there, or damaged in any way."""
        for file in self._files:
            self._cache_file = file
            try:
                found = super().load_overload(sig, target_context)
            except Exception as error:  # so may a damaged kernel
                _LOG.debug("%s: %r", self, error)
                file.discard()
            else:
                if found is not None:
                    return found
        require_compiling()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save what was compiled, where it can be saved."""
        if self._files:
            self._cache_file = self._files[0]
            with suppress(OSError):
                super().save_overload(sig, data)


@cache
def _hash_steps(room: Path) -> str:
    """Hash the files whose steps are compiled into a room's kernels: the blocked engine's, and those of the room."""
    contents = (path.read_bytes() for path in sorted({*_STEPS.glob("*.py"), *room.glob("*.py")}))
    return sha256(b"".join(contents)).hexdigest()
