"""Ours: neighbours without a learned distance, whose number, weights and distance are tuned on the training rows."""

from __future__ import annotations

from sklearn.model_selection import GridSearchCV

from arena.encoding import fit_encoder
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows, split
from energyknn import KNNClassifier, KNNRegressor, from_grid_search

GRID = {"weights": ["uniform", "distance"], "p": [1, 2]}
SIZES = (*range(1, 11), 12, 15, 18, 22, 27, 33, 40, 50, 60, 75, 100)


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
    encoder = fit_encoder(rows)
    X, folds = encoder.transform(rows.X), split(rows, 5)
    most = min(len(fold.train) for fold in folds)
    grid = {**GRID, "n_neighbors": [size for size in SIZES if size <= most]}
    model, scoring = (
        (KNNClassifier(n_jobs=1), "neg_log_loss")
        if rows.classes
        else (KNNRegressor(n_jobs=1), "neg_mean_squared_error")
    )
    search = from_grid_search(GridSearchCV(model, grid, cv=[tuple(fold) for fold in folds], scoring=scoring, n_jobs=1))
    return finish(search.fit(X, rows.y), rows, setting, encoder.transform)


PEER = Peer("tuned neighbours (ours)", "energyknn", fit, modules=("energyknn",), is_ours=True, file=__file__)
