"""How does the time grow? With the rows, with the columns, with k."""

from __future__ import annotations

import pytest
from harness.data import encode_tracks, make_rows
from harness.peers import BRUTE, KD_TREE, check_distances, search_ours

from energyknn.study.synthesis import synthesise_tracks

QUESTION = "growth"
PEERS = (BRUTE, KD_TREE)


@pytest.fixture(scope="module")
def tracks(size):
    """Make the most rows that are needed, and the queries after them."""
    n_rows = max(size.growth_rows)
    matrix, _ = encode_tracks(synthesise_tracks(n_rows + size.slow_queries, random_state=2))
    return matrix[:n_rows], matrix[n_rows:]


@pytest.fixture
def compare_at(record, size, find_peer):
    """Time a point of a curve."""

    def compare(peer, axis, at, arguments):
        found = find_peer(peer)
        record.compare(
            f"{axis}: {at:,}", peer,
            ours=lambda: search_ours(*arguments), theirs=lambda: found.search(*arguments), check=check_distances,
            pairs=size.pairs, axis=axis, at=at,
        )  # fmt: skip

    return compare


@pytest.mark.parametrize("peer", PEERS)
def test_growth_with_rows(compare_at, tracks, n_rows_grown, peer):
    train, query = tracks
    compare_at(peer, "training rows", n_rows_grown, (train[:n_rows_grown], query, 51))


@pytest.mark.parametrize("peer", PEERS)
def test_growth_with_columns(compare_at, size, n_columns_grown, peer):
    n_train = size.growth_rows[-2]
    rows = make_rows("normal", n_train + size.slow_queries, n_columns_grown)
    compare_at(peer, "columns", n_columns_grown, (rows[:n_train], rows[n_train:], 51))


@pytest.mark.parametrize("peer", PEERS)
def test_growth_with_neighbors(compare_at, size, tracks, n_neighbors_grown, peer):
    train, query = tracks
    compare_at(peer, "neighbours", n_neighbors_grown, (train[: size.growth_rows[-2]], query, n_neighbors_grown))
