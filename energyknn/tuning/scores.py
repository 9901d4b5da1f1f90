"""The scores of candidates: one table per metric, what is best in it, and whether two candidates differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

_SHOWN = 10  # rows of a table in a notebook

if TYPE_CHECKING:
    import pandas as pd

    from energyknn.tuning.candidates import Candidate


@dataclass(frozen=True, eq=False, repr=False)
class ScoreTable:
    """The scores of candidates on folds by one metric, better when larger.

    `table[row, fold]`, `len(table)` and `np.asarray(table)` work as on the array of scores.

    Parameters
    ----------
    candidates : sequence of Candidate
        One for each row, in the order in which they were tried. A random search may try one twice.
    values : array-like of shape (n_candidates, n_folds)
        Scores. They are kept as a read-only float64 copy.

    Raises
    ------
    ValueError
        If there is no candidate or no fold, or the number of rows is not the number of candidates.

    See Also
    --------
    score_candidates : Computes such tables.
    compare_candidates : Tests whether two rows of a table differ.

    Notes
    -----
    NaN stands for a score that could not be computed. A candidate with NaN on any fold has NaN as mean and standard
    deviation, and is neither `best` nor `smoothest` as long as another candidate has none.

    Examples
    --------
    >>> from energyknn.tuning import Candidate
    >>> table = ScoreTable([Candidate(5), Candidate(10), Candidate(15)], [[0.5, 0.7], [0.49, 0.7], [0.1, 0.2]])
    >>> table
    ScoreTable(3 candidates, 2 folds, best: n_neighbors=5, mean 0.6, std 0.1)
    >>> table.candidates[table.smoothest].n_neighbors
    10
    """

    candidates: Sequence[Candidate]
    values: NDArray[np.float64]

    def __post_init__(self) -> None:
        values = np.array(self.values, dtype=np.float64)
        if values.ndim != 2 or len(values) != len(self.candidates) or values.size == 0:
            message = (
                f"values has shape {values.shape} for {len(self.candidates)} candidates. "
                "It needs one row per candidate, at least one, and one column per fold."
            )
            raise ValueError(message)
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "candidates", tuple(self.candidates))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Return the scores as an array of shape (n_candidates, n_folds)."""
        return np.array(self.values, dtype=dtype) if copy else np.asarray(self.values, dtype=dtype)

    def __getitem__(self, key: Any) -> Any:
        """Return what the array of scores has there."""
        return self.values[key]

    def __len__(self) -> int:
        """Return the number of candidates."""
        return len(self.values)

    def __repr__(self) -> str:
        """Show size and winner in one line."""
        best = self.best
        return (
            f"ScoreTable({len(self)} candidates, {self.shape[1]} folds, best: n_neighbors={self.n_neighbors[best]}, "
            f"mean {self.mean[best]:.4g}, std {self.std[best]:.4g})"
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Number of candidates and of folds."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def n_neighbors(self) -> tuple[int, ...]:
        """The number of neighbours of each candidate."""
        return tuple(candidate.n_neighbors for candidate in self.candidates)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean over the folds, shape (n_candidates,)."""
        return np.asarray(self.values.mean(axis=1))

    @property
    def std(self) -> NDArray[np.float64]:
        """Population standard deviation over the folds, shape (n_candidates,), as in `cv_results_`."""
        return np.asarray(self.values.std(axis=1))

    @property
    def best(self) -> int:
        """Row of the largest mean; the first of equal ones."""
        return int(np.argmax(np.where(np.isnan(self.mean), -np.inf, self.mean)))

    @property
    def best_candidate(self) -> Candidate:
        """The candidate of the largest mean."""
        return self.candidates[self.best]

    @property
    def smoothest(self) -> int:
        """Row of the largest k whose mean is within one standard error of the best.

        The standard error is the best candidate's: its std divided by the root of the number of folds. Of equal k, the
        row with the larger mean is taken. The rule is from Breiman, Friedman, Olshen and Stone, Classification and
        Regression Trees, 1984, 3.4.3.
        """
        mean = self.mean
        limit = mean[self.best] - self.std[self.best] / np.sqrt(self.shape[1])
        near = np.flatnonzero(mean >= limit).tolist()
        return max(near, key=lambda row: (self.n_neighbors[row], mean[row]), default=self.best)

    def _repr_html_(self) -> str:
        """Show the best candidates as a table in a notebook."""
        return _show_best(repr(self), self.to_frame(), "mean")

    def select(self, candidates: Sequence[Candidate]) -> ScoreTable:
        """Return the table of some of the candidates.

        Parameters
        ----------
        candidates : sequence of Candidate
            Which, in the order wanted. Labels are not compared.

        Returns
        -------
        ScoreTable
            Their scores.

        Raises
        ------
        ValueError
            If one of them was not scored.
        """
        keys = [candidate.key for candidate in self.candidates]
        missing = [candidate for candidate in candidates if candidate.key not in keys]
        if missing:
            message = f"{missing[0]!r} was not scored. The table has {len(self)} candidates; select among them."
            raise ValueError(message)
        rows = [keys.index(candidate.key) for candidate in candidates]
        return ScoreTable([self.candidates[row] for row in rows], self.values[rows])

    def to_frame(self) -> pd.DataFrame:
        """Return a data frame with a row per candidate: its fields, `mean`, `std`, and one column per fold."""
        import pandas as pd

        fields = pd.DataFrame.from_records([candidate._asdict() for candidate in self.candidates])
        folds = {f"fold_{fold}": self.values[:, fold] for fold in range(self.shape[1])}
        return fields.assign(mean=self.mean, std=self.std, **folds)


@dataclass(frozen=True, eq=False, repr=False)
class CandidateScores:
    """The scores of every candidate on every fold, on each side of the folds.

    Parameters
    ----------
    candidates : tuple of Candidate
        In the order in which they were given, each once.
    test : mapping of str to ScoreTable
        By metric, on the validation rows.
    train, train_without_self : mapping of str to ScoreTable, or None
        The same on the training rows: with each row as its own nearest neighbour, and without. None if not asked for.

    See Also
    --------
    score_candidates : Computes them.
    """

    candidates: tuple[Candidate, ...]
    test: Mapping[str, ScoreTable]
    train: Mapping[str, ScoreTable] | None = None
    train_without_self: Mapping[str, ScoreTable] | None = None

    def __repr__(self) -> str:
        """Show size and winner in one line."""
        first = next(iter(self.test.values()))
        size = f"{len(self.candidates)} candidates, {first.shape[1]} folds, {', '.join(self.test)}"
        best = f"n_neighbors={self.best_candidate.n_neighbors}, mean {first.mean[first.best]:.4g}"
        return f"CandidateScores({size}, best: {best})"

    @property
    def best(self) -> int:
        """Place of the candidate with the largest mean of the first metric on the validation rows."""
        return next(iter(self.test.values())).best

    @property
    def best_candidate(self) -> Candidate:
        """The candidate of the largest mean."""
        return self.candidates[self.best]

    def to_frame(self) -> pd.DataFrame:
        """Return a data frame with a row per candidate: its fields, and means and deviations of each metric and side.

        The columns are called as in `cv_results_`: `mean_test_r2`, `std_test_r2`, `mean_train_r2` and so on.
        """
        import pandas as pd

        sides = {"test": self.test, "train": self.train, "train_without_self": self.train_without_self}
        columns = {
            f"{name}_{side}_{metric}": getattr(table, name)
            for side, tables in sides.items()
            for metric, table in (tables or {}).items()
            for name in ("mean", "std")
        }
        return pd.DataFrame(list(self.candidates)).assign(**columns)

    def _repr_html_(self) -> str:
        """Show the best candidates as a table in a notebook."""
        return _show_best(repr(self), self.to_frame(), f"mean_test_{next(iter(self.test))}")


def _show_best(title: str, frame: pd.DataFrame, by: str) -> str:
    """Show a title and the first rows of a frame as HTML, largest first, without the settings that all rows share."""
    shared = [name for name in ("weights", "p", "transformer", "label") if len(set(map(str, frame[name]))) == 1]
    best = frame.drop(columns=shared).sort_values(by=by, ascending=False, kind="stable").head(_SHOWN)
    return f"<p>{escape(title)}</p>{best.to_html()}"


class SearchInterrupted(KeyboardInterrupt):
    """An interrupt that keeps the scores of the folds that were finished.

    Parameters
    ----------
    scores : CandidateScores
        NaN where a fold was not finished.

    See Also
    --------
    score_candidates : Raises it on Ctrl-C.
    """

    def __init__(self, scores: CandidateScores) -> None:
        super().__init__("Interrupted; the scores of the folds that were finished are kept.")
        self.scores = scores


class Comparison(NamedTuple):
    """Mean difference of two candidates' scores, its standard error, and the p-value of no difference."""

    difference: float
    standard_error: float
    p_value: float


def compare_candidates(first: ArrayLike, second: ArrayLike, *, test_share: float) -> Comparison:
    """Test whether two candidates differ on the same folds.

    Parameters
    ----------
    first, second : array-like of shape (n_folds,)
        Their scores.
    test_share : float
        Validation rows of a fold divided by its training rows: 1/3 for four folds.

    Returns
    -------
    Comparison
        The difference `first` - `second`, its standard error and the p-value.

    Raises
    ------
    ValueError
        If there are fewer than two folds.

    See Also
    --------
    ScoreTable : Its rows are such scores.

    Notes
    -----
    This is a paired t-test. Folds share training rows, so the variance is multiplied by (1/n + test_share) / (1/n)
    (Nadeau and Bengio, Inference for the generalization error, Machine Learning 52, 2003). With few folds, a large
    p-value means that no difference could be shown. It does not mean that there is none.

    Examples
    --------
    >>> compare_candidates([0.9, 0.8, 0.9], [0.5, 0.5, 0.4], test_share=0.5).p_value < 0.05
    True
    """
    differences = np.asarray(first, dtype=np.float64) - np.asarray(second, dtype=np.float64)
    n_folds = len(differences)
    if n_folds < 2:
        message = f"{n_folds} fold. A comparison needs at least two, to tell a difference from chance."
        raise ValueError(message)
    mean = float(differences.mean())
    error = float(np.sqrt((1 / n_folds + test_share) * differences.var(ddof=1)))
    if error == 0:
        return Comparison(mean, 0.0, 1.0 if mean == 0 else 0.0)
    return Comparison(mean, error, float(2 * t.sf(abs(mean) / error, n_folds - 1)))
