"""The comparison of two saved runs: a slowdown of ours beyond the threshold fails, and nothing else does."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
from compare_runs import main
from harness.runs import format_run, strip_run
from harness.timing import median_interval


def make_case(name, ours, rival, *, question="predict"):
    """Make what a recorder keeps of pairs of times."""
    middle, low, high = median_interval(np.asarray(rival) / np.asarray(ours))
    info = {
        "case": name, "rival": "a rival", "times_faster": middle, "interval": [low, high],
        "ours_seconds": float(np.median(ours)), "rival_seconds": float(np.median(rival)),
        "ours_times": list(map(float, ours)), "pairs": len(ours),
    }  # fmt: skip
    return {"fullname": name, "group": question, "extra_info": info}


def make_value(name, value, **facts):
    info = {"case": name, "value": value, "interval": [value, value], **facts}
    return {"fullname": name, "group": "memory", "extra_info": info}


def make_run(cases, *, cpu="a CPU", size="smoke"):
    return {"run": {"size": size}, "machine_info": {"cpu": {"brand_raw": cpu}}, "benchmarks": cases}


@pytest.fixture
def compare(tmp_path, capsys):
    """Compare two runs as the command does; return its status and what it printed."""

    def call(*runs, options=()):
        paths = [tmp_path / name for name in ("before.json", "after.json")]
        for path, run in zip(paths, runs, strict=True):
            path.write_text(json.dumps(run), encoding="utf-8")
        status = main([*map(str, paths), *options])
        printed = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=printed.out, stderr=printed.err)

    return call


def draw_run(random, *, slowdown=1.0, load=1.0, n_cases=40, n_pairs=5):
    """Draw a run with a tenth of noise on each time, on a machine that is `load` times slower."""
    cases = []
    for number in range(n_cases):
        ours, rival = load * random.lognormal(0, 0.1, size=(2, n_pairs))
        cases.append(make_case(f"case {number}", ours * slowdown, 5 * rival))
    return make_run(cases)


@pytest.mark.parametrize(("after", "status"), [(1.0, 0), (1.2, 0), (0.5, 0), (1.3, 1), (9.0, 1)])
def test_a_slowdown_beyond_the_threshold_fails(compare, after, status):
    before = make_run([make_case("fit", [1.0] * 5, [4.0] * 5), make_case("old", [1.0] * 5, [1.0] * 5)])
    new = make_run([make_case("fit", [after] * 5, [4.0] * 5), make_case("new", [5.0] * 5, [1.0] * 5)])
    done = compare(before, new)
    assert done.returncode == status, done.stdout
    assert f"{after:7.3f} times worse" in done.stdout
    assert done.stdout.count("only in one run") == 2
    assert compare(before, new, options=["--threshold", "10"]).returncode == 0


@pytest.mark.medium
def test_noise_alone_does_not_fail_five_times_in_a_row(compare):
    random = np.random.default_rng(0)
    before = draw_run(random)
    for _ in range(5):
        done = compare(before, draw_run(random, load=random.uniform(0.5, 2)))
        assert done.returncode == 0, done.stdout


def test_a_slowdown_of_half_is_found_through_the_noise(compare):
    random = np.random.default_rng(0)
    done = compare(draw_run(random), draw_run(random, slowdown=1.5, load=2))
    assert done.returncode == 1
    assert "SLOWER all 40 cases of predict" in done.stdout


def test_a_rival_that_becomes_faster_is_no_slowdown(compare):
    before, after = (make_run([make_case("fit", [1.0] * 5, [rival] * 5)]) for rival in (4.0, 2.0))
    assert compare(before, after).returncode == 0


def test_on_another_machine_only_the_ratios_count(compare):
    before = make_run([make_case("fit", [1.0] * 5, [4.0] * 5)])
    faster = [make_case("fit", [0.5] * 5, [1.0] * 5)]
    assert compare(before, make_run(faster)).returncode == 0
    assert compare(before, make_run(faster, cpu="another CPU")).returncode == 1


def test_a_case_of_few_pairs_must_exceed_the_square_of_the_threshold(compare):
    before = make_run([make_case("fit", [1.0] * 3, [4.0] * 3)])
    for after, status in ((1.5, 0), (1.6, 1)):
        done = compare(before, make_run([make_case("fit", [after] * 3, [4.0] * 3)]))
        assert done.returncode == status


def test_a_figure_without_a_rival_fails_when_it_grows(compare):
    before, after = (make_run([make_value("peak", value)]) for value in (1.5, 2.0))
    assert compare(before, after).returncode == 1
    assert compare(after, before).returncode == 0
    seconds = [make_run([make_case("fit", [1.0], [1.0]), make_value("s", v, is_compared=False)]) for v in (1, 9)]
    assert compare(*seconds).returncode == 0


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (make_run([make_case("two", [1.0], [1.0])]), "no case in common"),
        (make_run([make_case("one", [1.0], [1.0])], size="full"), "differ in their size"),
    ],
)
def test_runs_that_have_nothing_in_common_cannot_be_compared(compare, other, reason):
    done = compare(make_run([make_case("one", [1.0], [1.0])]), other)
    assert done.returncode == 2
    assert reason in done.stderr


def test_a_published_run_keeps_its_figures_and_no_names():
    raw = make_run([make_case("fit", [1.0] * 5, [4.0] * 5) | {"stats": {"data": [1.0]}}]) | {"node": "a-host"}
    kept = json.loads(format_run(strip_run(raw)))
    assert "a-host" not in str(kept)
    assert kept["benchmarks"][0]["extra_info"] == raw["benchmarks"][0]["extra_info"]
    assert kept["machine_info"] == raw["machine_info"]
