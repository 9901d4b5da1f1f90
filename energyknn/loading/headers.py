"""Find the header of a table below a title and remarks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from energyknn.loading.names import shorten

_NUMBER_OF_DATA = re.compile(r"[+-]?(?:\d+|\d*[.,]\d+)")
_YEAR = re.compile(r"[12]\d{3}")  # in the header of a table with a column for each year


def count_rows_above(rows: Sequence[Sequence[str]]) -> int:
    """Count the rows above the header: those with at most half of the cells, or remarks after a "#".

    The header is the first other row. It is as long as most rows, and holds no number but years. Where there is no such
    row, the first is the header.

    Parameters
    ----------
    rows : sequence of sequences of str
        The first rows. One without cells is blank.

    Examples
    --------
    >>> count_rows_above([["Sales 2023"], [], ["town", "area", "price"], ["Ulm", "70", "9"], ["Bonn", "80", "9"]])
    2
    """
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    widths = Counter(len(row) for row, n_cells in zip(rows, filled, strict=True) if n_cells > 1)
    if not widths:
        return 0
    width = widths.most_common(1)[0][0]
    for place, row in enumerate(rows):
        is_remark = bool(row) and row[0].startswith("#") and len(row) != width
        if filled[place] > max(1, width // 2) and not is_remark:
            numbers = [cell for cell in map(str.strip, row) if _NUMBER_OF_DATA.fullmatch(cell)]
            is_header = len(row) == width and all(map(_YEAR.fullmatch, numbers))
            return place if is_header else 0
    return 0


def describe_rows_above(rows: Sequence[Sequence[str]]) -> str:
    """Say which rows above the header are left out; nothing where all are blank."""
    cells = [cell for row in rows for cell in row if cell.strip()]
    return f"The header is found below {shorten(cells[0])}." if cells else ""
