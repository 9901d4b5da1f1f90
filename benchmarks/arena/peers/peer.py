"""What a peer is: a name, what it needs, how it is fitted, and the settings that tuning draws from."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from arena.sets import CLASSIFICATION, REGRESSION, Rows

Setting = Mapping[str, Any]
Encode = Callable[[pd.DataFrame], Any]


class Fitted(NamedTuple):
    """A fitted peer: what predicts numbers, or shares of all classes, and the setting that fits it so again."""

    predict: Callable[[pd.DataFrame], np.ndarray]
    setting: dict[str, Any]


Fit = Callable[[Rows, Setting, Rows | None, int], Fitted]
"""Takes training rows, a setting, rows that are kept out (None where all are learned from), and a seed."""


@dataclass(frozen=True)
class Peer:
    """Somebody in the arena."""

    name: str
    package: str  # whose version counts
    fit: Fit
    space: Mapping[str, Any] = field(default_factory=dict)  # lists and distributions; {} is not tuned
    modules: tuple[str, ...] = ("sklearn",)
    tasks: tuple[str, ...] = (REGRESSION, CLASSIFICATION)
    is_ours: bool = False
    file: str = ""  # where it is written: part of what tells results of one code from those of another

    def find_missing(self) -> str:
        """Say why it cannot take part; "" where it can."""
        absent = [name for name in self.modules if importlib.util.find_spec(name) is None]
        return f"{', '.join(absent)}: not installed. nox -s arena installs all peers" if absent else ""


def finish(model: Any, rows: Rows, setting: Setting, encode: Encode = lambda X: X) -> Fitted:
    """Wrap an estimator that was fitted; a class that it was not shown gets a share of 0."""

    def predict(X: pd.DataFrame) -> np.ndarray:
        if not rows.classes:
            return np.asarray(model.predict(encode(X)), dtype=np.float64).reshape(-1)
        shares = np.zeros((len(X), len(rows.classes)))
        shares[:, np.asarray(model.classes_, dtype=np.int64)] = model.predict_proba(encode(X))
        return shares

    return Fitted(predict, dict(setting))
