"""The arithmetic of a tile: `tiles_llvm` in vector registers, or `tiles_numpy` where NUMBA_DISABLE_JIT is set.

`tiles_numpy` is the specification: short NumPy functions that say what the vector instructions compute.
"""

from __future__ import annotations

from typing import Any

from numba.core import config

from energyknn.neighbors.engines.blocked import tiles_llvm, tiles_numpy

_TILES: Any = tiles_numpy if config.DISABLE_JIT else tiles_llvm  # type: ignore[attr-defined]

fill_tile = _TILES.fill_tile
find_near_parts = _TILES.find_near_parts
count_at_most = _TILES.count_at_most
count_trailing_zeros = _TILES.count_trailing_zeros
