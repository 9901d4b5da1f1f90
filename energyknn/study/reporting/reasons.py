"""The training rows behind a prediction, as a table and a few sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

_N_SHARES = 3  # columns named below a training row


def tabulate_reasons(reasons: Sequence[Mapping[str, Any]], target: str, names: Sequence[str]) -> Table:
    """Build the table of the training rows behind a prediction for a terminal.

    Parameters
    ----------
    reasons : sequence of mappings
        For each training row its names, target, `weight`, `distance`, and the `shares` and `values` of its columns.
    target : str
        The column that is predicted.
    names : sequence of str
        What names a row; none shows its number.

    Returns
    -------
    rich.table.Table
        For each row its figures, its name, and below that where it differs most. Words and figures stay whole.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in (target, "weight", "distance"):
        table.add_column(heading, justify="right", min_width=max(map(len, heading.split())))
    table.add_column("training row, and its values that differ (share of the distance)")
    for reason in reasons:
        named = " | ".join(str(reason[name]) for name in names) or f"row {reason['training_row']}"
        figures = [show_value(reason[target]), f"{reason['weight']:.1%}", f"{reason['distance']:.3f}"]
        words = f"{named}\n{_name_differences(reason)}"
        table.add_row(*figures, words)
        for column, text in zip(table.columns, (*figures, max(words.split(), key=len)), strict=True):
            column.min_width = max(column.min_width or 0, len(text))
    return table


def describe_values(reasons: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> str:
    """Name the predicted row's own values in the columns that the table of reasons names; nothing where it names none.

    Examples
    --------
    >>> describe_values([{"shares": {"area": 0.9, "town": 0.1, "rooms": 0.0}}], {"area": 70, "town": "Ulm", "rooms": 3})
    'This row has area 70, town Ulm.'
    """
    named = {name for reason in reasons for name, _ in _list_differences(reason)}
    own = ", ".join(f"{name} {_show_own(value)}" for name, value in values.items() if name in named)
    return f"This row has {own}." if own else ""


def _name_differences(reason: Mapping[str, Any]) -> str:
    """Name the columns that make up most of a distance, with the training row's own values."""
    named = [f"{name} {_show_own(reason['values'][name])} ({share:.0%})" for name, share in _list_differences(reason)]
    return ", ".join(named) or "equal"


def _list_differences(reason: Mapping[str, Any]) -> list[tuple[str, float]]:
    """List the columns that make up most of a distance, with their shares in it."""
    largest = sorted(reason["shares"].items(), key=lambda pair: -pair[1])[:_N_SHARES]
    return [(name, share) for name, share in largest if round(share, 2) > 0]


def _show_own(value: Any) -> str:
    """Return a training row's own value as text, to six digits."""
    return f"{value:.6g}" if isinstance(value, float) else show_value(value)


def show_value(value: Any) -> str:
    """Return a value as text: small numbers to three places, large ones to seven digits.

    Examples
    --------
    >>> show_value(0.12345), show_value(60828.4567), show_value(3.0), show_value("Ulm"), show_value(None)
    ('0.123', '60828.46', '3', 'Ulm', 'unknown')
    """
    if value is None:
        return "unknown"
    if not isinstance(value, float):
        return str(value)
    if value.is_integer():
        return f"{value:.0f}"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.7g}"


def describe_weights(reasons: Sequence[Mapping[str, Any]], *, extrapolated: bool) -> list[str]:
    """Say how much of the prediction the training rows make up, and whether it lies beyond all of them."""
    weight = sum(reason["weight"] for reason in reasons)
    these = "This row has" if len(reasons) == 1 else f"These {len(reasons)} rows have"
    lines = [f"{these} {weight:.0%} of the weight."]
    if round(weight, 3) > 1:
        lines = [f"{these} {weight:.0%} of the weight; rows that are not shown take the rest back, by weights below 0."]
    if extrapolated:
        lines.append(
            "The prediction lies outside of the targets of all rows that it is made of: the plane through them goes on "
            "beyond. Trust it less."
        )
    return lines
