"""ChimeraBoost: oblivious trees in Numba. It keeps rows out by itself to choose the number of trees."""

from __future__ import annotations

from importlib import import_module

from scipy.stats import loguniform

from arena.encoding import fill_texts
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows

SPACE = {
    "depth": [4, 5, 6, 7, 8],
    "learning_rate": loguniform(0.02, 0.2),
    "l2_leaf_reg": loguniform(0.3, 30),
    "subsample": [0.6, 0.8, 1.0],
    "colsample": [0.4, 0.7, 1.0],
    "min_child_weight": loguniform(0.5, 50),
}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
    chimeraboost = import_module("chimeraboost")
    make = chimeraboost.ChimeraBoostClassifier if rows.classes else chimeraboost.ChimeraBoostRegressor
    model = make(**setting, thread_count=1, random_state=seed)
    model.fit(fill_texts(rows.X), rows.y, cat_features=rows.categories or None, groups=rows.groups)
    return finish(model, rows, setting, fill_texts)


PEER = Peer("ChimeraBoost", "chimeraboost", fit, SPACE, ("chimeraboost",), file=__file__)
