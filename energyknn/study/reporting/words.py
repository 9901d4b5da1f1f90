"""The words that a study is told in: what is predicted, its unit, what a row is; and how figures are written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energyknn.study.results import AnyResults

Value = int | float | None


@dataclass(frozen=True)
class Words:
    """The words that differ between studies.

    Parameters
    ----------
    target : str
        The column to predict.
    unit : str
        Its unit; empty where it has none.
    row : str
        What one row is: "row" or "track".

    Examples
    --------
    >>> Words("price", "EUR", "row").with_unit("predicted price")
    'predicted price (EUR)'
    """

    target: str
    unit: str = ""
    row: str = "row"

    @classmethod
    def of(cls, results: AnyResults) -> Words:
        """Take the words from the content of `results.json`."""
        schema = results["schema"]
        return cls(schema["target"], schema["unit"], schema["row"])

    def with_unit(self, text: str, *, note: str = "") -> str:
        """Return the text with the target's unit, and perhaps a note, in parentheses; without where there is neither.

        Examples
        --------
        >>> Words("price").with_unit("RMSE"), Words("price", "EUR").with_unit("RMSE", note="lower is better")
        ('RMSE', 'RMSE (EUR; lower is better)')
        """
        inside = "; ".join(part for part in (self.unit, note) if part)
        return f"{text} ({inside})" if inside else text


def write_number(value: Value, *, signed: bool = False) -> str:
    """Write a figure in the target's unit: four significant digits, and all those before the point.

    Parameters
    ----------
    value : int, float or None
        The figure. None gives a dash.
    signed : bool, default=False
        Whether a figure above 0 gets a plus.

    Returns
    -------
    str
        With thousands set apart. Figures below 0.0001 and from 10¹⁵ on have an exponent.

    Examples
    --------
    >>> write_number(60828.45), write_number(0.118674), write_number(3.5), write_number(250), write_number(0)
    ('60,828', '0.1187', '3.500', '250', '0')
    """
    if value is None:
        return "-"
    sign = "+" if signed and value > 0 else ""
    if isinstance(value, int) or value == 0:
        return f"{sign}{value:,.0f}"
    size = abs(value)
    if not 1e-4 <= size < 1e15:
        return f"{sign}{value:.3e}"
    decimals = max(0, 3 - int(np.floor(np.log10(size))))
    return f"{sign}{value:,.{decimals}f}"


def write_error(error: float, value: float) -> str:
    """Write a standard error with as many decimals as `write_number` gives to its value.

    Examples
    --------
    >>> write_error(0.0061963, 0.78717), write_error(1234.5, -58789.7)
    ('0.0062', '1,234')
    """
    return f"{error:,.{len(write_number(value).partition('.')[2])}f}" if 1e-4 <= abs(value) < 1e15 else f"{error:.1e}"
