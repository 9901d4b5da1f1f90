"""The search of a tree: a batch of queries visits blocks from near to far. DESIGN.md tells the life of a batch.

All loops release the interpreter's lock and take the piece of work that they shall do, so that plain threads share
it. None is compiled with `fastmath`: LLVM then neither fuses nor reorders, and `measure_row` gives NumPy's bits. Only
the tiles, which screen in float32, may fuse.
"""
# mypy: disable-error-code="no-untyped-def,untyped-decorator"

from __future__ import annotations

import numpy as np

from energyknn._shared.compiling import compile_step, inline_step
from energyknn.neighbors.engines.blocked.layout import N_UNITS, PARTS, SUPER, UNIT
from energyknn.neighbors.engines.blocked.selection import comes_first, keep_nearest, push, sift_down, sort_found
from energyknn.neighbors.engines.blocked.tile_shape import TILE_QUERIES, TILE_ROWS
from energyknn.neighbors.engines.blocked.tiles import count_trailing_zeros, fill_tile, find_near_parts
from energyknn.neighbors.engines.blocked.tree import take_power

_WORTH_BOUNDING = 8  # parts are bounded while that rules out at least one in 8; otherwise at every 8th visit
_RECENT = 1024  # parts after which that share counts for half


@compile_step
def search_batches(tree, batches, first, last, rules, queries, found, frontier, local, pace, distances, indices):
    """Find the neighbours of the queries of batches first to last - 1.

    Parameters
    ----------
    tree : Tree
        Training rows.
    batches : Batches
        Queries.
    first, last : int
        Which batches.
    rules : Rules
        What holds for the whole search.
    queries, found, frontier, local, pace : Queries, Found, Frontier, Local, Pace
        Room for one batch.
    distances, indices : ndarray of shape (n_query, k)
        Written at the numbers of the queries.
    """
    for number in range(first, last):
        _search_batch(tree, batches, number, rules, queries, found, frontier, local, pace, distances, indices)


@compile_step
def _search_batch(tree, batches, number, rules, queries, found, frontier, local, pace, distances, indices):
    """Let a batch visit blocks from near to far, until the next is too far for all of its queries."""
    begin = batches.edges[number]
    n_queries = batches.edges[number + 1] - begin
    n_units = (n_queries + UNIT - 1) // UNIT
    _load_batch(batches, begin, n_queries, n_units, queries, found)
    pace.visits[0], pace.bounded[0], pace.ruled_out[0] = 0, 0, 0  # so that no batch depends on those before it
    size = _queue_superblocks(tree, queries, n_units, rules, frontier)
    while size:
        bound, item = frontier.keys[0], frontier.items[0]
        size -= 1
        sift_down(frontier.keys, frontier.items, size)
        if bound > _find_largest(queries.reaches, 0, N_UNITS):
            break
        if item < 0:
            size = _expand_superblock(tree, queries, n_units, -1 - item, rules, frontier, size)
            continue
        for unit in range(n_units):
            if frontier.unit_bounds[unit, item] <= queries.reaches[unit]:
                _screen_block(tree, item, batches, begin, unit, queries, rules, local, pace, found)
    for query in range(n_queries):
        _finish_query(tree, batches, begin + query, query, queries, rules, found, distances, indices)


@compile_step
def _load_batch(batches, begin, n_queries, n_units, queries, found):
    """Copy a batch's queries into units, bound each unit, and forget what was found before.

    The last unit is filled up with copies of the last query, whose limit of minus infinity lets nothing in.
    """
    for unit in range(n_units):
        values, low, high = queries.values[unit], queries.low[unit], queries.high[unit]
        low[:], high[:] = np.inf, -np.inf
        for query in range(UNIT):
            row = batches.rows[batches.numbers[begin + min(unit * UNIT + query, n_queries - 1)]]
            for column in range(len(row)):  # elementwise, so it vectorises
                low[column] = min(low[column], row[column])
                high[column] = max(high[column], row[column])
            for column in range(len(row)):
                values[column, query] = row[column]
    queries.limits[:n_queries], queries.limits[n_queries:] = np.inf, -np.inf
    queries.reaches[:n_units], queries.reaches[n_units:] = np.inf, -np.inf
    queries.margins[:] = 0.0
    found.counts[:] = 0
    found.kth_rows[:] = -1


@compile_step
def _bound_boxes(queries, unit, low, high, group, p, bounds):
    """Write the least measures between a unit's box and the boxes of a group, in the data's unit."""
    bounds[: low.shape[2]] = 0.0
    for column in range(low.shape[1]):
        left, right = queries.low[unit, column], queries.high[unit, column]
        for box in range(low.shape[2]):
            gap = max(max(low[group, column, box] - right, left - high[group, column, box]), 0.0)
            bounds[box] += take_power(gap, p)


@compile_step
def _queue_superblocks(tree, queries, n_units, rules, frontier):
    """Start the heap with all superblocks; return its size."""
    n_supers = tree.super_low.shape[2]
    nearest = frontier.nearest
    nearest[:n_supers] = np.inf
    for unit in range(n_units):
        _bound_boxes(queries, unit, tree.super_low, tree.super_high, 0, rules.p, frontier.bounds)
        for item in range(n_supers):
            nearest[item] = min(nearest[item], frontier.bounds[item] * rules.shrink)
    for item in range(n_supers):
        push(frontier.keys, frontier.items, item, nearest[item], -1 - item)
    return n_supers


@compile_step
def _expand_superblock(tree, queries, n_units, superblock, rules, frontier, size):
    """Add a superblock's blocks to the heap, but for those that are too far; return the heap's size."""
    first = superblock * SUPER
    n_inner = min(SUPER, len(tree.edges) - 1 - first)
    nearest = frontier.nearest
    nearest[:n_inner] = np.inf
    for unit in range(n_units):
        _bound_boxes(queries, unit, tree.low, tree.high, superblock, rules.p, frontier.bounds)
        for inner in range(n_inner):
            bound = frontier.bounds[inner] * rules.shrink
            frontier.unit_bounds[unit, first + inner] = bound
            nearest[inner] = min(nearest[inner], bound)
    farthest = _find_largest(queries.reaches, 0, N_UNITS)
    for inner in range(n_inner):
        if nearest[inner] <= farthest:
            push(frontier.keys, frontier.items, size, nearest[inner], first + inner)
            size += 1
    return size


@compile_step
def _find_largest(values, start, size):
    """Return the largest of `size` values from `start` on."""
    largest = values[start]
    for at in range(1, size):
        largest = max(largest, values[start + at])
    return largest


@inline_step
def _screen_block(tree, block, batches, begin, unit, queries, rules, local, pace, found):
    """Let a unit of queries visit a block: keep the rows that may be among the k nearest of a query."""
    p = rules.p
    localise(tree, block, queries, unit, p, local)
    _set_thresholds(queries, unit, np.float64(tree.radii[block]), rules, local)
    edge, n_varying = tree.edges[block], tree.n_varying[block]
    if n_varying == 0:
        _pass_over_equal_rows(tree, edge, batches, begin, unit, p, found, local)
    n_parts = (tree.edges[block + 1] - edge + TILE_ROWS - 1) // TILE_ROWS
    all_parts = (np.uint64(1) << np.uint64(n_parts)) - np.uint64(1)
    bounds_parts = n_varying > 0 and _pays_to_bound(pace)
    at_block = tree.tile_edges[block]
    at_boxes = at_block // tree.starts.shape[1] * PARTS
    tiles, starts, part_low, part_high = tree.tiles, tree.starts, tree.part_low, tree.part_high
    shares, thresholds, allowed = local.shares, local.thresholds, local.allowed
    sums, masks = local.sums, local.masks
    changed = False
    n_tiles = 0
    for tile in range(0, UNIT, TILE_QUERIES):
        if _find_largest(thresholds, tile, TILE_QUERIES) == -np.inf:
            continue
        parts = all_parts
        n_left = n_parts
        if bounds_parts:
            parts &= find_near_parts(p, part_low, part_high, at_boxes, shares, tile, UNIT, n_varying, allowed)
            pace.bounded[0] += n_parts
        while parts:
            part = count_trailing_zeros(parts)
            parts &= parts - np.uint64(1)
            n_left -= 1
            n_tiles += 1
            first = part * TILE_ROWS
            at_tile, at_start = at_block + first * n_varying, block * tree.starts.shape[1] + first
            if fill_tile(p, tiles, at_tile, starts, at_start, shares, tile, UNIT, n_varying, thresholds, sums, masks):
                changed |= _take_tile(tree, edge + first, batches, begin, unit, tile, queries, rules, local, found)
        pace.ruled_out[0] += n_left
    n_screened = n_tiles * TILE_QUERIES * TILE_ROWS
    found.work[0] += 1
    found.work[1] += n_screened
    found.work[2] += n_screened * n_varying
    if changed:
        queries.reaches[unit] = _find_largest(queries.limits, unit * UNIT, UNIT)


@inline_step
def localise(tree, block, queries, unit, p, local):
    """Write a unit of queries relative to a block's centre: the first five arrays of `Local`."""
    zero = np.float32(0.0)
    values, shares, sizes, bounds, outsides = queries.values, local.shares, local.sizes, local.bounds, local.outsides
    sizes[:], bounds[:], outsides[:] = zero, zero, zero
    scale = tree.scale
    fixed = 0.0  # the measure in columns where neither the block nor the unit varies
    at = 0
    for column in range(values.shape[1]):
        centre, half = tree.centres[block, column], tree.halves[block, column]
        varies = half > zero
        if not varies and queries.low[unit, column] == queries.high[unit, column]:
            fixed += take_power((queries.low[unit, column] - centre) * tree.scale, p)
            continue
        if p == 2:
            for query in range(UNIT):
                value = np.float32((values[unit, column, query] - centre) * scale)
                gap = max(abs(value) - half, zero)
                sizes[query] += value * value
                bounds[query] += gap * gap
                outsides[query] += zero if varies else value * value
                shares[at, query] = np.float32(-2.0) * value
        else:
            for query in range(UNIT):
                value = np.float32((values[unit, column, query] - centre) * scale)
                sizes[query] += abs(value)
                bounds[query] += max(abs(value) - half, zero)
                outsides[query] += zero if varies else abs(value)
                shares[at, query] = value
        at += varies
    for query in range(UNIT):
        sizes[query] += np.float32(fixed)
        bounds[query] += np.float32(fixed)
        outsides[query] += np.float32(fixed)
        local.bases[query] = sizes[query] if p == 2 else outsides[query]


@inline_step
def _set_thresholds(queries, unit, radius, rules, local):
    """Say for each query which sums of a tile, and which boxes of parts, may matter in this block."""
    for query in range(UNIT):
        limit = queries.limits[unit * UNIT + query]
        margin = rules.unit_error * (np.float64(local.sizes[query]) + radius) + rules.tiny
        is_near = np.float64(local.bounds[query]) - margin <= limit
        if is_near:
            queries.margins[unit * UNIT + query] = max(queries.margins[unit * UNIT + query], margin)
        slack = margin - np.float64(local.bases[query])
        local.slacks[query] = slack
        local.thresholds[query] = np.float32(limit + slack if is_near else -np.inf)
        local.allowed[query] = np.float32(limit + margin - np.float64(local.outsides[query]) if is_near else -np.inf)


@inline_step
def _pass_over_equal_rows(tree, edge, batches, begin, unit, p, found, local):
    """Pass over a block of equal rows where a query's k first come before the first of them in the contract's order."""
    for query in range(UNIT):
        at = unit * UNIT + query
        if found.kth_rows[at] >= 0 and local.thresholds[query] > -np.inf:
            measure = measure_row(batches.rows, batches.numbers[begin + at], tree.rows, edge, p)
            if not comes_first(measure, tree.numbers[edge], found.kth_measures[at], found.kth_rows[at]):
                local.thresholds[query] = -np.inf


@inline_step
def _pays_to_bound(pace):
    """Say whether the boxes of a block's parts have lately ruled out enough parts, or shall be tried again."""
    pace.visits[0] += 1
    pays = pace.ruled_out[0] * _WORTH_BOUNDING >= pace.bounded[0] or pace.visits[0] % _WORTH_BOUNDING == 0
    if pace.bounded[0] > _RECENT:
        pace.bounded[0] //= 2
        pace.ruled_out[0] //= 2
    return pays


@inline_step
def _take_tile(tree, place, batches, begin, unit, tile, queries, rules, local, found):
    """Append the rows of a tile that may matter to its queries, except their own; return whether a limit changed."""
    changed = False
    n_full = found.values.shape[1] - TILE_ROWS
    for inner in range(TILE_QUERIES):
        mask = local.masks[inner]
        if mask == 0:
            continue
        query = unit * UNIT + tile + inner
        own = batches.own[begin + query] if len(batches.own) else np.int64(-1)
        base, count = local.bases[tile + inner], found.counts[query]
        while mask:
            slot = count_trailing_zeros(mask)
            mask &= mask - np.uint64(1)
            found.values[query, count] = local.sums[inner * TILE_ROWS + slot] + base
            found.places[query, count] = place + slot
            count += own < 0 or tree.numbers[place + slot] != own
        found.counts[query] = count
        if count > n_full or (count >= rules.n_neighbors and queries.limits[query] == np.inf):
            _lower_limit(tree, batches, begin + query, query, queries, rules, found)
            local.thresholds[tile + inner] = np.float32(queries.limits[query] + local.slacks[tile + inner])
            changed = True
    return changed


@compile_step
def _lower_limit(tree, batches, number, query, queries, rules, found):
    """Drop the candidates that cannot be among the k nearest; where too many are left, decide among them exactly."""
    values, places = found.values, found.places
    count, limit = keep_nearest(values, places, query, found.counts[query], rules.n_neighbors, queries.margins[query])
    queries.limits[query] = min(queries.limits[query], limit)
    if count > values.shape[1] - TILE_ROWS:
        _rank_found(tree, batches, number, query, count, rules.p, found)
        count = _keep_first(query, count, tree.scale, rules, found)
    found.counts[query] = count


@compile_step
def _rank_found(tree, batches, number, query, count, p, found):
    """Measure the candidates of a query as the contract says, and sort them by (measure, row number)."""
    row = batches.numbers[number]
    found.work[3] += count
    for at in range(count):
        place = found.places[query, at]
        found.measures[0, at] = measure_row(batches.rows, row, tree.rows, place, p)
        found.rows[0, at] = tree.numbers[place]
    sort_found(found.measures, found.rows, count)


@compile_step
def measure_row(queries, query, rows, row, p):
    """Measure as `measure_candidates` does: the sum in column order, nothing fused."""
    total = 0.0
    for column in range(queries.shape[1]):
        total += take_power(rows[row, column] - queries[query, column], p)
    return total


@compile_step
def _keep_first(query, count, scale, rules, found):
    """Keep exactly the k first candidates in the contract's order, with their scaled measures; return how many."""
    last_measure, last_row = found.measures[1, rules.n_neighbors - 1], found.rows[1, rules.n_neighbors - 1]
    found.kth_measures[query], found.kth_rows[query] = last_measure, last_row
    kept = 0
    for at in range(count):
        measure = found.measures[0, at]
        if not comes_first(last_measure, last_row, measure, found.rows[0, at]):
            found.values[query, kept] = measure * scale * scale if rules.p == 2 else measure * scale
            found.places[query, kept] = found.places[query, at]
            kept += 1
    return kept


@compile_step
def _finish_query(tree, batches, number, query, queries, rules, found, distances, indices):
    """Write the k first candidates of a query, in the contract's order."""
    n_found, margin = found.counts[query], queries.margins[query]
    count, _ = keep_nearest(found.values, found.places, query, n_found, rules.n_neighbors, margin)
    _rank_found(tree, batches, number, query, count, rules.p, found)
    target = batches.numbers[number]
    for at in range(rules.n_neighbors):
        measure = found.measures[1, at]
        distances[target, at] = np.sqrt(measure) if rules.p == 2 else measure
        indices[target, at] = found.rows[1, at]
