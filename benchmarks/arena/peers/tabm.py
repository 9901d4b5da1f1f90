"""TabM: many small networks that share most weights, of pytabkit."""

from __future__ import annotations

from scipy.stats import loguniform

from arena.peers.peer import Peer
from arena.peers.pytabkit import MODULES, make_fit

SPACE = {
    "lr": loguniform(0.0003, 0.005),
    "weight_decay": [0.0, 0.001, 0.01, 0.1],
    "dropout": [0.0, 0.1, 0.3],
    "n_blocks": [1, 2, 3],
    "d_block": [128, 256, 512],
}

PEER = Peer("TabM", "pytabkit", make_fit("TabM_D"), SPACE, MODULES, file=__file__)
