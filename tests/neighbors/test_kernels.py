"""The steps of the blocked engine, one by one: selection, sorting, tiles, margins, and all of it without compiling."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys

import numpy as np
import pytest
from children import run_python
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit
from numba.core.cpu import CPUTargetOptions

from energyknn._shared import compiling
from energyknn.neighbors.engines.blocked import layout, selection, tiles_llvm, tiles_numpy
from energyknn.neighbors.engines.blocked import search as kernels
from energyknn.neighbors.engines.blocked.engine import build_tree
from energyknn.neighbors.engines.blocked.tile_shape import LANES, TILE_QUERIES, TILE_ROWS
from energyknn.neighbors.search import plan_search

SETTINGS = settings(max_examples=60)


def make_callable(step):
    """Let Python call a step, which only loops call."""
    return njit(error_model="numpy")(step.py_func) if compiling.IS_COMPILED else step


keep_nearest, push = make_callable(selection.keep_nearest), make_callable(selection.push)
sift_down, sort_found = make_callable(selection.sift_down), make_callable(selection.sort_found)
_load_batch, localise = make_callable(kernels._load_batch), make_callable(kernels.localise)
measure_row = make_callable(kernels.measure_row)
compiled = pytest.mark.skipif(not compiling.IS_COMPILED, reason="vector instructions need the compiler")


def test_constants_fit_one_another():
    assert layout.UNIT % TILE_QUERIES == 0
    assert layout.BATCH == layout.N_UNITS * layout.UNIT
    assert TILE_ROWS % LANES == 0
    assert TILE_ROWS <= 64, "a mask has 64 bits"
    assert layout.PARTS == LANES, "the boxes of all parts fill a vector"


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 60), distinct=st.integers(1, 30))
def test_a_heap_gives_items_by_key_and_number(seed, size, distinct):
    random = np.random.default_rng(seed)
    pairs = list(zip(random.integers(0, distinct, size).astype(float), random.permutation(size), strict=True))
    keys, items = np.empty(size), np.empty(size, dtype=np.int64)
    for number, (key, item) in enumerate(pairs):
        push(keys, items, number, key, item)
    popped = []
    for left in range(size - 1, -1, -1):
        popped.append((keys[0], items[0]))
        sift_down(keys, items, left)
    assert popped == sorted(pairs)


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 513, 1500])
def test_candidates_are_sorted_by_measure_and_row(size):
    random = np.random.default_rng(size)
    measures, rows = random.integers(0, 40, size).astype(float), random.permutation(size)
    all_measures, all_rows = np.tile(measures, (3, 1)), np.tile(rows, (3, 1))
    sort_found(all_measures, all_rows, size)
    order = np.lexsort((rows, measures))
    np.testing.assert_array_equal(all_measures[:2], [measures, measures[order]])
    np.testing.assert_array_equal(all_rows[:2], [rows, rows[order]])


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    n_found=st.integers(1, 300),
    share=st.floats(0, 1),
    margin=st.sampled_from([0.0, 1e-6, 0.1, 10.0]),
    distinct=st.booleans(),
)
def test_what_may_be_among_the_nearest_is_kept(seed, n_found, share, margin, distinct):
    """However the values err within the margin, no true neighbour is dropped, and the bound holds."""
    random = np.random.default_rng(seed)
    measures = random.random(n_found) if distinct else random.integers(0, 4, n_found).astype(float)
    n_neighbors = max(1, round(share * n_found))
    values = np.empty((2, -(-n_found // LANES) * LANES), dtype=np.float32)
    values[1, :n_found] = (measures + random.uniform(-margin, margin, n_found)).astype(np.float32)
    places = np.tile(np.arange(values.shape[1]), (2, 1))
    allowed = margin + 1e-5  # what rounding to float32 adds
    count, limit = keep_nearest(values, places, 1, n_found, n_neighbors, allowed)
    kth = np.sort(measures)[n_neighbors - 1]
    assert limit >= kth
    assert set(np.flatnonzero(measures <= kth)) <= set(places[1, :count])
    assert n_neighbors <= count <= n_found


@njit
def fill_compiled(p, rows, starts, queries, at_query, stride, n_columns, limits, sums, masks):
    return tiles_llvm.fill_tile(p, rows, 0, starts, 0, queries, at_query, stride, n_columns, limits, sums, masks)


@njit
def find_compiled(p, low, high, queries, stride, n_columns, limits):
    return tiles_llvm.find_near_parts(p, low, high, 0, queries, 4, stride, n_columns, limits)


@njit
def count_compiled(values, start, n_values, limit):
    return tiles_llvm.count_at_most(values, start, n_values, limit)


@njit
def lowest_compiled(mask):
    return tiles_llvm.count_trailing_zeros(mask)


@compiled
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("n_columns", [0, 1, 7])
def test_tiles_compute_what_numpy_computes(p, n_columns):
    """Small integers, so that fused and separate roundings agree."""
    random = np.random.default_rng(n_columns)
    rows, starts, queries, limits = (
        random.integers(-4, 5, size).astype(np.float32) for size in (n_columns * TILE_ROWS, TILE_ROWS, 8 * 8, 8)
    )
    starts[-3:] = np.inf
    found = [(np.empty(TILE_QUERIES * TILE_ROWS, np.float32), np.empty(TILE_QUERIES, np.uint64)) for _ in range(2)]
    compiled = fill_compiled(p, rows, starts, queries, 4, 8, n_columns, limits, *found[0])
    plain = tiles_numpy.fill_tile(p, rows, 0, starts, 0, queries, 4, 8, n_columns, limits, *found[1])
    assert compiled == plain
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])


@compiled
@pytest.mark.medium
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("n_columns", [1, 7])
def test_near_parts_are_what_numpy_finds(p, n_columns):
    random = np.random.default_rng(n_columns)
    low = random.integers(-4, 3, n_columns * LANES).astype(np.float32)
    high = low + random.integers(0, 3, n_columns * LANES).astype(np.float32)
    low[-1], high[-1] = np.inf, -np.inf
    queries, limits = random.integers(-8, 9, 64).astype(np.float32), random.integers(10, 60, 8).astype(np.float32)
    compiled = find_compiled(p, low, high, queries, 8, n_columns, limits)
    assert compiled == tiles_numpy.find_near_parts(p, low, high, 0, queries, 4, 8, n_columns, limits)
    assert compiled > 0


@compiled
def test_counts_are_what_numpy_counts():
    values = np.random.default_rng(0).integers(0, 9, 64).astype(np.float32)
    assert count_compiled(values, 16, 32, np.float32(4)) == tiles_numpy.count_at_most(values, 16, 32, 4)
    for mask in (1, 8, 3 << 40, 1 << 63):
        assert lowest_compiled(np.uint64(mask)) == tiles_numpy.count_trailing_zeros(np.uint64(mask))


@compiled
@pytest.mark.medium
@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    p=st.sampled_from([1, 2]),
    scale=st.sampled_from([1.0, 1e-310, 1e-170, 1e-150, 1e-5, 1e6, 1e140]),
    offset=st.sampled_from([0.0, 1.0, 1e3]),
    n_features=st.integers(1, 40),
    varying=st.floats(0, 1),
)
def test_screened_measures_lie_within_the_margin(seed, p, scale, offset, n_features, varying):
    """|screened - exact| <= margin, a box's bound exceeds no measure by more, for a unit of 64 queries at a block."""
    random = np.random.default_rng(seed)
    train = (random.normal(size=(60, n_features)) + offset) * scale
    query = (random.normal(size=(layout.UNIT, n_features)) * random.choice([0.1, 1.0, 30.0]) + offset) * scale
    train[:, random.random(n_features) >= varying] = offset * scale
    search = plan_search(train, query, 1, p=p, n_jobs=1)
    tree = build_tree(search)
    queries, local = layout.reserve_queries(tree), layout.reserve_local(tree)
    found, rules = layout.reserve_found(tree, 1), layout.set_rules(tree, 1)
    batches = layout.Batches(query, np.arange(layout.UNIT), np.array([0, layout.UNIT]), np.empty(0, dtype=np.int64))
    _load_batch(batches, 0, layout.UNIT, 1, queries, found)
    localise(tree, 0, queries, 0, p, local)
    margins = rules.unit_error * (local.sizes.astype(float) + float(tree.radii[0])) + rules.tiny
    n_varying = int(tree.n_varying[0])
    sums, masks = np.empty(TILE_QUERIES * TILE_ROWS, np.float32), np.empty(TILE_QUERIES, np.uint64)
    limits, shares = np.full(layout.UNIT, np.inf, dtype=np.float32), local.shares.reshape(-1)
    tiles, starts = tree.tiles, tree.starts.reshape(-1)
    for tile in range(0, layout.UNIT, TILE_QUERIES):
        fill_compiled(p, tiles, starts, shares, tile, layout.UNIT, n_varying, limits, sums, masks)
        screened = sums.reshape(TILE_QUERIES, TILE_ROWS)[:, : len(train)].astype(float)
        for inner in range(TILE_QUERIES):
            number = tile + inner
            exact = [measure_row(query, number, tree.rows, place, p) for place in range(len(train))]
            exact = np.array(exact) * tree.scale * (tree.scale if p == 2 else 1.0)
            assert (np.abs(screened[inner] + local.bases[number] - exact) <= margins[number]).all()
            assert local.bounds[number] - margins[number] <= exact.min()


@compiled
def test_steps_compile_where_numba_does_not_know_the_private_option(monkeypatch):
    owner = next(base for base in CPUTargetOptions.__mro__ if "_nrt" in vars(base))
    monkeypatch.delattr(owner, "_nrt")
    with pytest.raises(KeyError, match="_nrt"):
        njit(_nrt=False)(lambda values: values[0])(np.ones(2))
    step = runpy.run_path(compiling.__file__)["compile_step"](lambda values: values[0])
    assert njit(lambda values: step(values))(np.ones(2)) == 1.0


WITHOUT_COMPILER = """
import numpy as np
from energyknn.neighbors import search_neighbors
random = np.random.default_rng(0)
rows = np.c_[random.normal(size=(260, 2)), np.where(random.random((260, 2)) > 0.5, 1.0, -1.0)]
repeats = random.integers(0, 2, (130, 2)).astype(float)
wide = random.normal(size=(1030, 64))
for X, query, k, p in (
    (rows, None, 5, 2), (rows, rows[:20] + 0.25, 200, 1), (repeats, None, 5, 1), (repeats, repeats[:20] + 0.25, 100, 2),
    (wide, wide[:9] + 0.25, 12, 2),
):
    found = search_neighbors(X, query, k, p=p, engine="blocked", n_jobs=1)
    expected = search_neighbors(X, query, k, p=p, engine="brute", n_jobs=1)
    assert found.indices.tobytes() == expected.indices.tobytes()
    assert found.distances.tobytes() == expected.distances.tobytes()
print("same bits")
"""


@pytest.mark.medium
def test_without_the_compiler_the_engine_gives_the_same_bits():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_COMPILER],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("same bits\n", "")


NEEDED = """
import numpy as np
from energyknn._shared.machine_code import Kernel
from energyknn.neighbors.engines.blocked import engine
from energyknn.neighbors.search import search_neighbors
engine.try_loading_kernels() or engine.search_three_rows()
def count():
    return [len(kernel._entries) for kernel in vars(engine).values() if isinstance(kernel, Kernel)]
before = count()
random = np.random.default_rng(0)
rows = np.c_[random.normal(size=(1500, 3)), random.integers(0, 2, (1500, 2))]
for p in (1, 2):
    search_neighbors(rows, None, 5, p=p, engine="blocked")
    search_neighbors(rows, rows[:50] * 2.0**60, 300, p=p, engine="blocked")
assert count() == before
print(sum(before))
"""


@compiled
@pytest.mark.medium
def test_a_search_compiles_nothing_that_was_not_compiled_before_it():
    """What another process compiles is all that any search needs."""
    assert int(run_python(NEEDED, check=True).stdout) > 0


ORDER = """
import numpy as np
from energyknn.neighbors.engines.blocked import engine
engine.order_queries(np.arange(6.0).reshape(-1, 1), group_rows=2, n_threads=1)
print(len(engine._search_batches._entries))
"""


@compiled
@pytest.mark.medium
def test_what_only_orders_rows_does_not_wait_for_the_search_to_compile():
    assert run_python(ORDER, check=True).stdout == "0\n"
