"""Files as people have them: every format, separator, encoding and archive gives the same table, and says how."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import zipfile
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
import sklearn.datasets

from energyknn._shared.dates import read_years
from energyknn.errors import DataFileError
from energyknn.loading import FileContent, check_content, check_table, hash_file, load_table, read_file, read_table
from energyknn.loading.doubts import list_doubts
from energyknn.loading.texts import find_dialect
from energyknn.schema import make_schema
from energyknn.study.cli import main

HOMES = pd.DataFrame(
    {
        "town": ["Köln", "Bonn", "Zürich", "Genève"],
        "area": [70.5, 81.25, 1234.5, 0.125],
        "rooms": [3, 4, 12, 1],
        "price": [250_000, 300_000, 2_500_000, 1_000],
    }
)
SCHEMA = make_schema(target="price", numbers=["area", "rooms"], categories=["town"])


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def pack_zip(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def compress_zst(content):
    return pytest.importorskip("zstandard").ZstdCompressor().compress(content)


def assert_homes(content):
    pd.testing.assert_frame_equal(content.table, HOMES, check_exact=True, check_dtype=False)


SEPARATED = {
    "commas": ({}, ()),
    "semicolons": ({"sep": ";"}, ("Cells are separated by ';'.",)),
    "tabs": ({"sep": "\t"}, ("Cells are separated by tabs.",)),
    "bars": ({"sep": "|"}, ("Cells are separated by '|'.",)),
    "decimal commas": (
        {"sep": ";", "decimal": ","},
        ("Cells are separated by ';' and numbers have decimal commas.",),
    ),
    "quoted decimal commas": ({"decimal": ",", "quoting": 1}, ("Numbers have decimal commas.",)),
    "tabs and decimal commas": (
        {"sep": "\t", "decimal": ","},
        ("Cells are separated by tabs and numbers have decimal commas.",),
    ),
}


@pytest.mark.parametrize("case", SEPARATED)
def test_separators_and_decimal_signs_are_found_out(tmp_path, case):
    options, notes = SEPARATED[case]
    content = read_file(write(tmp_path / "h.csv", HOMES.to_csv(index=False, **options)))
    assert_homes(content)
    assert content.notes == notes


ENCODINGS = {
    "utf-8": (),
    "utf-8-sig": (),
    "utf-16": ("The text is UTF-16.",),
    "utf-16-le": ("The text is UTF-16.",),
    "utf-16-be": ("The text is UTF-16.",),
    "utf-32": ("The text is UTF-32.",),
    "cp1252": ("The text is Windows-1252, not UTF-8.",),
    "latin-1": ("The text is Windows-1252, not UTF-8.",),  # the same bytes
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_are_found_out(tmp_path, encoding):
    content = read_file(write(tmp_path / "h.csv", HOMES.to_csv(index=False), encoding))
    assert_homes(content)
    assert content.notes == ENCODINGS[encoding]


def test_an_encoding_holds_for_the_whole_file(tmp_path):
    """The first letter beyond ASCII stands far behind what is looked at first."""
    rows = "Bonn,1\n" * 300_000 + "Köln,2\n"
    content = read_file(write(tmp_path / "h.csv", "town,rooms\n" + rows, "cp1252"))
    assert content.table["town"].iloc[-1] == "Köln"
    assert content.notes == ("The text is Windows-1252, not UTF-8.",)


def test_damaged_utf_8_stays_utf_8(tmp_path):
    text = HOMES.to_csv(index=False).encode()
    (tmp_path / "h.csv").write_bytes(text.replace("Genève".encode(), b"Gen\xe8ve"))
    content = read_file(tmp_path / "h.csv")
    assert content.table["town"].tolist() == ["Köln", "Bonn", "Zürich", "Gen\ufffdve"]
    assert content.notes == ("The text is UTF-8 with damaged bytes, which are read as '\ufffd'.",)


@pytest.mark.parametrize("encoding", ["cp1251", "gb18030", "shift_jis", "cp1253"])
def test_an_encoding_that_cannot_be_told_is_asked_for_and_taken(tmp_path, encoding):
    towns = {"cp1251": "Москва", "gb18030": "上海市", "shift_jis": "東京都", "cp1253": "Αθήνα"}
    path = write(tmp_path / "h.csv", f"town,rooms\n{towns[encoding]},1\n", encoding)
    with pytest.raises(DataFileError, match="is not UTF-8, and its encoding cannot be told"):
        read_file(path)
    assert read_file(path, encoding=encoding).table["town"].tolist() == [towns[encoding]]


def test_what_the_caller_says_overrides_what_is_found_out(tmp_path):
    path = write(tmp_path / "h.csv", "a;b,c\n1;2,3\n")
    assert read_file(path, sep=",").table.columns.tolist() == ["a;b", "c"]
    assert read_file(path, sep=";").table["b,c"].tolist() == [2.3]
    assert read_file(path, sep=";", decimal=".").table["b,c"].tolist() == ["2,3"]
    for options in ({"sep": ";;"}, {"decimal": "x"}, {"encoding": "no such"}, {"encoding": "ascii"}):
        with pytest.raises(DataFileError) as caught:
            read_file(write(tmp_path / "u.csv", "ä,b\n1,2\n"), **options)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "sep", "numbers"),
    [
        (["1,021", "84", "1,234,567"], ",", [1021, 84, 1_234_567]),
        (["1,021.5", "84", "3"], ",", [1021.5, 84, 3]),
        (["1.021,5", "84", "3"], ";", [1021.5, 84, 3]),
        (["1.021.000", "84", "3"], ";", [1_021_000, 84, 3]),
        (["1 021,5", "84,25", "-3"], ";", [1021.5, 84.25, -3]),
        (["1'021.5", "84", ""], ",", [1021.5, 84, np.nan]),
        (["1.234", "2.345", "84"], ";", [1.234, 2.345, 84]),
        (["0,123", "1,234", "2,5"], ";", [0.123, 1.234, 2.5]),
        (["1e-05", "2.5", "3"], ",", [1e-5, 2.5, 3]),
    ],
)
def test_grouped_digits_are_read_where_they_can_mean_one_thing(tmp_path, cells, sep, numbers):
    text = pd.DataFrame({"n": cells, "town": ["a", "b", "c"]}).to_csv(index=False, sep=sep)
    np.testing.assert_array_equal(read_file(write(tmp_path / "h.csv", text)).table["n"], numbers)


def test_grouped_digits_are_said_with_what_they_are(tmp_path):
    content = read_file(write(tmp_path / "h.csv", 'n,town\n84,a\n"1,021",b\n'))
    assert content.notes == ("'n' holds numbers such as '1,021', which is 1021.",)


def test_decimal_commas_that_come_late_are_read(tmp_path):
    content = read_file(write(tmp_path / "h.csv", "a;b\n" + "1;2\n" * 100_000 + "1,5;3\n"))
    assert content.table["a"].iloc[-1] == 1.5
    assert content.notes[-1] == "'a' holds numbers such as '1,5', which is 1.5."


def test_grouped_digits_that_may_mean_two_things_stay_text(tmp_path):
    content = read_file(write(tmp_path / "h.csv", "n;town\n1,234;a\n2,345;b\n"))
    assert content.table["n"].tolist() == ["1,234", "2,345"]


WRITTEN = {
    "dollars": (
        ["$1,021.50", "-$84", "$3"],
        [1021.5, -84, 3],
        "'n' holds numbers such as '$1,021.50', which is 1021.5.",
    ),
    "euros": (["1.021,50 €", "84,00 €", "3,25 €"], [1021.5, 84, 3.25], None),
    "per cent": (["12%", "3.5 %", "0%"], [12, 3.5, 0], "'n' holds numbers such as '12%', which is 12."),
    "an accountant's": (["(105)", "7", "(1,200.5)"], [-105, 7, -1200.5], None),
    "a minus sign": (["\N{MINUS SIGN}5", "3", "2"], [-5, 3, 2], None),
    "?": (["5", "?", "3.5"], [5, np.nan, 3.5], "'n': '?' is taken for an empty cell, in 1 row."),
    "-": (["5", "-", "-"], [5, np.nan, np.nan], "'n': '-' is taken for an empty cell, in 2 rows."),
    "words": (["5", "n/a", "#N/A"], [5, np.nan, np.nan], "'n': 'n/a', '#N/A' is taken for an empty cell, in 2 rows."),
    "blanks around": (["5", " ? ", " 3"], [5, np.nan, 3], "'n': '?' is taken for an empty cell, in 1 row."),
}


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize("case", WRITTEN)
def test_numbers_that_are_written_for_people_are_read(tmp_path, case, kind):
    cells, numbers, note = WRITTEN[case]
    table = pd.DataFrame({"n": cells, "town": ["a", "b", "c"]})
    path = tmp_path / f"h.{kind}"
    if kind == "csv":
        table.to_csv(path, index=False)
    else:
        pytest.importorskip("openpyxl")
        table.to_excel(path, index=False)
    content = read_file(path)
    np.testing.assert_array_equal(content.table["n"], numbers)
    assert note is None or note in content.notes


@pytest.mark.parametrize("cells", [["$5", "€3", "$2"], ["5 b", "4", "3"], ["-", "+", "-"], ["2WD", "4WD", "2WD"]])
def test_units_that_differ_and_levels_stay_text(tmp_path, cells):
    text = pd.DataFrame({"n": cells, "m": 1}).to_csv(index=False)
    assert read_file(write(tmp_path / "h.csv", text)).table["n"].tolist() == cells


def test_a_question_mark_among_texts_is_an_empty_cell(tmp_path):
    content = read_file(write(tmp_path / "h.csv", "a,b\nx,1\n?,2\ny,3\n"))
    assert content.table["a"].isna().tolist() == [False, True, False]
    assert content.notes == ("'a': '?' is taken for an empty cell, in 1 row.",)


@pytest.mark.parametrize("mark", ["?", "N/A", "n/a", "#N/A", "n.a.", "-", "--", "\u2014"])
def test_a_mark_of_an_empty_cell_is_one_among_texts_and_numbers(tmp_path, mark):
    table = read_file(write(tmp_path / "h.csv", f"a,b\nx,1.5\n{mark},{mark}\ny,3\n", encoding="utf-8")).table
    assert table.isna().to_numpy().tolist() == [[False, False], [True, True], [False, False]]
    assert table["b"].dtype == np.float64


def test_a_minus_beside_a_plus_is_a_level(tmp_path):
    assert read_file(write(tmp_path / "h.csv", "a,b\n+,1\n-,2\n?,3\n")).table["a"].tolist()[:2] == ["+", "-"]


def make_weather(**columns):
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {"temp": random.normal(12, 6, 200).round(1), "rain": random.gamma(1, 4, 200).round(1)} | columns
    )


@pytest.mark.parametrize("code", [-999, -99, 999, 9999, -9999.9])
def test_a_number_that_may_mean_missing_is_named_and_stays(tmp_path, code):
    weather = make_weather()
    weather.iloc[10:14, 0] = code
    weather.iloc[12:52, 1] = code
    weather.to_csv(tmp_path / "w.csv", index=False)
    content = read_file(tmp_path / "w.csv")
    assert (content.table == weather).all(axis=None)
    (note,) = content.notes
    assert note.startswith(f"{code:.12g} stands far from all else in 'temp' (4 rows, else ")
    assert "'rain' (40 rows, else " in note
    assert note.endswith("If it means missing, empty these cells.")


def test_two_codes_of_a_column_are_both_named():
    weather = make_weather()
    weather.iloc[:5, 1], weather.iloc[5:9, 1], weather.iloc[9:12, 1] = -9999, 9999, -99
    assert [note.split()[0] for note in list_doubts(weather)] == ["-9999", "-99", "9999"]


ORDINARY = {
    "a lone outlier": {"rain": [*[1.0, 2, 3, 4] * 49, 0, 0, 0, 9999]},
    "two values": {"rain": [0, 1] * 100},
    "a majority of zeros": {"rain": [0] * 150 + list(range(1000, 1050))},
    "an age of 99": {"age": [*range(100), 99, 99, 99, *range(97)]},
    "a cap": {"income": [*range(0, 99_000, 500), 99_999, 99_999]},
    "truth": {"rain": [True, False] * 100},
    "texts": {"rain": ["-999", "x"] * 100},
    "nothing": {"rain": [np.nan] * 200},
    "infinite": {"rain": [*[1.0, 2, 3, 4] * 49, *[np.inf] * 4]},
}


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_numbers_are_not_doubted(case):
    assert list_doubts(make_weather(**ORDINARY[case])) == []


@pytest.mark.parametrize("name", ["load_iris", "load_diabetes", "load_wine", "load_breast_cancer"])
def test_well_known_tables_are_not_doubted(name):
    assert list_doubts(getattr(sklearn.datasets, name)(as_frame=True).frame) == []


@pytest.mark.parametrize("word", ["Total", "SUM", "Grand total:", "Summe", "Average"])
def test_a_last_row_that_sums_up_is_named_and_stays(tmp_path, word):
    content = read_file(write(tmp_path / "h.csv", f"town,people\nUlm,1\nBonn,2\n{word},3\n"))
    assert len(content.table) == 3
    assert content.notes == (
        f"The last row is {word!r} in 'town'. If it sums the others up, leave it out of the file.",
    )


@pytest.mark.parametrize("towns", ["Total,Ulm", "Total,Total", "Totalville"])
def test_other_rows_are_no_sums(tmp_path, towns):
    rows = "\n".join(f"{town},1" for town in towns.split(","))
    assert read_file(write(tmp_path / "h.csv", f"town,people\n{rows}\n")).notes == ()


def test_the_line_stands_before_a_study_and_in_what_describe_prints(tmp_path, capsys):
    weather = make_weather()
    weather.iloc[:5, 1] = -999
    weather.to_csv(tmp_path / "w.csv", index=False)
    for command, stream in (("describe", "out"), ("tune", "err")):
        assert main([command, "--data", str(tmp_path / "w.csv"), "--target", "temp"]) == 0
        assert "-999 stands far from all else in 'rain' (5 rows, " in getattr(capsys.readouterr(), stream)


def test_digits_with_leading_zeros_are_codes(tmp_path):
    table = read_file(write(tmp_path / "h.csv", "zip,n\n02139,0\n10001,0.5\n,10\n")).table
    assert table["zip"].tolist()[:2] == ["02139", "10001"]
    assert table["zip"].isna().tolist() == [False, False, True]
    assert table["n"].tolist() == [0, 0.5, 10]


def test_a_unit_is_read_where_a_number_is_asked_for():
    table = pd.DataFrame({"weight": ["60 kg", "72.5 kg"], "price": ["1 EUR", "2 EUR"]})
    schema = make_schema(target="price", numbers=["weight"])
    assert check_table(table, schema).to_dict("list") == {"weight": [60, 72.5], "price": [1, 2]}
    with pytest.raises(DataFileError, match="'weight' is text where a number belongs in 1 row"):
        check_table(table.assign(weight=["60", "heavy"]), schema)


BLANKS = {
    "aligned": "  a   b\n  1.5   x\n 20.5   y\n",
    "tabs too": "a b\n1.5\t x\n20.5 y \n",
    "quoted": '"a" "b"\n1.5 "x"\n20.5 "y"\n',
}


@pytest.mark.parametrize("case", BLANKS)
def test_blanks_separate_where_nothing_else_does(tmp_path, case):
    content = read_file(write(tmp_path / "h.txt", BLANKS[case]))
    assert content.table.to_dict("list") == {"a": [1.5, 20.5], "b": ["x", "y"]}
    assert content.notes == ("Cells are separated by blanks.",)


def test_names_of_rows_that_r_writes_get_a_column(tmp_path):
    content = read_file(write(tmp_path / "h.txt", '"a" "b"\n"car 1" 1.5 3\n"car 2" 20.5 4\n'))
    assert content.table.to_dict("list") == {"Unnamed: 0": ["car 1", "car 2"], "a": [1.5, 20.5], "b": [3, 4]}


def test_blanks_in_a_column_of_text_do_not_separate(tmp_path):
    assert read_file(write(tmp_path / "h.csv", "full name\nAnn Smith\nBob Jones\n")).columns == ("full name",)


TITLES = {
    "a title": "Sales 2023\n\ntown,area,price\n",
    "a title with commas": "Sales, 2023\nby me\ntown,area,price,n\n",
    "padded": "Sales 2023,,\n,,\ntown,area,price\n",
    "remarks": "# station 7, units in C\n# v2\ntown,area,price\n",
    "over two lines": '"Sales\n2023"\ntown,area,price\n',
}


@pytest.mark.parametrize("case", TITLES)
def test_the_header_is_found_below_a_title(tmp_path, case):
    above = TITLES[case]
    names = above.splitlines()[-1].split(",")
    rows = "".join(",".join(["Ulm", *map(str, range(row, row + len(names) - 1))]) + "\n" for row in range(9))
    content = read_file(write(tmp_path / "h.csv", above + rows))
    assert list(content.table.columns) == names
    assert len(content.table) == 9
    assert any(note.startswith("The header is found below ") for note in content.notes)


def test_the_header_of_a_sheet_is_found_below_a_title(tmp_path):
    pytest.importorskip("openpyxl")
    rows = [["Sales", None, None], [None] * 3, ["town", "area", "2023"], *[["Ulm", row, row / 2] for row in range(9)]]
    pd.DataFrame(rows).to_excel(tmp_path / "h.xlsx", index=False, header=False)
    content = read_file(tmp_path / "h.xlsx")
    assert list(content.table.columns) == ["town", "area", "2023"]
    assert content.table["area"].tolist() == [*range(9)]


@pytest.mark.parametrize("text", ["a\n1,5\n2,5\n", "a,b\n1,2,3\n4,5,6\n"])
def test_rows_that_are_longer_than_the_header_do_not_become_it(tmp_path, text):
    with pytest.raises(DataFileError, match=r"more cells than|not a table"):
        read_file(write(tmp_path / "h.csv", text))


def test_a_number_in_the_header_is_said():
    doubt = find_dialect("5.1,3.5,setosa\n4.9,3.0,virginica\n", "iris.csv").doubt
    assert doubt.startswith("The header holds '5.1', which is a number.")
    assert not find_dialect("geo,2018,2019\nDE,1,2\n", "geo.csv").doubt


@pytest.mark.parametrize("cells", [["1,2", "3,4,5"], ["12-3", "4"], ["1.2.3", "4"], ["10.0.0.1", "10.0.0.2"]])
def test_lists_and_codes_stay_text(tmp_path, cells):
    text = pd.DataFrame({"n": cells, "m": 0.5}).to_csv(index=False)
    assert read_file(write(tmp_path / "h.csv", text)).table["n"].tolist() == cells


COMPRESSIONS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": compress_zst,
    "zip": lambda content: pack_zip(**{"h.csv": content}),
}


@pytest.mark.parametrize("ending", COMPRESSIONS)
def test_compression_is_told_by_the_bytes_and_not_by_the_ending(tmp_path, ending):
    pytest.importorskip("pyarrow")
    packed = COMPRESSIONS[ending](HOMES.to_csv(index=False).encode())
    (tmp_path / f"h.csv.{ending}").write_bytes(packed)
    content = read_file(tmp_path / f"h.csv.{ending}")
    assert_homes(content)
    assert content.notes == ()
    (tmp_path / "h.csv").write_bytes(packed)
    content = read_file(tmp_path / "h.csv")
    assert_homes(content)
    assert len(content.notes) == 1
    assert "whatever its name says" in content.notes[0]


def test_text_that_only_its_name_calls_compressed_is_read(tmp_path):
    content = read_file(write(tmp_path / "h.csv.gz", HOMES.to_csv(index=False)))
    assert_homes(content)
    assert content.notes == ("'h.csv.gz' is not compressed, whatever its name says.",)


KAGGLE = {
    "__MACOSX/._homes.csv": b"\0\5",
    ".DS_Store": b"\0",
    "README.md": b"# Homes",
    "license.json": b"{}",
    "data/homes.csv": HOMES.to_csv(index=False),
}


def test_the_one_table_of_an_archive_is_read(tmp_path):
    (tmp_path / "archive.zip").write_bytes(pack_zip(**KAGGLE))
    assert_homes(read_file(tmp_path / "archive.zip"))


def test_of_several_tables_in_an_archive_the_path_names_one(tmp_path):
    path = tmp_path / "archive.zip"
    path.write_bytes(pack_zip(**KAGGLE, **{"by_town.csv": "a,b\n1,2\n"}))
    with pytest.raises(
        DataFileError, match=r"2 files: 'data/homes.csv', 'by_town.csv'. Name one, as in 'archive.zip/da"
    ):
        read_file(path)
    assert_homes(read_file(path / "data" / "homes.csv"))
    assert_homes(read_file(path / "homes.csv"))
    assert hash_file(path / "homes.csv") == hash_file(path)
    with pytest.raises(DataFileError, match=r"holds no 'none.csv'. It holds '__MACOSX/._homes.csv'"):
        read_file(path / "none.csv")


def test_a_path_that_goes_on_inside_a_plain_file_is_refused(tmp_path):
    path = write(tmp_path / "h.csv", "a,b\n1,2\n")
    with pytest.raises(DataFileError, match=r"'h.csv' is one table, and holds no 'Sheet1'"):
        read_file(path / "Sheet1")


BINARY = {
    "parquet": lambda table, path: table.to_parquet(path),
    "feather": lambda table, path: table.to_feather(path),
    "xlsx": lambda table, path: table.to_excel(path, index=False),
    "json": lambda table, path: table.to_json(path, orient="records"),
    "jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    "ndjson": lambda table, path: table.to_json(path, orient="records", lines=True),
}


@pytest.mark.parametrize("ending", BINARY)
@pytest.mark.parametrize("called", ["right", "csv", "packed"])
def test_other_formats_give_the_same_table(tmp_path, ending, called):
    for module in ("pyarrow", "openpyxl"):
        pytest.importorskip(module)
    path = tmp_path / f"h.{ending}"
    BINARY[ending](HOMES, path)
    if called == "csv":
        path = path.rename(tmp_path / "h.csv")
    if called == "packed":
        content = path.read_bytes()
        path = tmp_path / f"h.{ending}.gz"
        path.write_bytes(gzip.compress(content))
    content = read_file(path)
    assert_homes(content)
    is_said = called == "csv" and "json" not in ending
    assert len(content.notes) == is_said, content.notes


def test_a_sheet_is_named_by_the_path(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as writer:
        HOMES.to_excel(writer, sheet_name="homes", index=False, startrow=2)
        HOMES[["area"]].to_excel(writer, sheet_name="only area", index=False)
    content = read_file(path)
    assert_homes(content)
    assert content.notes == (
        "The first of the sheets 'homes', 'only area' is read. Name another as in 'book.xlsx/only area'.",
    )
    assert read_file(path / "only area").table.columns.tolist() == ["area"]
    with pytest.raises(DataFileError, match=r"holds no sheet 'none'. It holds 'homes', 'only area'"):
        read_file(path / "none")


def test_missing_cells_are_nan_and_texts_stay_text(tmp_path):
    pytest.importorskip("openpyxl")
    table = pd.DataFrame({"a": [1.5, None], "title": ["NA", None], "code": ["007", "008"]})
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_excel(tmp_path / "t.xlsx", index=False)
    table.to_json(tmp_path / "t.json", orient="records")
    for ending in ("csv", "xlsx", "json"):
        read = read_file(tmp_path / f"t.{ending}", texts=("title", "code")).table
        assert read["title"].tolist() == ["NA", ""]
        assert read["code"].tolist() == ["007", "008"]
        assert np.isnan(read["a"].iloc[1])


def test_missing_cells_of_a_workbook_are_those_of_text(tmp_path):
    pytest.importorskip("openpyxl")
    pd.DataFrame({"a": ["NA", 2.5, None], "n": [1, None, 3], "town": ["x", "null", "y"]}).to_excel(tmp_path / "t.xlsx")
    table = read_file(tmp_path / "t.xlsx").table
    np.testing.assert_array_equal(table["a"], [np.nan, 2.5, np.nan])
    np.testing.assert_array_equal(table["n"], [1, np.nan, 3])
    assert table["town"].isna().tolist() == [False, True, False]


def test_dates_of_a_workbook_and_columns_of_lists(tmp_path):
    pytest.importorskip("openpyxl")
    pd.DataFrame({"built": pd.to_datetime(["1999-05-01", "2004-01-01"]), "price": [1, 2]}).to_excel(tmp_path / "t.xlsx")
    table = load_table(tmp_path / "t.xlsx", make_schema(target="price", years=["built"]))
    assert table["built"].tolist() == [1999, 2004]
    write(tmp_path / "t.json", '[{"a": 1, "b": [1]}, {"a": 2, "b": [2]}]')
    content = read_file(tmp_path / "t.json")
    assert content.table.columns.tolist() == ["a"]
    assert content.notes == ("Column 'b' holds lists or objects and is left out.",)
    pytest.importorskip("pyarrow")
    pd.DataFrame({"a": [1], "b": [[1]]}).to_parquet(tmp_path / "t.parquet")
    assert read_file(tmp_path / "t.parquet").table.columns.tolist() == ["a"]


JSON = {
    '{"a": [1, 2], "b": [3, 4]}': [1, 2],
    '{"a": {"0": 1, "1": 2}}': [1, 2],
    '{"data": [{"a": 1}, {"a": 2}], "count": 2}': [1, 2],
    '{"a": 1}': [1],
    '{"a": 1}\n\n{"a": 2}\n': [1, 2],
}


@pytest.mark.parametrize("text", JSON)
def test_json_of_any_shape_of_a_table(tmp_path, text):
    assert read_file(write(tmp_path / "t.json", text)).table["a"].tolist() == JSON[text]


@pytest.mark.parametrize(
    "text", ['{"a": ', "[" * 100_000, '[{"a": 1}, 2]', '{"a": [1]}\n{"a": [', '[{"a": [1]}]', "[]"]
)
def test_json_that_is_no_table_is_refused(tmp_path, text):
    with pytest.raises(DataFileError) as caught:
        load_table(write(tmp_path / "t.json", text), SCHEMA)
    assert "\n" not in str(caught.value)


def make_database(path):
    with sqlite3.connect(path) as connection:
        connection.execute("create table a (b)")
    connection.close()


NO_TABLES = {
    "web page": (
        b"<!DOCTYPE html><html><head><title>Kaggle: Sign\n in</title>",
        r"is a web page \('Kaggle: Sign in'\), perhaps a login",
    ),
    "late web page": (
        b"\xef\xbb\xbf\n <!-- a --> <HTML lang='en'>",
        "is a web page, perhaps a login page: download the file it",
    ),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:a\nsize 3\n", "git lfs pull"),
    "PDF": (b"%PDF-1.7\n", "is a PDF document"),
    "image": (b"\x89PNG\r\n\x1a\n", "is an image"),
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel file"),
    "XML": (b"<?xml version='1.0'?><rows/>", "is an XML file"),
    "NumPy": (b"\x93NUMPY\x01\0" + bytes(200), "is an array of NumPy"),
    "annex": (b"/annex/objects/SHA256E-s1--a.csv\n", "git annex get"),
    "zeros": (b"a\0\0\1" * 100, "neither text nor of a format that is known"),
    "empty": (b"", "is empty"),
    "only a mark": (b"\xef\xbb\xbf", "is empty"),
    "blank": (b"\n\n", "is empty"),
    "Word": (pack_zip(**{"[Content_Types].xml": "", "word/document.xml": ""}), "office document"),
    "archive": (pack_zip(**{"a.csv": "", "b.csv": ""}), "holds 2 files"),
}


@pytest.mark.parametrize("case", NO_TABLES)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_no_table_is_named(tmp_path, case, packed):
    content, message = NO_TABLES[case]
    (tmp_path / "t.csv").write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(DataFileError, match=message) as caught:
        read_file(tmp_path / "t.csv")
    assert "\n" not in str(caught.value)


def test_a_database_is_named(tmp_path):
    make_database(tmp_path / "t.csv")
    with pytest.raises(DataFileError, match="is an SQLite database"):
        read_file(tmp_path / "t.csv")


@pytest.mark.parametrize("ending", ["parquet", "feather", "xlsx"])
def test_text_under_a_binary_ending_is_refused(tmp_path, ending):
    with pytest.raises(DataFileError, match="is not a whole"):
        read_file(write(tmp_path / f"t.{ending}", "a,b\n1,2\n"))


def test_names_that_differ_in_case_and_blanks_are_matched(tmp_path):
    text = "\ufeff Area ,ROOMS,town\u200b,price,Price\n1,2,a,3,4\n"
    content = read_file(write(tmp_path / "h.csv", text), names=SCHEMA.names, texts=("town",))
    assert content.table.to_dict("list") == {"area": [1], "rooms": [2], "town": ["a"], "price": [3]}
    assert content.notes == (
        "' Area ' is read as 'area'.",
        "'ROOMS' is read as 'rooms'.",
        "'town\\u200b' is read as 'town'.",
    )
    assert content.columns[-1] == "Price"
    assert load_table(tmp_path / "h.csv", SCHEMA).columns.tolist() == list(SCHEMA.names)


def test_two_names_for_one_column_are_refused(tmp_path):
    path = write(tmp_path / "h.csv", "Area,AREA,price\n1,2,3\n")
    with pytest.raises(DataFileError, match=r"column 'area' may be 'Area' or 'AREA'. Rename the right one"):
        read_table(path, make_schema(target="price", numbers=["area"]))


def test_missing_columns_are_named_beside_those_that_are_there(tmp_path):
    path = write(
        tmp_path / "h.csv", "aera,Rooms,town,price," + ",".join(f"c{n}" for n in range(20)) + "\n" + "1," * 23 + "1\n"
    )
    with pytest.raises(DataFileError) as caught:
        load_table(path, SCHEMA)
    assert str(caught.value) == (
        "'h.csv': missing column 'area'. It has 'aera', 'Rooms', 'town', 'price', 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', "
        "'c6', 'c7' and 12 more. Did you mean 'aera' for 'area'? Name its columns by make_schema."
    )


def test_an_index_and_trailing_separators_do_no_harm(tmp_path):
    assert read_file(write(tmp_path / "a.csv", ",a\n0,5\n1,6\n")).table["a"].tolist() == [5, 6]
    assert read_file(write(tmp_path / "b.csv", "a;b;;\n1;2;;\n")).table[["a", "b"]].to_numpy().tolist() == [[1, 2]]
    assert read_file(write(tmp_path / "c.csv", "a,b\n1,2,\n3,4,\n")).table["b"].tolist() == [2, 4]
    assert read_file(write(tmp_path / "d.csv", "sep=;\r\na;b\r\n1;2\r\n")).table["b"].tolist() == [2]


@pytest.mark.parametrize("rows", ["1,2,3\n2,3,4\n", "0,5,6,7\n1,5,6,7\n", "0,1,2\n1,2,3\n2,3,4\n"])
def test_rows_that_are_longer_than_the_header_are_never_shifted(tmp_path, rows):
    """The first cells become names of rows in pandas. Where they count up, nothing tells the result from a table."""
    with pytest.raises(DataFileError, match="has rows with more cells than the header's 2"):
        read_file(write(tmp_path / "h.csv", "a,b\n" + rows))


DATES = [
    "1999-05-01",
    "1999",
    "05/1999",
    "1999-05",
    "01.05.1999",
    "1999/05/01 12:30:00",
    "May 1, 1999",
    "1 May 1999",
    "May 1999",
]


def test_a_year_may_come_from_a_date():
    schema = make_schema(target="price", years=["built"])
    for table in (
        pd.DataFrame({"built": DATES, "price": 1.0}),
        pd.DataFrame({"built": pd.Series(DATES, dtype=object), "price": 1.0}),
        pd.DataFrame({"built": pd.to_datetime(["1999-05-01"] * 9), "price": 1.0}),
    ):
        checked = check_content(FileContent(table), schema)
        assert checked.table["built"].eq(1999).all()
        assert checked.notes == ("Of the dates in 'built' the year is used.",)
    assert check_content(FileContent(pd.DataFrame({"built": [1999, 2004], "price": 1.0})), schema).notes == ()


SHORT = ["'99", "\u201999", "12/31/99", "31.12.99", "5/1/99 12:30", "31-Dec-99", "1 May 99", "May-99", "May '99"]


def test_a_year_of_two_digits_is_that_of_strptime_and_said():
    schema = make_schema(target="price", years=["built"])
    checked = check_content(FileContent(pd.DataFrame({"built": SHORT, "price": 1.0})), schema)
    assert checked.table["built"].eq(1999).all()
    assert checked.notes == ("Of the dates in 'built' the year is used. Of two digits it lies between 1969 and 2068.",)
    every = [f"'{year:02}" for year in range(100)]
    expected = [datetime.strptime(year, "'%y").year for year in every]
    assert read_years(pd.Series(every)).tolist() == expected


@pytest.mark.parametrize("built", ["1999-5x", "99/05", "soon", "12 1999", "13/32/99", "1.0.10", "1/2-99", "May 12"])
def test_what_is_no_date_is_no_year(built):
    with pytest.raises(DataFileError, match="'built' is text where a number belongs in 1 row"):
        check_table(
            pd.DataFrame({"built": ["1999-05-01", built], "price": 1.0}), make_schema(target="price", years=["built"])
        )


@pytest.mark.parametrize(
    "dates",
    [pd.to_datetime(["1999-05-01"]), pd.to_timedelta([5]), pd.period_range("1999", periods=1)],
    ids=["dates", "durations", "periods"],
)
def test_a_date_is_no_number(dates):
    table = pd.DataFrame({"area": dates, "price": 1.0})
    with pytest.raises(DataFileError, match="'area' is a date where a number belongs in 1 row"):
        check_table(table, make_schema(target="price", numbers=["area"]))
