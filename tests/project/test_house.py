"""The house: the library knows no Spotify, its rooms stay light, and public names are documented.

Which room may import which stands in `.importlinter`; `nox -s lint` checks it.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from children import run_python

import energyknn
from energyknn.study.notebook import SPOTIFY

PACKAGE = Path(energyknn.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
LIBRARY = [path for path in MODULES if path.relative_to(PACKAGE).parts[0] not in {"study", "__main__.py"}]
FILES_ONLY_IN = {"loading", "_shared", "study", "cluster", "modelfile", "tuning"}
ENVIRONMENT_ONLY_IN = {"study", "_shared"}
COMMON_WORDS = {"energy", "id", "key", "mode", "name", "tempo", "year", "explicit", "artists"}
"""Columns of Spotify whose names are words of their own."""


def name_module(path):
    return str(path.relative_to(PACKAGE).with_suffix(""))


def find_music(text):
    """List what in a text speaks of Spotify, its columns or songs."""
    columns = "|".join(name for name in SPOTIFY.names if name not in COMMON_WORDS)
    return re.findall(rf"(?i)\b(?:{columns}|spotify|songs?|music|artists)\b|['\"](?:energy|explicit|tempo)['\"]", text)


@pytest.mark.parametrize("path", LIBRARY, ids=name_module)
def test_the_library_knows_no_spotify(path):
    text = path.read_text(encoding="utf-8").replace("energyknn.study", "")
    assert not find_music(text)


@pytest.mark.parametrize("text", ["schema=SPOTIFY", "the loudness", "one song", 'table["energy"]', "duration_ms"])
def test_music_is_found_where_it_is(text):
    assert find_music(text)


@pytest.mark.parametrize("path", MODULES, ids=name_module)
def test_only_outer_rooms_touch_files_and_the_environment(path):
    source, room = path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).parts[0]
    if room not in ENVIRONMENT_ONLY_IN:
        assert "os.environ" not in source
    if room not in FILES_ONLY_IN:
        assert ".open(" not in source


HEAVY = {"numba", "ray", "torch", "sklearn", "pandas", "matplotlib", "numpy"}
EXTRAS = {"numba", "ray", "torch", "tune_sklearn", "matplotlib", "seaborn", "jinja2", "kagglehub"}
ROOMS = (
    *("neighbors", "tuning", "tuning.candidates", "estimators", "inspection", "modelfile"),
    *("cluster.search", "cluster.tuning", "cluster.choices"),
    *("study", "study.jobs.reproduce", "study.jobs.tune", "study.reporting", "study.cli"),
)
IMPORT = f"""
import importlib, sys
before = set(sys.modules)
import energyknn
added = set(sys.modules) - before
print(*sorted(name for name in added if name.startswith(("energyknn", "importlib.m"))), *({HEAVY} & added))
for room in {ROOMS}:
    importlib.import_module(f"energyknn.{{room}}")
    print(room, *sorted({EXTRAS} & set(sys.modules)))
"""


@pytest.mark.medium
def test_importing_a_room_loads_nothing_heavy():
    """First the package, which loads no room; then one after another: the first line with more names which loads it."""
    done = run_python(IMPORT, check=True)
    assert done.stdout.splitlines() == ["energyknn", *ROOMS]


@pytest.mark.medium
@pytest.mark.parametrize("path", MODULES, ids=name_module)
def test_public_names_are_documented_and_listed(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path} has no docstring"
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    public = {name for name in defined if not name.startswith("_")}
    assert all(ast.get_docstring(defined[name]) for name in public.union(*listed) & defined.keys())


CLOCKS = re.compile(r"\b(?:perf_counter|monotonic|process_time|time\.time)\(\)")
LIMIT = re.compile(
    r"^\s*assert\b.*(?:\b(?:took|elapsed|duration)\b|(?:perf_counter|monotonic|time\.time)\(\)).*[<>]", re.MULTILINE
)


def find_limits(text: str) -> list[str]:
    """Find assertions that limit how long something took."""
    timed = re.findall(r"^\s*(\w+) = .*" + CLOCKS.pattern + r" - ", text, re.MULTILINE)
    named = [line for name in timed for line in re.findall(rf"^\s*assert .*\b{name}\b.*[<>].*$", text, re.MULTILINE)]
    return [*(found[0] for found in LIMIT.finditer(text)), *named]


def test_no_test_asserts_a_duration() -> None:
    """A busy machine would fail it."""
    assert find_limits("    took = perf_counter() - start\n    assert took < 2.0\n")
    assert find_limits("    seconds = time.monotonic() - start\n    assert seconds <= 5\n")
    tests = [path for path in Path(__file__).parents[1].rglob("test_*.py") if path.name != Path(__file__).name]
    assert [(path.name, found) for path in tests if (found := find_limits(path.read_text(encoding="utf-8")))] == []
