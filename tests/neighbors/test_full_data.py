"""The search on the whole real file: the oracle's bits, and scikit-learn's neighbours wherever distances do not tie."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from energyknn.encoding import encode_features, fit_levels
from energyknn.loading import load_table
from energyknn.neighbors import search_neighbors
from energyknn.scaling import apply_scale, fit_scale
from energyknn.splitting import split_rows
from energyknn.study.notebook import SPOTIFY

pytestmark = pytest.mark.full_data

K = 51


@pytest.fixture(scope="module")
def rows(full_data):
    """Training and test rows, encoded as in the notebook."""
    table = load_table(full_data, SPOTIFY)
    encoded = encode_features(table, fit_levels(table, SPOTIFY), SPOTIFY)
    numbers = [name for name in encoded if name in (*SPOTIFY.numbers, "age")]
    matrix = apply_scale(encoded, fit_scale(encoded, numbers)).to_numpy(dtype=np.float64)
    split = split_rows(len(matrix))
    return matrix[split.train], matrix[split.test]


@pytest.mark.parametrize("p", [2, 1])
def test_bits_of_the_oracle(rows, p):
    train, query = rows
    query = query if p == 2 else query[:3000]
    expected = search_neighbors(train, query, K, p=p, engine="brute")
    found = search_neighbors(train, query, K, p=p, engine="blocked")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances.view(np.int64), expected.distances.view(np.int64))


def test_self_search_has_the_bits_of_the_oracle(rows):
    train = rows[0][:40_000]
    expected = search_neighbors(train, None, K, engine="brute")
    found = search_neighbors(train, None, K, engine="blocked")
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_array_equal(found.distances.view(np.int64), expected.distances.view(np.int64))


def test_neighbours_of_scikit_learn_wherever_distances_do_not_tie(rows):
    train, query = rows
    found = search_neighbors(train, query, K + 1)
    distances, indices = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(train).kneighbors(query)
    gaps = np.diff(found.distances**2, axis=1)
    ties = (gaps <= 1e-7 * np.maximum(found.distances[:, 1:] ** 2, 1e-6)).any(axis=1)
    differs = indices != found.indices[:, :K]
    assert not differs[~ties].any()
    np.testing.assert_allclose(distances[differs], found.distances[:, :K][differs], rtol=1e-7, atol=1e-6)
    assert ties.sum() < len(query) / 10, f"{ties.sum()} of {len(query)} queries have ties"
