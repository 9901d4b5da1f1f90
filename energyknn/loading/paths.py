"""Where the sample lies, and the checksum of a file."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

from energyknn.loading.sources import split_path


def sample_path() -> Path:
    """Return the path of the sample: a CSV file of 2,000 synthetic tracks that is installed with the package.

    Returns
    -------
    Path
        An existing CSV file.

    Raises
    ------
    FileNotFoundError
        If the installation lacks the file.

    See Also
    --------
    load_table : Read it.

    Examples
    --------
    >>> sample_path().name
    'tracks.csv'
    """
    package = Path(str(files("energyknn")))
    for folder in (package / "data_sample", package.parent / "data_sample"):
        if (folder / "tracks.csv").is_file():
            return folder / "tracks.csv"
    message = f"No sample beside {package}: the installation is incomplete. Reinstall energyknn or name a data file."
    raise FileNotFoundError(message)


def hash_file(path: str | Path) -> str:
    """Return the checksum of a file, in constant memory.

    Parameters
    ----------
    path : str or Path
        A file. Where the path goes on inside an archive, the archive is meant.

    Returns
    -------
    str
        The SHA-256, 64 hexadecimal digits.

    See Also
    --------
    read_file : Reads the same paths.

    Examples
    --------
    >>> len(hash_file(sample_path()))
    64
    """
    with split_path(path)[0].open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
