"""What a report needs: it is drawn in the barest container too, without a word."""

from __future__ import annotations

import pytest
from children import run_python
from made_homes import make_homes

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

ONLY_THE_REPORTS_FOLDER = """
import sys, tempfile
import _multiprocessing

def fail(*_, **__):
    raise OSError(30, "Read-only file system")

tempfile._candidate_tempdir_list = lambda: []
_multiprocessing.SemLock = fail
from energyknn.__main__ import main
sys.argv[0] = "energyknn"
raise SystemExit(main())
"""


@pytest.mark.medium
@pytest.mark.parametrize(
    ("command", "written"),
    [
        (["reproduce", "--no-honest", "--out", "."], ["model.safetensors", "pictures", "report.html", "results.json"]),
        (["tune", "--report", "page.html"], ["page.html", "page.json"]),
    ],
    ids=["reproduce", "tune"],
)
def test_a_report_is_drawn_where_only_its_own_folder_can_be_written(tmp_path, monkeypatch, command, written):
    """As in a container whose root is read-only, without shared memory, for a user without a home."""
    make_homes(120, empty=0).to_csv(tmp_path / "homes.csv", index=False)
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    options = ["--data", "../homes.csv", "--target", "price", "--n-neighbors", "1:5", "--quiet"]
    nowhere = dict.fromkeys(["HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"], "/dev/null")
    done = run_python(ONLY_THE_REPORTS_FOLDER, *command, *options, **nowhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == written
