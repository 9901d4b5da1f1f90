"""The tools that score a study's two stages: our one search, scikit-learn's grid, tune-sklearn, or Ray Tune."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from sklearn.neighbors import KNeighborsRegressor

from energyknn.progress import Track, track_silently
from energyknn.study.protocol import Prepared, Search, Stage
from energyknn.tuning import Candidate, ScoreTable, score_candidates, scores_from_cv_results, search_grid

__all__ = ["TOOLS", "Keep", "Tool", "choose_search", "keep_nothing"]

Tool = Literal["one-search", "grid", "tune-sklearn", "ray"]
TOOLS: Mapping[Tool, tuple[str, str]] = {
    "one-search": ("one search per fold", "one search per fold"),
    "grid": ("GridSearchCV", "GridSearchCV"),
    "tune-sklearn": ("TuneSearchCV", "GridSearchCV"),
    "ray": ("Ray Tune", "Ray Tune"),
}
"""The choices, and what scores the candidates of the coarse and of the micro search."""


Score = Callable[[Stage, Prepared, Sequence[int]], ScoreTable]
Keep = Callable[[str, Any], Any]
"""Saves a fitted search under a stage's name and returns what was read back."""


def keep_nothing(stage: str, search: Any) -> Any:  # noqa: ARG001 - the shape of a Keep
    """Return the search itself: the `Keep` that saves nothing."""
    return search


def choose_search(
    tool: Tool,
    *,
    keep: Keep = keep_nothing,
    callbacks: Sequence[Any] = (),
    track: Track[Any] = track_silently,
    random_state: int = 42,
    use_gpu: bool = False,
) -> Search:
    """Return the function that scores a stage's candidates with one of the tools.

    Parameters
    ----------
    tool : {"one-search", "grid", "tune-sklearn", "ray"}
        "one-search": one neighbour search for each fold serves all candidates. "grid": GridSearchCV for both stages.
        "tune-sklearn": the notebook's TuneSearchCV for the first, which draws candidates with replacement, and
        GridSearchCV for the second. "ray": Ray Tune for both.
    keep : callable, default=keep_nothing
        Saves each fitted search and gives back what was read.
    callbacks : sequence of scikit-learn callbacks
        Shown by GridSearchCV.
    track : Track, default=track_silently
        Shows the progress of the one search.
    random_state : int, default=42
        Seed of the draws.
    use_gpu : bool, default=False
        Reserve a GPU for each trial of Ray or tune-sklearn, as the notebook asked.

    Returns
    -------
    Search
        What scores the candidates.

    Raises
    ------
    ImportError
        If the tool's extra is not installed.
    ValueError
        If the tool is unknown, or a GPU is asked of the grid.
    """
    if tool not in TOOLS:
        message = f"Search tool {tool!r} is unknown. Known are {', '.join(TOOLS)}."
        raise ValueError(message)
    if use_gpu and tool in {"one-search", "grid"}:
        message = f"use_gpu is for 'tune-sklearn' and 'ray'; {tool!r} runs on the CPU only."
        raise ValueError(message)

    def with_one_search(stage: Stage, data: Prepared, n_neighbors: Sequence[int]) -> ScoreTable:
        candidates = [Candidate(k) for k in n_neighbors]
        scored = score_candidates(data.X_train, data.y_train, candidates=candidates, folds=data.folds, track=track)
        kept: ScoreTable = keep(stage, scored.test["score"])
        return kept

    def with_grid(stage: Stage, data: Prepared, n_neighbors: Sequence[int]) -> ScoreTable:
        search = search_grid(data.X_train, data.y_train, n_neighbors=n_neighbors, folds=data.folds, callbacks=callbacks)
        return scores_from_cv_results(keep(stage, search).cv_results_)

    if tool == "one-search":
        return Search(with_one_search, every_k=True)
    if tool == "grid":
        return Search(with_grid)
    if tool == "ray":
        return Search(_with_ray(keep, use_gpu=use_gpu))
    with_draws = _with_tune_sklearn(keep, random_state=random_state, use_gpu=use_gpu)
    return Search(
        lambda stage, data, n_neighbors: (with_draws if stage == "coarse" else with_grid)(stage, data, n_neighbors)
    )


def _with_tune_sklearn(keep: Keep, *, random_state: int, use_gpu: bool) -> Score:
    from energyknn.tuning.tune_sklearn import TuneSearchCV

    def search(stage: Stage, data: Prepared, n_neighbors: Sequence[int]) -> ScoreTable:
        tune = TuneSearchCV(
            KNeighborsRegressor(),
            {"n_neighbors": list(n_neighbors)},
            cv=[tuple(fold) for fold in data.folds],
            n_jobs=-1,
            random_state=random_state,
            use_gpu=use_gpu,
        )
        tune.fit(np.asarray(data.X_train), data.y_train)
        return scores_from_cv_results(keep(stage, tune).cv_results_)

    return search


def _with_ray(keep: Keep, *, use_gpu: bool) -> Score:
    from energyknn.tuning.ray_tune import search_ray_tune

    def search(stage: Stage, data: Prepared, n_neighbors: Sequence[int]) -> ScoreTable:
        scores = search_ray_tune(data.X_train, data.y_train, n_neighbors=n_neighbors, folds=data.folds, use_gpu=use_gpu)
        kept: ScoreTable = keep(stage, scores)
        return kept

    return search
