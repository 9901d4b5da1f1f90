"""Predict how long a search and its tuning take on a Ray cluster, and what they need, from what single pieces cost.

`measure_scale.py` measures the pieces on one core, and writes `docs/scale.md` from the tables that are made here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
import numpy as np

N_FOLDS, N_SHARDS = 4, 8
BLOCK_ROWS = 16_384  # queries of a unit where there are many
JOBS = {1: "neighbours, 1 shard", N_SHARDS: f"neighbours, {N_SHARDS} shards", 0: f"tuning, {N_FOLDS} folds"}
ROWS, NODES = (1_000_000, 10_000_000, 100_000_000), (1, 8, 64)
KINDS = ("search", "search_shard", "score")  # of a query
TEMPLATE = Path(__file__).with_name("scale.md.j2")


class Cluster(NamedTuple):
    """Equal nodes, the driver on the first."""

    n_nodes: int = 1
    cores: int = 16
    worker_cores: int = 16
    memory: int = 64 << 30
    bytes_per_second: float = 1.25e9  # of the network, in and out of a node


class Prediction(NamedTuple):
    """Seconds, the bytes that cross the network, and the memory of a node and of the driver beside it."""

    seconds: float
    network: float
    node: float
    driver: float


class Costs:
    """What single pieces cost on one core, in seconds and bytes."""

    def __init__(self, measured: Mapping[str, Any]) -> None:
        costs = measured["costs"]
        self.row, self.result = 8 * measured["n_features"], 16 * measured["n_neighbors"]  # bytes
        build, fold = (max(costs[name], key=lambda case: case["rows"]) for name in ("build", "fold"))
        self._build = build["seconds"] / (build["rows"] * math.log2(build["rows"]))
        self.copy = max(0.0, fold["seconds"] - self.build(fold["rows"])) / fold["rows"]
        self.index = max(case["bytes"] / case["rows"] for case in costs["index"])  # bytes of a row, itself included
        self.curves = {kind: fit_power(costs[kind]) for kind in KINDS}
        self.order, self.place, self.merge, self.unit, self.put = (
            costs[name]["seconds"] / costs[name][count]
            for name, count in zip(
                ("order", "place", "merge", "unit", "put"), (*["queries"] * 3, "units", "bytes"), strict=True
            )
        )

    def build(self, n_train: float) -> float:
        """Return the seconds to build an index: n log n."""
        return self._build * n_train * math.log2(n_train)

    def ask(self, kind: str, n_train: float) -> float:
        """Return the seconds of a query among so many rows: a power of their number."""
        factor, exponent = self.curves[kind]
        return float(factor * n_train**exponent)


def fit_power(cases: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Fit seconds of a query = factor * rows ** exponent by least squares of the logarithms."""
    seconds = [math.log(case["seconds"] / case["queries"]) for case in cases]
    exponent, level = np.polyfit(np.log([case["rows"] for case in cases]), seconds, 1)
    return float(np.exp(level)), float(exponent)


def predict(costs: Costs, cluster: Cluster, n_rows: int, n_shards: int) -> Prediction:
    """Predict a search for the neighbours of every row; with 0 shards, the tuning of every k.

    Search: the driver orders the queries. It builds the index of a single shard on all of its cores, and puts it into
    the object store. Of several shards it puts the rows, and each worker builds the index of its shard. Then the
    workers search and put their results, while the driver cuts units, and places or merges the results that arrive over
    its network. The slower of the two counts. What the driver computes takes a core from the workers of its node.

    Tuning: the rows go into the object store. A worker copies the training rows of its fold, builds their index, and
    searches and weighs. Only sums come back.

    Threads share all work but the copying evenly, and nodes that have a copy pass it on.
    """
    n_nodes, cores, worker_cores, _, speed = cluster
    n_workers, rows = n_nodes * (cores // worker_cores), n_rows * costs.row
    n_cores, n_hops = n_workers * worker_cores, math.ceil(math.log2(n_nodes))
    if n_shards == 0:
        train = n_rows * (N_FOLDS - 1) / N_FOLDS
        seconds = rows * (costs.put + n_hops / speed) + n_rows * costs.ask("score", train) / n_cores
        seconds += max(1.0, N_FOLDS / n_workers) * (costs.copy * train + costs.build(train) / worker_cores)
        node = rows + cores // worker_cores * train * (costs.row + costs.index)
        return Prediction(seconds, (n_nodes - 1) * rows, node, 2 * rows)
    elsewhere, n_found, shard = (n_nodes - 1) / n_nodes, n_rows * n_shards, n_rows / n_shards
    units = n_shards * math.ceil(n_rows / BLOCK_ROWS) * costs.unit
    came = elsewhere * n_found * (costs.row + 8 + costs.result)
    before = n_rows * costs.order / cores
    if n_shards == 1:
        node = costs.index * n_rows
        sent, driver = (n_nodes - 1) * node, rows + 2 * node
        before += costs.build(n_rows) / cores + node * (costs.put + n_hops / speed)
        work, home = n_rows * costs.ask("search", n_rows) / n_cores, n_rows * costs.place
    else:
        node, driver = cores // worker_cores * shard * (costs.row + costs.index), 2 * rows
        sent = elsewhere * max(n_shards, n_workers) * shard * costs.row
        before += rows * costs.put + sent / speed
        work = math.ceil(n_shards / n_workers) * costs.build(shard) / worker_cores
        work, home = work + n_found * costs.ask("search_shard", shard) / n_cores, n_found * costs.merge
    home += units + n_found * costs.row * costs.put
    work += (units + n_found * costs.result * costs.put + home) / n_cores
    return Prediction(before + max(work, home + came / speed), sent + came, node, driver + n_rows * costs.result)


def format_bytes(n_bytes: float) -> str:
    """Write bytes with two digits or more, in the unit that suits them."""
    for factor, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB")):
        if n_bytes >= factor:
            return f"{n_bytes / factor:,.{0 if n_bytes >= 100 * factor else 1}f} {unit}"
    return "0" if n_bytes == 0 else f"{n_bytes / 1e3:,.0f} kB"


def format_seconds(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    for factor, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * factor:
            return f"{seconds / factor:,.{0 if seconds >= 100 * factor else 1}f} {unit}"
    return f"{seconds:.{0 if seconds >= 100 else 2}f} s"


def render_page(measured: Mapping[str, Any]) -> str:
    """Return the page, every figure of it computed."""
    costs = Costs(measured)
    runs = [
        run
        | {"predicted": predict(costs, Cluster(cores=run["workers"], worker_cores=1), run["rows"], run["shards"])[0]}
        for run in measured["runs"]
    ]
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701 - Markdown
    environment.filters |= {"bytes": format_bytes, "seconds": format_seconds}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        measured | {"costs": costs, "runs": runs},
        node=Cluster(),
        predictions=[
            (n_rows, n_nodes, JOBS[n_shards], predict(costs, Cluster(n_nodes), n_rows, n_shards))
            for n_rows, n_nodes, n_shards in product(ROWS, NODES, JOBS)
        ],
        most={kind: max(case["rows"] for case in measured["costs"][kind]) for kind in KINDS},
        ratios=[run["seconds"] / run["predicted"] for run in runs],
    )
