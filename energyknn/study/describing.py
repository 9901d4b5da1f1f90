"""A study as the mapping that `results.json` holds."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from energyknn.fitting import Scores
from energyknn.study import classes, notebook, results
from energyknn.study.comparison.coverage import IntervalReport
from energyknn.study.comparison.models import ModelScore
from energyknn.study.dataset import Dataset
from energyknn.study.overfitting import Verdict
from energyknn.study.own import ClassFigures, ClassStudy, NumberStudy
from energyknn.study.protocol import Prepared, Protocol
from energyknn.study.run import ModelFigures, Study, best_k
from energyknn.study.synthesis import are_synthetic
from energyknn.study.tools import TOOLS, ToolName
from energyknn.tuning import ScoreTable

_PACKAGES = ["energyknn", "numpy", "pandas", "scikit-learn", "scipy", "joblib", "numba", "ray", "tune-sklearn", "torch"]


def describe_dataset(dataset: Dataset) -> dict[str, Any]:
    """Describe a data file and its columns: the parts `data` and `schema`."""
    schema, table = dataset.schema, dataset.table
    is_track = notebook.holds_tracks(schema)
    columns = [{"name": column.name, "role": column.role, "unit": column.unit} for column in schema.columns]
    return {
        "data": {
            "path": dataset.path,
            "rows": len(table),
            "nulls": int(table.isna().sum().sum()),
            "sha256": dataset.sha256,
            "synthetic": is_track and are_synthetic(table),
            "arguments": list(dataset.arguments),
            "notes": list(dataset.notes),
        },
        "schema": {
            "target": schema.target,
            "unit": schema[schema.target].unit,
            "row": "track" if is_track else "row",
            "columns": columns,
        },
    }


def describe_study(study: Study, honest: Study | None = None, *, tool: ToolName = "grid") -> results.StudyPart:
    """Describe the figures of a study of the notebook's columns, and of the one without leaks where there is one.

    Parameters
    ----------
    study : Study
        The study in the notebook's own order.
    honest : Study or None, default=None
        The study with the scale learned from training rows and songs kept on one side.
    tool : {"one-search", "grid", "tune-sklearn", "ray"}, default="grid"
        What scored the candidates.

    Returns
    -------
    StudyPart
        Without the seconds that it takes to load the file, and without the total.
    """
    figures = _describe_figures(study)
    coarse_tool, micro_tool = TOOLS[tool]
    described: dict[str, Any] = {
        **figures,
        "protocol": {**figures["protocol"], "search": tool},
        "coarse": {"tool": coarse_tool, **figures["coarse"]},
        "micro": {"tool": micro_tool, **figures["micro"]},
        "overfitting": _describe_verdict(study.verdict, study.base, study.tuned, score="r2"),
        "seconds": dict(study.seconds),
    }
    if study.curve is not None:
        described["curve"] = _describe_scores(study.curve)
    if honest is not None:
        described["honest"] = _describe_figures(honest)
        described["seconds"]["honest"] = sum(honest.seconds.values())
    return cast("results.StudyPart", described)


def describe_numbers(study: NumberStudy, honest: NumberStudy | None, *, tool: ToolName) -> dict[str, Any]:
    """Describe a study of other columns whose target is a number, and the one that keeps equal rows together."""
    figures = _describe_number_figures(study)
    described = {
        **figures,
        "protocol": {**figures["protocol"], "search": tool},
        "curve": {"tool": TOOLS[tool][1], **figures["curve"]},
        "overfitting": _describe_verdict(study.verdict, study.base, study.tuned, score="r2"),
        "seconds": dict(study.seconds),
    }
    if honest is not None:
        described["honest"] = _describe_number_figures(honest)
        described["seconds"]["honest"] = sum(honest.seconds.values())
    return described


def describe_classes(study: ClassStudy) -> dict[str, Any]:
    """Describe a study of other columns whose target is a class."""
    data, shares = study.data, study.tuned.shares_test
    predicted = classes.elect(shares, study.classes)
    ranked = classes.rank_classes(data.y_train, data.y_test)
    reliability = [
        {**group._asdict(), "right": dict(zip(("value", "low", "high"), group.right, strict=True))}
        for group in classes.measure_reliability(data.y_test, shares, study.classes)
    ]
    means = {f"mean_{name}": values.tolist() for name, values in study.others.items()}
    return {
        "protocol": {**_describe_protocol(study.protocol, data), "search": "one-search"},
        "baseline": {**make_plain(study.baseline), "predicted": str(study.baseline.predicted)},
        "base": _describe_model(study.base),
        "curve": {"tool": TOOLS["one-search"][1], **_describe_curve(study.curve, study.remark), **means},
        "tuned": _describe_model(study.tuned),
        "classes": make_plain(classes.judge_each_class(data.y_train, data.y_test, predicted)),
        "confusion": make_plain(classes.count_confusions(data.y_test, predicted, ranked)),
        "reliability": reliability,
        "overfitting": _describe_verdict(study.verdict, study.base, study.tuned, score="accuracy"),
        "seconds": dict(study.seconds),
    }


def _describe_figures(study: Study) -> results.HonestPart:
    return {
        "protocol": _describe_protocol(study.protocol, study.data),
        "base": cast("results.ModelPart", _describe_model(study.base)),
        "coarse": _describe_scores(study.coarse),
        "micro": _describe_scores(study.micro),
        "tuned": cast("results.ModelPart", _describe_model(study.tuned)),
    }


def _describe_number_figures(study: NumberStudy) -> dict[str, Any]:
    return {
        "protocol": _describe_protocol(study.protocol, study.data),
        "baseline": make_plain(study.baseline),
        "base": _describe_model(study.base),
        "curve": _describe_curve(study.curve, study.remark),
        "tuned": _describe_model(study.tuned),
    }


def _describe_verdict(
    verdict: Verdict, base: ModelFigures | ClassFigures, tuned: ModelFigures | ClassFigures, *, score: str
) -> dict[str, Any]:
    def both(name: str) -> results.ByModel:
        return {"base": getattr(base.gap, name), "tuned": getattr(tuned.gap, name)}

    return {
        **asdict(verdict),
        f"train_minus_test_{score}": both("with_self"),
        f"without_self_minus_test_{score}": both("without_self"),
        "standard_error": both("standard_error"),
    }


def _describe_protocol(protocol: Protocol, data: Prepared) -> results.ProtocolPart:
    choices = {name: value for name, value in asdict(protocol).items() if name != "n_splits"}
    rows = {"train_rows": len(data.y_train), "test_rows": len(data.y_test)}
    return cast("results.ProtocolPart", choices | rows)


def _describe_model(model: ModelFigures | ClassFigures) -> dict[str, Any]:
    scores = {side: getattr(model, side)._asdict() for side in ("train", "train_without_self", "test")}
    return {"n_neighbors": model.n_neighbors, **scores}


def _describe_curve(scores: ScoreTable, remark: str) -> dict[str, Any]:
    near = scores.n_neighbors[scores.smoothest]
    return {**_describe_scores(scores), "within_one_standard_error": near, "remark": remark}


def _describe_scores(scores: ScoreTable) -> results.SearchPart:
    return {
        "n_neighbors": list(scores.n_neighbors),
        "fold_test_scores": scores.values.tolist(),
        "mean_test_score": scores.mean.tolist(),
        "std_test_score": scores.std.tolist(),
        "best": best_k(scores),
    }


def describe_models(scores: Mapping[str, ModelScore]) -> dict[str, results.ComparedModel]:
    """Describe the models beyond the notebook, by name."""
    plain = make_plain(scores, leave_out="predicted_test")
    return cast("dict[str, results.ComparedModel]", plain)


def describe_intervals(intervals: IntervalReport) -> dict[str, Any]:
    """Describe what intervals cover, as the parts of `energyknn.study.results.Analyses`."""
    return {
        "coverage": intervals.coverage.rename_axis("group").reset_index().to_dict("records"),
        "calibration": intervals.calibration.to_dict("records"),
        "constant_width": intervals.constant_width,
    }


def make_plain(value: Any, *, leave_out: str = "") -> Any:
    """Turn named tuples into mappings and other sequences into lists, at any depth."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {name: make_plain(part, leave_out=leave_out) for name, part in value.items() if name != leave_out}
    return [make_plain(part) for part in value] if isinstance(value, tuple | list) else value


def describe_notebook() -> results.NotebookPart:
    """Describe what the notebook printed."""
    return {
        "rows": notebook.ROWS,
        "base": _describe_printed(notebook.BASE_N_NEIGHBORS, notebook.BASE),
        "coarse": {"tool": "TuneSearchCV", **_describe_scores(notebook.COARSE)},
        "micro": {
            "tool": "GridSearchCV",
            "n_neighbors": list(notebook.MICRO_N_NEIGHBORS),
            "best": notebook.MICRO_BEST,
            "minutes": notebook.MICRO_MINUTES,
        },
        "tuned": _describe_printed(notebook.MICRO_BEST, notebook.TUNED),
    }


def _describe_printed(n_neighbors: int, scores: Mapping[str, Scores]) -> results.PrintedModel:
    return cast("results.PrintedModel", {"n_neighbors": n_neighbors, **make_plain(scores)})


def describe_environment(engine: str) -> results.EnvironmentPart:
    """Describe this machine and the versions of the packages.

    Parameters
    ----------
    engine : str
        What searches the neighbours.
    """
    packages = {}
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "python": platform.python_version(),
        "packages": packages,
        "cpu": _cpu_model(),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "engine": engine,
        "device": "cpu",
    }


def _cpu_model() -> str:
    """Name the processor as its system does; where it has no name, its kind."""
    named: str | None = None
    with suppress(OSError, subprocess.SubprocessError):
        if platform.system() == "Darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - fixed
            named = told.stdout.strip()
        else:
            lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
            models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
            named = next(models, None)
    return named or platform.processor() or platform.machine()
