"""How much work a search does: a search that does more than it did fails here, on any machine."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from energyknn.neighbors import search_neighbors

random = np.random.default_rng(0)
ROWS = {
    "normal": random.normal(size=(6000, 5)),
    "clusters": random.normal(size=(40, 8))[random.integers(0, 40, 6000)] * 5 + random.normal(size=(6000, 8)),
    "indicators": np.c_[random.normal(size=(6000, 4)), random.integers(0, 2, (6000, 5))],
    "equal": np.ones((3000, 3)),
}


@pytest.mark.parametrize("engine", ["blocked", "flat"])
@pytest.mark.parametrize("name", list(ROWS))
def test_the_report_does_not_depend_on_threads(engine, name):
    rows = ROWS[name]
    one, three = (search_neighbors(rows, rows[:1000], 7, engine=engine, n_jobs=n_jobs).report for n_jobs in (1, 3))
    assert one == three
    assert one.engine == engine
    assert one.survivors >= 7 * 1000
    assert one.rows <= one.products or name == "equal"


COUNTED = {
    ("blocked", "normal"): (2256, 12489216, 62446080, 60174),
    ("blocked", "clusters"): (1350, 5987072, 47896576, 60419),
    ("blocked", "indicators"): (3268, 16502528, 66010112, 60108),
    ("blocked", "equal"): (564, 768000, 0, 857744),
    ("flat", "normal"): (0, 36000000, 216000000, 60728),
    ("flat", "clusters"): (0, 36000000, 324000000, 60856),
}
"""Blocks, rows, products and survivors for the 10 nearest of each row, as they were counted."""


@pytest.mark.parametrize(("engine", "name"), list(COUNTED))
def test_a_search_does_no_more_work_than_it_did(engine, name):
    """Other instructions of a processor round otherwise in float32, and may let a few more rows pass."""
    _, *work = search_neighbors(ROWS[name], None, 10, engine=engine).report
    assert all(found <= 1.02 * counted for found, counted in zip(work, COUNTED[engine, name], strict=True)), work


def test_an_engine_that_does_not_count_has_no_report():
    assert search_neighbors(ROWS["normal"], None, 3, engine="brute").report is None


def test_a_report_is_kept_and_neighbours_stay_a_pair():
    found = search_neighbors(ROWS["normal"], None, 3, engine="blocked")
    distances, indices = found
    assert distances is found.distances
    assert indices is found.indices
    assert pickle.loads(pickle.dumps(found)).report == found.report  # noqa: S301
