"""Proven margins for engines that measure by x² - 2xy + y² in float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from energyknn.neighbors.contract import Search


def centre_rows(search: Search) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move training and query rows so that the mean training row is the origin."""
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
        For every training row, the measured and the contract's (squared) distance differ by at most this.

    Notes
    -----
    With d columns, u = 2⁻⁵³, s the largest norm of a centred training row plus the norm of the centred query:
    centring rounds each coordinate by a relative u, which moves the squared distance by at most 2us² + u²s²; each
    inner product of d terms, in any order, is wrong by at most du times the product of the norms, so the three of
    them by at most (d + 1)us² together, and adding them by 2us²; a square root that is squared again adds
    4us²; the contract's own sum is within (d + 2)us² of the real number. Together less than (2d + 12)us² (1 + 2du);
    4(d + 8)us² leaves half of it for the rounding of the norms. The same holds for p = 1 with s in place of s².
    Underflow adds at most the smallest normal number for each of the 3d products.
    """
    with np.errstate(over="ignore", under="ignore"):
        reach = _norms(train, p=p).max() + _norms(query, p=p)
        n_terms = train.shape[1] + 8
        unit = np.finfo(np.float64).eps / 2
        margin: NDArray[np.float64] = 4 * n_terms * (unit * reach**p + np.finfo(np.float64).tiny)
    return margin


def drop_own_rows(indices: NDArray[np.int64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """Take each query's own row out of its candidates, or the last candidate where it is not among them."""
    drops = indices == own[:, np.newaxis]
    drops[~drops.any(axis=1), -1] = True
    kept: NDArray[np.int64] = indices[~drops].reshape(len(indices), -1)
    return kept


def _norms(rows: NDArray[np.float64], *, p: int) -> NDArray[np.float64]:
    norms: NDArray[np.float64] = np.linalg.norm(rows, ord=p, axis=1)
    return norms
