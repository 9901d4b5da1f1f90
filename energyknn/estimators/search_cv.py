"""A search over k, weights and distances without an estimator of scikit-learn's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import ParameterGrid
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import check_X_y

from energyknn.estimators.one_search import OneSearchPerFold
from energyknn.estimators.regressor import KNNRegressor
from energyknn.neighbors.engines import Engine


@dataclass(eq=False, repr=False)
class KNNSearchCV(OneSearchPerFold, BaseSearchCV):
    """Choose k, weights and p by cross-validation, with one neighbour search per fold for all candidates.

    Parameters
    ----------
    param_grid : mapping or sequence of mappings
        Lists of values of `transformer` and of the parameters of KNNRegressor, such as `n_neighbors`, `weights` and
        `p`. Every combination is a candidate. A parameter without a list keeps its default. A transformer (a scaler, a
        choice or a weighting of columns) is fitted on the training rows of each fold and needs a search of its own.
    cv : int, splitter, iterable of pairs or None, default=None
        The number of folds, a splitter, or pairs of training and validation row numbers; None for five folds without
        shuffling.
    scoring : None, str, callable, sequence or mapping, default=None
        A scorer's name, a scorer, or several by name; None for R².
    refit : bool, str or callable, default=True
        Whether to fit the best candidate on all rows; with several metrics, the name of the one that decides; or a
        function of `cv_results_` that returns the index of the best.
    return_train_score : bool, default=False
        Whether to score the training rows too, which takes one more search per fold.
    error_score : float or "raise", default=nan
        The score where a candidate cannot be fitted or scored, with a warning; "raise" for the error itself.
    verbose : int, default=0
        What is printed, as in GridSearchCV. If not 0, a progress bar on stderr shows the time that is left.
    engine : {"auto", "blocked", "brute", "flat", "sklearn", "torch"}, default="auto"
        How to search. No score depends on it.
    n_jobs : int or None, default=None
        Threads; None for every core, and 1 inside a joblib worker.

    Attributes
    ----------
    cv_results_ : dict
        Scores of every candidate, with GridSearchCV's keys and shapes. Candidates share a search, so
        `mean_fit_time` and `mean_score_time` are not those of a candidate alone.
    best_estimator_ : KNNRegressor or Pipeline
        Fitted on all rows, if `refit`; a pipeline where the best candidate has a transformer.
    best_params_ : dict
        Parameters of the best candidate.
    best_score_ : float
        Its mean validation score; absent where `refit` is a function.
    best_index_ : int
        Its place in `cv_results_`.
    scorer_ : callable or dict of str to callable
        The scorer, or the scorers by name where there are several metrics.
    n_splits_ : int
        Number of folds.
    multimetric_ : bool
        Whether there are several metrics.
    refit_time_ : float
        Seconds that the last fit took.

    See Also
    --------
    from_grid_search : Make it from a GridSearchCV.
    energyknn.score_candidates : The same scores without an estimator.

    Notes
    -----
    Where rows tie, scores follow the tie rule of `energyknn.neighbors.search_neighbors`. Without ties they equal
    GridSearchCV's.

    Examples
    --------
    >>> X = np.arange(40.0).reshape(-1, 1)
    >>> search = KNNSearchCV({"n_neighbors": range(1, 10)}, cv=4).fit(X, np.sin(X[:, 0] / 6))
    >>> search.best_params_
    {'n_neighbors': 1}
    """

    pre_dispatch: ClassVar = "2*n_jobs"  # of scikit-learn's searches

    param_grid: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]]
    _: KW_ONLY
    cv: Any = None
    scoring: Any = None
    refit: Any = True
    return_train_score: bool = False
    error_score: float | Literal["raise"] = np.nan
    verbose: int = 0
    engine: Engine = "auto"
    n_jobs: int | None = None

    def fit(self, X: ArrayLike, y: ArrayLike, **params: Any) -> Self:
        """Score every candidate and, if `refit`, fit the best on all rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Rows, on the scale on which distances are meant, or as the transformers take them.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Finite real numbers.
        **params : dict
            What scikit-learn routes to the scorers and the splitter, such as `groups`.

        Returns
        -------
        KNNSearchCV
            The search itself.

        Raises
        ------
        ValueError
            If the grid has an unknown name, the rows or targets cannot be used, or no candidate can be scored.
        KeyboardInterrupt
            On Ctrl-C. If a fold was finished, `cv_results_` holds its scores, and NaN for the folds that were not.
        """
        given = [values for grid in self._list_grids() for values in grid.get("transformer", ())]
        if all(transformer in (None, "passthrough") for transformer in given):
            finite = all("metric" not in grid for grid in self._list_grids())  # some metrics take NaN
            check_X_y(X, y, accept_sparse="csr", multi_output=True, y_numeric=True, ensure_all_finite=finite)
        return cast("Self", super().fit(X, y, **params))

    def _list_grids(self) -> list[Mapping[str, Sequence[Any]]]:
        """List the grids."""
        return [self.param_grid] if isinstance(self.param_grid, Mapping) else list(self.param_grid)

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags."""
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    @property
    def estimator(self) -> Pipeline:
        """The transformer and the model that candidates set."""
        return Pipeline([("transformer", "passthrough"), ("model", KNNRegressor(engine=self.engine))])

    def _run_search(self, evaluate_candidates: Any, *, callback_ctx: Any = None) -> None:
        """Score the combinations of the grid; refuse unknown names before any work."""
        candidates = ParameterGrid(self.param_grid)
        known = ("transformer", *KNNRegressor().get_params())
        wrong = sorted({name for params in candidates for name in params} - set(known))
        if wrong:
            message = f"{', '.join(map(repr, wrong))} cannot be searched over. Known are {', '.join(map(repr, known))}."
            raise ValueError(message)
        n_fits = len(candidates) * self.n_splits_
        context = callback_ctx.subcontext(task_name="search", max_subtasks=n_fits, sequential_subtasks=False)
        context.call_on_fit_task_begin(estimator=self)
        evaluate_candidates(candidates, callback_ctx=context)
        context.call_on_fit_task_end(estimator=self)

    def _translate(self, params: dict[str, Any]) -> dict[str, Any]:
        """Name the parameters as the pipeline does."""
        return {name if name == "transformer" else f"model__{name}": value for name, value in params.items()}

    def _finish(self, best: Any) -> Any:
        """Keep the model alone where there is no transformer."""
        return best["model"] if best["transformer"] in (None, "passthrough") else best
