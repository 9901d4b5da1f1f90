"""How long a search and its tuning take on a cluster, and what they need: predicted from what single pieces cost.

The costs are those of one core, measured by `measure_scale.py`. What a prediction adds to them is written in
`predict_search` and `predict_tuning`, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

N_FOLDS = 4
N_SHARDS = 8  # of the runs with several
KINDS = ("search", "search_shard", "score")  # what a query may ask
BLOCK_ROWS = 16_384  # queries of a unit where there are many
ROWS, NODES = (1_000_000, 10_000_000, 100_000_000), (1, 8, 64)


@dataclass(frozen=True)
class Cluster:
    """Equal nodes, the driver on the first; one worker a node has all of its cores unless said otherwise."""

    n_nodes: int = 1
    cores: int = 16
    memory: int = 64 << 30
    bytes_per_second: float = 1.25e9  # of the network, in and out of a node
    cores_per_worker: int | None = None

    @property
    def worker_cores(self) -> int:
        """Cores of a worker."""
        return self.cores_per_worker or self.cores

    @property
    def n_workers(self) -> int:
        """Workers of all nodes."""
        return self.n_nodes * (self.cores // self.worker_cores)

    @property
    def elsewhere(self) -> float:
        """The share of the work that is done on other nodes than the driver's."""
        return (self.n_nodes - 1) / self.n_nodes

    def spread(self, n_bytes: float) -> float:
        """Return the seconds until all nodes have a copy: those that have one pass it on."""
        return n_bytes * math.ceil(math.log2(self.n_nodes)) / self.bytes_per_second


class Prediction(NamedTuple):
    """Seconds, the bytes that cross the network, and the memory of a node and of the driver beside it."""

    seconds: float
    network: float
    node: float
    driver: float


class Costs:
    """What single pieces cost on one core."""

    def __init__(self, measured: Mapping[str, Any]) -> None:
        costs = measured["costs"]
        self.n_neighbors = measured["n_neighbors"]
        self.row = 8 * measured["n_features"]
        self.result = 16 * self.n_neighbors  # bytes of a query's result
        largest = max(costs["build"], key=lambda case: case["rows"])
        self._build = largest["seconds"] / (largest["rows"] * math.log2(largest["rows"]))
        self.alone = share_alone(largest["seconds"], largest["threaded"]["seconds"], largest["threaded"]["threads"])
        largest = max(costs["fold"], key=lambda case: case["rows"])
        self._fold = max(0.0, largest["seconds"] - self.build(largest["rows"])) / largest["rows"]
        self._index = max(case["bytes"] / case["rows"] for case in costs["index"])
        self._curves = {name: fit_power(costs[name]) for name in KINDS}
        self.order = costs["order"]["seconds"] / costs["order"]["queries"]
        self.place = costs["place"]["seconds"] / costs["place"]["queries"]
        self.merge = costs["merge"]["seconds"] / costs["merge"]["queries"]
        self.put = costs["put"]["seconds"] / costs["put"]["bytes"]
        self.unit = costs["unit"]["seconds"] / costs["unit"]["units"]

    def build(self, n_train: float, cores: int = 1) -> float:
        """Return the seconds to build an index: n log n, of which a part is for one core alone."""
        return self._build * n_train * math.log2(max(2.0, n_train)) * (self.alone + (1 - self.alone) / cores)

    def prepare_fold(self, n_train: float, cores: int = 1) -> float:
        """Return the seconds to copy the training rows of a fold, on one core, and to build their index."""
        return self._fold * n_train + self.build(n_train, cores)

    def ask(self, kind: str, n_train: float) -> float:
        """Return the seconds of a query among so many rows: a power of their number."""
        factor, exponent = self._curves[kind]
        return float(factor * n_train**exponent)

    def index(self, n_train: float) -> float:
        """Return the bytes of an index, its rows included."""
        return self._index * n_train

    def exponent(self, kind: str) -> float:
        """Return the power of the number of rows with which a query's time grows."""
        return self._curves[kind][1]


def fit_power(cases: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Fit seconds of a query = factor * rows ** exponent by least squares of the logarithms."""
    rows = np.log([case["rows"] for case in cases])
    seconds = np.log([case["seconds"] / case["queries"] for case in cases])
    exponent, level = np.polyfit(rows, seconds, 1) if len(cases) > 1 else (0.6, seconds[0] - 0.6 * rows[0])
    return float(np.exp(level)), float(exponent)


def share_alone(on_one: float, on_several: float, n_threads: int) -> float:
    """Return the share of a job's work that more threads do not shorten (Amdahl's law), from two times of it."""
    return float(np.clip((on_several / on_one - 1 / n_threads) / (1 - 1 / n_threads), 0, 1))


def predict_search(costs: Costs, cluster: Cluster, *, n_train: int, n_query: int, n_shards: int) -> Prediction:
    """Predict a search.

    The driver orders the queries, and builds the index of a single shard on its cores and puts it into the object
    store; of several shards it puts the rows, and each worker builds the index of what it holds. Then workers search
    and put what they find, while the driver cuts units, and places or merges what comes back, over its network if from
    other nodes: the slower of the two counts. What the driver computes takes a core from the workers of its node.
    """
    rows, n_units = n_train * costs.row, n_shards * math.ceil(n_query / BLOCK_ROWS)
    before = n_query * costs.order / cluster.cores
    total_cores = cluster.n_workers * cluster.worker_cores
    if n_shards == 1:
        held = costs.index(n_train)
        before += costs.build(n_train, cluster.cores) + held * costs.put + cluster.spread(held)
        work = n_query * costs.ask("search", n_train) / total_cores
        home = n_query * costs.place
        node, driver = held, rows + 2 * held
        sent = (cluster.n_nodes - 1) * held
    else:
        shard = n_train / n_shards
        turns = math.ceil(n_shards / cluster.n_workers)
        copies = max(n_shards, cluster.n_workers)
        sent = cluster.elsewhere * copies * shard * costs.row
        before += rows * costs.put + sent / cluster.bytes_per_second
        work = turns * costs.build(shard, cluster.worker_cores)
        work += n_query * n_shards * costs.ask("search_shard", shard) / total_cores
        home = n_query * n_shards * costs.merge
        per_node = cluster.cores // cluster.worker_cores
        node, driver = per_node * (shard * costs.row + costs.index(shard)), 2 * rows
    came = cluster.elsewhere * n_query * n_shards * (costs.row + 8 + costs.result)
    home += n_units * costs.unit + n_query * n_shards * costs.row * costs.put
    work += (n_units * costs.unit + n_query * n_shards * costs.result * costs.put + home) / total_cores
    seconds = before + max(work, home + came / cluster.bytes_per_second)
    return Prediction(seconds, sent + came, node, driver + n_query * costs.result)


def predict_tuning(costs: Costs, cluster: Cluster, *, n_rows: int, n_folds: int = N_FOLDS) -> Prediction:
    """Predict the tuning of every k, each row asked about once.

    The rows go into the object store once. A worker copies the training rows of the fold that it works on, builds
    their index, and searches and weighs; only sums come back.
    """
    rows, n_train = n_rows * costs.row, n_rows * (n_folds - 1) / n_folds
    turns = max(1.0, n_folds / cluster.n_workers)
    seconds = rows * costs.put + cluster.spread(rows)
    seconds += turns * costs.prepare_fold(n_train, cluster.worker_cores)
    seconds += n_rows * costs.ask("score", n_train) / (cluster.n_workers * cluster.worker_cores)
    worker = n_train * costs.row + costs.index(n_train)
    per_node = cluster.cores // cluster.worker_cores
    return Prediction(seconds, (cluster.n_nodes - 1) * rows, rows + per_node * worker, 2 * rows)


def predict_run(costs: Costs, run: Mapping[str, Any]) -> Prediction:
    """Predict a run that was measured: workers of one core each on one node."""
    cluster = Cluster(cores=run["workers"], cores_per_worker=1)
    if run["kind"] == "tuning":
        return predict_tuning(costs, cluster, n_rows=run["rows"])
    return predict_search(costs, cluster, n_train=run["rows"], n_query=run["rows"], n_shards=run["shards"])


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
    machine = measured["machine"]
    rows = sorted({case["rows"] for case in measured["costs"]["search"]})
    largest = {kind: max(case["rows"] for case in measured["costs"][kind]) for kind in KINDS}
    node = Cluster()
    ratios = [run["seconds"] / predict_run(costs, run).seconds for run in measured["runs"]]
    lines = [
        "# At scale",
        "",
        "What a search, and the tuning of every k, take on a Ray cluster: predicted from what single pieces cost on",
        "one core, and held against runs. `benchmarks/draw_scale.py` writes this page from",
        "`benchmarks/results/scale.json`, which `benchmarks/measure_scale.py` measures;",
        "`benchmarks/harness/scale.py` has the formulas.",
        "",
        f"Measured on {machine['cpu'].get('brand_raw', machine['machine'])}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, Python {machine['python_version']}, NumPy "
        f"{machine['packages']['numpy']}, Ray {machine['packages']['ray']}, with synthetic tracks of "
        f"{measured['n_features']} columns, k = {measured['n_neighbors']}.",
        "",
        "## Predicted",
        "",
        f"Nodes of {node.cores} cores, {node.memory >> 30} GiB and {node.bytes_per_second * 8 / 1e9:g} Gbit/s, each "
        f"with one worker of {node.cores} cores, so that its threads share one index; the driver on one",
        f"of them. Neighbours: the {measured['n_neighbors']} nearest of every track. Tuning: every k up to that.",
        "**Bold** is more memory than a node has.",
        "",
        "| tracks | nodes | job | time | over the network | memory of a node | of the driver |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for n_rows in ROWS:
        for n_nodes in NODES:
            cluster = Cluster(n_nodes)
            for name, found in (
                ("neighbours, 1 shard", predict_search(costs, cluster, n_train=n_rows, n_query=n_rows, n_shards=1)),
                (
                    f"neighbours, {N_SHARDS} shards",
                    predict_search(costs, cluster, n_train=n_rows, n_query=n_rows, n_shards=N_SHARDS),
                ),
                (f"tuning, {N_FOLDS} folds", predict_tuning(costs, cluster, n_rows=n_rows)),
            ):
                memory = [
                    f"**{format_bytes(value)}**" if value > cluster.memory else format_bytes(value)
                    for value in (found.node, found.driver)
                ]
                lines.append(
                    f"| {n_rows:,} | {n_nodes} | {name} | {format_seconds(found.seconds)} | "
                    f"{format_bytes(found.network)} | {' | '.join(memory)} |"
                )
    lines += [
        "",
        f"A search returns {costs.result:,} bytes a query to the driver, which holds all of them: for 100 million "
        f"queries {format_bytes(1e8 * costs.result)},",
        "whatever the cluster. Ask for fewer neighbours, or for parts of the queries. Tuning returns sums alone.",
        "Several shards cost more time, since each is searched for all k and the driver merges what they find: they",
        "are for rows whose index does not fit a node.",
        "",
        "What is assumed and not measured: threads and workers do not slow one another in memory;",
        f"a query's time grows with the rows as it did up to {rows[-1]:,}; Ray passes data on from node to node.",
        "",
        "## Costs",
        "",
        "| piece, on one core | cost |",
        "| --- | ---: |",
        f"| build an index of {rows[-1]:,} rows | {format_seconds(costs.build(rows[-1]))}, {costs.alone:.0%} of it "
        "for one core alone |",
        f"| copy and index {rows[-1]:,} training rows of a fold | {format_seconds(costs.prepare_fold(rows[-1]))} |",
        f"| its size, the rows included | {costs.index(1):,.0f} bytes a row |",
        *(
            f"| {what} | {costs.ask(kind, largest[kind]) * 1e6:,.1f} µs in {largest[kind]:,} rows, "
            f"growing as rows^{costs.exponent(kind):.2f} |"
            for kind, what in (
                ("search", "search for a query"),
                ("search_shard", "the same in a shard, an eighth of the rows, with what merging needs"),
                ("score", "search and weigh for every k"),
            )
        ),
        f"| order a query | {costs.order * 1e6:.2f} µs |",
        f"| place a query's result | {costs.place * 1e6:.2f} µs |",
        f"| merge a query's results of two shards | {costs.merge * 1e6:.2f} µs |",
        f"| put into the object store | {1e-9 / costs.put:.2f} GB a second |",
        f"| a unit | {costs.unit * 1e3:.2f} ms |",
        "",
        "## Held against runs",
        "",
        f"On the machine above, Ray with {measured['runs'][0]['workers']} workers of one core each. A worker's memory "
        "is its own,",
        "without what it maps from the object store. Every track is asked about, as above. Runs took "
        f"{min(ratios):.1f} to {max(ratios):.1f} times",
        "what the pieces cost one at a time, each at its best of three: expect as much of a cluster.",
        "",
        "| job | tracks | shards | time | predicted | time by predicted | peak of the object store | a worker's | "
        "the driver's |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {run['kind']} | {run['rows']:,} | {run['shards'] or '-'} | {format_seconds(run['seconds'])} | "
            f"{format_seconds(predicted)} | {run['seconds'] / predicted:.2f} | "
            f"{' | '.join(format_bytes(run[name]) for name in ('store_peak', 'worker_peak', 'driver_peak'))} |"
            for run in measured["runs"]
            for predicted in [predict_run(costs, run).seconds]
        ),
        "",
    ]
    return "\n".join(lines)
