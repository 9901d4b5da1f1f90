"""How rows are put in order: by groups of equal indicator patterns, then by splits at medians."""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from energyknn._shared.compiling import compile_step

_SAMPLE = 128  # rows whose variance decides which column to split


@compile_step
def code_column(rows, column, codes, values):
    """Code the values of a column 0, 1, ...; return how many there are, or 0 if there is no room for them."""
    n_values = 0
    last = 0
    for row in range(len(rows)):
        value = rows[row, column]
        if n_values == 0 or value != values[last]:
            last = 0
            while last < n_values and values[last] != value:
                last += 1
            if last == n_values:
                if n_values == len(values):
                    return 0
                values[n_values] = value
                n_values += 1
        codes[row] = last
    return n_values


@compile_step
def join_patterns(labels, codes, n_codes, known, most):
    """Relabel rows by the pairs of label and code that occur, in place; return how many, or 0 if more than `most`.

    `known` has -1 for each pair.
    """
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


@compile_step
def _choose_column(rows, order, start, stop, sums, squares):
    """Choose the column of largest variance in a sample of the rows; -1 if all rows are equal."""
    n_features = rows.shape[1]
    n_sampled = min(_SAMPLE, stop - start)
    sums[:], squares[:] = 0.0, 0.0
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


@compile_step
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


@compile_step
def split_pieces(rows, order, keys, edges, largest, leaf, pending, sums, squares, new_edges):
    """Split each piece of the order at medians until none has more than `largest` rows; return how many new edges.

    Every piece but the last of each piece given has a multiple of `leaf` rows. Rows that are all equal are split by
    their numbers.
    """
    new_edges[0] = edges[0]
    n_edges = 1
    for piece in range(len(edges) - 1):
        pending[0, 0], pending[0, 1] = edges[piece], edges[piece + 1]
        n_pending = 1
        while n_pending:
            n_pending -= 1
            start, stop = pending[n_pending, 0], pending[n_pending, 1]
            size = stop - start
            if size <= largest or size <= leaf:
                new_edges[n_edges] = stop
                n_edges += 1
                continue
            column = _choose_column(rows, order, start, stop, sums, squares)
            middle = start + (size + 2 * leaf - 1) // (2 * leaf) * leaf
            for place in range(start, stop):
                keys[place] = rows[order[place], column] if column >= 0 else float(order[place])
            _part_at(keys, order, start, stop, middle)
            pending[n_pending, 0], pending[n_pending, 1] = middle, stop
            pending[n_pending + 1, 0], pending[n_pending + 1, 1] = start, middle
            n_pending += 2
    return n_edges
