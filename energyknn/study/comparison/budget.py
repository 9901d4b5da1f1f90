"""What a comparison does within a budget of time: planned beforehand, from a few steps of each model that are timed.

Every model and every part of the comparison has a ladder. Its first rung is the whole, and each further rung is less
work. The budget is shared out among the ladders, and each takes the first rung that its share pays for. Words say what
was taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from energyknn._shared.showing import in_one_line
from energyknn.inspection import group_columns
from energyknn.progress import Track, track_silently
from energyknn.schema import Schema
from energyknn.study.comparison.columns import MOST_SHUFFLED
from energyknn.study.comparison.models import LEARNED, NOTEBOOK, ONE_MAP, TUNED_TREES, WITH_CURVES
from energyknn.study.comparison.trees import FAST_RATE, LIBRARIES, TunedTreesRegressor
from energyknn.study.notebook import SPOTIFY
from energyknn.study.protocol import Prepared

Clock = Callable[[], float]
"""Returns seconds, as `time.perf_counter` does."""

PARTS = {
    "learning_curve": "learning curve",
    "effects": "effects of the protocol",
    "nested": "nested estimate",
    "intervals": "intervals",
    "columns": "columns",
}
"""Parts that follow the models: key, and words for it."""

OVER_BUDGET = "no time for it in the budget"
"""Why a model or a part is left out of a plan."""

TOO_FEW = "too few rows"
"""Why a model or a part is left out of a plan, whatever the budget."""

_FOR_MODELS = 0.6  # share of the budget; the parts get what is left
_WEIGHTS = {LEARNED: 3.0, TUNED_TREES: 2.0, "intervals": 2.0, "columns": 3.0}  # of ladders in the budget; others have 1
_MOST_TIMED = 8_000  # training rows that steps are timed on
_MOST_ASKED = 400  # rows whose prediction is timed
_ENOUGH_TESTED = 5_000  # rows that tell an RMSE to about 2 %
_FOR_PREDICTIONS = 0.1  # share of the budget that predictions of all rows may take
_FEWEST_DRAWN = 1_500  # rows in a round of a learned map
_FEWEST_SAMPLED = 2_000  # training rows of a part
_FEWEST_CALIBRATED = 95  # training rows; a fifth of them calibrates intervals for up to 95 %
_FEW = 4  # steps that are timed
_HARDER = 1.2  # times longer that random settings of trees take than the first one, which is timed
_SHUFFLES = 3  # of a column
_IN_ORDERS = 16 * 2_000  # rows that are mapped to weigh a column: pairs, in several orders of the columns

_OF_STEPS = (1.0, 2 / 3, 1 / 2, 1 / 3, 1 / 5, 1 / 8, 1 / 12, 1 / 20)
_OF_TREES = (  # shares of the settings and of the trees
    *((1.0, 1.0), (1.0, 0.3), (1.0, 0.1), (1.0, 0.05), (0.75, 0.04), (0.5, 0.03), (0.5, 0.02), (0.25, 0.02)),
    *((0.25, 0.01), (0.25, 0.005)),
)
_OF_MAPS = (  # shares of the maps, of the rounds and of the rows in a round
    *((1.0, 1.0, 1.0), (1.0, 2 / 3, 1.0), (1.0, 1 / 2, 1.0), (0.5, 1 / 2, 1.0), (0.5, 1 / 3, 1.0), (0.5, 1 / 3, 1 / 2)),
    *((0.5, 1 / 3, 1 / 4), (0.5, 1 / 4, 1 / 8), (0.5, 1 / 6, 1 / 8), (0.5, 1 / 8, 1 / 16), (0.5, 1 / 12, 1 / 16)),
)
_OF_CURVES = ((1 / 16, 1 / 8, 1 / 4, 1 / 2, 1), (1 / 16, 1 / 4, 1), (1 / 16, 1 / 8, 1 / 4), (1 / 16, 1 / 8))


class Rung(NamedTuple):
    """So much of a model or a part.

    Attributes
    ----------
    seconds : float
        What it takes.
    settings : dict
        Parameters of the model, or options of the part.
    words : str
        What is less than the whole; "" for the whole.
    """

    seconds: float
    settings: dict[str, Any]
    words: str = ""


class Cost(NamedTuple):
    """What a model takes, in seconds.

    Attributes
    ----------
    fixed : float
        To fit the training rows of a fold, beside its steps.
    step : float
        For a step of that fit: a tree, or a round of a map.
    row : float
        To predict a row.
    mapped : float, default=0.0
        To map a row, where the model learns a map.
    """

    fixed: float
    step: float
    row: float
    mapped: float = 0.0


@in_one_line
class Plan(NamedTuple):
    """What a comparison does.

    Attributes
    ----------
    models : dict of str to dict
        Parameters to set, by model that is compared.
    n_folds : int
        Folds that the models are cross-validated on.
    n_tested : int or None
        Test rows, and validation rows of a fold, that the models predict. None for all.
    parts : dict of str to dict
        Options, by part.
    reduced, left_out : dict of str to str
        Words for what is less than the whole, and why others are left out.
    work : dict of str to float
        Seconds that each model and part is expected to take.
    measured : dict of str to Cost
        What the plan rests on, by model.
    """

    models: dict[str, dict[str, Any]]
    n_folds: int
    n_tested: int | None
    parts: dict[str, dict[str, Any]]
    reduced: dict[str, str]
    left_out: dict[str, str]
    work: dict[str, float]
    measured: dict[str, Cost]


def plan_comparison(
    data: Prepared,
    models: Mapping[str, Any],
    budget: float,
    *,
    schema: Schema = SPOTIFY,
    costs: Mapping[str, Cost] | None = None,
    track: Track[Any] = track_silently,
) -> Plan:
    """Plan a comparison that takes about so many seconds.

    Parameters
    ----------
    data : Prepared
        Training rows, folds and test rows.
    models : mapping of str to estimator
        As of `list_models`.
    budget : float
        Seconds, above 0. Infinity plans everything.
    schema : Schema, default=SPOTIFY
        The role of each column of the file.
    costs : mapping of str to Cost or None, default=None
        What each model takes. None times a few steps of each. With the same costs, the plan is the same.
    track : Track, default=track_silently
        Shows progress by models that are timed.

    Returns
    -------
    Plan
        Models and parts whose least is too long are left out, but never those that have no steps. Parts that need more
        rows than there are, are left out too.
    """
    if costs is None:
        models_to_time = track(list(models), "Time a few steps of each model")
        costs = {name: time_steps(data, models[name]) for name in models_to_time}
    n_tested = _choose_tested(data, costs, budget)
    asked = min(len(data.y_test), n_tested), min(len(data.folds[0].test), n_tested)
    share, n_train = _FOR_MODELS * budget, len(data.folds[0].train)
    ladders: dict[str, list[Rung]] = {}
    for n_folds in (len(data.folds), 2, 1):
        fits, rows = n_folds + 1, asked[0] + n_folds * asked[1]
        ladders = {name: _climb(models[name], cost, n_train, fits, rows) for name, cost in costs.items()}
        if sum(ladder[0].seconds for ladder in ladders.values()) <= share:
            break
    chosen = share_out(share, ladders)
    chosen |= {name: ladders[name][0] for name, cost in costs.items() if not cost.step}
    kept = {name: rung for name, rung in chosen.items() if rung}
    of_fit = {name: (rung.seconds - rows * costs[name].row) / fits for name, rung in kept.items()}
    left = max(budget - sum(rung.seconds for rung in kept.values()), 0.0)
    parts = dict(_list_parts(data, costs, of_fit, asked, schema))
    chosen |= share_out(left, parts)
    impossible = [name for name in PARTS if name not in parts and not (name == "columns" and ONE_MAP in models)]
    kept = {name: rung for name, rung in chosen.items() if rung}
    smaller = {PARTS.get(name, name): rung.words for name, rung in kept.items() if rung.words}
    return Plan(
        {name: kept[name].settings for name in models if name in kept},
        n_folds,
        None if n_tested >= len(data.y_test) else n_tested,
        {name: kept[name].settings for name in PARTS if name in kept},
        _describe_sizes(data, n_folds, n_tested) | smaller,
        {
            PARTS.get(name, name): TOO_FEW if name in impossible else OVER_BUDGET
            for name in (*models, *PARTS)
            if name not in kept
        },
        {name: rung.seconds for name, rung in kept.items()},
        dict(costs),
    )


def _climb(model: Any, cost: Cost, n_train: int, fits: int, rows: int) -> list[Rung]:
    """Return the ladder of a model that is fitted so many times and predicts so many rows, in seconds."""
    seconds = fits * cost.fixed + rows * cost.row
    return [rung._replace(seconds=seconds + fits * rung.seconds * cost.step) for rung in list_rungs(model, n_train)]


def share_out(budget: float, ladders: Mapping[str, Sequence[Rung]]) -> dict[str, Rung | None]:
    """Choose the rung of each ladder that its share of a budget pays for.

    Parameters
    ----------
    budget : float
        Seconds.
    ladders : mapping of str to sequence of Rung
        Each from the most work to the least.

    Returns
    -------
    dict of str to Rung or None
        None where not even the last rung fits. What short ladders do not need goes to the others.

    Examples
    --------
    >>> ladders = {"short": [Rung(2, {})], "long": [Rung(90, {}), Rung(7, {}, "less")]}
    >>> [rung.seconds for rung in share_out(10, ladders).values()]
    [2, 7]
    """
    weights = {name: _WEIGHTS.get(name, 1.0) for name in ladders}
    waiting = sorted(ladders, key=lambda name: ladders[name][0].seconds / weights[name])
    chosen: dict[str, Rung | None] = dict.fromkeys(ladders)
    while waiting:
        share = budget * weights[waiting[0]] / sum(weights[name] for name in waiting)
        name = waiting.pop(0)
        chosen[name] = rung = next((rung for rung in ladders[name] if rung.seconds <= share), None)
        budget -= rung.seconds if rung else 0.0
    for name, lower in chosen.items():  # climb on what is left
        spent = lower.seconds if lower else 0.0
        higher = next((rung for rung in ladders[name] if spent < rung.seconds <= spent + budget), None)
        if higher:
            chosen[name], budget = higher, budget - (higher.seconds - spent)
    return chosen


def list_rungs(model: Any, n_rows: int) -> list[Rung]:
    """List how many steps a model may take, from its own parameters down, with steps in place of seconds.

    A step of trees is a tree, and a step of a learned map is a round of as many rows as its parameters give.
    """
    if isinstance(model, RandomForestRegressor):
        return list(_fewer_steps("n_estimators", model.n_estimators, "trees"))
    if isinstance(model, HistGradientBoostingRegressor):
        return list(_fewer_steps("max_iter", model.max_iter, "trees"))
    if isinstance(model, TunedTreesRegressor):
        return list(_fewer_trees(model))
    if "metricmap" in getattr(model, "named_steps", {}):
        return list(_fewer_rounds(model["metricmap"], n_rows))
    return [Rung(0, {})]


def _fewer_steps(name: str, most: int, what: str) -> Iterator[Rung]:
    for n in _shrink(most, _OF_STEPS):
        yield Rung(n, {name: n}, "" if n == most else f"{n} of {most} {what}")


def _shrink(most: int, shares: Sequence[float]) -> list[int]:
    """Return shares of a number of steps, each once."""
    return list(dict.fromkeys(max(1, round(share * most)) for share in shares))


def _fewer_trees(model: TunedTreesRegressor) -> Iterator[Rung]:
    """Yield fewer settings and trees. Few trees learn at a faster rate, so that they have learned when they end."""
    n_trials, most = model.n_trials or 1, model.max_trees
    yield Rung((n_trials + 2) * most * _HARDER, {})
    for of_trials, of_trees in _OF_TREES[1:]:
        trials, trees = max(1, round(of_trials * n_trials)), max(1, round(of_trees * most))
        rate = max(model.learning_rate, min(FAST_RATE, 30 / trees))
        settings = {"n_trials": trials, "max_trees": trees, "learning_rate": rate}
        words = f"{trials} of {n_trials} settings, at most {trees:,} of {most:,} trees"
        yield Rung((trials + 2) * trees * _HARDER, settings, words)


def _fewer_rounds(model: Any, n_rows: int) -> Iterator[Rung]:
    """Yield fewer maps, rounds, and rows in a round."""
    drawn = count_drawn(model, n_rows)
    for of_maps, of_rounds, of_rows in _OF_MAPS:
        maps, rounds = max(1, round(of_maps * model.n_maps)), max(1, round(of_rounds * model.n_rounds))
        rows = max(min(drawn, _FEWEST_DRAWN), round(of_rows * drawn))
        settings = {"metricmap__n_maps": maps, "metricmap__n_rounds": rounds}
        if rows < drawn:
            settings |= {"metricmap__n_rows": rows, "metricmap__n_queries": min(rows, model.n_queries)}
        less = [
            f"{maps} of {model.n_maps} maps" if maps < model.n_maps else "",
            f"{rounds} of {model.n_rounds} rounds" if rounds < model.n_rounds else "",
            f"{rows:,} of {drawn:,} rows in a round" if rows < drawn else "",
        ]
        yield Rung(maps * rounds * rows / drawn, settings, ", ".join(filter(None, less)))


def count_drawn(model: Any, n_rows: int) -> int:
    """Count the rows that a round of a learned map draws."""
    drawn = min(model.n_rows, n_rows, max(int(model.row_share * n_rows), model.n_neighbors + 1))
    return max(1, int(drawn))


def time_steps(data: Prepared, model: Any, *, clock: Clock = time.perf_counter) -> Cost:
    """Time a few steps of a model on rows of the first fold.

    Parameters
    ----------
    data : Prepared
        Its first fold is used, and no test row.
    model : estimator
        As of `list_models`. It is cloned.
    clock : callable, default=time.perf_counter
        Returns seconds.

    Returns
    -------
    Cost
        To two digits, for all training rows of the fold. A first fit, which compiles and imports, is not counted.
    """
    fold = data.folds[0]
    size = min(_MOST_TIMED, len(fold.train))
    for n_rows in (min(200, size), size):
        rows = fold.train[:n_rows]
        fixed, step, fitted = _time_fit(clone(model), data.X_train.iloc[rows], data.y_train[rows], clock)
        asked = data.X_train.iloc[fold.test[:_MOST_ASKED]]
        row = _time(fitted.predict, asked, clock)
    larger = more = len(fold.train) / size
    mapped = 0.0
    if _has_map(model):
        more = count_drawn(model["metricmap"], len(fold.train)) / count_drawn(model["metricmap"], size)
        mapped = _time(fitted[:-1].transform, asked, clock)
    return Cost(*(float(f"{seconds:.2g}") for seconds in (fixed * larger, step * more, row, mapped)))


def _time_fit(model: Any, X: Any, y: Any, clock: Clock) -> tuple[float, float, Any]:
    """Fit few steps of a model, and return the seconds beside the steps, those of a step, and what was fitted."""
    if isinstance(model, TunedTreesRegressor):
        few, options = slice(None, -(-len(X) // 10)), {"patience": _FEW, "random_state": model.random_state}
        rows, setting = np.asarray(X, dtype=np.float64), {**LIBRARIES[model.library].first, "learning_rate": FAST_RATE}
        grow = LIBRARIES[model.library].grow
        start = clock()
        grown = grow(setting, (rows, y), (rows[few], y[few]), n_trees=_FEW, **options)
        return 0.0, (clock() - start) / _FEW, grown._replace(predict=lambda asked: grown.predict(np.asarray(asked)))
    trees = {RandomForestRegressor: "n_estimators", HistGradientBoostingRegressor: "max_iter"}.get(type(model))
    few_steps = {trees: _FEW} if trees else {}
    if _has_map(model):
        few_steps = {"metricmap__n_maps": 1, "metricmap__n_rounds": 1}
    fitted, start = model.set_params(**few_steps), clock()
    fitted.fit(X, y)
    seconds = clock() - start
    if trees:
        return 0.0, seconds / _FEW, fitted
    step = fitted["metricmap"].traces_[0][0].seconds if _has_map(model) else 0.0
    return max(seconds - step, 0.0), step, fitted


def _has_map(model: Any) -> bool:
    return "metricmap" in getattr(model, "named_steps", {})


def _time(act: Callable[[Any], Any], rows: Any, clock: Clock) -> float:
    """Return the seconds for a row."""
    start = clock()
    act(rows)
    return (clock() - start) / len(rows)


def _choose_tested(data: Prepared, costs: Mapping[str, Cost], budget: float) -> int:
    """Choose how many test rows are predicted: all, or enough for an RMSE where all of them take too long."""
    n_test, row = len(data.y_test), sum(cost.row for cost in costs.values())
    if 2 * n_test * row <= _FOR_PREDICTIONS * budget:
        return n_test
    return min(n_test, max(_ENOUGH_TESTED, int(_FOR_PREDICTIONS * budget / row / 2)))


def _describe_sizes(data: Prepared, n_folds: int, n_tested: int) -> dict[str, str]:
    """Say where the models are scored on fewer folds or rows than there are."""
    n_test, words = len(data.y_test), {}
    if n_folds < len(data.folds):
        words["RMSE over folds"] = f"{n_folds} of {len(data.folds)} folds"
    if n_tested < n_test:
        words["test rows"] = f"{n_tested:,} of {n_test:,}, drawn at random"
    return words


def _list_parts(
    data: Prepared, costs: Mapping[str, Cost], fits: Mapping[str, float], asked: tuple[int, int], schema: Schema
) -> Iterator[tuple[str, list[Rung]]]:
    """Yield the ladder of each part whose models are compared. `fits` are seconds of a fit of a fold's rows."""
    n_train, n_test = len(data.y_train), len(data.y_test)
    curves = [name for name in WITH_CURVES if name in fits]
    yield "learning_curve", list(_list_curves(curves, fits, {name: costs[name].row * asked[1] for name in curves}))
    plain, row = fits[NOTEBOOK], costs[NOTEBOOK].row
    in_effects, in_nested = 6 * (plain + n_test * row) + 4e-5 * (n_train + n_test), 10 * n_train * row
    yield "effects", list(_on_fewer_rows(in_effects, n_train + n_test, {}))
    yield "nested", list(_on_fewer_rows(in_nested, n_train, {}))
    intervals: list[Rung] = []
    for name in (LEARNED, ONE_MAP, NOTEBOOK):
        if name in fits:
            seconds = fits[name] + costs[name].row * (3 * asked[0] + 0.4 * n_train)
            intervals += _on_fewer_rows(seconds, n_train, {"model": name}, "" if name == LEARNED else f"of {name}")
    if n_train >= _FEWEST_CALIBRATED:
        yield "intervals", sorted(intervals, key=lambda rung: -rung.seconds)
    if ONE_MAP in fits:
        yield "columns", list(_list_columns(data, costs[ONE_MAP], fits[ONE_MAP], schema))


def _list_curves(curves: Sequence[str], fits: Mapping[str, float], predicted: Mapping[str, float]) -> Iterator[Rung]:
    """Yield curves of fewer points, then without the learned map."""
    for models in (curves, [name for name in curves if name != ONE_MAP]):
        for shares in _OF_CURVES:
            seconds = sum(sum(shares) * fits[name] + len(shares) * predicted[name] for name in models)
            less = [
                f"{len(shares)} of {len(_OF_CURVES[0])} points" if shares != _OF_CURVES[0] else "",
                f"without {ONE_MAP}" if models != curves else "",
            ]
            yield Rung(seconds, {"shares": shares, "models": tuple(models)}, ", ".join(filter(None, less)))


def _on_fewer_rows(seconds: float, n_rows: int, settings: Mapping[str, Any], words: str = "") -> Iterator[Rung]:
    """Yield all rows, then random parts of them."""
    yield Rung(seconds, {**settings, "n_rows": None}, words)
    for n in _shrink(n_rows, (1 / 4, 1 / 16)):
        if n >= _FEWEST_SAMPLED:
            less = f"{n:,} of {n_rows:,} rows"
            yield Rung(seconds * n / n_rows, {**settings, "n_rows": n}, f"{words}, {less}" if words else less)


def _list_columns(data: Prepared, cost: Cost, fit: float, schema: Schema) -> Iterator[Rung]:
    """Yield weights and importance of the columns from fewer folds and shuffled rows. A spread needs two folds."""
    n_columns = len(group_columns(list(data.X_train.columns), schema))
    n_folds, n_held = len(data.folds), len(data.folds[0].test)
    for folds in dict.fromkeys((n_folds, min(2, n_folds))):
        for most in (MOST_SHUFFLED, MOST_SHUFFLED // 5):
            shuffled = min(most, n_held)
            mapping = _IN_ORDERS * n_columns * cost.mapped
            seconds = folds * (fit + mapping + shuffled * (_SHUFFLES * n_columns + 1) * cost.row)
            less = [
                f"{folds} of {n_folds} folds" if folds < n_folds else "",
                f"{shuffled:,} shuffled rows of a fold" if shuffled < min(MOST_SHUFFLED, n_held) else "",
            ]
            yield Rung(seconds, {"n_folds": folds, "most_shuffled": most}, ", ".join(filter(None, less)))
