"""Folders for compiled kernels. A kernel is run as it is read, so it is kept where nobody else can put one."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

_FOLDER_VARIABLE = "NUMBA_CACHE_DIR"


def find_writable_folder(source: Path) -> Path | None:
    """Find the folder in which kernels of a source file can be kept; return None if there is none.

    It is where NUMBA_CACHE_DIR says, beside the source, in the user's cache, or a folder under the temporary one that
    only this user can read and write: the first in which a file can be made.
    """
    for find in (_find_chosen, _find_beside, _find_users, _find_private):
        with suppress(OSError, RuntimeError):
            folder = find(source)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()
                return folder
    return None


def _find_beside(source: Path) -> Path:
    """Return the folder where Python keeps what it compiles."""
    return source.parent / "__pycache__"


def _find_chosen(source: Path) -> Path | None:
    """Return the folder that the environment names."""
    chosen = os.environ.get(_FOLDER_VARIABLE)
    return _name_folder(Path(chosen), source) if chosen else None


def _find_users(source: Path) -> Path:
    """Return the user's cache folder; require a home of their own."""
    parents = {
        "win32": os.environ.get("LOCALAPPDATA", "~/AppData/Local"),
        "darwin": "~/Library/Caches",
    }
    parent = parents.get(sys.platform) or os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = _name_folder(Path(parent).expanduser() / "energyknn", source)
    if not folder.is_absolute():
        message = "There is no home."
        raise FileNotFoundError(message)
    folder.mkdir(parents=True, exist_ok=True)
    require_own(folder, kept_from=stat.S_IWOTH)
    return folder


def _find_private(source: Path) -> Path:
    """Return a folder under the temporary one; require that nobody else can use it."""
    return _name_folder(make_private_folder(), source)


def _name_folder(parent: Path, source: Path) -> Path:
    """Name a folder for one room of one installation."""
    return parent / f"{source.parent.name}_{sha256(os.fsencode(source.parent)).hexdigest()[:40]}"


def find_private_folder() -> Path:
    """Return the folder for a user who can write neither the package nor a home."""
    with suppress(FileNotFoundError):
        return Path(tempfile.gettempdir()) / f"energyknn-{_find_user()}"
    return Path(os.devnull) / "nowhere"


def make_private_folder() -> Path:
    """Make that folder; require that nobody else can read, write or replace it."""
    private = find_private_folder()
    _require_safe(private.parent)
    with suppress(FileExistsError):
        private.mkdir(mode=0o700)
    require_own(private, kept_from=stat.S_IRWXG | stat.S_IRWXO)
    return private


def _find_user() -> int | None:
    """Return the number of the user, where files have owners."""
    return os.geteuid() if hasattr(os, "geteuid") else None


def require_own(folder: str | Path, *, kept_from: int) -> None:
    """Require a folder, not a link to one, that belongs to this user and that others can use no more than allowed."""
    found = os.lstat(folder)
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == _find_user() and not found.st_mode & kept_from
    if _find_user() is not None and not is_ours:
        message = f"{folder} is open to others"
        raise PermissionError(message)


def _require_safe(folder: Path) -> None:
    """Require a folder in which no other user can replace what is there."""
    found = folder.stat()
    is_shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX
    if _find_user() is not None and (is_shared or found.st_uid not in (0, _find_user())):
        message = f"others can replace what is in {folder}"
        raise PermissionError(message)
