"""The comparison of two saved benchmark runs: a slowdown beyond the threshold fails, and nothing else does."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "compare_runs.py"


def save(path, **medians):
    cases = [{"fullname": name, "stats": {"median": median}} for name, median in medians.items()]
    path.write_text(json.dumps({"benchmarks": cases}))
    return str(path)


@pytest.mark.parametrize(("after", "status"), [(1.0, 0), (1.2, 0), (0.5, 0), (1.3, 1), (9.0, 1)])
def test_a_slowdown_beyond_the_threshold_fails(tmp_path, after, status):
    runs = save(tmp_path / "a.json", fit=1.0, old=1.0), save(tmp_path / "b.json", fit=after, new=5.0)
    done = subprocess.run([sys.executable, str(SCRIPT), *runs], capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert f"{after:7.3f}  fit" in done.stdout
    assert done.stdout.count("only in one run") == 2


def test_runs_without_a_common_case_cannot_be_compared(tmp_path):
    runs = save(tmp_path / "a.json", one=1.0), save(tmp_path / "b.json", two=1.0)
    assert subprocess.run([sys.executable, str(SCRIPT), *runs], capture_output=True, check=False).returncode == 2
