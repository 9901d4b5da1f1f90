"""Equal bits on one node and on three, on rows of the size that the study has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from real_ray import start_cluster

from energyknn.cluster.pool import WorkerPool, open_pool
from energyknn.cluster.search import search_neighbors_on_ray
from energyknn.cluster.tuning import score_candidates_on_ray
from energyknn.loading import load_table
from energyknn.neighbors import search_neighbors
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, prepare
from energyknn.study.synthesis import synthesise_tracks
from energyknn.tuning import Candidate, score_candidates

N_NEIGHBORS = 51
CANDIDATES = [Candidate(k, weights) for k in (1, 11, 21, 31, 41, 51) for weights in ("uniform", "distance")]


@pytest.fixture(scope="module", params=[1, 3], ids="{} nodes".format)
def pool(request: pytest.FixtureRequest) -> Iterator[WorkerPool]:
    """Start nodes of one core each, and workers on them."""
    with (
        start_cluster(request.param, object_store_memory=1 << 30) as started,
        open_pool(address=started.address) as workers,
    ):
        yield workers


def check_search(X: np.ndarray, pool: WorkerPool, n_shards: int) -> None:
    expected = search_neighbors(X, None, N_NEIGHBORS)
    found = search_neighbors_on_ray(X, None, N_NEIGHBORS, n_shards=n_shards, pool=pool)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances.view(np.int64), expected.distances.view(np.int64))


def check_scores(data: Any, pool: WorkerPool) -> None:
    options: dict[str, Any] = {"candidates": CANDIDATES, "folds": data.folds}
    expected = score_candidates(data.X_train, data.y_train, **options).test["score"].values
    found = score_candidates_on_ray(data.X_train, data.y_train, **options, pool=pool).scores.test["score"].values
    np.testing.assert_array_equal(found.view(np.int64), expected.view(np.int64))


@pytest.fixture(scope="module")
def synthetic() -> Any:
    """Make 200,000 synthetic tracks, four fifths of them training rows, and the folds of the study."""
    return prepare(synthesise_tracks(200_000, random_state=0), Protocol())


@pytest.fixture(scope="module")
def real(full_data: Path) -> Any:
    """Prepare the real file as the study does."""
    return prepare(load_table(full_data, SPOTIFY), Protocol())


@pytest.mark.ray
@pytest.mark.parametrize("n_shards", [1, 4])
def test_neighbours_of_200000_rows(synthetic: Any, pool: WorkerPool, n_shards: int) -> None:
    X = np.concatenate([synthetic.X_train.to_numpy(), synthetic.X_test.to_numpy()])
    assert len(X) == 200_000
    check_search(X, pool, n_shards)


@pytest.mark.ray
def test_scores_of_200000_rows(synthetic: Any, pool: WorkerPool) -> None:
    check_scores(synthetic, pool)


@pytest.mark.ray
@pytest.mark.full_data
@pytest.mark.parametrize("n_shards", [1, 4])
def test_neighbours_of_the_real_file(real: Any, pool: WorkerPool, n_shards: int) -> None:
    check_search(np.concatenate([real.X_train.to_numpy(), real.X_test.to_numpy()]), pool, n_shards)


@pytest.mark.ray
@pytest.mark.full_data
def test_scores_of_the_real_file(real: Any, pool: WorkerPool) -> None:
    check_scores(real, pool)
