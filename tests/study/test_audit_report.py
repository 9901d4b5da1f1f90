"""`energyknn audit --report`: what the page says, its pictures, and that its commands run."""

from __future__ import annotations

import json
import re
import shlex
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_homes import make_homes
from page_reader import PageReader

from energyknn.auditing import Audit
from energyknn.study.cli import main
from energyknn.study.reporting.audit_page import render_audit
from energyknn.study.reporting.audit_pictures import draw_audit_pictures
from energyknn.study.reporting.words import Words

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

HOSTILE = "<script>alert('1')</script>.csv"


def make_found(*, classifies=False, n_rows=200, ranks=(0, 1, 4, 150)):
    """Make an audit whose row 7 fits least: 90 where its neighbours say 10, or b among a."""
    numbers = np.r_[7, np.delete(np.arange(n_rows), 7)]
    said = np.full(n_rows, 10.0)
    target = np.r_[90.0, np.linspace(12.0, 10.0, n_rows - 1)]
    if classifies:
        said, target = np.full(n_rows, "a"), np.where(target > 11.5, "b", "a")
    columns = {"row": numbers, "name": HOSTILE, "price": target, "neighbors_price": said}
    rows = pd.DataFrame(columns).assign(misfit_price=np.linspace(8, 0, n_rows), value_price=np.linspace(-1, 1, n_rows))
    model = SimpleNamespace(model_=SimpleNamespace(schema=SimpleNamespace(classifies=classifies)), method_="9 rows")
    return Audit(rows, np.array(ranks, dtype=np.int64), model)


def render(found, *, top=3, target="price"):
    described = {
        "data": {"path": HOSTILE, "sha256": "ab" * 32, "arguments": ["--data", HOSTILE, "--target", target]},
        "schema": {"target": target, "unit": "EUR", "row": "row", "columns": []},
    }
    return render_audit(found, described, top=top, command="energyknn audit --data x", saved="list.csv")


def test_the_page_names_the_worst_row_and_what_the_test_found():
    page = render(make_found())
    reader = PageReader(page)
    for text in (
        "row 7 fits least: its price is 90.00, and the rows most like it say 10.00", "of 4 wrong ones", "50 %",
        "Of the 4 rows that then fit least, 2 were among them", "list.csv", "All 200 rows", "9 rows",
        f"energyknn reproduce --data {shlex.quote(HOSTILE)} --target price --out results", "energyknn audit --data x",
    ):  # fmt: skip
        assert text in reader.text, text
    assert reader.tags.count("script") == 1
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert len(reader.ids) == len(set(reader.ids))
    sections = re.findall(r'<section id="([a-z-]+)">', page)
    assert re.findall(r'<a href="#([a-z-]+)">', page[: page.index("<main>")]) == sections
    assert page.count("<figure") == 3


def test_without_a_test_its_picture_and_card_are_left_out():
    reader = PageReader(render(make_found(ranks=())))
    assert "was not tested" in reader.text
    assert "found in the test" not in reader.text
    assert "test" not in draw_audit_pictures(make_found(ranks=()), ["Row 7"], words=Words("price"))


def test_dots_are_the_rows_that_are_named():
    figure = draw_audit_pictures(make_found(), ["Row 7", "Row 0"], words=Words("price", "EUR"))["targets"].figure
    dots = next(line for line in figure.axes[0].lines if line.get_label() == "the 2 that fit least")
    assert dots.get_xydata().tolist() == [[10.0, 90.0], [10.0, 12.0]]
    said = [json.loads(line.get_gid()) for line in figure.axes[0].lines if line.get_gid()]
    assert said == [["Row 7: 90.00, neighbours say 10.00", "Row 0: 12.00, neighbours say 10.00"]]
    assert figure.get_suptitle().startswith("Row 7: price 90.00, where its neighbours")


def test_classes_are_counted_beside_those_of_their_neighbours():
    found = make_found(classifies=True)
    picture = draw_audit_pictures(found, ["Row 7"], words=Words("price"))["targets"]
    n_other = int((found.rows["price"] == "b").sum())
    assert picture.title == (
        f"{n_other} of 200 rows have another price than most of their neighbours: most often b among a"
    )
    said = json.loads(picture.figure.axes[0].collections[0].get_gid())
    assert f"b among a: {n_other}, 100.0 %" in said
    assert "neighbours disagree" in PageReader(render(found)).text


def test_of_many_classes_those_that_disagree_most_are_drawn():
    labels = np.array([f"class {n:02d}" for n in range(30)])
    found = make_found(classifies=True, n_rows=300)
    found.rows["price"] = np.repeat(labels, 10)
    found.rows["neighbors_price"] = np.where(found.rows["price"] == labels[3], labels[4], found.rows["price"])
    picture = draw_audit_pictures(found, ["Row 7"], words=Words("price"))["targets"]
    shown = [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]
    assert len(shown) == 20
    assert {"class 03", "class 04"} <= set(shown)


def test_the_curve_of_the_test_says_how_much_must_be_read():
    picture = draw_audit_pictures(make_found(), ["Row 7"], words=Words("price"))["test"]
    assert picture.title == "The first 2 of 200 rows hold half of the swapped ones"
    found, chance, dot, _ = picture.figure.axes[0].lines
    shares = dict(zip(*found.get_data(), strict=True))
    assert (shares[0], shares[1], shares[5], shares[150], shares[200]) == (0, 25, 75, 75, 100)
    assert chance.get_xydata().tolist() == [[0, 0], [200, 100]]
    assert dot.get_xydata().tolist() == [[4, 50]]


@pytest.mark.medium
def test_the_commands_of_the_page_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_homes(empty=0).to_csv("my homes.csv", index=False)
    asked = ["--data", "my homes.csv", "--target", "price", "--effort", "quick", "--spoil", "0.1", "--missing", "drop"]
    assert main(["audit", *asked, "--report", "--out", "odd.json"]) == 0
    assert "Written: audit.html" in capsys.readouterr().err
    page = (tmp_path / "audit.html").read_bytes()
    commands = re.findall(r'<pre tabindex="0"><code>(.*?)</code></pre>', page.decode("utf-8"))
    study, again = (shlex.split(PageReader(command).text) for command in commands)
    assert main(again[1:]) == 0
    assert (tmp_path / "audit.html").read_bytes() == page
    assert {path.name for path in tmp_path.iterdir()} == {"my homes.csv", "audit.html", "odd.json"}
    assert main([*study[1:], "--no-report", "--n-neighbors", "5"]) == 0
