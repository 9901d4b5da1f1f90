"""The gallery of the documentation: every example runs and draws pictures that can be read."""

from __future__ import annotations

import importlib
import re
import runpy
from pathlib import Path

import pytest

pyplot = pytest.importorskip("matplotlib.pyplot")

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"
EXAMPLES = sorted(GALLERY.glob("*/plot_*.py"))


@pytest.fixture
def figures(monkeypatch):
    """Draw without a window, and return how to get what was drawn."""
    pyplot.switch_backend("agg")
    monkeypatch.setattr(pyplot, "show", lambda: None)
    yield lambda: [pyplot.figure(number) for number in pyplot.get_fignums()]
    pyplot.close("all")


@pytest.mark.medium
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_draws_what_can_be_read(example, figures):
    runpy.run_path(str(example))
    assert figures()
    for axes in (axes for figure in figures() for axes in figure.axes):
        assert axes.get_title()
    figure = figures()[-1]
    assert figure.axes[0].get_xlabel()


def test_there_are_examples():
    assert len(EXAMPLES) >= 5


def test_an_example_begins_with_a_title_and_what_it_shows():
    for example in EXAMPLES:
        assert re.match(r'"""\n[A-Z][^\n]+\n=+\n\n[A-Z`:]', example.read_text("utf-8")), example.name


@pytest.mark.medium
def test_what_an_example_draws_is_kept_with_a_text_for_those_who_cannot_see_it(figures, tmp_path):
    gallery_pictures = importlib.import_module("gallery_pictures")
    (axes,) = pyplot.subplots()[0].axes
    axes.set_title("A line that rises")
    paths = iter([str(tmp_path / "images" / "one_001.png")])
    (tmp_path / "images").mkdir()
    shown = gallery_pictures.keep_figures(None, {"image_path_iterator": paths}, {"src_dir": str(tmp_path)})
    assert shown == "\n.. image:: /images/one_001.svg\n   :alt: A line that rises\n"
    assert figures() == []
    drawn = (tmp_path / "images" / "one_001.svg").read_text("utf-8")
    dark = gallery_pictures.darken(drawn)
    assert "#ffffff" in drawn
    assert not re.search("#ffffff|#000000", dark)
