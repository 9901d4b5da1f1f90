"""Find, name and replace the neighbour model that an estimator is or ends in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline

from energyknn.estimators.classifier import KNNClassifier
from energyknn.estimators.regressor import KNNRegressor

_OURS: dict[type, Any] = {KNeighborsRegressor: KNNRegressor, KNeighborsClassifier: KNNClassifier}
MODELS = (*_OURS, *_OURS.values())


def follow_to_model(estimator: Any) -> list[Any]:
    """List an estimator, the last step or the regressor inside it, and so on to the model."""
    chain = [estimator]
    while True:
        if isinstance(estimator, Pipeline):
            estimator = estimator.steps[-1][1]
        elif isinstance(estimator, TransformedTargetRegressor):
            estimator = getattr(estimator, "regressor_", estimator.regressor)
        else:
            return chain
        chain.append(estimator)


def find_model(estimator: Any) -> Any:
    """Return the neighbour model that an estimator is or ends in, or None."""
    model = follow_to_model(estimator)[-1]
    return model if type(model) in MODELS else None


def name_model(estimator: Any) -> str:
    """Return what stands before the names of the model's parameters, such as "knn__"."""
    prefix = ""
    for part in follow_to_model(estimator)[:-1]:
        prefix += f"{part.steps[-1][0]}__" if isinstance(part, Pipeline) else "regressor__"
    return prefix


def replace_models(estimator: Any, *, n_jobs: int | None = None) -> Any:
    """Put KNNRegressor and KNNClassifier, with the same parameters, in place of scikit-learn's model at the end."""
    model = find_model(estimator)
    if model is None:
        return estimator
    params = model.get_params(deep=False)
    if n_jobs is not None:
        params["n_jobs"] = n_jobs
    ours = _OURS.get(type(model), type(model))(**params)
    if hasattr(model, "_metadata_request"):
        ours._metadata_request = model._metadata_request
    prefix = name_model(estimator).removesuffix("__")
    return estimator.set_params(**{prefix: ours}) if prefix else ours


def set_params(estimator: Any, params: Mapping[str, Any]) -> Any:
    """Set parameters as a search of scikit-learn does: to clones of the values."""
    return estimator.set_params(**clone(dict(params), safe=False))
