"""The house: a module imports only what stands before it, and importing the package stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import energyknn

PACKAGE = Path(energyknn.__file__).parent
ORDER = [
    *(
        "errors",
        "memory",
        "progress",
        "schema",
        "loading",
        "encoding",
        "splitting",
        "scaling",
        "neighbors",
        "weighting",
        "fitting",
    ),
    *(
        "transformers",
        "row_maps",
        "local_fitting",
        "metric_learning",
        "tuning",
        "distributed",
        "overfitting",
        "notebook_figures",
    ),
    *("estimators", "neighborhoods", "intervals", "explaining"),
    *("synthesis", "saving", "models", "fetching", "study", "searching", "beyond", "reporting", "reproducing"),
    *("cli", "__main__"),
]
FILES_ONLY_IN = {
    "loading",
    "saving",
    "reporting",
    "reproducing",
    "cli",
    "fetching",
    "synthesis",
    "distributed",
    "models",
}


def modules():
    """Yield each module's place in the order and its file."""
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if place != "__init__":
            yield place, path


MODULES = list(modules())


def imported_places(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""] if node.module != "energyknn" else [f"energyknn.{a.name}" for a in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("energyknn."))


@pytest.mark.parametrize(("place", "path"), MODULES, ids=lambda value: getattr(value, "stem", value))
def test_a_module_imports_only_what_stands_before_it(place, path):
    assert place in ORDER, f"{place} has no place in the order of the house: give it one"
    wrong = {name for name in imported_places(path) if name in ORDER and ORDER.index(name) > ORDER.index(place)}
    assert not wrong


@pytest.mark.parametrize(("place", "path"), MODULES, ids=lambda value: getattr(value, "stem", value))
def test_only_the_outer_rooms_touch_the_environment(place, path):
    source = path.read_text(encoding="utf-8")
    if place not in {"cli", "tuning"}:  # tuning sets Ray's own switches for the time of a run
        assert "os.environ" not in source
    if place not in FILES_ONLY_IN | {"tuning"}:
        assert ".open(" not in source


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, energyknn; "
        "print(sorted({'numba', 'ray', 'torch', 'sklearn', 'pandas', 'matplotlib', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


ROOMS = ["tuning", "searching", "reporting", "reproducing", "cli"]
ROOMS += [f"distributed.{name}" for name in ("search", "tuning", "choices")]


@pytest.mark.parametrize("place", ROOMS)
def test_importing_a_room_loads_no_extra(place):
    code = (
        f"import sys, energyknn.{place}; "
        "extras = {'numba', 'ray', 'torch', 'tune_sklearn', 'matplotlib', 'jinja2', 'kagglehub'}; "
        "print(sorted(extras & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("place", "path"), MODULES, ids=lambda value: getattr(value, "stem", value))
def test_public_names_are_documented_and_listed(place, path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path} has no docstring"
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ]
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    public = {name for name in defined if not name.startswith("_")}
    if place != "__main__" and not path.stem.startswith("_"):
        assert listed, f"{path} has no __all__"
        assert public <= set(listed[0]), f"{path}: public but not in __all__: {public - set(listed[0])}"
    assert all(ast.get_docstring(defined[name]) for name in public)
