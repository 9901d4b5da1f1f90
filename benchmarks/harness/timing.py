"""Honest timing: answers first, pairs interleaved, ratios with an interval, threads pinned."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import bootstrap
from threadpoolctl import threadpool_limits

from harness.peers import N_THREADS

CONFIDENCE = 0.95


def time_call(function: Callable[..., Any], *arguments: Any, **options: Any) -> tuple[float, Any]:
    """Return the seconds of a call and its result."""
    start = time.perf_counter()
    result = function(*arguments, **options)
    return time.perf_counter() - start, result


def median_interval(values: Any) -> tuple[float, float, float]:
    """Return the median and its 95 % bootstrap interval; of a single value, that value."""
    values = np.asarray(values, dtype=np.float64)
    middle = float(np.median(values))
    if len(values) < 2:
        return middle, middle, middle
    found = bootstrap(
        (values,), np.median, confidence_level=CONFIDENCE, method="percentile", n_resamples=4999, rng=0
    ).confidence_interval
    return middle, float(found.low), float(found.high)


@dataclass
class Recorder:
    """Times a case, and puts what it finds into the saved run and into the lines for the terminal."""

    benchmark: Any
    lines: list[str]

    def compare(
        self,
        case: str,
        rival: str,
        *,
        ours: Callable[[], Any],
        theirs: Callable[[], Any],
        check: Callable[[Any, Any], object],
        pairs: int = 3,
        n_ours: int = 1,
        factor: float = 1.0,
        check_first: bool = True,
        facts: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> tuple[Any, Any]:
        """Time a rival beside ours and return both results; `facts`, which `check` may fill, are kept with the times.

        The answers are checked before anything is timed; with `check_first` false, where a rival takes minutes,
        those of the first pair are, and a wrong one leaves no figures either. Ours goes first in one pair and
        second in the next. `n_ours` calls of ours stand beside each of the rival; `factor` multiplies its time.
        """
        if check_first:
            check(ours(), theirs())
        else:
            ours()
        times, results = {"ours": [], "theirs": []}, {}

        def run_ours(*_: Any) -> None:
            for _number in range(n_ours):
                seconds, results["ours"] = time_call(ours)
                times["ours"].append(seconds)

        def before() -> None:
            if len(times["theirs"]) % 2 == 0:
                run_ours()

        def run_theirs() -> None:
            seconds, results["theirs"] = time_call(theirs)
            times["theirs"].append(seconds * factor)

        def after(*_: Any) -> None:
            if len(times["theirs"]) % 2 == 0:
                run_ours()

        with threadpool_limits(N_THREADS):
            self.benchmark.pedantic(run_theirs, setup=before, teardown=after, rounds=pairs, iterations=1)
        check(results["ours"], results["theirs"])
        self.keep_ratio(case, rival, times, **(facts or {}), **more)
        return results["ours"], results["theirs"]

    def keep_ratio(self, case: str, rival: str, times: dict[str, list[float]], **facts: Any) -> None:
        """Put the ratios of times, with their interval, into the run and into a line."""
        n_ours = len(times["ours"]) // len(times["theirs"])
        ratios = np.repeat(times["theirs"], n_ours) / np.array(times["ours"])
        middle, low, high = median_interval(ratios)
        ours, theirs = (float(np.median(times[side])) for side in ("ours", "theirs"))
        self.benchmark.extra_info.update(
            case=case, rival=rival, times_faster=middle, interval=[low, high], ours_seconds=ours, rival_seconds=theirs,
            ours_times=times["ours"], rival_times=times["theirs"], pairs=len(times["theirs"]), threads=N_THREADS,
            **facts,
        )  # fmt: skip
        target = facts.get("target")
        wanted = f"at least {target:g}" if target else ""
        notes = "".join(f", {key} {value:.4g}" for key, value in facts.items() if key in ("recall", "rmse", "n_query"))
        self.lines.append(
            f"{case:<44} | {rival:<24} | {wanted:<13} | {middle:8.2f} times ({low:.2f} to {high:.2f}), "
            f"ours {ours:.4f} s, {theirs:.4f} s{notes}"
        )

    def keep_value(self, case: str, values: Any, *, unit: str, at_most: float | None = None, **facts: Any) -> float:
        """Put a figure that is better when smaller into the run, with its interval; return its median."""
        values = np.atleast_1d(values)
        middle, low, high = median_interval(values)
        self.benchmark.extra_info.update(
            case=case, value=middle, interval=[low, high], unit=unit, at_most=at_most, threads=N_THREADS, **facts
        )
        if len(values) > 1:
            self.benchmark.extra_info["pairs"] = len(values)
        wanted = f", at most {at_most:g}" if at_most else ""
        spread = f" ({low:.3g} to {high:.3g})" if high > low else ""
        self.lines.append(f"{case}: {middle:.3g}{spread} {unit}{wanted}")
        return middle
