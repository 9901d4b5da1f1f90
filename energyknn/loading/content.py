"""What a data file holds, and what was found out about it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from energyknn._shared.showing import in_one_line


@in_one_line
@dataclass(frozen=True, eq=False)
class FileContent:
    """What a data file holds, and what was found out about it.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        The columns that were read, in the file's order. Rows are numbered from 0.
    notes : tuple of str
        What the reader found out or changed, a sentence each. Empty where all is plain.
    columns : tuple of str
        Every column of the file, as its header calls it. Empty takes the table's columns.

    See Also
    --------
    read_file : Reads one.

    Examples
    --------
    >>> FileContent(pd.DataFrame({"area": [70]})).columns
    ('area',)
    """

    table: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.columns:
            object.__setattr__(self, "columns", tuple(map(str, self.table.columns)))
