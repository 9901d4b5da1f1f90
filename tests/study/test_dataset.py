"""Files of other people: what their columns are is found out, shown, and can be changed."""

from __future__ import annotations

import json
import re
import tomllib

import numpy as np
import pandas as pd
import pytest
from made_homes import make_homes
from made_tracks import make_tracks

from energyknn.errors import DataFileError
from energyknn.schema import make_schema
from energyknn.study.cli import main
from energyknn.study.column_choices import (
    ColumnChoices,
    combine,
    read_column_choices,
    split_names,
    write_column_choices,
)
from energyknn.study.dataset import recognise_dataset
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, prepare


@pytest.fixture
def path(tmp_path):
    make_homes().to_csv(tmp_path / "homes.csv", index=False)
    return tmp_path / "homes.csv"


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_roles_are_found_out_and_their_reasons_kept(path):
    homes = recognise_dataset(path, ColumnChoices(target="price", unit="EUR", missing="drop"))
    roles = {column.name: column.role for column in homes.schema.columns}
    assert roles == {
        "id": "text",
        "listed": "year",
        "area": "number",
        "rooms": "number",
        "built": "year",
        "town": "category",
        "heating": "category",
        "garden": "category",
        "price": "target",
    }
    assert homes.schema["price"].unit == "EUR"
    assert set(homes.reasons) == set(make_homes(5).columns)
    assert homes.table["listed"].between(2024, 2025).all()
    assert homes.arguments == ("--data", str(path), "--target", "price", "--unit", "EUR", "--missing", "drop")
    assert not homes.is_notebooks


def test_named_features_are_used_alone_and_in_the_order_that_the_user_names(path):
    choices = ColumnChoices(target="price", roles={"town": "category", "rooms": "number", "built": "number"})
    homes = recognise_dataset(path, choices)
    assert homes.schema == make_schema(target="price", numbers=["rooms", "built"], categories=["town"])
    assert homes.reasons == {}


def test_one_column_is_left_out_and_the_rest_found_out(path):
    homes = recognise_dataset(path, ColumnChoices(target="price", roles={"area": "ignore"}))
    assert "area" not in homes.schema.names
    assert "town" in homes.schema.categories
    assert len(homes.table) == 400


def test_empty_cells_are_refused_with_counts_dropped_or_kept_to_be_filled(path):
    n_empty = int(make_homes()["area"].isna().sum())
    with pytest.raises(DataFileError, match=rf"area {n_empty}\). Add --missing median .* or --missing drop") as caught:
        recognise_dataset(path, ColumnChoices(target="price"))
    assert f"in {n_empty} of 400 rows" in str(caught.value)
    dropped = recognise_dataset(path, ColumnChoices(target="price", missing="drop"))
    assert len(dropped.table) == 400 - n_empty
    assert f"{n_empty} of 400 rows are left out, because they have empty cells (area {n_empty})." in dropped.notes
    kept = recognise_dataset(path, ColumnChoices(target="price", missing="median"))
    assert kept.table["area"].isna().sum() == n_empty
    assert "take the median of the training rows" in kept.notes[0]


def test_medians_come_from_training_rows_alone(path):
    homes = recognise_dataset(path, ColumnChoices(target="price", missing="median"))
    protocol = Protocol(scaling="train_only")
    data = prepare(homes.table, protocol, schema=homes.schema)
    assert not data.X_train.isna().any(axis=None)
    test_rows = homes.table.index.isin(data.X_test.index)
    other = homes.table.assign(area=homes.table["area"].mask(test_rows & homes.table["area"].notna(), 1e6))
    changed = prepare(other, protocol, schema=homes.schema)
    pd.testing.assert_frame_equal(changed.X_train, data.X_train)
    was_empty = homes.table["area"].isna().to_numpy()[data.X_train.index]
    assert np.ptp(data.X_train.loc[was_empty, "area"]) == 0


def test_names_may_differ_in_case_and_blanks(path):
    make_homes().rename(columns={"price": " Price "}).to_csv(path, index=False)
    homes = recognise_dataset(path, ColumnChoices(target="price", missing="drop"))
    assert homes.schema.target == "price"
    assert "' Price ' is read as 'price'." in homes.notes


def test_rows_without_a_target_cannot_be_filled(path):
    homes = make_homes()
    homes.loc[[3, 7], "price"] = None
    homes.to_csv(path, index=False)
    kept = recognise_dataset(path, ColumnChoices(target="price", missing="median"))
    assert len(kept.table) == 398
    assert kept.notes[0] == "2 of 400 rows are left out: they have no price."


def test_rows_with_an_empty_column_are_never_all_dropped(path):
    make_homes().assign(area=None, town=None).to_csv(path, index=False)
    choices = ColumnChoices(target="price", missing="drop", roles={"area": "number", "rooms": "number"})
    with pytest.raises(DataFileError, match="empty cells in every row"):
        recognise_dataset(path, choices)


def test_tracks_need_no_target(tmp_path):
    make_tracks(120).to_csv(tmp_path / "tracks.csv", index=False)
    tracks = recognise_dataset(tmp_path / "tracks.csv", ColumnChoices())
    assert tracks.schema == SPOTIFY
    assert tracks.is_notebooks
    assert tracks.notes == ()


def test_other_files_need_a_target_and_are_told_their_columns(path, capsys):
    assert run("reproduce", "--data", path) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "--target NAME. The file has 'id', 'listed', 'area'" in printed


def test_text_and_truth_values_are_classes_and_numbers_where_the_user_says_so(path):
    assert recognise_dataset(path, ColumnChoices(target="town", missing="drop")).schema.classifies
    assert recognise_dataset(path, ColumnChoices(target="garden", missing="drop")).schema.classifies
    assert not recognise_dataset(path, ColumnChoices(target="rooms", missing="drop")).schema.classifies
    classes = ColumnChoices(target="rooms", missing="drop", task="classify")
    assert recognise_dataset(path, classes).schema.classifies


def test_names_with_commas_can_be_given():
    assert split_names('area, "price, net",town') == ["area", "price, net", "town"]
    words = ColumnChoices(target="y", roles={"price, net": "number", "a": "number"}).arguments
    assert split_names(words[words.index("--numbers") + 1]) == ["price, net", "a"]


def test_the_file_that_describe_writes_says_what_was_found_and_can_be_changed(path, tmp_path, capsys):
    out = tmp_path / "homes.toml"
    assert run("describe", "--data", path, "--target", "price", "--unit", "EUR", "--out", out) == 0
    printed = capsys.readouterr().out
    assert "400 rows, 9 columns" in printed
    assert "4 distinct texts: a category" in printed
    assert "energyknn reproduce" in printed
    held = tomllib.loads(out.read_text())
    assert (held["target"], held["unit"], held["missing"]) == ("price", "EUR", "refuse")
    assert held["columns"]["town"] == "category"
    assert held["columns"]["id"] == "text"
    assert "# 4 distinct texts" in out.read_text()
    out.write_text(out.read_text().replace('area = "number"', 'area = "ignore"'))
    changed = recognise_dataset(path, read_column_choices(out))
    assert changed.schema.numbers == ("rooms", "listed", "built")
    assert changed.schema["price"].unit == "EUR"


def test_describe_without_a_target_shows_every_column(path, capsys):
    assert run("describe", "--data", path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] is None
    assert {column["name"]: column["role"] for column in found["columns"]}["price"] == "number"
    assert {column["name"]: column["empty"] for column in found["columns"]}["area"] > 0
    assert any("--target" in note for note in found["notes"])
    assert any("Empty cells (area " in note for note in found["notes"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("target = 3", "target is 3. It must be text"),
        ("task = 'guess'", "task is 'guess'"),
        ("missing = 'mean'", "missing is 'mean'"),
        ("columns = 3", "gives each column its role"),
        ("[columns]\narea = 'numeric'", "'area' has the role 'numeric'. Roles are number"),
        ("colums = {}", "the keys are target"),
        ("target =", "is not a TOML file"),
    ],
)
def test_a_wrong_file_of_columns_is_refused_in_one_line(path, tmp_path, capsys, text, words):
    (tmp_path / "roles.toml").write_text(text)
    assert run("reproduce", "--data", path, "--columns", tmp_path / "roles.toml") == 2
    printed = capsys.readouterr().err
    assert words in printed
    assert printed.count("\n") == 1


def test_any_names_survive_being_written(tmp_path):
    names = ['a "quoted" name', "back\\slash", "tab\there", "Größe, m²", "a.b", "#x", ""]
    choices = ColumnChoices(target='the "target"', roles=dict.fromkeys(names, "number"))
    text = write_column_choices(choices, dict.fromkeys(names, "a reason\nof two lines"), source="x.csv")
    (tmp_path / "roles.toml").write_text(text, encoding="utf-8")
    assert read_column_choices(tmp_path / "roles.toml") == choices


def test_options_go_before_the_file_of_columns():
    held = ColumnChoices(target="price", unit="EUR", roles={"area": "number", "town": "category"})
    said = ColumnChoices(missing="drop", roles={"town": "ignore"})
    assert combine(said, held) == ColumnChoices("price", "EUR", "auto", "drop", {"area": "number", "town": "ignore"})


def test_a_file_without_rows_is_named(tmp_path):
    (tmp_path / "homes.csv").write_text("area,price\n")
    with pytest.raises(DataFileError, match=r"'homes.csv': no rows below the header"):
        recognise_dataset(tmp_path / "homes.csv", ColumnChoices("price"))


def test_a_name_over_two_lines_is_found_by_one(tmp_path):
    (tmp_path / "homes.csv").write_text('"net\nprice",area\n' + "".join(f"{row * 7 % 31},{row}\n" for row in range(40)))
    assert recognise_dataset(tmp_path / "homes.csv", ColumnChoices("net price")).schema.target == "net price"


def test_a_target_that_may_be_a_class_names_the_option_that_makes_it_one(tmp_path):
    (tmp_path / "h.csv").write_text("grade,area\n" + "".join(f"{row % 3},{row * 7 % 31}\n" for row in range(40)))
    reason = recognise_dataset(tmp_path / "h.csv", ColumnChoices("grade")).reasons["grade"]
    assert reason.endswith("a number; --task classify makes it a class")


def test_the_table_of_many_columns_is_folded_before_a_study_and_whole_in_describe(tmp_path, capsys):
    """300 columns do not push the result off the screen: the first and the target are shown, the others counted."""
    names = [f"c{number}" for number in range(300)]
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 300)), columns=names).assign(c299="same", y=range(60))
    wide.to_csv(tmp_path / "wide.csv", index=False)
    where = ["--data", str(tmp_path / "wide.csv"), "--target", "y"]
    assert main(["tune", *where, "--n-neighbors", "3"]) == 0
    told = capsys.readouterr().err
    assert len(told.splitlines()) < 40
    lines = told.splitlines()
    assert [line.split()[0] for line in lines[1:33]] == [*names[:30], "y", "and"]
    assert lines[32].split(maxsplit=3)[:3] == ["and", "270", "more"]
    assert lines[32].endswith("269 number, 1 left out: `energyknn describe` shows all")
    assert main(["describe", *where]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n{name} " in shown for name in [*names, "y"])
    assert main(["describe", *where, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["columns"]) == 301


@pytest.mark.parametrize("words", [["--target", "z"], ["--target", "y", "--numbers", "d9"], ["--target", "y"], []])
def test_a_message_names_the_first_of_many_columns(tmp_path, capsys, words):
    wide = pd.DataFrame(np.full((60, 300), np.nan), columns=[f"c{number}" for number in range(300)])
    wide.loc[:50] = np.random.default_rng(0).normal(size=(51, 300))
    wide.assign(y=range(60)).to_csv(tmp_path / "wide.csv", index=False)
    assert main(["tune", "--data", str(tmp_path / "wide.csv"), *words]) == 2
    said = capsys.readouterr().err
    assert "c11" in said
    assert "c12" not in said
    assert re.search(r"and 28\d more", said)
