"""Ours: local fits after a learned distance; for classes, its votes."""

from __future__ import annotations

from scipy.stats import loguniform

from arena.encoding import count_numbers, fit_encoder
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows
from energyknn import estimators
from energyknn.fitting import fit_in_groups

SPACE = {
    "n_maps": [1, 2, 4],
    "n_rounds": [15, 30, 60],
    "n_components": [8, 16, 32],
    "n_units": [0, 64, 128],
    "n_neighbors": [50, 100, 200],
    "learning_rate": loguniform(0.004, 0.03),
    "weight_decay": loguniform(0.1, 10),
    "ridge": loguniform(0.03, 30),
}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
    encoder = fit_encoder(rows)
    X = encoder.transform(rows.X)
    numbers = count_numbers(encoder)
    make = estimators.make_learned_classifier if rows.classes else estimators.make_learned_regressor
    model = make(list(range(numbers)), list(range(numbers, X.shape[1])), random_state=seed, n_jobs=1, **setting)
    return finish(fit_in_groups(model, X, rows.y, rows.groups), rows, setting, encoder.transform)


PEER = Peer("learned neighbours (ours)", "energyknn", fit, SPACE, ("energyknn",), is_ours=True, file=__file__)
