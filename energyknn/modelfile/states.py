"""Fitted estimators as plain JSON and arrays, and back: only what is listed here is ever made of a file.

A new estimator joins with one entry of `KINDS`, a new weighting with one of `FUNCTIONS`. How a machine computes
(engine, threads, caches) is no part of a model and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from energyknn.errors import ModelFileError
from energyknn.estimators import KNNRegressor, LocalLinearRegressor, MetricMap
from energyknn.estimators.intervals import IntervalRegressor
from energyknn.estimators.transformers import ColumnWeights, RankFeatures
from energyknn.learning.learn import Round, weigh_softly
from energyknn.learning.maps import HiddenLayer
from energyknn.neighbors import NeighborIndex, build_index

__all__ = ["FUNCTIONS", "KINDS", "Kind", "decode_state", "encode_state"]


class Kind(NamedTuple):
    """What a class's state is.

    Attributes
    ----------
    estimator : type
        The class. It is called with its parameters, and then given what was fitted.
    parameters : tuple of str
        Parameters that predictions depend on; the others have their defaults after reading.
    fitted : tuple of str
        What fitting sets, beside `n_features_in_`, `feature_names_in_` and the output that was chosen: numbers, text,
        arrays, indexes and estimators, in lists, tuples and mappings. What an instance lacks is left out.
    is_sound : callable
        Tells of an instance read from a file whether its parts belong together, where a prediction of a few rows does
        not show it.
    """

    estimator: type[Any]
    parameters: tuple[str, ...]
    fitted: tuple[str, ...]
    is_sound: Callable[[Any], bool] = bool


_ON_ALL = ("n_features_in_", "feature_names_in_", "_sklearn_output_config")
_MOST_WAVES = 1000


def _has_a_target_for_each_row(estimator: Any) -> bool:
    return not hasattr(estimator, "index_") or len(estimator.y_) == len(estimator.index_.X_train)


def _has_a_range_for_each_score(estimator: Any) -> bool:
    if not hasattr(estimator, "scores_"):
        return True
    scores, groups, edges = estimator.scores_, estimator.groups_, estimator.edges_
    is_alike = scores.ndim == edges.ndim == 1 and scores.shape == groups.shape and groups.dtype == np.int64
    counts = np.bincount(groups, minlength=len(edges) + 1) if is_alike and (groups >= 0).all() else np.zeros(1)
    return bool(len(counts) == len(edges) + 1 and (counts > 0).all() and (np.diff(edges) > 0).all())


KINDS: dict[str, Kind] = {
    kind.estimator.__name__: kind
    for kind in (
        Kind(KNNRegressor, ("n_neighbors", "weights", "p"), ("index_", "y_"), _has_a_target_for_each_row),
        Kind(
            LocalLinearRegressor,
            ("n_neighbors", "sharpness", "reach", "ridge"),
            ("index_", "y_"),
            _has_a_target_for_each_row,
        ),
        Kind(
            IntervalRegressor,
            (
                *("estimator", "method", "coverage", "neighbors", "n_neighbors", "shrinkage", "by", "n_groups"),
                *("bounds", "calibration_size", "refill", "random_state"),
            ),
            ("estimator_", "neighbors_", "scale_", "scores_", "groups_", "edges_"),
            _has_a_range_for_each_score,
        ),
        Kind(
            MetricMap,
            (
                *("n_components", "n_maps", "n_units", "form", "n_neighbors", "n_rounds", "n_rows", "row_share"),
                *("n_queries", "n_steps", "learning_rate", "weight_decay", "ridge", "patience", "time_budget"),
                "random_state",
            ),
            ("components_", "hidden_", "traces_", "_n_features_out"),
        ),
        Kind(ColumnWeights, ("weights", "default"), ("weights_",)),
        Kind(RankFeatures, ("n_waves",), ("quantiles_",), lambda ranks: 0 <= ranks.n_waves <= _MOST_WAVES),
        Kind(Pipeline, ("steps",), ()),
        Kind(VotingRegressor, ("estimators", "weights"), ("estimators_",)),
        Kind(
            ColumnTransformer,
            ("transformers", "remainder", "sparse_threshold", "transformer_weights", "verbose_feature_names_out"),
            (
                *("transformers_", "output_indices_", "sparse_output_", "_columns", "_remainder", "_n_features"),
                *("_transformer_to_input_indices", "_transformers_feature_names_out"),
            ),
        ),
        Kind(
            FunctionTransformer,
            ("func", "inverse_func", "validate", "accept_sparse", "check_inverse", "feature_names_out", "kw_args"),
            (),
        ),
        Kind(
            QuantileTransformer,
            ("n_quantiles", "output_distribution", "ignore_implicit_zeros", "subsample", "random_state"),
            ("n_quantiles_", "quantiles_", "references_"),
        ),
        Kind(StandardScaler, ("with_mean", "with_std"), ("mean_", "var_", "scale_", "n_samples_seen_")),
        Kind(
            RobustScaler,
            ("with_centering", "with_scaling", "quantile_range", "unit_variance"),
            ("center_", "scale_"),
        ),
        Kind(
            MinMaxScaler,
            ("feature_range", "clip"),
            ("min_", "scale_", "data_min_", "data_max_", "data_range_", "n_samples_seen_"),
        ),
        Kind(MaxAbsScaler, (), ("scale_", "max_abs_", "n_samples_seen_")),
        Kind(LinearRegression, ("fit_intercept", "positive"), ("coef_", "intercept_", "rank_", "singular_")),
        Kind(DummyRegressor, ("strategy", "constant", "quantile"), ("constant_", "n_outputs_")),
    )
}
"""The estimators that a model file can hold, by name."""

FUNCTIONS: dict[str, Callable[..., Any]] = {"weigh_softly": weigh_softly}
"""The functions that an estimator in a model file can refer to, by name."""

_RECORDS: dict[str, Callable[..., Any]] = {"HiddenLayer": HiddenLayer, "Round": Round}
_ARRAY_KINDS = {np.dtype(code) for code in ("f8", "f4", "i8", "i4", "u1", "b1")}


def encode_state(value: Any, arrays: dict[str, NDArray[Any]], *, name: str) -> Any:
    """Describe an estimator, or a value that it holds, as plain JSON.

    Parameters
    ----------
    value : object
        An estimator of `KINDS`, or what one may hold.
    arrays : dict of str to ndarray
        Takes the arrays, under names that begin with `name`.
    name : str
        What the value is called.

    Returns
    -------
    object
        What JSON can hold. An object of one key stands for what JSON has no word for.

    Raises
    ------
    ModelFileError
        If something cannot be described: another estimator, a function that is not listed, an object.

    Examples
    --------
    >>> encode_state((1, np.array([0.5])), arrays := {}, name="pair"), list(arrays)
    ({'tuple': [1, {'array': 'pair.1'}]}, ['pair.1'])
    """

    def store(array: NDArray[Any]) -> str:
        arrays[name] = array
        return name

    def encode_all(values: Any) -> list[Any]:
        return [encode_state(item, arrays, name=f"{name}.{number}") for number, item in enumerate(values)]

    if value is None or isinstance(value, str) or type(value) in (bool, int):
        return value
    if isinstance(value, float) and not isinstance(value, np.generic):
        return value if math.isfinite(value) else {"float": repr(value)}
    if isinstance(value, np.ndarray) and value.dtype in _ARRAY_KINDS:
        return {"array": store(value)}
    if isinstance(value, np.ndarray) and value.ndim == 1 and all(isinstance(item, str) for item in value):
        return {"texts": [str(item) for item in value]}
    if isinstance(value, np.generic) and value.dtype in _ARRAY_KINDS:
        return {"scalar": store(np.asarray(value))}
    if isinstance(value, list):
        return encode_all(value)
    if type(value).__name__ in _RECORDS and isinstance(value, tuple):
        return {"record": [type(value).__name__, *encode_all(value)]}
    if isinstance(value, tuple):
        return {"tuple": encode_all(value)}
    if isinstance(value, Mapping):
        return {"mapping": encode_all(list(pair) for pair in value.items())}
    if isinstance(value, slice):
        return {"slice": encode_all((value.start, value.stop, value.step))}
    if isinstance(value, NeighborIndex):
        return {"index": {"p": value.p, "rows": store(value.X_train)}}
    for known, function in FUNCTIONS.items():
        if value is function:
            return {"function": known}
    return _encode_estimator(value, arrays, name=name)


def _encode_estimator(value: Any, arrays: dict[str, NDArray[Any]], *, name: str) -> dict[str, Any]:
    kind = KINDS.get(type(value).__name__)
    if kind is None or type(value) is not kind.estimator:
        what = getattr(value, "__qualname__", type(value).__qualname__)
        message = (
            f"{name} is {what}, which a model file cannot hold. It holds {', '.join(KINDS)}, made of numbers, text and "
            f"arrays, with {', '.join(FUNCTIONS)} as functions. Keep other models with joblib, for yourself alone: to "
            "read such a file is to run what stands in it."
        )
        raise ModelFileError(message)

    def encode_parts(names: tuple[str, ...]) -> dict[str, Any]:
        held = vars(value)
        return {part: encode_state(held[part], arrays, name=f"{name}.{part}") for part in names if part in held}

    return {
        "estimator": type(value).__name__,
        "parameters": encode_parts(kind.parameters),
        "fitted": encode_parts((*kind.fitted, *_ON_ALL)),
    }


def decode_state(node: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    """Make an estimator, or a value that one holds, of what `encode_state` returned.

    Parameters
    ----------
    node : object
        Parsed JSON.
    arrays : mapping of str to ndarray
        The arrays that it names.

    Returns
    -------
    object
        The value. Nothing is looked up outside of `KINDS`, `FUNCTIONS` and the arrays.

    Raises
    ------
    ModelFileError
        If it names what is not listed.
    Exception
        Whatever the estimators and `build_index` raise for values that do not belong together.

    Notes
    -----
    An index is built again from its rows, which are checked: what a search walks through is never taken from a file.

    Examples
    --------
    >>> decode_state({"tuple": [1, {"array": "pair.1"}]}, {"pair.1": np.array([0.5])})
    (1, array([0.5]))
    """
    if node is None or isinstance(node, str | bool | int | float):
        return node
    if isinstance(node, list):
        return [decode_state(item, arrays) for item in node]
    if "estimator" in node:
        return _decode_estimator(node, arrays)
    ((tag, content),) = node.items()
    return _look_up(_DECODERS, tag)(content, arrays)


def _decode_estimator(node: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
    kind = _look_up(KINDS, node["estimator"])
    parameters, fitted = node["parameters"], node["fitted"]
    unknown = [name for name in parameters if name not in kind.parameters]
    unknown += [name for name in fitted if name not in (*kind.fitted, *_ON_ALL)]
    if unknown:
        message = f"{kind.estimator.__name__} has no {', '.join(map(repr, unknown))} in this release."
        raise ModelFileError(message)
    estimator = kind.estimator(**{name: decode_state(value, arrays) for name, value in parameters.items()})
    vars(estimator).update({name: decode_state(value, arrays) for name, value in fitted.items()})
    if not kind.is_sound(estimator):
        message = f"The parts of its {kind.estimator.__name__} do not belong together."
        raise ModelFileError(message)
    return estimator


def _look_up(listed: Mapping[str, Any], name: Any) -> Any:
    """Find what a file names among what is listed."""
    if not isinstance(name, str) or name not in listed:
        message = f"{name!r} is not among {', '.join(listed)}, which this release can read."
        raise ModelFileError(message)
    return listed[name]


_DECODERS: dict[str, Callable[[Any, Mapping[str, NDArray[Any]]], Any]] = {
    "float": lambda content, _: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content],
    "array": lambda content, arrays: arrays[content],
    "scalar": lambda content, arrays: arrays[content][()],
    "texts": lambda content, _: np.array([str(text) for text in content], dtype=object),
    "tuple": lambda content, arrays: tuple(decode_state(content, arrays)),
    "record": lambda content, arrays: _look_up(_RECORDS, content[0])(*decode_state(content[1:], arrays)),
    "mapping": lambda content, arrays: dict(decode_state(content, arrays)),
    "slice": lambda content, arrays: slice(*decode_state(content, arrays)),
    "index": lambda content, arrays: build_index(arrays[content["rows"]], p=content["p"]),
    "function": lambda content, _: _look_up(FUNCTIONS, content),
}
