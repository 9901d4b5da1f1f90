"""Rays as users have them, quiet, on this machine, and shut down again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def start_cluster(n_nodes: int, **node: Any) -> Iterator[Any]:
    """Start nodes of one core each; to be connected to by its address."""
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster

        head = {"num_cpus": 1, "include_dashboard": False, **node}
        started = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(n_nodes - 1):
                started.add_node(num_cpus=1, **node)
            yield started
        finally:
            started.shutdown()


@contextmanager
def start_ray() -> Iterator[Any]:
    """Start a local Ray of two cores, and connect this process to it."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUIET.items():
            patch.setenv(name, value)
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        try:
            yield ray
        finally:
            ray.shutdown()
