"""Tuning: random settings of a peer's space, scored on rows that are kept out, until the seconds are spent."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import accuracy_score, log_loss, root_mean_squared_error

from arena.peers.peer import Peer
from arena.sets import Rows, split
from energyknn.study.comparison.trees import draw_settings

N_INNER = 5  # one fold of so many is kept out


class Tuned(NamedTuple):
    """The setting that errs least on rows that were kept out, and what each trial came to."""

    setting: dict[str, Any]
    trials: list[dict[str, Any]]


def measure_errors(rows: Rows, predicted: np.ndarray) -> dict[str, float]:
    """Return the errors of predictions; the first is the one that models are chosen and ranked by."""
    if not np.isfinite(predicted).all():
        message = "it predicts what is no finite number"
        raise ValueError(message)
    if not rows.classes:
        return {"rmse": float(root_mean_squared_error(rows.y, predicted))}
    labels = np.arange(len(rows.classes))
    shares = np.clip(predicted, 1e-15, None)
    loss = log_loss(rows.y, shares / shares.sum(axis=1, keepdims=True), labels=labels)
    return {"log_loss": float(loss), "accuracy": float(accuracy_score(rows.y, predicted.argmax(axis=1)))}


def tune(
    peer: Peer, rows: Rows, seconds: float, *, seed: int = 0, clock: Callable[[], float] = time.perf_counter
) -> Tuned:
    """Try the peer's own default, then random settings until the seconds are spent.

    The default always counts. A trial that ends after the seconds are spent does not, nor does one that fails.
    """
    inner = split(rows, N_INNER)[0]
    train, kept_out = rows.take(inner.train), rows.take(inner.test)
    start = clock()
    trials: list[dict[str, Any]] = []
    for setting in draw_settings({}, peer.space, seed):
        begun = clock() - start
        if trials and begun >= seconds:
            break
        try:
            fitted = peer.fit(train, setting, kept_out, seed)
            found = {"setting": fitted.setting, "error": next(iter(score(fitted, kept_out).values()))}
        except Exception as error:  # a setting that a library cannot use is not chosen
            if not trials:
                raise
            found = {"setting": setting, "error": None, "failed": f"{type(error).__name__}: {error}"}
        ended = clock() - start
        if trials and ended > seconds:
            break
        trials.append({**found, "seconds": ended - begun})
    best = min((trial for trial in trials if trial["error"] is not None), key=lambda trial: trial["error"])
    return Tuned(best["setting"], trials)


def score(fitted: Any, rows: Rows) -> dict[str, float]:
    """Return the errors of a fitted peer on rows."""
    return measure_errors(rows, fitted.predict(rows.X))
