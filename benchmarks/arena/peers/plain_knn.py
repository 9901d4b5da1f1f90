"""scikit-learn's neighbours on scaled columns; by default 11 of them, as in the notebook."""

from __future__ import annotations

from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from arena.encoding import fit_encoder
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows

SPACE = {"n_neighbors": range(1, 57), "weights": ["uniform", "distance"], "p": [1, 2]}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
    encoder = fit_encoder(rows)
    make = KNeighborsClassifier if rows.classes else KNeighborsRegressor
    model = make(**{"n_neighbors": 11, **setting}, n_jobs=1).fit(encoder.transform(rows.X), rows.y)
    return finish(model, rows, setting, encoder.transform)


PEER = Peer("plain neighbours", "scikit-learn", fit, SPACE, file=__file__)
