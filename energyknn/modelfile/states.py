"""Fitted estimators as plain JSON and arrays, and back. Only classes that are listed here are ever made of a file.

A class of `energyknn.estimators` joins by its attribute `_saved`, one of scikit-learn by an entry of `_SKLEARN`, and a
weighting by one of `FUNCTIONS`. Engine, threads and caches belong to a machine, not to a model, and are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn import preprocessing
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyRegressor
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from energyknn import estimators
from energyknn.errors import ModelFileError
from energyknn.estimators.exact import ExactNeighbors
from energyknn.learning.learn import Round
from energyknn.learning.maps import HiddenLayer
from energyknn.learning.planes import weigh_softly
from energyknn.learning.votes import VoteRound
from energyknn.neighbors import NeighborIndex, build_index

_ON_ALL = ("n_features_in_", "feature_names_in_", "_sklearn_output_config")
_OF_A_FIT_OR_A_MACHINE = ("cv", "engine", "n_jobs", "verbose")  # parameters on which no prediction depends

_SKLEARN: dict[type, tuple[tuple[str, ...], tuple[str, ...]]] = {  # parameters, and what fitting sets
    Pipeline: (("steps",), ()),
    VotingRegressor: (("estimators", "weights"), ("estimators_",)),
    ColumnTransformer: (
        ("transformers", "remainder", "sparse_threshold", "transformer_weights", "verbose_feature_names_out"),
        (
            *("transformers_", "output_indices_", "sparse_output_", "_columns", "_remainder", "_n_features"),
            *("_transformer_to_input_indices", "_transformers_feature_names_out"),
        ),
    ),
    preprocessing.FunctionTransformer: (
        ("func", "inverse_func", "validate", "accept_sparse", "check_inverse", "feature_names_out", "kw_args"),
        (),
    ),
    preprocessing.QuantileTransformer: (
        ("n_quantiles", "output_distribution", "ignore_implicit_zeros", "subsample", "random_state"),
        ("n_quantiles_", "quantiles_", "references_"),
    ),
    preprocessing.StandardScaler: (("with_mean", "with_std"), ("mean_", "var_", "scale_", "n_samples_seen_")),
    preprocessing.RobustScaler: (
        ("with_centering", "with_scaling", "quantile_range", "unit_variance"),
        ("center_", "scale_"),
    ),
    preprocessing.MinMaxScaler: (
        ("feature_range", "clip"),
        ("min_", "scale_", "data_min_", "data_max_", "data_range_", "n_samples_seen_"),
    ),
    preprocessing.MaxAbsScaler: ((), ("scale_", "max_abs_", "n_samples_seen_")),
    LinearRegression: (("fit_intercept", "positive"), ("coef_", "intercept_", "rank_", "singular_")),
    DummyRegressor: (("strategy", "constant", "quantile"), ("constant_", "n_outputs_")),
}


class Kind(NamedTuple):
    """A class that a model file can hold, the parts of it that are kept, and a check that they belong together."""

    estimator: type[Any]
    parameters: tuple[str, ...]
    fitted: tuple[str, ...]
    is_sound: Callable[[Any], bool] = bool


def _list_kinds() -> dict[str, Kind]:
    """List the estimators of this library that declare `_saved`, and those of scikit-learn."""
    public: list[Any] = [getattr(estimators, name) for name in estimators.__all__]
    ours = {found: (_list_parameters(found), *found._saved) for found in public if hasattr(found, "_saved")}
    return {known.__name__: Kind(known, *parts) for known, parts in (ours | _SKLEARN).items()}


def _list_parameters(estimator: type[Any]) -> tuple[str, ...]:
    """List the parameters on which the predictions of an estimator of this library may depend."""
    return tuple(field.name for field in fields(estimator) if field.name not in _OF_A_FIT_OR_A_MACHINE)


KINDS = _list_kinds()
"""The estimators that a model file can hold, by name."""

FUNCTIONS: dict[str, Callable[..., Any]] = {"weigh_softly": weigh_softly}
"""The functions that an estimator in a model file can refer to, by name."""

_RECORDS: dict[str, Callable[..., Any]] = {"HiddenLayer": HiddenLayer, "Round": Round, "VoteRound": VoteRound}
_ARRAY_KINDS = {np.dtype(code) for code in ("f8", "f4", "i8", "i4", "u1", "b1")}


def encode_state(value: Any, arrays: dict[str, NDArray[Any]], *, name: str) -> Any:
    """Describe an estimator, or a value that it holds, as plain JSON.

    Parameters
    ----------
    value : object
        An estimator of `KINDS`, or a value that one may hold: numbers, text, arrays, indexes and estimators, in lists,
        tuples and mappings.
    arrays : dict of str to ndarray
        The arrays of the file. New ones are added under names that begin with `name`. An array that is there already
        is not added again but referred to, so that training rows are written once.
    name : str
        Name of the value.

    Returns
    -------
    object
        Plain JSON. An object with one key stands for a value that JSON cannot express.

    Raises
    ------
    ModelFileError
        If a value cannot be described, such as another estimator, a function that is not listed, or any object.

    Examples
    --------
    >>> encode_state((1, np.array([0.5])), arrays := {}, name="pair"), list(arrays)
    ({'tuple': [1, {'array': 'pair.1'}]}, ['pair.1'])
    """

    def store(array: NDArray[Any]) -> str:
        known = next((known for known, other in arrays.items() if _are_same(array, other)), name)
        arrays.setdefault(known, array)
        return known

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


def _are_same(array: NDArray[Any], other: NDArray[Any]) -> bool:
    """Return whether two arrays have the same dtype, shape and bytes."""
    is_alike = array.dtype == other.dtype and array.shape == other.shape
    return is_alike and (array is other or array.tobytes() == other.tobytes())


def _encode_estimator(value: Any, arrays: dict[str, NDArray[Any]], *, name: str) -> dict[str, Any]:
    """Describe an estimator by its class, its parameters and its fitted attributes."""
    kind = KINDS.get(type(value).__name__)
    if kind is None or type(value) is not kind.estimator:
        what = getattr(value, "__qualname__", type(value).__qualname__)
        message = (
            f"{name} is {what}, which a model file cannot hold. It holds {', '.join(KINDS)}, made of numbers, text and "
            f"arrays, and the functions {', '.join(FUNCTIONS)}. Save other models with joblib, and read such a file "
            "only if you trust it: reading it runs the code in it."
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
    """Make an estimator, or a value that one holds, of the JSON that `encode_state` returned.

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
        If it names something that is not listed.
    Exception
        Any error of the estimators and of `build_index`, if values do not belong together.

    Notes
    -----
    An index is built again from its rows, which are checked. The tree that a search walks is never read from a file.

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
    """Make an estimator of a listed class, with parts that the class knows."""
    kind = _look_up(KINDS, node["estimator"])
    parameters, fitted = node["parameters"], node["fitted"]
    unknown = [name for name in parameters if name not in kind.parameters]
    unknown += [name for name in fitted if name not in (*kind.fitted, *_ON_ALL)]
    if unknown:
        message = f"{kind.estimator.__name__} has no {', '.join(map(repr, unknown))} in this release."
        raise ModelFileError(message)
    estimator = kind.estimator(**{name: decode_state(value, arrays) for name, value in parameters.items()})
    vars(estimator).update({name: decode_state(value, arrays) for name, value in fitted.items()})
    if isinstance(estimator, ExactNeighbors) and hasattr(estimator, "index_"):
        estimator.restore()
    if not kind.is_sound(estimator):
        message = f"The parts of its {kind.estimator.__name__} do not belong together."
        raise ModelFileError(message)
    return estimator


def _look_up(listed: Mapping[str, Any], name: Any) -> Any:
    """Return the entry that a file names; refuse a name that is not listed."""
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
