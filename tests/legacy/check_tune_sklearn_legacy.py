"""Score with tune-sklearn on made-up rows, and compare with the committed scores of the unmodified package.

Run on the old stack of `constraints.txt`, where it uses tune-sklearn itself. The tests run the same searches
through the adapter on today's stack, against the same file. `--regenerate` writes the file anew.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SCORES = Path(__file__).with_name("tune_sklearn_scores.json")
CANDIDATES = [1, 11, 21, 31, 41, 51]
TOLERANCE = 1e-12


def make_rows(n_rows: int = 2000) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Make 27 columns and a target: NumPy alone, so that both stacks see the same rows."""
    random = np.random.default_rng(20210101)
    X = random.normal(size=(n_rows, 27))
    y = X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + 0.25 * random.normal(size=n_rows)
    return X, y


def describe(search: Any) -> dict[str, Any]:
    """Pull out of a fitted search what must be equal on both stacks."""
    results = search.cv_results_
    return {
        "params": [dict(sorted(params.items())) for params in results["params"]],
        "scores": {name: np.asarray(results[name]).tolist() for name in sorted(results) if name.endswith("_score")},
        "best_params": dict(sorted(search.best_params_.items())),
        "best_index": int(search.best_index_),
        "best_score": float(search.best_score_),
    }


def run_searches(grid_search: Any, draw_search: Any, **fit_options: Any) -> dict[str, Any]:
    """Run both searches with the two classes of one stack."""
    from sklearn.neighbors import KNeighborsRegressor

    X, y = make_rows()
    grid = {"n_neighbors": CANDIDATES}
    model = KNeighborsRegressor()
    return {
        "grid": describe(grid_search(model, grid, cv=4, return_train_score=True).fit(X, y, **fit_options)),
        "draws": describe(draw_search(model, grid, cv=4, random_state=42).fit(X, y, **fit_options)),
    }


def find_differences(expected: Any, got: Any, where: str = "scores") -> list[str]:
    """List every place where two results differ in kind, or by more than the tolerance."""
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        return [line for key in expected for line in find_differences(expected[key], got[key], f"{where}.{key}")]
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        return [
            line
            for number, pair in enumerate(zip(expected, got, strict=True))
            for line in find_differences(*pair, f"{where}[{number}]")
        ]
    if isinstance(expected, float) and isinstance(got, float):
        same = abs(expected - got) <= TOLERANCE
    else:
        same = expected == got
    return [] if same else [f"{where}: {expected!r} expected, {got!r} found"]


def main(arguments: list[str] | None = None) -> int:
    """Compare, or write the file; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regenerate", action="store_true", help="write the scores instead of comparing")
    options = parser.parse_args(arguments)
    import ray
    from tune_sklearn import TuneGridSearchCV, TuneSearchCV  # the unmodified package: fails on today's Ray

    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(address="local", include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        got = run_searches(TuneGridSearchCV, TuneSearchCV, tune_params={"storage_path": folder})
    ray.shutdown()
    if options.regenerate:
        SCORES.write_text(json.dumps(got, indent=1) + "\n", encoding="utf-8")
        return 0
    differences = find_differences(json.loads(SCORES.read_text(encoding="utf-8")), got)
    sys.stdout.write("\n".join(differences) + "\n" if differences else f"Equal to {TOLERANCE}: {SCORES.name}\n")
    return 1 if differences else 0


if __name__ == "__main__":
    raise SystemExit(main())
