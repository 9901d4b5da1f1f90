"""The documentation is true: its examples run, its quotations are the notebook's, its links lead somewhere."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from check_site import find_faults
from check_site import main as check_site
from nox_sessions import list_sessions
from public_names import PUBLIC

from energyknn.fitting import Scores
from energyknn.study import notebook as notebook_figures
from energyknn.study.cli import main
from energyknn.tuning import ScoreTable

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if not {"generated", "_build"} & set(path.relative_to(DOCS).parts))
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
RUN_ON_RAY = {"ray.md"}


def find_blocks(page, *languages):
    """Return the fenced blocks of a page in the given languages, with their languages."""
    return [(name, body) for name, body in FENCE.findall(page.read_text(encoding="utf-8")) if name in languages]


def run_session(body, names, page):
    """Run a block of Python with prompts, and return what went wrong."""
    examples = doctest.DocTestParser().get_doctest(body, names, page.name, str(page), 0)
    assert examples.examples, f"{page.name}: a block without an example:\n{body}"
    problems = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    runner.run(examples, out=problems.append, clear_globs=False)
    names.update(examples.globs)
    return problems


def run_console(body, capsys):
    """Run the commands of a block, and return where their output is not what stands below them."""
    problems = []
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", body, flags=re.MULTILINE):
        program, *arguments = shlex.split(command)
        assert program == "energyknn"
        capsys.readouterr()
        main(arguments)
        streams = capsys.readouterr()
        printed = streams.out + streams.err
        if expected and not doctest.OutputChecker().check_output(expected, printed, OPTIONS):
            problems.append(f"$ {command}\nexpected:\n{expected}\ngot:\n{printed}")
    return problems


def run_page(page, capsys):
    """Run everything on a page that can be run, in order, from an empty folder."""
    names, problems = {"__name__": "__main__"}, []
    for language, body in find_blocks(page, "pycon", "console"):
        problems += run_session(body, names, page) if language == "pycon" else run_console(body, capsys)
    assert not problems, f"{page.name}\n" + "\n".join(problems)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, on a terminal wide enough for tables."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


WITH_EXAMPLES = [page for page in PAGES if find_blocks(page, "pycon", "console")]


@pytest.mark.slow  # `nox -s docs` runs them too
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.ray if page.name in RUN_ON_RAY else ()) for page in WITH_EXAMPLES],
    ids=lambda page: page.relative_to(DOCS).as_posix(),
)
@pytest.mark.usefixtures("folder")
def test_the_examples_of_a_page_run(page, capsys):
    run_page(page, capsys)


@pytest.mark.usefixtures("folder")
def test_an_example_that_is_wrong_is_noticed(tmp_path, capsys):
    wrong = tmp_path / "wrong.md"
    wrong.write_text("```pycon\n>>> 1 + 1\n3\n```\n\n```console\n$ energyknn sample --rows 0\nmade\n```\n", "utf-8")
    with pytest.raises(AssertionError, match=r"(?s)Expected:\s*3\s*Got:\s*2.*\$ energyknn sample --rows 0"):
        run_page(wrong, capsys)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_a_page_shows_nothing_that_is_not_checked(page):
    languages = {name for name, _ in FENCE.findall(page.read_text(encoding="utf-8"))}
    assert languages <= {"pycon", "console", "sh", ""}


def list_options(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return set(re.findall(r"--[a-z-]+", capsys.readouterr().out))


def check_shell_line(line, capsys):
    """Require that what a line of shell names is there: a session, an extra, a command with its options."""
    words = [word.strip("'") for word in line.split()]
    if words[0] == "nox":
        assert words[words.index("-s") + 1] in list_sessions(), line
    elif words[0] == "pip":
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        for extra in re.findall(r"(?:energyknn|\.)\[(.*?)\]", line):
            assert all(f"\n{name} = [" in project for name in extra.split(",")), line
    else:
        assert words[0] == "energyknn", line
        named = {word for word in words if word.startswith("--")}
        assert named <= list_options(words[1], capsys), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())
def test_what_the_shell_lines_name_is_there(page, capsys):
    for _, body in find_blocks(page, "sh"):
        for line in filter(None, body.splitlines()):
            check_shell_line(line.partition("  #")[0], capsys)


@pytest.mark.parametrize("line", ["nox -s wings", "pip install 'energyknn[wings]'", "energyknn tune --fly", "rm -r /"])
def test_a_shell_line_that_is_wrong_is_noticed(line, capsys):
    with pytest.raises(AssertionError):
        check_shell_line(line, capsys)


def list_numbers(value):
    """Yield every number within a golden value."""
    if isinstance(value, bool | str) or value is None:
        return
    if isinstance(value, ScoreTable):
        yield from (*value.n_neighbors, *value.values.ravel(), *value.mean)
    elif isinstance(value, dict):
        for part in value.values():
            yield from list_numbers(part)
    elif isinstance(value, list | tuple | Scores):
        for part in value:
            yield from list_numbers(part)
    elif isinstance(value, int | float | np.number):
        yield float(value)


def find_strange_numbers(text, golden):
    """Return the numbers of a quotation that the notebook did not print, to the digits that are quoted."""
    quoted = re.findall(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w.]*\d)", text)
    long = [number for number in quoted if len(re.sub(r"\D", "", number)) >= 4]
    strange = []
    for number in long:
        value, digits = float(number.replace(",", "")), len(number.partition(".")[2])
        if not any(round(known, digits) == value for known in golden):
            strange.append(number)
    return strange


def read_golden(notebook):
    figures = [value for name, value in vars(notebook_figures).items() if name.isupper()]
    return [*list_numbers(notebook), *list_numbers(figures)]


def test_what_the_tutorial_quotes_is_what_the_notebook_printed(notebook):
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    quotations = re.findall(r"^:::\{admonition\} The notebook\n(.*?)^:::$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(quotations) >= 8
    assert find_strange_numbers("\n".join(quotations), read_golden(notebook)) == []


def test_a_number_that_the_notebook_did_not_print_is_noticed(notebook):
    golden = read_golden(notebook)
    assert find_strange_numbers("R² of 0.8030 and 139,511 rows", golden) == []
    assert find_strange_numbers("R² of 0.8031 and 139,512 rows", golden) == ["0.8031", "139,512"]


def find_places(page):
    """Return the anchors of a Markdown file's headings, as forges and the documentation make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-") for heading in headings}


HOME = sorted([*ROOT.glob("*.md"), *ROOT.glob(".github/**/*.md"), *ROOT.glob("*/README.md")])


@pytest.mark.parametrize("page", [*PAGES, *HOME], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_between_files_leads_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+://", target):
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        if "generated" in path.parts:
            continue  # made with the site, where every link is checked
        assert path.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in find_places(path), f"{page.name}: {target}"


GOOD = '<p id="here"><a href="#here">a</a><a href="b.html#there">b</a><a href="https://example.org/x">c</a></p>'
BAD = {
    '<a href="c.html">': "leads to no file",
    '<a href="b.html#nowhere">': "has no such place",
    '<a href="#nowhere">': "has no such place",
    '<img src="missing.png">': "leads to no file",
    '<img src="https://example.org/x.png">': "fetches something from elsewhere",
    '<script src="//example.org/x.js"></script>': "fetches something from elsewhere",
    '<link rel="stylesheet" href="http://example.org/x.css">': "fetches something from elsewhere",
    '<p style="background: url(https://example.org/x.png)">': "fetches something from elsewhere",
    '<a href="https://example">': "names no host",
    '<a href="https://exa mple.org/">': "names no host",
    '<a href="javascript:alert(1)">': "a scheme that is none of",
    '<code class="xref py py-name"><span class="pre">energyknn.gone</span></code>': "not in the reference",
}


@pytest.fixture
def site(tmp_path):
    """Two pages that link to one another."""
    (tmp_path / "a.html").write_text(GOOD, encoding="utf-8")
    (tmp_path / "b.html").write_text('<a name="there"></a><a href="a.html">back</a>', encoding="utf-8")
    return tmp_path


def test_a_site_without_faults_passes(site, capsys):
    assert check_site([str(site)]) == 0
    assert capsys.readouterr().out == "0 faults\n"


@pytest.mark.parametrize(("fault", "told"), BAD.items())
def test_a_fault_of_a_site_is_found(site, fault, told, capsys):
    (site / "a.html").write_text(GOOD + fault, encoding="utf-8")
    assert check_site([str(site)]) == 1
    assert told in capsys.readouterr().out


def test_a_style_sheet_that_fetches_is_found(site):
    (site / "s.css").write_text("@import 'https://example.org/font.css'; p { background: url(a.png) }", "utf-8")
    assert [fault for fault in find_faults(site) if "style sheet" in fault]


def test_a_folder_without_pages_is_no_site(tmp_path, capsys):
    assert list(find_faults(tmp_path))
    assert check_site([]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_pictures_of_the_method_show_what_is_computed():
    pictures = importlib.import_module("pictures")
    points = pictures.make_points()
    blocks = pictures.cut_blocks(points, np.arange(len(points)))
    assert sorted(np.concatenate([block.rows for block in blocks])) == list(range(len(points)))
    assert max(len(block.rows) for block in blocks) <= pictures.ROWS_IN_A_BLOCK
    for query in points[::16] + 0.1:
        visit = pictures.visit_blocks(points, blocks, query, 5)
        assert visit.distance == pytest.approx(np.sort(np.hypot(*(points - query).T))[4])
    assert visit.n_opened < len(blocks)


def test_the_margins_in_the_pictures_hold():
    """Rounded distances are off by no more than their margins, and the nearest rows are always kept."""
    pictures = importlib.import_module("pictures")
    for shift in (0.0, 1.5):
        points = pictures.make_points() + shift
        for query in points[::16] + 0.1:
            screen = pictures.screen_rows(points, query, 5)
            exact = ((points - query) ** 2).sum(axis=1)
            assert (abs(screen.measured - exact) <= screen.margins).all()
            assert screen.kept[np.argsort(exact)[:5]].all()
            assert screen.kept.sum() < len(points)


def test_every_picture_has_a_twin_for_the_dark_theme():
    pictures = importlib.import_module("pictures")
    assert list(pictures.THEMES) == ["", "-dark"]
    drawn = [pictures.encode_svg(pictures.draw_searches, theme) for theme in pictures.THEMES.values()]
    assert drawn[0] != drawn[1]
    assert drawn[0] == pictures.encode_svg(pictures.draw_searches, pictures.THEMES[""])


def test_the_citation_names_this_release():
    cited = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"$', project, flags=re.MULTILINE)
    assert f"\nversion: {version[1]}\n" in cited


def test_the_checklist_of_a_release_names_sessions_that_are_there():
    named = set(re.findall(r"nox -s (\w+)", (ROOT / "RELEASING.md").read_text(encoding="utf-8")))
    assert named <= list_sessions()
    assert named >= {"lint", "typecheck", "tests", "docs", "wheel", "audit", "licences", "lowest", "locked"}


def test_golden_figures_are_read_as_numbers():
    assert list(list_numbers({"a": [1, 2.5], "b": "text", "c": True, "d": Scores(0.5, 0.1)})) == [1.0, 2.5, 0.5, 0.1]


def test_the_reference_names_every_public_name():
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\{py:\w+\}`~?energyknn\.([\w.]+)`", page))
    assert {name for name in PUBLIC if not name.startswith("study.")} <= named


def test_the_page_that_helps_to_choose_leads_to_every_task():
    chosen = set(re.findall(r"\]\((how_to/\w+\.md)", (DOCS / "which_part.md").read_text(encoding="utf-8")))
    assert chosen == {f"how_to/{page.name}" for page in (DOCS / "how_to").glob("*.md")}


def test_the_page_on_citing_names_this_release():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    version = re.search(r'^version = "(.*)"$', project, flags=re.MULTILINE)
    assert f"version = {{{version[1]}}}" in (DOCS / "how_to" / "cite.md").read_text(encoding="utf-8")
