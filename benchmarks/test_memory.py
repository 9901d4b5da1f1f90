"""How much memory does a search take beyond its rows and its result? Each in a process of its own."""

from __future__ import annotations

import sys

import pytest
from harness.memory import measure_peak
from harness.peers import BRUTE, KD_TREE, OURS

QUESTION = "memory"

pytestmark = [pytest.mark.neighbors, pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")]


@pytest.mark.parametrize("peer", [OURS.name, BRUTE, KD_TREE, "FAISS flat", "hnswlib"])
@pytest.mark.parametrize("n_features", [11, 64])
def test_peak_memory(record, benchmark, size, request, peer, n_features):
    if peer != OURS.name:
        request.getfixturevalue("find_peer")(peer)
    if peer in (KD_TREE, "hnswlib") and n_features == 64:
        pytest.skip("it would need minutes and show no more than at 11 columns")
    share = benchmark.pedantic(measure_peak, args=(peer, size.memory_rows, n_features), rounds=1)
    record.keep_value(
        f"{peer}, {size.memory_rows:,} x {n_features}", share, unit="times the training matrix",
        at_most=2.0 if peer == OURS.name else None, rival=peer, is_compared=size.name != "smoke",
    )  # fmt: skip
