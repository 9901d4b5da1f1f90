"""RealMLP: a network with good defaults, of pytabkit."""

from __future__ import annotations

from scipy.stats import loguniform

from arena.peers.peer import Peer
from arena.peers.pytabkit import MODULES, make_fit

SPACE = {
    "lr": loguniform(0.01, 0.2),
    "p_drop": [0.0, 0.15, 0.3],
    "wd": [0.0, 0.02],
    "plr_sigma": loguniform(0.02, 1.0),
    "n_epochs": [64, 128, 256],
    "hidden_width": [128, 256, 384],
}

PEER = Peer("RealMLP", "pytabkit", make_fit("RealMLP_TD"), SPACE, MODULES, file=__file__)
