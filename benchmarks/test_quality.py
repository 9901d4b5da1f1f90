"""What quality for what time? Exact and approximate neighbours: recall, the error of predictions, and seconds."""

from __future__ import annotations

import numpy as np
import pytest
from harness.peers import BRUTE, OURS, PEERS, measure_distances, measure_recall
from harness.timing import time_call
from sklearn.metrics import root_mean_squared_error

QUESTION = "quality"
K = 13  # the notebook's best
CASES = [
    (peer.name, effort)
    for peer in PEERS.values()
    if peer.name in (BRUTE, "FAISS flat") or not peer.exact
    for effort in peer.efforts or (None,)
]


@pytest.fixture(scope="module")
def build(problems):
    """Build each index once; return the search with the seconds of building."""
    built = {}

    def make(peer):
        if peer.name not in built:
            built[peer.name] = time_call(peer.build, problems("27 columns").train)
        return built[peer.name]

    return make


@pytest.mark.parametrize(("peer", "effort"), CASES)
def test_quality_for_time(record, size, problems, build, find_peer, peer, effort):
    found, made = find_peer(peer), problems("27 columns")
    (ours_build, search_ours), (build_seconds, search) = build(OURS), build(found)
    facts = {"ours_build_seconds": ours_build, "build_seconds": build_seconds}
    options = {} if effort is None else {"effort": effort}

    def measure_error(indices):
        return float(root_mean_squared_error(made.y_query, made.y_train[indices].mean(axis=1)))

    def check(ours, theirs):
        facts["recall"] = measure_recall(measure_distances(made.train, made.query, theirs[1]), ours[0])
        facts["rmse"], facts["ours_rmse"] = measure_error(theirs[1]), measure_error(ours[1])
        assert facts["recall"] > (0.9999 if found.exact else 0.5)

    record.compare(
        f"27 columns, k = {K}, search of a built index", peer if effort is None else f"{peer}, effort {effort:g}",
        ours=lambda: search_ours(made.query, K), theirs=lambda: search(made.query, K, **options),
        check=check, pairs=size.pairs, peer=peer, effort=effort, exact=found.exact, facts=facts,
    )  # fmt: skip


def test_what_is_exact_is_as_good_as_exact_can_be(problems):
    """The error of our neighbours is that of the neighbours that measuring every pair finds."""
    made = problems("27 columns")
    query = made.query[:20]
    squares = ((made.train[None] - query[:, None]) ** 2).sum(axis=2)
    expected = np.sort(np.sqrt(squares), axis=1)[:, :K]
    np.testing.assert_allclose(OURS.search(made.train, query, K)[0], expected, rtol=1e-12)
