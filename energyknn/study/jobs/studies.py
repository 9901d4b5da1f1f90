"""The studies that `reproduce` chooses from: of the notebook's columns, of other numbers, and of classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, cast

from energyknn.progress import Track, put_before
from energyknn.study import describing
from energyknn.study.dataset import Dataset
from energyknn.study.notebook import holds_tracks
from energyknn.study.own import NumberStudy, find_repeats, study_classes, study_numbers
from energyknn.study.protocol import Protocol
from energyknn.study.reporting.pictures import StudyArrays
from energyknn.study.run import Study, run_study
from energyknn.study.tools import ToolName, choose_tool


@dataclass(frozen=True)
class Choices:
    """What a run was asked for, beside its file; the words of `reproduce`."""

    scaling: Literal["all_rows", "train_only"]
    reference_year: int
    n_neighbors: Sequence[int] | None
    tool: ToolName
    use_gpu: bool
    honest: bool
    track: Track[Any]
    callbacks: Sequence[Any]

    @property
    def protocol(self) -> Protocol:
        """The protocol of the first study."""
        return Protocol(scaling=self.scaling, reference_year=self.reference_year)

    def choose_tools(self) -> tuple[Any, Any]:
        """Return what scores the candidates of the first study, and of the second."""
        options: dict[str, Any] = {"callbacks": self.callbacks}
        first = choose_tool(
            self.tool, random_state=self.protocol.random_state, use_gpu=self.use_gpu, track=self.track, **options
        )
        other: ToolName = "one-search" if self.tool == "one-search" else "grid"
        return first, choose_tool(other, track=put_before(SECOND, self.track), **options)


class Found(NamedTuple):
    """What a study found: its part of the results, the best k, and what pictures, files and comparisons need."""

    part: dict[str, Any]
    n_neighbors: int
    study: Study | NumberStudy | None = None
    searches: Mapping[str, Any] = MappingProxyType({})

    @property
    def arrays(self) -> StudyArrays | None:
        """What pictures of numbers are drawn from; None where the target is a class."""
        if self.study is None:
            return None
        data = self.study.data
        return StudyArrays(data.y_train, data.y_test, self.study.tuned.predicted_test)


SECOND = "Second study"
"""What the bars of the second study begin with."""


def choose_study(dataset: Dataset) -> Callable[[Dataset, Choices], Found]:
    """Return what studies a file: the notebook's way for its columns, or by the kind of the target."""
    if dataset.is_notebooks:
        return _study_notebooks_columns
    return _study_classes if dataset.schema.classifies else _study_numbers


def _study_notebooks_columns(dataset: Dataset, choices: Choices) -> Found:
    """Run the notebook's study, and perhaps the one without leaks."""
    first, other = choices.choose_tools()
    study = run_study(dataset.table, choices.protocol, first, schema=dataset.schema, track=choices.track)
    second = None
    if choices.honest:
        without_leaks = replace(choices.protocol, scaling="train_only", groups="songs")
        track = put_before(SECOND, choices.track)
        second = run_study(dataset.table, without_leaks, other, schema=dataset.schema, track=track)
    part = {
        **describing.describe_study(study, second, tool=choices.tool),
        "notebook": describing.describe_notebook(),
    }
    return Found(part, study.tuned.n_neighbors, study, study.searches)


def _study_numbers(dataset: Dataset, choices: Choices) -> Found:
    """Study other columns with a number to predict, and perhaps once more with equal rows kept on one side."""
    first, other = choices.choose_tools()
    table, options = dataset.table, {"schema": dataset.schema, "n_neighbors": choices.n_neighbors}
    study = study_numbers(table, choices.protocol, first.micro, track=choices.track, **cast("Any", options))
    groups: Literal["songs", "repeats"] = "songs" if holds_tracks(dataset.schema) else "repeats"
    second = None
    if choices.honest and find_repeats(table, dataset.schema, groups):
        track = put_before(SECOND, choices.track)
        apart = replace(choices.protocol, scaling="train_only", groups=groups)
        second = study_numbers(table, apart, other.micro, track=track, **cast("Any", options))
    return Found(describing.describe_numbers(study, second, tool=choices.tool), study.tuned.n_neighbors, study)


def _study_classes(dataset: Dataset, choices: Choices) -> Found:
    """Study other columns with a class to predict."""
    study = study_classes(
        *(dataset.table, choices.protocol),
        schema=dataset.schema,
        n_neighbors=choices.n_neighbors,
        track=choices.track,
    )
    return Found(describing.describe_classes(study), study.tuned.n_neighbors)
