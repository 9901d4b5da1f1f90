"""Workers that stay: one job after another, each with its own task, and nothing left of the last."""

from __future__ import annotations

import sys
import time
import weakref
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from real_ray import start_cluster

from energyknn.cluster.choices import search_choices
from energyknn.cluster.pool import Outcome, Task, Unit, Worker, WorkerPool, _Hired, open_pool
from energyknn.cluster.search import search_neighbors_on_ray
from energyknn.cluster.session import ClusterFacts, ClusterOptions
from energyknn.cluster.tuning import score_candidates_on_ray
from energyknn.errors import ClusterError
from energyknn.neighbors import search_neighbors
from energyknn.splitting import fold_rows
from energyknn.tuning import Candidate, score_candidates

X = np.random.default_rng(0).normal(size=(3_000, 4)).round(1)
y = X[:, 0] + np.random.default_rng(1).normal(size=len(X))


def assert_found(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)


# What needs no cluster


def test_options_beside_a_pool_are_refused() -> None:
    with pytest.raises(ValueError, match=r"address, cpus_per_worker is given together with a pool"):
        search_neighbors_on_ray(X, pool=object(), address="host:6379", cpus_per_worker=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"max_retries is given together with a pool"):
        score_candidates_on_ray(
            X, y, candidates=[Candidate(3)], folds=fold_rows(len(X)), pool=object(), max_retries=1  # type: ignore[arg-type]
        )  # fmt: skip


class Reference:
    """What stands for a value in a fake object store."""

    def __init__(self, value: Any) -> None:
        self.value = value


def test_a_worker_prepares_once_for_a_group_and_forgets_with_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(ObjectRef=Reference, get=lambda reference: reference.value)
    monkeypatch.setitem(sys.modules, "ray", fake)
    prepared: list[tuple[Any, ...]] = []
    alive: list[Any] = []

    def prepare(*data: Any, n_jobs: int) -> Any:
        prepared.append((*data, n_jobs))
        held = np.array(data)
        alive.append(weakref.ref(held))
        return held

    def work(held: Any, number: int, *, n_jobs: int) -> Outcome:
        return Outcome({"found": np.array([*held, number, n_jobs])})

    task, worker = (Reference(Task(prepare, work)),), Worker(1)
    for job, group, number in [(0, "a", 1), (0, "a", 2), (0, "b", 3), (1, "b", 4), (1, "b", 5)]:
        outcome, device = worker.run(job, task, group, (Reference(7), 8), (number,))
        np.testing.assert_array_equal(outcome.arrays["found"], [7, 8, number, 1])
        assert device == "cpu"
    assert prepared == [(7, 8, 1)] * 3
    worker.forget()
    assert [held() for held in alive] == [None] * 3
    worker.run(1, task, "b", (Reference(7), 8), (6,))
    assert len(prepared) == 4


class FakeActor:
    """An actor that writes down how it ends."""

    def __init__(self, ended: list[str], name: str) -> None:
        self.name = name
        self.__ray_terminate__ = SimpleNamespace(remote=lambda: ended.append(f"{name} asked to end") or name)


def test_a_pool_asks_idle_workers_to_end_before_it_kills_any(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    def wait(references: list[str], **_: Any) -> None:
        ended.append(f"waited for {', '.join(references)}")

    exceptions = SimpleNamespace(RayError=RuntimeError)
    fake = SimpleNamespace(kill=lambda actor: ended.append(f"{actor.name} killed"), wait=wait, exceptions=exceptions)
    monkeypatch.setitem(sys.modules, "ray", fake)
    with WorkerPool(ClusterFacts((), "here"), ClusterOptions()) as pool:
        pool.hired = [_Hired(FakeActor(ended, "idle"), "here"), _Hired(FakeActor(ended, "busy"), "here", n_sent=1)]
        pool.joining = {"reference": FakeActor(ended, "starting")}
    assert ended[:2] == ["idle asked to end", "waited for idle"]
    assert {"busy killed", "starting killed"} <= set(ended)
    assert (pool.hired, pool.joining) == ([], {})


# On Ray


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start two nodes of one core each."""
    with start_cluster(2) as started:
        yield started


ray_cluster = pytest.mark.ray


@ray_cluster
def test_jobs_of_all_kinds_share_workers(cluster: Any) -> None:
    options: dict[str, Any] = {"candidates": [Candidate(3), Candidate(9, "distance")], "folds": fold_rows(len(X))}
    scores = score_candidates(X, y, **options)
    with open_pool(address=cluster.address) as pool:
        for p in (2, 1):
            found = search_neighbors_on_ray(X, None, 5, p=p, block_rows=300, engine="blocked", pool=pool)
            assert_found(found, search_neighbors(X, None, 5, p=p))
            assert found.report.n_done == found.report.n_units == 10
        workers = [worker.actor for worker in pool.hired]
        again = score_candidates_on_ray(X, y, **options, block_rows=1_000, pool=pool)
        np.testing.assert_array_equal(again.scores.test["score"], scores.test["score"])
        sharded = search_neighbors_on_ray(X, X[:500], 5, n_shards=3, engine="brute", pool=pool)
        assert_found(sharded, search_neighbors(X, X[:500], 5))
        assert [worker.actor for worker in pool.hired][: len(workers)] == workers
    with pytest.raises(ClusterError, match="The pool is closed"):
        search_neighbors_on_ray(X, pool=pool)


@ray_cluster
def test_a_pool_does_one_job_at_a_time_and_outlives_what_ends_one(cluster: Any) -> None:
    def start_another(steps: Any, _: str) -> Iterator[Any]:
        yield steps[0]
        search_neighbors_on_ray(X, pool=pool)

    def interrupt(steps: Any, _: str) -> Iterator[Any]:
        yield steps[0]
        raise KeyboardInterrupt

    with open_pool(address=cluster.address) as pool:
        with pytest.raises(ClusterError, match="does another job"):
            search_neighbors_on_ray(X, engine="brute", block_rows=100, pool=pool, track=start_another)
        with pytest.raises(KeyboardInterrupt):
            search_neighbors_on_ray(X, engine="brute", block_rows=100, pool=pool, track=interrupt)
        assert_found(search_neighbors_on_ray(X, block_rows=100, pool=pool), search_neighbors(X))


def make_slow_task() -> Task:
    """Make a task of functions that are sent by value: workers cannot import this file."""

    def take(value: Any, *, n_jobs: int) -> Any:
        return value + n_jobs

    def work(held: Any, number: int, *, n_jobs: int) -> Outcome:
        time.sleep(0.2)
        return Outcome({"found": np.array([number, held, n_jobs])})

    return Task(take, work)


@ray_cluster
def test_a_node_lost_between_jobs_and_in_one_loses_nothing(cluster: Any) -> None:
    units = [Unit(str(number), 0, (1,), partial(tuple, (number,))) for number in range(12)]
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    with open_pool(address=cluster.address) as pool:
        for node in nodes:
            with pool.open_job(make_slow_task()) as job:
                found = []
                for number, (unit, outcome) in enumerate(job.run(units)):
                    found.append((unit.key, outcome.arrays["found"].tolist()))
                    if number == 6 and node is nodes[0]:
                        cluster.remove_node(node, allow_graceful=False)
                assert sorted(found) == sorted((str(number), [number, 2, 1]) for number in range(12))
                assert job.report.n_done == 12
            if node is nodes[0]:
                cluster.remove_node(nodes[1], allow_graceful=False)


@ray_cluster
def test_a_job_that_is_over_leaves_its_units_and_the_pool_goes_on(cluster: Any) -> None:
    units = [Unit(str(number), 0, (1,), partial(tuple, (number,))) for number in range(50)]
    found = []
    with open_pool(address=cluster.address) as pool:
        with pool.open_job(make_slow_task()) as job:
            found = list(job.run(units, lambda: job.report.n_done >= 3))
            assert 3 <= len(found) < len(units)
        assert_found(search_neighbors_on_ray(X, pool=pool), search_neighbors(X))


@ray_cluster
def test_choices_run_on_the_workers_of_a_pool(cluster: Any) -> None:
    options: dict[str, Any] = {"folds": fold_rows(len(X)), "n_neighbors": [3]}
    with open_pool(address=cluster.address) as pool:
        found = search_choices(X, y, **options, choices={"p": (1, 2)}, method="grid", pool=pool)
    for p, table in zip((1, 2), found.fold_scores, strict=True):
        expected = score_candidates(X, y, candidates=[Candidate(3, p=p)], folds=options["folds"])
        np.testing.assert_array_equal(table, expected.test["score"])
