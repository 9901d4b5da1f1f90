"""The result of a search: one score for each candidate and fold, in a table that cannot change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from energyknn.splitting import Split

__all__ = ["SearchScores", "check_candidates", "scores_from_cv_results"]


@dataclass(frozen=True, eq=False)
class SearchScores:
    """Validation scores of every candidate in every fold.

    Parameters
    ----------
    n_neighbors : tuple of int
        The candidates, in the order in which they were tried. A random search may hold one twice.
    fold_scores : ndarray of shape (n_candidates, n_folds), float64
        R² of each candidate on each fold's validation rows. Stored as a read-only copy.

    Raises
    ------
    ValueError
        If there is no candidate or the number of rows is not the number of candidates.
    """

    n_neighbors: tuple[int, ...]
    fold_scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        scores = np.array(self.fold_scores, dtype=np.float64)
        if scores.ndim != 2 or len(scores) != len(self.n_neighbors) or scores.size == 0:
            message = (
                f"fold_scores has shape {scores.shape} for {len(self.n_neighbors)} candidates. "
                "It needs one row per candidate, at least one, and one column per fold."
            )
            raise ValueError(message)
        scores.flags.writeable = False
        object.__setattr__(self, "fold_scores", scores)

    @property
    def mean_test_score(self) -> NDArray[np.float64]:
        """Mean over the folds, shape (n_candidates,)."""
        mean: NDArray[np.float64] = self.fold_scores.mean(axis=1)
        return mean

    @property
    def std_test_score(self) -> NDArray[np.float64]:
        """Population standard deviation over the folds, shape (n_candidates,), as in `cv_results_`."""
        std: NDArray[np.float64] = self.fold_scores.std(axis=1)
        return std

    @property
    def best(self) -> int:
        """The candidate with the largest mean; the first of those that are equal."""
        return self.n_neighbors[int(np.argmax(self.mean_test_score))]

    def select(self, n_neighbors: Sequence[int]) -> SearchScores:
        """Return the table of some of the candidates, in the order asked for.

        Raises
        ------
        ValueError
            If one of them was not scored.
        """
        rows = [self.n_neighbors.index(k) for k in n_neighbors]
        return SearchScores(tuple(n_neighbors), self.fold_scores[rows])


def scores_from_cv_results(cv_results: Mapping[str, Any]) -> SearchScores:
    """Read the scores out of a scikit-learn or tune-sklearn search over `n_neighbors`.

    Parameters
    ----------
    cv_results : mapping
        The search's `cv_results_`, with `param_n_neighbors` and `split{i}_test_score`.

    Returns
    -------
    SearchScores
        In the search's own order of candidates.
    """
    n_folds = sum(name.startswith("split") and name.endswith("_test_score") for name in cv_results)
    columns = [np.asarray(cv_results[f"split{fold}_test_score"], dtype=np.float64) for fold in range(n_folds)]
    candidates = tuple(int(value) for value in cv_results["param_n_neighbors"])
    return SearchScores(candidates, np.column_stack(columns))


def check_candidates(n_neighbors: Sequence[int], folds: Sequence[Split]) -> None:
    """Check that every fold can serve every candidate.

    Parameters
    ----------
    n_neighbors : sequence of int
        The candidates.
    folds : sequence of Split
        Row numbers of training and validation rows.

    Raises
    ------
    ValueError
        If there is no candidate or no fold, or a candidate is below 1 or above the rows of a training side.
    """
    if len(n_neighbors) == 0 or len(folds) == 0:
        message = f"{len(n_neighbors)} candidates and {len(folds)} folds. A search needs at least one of each."
        raise ValueError(message)
    sizes = [len(fold.train) for fold in folds]
    limit = min(sizes)
    wrong = [int(k) for k in n_neighbors if not 1 <= k <= limit]
    if wrong:
        message = (
            f"n_neighbors holds {', '.join(map(str, wrong[:5]))} ({len(wrong)} in all). A candidate is at least 1 and "
            f"at most {limit}, the training rows of fold {sizes.index(limit)}. Change it, or use fewer folds."
        )
        raise ValueError(message)
