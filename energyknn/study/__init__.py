"""The application: the notebook's study of Spotify tracks, its report and its commands.

The library never imports it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from energyknn.study.jobs.reproduce import reproduce
    from energyknn.study.jobs.tune import tune
    from energyknn.study.notebook import SPOTIFY
    from energyknn.study.protocol import Protocol, prepare
    from energyknn.study.run import run_study
    from energyknn.study.synthesis import synthesise_tracks

__all__ = ["SPOTIFY", "Protocol", "prepare", "reproduce", "run_study", "synthesise_tracks", "tune"]

_ROOMS = {
    "SPOTIFY": "notebook",
    "Protocol": "protocol",
    "prepare": "protocol",
    "reproduce": "jobs.reproduce",
    "run_study": "run",
    "synthesise_tracks": "synthesis",
    "tune": "jobs.tune",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _ROOMS:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
