"""A real GPU: the torch engine's neighbours have the oracle's bits, and Ray hands the device to the worker that asks.

`nox -s ray_gpu` runs this file. It fails where there is no GPU; it never skips.
"""

from __future__ import annotations

import time

import numpy as np
import pytest

from energyknn.neighbors import search_neighbors
from energyknn.neighbors.engines import torch as engine_torch

pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def device():
    import torch

    if not torch.cuda.is_available():
        pytest.fail("No GPU: torch.cuda.is_available() is False. Run this session on a machine with one.")
    return torch.cuda.get_device_name(0)


@pytest.fixture(scope="module")
def rows():
    random = np.random.default_rng(0)
    X = random.normal(size=(20_000, 27))
    X[::7] = X[0]
    return X


@pytest.mark.parametrize("p", [1, 2])
def test_the_bits_are_the_oracles(device, rows, p, capsys):
    found = search_neighbors(rows, rows[:500], 51, p=p, engine="torch")
    expected = search_neighbors(rows, rows[:500], 51, p=p, engine="brute")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)
    with capsys.disabled():
        print(f"\n{device}: {len(found.indices)} queries, p = {p}, equal bits")  # noqa: T201 - the session tells the device


@pytest.mark.usefixtures("device")
@pytest.mark.parametrize("n_bytes", [100_000, 3_000_000])
def test_little_memory_changes_no_bits(rows, n_bytes, monkeypatch):
    monkeypatch.setattr(engine_torch, "_count_free_bytes", lambda *_: n_bytes)
    found = search_neighbors(rows, rows[:200], 51, engine="torch")
    expected = search_neighbors(rows, rows[:200], 51, engine="brute")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)


def test_the_job_of_the_study_fits_and_has_the_bits_of_the_cpu(device, capsys):
    """Neighbours of 34,499 of 172,491 rows in 27 columns: ours on the CPU, and on the GPU, which tells its time."""
    X = np.random.default_rng(1).normal(size=(172_491, 27))
    train, queries = X[:137_992], X[137_992:]
    search_neighbors(train[:1000], queries[:10], 51, engine="torch")
    start = time.perf_counter()
    found = search_neighbors(train, queries, 51, engine="torch")
    seconds = time.perf_counter() - start
    expected = search_neighbors(train, queries, 51, engine="blocked")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)
    with capsys.disabled():
        print(f"\n{device}: {len(queries)} queries in {len(train)} rows, {seconds:.3f} s in all")  # noqa: T201 - as above


@pytest.mark.usefixtures("device")
def test_ray_gives_the_device_to_the_worker_that_asks(rows):
    import ray

    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    try:

        @ray.remote(num_gpus=1)
        def search(train):
            import torch

            return torch.cuda.is_available(), search_neighbors(train, train[:50], 5, engine="torch").indices

        on_gpu, indices = ray.get(search.remote(rows))
    finally:
        ray.shutdown()
    assert on_gpu
    np.testing.assert_array_equal(indices, search_neighbors(rows, rows[:50], 5, engine="brute").indices)
