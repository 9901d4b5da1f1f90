"""The compiled loops of the blocked engine: splitting rows into blocks, and searching blocks for neighbours.

Nothing here is imported before the engine is used. All loops release the interpreter's lock and take the piece of
work that they shall do, so that plain threads share it. None is compiled with `fastmath`: LLVM then neither fuses nor
reorders, and `measure_row` gives NumPy's bits. Only the tiles, which screen in float32, may fuse.

Numba does not run these bodies under coverage.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from energyknn._shared.compiling import compile_kernel
from energyknn.neighbors.engines.blocked.tiles import (
    LANES,
    TILE_QUERIES,
    TILE_ROWS,
    count_at_most,
    count_trailing_zeros,
    fill_tile_1,
    fill_tile_2,
    find_near_parts_1,
    find_near_parts_2,
)

__all__ = [
    "BATCH",
    "PARTS",
    "SUPER",
    "TILE_ROWS",
    "UNIT",
    "Batches",
    "Tree",
    "bound_blocks",
    "code_column",
    "copy_rows",
    "fill_blocks",
    "join_patterns",
    "measure_row",
    "search_batches",
    "sort_segments",
    "split_pieces",
]

UNIT = 64  # queries that share a bound
BATCH = 2 * UNIT  # queries that share a traversal
SUPER = 32  # blocks in a superblock
PARTS = LANES  # most parts of a block, of one tile's rows each
_FEW = 32  # most distinct values of a column that can group rows
_COUNTED = 256  # candidates up to which counting the smaller ones sorts fastest
_N_PIVOTS = 24  # tries to come close to the k-th smallest value
_WORTH_BOUNDING = 8  # parts are bounded while one in so many is passed over, else tried now and then
_SAMPLE = 128  # rows that choose the column to split by


class Tree(NamedTuple):
    """Training rows in blocks; see `fill_blocks` for the float32 parts.

    `rows` (n_train, n_features) holds the rows as given, block after block, `numbers` (n_train,) their training row
    numbers, `edges` (n_blocks + 1,) the first place of each block. `low` and `high` (n_supers, n_features, SUPER)
    bound the blocks, `super_low` and `super_high` (n_features, n_supers) the superblocks. `scale` is a power of 2.
    """

    rows: NDArray[np.float64]
    numbers: NDArray[np.int64]
    edges: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    super_low: NDArray[np.float64]
    super_high: NDArray[np.float64]
    centres: NDArray[np.float64]
    halves: NDArray[np.float32]
    n_varying: NDArray[np.int64]
    tile_edges: NDArray[np.int64]
    tiles: NDArray[np.float32]
    part_low: NDArray[np.float32]
    part_high: NDArray[np.float32]
    starts: NDArray[np.float32]
    radii: NDArray[np.float32]
    scale: float


class Batches(NamedTuple):
    """Queries in batches: rows as given, their order, and the edges of batches in that order.

    `own` is empty, or holds the row number that each query in order leaves out.
    """

    rows: NDArray[np.float64]
    numbers: NDArray[np.int64]
    edges: NDArray[np.int64]
    own: NDArray[np.int64]


@compile_kernel
def code_column(rows, column, codes):  # pragma: no cover
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
def join_patterns(labels, n_labels, codes, n_codes, most):  # pragma: no cover
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
def sort_segments(labels, n_labels, smallest):  # pragma: no cover
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
def _choose_column(rows, order, start, stop):  # pragma: no cover
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
def _part_at(keys, order, start, stop, middle):  # pragma: no cover
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
def split_pieces(rows, order, keys, edges, largest, leaf):  # pragma: no cover
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


@compile_kernel
def copy_rows(source, order, start, stop, target):  # pragma: no cover
    """Copy rows into their places."""
    for place in range(start, stop):
        for column in range(source.shape[1]):
            target[place, column] = source[order[place], column]


@compile_kernel
def bound_blocks(tree, first, last):  # pragma: no cover
    """Bound the blocks first to last - 1, find their centres, and count the columns in which they vary."""
    rows = tree.rows
    n_features = rows.shape[1]
    low = np.empty(n_features)
    high = np.empty(n_features)
    for block in range(first, last):
        low[:] = np.inf
        high[:] = -np.inf
        for place in range(tree.edges[block], tree.edges[block + 1]):
            for column in range(n_features):
                low[column] = min(low[column], rows[place, column])
                high[column] = max(high[column], rows[place, column])
        n_varying = 0
        for column in range(n_features):
            tree.low[block // SUPER, column, block % SUPER] = low[column]
            tree.high[block // SUPER, column, block % SUPER] = high[column]
            n_varying += high[column] > low[column]
            half = 0.5 * (high[column] - low[column])
            tree.centres[block, column] = low[column] + half
        tree.n_varying[block] = n_varying
        if n_varying == 0:  # equal rows: the first has the smallest number
            tree.numbers[tree.edges[block] : tree.edges[block + 1]].sort()


@compile_kernel
def fill_blocks(tree, first, last, p):  # pragma: no cover
    """Write the float32 parts of the blocks first to last - 1.

    Rows are taken relative to their block's centre and times the scale. A tile holds the columns that vary in the
    block, one tile of rows after another; `part_low` and `part_high` bound the rows of each tile in those columns, a
    row of PARTS per column; `halves` (n_blocks, n_features) are half widths of the box, 0 where the column does not
    vary; `starts` (n_blocks, block size) the squared norms (p = 2) or zeros (p = 1), infinite
    behind the last row; `radii` the largest norm, squared if p = 2.
    """
    block_size = tree.starts.shape[1]
    norms = np.empty(block_size)
    for block in range(first, last):
        start, n_rows = tree.edges[block], tree.edges[block + 1] - tree.edges[block]
        n_varying = tree.n_varying[block]
        norms[:] = 0.0
        at = 0
        for column in range(tree.rows.shape[1]):
            low = tree.low[block // SUPER, column, block % SUPER]
            high = tree.high[block // SUPER, column, block % SUPER]
            tree.halves[block, column] = np.float32(0.0)
            if not high > low:
                continue
            centre = tree.centres[block, column]
            half = max(high - centre, centre - low) * tree.scale
            tree.halves[block, column] = np.float32(half * 1.000001 + 1e-40)
            at_part = (tree.tile_edges[block] // block_size + at) * PARTS
            for part in range(PARTS):
                part_low, part_high = np.inf, -np.inf
                for place in range(part * TILE_ROWS, min((part + 1) * TILE_ROWS, n_rows)):
                    value64 = (tree.rows[start + place, column] - centre) * tree.scale
                    part_low, part_high = min(part_low, value64), max(part_high, value64)
                tree.part_low[at_part + part] = np.float32(part_low - abs(part_low) * 1e-6 - 1e-40)
                tree.part_high[at_part + part] = np.float32(part_high + abs(part_high) * 1e-6 + 1e-40)
            for place in range(block_size):
                value = np.float32(0.0)
                if place < n_rows:
                    value = np.float32((tree.rows[start + place, column] - centre) * tree.scale)
                slot = (place // TILE_ROWS * n_varying + at) * TILE_ROWS + place % TILE_ROWS
                tree.tiles[tree.tile_edges[block] + slot] = value
                norms[place] += np.float64(value) * np.float64(value) if p == 2 else abs(np.float64(value))
            at += 1
        tree.radii[block] = np.float32(norms[:n_rows].max() * 1.000001)
        for place in range(block_size):
            start_of = np.float32(norms[place]) if p == 2 else np.float32(0.0)
            tree.starts[block, place] = start_of if place < n_rows else np.float32(np.inf)


@compile_kernel
def measure_row(queries, query, rows, row, p):  # pragma: no cover
    """Measure as `measure_candidates` does: the sum in column order, nothing fused."""
    total = 0.0
    for column in range(queries.shape[1]):
        difference = rows[row, column] - queries[query, column]
        total += difference * difference if p == 2 else abs(difference)
    return total


@compile_kernel
def _comes_first(measure, row, other_measure, other_row):  # pragma: no cover
    """Order pairs by their first, and where those are equal by their second part."""
    return measure < other_measure or (measure == other_measure and row < other_row)


@compile_kernel
def _sift_down(keys, items, size):  # pragma: no cover
    """Put the last item of a heap, ordered by (key, item), at its top, and let it sink."""
    key, item = keys[size], items[size]
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _comes_first(keys[child + 1], items[child + 1], keys[child], items[child]):
            child += 1
        if not _comes_first(keys[child], items[child], key, item):
            break
        keys[at], items[at] = keys[child], items[child]
        at = child
    keys[at], items[at] = key, item


@compile_kernel
def _push(keys, items, size, key, item):  # pragma: no cover
    """Add an item to a heap of `size` items."""
    at = size
    while at > 0 and _comes_first(key, item, keys[(at - 1) // 2], items[(at - 1) // 2]):
        keys[at], items[at] = keys[(at - 1) // 2], items[(at - 1) // 2]
        at = (at - 1) // 2
    keys[at], items[at] = key, item


@compile_kernel
def _bound_boxes(query_low, query_high, unit, low, high, group, p, bounds):  # pragma: no cover
    """Write the least (squared) distances between the box of a unit and the boxes of a group."""
    for box in range(low.shape[2]):
        bounds[box] = 0.0
    for column in range(low.shape[1]):
        left, right = query_low[unit, column], query_high[unit, column]
        for box in range(low.shape[2]):
            gap = max(max(low[group, column, box] - right, left - high[group, column, box]), 0.0)
            bounds[box] += gap * gap if p == 2 else gap


@compile_kernel
def _keep_nearest(values, places, query, n_found, n_neighbors, margin):  # pragma: no cover
    """Keep the candidates that may be among the k nearest; return how many, and a bound for the k-th measure.

    Each value is within `margin` of its measure. If k values do not exceed a pivot, then the pivot plus the margin
    bounds the k-th smallest measure, and a value that exceeds the pivot by more than two margins has a larger
    measure. The pivot need not be the k-th smallest value itself: interpolation and halving bring it close.
    """
    n_padded = (n_found + LANES - 1) // LANES * LANES
    low = values[query, 0]
    high = low
    for at in range(n_found):
        low = min(low, values[query, at])
        high = max(high, values[query, at])
    for at in range(n_found, n_padded):
        values[query, at] = np.float32(np.inf)
    flat = values.reshape(-1)
    start = query * values.shape[1]
    n_low, n_high = 0, n_found
    if n_neighbors == 1:
        high, n_high = low, 1
    for step in range(_N_PIVOTS):
        if n_high <= n_neighbors + n_neighbors // 16:
            break
        share = 0.5
        if step < 4:
            share = (n_neighbors + n_neighbors // 32 - n_low + 0.5) / (n_high - n_low)
        pivot = np.float32(low + share * (high - low))
        if pivot <= low or pivot >= high:
            pivot = np.float32(low + 0.5 * (high - low))
            if pivot <= low or pivot >= high:
                break
        n_pivot = count_at_most(flat, start, n_padded, pivot)
        if n_pivot >= n_neighbors:
            high, n_high = pivot, n_pivot
        else:
            low, n_low = pivot, n_pivot
    limit = np.float64(high) + 2.0 * margin
    kept = 0
    for at in range(n_found):
        value = values[query, at]
        values[query, kept] = value
        places[query, kept] = places[query, at]
        kept += np.float64(value) <= limit
    return kept, np.float64(high) + margin


@compile_kernel
def _measure_found(queries, row, tree, places, query, n_found, p, measures, rows):  # pragma: no cover
    """Measure the candidates of a query, row `row` of the queries, as the contract says."""
    train_rows, train_numbers = tree.rows, tree.numbers
    for at in range(n_found):
        place = places[query, at]
        measures[at] = measure_row(queries, row, train_rows, place, p)
        rows[at] = train_numbers[place]


@compile_kernel
def _merge_sort(measures, rows, sorted_measures, sorted_rows):  # pragma: no cover
    """Sort many candidates as `_sort_found` does few: the halves each for itself, then both together."""
    size = len(measures)
    if size <= _COUNTED:
        for at in range(size):
            measure, row = measures[at], rows[at]
            rank = 0
            for other in range(size):
                rank += (measures[other] < measure) | ((measures[other] == measure) & (rows[other] < row))
            sorted_measures[rank], sorted_rows[rank] = measure, row
        return
    middle = size // 2
    half_measures, half_rows = np.empty(size), np.empty(size, dtype=np.int64)
    _merge_sort(measures[:middle], rows[:middle], half_measures, half_rows)
    _merge_sort(measures[middle:], rows[middle:], half_measures[middle:], half_rows[middle:])
    left, right = 0, middle
    for at in range(size):
        takes_left = right == size
        if left < middle and right < size:
            takes_left = _comes_first(half_measures[left], half_rows[left], half_measures[right], half_rows[right])
        if takes_left:
            sorted_measures[at], sorted_rows[at] = half_measures[left], half_rows[left]
            left += 1
        else:
            sorted_measures[at], sorted_rows[at] = half_measures[right], half_rows[right]
            right += 1


@compile_kernel
def _sort_found(measures, rows, n_found, sorted_measures, sorted_rows):  # pragma: no cover
    """Sort by (measure, row number), smallest first, into the other arrays."""
    if n_found > _COUNTED:
        _merge_sort(measures[:n_found], rows[:n_found], sorted_measures, sorted_rows)
        return
    for at in range(n_found):
        measure, row = measures[at], rows[at]
        rank = 0
        for other in range(n_found):
            rank += (measures[other] < measure) | ((measures[other] == measure) & (rows[other] < row))
        sorted_measures[rank], sorted_rows[rank] = measure, row


@compile_kernel
def _localise(batch, unit, low, high, tree, block, p, shares, bases, sizes, bounds, outsides):  # pragma: no cover
    """Take a unit of queries relative to a block's centre, in float32, times the scale.

    Writes for each query: `shares`, a row per column that varies in the block, -2 times (p = 2) the value; `bases`,
    the part of the measure that is the same for all rows of the block; `sizes`, the norm, squared if p = 2;
    `bounds`, the measure's least value in the block's box; and `outsides`, the measure in the columns that do not
    vary.
    """
    centres, halves, scale = tree.centres, tree.halves, tree.scale
    fixed = 0.0
    for query in range(UNIT):
        bases[query] = np.float32(0.0)
        sizes[query] = np.float32(0.0)
        bounds[query] = np.float32(0.0)
        outsides[query] = np.float32(0.0)
    at = 0
    for column in range(batch.shape[1]):
        centre = centres[block, column]
        half = halves[block, column]
        if half == np.float32(0.0) and low[unit, column] == high[unit, column]:
            value = (low[unit, column] - centre) * scale
            fixed += value * value if p == 2 else abs(value)
        elif p == 2:
            for query in range(UNIT):
                value32 = np.float32((batch[unit, column, query] - centre) * scale)
                gap = max(abs(value32) - half, np.float32(0.0))
                bounds[query] += gap * gap
                bases[query] += value32 * value32
                outsides[query] += value32 * value32 if half == np.float32(0.0) else np.float32(0.0)
                shares[at, query] = np.float32(-2.0) * value32
            at += half > np.float32(0.0)
        else:
            for query in range(UNIT):
                value32 = np.float32((batch[unit, column, query] - centre) * scale)
                bounds[query] += max(abs(value32) - half, np.float32(0.0))
                sizes[query] += abs(value32)
                outsides[query] += abs(value32) if half == np.float32(0.0) else np.float32(0.0)
                shares[at, query] = value32
            at += half > np.float32(0.0)
    for query in range(UNIT):
        bounds[query] += np.float32(fixed)
        outsides[query] += np.float32(fixed)
        bases[query] = bases[query] + np.float32(fixed) if p == 2 else outsides[query]
        sizes[query] = bases[query] if p == 2 else sizes[query] + np.float32(fixed)


@compile_kernel
def _take_below(sums, inner, mask, base, edge, numbers, own, values, places, query, count):  # pragma: no cover
    """Append the rows of a tile whose bits are set, but for the query's own; return the new count."""
    while mask:
        slot = count_trailing_zeros(mask)
        mask &= mask - np.uint64(1)
        values[query, count] = sums[inner * TILE_ROWS + slot] + base
        places[query, count] = edge + slot
        count += own < 0 or numbers[edge + slot] != own
    return count


@compile_kernel
def _put_back(
    values, places, query, n_found, n_neighbors, measures, rows, sorted_measures, sorted_rows, scale, p
):  # pragma: no cover
    """Keep exactly the k first candidates in the contract's order, their measures times the scale for values."""
    kept = 0
    for at in range(n_found):
        if not _comes_first(sorted_measures[n_neighbors - 1], sorted_rows[n_neighbors - 1], measures[at], rows[at]):
            scaled = measures[at] * scale
            values[query, kept] = scaled * scale if p == 2 else scaled
            places[query, kept] = places[query, at]
            kept += 1
    return kept


@compile_kernel
def search_batches(tree, batches, first, last, n_neighbors, p, distances, indices):  # pragma: no cover
    """Find the neighbours of the queries of batches first to last - 1.

    Parameters
    ----------
    tree : Tree
        Training rows.
    batches : Batches
        Queries.
    first, last : int
        Which batches.
    n_neighbors : int
        k, at most the number of rows that a query may have as neighbours.
    p : int
        1 or 2.
    distances, indices : ndarray of shape (n_query, k)
        Written at the numbers of the queries.

    Notes
    -----
    Margins. With u = 2⁻²⁴ and d columns, let x be a row and q a query, both relative to the centre of the block and
    times the scale, a power of 2, and s = |x| + |q|. Rounding x and q to float64 and then to float32 moves each
    coordinate by a relative u (1 + 2⁻²⁸), and so |q - x|² by at most 2us² + u²s². The computed |q|² is a sum of d
    squares, wrong by at most (d + 1)u|q|². |x|² is rounded once. A tile adds at most d products to it, fused or not:
    wrong by at most (d + 1)us². The limit is rounded once more: 2us². Together that is less than
    (2d + 9)us² <= (4d + 18)u(|q|² + |x|²). The margin takes (5d + 32)u times the computed |q|² plus the largest |x|²
    of the block: more than enough for the relative (d + 1)u by which those may be too small, and for the contract's own
    sum, which is within (d + 2)2⁻⁵³ of the real number. Where p = 1, the same steps are wrong by at most
    (2d + 5)u(|q| + |x|). A box's bound is no less exact: a gap is wrong by at most 2u(|q| + h) with h the half width,
    which is rounded up; so are the edges of a part's box. Underflow adds less than 2⁻¹²⁰ for each column here, and in
    the contract's own squares less than 2⁻¹⁰⁷³ times the squared scale, which matters for data below 1e-150.

    Boxes are compared in float64, where a bound is within a relative (d + 2)2⁻⁵³ of the real number; it is lowered by
    eight times as much.
    """
    train_rows, train_numbers, edges = tree.rows, tree.numbers, tree.edges
    tile_edges, tiles, starts, radii = tree.tile_edges, tree.tiles, tree.starts.reshape(-1), tree.radii
    n_varying, block_size = tree.n_varying, tree.starts.shape[1]
    part_low, part_high = tree.part_low, tree.part_high
    query_rows, query_numbers, query_edges = batches.rows, batches.numbers, batches.edges
    n_features = train_rows.shape[1]
    n_blocks, n_supers = len(edges) - 1, tree.super_low.shape[2]
    room = n_neighbors + n_neighbors // 2 + 2 * TILE_ROWS
    room = min(room, len(train_rows) + 2 * TILE_ROWS) // LANES * LANES
    unit_error = (5.0 * n_features + 32.0) * 2.0**-24
    tiny = (n_features + 8.0) * 2.0**-120
    if p == 2:
        tiny += (n_features + 8.0) * (2.0**-1072 * tree.scale) * tree.scale
    shrink = (1.0 - (n_features + 8.0) * 2.0**-50) * (tree.scale * tree.scale if p == 2 else tree.scale)
    batch = np.empty((BATCH // UNIT, n_features, UNIT))
    low, high = np.empty((BATCH // UNIT, n_features)), np.empty((BATCH // UNIT, n_features))
    values, places = np.empty((BATCH, room), dtype=np.float32), np.empty((BATCH, room), dtype=np.int64)
    n_found = np.empty(BATCH, dtype=np.int64)
    margins, limits = np.empty(BATCH), np.empty(BATCH)
    reaches = np.empty(BATCH // UNIT)
    kth_measures, kth_rows = np.empty(BATCH), np.empty(BATCH, dtype=np.int64)
    measures, rows = np.empty(room), np.empty(room, dtype=np.int64)
    sorted_measures, sorted_rows = np.empty(room), np.empty(room, dtype=np.int64)
    heap_keys, heap_items = np.empty(n_supers + n_blocks), np.empty(n_supers + n_blocks, dtype=np.int64)
    bounds_of, keys_of = np.empty(max(n_supers, SUPER)), np.empty(max(n_supers, SUPER))
    unit_bounds = np.empty((BATCH // UNIT, n_blocks))
    shares = np.empty((n_features + 1, UNIT), dtype=np.float32)
    flat_shares = shares.reshape(-1)
    bases, sizes = np.empty(UNIT, dtype=np.float32), np.empty(UNIT, dtype=np.float32)
    bounds, thresholds = np.empty(UNIT, dtype=np.float32), np.empty(UNIT, dtype=np.float32)
    outsides, allowed = np.empty(UNIT, dtype=np.float32), np.empty(UNIT, dtype=np.float32)
    slacks = np.empty(UNIT)
    n_visits, n_seen, n_skipped = 0, 0, 0
    sums = np.empty(TILE_QUERIES * TILE_ROWS, dtype=np.float32)
    masks = np.empty(TILE_QUERIES, dtype=np.uint64)
    leaves_out = len(batches.own) > 0
    own = np.int64(-1)

    for number in range(first, last):
        begin = query_edges[number]
        n_queries = query_edges[number + 1] - begin
        n_units = (n_queries + UNIT - 1) // UNIT
        for unit in range(n_units):
            for column in range(n_features):
                low[unit, column], high[unit, column] = np.inf, -np.inf
            for query in range(UNIT):
                row = query_numbers[begin + min(unit * UNIT + query, n_queries - 1)]
                for column in range(n_features):
                    value = query_rows[row, column]
                    batch[unit, column, query] = value
                    low[unit, column] = min(low[unit, column], value)
                    high[unit, column] = max(high[unit, column], value)
        for query in range(BATCH):
            n_found[query] = 0
            margins[query] = 0.0
            limits[query] = np.inf if query < n_queries else -np.inf
            kth_rows[query] = -1
        for unit in range(BATCH // UNIT):
            reaches[unit] = np.inf if unit < n_units else -np.inf
        farthest = np.inf
        keys_of[:n_supers] = np.inf
        for unit in range(n_units):
            _bound_boxes(low, high, unit, tree.super_low, tree.super_high, 0, p, bounds_of)
            for item in range(n_supers):
                keys_of[item] = min(keys_of[item], bounds_of[item])
        n_heap = 0
        for item in range(n_supers):
            _push(heap_keys, heap_items, n_heap, keys_of[item] * shrink, -1 - item)
            n_heap += 1
        while n_heap:
            bound, item = heap_keys[0], heap_items[0]
            n_heap -= 1
            _sift_down(heap_keys, heap_items, n_heap)
            if bound > farthest:
                break
            if item < 0:
                superblock = -1 - item
                n_inner = min(SUPER, n_blocks - superblock * SUPER)
                keys_of[:n_inner] = np.inf
                for unit in range(n_units):
                    _bound_boxes(low, high, unit, tree.low, tree.high, superblock, p, bounds_of)
                    for inner in range(n_inner):
                        unit_bounds[unit, superblock * SUPER + inner] = bounds_of[inner] * shrink
                        keys_of[inner] = min(keys_of[inner], bounds_of[inner] * shrink)
                for inner in range(n_inner):
                    if keys_of[inner] <= farthest:
                        _push(heap_keys, heap_items, n_heap, keys_of[inner], superblock * SUPER + inner)
                        n_heap += 1
                continue
            block = item
            radius = np.float64(radii[block])
            edge = edges[block]
            for unit in range(n_units):
                if unit_bounds[unit, block] > reaches[unit]:
                    continue
                _localise(batch, unit, low, high, tree, block, p, shares, bases, sizes, bounds, outsides)
                at_unit = unit * UNIT
                n_visits += 1
                bounds_parts = n_varying[block] > 0 and (n_skipped * _WORTH_BOUNDING >= n_seen or n_visits % 8 == 0)
                if n_seen > 1024:
                    n_seen, n_skipped = n_seen // 2, n_skipped // 2
                for query in range(UNIT):
                    margin = unit_error * (np.float64(sizes[query]) + radius) + tiny
                    near = np.float64(bounds[query]) - margin <= limits[at_unit + query]
                    margins[at_unit + query] = max(margins[at_unit + query], margin if near else 0.0)
                    slacks[query] = margin - np.float64(bases[query])
                    thresholds[query] = np.float32(limits[at_unit + query] + slacks[query] if near else -np.inf)
                    reach = limits[at_unit + query] + margin - np.float64(outsides[query])
                    allowed[query] = np.float32(reach if near else -np.inf)
                changed = False
                for tile in range(0, UNIT, TILE_QUERIES):
                    if n_varying[block] == 0:
                        for query in range(tile, tile + TILE_QUERIES):
                            if kth_rows[at_unit + query] >= 0 and thresholds[query] > -np.inf:
                                row = query_numbers[begin + at_unit + query]
                                measure = measure_row(query_rows, row, train_rows, edge, p)
                                if not _comes_first(
                                    measure,
                                    train_numbers[edge],
                                    kth_measures[at_unit + query],
                                    kth_rows[at_unit + query],
                                ):
                                    thresholds[query] = -np.inf
                    if (
                        max(thresholds[tile], thresholds[tile + 1]) == -np.inf
                        and max(thresholds[tile + 2], thresholds[tile + 3]) == -np.inf
                    ):
                        continue
                    n_parts = (edges[block + 1] - edge + TILE_ROWS - 1) // TILE_ROWS
                    near_parts = np.uint64(0xFFFF)
                    if bounds_parts:
                        at_part = tile_edges[block] // block_size * PARTS
                        if p == 2:
                            near_parts = find_near_parts_2(
                                part_low, part_high, at_part, flat_shares, tile, UNIT, n_varying[block], allowed
                            )
                        else:
                            near_parts = find_near_parts_1(
                                part_low, part_high, at_part, flat_shares, tile, UNIT, n_varying[block], allowed
                            )
                        n_seen += n_parts
                    for part in range(n_parts):
                        if not (near_parts >> np.uint64(part)) & np.uint64(1):
                            n_skipped += 1
                            continue
                        at_tile = tile_edges[block] + part * n_varying[block] * TILE_ROWS
                        at_start = block * block_size + part * TILE_ROWS
                        if p == 2:
                            below = fill_tile_2(
                                tiles,
                                at_tile,
                                starts,
                                at_start,
                                flat_shares,
                                tile,
                                UNIT,
                                n_varying[block],
                                thresholds,
                                sums,
                                masks,
                            )
                        else:
                            below = fill_tile_1(
                                tiles,
                                at_tile,
                                starts,
                                at_start,
                                flat_shares,
                                tile,
                                UNIT,
                                n_varying[block],
                                thresholds,
                                sums,
                                masks,
                            )
                        if not below:
                            continue
                        for inner in range(TILE_QUERIES):
                            if masks[inner] == 0:
                                continue
                            query = at_unit + tile + inner
                            if leaves_out:
                                own = batches.own[begin + query]
                            count = _take_below(
                                sums,
                                inner,
                                masks[inner],
                                bases[tile + inner],
                                edge + part * TILE_ROWS,
                                train_numbers,
                                own,
                                values,
                                places,
                                query,
                                n_found[query],
                            )
                            if count > room - TILE_ROWS or (count >= n_neighbors and limits[query] == np.inf):
                                count, limit = _keep_nearest(values, places, query, count, n_neighbors, margins[query])
                                limits[query] = min(limits[query], limit)
                                thresholds[tile + inner] = np.float32(limits[query] + slacks[tile + inner])
                                changed = True
                                if count > room - TILE_ROWS:
                                    _measure_found(
                                        query_rows,
                                        query_numbers[begin + query],
                                        tree,
                                        places,
                                        query,
                                        count,
                                        p,
                                        measures,
                                        rows,
                                    )
                                    _sort_found(measures, rows, count, sorted_measures, sorted_rows)
                                    count = _put_back(
                                        values,
                                        places,
                                        query,
                                        count,
                                        n_neighbors,
                                        measures,
                                        rows,
                                        sorted_measures,
                                        sorted_rows,
                                        tree.scale,
                                        p,
                                    )
                                    kth_measures[query] = sorted_measures[n_neighbors - 1]
                                    kth_rows[query] = sorted_rows[n_neighbors - 1]
                            n_found[query] = count
                if changed:
                    reaches[unit] = limits[at_unit]
                    for query in range(at_unit, at_unit + UNIT):
                        reaches[unit] = max(reaches[unit], limits[query])
                    farthest = reaches[0]
                    for other in range(1, BATCH // UNIT):
                        farthest = max(farthest, reaches[other])
        for query in range(n_queries):
            count, _ = _keep_nearest(values, places, query, n_found[query], n_neighbors, margins[query])
            target = query_numbers[begin + query]
            _measure_found(query_rows, target, tree, places, query, count, p, measures, rows)
            _sort_found(measures, rows, count, sorted_measures, sorted_rows)
            for at in range(n_neighbors):
                distances[target, at] = np.sqrt(sorted_measures[at]) if p == 2 else sorted_measures[at]
                indices[target, at] = sorted_rows[at]
