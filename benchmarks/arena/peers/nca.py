"""scikit-learn's NCA: a distance for classes. Its memory, n² numbers, allows only a part of the rows."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, NeighborhoodComponentsAnalysis

from arena.encoding import fit_encoder
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import CLASSIFICATION, Rows

MOST = 2000  # rows that the distance is learned from; all rows are neighbours
SPACE = {
    "n_components": [2, 4, 8, 16, 32],
    "n_neighbors": [5, 11, 20, 40],
    "weights": ["uniform", "distance"],
    "max_iter": [20, 50],
}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
    encoder = fit_encoder(rows)
    X = encoder.transform(rows.X)
    chosen = {"n_components": 16, "n_neighbors": 11, "weights": "uniform", "max_iter": 50, **setting}
    components = min(chosen["n_components"], X.shape[1])
    drawn = np.random.default_rng(seed).permutation(len(X))[:MOST]
    learned = NeighborhoodComponentsAnalysis(components, max_iter=chosen["max_iter"], random_state=seed)
    learned.fit(X[drawn], rows.y[drawn])
    model = KNeighborsClassifier(chosen["n_neighbors"], weights=chosen["weights"], n_jobs=1)
    model.fit(learned.transform(X), rows.y)
    return finish(model, rows, setting, lambda X: learned.transform(encoder.transform(X)))


PEER = Peer("NCA", "scikit-learn", fit, SPACE, tasks=(CLASSIFICATION,), file=__file__)
