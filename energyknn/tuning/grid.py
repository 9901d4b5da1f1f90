"""scikit-learn's GridSearchCV over k, one neighbour search per candidate and fold, and its scores as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsRegressor

from energyknn.splitting import Split
from energyknn.tuning.candidates import Candidate
from energyknn.tuning.scores import ScoreTable


def search_grid(
    X: ArrayLike, y: ArrayLike, *, n_neighbors: Sequence[int], folds: Sequence[Split], callbacks: Sequence[Any] = ()
) -> GridSearchCV:
    """Score every candidate by cross-validation and refit the best on all rows.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features)
        Scaled rows.
    y : array-like of shape (n_rows,)
        Their targets.
    n_neighbors : sequence of int
        The candidates, each at least 1 and at most the rows of the smallest training side.
    folds : sequence of Split
        Row numbers of training and validation rows.
    callbacks : sequence of scikit-learn callbacks
        Such as `sklearn.callback.ProgressBar()`. The returned search does not keep them.

    Returns
    -------
    GridSearchCV
        Fitted and scored by R². Each fit runs on all cores.

    See Also
    --------
    scores_from_cv_results : Its scores as a table.
    score_candidates : The same scores from one search per fold.

    Examples
    --------
    >>> from energyknn.splitting import fold_rows
    >>> search_grid([[0], [1], [2], [3]], [0, 1, 2, 3], n_neighbors=[1, 2], folds=fold_rows(4, n_splits=2)).n_splits_
    2
    """
    search = GridSearchCV(
        KNeighborsRegressor(n_jobs=-1), {"n_neighbors": list(n_neighbors)}, cv=[tuple(fold) for fold in folds]
    )
    search.set_callbacks(*callbacks).fit(np.asarray(X), np.asarray(y))
    return search.set_callbacks()


def scores_from_cv_results(cv_results: Mapping[str, Any]) -> ScoreTable:
    """Read the scores of a scikit-learn or tune-sklearn search over `n_neighbors`.

    Parameters
    ----------
    cv_results : mapping
        The search's `cv_results_`, with `param_n_neighbors` and `split{i}_test_score`.

    Returns
    -------
    ScoreTable
        In the search's own order of candidates.

    See Also
    --------
    search_grid : Such a search.

    Examples
    --------
    >>> scores_from_cv_results({"param_n_neighbors": [3, 5], "split0_test_score": [0.5, 0.6]}).n_neighbors
    (3, 5)
    """
    n_folds = sum(name.startswith("split") and name.endswith("_test_score") for name in cv_results)
    folds = [cv_results[f"split{fold}_test_score"] for fold in range(n_folds)]
    return ScoreTable([Candidate(int(k)) for k in cv_results["param_n_neighbors"]], np.column_stack(folds))
