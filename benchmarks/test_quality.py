"""What quality for what time? Exact and approximate neighbours: recall, the error of predictions, and seconds."""

from __future__ import annotations

import numpy as np
import pytest
from harness.peers import BRUTE, PEERS, measure_distances, measure_recall, search_ours
from sklearn.metrics import root_mean_squared_error

QUESTION = "quality"
K = 13  # the notebook's best
CASES = [
    (peer.name, effort)
    for peer in PEERS.values()
    if peer.name in (BRUTE, "FAISS flat") or not peer.exact
    for effort in peer.efforts or (None,)
]


@pytest.mark.parametrize(("peer", "effort"), CASES)
def test_quality_for_time(record, size, problems, find_peer, peer, effort):
    found, made, facts = find_peer(peer), problems("27 columns"), {}

    def measure_error(indices):
        return float(root_mean_squared_error(made.y_query, made.y_train[indices].mean(axis=1)))

    def check(ours, theirs):
        facts["recall"] = measure_recall(measure_distances(made.train, made.query, theirs[1]), ours[0])
        facts["rmse"], facts["ours_rmse"] = measure_error(theirs[1]), measure_error(ours[1])
        assert facts["recall"] > (0.9999 if found.exact else 0.5)

    record.compare(
        f"27 columns, k = {K}", peer if effort is None else f"{peer}, effort {effort:g}",
        ours=lambda: search_ours(made.train, made.query, K),
        theirs=lambda: found.search(made.train, made.query, K, effort=effort),
        check=check, pairs=size.pairs, peer=peer, effort=effort, exact=found.exact, facts=facts,
    )  # fmt: skip


def test_what_is_exact_is_as_good_as_exact_can_be(problems):
    """The error of our neighbours is that of the neighbours that measuring every pair finds."""
    made = problems("27 columns")
    query = made.query[:20]
    squares = ((made.train[None] - query[:, None]) ** 2).sum(axis=2)
    expected = np.sort(np.sqrt(squares), axis=1)[:, :K]
    np.testing.assert_allclose(search_ours(made.train, query, K)[0], expected, rtol=1e-12)
