"""Models on disk: everything from raw rows to predictions, in one file that runs no code when it is read."""

from energyknn.modelfile.model import (
    Model,
    describe_model,
    fit_model,
    load_model,
    save_model,
    tabulate_predictions,
)

__all__ = ["Model", "describe_model", "fit_model", "load_model", "save_model", "tabulate_predictions"]
