"""The page on scale: what it predicts follows from what was measured, and the committed page is what that gives."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from harness.scale import (
    Cluster,
    Costs,
    fit_power,
    predict_run,
    predict_search,
    predict_tuning,
    render_page,
    share_alone,
)

ROOT = Path(__file__).parents[2]
MEASURED, PAGE = ROOT / "benchmarks" / "results" / "scale.json", ROOT / "docs" / "scale.md"
CASES = [{"rows": n, "queries": 100, "seconds": 100 * 1e-8 * n**0.5} for n in (10_000, 40_000, 90_000)]
MADE = {
    "n_features": 10,
    "n_neighbors": 5,
    "costs": {
        "build": [{"rows": 1 << 20, "seconds": 2.0, "threaded": {"threads": 2, "seconds": 1.25}}],
        "index": [{"rows": 1 << 20, "bytes": 150 << 20}],
        "search": CASES,
        "search_shard": CASES,
        "score": CASES,
        "fold": [{"rows": 1 << 20, "seconds": 3.0}],
        "order": {"queries": 100, "seconds": 1e-5},
        "place": {"queries": 100, "seconds": 1e-5},
        "merge": {"queries": 100, "seconds": 1e-4},
        "put": {"bytes": 10**9, "seconds": 0.5},
        "unit": {"units": 100, "seconds": 0.1},
    },
}
COSTS = Costs(MADE)


def test_a_power_that_is_there_is_found():
    factor, exponent = fit_power(CASES)
    assert (factor, exponent) == (pytest.approx(1e-8), pytest.approx(0.5))
    assert COSTS.ask("search", 1_000_000) == pytest.approx(1e-5)


def test_costs_are_those_that_were_measured():
    assert COSTS.build(1 << 20) == pytest.approx(2.0)
    assert COSTS.build(1 << 21) == pytest.approx(2 * 2.0 * 21 / 20)
    assert COSTS.index(1000) == pytest.approx(150_000)
    assert COSTS.prepare_fold(1 << 20) == pytest.approx(3.0)


@pytest.mark.parametrize(("on_two", "alone"), [(1.0, 0.0), (1.25, 0.25), (2.0, 1.0), (2.2, 1.0), (0.9, 0.0)])
def test_the_share_for_one_core_alone_is_amdahls(on_two, alone):
    assert share_alone(2.0, on_two, 2) == pytest.approx(alone)


def test_threads_shorten_a_build_but_for_the_share_of_one_core():
    assert COSTS.build(1 << 20, 2) == pytest.approx(1.25)
    assert COSTS.build(1 << 20, 10) == pytest.approx(2.0 * (0.25 + 0.75 / 10))
    assert COSTS.prepare_fold(1 << 20, 2) == pytest.approx(1.0 + 1.25)


def test_one_node_sends_nothing_and_the_work_is_the_sum_of_its_parts():
    found = predict_search(COSTS, Cluster(cores=1), n_train=1 << 20, n_query=16_384, n_shards=1)
    work = 16_384 * COSTS.ask("search", 1 << 20)
    before = 16_384 * 1e-7 + 2.0 + COSTS.index(1 << 20) * 0.5e-9
    home = 16_384 * (1e-7 + 80 * 0.5e-9) + 1e-3
    assert found.network == 0
    assert found.seconds == pytest.approx(before + work + 16_384 * 80 * 0.5e-9 + 1e-3 + home)
    assert found.node == pytest.approx(150 << 20)
    assert predict_tuning(COSTS, Cluster(), n_rows=10**6).network == 0


@pytest.mark.parametrize("n_shards", [1, 8])
def test_bytes_that_cross_the_network_are_counted(n_shards):
    n_train, n_query, n_nodes = 80_000, 16_000, 4
    found = predict_search(COSTS, Cluster(n_nodes), n_train=n_train, n_query=n_query, n_shards=n_shards)
    results = 3 / 4 * n_query * n_shards * (80 + 8 + 16 * 5)
    sent = 3 * COSTS.index(n_train) if n_shards == 1 else 3 / 4 * 8 * n_train / 8 * 80
    assert found.network == pytest.approx(results + sent)


@pytest.mark.parametrize("n_rows", [10**5, 10**7])
def test_more_cores_are_no_slower_and_more_rows_need_more(n_rows):
    for predict in (
        lambda cluster, n: predict_search(COSTS, cluster, n_train=n, n_query=n, n_shards=1),
        lambda cluster, n: predict_tuning(COSTS, cluster, n_rows=n),
    ):
        assert predict(Cluster(cores=16), n_rows).seconds < predict(Cluster(cores=4), n_rows).seconds
        fewer, more = predict(Cluster(8), n_rows), predict(Cluster(8), 2 * n_rows)
        assert np.all(np.array(more) > np.array(fewer))


def test_a_run_is_predicted_with_workers_of_one_core():
    run = {"kind": "search", "rows": 10_000, "shards": 2, "workers": 2}
    cluster = Cluster(cores=2, cores_per_worker=1)
    expected = predict_search(COSTS, cluster, n_train=10_000, n_query=10_000, n_shards=2)
    assert predict_run(COSTS, run) == expected


def read_measured() -> str:
    """Return the committed measurement; without one there is no page either."""
    if not MEASURED.exists():
        assert not PAGE.exists()
        pytest.skip("nothing has been measured on a quiet machine")
    return MEASURED.read_text(encoding="utf-8")


def test_the_page_is_what_the_committed_measurement_gives():
    page = render_page(json.loads(read_measured()))
    assert PAGE.read_text(encoding="utf-8") == page


def test_the_committed_measurement_names_no_machine():
    text = read_measured()
    assert '"node"' not in text
    assert "/home" not in text
    assert "/tmp" not in text  # noqa: S108 - what must not be there
