"""Pictures of an audit: which targets lie far from what their neighbours say, and how well wrong ones are found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from energyknn.study.reporting.axes import Picture, label_axes, make_axes, mark_values, write_ticks
from energyknn.study.reporting.cells import draw_matrix, draw_pairs
from energyknn.study.reporting.colors import BLUE, GREY, PAPER
from energyknn.study.reporting.words import Words, write_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from energyknn.auditing import Audit

_MOST_CLASSES = 20
_MOST_STEPS = 400  # of a curve


def draw_targets(rows: pd.DataFrame, named: Sequence[str], *, words: Words) -> Figure:
    """Draw the target of each row over what its neighbours say, with the rows that fit least as dots.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_texts + 5)
        What `audit_table` lists. The target is a number.
    named : sequence of str
        What the dots are called, one name for each of the first rows.
    words : Words
        The target and its unit.

    Returns
    -------
    matplotlib.figure.Figure
        Cells for all rows, and dots for those that have names.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    target, said = (rows.iloc[:, place].to_numpy(dtype=np.float64) for place in (-4, -3))
    title = f"{named[0]}: {words.target} {write_number(target[0])}, where its neighbours say {write_number(said[0])}"
    names = (f"what neighbours say of {words.target}", words.target)
    figure = draw_pairs(title, (said, target), names, words=words, of=f"{words.row}s")
    axes, worst = figure.axes[0], slice(len(named))
    style: dict[str, Any] = {"color": BLUE, "markeredgecolor": PAPER, "marker": "o", "markersize": 6, "zorder": 4}
    axes.plot(said[worst], target[worst], linestyle="none", label=f"the {len(named):,} that fit least", **style)
    pairs = zip(named, target[worst], said[worst], strict=True)
    texts = (f"{name}: {write_number(own)}, neighbours say {write_number(other)}" for name, own, other in pairs)
    mark_values(axes, said[worst], target[worst], texts)
    axes.legend(fontsize=9, loc="upper left")
    return figure


def draw_disagreements(rows: pd.DataFrame, *, words: Words) -> Figure:
    """Draw the classes of rows, and those that most of their neighbours have.

    Parameters
    ----------
    rows : DataFrame of shape (n_rows, n_texts + 5)
        What `audit_table` lists. The target is a class.
    words : Words
        The target.

    Returns
    -------
    matplotlib.figure.Figure
        The classes whose rows disagree the most with their neighbours, 20 at most.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    own, said = (rows.iloc[:, place].astype(str) for place in (-4, -3))
    counts = pd.crosstab(own, said)
    labels = sorted({*counts.index, *counts.columns})
    counts = counts.reindex(index=labels, columns=labels, fill_value=0)
    table = counts.to_numpy()
    wrong = table - np.diag(np.diag(table))
    title = f"{wrong.sum():,} of {len(rows):,} {words.row}s have another {words.target} than most of their neighbours"
    if wrong.any():
        first, second = divmod(int(wrong.argmax()), len(labels))
        title += f": most often {labels[first]} among {labels[second]}"
    shown = np.sort(np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:_MOST_CLASSES])
    names = (f"own {words.target}", f"{words.target} of most neighbours")
    table, labels = table[np.ix_(shown, shown)], [labels[place] for place in shown]
    return draw_matrix(title, table, labels, names, pair="{} among {}")


def draw_misfits(misfits: NDArray[np.float64], n_named: int, *, words: Words) -> Figure:
    """Draw the misfit of each row in descending order.

    Parameters
    ----------
    misfits : ndarray of shape (n_rows,)
        In descending order.
    n_named : int
        How many rows the page names.
    words : Words
        What a row is.

    Returns
    -------
    matplotlib.figure.Figure
        A curve over the place in the list, on a log scale, with a dot for each row that is named.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    middle = float(np.median(misfits))
    least = f"those listed have {misfits[n_named - 1]:.2f} or more"
    title = f"Half of the {words.row}s have a misfit below {middle:.2f}, and {least}"
    figure, (axes,) = make_axes(3.6, title)
    places = np.unique(np.geomspace(1, len(misfits), _MOST_STEPS).round().astype(int))
    axes.plot(places, misfits[places - 1], color=GREY, linewidth=1.5)
    first = np.arange(1, n_named + 1)
    axes.plot(first, misfits[:n_named], color=BLUE, marker="o", markersize=5, linestyle="none")
    texts = (f"place {place:,}: misfit {misfits[place - 1]:.2f}" for place in places)
    mark_values(axes, places, misfits[places - 1], texts)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_ylim(bottom=0)
    label_axes(axes, "place in the list (log scale)", "misfit (no unit)")
    return figure


def draw_test(found: Audit, *, words: Words) -> Figure:
    """Draw how many of the rows that were spoilt on purpose are found over how much of the list is read.

    Parameters
    ----------
    found : Audit
        What `audit_table` returns, with a test.
    words : Words
        What a row is.

    Returns
    -------
    matplotlib.figure.Figure
        A curve for the list and a line for chance, with a dot where as many rows are read as were spoilt.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    n_rows, n_spoilt = len(found.rows), found.n_spoilt
    read = np.unique(np.linspace(0, n_rows, _MOST_STEPS).round().astype(int))
    shares = 100 * np.searchsorted(found.spoilt_ranks, read) / n_spoilt
    half = int(found.spoilt_ranks[(n_spoilt - 1) // 2]) + 1
    title = f"The first {half:,} of {n_rows:,} {words.row}s hold half of the swapped ones"
    figure, (axes,) = make_axes(3.8, title)
    axes.plot(read, shares, color=BLUE, linewidth=1.8, label="this list")
    axes.plot([0, n_rows], [0, 100], color=GREY, linewidth=1.2, linestyle="--", label="a list in random order")
    axes.plot([n_spoilt], [100 * found.n_found / n_spoilt], color=BLUE, marker="o", markersize=8)
    texts = (f"{count:,} {words.row}s read: {share:.1f} % found" for count, share in zip(read, shares, strict=True))
    mark_values(axes, read, shares, texts)
    axes.set_ylim(0, 102)
    write_ticks(axes.xaxis, n_rows)
    label_axes(axes, f"{words.row}s read, from the first on (count)", f"swapped {words.row}s found (%)")
    axes.legend(fontsize=9, loc="lower right")
    return figure


def draw_audit_pictures(found: Audit, named: Sequence[str], *, words: Words) -> dict[str, Picture]:
    """Draw every picture of an audit.

    Parameters
    ----------
    found : Audit
        What `audit_table` returns.
    named : sequence of str
        What the first rows are called.
    words : Words
        The target, its unit and what a row is.

    Returns
    -------
    dict of str to Picture
        By name, in the order in which the page shows them. Without a test, its picture is left out.

    Raises
    ------
    ImportError
        If the extra ``report`` is not installed.
    """
    if not found.model.model_.schema.classifies:
        first = Picture(
            draw_targets(found.rows, named, words=words),
            f"Counts of {words.row}s by {words.target} and what their neighbours say; the worst as dots.",
            "Neighbours say their mean without the lowest and highest tenth. A dot far from the red line need not be "
            "wrong: where neighbours scatter much, more distance is usual.",
        )
    else:
        first = Picture(
            draw_disagreements(found.rows, words=words),
            f"Counts of {words.row}s by their own {words.target} and that of most neighbours.",
            f"Each line of the matrix adds up to all {words.row}s of a class, where every class is shown.",
        )
    misfits = found.rows.iloc[:, -2].to_numpy(dtype=np.float64)
    pictures = {
        "targets": first,
        "misfits": Picture(
            draw_misfits(misfits, len(named), words=words),
            "The misfit over the place in the list.",
            f"Dots: the {words.row}s that the table lists. Where the curve bends down, the odd ones end.",
        ),
    }
    if found.n_spoilt:
        pictures["test"] = Picture(
            draw_test(found, words=words),
            "The share of swapped rows that is found over the rows that are read.",
            f"{found.n_spoilt:,} {words.row}s swapped their targets, and the file was audited again. Dot: as many "
            "are read as were swapped.",
        )
    return pictures
