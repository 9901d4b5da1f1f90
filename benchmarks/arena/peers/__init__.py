"""Who takes part: one file each."""

from __future__ import annotations

from arena.peers import (
    catboost,
    chimeraboost,
    energyknn_learned,
    energyknn_tuned,
    hist_gradient_boosting,
    lightgbm,
    linear,
    mlkr,
    nca,
    plain_knn,
    random_forest,
    realmlp,
    tabm,
    xrfm,
)

_FILES = (
    *(energyknn_learned, energyknn_tuned, lightgbm, catboost, hist_gradient_boosting, random_forest, chimeraboost),
    *(xrfm, realmlp, tabm, mlkr, nca, plain_knn, linear),
)
PEERS = {file.PEER.name: file.PEER for file in _FILES}
