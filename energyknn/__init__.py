"""Exact k-nearest neighbours: search, regression, one-search tuning and a learned distance.

`NeighborsModel` fits a model to a raw table. `from_grid_search` speeds up a grid search. `search_neighbors` finds the
nearest rows. The other names are their parts.

The names below are imported when they are first used, so that `import energyknn` takes no time. The modules `loading`,
`encoding`, `splitting`, `scaling`, `fitting` and `tuning` hold the pure functions of those steps, in the order in which
data flows through them.
"""

import importlib as _importlib
import typing as _typing

if _typing.TYPE_CHECKING:
    from energyknn.estimators import (
        IntervalRegressor,
        KNNClassifier,
        KNNRegressor,
        KNNSearchCV,
        LocalLinearRegressor,
        MetricMap,
        from_grid_search,
        make_learned_classifier,
        make_learned_regressor,
    )
    from energyknn.inspection import explain_predictions
    from energyknn.modelfile import fit_model, load_model, save_model
    from energyknn.neighbors import build_index, search_neighbors
    from energyknn.neighbors_model import NeighborsModel
    from energyknn.roles import guess_schema
    from energyknn.tuning import Candidate, score_candidates

    __version__: str

__all__ = [
    "Candidate",
    "IntervalRegressor",
    "KNNClassifier",
    "KNNRegressor",
    "KNNSearchCV",
    "LocalLinearRegressor",
    "MetricMap",
    "NeighborsModel",
    "__version__",
    "build_index",
    "explain_predictions",
    "fit_model",
    "from_grid_search",
    "guess_schema",
    "load_model",
    "make_learned_classifier",
    "make_learned_regressor",
    "save_model",
    "score_candidates",
    "search_neighbors",
]

_NOT_OF_ESTIMATORS = {
    "inspection": ("explain_predictions",),
    "modelfile": ("fit_model", "load_model", "save_model"),
    "neighbors": ("build_index", "search_neighbors"),
    "neighbors_model": ("NeighborsModel",),
    "roles": ("guess_schema",),
    "tuning": ("Candidate", "score_candidates"),
}


def __getattr__(name: str) -> _typing.Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    if name == "__version__":
        found: _typing.Any = _importlib.import_module("importlib.metadata").version(__name__)
    else:
        room = next((room for room, names in _NOT_OF_ESTIMATORS.items() if name in names), "estimators")
        found = getattr(_importlib.import_module(f"{__name__}.{room}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
