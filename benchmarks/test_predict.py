"""How fast is a prediction? By a fitted model, with five neighbours."""

from __future__ import annotations

import numpy as np
import pytest
from harness.peers import N_THREADS
from sklearn.neighbors import KNeighborsRegressor

from energyknn import KNNRegressor

QUESTION = "predict"


@pytest.mark.parametrize("algorithm", ["brute", "kd_tree", "ball_tree"])
@pytest.mark.parametrize("problem", ["27 columns", "diabetes", "diamonds"])
def test_predict(record, size, problems, problem, algorithm):
    made = problems(problem)
    query = made.query if algorithm == "brute" else made.query[: size.slow_queries]
    ours = KNNRegressor(engine="blocked", n_jobs=N_THREADS).fit(made.train, made.y_train)
    theirs = KNeighborsRegressor(algorithm=algorithm, n_jobs=N_THREADS).fit(made.train, made.y_train)

    def check(found, expected):
        tied = ~np.isclose(found, expected, rtol=1e-9, atol=1e-12)  # the fifth neighbour may tie with the sixth
        distances = np.sort(theirs.kneighbors(query[tied], 6)[0]) if tied.any() else np.zeros((0, 6))
        np.testing.assert_allclose(distances[:, 4], distances[:, 5], rtol=1e-6, atol=1e-5)

    record.compare(
        f"{problem}, {len(made.train):,} rows", f"scikit-learn {algorithm}",
        ours=lambda: ours.predict(query), theirs=lambda: theirs.predict(query), check=check, pairs=size.pairs,
        n_query=len(query),
    )  # fmt: skip
