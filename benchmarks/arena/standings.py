"""Who errs least: ranks, wins and ratios over sets, each with an interval, and who is ahead at which cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from arena.cell import DEFAULT
from arena.peers import PEERS
from arena.running import Record
from arena.sets import SETS
from energyknn.study.comparison.bootstrap import Estimate, estimate_mean


class Standing(NamedTuple):
    """How a peer stands; seconds are means. `wins` and `ratio` compare energyknn with it, and itself has None."""

    peer: str
    rank: Estimate
    wins: Estimate | None  # share of sets
    ratio: Estimate | None  # energyknn's error by its error, geometric mean over sets that neither failed on
    seconds: float  # to tune, fit and predict a fold
    peak_bytes: float  # the largest


class Table(NamedTuple):
    """The peers that ran on every set that energyknn ran on, best first; others by the sets that they lack."""

    ours: str
    errors: pd.DataFrame  # sets by peers
    standings: list[Standing]
    lacking: dict[str, list[str]]


class Point(NamedTuple):
    """A peer in one mode: seconds for a fold and how many times the least error it errs, geometric means over sets."""

    peer: str
    mode: str
    seconds: float
    error: float
    is_ahead: bool  # nobody is both quicker and better


def choose_records(records: Sequence[Record], task: str, mode: str) -> pd.DataFrame:
    """Lay out the cells of open sets; a peer that is not tuned stands with its default beside those that are."""
    rows = [
        {
            "set": record["set"], "fold": record["fold"], "peer": record["peer"],
            "error": next(iter(record["errors"].values())) if "errors" in record else np.inf,
            "seconds": sum(record.get("seconds", {}).values()) or np.nan,
            "peak_bytes": record.get("peak_bytes", np.nan),
        }
        for record in records
        if SETS[record["set"]].task == task and not SETS[record["set"]].sealed
        and record["mode"] == (mode if PEERS[record["peer"]].space else DEFAULT)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["set", "fold", "peer", "error", "seconds", "peak_bytes"])


def average_folds(cells: pd.DataFrame, figure: str) -> pd.DataFrame:
    """Average a figure over folds, sets by peers; NaN where a peer lacks a fold that another has."""
    table = cells.pivot_table(index="set", columns="peer", values=figure, aggfunc="mean", dropna=False)
    counts = cells.pivot_table(index="set", columns="peer", values="fold", aggfunc="nunique", fill_value=0)
    return table.where(counts.eq(counts.max(axis=1), axis=0).reindex_like(table))


def make_table(records: Sequence[Record], task: str, mode: str) -> Table | None:
    """Rank the peers of a task and mode; None where energyknn did not run."""
    cells = choose_records(records, task, mode)
    if cells.empty:
        return None
    errors = average_folds(cells, "error")
    ours = next((name for name, peer in PEERS.items() if peer.is_ours and name in errors), None)
    if ours is None or errors[ours].isna().all():
        return None
    errors = errors[errors[ours].notna()]
    lacking = {peer: errors.index[errors[peer].isna()].tolist() for peer in errors if errors[peer].isna().any()}
    errors = errors.drop(columns=list(lacking))
    ranks = errors.rank(axis=1)
    mine = cells[cells["set"].isin(errors.index)].groupby("peer")
    seconds, peaks = mine["seconds"].mean(), mine["peak_bytes"].max()
    standings = [
        Standing(peer, estimate(ranks[peer]), *compare(errors, ours, peer), seconds[peer], peaks[peer])
        for peer in ranks.mean().sort_values(kind="stable").index
    ]
    return Table(ours, errors, standings, lacking)


def compare(errors: pd.DataFrame, ours: str, peer: str) -> tuple[Estimate | None, Estimate | None]:
    """Return the share of sets on which energyknn has the smaller error, a tie as a half, and the ratio of errors."""
    if peer == ours:
        return None, None
    mine, theirs = errors[ours], errors[peer]
    wins = estimate((mine < theirs) + 0.5 * (mine == theirs))
    both = np.isfinite(mine) & np.isfinite(theirs) & (mine > 0) & (theirs > 0)
    if not both.any():
        return wins, None
    return wins, Estimate(*np.exp(estimate(np.log(mine[both] / theirs[both]))).tolist())


def estimate(values: pd.Series) -> Estimate:
    """Return a mean over sets and its interval by bootstrap; no interval from one set."""
    if len(values) < 2:
        return Estimate(float(values.iloc[0]), np.nan, np.nan)
    return estimate_mean(values.to_numpy(dtype=np.float64))


def list_losses(table: Table) -> list[dict[str, Any]]:
    """Set energyknn beside the best other on each set, the worst ratio first."""
    rows = []
    for name, errors in table.errors.iterrows():
        others = errors.drop([peer for peer in errors.index if PEERS[peer].is_ours])
        if len(others):
            mine, best = errors[table.ours], others.min()
            rows.append({"set": name, "ours": mine, "peer": others.idxmin(), "best": best, "ratio": mine / best})
    return sorted(rows, key=lambda row: -row["ratio"])


def list_points(records: Sequence[Record], task: str, modes: Sequence[str]) -> list[Point]:
    """Return the errors and seconds of all peers that failed nowhere, over sets that all of them ran on."""
    errors, seconds = {}, {}
    for mode in modes:
        table = make_table(records, task, mode)
        if table is None:
            continue
        spent = average_folds(choose_records(records, task, mode), "seconds")
        for peer in table.errors:
            if np.isfinite(table.errors[peer]).all() and (mode == DEFAULT or PEERS[peer].space):
                errors[peer, mode], seconds[peer, mode] = table.errors[peer], spent[peer]
    laid = pd.DataFrame(errors).dropna()
    if laid.empty:
        return []
    ratios = laid.div(laid.min(axis=1).clip(lower=1e-12), axis=0).clip(lower=1e-12)
    error = np.exp(np.log(ratios).mean())
    cost = np.exp(np.log(pd.DataFrame(seconds).loc[laid.index]).mean())
    points = sorted(((*key, cost[key], error[key]) for key in errors), key=lambda point: point[2:])
    least, found = np.inf, []
    for peer, mode, second, value in points:
        found.append(Point(peer, mode, float(second), float(value), bool(value < least)))
        least = min(least, value)
    return found
