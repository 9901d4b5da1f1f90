"""Other models on the study's rows, and what their errors, intervals and columns tell."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pandas as pd

from energyknn.progress import Track
from energyknn.schema import Schema
from energyknn.study import describing
from energyknn.study.comparison import diagnostics, models
from energyknn.study.comparison.columns import measure_columns
from energyknn.study.comparison.coverage import measure_intervals_by_decade
from energyknn.study.comparison.models import LEARNED, NOTEBOOK, ONE_MAP, TUNED_TREES
from energyknn.study.comparison.trees import find_missing_libraries
from energyknn.study.notebook import LARGEST_N_NEIGHBORS
from energyknn.study.protocol import Prepared
from energyknn.study.results import Analyses, ComparedModel
from energyknn.study.run import Study, list_candidates

_WITH_CURVES = (NOTEBOOK, ONE_MAP, "boosted trees")  # models that tune or average would take hours
_BY_GROUP = (NOTEBOOK, TUNED_TREES, LEARNED)


def compare_models_beyond(
    table: pd.DataFrame, study: Study, *, schema: Schema, track: Track[Any]
) -> tuple[dict[str, ComparedModel], Analyses]:
    """Compare models on the study's rows and analyse their errors."""
    started, data, protocol = time.perf_counter(), study.data, study.protocol
    listed = models.list_models(data.X_train.columns.tolist(), n_neighbors=study.tuned.n_neighbors, schema=schema)
    scores = models.compare_models(data, listed, track=track)
    inner = min(len(fold.train) for fold in data.folds) * (protocol.n_splits - 1) // protocol.n_splits
    curves = {name: diagnostics.measure_learning_curve(data, listed[name], track=track) for name in _WITH_CURVES}
    effects = diagnostics.measure_effects(table, protocol, listed[NOTEBOOK], data=data, schema=schema, track=track)
    analyses = {
        "missing": find_missing_libraries(),
        "reduced": {},
        "left_out": {},
        "interrupted": False,
        "errors": _tabulate_errors(table, data, scores, schema),
        "learning_curve": curves,
        "effects": {"model": NOTEBOOK, "effects": effects},
        "nested": diagnostics.estimate_nested(data, list_candidates(1, inner, n=LARGEST_N_NEIGHBORS), track=track),
    }
    analyses |= describing.describe_intervals_and_columns(
        measure_intervals_by_decade(table, data, listed[LEARNED], schema=schema),
        measure_columns(data, listed[ONE_MAP], schema=schema),
    )
    analyses["seconds"] = time.perf_counter() - started
    return describing.describe_models(scores), describing.make_plain(analyses)


def _tabulate_errors(
    table: pd.DataFrame, data: Prepared, scores: Mapping[str, models.ModelScore], schema: Schema
) -> dict[str, dict[str, tuple[diagnostics.GroupErrors, ...]]]:
    """Tabulate the errors of three models by target, and by decade where the table has years."""
    groups = {"target": diagnostics.label_bins(data.y_test)}
    if schema.years:
        groups["decade"] = diagnostics.label_decades(table[schema.years[0]].to_numpy()[data.X_test.index])
    tables = {
        what: {
            name: diagnostics.tabulate_errors(data.y_test, scores[name].predicted_test, labels) for name in _BY_GROUP
        }
        for what, labels in groups.items()
    }
    return {what: table for what, table in tables.items() if all(table.values())}
