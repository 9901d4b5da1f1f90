"""Row numbers only: hold-out, folds, and both again with every song kept on one side."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, train_test_split

from energyknn.schema import Schema

__all__ = ["Split", "fold_rows", "fold_songs", "label_songs", "normalise_title", "split_rows", "split_songs"]

_REMASTER = re.compile(r"\s*[-(\[]\s*(?:\d{4}\s+)?(?:digital(?:ly)?\s+)?re-?master(?:ed)?\b.*$", re.IGNORECASE)


class Split(NamedTuple):
    """Row numbers of the two sides: `train` (n_train,) and `test` (n_test,), int64, no row on both."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]


def split_rows(n_rows: int, *, test_size: float = 0.2, random_state: int = 42) -> Split:
    """Hold out a random share of the rows.

    The rows, and their order, are those of scikit-learn's `train_test_split` with the same arguments.

    Parameters
    ----------
    n_rows : int
        Number of rows, at least 2.
    test_size : float, default=0.2
        Share of the rows to hold out, between 0 and 1; the number is rounded up.
    random_state : int, default=42
        Seed of the shuffle.

    Returns
    -------
    Split
        Shuffled row numbers.

    Raises
    ------
    ValueError
        If either side would be empty.

    Examples
    --------
    >>> split_rows(5).test
    array([1])
    """
    train, test = train_test_split(np.arange(n_rows, dtype=np.int64), test_size=test_size, random_state=random_state)
    return Split(train, test)


def fold_rows(n_rows: int, *, n_splits: int = 4) -> tuple[Split, ...]:
    """Cut the rows into consecutive folds, without shuffling.

    The folds are those of scikit-learn's `KFold(n_splits)`; the rows of a shuffled hold-out are in random order
    already.

    Parameters
    ----------
    n_rows : int
        Number of rows, at least `n_splits`.
    n_splits : int, default=4
        Number of folds, at least 2.

    Returns
    -------
    tuple of Split
        One pair of row numbers per fold.

    Raises
    ------
    ValueError
        If there are fewer rows than folds, or fewer than two folds.

    Examples
    --------
    >>> [fold.test.tolist() for fold in fold_rows(5, n_splits=2)]
    [[0, 1, 2], [3, 4]]
    """
    return tuple(_as_split(*pair) for pair in KFold(n_splits).split(np.arange(n_rows)))


def split_songs(songs: ArrayLike, *, test_size: float = 0.2, random_state: int = 42) -> Split:
    """Hold out a random share of the songs, every row of a song on one side.

    Parameters
    ----------
    songs : array-like of shape (n_rows,), int
        Song of each row, as `label_songs` returns it.
    test_size : float, default=0.2
        Share of the songs, not of the rows, to hold out.
    random_state : int, default=42
        Seed of the choice.

    Returns
    -------
    Split
        Row numbers in random order, so that consecutive folds of the training side are random folds.

    Raises
    ------
    ValueError
        If there are fewer than two songs.
    """
    labels = np.asarray(songs)
    splitter = GroupShuffleSplit(n_splits=1, test_size=test_size, random_state=random_state)
    train, test = next(splitter.split(labels, groups=labels))
    random = np.random.default_rng(random_state)
    return _as_split(random.permutation(train), random.permutation(test))


def fold_songs(songs: ArrayLike, *, n_splits: int = 4) -> tuple[Split, ...]:
    """Cut the rows into folds of about equal size, every row of a song in one fold.

    Parameters
    ----------
    songs : array-like of shape (n_rows,), int
        Song of each row.
    n_splits : int, default=4
        Number of folds, at least 2 and at most the number of songs.

    Returns
    -------
    tuple of Split
        One pair of row numbers per fold, as scikit-learn's `GroupKFold` cuts them.

    Raises
    ------
    ValueError
        If there are fewer songs than folds.
    """
    labels = np.asarray(songs)
    return tuple(_as_split(*pair) for pair in GroupKFold(n_splits).split(labels, groups=labels))


def _as_split(train: NDArray[np.int64], test: NDArray[np.int64]) -> Split:
    return Split(np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64))


def normalise_title(title: str) -> str:
    """Reduce a title to what tells songs apart: letters and digits, without case, accents or a remaster's mark.

    Parameters
    ----------
    title : str
        A track's name, or its artists as the file writes them.

    Returns
    -------
    str
        The normalised title; where nothing would be left of it, the title itself in lower case.

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
    """Give the rows of one song one label.

    Two rows are one song if their normalised titles are equal, or if they agree in every number, category and
    the target; and so are rows that a chain of such pairs connects.

    Parameters
    ----------
    table : DataFrame of shape (n_rows, n_columns)
        A loaded table.
    schema : Schema
        What its columns are.
    title : sequence of str, default=("name", "artists")
        Text columns that together name a song. Where the table lacks one, only the values tell songs apart.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Labels from 0, numbered by a song's first row.

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
