"""The learned map beside metric-learn's MLKR, on a part of the rows that its memory, n² numbers, allows."""

from __future__ import annotations

import importlib.util
import inspect
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.metrics import root_mean_squared_error

from energyknn import KNNRegressor
from energyknn.estimators import MetricMap
from energyknn.learning.planes import weigh_softly
from energyknn.study.protocol import Prepared

N_NEIGHBORS = 50


def is_installed() -> bool:
    """Tell whether metric-learn is there."""
    return importlib.util.find_spec("metric_learn") is not None


def make_mlkr(**options: Any) -> Any:
    """Make MLKR, and let metric-learn 0.7 call today's scikit-learn, which renamed an argument of its checks."""
    from metric_learn import MLKR, _util

    for name in ("check_array", "check_X_y"):
        check = getattr(_util, name)
        if "force_all_finite" not in inspect.signature(check).parameters and not hasattr(check, "renames"):
            setattr(_util, name, _rename(check))
    return MLKR(**options)


def _rename(check: Any) -> Any:
    def call(*arguments: Any, force_all_finite: Any = True, **options: Any) -> Any:
        return check(*arguments, ensure_all_finite=force_all_finite, **options)

    setattr(call, "renames", True)  # noqa: B010 - a function's type names no attributes
    return call


def compare_with_mlkr(
    data: Prepared, *, n_rows: int = 2000, n_components: int = 8, max_iter: int = 100, random_state: int = 0
) -> dict[str, Any]:
    """Learn maps from the same training rows, and score them on as many others of the training side.

    Neighbours after each map are weighed alike, by exp(-d²), as all are learned for.
    """
    X, y = data.X_train.to_numpy(), data.y_train
    rows, others = slice(0, n_rows), slice(n_rows, 2 * n_rows)
    found: dict[str, Any] = {"rows": n_rows, "components": n_components, "neighbors": N_NEIGHBORS}

    def score(map_all: Callable[[np.ndarray], np.ndarray]) -> float:
        model = KNNRegressor(N_NEIGHBORS, weights=weigh_softly).fit(map_all(X[rows]), y[rows])
        return float(root_mean_squared_error(y[others], model.predict(map_all(X[others]))))

    options: dict[str, Any] = {"n_components": n_components, "n_neighbors": N_NEIGHBORS, "random_state": random_state}
    options["ridge"] = np.inf  # as MLKR does, ours learn for weighted means
    maps = {
        "ours": MetricMap(**options),
        "ours_linear": MetricMap(n_units=0, **options),
        "mlkr": make_mlkr(n_components=n_components, max_iter=max_iter, random_state=random_state),
    }
    for name, learned in maps.items():
        start = time.perf_counter()
        learned.fit(X[rows], y[rows])
        found[name] = {"seconds": time.perf_counter() - start, "rmse": score(learned.transform)}
    found["mlkr"]["bytes_of_pairs"] = 8 * n_rows**2
    return found
