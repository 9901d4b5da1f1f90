"""Labels for rows of the same song: rows with equal titles or equal values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from energyknn.schema import Schema

_REMASTER = re.compile(r"\s*[-(\[]\s*(?:\d{4}\s+)?(?:digital(?:ly)?\s+)?re-?master(?:ed)?\b.*$", re.IGNORECASE)


def normalise_title(title: str) -> str:
    """Reduce a title to its letters and digits, without case, accents or the mark of a remaster.

    Parameters
    ----------
    title : str
        A track's name, or its artists as the file writes them.

    Returns
    -------
    str
        The normalised title. A title without letters and digits is returned in lower case.

    Examples
    --------
    >>> normalise_title("Café del Mar - Remastered 2009") == normalise_title("CAFE DEL MAR")
    True
    """
    plain = unicodedata.normalize("NFKD", _REMASTER.sub("", title)).casefold()
    return "".join(character for character in plain if character.isalnum()) or title.casefold()


def label_songs(
    table: pd.DataFrame, schema: Schema, *, title: Sequence[str] = ("name", "artists")
) -> NDArray[np.int64]:
    """Label the rows by song.

    Two rows are the same song if their normalised titles are equal, or if all their numbers, categories and targets are
    equal. A chain of such pairs is one song too.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A loaded table.
    schema : Schema
        The role of each column.
    title : sequence of str, default=("name", "artists")
        Text columns that together name a song. Where the table lacks one, only the values tell songs apart.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Labels from 0, in the order of the first row of each song.

    Notes
    -----
    Connected components of a graph of rows, linear in the number of rows.
    """
    values = [name for name in (*schema.numbers, *schema.categories, schema.target) if name in table]
    keys = [table.groupby(values, sort=False, dropna=False).ngroup().to_numpy()]
    if title and all(name in table for name in title):
        plain = pd.DataFrame({name: table[name].astype(str).map(normalise_title) for name in title})
        keys.append(plain.groupby(list(title), sort=False).ngroup().to_numpy())
    return _connect(keys)


def _connect(keys: Sequence[NDArray[np.integer[Any]]]) -> NDArray[np.int64]:
    """Label the components of the graph that links each row to the first row with the same key."""
    rows = np.arange(len(keys[0]))
    first = []
    for key in keys:
        _, first_row, inverse = np.unique(key, return_index=True, return_inverse=True)
        first.append(first_row[inverse])
    sources, targets = np.tile(rows, len(keys)), np.concatenate(first)
    graph = coo_array((np.ones(len(sources), dtype=np.int8), (sources, targets)), shape=(len(rows), len(rows)))
    _, labels = connected_components(graph, directed=False)
    return pd.factorize(labels)[0].astype(np.int64)
