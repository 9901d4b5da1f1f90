"""A real Ray cluster of three nodes on this machine: the bits of one machine, and nothing lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pandas as pd
import pytest
from real_ray import start_cluster
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import FitFailedWarning
from sklearn.preprocessing import StandardScaler

from energyknn._shared import ray_session
from energyknn._shared.ray_session import check_address
from energyknn.cluster.search import ClusterNeighbors, search_neighbors_on_ray
from energyknn.cluster.session import ClusterOptions, open_cluster
from energyknn.cluster.tuning import score_candidates_on_ray
from energyknn.errors import ClusterError, DeviceError, JournalError
from energyknn.neighbors import Neighbors, search_neighbors
from energyknn.splitting import fold_rows
from energyknn.tuning import Candidate, CandidateScores, score_candidates

ray_cluster = pytest.mark.ray


def make_rows(n_rows: int, *, n_features: int = 4, seed: int = 0) -> np.ndarray:
    """Make rows that tie and repeat."""
    X = np.random.default_rng(seed).normal(size=(n_rows, n_features)).round(1)
    X[::50] = X[0]
    return X


def assert_same_bits(found: ClusterNeighbors, expected: Neighbors) -> None:
    np.testing.assert_array_equal(found.indices, expected.indices, strict=True)
    np.testing.assert_array_equal(found.distances, expected.distances, strict=True)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Start three nodes of one core each."""
    with start_cluster(3) as started:
        yield started


# What needs no cluster


@pytest.mark.parametrize("address", ["somewhere", "host:port", ":6379", "ray://host:10001", "host:70000"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ClusterError, match=r"It must be host:port"):
        check_address(address)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_an_address_where_nothing_listens_is_refused() -> None:
    with pytest.raises(ClusterError, match="No Ray answers at"):
        check_address(f"127.0.0.1:{free_port()}")


def test_an_address_that_keeps_silent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_session, "_SECONDS_TO_ANSWER", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(ClusterError, match="No Ray answers at"):
        check_address(f"127.0.0.1:{server.getsockname()[1]}")


def test_another_kind_of_server_is_refused() -> None:
    def answer() -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=answer)
        thread.start()
        with pytest.raises(ClusterError, match="is not a Ray"):
            check_address(f"127.0.0.1:{server.getsockname()[1]}")
        thread.join()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_cpus": 0}, "num_cpus is 0. It must be at least 1"),
        ({"cpus_per_worker": 0}, "cpus_per_worker is 0"),
        ({"gpus_per_worker": -1}, "gpus_per_worker is -1"),
        ({"max_retries": -1}, "max_retries is -1"),
        ({"n_shards": 0}, "n_shards is 0. It must be from 1 to 60"),
        ({"n_shards": 61}, "n_shards is 61"),
        ({"block_rows": 0}, "block_rows is 0"),
        ({"n_neighbors": 60}, "n_neighbors is 60"),
        ({"engine": "fast"}, "engine"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_starts(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search_neighbors_on_ray(make_rows(60), **options)


def test_a_missing_ray_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'energyknn\[ray\]'"):
        search_neighbors_on_ray(make_rows(60))


# Equal bits


@ray_cluster
@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("is_self_search", [True, False])
def test_three_nodes_have_the_bits_of_one_machine(cluster: Any, n_shards: int, p: int, is_self_search: bool) -> None:
    X = make_rows(3_000)
    queries = None if is_self_search else make_rows(500, seed=1)
    found = search_neighbors_on_ray(
        X, queries, 7, p=p, engine="blocked", n_shards=n_shards, block_rows=100, address=cluster.address
    )
    assert_same_bits(found, search_neighbors(X, queries, 7, p=p))
    assert found.report.n_done == found.report.n_units == n_shards * (30 if is_self_search else 5)
    assert found.report.devices == {"cpu": found.report.n_units}


@ray_cluster
def test_more_neighbours_than_a_shard_has_rows(cluster: Any) -> None:
    X = make_rows(40)
    found = search_neighbors_on_ray(X, None, 39, engine="brute", n_shards=10, block_rows=7, address=cluster.address)
    assert_same_bits(found, search_neighbors(X, None, 39))


@pytest.fixture
def slow_units(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each unit take its time, so that all workers are there, and at work, before the last is sent."""
    from energyknn.cluster import search

    work = search._search

    def search_slowly(*arguments: Any, **options: Any) -> Any:
        time.sleep(0.2)
        return work(*arguments, **options)

    monkeypatch.setattr(search, "_search", search_slowly)


@ray_cluster
@pytest.mark.usefixtures("slow_units")
def test_all_nodes_work(cluster: Any) -> None:
    X = make_rows(4_000)
    found = search_neighbors_on_ray(X, engine="brute", n_shards=3, block_rows=200, address=cluster.address)
    assert_same_bits(found, search_neighbors(X))
    assert len(found.report.nodes) == 3
    assert sum(found.report.nodes.values()) == found.report.n_done


@ray_cluster
def test_a_local_ray_is_quiet_and_shut_down(tmp_path: Path) -> None:
    code = (
        "import json, os\n"
        "import numpy as np, ray\n"
        "from energyknn.cluster.search import search_neighbors_on_ray\n"
        "before = dict(os.environ)\n"
        "search_neighbors_on_ray(np.arange(60.0).reshape(-1, 1), num_cpus=1)\n"
        "print(json.dumps([ray.is_initialized(), before == dict(os.environ)]))\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    )
    assert json.loads(done.stdout) == [False, True]
    assert done.stderr == ""


@ray_cluster
def test_a_ray_of_the_users_is_used_and_left_up(cluster: Any) -> None:
    import ray

    ray.init(address=cluster.address, log_to_driver=False, logging_level="error")
    try:
        X = make_rows(300)
        assert_same_bits(search_neighbors_on_ray(X, engine="brute"), search_neighbors(X))
        assert ray.is_initialized()
        with pytest.raises(ClusterError, match="this process is connected to the Ray at"):
            search_neighbors_on_ray(X, address="127.0.0.1:6379")
    finally:
        ray.shutdown()


# Tuning


def assert_same_scores(found: CandidateScores, expected: CandidateScores) -> None:
    assert found.candidates == expected.candidates
    for side in ("test", "train", "train_without_self"):
        tables = getattr(expected, side)
        assert (tables is None) == (getattr(found, side) is None)
        for name, table in (tables or {}).items():
            np.testing.assert_array_equal(getattr(found, side)[name], table, strict=True)


def make_targets(X: np.ndarray) -> np.ndarray:
    return X[:, 0] + np.random.default_rng(5).normal(size=len(X))


def every_kind() -> list[Candidate]:
    scaler = StandardScaler()
    return [
        *(Candidate(k, weights) for weights in ("uniform", "distance", "gaussian") for k in (1, 7, 30)),
        *(Candidate(k, p=1) for k in (5, 9)),
        *(Candidate(k, transformer=scaler) for k in (5, 9)),
        Candidate(6, lambda distances: 1 / (1 + distances)),
    ]


@ray_cluster
@pytest.mark.parametrize("with_train", [False, True])
@pytest.mark.parametrize("scoring", [None, ["r2", "neg_mean_absolute_error", "neg_median_absolute_error"]])
def test_scores_have_the_bits_of_one_machine(cluster: Any, with_train: bool, scoring: Any) -> None:
    X = make_rows(2_000)
    options = {"candidates": every_kind(), "folds": fold_rows(len(X), n_splits=3), "scoring": scoring}
    options |= {"with_train": with_train, "engine": "brute"}
    found = score_candidates_on_ray(X, make_targets(X), **options, block_rows=1, address=cluster.address)
    assert_same_scores(found.scores, score_candidates(X, make_targets(X), **options))
    assert found.report.n_done == found.report.n_units >= 3 * 3


@ray_cluster
def test_scores_of_several_outputs_and_of_repeated_folds(cluster: Any) -> None:
    X = make_rows(3_000)
    y = np.column_stack([make_targets(X), X[:, 1]])
    folds = [*fold_rows(len(X), n_splits=2), *fold_rows(len(X), n_splits=3)]
    options = {"candidates": [Candidate(k) for k in range(1, 1200, 300)], "folds": folds, "with_train": True}
    found = score_candidates_on_ray(X, y, **options, block_rows=500, address=cluster.address)
    assert_same_scores(found.scores, score_candidates(X, y, **options, shared=True))


@ray_cluster
def test_a_frame_whose_transformer_chooses_columns_by_name(cluster: Any) -> None:
    X = pd.DataFrame(make_rows(500), columns=list("abcd"))
    chosen = ColumnTransformer([("scale", StandardScaler(), ["a", "c"])])
    candidates = [Candidate(5, transformer=chosen), Candidate(5)]  # and one that takes the frame as it is
    options = {"candidates": candidates, "folds": fold_rows(len(X), n_splits=2)}
    found = score_candidates_on_ray(X, X["a"], **options, address=cluster.address)
    assert_same_scores(found.scores, score_candidates(X, X["a"], **options))


@ray_cluster
def test_weights_that_fail_are_told_as_on_one_machine(cluster: Any, tmp_path: Path) -> None:
    def fail(_: np.ndarray) -> np.ndarray:
        message = "no weights today"
        raise ArithmeticError(message)

    X = make_rows(400)
    options = {"candidates": [Candidate(3), Candidate(3, fail)], "folds": fold_rows(len(X), n_splits=2)}
    with pytest.warns(FitFailedWarning, match="2 scores .* ArithmeticError: no weights today") as here:
        expected = score_candidates(X, make_targets(X), **options)
    with pytest.warns(FitFailedWarning, match="2 scores .* ArithmeticError: no weights today") as there:
        found = score_candidates_on_ray(
            X, make_targets(X), **options, address=cluster.address, journal=str(tmp_path / "journal")
        )
    assert_same_scores(found.scores, expected)
    assert [warning.filename for warning in here] == [warning.filename for warning in there] == [__file__]
    assert not list(tmp_path.glob("journal/*.unit"))
    with pytest.raises(ArithmeticError, match="no weights today"):
        score_candidates_on_ray(X, make_targets(X), **options, error_score="raise", address=cluster.address)


@ray_cluster
def test_tuning_goes_on_from_its_journal_and_notices_every_change(cluster: Any, tmp_path: Path) -> None:
    X, journal = make_rows(1_000), str(tmp_path / "journal")
    scaler = StandardScaler()
    options = {
        "candidates": [Candidate(3), Candidate(5, lambda distances: 1 + distances), Candidate(5, transformer=scaler)],
        "folds": fold_rows(len(X), n_splits=2),
        "engine": "brute",
        "address": cluster.address,
        "journal": journal,
    }
    whole = score_candidates_on_ray(X, make_targets(X), **options)
    records = sorted(tmp_path.glob("journal/*.unit"))
    assert len(records) == whole.report.n_units
    records[0].unlink()
    records[1].write_bytes(records[1].read_bytes()[:-1])
    again = score_candidates_on_ray(X, make_targets(X), **options)
    assert_same_scores(again.scores, whole.scores)
    assert (again.report.n_restored, again.report.n_done) == (len(records) - 2, 2)
    changes = {
        "candidates": [Candidate(3), Candidate(5, lambda distances: 2 + distances), Candidate(5, transformer=scaler)],
        "folds": fold_rows(len(X), n_splits=2)[::-1],
        "scoring": "neg_mean_squared_error",
        "with_train": True,
    }
    for name, value in changes.items():
        with pytest.raises(JournalError, match=rf"another study \({name}: .* 1 in all"):
            score_candidates_on_ray(X, make_targets(X), **(options | {name: value}))
    with pytest.raises(JournalError, match=r"another study \(X: "):
        score_candidates_on_ray(X + 1e-9, make_targets(X), **options)


# Bad clusters


@ray_cluster
def test_a_worker_that_no_node_can_hold_is_refused(cluster: Any) -> None:
    with pytest.raises(ClusterError, match=r"A worker needs 2 CPUs .* have 1, 1, 1 CPUs"):
        search_neighbors_on_ray(make_rows(60), cpus_per_worker=2, address=cluster.address)


@ray_cluster
def test_a_gpu_that_no_node_has_is_refused(cluster: Any) -> None:
    with pytest.raises(DeviceError, match=r"gpus_per_worker asks for 1 GPUs, but Ray sees 0 GPUs"):
        search_neighbors_on_ray(make_rows(60), gpus_per_worker=1, address=cluster.address)


@ray_cluster
def test_too_small_an_object_store_is_told_before_the_work(cluster: Any) -> None:
    with pytest.raises(ClusterError, match=r"object store of [0-9,]+ bytes, and the job needs [0-9,]+\. Start Ray"):
        search_neighbors_on_ray(np.zeros((3_000_000, 10)), np.zeros((1, 10)), address=cluster.address)


@ray_cluster
@pytest.mark.parametrize("part", ["ray_version", "python_version"])
def test_another_release_on_the_cluster_is_refused(part: str) -> None:
    pytest.importorskip("ray")
    from ray._common.usage import usage_constants, usage_lib
    from ray._private import ray_constants
    from ray._raylet import GcsClient

    with start_cluster(1) as head:
        gcs = GcsClient(address=head.address)
        metadata = usage_lib.get_cluster_metadata(gcs) | {part: "2.0.0"}
        gcs.internal_kv_put(
            usage_constants.CLUSTER_METADATA_KEY,
            json.dumps(metadata).encode(),
            True,
            ray_constants.KV_NAMESPACE_CLUSTER,
        )
        with pytest.raises(ClusterError, match=r"cannot be joined: Version mismatch.* 2\.0\.0 .*same releases"):
            search_neighbors_on_ray(make_rows(60), address=head.address)


# GPUs


@ray_cluster
def test_gpus_are_given_by_ray_to_the_workers_that_ask(cluster: Any) -> None:
    node = cluster.add_node(num_cpus=1, num_gpus=1)
    try:
        X = make_rows(1_000)
        found = search_neighbors_on_ray(X, engine="brute", gpus_per_worker=1, block_rows=100, address=cluster.address)
        assert_same_bits(found, search_neighbors(X))
        assert list(found.report.nodes) == [node.node_id]
    finally:
        cluster.remove_node(node)


@ray_cluster
def test_the_torch_engine_says_which_device_computed(cluster: Any) -> None:
    torch = pytest.importorskip("torch")
    node = cluster.add_node(num_cpus=1, num_gpus=1)
    try:
        X = make_rows(1_000)
        found = search_neighbors_on_ray(X, engine="torch", gpus_per_worker=1, block_rows=100, address=cluster.address)
        assert_same_bits(found, search_neighbors(X))
        device = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "cpu"
        assert found.report.devices == {device: 10}
    finally:
        cluster.remove_node(node)


# Nothing lost


@ray_cluster
@pytest.mark.usefixtures("slow_units")
def test_a_node_removed_in_the_middle_changes_nothing(cluster: Any) -> None:
    node = cluster.add_node(num_cpus=1)
    X, queries = make_rows(3_000), make_rows(6_000, seed=1)

    def remove_halfway(steps: Any, _: str) -> Iterator[Any]:
        for number, step in enumerate(steps):
            if number == len(steps) // 2:
                cluster.remove_node(node, allow_graceful=False)
            yield step

    found = search_neighbors_on_ray(
        X, queries, 5, engine="brute", block_rows=100, address=cluster.address, track=remove_halfway
    )
    assert_same_bits(found, search_neighbors(X, queries, 5))
    assert found.report.n_lost == 1
    assert 1 <= found.report.n_again <= 2  # no more than a worker holds
    assert found.report.n_done == found.report.n_units == 60


_RUN = """
import json, sys
from test_search import make_rows
from energyknn.cluster.search import search_neighbors_on_ray
found = search_neighbors_on_ray(
    make_rows(20_000), make_rows(4_000, seed=1), 5,
    engine="brute", n_shards=2, block_rows=200, address=sys.argv[1], journal=sys.argv[2],
)
"""


@ray_cluster
def test_a_driver_killed_halfway_goes_on_from_its_journal(cluster: Any, tmp_path: Path) -> None:
    folders = [str(folder) for folder in Path(__file__).parents[:2]]
    code = f"import sys; sys.path[:0] = {folders}\n{_RUN}"
    driver = subprocess.Popen([sys.executable, "-c", code, cluster.address, str(tmp_path / "journal")])
    try:
        while len(list((tmp_path / "journal").glob("*.unit"))) < 20:
            assert driver.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    X, queries = make_rows(20_000), make_rows(4_000, seed=1)
    options = {"n_shards": 2, "block_rows": 200, "address": cluster.address, "journal": str(tmp_path / "journal")}
    found = search_neighbors_on_ray(X, queries, 5, engine="brute", **options)
    assert_same_bits(found, search_neighbors(X, queries, 5))
    assert found.report.n_units == 40
    assert found.report.n_restored >= 20
    assert found.report.n_done < 0.6 * 40
    with pytest.raises(JournalError, match="n_neighbors: 5 there, 6 here"):
        search_neighbors_on_ray(X, queries, 6, engine="brute", **options)


@ray_cluster
def test_a_unit_that_fails_ends_the_run_with_its_own_error(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from energyknn.cluster import search

    def fail(*_: Any, **__: Any) -> None:
        message = "the disk of the node is full"
        raise ZeroDivisionError(message)

    monkeypatch.setattr(search, "_search", fail)
    with pytest.raises(ZeroDivisionError, match="the disk of the node is full") as caught:
        search_neighbors_on_ray(make_rows(60), max_retries=1, address=cluster.address)
    assert type(caught.value) is ZeroDivisionError
    assert "'shard-0-rows-0' on a Ray worker, tried 2 times" in caught.value.__notes__[0]


@ray_cluster
def test_a_unit_that_ends_its_worker_is_told(cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from energyknn.cluster import search

    def end(*_: Any, **__: Any) -> None:
        os._exit(1)

    monkeypatch.setattr(search, "_search", end)
    with pytest.raises(ClusterError, match="'shard-0-rows-0' was lost with its worker"):
        search_neighbors_on_ray(make_rows(60), address=cluster.address)


@ray_cluster
def test_no_worker_outlives_an_interrupt(cluster: Any) -> None:
    import ray

    def interrupt(steps: Any, _: str) -> Iterator[Any]:
        yield steps[0]
        raise KeyboardInterrupt

    with open_cluster(ClusterOptions(address=cluster.address)):
        with suppress(KeyboardInterrupt):
            search_neighbors_on_ray(make_rows(500), engine="brute", block_rows=10, track=interrupt)
        deadline = time.monotonic() + 300
        while ray.available_resources().get("CPU", 0) < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert ray.available_resources()["CPU"] == 3
