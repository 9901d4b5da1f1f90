"""Models on disk: everything from raw rows to predictions, in one file that runs no code when it is read."""

from energyknn.modelfile.model import Model, fit_model, load_model, save_model

__all__ = ["Model", "fit_model", "load_model", "save_model"]
