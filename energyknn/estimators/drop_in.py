"""Make a search with one neighbour search per fold from a search of scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV

from energyknn.estimators.model_at_end import MODELS, find_model, follow_to_model
from energyknn.estimators.one_search import OneSearchPerFold


class KNNGridSearchCV(OneSearchPerFold, GridSearchCV):
    """GridSearchCV over neighbour models, with one neighbour search per fold. `from_grid_search` makes it."""


class KNNRandomizedSearchCV(OneSearchPerFold, RandomizedSearchCV):
    """RandomizedSearchCV over neighbour models, with one neighbour search per fold. `from_grid_search` makes it."""


_SEARCHES: dict[type, type] = {GridSearchCV: KNNGridSearchCV, RandomizedSearchCV: KNNRandomizedSearchCV}


def from_grid_search(search: Any) -> Any:
    """Make a search with the same results as scikit-learn's, from one neighbour search per fold.

    Parameters
    ----------
    search : GridSearchCV or RandomizedSearchCV
        Over KNeighborsRegressor, KNeighborsClassifier, KNNRegressor or KNNClassifier: alone, as the last step of a
        pipeline, inside a TransformedTargetRegressor, or as a value of the grid. It is not changed and need not be
        fitted.

    Returns
    -------
    KNNGridSearchCV or KNNRandomizedSearchCV
        Unfitted, a subclass of the given search, with the same parameters. After `fit`, `cv_results_`, `best_params_`
        and `best_estimator_` have the names and the order of the given search. The best estimator holds KNNRegressor or
        KNNClassifier in place of scikit-learn's model.

    Raises
    ------
    TypeError
        If it is a search of another kind.
    ValueError
        If no candidate is a neighbour model that can be searched at once.

    See Also
    --------
    KNNSearchCV : A search without an estimator of scikit-learn's.

    Notes
    -----
    Scores equal scikit-learn's up to rounding where no distances tie. Rows that tie are taken in the order of their
    numbers, see `energyknn.search_neighbors`. Candidates without a neighbour model are scored as scikit-learn does.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> search = GridSearchCV(KNeighborsClassifier(), {"n_neighbors": range(1, 20)}, cv=3)
    >>> from_grid_search(search).fit(*load_iris(return_X_y=True)).best_params_
    {'n_neighbors': 4}
    """
    kind = _SEARCHES.get(type(search))
    if kind is None:
        message = (
            f"{type(search).__name__} is no search that is known. Give a GridSearchCV or a RandomizedSearchCV of "
            "scikit-learn; a subclass may do something else."
        )
        raise TypeError(message)
    params = search.get_params(deep=False)
    if isinstance(params["cv"], Iterator):  # it gives its folds once, and both searches need them
        params["cv"] = search.cv = list(params["cv"])
    fast = kind(**clone(params, safe=False)).set_callbacks(*getattr(search, "_skl_callbacks", ()))
    _check_models(fast)
    return fast


def _check_models(search: Any) -> None:
    """Require that the estimator, or some value of the grid, is a neighbour model or ends in one."""
    space = search.param_grid if isinstance(search, GridSearchCV) else search.param_distributions
    grids = [space] if isinstance(space, Mapping) else list(space)
    values = [value for grid in grids for values in grid.values() if isinstance(values, Sequence) for value in values]
    estimators = [search.estimator, *[value for value in values if isinstance(value, BaseEstimator)]]
    if any(find_model(estimator) is not None for estimator in estimators):
        return
    last = follow_to_model(search.estimator)[-1]
    kinds = ", ".join(model.__name__ for model in MODELS)
    message = (
        f"The search is over {type(last).__name__}. It must be over one of {kinds}, and not over a subclass: alone, at "
        "the end of a pipeline or in a TransformedTargetRegressor. Fit the given search itself."
    )
    raise ValueError(message)
