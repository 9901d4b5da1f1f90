"""What engines share that find candidates by x² - 2xy + y² in float64: how many they need, and a proven margin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from energyknn.neighbors.contract import Candidates, Search

_EXTRA = 8  # candidates beyond k: the last bounds the rows that are left out, and the others make room for ties


def count_candidates(search: Search) -> int:
    """Return how many candidates to find for each query, its own row among them."""
    return min(len(search.X_train), search.n_neighbors + (search.own is not None) + _EXTRA)


def centre_rows(search: Search) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Subtract the mean training row from training and query rows."""
    centre = search.X_train.mean(axis=0)
    return search.X_train - centre, search.X_query - centre


def expansion_margin(train: NDArray[np.float64], query: NDArray[np.float64], *, p: int) -> NDArray[np.float64]:
    """Bound the error of distances that were measured on centred rows.

    Parameters
    ----------
    train : ndarray of shape (n_train, n_features), float64
        Centred training rows.
    query : ndarray of shape (n_query, n_features), float64
        Centred query rows.
    p : {1, 2}
        1 for sums of absolute differences, 2 for x² - 2xy + y² in any order of summation.

    Returns
    -------
    ndarray of shape (n_query,), float64
        How much the measured (squared) distance to any training row can differ from the contract's.

    Notes
    -----
    Let d be the number of columns and u = 2⁻⁵³. Let s be the largest norm of a centred training row plus the norm of
    the centred query. For p = 2 the errors are at most:

    - 2us² + u²s² for centring, which rounds each coordinate by a relative u;
    - (d + 1)us² for the three inner products of d terms, in any order, and 2us² for adding them;
    - 4us² for a square root that is squared again;
    - (d + 2)us² for the contract's own sum.

    Together they are less than (2d + 12)us² (1 + 2du). The margin is 4(d + 8)us², and the rest of it covers the
    rounding of the norms. For p = 1 the same holds with s in place of s². Underflow adds at most the smallest normal
    number for each of the 3d products.
    """
    with np.errstate(over="ignore", under="ignore"):
        reach = np.linalg.norm(train, ord=p, axis=1).max() + np.linalg.norm(query, ord=p, axis=1)
        n_terms = train.shape[1] + 8
        unit = np.finfo(np.float64).eps / 2
        return np.asarray(4 * n_terms * (unit * reach**p + np.finfo(np.float64).tiny))


def bound_candidates(
    search: Search,
    centred: tuple[NDArray[np.float64], NDArray[np.float64]],
    indices: NDArray[np.int64],
    farthest: NDArray[np.float64],
) -> Candidates:
    """Leave out each query's own row, and bound the rows that were not found.

    Parameters
    ----------
    search : Search
        What was searched for.
    centred : tuple of ndarray
        The rows that `centre_rows` returned.
    indices : ndarray of shape (n_query, n_candidates), int64
        The `count_candidates` rows of each query with the smallest measured (squared) distances.
    farthest : ndarray of shape (n_query,), float64
        The largest of those distances.

    Returns
    -------
    Candidates
        Those rows, and the largest measured distance less the margin.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        outside = farthest - expansion_margin(*centred, p=search.p)
    if indices.shape[1] == len(search.X_train):
        outside[:] = np.inf
    return Candidates(indices if search.own is None else _drop_own_rows(indices, search.own), outside)


def _drop_own_rows(indices: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Take each query's own row out of its candidates, or the last candidate where it is not among them."""
    drops = indices == own[:, np.newaxis]
    drops[~drops.any(axis=1), -1] = True
    return np.asarray(indices[~drops].reshape(len(indices), -1))
