"""The pages of the sample as a browser shows them: nothing that keeps people out, and few sheets in print."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from energyknn.loading import sample_path
from energyknn.study.cli import main
from energyknn.study.jobs.reproduce import reproduce

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = os.environ.get("ENERGYKNN_AXE", "")
"""The file axe.min.js of the npm package axe-core, which checks pages against the rules of WCAG."""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

CHECK = """
document.querySelectorAll("details").forEach(part => { part.open = true; });
axe.run().then(found => { document.body.innerHTML = "<pre id=found></pre>";
document.getElementById("found").textContent = JSON.stringify(found.violations.map(rule => [rule.id, rule.help])); });
"""


def write_study(out: Path) -> Path:
    reproduce(None, out)
    return out / "report.html"


def write_tuning(out: Path) -> Path:
    varied = ["--weights", "uniform,distance", "--mismatch-cost", "8,1"]
    assert main(["tune", "--data", str(sample_path()), *varied, "--quiet", "--report", str(out / "tuning.html")]) == 0
    return out / "tuning.html"


def write_audit(out: Path) -> Path:
    audited = ["audit", "--data", str(sample_path()), "--effort", "quick", "--quiet", "--out", str(out / "audit.csv")]
    assert main([*audited, "--report", str(out / "audit.html")]) == 0
    return out / "audit.html"


SORT = """
document.querySelectorAll("details").forEach(part => { part.open = true; });
const tables = [...document.querySelectorAll(".scroll > table")].filter(table => table.querySelector(".sort"));
const last = row => row.cells[row.cells.length - 1].innerText;
const sorted = tables.map(table => {
  const read = () => [...table.tBodies].map(body => [...body.rows].map(last));
  const before = read(), buttons = table.querySelectorAll(".sort");
  buttons[buttons.length - 1].click();
  const up = read();
  buttons[buttons.length - 1].click();
  return [before, up, read()];
});
document.body.innerHTML = "<pre id=found></pre>";
document.getElementById("found").textContent = JSON.stringify(sorted);
"""


@pytest.fixture(scope="module", params=[write_study, write_tuning, write_audit], ids=["study", "tuning", "audit"])
def page(request, tmp_path_factory) -> Path:
    return request.param(tmp_path_factory.mktemp("sample"))


def browse(page: Path, *options: str) -> str:
    """Open a page in a browser of its own, and return what it prints."""
    profile = page.parent / "profile"
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *options]
    return subprocess.run([*command, page.as_uri()], capture_output=True, text=True, check=True).stdout


def run_script(page: Path, script: str, *options: str) -> object:
    """Run a script on a copy of a page that allows it, and return what it leaves behind."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    checked = page.with_name("checked.html")
    checked.write_text(text.replace("</body>", f"<script>{script}</script></body>"), "utf-8")
    (found,) = re.findall(r'<pre id="found">(.*?)</pre>', browse(checked, *options, "--dump-dom"), re.DOTALL)
    return json.loads(html.unescape(found))


@pytest.mark.skipif(not AXE, reason="ENERGYKNN_AXE names no file")
@pytest.mark.parametrize("scheme", [0, 1], ids=["dark", "light"])
def test_axe_finds_no_violation(page, scheme):
    options = ("--virtual-time-budget=60000", f"--blink-settings=preferredColorScheme={scheme}")
    assert run_script(page, f"{Path(AXE).read_text('utf-8')}</script><script>{CHECK}", *options) == []


def read_numbers(cells):
    """Read the cells that begin with a number."""
    found = (re.match(r"[+-]?\d+\.?\d*", cell.replace(",", "")) for cell in cells)
    return [float(number[0]) for number in found if number]


def test_tables_sort_within_their_groups(page):
    tables = run_script(page, SORT)
    assert tables
    for before, up, down in tables:
        for first, rising, falling in zip(before, up, down, strict=True):
            assert sorted(first) == sorted(rising) == sorted(falling)
            assert read_numbers(rising) == sorted(read_numbers(first))
            assert read_numbers(falling) == sorted(read_numbers(first), reverse=True)
            if len(before) > 1:
                assert rising[0] == falling[0] == first[0]  # the group's heading
    assert sum(len(before) > 1 for before, *_ in tables) == (3 if page.name == "report.html" else 0)


def test_the_script_runs_under_the_policy_of_the_page(page):
    shown = browse(page, "--dump-dom")
    assert shown.count('class="copy"') == shown.count('class="scroll"')
    assert 'class="sort"' in shown


def test_the_page_of_the_sample_prints_on_five_sheets_at_most(page):
    browse(page, "--no-pdf-header-footer", f"--print-to-pdf={page.with_suffix('.pdf')}")
    assert 1 <= len(re.findall(rb"/Type /Page\b", page.with_suffix(".pdf").read_bytes())) <= 5
