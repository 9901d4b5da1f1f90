"""The sessions of the noxfile: continuous integration runs sessions that exist, on the Pythons that are supported."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path

import yaml
from check_archives import IN_WHEEL
from check_archives import main as check_archives
from nox_sessions import NOXFILE, list_sessions

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def list_jobs():
    """List the jobs of all workflows."""
    return [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()]


def list_matrix(key):
    """List what the jobs of all workflows run with, such as their sessions."""
    return [value for job in list_jobs() for value in job["strategy"]["matrix"].get(key, [])]


def list_run_by_ci():
    """List the sessions that .ci/run runs, in order."""
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    return [name for line in re.findall(r"\bnox -s (.*)$", text, re.MULTILINE) for name in line.split()]


def test_every_session_that_ci_runs_exists():
    run = list_run_by_ci()
    assert run[-1] == "tests"
    assert len(run) == len(set(run))
    assert {"lint", "typecheck", "docs", "tests_slow", "tests_torch", "tests_full"} <= set(run)
    assert {"ray_cpu", "tune_sklearn"} <= set(run)
    assert set(run) <= list_sessions()


def test_every_session_of_the_workflows_exists():
    assert set(list_matrix("session")) <= list_sessions()
    assert set(list_run_by_ci()) - {"tests_full"} <= set(list_matrix("session"))
    for job in list_jobs():
        (command,) = [step["run"] for step in job["steps"] if "run" in step]
        assert command in {"uvx nox -s ${{ matrix.session }}", "uvx nox -s pythons-${{ matrix.python }}"}


def test_the_workflows_run_on_every_supported_python_and_system():
    supported = [
        name.rpartition(" ")[2] for name in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", name)
    ]
    assert list_matrix("python") == supported
    assert PROJECT["project"]["requires-python"] == f">={supported[0]}"
    assert {name.partition("-")[0] for name in list_matrix("system")} == {"ubuntu", "macos", "windows"}


def test_the_noxfile_is_short_and_tests_are_run_by_default():
    assert len(NOXFILE.splitlines()) < 200
    assert 'nox.options.sessions = ["lint", "typecheck", "tests"]' in NOXFILE


def test_the_noxfile_finds_the_markers_that_pytest_selects():
    *_, option, markers = PROJECT["tool"]["pytest"]["ini_options"]["addopts"]
    assert option == "-m"
    assert markers.endswith("and not slow")


def test_what_an_archive_lacks_is_named(tmp_path, capsys):
    path = tmp_path / "energyknn-1-py3-none-any.whl"
    for names, status in ((IN_WHEEL, 0), (IN_WHEEL[:-1], 1)):
        with zipfile.ZipFile(path, "w") as wheel:
            for name in names:
                wheel.writestr(name, "")
        assert check_archives([str(path)]) == status
    assert "lacks licenses/LICENSE" in capsys.readouterr().out
