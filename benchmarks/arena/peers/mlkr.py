"""MLKR of metric-learn: a distance for numbers. Its memory, n² numbers, allows only a part of the rows."""

from __future__ import annotations

import numpy as np
from comparison.mlkr import make_mlkr
from scipy.stats import loguniform
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline

from arena.encoding import fit_encoder
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import REGRESSION, Rows

MOST = 2000  # rows that the distance is learned from; all rows are neighbours
SPACE = {
    "n_components": [2, 4, 8, 16],
    "n_neighbors": [5, 10, 20, 40],
    "max_iter": [20, 100],
    "tol": loguniform(1e-4, 1e-1),
}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
    encoder = fit_encoder(rows)
    X = encoder.transform(rows.X)
    chosen = {"n_components": 8, "n_neighbors": 11, "max_iter": 100, **setting}
    n_neighbors, components = chosen.pop("n_neighbors"), min(chosen.pop("n_components"), X.shape[1])
    drawn = np.random.default_rng(seed).permutation(len(X))[:MOST]
    learned = make_mlkr(n_components=components, random_state=seed, **chosen).fit(X[drawn], rows.y[drawn])
    model = KNeighborsRegressor(n_neighbors, n_jobs=1).fit(learned.transform(X), rows.y)
    return finish(make_pipeline(model), rows, setting, lambda X: learned.transform(encoder.transform(X)))


PEER = Peer("MLKR", "metric-learn", fit, SPACE, ("metric_learn",), (REGRESSION,), file=__file__)
