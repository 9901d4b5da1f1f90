"""Predict Spotify's energy score by k-nearest-neighbour regression, exactly and measurably.

The modules are the public interface: `loading`, `encoding`, `splitting`, `scaling`, `fitting` and `tuning` hold the
pure functions of those steps, in the order in which data flows through them.
"""

from importlib.metadata import version

__all__ = ["__version__"]

__version__ = version("energyknn")
