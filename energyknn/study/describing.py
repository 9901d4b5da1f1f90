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
from energyknn.study import notebook, results
from energyknn.study.comparison.coverage import IntervalReport
from energyknn.study.comparison.models import ModelScore
from energyknn.study.run import ModelFigures, Study, best_k
from energyknn.study.tools import TOOLS, ToolName
from energyknn.tuning import ScoreTable

_PACKAGES = ["energyknn", "numpy", "pandas", "scikit-learn", "scipy", "joblib", "numba", "ray", "tune-sklearn", "torch"]


def describe_study(study: Study, honest: Study | None = None, *, tool: ToolName = "grid") -> results.StudyPart:
    """Describe the figures of a study, and of the same study without leaks where there is one.

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

    def both(name: str) -> results.ByModel:
        return {"base": getattr(study.base.gap, name), "tuned": getattr(study.tuned.gap, name)}

    described: dict[str, Any] = {
        **figures,
        "protocol": {**figures["protocol"], "search": tool},
        "coarse": {"tool": coarse_tool, **figures["coarse"]},
        "micro": {"tool": micro_tool, **figures["micro"]},
        "overfitting": {
            **asdict(study.verdict),
            "train_minus_test_r2": both("with_self"),
            "without_self_minus_test_r2": both("without_self"),
            "standard_error": both("standard_error"),
        },
        "seconds": dict(study.seconds),
    }
    if study.curve is not None:
        described["curve"] = _describe_scores(study.curve)
    if honest is not None:
        described["honest"] = _describe_figures(honest)
        described["seconds"]["honest"] = sum(honest.seconds.values())
    return cast("results.StudyPart", described)


def _describe_figures(study: Study) -> results.HonestPart:
    return {
        "protocol": _describe_protocol(study),
        "base": _describe_model(study.base),
        "coarse": _describe_scores(study.coarse),
        "micro": _describe_scores(study.micro),
        "tuned": _describe_model(study.tuned),
    }


def _describe_protocol(study: Study) -> results.ProtocolPart:
    choices = {name: value for name, value in asdict(study.protocol).items() if name != "n_splits"}
    rows = {"train_rows": len(study.data.y_train), "test_rows": len(study.data.y_test)}
    return cast("results.ProtocolPart", choices | rows)


def _describe_model(model: ModelFigures) -> results.ModelPart:
    scores = {side: getattr(model, side)._asdict() for side in ("train", "train_without_self", "test")}
    return cast("results.ModelPart", {"n_neighbors": model.n_neighbors, **scores})


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
