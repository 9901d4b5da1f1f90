"""Read a sheet of an Excel workbook."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

import pandas as pd

from energyknn.errors import DataFileError, import_extra
from energyknn.loading.content import FileContent
from energyknn.loading.headers import count_rows_above, describe_rows_above
from energyknn.loading.names import MISSING, check_names, fill_names, find_alike
from energyknn.loading.sources import Source, check_limit
from energyknn.loading.written import read_written

_CELL_BYTES = 8
_SHOWN = 10
_SAMPLE_ROWS = 500


def read_sheet(source: Source, texts: Collection[str], decimal: str | None = None) -> FileContent:
    """Read every column of the sheet that the path names, or of the first, and say which where there are several."""
    openpyxl = import_extra("openpyxl", extra="formats")
    with source.open_seekable() as stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of styles and of what else is not read
        book = openpyxl.load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        try:
            sheet, notes = _choose_sheet(book, source)
            rows = _take_rows(sheet, source)
        finally:
            book.close()
    if not rows:
        message = f"{source.name!r}: sheet {sheet.title!r} is empty. It needs a header line and rows."
        raise DataFileError(message)
    texts_above = [["" if cell is None else str(cell) for cell in row] for row in rows[:_SAMPLE_ROWS]]
    n_above = count_rows_above(texts_above)
    header, *cells = rows[n_above:]
    names = fill_names(["" if name is None else str(name) for name in header])
    check_names(names, source.name)
    columns = list(zip(*cells, strict=True)) or [()] * len(names)
    kept = find_alike(names, texts)
    tidied = {name: _tidy(values, is_text=name in kept) for name, values in zip(names, columns, strict=True)}
    table = pd.DataFrame(tidied)
    title = describe_rows_above(texts_above[:n_above])
    return FileContent(table, (*notes, *[title] * bool(title), *read_written(table, kept, decimal=decimal)))


def _choose_sheet(book: Any, source: Source) -> tuple[Any, list[str]]:
    """Choose a sheet of a workbook."""
    names = [sheet.title for sheet in book.worksheets]
    listed = ", ".join(map(repr, names[:_SHOWN]))
    if source.inside:
        if source.inside not in names:
            message = f"{source.name!r} holds no sheet {source.inside!r}. It holds {listed}."
            raise DataFileError(message)
        return book[source.inside], []
    if not names:
        message = f"{source.name!r} holds no sheet of cells. Save its table as CSV."
        raise DataFileError(message)
    note = f"The first of the sheets {listed} is read. Name another as in '{source.name}/{names[-1]}'."
    return book.worksheets[0], [note] if len(names) > 1 else []


def _take_rows(sheet: Any, source: Source) -> list[list[Any]]:
    """Return the rows from the first that is not empty, all as long as the longest."""
    if hasattr(sheet, "reset_dimensions"):
        sheet.reset_dimensions()  # what the file says of its size may be wrong
    rows: list[list[Any]] = []
    width = 0
    for row in sheet.iter_rows(values_only=True):
        cells = list(row)
        while cells and cells[-1] is None:
            cells.pop()
        if not cells and not rows:
            continue
        rows.append(cells)
        width = max(width, len(cells))
        check_limit(width * len(rows) * _CELL_BYTES, source)
    while rows and not rows[-1]:
        rows.pop()
    return [cells + [None] * (width - len(cells)) for cells in rows if cells]


def _tidy(values: tuple[Any, ...], *, is_text: bool) -> pd.Series:
    """Return the cells of a column with the type that all of them share."""
    if is_text:
        return pd.Series(["" if value is None else str(value) for value in values], dtype=str)
    column = pd.Series(values, dtype=object)
    present = column[column.notna() & ~column.isin(MISSING)]
    return present.infer_objects().reindex(column.index)
