"""What does a GPU bring? The torch engine beside the search on the CPU, and beside searches that are made for GPUs.

Where PyTorch finds no GPU it computes on the CPU, for a part of the queries, and the others are left out.
"""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from harness.peers import GPU_PEERS, N_THREADS, measure_distances, measure_recall, search_ours
from harness.timing import time_call

from energyknn.neighbors import search_neighbors
from energyknn.neighbors.engines.torch import find_device_name

QUESTION = "GPU"
HERE = f"energyknn on the CPU, {N_THREADS} threads"
CPU = "cpu"
PROBLEM = "27 columns"


@pytest.fixture(scope="module")
def device(require):
    """Return what the engine computes on."""
    require("torch engine", "torch")
    return find_device_name()


@pytest.fixture(scope="module")
def asked(device, size, problems):
    """Return the training rows and the queries: fewer for a CPU."""
    made = problems(PROBLEM)
    return made.train, made.query[: size.slow_queries] if device == CPU else made.query


def search_by_torch(train, query, n_neighbors):
    """Search on the device, with all that it takes to bring the rows there and the neighbours back."""
    found = search_neighbors(train, query, n_neighbors, engine="torch", n_jobs=N_THREADS)
    return found.distances, found.indices


def test_the_torch_engine_beside_the_cpu(record, size, asked, device):
    train, query = asked

    def check(ours, theirs):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])

    record.compare(
        f"{PROBLEM}, torch on {device}", HERE,
        ours=lambda: search_by_torch(train, query, size.n_neighbors),
        theirs=lambda: search_ours(train, query, size.n_neighbors),
        check=check, pairs=size.pairs, n_query=len(query), device=device,
    )  # fmt: skip


@pytest.mark.parametrize("peer", GPU_PEERS)
def test_the_torch_engine_beside_searches_made_for_gpus(record, size, asked, device, report_missing, require, peer):
    found = GPU_PEERS[peer]
    if device == CPU:
        report_missing(peer, "PyTorch finds no GPU")
    require(peer, *found.module.split())
    if peer == "FAISS flat on a GPU" and importlib.import_module("faiss").get_num_gpus() == 0:
        report_missing(peer, "faiss finds no GPU: faiss-cpu is installed, not a build for GPUs")
    train, query = asked
    facts = {}

    def check(ours, theirs):
        facts["recall"] = measure_recall(measure_distances(train, query, theirs[1]), ours[0])
        assert facts["recall"] > 0.9999

    record.compare(
        f"{PROBLEM}, torch on {device}", peer,
        ours=lambda: search_by_torch(train, query, size.n_neighbors),
        theirs=lambda: found.search(train, query, size.n_neighbors),
        check=check, pairs=size.pairs, n_query=len(query), dtype=found.dtype, device=device, facts=facts,
    )  # fmt: skip


def test_the_job_of_the_study(record, benchmark, size, asked, device):
    train, query = asked
    search_by_torch(train, query, size.n_neighbors)
    seconds = []
    benchmark.pedantic(
        lambda: seconds.append(time_call(search_by_torch, train, query, size.n_neighbors)[0]), rounds=size.pairs
    )
    record.keep_value(
        f"{PROBLEM}, {len(query):,} queries in {len(train):,} rows, torch on {device}", seconds,
        unit="s with the rows' way there and back", at_most=None if device == CPU else 0.3, device=device,
    )  # fmt: skip
