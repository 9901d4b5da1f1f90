"""What a saved run says of the machine and the software, without names and paths."""

from __future__ import annotations

import importlib.metadata
import os
from typing import Any

from threadpoolctl import threadpool_info

from harness.peers import N_THREADS, PEERS

PACKAGES = (
    "energyknn", "numpy", "numba", "scipy", "pandas", "joblib", *(peer.package for peer in PEERS.values()), "ray",
    "tune-sklearn", "optuna", "optuna-integration", "plotnine",
)  # fmt: skip
KEPT_OF_MACHINE = ("machine", "system", "python_implementation", "python_version")
KEPT_OF_CPU = ("brand_raw", "hz_advertised_friendly", "l2_cache_size", "l3_cache_size")
KEPT_OF_POOL = ("user_api", "internal_api", "version", "architecture", "num_threads")
KEPT_OF_COMMIT = ("id", "time", "dirty")


def find_version(package: str) -> str:
    """Return the version of a package, or say that it is not there."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def describe_machine(found: dict[str, Any]) -> dict[str, Any]:
    """Choose what a reader needs from what pytest-benchmark found, and add what it did not look for."""
    return {
        **keep(found, KEPT_OF_MACHINE),
        "cpu": keep(found.get("cpu", {}), KEPT_OF_CPU),
        "cores": os.cpu_count(),
        "threads": N_THREADS,
        "memory_bytes": _count_memory(),
        "load_average": [round(load, 2) for load in os.getloadavg()] if hasattr(os, "getloadavg") else None,
        "packages": {package: find_version(package) for package in dict.fromkeys(PACKAGES)},
        "thread_pools": [keep(pool, KEPT_OF_POOL) for pool in threadpool_info()],
    }


def keep(found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the named entries that are there."""
    return {name: found[name] for name in names if name in found}


def _count_memory() -> int | None:
    """Return the bytes of memory of the machine, where the system tells them."""
    names = getattr(os, "sysconf_names", {})
    if not {"SC_PAGE_SIZE", "SC_PHYS_PAGES"} <= set(names):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
