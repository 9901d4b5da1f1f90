"""Many short texts in two arrays, so that a few can be read without the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from energyknn._shared.showing import in_one_line
from energyknn.errors import ModelFileError


@in_one_line
@dataclass(frozen=True, eq=False)
class Texts:
    """One text for each of many rows.

    Parameters
    ----------
    content : ndarray of shape (n_bytes,), uint8
        All texts, one after another, in UTF-8.
    edges : ndarray of shape (n_rows + 1,), int64
        The start of each text, and the end of the last.

    Raises
    ------
    ModelFileError
        If the edges do not fit the content.

    Examples
    --------
    >>> Texts.of(["Für Elise", "", "So What"]).take([2, 0])
    ['So What', 'Für Elise']
    """

    content: NDArray[np.uint8]
    edges: NDArray[np.int64]

    def __post_init__(self) -> None:
        edges, content = self.edges, self.content
        are_lists = edges.ndim == content.ndim == 1 and edges.dtype.str[1:] + content.dtype.str[1:] == "i8u1"
        if not (are_lists and len(edges) and edges[0] == 0 and edges[-1] == len(content)) or (np.diff(edges) < 0).any():
            message = "The places of its texts do not cut them."
            raise ModelFileError(message)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Self:
        """Keep the text of each row. Half a surrogate pair, which UTF-8 cannot encode, becomes a question mark."""
        encoded = [text.encode("utf-8", "replace") for text in texts]
        edges = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(text) for text in encoded], out=edges[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), edges)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def take(self, rows: ArrayLike) -> list[str]:
        """Return the texts of some rows, given by number. An IndexError says that there is no such row."""
        numbers = np.asarray(rows, dtype=np.int64)
        places = zip(self.edges[:-1][numbers].tolist(), self.edges[1:][numbers].tolist(), strict=True)
        return [self.content[start:end].tobytes().decode("utf-8", "replace") for start, end in places]
