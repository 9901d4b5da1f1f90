"""Everything a contributor runs. `nox -l` lists it; `nox` alone runs lint, typecheck and tests."""

from __future__ import annotations

import argparse
import os
import shutil
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|venv"
nox.options.reuse_existing_virtualenvs = True

PROJECT = nox.project.load_toml("pyproject.toml")
# uv does not look where a CPU build of torch may lie, so sessions with torch use pip; the pin is for them alone.
TORCH = "torch==2.13.0"
LOCKS = Path("locks")
WITHOUT_ADDRESSES = ("--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links")
NEWEST_PYTHON = "3.14"  # for which every dependency has wheels
ADVISORIES = "https://pypi.org/pypi/pip/24.0/json"  # what pip-audit asks, for one package
IN_WHEEL = ("energyknn/py.typed", "energyknn/data_sample/tracks.csv", "licenses/LICENSE")
IN_SDIST = ("LICENSE", "README.md", "CHANGELOG.md", "docs/index.md", "tests/conftest.py", "locks/lowest.txt")


def groups(*names: str) -> list[str]:
    """Return the requirements of the named dependency groups."""
    return nox.project.dependency_groups(PROJECT, *names)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff, and which room imports which with import-linter."""
    session.install(*groups("lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")


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
    session.run("pytest", "-m", "full_data and not ray", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Try 100,000 hostile inputs, kill a hundred saves, predict from 64 threads at once; print how it went."""
    session.install("-e", ".[report,formats]", *groups("test"))
    session.run("pytest", "-m", "fuzz", "tests", *session.posargs)


@nox.session(default=False, venv_backend="venv")
def tests_torch(session: nox.Session) -> None:
    """Test and time the torch engine: on the CPU where there is no GPU, and on a Ray node that declares one."""
    session.install(TORCH)
    session.install("-e", ".[formats,ray]", *groups("test"))
    session.run("pytest", "tests/test_neighbors_engines.py", *session.posargs)
    session.run("pytest", "tests/test_distributed.py", "-m", "ray", "-k", "gpu or device", *session.posargs)
    session.run("pytest", "benchmarks/test_gpu.py", "--size=smoke", "--benchmark-only", *session.posargs)


@nox.session(default=False)
def reproduce(session: nox.Session) -> None:
    """Run the whole study on the committed sample, or as `-- --data FILE ...` says."""
    session.install(".[report,formats]")
    session.run("energyknn", "reproduce", *session.posargs)


@nox.session(default=False)
def wheel(session: nox.Session) -> None:
    """Build the sdist, and the wheel from it; look into both, install each, and run the tests from it elsewhere."""
    session.install(*groups("build", "test", "typecheck"))
    out = Path(session.create_tmp()).resolve() / "wheel"
    shutil.rmtree(out, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(out / "dist"))
    built, source = next((out / "dist").glob("*.whl")), next((out / "dist").glob("*.tar.gz"))
    with zipfile.ZipFile(built) as archive:
        require_files(session, built.name, archive.namelist(), IN_WHEEL)
    with tarfile.open(source) as archive:
        require_files(session, source.name, archive.getnames(), IN_SDIST)
        archive.extractall(out, filter="data")
    tree = out / source.name.removesuffix(".tar.gz")
    shutil.rmtree(tree / "energyknn")  # what the tests import is what was installed
    session.install(f"energyknn[report,formats] @ {built.as_uri()}")
    session.cd(tree)
    for file in (built, source):
        session.install("--force-reinstall", "--no-deps", str(file))
        session.run("energyknn", "reproduce", "--out", str(out / "results"))
        session.run("mypy", "--strict", "--config-file=", "-c", "import energyknn.neighbors")
        session.run("pytest", *(session.posargs or ["tests"]))


def require_files(session: nox.Session, archive: str, names: list[str], wanted: tuple[str, ...]) -> None:
    """End the session where an archive lacks a file."""
    missing = [path for path in wanted if not any(name.endswith(path) for name in names)]
    if missing:
        session.error(f"{archive} lacks {', '.join(missing)}. Name it in pyproject.toml, where archives are described.")


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
    """Run what runs on Ray: on this machine's cores, and on a real cluster of three nodes that loses some.

    Where ENERGYKNN_DATA names the real file, on that too.
    """
    session.install("-e", ".[report,formats,ray]", *groups("test"))
    marked = "ray" if os.environ.get("ENERGYKNN_DATA") else "ray and not full_data"
    session.run("pytest", "-m", marked, *session.posargs)


@nox.session(default=False, venv_backend="venv")
def ray_gpu(session: nox.Session) -> None:
    """Run the torch engine on a real GPU, alone and as a Ray worker, and time it; fails where no GPU is found.

    Beside it stand FAISS, cuML and cuVS, where they are installed in the session's environment.
    """
    session.install(TORCH)
    session.install("-e", ".[formats,ray]", *groups("test"))
    session.run("pytest", "-m", "gpu", "-rA", *session.posargs)
    session.run("pytest", "benchmarks/test_gpu.py", "--benchmark-only")


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


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings as errors, check every link in it, and run every example."""
    session.install("-e", ".[report,formats]", *groups("docs", "test"))
    site = Path("docs", "_build", "html")
    shutil.rmtree(site, ignore_errors=True)
    session.run("sphinx-build", "-W", "--keep-going", "-E", "-q", "-b", "html", "docs", str(site))
    session.run("python", "docs/check_site.py", str(site))
    session.run("pytest", "tests/test_docs.py", "tests/test_readme.py", "energyknn", *session.posargs)


@nox.session(default=False, python=nox.project.python_versions(PROJECT, max_version=NEWEST_PYTHON))
def pythons(session: nox.Session) -> None:
    """Run the tests on every supported Python: `nox -s pythons`, or one of them, `nox -s pythons-3.13`."""
    session.install("-e", ".[report,formats]", *groups("test"))
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of the dependencies that pyproject.toml allows."""
    session.install("-r", str(LOCKS / "lowest.txt"))
    session.install("--no-deps", "-e", ".")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def locked(session: nox.Session) -> None:
    """Run the tests with the locked versions, each file held to its hash."""
    session.install("--require-hashes", "-r", str(LOCKS / "development.txt"))
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write locks/ anew: development.txt, every version with its hashes, and lowest.txt."""
    session.install(*groups("lock"))
    command = ("uv", "pip", "compile", "pyproject.toml", "--quiet", "--upgrade", *WITHOUT_ADDRESSES)
    extras = [f"--extra={name}" for name in PROJECT["project"]["optional-dependencies"] if name not in {"all", "gpu"}]
    session.run(
        *(*command, "--universal", "--generate-hashes", "--output-file", str(LOCKS / "development.txt")),
        *(*extras, *(f"--group={name}" for name in PROJECT["dependency-groups"])),
    )
    session.run(
        *(*command, "--resolution", "lowest-direct", "--output-file", str(LOCKS / "lowest.txt")),
        *("--extra=report", "--extra=formats", "--group=test", "--python-version", "3.11"),
    )


@nox.session(default=False)
def audit(session: nox.Session) -> None:
    """Look every locked version up in a service of known vulnerabilities; fails where it cannot be reached."""
    session.install(*groups("audit"))
    try:
        urllib.request.urlopen(ADVISORIES, timeout=20).close()
    except OSError as error:
        session.error(f"{ADVISORIES} does not answer ({error}): nothing was audited. Run this on the internet")
    session.run("pip-audit", "--strict", "--require-hashes", "--disable-pip", "-r", str(LOCKS / "development.txt"))


@nox.session(default=False)
def licences(session: nox.Session) -> None:
    """List the licences of all that a user installs, and fail on one that pyproject.toml does not allow."""
    session.install(".[report,formats,ray,kaggle]", *groups("licences"))
    session.run("pip-licenses", *session.posargs)
