"""Splitting: scikit-learn's rows, the notebook's counts, and songs that stay on one side."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_tracks import make_tracks
from sklearn.model_selection import KFold, train_test_split

from energyknn.splitting import fold_groups, fold_rows, split_classes, split_groups, split_rows
from energyknn.study.notebook import SPOTIFY
from energyknn.study.songs import label_songs, normalise_title


def test_the_notebooks_row_counts(notebook):
    split = split_rows(notebook["rows"])
    assert [len(split.train), len(split.test)] == [notebook["train_shape"][0], notebook["test_shape"][0]]


@pytest.mark.parametrize("n_rows", [2, 7, 150, 1999])
def test_the_rows_are_those_of_train_test_split(n_rows):
    train, test = train_test_split(np.arange(n_rows), test_size=0.2, random_state=42)
    split = split_rows(n_rows)
    np.testing.assert_array_equal(split.train, train)
    np.testing.assert_array_equal(split.test, test)


def test_classes_are_split_as_by_train_test_split_with_stratify():
    labels = np.random.default_rng(0).choice(["a", "b", "c"], 150, p=[0.7, 0.2, 0.1])
    train, test = train_test_split(np.arange(150), test_size=0.2, random_state=42, stratify=labels)
    split = split_classes(labels)
    np.testing.assert_array_equal(split.train, train)
    np.testing.assert_array_equal(split.test, test)


@pytest.mark.parametrize("labels", [["a"] * 9 + ["b"], ["a"] * 8 + ["b", "c"], list("abcdefghij"), list("aabbccddee")])
def test_classes_too_rare_for_both_sides_are_split_too(labels):
    split = split_classes(labels)
    assert sorted([*split.train, *split.test]) == list(range(10))
    assert len(split.test) == 2


@pytest.mark.parametrize("n_rows", [4, 10, 139_511])
def test_the_folds_are_those_of_kfold(n_rows):
    for fold, (train, test) in zip(fold_rows(n_rows), KFold(4).split(np.arange(n_rows)), strict=True):
        np.testing.assert_array_equal(fold.train, train)
        np.testing.assert_array_equal(fold.test, test)


@pytest.mark.medium
@given(songs=st.lists(st.integers(0, 30), min_size=40, max_size=120), seed=st.integers(0, 99))
def test_no_song_is_on_both_sides_and_no_row_is_lost(songs, seed):
    labels = np.array(songs)
    if len(set(songs)) < 8:
        labels = np.arange(len(songs))
    for split in (split_groups(labels, random_state=seed), *fold_groups(labels)):
        assert not set(labels[split.train]) & set(labels[split.test])
        assert sorted([*split.train, *split.test]) == list(range(len(labels)))


def test_the_split_of_songs_is_seeded_and_shuffled():
    songs = np.arange(200)
    first, again, other = (split_groups(songs, random_state=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train, again.train)
    assert set(first.test) != set(other.test)
    assert (np.diff(first.train) < 0).any()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Yesterday", "yesterday ", True),
        ("Yesterday - Remastered 2009", "Yesterday", True),
        ("Yesterday (2015 Remaster)", "Yesterday", True),
        ("Yesterday [Digitally Remastered]", "Yesterday", True),
        ("Café", "Cafe\u0301", True),
        ("Don't", "Dont", True),
        ("Yesterday - Live", "Yesterday", False),
        ("Song 2", "Song 3", False),
        ("???", "!!!", False),
        ("東京", "京都", False),
    ],
)
def test_titles_are_one_song_or_two(one, other, same):
    assert (normalise_title(one) == normalise_title(other)) is same


def test_rows_of_one_song_share_a_label():
    table = make_tracks(6)
    table.loc[3, ["name", "artists"]] = [
        table.loc[0, "name"].upper() + " - 2011 Remaster",
        table.loc[0, "artists"],
    ]
    values = [*SPOTIFY.numbers, *SPOTIFY.categories, "energy"]
    table.loc[5, values] = table.loc[3, values].to_numpy()
    labels = label_songs(table, SPOTIFY)
    assert labels.tolist() == [0, 1, 2, 0, 3, 0]  # 5 equals 3 in its values, 3 equals 0 in its title


def test_without_titles_the_values_tell_songs_apart():
    table = pd.concat([make_tracks(4)] * 2, ignore_index=True).drop(columns=["name", "artists"])
    assert label_songs(table, SPOTIFY).tolist() == [0, 1, 2, 3] * 2


def test_the_same_title_by_another_artist_is_another_song():
    table = make_tracks(2).assign(name="Hello", artists=["['A']", "['B']"])
    assert label_songs(table, SPOTIFY).tolist() == [0, 1]
