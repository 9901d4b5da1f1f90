"""Exact k-nearest neighbours: search, regression, one-search tuning and a learned distance.

The modules are the public interface: `loading`, `encoding`, `splitting`, `scaling`, `fitting` and `tuning` hold the
pure functions of those steps, in the order in which data flows through them. Two scikit-learn estimators stand on
them: `KNNRegressor` and `KNNSearchCV`. They are imported when they are asked for, since scikit-learn takes its time.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energyknn.estimators import KNNRegressor, KNNSearchCV

__all__ = ["KNNRegressor", "KNNSearchCV", "__version__"]

__version__ = version("energyknn")


def __getattr__(name: str) -> Any:
    """Import an estimator when it is first asked for."""
    if name in {"KNNRegressor", "KNNSearchCV"}:
        return getattr(import_module("energyknn.estimators"), name)
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
