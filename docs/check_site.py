"""Check a built site: every link inside it leads somewhere, no address is malformed, and no page fetches anything."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

FETCHES = {
    ("audio", "src"),
    ("embed", "src"),
    ("iframe", "src"),
    ("img", "src"),
    ("img", "srcset"),
    ("input", "src"),
    ("link", "href"),
    ("object", "data"),
    ("script", "src"),
    ("source", "src"),
    ("source", "srcset"),
    ("video", "poster"),
    ("video", "src"),
}
"""Attributes that a browser follows by itself."""
HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}(:\d+)?", re.IGNORECASE)


@dataclass
class Page(HTMLParser):
    """What a page offers and asks for.

    Parameters
    ----------
    anchors : set of str
        Places that a link can name.
    links : list of str
        What a reader can follow.
    fetched : list of str
        What a browser loads by itself.
    unlinked : list of str
        Names of this package that are set as code and lead nowhere.
    """

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    unlinked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._within_link = 0
        self._within_name = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag's anchor and addresses."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        self.fetched += [value for name, value in values.items() if (tag, name) in FETCHES]
        self.fetched += re.findall(r"url\(([^)]*)\)", values.get("style", ""))
        if tag == "a":
            self._within_link += 1
            self.links += [values["href"]] if "href" in values else []
        if tag == "code":
            self._within_name = "py-name" in values.get("class", "").split()

    def handle_endtag(self, tag: str) -> None:
        """Leave a link or a name."""
        self._within_link -= tag == "a"
        self._within_name &= tag != "code"

    def handle_data(self, data: str) -> None:
        """Keep a name of the package that has no link around it."""
        if self._within_name and not self._within_link and data.startswith("energyknn."):
            self.unlinked.append(data)


def read_page(text: str) -> Page:
    """Read one page."""
    page = Page()
    page.feed(text)
    page.close()
    return page


def find_faults(site: Path) -> Iterator[str]:
    """Yield a line for each fault of a built site.

    Parameters
    ----------
    site : Path
        The folder of the built pages.

    Yields
    ------
    str
        The page, what is wrong, and where it points.
    """
    pages = {path.resolve(): read_page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    if not pages:
        yield f"{site}: no page was built"
    for path, page in pages.items():
        where = path.relative_to(site.resolve())
        for address in page.links:
            if problem := find_problem(address, path, pages):
                yield f"{where}: {problem}: {address}"
        for address in page.fetched:
            parts = urlsplit(address.strip("\"' "))
            if parts.scheme not in {"", "data"} or parts.netloc:
                yield f"{where}: the page fetches something from elsewhere: {address}"
            elif problem := find_problem(address, path, pages):
                yield f"{where}: {problem}: {address}"
        for name in page.unlinked:
            yield f"{where}: a name of the package that is not in the reference: {name}"
    for path in sorted(site.rglob("*.css")):
        for address in re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)", path.read_text("utf-8")):
            yield f"{path.relative_to(site)}: the style sheet fetches something from elsewhere: {address}"


def find_problem(address: str, path: Path, pages: Mapping[Path, Page]) -> str | None:
    """Say what is wrong with an address that stands on a page, if anything is."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return find_malformation(parts, address)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return "the link leads to no file"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return "the page that the link names has no such place"
    return None


def find_malformation(parts: SplitResult, address: str) -> str | None:
    """Say why an address outside of the site cannot be right; nobody is asked."""
    if parts.scheme == "data":
        return None
    if parts.scheme not in {"http", "https"}:
        return "the address has a scheme that is none of http, https"
    if re.search(r"\s", address) or not HOST.fullmatch(parts.netloc):
        return "the address names no host"
    return None


def main(arguments: list[str]) -> int:
    """Print the faults of the site that the only argument names."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: check_site.py FOLDER_OF_THE_BUILT_SITE\n")
        return 2
    faults = list(find_faults(Path(arguments[0])))
    sys.stdout.write("".join(f"{fault}\n" for fault in faults))
    sys.stdout.write(f"{len(faults)} faults\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
