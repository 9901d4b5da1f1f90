"""The bits of seeded searches, scores and predictions, which are the same on every machine.

`python tests/golden_bits.py` writes `golden/bits.json` anew, which only a change of the tie rule or of a formula can
ask for. `tests/project/test_bits.py` compares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.model_selection import KFold

from energyknn.estimators import KNNRegressor
from energyknn.neighbors import search_neighbors
from energyknn.neighbors.engines import find_entry
from energyknn.tuning import Candidate, score_candidates

CANDIDATES = [Candidate(k, weights) for weights in ("uniform", "distance") for k in range(1, 21)]
SCORING = ["r2", "neg_mean_squared_error"]
PATH = Path(__file__).parent / "golden" / "bits.json"


def make_problems() -> Iterator[tuple[str, Any, Any, int]]:
    """Make training rows, queries and k. Uniform numbers and integers need no function that machines round apart."""
    random = np.random.default_rng(0)
    yield "few columns", random.random((1200, 3)), None, 7
    yield "many columns", random.random((400, 70)), random.random((90, 70)), 20
    groups = np.c_[random.random((1500, 4)), random.integers(0, 2, (1500, 6))]
    yield "groups", groups, groups[::9] + 0.25, 51
    yield "ties", random.integers(0, 3, (900, 4)).astype(float), None, 12
    yield "far apart", random.random((300, 5)) * 2.0 ** random.integers(-300, 300, (300, 1)), None, 5


def hash_arrays(*arrays: Any) -> str:
    """Hash the bytes of arrays, least significant first."""
    parts = (np.ascontiguousarray(array, dtype=np.asarray(array).dtype.newbyteorder("<")) for array in arrays)
    return sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def hash_searches(engine: Any) -> dict[str, str]:
    """Hash the neighbours that an engine finds."""
    return {
        f"{name}, p = {p}": hash_arrays(*search_neighbors(train, query, k, p=p, engine=engine))
        for name, train, query, k in make_problems()
        for p in (1, 2)
        if find_entry(engine).serves(p)
    }


def hash_models() -> dict[str, str]:
    """Hash scores from one search per fold, and predictions."""
    found = {}
    for name, train, query, k in make_problems():
        if query is None:
            continue
        y = train[:, 0] + train[:, -1]
        folds = list(KFold(3).split(train))
        scores = score_candidates(train, y, candidates=CANDIDATES, folds=folds, scoring=SCORING)
        found[f"{name}, scores"] = hash_arrays(*(scores.test[metric] for metric in SCORING))
        for weights in ("uniform", "distance"):
            found[f"{name}, {weights}"] = hash_arrays(KNNRegressor(k, weights=weights).fit(train, y).predict(query))
    return found


if __name__ == "__main__":
    PATH.write_text(json.dumps(hash_searches("brute") | hash_models(), indent=1) + "\n", encoding="utf-8")
