"""The notebook's own kind of file from Kaggle, with its checksum recorded beside it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from energyknn._shared.saving import staged_file
from energyknn.errors import DataFileError, import_extra
from energyknn.loading import hash_file

DATASET = "yamaerenay/spotify-dataset-19212020-160k-tracks"
FILE = "data.csv"


class Fetched(NamedTuple):
    """A fetched file: its `path`, its `sha256`, and the `record` of where it came from."""

    path: Path
    sha256: str
    record: Path


def fetch_tracks(path: str | Path, *, sha256: str | None = None) -> Fetched:
    """Download the file through kagglehub and record its checksum.

    Its author has replaced the notebook's file since, so its rows may differ.

    Parameters
    ----------
    path : str or Path
        Where the file goes. `<path>.source.json`, beside it, records the data set, the time and the checksum.
    sha256 : str or None, default=None
        Refuse a file with another checksum; None takes the one in an earlier record beside `path`, if there is one.

    Returns
    -------
    Fetched
        Where it is, and its checksum.

    Raises
    ------
    ImportError
        If the extra `kaggle` is not installed.
    ConnectionError
        If Kaggle cannot be reached or refuses the data set.
    DataFileError
        If the checksum is not the expected one; the file at `path` stays as it was.
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    record = path.with_name(path.name + ".source.json")
    recorded = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    expected = sha256 or recorded.get("sha256")
    downloaded = _download()
    found = hash_file(downloaded)
    if expected and found != expected:
        message = (
            f"{DATASET}/{FILE} has SHA-256 {found}, but {expected} was expected. "
            f"The author changed the file; remove {record.name!r} to accept it."
        )
        raise DataFileError(message)
    with staged_file(path) as staged:
        shutil.copyfile(downloaded, staged)
    fetched = datetime.now(UTC).isoformat(timespec="seconds")
    source = {"dataset": DATASET, "file": FILE, "sha256": found, "fetched": fetched}
    with staged_file(record) as staged:
        staged.write_text(json.dumps(source, indent=1) + "\n", encoding="utf-8")
    return Fetched(path, found, record)


def _download() -> Path:
    kagglehub = import_extra("kagglehub", extra="kaggle")
    try:
        return Path(kagglehub.dataset_download(DATASET, path=FILE))
    except Exception as error:  # kagglehub raises its own, requests' and urllib3's errors; all mean: no file
        reason = " ".join(str(error).split())[:200]
        message = (
            f"Kaggle did not give {DATASET}/{FILE} ({type(error).__name__}: {reason}). Check the network, or download "
            "it by hand and name it with --data."
        )
        raise ConnectionError(message) from error
