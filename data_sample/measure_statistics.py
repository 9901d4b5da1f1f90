"""Measure, on a file of real tracks, the statistics that synthetic tracks are drawn from.

    python data_sample/measure_statistics.py TRACKS.csv.gz --facts FACTS --out STATISTICS

TRACKS has the notebook's 19 columns. FACTS holds what the notebook printed: `recovered.mean` and `recovered.sd`
of ten columns and `recovered.energy_sd`, which the synthetic tracks are made to meet. Only quantiles,
correlations, frequencies and coefficients are written; no row is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special
from sklearn.linear_model import Ridge

from energyknn.study import synthesis
from energyknn.study.notebook import SPOTIFY

# Popularity stands last: Cholesky's factor then keeps a repeat's new popularity out of its sound.
NUMBERS = (*(name for name in SPOTIFY.numbers if name not in ("year", "popularity")), "popularity")
RANKED = (*SPOTIFY.numbers, "energy")
DECADES = np.arange(1920, 2020, 10)
GRID = np.round(np.linspace(-4, 4, 81), 1)
SPEECH_EDGES = (-0.8416, -0.2533, 0.2533, 0.8416)
MASSES = special.ndtr(GRID + 0.05) - special.ndtr(GRID - 0.05)

# Chosen, not measured: every year from 1946 on equally frequent and earlier ones less so, as the notebook's file
# is spread; energy's mean, which the notebook does not print; and the noise that gives its test error at k = 5.
EARLY_FREQUENCY = 0.45
ENERGY_MEAN = 0.483
NOISE_SD = 0.082


def year_frequencies() -> np.ndarray:
    """Return the chosen frequency of each year from 1921 to 2020."""
    years = np.where(np.arange(1921, 2021) < 1946, EARLY_FREQUENCY, 1.0)
    return years / years.sum()


def row_weights(tracks: pd.DataFrame) -> np.ndarray:
    """Weigh rows so that the years are spread as chosen; the few rows of scarce years are capped."""
    counts = tracks["year"].value_counts()
    weights = year_frequencies()[tracks["year"] - 1921] / counts.loc[tracks["year"]].to_numpy()
    weights = np.minimum(weights, np.quantile(weights, 0.995))
    return weights / weights.mean()


def decade_positions(tracks: pd.DataFrame) -> np.ndarray:
    """Return each row's decade; 2020 counts with the 2010s."""
    return np.minimum((tracks["year"].to_numpy() - 1920) // 10, len(DECADES) - 1)


def quantile_rows(tracks: pd.DataFrame, name: str) -> list[list[float]]:
    """Return a column's quantiles at the normal grid, within each decade."""
    groups = tracks[name].groupby(decade_positions(tracks))
    return [significant(np.quantile(values, special.ndtr(GRID))) for _, values in groups]


def latent_correlations(tracks: pd.DataFrame) -> list[list[float]]:
    """Return, for each decade, the lower triangle of the copula's correlations, by Pearson's 2 sin(pi r / 6)."""
    triangles = []
    for _, rows in tracks.groupby(decade_positions(tracks)):
        latent = 2 * np.sin(np.pi / 6 * rows[list(NUMBERS)].corr(method="spearman").to_numpy())
        values, vectors = np.linalg.eigh(latent)
        latent = vectors @ np.diag(np.maximum(values, 0.01)) @ vectors.T
        latent /= np.sqrt(np.outer(np.diag(latent), np.diag(latent)))
        triangles.append(np.round(latent[np.tril_indices(len(NUMBERS), -1)], 4).tolist())
    return triangles


def moments(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean and sd."""
    mean = float(np.average(values, weights=weights))
    return mean, float(np.sqrt(np.average((values - mean) ** 2, weights=weights)))


def decade_means(rows: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return each decade's mean normal score in the whole column, so that a wider column parts the decades more."""
    weights = (shares[:, None] * MASSES).ravel()
    order = np.argsort(rows.ravel(), kind="stable")
    below = np.cumsum(weights[order]) - weights[order] / 2
    scores = np.empty(rows.size)
    scores[order] = special.ndtri(below / weights.sum())
    return (scores.reshape(rows.shape) * MASSES).sum(axis=1) / MASSES.sum()


def latent_change(rows: np.ndarray, shares: np.ndarray, target: tuple[float, float]) -> dict[str, Any]:
    """Find the shifts and the scale of the latent normals that give a column the target mean and sd."""
    weights = (shares[:, None] * MASSES).ravel()
    means = decade_means(rows, shares)

    def shifts(change: np.ndarray) -> np.ndarray:
        return change[0] + (change[1] - 1) * means

    def misfit(change: np.ndarray) -> np.ndarray:
        moved = [shift + change[1] * GRID for shift in shifts(change)]
        values = np.concatenate([np.interp(z, GRID, row) for z, row in zip(moved, rows, strict=True)])
        return (np.array(moments(values, weights)) - target) / target[1]

    change = optimize.least_squares(misfit, [0.0, 1.0]).x
    return {"shifts": np.round(shifts(change), 5).tolist(), "scale": round(float(change[1]), 5)}


def popularity_change(rows: np.ndarray, shares: np.ndarray, target: tuple[float, float]) -> list[float]:
    """Find the offset and factor of popularity, clipped to 0..100, that give the target mean and sd."""
    weights = (shares[:, None] * MASSES).ravel()

    def misfit(change: np.ndarray) -> np.ndarray:
        values = np.clip(change[0] + change[1] * np.ravel(rows), 0, 100)
        return (np.array(moments(values, weights)) - target) / target[1]

    return np.round(optimize.least_squares(misfit, [-30.0, 1.5]).x, 4).tolist()


def decade_shares() -> np.ndarray:
    """Return the chosen frequency of each decade."""
    decade = np.minimum((np.arange(1921, 2021) - 1920) // 10, len(DECADES) - 1)
    return np.bincount(decade, weights=year_frequencies())


def category_frequencies(tracks: pd.DataFrame) -> dict[str, Any]:
    """Count keys by decade, major mode by key, explicit by decade and speechiness, full dates by decade."""
    decade = decade_positions(tracks)
    keys = pd.crosstab(decade, tracks["key"], normalize="index").to_numpy()
    rank = tracks.groupby(decade)["speechiness"].rank(pct=True)
    fifth = np.digitize(rank, special.ndtr(SPEECH_EDGES))
    explicit = pd.crosstab(decade, fifth, tracks["explicit"], aggfunc="mean").to_numpy()
    dated = (tracks["release_date"].str.len() == 10).groupby(decade).mean().to_numpy()
    return {
        "keys": np.round(keys, 4).tolist(),
        "major_by_key": np.round(tracks.groupby("key")["mode"].mean().to_numpy(), 4).tolist(),
        "speechiness_edges": list(SPEECH_EDGES),
        "explicit_by_speechiness": np.round(explicit, 4).tolist(),
        "dated_to_the_day": np.round(dated, 4).tolist(),
    }


def monomials(scaled: np.ndarray) -> np.ndarray:
    """Return all products of up to three rows, in the order in which the generator nests them."""
    columns = [np.ones(scaled.shape[1])]
    for i in range(len(scaled)):
        columns.append(scaled[i])
        for j in range(i, len(scaled)):
            columns.append(scaled[i] * scaled[j])
            columns += [scaled[i] * scaled[j] * scaled[k] for k in range(j, len(scaled))]
    n_terms = sum(1 for degree in range(4) for _ in combinations_with_replacement(range(len(scaled)), degree))
    if len(columns) != n_terms:
        message = f"{len(columns)} monomials. A cubic in {len(scaled)} variables has {n_terms}."
        raise ValueError(message)
    return np.array(columns).T


def energy_polynomial(tracks: pd.DataFrame, weights: np.ndarray) -> dict[str, Any]:
    """Fit energy by a cubic of the eleven numeric features, with a small ridge."""
    inputs = synthesis._energy_inputs({name: tracks[name].to_numpy() for name in SPOTIFY.numbers})
    centres = np.average(inputs, axis=1, weights=weights)
    spreads = np.sqrt(np.average((inputs - centres[:, None]) ** 2, axis=1, weights=weights))
    terms = monomials(np.clip((inputs - centres[:, None]) / spreads[:, None], -3, 3))
    fitted = Ridge(30.0).fit(terms[:, 1:], tracks["energy"], sample_weight=weights)
    return {
        "centres": significant(centres, 6),
        "spreads": significant(spreads, 6),
        "coefficients": significant(np.array([fitted.intercept_, *fitted.coef_]), 4),
        "noise_sd": NOISE_SD,
    }


def signal_quantiles(stored: dict[str, Any]) -> list[float]:
    """Return the quantiles of the noisy polynomial over 300,000 synthetic tracks."""
    statistics = synthesis._parse_statistics(stored)
    rng = np.random.default_rng(20)
    songs = synthesis._draw_songs(300_000, rng, statistics)
    latent, noise = synthesis._draw_latent(songs, rng, statistics)
    table = synthesis._numbers(latent, songs.decade, statistics) | {"year": songs.year}
    noisy = synthesis._energy_signal(synthesis._as_recorded(table, songs), statistics.energy) + NOISE_SD * noise
    return significant(np.quantile(noisy, special.ndtr(GRID)), 6)


def rank_correlations(tracks: pd.DataFrame, weights: np.ndarray) -> dict[str, Any]:
    """Return Spearman's correlations of the numeric columns, years spread as chosen."""
    drawn = tracks.sample(200_000, replace=True, weights=weights, random_state=0)
    matrix = np.round(drawn[list(RANKED)].corr(method="spearman").to_numpy(), 3)
    return {"columns": list(RANKED), "matrix": matrix.tolist()}


def significant(values: np.ndarray, digits: int = 4) -> list[float]:
    """Round to significant digits."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=float)]


def measure(tracks: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that the generator needs, as lists and numbers."""
    recovered = facts["recovered"]
    targets = {name: (recovered["mean"][name], recovered["sd"][name]) for name in NUMBERS}
    tracks = tracks[tracks["year"] <= 2020].reset_index(drop=True)
    weights, shares = row_weights(tracks), decade_shares()
    quantiles = {name: quantile_rows(tracks, name) for name in NUMBERS}
    rows = {name: np.array(values) for name, values in quantiles.items()}
    changes = {name: latent_change(rows[name], shares, targets[name]) for name in NUMBERS}
    changes["popularity"] = {"shifts": [0.0] * len(DECADES), "scale": 1.0}
    stored: dict[str, Any] = {
        "years": significant(year_frequencies()),
        "grid": GRID.tolist(),
        "latent_changes": changes,
        "popularity_change": popularity_change(rows["popularity"], shares, targets["popularity"]),
        "rank_correlations": rank_correlations(tracks, weights),
        "latent_correlations": latent_correlations(tracks),
        "quantiles": quantiles,
        **category_frequencies(tracks),
        "energy": energy_polynomial(tracks, weights),
    }
    drawn = tracks.sample(200_000, replace=True, weights=weights, random_state=0)
    energy = np.quantile(drawn["energy"], special.ndtr(GRID))
    target = (ENERGY_MEAN, float(np.mean(list(recovered["energy_sd"].values()))))
    stored["energy"]["signal_quantiles"] = signal_quantiles(stored)
    stored["energy"]["quantiles"] = significant(energy)
    change = latent_change(energy[None, :], np.ones(1), target)
    stored["energy"]["latent_change"] = [*change["shifts"], change["scale"]]
    return stored


def write(stored: Mapping[str, Any], path: Path) -> None:
    """Write JSON with one short line per list, so that a change shows where it is."""
    compact = json.dumps(stored, separators=(",", ":")).replace("],[", "],\n[").replace(',"', ',\n"')
    path.write_text(compact + "\n", encoding="utf-8")


def main() -> None:
    """Parse the command line, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracks", type=Path)
    parser.add_argument("--facts", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    facts = json.loads(options.facts.read_text(encoding="utf-8"))
    write(measure(pd.read_csv(options.tracks), facts), options.out)


if __name__ == "__main__":
    main()
