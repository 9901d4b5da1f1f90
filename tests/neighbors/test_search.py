"""The front of the search: what it accepts, what it refuses, and the oracle against arithmetic done by hand."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.neighbors import NearestNeighbors

from energyknn.neighbors import build_index, search_neighbors

ROWS = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])


def measure_by_hand(left, right, *, p):
    """Sum in Python floats, column after column."""
    total = 0.0
    for a, b in zip(left.tolist(), right.tolist(), strict=True):
        total += (b - a) ** 2 if p == 2 else abs(b - a)
    return total


@pytest.mark.parametrize("p", [1, 2])
def test_oracle_equals_arithmetic_by_hand(p):
    random = np.random.default_rng(0)
    train, query = random.normal(size=(40, 7)), random.normal(size=(9, 7))
    train[20:] = train[:20]
    found = search_neighbors(train, query, 12, p=p, engine="brute")
    for row, values in enumerate(query):
        totals = [measure_by_hand(values, other, p=p) for other in train]
        order = sorted(range(40), key=lambda other: (totals[other], other))[:12]
        assert found.indices[row].tolist() == order
        assert found.distances[row].tolist() == [totals[i] ** 0.5 if p == 2 else totals[i] for i in order]


def test_self_search_leaves_out_each_row_by_number():
    rows = np.zeros((4, 2))
    found = search_neighbors(rows, None, 3, engine="brute")
    assert found.indices.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_equal_sums_are_ordered_by_row_and_unequal_ones_by_sum_even_where_roots_merge():
    """1 + 2⁻⁵² and 1 have the same square root; the sum decides."""
    train = np.array([[1.0, 2.0**-26], [1.0, 0.0], [1.0, 0.0]])
    found = search_neighbors(train, [[0.0, 0.0]], 3, engine="brute")
    assert found.indices.tolist() == [[1, 2, 0]]
    assert found.distances.tolist() == [[1.0, 1.0, 1.0]]


def test_result_types():
    found = search_neighbors(ROWS, ROWS[:3], 2)
    assert found.distances.shape == found.indices.shape == (3, 2)
    assert found.distances.dtype == np.float64
    assert found.indices.dtype == np.int64


@pytest.mark.parametrize(
    "convert",
    [
        pd.DataFrame,
        np.asfortranarray,
        lambda rows: rows.astype(np.float32),
        lambda rows: rows.astype(np.int32),
        lambda rows: rows.tolist(),
        lambda rows: np.repeat(rows, 2, axis=1)[:, ::2],
    ],
)
def test_other_inputs_give_the_same_bits(convert):
    expected = search_neighbors(ROWS, ROWS, 3)
    found = search_neighbors(convert(ROWS), convert(ROWS), 3)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances, expected.distances)


def test_read_only_input_is_accepted_and_untouched():
    rows = ROWS.copy()
    rows.flags.writeable = False
    search_neighbors(rows, rows, 2)
    np.testing.assert_array_equal(rows, ROWS)


@pytest.mark.parametrize("engine", ["brute", "flat", "sklearn"])
def test_equals_scikit_learn_without_ties(engine):
    random = np.random.default_rng(1)
    train, query = random.normal(size=(300, 5)), random.normal(size=(50, 5))
    expected = NearestNeighbors(n_neighbors=7, algorithm="brute").fit(train).kneighbors(query)
    found = search_neighbors(train, query, 7, engine=engine)
    np.testing.assert_array_equal(found.indices, expected[1])
    np.testing.assert_allclose(found.distances, expected[0], rtol=1e-12)


BAD_ROWS = [
    (csr_array(ROWS), TypeError, "sparse matrix"),
    (ROWS.astype(complex), TypeError, "dtype complex"),
    (ROWS.astype(object), TypeError, "dtype object"),
    (pd.DataFrame({"a": [1.0], "b": ["x"]}), TypeError, r"dtype object, from the columns ['b'] (1 in all)"),
    (np.array([["a", "b"]]), TypeError, "dtype <U1"),
    (np.array([1.0, 2.0]), ValueError, "shape (2,)"),
    (np.zeros((0, 2)), ValueError, "0 rows and 2 columns"),
    (np.zeros((2, 0)), ValueError, "2 rows and 0 columns"),
    (
        np.array([[0.0, np.nan], [0.0, 0.0]]),
        ValueError,
        "contains NaN: 1 values, in rows [0] (1 in all) and columns [1]",
    ),
    (np.array([[0.0, 0.0], [-np.inf, 0.0]]), ValueError, "contains infinity: 1 values, in rows [1]"),
]


@pytest.mark.parametrize(("bad", "kind", "words"), BAD_ROWS)
@pytest.mark.parametrize("name", ["X_train", "X_query"])
def test_bad_rows_are_named(bad, kind, words, name):
    arguments = {"X_train": ROWS, "X_query": ROWS, name: bad}
    with pytest.raises(kind, match=f"^{name} .*{re.escape(words)}"):
        search_neighbors(**arguments, n_neighbors=1)


@pytest.mark.parametrize(
    ("n_neighbors", "query", "kind", "words"),
    [
        (0, ROWS, ValueError, "n_neighbors is 0. It must be from 1 to 4, the number of training rows"),
        (5, ROWS, ValueError, "n_neighbors is 5. It must be from 1 to 4"),
        (4, None, ValueError, "n_neighbors is 4. It must be from 1 to 3, the training rows less the row itself"),
        (1.0, ROWS, TypeError, "n_neighbors is 1.0. It must be an integer"),
        (True, ROWS, TypeError, "n_neighbors is True. It must be an integer"),
    ],
)
def test_bad_number_of_neighbors(n_neighbors, query, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        search_neighbors(ROWS, query, n_neighbors)


def test_query_of_another_width():
    with pytest.raises(ValueError, match="X_query has 3 columns and X_train has 2"):
        search_neighbors(ROWS, np.zeros((1, 3)), 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"p": 3}, "p is 3. It must be one of 1, 2"),
        ({"p": True}, "p is True"),
        ({"engine": "fast"}, "engine is 'fast'. It must be one of 'auto', 'blocked'"),
        ({"n_jobs": 0}, "n_jobs is 0"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        search_neighbors(ROWS, ROWS, 1, **options)


def test_bad_kind_of_n_jobs():
    with pytest.raises(TypeError, match=re.escape("n_jobs is 1.5. It must be an integer or None")):
        search_neighbors(ROWS, ROWS, 1, n_jobs=1.5)


@pytest.mark.parametrize(("p", "value"), [(2, 1e154), (1, 1e308)])
def test_overflow_is_an_error_not_an_infinity(p, value):
    with pytest.raises(ValueError, match="overflow float64"):
        search_neighbors([[value, value]], [[-value, 0.0]], 1, p=p)
    assert np.isfinite(search_neighbors([[value / 4, value / 4]], [[0.0, 0.0]], 1, p=p).distances).all()


def test_large_values_that_are_close_do_not_overflow():
    assert search_neighbors([[1e300, 0.0]], [[1e300, 3.0]], 1).distances.tolist() == [[3.0]]


@pytest.mark.parametrize("engine", ["brute", "blocked", "flat", "sklearn"])
def test_a_self_search_of_some_rows_is_a_part_of_the_whole(engine):
    rows = np.random.default_rng(5).integers(0, 3, size=(90, 4)).astype(float)
    whole = search_neighbors(rows, None, 7, engine="brute")
    chosen = np.array([3, 88, 3, 41])
    found = build_index(rows, engine=engine).search(rows[chosen], 7, own=chosen)
    np.testing.assert_array_equal(found.indices, whole.indices[chosen])
    np.testing.assert_array_equal(found.distances, whole.distances[chosen])


@pytest.mark.parametrize(
    ("own", "n_neighbors", "message"),
    [
        ([0], 1, r"own has shape \(1,\) and dtype int64 for 2 queries"),
        ([0.0, 1.0], 1, "dtype float64"),
        ([0, 3], 1, "own holds row numbers from 0 to 3. They must be from 0 to 2"),
        ([-1, 0], 1, "from -1 to 0"),
        ([0, 1], 3, "n_neighbors is 3. It must be from 1 to 2, the training rows less the row itself"),
    ],
)
def test_own_rows_that_are_none_are_refused(own, n_neighbors, message):
    index = build_index([[0.0], [1.0], [3.0]])
    with pytest.raises(ValueError, match=message):
        index.search([[0.0], [1.0]], n_neighbors, own=own)
