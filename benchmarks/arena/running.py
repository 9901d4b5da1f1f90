"""Running the arena: each cell that is not known yet in a process of its own, and each result kept at once."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from harness.machine import find_version
from harness.memory import run_python

import energyknn
from arena.cell import DEFAULT, TUNED, Cell
from arena.peers import PEERS
from arena.peers.peer import Peer
from arena.sets import N_FOLDS, SETS
from energyknn._shared.saving import staged_file
from energyknn.study.comparison import trees

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results.jsonl"
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")} | {"LOKY_MAX_CPU_COUNT": "1"}
NO_OLD_KERNELS = dict.fromkeys(("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"))  # they slow a current OpenBLAS down
SHARED = ("cell", "encoding", "sets", "tuning", "peers/peer", "peers/pytabkit")
Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is to be run."""

    sets: Sequence[str]
    peers: Sequence[str] = tuple(PEERS)
    modes: Sequence[str] = (DEFAULT, TUNED)
    folds: int = N_FOLDS
    seconds: float = 60.0  # to tune a peer on a fold
    limit: float = 3600.0  # seconds after which a cell is stopped
    most: int | None = None  # rows of a set, to try things out


def list_cells(plan: Plan) -> Iterator[Cell]:
    """Yield what the plan asks of peers that can do it; fold by fold, so that a part of a run compares all."""
    for fold, name, mode, peer in product(range(plan.folds), plan.sets, plan.modes, plan.peers):
        can = SETS[name].task in PEERS[peer].tasks and not PEERS[peer].find_missing()
        if can and (mode == DEFAULT or PEERS[peer].space):
            yield Cell(name, fold, peer, mode)


def find_absent(plan: Plan) -> dict[str, str]:
    """Say for each peer of the plan that cannot take part why."""
    return {name: why for name in plan.peers if (why := PEERS[name].find_missing())}


def hash_files(paths: Iterable[Path]) -> str:
    """Return a digest of the texts of files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def hash_code(peer: Peer) -> str:
    """Return a digest of the code that a result depends on, for energyknn the library too, without the study."""
    paths = [Path(peer.file), Path(trees.__file__), *(FOLDER / f"{name}.py" for name in SHARED)]
    if peer.is_ours:
        library = Path(energyknn.__file__).parent
        paths += [path for path in library.rglob("*.py") if "study" not in path.relative_to(library).parts]
    return hash_files(paths)


def mark_cell(plan: Plan, cell: Cell) -> Record:
    """Return what a result is of: the cell, the version and code of its peer, what the set is, and how it was run."""
    peer = PEERS[cell.peer]
    settings = {"budget": plan.seconds if cell.mode == TUNED else None, "most": plan.most, "limit": plan.limit}
    defined = hashlib.sha256(repr(SETS[cell.set]).encode()).hexdigest()[:12]
    return {
        **cell._asdict(), "version": find_version(peer.package), "code": hash_code(peer), "defined": defined, **settings
    }  # fmt: skip


def read_records(path: Path = RESULTS) -> list[Record]:
    """Read what was found so far, a line for each cell; nothing, where there is no file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def keep_record(path: Path, record: Record) -> None:
    """Add a result in place of an older one of the same cell."""
    others = [known for known in read_records(path) if name_cell(known) != name_cell(record)]
    with staged_file(path) as staged:
        lines = (json.dumps(known, ensure_ascii=False) + "\n" for known in (*others, record))
        staged.write_text("".join(lines), encoding="utf-8")


def name_cell(record: Mapping[str, Any]) -> Cell:
    """Return the cell of a record."""
    return Cell(*(record[part] for part in Cell._fields))


def find_predictions(path: Path, cell: Cell) -> Path:
    """Return where the predictions of a cell are kept: beside the results, outside of version control."""
    words = "-".join(map(str, cell)).replace(",", "").replace(" ", "_")
    return path.parent / "predictions" / f"{path.stem}-{words}.npy"


def run_plan(plan: Plan, path: Path, *, say: Callable[[str], None]) -> list[Record]:
    """Run the cells that are not known by the same version, code and settings; return all records.

    A cell of a sealed set that is known is never run again.
    """
    cells, known = list(list_cells(plan)), {name_cell(record): record for record in read_records(path)}
    for number, cell in enumerate(cells, 1):
        mark, found = mark_cell(plan, cell), known.get(cell, {})
        if mark.items() <= found.items() or (found and SETS[cell.set].sealed):
            continue
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        record = {**mark, **run_apart(plan, path, cell), "load_average": load}
        keep_record(path, record)
        say(f"[{number}/{len(cells)}] {cell.set}, fold {cell.fold}, {cell.peer}, {cell.mode}: {describe(record)}")
    return read_records(path)


def run_apart(plan: Plan, path: Path, cell: Cell) -> Record:
    """Run a cell in a process of its own; one that is too slow, is killed or fails is a result too."""
    asked = {"cell": cell, "predictions": str(find_predictions(path, cell)), "seconds": plan.seconds, "most": plan.most}
    environment = {**ONE_THREAD, **NO_OLD_KERNELS}
    try:
        done = run_python("-m", "arena.cell", json.dumps(asked), timeout=plan.limit, **environment)
    except subprocess.TimeoutExpired:
        return {"failed": f"ran for more than {plan.limit:g} s"}
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [""])[-1]
        return {"failed": f"was killed by signal {-error.returncode}" if error.returncode < 0 else last[:200]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def describe(record: Record) -> str:
    """Say in a few words what a cell came to."""
    if "failed" in record:
        return f"failed: {record['failed']}"
    errors = ", ".join(f"{name.replace('_', ' ')} {value:.5g}" for name, value in record["errors"].items())
    spent, memory = record["seconds"], record["peak_bytes"] / 2**20
    return f"{errors}; fit {spent['fit']:.1f} s, predict {spent['predict']:.2f} s, {memory:,.0f} MiB at its peak"
