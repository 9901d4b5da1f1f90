"""What the terminal shows of a study: its figures, its second study, and the comparison with other models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from rich.text import Text

from energyknn.study.reporting.tables import (
    build_table,
    compare_with_honest,
    compare_with_notebook,
    list_notes,
    list_scores,
    tabulate_models,
    tabulate_scores,
)
from energyknn.study.reporting.words import Words
from energyknn.study.results import AnyResults


def list_tables(results: AnyResults) -> list[Any]:
    """Return what the terminal shows: each study's figures, and the comparison with other models."""
    found: dict[str, Any] = dict(results)
    if "notebook" in results:
        shown: list[Any] = [build_table(compare_with_notebook(cast("Any", results)))]
        if found.get("honest"):
            title, names = "This run beside the second study, without leaks", ("this run", "without leaks")
            shown += [
                "",
                build_table(compare_with_honest(cast("Any", results)), title=title, names=names),
            ]
        title = "Beyond the notebook, on the same rows"
    else:
        words = Words.of(results)
        title = f"How well the nearest {words.row}s predict {words.target}"
        shown = [
            tabulate_scores(list_scores(results, words), title=title),
            *_describe_search(found["curve"]),
        ]
        if found.get("honest"):
            title = f"Second study: {words.row}s that repeat others kept on one side"
            sheet = list_scores(found["honest"], words)
            shown += ["", tabulate_scores(sheet, title=title), *_describe_search(found["honest"]["curve"])]
        title = "Other models, on the same rows"
    if found.get("beyond"):
        notes = list_notes(found["beyond_analyses"])
        shown += ["", tabulate_models(found["beyond"], notes, title=title)]
    return shown


def _describe_search(curve: Mapping[str, Any]) -> list[Text]:
    """Say which k is best, which is as good within one standard error, and whether more should be tried."""
    tried, best = curve["n_neighbors"], curve["best"]
    place, n_folds = tried.index(best), len(curve["fold_test_scores"][0])
    error = curve["std_test_score"][place] / n_folds**0.5
    line = (
        f"Best k: {best} of the {len(tried)} that were tried ({tried[0]} to {tried[-1]}), score "
        f"{curve['mean_test_score'][place]:.4f} ± {error:.4f} over {n_folds} folds. Largest k within one standard "
        f"error of it: {curve['within_one_standard_error']}."
    )
    return [Text(part) for part in (line, curve["remark"]) if part]
