"""Memory and start-up, each in a process of its own.

Run as a module, it prints how many bytes a search takes at its peak beyond its arguments and its result.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent.parent


def run_python(
    *arguments: str, timeout: float | None = None, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, where the harness can be imported; None takes a variable away."""
    path = os.pathsep.join(filter(None, [str(FOLDER), os.environ.get("PYTHONPATH")]))
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    return subprocess.run(  # noqa: S603 - the arguments are the harness's own
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=timeout,
        env={name: value for name, value in variables.items() if value is not None},
    )


def measure_peak(name: str, n_train: int, n_features: int) -> float:
    """Return the peak of a search of 2,000 queries beyond arguments and result, as a share of the training matrix."""
    done = run_python("-m", "harness.memory", name, str(n_train), str(n_features))
    return int(done.stdout) / (n_train * n_features * 8)


def read_status(name: str, process: str | Path = "/proc/self") -> int:
    """Return bytes that the kernel counts for a process."""
    found = re.search(name + r":\s+(\d+)", Path(process, "status").read_text(encoding="ascii", errors="replace"))
    return int(found[1]) * 1024 if found else 0


def main(name: str, n_train: str, n_features: str) -> None:
    """Search once small, so that everything is loaded, then once in full."""
    import numpy as np

    from harness.peers import OURS, PEERS, search_ours

    search = search_ours if name == OURS.name else PEERS[name].search
    random = np.random.default_rng(0)
    train, query = (random.normal(size=(n, int(n_features))) for n in (int(n_train), 2000))
    OURS.search(train[:1000], query[:100], 5)
    search(train[:1000], query[:100], 5)
    before = read_status("VmRSS")
    found = search(train, query, 51)
    sys.stdout.write(str(read_status("VmHWM") - before - sum(array.nbytes for array in found)))


if __name__ == "__main__":
    main(*sys.argv[1:])
