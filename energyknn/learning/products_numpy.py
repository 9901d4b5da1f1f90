"""What `products_llvm` computes, in plain NumPy, for Python without a compiler."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

TILE_COLUMNS = 16
"""Matrices on the right of a product have a multiple of so many columns."""


def add_products(left: NDArray[Any], is_turned: bool, right: NDArray[Any], out: NDArray[Any]) -> None:
    """Add left @ right, or left.T @ right, to `out`. All are C-ordered and of one dtype."""
    out += (left.T if is_turned else left) @ right


def measure_square(rows: NDArray[Any], at_row: int, others: NDArray[Any], at_other: int, n_columns: int) -> Any:
    """Sum the squared differences of two rows, which begin at the given places of C-ordered arrays."""
    gap = rows.reshape(-1)[at_row : at_row + n_columns] - others.reshape(-1)[at_other : at_other + n_columns]
    return gap @ gap
