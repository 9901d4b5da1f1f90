"""Labels for rows of the same song: rows with equal titles or equal values."""

from __future__ import annotations

import re
import unicodedata

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from energyknn.schema import Schema

_TITLE = ["name", "artists"]
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


def label_songs(table: pd.DataFrame, schema: Schema) -> NDArray[np.int64]:
    """Label the rows by song.

    Two rows are the same song if their normalised titles are equal, or if all their numbers, categories and targets are
    equal. A chain of such pairs is one song too. The title is that of `name` and `artists` together; where the table
    lacks one, only the values tell songs apart.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A loaded table.
    schema : Schema
        The role of each column.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Labels from 0, in the order of the first row of each song.

    Notes
    -----
    Connected components of a graph in which each row links its values to its title, linear in the number of rows.
    """
    values = [name for name in (*schema.numbers, *schema.categories, schema.target) if name in table]
    by_values = by_title = table.groupby(values, sort=False, dropna=False).ngroup().to_numpy()
    if all(name in table for name in _TITLE):
        titles = pd.DataFrame({name: table[name].astype(str).map(normalise_title) for name in _TITLE})
        by_title = titles.groupby(_TITLE, sort=False).ngroup().to_numpy()
    n_rows = len(table)
    links = (np.ones(n_rows), (by_values, n_rows + by_title))
    _, labels = connected_components(coo_array(links, shape=(2 * n_rows, 2 * n_rows)), directed=False)
    return pd.factorize(labels[by_values])[0].astype(np.int64)
