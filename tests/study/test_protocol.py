"""The rows of a study: no leak, whole songs, and every size that is too small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks

from energyknn.errors import DataFileError
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, check_size, prepare
from energyknn.study.songs import label_songs


@pytest.fixture(scope="module")
def many_tracks():
    return make_tracks(600)


def test_without_leak_no_test_row_moves_a_training_value(many_tracks):
    protocol = Protocol(scaling="train_only", groups="songs")
    data = prepare(many_tracks, protocol)
    test_names = set(many_tracks.index) - set(many_tracks.index[data.X_train.index])
    changed = many_tracks.copy()
    changed.loc[sorted(test_names), "tempo"] += 1000.0
    np.testing.assert_array_equal(prepare(changed, protocol).X_train, data.X_train)
    leaky = Protocol(groups="songs")
    assert not np.array_equal(prepare(changed, leaky).X_train, prepare(many_tracks, leaky).X_train)


def test_songs_stay_on_one_side():
    table = pd.concat([make_tracks(200)] * 2, ignore_index=True)
    data = prepare(table, Protocol(groups="songs"))
    assert not set(data.X_train.index % 200) & set(data.X_test.index % 200)
    np.testing.assert_array_equal(data.groups, label_songs(table, SPOTIFY)[data.X_train.index])
    assert prepare(table, Protocol()).groups is None
    songs = data.X_train.index.to_numpy() % 200
    for fold in data.folds:
        assert not set(songs[fold.train]) & set(songs[fold.test])


@pytest.mark.parametrize("n_rows", [1, 3, 4, 60, 84])
def test_too_few_rows_are_refused_with_the_number_that_is_needed(n_rows):
    with pytest.raises(DataFileError, match=f"{n_rows} rows leave .* at least 85 rows"):
        check_size(n_rows)
    with pytest.raises(DataFileError):
        prepare(make_tracks(n_rows), Protocol())
