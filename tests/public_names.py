"""The public names of the library and the study, with what they name."""

from __future__ import annotations

import importlib

import energyknn

ROOMS = (
    *("loading", "encoding", "scaling", "splitting", "fitting", "filling", "schema", "roles", "errors"),
    *(
        "tuning",
        "neighbors",
        "estimators",
        "inspection",
        "cluster",
        "modelfile",
        "neighbors_model",
        "auditing",
        "study",
    ),
)


def find_public(room):
    """Return the public names of a room, with what they name."""
    module = importlib.import_module(f"energyknn.{room}")
    return {f"{room}.{name}": getattr(module, name) for name in getattr(module, "__all__", ())}


FACE = {name: getattr(energyknn, name) for name in energyknn.__all__ if name != "__version__"}
PUBLIC = {name: found for room in ROOMS for name, found in find_public(room).items()}
