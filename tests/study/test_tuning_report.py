"""`energyknn tune --report`: what the page says, its pictures, and that its commands run."""

from __future__ import annotations

import json
import math
import re
import shlex

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks
from page_reader import PageReader

from energyknn.modelfile import load_model
from energyknn.study.cli import main
from energyknn.study.reporting.tuning_page import render_tuning
from energyknn.study.reporting.tuning_pictures import (
    draw_candidates,
    draw_heat_map,
    draw_settings,
    draw_tuning_pictures,
    group_settings,
)

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

HOSTILE = "<script>alert('1')</script>.csv"
COMMAND = "energyknn tune --data 'my tracks.csv' --n-neighbors 1:20"
VARIED = {"weights": ("uniform", "distance"), "p": (1, 2)}


def make_row(k, weights="uniform", p=2, without=(), cost=8.0):
    """Make a candidate whose score is largest at k = 8, with weights by distance, and with p = 1."""
    mean = 0.8 - 0.01 * abs(np.log2(k / 8)) + 0.02 * (weights == "distance") + 0.001 * (p == 1) - 0.05 * len(without)
    setting = {"weights": weights, "p": p, "mismatch_cost": cost, "scaler": "as it is", "without": list(without)}
    return {"n_neighbors": k, **setting, "mean_test_score": float(mean), "std_test_score": 0.02}


def make_results(sizes=range(1, 21), *, rows=None, **varied):
    rows = rows or [
        make_row(k, weights, p, without, cost)
        for cost in varied.get("cost", (8.0,))
        for without in varied.get("without", ((),))
        for p in varied.get("p", (2,))
        for weights in varied.get("weights", ("uniform",))
        for k in sizes
    ]
    best = max(rows, key=lambda row: (not math.isnan(row["mean_test_score"]), row["mean_test_score"]))
    limit = best["mean_test_score"] - best["std_test_score"] / 2
    near = max((row for row in rows if row["mean_test_score"] >= limit), key=lambda r: r["n_neighbors"], default=best)
    return {
        "data": {"path": HOSTILE, "sha256": "ab" * 32, "arguments": ["--data", HOSTILE]},
        "schema": {"target": "energy", "unit": "0 to 1", "row": "track", "columns": []},
        "scaling": "all_rows",
        "scoring": "r2",
        "score": best["mean_test_score"],
        "folds": 4,
        "rows_in_fold": 900,
        "searches": 16,
        "rows": 1200,
        "candidates": rows,
        "best": best,
        "smoothest_within_one_standard_error": near,
        "best_minus_smoothest": {"difference": 0.01, "standard_error": 0.1, "p_value": 0.4},
    }


def render(results):
    return render_tuning(results, command=COMMAND, saved="tuning.json")


def find_mark(axes, marker):
    return next(line for line in axes.lines if line.get_marker() == marker)


def test_settings_are_grouped_with_their_scores_in_the_order_of_k():
    results = make_results([5, 1, 9], **VARIED)
    results["candidates"][0]["mean_test_score"] = math.nan
    settings = group_settings(results)
    assert [setting.name for setting in settings] == [
        "distance, p = 1", "distance, p = 2", "uniform, p = 1", "uniform, p = 2",
    ]  # fmt: skip
    by_name = {setting.name: setting.n_neighbors.tolist() for setting in settings}
    assert by_name == {name: [1, 9] if name == "uniform, p = 1" else [1, 5, 9] for name in by_name}
    assert settings[0].error == pytest.approx(0.02 / np.sqrt(4))
    rows = [row for row in results["candidates"] if (row["weights"], row["p"]) == ("distance", 1)]
    assert settings[0].mean.tolist() == [
        row["mean_test_score"] for row in sorted(rows, key=lambda row: row["n_neighbors"])
    ]


def test_the_curves_show_every_setting_and_mark_the_best_and_the_largest_k():
    results = make_results(**VARIED)
    figure = draw_candidates(results, group_settings(results))
    (axes,) = figure.axes
    assert "Best k is 8: mean R² 0.8210\u00a0±\u00a00.0100" in figure.get_suptitle()
    assert find_mark(axes, "*").get_xdata()[0] == 8
    near = results["smoothest_within_one_standard_error"]
    assert near["n_neighbors"] > 8
    circle = next(line for line in axes.lines if line.get_markersize() == 9 and line.get_alpha() != 0)
    assert (circle.get_xdata()[0], circle.get_ydata()[0]) == (near["n_neighbors"], near["mean_test_score"])
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert sorted(labels) == ["distance, p = 1", "distance, p = 2", "uniform, p = 1", "uniform, p = 2"]


def test_of_many_settings_the_best_are_drawn_and_the_caption_says_so():
    results = make_results([3, 8], **VARIED, cost=(8.0, 4.0, 2.0, 1.0))
    pictures = draw_tuning_pictures(results)
    assert pictures["candidates"].caption.endswith("The 8 best of 16 settings.")
    assert "The 12 best of 16." in pictures["settings"].caption
    assert len(pictures["settings"].figure.axes[0].get_yticks()) == 12
    legend = pictures["candidates"].figure.axes[0].get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["other settings", "distance, p = 1, mismatch cost 8"]


def test_settings_stand_at_their_best_with_one_standard_error():
    results = make_results(**VARIED)
    figure = draw_settings(results, group_settings(results))
    (axes,) = figure.axes
    assert figure.get_suptitle().startswith("2 of 4 settings come within one")
    assert axes.get_yticklabels()[0].get_text() == "distance, p = 1, k = 8"
    bars = [container.lines[2][0].get_segments()[0] for container in axes.containers]
    assert [(high[0] - low[0]) / 2 for low, high in bars] == pytest.approx([0.01] * 4)
    assert find_mark(axes, "None").get_xdata()[0] == pytest.approx(0.821 - 0.01)


def test_every_cell_of_the_heat_map_says_its_candidate_and_what_failed_says_so():
    results = make_results([3, 8, 20], **VARIED)
    results["candidates"][0]["mean_test_score"] = math.nan
    figure = draw_heat_map(results, group_settings(results))
    image = figure.axes[0].collections[0]
    said = json.loads(image.get_gid())
    assert len(said) == 12
    assert "k = 8, distance, p = 1: 0.8210 ± 0.0100" in said
    assert said.count("not scored") == 1
    assert np.ma.count(image.get_array()) == 11
    page = draw_tuning_pictures(results)["heat_map"].markup
    assert page.count("<title>k = ") == 11
    near = "within one standard error of the best"
    assert re.match(r"\d of 12 candidates come " + near, " ".join(figure.get_suptitle().split()))


def test_of_very_many_k_the_map_shows_some_and_the_marked_ones():
    results = make_results(range(1, 400), weights=("uniform", "distance"))
    figure = draw_heat_map(results, group_settings(results))
    n_settings, n_columns = figure.axes[0].collections[0].get_array().shape
    assert n_settings == 2
    assert 50 < n_columns <= 102
    assert any("k = 8, distance" in text for text in json.loads(figure.axes[0].collections[0].get_gid()))


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (make_results([5]), []),
        (make_results([5, 9]), ["candidates"]),
        (make_results([5], **VARIED), ["settings"]),
        (make_results([5, 9], **VARIED), ["candidates", "settings", "heat_map"]),
        (make_results(rows=[make_row(5) | {"mean_test_score": math.nan}]), []),
    ],
)
def test_the_page_leaves_out_what_would_be_compared_with_itself(results, expected):
    pictures = draw_tuning_pictures(results)
    assert list(pictures) == expected
    page = render(results)
    assert page.count("<figure") == len(expected)
    sections = re.findall(r'<section id="([a-z-]+)">', page)
    assert re.findall(r'<a href="#([a-z-]+)">', page[: page.index("<main>")]) == sections


def test_the_page_says_the_best_what_is_nearly_as_good_and_the_commands():
    results = make_results(**VARIED)
    reader = PageReader(render(results))
    for text in (
        "The best of 80 candidates is k = 8, distance, p = 1.", "0.8210", "± 0.0100", "best of 20 from 1 to 20",
        "Largest k within one standard error of the best: k = 1", COMMAND, "1,200 training rows", "16 searches",
        f"energyknn fit --data {shlex.quote(HOSTILE)} --from tuning.json", "all rows", "All 80 candidates",
    ):  # fmt: skip
        assert text in reader.text, text
    assert reader.tags.count("script") == 1
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert len(reader.ids) == len(set(reader.ids))


def test_the_page_suggests_what_was_not_varied():
    text = PageReader(render(make_results())).text
    assert f"{COMMAND} --weights uniform,distance" in text
    assert f"{COMMAND} --p 1,2" in text
    assert "Try next" not in PageReader(render(make_results(**VARIED))).text


def test_an_edge_stands_in_the_answer():
    results = make_results(range(1, 9))
    head = render(results).partition('<section id="evidence">')[0]
    assert "k = 8 is the largest that was tried: try --n-neighbors 6:24." in head


def test_a_search_that_failed_everywhere_says_so():
    page = PageReader(render(make_results(rows=[make_row(5) | {"mean_test_score": math.nan}]))).text
    assert "None of 1 candidate could be scored by R²." in page


@pytest.fixture
def folder(tmp_path, monkeypatch):
    make_tracks(200).to_csv(tmp_path / "tracks.csv", index=False)
    random = np.random.default_rng(0)
    kinds = pd.DataFrame({"length": random.normal(5, 1, 120), "width": random.normal(3, 1, 120)})
    kinds.assign(kind=np.where(kinds["length"] > 5, "large", "small")).to_csv(tmp_path / "kinds.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read_commands(page):
    """Return the commands of a page, as a shell takes them apart."""
    shown = re.findall(r'<pre tabindex="0"><code>(.*?)</code></pre>', page.read_text("utf-8"))
    return [shlex.split(PageReader(command).text) for command in shown]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("tracks.csv", ["--n-neighbors", "3:9", "--weights", "uniform,distance", "--without", "tempo"]),
        ("kinds.csv", ["--target", "kind", "--n-neighbors", "3,5", "--p", "1,2", "--cv", "3"]),
    ],
)
@pytest.mark.medium
def test_the_commands_of_the_page_run(folder, capsys, data, words):
    assert main(["tune", "--data", data, *words, "--report"]) == 0
    shown = capsys.readouterr().out
    assert "Written: tuning.html, tuning.json" in shown
    held = json.loads((folder / "tuning.json").read_text("utf-8"))
    fit, *others, again = read_commands(folder / "tuning.html")
    assert f"Fit it: {shlex.join(fit)}" in shown
    first = (folder / "tuning.html").read_bytes()
    for command in [*others, again]:
        assert main(command[1:]) == 0
    assert (folder / "tuning.html").read_bytes() == first
    assert json.loads((folder / "tuning.json").read_text("utf-8")) == held
    assert main(fit[1:]) == 0
    assert load_model("model.safetensors").estimator is not None
    score = "accuracy" if data == "kinds.csv" else "R²"
    assert f"mean {score}" in PageReader((folder / "tuning.html").read_text("utf-8")).text


def test_the_page_and_the_file_go_where_they_are_asked_to(folder, capsys):
    words = ["--data", "tracks.csv", "--n-neighbors", "5,9"]
    assert main(["tune", *words, "--report", "page.html", "--out", "found.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]
    assert {path.name for path in folder.iterdir()} == {"kinds.csv", "tracks.csv", "page.html", "found.json"}
    assert "--from found.json" in PageReader((folder / "page.html").read_text("utf-8")).text
    assert main(["tune", *words, "--report", "page.pdf"]) == 2
    assert "has no ending of a page that is written. Give it .html" in capsys.readouterr().err
