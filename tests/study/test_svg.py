"""Figures as SVG: the colours of the page, values where the pointer rests, the same content each time."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from energyknn.study.reporting.axes import label_axes, make_axes, mark_values
from energyknn.study.reporting.colors import BLUE, COLORS, INK, RED, write_variables
from energyknn.study.reporting.pictures import draw_predicted_against_actual
from energyknn.study.reporting.svg import say_values, write_file, write_markup
from energyknn.study.reporting.words import Words


def read(markup):
    return ET.fromstring(markup)  # noqa: S314 -- it was written by what is tested


def draw(title="Blue <is> higher"):
    figure, (axes,) = make_axes(3, title)
    for bar, text in zip(axes.bar([1, 2], [3, 4], color=BLUE), ("one <b>", "two"), strict=True):
        say_values(bar, [text])
    mark_values(axes, [1, 2], [3, 4], ["left", "right"])
    label_axes(axes, "x & y", "z")
    return figure


def test_marks_say_their_values():
    said = [title.text for title in read(write_markup(draw(), "Bars")).iter("title")]
    assert said == ["one <b>", "two", "left", "right"]


def test_the_page_has_the_title_and_the_file_keeps_it():
    assert "higher" not in write_markup(draw(), "Bars")
    assert "Blue &lt;is&gt; higher" in write_file(draw()).decode()
    heights = [
        float(read(write_markup(draw(title), "Bars")).get("viewBox", "").split()[3])
        for title in ("one line", "three lines " * 10)
    ]
    assert heights[0] > heights[1]  # the figure is as high, and more of it is title


def test_every_color_is_a_variable_with_the_light_color_behind_it():
    rows = np.linspace(0, 1, 500)
    figure = draw_predicted_against_actual(rows, rows**2, words=Words("price", "EUR"))
    markup = write_markup(figure, "Map")
    colors = re.findall(r"#[0-9a-f]{6}\b", markup)
    assert colors.count(RED) + colors.count(INK) > 2
    assert markup.count("var(--") == len(colors)
    assert set(COLORS["light"]) == set(COLORS["dark"])
    assert all(f"--{name}:" in write_variables("dark") for name in re.findall(r"var\(--([a-z0-9-]+)", markup))


def test_cells_say_how_many_rows_they_count():
    rows = np.array([0.0, 0.0, 0.0, 1.0])
    markup = write_markup(draw_predicted_against_actual(rows, rows, words=Words("share")), "Map")
    said = [title.text for title in read(markup).iter("title")]
    assert [text.split(" near ")[0] for text in said] == ["3", "1"]


def test_the_file_is_the_same_each_time_and_ids_differ_between_pictures():
    assert write_file(draw()) == write_file(draw())
    ids = [set(re.findall(r' id="([^"]+)"', write_markup(draw(title), "Bars"))) for title in ("one", "other")]
    assert ids[0]
    assert not ids[0] & ids[1]


def test_letters_that_matplotlib_has_no_font_for_are_kept():
    assert "価格" in write_file(draw("価格 is higher")).decode()
