"""The tables, pictures and page of the report, on made-up results."""

from __future__ import annotations

import base64
import copy
import hashlib
import io
import json
import re
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest
from check_results import check_results
from made_tracks import make_tracks
from page_reader import PageReader
from rich.console import Console

from energyknn.fitting import Scores
from energyknn.schema import make_schema
from energyknn.study.comparison.bootstrap import Estimate
from energyknn.study.comparison.columns import ColumnReport
from energyknn.study.comparison.coverage import IntervalReport
from energyknn.study.comparison.diagnostics import CurvePoint, Effect, GroupErrors, NestedEstimate
from energyknn.study.comparison.models import ModelScore
from energyknn.study.describing import describe_intervals, describe_models, make_plain
from energyknn.study.jobs.reproduce import reproduce
from energyknn.study.reporting.comparison_pictures import (
    draw_beyond,
    draw_calibration,
    draw_coverage,
    draw_errors,
    draw_learning_curve,
    draw_models,
    draw_weights,
)
from energyknn.study.reporting.page import render_page, render_report
from energyknn.study.reporting.pictures import (
    StudyArrays,
    draw_pictures,
    draw_predicted_against_actual,
    draw_residuals,
    draw_target_distribution,
    draw_train_against_test,
    draw_validation_curve,
)
from energyknn.study.reporting.tables import (
    build_table,
    compare_with_honest,
    compare_with_notebook,
    format_difference,
    format_value,
    list_notes,
    tabulate_models,
)
from energyknn.study.reporting.words import Words

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

ENERGY = Words("energy", "0 to 1", "track")
HOSTILE = "<script>alert('1')</script>.csv"
PICTURES = [
    "validation_curve",
    "train_against_test",
    "predicted_against_actual",
    "residuals",
    "target_distribution",
]
BEYOND = ["models", "errors_by_decade", "errors_by_target", "learning_curve", "weights", "importance"]
BEYOND += ["calibration", "coverage"]


def make_search(tool: str, n_neighbors: list[int], means: list[float]) -> dict[str, Any]:
    folds = np.add.outer(means, [0.004, -0.001, -0.002, -0.001])
    return {
        "tool": tool,
        "n_neighbors": n_neighbors,
        "fold_test_scores": folds.tolist(),
        "mean_test_score": folds.mean(axis=1).tolist(),
        "std_test_score": folds.std(axis=1).tolist(),
        "best": n_neighbors[int(np.argmax(means))],
    }


def make_model(n_neighbors: int, r2: tuple[float, ...]) -> dict[str, Any]:
    sides = ("train", "test", "train_without_self")[: len(r2)]  # the notebook has no third
    scores = {side: {"r2": value, "rmse": 0.25 * (1 - value)} for side, value in zip(sides, r2, strict=True)}
    return {"n_neighbors": n_neighbors} | scores


def make_results() -> dict[str, Any]:
    coarse = make_search("TuneSearchCV", [11, 41, 21, 41, 31], [0.80, 0.77, 0.79, 0.77, 0.78])
    return {
        "data": {
            "path": HOSTILE,
            "rows": 1250,
            "nulls": 0,
            "sha256": "ab" * 32,
            "synthetic": True,
            "arguments": ["--data", HOSTILE],
            "notes": [],
        },
        "schema": {
            "target": "energy",
            "unit": "0 to 1",
            "row": "track",
            "columns": [{"name": "energy", "role": "target", "unit": "0 to 1"}],
        },
        "command": "energyknn reproduce --data 'my tracks.csv' --search grid",
        "files": ["results.json"],
        "model": {"file": "model.safetensors", "n_neighbors": 12, "rows": 1250},
        "protocol": {
            "scaling": "all_rows",
            "reference_year": 2021,
            "test_size": 0.2,
            "random_state": 42,
            "groups": "none",
            "train_rows": 1000,
            "test_rows": 250,
            "search": "grid",
        },
        "base": make_model(5, (0.82, 0.73, 0.735)),
        "coarse": make_search("TuneSearchCV", [1, 11, 21, 31], [0.56, 0.74, 0.735, 0.73]),
        "micro": make_search("GridSearchCV", [11, 12, 13], [0.74, 0.741, 0.7395]),
        "tuned": make_model(12, (0.78, 0.74, 0.745)),
        "overfitting": {
            "verdict": "hardly <b>",
            "explanation": "Train & test are close.",
            "train_minus_test_r2": {"base": 0.09, "tuned": 0.04},
            "without_self_minus_test_r2": {"base": 0.005, "tuned": 0.005},
            "standard_error": {"base": 0.01, "tuned": 0.01},
        },
        "honest": {
            "protocol": {
                "scaling": "train_only",
                "reference_year": 2021,
                "test_size": 0.2,
                "random_state": 42,
                "groups": "songs",
                "train_rows": 1001,
                "test_rows": 249,
            },
            "base": make_model(5, (0.81, 0.72, 0.73)),
            "coarse": make_search("GridSearchCV", [1, 11, 21, 31], [0.55, 0.73, 0.725, 0.72]),
            "micro": make_search("GridSearchCV", [11, 12, 13], [0.73, 0.731, 0.7295]),
            "tuned": make_model(13, (0.77, 0.73, 0.735)),
        },
        "notebook": {
            "rows": 174_389,
            "base": make_model(5, (0.87, 0.80)),
            "coarse": coarse,
            "micro": {"tool": "GridSearchCV", "n_neighbors": [11, 12, 13], "best": 13, "minutes": 8.5},
            "tuned": make_model(13, (0.84, 0.81)),
        },
        "seconds": {
            **dict.fromkeys(("split", "encode", "scale", "base_fit", "base_predict"), 0.5),
            "load": 1.0,
            "coarse": 60.0,
            "micro": 30.0,
            "total": 100.0,
        },
        "environment": {"python": "3.11.7", "packages": {"numpy": "2.4.6"}, "cpu": "a CPU", "threads": 2},
    }


@pytest.fixture
def results() -> dict[str, Any]:
    return make_results()


def estimate(value: float, half: float = 0.01) -> Estimate:
    return Estimate(value, value - half, value + half)


@pytest.fixture(scope="module")
def with_beyond() -> dict[str, Any]:
    """Make results with every part, which no test changes."""
    names = {"mean": 0.25, "notebook's neighbours": 0.12, "LightGBM, <tuned>": 0.095, "neighbours, learned": 0.09}
    scores = {
        name: ModelScore(rmse + 0.001, Scores(1 - rmse, rmse), estimate(rmse), 2.5, np.zeros(3))
        for name, rmse in names.items()
    }
    groups = [GroupErrors(f"{year}s", 40, estimate(0.1), estimate(0.0)) for year in range(1920, 2030, 10)]
    worst = GroupErrors("1910s", 30, estimate(0.2), estimate(0.05))
    errors = {name: [worst, *groups] for name in list(names)[1:]}
    share = {"coverage": 0.91, "coverage_low": 0.88, "coverage_high": 0.93}
    covered = pd.DataFrame([{"n_rows": 77, "mean_width": 0.3, **share}] * 2, index=["all", "1990s"])
    points = pd.DataFrame([{"nominal": 0.9, **share}, {"nominal": 0.5, **share, "coverage": 0.515}])
    points = points.assign(n_rows=77, mean_width=0.3)
    counted = {"loudness": estimate(0.6), "key": estimate(0.1)}
    effect = Effect("songs on both sides", 0.12, 0.125, estimate(0.005, 0.001), 900)
    analyses = make_plain(
        {
            "missing": {"CatBoost": "pip install <it>"},
            "reduced": {"LightGBM, <tuned>": "2 of 4 settings"},
            "left_out": {},
            "interrupted": False,
            "errors": {"decade": errors, "target": errors},
            "learning_curve": {name: [CurvePoint(n, estimate(4 / n)) for n in (100, 200)] for name in ("one", "other")},
            "effects": {"model": "notebook's neighbours", "effects": [effect]},
            "nested": NestedEstimate((13, 14), 14, (0.12, 0.13), (0.119, 0.13), estimate(0.0005, 0.0004)),
        }
    )
    analyses |= describe_intervals(IntervalReport(covered, points, 0.34)) | make_plain(ColumnReport(counted, counted))
    return {**make_results(), "beyond": describe_models(scores), "beyond_analyses": {**analyses, "seconds": 9.0}}


@pytest.fixture(scope="module")
def arrays() -> StudyArrays:
    generator = np.random.default_rng(7)
    energy = generator.beta(2.1, 1.35, 1250)
    predicted = np.clip(0.61 + 0.78 * (energy[:250] - 0.61) + generator.normal(0, 0.1, 250), 0, 1)
    return StudyArrays(energy[250:], energy[:250], predicted)


@pytest.fixture(scope="module")
def pictures(with_beyond, arrays):
    return draw_pictures(with_beyond, arrays)


@pytest.fixture(scope="module")
def files(with_beyond, arrays):
    """Render the report with every part, once."""
    return render_report(with_beyond, arrays)


@pytest.fixture(scope="module")
def page(files):
    return files["report.html"].decode()


def test_the_made_up_results_follow_the_schema(with_beyond):
    made = copy.deepcopy(with_beyond)
    made["overfitting"]["verdict"] = "not overfit"
    made["environment"] |= {"engine": "an engine", "device": "cpu"}
    check_results(json.loads(json.dumps(made)))


# ------------------------------------------------------------------------------------------------- tables


def test_comparison_holds_every_step_and_figure(results):
    rows = {(row.step, row.quantity): row for row in compare_with_notebook(results)}
    assert rows["base", "test R²"][2:4] == (0.80, 0.73)
    assert rows["base", "test R²"].difference == pytest.approx(-0.07)
    left_out = rows["base", "train without self R²"]
    assert (left_out.notebook, left_out.this_run, left_out.difference) == (None, 0.735, None)
    assert rows["coarse search", "mean R² at k = 1"].notebook is None
    assert rows["coarse search", "mean R² at k = 11"].notebook == pytest.approx(0.80)
    assert rows["coarse search", "mean R² at k = 41"].this_run is None
    for key, expected in {
        ("coarse search", "best k"): (11, 11, 0),
        ("coarse search", "minutes"): (None, 1.0, None),
        ("micro search", "best k"): (13, 12, -1),
        ("micro search", "minutes"): (8.5, 0.5, -8.0),
        ("tuned", "k"): (13, 12, -1),
    }.items():
        assert (rows[key].notebook, rows[key].this_run, rows[key].difference) == expected
    assert list(dict.fromkeys(step for step, _ in rows)) == ["base", "coarse search", "micro search", "tuned"]


def test_comparison_without_leakage(results):
    rows = {(row.step, row.quantity): row for row in compare_with_honest(results)}
    assert rows["tuned", "test R²"].difference == pytest.approx(-0.01)
    del results["honest"]
    assert compare_with_honest(results) == ()


def test_comparison_leaves_results_as_they_are(results):
    before = copy.deepcopy(results)
    compare_with_notebook(results)
    assert results == before


@pytest.mark.parametrize(
    ("value", "quantity", "text"),
    [(None, "", "-"), (1234, "", "1,234"), (0.1234567, "", "0.12346"), (8.7654, "minutes", "8.77")],
)
def test_format_value(value, quantity, text):
    assert format_value(value, quantity=quantity) == text


@pytest.mark.parametrize(("value", "text"), [(None, "-"), (0, "0"), (2, "+2"), (-0.5, "-0.50000")])
def test_format_difference(value, text):
    assert format_difference(value) == text


def test_table_is_plain_text_with_every_row(results):
    rows = compare_with_notebook(results)
    console = Console(file=io.StringIO(), width=100, color_system=None, legacy_windows=False)
    console.print(build_table(rows), markup=False)
    text = console.file.getvalue()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100
    for row in rows:
        figure = format_value(row.this_run, quantity=row.quantity)
        assert any(row.quantity in line and figure in line for line in text.splitlines()), row
    assert text.count("coarse search") == 1


# ----------------------------------------------------------------------------------------------- pictures


def errorbars(axes):
    """Return label, x, y and half-length of the bars of every errorbar on the axes."""
    found = {}
    for container in axes.containers:
        x, y = container.lines[0].get_data()
        segments = container.lines[2][0].get_segments()
        found[container.get_label()] = (x, y, [(high[1] - low[1]) / 2 for low, high in segments])
    return found


@pytest.mark.medium
def test_every_picture_has_labels_with_units_and_a_title(pictures):
    from matplotlib.figure import Figure

    assert list(pictures) == [*PICTURES, *(f"beyond_{name}" for name in BEYOND)]
    for picture in pictures.values():
        assert isinstance(picture.figure, Figure)
        assert picture.figure.get_suptitle()
        assert len(picture.shows) > 20
        assert picture.caption.endswith(".")
        for axes in picture.figure.axes:
            if axes.get_label() != "<colorbar>":
                assert axes.get_xlabel(), picture.title
            assert axes.get_ylabel(), picture.title


def test_validation_curve_draws_one_standard_error(results):
    figure = draw_validation_curve(results)
    top, bottom = figure.axes
    bars = errorbars(top)
    assert list(bars) == ["coarse search, this run", "micro search, this run", "coarse search, notebook"]
    x, y, half = bars["coarse search, this run"]
    assert list(x) == results["coarse"]["n_neighbors"]
    assert y == pytest.approx(results["coarse"]["mean_test_score"])
    assert half == pytest.approx(np.array(results["coarse"]["std_test_score"]) / np.sqrt(4))
    assert list(errorbars(bottom)["micro search, this run"][0]) == [11, 12, 13]
    assert "Best k is 12" in figure.get_suptitle()
    star = next(line for line in top.lines if line.get_marker() == "*")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == pytest.approx((12, results["micro"]["mean_test_score"][1]))


def test_validation_curve_overlays_the_notebook_and_its_folds(results):
    top = draw_validation_curve(results).axes[0]
    x, y, _ = errorbars(top)["coarse search, notebook"]
    assert list(x) == [11, 21, 31, 41]
    assert y == pytest.approx([0.80, 0.79, 0.78, 0.77])
    dots = next(part for part in top.collections if len(part.get_offsets()) == 16)
    folds = results["notebook"]["coarse"]["fold_test_scores"]
    assert sorted(dots.get_offsets()[:, 1]) == pytest.approx(sorted(np.ravel([folds[i] for i in (0, 1, 2, 4)])))
    low, high = top.get_ylim()
    assert low < 0.56
    assert high > 0.80


def test_validation_curve_counts_candidates_within_one_standard_error(results):
    near = [0.741, 0.7405, 0.7408]
    results["micro"] = make_search("GridSearchCV", [11, 12, 13], near)
    assert draw_validation_curve(results).axes[1].get_title(loc="left").startswith("All 3 micro")
    results["micro"] = make_search("GridSearchCV", [11, 12, 13], [0.741, 0.70, 0.7408])
    assert draw_validation_curve(results).axes[1].get_title(loc="left").startswith("2 of 3 micro")


def test_predicted_against_actual_counts_every_row(arrays):
    figure = draw_predicted_against_actual(arrays.y_test, arrays.predicted_test, words=ENERGY)
    axes, bar = figure.axes
    cells = axes.collections[0]
    assert cells.get_array().sum() == 250
    assert "test rows in a cell" in bar.get_ylabel()
    assert np.array_equal(*axes.lines[0].get_data())
    rmse = np.sqrt(np.mean((arrays.y_test - arrays.predicted_test) ** 2))
    assert f"{rmse:.3f}" in figure.get_suptitle()


def test_predicted_against_actual_draws_a_seeded_choice(arrays):
    def count(**options):
        axes = draw_predicted_against_actual(
            arrays.y_test, arrays.predicted_test, words=ENERGY, n_points=100, **options
        ).axes[0]
        return axes.collections[0].get_array().tolist()

    assert sum(count()) == 100
    assert count() == count(random_state=42)
    assert count() != count(random_state=43)


def test_caption_says_how_many_points_are_drawn(results):
    energy = np.random.default_rng(1).random(30_001)
    large = StudyArrays(energy, energy, energy[::-1].copy())
    caption = draw_pictures(results, large)["predicted_against_actual"].caption
    assert "30,000 of 30,001 test rows" in caption


def test_residuals_show_median_and_band(arrays):
    above, below = draw_residuals(arrays.y_test, arrays.predicted_test, words=ENERGY).axes
    residuals = arrays.y_test - arrays.predicted_test
    order = np.argsort(arrays.predicted_test, kind="stable")
    parts = np.array_split(order, 5)
    assert above.lines[0].get_ydata() == pytest.approx([np.median(residuals[part]) for part in parts])
    vertices = above.collections[0].get_paths()[0].vertices[:, 1]
    assert vertices.min() == pytest.approx(min(np.quantile(residuals[part], 0.05) for part in parts))
    assert vertices.max() == pytest.approx(max(np.quantile(residuals[part], 0.95) for part in parts))
    assert sum(patch.get_height() for patch in below.patches) == 250


def test_train_against_test_draws_each_side_and_the_notebook(results):
    above, below = draw_train_against_test(results).axes
    drawn = [line.get_xdata()[0] for line in above.lines[:6]]
    assert drawn == [0.82, 0.735, 0.73, 0.78, 0.745, 0.74]
    assert np.asarray(above.lines[6].get_xdata()) == pytest.approx(
        [0.87, np.nan, 0.80, 0.84, np.nan, 0.81], nan_ok=True
    )
    assert "RMSE" in below.get_xlabel()
    assert above.get_yticklabels()[1].get_text() == "k = 5, train without self"


def test_train_against_test_title_states_the_fair_gap(results):
    results["overfitting"]["without_self_minus_test_r2"]["tuned"] = -0.002
    title = " ".join(draw_train_against_test(results).get_suptitle().split())
    assert title == "Train minus test R², self left out: +0.005 before tuning, -0.002 after"


def test_target_distribution_draws_shares_that_add_up(arrays):
    axes = draw_target_distribution(arrays.y_train, arrays.y_test, words=ENERGY).axes[0]
    values = [patch.get_data()[0] for patch in axes.patches]
    assert [share.sum() for share in values] == pytest.approx([100, 100, 100])
    everything = np.concatenate([arrays.y_train, arrays.y_test])
    assert values[0] == pytest.approx(np.histogram(everything, np.linspace(0, 1, 16))[0] / 12.5)


@pytest.mark.medium
@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_pictures_of_rows_that_are_all_alike(results, value):
    same = np.full(3, value)
    drawn = draw_pictures(results, StudyArrays(same, same, same))
    for name in PICTURES[2:]:  # the first two show no rows
        drawn[name].figure.draw_without_rendering()


def test_a_table_that_is_missing_gives_no_picture(with_beyond, results):
    assert draw_beyond(results) == {}
    analyses = with_beyond["beyond_analyses"]
    without_decades = {**analyses, "errors": {"target": analyses["errors"]["target"]}}
    drawn = draw_beyond({**with_beyond, "beyond_analyses": without_decades})
    assert list(drawn) == [f"beyond_{name}" for name in BEYOND if name != "errors_by_decade"]


def test_models_are_drawn_from_the_best_on_with_their_intervals(with_beyond):
    figure = draw_models(with_beyond["beyond"], words=ENERGY)
    above, below = figure.axes
    assert [bar.get_width() for bar in above.patches] == [0.09, 0.095, 0.12, 0.25]
    assert below.get_yticklabels()[0].get_text() == "neighbours, learned"
    (low, high) = below.containers[0].lines[2][0].get_segments()[0]
    assert (low[0], high[0]) == pytest.approx((0.08, 0.10))
    assert "0.09000, neighbours, learned" in " ".join(figure.get_suptitle().split())


def test_errors_are_drawn_for_each_model_and_group(with_beyond):
    errors = with_beyond["beyond_analyses"]["errors"]["decade"]
    figure = draw_errors(errors, by="decade of release (years)", words=ENERGY)
    above, below = figure.axes
    bars = errorbars(above)
    assert list(bars) == list(errors)
    assert bars["neighbours, learned"][1] == pytest.approx([0.2, *[0.1] * 11])
    assert bars["neighbours, learned"][2] == pytest.approx([0.01] * 12)
    assert errorbars(below)["neighbours, learned"][1][0] == pytest.approx(0.05)
    title = " ".join(figure.get_suptitle().split())
    assert title == "Largest RMSE of neighbours, learned: 0.2000 (1910s)"


def make_point(n_train, rmse):
    return {"n_train": n_train, "rmse": {"value": rmse, "low": rmse, "high": rmse}}


def test_a_learning_curve_that_rises_says_so():
    curve = {"one": [make_point(n, n / 1000) for n in (100, 200)]}
    title = " ".join(draw_learning_curve(curve, words=ENERGY).get_suptitle().split())
    assert title == "Twice the rows add 0.1000 to the RMSE of one"


def test_a_unit_is_never_broken_between_lines():
    figure = draw_learning_curve({"one": [make_point(9, 0.1)]}, words=ENERGY)
    assert "(0\u00a0to\u00a01)" in figure.axes[0].get_ylabel()


def test_the_learning_curve_says_what_the_last_doubling_brings(with_beyond):
    figure = draw_learning_curve(with_beyond["beyond_analyses"]["learning_curve"], words=ENERGY)
    title = " ".join(figure.get_suptitle().split())
    assert title == "Twice the rows take 0.02000 off the RMSE of one"
    assert list(errorbars(figure.axes[0])["one"][0]) == [100, 200]
    assert figure.axes[0].get_xscale() == "log"


def test_coverage_and_calibration_are_drawn_in_percent(with_beyond):
    analyses = with_beyond["beyond_analyses"]
    figure = draw_coverage(analyses["coverage"], words=ENERGY)
    x, y = figure.axes[0].containers[0].lines[0].get_data()
    assert list(x) == [0, 1]
    assert y == pytest.approx([91, 91])
    assert "cover 91.0 to 91.0 %" in " ".join(figure.get_suptitle().split())
    figure = draw_calibration(analyses["calibration"])
    assert "off by +1.5 % at most" in " ".join(figure.get_suptitle().split())
    weights = draw_weights({"a": {"value": 0.1, "low": 0, "high": 0.2}, "b": {"value": 0.3, "low": 0.2, "high": 0.4}})
    assert [label.get_text() for label in weights.axes[0].get_yticklabels()] == ["b", "a"]


def test_the_terminal_names_intervals_and_what_is_missing(with_beyond):
    from rich.console import Console

    console = Console(width=80, record=True, file=io.StringIO())
    notes = ["boosted trees: 2 of 4 settings", "not compared: CatBoost (pip install 'energyknn[trees]')"]
    console.print(tabulate_models(with_beyond["beyond"], notes))
    text = console.export_text()
    assert "  0.09000 0.01000" in text
    assert all(note in text for note in notes)


def test_notes_say_what_is_missing_smaller_and_left_out():
    analyses = {"missing": {"CatBoost": "install it"}, "reduced": {"forest": "9 trees"}, "left_out": {"nested": "late"}}
    assert list_notes(analyses) == ["not compared: CatBoost (install it)", "forest: 9 trees", "left out: nested (late)"]


def test_notes_with_the_same_reason_share_a_line():
    left_out = {"forest": "late", "one map, learned": "no time", "nested": "late"}
    analyses = {"missing": {}, "reduced": {"forest": "9 trees", "boosted": "4 trees"}, "left_out": left_out}
    assert list_notes(analyses) == [
        "boosted: 4 trees",  # what was to be smaller but was left out is named once
        "left out: forest; nested (late)",
        "left out: one map, learned (no time)",
    ]


def test_parts_that_were_left_out_are_named_and_not_drawn(with_beyond):
    kept = ("missing", "reduced", "interrupted", "seconds")
    analyses = {name: with_beyond["beyond_analyses"][name] for name in kept} | {"left_out": {"nested estimate": "late"}}
    results = {**with_beyond, "beyond_analyses": analyses}
    assert list(draw_beyond(results)) == ["beyond_models"]
    text = PageReader(render_page(results, {})).text
    assert "Left out: nested estimate (late)" in text
    assert "Do the intervals cover" not in text


# --------------------------------------------------------------------------------------------------- page


@pytest.mark.medium
def test_page_shows_key_figures_before_anything_else(page):
    reader, head = PageReader(page), PageReader(page[: page.index('<section id="evidence">')]).text
    for text in ("0.7400", "notebook: 0.8100", "0.0650", "notebook: 0.0475", "Synthetic data."):
        assert text in head, text
    for text in ("all rows", "training rows", "songs", "1,001", "micro search without leakage", "Fold 4", "numpy"):
        assert text.lower() in reader.text.lower(), text


def test_the_contents_lead_to_every_section_in_its_order(page, results):
    for html in (page, render_page(results, {})):
        sections = re.findall(r'<section id="([a-z-]+)">', html)
        assert re.findall(r'<a href="#([a-z-]+)">', html[: html.index("<main>")]) == sections
    assert [name for name in sections if name in {"answer", "evidence", "doubts", "next", "details"}] == [
        "answer",
        "evidence",
        "doubts",
        "next",
        "details",
    ]


def test_the_page_allows_its_own_script_and_no_other(page):
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == f"'sha256-{digest}'"


def test_regions_of_the_page_have_names_of_their_own(page):
    names = re.findall(r'role="region" aria-label="([^"]+)"', page)
    assert len(names) == len(set(names)) > 8


def test_every_picture_stands_in_a_section_once(page, pictures):
    for name in pictures:
        assert page.count(f'<figure id="{name.replace("_", "-")}">') == 1


def test_tables_of_every_candidate_are_folded(page):
    for name in ("coarse search", "micro search without leakage"):
        before = page[: page.index(f'aria-label="Table: {name}"')]
        assert before.count("<details>") == before.count("</details>") + 1


def test_the_page_says_what_to_try_next(results, page):
    assert f"{results['command']} --beyond" in PageReader(render_page(results, {})).text
    assert "--beyond" not in PageReader(page).text  # it was run


def test_page_escapes_every_text(page):
    assert "hardly <b>" not in page
    reader = PageReader(page)
    assert reader.tags.count("script") == page.count("<script") == 1
    assert reader.text.count(HOSTILE) == 2
    assert "Train & test are close." in reader.text
    assert "hardly <b>" in reader.text


def test_page_asks_for_nothing_outside(page):
    assert not re.search(r"https?:|url\((?!#)|@import|//[a-z]", page)
    reader = PageReader(page)
    assert all(address.startswith(("data:", "#")) for address in reader.addresses)
    assert len(reader.pictures) == 13
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in reader.pictures)
    assert len(reader.ids) == len(set(reader.ids))
    assert len(page) < 3_000_000


MARKUP = "\"'><script>alert(1)</script><img src=http://x.test/ onerror=alert(1)><a href=javascript:alert(1)>{{ 7 * 7 }}"


def spoil(value: Any) -> Any:
    """Put markup into every text of the results, and into the names that a page shows."""
    if isinstance(value, dict):
        return {name: spoil(part) for name, part in value.items()}
    if isinstance(value, list):
        return [spoil(part) for part in value]
    return value + MARKUP if isinstance(value, str) else value


def test_no_text_of_the_results_becomes_markup(results):
    expected = PageReader(render_page(results, {}))
    spoiled = spoil(results)
    spoiled["environment"]["packages"] |= {MARKUP: "1"}
    spoiled["environment"] |= {MARKUP: MARKUP}
    spoiled["protocol"] |= {MARKUP: MARKUP}
    spoiled["data"] |= {MARKUP: MARKUP}
    page = render_page(spoiled, {})
    reader = PageReader(page)
    assert set(reader.tags) == set(expected.tags)
    assert reader.addresses == expected.addresses
    assert page.count("<script") == 1
    assert reader.text.count(MARKUP) > 20


@pytest.mark.medium
def test_the_report_of_a_file_full_of_markup(tmp_path):
    name = "<script>alert(1)"
    tracks = make_tracks(120).rename(columns={"tempo": name, "valence": "<b>&amp;"})
    tracks = tracks.assign(name="<script>alert(1)</script>", artists="<img src=x onerror=alert(1)>")
    path = tmp_path / "<script>alert(1).csv"
    tracks.to_csv(path, index=False)
    schema = make_schema(
        target="energy", numbers=["loudness", name, "<b>&amp;"], categories=["mode"], texts=["name", "artists"]
    )
    reproduce(path, tmp_path / "out", schema=schema, honest=False)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert page.count("<script") == 1
    assert "onerror" not in page
    assert path.name in PageReader(page).text
    assert all(address.startswith(("data:", "#")) for address in PageReader(page).addresses)


def test_page_has_a_section_beyond_the_notebook(page, files, results):
    section = PageReader(page[page.index('<section id="beyond">') : page.index('<section id="next">')]).text
    for text in (
        "LightGBM, <tuned>", "0.08000 to 0.10000", "Not compared: CatBoost", "pip install <it>", "songs on both sides",
        "+0.00500", "13, 14", "+0.00050", "Do the intervals cover", "0.91000", "0.3400",
    ):  # fmt: skip
        assert text in section, text
    assert "<tuned>" not in page
    assert "pictures/beyond_coverage.svg" in files
    assert "Beyond the notebook" not in PageReader(render_page(results, {})).text


def test_page_without_the_parts_that_may_be_missing(results):
    del results["honest"]
    results["data"]["synthetic"] = False
    text = PageReader(render_page(results, {})).text
    for words in ("Synthetic data.", "without leakage", "Beyond the notebook"):
        assert words not in text
    assert "Where the time went" in text


def test_page_repeats_the_command(results):
    assert results["command"] in PageReader(render_page(results, {})).text


def test_page_survives_a_run_of_no_seconds(results):
    results["seconds"] = dict.fromkeys(results["seconds"], 0.0)
    assert "Where the time went" in render_page(results, {})


@pytest.mark.medium
def test_report_is_the_page_and_its_pictures(files, results, arrays):
    names = [*PICTURES, *(f"beyond_{name}" for name in BEYOND)]
    assert list(files) == ["report.html", *(f"pictures/{name}.svg" for name in names)]
    assert files["report.html"].startswith(b"<!DOCTYPE html>")
    again = render_report(results, arrays)
    assert all(files[name] == content for name, content in again.items() if name.endswith(".svg"))


# -------------------------------------------------------------------------------------------------- extra


@pytest.mark.parametrize("module", ["matplotlib.figure", "jinja2"])
def test_missing_extra_is_named(results, monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"energyknn\[report\]"):
        render_page(results, {}) if module == "jinja2" else draw_validation_curve(results)


@pytest.mark.medium
def test_pictures_leave_the_settings_of_matplotlib_alone(results, arrays):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw_pictures(results, arrays)["residuals"].figure.draw_without_rendering()
    assert dict(mpl.rcParams) == before


def test_every_k_is_summed_up_and_drawn_where_it_was_scored(results):
    curve = {"n_neighbors": [1, 2, 3], "fold_test_scores": [[0.1, 0.2], [0.5, 0.7], [0.4, 0.4]], "best": 2}
    curve["mean_test_score"] = [0.15, 0.6, 0.4]
    with_curve = {**results, "curve": curve}
    rows = [row for row in compare_with_notebook(with_curve) if row.step == "every k, 1 to 3"]
    assert [(row.quantity, row.notebook, row.this_run) for row in rows] == [
        ("best k", None, 2),
        ("mean R² there", None, 0.6),
    ]
    figure = draw_validation_curve(with_curve)
    assert "of every k it is 2" in " ".join(figure.get_suptitle().split())
    axes = figure.axes[0]
    labels = axes.get_legend_handles_labels()[1]
    assert "every k from one search, this run" in labels
    assert any(
        list(line.get_ydata()) == pytest.approx([0.15, 0.6, 0.4]) for line in axes.lines if len(line.get_xdata()) == 3
    )
