"""Exact k-nearest neighbours: search, regression, one-search tuning and a learned distance.

The names below are imported when they are first used, so that `import energyknn` takes no time. The modules `loading`,
`encoding`, `splitting`, `scaling`, `fitting` and `tuning` hold the pure functions of those steps, in the order in which
data flows through them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energyknn.estimators import (
        IntervalRegressor,
        KNNClassifier,
        KNNRegressor,
        KNNSearchCV,
        LocalLinearRegressor,
        MetricMap,
        from_grid_search,
        make_learned_regressor,
    )
    from energyknn.inspection import explain_predictions
    from energyknn.modelfile import fit_model, load_model, save_model
    from energyknn.neighbors import build_index, search_neighbors
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
    "__version__",
    "build_index",
    "explain_predictions",
    "fit_model",
    "from_grid_search",
    "load_model",
    "make_learned_regressor",
    "save_model",
    "score_candidates",
    "search_neighbors",
]

_NOT_OF_ESTIMATORS = {
    "inspection": ("explain_predictions",),
    "modelfile": ("fit_model", "load_model", "save_model"),
    "neighbors": ("build_index", "search_neighbors"),
    "tuning": ("Candidate", "score_candidates"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    if name == "__version__":
        found: Any = import_module("importlib.metadata").version(__name__)
    else:
        room = next((room for room, names in _NOT_OF_ESTIMATORS.items() if name in names), "estimators")
        found = getattr(import_module(f"{__name__}.{room}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
