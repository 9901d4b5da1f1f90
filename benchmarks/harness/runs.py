"""Saved runs: reading them, making them fit to publish, and telling what became slower between two."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.timing import median_interval

THRESHOLD = 1.25
FEW = 5  # the range of fewer pairs holds their median with less than 95 %
KEPT_OF_RUN = ("datetime", "version", "machine_info", "commit_info", "run")
KEPT_OF_CASE = ("group", "fullname", "extra_info")


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def read_run(path: str | Path) -> dict[str, Any]:
    """Read a saved run."""
    run: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return run


def strip_run(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return what can be published of a run: figures, versions and the machine's kind, no names and no paths."""
    kept = {name: run[name] for name in KEPT_OF_RUN if name in run}
    return kept | {"benchmarks": [{name: case[name] for name in KEPT_OF_CASE} for case in run["benchmarks"]]}


def format_run(run: Mapping[str, Any]) -> str:
    """Return the JSON of a run, one line for each case, so that two runs can be told apart line by line."""
    cases = ",\n".join(json.dumps(_round(case), ensure_ascii=False) for case in run["benchmarks"])
    rest = json.dumps({name: run[name] for name in run if name != "benchmarks"}, indent=1, ensure_ascii=False)
    return f'{rest[:-2]},\n "benchmarks": [\n{cases}\n]}}\n'


def _round(value: Any) -> Any:
    """Keep six digits of each figure: a clock has no more."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _round(part) for name, part in value.items()}
    return [_round(part) for part in value] if isinstance(value, list) else value


def find_ratios(run: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what can be compared with another run, by case: figures that were measured within the run."""
    cases = {case["fullname"]: case["extra_info"] | {"question": case["group"]} for case in run["benchmarks"]}
    return {
        name: info
        for name, info in cases.items()
        if ("times_faster" in info or "value" in info) and info.get("is_compared", True)
    }


@dataclass(frozen=True)
class Change:
    """How a figure changed: `times` is how many times worse it became, `surely` what its intervals leave of that."""

    name: str
    question: str
    times: float
    surely: float
    seconds: float | None  # how many times longer ours took; None where that says nothing
    has_few_pairs: bool = False

    def exceeds(self, threshold: float) -> bool:
        """Tell whether the change is beyond the threshold for certain, and is ours."""
        limit = threshold**2 if self.has_few_pairs else threshold
        return self.surely > limit and (self.seconds is None or self.seconds > limit)


def compare_case(name: str, before: Mapping[str, Any], after: Mapping[str, Any], *, same_machine: bool) -> Change:
    """Compare a case of two runs by what was measured within each."""
    (low, high), (new_low, new_high) = before["interval"], after["interval"]
    few = min(info.get("pairs", FEW) for info in (before, after)) < FEW
    question = before["question"]
    if "times_faster" not in before:
        return Change(name, question, after["value"] / before["value"], new_low / high, None, few)
    times = before["times_faster"] / after["times_faster"]
    seconds = _find_fastest(after) / _find_fastest(before) if same_machine else None
    return Change(name, question, times, low / new_high, seconds, few)


def _find_fastest(info: Mapping[str, Any]) -> float:
    """Return the seconds of our fastest call, which other work on the machine disturbs least."""
    return float(min(info.get("ours_times") or [info["ours_seconds"]]))


def compare_runs(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Compare every case that both runs have, in the order of the first."""
    old, new = find_ratios(before), find_ratios(after)
    same = _tell_machine(before) == _tell_machine(after)
    return [compare_case(name, old[name], new[name], same_machine=same) for name in old if name in new]


def compare_questions(changes: Sequence[Change], *, fewest: int = 3) -> Iterator[Change]:
    """Sum the changes of each question up by their medians, where it has cases enough."""
    for question in dict.fromkeys(change.question for change in changes):
        members = [change for change in changes if change.question == question]
        if len(members) < fewest:
            continue
        times, low, _ = np.exp(median_interval(np.log([change.times for change in members])))
        seconds = [change.seconds for change in members if change.seconds is not None]
        longer = float(np.exp(np.median(np.log(seconds)))) if seconds else None
        yield Change(f"all {len(members)} cases of {question}", question, float(times), float(low), longer)


def check_alike(before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """Say why two runs cannot be compared, if they cannot."""
    for what in ("size", "data"):
        old, new = (run.get("run", {}).get(what) for run in (before, after))
        if old != new:
            return f"The runs differ in their {what}: {old!r} and {new!r}. Run both on the same."
    if not find_ratios(before).keys() & find_ratios(after).keys():
        return "The runs have no case in common: there is nothing to compare."
    return None


def _tell_machine(run: Mapping[str, Any]) -> tuple[Any, ...]:
    machine = run.get("machine_info", {})
    return machine.get("cpu", {}).get("brand_raw"), machine.get("cores"), machine.get("threads")
