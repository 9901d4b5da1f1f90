"""Engines that find candidates in other ways, threads, and interrupts."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from importlib import import_module
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
from children import run_python
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.model_selection import KFold
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from energyknn import KNNRegressor, KNNSearchCV
from energyknn._shared.threads import count_threads, run_slices
from energyknn.neighbors import build_index, search_neighbors
from energyknn.neighbors.auto import History, choose_engine, count_work
from energyknn.neighbors.engines import _ENTRIES, ENGINES, load_engine
from energyknn.neighbors.engines import torch as engine_torch
from energyknn.neighbors.engines.blocked.engine import search_few_rows
from energyknn.neighbors.metrics import METRICS, Metric

SETTINGS = settings(max_examples=40)


def assert_same_bits(found, expected):
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances.view(np.int64), expected.distances.view(np.int64))


def draw_rows(random, scale, n_rows, n_features):
    """Make rows with repeats and ties beside rows without."""
    rows = random.normal(size=(n_rows, n_features))
    rows[: n_rows // 4] = np.round(rows[: n_rows // 4])
    rows[n_rows // 2 :] = rows[random.integers(0, n_rows, n_rows - n_rows // 2)]
    return random.permutation(rows) * scale + 100 * scale


@pytest.mark.parametrize("engine", ["sklearn", pytest.param("torch", marks=pytest.mark.filterwarnings("default"))])
@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1.0, 1e-310, 1e-170, 1e-5, 1e6, 1e140]),
    n_train=st.integers(2, 300),
    n_features=st.integers(1, 20),
    share=st.floats(0, 1),
    p=st.sampled_from([1, 2]),
    self_search=st.booleans(),
)
def test_candidates_settle_to_the_oracles_bits(engine, seed, scale, n_train, n_features, share, p, self_search):
    if engine == "torch":
        pytest.importorskip("torch")
    rows = draw_rows(np.random.default_rng(seed), scale, n_train + 40, n_features)
    query = None if self_search else rows[n_train:]
    n_neighbors = max(1, round(share * (n_train - self_search)))
    expected = search_neighbors(rows[:n_train], query, n_neighbors, p=p, engine="brute")
    assert_same_bits(search_neighbors(rows[:n_train], query, n_neighbors, p=p, engine=engine), expected)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("n_bytes", [1, 4_000, 30_000, 1_200_000])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("self_search", [True, False])
def test_torch_has_the_same_bits_however_little_memory_there_is(monkeypatch, n_bytes, p, self_search):
    pytest.importorskip("torch")
    rows = draw_rows(np.random.default_rng(3), 1.0, 150, 5)
    query = None if self_search else rows[100:] + 0.01
    cuts = []
    monkeypatch.setattr(engine_torch, "_count_free_bytes", lambda *_: n_bytes)
    choose_cut = engine_torch._choose_cut

    def choose(search, n_found, *, n_bytes):
        cuts.append(choose_cut(search, n_found, n_bytes=n_bytes))
        return cuts[0]

    monkeypatch.setattr(engine_torch, "_choose_cut", choose)
    expected = search_neighbors(rows, query, 9, p=p, engine="brute")
    assert_same_bits(search_neighbors(rows, query, 9, p=p, engine="torch"), expected)
    assert (cuts[0].n_train == len(rows)) == (n_bytes >= 30_000)
    assert (cuts[0].n_query < (len(rows) if self_search else 50)) == (n_bytes < 1_200_000)


@given(
    n_train=st.integers(1, 10**8),
    n_query=st.integers(1, 10**8),
    n_features=st.integers(1, 1000),
    n_found=st.integers(1, 500),
    n_bytes=st.integers(1, 10**11),
)
def test_what_torch_holds_at_once_fits_the_memory(n_train, n_query, n_features, n_found, n_bytes):
    shapes = SimpleNamespace(X_train=SimpleNamespace(shape=(n_train, n_features)), X_query=range(n_query))
    cut = engine_torch._choose_cut(shapes, n_found, n_bytes=n_bytes)
    assert 1 <= cut.n_train <= n_train
    assert 1 <= cut.n_query <= cut.n_held <= n_query
    rows, held = 8 * (n_features + 1) * cut.n_train, 8 * (n_features + 1 + 4 * n_found) * cut.n_held
    assert rows <= n_bytes / 4 or cut.n_train == 1
    assert held <= n_bytes / 4 or cut.n_held == 1
    assert 8 * cut.n_train * cut.n_query <= n_bytes / 2 or cut.n_query == 1


def test_torch_that_is_not_installed_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"extra 'gpu'.*energyknn\[gpu\]"):
        search_neighbors([[0.0]], [[1.0]], 1, engine="torch")


@pytest.mark.gpu
def test_torch_on_the_gpu_gives_the_oracles_bits():
    torch = pytest.importorskip("torch")
    assert torch.cuda.is_available(), "torch finds no GPU"
    rows = draw_rows(np.random.default_rng(1), 1.0, 5000, 27)
    assert_same_bits(search_neighbors(rows, None, 51, engine="torch"), search_neighbors(rows, None, 51, engine="brute"))


@pytest.mark.medium
@pytest.mark.parametrize("engine", ["brute", "blocked", "flat", "sklearn"])
def test_threads_do_not_change_bits(engine):
    rows = draw_rows(np.random.default_rng(2), 1.0, 3000, 6)
    expected = search_neighbors(rows, None, 12, engine=engine, n_jobs=1)
    for n_jobs in (1, 2, 5, -1):
        assert_same_bits(search_neighbors(rows, None, 12, engine=engine, n_jobs=n_jobs), expected)


def test_auto_compiles_nothing_until_small_jobs_have_paid_for_it():
    small, large = count_work(1000, 1000, 11), count_work(137_992, 34_499, 27)
    assert choose_engine(small, 0, is_ready=False) == "flat"
    assert choose_engine(small, large, is_ready=False) == "blocked"
    assert choose_engine(small, 0, is_ready=True) == "blocked"
    assert choose_engine(large, 0, is_ready=False) == "blocked"


@pytest.fixture
def history(monkeypatch):
    """Let this process have searched nothing yet, in an installation that has its kernels."""
    search_few_rows()
    fresh = History()
    monkeypatch.setattr("energyknn.neighbors.search.HISTORY", fresh)
    return fresh


def test_auto_rents_until_it_buys_and_then_keeps(history):
    rows = np.random.default_rng(0).normal(size=(60, 3))
    work = count_work(60, 60, 3)
    history.price = 3 * work
    engines = [build_index(rows).engine]
    for _ in range(4):
        expected = search_neighbors(rows, None, 4, engine="brute")
        assert_same_bits(search_neighbors(rows, None, 4), expected)
        engines.append(build_index(rows[:2]).engine)
    assert engines == ["flat", "flat", "flat", "blocked", "blocked"]
    assert history == History(work=2 * work, is_ready=True, price=3 * work)


@pytest.mark.parametrize("imported", [True, False])
def test_auto_does_not_depend_on_what_was_imported(history, imported):
    if imported:
        import_module("energyknn.neighbors.engines.blocked.engine")
    assert build_index([[0.0], [1.0]]).engine == "flat"
    build_index([[0.0], [1.0]], engine="blocked")
    assert history.is_ready
    assert build_index([[0.0], [1.0]]).engine == "blocked"


def test_every_engine_has_an_entry_and_what_its_entry_promises():
    assert set(ENGINES) == {"auto", *_ENTRIES}
    for engine, entry in _ENTRIES.items():
        module = load_engine(engine)
        finds = "find_neighbors" if entry.is_certain else "find_candidates"
        names = ("build_tree", "search_tree") if entry.prepares else (finds,)
        assert all(callable(getattr(module, name)) for name in names)


def test_number_of_threads():
    assert count_threads(3) == 3
    assert count_threads(-1) == joblib.cpu_count()
    assert count_threads(-10_000) == 1
    assert 1 <= count_threads(None) <= joblib.cpu_count()
    with threadpool_limits(1):
        assert count_threads(None) == 1


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_a_joblib_worker_uses_one_thread(backend):
    counts = joblib.Parallel(n_jobs=2, backend=backend)(joblib.delayed(count_threads)(None) for _ in range(4))
    assert counts == [1, 1, 1, 1]


COUNT_THREADS = """
import threading, time, numpy as np
from energyknn.neighbors import search_neighbors
rows = np.random.default_rng(0).normal(size=(20_000, 20))
search_neighbors(rows[:100], None, 3, engine="blocked", n_jobs=1)
for n_jobs in (1, 2, 3):
    before, most, done = threading.active_count(), [0], threading.Event()
    def watch():
        while not done.is_set():
            most[0] = max(most[0], threading.active_count() - before - 1)
            time.sleep(0.001)
    watcher = threading.Thread(target=watch)
    watcher.start()
    search_neighbors(rows, None, 20, engine="blocked", n_jobs=n_jobs)
    done.set()
    watcher.join()
    print(n_jobs, most[0], threading.active_count() - before)
"""


@pytest.mark.medium
def test_a_search_starts_the_threads_it_may_use_and_leaves_none():
    done = run_python(COUNT_THREADS, check=True)
    assert done.stdout.splitlines() == ["1 0 0", "2 2 0", "3 3 0"]


def test_slices_stop_at_the_first_error():
    seen = []

    def work(item):
        seen.append(item)
        if item == 3:
            message = "three"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="three"):
        run_slices(work, range(100_000), n_threads=2)
    assert len(seen) < 100_000


@pytest.mark.medium
@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send a signal to a thread")
@pytest.mark.parametrize("engine", ["brute", "blocked", "flat", "sklearn"])
def test_an_interrupt_leaves_the_rest_of_a_search_undone(monkeypatch, engine):
    """The interrupt comes after the second slice, and later ones wait until it is noticed: not all of them are run."""
    for module in ("flat", "sklearn"):
        monkeypatch.setattr(f"energyknn.neighbors.engines.{module}._SLICE_VALUES", 1)
    index = build_index(np.random.default_rng(0).normal(size=(4000, 3)), engine=engine)
    done, interrupts, noticed = [], [], threading.Event()

    def interrupt(*_):
        noticed.set()
        raise KeyboardInterrupt

    def finish_slice():
        done.append(None)
        if interrupts and len(done) == 2:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if interrupts and len(done) > 2:
            noticed.wait(300)
            time.sleep(0.2)

    def run(work, slices, *, n_threads):
        def work_and_count(item):
            work(item)
            finish_slice()

        run_slices(work_and_count, slices, n_threads=n_threads)

    def find(self, *arguments, **options):
        found = kneighbors(self, *arguments, **options)
        finish_slice()
        return found

    kneighbors = NearestNeighbors.kneighbors
    if engine == "sklearn":
        monkeypatch.setattr(NearestNeighbors, "kneighbors", find)
    else:
        module = "blocked.engine" if engine == "blocked" else engine
        monkeypatch.setattr(f"energyknn.neighbors.engines.{module}.run_slices", run)
    index.search(None, 3, n_jobs=2)
    n_slices = len(done)
    done.clear()
    interrupts.append(True)
    previous = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            index.search(None, 3, n_jobs=2)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert 2 <= len(done) < n_slices


@pytest.fixture
def cubic(monkeypatch):
    """Add a metric for the length of a test: the sum of cubed absolute differences, then its cube root."""
    metric = Metric(("cubic",), lambda terms: np.power(np.abs(terms, out=terms), 3, out=terms), np.cbrt)
    monkeypatch.setitem(METRICS, 3, metric)


@pytest.mark.usefixtures("cubic")
def test_a_metric_joins_every_search_by_one_entry():
    random = np.random.default_rng(0)
    X, queries = random.normal(size=(300, 4)), random.normal(size=(40, 4))
    found = search_neighbors(X, queries, 7, p=3)
    expected = cdist(queries, X, "minkowski", p=3)
    np.testing.assert_array_equal(found.indices, np.argsort(expected, axis=1)[:, :7])
    np.testing.assert_allclose(found.distances, np.sort(expected, axis=1)[:, :7], rtol=1e-12)
    search = KNNSearchCV({"n_neighbors": [3, 5], "p": [2, 3]}, cv=3).fit(X, X[:, 0])
    model = KNNRegressor(5, p=3)
    folds = [model.fit(X[train], X[train, 0]).score(X[test], X[test, 0]) for train, test in KFold(3).split(X)]
    place = search.cv_results_["params"].index({"n_neighbors": 5, "p": 3})
    assert search.cv_results_["mean_test_score"][place] == pytest.approx(np.mean(folds))


@pytest.mark.usefixtures("cubic")
@pytest.mark.parametrize("engine", ["blocked", "flat", "sklearn"])
def test_an_engine_that_does_not_know_a_metric_is_refused(engine):
    with pytest.raises(ValueError, match=rf"engine is '{engine}', which does not search by p = 3. Use \"auto\" or"):
        search_neighbors([[0.0], [1.0]], n_neighbors=1, p=3, engine=engine)
