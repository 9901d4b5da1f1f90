"""Swap the targets of some tracks, and count how many each way of looking for wrong rows finds.

    python benchmarks/measure_audit.py --data tracks.csv.gz                  # 20,000 of its rows
    python benchmarks/measure_audit.py --data tracks.csv.gz --rows 0         # all rows

Each way ranks all rows. Of as many rows as were spoilt, those that rank worst, the share of spoilt ones is printed, for
each seed. A library's threads are held to one, so that seconds can be compared on a machine that does other work.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor, IsolationForest
from sklearn.model_selection import KFold, cross_val_predict
from threadpoolctl import threadpool_limits

from energyknn import NeighborsModel
from energyknn.inspection import audit_rows, value_rows
from energyknn.study.dataset import read_dataset

SHARE = 0.05
FEW_NEIGHBORS = 5
FOLDS = KFold(5, shuffle=True, random_state=0)


def main() -> None:
    """Measure each way, and print a line for each seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="a file of tracks, as the notebook's")
    parser.add_argument("--rows", type=int, default=20_000, help="how many of its rows, or 0 for all")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    dataset = read_dataset(options.data)
    for seed in range(options.seeds):
        table = dataset.table.sample(options.rows or len(dataset.table), random_state=seed).reset_index(drop=True)
        measure(table, dataset.schema, seed)


def measure(table, schema, seed) -> None:
    """Spoil a table, and print what each way finds."""
    random, target = np.random.default_rng(seed), schema.target
    rows = random.choice(len(table), round(SHARE * len(table)), replace=False)
    swapped = table[target].to_numpy(copy=True)
    swapped[rows] = swapped[np.roll(rows, 1)]
    spoilt = table.assign(**{target: swapped})
    write(f"seed {seed}: {len(table):,} rows, {len(rows):,} of them spoilt")
    for effort in ("quick", "normal"):
        start = time.perf_counter()
        model = NeighborsModel(schema=schema, effort=effort, intervals=False).fit(spoilt).model_
        listed = audit_rows(model.estimator)
        report(f"misfit among neighbours, {effort}", -listed["misfit"].sort_index(), rows, start)
        report(f"value, {effort}: 20 neighbours", listed["value"].sort_index(), rows, start)
        values = value_rows(model.estimator, n_neighbors=FEW_NEIGHBORS, depth=300)
        report(f"value, {effort}: {FEW_NEIGHBORS} neighbours", values, rows, start)
        encoded = model.rows
    for name, rank in OTHERS.items():
        start = time.perf_counter()
        with threadpool_limits(1):
            report(name, rank(encoded, swapped), rows, start)


def rank_by_trees(X, y) -> np.ndarray:
    """Rank rows by their residual in a fit of gradient boosting without their fold."""
    return -measure_residuals(X, y)


def rank_by_scaled_trees(X, y) -> np.ndarray:
    """Rank rows by that residual over the one that is usual there, by a second fit; a fifth of the mean is added."""
    residuals = measure_residuals(X, y)
    return -residuals / (0.8 * predict_left_out(X, residuals).clip(min=0) + 0.2 * residuals.mean())


def measure_residuals(X, y) -> np.ndarray:
    """Predict each row by gradient boosting without its fold, and return how far its target is off."""
    return np.abs(y - predict_left_out(X, y))


def predict_left_out(X, y) -> np.ndarray:
    """Predict each row by gradient boosting without its fold."""
    return cross_val_predict(HistGradientBoostingRegressor(random_state=0), X, y, cv=FOLDS)


def rank_by_forest(X, y) -> np.ndarray:
    """Rank rows, with their targets, by how soon random cuts isolate them."""
    both = np.column_stack([X, (y - y.mean()) / y.std()])
    return IsolationForest(random_state=0).fit(both).score_samples(both)


OTHERS = {
    "residuals of trees, cross-validated": rank_by_trees,
    "the same over their usual size": rank_by_scaled_trees,
    "isolation forest": rank_by_forest,
}


def report(name, worth, rows, start) -> None:
    """Print the share of spoilt rows among the rows that are worth least."""
    least = np.argsort(np.asarray(worth), kind="stable")[: len(rows)]
    write(f"  {name:40s} {np.isin(least, rows).mean():.3f}  after {time.perf_counter() - start:.0f} s")


def write(line) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
