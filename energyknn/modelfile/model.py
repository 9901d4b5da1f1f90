"""A model: everything from a table of raw rows to predictions, fitted, saved, read and described."""

from __future__ import annotations

import hashlib
import math
import platform
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from energyknn._shared.checks import check_choice
from energyknn._shared.saving import staged_file
from energyknn._shared.showing import in_one_line
from energyknn.encoding import (
    MISMATCH_COST,
    Levels,
    encode_features,
    fit_levels,
    match_levels,
    name_features,
    target_values,
)
from energyknn.errors import DataFileError, ModelFileError, UnsupportedError
from energyknn.estimators import IntervalRegressor, KNNClassifier, KNNRegressor
from energyknn.estimators.intervals import Intervals
from energyknn.filling import Fills, apply_fills, fit_fills
from energyknn.inspection import explain_predictions, group_columns
from energyknn.inspection.rows import Explanation
from energyknn.loading import check_table
from energyknn.modelfile.files import Content, read_content, write_content
from energyknn.modelfile.signs import list_signs
from energyknn.modelfile.states import decode_state, encode_state
from energyknn.modelfile.texts import Texts
from energyknn.scaling import Scale, ScalerName, apply_scale, fit_scale
from energyknn.schema import TARGETS, Column, Role, Schema

MODEL_FILE = "model.safetensors"
"""Name of a model file in a folder."""

Missing = Literal["refuse", "median"]
MISSING: tuple[Missing, ...] = get_args(Missing)
"""What to do about missing numbers, years and categories."""

_FARTHEST = 1e100  # largest scaled value; squared distances beyond it come near the end of float64
_N_NEIGHBORS = 13  # if no estimator is given
_N_PROBES = 8
_PROBE_TOLERANCE = 1e-6  # relative to the largest prediction: machines differ in the last bits of matrix products
_PACKAGES = ("energyknn", "numpy", "scikit-learn", "pandas")


@in_one_line
class Training(NamedTuple):
    """The rows that a model was fitted on.

    Attributes
    ----------
    n_rows : int
        Number of rows.
    sha256 : str
        Checksum of the encoded, scaled rows and then the targets, as little-endian float64, row by row.
    source : str or None
        Name of the file that they came from, without its folder.
    source_sha256 : str or None
        Checksum of that file.
    """

    n_rows: int
    sha256: str
    source: str | None = None
    source_sha256: str | None = None


@in_one_line
class Probe(NamedTuple):
    """The first encoded training rows (n_probes, n_features), float64, and their predictions when the model was fitted.

    `load_model` predicts them again, to know that the model predicts the same here.
    """

    rows: NDArray[np.float64]
    predictions: NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A fitted model that takes raw rows; made by `fit_model` or `load_model`.

    Parameters
    ----------
    schema : Schema
        The columns of the raw rows.
    levels : mapping of str to tuple
        Levels of each category, in the order of its indicator columns.
    scale : Scale
        Mean and standard deviation of the numbers.
    reference_year : int
        The year in which an age is 0.
    mismatch_cost : float
        What two different levels of a category add to a squared distance.
    estimator : estimator
        The estimator, fitted on encoded, scaled rows.
    training : Training
        Number, checksums and source of the training rows.
    rows : ndarray of shape (n_train, n_features), float64
        The training rows, encoded and scaled. Explanations need them.
    targets : ndarray of shape (n_train,), float64
        Their targets; the places of their labels in the estimator's `classes_` where the target is a class.
    labels : mapping of str to Texts
        The text columns of the training rows. They name neighbours.
    probe : Probe
        A few rows with their predictions.
    versions : mapping of str to str
        Releases of Python and of the libraries that fitted the model.
    fills : Fills or None, default=None
        What missing numbers and years are filled with. None refuses rows with missing cells.

    See Also
    --------
    fit_model, load_model : Make a model.
    save_model : Write it to a file.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> homes = pd.DataFrame({"area": range(20), "price": range(20)})
    >>> model = fit_model(homes, make_schema(target="price", numbers=["area"]))
    >>> model
    Model(target='price', estimator=KNNRegressor, n_rows=20)
    >>> model.explain(homes.head(1), n_neighbors=3).indices.tolist()
    [[0, 1, 2]]
    """

    schema: Schema
    levels: Levels
    scale: Scale
    reference_year: int
    mismatch_cost: float
    estimator: Any
    training: Training
    rows: NDArray[np.float64]
    targets: NDArray[np.float64]
    labels: Mapping[str, Texts]
    probe: Probe
    versions: Mapping[str, str]
    fills: Fills | None = None

    def __repr__(self) -> str:
        name, n_rows = type(self.estimator).__name__, self.training.n_rows
        return f"Model(target={self.schema.target!r}, estimator={name}, n_rows={n_rows})"

    @property
    def input_schema(self) -> Schema:
        """The columns that rows to predict need. Text may be missing, and the target is ignored."""
        return Schema(
            tuple(replace(column, required=column.required and column.role != "text") for column in self.schema.columns)
        )

    def check(self, raw: pd.DataFrame, *, latest_year: int | None = None, source: str = "table") -> pd.DataFrame:
        """Check rows to predict.

        Parameters
        ----------
        raw : DataFrame of shape (n_rows, n_columns)
            Raw rows with the columns of `input_schema`. Other columns are ignored.
        latest_year : int or None, default=None
            Last calendar year that a year column may hold. None sets no limit.
        source : str, default="table"
            What messages call the rows.

        Returns
        -------
        DataFrame of shape (n_rows, n_columns)
            The columns of `input_schema` that `raw` has, without the target. If the model fills missing numbers and
            years, they are filled.

        Raises
        ------
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.

        Warns
        -----
        UserWarning
            If missing cells were filled, or a category has levels that the model was not fitted on. A row without a
            known level gets no indicator.
        """
        required = [
            column.name for column in self.input_schema.columns if column.required and column.role not in TARGETS
        ]
        missing = [name for name in required if name not in raw]
        if missing:
            needed = ", ".join((*self.schema.numbers, *self.schema.categories))
            message = (
                f"{source!r} has no {', '.join(map(repr, missing))}: it has another schema than the model, which "
                f"predicts {self.schema.target!r} from {needed}. Give rows with these columns, or fit another model."
            )
            raise DataFileError(message)
        options: dict[str, Any] = {"with_target": False, "latest_year": latest_year, "source": source}
        if self.fills is None:
            table = _check_without_gaps(raw, self.input_schema, **options)
        else:
            table = check_table(raw, self.input_schema, missing="keep", **options)
            _warn_of_missing(table, self)
            table = apply_fills(table, self.fills)
        table = table.assign(**{name: match_levels(table[name], levels) for name, levels in self.levels.items()})
        _warn_of_unseen_levels(table, self)
        return table

    def encode(self, table: pd.DataFrame) -> pd.DataFrame:
        """Encode and scale rows as the training rows were.

        Parameters
        ----------
        table : DataFrame of shape (n_rows, n_columns)
            Rows that `check` returned.

        Returns
        -------
        DataFrame of shape (n_rows, n_features), float64
            Rows for the estimator.

        Raises
        ------
        DataFileError
            If a value lies too far from the training rows for distances to be computed.

        Warns
        -----
        UserWarning
            If half the values of a column or more lie outside of the range of the training rows; if a row has a value
            that lies outside by more than the whole range; or if the mean of a column lies more than half a standard
            deviation, and more than four standard errors, away from that of the training rows.
        """
        year, cost = self.reference_year, self.mismatch_cost
        X = encode_features(table, self.levels, self.schema, reference_year=year, mismatch_cost=cost)
        with np.errstate(over="ignore"):
            scaled = apply_scale(X, self.scale)
        far = scaled.abs().max().loc[lambda largest: ~(largest <= _FARTHEST)]
        if len(far):
            message = (
                f"column {far.index[0]!r} has values {far.iloc[0]:.3g} times its spread away from the training rows. "
                f"Up to {_FARTHEST:g} times can be compared: correct them, or give the units of the model."
            )
            raise DataFileError(message)
        numbers = list(self.scale.columns)
        years: dict[str, Any] = {"years": self.schema.years, "reference_year": self.reference_year}
        for sign in list_signs(scaled[numbers], self.rows[:, : len(numbers)], self.scale, **years):
            warnings.warn(sign, stacklevel=3)
        return scaled

    def predict(self, raw: pd.DataFrame, *, latest_year: int | None = None) -> NDArray[Any]:
        """Predict the target of raw rows.

        Parameters
        ----------
        raw : DataFrame of shape (n_rows, n_columns)
            Raw rows with the columns of `input_schema`.
        latest_year : int or None, default=None
            Last calendar year that a year column may hold. None sets no limit.

        Returns
        -------
        ndarray of shape (n_rows,)
            Predictions as float64, in the target's unit; labels where the target is a class.

        Raises
        ------
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        """
        encoded = self.encode(self.check(raw, latest_year=latest_year))
        return np.asarray(self.estimator.predict(encoded), dtype=None if self.schema.classifies else np.float64)

    def predict_interval(
        self, raw: pd.DataFrame, *, coverage: float | None = None, latest_year: int | None = None
    ) -> Intervals:
        """Give each raw row an interval for its target.

        Parameters
        ----------
        raw : DataFrame of shape (n_rows, n_columns)
            Raw rows with the columns of `input_schema`.
        coverage : float or None, default=None
            Share of targets to cover. None takes the coverage that the model was fitted with.
        latest_year : int or None, default=None
            Last calendar year that a year column may hold. None sets no limit.

        Returns
        -------
        Intervals
            `lower` and `upper` (n_rows,), float64, in the target's unit.

        Raises
        ------
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the model was fitted without intervals.
        ValueError
            If `coverage` is not between 0 and 1.
        """
        X = self.encode(self.check(raw, latest_year=latest_year))
        return self._require_intervals().predict_interval(X, coverage=coverage)

    def predict_quantiles(
        self, raw: pd.DataFrame, quantiles: ArrayLike, *, latest_year: int | None = None
    ) -> NDArray[np.float64]:
        """Give quantiles of each raw row's target.

        Parameters
        ----------
        raw : DataFrame of shape (n_rows, n_columns)
            Raw rows with the columns of `input_schema`.
        quantiles : array-like of shape (n_quantiles,)
            Shares of targets that lie below, each between 0 and 1.
        latest_year : int or None, default=None
            Last calendar year that a year column may hold. None sets no limit.

        Returns
        -------
        ndarray of shape (n_rows, n_quantiles), float64
            In the target's unit, see `IntervalRegressor.predict_quantiles`.

        Raises
        ------
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the model was fitted without intervals.
        ValueError
            If a quantile is not between 0 and 1.
        """
        X = self.encode(self.check(raw, latest_year=latest_year))
        return self._require_intervals().predict_quantiles(X, quantiles)

    def predict_cdf(self, raw: pd.DataFrame, y: ArrayLike, *, latest_year: int | None = None) -> NDArray[np.float64]:
        """Give the probability that each raw row's target is at most some value.

        Parameters
        ----------
        raw : DataFrame of shape (n_rows, n_columns)
            Raw rows with the columns of `input_schema`.
        y : float or array-like of shape (n_rows,) or (n_rows, n_values)
            Values, in the target's unit. An array of shape (1, n_values) holds several for all.
        latest_year : int or None, default=None
            Last calendar year that a year column may hold. None sets no limit.

        Returns
        -------
        ndarray of shape (n_rows,) or (n_rows, n_values), float64
            Probabilities, see `IntervalRegressor.predict_cdf`.

        Raises
        ------
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the model was fitted without intervals.
        ValueError
            If `y` has another number of rows.
        """
        return self._require_intervals().predict_cdf(self.encode(self.check(raw, latest_year=latest_year)), y)

    def _require_intervals(self) -> IntervalRegressor:
        """Return the estimator, if it has intervals."""
        if self.schema.classifies:
            message = f"{self.schema.target!r} is a class. It has probabilities, and no intervals or quantiles."
            raise UnsupportedError(message)
        if not isinstance(self.estimator, IntervalRegressor):
            message = "The model was fitted without intervals. Fit an IntervalRegressor, as `energyknn fit` does."
            raise UnsupportedError(message)
        return self.estimator

    def explain(
        self, raw: pd.DataFrame, *, n_neighbors: int | None = None, latest_year: int | None = None
    ) -> Explanation:
        """Find the training rows that count most in each prediction, and the columns that make them near.

        Parameters
        ----------
        raw : DataFrame of shape (n_rows, n_columns)
            A few raw rows with the columns of `input_schema`.
        n_neighbors : int or None, default=None
            Number of training rows to show, at most as many as the model predicts from. None shows 5, or all where
            they are fewer.
        latest_year : int or None, default=None
            Last calendar year that a year column may hold. None sets no limit.

        Returns
        -------
        Explanation
            Training rows, weights, distances, and each column's share. A category counts as one column.

        Raises
        ------
        DataFileError
            If a column is missing, there is no row, or a value breaks a rule.
        TypeError
            If the model has no neighbours.
        ValueError
            If `n_neighbors` is out of its range.
        """
        X = self.encode(self.check(raw, latest_year=latest_year))
        model = self.estimator.estimator_ if isinstance(self.estimator, IntervalRegressor) else self.estimator
        groups = group_columns(list(X.columns), self.schema)
        rows = pd.DataFrame(self.rows, columns=X.columns)
        return explain_predictions(model, X, rows, n_neighbors=n_neighbors, columns=groups)

    def name_rows(self, rows: ArrayLike) -> pd.DataFrame:
        """Return the text columns of training rows.

        Parameters
        ----------
        rows : array-like of int of shape (n_named,)
            Numbers of training rows, such as those of neighbours.

        Returns
        -------
        DataFrame of shape (n_named, n_texts), str
            One row for each. Empty if the training rows had no text.

        Raises
        ------
        IndexError
            If there is no such row.
        """
        return pd.DataFrame({name: texts.take(rows) for name, texts in self.labels.items()})

    def show_rows(self, rows: ArrayLike) -> pd.DataFrame:
        """Return what the training rows hold in the columns that predict, as the file had them but for rounding.

        Parameters
        ----------
        rows : array-like of int of shape (n_shown,)
            Numbers of training rows, such as those of neighbours.

        Returns
        -------
        DataFrame of shape (n_shown, n_columns)
            Numbers in the file's unit, years, and levels of categories. None stands for a level that is none of the
            known ones, and for all levels where the mismatch cost is 0.

        Raises
        ------
        IndexError
            If there is no such row.
        """
        encoded = pd.DataFrame(self.rows[np.asarray(rows)], columns=list(name_features(self.levels, self.schema)))
        shown: dict[str, Any] = {}
        for name, mean, sd in zip(self.scale.columns, self.scale.mean, self.scale.sd, strict=True):
            values = encoded[name] * sd + mean
            is_year = name in self.schema.years
            shown[name] = [round(self.reference_year - age) for age in values] if is_year else _round(values)
        for name, levels in self.levels.items():
            indicators = encoded[[f"{name}_{level}" for level in levels]].to_numpy()
            known = [*levels, None]
            shown[name] = [
                known[place] for place in np.where((indicators > 0).any(axis=1), indicators.argmax(axis=1), -1)
            ]
        return pd.DataFrame(shown)


def fit_model(
    raw: pd.DataFrame,
    schema: Schema,
    estimator: Any = None,
    *,
    reference_year: int = 2021,
    mismatch_cost: float = MISMATCH_COST,
    scaler: ScalerName = "standard",
    latest_year: int | None = None,
    missing: Missing = "refuse",
    source: str | None = None,
    source_sha256: str | None = None,
) -> Model:
    """Fit a model on all rows of a table.

    Parameters
    ----------
    raw : DataFrame of shape (n_rows, n_columns)
        Raw rows with the schema's columns.
    schema : Schema
        The columns.
    estimator : estimator, callable or None, default=None
        An unfitted estimator, or a search, whose best estimator is kept. None takes a KNNRegressor with 13 neighbours,
        or a KNNClassifier where the target is a class. A function gets the encoded, scaled rows as a frame and their
        targets, and returns a fitted estimator.
    reference_year : int, default=2021
        The year in which an age is 0.
    mismatch_cost : float, default=8
        What two different levels of a category add to a squared distance, at least 0.
    scaler : {"standard", "robust", "minmax"}, default="standard"
        What scales the numbers, see `energyknn.scaling.fit_scale`.
    latest_year : int or None, default=None
        Last calendar year that a year column may hold. None sets no limit.
    missing : {"refuse", "median"}, default="refuse"
        What to do about missing numbers, years and categories. "median" fills numbers and years with the median of
        these rows, here and in the rows to predict, and takes a missing level for none of the levels. A missing target
        is always refused.
    source, source_sha256 : str or None, default=None
        Name and checksum of the file that the rows came from.

    Returns
    -------
    Model
        The fitted model. The scale of numbers is learned from all rows.

    Raises
    ------
    DataFileError
        If the table breaks a rule of the schema.
    ValueError
        If there are too few rows for the estimator, it cannot use them, or `missing` is unknown.

    See Also
    --------
    save_model : Write a model to a file.
    energyknn.schema.make_schema : Describe the columns.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> schema = make_schema(target="price", numbers=["area"])
    >>> homes = pd.DataFrame({"area": range(20), "price": range(20)})
    >>> fit_model(homes, schema).predict(homes.head(1))
    array([6.])
    """
    check_choice(missing, MISSING, name="missing")
    fills = None
    if missing == "median":
        table = check_table(raw, schema, latest_year=latest_year, missing="keep")
        fills = fit_fills(table, schema)
        table = apply_fills(table, fills)
    else:
        table = _check_without_gaps(raw, schema, latest_year=latest_year)
    levels = fit_levels(table, schema)
    X = encode_features(table, levels, schema, reference_year=reference_year, mismatch_cost=mismatch_cost)
    scale = fit_scale(X, schema.numbers, scaler=scaler)
    X, y = apply_scale(X, scale), target_values(table, schema)
    if estimator is None:
        estimator = (KNNClassifier if schema.classifies else KNNRegressor)(_N_NEIGHBORS)
    fitted = clone(estimator).fit(X, y) if hasattr(estimator, "fit") else estimator(X, y)
    fitted = getattr(fitted, "best_estimator_", fitted)
    y = _as_numbers(y, fitted, schema)
    probes = X.iloc[:_N_PROBES]
    return Model(
        schema=schema,
        levels=levels,
        scale=scale,
        reference_year=int(reference_year),
        mismatch_cost=float(mismatch_cost),
        estimator=fitted,
        training=Training(len(X), _hash_rows(X, y), source, source_sha256),
        rows=X.to_numpy(),
        targets=y,
        labels={name: Texts.of(table[name]) for name in schema.texts if name in table},
        probe=Probe(probes.to_numpy(), _as_numbers(fitted.predict(probes), fitted, schema)),
        versions={"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}},
        fills=fills,
    )


def _check_without_gaps(raw: pd.DataFrame, schema: Schema, **options: Any) -> pd.DataFrame:
    """Check a table, and where it is refused for missing cells alone say what fills them."""
    try:
        return check_table(raw, schema, **options)
    except DataFileError as error:
        try:
            check_table(raw, schema, missing="keep", **options)
        except DataFileError:
            raise error from None
        message = f'{error} A model that is fitted with missing="median" fills them (--missing median).'
        raise DataFileError(message) from None


def _round(values: pd.Series) -> list[float]:
    """Round numbers to twelve digits, which takes away what scaling them there and back has added."""
    return [float(f"{value:.12g}") for value in values]


def _as_numbers(values: Any, estimator: Any, schema: Schema) -> NDArray[np.float64]:
    """Return targets as numbers: the places of labels in the estimator's classes where the target is a class."""
    if schema.classifies:
        values = np.searchsorted(estimator.classes_, values)
    return np.asarray(values, dtype=np.float64)


def save_model(model: Model, path: str | Path) -> None:
    """Write a model to a file that runs no code when it is read.

    Parameters
    ----------
    model : Model
        The model.
    path : str or Path
        The file, or an existing folder, in which it is called `model.safetensors`.

    Raises
    ------
    ModelFileError
        If a file cannot hold such an estimator.
    OSError
        If the file cannot be written. The old file then stays as it was.

    See Also
    --------
    load_model : Read the file.

    Notes
    -----
    The file is replaced in one step. If the process ends early, the old file is still there, whole. The training rows
    are written once, even if the estimator holds them too.

    Examples
    --------
    >>> import tempfile
    >>> from energyknn.schema import make_schema
    >>> homes = pd.DataFrame({"area": range(20), "price": range(20)})
    >>> save_model(fit_model(homes, make_schema(target="price", numbers=["area"])), folder := tempfile.mkdtemp())
    >>> load_model(folder)
    Model(target='price', estimator=KNNRegressor, n_rows=20)
    """
    arrays: dict[str, NDArray[Any]] = {
        "training.rows": model.rows,
        "training.targets": model.targets,
        "probe.rows": model.probe.rows,
        "probe.predictions": model.probe.predictions,
    }
    for name, texts in model.labels.items():
        arrays |= {f"labels.{name}.content": texts.content, f"labels.{name}.edges": texts.edges}
    description = {
        "schema": [asdict(column) for column in model.schema.columns],
        "levels": {name: list(levels) for name, levels in model.levels.items()},
        "scale": asdict(model.scale),
        "reference_year": model.reference_year,
        "mismatch_cost": model.mismatch_cost,
        "estimator": encode_state(model.estimator, arrays, name="estimator"),
        "training": model.training._asdict(),
        "labels": list(model.labels),
        "versions": dict(model.versions),
    }
    if model.fills is not None:
        description["fills"] = dict(model.fills.medians)
    with staged_file(_find_file(path)) as staged:
        write_content(staged, description, arrays)


def load_model(path: str | Path, *, mmap: bool = False, schema: Schema | None = None) -> Model:
    """Read a model that `save_model` wrote. No code in the file is run.

    Parameters
    ----------
    path : str or Path
        The file, or a folder with `model.safetensors` in it.
    mmap : bool, default=False
        Whether to map the file into memory, so that processes that read one large model share its training rows. Each
        process prepares its own searches. Replace the file rather than writing into it meanwhile.
    schema : Schema or None, default=None
        The schema that the model must have been fitted on. None accepts any.

    Returns
    -------
    Model
        The model that was saved. On the same machine, its predictions have the same bits.

    Raises
    ------
    ModelFileError
        If the file is not a model, is not whole, has a byte changed, has a newer format, holds something that this
        release does not know, was fitted on another schema, or predicts something else than where it was fitted.

    See Also
    --------
    save_model : Write a model.
    describe_model : Read only what a file says about its model.

    Notes
    -----
    The file holds a few training rows with their predictions. They are predicted again here, and may differ by 1e-6 of
    the largest, because machines differ in the last bits of matrix products.

    Examples
    --------
    >>> import tempfile
    >>> from energyknn.schema import make_schema
    >>> homes = pd.DataFrame({"area": range(20), "price": range(20)})
    >>> save_model(fit_model(homes, make_schema(target="price", numbers=["area"])), folder := tempfile.mkdtemp())
    >>> load_model(folder).predict(homes.head(1))
    array([6.])
    """
    path = _find_file(path)
    content = read_content(path, mmap=mmap)
    try:
        with np.errstate(all="ignore"):
            model = _decode_model(content)
            probes = pd.DataFrame(model.probe.rows, columns=list(name_features(model.levels, model.schema)))
            predicted = _as_numbers(model.estimator.predict(probes), model.estimator, model.schema)
    except Exception as error:  # any error that the parts of a file cause is the file's fault
        message = (
            f"{path.name!r} cannot be used by this release: {' '.join(str(error).split()) or type(error).__name__}. "
            f"It was written by energyknn {content.written_by}. Fit it again."
        )
        raise ModelFileError(message) from error
    if not _are_close(predicted, model.probe.predictions):
        message = (
            f"{path.name!r} does not predict here what it predicted where it was fitted, with "
            f"{', '.join(f'{name} {release}' for name, release in model.versions.items())}. Use these, or fit it again."
        )
        raise ModelFileError(message)
    if schema is not None and schema != model.schema:
        message = (
            f"{path.name!r} predicts {model.schema.target!r} from {', '.join(model.schema.names)}, and not "
            f"{schema.target!r} from {', '.join(schema.names)}: another schema. Name the model of this one."
        )
        raise ModelFileError(message)
    return model


def describe_model(path: str | Path) -> dict[str, Any]:
    """Return what a model file says about its model, without making the model.

    Parameters
    ----------
    path : str or Path
        The file, or a folder with `model.safetensors` in it.

    Returns
    -------
    dict
        `written_by`, `target`, `columns`, `estimator`, `reference_year`, `training` and `versions`, as plain JSON.

    Raises
    ------
    ModelFileError
        If the file is not a model, is not whole, has a byte changed, or has a newer format.

    See Also
    --------
    load_model : Read the model.

    Examples
    --------
    >>> import tempfile
    >>> from energyknn.schema import make_schema
    >>> homes = pd.DataFrame({"area": range(20), "price": range(20)})
    >>> save_model(fit_model(homes, make_schema(target="price", numbers=["area"])), folder := tempfile.mkdtemp())
    >>> describe_model(folder)["columns"]
    ['area', 'price']
    """
    path = _find_file(path)
    content = read_content(path, mmap=True)
    held = content.description
    try:
        schema = _decode_schema(held["schema"])
        described = {name: held[name] for name in ("reference_year", "training", "versions")}
        estimator = held["estimator"]["estimator"]
    except (KeyError, TypeError, ValueError) as error:
        message = f"{path.name!r} cannot be used by this release: {error}. Fit it again."
        raise ModelFileError(message) from error
    columns = {"target": schema.target, "columns": list(schema.names)}
    return {"written_by": content.written_by, **columns, "estimator": estimator, **described}


def tabulate_predictions(
    model: Model,
    raw: pd.DataFrame,
    *,
    coverage: float | None = None,
    quantiles: Sequence[float] = (),
    at_most: Sequence[float] = (),
    latest_year: int | None = None,
    source: str = "table",
) -> pd.DataFrame:
    """Predict raw rows, and return the predictions beside the rows' text columns.

    Parameters
    ----------
    model : Model
        The model.
    raw : DataFrame of shape (n_rows, n_columns)
        Raw rows with the columns of `model.input_schema`.
    coverage : float or None, default=None
        Share of targets that intervals should cover. None takes the coverage that the model was fitted with.
    quantiles : sequence of float, default=()
        Shares of targets, each between 0 and 1. Each gets a column of the value that they lie below.
    at_most : sequence of float, default=()
        Values, in the target's unit. Each gets a column of the probability that the target is at most that.
    latest_year : int or None, default=None
        Last calendar year that a year column may hold. None sets no limit.
    source : str, default="table"
        What messages call the rows.

    Returns
    -------
    DataFrame of shape (n_rows, n_texts + 1 or more)
        The text columns of `raw`, then ``predicted_`` with the target's name, in the target's unit. If the model has
        intervals, ``lower_`` and ``upper_`` follow; where the target is a class, ``probability_`` does. The columns of
        `quantiles` and `at_most` are called as ``quantile_0.9_price`` and ``at_most_300000_price``.

    Raises
    ------
    DataFileError
        If a column is missing, there is no row, or a value breaks a rule.
    TypeError
        If `coverage`, `quantiles` or `at_most` is given for a model without intervals.
    ValueError
        If `coverage` or a quantile is not between 0 and 1.

    See Also
    --------
    Model : Predicts without a table.

    Examples
    --------
    >>> from energyknn.schema import make_schema
    >>> homes = pd.DataFrame({"area": range(20), "price": range(20), "name": list("abcdefghijklmnopqrst")})
    >>> model = fit_model(homes, make_schema(target="price", numbers=["area"], texts=["name"]))
    >>> tabulate_predictions(model, homes.head(1))
      name  predicted_price
    0    a              6.0
    """
    table = model.check(raw, latest_year=latest_year, source=source)
    X, target = model.encode(table), model.schema.target
    columns = {f"predicted_{target}": model.estimator.predict(X)}
    if model.schema.classifies:
        columns[f"probability_{target}"] = model.estimator.predict_proba(X).max(axis=1)
    if coverage is not None or isinstance(model.estimator, IntervalRegressor):
        lower, upper = model._require_intervals().predict_interval(X, coverage=coverage)
        columns |= {f"lower_{target}": lower, f"upper_{target}": upper}
    if len(quantiles):
        found = model._require_intervals().predict_quantiles(X, quantiles)
        columns |= {f"quantile_{name:g}_{target}": found[:, place] for place, name in enumerate(quantiles)}
    if len(at_most):
        found = model._require_intervals().predict_cdf(X, np.asarray(at_most, dtype=np.float64)[np.newaxis])
        columns |= {f"at_most_{name:.12g}_{target}": found[:, place] for place, name in enumerate(at_most)}
    return table[[name for name in model.schema.texts if name in table]].assign(**columns)


def _warn_of_unseen_levels(table: pd.DataFrame, model: Model) -> None:
    """Warn of levels that no training row held."""
    for name in model.schema.categories:
        known = [*model.levels[name], *model.schema[name].unknown]
        unseen = table[name][~table[name].isin(known) & table[name].notna()]
        if n_unseen := len(unseen):
            message = (
                f"Column {name!r} holds levels in {n_unseen} {'row' if n_unseen == 1 else 'rows'} that the model was "
                f"not fitted on, such as {unseen.iloc[0]!r}: they count as none of its levels."
            )
            warnings.warn(message, stacklevel=4)


def _warn_of_missing(table: pd.DataFrame, model: Model) -> None:
    """Warn of missing cells, with what they are filled with."""
    counts = table[[*model.schema.numbers, *model.schema.categories]].isna().sum()
    medians = model.fills.medians if model.fills else {}
    cells = [
        f"{name!r} in {count} {'row' if count == 1 else 'rows'} "
        + (f"(filled with {medians[name]:.8g})" if name in medians else "(counts as none of its levels)")
        for name, count in zip(counts.index.astype(str), counts, strict=True)
        if count
    ]
    if cells:
        warnings.warn(f"Missing cells: {', '.join(cells)}.", stacklevel=4)


def _hash_rows(X: pd.DataFrame, y: NDArray[np.float64]) -> str:
    """Return the checksum of rows and targets."""
    digest = hashlib.sha256(np.ascontiguousarray(X.to_numpy(), dtype="<f8").data)
    digest.update(np.ascontiguousarray(y, dtype="<f8").data)
    return digest.hexdigest()


def _find_file(path: str | Path) -> Path:
    """Return the model file of a path that may be a folder."""
    path = Path(path)
    return path / MODEL_FILE if path.is_dir() else path


def _decode_model(content: Content) -> Model:
    """Make a model of a file's content, and check that its parts belong together. It may raise any error."""
    held, arrays = content.description, content.arrays
    schema = _decode_schema(held["schema"])
    model = Model(
        schema=schema,
        levels={name: tuple(levels) for name, levels in held["levels"].items()},
        scale=Scale(*(tuple(held["scale"][name]) for name in ("columns", "mean", "sd"))),
        reference_year=held["reference_year"],
        mismatch_cost=held["mismatch_cost"],
        estimator=decode_state(held["estimator"], arrays),
        training=Training(**held["training"]),
        rows=arrays["training.rows"],
        targets=arrays["training.targets"],
        labels={
            name: Texts(arrays[f"labels.{name}.content"], arrays[f"labels.{name}.edges"]) for name in held["labels"]
        },
        probe=Probe(arrays["probe.rows"], arrays["probe.predictions"]),
        versions=held["versions"],
        fills=Fills(held["fills"]) if "fills" in held else None,  # files of older releases have none
    )
    levels = [level for levels in model.levels.values() for level in levels]
    scale, year = model.scale, held["reference_year"]
    _require(tuple(model.levels) == schema.categories, "categories")
    _require(all(isinstance(level, str | int | float) for level in levels), "levels")
    _require(scale.columns == schema.numbers, "the scale's columns")
    _require(len(scale.mean) == len(scale.sd) == len(scale.columns), "the scale's length")
    _require(all(map(_is_number, (*scale.mean, *scale.sd))) and all(sd > 0 for sd in scale.sd), "the scale")
    _require(type(year) is int and abs(year) < 1 << 31, "the reference year")
    _require(_is_number(model.mismatch_cost) and model.mismatch_cost >= 0, "the mismatch cost")
    fills = dict.fromkeys(schema.numbers, 0.0) if model.fills is None else model.fills.medians
    _require(
        set(fills) == set(schema.numbers) and all(map(_is_number, fills.values())),
        "what missing cells are filled with",
    )
    _require(all(isinstance(text, str) for pair in model.versions.items() for text in pair), "versions")
    shape = (model.training.n_rows, len(name_features(model.levels, schema)))
    _require(model.rows.dtype == model.targets.dtype == np.float64, "training rows")
    _require((model.rows.shape, model.targets.shape) == (shape, shape[:1]), "training rows")
    _require(all(len(texts) == model.training.n_rows for texts in model.labels.values()), "names of training rows")
    _require(len(model.probe.rows) > 0 and model.probe.predictions.ndim == 1, "the rows that are predicted again")
    return model


def _decode_schema(columns: Any) -> Schema:
    """Make the schema, and check the type of every field."""
    lists = ({**fields, "levels": tuple(fields["levels"]), "unknown": tuple(fields["unknown"])} for fields in columns)
    schema = Schema(tuple(Column(**fields) for fields in lists))
    for column in schema.columns:
        limits = [limit for limit in (column.minimum, column.maximum) if limit is not None]
        _require(all(isinstance(text, str) for text in (column.name, column.unit)), "a column's name")
        _require(column.role in get_args(Role) and isinstance(column.required, bool), "a column's role")
        _require(all(map(_is_number, limits)), "a column's range")
        _require(all(isinstance(level, str | int) for level in (*column.levels, *column.unknown)), "a column's levels")
    return schema


def _is_number(value: object) -> bool:
    """Return whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _require(holds: bool, what: str) -> None:
    """Refuse a file whose parts do not belong together."""
    if not holds:
        message = f"{what} and the rest do not go together"
        raise ModelFileError(message)


def _are_close(predicted: NDArray[np.float64], expected: NDArray[np.float64]) -> bool:
    """Return whether predictions differ only by rounding. NaN is never close."""
    is_alike = predicted.shape == expected.shape
    return is_alike and bool(np.abs(predicted - expected).max() <= _PROBE_TOLERANCE * np.abs(expected).max())
