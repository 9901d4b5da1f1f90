"""What does fitting cost? Ours arranges the rows in blocks, brute force keeps them as they are."""

from __future__ import annotations

import numpy as np
import pytest
from harness.peers import N_THREADS
from sklearn.neighbors import KNeighborsRegressor

from energyknn import KNNRegressor

QUESTION = "fit"


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("problem", ["27 columns", "diabetes", "diamonds"])
def test_fit(record, problems, problem, algorithm):
    made = problems(problem)
    few = made.query[:50]

    def check(ours, theirs):
        found, expected = (model.kneighbors(few)[0] for model in (ours, theirs))
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)

    record.compare(
        f"{problem}, {len(made.train):,} rows", f"scikit-learn {algorithm}",
        ours=lambda: KNNRegressor(engine="blocked", n_jobs=N_THREADS).fit(made.train, made.y_train),
        theirs=lambda: KNeighborsRegressor(algorithm=algorithm, n_jobs=N_THREADS).fit(made.train, made.y_train),
        check=check, pairs=5,
    )  # fmt: skip
