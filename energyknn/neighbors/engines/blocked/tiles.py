"""The arithmetic of a tile: `tiles_llvm` in vector registers, or `tiles_numpy` where NUMBA_DISABLE_JIT is set.

`tiles_numpy` is the specification: short NumPy functions that say what the vector instructions compute.
"""

from __future__ import annotations

from typing import Any

from energyknn._shared.compiling import IS_COMPILED
from energyknn.neighbors.engines.blocked import tiles_llvm, tiles_numpy

_TILES: Any = tiles_llvm if IS_COMPILED else tiles_numpy

fill_tile = _TILES.fill_tile
find_near_parts = _TILES.find_near_parts
count_at_most = _TILES.count_at_most
find_at_most = _TILES.find_at_most
count_trailing_zeros = _TILES.count_trailing_zeros
