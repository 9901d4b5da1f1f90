"""How Sphinx builds the documentation: `nox -s docs`. What can be generated is generated, and nothing is fetched."""

from __future__ import annotations

import inspect
import pkgutil
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole

FOLDER = Path(__file__).parent
GENERATED = FOLDER / "generated"  # git ignores it
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "benchmarks")]

# These are found only on the path that the line above extends.
import gallery_pictures  # noqa: E402
import pictures  # noqa: E402
from harness.page import make_search_table, render_page, sort_cases  # noqa: E402
from harness.runs import read_run  # noqa: E402

import energyknn  # noqa: E402

RUN = read_run(FOLDER.parent / "benchmarks" / "results" / "full.json")

project = "energyknn"
author = "The energyknn developers"
release = version = energyknn.__version__
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx_copybutton"]
extensions += ["sphinx_gallery.gen_gallery"]
exclude_patterns = ["_build", "gallery"]
default_role = "py:name"

html_theme = "furo"
pygments_dark_style = "github-dark"
html_title = f"energyknn {release}"
html_static_path = ["_static"]
html_css_files = ["notebook.css"]
html_js_files = [("access.js", {"defer": "defer"})]
html_search_scorer = str(FOLDER / "search_scorer.js")  # pages before the names on them
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .go"  # what was printed is not copied

myst_enable_extensions = ["colon_fence", "substitution"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what goes in and comes out
autodoc_preserve_defaults = True
autodoc_mock_imports = ["ray", "tune_sklearn"]
autosummary_generate = False
numpydoc_show_class_members = False
numpydoc_validation_checks: set[str] = set()


sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "generated/gallery",
    "backreferences_dir": "generated/examples",  # which example uses which name
    "doc_module": "energyknn",
    "image_scrapers": ("gallery_pictures.keep_figures",),
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "run_stale_examples": True,  # the package may have changed
    "download_all_examples": False,
    "min_reported_time": 1e9,  # no time of this machine on the pages
    "show_signature": False,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
    "copyfile_regex": "",
}


def find_public() -> dict[str, list[str]]:
    """Return the public names of each public room: what stands in its `__all__`."""
    rooms = {name: import_module(name) for _, name, _ in pkgutil.iter_modules(energyknn.__path__, "energyknn.")}
    return {name: list(room.__all__) for name, room in rooms.items() if getattr(room, "__all__", [])}


PUBLIC = find_public()
FULL_NAMES = {name: f"{room}.{name}" for room, names in PUBLIC.items() for name in names}


def list_figures(run: Any, question: str) -> str:
    """Return the figures without a rival, and the notes, of one of a run's questions, as a Markdown list."""
    found = next((asked for asked in sort_cases(run) if asked["name"] == question), None)
    if found is None:
        return f"The saved run does not ask: {question}."
    figures = [f"{case['case']}: {case['value']:.3g} {case['unit']}" for case in found["figures"]]
    return "\n".join(f"- {line}" for line in (*figures, *found["notes"]))


myst_substitutions = {
    "benchmark_table": make_search_table(RUN),
    "search_figures": list_figures(RUN, "neighbors"),
    "version": release,
}


def write_if_new(path: Path, content: bytes) -> None:
    """Write a file unless it holds that already, so that a second build reads nothing anew."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_file() or path.read_bytes() != content:
        path.write_bytes(content)


def describe_room(room: str, names: list[str]) -> str:
    """Return the page of a room: what it is for, and its names with a line for each."""
    listed = "".join(f"   {name}\n" for name in names)
    pages = "".join(f"   {room}/{name}\n" for name in names)
    return (
        f"{room}\n{'=' * len(room)}\n\n.. automodule:: {room}\n\n.. currentmodule:: {room}\n\n"
        f".. autosummary::\n\n{listed}\n.. toctree::\n   :hidden:\n\n{pages}"
    )


def describe_name(room: str, name: str) -> str:
    """Return the page of a public name."""
    named = getattr(import_module(room), name)
    is_error = inspect.isclass(named) and issubclass(named, BaseException)
    kind = "exception" if is_error else "class" if inspect.isclass(named) else "function" if callable(named) else "data"
    members = "   :members:\n" if kind == "class" else ""
    examples = f"\n.. minigallery:: {room}.{name} energyknn.{name}\n   :add-heading: Pictures\n"
    return f"{name}\n{'=' * len(name)}\n\n.. currentmodule:: {room}\n\n.. auto{kind}:: {name}\n{members}{examples}"


def generate_pages(_: Sphinx) -> None:
    """Write a page for each public room and name, the page of the saved benchmark run, and all pictures."""
    reference = GENERATED / "reference"
    pages = {reference / f"{room}.rst": describe_room(room, names) for room, names in PUBLIC.items()}
    for room, names in PUBLIC.items():
        pages |= {reference / room / f"{name}.rst": describe_name(room, name) for name in names}
    for stale in set(reference.rglob("*.rst")) - pages.keys():
        stale.unlink()
    for path, page in pages.items():
        write_if_new(path, page.encode())
    for stale in (GENERATED / "gallery").rglob("plot_*.rst"):
        if not (FOLDER / stale.relative_to(GENERATED)).with_suffix(".py").exists():
            stale.unlink()
    text, charts = render_page(RUN, "full.json")
    write_if_new(GENERATED / "results.md", text.encode())
    for name, picture in charts.items():
        write_if_new(GENERATED / "pictures" / f"{name}.png", picture)
    for name, picture in pictures.draw_all().items():
        write_if_new(GENERATED / "pictures" / f"{name}.svg", picture)


def skip_inherited(_app: Sphinx, _what: str, name: str, member: object, skip: bool, _options: Any) -> bool | None:
    """Leave out what other libraries add to our classes: metadata requests, and fields of named tuples."""
    is_request = name.startswith("set_") and name.endswith("_request")
    is_field = (getattr(member, "__doc__", None) or "").startswith("Alias for field number")
    return True if skip or is_request or is_field else None


def pair_pictures(_app: Sphinx, doctree: nodes.document) -> None:
    """Put the picture for the dark theme beside each drawn picture; the theme shows one of them."""
    for image in list(doctree.findall(nodes.image)):
        if re.search(r"generated/(pictures|gallery)/", image["uri"]) and image["uri"].endswith(".svg"):
            dark = image.deepcopy()
            dark["uri"] = image["uri"].removesuffix(".svg") + "-dark.svg"
            if "generated/gallery/" in image["uri"]:
                drawn = (FOLDER / image["uri"].lstrip("/")).read_text("utf-8")
                write_if_new(FOLDER / dark["uri"].lstrip("/"), gallery_pictures.darken(drawn).encode())
            image["classes"].append("only-light")
            dark["classes"].append("only-dark")
            image.parent.insert(image.parent.index(image) + 1, dark)


class NameRole(PyXRefRole):
    """What stands between single backticks: a link where it names something documented, else code as it stands."""

    def process_link(
        self, env: Any, refnode: nodes.Element, _has_explicit_title: bool, title: str, target: str
    ) -> tuple[str, str]:
        """Resolve from the module and the class that the text belongs to, and keep every character."""
        refnode["py:module"], refnode["py:class"] = (env.ref_context.get(f"py:{kind}") for kind in ("module", "class"))
        return title, target


def resolve_public(app: Sphinx, env: Any, node: Any, content: Any) -> Any:
    """Link a short name, or one of `energyknn` itself, to the public room that documents it."""
    full = FULL_NAMES.get(node.get("reftarget", "").removeprefix("energyknn."))
    if full is None or node.get("refdomain") != "py":
        return None
    return env.domains["py"].resolve_xref(env, node["refdoc"], app.builder, "obj", full, node, content)


def write_inline_math(translator: Any, node: nodes.math) -> None:
    """Write a formula as MathML, which browsers show by themselves."""
    translator.body.append(tex2mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def write_math_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula of its own line as MathML."""
    translator.body.append(tex2mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    app.add_role_to_domain("py", "name", NameRole())
    app.add_html_math_renderer("mathml", (write_inline_math, None), (write_math_block, None))
    app.connect("builder-inited", generate_pages)
    app.connect("doctree-read", pair_pictures, priority=400)  # before Sphinx collects the images
    app.connect("autodoc-skip-member", skip_inherited)
    app.connect("missing-reference", resolve_public)
