"""Hold out rows and cut folds, by rows or by whole groups. Everything here is row numbers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.model_selection import GroupKFold, GroupShuffleSplit, KFold, StratifiedKFold, train_test_split

from energyknn._shared.showing import in_one_line
from energyknn.errors import ParameterError

__all__ = ["Split", "fold_classes", "fold_groups", "fold_rows", "split_classes", "split_groups", "split_rows"]


@in_one_line
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
        Share of the rows to hold out, between 0 and 1. The number of rows is rounded up.
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

    See Also
    --------
    split_classes : Hold out the same share of each class.
    split_groups : Hold out whole groups.
    fold_rows : Cut folds.

    Examples
    --------
    >>> split_rows(5).test
    array([1])
    """
    train, test = train_test_split(np.arange(n_rows, dtype=np.int64), test_size=test_size, random_state=random_state)
    return Split(train, test)


def split_classes(labels: ArrayLike, *, test_size: float = 0.2, random_state: int = 42) -> Split:
    """Hold out a random share of the rows, the same share of each class.

    Parameters
    ----------
    labels : array-like of shape (n_rows,)
        The class of each row.
    test_size : float, default=0.2
        Share of the rows to hold out, between 0 and 1. The number of rows is rounded up.
    random_state : int, default=42
        Seed of the shuffle.

    Returns
    -------
    Split
        Shuffled row numbers: those of scikit-learn's `train_test_split` with `stratify`. A class of one row cannot be
        on both sides, so all such classes are held out as if they were one. Where that one has one row too, or there
        are more classes than rows on a side, classes are not looked at.

    Raises
    ------
    ValueError
        If either side would be empty.

    See Also
    --------
    split_rows : The same without classes.
    fold_classes : Cut folds.

    Examples
    --------
    >>> split_classes(["a", "b"] * 5).test.tolist()
    [6, 9]
    """
    _, classes, counts = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)
    classes = np.where(counts[classes] == 1, -1, classes)
    sizes = np.unique(classes, return_counts=True)[1]
    n_test = int(np.ceil(len(classes) * test_size))
    if (sizes < 2).any() or len(sizes) > min(n_test, len(classes) - n_test):
        return split_rows(len(classes), test_size=test_size, random_state=random_state)
    rows = np.arange(len(classes), dtype=np.int64)
    return Split(*train_test_split(rows, test_size=test_size, random_state=random_state, stratify=classes))


def fold_rows(n_rows: int, *, n_splits: int = 4) -> tuple[Split, ...]:
    """Cut the rows into consecutive folds, without shuffling.

    The folds are those of scikit-learn's `KFold(n_splits)`. The training rows of `split_rows` are already in random
    order.

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

    See Also
    --------
    fold_groups : Keep groups together.

    Examples
    --------
    >>> [fold.test.tolist() for fold in fold_rows(5, n_splits=2)]
    [[0, 1, 2], [3, 4]]
    """
    _check_folds(n_splits, n_rows, "rows")
    return tuple(_as_split(*pair) for pair in KFold(n_splits).split(np.arange(n_rows)))


def fold_classes(labels: ArrayLike, *, n_splits: int = 4) -> tuple[Split, ...]:
    """Cut the rows into folds that hold each class in the same share, without shuffling.

    Parameters
    ----------
    labels : array-like of shape (n_rows,)
        The class of each row.
    n_splits : int, default=4
        Number of folds, from 2 to the number of rows of the largest class.

    Returns
    -------
    tuple of Split
        One pair of row numbers per fold: those of scikit-learn's `StratifiedKFold`.

    Raises
    ------
    ValueError
        If every class has fewer rows than there are folds, or there are fewer than two folds.

    See Also
    --------
    fold_rows : Folds without classes.

    Examples
    --------
    >>> [fold.test.tolist() for fold in fold_classes(["a", "a", "b", "b"], n_splits=2)]
    [[0, 2], [1, 3]]
    """
    labels = np.asarray(labels)
    _check_folds(n_splits, int(np.unique(labels, return_counts=True)[1].max(initial=0)), "rows in the largest class")
    return tuple(_as_split(*pair) for pair in StratifiedKFold(n_splits).split(labels, labels))


def split_groups(groups: ArrayLike, *, test_size: float = 0.2, random_state: int = 42) -> Split:
    """Hold out a random share of the groups, with all rows of a group on one side.

    Parameters
    ----------
    groups : array-like of shape (n_rows,), int
        The group of each row.
    test_size : float, default=0.2
        Share of the groups, not of the rows, to hold out.
    random_state : int, default=42
        Seed of the choice.

    Returns
    -------
    Split
        Row numbers in random order, so that consecutive folds of the training side are random folds.

    Raises
    ------
    ValueError
        If there are fewer than two groups.

    See Also
    --------
    split_rows : Hold out single rows.

    Examples
    --------
    >>> sorted(split_groups([7, 7, 8, 8, 9], test_size=0.3).train.tolist())
    [2, 3, 4]
    """
    labels = np.asarray(groups)
    splitter = GroupShuffleSplit(n_splits=1, test_size=test_size, random_state=random_state)
    train, test = next(splitter.split(labels, groups=labels))
    random = np.random.default_rng(random_state)
    return _as_split(random.permutation(train), random.permutation(test))


def fold_groups(groups: ArrayLike, *, n_splits: int = 4) -> tuple[Split, ...]:
    """Cut the rows into folds of about equal size, with all rows of a group in one fold.

    Parameters
    ----------
    groups : array-like of shape (n_rows,), int
        The group of each row.
    n_splits : int, default=4
        Number of folds, at least 2 and at most the number of groups.

    Returns
    -------
    tuple of Split
        One pair of row numbers per fold, as scikit-learn's `GroupKFold` cuts them.

    Raises
    ------
    ValueError
        If there are fewer groups than folds.

    See Also
    --------
    fold_rows : Cut folds without groups.

    Examples
    --------
    >>> [fold.test.tolist() for fold in fold_groups([7, 7, 8, 8], n_splits=2)]
    [[2, 3], [0, 1]]
    """
    labels = np.asarray(groups)
    _check_folds(n_splits, len(np.unique(labels)), "groups")
    return tuple(_as_split(*pair) for pair in GroupKFold(n_splits).split(labels, groups=labels))


def _check_folds(n_splits: int, most: int, what: str) -> None:
    """Require at least two folds, and no more than there is to share out."""
    if not 2 <= n_splits <= most:
        rule = (
            f"Give {'2' if most == 2 else f'2 to {most}'} folds."
            if most >= 2
            else f"Folds need 2 {what} or more: give other rows."
        )
        message = f"{n_splits} folds are asked for, and there are {most} {what}. {rule}"
        raise ParameterError(message)


def _as_split(train: NDArray[np.int64], test: NDArray[np.int64]) -> Split:
    """Make a split of 64-bit row numbers."""
    return Split(np.asarray(train, dtype=np.int64), np.asarray(test, dtype=np.int64))
