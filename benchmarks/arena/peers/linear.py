"""A straight line: ridge regression, and logistic regression for classes."""

from __future__ import annotations

from scipy.stats import loguniform
from sklearn.linear_model import LogisticRegression, Ridge

from arena.encoding import fit_encoder
from arena.peers.peer import Fitted, Peer, Setting, finish
from arena.sets import Rows

SPACE = {"penalty": loguniform(1e-3, 1e4)}


def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
    encoder = fit_encoder(rows)
    penalty = setting.get("penalty", 1.0)
    model = LogisticRegression(C=1 / penalty, max_iter=1000) if rows.classes else Ridge(penalty)
    return finish(model.fit(encoder.transform(rows.X), rows.y), rows, setting, encoder.transform)


PEER = Peer("linear", "scikit-learn", fit, SPACE, file=__file__)
