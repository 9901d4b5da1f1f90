"""Who the search is compared with: one small adapter for each, which says what it computes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from joblib import cpu_count

from energyknn.neighbors import build_index, search_neighbors

N_THREADS = cpu_count()
Found = tuple[np.ndarray, np.ndarray]
"""Distances and indices, both of shape (n_query, k)."""


@dataclass(frozen=True)
class Peer:
    """A way to find neighbours; `build` prepares the training rows and returns the search of queries."""

    name: str
    package: str
    module: str
    build: Callable[[np.ndarray], Callable[..., Found]]
    exact: bool = True
    dtype: str = "float64"
    threads: str = "n_jobs"
    is_slow: bool = False  # in 27 columns: it gets a part of the queries
    efforts: tuple[float, ...] = ()  # from fast to accurate
    usual: float | None = None  # the effort that the other suites use

    def search(self, train: np.ndarray, query: np.ndarray, n_neighbors: int, *, effort: float | None = None) -> Found:
        """Build and search."""
        effort = self.usual if effort is None else effort
        return self.build(train)(query, n_neighbors, **({} if effort is None else {"effort": effort}))

    def describe(self) -> dict[str, Any]:
        """Return what a saved run says of it."""
        said = asdict(self)
        return {key: said[key] for key in ("name", "package", "exact", "dtype", "threads")}


def search_ours(train: np.ndarray, query: np.ndarray, n_neighbors: int) -> Found:
    """Search as users do."""
    found = search_neighbors(train, query, n_neighbors, n_jobs=N_THREADS)
    return found.distances, found.indices


def _build_ours(train):
    index = build_index(train, engine="blocked", n_jobs=N_THREADS)
    return lambda query, k: tuple(index.search(query, k, n_jobs=N_THREADS))


def _build_scikit_learn(algorithm, module="sklearn.neighbors"):
    def build(train):
        finder = importlib.import_module(module).NearestNeighbors(algorithm=algorithm, n_jobs=N_THREADS).fit(train)
        return finder.kneighbors

    return build


def _build_faiss(train):
    faiss = importlib.import_module("faiss")
    faiss.omp_set_num_threads(N_THREADS)
    index = faiss.IndexFlatL2(train.shape[1])
    return _fill_faiss(index, train)


def _build_faiss_on_gpu(train):
    faiss = importlib.import_module("faiss")
    return _fill_faiss(faiss.GpuIndexFlatL2(faiss.StandardGpuResources(), train.shape[1]), train)


def _fill_faiss(index, train):
    index.add(train.astype(np.float32))

    def search(query, k):
        squares, indices = index.search(query.astype(np.float32), k)
        return np.sqrt(np.maximum(squares, 0)), indices

    return search


def _build_cuml(train):
    finder = importlib.import_module("cuml.neighbors").NearestNeighbors(algorithm="brute")
    finder.fit(train.astype(np.float32))
    return lambda query, k: finder.kneighbors(query.astype(np.float32), n_neighbors=k)


def _build_cuvs(train):
    cupy, module = (importlib.import_module(name) for name in ("cupy", "cuvs.neighbors.brute_force"))
    index = module.build(cupy.asarray(train, dtype=cupy.float32), metric="euclidean")

    def search(query, k):
        distances, indices = module.search(index, cupy.asarray(query, dtype=cupy.float32), k)
        return cupy.asnumpy(cupy.asarray(distances)), cupy.asnumpy(cupy.asarray(indices))

    return search


def _build_pykdtree(train):
    tree = importlib.import_module("pykdtree.kdtree").KDTree(train)
    return lambda query, k: tuple(column.reshape(len(query), k) for column in tree.query(query, k=k))


def _build_scipy(train):
    tree = importlib.import_module("scipy.spatial").KDTree(train)
    return lambda query, k: tuple(column.reshape(len(query), k) for column in tree.query(query, k, workers=N_THREADS))


def _build_hnswlib(train):
    index = importlib.import_module("hnswlib").Index(space="l2", dim=train.shape[1])
    index.init_index(max_elements=len(train), ef_construction=100, M=12, random_seed=0)
    index.set_num_threads(N_THREADS)
    index.add_items(train)

    def search(query, k, *, effort):
        index.set_ef(max(int(effort), k))
        indices, squares = index.knn_query(query, k=k)
        return np.sqrt(np.maximum(squares, 0)), indices.astype(np.int64)

    return search


def _build_pynndescent(train):
    module = importlib.import_module("pynndescent")
    index = module.NNDescent(train, n_neighbors=30, random_state=0, n_jobs=N_THREADS)
    index.prepare()

    def search(query, k, *, effort):
        indices, distances = index.query(query, k=k, epsilon=effort)
        return distances, indices.astype(np.int64)

    return search


OURS = Peer("energyknn", "energyknn", "energyknn", _build_ours)
BRUTE, KD_TREE, BALL_TREE = "scikit-learn brute", "scikit-learn kd_tree", "scikit-learn ball_tree"
PEERS = {
    peer.name: peer
    for peer in (
        Peer(BRUTE, "scikit-learn", "sklearn", _build_scikit_learn("brute")),
        Peer(KD_TREE, "scikit-learn", "sklearn", _build_scikit_learn("kd_tree"), is_slow=True),
        Peer(BALL_TREE, "scikit-learn", "sklearn", _build_scikit_learn("ball_tree"), is_slow=True),
        Peer(
            "scikit-learn-intelex", "scikit-learn-intelex", "sklearnex",
            _build_scikit_learn("brute", "sklearnex.neighbors"),
        ),
        Peer("FAISS flat", "faiss-cpu", "faiss", _build_faiss, dtype="float32", threads="omp_set_num_threads"),
        Peer("pykdtree", "pykdtree", "pykdtree", _build_pykdtree, threads="OpenMP limit", is_slow=True),
        Peer("scipy", "scipy", "scipy", _build_scipy, threads="workers", is_slow=True),
        Peer(
            "hnswlib", "hnswlib", "hnswlib", _build_hnswlib, exact=False, dtype="float32",
            threads="set_num_threads", efforts=(60, 100, 160, 320), usual=160,  # a recall of 0.99 on the real file
        ),
        Peer(
            "pynndescent", "pynndescent", "pynndescent", _build_pynndescent, exact=False, dtype="float32",
            efforts=(0.05, 0.1, 0.2, 0.4), usual=0.2,
        ),
    )
}  # fmt: skip
GPU_PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "FAISS flat on a GPU", "faiss-gpu-cu12", "faiss", _build_faiss_on_gpu, dtype="float32", threads="the GPU's"
        ),
        Peer("cuML brute", "cuml-cu12", "cuml", _build_cuml, dtype="float32", threads="the GPU's"),
        Peer("cuVS brute force", "cuvs-cu12", "cuvs cupy", _build_cuvs, dtype="float32", threads="the GPU's"),
    )
}  # fmt: skip
"""Searches made for GPUs, written to their documentation; `module` names all that must be there."""


def measure_distances(train: np.ndarray, query: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Measure in float64 how far the rows are that a peer chose, a few queries at a time."""
    parts = [
        np.linalg.norm(train[indices[start : start + 2000]] - query[start : start + 2000, None], axis=2)
        for start in range(0, len(query), 2000)
    ]
    return np.concatenate(parts)


def measure_recall(measured: np.ndarray, distances: np.ndarray) -> float:
    """Tell which share of a peer's neighbours is as near as the true k-th one is, so that ties do not count."""
    return float(np.mean(measured <= distances[:, -1:] * (1 + 1e-6) + 1e-6))


def check_distances(ours: Found, theirs: Found) -> None:
    """Hold the distances of two exact searches against one another; ties may have other indices."""
    np.testing.assert_allclose(theirs[0], ours[0], rtol=1e-6, atol=1e-5)
