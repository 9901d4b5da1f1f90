"""Everything a contributor runs. `nox -l` lists it; `nox` alone runs lint, typecheck and tests."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")
# uv does not look where a CPU build of torch may lie, so sessions with torch use pip; the pin is for them alone.
TORCH = "torch==2.13.0"


def groups(*names: str) -> list[str]:
    """Return the requirements of the named dependency groups."""
    return nox.project.dependency_groups(PROJECT, *names)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    session.install(*groups("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check the package's types with mypy, strict."""
    session.install("-e", ".[report,formats]", *groups("typecheck"))
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests with branch coverage: everything that needs no Ray, GPU or real file."""
    session.install("-e", ".[report,formats]", *groups("test"))
    arguments = session.posargs or ["--cov", "--cov-report=term-missing"]
    session.run("pytest", *arguments)


@nox.session(default=False)
def tests_full(session: nox.Session) -> None:
    """Run the tests on the real file that ENERGYKNN_DATA names."""
    if not os.environ.get("ENERGYKNN_DATA"):
        session.error("ENERGYKNN_DATA names no file: set it to the CSV or Parquet file of full size.")
    session.install("-e", ".[report,formats]", *groups("test"))
    session.run("pytest", "-m", "full_data", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Try 100,000 hostile inputs, kill a hundred saves, predict from 64 threads at once; print how it went."""
    session.install("-e", ".[report,formats]", *groups("test"))
    session.run("pytest", "-m", "fuzz", "tests", *session.posargs)


@nox.session(default=False, venv_backend="venv")
def tests_torch(session: nox.Session) -> None:
    """Run the engines' tests with PyTorch, on the CPU where there is no GPU."""
    session.install(TORCH)
    session.install("-e", ".[formats]", *groups("test"))
    session.run("pytest", "tests/test_neighbors_engines.py", *session.posargs)


@nox.session(default=False)
def reproduce(session: nox.Session) -> None:
    """Run the whole study on the committed sample, or as `-- --data FILE ...` says."""
    session.install(".[report,formats]")
    session.run("energyknn", "reproduce", *session.posargs)


@nox.session(default=False)
def wheel(session: nox.Session) -> None:
    """Build the wheel and the sdist, install the wheel alone, and run the study from it elsewhere."""
    session.install(*groups("build"))
    out = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--outdir", str(out / "dist"))
    built = max((out / "dist").glob("*.whl"))
    session.install(f"energyknn[report] @ {built.as_uri()}")
    session.cd(out)
    session.run("energyknn", "reproduce", "--out", str(out / "results"))


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Run the benchmarks and save them: `-- [--size smoke|full|ROWS] [--name NAME]`, then what pytest takes.

    At full size, the default, they run on the file that ENERGYKNN_DATA names, else on synthetic rows.
    """
    parser = argparse.ArgumentParser(prog="nox -s bench --", allow_abbrev=False)
    parser.add_argument("--size", default="full")
    parser.add_argument("--name", help="of the file under benchmarks/results (default: the size)")
    options, rest = parser.parse_known_args(session.posargs)
    name = options.name or options.size + ("-part" if rest else "")
    session.install("-e", ".[bench,formats]", *groups("test"))
    run = session.cache_dir.resolve() / "bench.json"  # a TMPDIR as long as a session's breaks the sockets of Ray
    session.run(
        *("pytest", "benchmarks", "-m", "", "--doctest-ignore-import-errors", "--benchmark-only"),
        *(f"--size={options.size}", f"--benchmark-json={run}", *rest),
        env={"OPENBLAS_CORETYPE": None, "OPENBLAS_L2_SIZE": None},  # they hold a current OpenBLAS back
    )
    session.run("python", "benchmarks/save_run.py", str(run), "--name", name)


@nox.session(default=False)
def bench_compare(session: nox.Session) -> None:
    """Compare two saved runs, `-- BEFORE.json AFTER.json`, and fail where one is slower beyond a threshold."""
    session.install("-e", ".")
    session.run("python", "benchmarks/compare_runs.py", *session.posargs)


@nox.session(default=False)
def bench_report(session: nox.Session) -> None:
    """Draw benchmarks/RESULTS.md, its pictures and the README's table from `-- [RUN.json]`, the full run by default."""
    session.install("-e", ".[report]")
    session.run("python", "benchmarks/draw_report.py", *session.posargs)


@nox.session(default=False)
def compare(session: nox.Session) -> None:
    """Compare ours with tuned trees on six splits: `-- [--data FILE] [--splits 42:47] [--budget SECONDS]`.

    What is finished is kept in benchmarks/comparison/results.json at once, and a run that was ended goes on from there.
    """
    session.install("-e", ".[bench,formats]")
    session.run("python", "benchmarks/compare_models.py", *session.posargs)


@nox.session(default=False)
def compare_report(session: nox.Session) -> None:
    """Draw docs/beyond.md and its picture from what `compare` kept, or from `-- RESULTS.json`."""
    session.install("-e", ".[report]")
    session.run("python", "benchmarks/draw_comparison.py", *session.posargs)


@nox.session(default=False)
def ray_cpu(session: nox.Session) -> None:
    """Run what runs on Ray: on this machine's cores, and on a real cluster of three nodes that loses some."""
    session.install("-e", ".[report,formats,ray]", *groups("test"))
    session.run("pytest", "-m", "ray", *session.posargs)


@nox.session(default=False, venv_backend="venv")
def ray_gpu(session: nox.Session) -> None:
    """Run the torch engine on a real GPU, alone and as a Ray worker; fails where no GPU is found."""
    session.install(TORCH)
    session.install("-e", ".[formats,ray]", *groups("test"))
    session.run("pytest", "-m", "gpu", "-rA", *session.posargs)


@nox.session(default=False)
def tune_sklearn(session: nox.Session) -> None:
    """Run tune-sklearn's two searches on today's Ray through the adapter, and Ray Tune itself."""
    session.install("-e", ".[report,formats,ray,tune-sklearn]", *groups("test"))
    session.run("pytest", "-m", "tune_sklearn or ray", *session.posargs)


@nox.session(default=False, python="3.11")
def tune_sklearn_legacy(session: nox.Session) -> None:
    """Run the unmodified tune-sklearn on the last releases that it works with, and compare its scores."""
    session.install("-r", "tests/legacy/requirements.txt")
    session.run("python", "tests/legacy/check_tune_sklearn_legacy.py", *session.posargs)
