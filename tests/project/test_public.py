"""The public face: few names, imported when they are used, each documented with examples and links that resolve."""

from __future__ import annotations

import importlib
import inspect
import re
import sys

import pytest
from public_names import FACE, PUBLIC

import energyknn


def list_links(docstring):
    """List the names in the section See Also of a numpydoc docstring."""
    text = inspect.cleandoc(docstring)
    section = re.search(r"^See Also\n-+\n(.*?)(?=^\w[\w ]*\n-+\n|\Z)", text, re.MULTILINE | re.DOTALL)
    lines = section[1].splitlines() if section else []
    return [name for line in lines if line[:1].strip() for name in line.partition(" : ")[0].split(", ")]


def resolve(name, beside):
    """Find what a link names: a public name, one of the module beside it, or a full name."""
    if name in FACE or hasattr(sys.modules[beside.__module__], name):
        return True
    if any(public.endswith(f".{name}") for public in PUBLIC):
        return True
    module, _, member = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), member)
    except (ImportError, ValueError):
        return False


def test_dir_lists_the_public_names():
    assert dir(energyknn) == sorted(energyknn.__all__)
    assert len(energyknn.__all__) <= 20


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'wings'"):
        _ = energyknn.wings


@pytest.mark.parametrize("name", FACE)
def test_a_public_name_links_to_others_and_shows_an_example(name):
    docstring = inspect.getdoc(FACE[name])
    assert re.search(r"^Examples\n-+\n.*>>> ", docstring, re.MULTILINE | re.DOTALL), name
    assert list_links(docstring), name


@pytest.mark.parametrize("name", FACE | PUBLIC)
def test_links_lead_somewhere(name):
    found = (FACE | PUBLIC)[name]
    if inspect.isclass(found) or inspect.isfunction(found):
        links = list_links(inspect.getdoc(found) or "")
        assert [link for link in links if not resolve(link, found)] == []


def test_a_link_that_leads_nowhere_is_noticed():
    links = list_links(
        "Do.\n\n    See Also\n    --------\n    wings, fit_model : Fly.\n        Far.\n    load_model : Read.\n"
    )
    assert links == ["wings", "fit_model", "load_model"]
    assert [link for link in links if not resolve(link, energyknn.fit_model)] == ["wings"]


def test_inner_modules_have_no_public_names():
    packages = {"estimators", "learning", "inspection", "modelfile"}
    inner = [name for name in sys.modules if name.startswith("energyknn.") and name.split(".")[1] in packages]
    assert [name for name in inner if name.count(".") > 1 and hasattr(sys.modules[name], "__all__")] == []
