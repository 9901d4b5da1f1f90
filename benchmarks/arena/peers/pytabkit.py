"""What the three peers that pytabkit fits have in common."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from arena.peers.peer import Fit, Fitted, Setting, finish
from arena.sets import Rows, split

MODULES = ("torch", "pytabkit")


def make_fit(name: str, **options: Any) -> Fit:
    """Return what fits pytabkit's model of that name; a fifth of the rows, whole groups, tells it when to stop."""

    def fit(rows: Rows, setting: Setting, kept_out: Rows | None, seed: int) -> Fitted:  # noqa: ARG001 - called alike
        models = import_module("pytabkit")
        import_module("torch").set_num_threads(1)
        medians = rows.X[rows.numbers].median().fillna(0.0)
        of_classes = {"val_metric_name": "cross_entropy"} if rows.classes else {}
        make = getattr(models, f"{name}_{'Classifier' if rows.classes else 'Regressor'}")
        model = make(**{**options, **of_classes, **setting}, device="cpu", n_threads=1, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(rows.X.fillna(medians), rows.y, val_idxs=split(rows, 5)[0].test)
        return finish(model, rows, setting, lambda X: X.fillna(medians))

    return fit
