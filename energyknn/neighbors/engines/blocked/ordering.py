"""How rows are put in order: by groups of equal indicator patterns, then by splits at medians."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from typing import Any

import numpy as np

from energyknn._shared.compiling import compile_kernel

_FEW = 32  # a column with more distinct values does not group rows; codes are uint8, so at most 255
_SAMPLE = 128  # rows whose variance decides which column to split


@compile_kernel
def code_column(rows, column, codes):
    """Code the values of a column 0, 1, ...; return how many there are, or 0 if more than _FEW."""
    values = np.empty(_FEW)
    n_values = 0
    last = 0
    for row in range(len(rows)):
        value = rows[row, column]
        if n_values == 0 or value != values[last]:
            last = 0
            while last < n_values and values[last] != value:
                last += 1
            if last == n_values:
                if n_values == _FEW:
                    return 0
                values[n_values] = value
                n_values += 1
        codes[row] = last
    return n_values


@compile_kernel
def join_patterns(labels, n_labels, codes, n_codes, most):
    """Relabel rows by the pairs of label and code that occur, in place; return how many, or 0 if more than `most`."""
    known = np.full(n_labels * n_codes, -1, dtype=np.int64)
    n_joined = 0
    for row in range(len(labels)):
        pair = labels[row] * n_codes + codes[row]
        if known[pair] < 0:
            if n_joined == most:
                return 0
            known[pair] = n_joined
            n_joined += 1
    for row in range(len(labels)):
        labels[row] = known[labels[row] * n_codes + codes[row]]
    return n_joined


@compile_kernel
def sort_segments(labels, n_labels, smallest):
    """Order rows by label, those of rare labels together at the end; return the order and the segments' edges."""
    counts = np.bincount(labels, minlength=n_labels)
    places = np.empty(n_labels, dtype=np.int64)
    edges: Any = [np.int64(0)]
    place = np.int64(0)
    for label in range(n_labels):
        if counts[label] >= smallest:
            places[label] = place
            place += counts[label]
            edges.append(place)
    rest = place
    order = np.empty(len(labels), dtype=np.int64)
    for row in range(len(labels)):
        label = labels[row]
        if counts[label] >= smallest:
            order[places[label]] = row
            places[label] += 1
        else:
            order[rest] = row
            rest += 1
    if place < len(labels):
        edges.append(len(labels))
    return order, np.array(edges)


@compile_kernel
def _choose_column(rows, order, start, stop):
    """Choose the column of largest variance in a sample of the rows; -1 if all rows are equal."""
    n_features = rows.shape[1]
    n_sampled = min(_SAMPLE, stop - start)
    sums = np.zeros(n_features)
    squares = np.zeros(n_features)
    first = order[start]
    for sample in range(n_sampled):
        row = order[start + sample * (stop - start) // n_sampled]
        for column in range(n_features):
            difference = rows[row, column] - rows[first, column]
            sums[column] += difference
            squares[column] += difference * difference
    best = 0.0
    chosen = -1
    for column in range(n_features):
        variance = squares[column] - sums[column] * sums[column] / n_sampled
        if variance > best:
            best = variance
            chosen = column
    if chosen >= 0 and best > 0.0:
        return chosen
    for place in range(start, stop):
        for column in range(n_features):
            if rows[order[place], column] != rows[first, column]:
                return column
    return -1


@compile_kernel
def _part_at(keys, order, start, stop, middle):
    """Reorder keys[start:stop] and order alike, so that no key before `middle` exceeds one from `middle` on."""
    left, right = start, stop - 1
    while left < right:
        a, b, c = keys[left], keys[(left + right) // 2], keys[right]
        pivot = max(min(a, b), min(max(a, b), c))
        i, j = left, right
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            return


@compile_kernel
def split_pieces(rows, order, keys, edges, largest, leaf):
    """Split each piece of the order at medians until none has more than `largest` rows; return the new edges.

    Every piece but the last of each piece given has a multiple of `leaf` rows. Rows that are all equal stay in
    ascending order.
    """
    out: Any = [edges[0]]
    for piece in range(len(edges) - 1):
        pending = [(edges[piece], edges[piece + 1])]
        while len(pending):
            start, stop = pending.pop()
            size = stop - start
            if size <= largest or size <= leaf:
                out.append(stop)
                continue
            column = _choose_column(rows, order, start, stop)
            middle = start + (size + 2 * leaf - 1) // (2 * leaf) * leaf
            if column < 0:
                order[start:stop].sort()
            else:
                for place in range(start, stop):
                    keys[place] = rows[order[place], column]
                _part_at(keys, order, start, stop, middle)
            pending.append((middle, stop))
            pending.append((start, middle))
    return np.array(out)
