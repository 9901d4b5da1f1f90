"""xRFM: kernels whose distance is learned from the gradients of what they predict, prepared by pytabkit."""

from __future__ import annotations

from scipy.stats import loguniform

from arena.peers.peer import Peer
from arena.peers.pytabkit import MODULES, make_fit

SPACE = {
    "bandwidth": loguniform(0.5, 200),
    "reg": loguniform(1e-6, 10),
    "exponent": [0.7, 0.85, 1.0, 1.2, 1.4],
    "diag": [True, False],
}

PEER = Peer("xRFM", "xrfm", make_fit("XRFM_D"), SPACE, (*MODULES, "xrfm"), file=__file__)
