"""One cell of the arena: a peer fitted on a fold of a set, in a process of its own, which prints what it came to."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from harness.memory import read_status

from arena.peers import PEERS
from arena.sets import SETS, mark, read_rows, split
from arena.tuning import Tuned, measure_errors, tune
from energyknn._shared.saving import staged_file

DEFAULT, TUNED = "default", "tuned"


class Cell(NamedTuple):
    """What is run at once."""

    set: str
    fold: int
    peer: str
    mode: str


def run_cell(cell: Cell, predictions: Path, *, seconds: float, most: int | None = None) -> dict[str, Any]:
    """Fit, by default or with the setting that tuning finds; predict the fold's test rows, keep that, and measure."""
    peer, rows = PEERS[cell.peer], read_rows(SETS[cell.set], most=most)
    fold = split(rows)[cell.fold]
    train, test = rows.take(fold.train), rows.take(fold.test)
    held = read_status("VmRSS")
    times = [_read_clocks()]
    tuned = tune(peer, train, seconds) if cell.mode == TUNED else Tuned({}, [])
    times.append(_read_clocks())
    fitted = peer.fit(train, tuned.setting, None, 0)
    times.append(_read_clocks())
    predicted = fitted.predict(test.X)
    times.append(_read_clocks())
    errors = measure_errors(test, predicted)
    with staged_file(predictions) as staged, staged.open("wb") as file:
        np.save(file, predicted)
    spent = dict(zip(("tuning", "fit", "predict"), np.diff(times, axis=0).tolist(), strict=True))
    return {
        "errors": errors,
        "seconds": {part: wall for part, (wall, _) in spent.items()},
        "cpu_seconds": {part: cpu for part, (_, cpu) in spent.items()},
        "peak_bytes": read_status("VmHWM"),
        "bytes_before": held,
        "setting": tuned.setting,
        "trials": len(tuned.trials),
        "failed_trials": sum("failed" in trial for trial in tuned.trials),
        "n_train": len(train.y),
        "n_test": len(test.y),
        "rows": mark(rows),
    }


def _read_clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def main(asked: str) -> None:
    """Run what a JSON text asks for, and print what it came to as the last line."""
    options = json.loads(asked)
    warnings.simplefilter("ignore")  # of libraries; they would fill the screen
    found = run_cell(Cell(*options.pop("cell")), Path(options.pop("predictions")), **options)
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
