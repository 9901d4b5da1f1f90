"""LightGBM. Rows that are kept out choose the number of trees."""

from __future__ import annotations

from importlib import import_module

from scipy.stats import loguniform

from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows
from energyknn.study.comparison.trees import LIBRARIES

SPACE = {**LIBRARIES["LightGBM"].settings, "learning_rate": loguniform(0.02, 0.2), "n_estimators": [2000]}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:
    lightgbm = import_module("lightgbm")
    make = lightgbm.LGBMClassifier if rows.classes else lightgbm.LGBMRegressor
    model = make(**setting, n_jobs=1, random_state=seed, deterministic=True, force_row_wise=True, verbosity=-1)
    if kept_out is None or "n_estimators" not in setting:
        return finish(model.fit(rows.X, rows.y), rows, setting)
    stop = lightgbm.early_stopping(50, verbose=False)
    model.fit(rows.X, rows.y, eval_set=[(kept_out.X, kept_out.y)], callbacks=[stop])
    return finish(model, rows, {**setting, "n_estimators": model.best_iteration_ or setting["n_estimators"]})


PEER = Peer("LightGBM", "lightgbm", fit, SPACE, ("lightgbm",), file=__file__)
