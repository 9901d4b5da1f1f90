"""Homes: a file of somebody else's, with dates, identifiers and empty cells."""

from __future__ import annotations

import numpy as np
import pandas as pd


def make_homes(n_rows: int = 400, *, empty: float = 0.05) -> pd.DataFrame:
    """Make seeded homes whose price follows from area, rooms, age, town and heating. Some areas are empty."""
    draw = np.random.default_rng(0)
    area = draw.gamma(6, 16, n_rows).round(1)
    rooms = np.clip(area // 25 + draw.integers(0, 2, n_rows), 1, 9).astype(int)
    built = draw.integers(1900, 2020, n_rows)
    town, heating = draw.integers(0, 4, n_rows), draw.integers(0, 3, n_rows)
    price = area * np.array([2200, 3100, 4000, 5200])[town] + 9000 * rooms - 300 * (2020 - built) + 7000 * heating
    homes = pd.DataFrame(
        {
            "id": [f"H{number:05d}" for number in range(n_rows)],
            "listed": pd.Timestamp("2024-01-01") + pd.to_timedelta(draw.integers(0, 700, n_rows), unit="D"),
            "area": area,
            "rooms": rooms,
            "built": built,
            "town": np.array(["Ulm", "Bonn", "Kiel", "Jena"])[town],
            "heating": np.array(["gas", "oil", "heat pump"])[heating],
            "garden": draw.random(n_rows) < 0.3,
            "price": (price * draw.lognormal(0, 0.1, n_rows)).round(),
        }
    )
    homes["listed"] = homes["listed"].dt.strftime("%Y-%m-%d")
    homes.loc[draw.random(n_rows) < empty, "area"] = np.nan
    return homes
