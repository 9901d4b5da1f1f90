"""The locks hold what pyproject.toml asks for, and nothing of the machine that wrote them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCKS = sorted((ROOT / "locks").glob("*.txt"))


def read_lock(name):
    """Return the versions that a lock pins, by name; several where they differ with the Python."""
    text = (ROOT / "locks" / name).read_text(encoding="utf-8").replace("\\\n", " ")
    pinned: dict[str, list[Version]] = {}
    for line in text.splitlines():
        pin = re.match(r"([\w.-]+)==(\S+)", line)
        assert pin or not line.strip() or line.startswith("#"), line
        if pin:
            pinned.setdefault(normalise(pin[1]), []).append(Version(pin[2]))
    return pinned


def normalise(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def asked_for(*, extras, groups):
    """Return the requirements of the core, and of some extras and groups."""
    listed = [*PROJECT["project"]["dependencies"]]
    listed += [line for name in extras for line in PROJECT["project"]["optional-dependencies"][name]]
    listed += [line for name in groups for line in PROJECT["dependency-groups"][name] if isinstance(line, str)]
    return [wanted for wanted in map(Requirement, listed) if wanted.name != "energyknn"]


EXTRAS = [name for name in PROJECT["project"]["optional-dependencies"] if name not in {"all", "gpu", "arena-torch"}]


@pytest.mark.parametrize(
    ("name", "extras", "groups"),
    [
        ("development.txt", EXTRAS, list(PROJECT["dependency-groups"])),
        ("lowest.txt", ["report", "formats"], ["test"]),
    ],
)
def test_a_lock_pins_what_is_asked_for(name, extras, groups):
    pinned = read_lock(name)
    for wanted in asked_for(extras=extras, groups=groups):
        versions = pinned.get(normalise(wanted.name), [])
        assert versions, f"{name} lacks {wanted}"
        assert all(version in wanted.specifier for version in versions), f"{name} has {versions} for {wanted}"


def test_the_lowest_versions_are_those_that_are_declared():
    pinned = read_lock("lowest.txt")
    for wanted in asked_for(extras=["report", "formats"], groups=[]):
        (declared,) = (Version(part.version) for part in wanted.specifier if part.operator == ">=")
        assert pinned[normalise(wanted.name)] == [declared], wanted


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_no_registry_and_no_torch(path):
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*-", text.replace("    --hash", ""), flags=re.MULTILINE)
    assert not {"torch", "energyknn"} & set(read_lock(path.name))


def test_every_locked_version_has_a_hash():
    text = (ROOT / "locks" / "development.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    pins = [line for line in text.splitlines() if "==" in line.partition(";")[0]]
    assert pins
    assert all("--hash=sha256:" in line for line in pins)
