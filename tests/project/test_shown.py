"""What Python shows: one line for every public object, tables in notebooks, and only public names on completion."""

from __future__ import annotations

import inspect

import numpy as np
import pandas as pd
import pytest
from children import run_python
from made_tracks import make_tracks
from public_names import FACE, PUBLIC
from sklearn.base import BaseEstimator

import energyknn
from energyknn.auditing import Audit
from energyknn.cluster import Range
from energyknn.estimators import IntervalRegressor, KNNRegressor, LocalLinearRegressor, MetricMap
from energyknn.estimators.intervals import Intervals, LeftOut
from energyknn.filling import fit_fills
from energyknn.fitting import Scores
from energyknn.inspection import explain_predictions
from energyknn.learning.learn import LearnedMap
from energyknn.loading import FileContent
from energyknn.modelfile import fit_model
from energyknn.neighbors import build_index, search_neighbors
from energyknn.neighbors_model import Quality
from energyknn.roles import Guess, guess_schema
from energyknn.scaling import fit_scale
from energyknn.schema import Column, make_schema
from energyknn.splitting import split_rows
from energyknn.study.dataset import Dataset
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Protocol, prepare
from energyknn.study.run import evaluate_models
from energyknn.tuning import Candidate, score_candidates

RANDOM = np.random.default_rng(0)
X, Y = RANDOM.normal(size=(600, 40)), RANDOM.normal(size=600)
WIDE = pd.DataFrame(X, columns=[f"column_{number}" for number in range(40)])
SCHEMA = make_schema(target="y", numbers=list(WIDE))


def score():
    folds = [split_rows(len(X), random_state=seed) for seed in range(20)]
    return score_candidates(X, Y, candidates=[Candidate(k) for k in range(1, 100)], folds=folds)


def read():
    return prepare(make_tracks(120), Protocol(), schema=SPOTIFY)


MAKERS = {
    "index": lambda: build_index(X, engine="brute"),
    "index of a tree": lambda: build_index(X[:, :2], engine="sklearn"),
    "neighbors": lambda: search_neighbors(X, X, n_neighbors=50),
    "candidate": lambda: Candidate(5, np.tanh, transformer=IntervalRegressor(KNNRegressor()), label="x" * 900),
    "candidate scores": score,
    "score table": lambda: score().test["score"],
    "split": lambda: split_rows(10_000),
    "scale": lambda: fit_scale(WIDE, list(WIDE)),
    "column": lambda: Column("c", "category", levels=tuple(f"level {number}" for number in range(500))),
    "schema": lambda: SCHEMA,
    "the notebook's schema": lambda: SPOTIFY,
    "guessed schema": lambda: guess_schema(WIDE.assign(y=Y), "y"),
    "fills": lambda: fit_fills(WIDE, SCHEMA),
    "scores": lambda: Scores(0.123456789, 1e-9),
    "file": lambda: FileContent(WIDE, ("A note. " * 50,)),
    "explanation": lambda: explain_predictions(KNNRegressor(9).fit(X, Y), X[:50], X),
    "intervals": lambda: Intervals(Y, Y + 1),
    "left out": lambda: LeftOut(np.arange(600), Y, Y, Y),
    "model": lambda: fit_model(WIDE.assign(y=Y), SCHEMA),
    "training": lambda: fit_model(WIDE.assign(y=Y), SCHEMA, source="x" * 300, source_sha256="0" * 64).training,
    "probe": lambda: fit_model(WIDE.assign(y=Y), SCHEMA).probe,
    "learned map": lambda: LearnedMap(X, None, (), 3),
    "prepared": read,
    "figures": lambda: evaluate_models(read(), [3])[0],
    "data set": lambda: Dataset("x" * 400, "0" * 64, SPOTIFY, WIDE),
    "guess": lambda: Guess("text", "it names rows " * 90),
    "quality": lambda: Quality(400, 0.5, 1e9, 0.9, 3e9, None, 4.0),
    "audit": lambda: Audit(WIDE, np.arange(30), energyknn.NeighborsModel("y", effort="quick")),
    "protocol": Protocol,
    "range": lambda: Range(1.0, 5.0),
    "regressor": lambda: KNNRegressor(3, weights="distance").fit(X, Y),
    "planes": lambda: LocalLinearRegressor(9).fit(X, Y),
    "map": lambda: MetricMap(n_maps=2, n_rounds=3),
    "front door": lambda: energyknn.NeighborsModel("y", effort="quick"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_an_object_is_shown_in_one_line(name):
    line = repr(MAKERS[name]())
    assert "\n" not in line
    assert len(line) <= 200
    assert line[:1].isupper()


def test_every_public_class_is_among_them():
    """But for errors, and for estimators, which scikit-learn shows."""
    classes = {found for found in (FACE | PUBLIC).values() if inspect.isclass(found)}
    known = {type(make()) for make in MAKERS.values()}
    assert [found for found in classes - known if not issubclass(found, BaseException | BaseEstimator)] == []


@pytest.mark.parametrize("name", ["candidate scores", "score table", "explanation", "guessed schema"])
def test_notebooks_show_a_table(name):
    html = MAKERS[name]()._repr_html_()
    assert html.count("<tr") >= 5
    assert len(html) < 60_000


@pytest.mark.parametrize("name", FACE | PUBLIC)
def test_a_signature_spells_out_no_default_that_fills_the_screen(name):
    found = (FACE | PUBLIC)[name]
    if callable(found) and not (inspect.isclass(found) and issubclass(found, BaseException)):
        defaults = [parameter.default for parameter in inspect.signature(found).parameters.values()]
        assert max((len(repr(default)) for default in defaults), default=0) <= 100


def test_completion_lists_the_product_alone():
    """Names of other packages in the module would stand between the public ones."""
    code = (
        "import energyknn, types; "
        "print(*[name for name, found in vars(energyknn).items() if not name.startswith('_')]); "
        "print(*dir(energyknn))"
    )
    held, listed = run_python(code, check=True).stdout.splitlines()
    assert held == ""
    assert listed.split() == sorted(energyknn.__all__)


def test_the_best_of_scores_is_at_hand():
    scores = score()
    table = scores.test["score"]
    assert scores.best == table.best
    assert scores.best_candidate == scores.candidates[table.best] == table.best_candidate
    frame = scores.to_frame()
    assert frame.columns.tolist() == [*Candidate._fields, "mean_test_score", "std_test_score"]
    assert frame["mean_test_score"].idxmax() == scores.best
    np.testing.assert_array_equal(frame["std_test_score"], table.std)


def test_training_scores_have_columns_of_their_own():
    folds = [split_rows(60, random_state=0)]
    scores = score_candidates(X[:60], Y[:60], candidates=[Candidate(2)], folds=folds, scoring=["r2"], with_train=True)
    names = [f"{name}_{side}_r2" for side in ("test", "train", "train_without_self") for name in ("mean", "std")]
    assert scores.to_frame().columns.tolist()[5:] == names


def test_one_name_gives_one_interval_or_several():
    model = IntervalRegressor(KNNRegressor(5), n_neighbors=20).fit(X, Y)
    several = model.predict_interval(X[:9], coverage=[0.5, 0.9])
    for found, coverage in zip(several, [0.5, 0.9], strict=True):
        np.testing.assert_array_equal(found, model.predict_interval(X[:9], coverage=coverage))
    older = model.predict_intervals(X[:9], [0.5])
    np.testing.assert_array_equal(older[0], several[0])
