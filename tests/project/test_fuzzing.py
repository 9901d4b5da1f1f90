"""Hostile and broken input: only documented errors, no crash, no hang, no file elsewhere, no memory without bound.

A share runs with the tests; `nox -s fuzz` runs all of it and prints how many cases it tried.
"""

from __future__ import annotations

import bz2
import copy
import faulthandler
import gzip
import io
import json
import lzma
import subprocess
import sys
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from made_tracks import make_tracks
from scipy import sparse
from sklearn.pipeline import make_pipeline

from energyknn.errors import DataFileError, ModelFileError
from energyknn.estimators import KNNRegressor, KNNSearchCV, MetricMap
from energyknn.estimators.transformers import RankFeatures
from energyknn.loading import load_table
from energyknn.modelfile import files, fit_model, load_model, save_model
from energyknn.neighbors import search_neighbors
from energyknn.splitting import fold_rows
from energyknn.study.notebook import SPOTIFY
from energyknn.tuning import Candidate, score_candidates

pytest.importorskip("pyarrow")
zstandard = pytest.importorskip("zstandard")

HANGS = 600  # seconds for one case, on a machine however busy
CASES: Counter[str] = Counter()


def sizes(few: int, many: int) -> pytest.MarkDecorator:
    """Run a test with few cases among the tests, and with many in a session of its own."""
    return pytest.mark.parametrize("n_cases", [few, pytest.param(many, marks=pytest.mark.fuzz)])


def try_cases(name, strategy, attempt, n_cases):
    """Try cases; one that hangs ends the run with a traceback of where it does."""

    @settings(
        max_examples=n_cases,
        deadline=None,
        database=None,
        derandomize=n_cases < 1000,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(case):
        faulthandler.dump_traceback_later(HANGS, exit=True)
        CASES[name] += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attempt(case)

    try:
        run()
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="module", autouse=True)
def _say_how_many_cases_were_tried(say):
    yield
    counts = ", ".join(f"{name} {count:,}" for name, count in CASES.items())
    say(f"fuzzed: {sum(CASES.values()):,} cases ({counts})")


# ------------------------------------------------------------------------------------------------- data files

JUNK = st.one_of(
    st.binary(max_size=6),
    st.sampled_from(
        [
            *(b"\0", b'"', b'""', b"\n", b"\r", b",", b"\xff\xfe", b"\xef\xbb\xbf", b"nan", b"-inf", b"1e999"),
            *(b"," * 300, b"9" * 400, b'"' + b"a" * 5000, b"\n" * 200, b"energy,", b"=1+1", b"\xf0\x9f\x8e\xb5"),
        ]
    ),
)
EDITS = st.lists(
    st.tuples(st.sampled_from(["put", "set", "cut", "end", "repeat"]), st.floats(0, 1), JUNK), min_size=1, max_size=4
)


def edit(content: bytes, edits) -> bytes:
    for kind, share, junk in edits:
        place = int(share * len(content))
        if kind == "put":
            content = content[:place] + junk + content[place:]
        elif kind == "set":
            content = content[:place] + junk + content[place + len(junk) :]
        elif kind == "cut":
            content = content[:place] + content[place + 1 + len(junk) :]
        elif kind == "end":
            content = content[:place]
        else:
            content = content[:place] + content[max(0, place - 40) : place] * 3 + content[place:]
    return content


def as_zip(content: bytes, name: str = "tracks.csv") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return file.getvalue()


def as_parquet(table: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    table.to_parquet(file, index=False)
    return file.getvalue()


PACKERS = {
    ".csv": bytes,
    ".csv.gz": lambda content: gzip.compress(content, 1),
    ".csv.zip": as_zip,
    ".csv.zst": lambda content: zstandard.ZstdCompressor(1).compress(content),
    ".csv.bz2": bz2.compress,
    ".csv.xz": lzma.compress,
}
TABLE = make_tracks(6)
CSV = TABLE.to_csv(index=False).encode()


@pytest.mark.medium
@sizes(200, 20_000)
def test_a_csv_file_is_a_table_or_is_refused(tmp_path, n_cases):
    packed = {suffix: pack(CSV) for suffix, pack in PACKERS.items()}

    def attempt(case):
        suffix, before, edits = case
        content = PACKERS[suffix](edit(CSV, edits)) if before else edit(packed[suffix], edits)
        path = tmp_path / f"t{suffix}"
        path.write_bytes(content)
        try:
            assert len(load_table(path, SPOTIFY, latest_year=2026)) > 0
        except DataFileError as error:
            assert "\n" not in str(error)  # noqa: PT017 - it need not be raised

    try_cases("CSV files", st.tuples(st.sampled_from(list(PACKERS)), st.booleans(), EDITS), attempt, n_cases)
    assert {path.name for path in tmp_path.iterdir()} <= {f"t{suffix}" for suffix in PACKERS}


ODD_COLUMNS = st.sampled_from(
    [
        lambda column: column.astype(str),
        lambda column: column.astype("category"),
        lambda column: pd.to_datetime(column.astype("int64", errors="ignore"), errors="coerce"),
        lambda column: [[value] for value in column],
        lambda column: [{"a": value} for value in column],
        lambda column: [str(value).encode() for value in column],
        lambda column: [None] * len(column),
        lambda column: column.astype("float32", errors="ignore"),
        lambda column: [True, False] * (len(column) // 2),
        lambda column: [2**63 + 5] * len(column),
        lambda column: [np.nan, np.inf] * (len(column) // 2),
    ]
)


@pytest.mark.medium
@sizes(60, 8_000)
def test_a_parquet_file_is_a_table_or_is_refused(tmp_path, n_cases):
    path, whole = tmp_path / "t.parquet", as_parquet(TABLE)

    def attempt(case):
        column, odd, edits, mutated = case
        try:
            content = whole if mutated else as_parquet(TABLE.assign(**{column: odd(TABLE[column])}))
        except (TypeError, ValueError, OverflowError):
            return  # pandas cannot make this file
        path.write_bytes(edit(content, edits) if mutated else content)
        try:
            assert len(load_table(path, SPOTIFY)) > 0
        except DataFileError as error:
            assert "\n" not in str(error)  # noqa: PT017

    cases = st.tuples(st.sampled_from(list(TABLE.columns)), ODD_COLUMNS, EDITS, st.integers(0, 3).map(bool))
    try_cases("Parquet files", cases, attempt, n_cases)


WRITERS = {
    ".feather": lambda path: TABLE.to_feather(path),
    ".xlsx": lambda path: TABLE.to_excel(path, index=False),
    ".json": lambda path: TABLE.to_json(path, orient="records"),
    ".jsonl": lambda path: TABLE.to_json(path, orient="records", lines=True),
    ".utf16.csv": lambda path: TABLE.to_csv(path, index=False, sep=";", decimal=",", encoding="utf-16"),
}


@pytest.mark.medium
@sizes(100, 10_000)
def test_a_file_of_another_format_is_a_table_or_is_refused(tmp_path, n_cases):
    pytest.importorskip("openpyxl")
    wholes = {}
    for suffix, write in WRITERS.items():
        write(tmp_path / f"whole{suffix}")
        wholes[suffix] = (tmp_path / f"whole{suffix}").read_bytes()

    def attempt(case):
        suffix, edits = case
        path = tmp_path / f"t{suffix}"
        path.write_bytes(edit(wholes[suffix], edits))
        try:
            assert len(load_table(path, SPOTIFY)) > 0
        except DataFileError as error:
            assert "\n" not in str(error)  # noqa: PT017

    try_cases("other formats", st.tuples(st.sampled_from(list(WRITERS)), EDITS), attempt, n_cases)


@pytest.mark.parametrize("name", ["../outside.csv", "/outside.csv", "a/../../outside.csv", "C:\\outside.csv"])
def test_nothing_of_an_archive_is_unpacked(tmp_path, monkeypatch, name):
    folder = tmp_path / "in"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "t.csv.zip").write_bytes(as_zip(CSV, name))
    assert len(load_table(folder / "t.csv.zip", SPOTIFY)) == len(TABLE)
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "t.csv.zip"]
    assert not Path("/outside.csv").exists()


# ----------------------------------------------------------------------------------------------------- models

ROWS = make_tracks(40)
NEW = make_tracks(5, seed=1)
ODD_JSON = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False)),
        st.sampled_from(["", "energy", "number", "target", "KNNRegressor", "os.system", "\ud800", "\0"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["array", "tuple", "estimator", "index", "record", "x"]), inner, max_size=2),
    ),
    max_leaves=5,
)
ODD_ARRAYS = st.builds(
    lambda dtype, shape, value: np.full(shape, value).astype(dtype),
    st.sampled_from(["f8", "f4", "i8", "i4", "u1", "?"]),
    st.lists(st.integers(0, 4), max_size=3).map(tuple),
    st.sampled_from([0, 1, -1, 3, 200]),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Write some models."""
    folder = tmp_path_factory.mktemp("models")
    estimators = {
        "plain": KNNRegressor(3),
        "mapped": make_pipeline(RankFeatures(1), MetricMap(3, n_rounds=1, n_neighbors=5), KNNRegressor(3)),
    }
    for name, estimator in estimators.items():
        save_model(fit_model(ROWS, SPOTIFY, estimator), folder / name)
    return [folder / name for name in estimators]


def read_and_predict(path, mmap):
    """Read a model and predict with it, or be refused."""
    try:
        model = load_model(path, mmap=mmap)
    except ModelFileError as error:
        assert "\n" not in str(error)  # noqa: PT017
        return
    try:
        assert model.predict(NEW).shape == (len(NEW),)
    except DataFileError as error:
        assert "\n" not in str(error)  # noqa: PT017


@pytest.mark.medium
@sizes(300, 30_000)
def test_changed_bytes_are_a_whole_model_or_are_refused(tmp_path, models, n_cases):
    contents = [path.read_bytes() for path in models]

    def attempt(case):
        number, edits, in_header, mmap = case
        content = contents[number]
        end = 8 + int.from_bytes(content[:8], "little")
        changed = edit(content[:end], edits) + content[end:] if in_header else edit(content, edits)
        path = tmp_path / "m"
        path.unlink(missing_ok=True)  # what is mapped stays as it was
        path.write_bytes(changed)
        if changed != content:
            with pytest.raises(ModelFileError):
                load_model(path, mmap=mmap)

    cases = st.tuples(st.integers(0, len(contents) - 1), EDITS, st.booleans(), st.booleans())
    try_cases("bytes of models", cases, attempt, n_cases)


def list_places(node, place=()):
    """List where something stands in JSON."""
    yield place
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from list_places(value, (*place, key))


def put(node, place, value):
    for key in place[:-1]:
        node = node[key]
    if place:
        node[place[-1]] = value


@pytest.mark.medium
@sizes(120, 20_000)
def test_models_made_on_purpose_predict_or_are_refused(tmp_path, models, n_cases):
    contents = [files.read_content(path) for path in models]
    places = [list(list_places(content.description)) for content in contents]

    def attempt(case):
        number, odd_nodes, odd_arrays, mmap = case
        content = contents[number]
        description, arrays = copy.deepcopy(content.description), dict(content.arrays)
        for share, value in odd_nodes:
            try:
                put(description, places[number][int(share * (len(places[number]) - 1))], value)
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change took the place away
        for share, value in odd_arrays:
            arrays[list(arrays)[int(share * (len(arrays) - 1))]] = value
        path = tmp_path / "m"
        path.unlink(missing_ok=True)
        files.write_content(path, description, arrays)
        read_and_predict(path, mmap)

    cases = st.tuples(
        st.integers(0, len(contents) - 1),
        st.lists(st.tuples(st.floats(0, 1), ODD_JSON), max_size=2),
        st.lists(st.tuples(st.floats(0, 1), ODD_ARRAYS), max_size=1),
        st.booleans(),
    )
    try_cases("models made on purpose", cases, attempt, n_cases)


# -------------------------------------------------------------------------------------------------- arguments

ODD_NUMBERS = st.one_of(
    st.integers(-3, 12),
    st.sampled_from(
        [
            *(None, True, False, 1.0, 1.5, "1", "auto", float("nan"), 10**30, -(10**30), np.int8(2), np.float64(2)),
            *(np.array(2), np.array([2]), [2], (), {}, b"2", 2j, object, np.datetime64("2020-01-01")),
        ]
    ),
)
VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=64),
    st.integers(-5, 5),
    st.sampled_from([None, "a", "1", True, 1j, 2**70, 5e-324, 1.7e308, -1.7e308, b"1", [1]]),
)
MATRICES = st.integers(0, 3).flatmap(
    lambda width: st.lists(st.lists(VALUES, min_size=width, max_size=width), max_size=6)
)
NUMERIC = st.builds(
    lambda rows, width, dtype, seed: np.random.default_rng(seed).integers(-3, 4, (rows, width)).astype(dtype),
    *(st.integers(0, 9), st.integers(0, 4)),
    st.sampled_from(["f8", "f4", "f2", "i8", "u1", "?", "c16", "O", "U3", "M8[D]", ">f8"]),
    st.integers(0, 99),
)
ODD_ROWS = st.one_of(
    NUMERIC,
    NUMERIC.filter(lambda rows: rows.dtype.kind in "fiu").map(pd.DataFrame),
    NUMERIC.map(lambda rows: rows[::-1, ::-1].T),
    MATRICES,
    st.sampled_from([None, 3, "rows", [], [[]], [1, 2], [[1], [1, 2]], {}, sparse.eye_array(3), np.zeros((2, 2, 2))]),
)
ENGINES = st.sampled_from(["auto", "blocked", "brute", "sklearn", "fast", None, 3, b"auto", ["auto"]])


@pytest.mark.medium
@sizes(300, 20_000)
def test_a_search_finds_or_refuses(n_cases):
    def attempt(case):
        train, query, k, p, engine, n_jobs = case
        try:
            found = search_neighbors(train, query, k, p=p, engine=engine, n_jobs=n_jobs)
        except (TypeError, ValueError) as error:
            assert str(error)  # noqa: PT017
            return
        n_query = len(train) if query is None else len(query)
        assert found.indices.shape == found.distances.shape == (n_query, int(k))
        assert found.indices.min() >= 0
        assert found.indices.max() < len(train)
        assert np.isfinite(found.distances).all()

    for p in (1, 2):  # what compiling takes is no case's time
        search_neighbors(X, None, 1, p=p, engine="blocked")
    odd_jobs = st.sampled_from([None, 1, 2, -1, 0, -5, 10**9, True, 1.5, "2", "many"])
    cases = st.tuples(
        ODD_ROWS, ODD_ROWS, ODD_NUMBERS, st.one_of(st.sampled_from([1, 2]), ODD_NUMBERS), ENGINES, odd_jobs
    )
    try_cases("searches", cases, attempt, n_cases)


GRIDS = st.dictionaries(
    st.sampled_from(["n_neighbors", "weights", "p", "transformer", "engine", "x", 3]),
    st.one_of(
        st.lists(st.one_of(st.integers(1, 5), st.sampled_from(["uniform", "distance", "unifrom"])), max_size=3),
        st.lists(ODD_NUMBERS, max_size=2),
        st.sampled_from([None, 3, "uniform", range(1, 4), np.arange(1, 3), (), [RankFeatures(1)], [RankFeatures]]),
    ),
    max_size=3,
)
X = np.random.default_rng(0).normal(size=(14, 2))
Y = X[:, 0]


@sizes(40, 4_000)
def test_a_search_over_candidates_scores_or_refuses(n_cases):
    def attempt(case):
        grid, cv, scoring, refit, rows, n_jobs = case
        search = KNNSearchCV(grid, cv=cv, scoring=scoring, refit=refit, n_jobs=n_jobs)
        try:
            search.fit(X if rows is None else rows, Y if rows is None else np.zeros(len(rows)))
        except (TypeError, ValueError) as error:
            assert str(error)  # noqa: PT017
            return
        assert len(search.cv_results_["params"]) > 0

    cases = st.tuples(
        st.one_of(GRIDS, st.lists(GRIDS, max_size=2), st.sampled_from([None, 3, "grid", [], {}])),
        st.one_of(st.sampled_from([None, 2, 3]), ODD_NUMBERS, st.just([([0, 1, 2, 3, 4, 5], [99])])),
        st.sampled_from([None, None, "r2", "r3", ["r2", "r2"], [], {"a": "r2"}, 3, lambda *_: 1.0]),
        st.sampled_from([True, False, "r2", "a", 3, None]),
        st.one_of(st.none(), NUMERIC),
        st.sampled_from([1, None, 2]),
    )
    try_cases("grids", cases, attempt, n_cases)


@sizes(100, 8_000)
def test_candidates_are_scored_or_refused(n_cases):
    folds = fold_rows(len(X), n_splits=2)

    def attempt(case):
        candidates, error_score, with_train = case
        try:
            scores = score_candidates(
                *(X, Y), candidates=candidates, folds=folds, error_score=error_score, with_train=with_train, n_jobs=1
            )
        except (TypeError, ValueError) as error:
            assert str(error)  # noqa: PT017
            return
        assert scores.test["score"].shape[1] == 2

    weights = st.sampled_from(["uniform", "distance", "triangular", "optimal", "unifrom", None, 3, lambda d: d, ["a"]])
    candidate = st.builds(
        lambda k, kernel, p: Candidate(k, kernel, p),
        ODD_NUMBERS,
        weights,
        st.one_of(st.sampled_from([1, 2]), ODD_NUMBERS),
    )
    cases = st.tuples(
        st.one_of(st.lists(candidate, max_size=3), st.sampled_from([None, 3, [3], ["uniform"]])),
        st.sampled_from([np.nan, "raise", 0.0, None, "ignore"]),
        st.booleans(),
    )
    try_cases("candidates", cases, attempt, n_cases)


# -------------------------------------------------------------------------------------------- bounded memory

BOMBS = """
import gzip, io, json, resource, sys, zipfile
from pathlib import Path
import numpy, openpyxl, pandas, pyarrow, pyarrow.parquet, pyarrow.compute, sklearn, zstandard
from energyknn.errors import DataFileError, ModelFileError
from energyknn.loading import load_table
from energyknn.modelfile import load_model
from energyknn.study.notebook import SPOTIFY

folder, allowed = Path(sys.argv[1]), int(sys.argv[2])
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + allowed, taken + allowed))
for path in sorted(folder.iterdir()):
    try:
        load_model(path) if path.name.startswith("model") else load_table(path, SPOTIFY)
        said = "let in"
    except (DataFileError, ModelFileError) as error:
        said = str(error)
    print(json.dumps([path.name, said]))
"""


def write_workbook(path, sheet):
    """Write a workbook of one sheet, whose XML is given."""
    pd.DataFrame({"a": [1]}).to_excel(path)
    whole = {}
    with zipfile.ZipFile(path) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    head = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    whole["xl/worksheets/sheet1.xml"] = sheet.replace(b"<worksheet>", head, 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in whole.items():
            archive.writestr(name, content)


def make_bombs(folder):
    """Make small files that hold, or claim to hold, very much."""
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as parquet

    zeros, times = (b"0" * 63 + b"\n") * (1 << 18), 64  # a gigabyte
    (folder / "gzip.csv.gz").write_bytes(gzip.compress(zeros) * times)
    (folder / "zstd.csv.zst").write_bytes(zstandard.ZstdCompressor().compress(zeros) * times)
    with zipfile.ZipFile(folder / "zip.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("t", "w") as file:
        for _ in range(times // 4):
            file.write(zeros)
    (folder / "bzip2.csv.bz2").write_bytes(bz2.compress(zeros) * times)
    (folder / "xz.csv.xz").write_bytes(lzma.compress(zeros) * times)
    (folder / "twice.csv.gz").write_bytes(gzip.compress(gzip.compress(zeros) * times))
    cells = b"<row><c r='XFD%d'><v>1</v></c></row>"
    sheet = b"<worksheet><sheetData>" + b"".join(cells % row for row in range(1, 100_000)) + b"</sheetData></worksheet>"
    write_workbook(folder / "wide.xlsx", sheet)
    write_workbook(folder / "long.xlsx", b"<worksheet><sheetData>" + zeros * 16)
    (folder / "records.json.gz").write_bytes(
        gzip.compress(b"[" + b'{"energy": 1},' * (1 << 20)) + gzip.compress(zeros) * times
    )
    lines = gzip.compress(CSV + b"\n".join([CSV.splitlines()[1]] * 30_000) + b"\n")
    (folder / "rows.csv.gz").write_bytes(lines + gzip.compress(b"\n".join([CSV.splitlines()[1]] * 30_000) + b"\n") * 99)
    (folder / "commas.csv").write_bytes(b"," * 900_000 + b"\n")
    (folder / "columns.csv").write_bytes(b",".join(b"%d" % number for number in range(1_000_000)) + b"\n")
    with (folder / "header.csv").open("wb") as file:
        file.truncate(1 << 30)
    (folder / "quote.csv").write_bytes(b'"' + b"a\n" * (1 << 20))
    names = pa.DictionaryArray.from_arrays(np.zeros(100_000, dtype=np.int32), ["x" * 50_000])
    plain = {name: np.zeros(100_000) for name in TABLE.columns if name != "name"}
    parquet.write_table(pa.table({**plain, "name": names}), folder / "text.parquet")
    many = pa.table({name: np.zeros(50_000_000, dtype=np.int8) for name in ("tempo", "valence")})
    parquet.write_table(many, folder / "values.parquet", row_group_size=50_000_000)
    pa.feather.write_feather(pa.table({**plain, "name": names}), folder / "text.feather", chunksize=100_000)
    pa.feather.write_feather(many, folder / "values.feather", compression="zstd")
    start = b'{"__metadata__": {"kind": "energyknn model", "a": '
    for name, text in (("nested", start + b"[" * 4_000_000), ("braces", start + b'{"a":' * 1_000_000)):
        (folder / f"model-{name}").write_bytes(len(text).to_bytes(8, "little") + text)
    with (folder / "model-long").open("wb") as file:
        file.write((1 << 33).to_bytes(8, "little") + start)
        file.truncate(1 << 34)
    metadata = {"kind": "energyknn model", "checksum": "0" * 64, "format_version": "1", "written_by": "1"}
    entry = {"dtype": "F64", "shape": [1 << 31], "data_offsets": [0, 1 << 34]}
    header = json.dumps({"__metadata__": {**metadata, "description": "{}"}, "a": entry}).encode()
    with (folder / "model-wide").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + (1 << 34))


@pytest.mark.fuzz
def test_files_made_to_fill_the_memory_are_refused_within_a_bound(tmp_path):
    make_bombs(tmp_path)
    allowed = 700 << 20
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, str(tmp_path), str(allowed)],
        capture_output=True, text=True, check=False, timeout=HANGS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = dict(map(json.loads, done.stdout.splitlines()))
    assert said.keys() == {path.name for path in tmp_path.iterdir()}
    assert "let in" not in said.values(), said
    assert all(
        "once it is decompressed" in said[name]
        for name in ("gzip.csv.gz", "zstd.csv.zst", "zip.csv.zip", "rows.csv.gz", "bzip2.csv.bz2", "xz.csv.xz")
    )
    assert all(
        "once it is decompressed" in said[name]
        for name in ("text.parquet", "values.parquet", "text.feather", "values.feather", "wide.xlsx", "long.xlsx")
    )
    assert all("once it is decompressed" in said[name] for name in ("twice.csv.gz", "records.json.gz"))
    assert "900,001 columns" in said["commas.csv"]
    assert all("no end of a line in its first" in said[name] for name in ("columns.csv", "header.csv"))
