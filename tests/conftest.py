"""Shared data: the notebook's printed figures, made-up tracks, the real file."""

from __future__ import annotations

import json
import os

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores, so each keeps to one thread
    os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import pandas as pd
import pytest
from made_tracks import make_tracks

GOLDEN = Path(__file__).parent / "golden"

hypothesis.settings.register_profile(
    "busy machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("busy machine")


@pytest.fixture(scope="session")
def notebook() -> dict[str, Any]:
    """Every number that the notebook printed and that a test holds a function against."""
    golden: dict[str, Any] = json.loads((GOLDEN / "notebook.json").read_text(encoding="utf-8"))
    return golden


@pytest.fixture
def tracks() -> pd.DataFrame:
    """150 made-up tracks."""
    return make_tracks(150)


@pytest.fixture(scope="session")
def full_data() -> Path:
    """Path of the real file of full size that ENERGYKNN_DATA names."""
    path = os.environ.get("ENERGYKNN_DATA")
    if not path:
        pytest.fail("ENERGYKNN_DATA names no file. Set it to the CSV or Parquet file of full size.")
    return Path(path)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line that no capture holds back: a figure that a session is run for."""
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def print_line(line: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{line}")  # noqa: T201 - to print is what it is for

    return print_line
