"""Seeded synthetic tracks of any size, with the columns, spreads and dependences of the notebook's file.

No track here is real. `synthesis_statistics.json` holds quantiles, rank correlations and frequencies of real tracks.
Each row draws a decade, then its numbers from a Gaussian copula of that decade. Its energy is a cubic polynomial of the
other columns plus noise. Titles and artists are made of `synthesis_words.json`. `data_sample/README.md` says what was
measured, and how close the result comes.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn._shared.checks import check_integer
from energyknn.errors import ParameterError
from energyknn.study.notebook import SPOTIFY

_ID_PREFIX = "synthetic"

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

_FIRST_YEAR: Final = 1921
_LAST_YEAR: Final = 2020
_CHUNK: Final = 65_536
_THREE_DECIMALS: Final = ("loudness", "tempo")
_WHOLE: Final = ("duration_ms", "popularity")
_SQUARE_ROOTS: Final = ("acousticness", "instrumentalness", "liveness", "speechiness")

_SAME_SHARE: Final = 0.08
"""Share of the rows that repeat the name and artists of another row, as in the real tracks."""
_REMASTER_SHARE: Final = 0.01
"""Share of the rows that repeat a song under a name with a suffix."""
_TIED_SHARE: Final = 0.05
"""Share of the repeats that are equal in every number. The real tracks have fewer; more of them test ties."""
_STEPS: Final = (0.0, 0.02, 0.2, 0.6)
"""How far a repeat's sound moves from the song's, in standard deviations of the latent normals."""
_STEP_SHARES: Final = (0.24, 0.36, 0.28, 0.12)
_POPULARITY_STEP: Final = 0.8
_YEAR_CHANGES: Final = 0.55

_BASE_62: Final = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", dtype=np.uint8)


class _Statistics(NamedTuple):
    """What `synthesis_statistics.json` holds, as arrays.

    Parameters
    ----------
    numbers : tuple of str
        The ten numeric columns that the copula draws: all but energy and year. Popularity stands last, so that
        a repeat's new popularity leaves its sound as it is.
    grid : ndarray of shape (n_grid,)
        Standard normal values at which quantiles are stored.
    quantiles : ndarray of shape (n_numbers, n_decades, n_grid)
        Values of each column within each decade.
    factors : ndarray of shape (n_decades, n_numbers, n_numbers)
        Lower Cholesky factors of the latent correlations.
    shifts, scales : ndarray of shape (n_numbers, n_decades), (n_numbers,)
        The latent normals are shifted and scaled so, to have the means and sds of the notebook's file.
    popularity : sequence of two floats
        Offset and factor applied to popularity's quantiles instead, before clipping to 0..100.
    years : ndarray of shape (n_years,)
        Frequency of each year from 1921 on.
    keys : ndarray of shape (n_decades, 12)
        Frequency of each key.
    major_by_key : ndarray of shape (12,)
        Frequency of the major mode by key.
    speechiness_edges, explicit_by_speechiness : ndarray of shape (n_edges,), (n_decades, n_edges + 1)
        Frequency of explicit tracks by decade and latent speechiness.
    dated_to_the_day : ndarray of shape (n_decades,)
        Frequency of release dates given to the day.
    energy : dict
        Centres, spreads and coefficients of the polynomial, noise sd, and the monotone map to [0, 1].
    """

    numbers: tuple[str, ...]
    grid: _Floats
    quantiles: _Floats
    factors: _Floats
    shifts: _Floats
    scales: _Floats
    popularity: Sequence[float]
    years: _Floats
    keys: _Floats
    major_by_key: _Floats
    speechiness_edges: _Floats
    explicit_by_speechiness: _Floats
    dated_to_the_day: _Floats
    energy: dict[str, Any]


class _Songs(NamedTuple):
    """Which row repeats which, and how.

    Parameters
    ----------
    source : ndarray of shape (n_rows,), int64
        The row whose song this is; its own number where the song is new.
    step : ndarray of shape (n_rows,)
        How far the sound moves from the source's.
    tied : ndarray of shape (n_rows,), bool
        Equal to the source in every number.
    remaster : ndarray of shape (n_rows,), bool
        Carries a suffix in its name.
    year, decade : ndarray of shape (n_rows,), int64
        Calendar year; the decade's position in the statistics, the source's for a repeat.
    """

    source: _Ints
    step: _Floats
    tied: NDArray[np.bool_]
    remaster: NDArray[np.bool_]
    year: _Ints
    decade: _Ints


def synthesise_tracks(
    n_rows: int, *, random_state: int | np.random.Generator = 0, missing_keys: Sequence[int] = ()
) -> pd.DataFrame:
    """Draw synthetic tracks with the notebook's 19 columns.

    About 8 % of the rows repeat the name and artists of another row under another id. Some of them have the same
    sound, a few are equal in every number, and most sound slightly different. About 1 % of the rows are remasters, with
    a suffix in the name.

    Parameters
    ----------
    n_rows : int
        Number of tracks, at least 1.
    random_state : int or numpy.random.Generator, default 0
        Seed, at least 0; a generator is advanced.
    missing_keys : sequence of int, default ()
        Keys from 0 to 11 that no track has, to try data without a level. At least one key must remain.

    Returns
    -------
    DataFrame of shape (n_rows, 19)
        Columns in the order of `SPOTIFY`, dtypes as `pandas.read_csv` gives: float64 for
        measures, int64 for counts and codes, str for text. No value is missing; every `id` is unique. The same
        arguments give the same rows.

    Raises
    ------
    TypeError
        If `n_rows`, `random_state` or a missing key is not an integer (or generator).
    ValueError
        If `n_rows` is below 1, `random_state` below 0, or `missing_keys` leaves the range or leaves no key.

    Notes
    -----
    Time and memory grow linearly: about 7 s and 2 GB for two million rows on one core. Values are rounded as the Web
    API rounds them, so differences in the last digit between processors disappear.

    Examples
    --------
    >>> tracks = synthesise_tracks(3, random_state=1)
    >>> tracks.shape
    (3, 19)
    >>> synthesise_tracks(3, random_state=1).equals(tracks)
    True
    """
    n_rows = check_integer(n_rows, name="n_rows", rule="an integer of at least 1", least=1)
    missing = _check_missing_keys(missing_keys)
    if not isinstance(random_state, np.random.Generator):
        random_state = check_integer(random_state, name="random_state", rule="an integer of at least 0", least=0)
    rng = np.random.default_rng(random_state)
    statistics = _load_statistics()
    songs = _draw_songs(n_rows, rng, statistics)
    latent, noise = _draw_latent(songs, rng, statistics)
    table: dict[str, Any] = _numbers(latent, songs.decade, statistics)
    table["year"] = songs.year
    table["energy"] = _energy(_as_recorded(table, songs), noise, statistics)
    table |= _categories(latent, songs, rng, statistics, missing)
    table |= _texts(songs, rng, statistics)
    return pd.DataFrame({name: table[name] for name in SPOTIFY.names})


def are_synthetic(tracks: pd.DataFrame) -> bool:
    """Tell whether `synthesise_tracks` made a table.

    Parameters
    ----------
    tracks : DataFrame of shape (n_rows, n_columns)
        Any table.

    Returns
    -------
    bool
        Whether the table has rows and every id starts with "synthetic".

    Examples
    --------
    >>> are_synthetic(synthesise_tracks(3))
    True
    """
    return "id" in tracks and len(tracks) > 0 and bool(tracks["id"].astype(str).str.startswith(_ID_PREFIX).all())


def _check_missing_keys(missing_keys: object) -> tuple[int, ...]:
    """Return the keys to leave out, in order and once each."""
    levels = SPOTIFY["key"].levels
    if isinstance(missing_keys, str) or not isinstance(missing_keys, Iterable):
        message = f"missing_keys={missing_keys!r} is not a sequence. Pass integers from 0 to 11, such as (3,)."
        raise TypeError(message)
    missing = sorted({check_integer(key, name="missing_keys", rule="integers from 0 to 11") for key in missing_keys})
    wrong = [key for key in missing if key not in levels]
    if wrong:
        message = f"missing_keys has {wrong}. A key is one of 0 to 11: leave the others out."
        raise ParameterError(message)
    if len(missing) == len(levels):
        message = "missing_keys has all 12 keys. At least one must remain: leave one out."
        raise ParameterError(message)
    return tuple(missing)


def _parse_statistics(stored: dict[str, Any]) -> _Statistics:
    """Turn the stored lists into arrays; one Cholesky factor per decade."""
    numbers = tuple(stored["quantiles"])
    lower = np.tril_indices(len(numbers), -1)
    correlations = np.tile(np.eye(len(numbers)), (len(stored["latent_correlations"]), 1, 1))
    correlations[:, *lower] = correlations[:, *lower[::-1]] = stored["latent_correlations"]
    changes = [stored["latent_changes"][name] for name in numbers]
    as_stored = ("grid", "years", "keys", "major_by_key", "speechiness_edges", "explicit_by_speechiness")
    return _Statistics(
        numbers=numbers,
        quantiles=np.array(list(stored["quantiles"].values())),
        factors=np.asarray(np.linalg.cholesky(correlations), dtype=np.float64),
        shifts=np.array([change["shifts"] for change in changes]),
        scales=np.array([change["scale"] for change in changes]),
        popularity=stored["popularity_change"],
        energy={name: np.array(value) for name, value in stored["energy"].items()},
        **{name: np.array(stored[name]) for name in (*as_stored, "dated_to_the_day")},
    )


@functools.cache
def _read_json(name: str) -> dict[str, Any]:
    """Read a file that the package carries, once."""
    text = resources.files("energyknn.study").joinpath(name).read_text(encoding="utf-8")
    return dict(json.loads(text))


def _load_statistics() -> _Statistics:
    return _parse_statistics(_read_json("synthesis_statistics.json"))


def _draw_from(frequencies: _Floats, u: _Floats) -> _Ints:
    """Turn uniform draws into positions, each as often as its frequency says."""
    steps = np.cumsum(frequencies)
    return np.searchsorted(steps / steps[-1], u, side="right").astype(np.int64)


def _draw_songs(n_rows: int, rng: np.random.Generator, statistics: _Statistics) -> _Songs:
    """Draw years, and choose which rows repeat which songs."""
    n_same, n_remaster = (int(n_rows * share + 0.5) for share in (_SAME_SHARE, _REMASTER_SHARE))
    order = rng.permutation(n_rows)
    repeats = order[: n_same + n_remaster]
    source = np.arange(n_rows)
    source[repeats] = order[rng.integers(n_same + n_remaster, n_rows, size=len(repeats))] if len(repeats) else 0
    remaster = np.zeros(n_rows, dtype=bool)
    remaster[repeats[n_same:]] = True
    step = np.zeros(n_rows)
    step[repeats] = np.array(_STEPS)[_draw_from(np.array(_STEP_SHARES), rng.random(len(repeats)))]
    tied = np.zeros(n_rows, dtype=bool)
    tied[repeats[: int(n_same * _TIED_SHARE + 0.5)]] = True
    step[tied] = 0.0

    year = (_FIRST_YEAR + _draw_from(statistics.years, rng.random(n_rows)))[source]
    decade = np.minimum((year - _FIRST_YEAR + 1) // 10, len(statistics.keys) - 1)
    moves = (source != np.arange(n_rows)) & ~tied & (rng.random(n_rows) < _YEAR_CHANGES)
    within = np.clip(10 * decade + _FIRST_YEAR - 1 + rng.integers(0, 10, size=n_rows), _FIRST_YEAR, _LAST_YEAR)
    return _Songs(source, step, tied, remaster, np.where(moves, within, year), decade)


def _draw_latent(songs: _Songs, rng: np.random.Generator, statistics: _Statistics) -> tuple[_Floats, _Floats]:
    """Draw correlated standard normals, shape (n_numbers, n_rows), and energy's noise, shape (n_rows,).

    Written without a matrix product, whose last digits depend on the machine.
    """
    numbers = statistics.numbers
    n_rows = len(songs.source)
    is_new = songs.source == np.arange(n_rows)
    draws = np.empty((len(numbers) + 1, n_rows))
    for position, row in enumerate(draws):
        moved = songs.step
        if position < len(numbers) and numbers[position] == "popularity":
            moved = np.where(is_new | songs.tied, 0.0, _POPULARITY_STEP)
        own = rng.standard_normal(n_rows)
        fresh = rng.standard_normal(n_rows)
        row[:] = np.sqrt(1 - moved**2) * own[songs.source] + moved * fresh
    latent = np.zeros((len(numbers), n_rows))
    for j, row in enumerate(latent):
        for i in range(j + 1):
            row += statistics.factors[songs.decade, j, i] * draws[i]
    return latent, draws[-1]


def _numbers(latent: _Floats, decade: _Ints, statistics: _Statistics) -> dict[str, Any]:
    """Map latent normals to the ten numeric columns, rounded as the Web API rounds them."""
    table: dict[str, Any] = {}
    rows_of = [np.flatnonzero(decade == position) for position in range(len(statistics.keys))]
    for position, name in enumerate(statistics.numbers):
        moved = statistics.shifts[position, decade] + statistics.scales[position] * latent[position]
        values = np.empty(len(decade))
        for quantiles, rows in zip(statistics.quantiles[position], rows_of, strict=True):
            values[rows] = np.interp(moved[rows], statistics.grid, quantiles)
        if name == "popularity":
            offset, factor = statistics.popularity
            values = np.clip(offset + factor * values, 0, 100)
        table[name] = _round_as_published(values, name)
    return table


def _round_as_published(values: _Floats, name: str) -> _Floats | _Ints:
    """Round to whole numbers, three decimals or three significant digits, as the column is published."""
    if name in _WHOLE:
        return np.rint(values).astype(np.int64)
    if name in _THREE_DECIMALS:
        return np.rint(values * 1000) / 1000
    values = np.where(values < 1e-6, 0.0, values)
    digits = 8 - np.searchsorted(10.0 ** np.arange(-5, 0), values, side="right")
    power = 10.0 ** np.arange(9)
    return np.asarray(np.rint(values * power[digits]) / power[digits], dtype=np.float64)


def _as_recorded(table: dict[str, Any], songs: _Songs) -> dict[str, Any]:
    """Give repeats the year and popularity of their song, because equal sounds have equal energy."""
    return table | {name: table[name][songs.source] for name in ("year", "popularity")}


def _energy_inputs(table: dict[str, Any]) -> _Floats:
    """Bring the features of energy's polynomial to shapes without long tails, shape (n_features, n_rows)."""
    inputs = {name: np.asarray(table[name], dtype=np.float64) for name in SPOTIFY.numbers}
    inputs |= {name: np.sqrt(inputs[name]) for name in _SQUARE_ROOTS}
    inputs["duration_ms"] = np.log10(np.clip(inputs["duration_ms"], 1e4, 1e6))
    inputs["loudness"] = np.clip(inputs["loudness"], -35, 0)
    return np.array(list(inputs.values()))


def _energy_signal(table: dict[str, Any], energy: dict[str, Any]) -> _Floats:
    """Evaluate the cubic polynomial of the eleven numeric features, chunk by chunk, nested as in Horner's rule."""
    n_rows = len(table["year"])
    signal = np.empty(n_rows)
    for start in range(0, n_rows, _CHUNK):
        rows = slice(start, start + _CHUNK)
        inputs = _energy_inputs({name: table[name][rows] for name in SPOTIFY.numbers})
        scaled = np.clip((inputs - energy["centres"][:, None]) / energy["spreads"][:, None], -3, 3)
        coefficients = iter(energy["coefficients"].tolist())
        total = np.full(inputs.shape[1], next(coefficients))
        for i, first in enumerate(scaled):
            linear = np.full_like(total, next(coefficients))
            for j, second in enumerate(scaled[i:], start=i):
                quadratic = np.full_like(total, next(coefficients))
                for third in scaled[j:]:
                    quadratic += next(coefficients) * third
                linear += second * quadratic
            total += first * linear
        signal[rows] = total
    return signal


def _energy(table: dict[str, Any], noise: _Floats, statistics: _Statistics) -> _Floats:
    """Add noise to the signal and map it, monotonely, to energy's own distribution."""
    energy = statistics.energy
    noisy = _energy_signal(table, energy) + energy["noise_sd"] * noise
    normal = np.interp(noisy, energy["signal_quantiles"], statistics.grid)
    shift, scale = energy["latent_change"]
    values = np.interp(shift + scale * normal, statistics.grid, energy["quantiles"])
    return np.asarray(_round_as_published(values, "energy"), dtype=np.float64)


def _categories(
    latent: _Floats, songs: _Songs, rng: np.random.Generator, statistics: _Statistics, missing: tuple[int, ...]
) -> dict[str, Any]:
    """Draw key by decade, mode by key, and explicit by decade and speechiness. Repeats have those of their song."""
    u_key, u_mode, u_explicit = (rng.random(len(songs.source))[songs.source] for _ in range(3))
    frequencies = statistics.keys.copy()
    frequencies[:, list(missing)] = 0.0
    key = np.empty(len(songs.source), dtype=np.int64)
    for position, row in enumerate(frequencies):
        rows = np.flatnonzero(songs.decade == position)
        key[rows] = _draw_from(row, u_key[rows])
    speech = latent[statistics.numbers.index("speechiness")][songs.source]
    group = np.searchsorted(statistics.speechiness_edges, speech)
    return {
        "key": key,
        "mode": (u_mode < statistics.major_by_key[key]).astype(np.int64),
        "explicit": (u_explicit < statistics.explicit_by_speechiness[songs.decade, group]).astype(np.int64),
    }


def _texts(songs: _Songs, rng: np.random.Generator, statistics: _Statistics) -> dict[str, Any]:
    """Make ids, names, artists and release dates. A repeat has the name and artists of its song, and its own id."""
    n_rows = len(songs.source)
    texts: dict[str, Iterable[str]] = {"id": _ids(n_rows, rng), "name": _names(songs, rng)}
    texts["artists"] = _artists(n_rows, rng)[songs.source]
    texts["release_date"] = _release_dates(songs, rng, statistics)
    return {name: pd.array(list(values), dtype="str") for name, values in texts.items()}


def _ids(n_rows: int, rng: np.random.Generator) -> list[str]:
    """Make unique ids of 22 base-62 characters: they begin with "synthetic", and their last five count the rows."""
    digits = rng.integers(0, 62, size=(n_rows, 22), dtype=np.uint8)
    counter = (np.arange(n_rows) * 387_420_489 + int(rng.integers(62**5))) % 62**5
    for place in range(17, 22):
        counter, digits[:, place] = np.divmod(counter, 62)
    characters = _BASE_62[digits]
    characters[:, : len(_ID_PREFIX)] = np.frombuffer(_ID_PREFIX.encode(), dtype=characters.dtype)
    return [row.decode("ascii") for row in characters.view("S22").ravel()]


def _pick(kind: str, rng: np.random.Generator, n_rows: int) -> NDArray[np.object_]:
    """Draw from the words of a kind, each as often as any other."""
    return rng.choice(np.array(_read_json("synthesis_words.json")[kind], dtype=object), n_rows)


def _names(songs: _Songs, rng: np.random.Generator) -> NDArray[np.object_]:
    """Make track names such as ``The Quiet Harbour``."""
    n_rows = len(songs.source)
    before, between, after = _pick("patterns", rng, n_rows).T
    adjectives, nouns = (_pick(kind, rng, n_rows) for kind in ("adjectives", "nouns"))
    names: NDArray[np.object_] = (before + adjectives + between + nouns + after)[songs.source]
    suffix = np.array([2009, 2011, 2015])[rng.integers(0, 3, size=n_rows)]
    for row in np.flatnonzero(songs.remaster):
        dated = f" {suffix[row]}" if songs.year[row] < suffix[row] else ""
        names[row] = f"{names[row]} - Remastered{dated}"
    return names


def _artists(n_rows: int, rng: np.random.Generator) -> NDArray[np.object_]:
    """Make artists in the file's format, such as ``['Ada Finch', 'Fern Trio']``. A few artists have many tracks."""
    words = _read_json("synthesis_words.json")
    people = [f"{first} {last}" for last in words["surnames"] for first in words["first_names"]]
    leaders = words["adjectives"] + words["surnames"]
    groups = [f"{first} {last}" for last in words["ensembles"] for first in leaders]
    quoted = np.array([repr(artist) for artist in [*people, *groups]], dtype=object)
    quoted = quoted[rng.permutation(len(quoted))]
    lead, guest = (quoted[(len(quoted) * rng.random(n_rows) ** 2).astype(np.int64)] for _ in range(2))
    alone = (rng.random(n_rows) < 0.8) | (lead == guest)
    credited = [f"[{a}]" if single else f"[{a}, {b}]" for a, b, single in zip(lead, guest, alone, strict=True)]
    return np.array(credited, dtype=object)


def _release_dates(songs: _Songs, rng: np.random.Generator, statistics: _Statistics) -> list[str]:
    """Make dates in the track's year, to the day or only to the year."""
    n_rows = len(songs.source)
    dated = rng.random(n_rows) < statistics.dated_to_the_day[songs.decade]
    month, day = rng.integers(1, 13, size=n_rows), rng.integers(1, 29, size=n_rows)
    columns = zip(songs.year.tolist(), month.tolist(), day.tolist(), dated.tolist(), strict=True)
    return [f"{y}-{m:02d}-{d:02d}" if full else f"{y}" for y, m, d, full in columns]
