"""The rows of a study: no leak, whole songs, and every size that is too small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_tracks import make_tracks

from energyknn.errors import DataFileError
from energyknn.schema import make_schema
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


def test_rows_that_are_equal_in_every_feature_stay_on_one_side():
    random = np.random.default_rng(0)
    homes = pd.DataFrame({"area": random.random(100), "town": random.choice(["a", "b"], 100), "price": 1.0})
    table = pd.concat([homes, homes.assign(price=2.0)], ignore_index=True)
    schema = make_schema(target="price", numbers=["area"], categories=["town"])
    data = prepare(table, Protocol(groups="repeats"), schema=schema)
    assert not set(data.X_train.index % 100) & set(data.X_test.index % 100)


def test_each_side_holds_each_class_in_the_same_share():
    table = pd.DataFrame({"x": np.arange(200.0), "y": ["rare"] * 20 + ["common"] * 180})
    data = prepare(table, Protocol(), schema=make_schema(target="y", classifies=True, numbers=["x"]))
    assert (data.y_test == "rare").sum() == 4
    assert [(data.y_train[fold.test] == "rare").sum() for fold in data.folds] == [4, 4, 4, 4]


def test_a_table_of_categories_alone_is_prepared():
    table = pd.DataFrame({"town": ["a", "b"] * 60, "price": np.arange(120.0)})
    data = prepare(table, Protocol(scaling="train_only"), schema=make_schema(target="price", categories=["town"]))
    assert list(data.X_train) == ["town_a", "town_b"]
