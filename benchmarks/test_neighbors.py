"""How fast is the search? Against other exact engines, against approximate ones, in every size and shape.

The figures to reach are recorded and not enforced: machines differ.
"""

from __future__ import annotations

import numpy as np
import pytest
from harness.data import encode_tracks, make_rows
from harness.peers import (
    BALL_TREE,
    BRUTE,
    KD_TREE,
    N_THREADS,
    PEERS,
    check_distances,
    measure_distances,
    measure_recall,
    search_ours,
)
from harness.timing import time_call

from energyknn.neighbors import build_index, search_neighbors
from energyknn.study.synthesis import synthesise_tracks

QUESTION = "neighbors"

TARGETS = [
    ("27 columns", BRUTE, 20), ("27 columns", "scikit-learn-intelex", 12), ("27 columns", "FAISS flat", 12),
    ("27 columns", "pykdtree", 12), ("27 columns", "scipy", 12), ("27 columns", "hnswlib", 10),
    ("27 columns", KD_TREE, None), ("27 columns", BALL_TREE, None), ("27 columns", "pynndescent", None),
    ("11 numeric columns", BRUTE, 8), ("11 numeric columns", "scikit-learn-intelex", None),
    ("mismatch cost 1", BRUTE, 6), ("mismatch cost 0.5", BRUTE, 6),
    *((name, peer, None) for name in ("diabetes", "diamonds") for peer in PEERS),
]  # fmt: skip


@pytest.mark.parametrize(("problem", "peer", "target"), TARGETS)
def test_against_peers(record, size, problems, answers, find_peer, problem, peer, target):
    found, made, answer = find_peer(peer), problems(problem), answers(problem)
    query = made.query[: size.slow_queries] if found.is_slow else made.query
    facts = {}

    def check(ours, theirs):
        np.testing.assert_array_equal(ours[0], answer[0][: len(query)])
        np.testing.assert_array_equal(ours[1], answer[1][: len(query)])
        facts["recall"] = measure_recall(measure_distances(made.train, query, theirs[1]), ours[0])
        assert facts["recall"] > (0.9999 if found.exact else 0.9)

    record.compare(
        problem,
        peer,
        ours=lambda: search_ours(made.train, query, size.n_neighbors),
        theirs=lambda: found.search(made.train, query, size.n_neighbors),
        check=check,
        pairs=size.pairs,
        target=target,
        n_query=len(query),
        exact=found.exact,
        dtype=found.dtype,
        facts=facts,
    )


def test_every_size_and_shape(record, cell):
    kind, n_features, n_train, n_neighbors = cell
    rows = make_rows(kind, n_train + min(n_train, 2000), n_features)
    train, query = rows[:n_train], rows[n_train:]
    record.compare(
        f"{kind}, {n_train} x {n_features}, k = {n_neighbors}",
        BRUTE,
        ours=lambda: search_ours(train, query, n_neighbors),
        theirs=lambda: PEERS[BRUTE].search(train, query, n_neighbors),
        check=check_distances,
        pairs={1000: 9, 10_000: 5, 100_000: 3}[n_train],
        target=1 / 1.1,
        shape={"kind": kind, "n_features": n_features, "n_train": n_train, "n_neighbors": n_neighbors},
    )


def test_ties_with_scikit_learn(record, benchmark, size, problems):
    made, k = problems("27 columns"), size.n_neighbors
    found = benchmark.pedantic(search_ours, args=(made.train, made.query, k + 1), rounds=1)
    indices = PEERS[BRUTE].search(made.train, made.query, k)[1]
    squares = found[0] ** 2
    ties = (np.diff(squares, axis=1) <= 1e-7 * np.maximum(squares[:, 1:], 1e-6)).any(axis=1)
    differs = (indices != found[1][:, :k]).any(axis=1)
    assert not (differs & ~ties).any()
    benchmark.extra_info.update(n_query=len(made.query), tied=int(ties.sum()), differs=int(differs.sum()))
    record.lines.append(
        f"{ties.sum()} of {len(ties)} queries have two distances that tie among their {k + 1} nearest; scikit-learn "
        f"orders or chooses otherwise in {differs.sum()} of them, and in none of the rest"
    )


def count_products_left(tree, query, distances):
    """Count the products within blocks whose box is no farther than the query's k-th neighbour."""
    n_blocks = len(tree.edges) - 1
    low, high = (bound.transpose(0, 2, 1).reshape(-1, query.shape[1])[:n_blocks] for bound in (tree.low, tree.high))
    costs = np.diff(tree.edges) * tree.n_varying
    products = 0
    for row, distance in zip(query, distances, strict=True):
        gaps = np.maximum(np.maximum(low - row, row - high), 0)
        products += int(costs[np.einsum("bc,bc->b", gaps, gaps) <= distance**2].sum())
    return products


def measure_peak(side):
    """Return the float32 multiply-adds per second of a matrix product on all threads."""
    left, right = np.random.default_rng(0).random((2, side, side), dtype=np.float32)
    left @ right
    return side**3 / min(time_call(np.matmul, left, right)[0] for _ in range(5))


@pytest.mark.parametrize("problem", ["27 columns", "11 numeric columns", "mismatch cost 1"])
def test_distance_from_the_floor(record, benchmark, size, problems, answers, problem):
    made, seconds = problems(problem), []
    index = build_index(made.train, engine="blocked", n_jobs=N_THREADS)

    def run():
        seconds.append(time_call(index.search, made.query, size.n_neighbors, n_jobs=N_THREADS)[0])

    run()
    benchmark.pedantic(run, rounds=5)
    left = count_products_left(index.tree, made.query, answers(problem)[0][:, -1])
    share, peak = left / (len(made.query) * made.train.size), measure_peak(size.product_side)
    record.keep_value(
        f"{problem}, a search of the built index", np.array(seconds[1:]) * peak / left,
        unit=f"times the floor: {share:.1%} of the products remain, {left / peak:.4f} s at "
        f"{peak / 1e9:.0f} G multiply-adds per second",
        products=left, share=share, peak=peak, is_compared=size.name != "smoke",
    )  # fmt: skip


def test_growth_with_the_training_rows(record, benchmark, size):
    near, far = size.far_rows
    n_query = min(20_000, near)
    matrix, _ = encode_tracks(synthesise_tracks(far + n_query, random_state=1))
    matrix = np.random.default_rng(0).permutation(matrix)
    query = matrix[far:]
    indexes = {n_train: build_index(matrix[:n_train], engine="blocked") for n_train in (near, far)}
    seconds = {n_train: [] for n_train in indexes}

    def run():
        for n_train, index in indexes.items():
            took, found = time_call(index.search, query, size.n_neighbors)
            seconds[n_train].append(took)
            expected = search_neighbors(matrix[:n_train], query[:20], size.n_neighbors, engine="brute")
            np.testing.assert_array_equal(found.indices[:20], expected.indices)

    benchmark.pedantic(run, rounds=3, iterations=1)
    ratios = np.array(seconds[far]) / np.array(seconds[near])
    record.keep_value(
        f"{n_query:,} queries in {far:,} rows", ratios, unit=f"times what they take in {near:,}", at_most=2.5
    )
