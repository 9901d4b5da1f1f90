"""The scores of many candidates on the training rows of a file, from one search for each fold and distance."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from energyknn.encoding import MISMATCH_COST
from energyknn.errors import ParameterError, suggest_name
from energyknn.estimators import KNNClassifier, from_grid_search
from energyknn.estimators.search_units import run_units_here
from energyknn.estimators.transformers import ColumnWeights
from energyknn.inspection import group_columns
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study.dataset import Dataset, read_dataset
from energyknn.study.describing import describe_dataset
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Prepared, Protocol, prepare
from energyknn.tuning import Candidate, CandidateScores, ScoreTable, compare_candidates, score_candidates
from energyknn.tuning.scoring import resolve_scoring

SCALERS: Mapping[str, Any] = {
    "as it is": None,
    "standard": StandardScaler,
    "robust": RobustScaler,
    "minmax": MinMaxScaler,
}
"""The scalers that `tune` fits on the training rows of each fold."""

_FITTED = ("n_neighbors", "weights", "p", "mismatch_cost", "scaler", "without")
"""What of a candidate a model is fitted with."""


def fit_search(search: Any, X: Any, y: Any, *, track: Track[Any] = track_silently) -> Any:
    """Fit a search of `from_grid_search` on this machine."""
    with search.run_units_with(partial(run_units_here, track=track)):
        return search.fit(X, y)


def tune(
    data: str | Path | Dataset,
    protocol: Protocol,
    *,
    n_neighbors: Sequence[int],
    weights: Sequence[str] = ("uniform",),
    p: Sequence[int] = (2,),
    mismatch_cost: Sequence[float] = (MISMATCH_COST,),
    scaler: Sequence[str] = ("as it is",),
    without: Sequence[Sequence[str]] = ((),),
    scoring: str | None = None,
    schema: Schema = SPOTIFY,
    latest_year: int | None = None,
    track: Track[Any] = track_silently,
    score: Callable[..., CandidateScores] = score_candidates,
    fit: Callable[..., Any] = fit_search,
) -> dict[str, Any]:
    """Score every candidate on the training rows of a file, with one search for each fold and distance.

    A candidate is a combination of one value of each sequence.

    Parameters
    ----------
    data : str, Path or Dataset
        A data file, or one that was read already.
    protocol : Protocol
        Which rows are held out, which rows the scale is learned from, and the number of folds.
    n_neighbors, weights : sequence
        Numbers of neighbours, and names of their weights. These candidates share a search.
    p : sequence of {1, 2}, default=(2,)
        Manhattan (1) or Euclidean (2) distance.
    mismatch_cost : sequence of float, default=(8,)
        What two rows that differ in a category add to their squared distance. The notebook's encoding costs 8.
    scaler : sequence of str, default=("as it is",)
        Keys of `SCALERS`: what scales the numbers once more, learned from the training rows of each fold.
    without : sequence of sequences of str, default=((),)
        Columns that are left out.
    scoring : str or None, default=None
        The name of a scikit-learn scorer; None for "r2", or "accuracy" where the target is a class.
    schema : Schema, default=SPOTIFY
        The role of each column of the file.
    latest_year : int or None, default=None
        The last calendar year that the file may hold. None allows any.
    track : Track, default=track_silently
        Shows progress.
    score : callable, default=score_candidates
        Scores candidates, with the arguments of `score_candidates`, on this machine or on others.
    fit : callable, default=fit_search
        Fits a search for classes: called with what `from_grid_search` returned, rows, labels and `track`.

    Returns
    -------
    dict
        What `energyknn tune --json` prints: the scores of all `candidates` as they were tried, the `best`, the
        `smoothest_within_one_standard_error` of it, and the arguments that fit the best: `fit` and `data`.

    Raises
    ------
    DataFileError
        If the file cannot be used.
    ValueError
        If a candidate or the scoring cannot be used.

    See Also
    --------
    energyknn.tuning.candidates.score_candidates : The same on arrays.
    """
    dataset = data if isinstance(data, Dataset) else read_dataset(data, schema, latest_year=latest_year)
    schema = dataset.schema
    prepared = prepare(dataset.table, protocol, schema=schema, n_neighbors=max(n_neighbors))
    distances = []
    for cost, name, left_out in product(mismatch_cost, scaler, without):
        transformer = _make_transformer(schema, prepared.X_train.columns.tolist(), cost, name, left_out)
        distances.append(({"mismatch_cost": cost, "scaler": name, "without": list(left_out)}, transformer))
    candidates = [
        Candidate(k, name, exponent, transformer, label)
        for (label, transformer), exponent, name, k in product(distances, p, weights, n_neighbors)
    ]
    scoring = scoring or ("accuracy" if schema.classifies else "r2")
    _check_scoring(scoring, prepared.y_train, schema)
    if schema.classifies:
        scores = _score_classes(prepared, candidates, scoring, partial(fit, track=track))
    else:
        options = {"candidates": candidates, "folds": prepared.folds, "scoring": {scoring: scoring}, "track": track}
        scores = score(prepared.X_train, prepared.y_train, **options).test[scoring]
    rows = [
        {
            "n_neighbors": candidate.n_neighbors,
            "weights": candidate.weights,
            "p": candidate.p,
            **candidate.label,
            "mean_test_score": float(mean),
            "std_test_score": float(std),
        }
        for candidate, mean, std in zip(scores.candidates, scores.mean, scores.std, strict=True)
    ]
    best, smoothest = scores.best, scores.smoothest
    compared = compare_candidates(scores[best], scores[smoothest], test_share=1 / (protocol.n_splits - 1))
    return {
        "schema": describe_dataset(dataset)["schema"],
        "data": {"path": dataset.path, "sha256": dataset.sha256, "arguments": list(dataset.arguments)},
        "scaling": protocol.scaling,
        "scoring": scoring,
        "score": rows[best]["mean_test_score"],
        "fit": {name: rows[best][name] for name in _FITTED},
        "folds": protocol.n_splits,
        "rows_in_fold": min(len(fold.train) for fold in prepared.folds),
        "searches": len(distances) * len(p) * protocol.n_splits,
        "rows": len(prepared.y_train),
        "candidates": rows,
        "best": rows[best],
        "smoothest_within_one_standard_error": rows[smoothest],
        "best_minus_smoothest": compared._asdict(),
    }


def _check_scoring(scoring: str, y: Any, schema: Schema) -> None:
    """Require a scorer that can score this target, by letting it score a model that predicts the same everywhere."""
    resolve_scoring(scoring)
    model = (DummyClassifier if schema.classifies else DummyRegressor)().fit(np.zeros((len(y), 1)), y)
    reason = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            score = get_scorer(scoring)(model, np.zeros((len(y), 1)), y)
        except (ValueError, TypeError, AttributeError) as error:
            score, reason = np.nan, f" ({' '.join(str(error).split()).rstrip('.')})"
    if np.isnan(score):
        what, usual = ("a class", "accuracy") if schema.classifies else ("a number", "r2")
        message = (
            f"scoring {scoring!r} cannot score {schema.target!r}, which is {what}{reason}. Take another, such as "
            f"{usual}, or say with --task what the target is."
        )
        raise ParameterError(message)


def _score_classes(
    prepared: Prepared, candidates: Sequence[Candidate], scoring: str, fit: Callable[..., Any]
) -> ScoreTable:
    """Score candidates as classifiers."""
    grid = [
        {
            "distance": [candidate.transformer or "passthrough"],
            "knn__n_neighbors": [candidate.n_neighbors],
            "knn__weights": [candidate.weights],
            "knn__p": [candidate.p],
        }
        for candidate in candidates
    ]
    pipeline = Pipeline([("distance", "passthrough"), ("knn", KNNClassifier())])
    folds = [tuple(fold) for fold in prepared.folds]
    options = {"cv": folds, "scoring": scoring, "refit": False, "error_score": "raise"}
    search = from_grid_search(GridSearchCV(pipeline, grid, **options))
    results = fit(search, prepared.X_train, prepared.y_train).cv_results_
    values = [results[f"split{number}_test_score"] for number in range(len(folds))]
    return ScoreTable(candidates, np.column_stack(values))


def _make_transformer(
    schema: Schema, columns: Sequence[str], mismatch_cost: float, scaler: str, without: Sequence[str]
) -> Any:
    """Return the transformer of one distance, or None where all columns stay as they are."""
    known = (*schema.numbers, *schema.categories)
    unknown = [name for name in without if name not in known]
    if unknown:
        asked = suggest_name(unknown[0], known)
        message = f"Cannot leave out {', '.join(map(repr, unknown))}.{asked} The columns are {', '.join(known)}."
        raise ParameterError(message)
    if scaler not in SCALERS:
        message = f"Scaler {scaler!r} is unknown.{suggest_name(scaler, SCALERS)} Known are {', '.join(SCALERS)}."
        raise ParameterError(message)
    if not (np.isfinite(mismatch_cost) and mismatch_cost >= 0):
        message = f"mismatch_cost is {mismatch_cost!r}. It must be a finite number of at least 0; the notebook's is 8."
        raise ParameterError(message)
    numbers = list(schema.numbers)
    weights = {name: float(np.sqrt(mismatch_cost / MISMATCH_COST)) for name in columns if name not in numbers}
    grouped = group_columns(columns, schema)
    weights |= {str(name): 0.0 for left_out in without for name in grouped.get(left_out, ())}
    if SCALERS[scaler] is None:
        return None if all(weight == 1 for weight in weights.values()) else ColumnWeights(weights)
    options = {"remainder": "passthrough", "verbose_feature_names_out": False}
    scaled = make_column_transformer((SCALERS[scaler](), numbers), **options)
    return make_pipeline(scaled.set_output(transform="pandas"), ColumnWeights(weights))
