"""The tools that score the candidates of a study: one search, scikit-learn's grid, tune-sklearn, or Ray Tune."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.neighbors import KNeighborsRegressor

from energyknn._shared.showing import in_one_line
from energyknn.errors import ParameterError
from energyknn.progress import Track, track_silently
from energyknn.study.notebook import RANDOM_STATE
from energyknn.study.protocol import Prepared
from energyknn.tuning import Candidate, ScoreTable, score_candidates
from energyknn.tuning.grid import scores_from_cv_results, search_grid
from energyknn.tuning.ray_tune import search_ray_tune

ToolName = Literal["one-search", "grid", "tune-sklearn", "ray"]
TOOLS: Mapping[ToolName, tuple[str, str]] = {
    "one-search": ("one search per fold", "one search per fold"),
    "grid": ("GridSearchCV", "GridSearchCV"),
    "tune-sklearn": ("TuneSearchCV", "GridSearchCV"),
    "ray": ("Ray Tune", "Ray Tune"),
}
"""What scores the candidates of the coarse and of the micro search, by the name of the tool."""


@in_one_line
class Scored(NamedTuple):
    """Scores of candidates, and the fitted search of scikit-learn that they come from, where there is one."""

    scores: ScoreTable
    search: Any = None


Scorer = Callable[[Prepared, Sequence[int]], Scored]
"""Scores numbers of neighbours on the folds of prepared data."""


class Tool(NamedTuple):
    """What scores the candidates of a study.

    Attributes
    ----------
    coarse, micro : Scorer
        For the first and the second search.
    every_k : bool, default=False
        Whether one more candidate costs nothing. Then every k up to the largest is scored once, with `coarse`.
    """

    coarse: Scorer
    micro: Scorer
    every_k: bool = False


def choose_tool(
    name: ToolName,
    *,
    callbacks: Sequence[Any] = (),
    track: Track[Any] = track_silently,
    random_state: int = RANDOM_STATE,
    use_gpu: bool = False,
) -> Tool:
    """Return the tool of a name.

    Parameters
    ----------
    name : {"one-search", "grid", "tune-sklearn", "ray"}
        "one-search": one neighbour search for each fold scores all candidates. "grid": GridSearchCV for both searches.
        "tune-sklearn": TuneSearchCV for the first search, as in the notebook, which draws candidates with replacement;
        then GridSearchCV. "ray": Ray Tune for both.
    callbacks : sequence of scikit-learn callbacks
        GridSearchCV calls them.
    track : Track, default=track_silently
        Shows the progress of "one-search".
    random_state : int, default=42
        Seed of the candidates that TuneSearchCV draws.
    use_gpu : bool, default=False
        Whether each trial of "ray" and "tune-sklearn" reserves a GPU, as in the notebook.

    Returns
    -------
    Tool
        What scores the candidates.

    Raises
    ------
    ImportError
        If the tool's extra is not installed.
    ValueError
        If the name is unknown, or `use_gpu` is set for a tool that runs on the CPU only.
    """
    if name not in TOOLS:
        message = f"Search tool {name!r} is unknown. Known are {', '.join(TOOLS)}."
        raise ParameterError(message)
    if use_gpu and name in {"one-search", "grid"}:
        message = f"use_gpu is for 'tune-sklearn' and 'ray'; {name!r} runs on the CPU only."
        raise ParameterError(message)

    def search_once(data: Prepared, n_neighbors: Sequence[int]) -> Scored:
        candidates = [Candidate(k) for k in n_neighbors]
        scored = score_candidates(data.X_train, data.y_train, candidates=candidates, folds=data.folds, track=track)
        return Scored(scored.test["score"])

    def with_grid(data: Prepared, n_neighbors: Sequence[int]) -> Scored:
        search = search_grid(data.X_train, data.y_train, n_neighbors=n_neighbors, folds=data.folds, callbacks=callbacks)
        return Scored(scores_from_cv_results(search.cv_results_), search)

    def with_ray(data: Prepared, n_neighbors: Sequence[int]) -> Scored:
        options: dict[str, Any] = {"n_neighbors": n_neighbors, "folds": data.folds, "use_gpu": use_gpu}
        return Scored(search_ray_tune(data.X_train, data.y_train, **options))

    if name == "tune-sklearn":
        return Tool(_draw_with_tune_sklearn(random_state, use_gpu=use_gpu), with_grid)
    score = {"one-search": search_once, "grid": with_grid, "ray": with_ray}[name]
    return Tool(score, score, every_k=name == "one-search")


def _draw_with_tune_sklearn(random_state: int, *, use_gpu: bool) -> Scorer:
    """Return the notebook's own random search."""
    from energyknn.tuning.tune_sklearn import TuneSearchCV

    def search(data: Prepared, n_neighbors: Sequence[int]) -> Scored:
        tune = TuneSearchCV(
            KNeighborsRegressor(),
            {"n_neighbors": list(n_neighbors)},
            cv=[tuple(fold) for fold in data.folds],
            n_jobs=-1,
            random_state=random_state,
            use_gpu=use_gpu,
        )
        tune.fit(np.asarray(data.X_train), data.y_train)
        return Scored(scores_from_cv_results(tune.cv_results_), tune)

    return search
