"""Audits of raw tables: rows by their number in the table, and a test on rows that were spoilt on purpose."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from energyknn import NeighborsModel
from energyknn.auditing import audit_table


def make_table(n_rows=400):
    random = np.random.default_rng(0)
    area, town = random.uniform(40, 200, n_rows), random.choice(["Ulm", "Bonn"], n_rows)
    price = 3 * area + 100 * (town == "Ulm") + random.normal(size=n_rows)
    return pd.DataFrame({"area": area, "town": town, "price": price, "name": [f"home {n}" for n in range(n_rows)]})


QUICK = NeighborsModel("price", effort="quick", texts="name")


def test_wrong_rows_come_first_beside_their_names():
    table = make_table()
    table.loc[[7, 90], "price"] = [5_000.0, -900.0]
    found = audit_table(table, QUICK)
    assert set(found.rows["row"].iloc[:2]) == {7, 90}
    assert set(found.rows["name"].iloc[:2]) == {"home 7", "home 90"}
    assert found.rows.columns.tolist() == ["row", "name", "price", "neighbors_price", "misfit_price", "value_price"]
    assert sorted(found.rows["row"]) == list(range(400))
    assert found.n_spoilt == 20
    assert found.n_found > 10  # one of 20 would be chance
    assert found.chance == pytest.approx(0.05)


def test_the_test_says_at_which_places_the_spoilt_rows_stand():
    ranks = audit_table(make_table(), QUICK).spoilt_ranks
    assert ranks.tolist() == sorted(set(ranks))
    assert 0 <= ranks[0] < ranks[-1] < 400
    assert (ranks < 20).sum() > 10


def test_rows_keep_their_numbers_where_others_are_dropped():
    table = make_table()
    table.loc[3, "area"] = np.nan
    table.loc[200, "price"] = 9_000.0
    table.index += 1_000
    found = audit_table(table, QUICK.__class__("price", effort="quick", texts="name", missing="drop"))
    assert found.rows["row"].iloc[0] == 200
    assert found.rows["name"].iloc[0] == "home 200"
    assert 3 not in set(found.rows["row"])


def test_classes_are_audited_and_rows_that_kept_theirs_are_not_counted():
    table = make_table()
    table["price"] = np.where(table["price"] > 400, "dear", "cheap")
    found = audit_table(table, QUICK, spoil=0.1)
    swapped = found.n_spoilt
    assert 0 < swapped < 40
    assert found.n_found > swapped / 2
    assert set(found.rows["neighbors_price"]) == {"dear", "cheap"}


def test_the_test_can_be_left_out_and_changes_no_row():
    table = make_table()
    before = table.copy()
    without, with_test = audit_table(table, QUICK, spoil=0), audit_table(table, QUICK)
    assert (without.n_spoilt, without.n_found) == (0, 0)
    pd.testing.assert_frame_equal(without.rows, with_test.rows)
    pd.testing.assert_frame_equal(table, before)


def test_names_of_columns_that_the_list_has_too_are_kept_apart():
    table = make_table().rename(columns={"price": "value", "name": "row"})
    found = audit_table(table, NeighborsModel("value", effort="quick", texts="row"), spoil=0)
    expected = ["row_number", "row", "value", "neighbors_value", "misfit_value", "value_value"]
    assert found.rows.columns.tolist() == expected


def test_a_share_out_of_range_is_said():
    with pytest.raises(ValueError, match=r"spoil is 0.7. It must be from 0 to 0.5"):
        audit_table(make_table(), QUICK, spoil=0.7)
