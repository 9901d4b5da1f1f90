"""A study to the mapping that `results.json` holds: numbers as numbers, nothing that JSON cannot say."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from energyknn.fitting import Scores
from energyknn.study import notebook
from energyknn.study.comparison import (
    ColumnReport,
    CurvePoint,
    Effect,
    GroupErrors,
    IntervalReport,
    ModelScore,
    NestedEstimate,
)
from energyknn.study.protocol import ModelFigures, Study
from energyknn.study.tools import TOOLS, Tool
from energyknn.tuning import ScoreTable

__all__ = [
    "describe_analyses",
    "describe_environment",
    "describe_models",
    "describe_notebook",
    "describe_reliability",
    "describe_study",
]

_PACKAGES = (
    "energyknn",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "joblib",
    "numba",
    "ray",
    "tune-sklearn",
    "torch",
)


def describe_study(study: Study, honest: Study | None = None, *, tool: Tool = "grid") -> dict[str, Any]:
    """Describe a study's figures for `results.json`.

    Parameters
    ----------
    study : Study
        The study in the notebook's own order.
    honest : Study or None
        The same with the scale fitted on training rows and songs kept on one side.
    tool : {"one-search", "grid", "tune-sklearn", "ray"}, default="grid"
        What scored the candidates.

    Returns
    -------
    dict
        The keys `protocol`, `base`, `coarse`, `micro`, `tuned`, `overfitting`, `honest` and `seconds`.
    """
    coarse_tool, micro_tool = TOOLS[tool]
    described: dict[str, Any] = {
        "protocol": {**_describe_protocol(study), "search": tool},
        "base": _describe_model(study.base),
        "coarse": {"tool": coarse_tool, **_describe_scores(study.coarse)},
        "micro": {"tool": micro_tool, **_describe_scores(study.micro)},
        "tuned": _describe_model(study.tuned),
        "overfitting": {
            "verdict": study.verdict.verdict,
            "explanation": study.verdict.explanation,
            "train_minus_test_r2": {"base": study.base.gap.with_self, "tuned": study.tuned.gap.with_self},
            "without_self_minus_test_r2": {
                "base": study.base.gap.without_self,
                "tuned": study.tuned.gap.without_self,
            },
            "standard_error": {
                "base": study.base.gap.standard_error,
                "tuned": study.tuned.gap.standard_error,
            },
        },
    }
    if study.curve is not None:
        described["curve"] = _describe_scores(study.curve)
    seconds = dict(study.seconds)
    if honest is not None:
        described["honest"] = {
            "protocol": _describe_protocol(honest),
            "base": _describe_model(honest.base),
            "coarse": _describe_scores(honest.coarse),
            "micro": _describe_scores(honest.micro),
            "tuned": _describe_model(honest.tuned),
        }
        seconds["honest"] = sum(honest.seconds.values())
    described["seconds"] = seconds
    return described


def _describe_protocol(study: Study) -> dict[str, Any]:
    protocol = study.protocol
    return {
        "scaling": protocol.scaling,
        "reference_year": protocol.reference_year,
        "test_size": protocol.test_size,
        "random_state": protocol.random_state,
        "groups": protocol.groups,
        "train_rows": study.n_train,
        "test_rows": study.n_test,
    }


def _describe_model(model: ModelFigures) -> dict[str, Any]:
    return {
        "n_neighbors": model.n_neighbors,
        "train": model.train._asdict(),
        "train_without_self": model.train_without_self._asdict(),
        "test": model.test._asdict(),
    }


def _describe_scores(scores: ScoreTable) -> dict[str, Any]:
    return {
        "n_neighbors": list(scores.n_neighbors),
        "fold_test_scores": scores.values.tolist(),
        "mean_test_score": scores.mean.tolist(),
        "std_test_score": scores.std.tolist(),
        "best": scores.n_neighbors[scores.best],
    }


def describe_models(scores: Mapping[str, ModelScore]) -> dict[str, Any]:
    """Describe models beyond the notebook, as the part `beyond` of `results.json`.

    Parameters
    ----------
    scores : mapping of str to ModelScore
        As of `energyknn.study.comparison.compare_models`.

    Returns
    -------
    dict
        By model, the keys `cv_rmse`, `test`, `test_rmse` and `seconds`.
    """
    return {
        name: {part: value for part, value in _make_plain(score).items() if part != "predicted_test"}
        for name, score in scores.items()
    }


def describe_analyses(
    *,
    missing: Mapping[str, str],
    errors: Mapping[str, Mapping[str, Sequence[GroupErrors]]],
    learning_curve: Mapping[str, Sequence[CurvePoint]],
    effects: tuple[str, Sequence[Effect]],
    nested: NestedEstimate,
) -> dict[str, Any]:
    """Describe what the figures of `describe_models` are worth, as the part `beyond_analyses` of `results.json`.

    Parameters
    ----------
    missing : mapping of str to str
        What to do about each library that is not installed.
    errors : mapping of str to mapping
        By "decade" and "target", for each model its errors by group.
    learning_curve : mapping of str to sequence of CurvePoint
        By model.
    effects : tuple of str and sequence of Effect
        Of which model, and the effects.
    nested : NestedEstimate
        Of the notebook's k.

    Returns
    -------
    dict
        The same keys; each estimate a mapping with `value`, `low` and `high`.
    """
    described: dict[str, Any] = _make_plain(
        {
            "missing": missing,
            "errors": errors,
            "learning_curve": learning_curve,
            "effects": {"model": effects[0], "effects": effects[1]},
            "nested": nested,
        }
    )
    return described


def describe_reliability(intervals: IntervalReport, columns: ColumnReport) -> dict[str, Any]:
    """Describe what a learned model can be relied on for, as more keys of the part `beyond_analyses`.

    Parameters
    ----------
    intervals : IntervalReport
        Of the learned model, by decade.
    columns : ColumnReport
        Of one learned map.

    Returns
    -------
    dict
        `coverage` and `calibration`, lists of mappings; `constant_width`; `weights` and `importance` by column.
    """
    described: dict[str, Any] = _make_plain(
        {
            "coverage": intervals.coverage.rename_axis("group").reset_index().to_dict("records"),
            "calibration": intervals.calibration.to_dict("records"),
            "constant_width": intervals.constant_width,
            "weights": columns.weights,
            "importance": columns.importance,
        }
    )
    return described


def _make_plain(value: Any) -> Any:
    """Turn named tuples into mappings and other sequences into lists, whatever lies within."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): _make_plain(part) for name, part in value.items()}
    return [_make_plain(part) for part in value] if isinstance(value, tuple | list) else value


def describe_notebook() -> dict[str, Any]:
    """Describe what the notebook printed, in the same shape as a study.

    Returns
    -------
    dict
        The keys `rows`, `base`, `coarse`, `micro` and `tuned`.
    """

    def sides(figures: Mapping[str, Scores]) -> dict[str, Any]:
        return {side: scores._asdict() for side, scores in figures.items()}

    return {
        "rows": notebook.ROWS,
        "base": {"n_neighbors": notebook.BASE_N_NEIGHBORS, **sides(notebook.BASE)},
        "coarse": {"tool": "TuneSearchCV", **_describe_scores(notebook.COARSE)},
        "micro": {
            "tool": "GridSearchCV",
            "n_neighbors": list(notebook.MICRO_N_NEIGHBORS),
            "best": notebook.MICRO_BEST,
            "minutes": notebook.MICRO_MINUTES,
        },
        "tuned": {"n_neighbors": notebook.MICRO_BEST, **sides(notebook.TUNED)},
    }


def describe_environment(engine: str) -> dict[str, Any]:
    """Describe the machine and the versions of this run.

    Parameters
    ----------
    engine : str
        What searched the neighbours.

    Returns
    -------
    dict
        The keys `python`, `packages`, `cpu`, `threads`, `engine` and `device`.
    """
    packages = {}
    for name in _PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "packages": packages,
        "cpu": _cpu_model(),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "engine": engine,
        "device": "cpu",
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
