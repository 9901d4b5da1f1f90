"""Scores of predicted classes, and where they are right and wrong. Pure functions of labels and shares of votes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support, roc_auc_score

_MOST_SHOWN = 20  # classes of a confusion matrix; the rest are counted together
_N_BINS = 10
_NORMAL = 1.959963984540054  # 97.5 % of a normal distribution lie below


class ClassScores(NamedTuple):
    """Scores of predicted classes; None where one is not defined. All but the log loss are better when larger.

    Attributes
    ----------
    accuracy : float
        Share of the rows whose class is predicted.
    balanced_accuracy : float
        Mean of that share over the classes of the rows.
    log_loss : float or None
        Mean of the negative logarithm of the share of votes for the actual class. None where a row has a class that no
        training row has.
    roc_auc : float or None
        Area under the ROC curve; of each class against the rest, and their mean, where there are more than two. None
        where the rows do not hold every class.
    """

    accuracy: float
    balanced_accuracy: float
    log_loss: float | None
    roc_auc: float | None


class ClassResult(NamedTuple):
    """How well one class is found: rows and scores; None where no row has, or gets, the class."""

    label: str
    train_rows: int
    test_rows: int
    precision: float | None
    recall: float | None
    f1: float | None


class Confusion(NamedTuple):
    """Rows by actual class (first axis) and predicted class (second); of many classes the rarest are one."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


class Reliability(NamedTuple):
    """Rows with about the same share of votes for the predicted class, and the share of them that is right."""

    n_rows: int
    mean_share: float
    right: tuple[float, float, float]


def elect(shares: NDArray[np.float64], classes: NDArray[Any]) -> NDArray[Any]:
    """Return the class with the largest share; of several, the smallest."""
    return np.asarray(classes[shares.argmax(axis=1)])


def evaluate_classes(y_true: ArrayLike, shares: NDArray[np.float64], classes: NDArray[Any]) -> ClassScores:
    """Score the votes for each class.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Actual classes.
    shares : ndarray of shape (n_rows, n_classes)
        Share of the votes for each class.
    classes : ndarray of shape (n_classes,)
        The classes of the training rows, ascending.

    Returns
    -------
    ClassScores
        As scikit-learn computes them.

    Examples
    --------
    >>> evaluate_classes(["a", "b"], np.array([[0.75, 0.25], [0.5, 0.5]]), np.array(["a", "b"])).accuracy
    0.5
    """
    actual = np.asarray(y_true)
    right = elect(shares, classes) == actual
    held = np.unique(actual)
    balanced = float(np.mean([right[actual == label].mean() for label in held]))
    known = bool(np.isin(held, classes).all())
    loss = float(log_loss(actual, shares, labels=classes)) if known and len(classes) > 1 else None
    return ClassScores(float(right.mean()), balanced, loss, _measure_area(actual, shares, classes, held))


def _measure_area(
    actual: NDArray[Any], shares: NDArray[np.float64], classes: NDArray[Any], held: NDArray[Any]
) -> float | None:
    """Return the area under the ROC curve, or None where the rows do not hold every class."""
    if len(classes) < 2 or not np.array_equal(held, classes):
        return None
    if len(classes) == 2:
        return float(roc_auc_score(actual == classes[1], shares[:, 1]))
    return float(roc_auc_score(actual, shares, multi_class="ovr", labels=classes))


def score_votes(
    codes: NDArray[np.int64], votes: NDArray[np.int64], n_neighbors: Sequence[int], *, n_classes: int
) -> NDArray[np.float64]:
    """Score the votes of the first k neighbours, for many k at once.

    One more neighbour adds one vote, so each k costs as much as one column.

    Parameters
    ----------
    codes : ndarray of shape (n_rows,), int64
        Place of each row's class.
    votes : ndarray of shape (n_rows, n_votes), int64
        Places of the neighbours' classes, the nearest first.
    n_neighbors : sequence of int
        Numbers of neighbours, each at most n_votes.
    n_classes : int
        Number of classes.

    Returns
    -------
    ndarray of shape (3, len(n_neighbors))
        Accuracy, balanced accuracy and log loss, as `evaluate_classes` computes them.

    Examples
    --------
    >>> score_votes(np.array([0, 1]), np.array([[0, 1], [0, 1]]), [1, 2], n_classes=2)[0]
    array([0.5, 0.5])
    """
    places, sizes = np.arange(len(codes)), np.bincount(codes, minlength=n_classes)
    counts = np.zeros((len(codes), n_classes), dtype=np.int32)
    elected, for_actual = votes[:, 0].copy(), np.zeros(len(codes))
    tiny, scores = np.finfo(np.float64).eps, {}
    for k, cast in enumerate(votes.T, start=1):
        counts[places, cast] += 1
        lead = counts[places, cast] - counts[places, elected]
        elected = np.where((lead > 0) | ((lead == 0) & (cast < elected)), cast, elected)
        for_actual += cast == codes
        right = elected == codes
        balanced = (np.bincount(codes[right], minlength=n_classes)[sizes > 0] / sizes[sizes > 0]).mean()
        scores[k] = (right.mean(), balanced, -np.log((for_actual / k).clip(tiny, 1 - tiny)).mean())
    return np.array([scores[k] for k in n_neighbors]).T


def judge_each_class(y_train: ArrayLike, y_test: ArrayLike, predicted: ArrayLike) -> tuple[ClassResult, ...]:
    """Count the rows of each class, and score how well it is found among the test rows, the largest class first."""
    train, test = np.asarray(y_train), np.asarray(y_test)
    labels = rank_classes(train, test)
    precision, recall, f1, _ = precision_recall_fscore_support(test, predicted, labels=labels, zero_division=np.nan)
    scores = np.column_stack([precision, recall, f1])
    return tuple(
        ClassResult(
            *(str(label), int((train == label).sum()), int((test == label).sum())),
            *(None if np.isnan(score) else float(score) for score in found),
        )
        for label, found in zip(labels, scores, strict=True)
    )


def rank_classes(*sides: NDArray[Any]) -> list[Any]:
    """Return every class, the one with the most rows first; of several, the smallest first."""
    classes, counts = np.unique(np.concatenate(sides), return_counts=True)
    return [classes[place] for place in np.argsort(-counts, kind="stable")]


def count_confusions(y_test: ArrayLike, predicted: ArrayLike, ranked: Sequence[Any]) -> Confusion:
    """Count rows by actual and predicted class.

    Parameters
    ----------
    y_test, predicted : array-like of shape (n_rows,)
        Actual and predicted classes.
    ranked : sequence
        Every class, in the order wanted. Of more than 20, the last are counted together.

    Returns
    -------
    Confusion
        Counts that add up to the number of rows.
    """
    counts = confusion_matrix(y_test, predicted, labels=list(ranked))
    labels = [str(label) for label in ranked]
    if len(labels) > _MOST_SHOWN:
        first = _MOST_SHOWN - 1
        starts = range(_MOST_SHOWN)
        counts = np.add.reduceat(np.add.reduceat(counts, starts, axis=0), starts, axis=1)
        labels = [*labels[:first], f"{len(labels) - first} others"]
    return Confusion(tuple(labels), tuple(tuple(row) for row in counts.tolist()))


def measure_reliability(y_true: ArrayLike, shares: NDArray[np.float64], classes: NDArray[Any]) -> list[Reliability]:
    """Compare the share of votes for the predicted class with the share of rows that are right.

    Parameters
    ----------
    y_true : array-like of shape (n_rows,)
        Actual classes.
    shares : ndarray of shape (n_rows, n_classes)
        Share of the votes for each class.
    classes : ndarray of shape (n_classes,)
        The classes, ascending.

    Returns
    -------
    list of Reliability
        Up to ten groups of rows with about equal shares, ascending. The interval of 95 % is Wilson's.
    """
    largest = shares.max(axis=1).round(12)  # so that sums of equal votes are equal
    right = elect(shares, classes) == np.asarray(y_true)
    found = []
    for values in _gather(largest):
        rows = np.isin(largest, values)
        interval = _estimate_share(int(right[rows].sum()), int(rows.sum()))
        found.append(Reliability(int(rows.sum()), float(largest[rows].mean()), interval))
    return found


def _gather(shares: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Gather neighbouring shares until each group holds a tenth of the rows; what is left joins the last."""
    values, counts = np.unique(shares, return_counts=True)
    starts, held = [0], 0
    for place, count in enumerate(counts):
        if held >= len(shares) / _N_BINS:
            starts.append(place)
            held = 0
        held += count
    if held < len(shares) / _N_BINS and len(starts) > 1:
        starts.pop()
    return np.split(values, starts[1:])


def _estimate_share(n_right: int, n_rows: int) -> tuple[float, float, float]:
    """Return a share and the ends of Wilson's interval of 95 %."""
    share, square = n_right / n_rows, _NORMAL**2
    centre = (share + square / (2 * n_rows)) / (1 + square / n_rows)
    reach = _NORMAL * np.sqrt(share * (1 - share) / n_rows + square / (4 * n_rows**2)) / (1 + square / n_rows)
    return share, float(min(share, centre - reach)), float(max(share, centre + reach))
