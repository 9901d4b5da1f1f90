"""The page on scale: the predictions follow from what was measured, and the committed page is what the code writes."""

from __future__ import annotations

import json
from math import log2
from pathlib import Path

import numpy as np
import pytest
from harness.scale import Cluster, Costs, fit_power, predict, render_page

ROOT = Path(__file__).parents[2]
MEASURED, PAGE = ROOT / "benchmarks" / "results" / "scale.json", ROOT / "docs" / "scale.md"
CASES = [{"rows": n, "queries": 100, "seconds": 100 * 1e-8 * n**0.5} for n in (10_000, 40_000, 90_000)]
TIMED = {"order": ("queries", 1e-7), "place": ("queries", 1e-7), "merge": ("queries", 1e-6), "unit": ("units", 1e-3)}
COSTS = Costs(
    {
        "n_features": 10,
        "n_neighbors": 5,
        "costs": {
            **dict.fromkeys(("search", "search_shard", "score"), CASES),
            **{name: {count: 100, "seconds": 100 * seconds} for name, (count, seconds) in TIMED.items()},
            "build": [{"rows": 1 << 20, "seconds": 2.0}],
            "fold": [{"rows": 1 << 20, "seconds": 3.0}],
            "index": [{"rows": 1 << 20, "bytes": 150 << 20}],
            "put": {"bytes": 10**9, "seconds": 0.5},
        },
    }
)


def test_costs_are_those_that_were_measured():
    assert fit_power(CASES) == (pytest.approx(1e-8), pytest.approx(0.5))
    assert COSTS.build(1 << 21) == pytest.approx(2 * 2.0 * 21 / 20)
    assert COSTS.copy * (1 << 20) == pytest.approx(1.0)
    assert COSTS.index == 150


def test_one_node_sends_nothing_and_the_work_is_the_sum_of_its_parts():
    n = 1 << 14
    found = predict(COSTS, Cluster(cores=1, worker_cores=1), n, 1)
    build = 2.0 * n * log2(n) / (20 << 20)
    work, put = n * 1e-8 * n**0.5, n * (150 + 80 + 80) * 0.5e-9  # the index, queries and results
    assert found.seconds == pytest.approx(build + work + put + n * 2e-7 + 2e-3)
    assert found[1:] == (0, 150 * n, n * (80 + 300 + 80))
    assert predict(COSTS, Cluster(), 10**6, 0).network == 0


@pytest.mark.parametrize(("n_shards", "sent"), [(0, 3 * 80), (1, 3 * 150), (8, 3 / 4 * 80)])
def test_bytes_that_cross_the_network_are_counted(n_shards, sent):
    came = 3 / 4 * n_shards * (80 + 8 + 80)
    assert predict(COSTS, Cluster(4), 80_000, n_shards).network == pytest.approx(80_000 * (sent + came))


@pytest.mark.parametrize("n_shards", [0, 1, 8])
@pytest.mark.parametrize("n_rows", [10**5, 10**7])
def test_more_cores_are_no_slower_and_more_rows_need_more(n_rows, n_shards):
    few, many = (predict(COSTS, Cluster(cores=n, worker_cores=n), n_rows, n_shards).seconds for n in (4, 16))
    assert many < few
    assert np.all(
        np.array(predict(COSTS, Cluster(8), 2 * n_rows, n_shards)) > predict(COSTS, Cluster(8), n_rows, n_shards)
    )


def test_the_page_is_what_the_committed_measurement_gives():
    text = MEASURED.read_text(encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == render_page(json.loads(text))
    assert all(name not in text for name in ('"node"', "/home", "/tmp"))  # noqa: S108 - a machine is not named
