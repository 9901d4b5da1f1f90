"""The shape of `results.json`, stated once: `Results`, or `NumberResults` and `ClassResults` for other columns.

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
    arguments: list[str]
    notes: list[str]


class ColumnPart(TypedDict):
    """A column, what it is used for, and its unit."""

    name: str
    role: Literal["number", "year", "category", "target", "label", "text"]
    unit: str


class SchemaPart(TypedDict):
    """The column to predict, its unit, what one row is, and every column."""

    target: str
    unit: str
    row: Literal["row", "track"]
    columns: list[ColumnPart]


class SavedModel(TypedDict):
    """The model in `model.safetensors`, which was fitted on all rows of the file."""

    file: str
    n_neighbors: int
    rows: int


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
    """The figures of the study of the notebook's columns."""

    curve: NotRequired[SearchPart]
    overfitting: OverfittingPart
    honest: NotRequired[HonestPart]
    seconds: SecondsPart


class RunPart(TypedDict):
    """The file, its columns, the command that makes the same results again, and what was written beside them."""

    data: DataPart
    schema: SchemaPart
    command: str
    files: list[str]
    model: SavedModel
    environment: EnvironmentPart


class Results(StudyPart, RunPart):
    """The whole of `results.json` for the notebook's columns."""

    beyond: NotRequired[dict[str, ComparedModel]]
    beyond_analyses: NotRequired[Analyses]
    notebook: NotebookPart


class OwnCurve(SearchPart):
    """The candidates of the one search, the largest k within one standard error of the best, and a remark on both."""

    within_one_standard_error: int
    remark: str


class MeanPart(TypedDict):
    """The baseline: the mean of the training rows as the prediction of every row."""

    predicted: float
    train: ScorePair
    test: ScorePair


class NumberFigures(TypedDict):
    """The figures of a study of other columns whose target is a number."""

    protocol: ProtocolPart
    baseline: MeanPart
    base: ModelPart
    curve: OwnCurve
    tuned: ModelPart


class OwnSeconds(TypedDict):
    """The seconds of each stage of a study of other columns."""

    load: float
    split: float
    encode: float
    scale: float
    search: float
    fit: float
    predict: float
    honest: NotRequired[float]
    total: float


class NumberResults(NumberFigures, RunPart):
    """The whole of `results.json` for other columns whose target is a number."""

    overfitting: OverfittingPart
    honest: NotRequired[NumberFigures]
    beyond: NotRequired[dict[str, ComparedModel]]
    beyond_analyses: NotRequired[Analyses]
    seconds: OwnSeconds


class ClassScorePart(TypedDict):
    """Scores of predicted classes; null where one is not defined."""

    accuracy: float
    balanced_accuracy: float
    log_loss: float | None
    roc_auc: float | None


class ClassModelPart(TypedDict):
    """A vote of `n_neighbors` neighbours and its scores."""

    n_neighbors: int
    train: ClassScorePart
    train_without_self: ClassScorePart
    test: ClassScorePart


class MajorityPart(TypedDict):
    """The baseline: the most frequent class of the training rows as the prediction of every row."""

    predicted: str
    train: ClassScorePart
    test: ClassScorePart


class ClassCurve(OwnCurve):
    """The accuracy of each candidate, and the means of its balanced accuracy and log loss."""

    mean_balanced_accuracy: list[float]
    mean_log_loss: list[float]


class ClassPart(TypedDict):
    """A class: its rows, and how well the tuned model finds it among the test rows; null where there are none."""

    label: str
    train_rows: int
    test_rows: int
    precision: float | None
    recall: float | None
    f1: float | None


class ConfusionPart(TypedDict):
    """Test rows by actual class (outer list) and predicted class (inner list)."""

    labels: list[str]
    counts: list[list[int]]


class ReliabilityPart(TypedDict):
    """Test rows by the share of votes for the predicted class: how many of them are right, with a 95 % interval."""

    n_rows: int
    mean_share: float
    right: EstimatePart


class AccuracyGaps(TypedDict):
    """The verdict on the tuned model and the figures behind it."""

    verdict: Literal["not overfit", "overfit"]
    explanation: str
    train_minus_test_accuracy: ByModel
    without_self_minus_test_accuracy: ByModel
    standard_error: ByModel


class ClassResults(RunPart):
    """The whole of `results.json` for other columns whose target is a class."""

    protocol: ProtocolPart
    baseline: MajorityPart
    base: ClassModelPart
    curve: ClassCurve
    tuned: ClassModelPart
    classes: list[ClassPart]
    confusion: ConfusionPart
    reliability: list[ReliabilityPart]
    overfitting: AccuracyGaps
    seconds: OwnSeconds


AnyResults = Results | NumberResults | ClassResults
"""What `results.json` holds."""
