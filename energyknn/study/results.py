"""The shape of `results.json`, stated once.

`docs/results.schema.json` is made from these types; a test holds it to them, and real results to it. R² has no unit. An
RMSE, a residual and a width are in the target's unit.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class DataPart(TypedDict):
    """The file that was read."""

    path: str
    rows: int
    nulls: int
    sha256: str
    synthetic: bool


class ProtocolPart(TypedDict):
    """Which rows were held out, and which rows the scale was learned from."""

    scaling: Literal["all_rows", "train_only"]
    reference_year: int
    test_size: float
    random_state: int
    groups: Literal["none", "songs", "repeats"]
    train_rows: int
    test_rows: int
    search: NotRequired[Literal["one-search", "grid", "tune-sklearn", "ray"]]


class ScorePair(TypedDict):
    """The two scores of some predictions."""

    r2: float
    rmse: float


class PrintedModel(TypedDict):
    """A model and the scores that the notebook printed."""

    n_neighbors: int
    train: ScorePair
    test: ScorePair


class ModelPart(PrintedModel):
    """A model of `n_neighbors` neighbours and its scores."""

    train_without_self: ScorePair


class SearchPart(TypedDict):
    """The candidates of a search, and the R² of each on the validation rows of each fold."""

    tool: NotRequired[str]
    n_neighbors: list[int]
    fold_test_scores: list[list[float]]
    mean_test_score: list[float]
    std_test_score: list[float]
    best: int


class ByModel(TypedDict):
    """A figure of both models."""

    base: float
    tuned: float


class OverfittingPart(TypedDict):
    """The verdict on the tuned model and the figures behind it."""

    verdict: Literal["not overfit", "overfit"]
    explanation: str
    train_minus_test_r2: ByModel
    without_self_minus_test_r2: ByModel
    standard_error: ByModel


class HonestPart(TypedDict):
    """The figures that both studies have; the second study is the one without leaks."""

    protocol: ProtocolPart
    base: ModelPart
    coarse: SearchPart
    micro: SearchPart
    tuned: ModelPart


class EstimatePart(TypedDict):
    """A figure and the ends of its interval."""

    value: float
    low: float
    high: float


class ComparedModel(TypedDict):
    """A model beyond the notebook."""

    cv_rmse: float
    test: ScorePair
    test_rmse: EstimatePart
    seconds: float


class GroupPart(TypedDict):
    """The errors of a group of test rows."""

    group: str
    n_rows: int
    rmse: EstimatePart
    residual: EstimatePart


class CurvePart(TypedDict):
    """The error of a model that learned from `n_train` rows."""

    n_train: int
    rmse: EstimatePart


class EffectPart(TypedDict):
    """The RMSE with the notebook's choice and with another one."""

    name: str
    usual: float
    other: float
    difference: EstimatePart
    n_train: int


class EffectsPart(TypedDict):
    """What choices of the protocol do to the error of a model."""

    model: str
    effects: list[EffectPart]


class NestedPart(TypedDict):
    """k chosen anew in each fold, and the RMSE of the folds with that k and with the common one."""

    n_neighbors: list[int]
    best: int
    nested_rmse: list[float]
    plain_rmse: list[float]
    optimism: EstimatePart


class CoveragePart(TypedDict):
    """The share of test rows whose target lies in its interval."""

    group: NotRequired[str]
    nominal: NotRequired[float]
    n_rows: int
    coverage: float
    coverage_low: float
    coverage_high: float
    mean_width: float


class BudgetPart(TypedDict):
    """The seconds that were asked for, and those that were measured to plan: of a fit and of its steps, by model."""

    seconds: float
    measured: dict[str, dict[str, float]]


class Analyses(TypedDict):
    """Errors of the models beyond the notebook by group and size, effects of the protocol, intervals and columns.

    `missing` names libraries that are not installed. `reduced` and `left_out` say, by model or part, what the budget
    or an interrupt took away. A part that was left out is not here.
    """

    missing: dict[str, str]
    reduced: dict[str, str]
    left_out: dict[str, str]
    interrupted: bool
    budget: NotRequired[BudgetPart]
    errors: NotRequired[dict[str, dict[str, list[GroupPart]]]]
    learning_curve: NotRequired[dict[str, list[CurvePart]]]
    effects: NotRequired[EffectsPart]
    nested: NotRequired[NestedPart]
    coverage: NotRequired[list[CoveragePart]]
    calibration: NotRequired[list[CoveragePart]]
    constant_width: NotRequired[float]
    weights: NotRequired[dict[str, EstimatePart]]
    importance: NotRequired[dict[str, EstimatePart]]
    seconds: float


class PrintedSearch(TypedDict):
    """The second search, of which the notebook printed no scores."""

    tool: str
    n_neighbors: list[int]
    best: int
    minutes: float


class NotebookPart(TypedDict):
    """What the notebook printed."""

    rows: int
    base: PrintedModel
    coarse: SearchPart
    micro: PrintedSearch
    tuned: PrintedModel


class SecondsPart(TypedDict):
    """The seconds of each stage."""

    load: float
    split: float
    encode: float
    scale: float
    base_fit: float
    base_predict: float
    base_without_self: NotRequired[float]
    coarse: float
    micro: float
    tuned: NotRequired[float]
    honest: NotRequired[float]
    total: float


class EnvironmentPart(TypedDict):
    """The machine and the versions of a run."""

    python: str
    packages: dict[str, str]
    cpu: str
    threads: int | None
    engine: str
    device: str


class StudyPart(HonestPart):
    """The figures of the study."""

    curve: NotRequired[SearchPart]
    overfitting: OverfittingPart
    honest: NotRequired[HonestPart]
    seconds: SecondsPart


class Results(StudyPart):
    """The whole of `results.json`."""

    data: DataPart
    beyond: NotRequired[dict[str, ComparedModel]]
    beyond_analyses: NotRequired[Analyses]
    notebook: NotebookPart
    environment: EnvironmentPart
