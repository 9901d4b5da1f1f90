"""Everything a contributor runs. `nox -l` lists it; `nox` alone runs lint, typecheck and tests."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["lint", "typecheck", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT, max_version="3.14")  # the newest that every dependency has wheels for
MARKED = PROJECT["tool"]["pytest"]["ini_options"]["addopts"][-1]  # the markers of the tests that `pytest` runs
ON_REAL_FILE = "" if os.environ.get("ENERGYKNN_DATA") else " and not full_data"
WITH_TORCH = {"all", "gpu", "arena-torch"}  # extras that no lock holds
LOCKED, LOWEST = "locks/development.txt", "locks/lowest.txt"
ADVISORIES = "https://pypi.org/pypi/pip/24.0/json"  # what pip-audit asks, for one package


def groups(*names: str) -> list[str]:
    """Return the requirements of the named dependency groups."""
    return nox.project.dependency_groups(PROJECT, *names)


def define(
    name: str, tells: str, needs: Sequence[str], *commands: str, otherwise: Sequence[str] = (), **options: Any
) -> None:
    """Define a session: install what it needs, then run commands. The last gets what follows `--`, or `otherwise`."""

    def run(session: nox.Session) -> None:
        session.install(*needs)
        for command in commands[:-1]:
            session.run(*shlex.split(command))
        session.run(*shlex.split(commands[-1]), *(session.posargs or otherwise))

    run.__doc__ = tells
    nox.session(run, name=name, **options)


TEST = groups("test")
TESTED = ["-e", ".[report,formats]", *TEST]
# uv does not look where a CPU build of torch may lie, so sessions with torch use pip; the pin is for them alone.
TORCH = ["torch==2.13.0", "-e", ".[formats,ray]", *TEST]

# fmt: off
# Each session in two lines: its name and what it does; what it installs and what it runs.
define("reproduce", "Run the whole study on the committed sample, or as `-- --data FILE ...` says.",
       [".[report,formats]"], "energyknn reproduce")
define("quick", "Run the fast tests of everything, in under a minute: at each save.",
       TESTED, f"pytest -n auto --maxprocesses 8 --dist worksteal --benchmark-disable -m '{MARKED} and not medium'")
define("tests", "Run the tests with branch coverage: all but the slow ones and what needs Ray, a GPU or the real file.",
       TESTED, "pytest", otherwise=["--cov"])
define("tests_slow", "Run the slow tests, which `tests` leaves out.",
       TESTED, f"pytest -m '{MARKED.replace('not slow', 'slow')}'")
define("tests_full", "Run the tests on the real file that ENERGYKNN_DATA names.",
       TESTED, "pytest -m 'full_data and not ray'")
define("tests_torch", "Test and time the torch engine on the CPU, and on a Ray node that declares a GPU.",
       TORCH, "pytest benchmarks/test_gpu.py --size=smoke --benchmark-only",
       "pytest tests/neighbors tests/cluster -k torch -m 'not gpu and not full_data'", venv_backend="venv")
define("ray_cpu", "Run what runs on Ray: on this machine's cores, and on a cluster of three nodes that loses some.",
       ["-e", ".[report,formats,ray]", *TEST], f"pytest -m 'ray{ON_REAL_FILE}'")
define("ray_gpu", "Test and time the torch engine on a real GPU, alone and under Ray; fail if there is no GPU.",
       TORCH, "pytest benchmarks/test_gpu.py --benchmark-only", "pytest -m gpu -rA", venv_backend="venv")
define("tune_sklearn", "Run tune-sklearn's two searches on today's Ray through the adapter.",
       ["-e", ".[report,formats,ray,tune-sklearn]", *TEST], "pytest -m tune_sklearn")
define("tune_sklearn_legacy", "Run the unmodified tune-sklearn on its last working releases, and compare its scores.",
       ["-r", "tests/legacy/requirements.txt"], "python tests/legacy/check_tune_sklearn_legacy.py", python="3.11")
define("fuzz", "Try 100,000 hostile inputs, kill a hundred saves, predict from 64 threads at once.",
       TESTED, "pytest -m fuzz tests")
define("pythons", "Run the tests on every supported Python: `nox -s pythons`, or one of them, `nox -s pythons-3.13`.",
       TESTED, "pytest", python=PYTHONS)
define("lint", "Check style and formatting with ruff, and which room imports which with import-linter.",
       groups("lint"), "ruff check .", "ruff format --check .", "lint-imports --no-cache")
define("typecheck", "Check the package's types with mypy, strict.",
       ["-e", ".[report,formats]", *groups("typecheck")], "mypy")
define("bench_compare", "Compare two saved runs, `-- BEFORE.json AFTER.json`; fail where one is slower.",
       ["-e", "."], "python benchmarks/compare_runs.py")
define("bench_report", "Draw benchmarks/RESULTS.md, its pictures and the README's figures from `-- [RUN.json]`.",
       ["-e", ".[report]"], "python benchmarks/draw_report.py")
define("compare", "Compare with tuned trees on six splits: `-- [--data FILE] [--splits 42:47] [--budget SECONDS]`.",
       ["-e", ".[bench,formats]"], "python benchmarks/compare_models.py")
define("compare_report", "Draw docs/beyond.md and its picture from what `compare` kept, or from `-- RESULTS.json`.",
       ["-e", ".[report]"], "python benchmarks/draw_comparison.py")
define("arena", "Compare many models on many sets: `-- [--size smoke] [--sets NAMES] [--peers NAMES] [--seconds S]`.",
       ["torch==2.13.0", "-e", ".[arena,arena-torch]"], "python benchmarks/run_arena.py", venv_backend="venv")
define("arena_report", "Draw docs/arena.md and its picture from what `arena` kept, or from `-- RESULTS.jsonl`.",
       ["-e", ".[report]"], "python benchmarks/draw_arena.py")
define("licences", "List the licences of all that a user installs; fail on one that pyproject.toml does not allow.",
       [".[report,formats,ray,kaggle]", *groups("licences")], "pip-licenses")
# fmt: on


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks and save them: `-- [--size smoke|full|ROWS] [--name NAME]`, then what pytest takes.

    At full size, the default, they run on the file that ENERGYKNN_DATA names, else on synthetic rows.
    """
    parser = argparse.ArgumentParser(prog="nox -s bench --", allow_abbrev=False)
    parser.add_argument("--size", default="full")
    parser.add_argument("--name", help="of the file under benchmarks/results (default: the size)")
    options, rest = parser.parse_known_args(session.posargs)
    session.install("-e", ".[bench,formats]", *TEST)
    run = session.cache_dir.resolve() / "bench.json"  # Ray's sockets need a shorter path than the session's TMPDIR
    session.run(
        *("pytest", "benchmarks", "-m", "", "--doctest-ignore-import-errors", "--benchmark-only"),
        *(f"--size={options.size}", f"--benchmark-json={run}", *rest),
        env={"OPENBLAS_CORETYPE": None, "OPENBLAS_L2_SIZE": None},  # they slow a current OpenBLAS down
    )
    name = options.name or options.size + ("-part" if rest else "")
    session.run("python", "benchmarks/save_run.py", str(run), "--name", name)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings as errors, check every link in it, and run every example."""
    session.install(*TESTED, *groups("docs"))
    site = Path("docs", "_build", "html")
    shutil.rmtree(site, ignore_errors=True)
    session.run("sphinx-build", "-W", "--keep-going", "-E", "-q", "-b", "html", "docs", str(site))
    session.run("python", "docs/check_site.py", str(site))
    pages = ("tests/project/test_docs.py", "tests/project/test_gallery.py", "tests/project/test_readme.py")
    session.run("pytest", "-m", "not ray", *pages, "energyknn", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the sdist, and the wheel from it; look into both, install each, and run the tests from it elsewhere."""
    session.install(*groups("build", "test", "typecheck"))
    out = Path(session.create_tmp()).resolve() / "wheel"
    shutil.rmtree(out, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(out / "dist"))
    built, source = next((out / "dist").glob("*.whl")), next((out / "dist").glob("*.tar.gz"))
    session.run("python", "tests/check_archives.py", str(built), str(source))
    shutil.unpack_archive(source, out, filter="data")
    tree = out / source.name.removesuffix(".tar.gz")
    shutil.rmtree(tree / "energyknn")  # so that the tests import the installed package
    session.install(f"energyknn[report,formats] @ {built.as_uri()}")
    session.cd(tree)
    for file in (built, source):
        session.install("--force-reinstall", "--no-deps", str(file))
        session.run("energyknn", "reproduce", "--out", str(out / "results"))
        session.run("mypy", "--strict", "--config-file=", "-c", "import energyknn.neighbors")
        session.run("pytest", *(session.posargs or ["tests"]))


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of the dependencies that pyproject.toml allows."""
    session.install("-r", LOWEST)
    session.install("--no-deps", "-e", ".")
    session.run("pytest", *session.posargs)


@nox.session
def locked(session: nox.Session) -> None:
    """Run the tests with the locked versions, each file held to its hash."""
    session.install("--require-hashes", "-r", LOCKED)
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    session.run("pytest", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Write locks/ anew: development.txt, every version with its hashes, and lowest.txt."""
    session.install(*groups("lock"))
    command = ["uv", "pip", "compile", "pyproject.toml", "--quiet", "--upgrade", "--no-header", "--no-annotate"]
    command += ["--no-emit-index-url", "--no-emit-find-links"]
    extras = [f"--extra={name}" for name in PROJECT["project"]["optional-dependencies"] if name not in WITH_TORCH]
    named = [f"--group={name}" for name in PROJECT["dependency-groups"]]
    session.run(*command, "--universal", "--generate-hashes", "--output-file", LOCKED, *extras, *named)
    lowest = ["--resolution", "lowest-direct", "--python-version", "3.11", "--output-file", LOWEST]
    session.run(*command, *lowest, "--extra=report", "--extra=formats", "--group=test")


@nox.session
def audit(session: nox.Session) -> None:
    """Look every locked version up in a service of known vulnerabilities; fails where it cannot be reached."""
    session.install(*groups("audit"))
    try:
        urllib.request.urlopen(ADVISORIES, timeout=20).close()
    except OSError as error:
        session.error(f"{ADVISORIES} does not answer ({error}): nothing was audited. Run this on the internet.")
    session.run("pip-audit", "--strict", "--require-hashes", "--disable-pip", "-r", LOCKED)
