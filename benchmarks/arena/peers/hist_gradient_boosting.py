"""scikit-learn's boosted trees. Rows that are kept out choose the number of trees."""

from __future__ import annotations

from scipy.stats import loguniform
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows
from energyknn.study.comparison.trees import LIBRARIES

SPACE = {**LIBRARIES["scikit-learn"].settings, "learning_rate": loguniform(0.02, 0.2), "max_iter": [2000]}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:
    make = HistGradientBoostingClassifier if rows.classes else HistGradientBoostingRegressor
    options = {**setting, "categorical_features": "from_dtype", "random_state": seed}
    if "max_iter" not in setting:
        return finish(make(**options).fit(rows.X, rows.y), rows, setting)
    if kept_out is None:
        return finish(make(**options, early_stopping=False).fit(rows.X, rows.y), rows, setting)
    model = make(**options, early_stopping=True, n_iter_no_change=50, tol=0)
    model.fit(rows.X, rows.y, X_val=kept_out.X, y_val=kept_out.y)
    return finish(model, rows, {**setting, "max_iter": max(1, int(model.validation_score_[1:].argmax()) + 1)})


PEER = Peer("scikit-learn boosting", "scikit-learn", fit, SPACE, file=__file__)
