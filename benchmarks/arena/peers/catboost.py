"""CatBoost. Rows that are kept out choose the number of trees."""

from __future__ import annotations

from importlib import import_module

from scipy.stats import loguniform

from arena.encoding import fill_texts
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows
from energyknn.study.comparison.trees import LIBRARIES

SPACE = {**LIBRARIES["CatBoost"].settings, "learning_rate": loguniform(0.02, 0.2), "iterations": [2000]}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:
    catboost = import_module("catboost")
    make = catboost.CatBoostClassifier if rows.classes else catboost.CatBoostRegressor
    quiet = {"allow_writing_files": False, "logging_level": "Silent"}
    model = make(**setting, **quiet, thread_count=1, random_seed=seed, cat_features=rows.categories)
    if kept_out is None or "iterations" not in setting:
        return finish(model.fit(fill_texts(rows.X), rows.y), rows, setting, fill_texts)
    model.fit(
        fill_texts(rows.X), rows.y, eval_set=(fill_texts(kept_out.X), kept_out.y), early_stopping_rounds=50,
        use_best_model=True,
    )  # fmt: skip
    return finish(model, rows, {**setting, "iterations": max(1, model.tree_count_)}, fill_texts)


PEER = Peer("CatBoost", "catboost", fit, SPACE, ("catboost",), file=__file__)
