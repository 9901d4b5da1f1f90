"""scikit-learn's random forest."""

from __future__ import annotations

from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from arena.encoding import number_levels
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows

SPACE = {
    "n_estimators": [100, 300],
    "max_features": [0.2, 0.33, 0.5, 0.75, 1.0, "sqrt"],
    "min_samples_leaf": [1, 2, 3, 5, 10, 20],
    "max_samples": [0.5, 0.75, None],
}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
    make = RandomForestClassifier if rows.classes else RandomForestRegressor
    model = make(**setting, n_jobs=1, random_state=seed).fit(number_levels(rows.X), rows.y)
    return finish(model, rows, setting, number_levels)


PEER = Peer("random forest", "scikit-learn", fit, SPACE, file=__file__)
