"""Figures as SVG that takes the colours of the page around it and says its values where the pointer rests."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from energyknn.errors import import_extra
from energyknn.study.reporting.colors import COLORS, LINES

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

_VARIABLES = {color: f"var(--{name}, {color})" for name, color in COLORS["light"].items()}
_VARIABLES["#cccccc"] = _VARIABLES[LINES]  # the frame of a legend
_NAMESPACE = "http://www.w3.org/2000/svg"
_TITLE = "title"


def say_values(artist: Artist, texts: Iterable[str]) -> None:
    """Let each mark of an artist say a text where the pointer rests on it: a bar, each dot of a line, each cell."""
    artist.set_gid(json.dumps(list(texts)))


def name_title(artist: Artist) -> None:
    """Mark the text that is the title of its figure, which a page writes above the picture."""
    artist.set_gid(_TITLE)


def draw_svg(figure: Figure, *, salt: str = "energyknn") -> Element:
    """Draw a figure as an SVG element whose content depends on nothing but the figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        The figure; its colours are those of `COLORS`.
    salt : str
        What the ids are made from. On one page each picture needs its own.

    Returns
    -------
    xml.etree.ElementTree.Element
        Without namespaces. Text is text in the font of the page, colours are variables of CSS with the light colours
        behind them, and each value that `say_values` gave is a title.
    """
    matplotlib, file = import_extra("matplotlib", extra="report"), io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}), _ignoring_glyphs():
        figure.savefig(file, format="svg", metadata={"Date": None})
    root = ET.fromstring(file.getvalue())  # noqa: S314 -- Matplotlib wrote it a line above
    for element in root.iter():
        element.tag = _drop_namespace(element.tag)
        element.attrib = {_drop_namespace(name): value for name, value in element.attrib.items()}
        if "style" in element.attrib:
            element.set("style", "; ".join(_restyle(element.get("style", ""))))
        element.text = (element.text or "").strip() or None if element.tag not in {"text", "tspan"} else element.text
        element.tail = None if element.tag != "tspan" else element.tail
    _drop(root, {"metadata", "style"})
    _say_titles(root)
    _drop_ids(root)
    return root


def write_file(figure: Figure) -> bytes:
    """Write a figure as the content of an SVG file."""
    root = draw_svg(figure)
    root.set("xmlns", _NAMESPACE)
    root.set("style", "background: #ffffff; font-family: 'DejaVu Sans', Verdana, sans-serif")
    return ET.tostring(root, encoding="unicode").encode("utf-8")


def write_markup(figure: Figure, label: str) -> str:
    """Write a figure as markup within a page, without its title, which the page writes itself."""
    root = draw_svg(figure, salt=figure.get_suptitle() + label)
    for parent in root.iter():
        for child in [child for child in parent if child.get("id") == _TITLE]:
            parent.remove(child)
    width, height = (float(root.get(name, "").removesuffix("pt")) for name in ("width", "height"))
    cut = round(_measure_title(figure), 2)
    root.attrib = {"viewBox": f"0 {cut} {width:g} {height - cut:g}", "role": "img", "aria-label": label}
    return ET.tostring(root, encoding="unicode")


def _measure_title(figure: Figure) -> float:
    """Return how far the title reaches from the top, in points."""
    (title,) = (text for text in figure.texts if text.get_gid() == _TITLE)
    with _ignoring_glyphs():
        return float(72 * (figure.get_figheight() - title.get_window_extent().y0 / figure.dpi))


def _ignoring_glyphs() -> warnings.catch_warnings[None]:
    """Be silent where the font lacks a letter of a name: the reader's has it."""
    return warnings.catch_warnings(action="ignore", category=UserWarning)


def _drop_namespace(name: str) -> str:
    return name.rpartition("}")[2]


def _restyle(style: str) -> Iterator[str]:
    """Yield the declarations of a style with variables for its colours, without its fonts."""
    for declaration in style.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        value = _VARIABLES.get(value, value)
        if name == "font":  # such as: bold 11.5px 'DejaVu Sans', ...
            *weight, size = value.partition("'")[0].split()
            yield f"font-size: {size}; font-weight: {' '.join(weight) or 'normal'}"
        elif name and name != "font-family":
            yield f"{name}: {value}"


def _drop(root: Element, tags: set[str]) -> None:
    for parent in root.iter():
        for child in [child for child in parent if child.tag in tags]:
            parent.remove(child)


def _say_titles(root: Element) -> None:
    """Give the marks of each artist with values their titles."""
    for group in root.iter("g"):
        if group.get("id", "").startswith("["):
            texts = json.loads(group.attrib.pop("id"))
            marks = list(group.iter("use")) or list(group.iter("path"))
            for mark, text in zip(marks, texts, strict=False):
                ET.SubElement(mark, "title").text = text


def _drop_ids(root: Element) -> None:
    """Drop the ids that nothing refers to, so that a page with many pictures has each id once."""
    used = {_TITLE}
    for element in root.iter():
        used.add(element.get("href", "").removeprefix("#"))
        used.add(element.get("clip-path", "").removeprefix("url(#").removesuffix(")"))
    for element in root.iter():
        if element.get("id") not in used:
            element.attrib.pop("id", None)
